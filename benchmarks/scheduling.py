"""People talking at once: time to first sound, in the order requests come and by the schedule.

    python -m benchmarks.scheduling [--people N] [--turns N] [--rounds N]
    python -m benchmarks.scheduling --simulate

Each person's turn is a recognition of about 2 s of speech, a first phrase and three long ones, on
the configured engines, without a language model. Both orders take turns in one process, so compare
them within a run; and on a machine that does nothing else, since one engine at a time asks the
kernel for less than several do. ``--simulate`` does it with set costs in virtual time, with a
language model too.
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import numpy as np
import trio
from rich.console import Console
from rich.table import Table

from benchmarks.crowd import Result, simulate
from voicecore import configfile
from voicecore.audio import EAR_HZ, Pcm, Samples, resample
from voicecore.bench.results import percentile
from voicecore.config import Config, cores
from voicecore.engines import find, section, threads_for
from voicecore.engines.interface import (
    EngineInfo,
    Kind,
    Native,
    SpeechChunk,
    SpeechRequest,
    Urgency,
    Utterance,
)
from voicecore.engines.schedule import Schedule
from voicecore.engines.worker import ThreadedEngine, open_threaded
from voicecore.weights.files import ModelStore

QUESTION = "What is the capital city of France?"
FIRST = "Well, I think"
LONG = (
    "The capital city of France is Paris, and it is lovely in the spring.",
    "It has been the seat of its kings and presidents for a thousand years.",
    "You should see the river at night, when all the bridges are lit up.",
)
AHEAD_S = 4.0
"""How far the voice may be ahead of its listener, as in a host (``mouth.outbox_ms``)."""
VOICES = 3
"""Phrases begun at once: one for each urgency a voice is asked with."""


ORDERS = {"as they come": False, "schedule": True}


@attrs.frozen
class Kept:
    """A native engine that is opened several times, so it is neither warmed up nor closed."""

    native: Native[Any, Any]
    concurrency: int

    @property
    def info(self) -> EngineInfo:
        return self.native.info

    def run(self, request: Any, emit: Callable[[Any], None]) -> None:
        self.native.run(request, emit)

    def warm_up(self) -> None:
        pass

    def close(self) -> None:
        pass


@attrs.frozen
class Talk:
    """One round of all people."""

    stt: ThreadedEngine[Any, Any]
    tts: ThreadedEngine[Any, Any]
    question: Samples
    scheduled: bool
    chance: random.Random
    first_sound_s: list[float] = attrs.field(factory=list, init=False)
    gaps_s: list[float] = attrs.field(factory=list, init=False)

    async def all(self, people: int, turns: int) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(people):
                nursery.start_soon(self._person, turns)

    async def _person(self, turns: int) -> None:
        for _ in range(turns):
            await trio.sleep(self.chance.uniform(1, 3))  # thinks and speaks
            asked_s = trio.current_time()
            await self._ask(self.stt, Utterance(self.question))
            first_s, sound_s = await self._ask(self.tts, SpeechRequest(FIRST))
            self.first_sound_s.append(first_s - asked_s)
            heard_until_s = first_s + sound_s
            for phrase in LONG:
                await trio.sleep_until(heard_until_s - AHEAD_S)
                urgency = Urgency.AHEAD if self.scheduled else Urgency.AWAITED
                first_s, sound_s = await self._ask(self.tts, SpeechRequest(phrase, urgency=urgency))
                self.gaps_s.append(max(0.0, first_s - heard_until_s))
                heard_until_s = max(first_s, heard_until_s) + sound_s
            await trio.sleep_until(heard_until_s)

    async def _ask(self, engine: ThreadedEngine[Any, Any], request: object) -> tuple[float, float]:
        """Listen to an answer; return when its first chunk came, and the seconds of its sound."""
        first_s, sound_s = None, 0.0
        async with engine.stream(request) as chunks:
            async for chunk in chunks:
                first_s = first_s or trio.current_time()
                if isinstance(chunk, SpeechChunk):
                    sound_s += len(chunk.samples) / chunk.rate_hz
        assert first_s is not None
        return first_s, sound_s


@asynccontextmanager
async def opened(
    natives: Sequence[Native[Any, Any]], question: Samples, seed: int, *, scheduled: bool
) -> AsyncIterator[Talk]:
    # With as many cores as nobody needs, a schedule is a line for each engine.
    schedule = Schedule(cores() if scheduled else 1_000)
    stt, tts = Kept(natives[0], 1), Kept(natives[1], VOICES if scheduled else 1)
    async with (
        open_threaded(lambda: stt, schedule) as hears,
        open_threaded(lambda: tts, schedule) as speaks,
    ):
        yield Talk(hears, speaks, question, scheduled, random.Random(seed))


def load(config: Config, kind: Kind) -> Native[Any, Any]:
    settings = section(config, kind)
    made = find(kind, settings.engine).load()
    native = made(settings, ModelStore.of(config), threads=threads_for(config)[kind])
    if not isinstance(native, Native):
        raise SystemExit(f"{kind}.engine = {settings.engine!r} has no threads to be shared.")
    native.warm_up()
    return native


def spoken(voice: Native[Any, Any], text: str) -> Samples:
    chunks: list[SpeechChunk] = []
    voice.run(SpeechRequest(text), chunks.append)
    sound = np.concatenate([chunk.samples for chunk in chunks])
    return resample(Pcm(sound, chunks[0].rate_hz), EAR_HZ).samples


def measured(config: Config, people: int, turns: int, rounds: int) -> Table:
    natives = [load(config, "stt"), load(config, "tts")]
    question = spoken(natives[1], QUESTION)
    table = table_of()
    found = {order: Result([], []) for order in ORDERS}
    for number in range(rounds):
        for order, result in found.items():

            async def run(seed: int = number, order: str = order) -> Talk:
                async with opened(natives, question, seed, scheduled=ORDERS[order]) as talk:
                    await talk.all(people, turns)
                return talk

            talk = trio.run(run)
            result.first_sound_s.extend(talk.first_sound_s)
            result.gaps_s.extend(talk.gaps_s)
    for order, result in found.items():
        add_row(table, str(people), order, result)
    return table


def simulated() -> Table:
    table = table_of()
    for people, replies in ((8, None), (16, None), (24, None), (8, 2), (8, 4)):
        about = f"{people}, model elsewhere" if replies is None else f"{people}, {replies} replies"
        for order, scheduled in ORDERS.items():
            add_row(table, about, order, simulate(people, replies=replies, scheduled=scheduled))
    return table


def table_of() -> Table:
    names = ("people", "order", "turns", "first sound", "p95", "most", "late phrases", "most")
    table = Table(*names, box=None, header_style="bold", title="seconds to the first sound")
    for column in table.columns[2:]:
        column.justify = "right"
    return table


def add_row(table: Table, people: str, order: str, result: Result) -> None:
    firsts, gaps = result.first_sound_s, result.gaps_s
    times = (statistics.median(firsts), percentile(firsts, 95), max(firsts))
    late = sum(gap > 0 for gap in gaps) / len(gaps)
    seconds = (f"{value:.2f}" for value in times)
    table.add_row(
        people, order, str(len(firsts)), *seconds, f"{late:.1%}", f"{max(gaps):.2f}"
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scheduling", description=__doc__)
    parser.add_argument("--simulate", action="store_true", help="set costs, virtual time")
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--turns", type=int, default=3, help="of each person and round")
    parser.add_argument("--rounds", type=int, default=3, help="of each order, alternating")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args()
    if args.simulate:
        table = simulated()
    else:
        config = configfile.load(None, args.overrides)
        table = measured(config, args.people, args.turns, args.rounds)
    Console().print(table)


if __name__ == "__main__":
    main()
