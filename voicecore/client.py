"""A voice client for N.E.K.O.: speaks a recording in real time and listens to the answer.

It is what ``voicecore ask`` and the benchmarks speak with, and an example of a client.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import attrs
import numpy as np
import trio
import trio_websocket

from voicecore.audio import (
    EAR_HZ,
    MOUTH_HZ,
    SILENCE,
    Samples,
    decode_s16le,
    encode_s16le,
)
from voicecore.errors import VoicecoreError

FRAME_SAMPLES = 320
FRAME_S = FRAME_SAMPLES / EAR_HZ
"""20 ms: what a browser's microphone would send."""

AUDIBLE = 0.02
"""Of the loudest sample: what is quieter counts as silence when the first sound is looked for."""


CONNECT_S = 10.0
"""A host answers within milliseconds, also while it loads its models."""
CLOSING_S = 2.0
"""For the closing handshake."""
CUT_S = 0.05
"""To tell the host of it once this side is cancelled: its answer would be read by nobody."""


class HostUnreachable(VoicecoreError):
    """No host answers at the address, or it does not let this client in."""

    code = "HOST_UNREACHABLE"

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        """Of HTTP, if the host refused; 503 if it is full or stopping, so that it may be tried
        again."""


def microphone_frame(samples: Samples) -> bytes:
    """Make a N.E.K.O. binary frame of microphone sound: 16 kHz, at most 120 ms (docs/wire.md)."""
    return b"NEKO" + EAR_HZ.to_bytes(4, "little") + encode_s16le(samples)


def last_spoken_sample(samples: Samples) -> int:
    """Find where speech ends.

    It is the end of the last 10 ms that are less than 40 dB below the loudest 10 ms.
    """
    step = EAR_HZ // 100
    blocks = samples[: len(samples) // step * step].astype(np.float64).reshape(-1, step)
    power = (blocks**2).mean(axis=1)
    loud = np.flatnonzero(power > power.max(initial=0) * 1e-4)
    return (int(loud[-1]) + 1) * step if len(loud) else len(samples)


@attrs.define
class Exchange:
    """One question and its answer, as the client saw them. Times are `trio.current_time`."""

    heard: str = ""
    reply: str = ""
    statuses: list[str] = attrs.field(factory=list)
    spans: list[Mapping[str, Any]] = attrs.field(factory=list)
    sound: list[tuple[float, Samples]] = attrs.field(factory=list)
    """When each piece of the answer arrived, and its samples (48 kHz)."""
    last_spoken_s: float = 0.0

    def samples(self) -> Samples:
        return np.concatenate([piece for _, piece in self.sound]) if self.sound else SILENCE

    def first_sound_s(self) -> float | None:
        """When the first audible sample would play, measured on the received waveform."""
        quiet = np.abs(self.samples().astype(np.int32)).max(initial=0) * AUDIBLE
        for arrived_s, piece in self.sound:
            audible = np.flatnonzero(np.abs(piece.astype(np.int32)) > quiet)
            if len(audible):
                return arrived_s + float(audible[0]) / MOUTH_HZ
        return None

    def voice_to_voice_ms(self) -> float | None:
        """Last spoken sample to first audible sample of the answer."""
        first_s = self.first_sound_s()
        return None if first_s is None else (first_s - self.last_spoken_s) * 1000

    def sound_left_s(self, now_s: float) -> float:
        """How long what was received goes on playing."""
        if not self.sound:
            return 0.0
        total_s = sum(len(piece) for _, piece in self.sound) / MOUTH_HZ
        return max(0.0, self.sound[0][0] + total_s - now_s)


class Socket:
    """A connected WebSocket. One task may send, one may receive."""

    def __init__(self, socket: trio_websocket.WebSocketConnection) -> None:
        self._socket = socket

    async def send(self, message: str | bytes) -> None:
        """Send one message.

        Raises:
            HostUnreachable: the host has closed the connection.
        """
        try:
            await self._socket.send_message(message)
        except trio_websocket.ConnectionClosed as closed:
            raise _closed(closed) from None

    async def receive(self) -> str | bytes:
        """Wait for the next message; raises as `send`."""
        try:
            return await self._socket.get_message()
        except trio_websocket.ConnectionClosed as closed:
            raise _closed(closed) from None


class NekoClient:
    """A connected client. One exchange at a time."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket

    async def send(self, action: str, **fields: object) -> None:
        """Send one message; raises as `Socket.send`."""
        await self._socket.send(json.dumps({"action": action, **fields}))

    async def receive(self) -> dict[str, Any]:
        """Wait for the next message; raises as `Socket.send`."""
        message = json.loads(await self._socket.receive())
        assert isinstance(message, dict)
        return message

    async def start(self, *, fresh: bool = True) -> None:
        """Start a voice session and wait until the host listens."""
        await self.send("start_session", input_type="audio", new_session=fresh)
        while True:
            message = await self.receive()
            if message["type"] == "session_failed":
                raise VoicecoreError("The host could not start a session; its log tells why.")
            if message["type"] == "session_started":
                return

    async def ask(
        self,
        question: Samples,
        *,
        on_message: Callable[[dict[str, Any]], None] = lambda _: None,
        timeout_s: float = 60,
    ) -> Exchange:
        """Speak a question (16 kHz) in real time, and listen until the answer has been heard.

        The microphone stays open with silence after the question, as a person's would.

        Raises:
            VoicecoreError: no answer within ``timeout_s`` of the question's end.
        """
        exchange = Exchange()
        try:
            with trio.fail_after(timeout_s + len(question) / EAR_HZ):
                async with trio.open_nursery() as nursery:
                    spoken_s = last_spoken_sample(question) / EAR_HZ
                    exchange.last_spoken_s = trio.current_time() + spoken_s
                    nursery.start_soon(self.microphone, question)
                    await self._listen(exchange, on_message)
                    left_s = exchange.sound_left_s(trio.current_time())
                    await trio.sleep(left_s)
                    nursery.cancel_scope.cancel("the answer was heard")
        except trio.TooSlowError:
            said = f" It said: {exchange.statuses[-1]}" if exchange.statuses else ""
            raise VoicecoreError(f"No complete answer within {timeout_s:.0f} s.{said}") from None
        return exchange

    async def microphone(self, sound: Samples) -> None:
        """Send 16 kHz sound in real time, and then silence, until cancelled."""
        begun_s = trio.current_time()
        silence = np.zeros(FRAME_SAMPLES, np.int16)
        at = 0
        while True:
            frame = sound[at : at + FRAME_SAMPLES] if at < len(sound) else silence
            at += FRAME_SAMPLES
            # A microphone delivers a frame when its last sample was taken.
            await trio.sleep_until(begun_s + at / EAR_HZ)
            data = base64.b64encode(encode_s16le(frame)).decode()
            await self.send("stream_data", input_type="audio", data=data)

    async def _listen(
        self, exchange: Exchange, on_message: Callable[[dict[str, Any]], None]
    ) -> None:
        """Take messages until the timeline of the turn says that all its sound was sent."""
        while True:
            message = await self.receive()
            on_message(message)
            match message:
                case {"type": "user_transcript", "text": str(text)}:
                    exchange.heard = f"{exchange.heard} {text}".strip()
                case {"type": "text", "text": str(text)}:
                    exchange.reply += text
                case {"type": "audio", "audio_data": str(data)}:
                    samples = decode_s16le(base64.b64decode(data))
                    exchange.sound.append((trio.current_time(), samples))
                case {"type": "status", "message": str(text)}:
                    exchange.statuses.append(text)
                case {"type": "timeline", "spans": list(spans)}:
                    exchange.spans = spans
                    return


def _closed(closed: trio_websocket.ConnectionClosed) -> HostUnreachable:
    reason = closed.reason
    why = f" ({reason.code} {reason.reason or reason.name})" if reason else ""
    return HostUnreachable(f"The host closed the connection{why}.")


@asynccontextmanager
async def open_client(url: str) -> AsyncIterator[NekoClient]:
    """Connect to a host's N.E.K.O. address (``ws://127.0.0.1:3000/ws/default``).

    Raises:
        HostUnreachable: as `open_socket`.
    """
    separator = "&" if "?" in url else "?"
    async with open_socket(f"{url}{separator}timeline=1") as socket:
        yield NekoClient(socket)


@asynccontextmanager
async def open_socket(url: str) -> AsyncIterator[Socket]:
    """Connect to a WebSocket address of a host.

    Raises:
        HostUnreachable: nothing answers there, or it refuses; in a group if the block is entered.

    **Cancellation**: tells the host that the connection is closed, and awaits no answer.
    """
    where = url.partition("?")[0]
    async with trio.open_nursery() as nursery:
        try:
            with trio.fail_after(CONNECT_S):
                socket = await trio_websocket.connect_websocket_url(
                    nursery, url, max_message_size=16 * 1024 * 1024
                )
        except trio.TooSlowError:
            raise HostUnreachable(f"{where} has not answered within {CONNECT_S:.0f} s.") from None
        except trio_websocket.ConnectionRejected as rejected:
            body = (rejected.body or b"").decode("utf-8", "replace").strip()
            raise HostUnreachable(
                f"{where} refused: {rejected.status_code} {body}", status=rejected.status_code
            ) from None
        except (OSError, trio_websocket.HandshakeError, ValueError) as error:
            raise HostUnreachable(
                f"No host answers at {where}: {error}. Is it running? Start one: voicecore serve"
            ) from None
        try:
            yield Socket(socket)
        finally:
            cancelled = trio.current_effective_deadline() == -math.inf
            with trio.move_on_after(CUT_S if cancelled else CLOSING_S, shield=True):
                await socket.aclose()
        nursery.cancel_scope.cancel("the client leaves")
