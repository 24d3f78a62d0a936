"""The two wires from the client's side, without any I/O: messages to events, sound to messages."""

from __future__ import annotations

import base64
import io
import json
import wave
from typing import Any, ClassVar, Literal, Protocol, TypeAlias
from urllib.parse import quote, urlsplit

from voicecore.audio import MOUTH_HZ, Pcm, Samples, decode_s16le, encode_s16le, resample
from voicecore.bench.tape import (
    Complete,
    Event,
    Heard,
    Interrupted,
    Ready,
    Refused,
    Sounded,
    Timed,
    Told,
    Wrote,
)
from voicecore.errors import VoicecoreError

Wire: TypeAlias = Literal["neko", "cortex"]


class Link(Protocol):
    """One wire, for one connected client."""

    open_mic: ClassVar[bool]
    """Whether the microphone stays open, and the host finds the end of a turn."""

    def hello(self) -> list[str]:
        """Give what is sent first."""

    def sound(self, frame: Samples) -> str:
        """Give the message for a microphone frame."""

    def over(self) -> list[str]:
        """Give what is sent when the person has finished, if the wire has such a message."""

    def read(self, message: str | bytes, at_s: float) -> list[Event]:
        """Take a message that arrived at ``at_s``; what says nothing of the turn gives nothing."""


def address(url: str, wire: Wire, client: str) -> str:
    """Complete a host's address for one client of a wire.

    Raises:
        VoicecoreError: it is no WebSocket address.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"ws", "wss"} or not parts.netloc:
        raise VoicecoreError(f"{url} is no WebSocket address; one is ws://127.0.0.1:3000")
    path = parts.path.rstrip("/") or ("/ws/default" if wire == "neko" else "/ws")
    if wire == "cortex" and path == "/ws/default":
        path = "/ws"
    query = "&".join(filter(None, (parts.query, f"client={quote(client)}", "timeline=1")))
    return f"{parts.scheme}://{parts.netloc}{path}?{query}"


def link(wire: Wire) -> Link:
    return NekoLink() if wire == "neko" else CortexLink()


def _object(message: str | bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(message)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise VoicecoreError("The host sent a message that is no JSON object.")
    return parsed


class NekoLink:
    """N.E.K.O., the documented dialect (wire.md 1)."""

    open_mic: ClassVar[bool] = True

    def hello(self) -> list[str]:
        return [json.dumps({"action": "start_session", "input_type": "audio", "new_session": True})]

    def sound(self, frame: Samples) -> str:
        data = base64.b64encode(encode_s16le(frame)).decode("ascii")
        return json.dumps({"action": "stream_data", "input_type": "audio", "data": data})

    def over(self) -> list[str]:
        return []

    def read(self, message: str | bytes, at_s: float) -> list[Event]:
        event: Event | None = None
        match _object(message):
            case {"type": "session_started"}:
                event = Ready(at_s)
            case {"type": "session_failed"}:
                event = Refused(at_s, "the session could not start")
            case {"type": "user_transcript", "text": str(text)}:
                event = Heard(at_s, text)
            case {"type": "text", "text": str(text)}:
                event = Wrote(at_s, text)
            case {"type": "audio", "audio_data": str(data)}:
                event = Sounded(at_s, decode_s16le(base64.b64decode(data)))
            case {"type": "user_activity", "interrupted_speech_id": str()}:
                event = Interrupted(at_s)
            case {"type": "system", "data": "turn end"}:
                event = Complete(at_s)
            case {"type": "timeline", "spans": list(spans)}:
                event = Timed(at_s, tuple(spans))
            case {"type": "status", "message": str(text)}:
                event = Told(at_s, text)
        return [event] if event else []


class CortexLink:
    """CortexPrism (wire.md 2): recorded messages, ended by the person."""

    open_mic: ClassVar[bool] = False

    def hello(self) -> list[str]:
        return []

    def sound(self, frame: Samples) -> str:
        data = base64.b64encode(encode_s16le(frame)).decode("ascii")
        return json.dumps({"type": "audio_chunk", "data": data, "format": "pcm"})

    def over(self) -> list[str]:
        return [json.dumps({"type": "audio_end"})]

    def read(self, message: str | bytes, at_s: float) -> list[Event]:
        event: Event | None = None
        match _object(message):
            case {"type": "connected"}:
                event = Ready(at_s)
            case {"type": "transcribed", "text": str(text)}:
                event = Heard(at_s, text)
            case {"type": "chunk", "delta": str(text)}:
                event = Wrote(at_s, text)
            case {"type": "audio", "data": str(data), "format": "wav"}:
                event = Sounded(at_s, _wav(base64.b64decode(data)))
            case {"type": "done"}:
                event = Complete(at_s)
            case {"type": "timeline", "spans": list(spans)}:
                event = Timed(at_s, tuple(spans))
            case {"type": "error", "error": str(text)}:
                event = Told(at_s, text)
        return [event] if event else []


def _wav(data: bytes) -> Samples:
    """Read one clip of the reply as 48 kHz sound."""
    try:
        with wave.open(io.BytesIO(data)) as file:
            pcm = Pcm(decode_s16le(file.readframes(file.getnframes())), file.getframerate())
    except (wave.Error, EOFError) as error:
        raise VoicecoreError(f"The host sent a clip that is no WAV file: {error}.") from error
    return resample(pcm, MOUTH_HZ).samples
