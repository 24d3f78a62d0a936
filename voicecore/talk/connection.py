"""One connection to the host, and how it is made again when it is lost."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import attrs
import trio

from voicecore.audio import Samples, decode_s16le
from voicecore.client import HostUnreachable, Socket, microphone_frame
from voicecore.errors import BadAudio

MOST_FRAMES = 25
"""Of 20 ms, that may wait to be sent: older sound than half a second would be answered too late."""

MOST_COMMANDS = 64
"""A person types none of them while the host is away."""

PING_S = 10.0
DEAD_S = 25.0
"""Without a message from the host, not even an answer to two pings."""

FIRST_RETRY_S, LAST_RETRY_S = 0.5, 8.0


class Outgoing:
    """What waits to be sent: messages in order, then the newest half second of sound."""

    def __init__(self) -> None:
        self.lost = 0
        """Frames that were thrown away because the network was too slow."""
        self._commands: deque[str] = deque(maxlen=MOST_COMMANDS)
        self._frames: deque[Samples] = deque(maxlen=MOST_FRAMES)
        self._changed = trio.lowlevel.ParkingLot()

    def send(self, action: str, **fields: object) -> None:
        """Have a message sent."""
        self._commands.append(json.dumps({"action": action, **fields}))
        self._changed.unpark_all()

    def sound(self, frame: Samples) -> None:
        """Have 20 ms of microphone sound sent."""
        self.lost += len(self._frames) == MOST_FRAMES
        self._frames.append(frame)
        self._changed.unpark_all()

    async def next(self) -> str | bytes:
        """Wait for what is to be sent next."""
        while True:
            await trio.lowlevel.checkpoint()
            if self._commands:
                return self._commands.popleft()
            if self._frames:
                return microphone_frame(self._frames.popleft())
            await self._changed.park()


class Listener(Protocol):
    """What is told of a connection."""

    def message(self, message: dict[str, Any]) -> None:
        """Take a message of the host."""

    def sound(self, speech: str, samples: Samples) -> None:
        """Take sound of a reply, 48 kHz."""


async def run_connection(socket: Socket, outgoing: Outgoing, listener: Listener) -> None:
    """Send and receive until the connection is lost.

    Raises:
        HostUnreachable: it was lost, or the host says nothing any more; in a group.
    """
    alive = _Alive(trio.current_time())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_send, socket, outgoing)
        nursery.start_soon(_ping, outgoing, alive)
        nursery.start_soon(_receive, socket, listener, alive)


@attrs.define
class _Alive:
    last_s: float


async def _send(socket: Socket, outgoing: Outgoing) -> None:
    while True:
        await socket.send(await outgoing.next())


async def _ping(outgoing: Outgoing, alive: _Alive) -> None:
    while True:
        await trio.sleep(PING_S)
        if trio.current_time() - alive.last_s > DEAD_S:
            raise HostUnreachable(f"The host has said nothing for {DEAD_S:.0f} s.")
        outgoing.send("ping")


async def _receive(socket: Socket, listener: Listener, alive: _Alive) -> None:
    speech = ""
    while True:
        received = await socket.receive()
        alive.last_s = trio.current_time()
        if isinstance(received, bytes):
            listener.sound(speech, _samples(received))
            continue
        message = _object(received)
        if message.get("type") == "audio_chunk":
            speech = str(message.get("speech_id") or "")
        listener.message(message)


def _samples(data: bytes) -> Samples:
    try:
        return decode_s16le(data)
    except BadAudio as error:
        raise HostUnreachable(f"The host sends what is no sound: {error}") from None


def _object(text: str) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except ValueError:
        message = None
    if not isinstance(message, dict):
        raise HostUnreachable("The host sends what is no N.E.K.O. message; is the address right?")
    return message


class Backoff:
    """How long to wait before the next attempt: 0.5 s, doubled each time, 8 s at most."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        """Begin; ``jitter`` gives numbers from 0 to 1, that many clients do not come at once."""
        self._jitter = jitter
        self._next_s = FIRST_RETRY_S

    def reset(self) -> None:
        """The last attempt was a success."""
        self._next_s = FIRST_RETRY_S

    def wait_s(self) -> float:
        """Give the time until the next attempt: half of it is certain, half is chance."""
        wait_s, self._next_s = self._next_s, min(LAST_RETRY_S, self._next_s * 2)
        return wait_s * (0.5 + self._jitter() / 2)
