"""The simulated person and a whole host on fakes, in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import numpy as np
import pytest
import trio
import trio_websocket
from trio.testing import MockClock, memory_stream_pair

from tests.harness import Stage, open_stage
from voicecore.bench.links import NekoLink, Wire, link
from voicecore.bench.material import Utterance
from voicecore.bench.person import (
    NO_ANSWER_S,
    SETTLE_COMPLETE_S,
    SETTLE_TIMED_S,
    SETTLE_UNKNOWN_S,
    Person,
    present,
)
from voicecore.bench.scenarios.scenario import spoken_turn
from voicecore.bench.tape import Complete, Event, Interrupted, Sounded, Timed, Wrote
from voicecore.client import Socket
from voicecore.engines.fake import babble
from voicecore.server import handle_connection

QUESTION = Utterance("hello", babble(16_000), {"speed": 1.0})


@asynccontextmanager
async def person_at(stage: Stage, wire: Wire) -> AsyncIterator[Person]:
    ours, theirs = memory_stream_pair()
    stage.nursery.start_soon(handle_connection, stage.host, theirs)
    path = "/ws/default?timeline=1" if wire == "neko" else "/ws?timeline=1"
    async with trio.open_nursery() as nursery:
        socket = await trio_websocket.wrap_client_stream(
            nursery,
            ours,  # type: ignore[arg-type] # it takes any stream
            "test",
            path,
        )
        async with present(Socket(socket), link(wire), seed=0) as person:
            yield person
        with trio.move_on_after(5):
            await socket.aclose()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("wire", ["neko", "cortex"])
async def test_a_spoken_turn_is_measured_on_both_wires(
    autojump_clock: MockClock, wire: Wire
) -> None:
    async with open_stage() as stage, person_at(stage, wire) as person:
        rows = [await spoken_turn(person, QUESTION) for _ in range(2)]
    for row in rows:
        assert (row["cut_off"], row["split"], row["unanswered"]) == (False,) * 3
        assert 0 < row["latency_ms"] < 2000
        assert row["reply_s"] > 0
        assert {span["name"] for span in row["spans"]} >= {"voice", "sending"}
        assert row["speed"] == 1.0


async def test_the_microphone_sends_in_real_time_and_the_person_waits_for_the_last_word(
    autojump_clock: MockClock,
) -> None:
    async with open_stage() as stage, person_at(stage, "neko") as person:
        begun_s = trio.current_time()
        last_s = await person.say(QUESTION.samples, begun_s + 0.5)
        assert last_s == pytest.approx(begun_s + 1.5, abs=0.02)
        assert trio.current_time() == pytest.approx(last_s)
        taken_s = person.microphone.taken / 16_000
        assert taken_s == pytest.approx(last_s - person.microphone.begun_s, abs=0.021)


OLD = [Wrote(1.0, "Well"), Sounded(1.1, np.zeros(48_000, np.int16))]


@pytest.mark.parametrize(
    ("events", "over_s"),
    [
        ([], 1.0 + NO_ANSWER_S),
        (OLD[:1], 1.0 + NO_ANSWER_S),
        (OLD, 2.1 + SETTLE_UNKNOWN_S),
        ([*OLD, Complete(1.2)], 2.1 + SETTLE_COMPLETE_S),
        ([*OLD, Complete(1.2), Timed(1.3, ())], 2.1 + SETTLE_TIMED_S),
        # Interrupted: it is the new answer that is waited for.
        ([*OLD, Complete(1.2), Interrupted(1.5)], 1.0 + NO_ANSWER_S),
    ],
)
async def test_how_long_the_person_listens_depends_on_what_the_host_tells(
    events: list[Event], over_s: float
) -> None:
    await trio.lowlevel.checkpoint()
    person = Person(cast("Socket", None), NekoLink(), seed=0)
    for event in events:
        person._take(event)
    assert person._over_s(0, last_s=1.0) == pytest.approx(over_s)


async def test_without_an_answer_the_person_gives_up(autojump_clock: MockClock) -> None:
    silence = Utterance("nothing", np.zeros(1600, np.int16))
    async with open_stage() as stage, person_at(stage, "neko") as person:
        begun_s = trio.current_time()
        row = await spoken_turn(person, silence)
        assert trio.current_time() - begun_s < NO_ANSWER_S + 2
    assert row["unanswered"]
    assert row["latency_ms"] is None


async def test_an_interrupted_reply_is_dropped_from_the_loudspeaker(
    autojump_clock: MockClock,
) -> None:
    async with open_stage() as stage, person_at(stage, "neko") as person:
        await person.say(QUESTION.samples)
        first_s = await person.wait_for_sound(0)
        assert first_s is not None
        await trio.sleep_until(first_s + 0.1)
        mark = len(person.tape)
        last_s = await person.say(QUESTION.samples)
        await person.hear_out(mark, last_s)
        received = sum(len(e.samples) for e in person.tape if isinstance(e, Sounded))
        played = len(person.playback.played(0.0, trio.current_time() + 60))
    first, second = person.answers(0)
    assert first.interrupted_s is not None
    assert second.sound
    assert played < received
