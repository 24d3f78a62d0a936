"""Who is worked on next: the rule, its bounds, and that no place is ever lost."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from voicecore.engines.interface import Urgency
from voicecore.engines.schedule import BESIDE, PATIENCE_S, Places, Schedule, State, Ticket

AWAITED, AHEAD, GUESS, PARTIAL = Urgency
HEARD = [AWAITED, AHEAD, GUESS]
"""What may not starve."""


class Machine:
    """A schedule, and the names of what it began, in order."""

    def __init__(self, cores: int = 2) -> None:
        self.schedule = Schedule(cores)
        self.stt, self.turn = self.schedule.places(1, 2), self.schedule.places(1, 1)
        self.tts, self.llm = self.schedule.places(3, 2), self.schedule.places(2, 0)
        self.begun: list[str] = []

    def ask(
        self, places: Places, name: str, urgency: Urgency = AWAITED, now_s: float = 0
    ) -> Ticket:
        return self.schedule.ask(places, urgency, now_s, self.noting(name))

    def noting(self, name: str) -> Callable[[], None]:
        return lambda: self.begun.append(name)


# --- the rule ---


def test_what_a_person_waits_for_goes_first_and_equals_in_the_order_they_came() -> None:
    machine = Machine()
    working = machine.ask(machine.stt, "working")
    asked = [
        machine.ask(machine.stt, "partial", PARTIAL),
        machine.ask(machine.tts, "guess", GUESS),
        machine.ask(machine.tts, "ahead 1", AHEAD),
        machine.ask(machine.tts, "ahead 2", AHEAD),
        machine.ask(machine.stt, "awaited 1"),
        machine.ask(machine.tts, "awaited 2"),
    ]
    for ticket in (working, asked[4], asked[5], asked[2], asked[3], asked[1], asked[0]):
        machine.schedule.end(ticket)
    assert machine.begun == [
        "working", "awaited 1", "awaited 2", "ahead 1", "ahead 2", "guess", "partial",
    ]  # fmt: skip


def test_engines_with_all_the_cores_take_turns_and_the_judge_works_beside_them() -> None:
    machine = Machine()
    recognition = machine.ask(machine.stt, "stt")
    machine.ask(machine.turn, "turn")
    machine.ask(machine.tts, "tts")
    machine.ask(machine.llm, "llm")
    assert machine.begun == ["stt", "turn", "llm"]
    machine.schedule.end(recognition)
    assert machine.begun[-1] == "tts"


def test_an_engine_on_a_large_machine_works_beside_others() -> None:
    machine = Machine(cores=8)
    for name in ("a", "b", "c", "d"):
        machine.ask(machine.tts, name)
    machine.ask(machine.stt, "stt")
    assert machine.begun == ["a", "b", "c", "stt"]
    assert machine.schedule.waiting(machine.tts) == 1


def test_a_request_for_many_threads_is_not_passed_by_those_for_few() -> None:
    machine = Machine()
    few = machine.schedule.places(9, 1)
    working = [machine.ask(few, "few") for _ in range(3)]
    machine.ask(machine.stt, "many")
    machine.ask(few, "later")
    machine.schedule.end(working[0])
    assert "later" not in machine.begun
    machine.schedule.end(working[1])
    assert machine.begun[3:] == ["many"]
    machine.schedule.end(working[2])
    assert machine.begun[3:] == ["many", "later"]


def test_more_threads_than_cores_still_leave_the_judge_its_place() -> None:
    machine = Machine()
    machine.ask(machine.schedule.places(1, 64), "greedy")
    machine.ask(machine.turn, "turn")
    assert machine.begun == ["greedy", "turn"]


def test_long_work_lets_a_first_phrase_go_first_and_then_goes_on() -> None:
    machine = Machine()
    long = machine.ask(machine.tts, "long", AHEAD)
    machine.schedule.hold(long, machine.noting("on at once"))
    first = machine.ask(machine.tts, "first", now_s=0.5)
    machine.schedule.hold(long, machine.noting("on"))
    assert long.state is State.HELD
    assert machine.begun == ["long", "on at once", "first"]
    machine.schedule.end(first)
    assert machine.begun[3:] == ["on"]


def test_work_older_than_its_patience_is_not_held() -> None:
    machine = Machine()
    long = machine.ask(machine.tts, "long", AHEAD)
    machine.ask(machine.tts, "first", now_s=PATIENCE_S[AHEAD] + 0.01)
    machine.schedule.hold(long, machine.noting("on"))
    assert machine.begun == ["long", "on"]


def test_held_work_that_nobody_hears_goes_on_to_its_end() -> None:
    machine = Machine()
    long = machine.ask(machine.tts, "long", AHEAD)
    first = machine.ask(machine.tts, "first")
    machine.schedule.hold(long, machine.noting("on"))
    machine.schedule.release(long)
    assert machine.begun == ["long", "first", "on"]
    machine.schedule.end(long)
    assert machine.tts.free == 2
    machine.ask(machine.stt, "stt")
    assert machine.begun[-1] == "on", "it had taken no room, so it gave none back"
    machine.schedule.end(first)
    assert machine.begun[-1] == "stt"


def test_a_guess_that_turned_out_right_is_raised_and_never_lowered() -> None:
    machine = Machine()
    working = machine.ask(machine.stt, "working")
    guess = machine.ask(machine.tts, "guess", GUESS)
    machine.ask(machine.tts, "ahead", AHEAD)
    machine.schedule.raise_to(guess, AWAITED)
    machine.schedule.raise_to(guess, PARTIAL)
    machine.schedule.end(working)
    assert machine.begun == ["working", "guess"]


@pytest.mark.parametrize("urgency", Urgency)
def test_idle_means_that_a_request_would_begin_at_once(urgency: Urgency) -> None:
    machine = Machine()
    would = machine.schedule.would_begin
    assert would(machine.stt, urgency, 0)
    assert machine.begun == []
    recognition = machine.ask(machine.stt, "stt")
    assert not would(machine.stt, urgency, 0)
    assert not would(machine.tts, urgency, 0)
    assert would(machine.turn, urgency, 0)
    machine.ask(machine.tts, "guess", GUESS)
    assert would(machine.turn, urgency, 0) == (urgency < GUESS), "it would pass what waits"
    assert would(machine.llm, urgency, 0)
    machine.schedule.end(recognition)
    assert would(machine.turn, urgency, 0)


def test_busy_with_counts_what_is_as_urgent() -> None:
    machine = Machine()
    assert not machine.schedule.busy_with(PARTIAL)
    ahead = machine.ask(machine.tts, "ahead", AHEAD)
    assert machine.schedule.busy_with(AHEAD)
    assert not machine.schedule.busy_with(AWAITED)
    awaited = machine.ask(machine.tts, "awaited")
    assert machine.schedule.busy_with(AWAITED), "it waits"
    for ticket in (awaited, ahead):
        machine.schedule.end(ticket)
    assert not machine.schedule.busy_with(PARTIAL)


# --- its bounds ---


@given(
    own=st.sampled_from(HEARD),
    others=st.lists(st.tuples(st.floats(0, 9), st.sampled_from(Urgency)), max_size=40),
    work_s=st.floats(0.01, 0.5),
)
def test_nothing_that_is_heard_starves(
    own: Urgency, others: list[tuple[float, Urgency]], work_s: float
) -> None:
    """However many come: it waits for those asked before its patience is over, and no other."""
    schedule = Schedule(2)
    places = schedule.places(1, 2)
    began_s: dict[str, float] = {}
    now_s, current = 0.0, [schedule.ask(places, AWAITED, 0, lambda: None)]
    arrivals = sorted([(0.0, own, "own"), *((*other, "other") for other in others)])

    def begin(name: str) -> Callable[[], object]:
        return lambda: began_s.setdefault(name, now_s)

    tickets: list[Ticket] = []
    while "own" not in began_s:
        while arrivals and arrivals[0][0] <= now_s:
            at_s, urgency, name = arrivals.pop(0)
            tickets.append(schedule.ask(places, urgency, at_s, begin(name)))
        now_s += work_s
        schedule.end(current.pop())
        current = [ticket for ticket in tickets if ticket.state is State.WORKING]
    ahead = sum(at_s + PATIENCE_S[urgency] <= PATIENCE_S[own] for at_s, urgency in others)
    assert began_s["own"] <= (1 + ahead) * work_s + 1e-6


@given(st.integers(2, 8), st.lists(st.integers(0, 7), max_size=60))
def test_equals_are_served_in_turn(conversations: int, extra: list[int]) -> None:
    """A conversation that asks again and again is served once between two turns of another."""
    schedule = Schedule(2)
    places = schedule.places(1, 2)
    served: list[int] = []

    def ask(who: int) -> Ticket:
        return schedule.ask(places, AWAITED, 0, lambda: served.append(who))

    tickets = {who: ask(who) for who in range(conversations)}
    for _ in range(len(extra) + conversations * 3):
        who = served[-1]
        schedule.end(tickets[who])
        tickets[who] = ask(who)
    for who in range(conversations):
        turns = [at for at, other in enumerate(served) if other == who]
        assert all(later - at <= conversations for at, later in pairwise(turns))


# --- nothing is lost ---


class Lines(RuleBasedStateMachine):
    """Any order of asking, holding, raising, leaving and ending."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = Machine()
        self.schedule = self.machine.schedule
        self.engines = [
            self.machine.stt, self.machine.turn, self.machine.tts, self.machine.llm,
        ]  # fmt: skip
        self.sizes = [engine.free for engine in self.engines]
        self.tickets: list[Ticket] = []
        self.unheard: set[Ticket] = set()
        self.now_s = 0.0

    def begun(self, ticket: list[Ticket]) -> Callable[[], None]:
        def begin() -> None:
            for other in self.tickets if ticket else ():  # none while it is being asked
                if other.state is State.WAITING and other.places is ticket[0].places:
                    assert other.rank > ticket[0].rank

        return begin

    @rule(engine=st.integers(0, 3), urgency=st.sampled_from(Urgency))
    def ask(self, engine: int, urgency: Urgency) -> None:
        mine: list[Ticket] = []
        ticket = self.schedule.ask(self.engines[engine], urgency, self.now_s, self.begun(mine))
        mine.append(ticket)
        self.tickets.append(ticket)

    @rule(seconds=st.floats(0, 3))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds

    @precondition(lambda self: self.tickets)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(self.tickets))
        self.schedule.end(ticket)
        self.schedule.end(ticket)
        self.tickets.remove(ticket)

    @precondition(lambda self: self.tickets)
    @rule(data=st.data(), urgency=st.sampled_from(Urgency))
    def raise_to(self, data: st.DataObject, urgency: Urgency) -> None:
        self.schedule.raise_to(data.draw(st.sampled_from(self.tickets)), urgency)

    @precondition(lambda self: self.tickets)
    @rule(data=st.data())
    def hold_or_release(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(self.tickets))
        if ticket.state is State.HELD:
            self.schedule.release(ticket)
            self.unheard.add(ticket)
        elif ticket.state is State.WORKING and ticket not in self.unheard:
            self.schedule.hold(ticket, lambda: None)

    def taken(self) -> int:
        return sum(
            ticket.places.threads
            for ticket in self.tickets
            if ticket.state is State.WORKING and ticket not in self.unheard
        )

    @invariant()
    def places_and_room_are_those_in_use(self) -> None:
        assert self.taken() <= 2 + BESIDE
        for engine, size in zip(self.engines, self.sizes, strict=True):
            used = sum(
                ticket.places is engine and ticket.state in {State.WORKING, State.HELD}
                for ticket in self.tickets
            )
            assert engine.free == size - used >= 0

    @invariant()
    def nobody_waits_without_a_reason(self) -> None:
        line = [t for t in self.tickets if t.state in {State.WAITING, State.HELD}]
        free = [t for t in line if t.state is State.HELD or t.places.free]
        if free:
            first = min(free, key=lambda ticket: ticket.rank)
            assert first.places.threads > 2 + BESIDE - self.taken()

    def teardown(self) -> None:
        for ticket in self.tickets:
            self.schedule.end(ticket)
        self.tickets.clear()
        self.places_and_room_are_those_in_use()
        assert self.schedule.would_begin(self.machine.stt, PARTIAL, self.now_s)
        assert not self.schedule.busy_with(PARTIAL)


TestLines = Lines.TestCase
TestLines.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


def test_the_room_kept_for_released_work_goes_to_who_waits() -> None:
    machine = Machine()
    schedule = machine.schedule
    begun: list[str] = []
    large = schedule.ask(machine.tts, AHEAD, 0.0, lambda: begun.append("large"))
    schedule.ask(machine.stt, AWAITED, 0.0, lambda: begun.append("urgent"))
    schedule.hold(large, lambda: begun.append("large again"))
    schedule.raise_to(large, AWAITED)
    schedule.ask(machine.turn, AWAITED, 0.0, lambda: begun.append("small"))
    schedule.release(large)
    assert begun == ["large", "urgent", "large again", "small"]
