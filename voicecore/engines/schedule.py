"""Which request is worked on next, over all engines and conversations of a host.

Requests are ranked by when they came and how long they may be kept waiting (`PATIENCE_S`), as in
earliest-deadline-first scheduling (Liu and Layland, 1973). A request begins when its engine has a
free place and the machine has room for its threads. No clock, no tasks, no threads: `worker.py`
joins this to them, and a simulation can drive it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from itertools import count

import attrs

from voicecore.engines.interface import Urgency

PATIENCE_S: Mapping[Urgency, float] = {
    Urgency.AWAITED: 0.0,
    Urgency.AHEAD: 1.0,
    Urgency.GUESS: 2.0,
    Urgency.PARTIAL: math.inf,
}
"""How much later a request that somebody waits for may come and still go first.

So nothing that will be heard starves: a request is overtaken only by those that come within its
patience, and afterwards by none. A first clause plays for about a second, which is how long the
next phrase has. A guess comes after both; one that turns out right is raised (`Schedule.raise_to`).
Partial results may starve: without them only later work is longer, and the next one is better.
"""

BESIDE = 1
"""Threads the machine takes on beyond its cores, so that the judge of a turn's end, which has one,
works beside recognition, which has all. Two engines with all the cores each would both take twice
as long (measured on two cores: recognition 213 or 303 ms, the voice 439 or 742 ms), finish the same
mix only 11 % sooner, and leave the language model 10 instead of 17 tokens a second."""


class State(Enum):
    WAITING = "waiting"
    """For a place at its engine, and for room."""
    WORKING = "working"
    HELD = "held"
    """Begun, and waiting for room to go on; it keeps its place."""
    OVER = "over"


@attrs.define(eq=False)
class Places:
    """How many requests one engine works on at once, and what each takes of the machine."""

    free: int
    threads: int
    """Room for one request; 0 if it takes none, as on a GPU."""


@attrs.define(eq=False)
class Ticket:
    """One request's place in the line. Made by `Schedule.ask`."""

    places: Places
    urgency: Urgency
    asked_s: float
    number: int
    """Of arrival: decides between equals."""
    begin: Callable[[], object]
    """Called when the work may begin, or go on. It must not call the schedule."""
    state: State = State.WAITING

    @property
    def rank(self) -> tuple[float, Urgency, int]:
        """The lowest goes first."""
        return self.asked_s + PATIENCE_S[self.urgency], self.urgency, self.number


class Schedule:
    """The line in front of a machine's engines. Synchronous: call it from one thread.

    **Who goes first**: the lowest `Ticket.rank` among the requests whose engine has a free place.
    While that one waits for room, no other takes room, so a request for many threads is not passed
    for ever by those for few. Requests that take no room only wait for their engine.

    **Bound**: whatever begins while a request could have begun was asked less than the request's
    patience after it. Its wait is therefore the work that was asked for before that moment, plus
    the work in progress that cannot be held.

    **Fairness**: a stage of a conversation asks for one thing at a time, so the line holds at most
    one request of each stage, and among equals all others are served before it is again.
    """

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._room = cores + BESIDE
        self._line: set[Ticket] = set()
        self._working: set[Ticket] = set()
        self._numbers = count()

    def places(self, count: int, threads: int) -> Places:
        """Register an engine that works on ``count`` requests at once, with so many threads each.

        More threads than cores count as the cores.
        """
        return Places(count, min(threads, self._cores))

    def ask(
        self, places: Places, urgency: Urgency, now_s: float, begin: Callable[[], object]
    ) -> Ticket:
        """Join the line. ``begin`` is called when the request may begin, perhaps at once.

        Whoever asks must `end`, whatever happens.
        """
        ticket = Ticket(places, urgency, now_s, next(self._numbers), begin)
        self._line.add(ticket)
        self._serve()
        return ticket

    def hold(self, ticket: Ticket, go_on: Callable[[], object]) -> None:
        """Let more urgent work go first, in the middle of this; ``go_on`` may be called at once.

        Only for work whose engine has several places, or others of its kind could not go first.
        """
        assert ticket.state is State.WORKING
        self._stop(ticket)
        ticket.state, ticket.begin = State.HELD, go_on
        self._line.add(ticket)
        self._serve()

    def raise_to(self, ticket: Ticket, urgency: Urgency) -> None:
        """Make a request more urgent; never less. It keeps the time it was asked."""
        ticket.urgency = min(ticket.urgency, urgency)
        self._serve()

    def release(self, ticket: Ticket) -> None:
        """Nobody listens any more: have held work go on, without room, so that it ends itself."""
        if ticket.state is State.HELD:
            self._line.remove(ticket)
            ticket.state = State.WORKING
            ticket.begin()
            self._serve()  # the room that was kept for it is free

    def end(self, ticket: Ticket) -> None:
        """The work is done or given up, in whichever state it is. May be called again."""
        self._line.discard(ticket)
        self._stop(ticket)
        if ticket.state in {State.WORKING, State.HELD}:
            ticket.places.free += 1
        ticket.state = State.OVER
        self._serve()

    def waiting(self, places: Places) -> int:
        """Count the requests in line that this engine has not begun."""
        return sum(t.places is places and t.state is State.WAITING for t in self._line)

    def would_begin(self, places: Places, urgency: Urgency, now_s: float) -> bool:
        """Whether a request would be worked on at once."""
        asked = Ticket(places, urgency, now_s, next(self._numbers), lambda: None)
        return asked in self._next([*self._line, asked])

    def busy_with(self, urgency: Urgency) -> bool:
        """Whether anything so urgent, or more, is in line or being worked on, in any engine."""
        return any(ticket.urgency <= urgency for ticket in self._line | self._working)

    def _stop(self, ticket: Ticket) -> None:
        if ticket in self._working:
            self._working.remove(ticket)
            self._room += ticket.places.threads

    def _serve(self) -> None:
        for ticket in self._next(self._line):
            self._line.remove(ticket)
            self._working.add(ticket)
            self._room -= ticket.places.threads
            if ticket.state is State.WAITING:
                ticket.places.free -= 1
            ticket.state = State.WORKING
            ticket.begin()

    def _next(self, line: Iterable[Ticket]) -> list[Ticket]:
        """Return those that can begin now, in order."""
        room, taken = self._room, Counter[Places]()
        found = []
        for ticket in sorted(line, key=lambda ticket: ticket.rank):
            places = ticket.places
            new = ticket.state is State.WAITING
            if new and places.free <= taken[places]:
                continue
            if places.threads > room:
                room = 0  # kept for this one
                continue
            room -= places.threads
            taken[places] += new
            found.append(ticket)
        return found
