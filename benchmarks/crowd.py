"""People talking at once on a machine of two cores, simulated: set costs, virtual time.

Each listens to the answer, thinks and asks again. Their requests go through the host's own
`Schedule`; the cores are shared evenly among the threads that work. The language model has one for
all its replies, which weighs less, or works elsewhere. The same crowd can be served in the order
requests come, each engine for itself.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import attrs
import trio
from trio.testing import MockClock

from voicecore.engines.interface import Urgency
from voicecore.engines.schedule import Places, Schedule, State, Ticket

CORES = 2
RECOGNITION_S = 0.125
FIRST_PHRASE_S = 0.04
PHRASE_S = (0.05, 0.05, 0.05)
"""Of a voice that gives its sound in pieces; about 59 characters."""
PHRASES = 3
FIRST_WORDS_S, OTHER_WORDS_S = 0.2, 0.15
"""Of the language model: to the first clause (its prompt, and 8 tokens), to each phrase after."""
MODEL_SHARE = 0.41
"""Of a thread at nice 4, against one at 0 (the kernel's weights: 423 and 1024)."""
FIRST_SOUND_S, SOUND_S, AHEAD_S = 1.0, 3.5, 4.0
"""Sound of a first clause, of a phrase, and how far the voice may be ahead."""


@attrs.define(eq=False)
class _Work:
    left_s: float
    threads: int
    share: float
    done: trio.Event = attrs.field(factory=trio.Event)


class Cores:
    """Shares the cores among what computes, by weight; call `run` in a task."""

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._working: list[_Work] = []
        self._changed = trio.Event()

    async def compute(self, seconds: float, threads: int, share: float) -> None:
        """Do what takes so long if nothing else runs."""
        work = _Work(seconds, threads, share)
        self._working.append(work)
        self._changed.set()
        await work.done.wait()

    async def run(self) -> None:
        while True:
            self._changed = trio.Event()
            began_s, speeds = trio.current_time(), [self._speed(work) for work in self._working]
            left = [w.left_s / speed for w, speed in zip(self._working, speeds, strict=True)]
            with trio.move_on_after(min(left, default=1e6)):
                await self._changed.wait()
            passed_s = trio.current_time() - began_s
            for work, speed in zip(self._working, speeds, strict=False):  # new ones did nothing yet
                work.left_s -= passed_s * speed
                if work.left_s < 1e-9:
                    work.done.set()
            self._working = [work for work in self._working if not work.done.is_set()]

    def _speed(self, work: _Work) -> float:
        replies = sum(other.share < 1 for other in self._working)
        weight = sum(other.share * other.threads for other in self._working if other.share == 1)
        weight += MODEL_SHARE * min(1, replies)  # one thread for all of them
        speed = min(1.0, self._cores * work.share / weight)
        return speed / replies if work.share < 1 else speed


@attrs.frozen
class Result:
    first_sound_s: list[float]
    """Of each turn, from its end."""
    gaps_s: list[float]
    """Before each later phrase: how long it came too late."""


class Crowd:
    """The people, and the engines they share."""

    def __init__(self, *, scheduled: bool, replies: int | None, seed: int) -> None:
        """Open the engines.

        Args:
            scheduled: by urgency, one engine at a time; else in the order they come.
            replies: how many the language model writes at once; None if it is elsewhere.
            seed: of the moments people speak.
        """
        # With as many cores as nobody needs, a schedule is a line for each engine.
        self._schedule = Schedule(CORES if scheduled else 1_000)
        self._scheduled = scheduled
        self._stt = self._schedule.places(1, 2)
        self._tts = self._schedule.places(3 if scheduled else 1, 2)
        self._llm = self._schedule.places(replies or 1_000, 0)
        self._remote = replies is None
        self._cores = Cores(CORES)
        self._random = random.Random(seed)
        self.first_sound_s: list[float] = []
        self.gaps_s: list[float] = []

    async def talk(self, people: int, turns: int) -> Result:
        async with trio.open_nursery() as around:
            around.start_soon(self._cores.run)
            async with trio.open_nursery() as nursery:
                for _ in range(people):
                    nursery.start_soon(self._person, turns)
            around.cancel_scope.cancel()
        return Result(self.first_sound_s, self.gaps_s)

    async def _person(self, turns: int) -> None:
        for _ in range(turns):
            await trio.sleep(self._random.uniform(2, 6))  # thinks and speaks
            asked_s = trio.current_time()
            async with self._turn(self._stt, Urgency.AWAITED):
                await self._cores.compute(RECOGNITION_S, 2, 1)
            words = [trio.Event() for _ in range(PHRASES + 1)]
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, words)
                await self._speak(words, asked_s)

    async def _write(self, words: Sequence[trio.Event]) -> None:
        async with self._turn(self._llm, Urgency.AWAITED):
            for number, phrase in enumerate(words):
                seconds = OTHER_WORDS_S if number else FIRST_WORDS_S
                if self._remote:
                    await trio.sleep(seconds)
                else:
                    await self._cores.compute(seconds, 1, MODEL_SHARE)
                phrase.set()

    async def _speak(self, words: Sequence[trio.Event], asked_s: float) -> None:
        await words[0].wait()
        async with self._turn(self._tts, Urgency.AWAITED):
            await self._cores.compute(FIRST_PHRASE_S, 2, 1)
        self.first_sound_s.append(trio.current_time() - asked_s)
        heard_until_s = trio.current_time() + FIRST_SOUND_S
        for phrase in words[1:]:
            await phrase.wait()
            await trio.sleep(max(0, heard_until_s - AHEAD_S - trio.current_time()))
            gap_s = await self._phrase(heard_until_s)
            self.gaps_s.append(gap_s)
            heard_until_s += gap_s + SOUND_S
        await trio.sleep_until(heard_until_s)

    async def _phrase(self, due_s: float) -> float:
        """Speak a phrase; return how long its first piece came too late."""
        begun_s = None
        async with self._turn(self._tts, Urgency.AHEAD) as ticket:
            for seconds in PHRASE_S:
                await self._cores.compute(seconds, 2, 1)
                begun_s = begun_s or trio.current_time()
                await self._give_way(ticket)
        assert begun_s is not None
        return max(0.0, begun_s - due_s)

    @asynccontextmanager
    async def _turn(self, places: Places, urgency: Urgency) -> AsyncIterator[Ticket]:
        begun = trio.Event()
        urgency = urgency if self._scheduled else Urgency.AWAITED
        ticket = self._schedule.ask(places, urgency, trio.current_time(), begun.set)
        try:
            await begun.wait()
            yield ticket
        finally:
            self._schedule.end(ticket)

    async def _give_way(self, ticket: Ticket) -> None:
        if self._scheduled:
            go_on = trio.Event()
            self._schedule.hold(ticket, go_on.set)
            if ticket.state is State.HELD:
                await go_on.wait()


def simulate(
    people: int, *, replies: int | None, scheduled: bool, turns: int = 40, seed: int = 1
) -> Result:
    """Have people talk in virtual time; see `Crowd`."""
    crowd = Crowd(scheduled=scheduled, replies=replies, seed=seed)
    return trio.run(crowd.talk, people, turns, clock=MockClock(autojump_threshold=0))
