"""One connection: what is sent first, what is dropped, and how often it is tried again."""

from __future__ import annotations

import json
import struct
from collections import deque
from typing import Any

import attrs
import numpy as np
import pytest
import trio
from trio.testing import MockClock

from voicecore.audio import Samples, encode_s16le
from voicecore.client import HostUnreachable
from voicecore.talk.connection import (
    DEAD_S,
    MOST_FRAMES,
    PING_S,
    Backoff,
    Outgoing,
    run_connection,
)


def frame(value: int) -> Samples:
    return np.full(320, value, np.int16)


async def test_messages_go_before_sound_and_old_sound_is_dropped() -> None:
    outgoing = Outgoing()
    for number in range(MOST_FRAMES + 3):
        outgoing.sound(frame(number))
    outgoing.send("ping")
    assert outgoing.lost == 3
    assert json.loads(await outgoing.next()) == {"action": "ping"}
    sent = await outgoing.next()
    assert isinstance(sent, bytes)
    assert struct.unpack("<4sI", sent[:8]) == (b"NEKO", 16_000)
    assert sent[8:] == encode_s16le(frame(3))


@attrs.define
class FakeSocket:
    """Gives what the test has put in, and keeps what is sent."""

    given: deque[str | bytes] = attrs.field(factory=deque)
    sent: list[tuple[float, str | bytes]] = attrs.field(factory=list)

    async def send(self, message: str | bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.sent.append((trio.current_time(), message))

    async def receive(self) -> str | bytes:
        await trio.lowlevel.checkpoint()
        if not self.given:
            await trio.sleep_forever()
        return self.given.popleft()


@attrs.define
class Listener:
    messages: list[dict[str, Any]] = attrs.field(factory=list)
    sounds: list[tuple[str, int]] = attrs.field(factory=list)

    def message(self, message: dict[str, Any]) -> None:
        self.messages.append(message)

    def sound(self, speech: str, samples: Samples) -> None:
        self.sounds.append((speech, len(samples)))


async def connected(given: list[str | bytes], seconds: float = 1) -> tuple[FakeSocket, Listener]:
    socket, listener = FakeSocket(deque(given)), Listener()
    with trio.move_on_after(seconds):
        await run_connection(socket, Outgoing(), listener)  # type: ignore[arg-type]
    return socket, listener


async def test_sound_belongs_to_the_message_before_it(autojump_clock: MockClock) -> None:
    chunk = '{"type":"audio_chunk","speech_id":"%s"}'
    given: list[str | bytes] = [chunk % "a", b"\0" * 8, '{"type":"pong"}', chunk % "b", b"\0" * 4]
    _, listener = await connected(given)
    assert listener.sounds == [("a", 4), ("b", 2)]
    assert [message["type"] for message in listener.messages] == [
        "audio_chunk", "pong", "audio_chunk",
    ]  # fmt: skip


@pytest.mark.parametrize("given", ["nonsense", "[1]", b"odd"])
async def test_a_host_that_speaks_something_else(
    given: str | bytes, autojump_clock: MockClock
) -> None:
    with pytest.RaisesGroup(HostUnreachable):
        await connected([given])


async def test_a_silent_host_is_pinged_and_then_given_up(autojump_clock: MockClock) -> None:
    begun_s = trio.current_time()
    with pytest.RaisesGroup(HostUnreachable):
        await connected([], seconds=100)
    assert DEAD_S < trio.current_time() - begun_s <= DEAD_S + PING_S


def test_attempts_are_further_and_further_apart() -> None:
    backoff = Backoff(lambda: 1.0)
    assert [backoff.wait_s() for _ in range(7)] == [0.5, 1, 2, 4, 8, 8, 8]
    backoff.reset()
    assert backoff.wait_s() == 0.5
    assert Backoff(lambda: 0.0).wait_s() == 0.25
