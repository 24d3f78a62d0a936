"""Every scenario, played on a whole host of fakes in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import numpy as np
import pytest
import trio
import trio_websocket
from trio.testing import MockClock, memory_stream_pair

from tests.harness import Fakes, open_stage
from tests.harness import Stage as FakeHost
from voicecore.bench.host import Host
from voicecore.bench.links import Wire, link
from voicecore.bench.material import Utterance
from voicecore.bench.person import Person, present
from voicecore.bench.scenarios import SCENARIOS, Stage, scenario
from voicecore.bench.sounds import silence
from voicecore.client import HostUnreachable, Socket
from voicecore.engines.fake import babble, fake_llm
from voicecore.server import handle_connection

VOICE = babble(16_000)
STORY = "One day a dragon counted spoons. " * 8


@pytest.fixture
async def host(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Have persons talk to a host of fakes instead of an address."""
    fakes_of_long_replies = Fakes(llm=fake_llm([STORY] * 9))
    async with open_stage(fakes_of_long_replies) as fakes:

        @asynccontextmanager
        async def open_person(
            url: str, wire: Wire, *, client: str, seed: int
        ) -> AsyncIterator[Person]:
            async with connected(fakes, client) as socket, present(socket, link(wire), seed) as one:
                yield one

        monkeypatch.setattr(scenario, "open_person", open_person)
        yield


@asynccontextmanager
async def connected(fakes: FakeHost, client: str) -> AsyncIterator[Socket]:
    ours, theirs = memory_stream_pair()
    fakes.nursery.start_soon(handle_connection, fakes.host, theirs)
    path = f"/ws/default?timeline=1&client={client}"
    async with trio.open_nursery() as nursery:
        socket = await trio_websocket.wrap_client_stream(
            nursery,
            ours,  # type: ignore[arg-type] # it takes any stream
            "test",
            path,
        )
        yield Socket(socket)
        with trio.move_on_after(5):
            await socket.aclose()
        nursery.cancel_scope.cancel()


def make_stage(utterances: list[Utterance], **more: Any) -> Stage:
    told: list[int] = []
    return Stage(
        Host("ws://nowhere"), "neko", "run", utterances,
        tell=lambda done, total, what: told.append(done), **more,
    )  # fmt: skip


async def play(name: str, stage: Stage) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    rows = await SCENARIOS[name].play(stage)
    return rows, SCENARIOS[name].summarise(rows)


@pytest.mark.parametrize("name", ["questions", "pauses", "short"])
async def test_turns(autojump_clock: MockClock, host: None, name: str) -> None:
    rows, summary = await play(name, make_stage([Utterance("hello", VOICE)], repeat=2))
    assert [row["round"] for row in rows] == [0, 1]
    assert (summary["turns"], summary["wrong_percent"]) == (2, 0.0)
    assert 0 < summary["latency_ms"] < 2000
    assert summary["client_late_ms"] < 1


async def test_a_long_pause_cuts_a_turn_and_is_counted(
    autojump_clock: MockClock, host: None
) -> None:
    halves = np.concatenate([VOICE, silence(3000), VOICE])
    rows, summary = await play("pauses", make_stage([Utterance("hello", halves)]))
    assert rows[0]["cut_off"]
    assert summary["wrong_percent"] == 100.0


async def test_interruptions(autojump_clock: MockClock, host: None) -> None:
    utterances = [Utterance("story", VOICE), Utterance("stop", VOICE)]
    rows, summary = await play("interruptions", make_stage(utterances))
    assert summary["interruptions"] == 1
    assert (summary["missed_percent"], summary["answered_percent"]) == (0.0, 100.0)
    assert 0 < summary["stop_ms"] < 1000
    assert rows[0]["kept"] is None
    assert len(rows[0]["_played"]) > 0


async def test_disturbances(autojump_clock: MockClock, host: None) -> None:
    utterances = [
        Utterance("story", VOICE),
        Utterance("", silence(100), {"noise": "silence"}),
        Utterance("", babble(8_000), {"noise": "voice"}),
    ]
    rows, _ = await play("disturbances", make_stage(utterances))
    outcomes = {row["noise"]: row["outcome"] for row in rows}
    assert outcomes.get("silence", "none") == "none"
    assert outcomes["voice"] == "lost"


async def test_idle_of_a_host_whose_process_is_unknown(
    autojump_clock: MockClock, host: None
) -> None:
    rows, _ = await play("idle", make_stage([]))
    assert rows == [{"round": 0, "core_percent": None, "resident_mb": None}]


async def test_a_crowd(autojump_clock: MockClock, host: None) -> None:
    utterances = [Utterance(word, VOICE) for word in ("one", "two", "three")]
    rows, summary = await play("crowd", make_stage(utterances, clients=2))
    assert [row["clients"] for row in rows] == [1] * 3 + [2] * 6
    assert set(summary["clients"]) == {"1", "2"}
    assert not any(row["unanswered"] for row in rows)


async def test_people_a_host_turns_away_are_counted_and_do_not_end_the_run(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def refused(url: str, wire: Wire, *, client: str, seed: int) -> AsyncIterator[Person]:
        if client:
            raise HostUnreachable("503 busy")
        yield Person(cast("Socket", None), link(wire), seed)

    monkeypatch.setattr(scenario, "open_person", refused)
    rows, summary = await play("crowd", make_stage([Utterance("one", VOICE)], clients=1))
    assert [row["why"] for row in rows] == ["503 busy"]
    assert summary["clients"]["1"]["unanswered_percent"] == 100.0
