"""The documented N.E.K.O. messages for a host that is not voicecore (docs/wire.md).

Pure, and of the standard library alone: a peer's host imports it in an environment of its own, and
the tests import it without the peer.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

MICROPHONE_HZ = 16_000
"""What the documented clients send, and the only rate these hosts take."""

SPEAKER_HZ = 48_000
"""What the protocol delivers."""


class BadMessage(Exception):
    """A client's message cannot be used; the text tells the client why."""


def decode(message: str | bytes) -> bytes | Json:
    """Read one message of the client.

    Returns:
        Microphone sound (16 kHz mono s16le), or any other message as it is; it has an ``action``.

    Raises:
        BadMessage: it is not of the documented form.
    """
    try:
        fields = json.loads(message)
    except ValueError:
        raise BadMessage("A message must be JSON text.") from None
    if not isinstance(fields, dict) or not isinstance(fields.get("action"), str):
        raise BadMessage("A message must be a JSON object with an 'action'.")
    if fields["action"] == "stream_data" and fields.get("input_type") == "audio":
        return _microphone(fields)
    return fields


def _microphone(fields: Json) -> bytes:
    rate_hz = fields.get("sample_rate", fields.get("sample_rate_hz", MICROPHONE_HZ))
    if rate_hz != MICROPHONE_HZ:
        raise BadMessage(f"This host takes {MICROPHONE_HZ} Hz only, not {rate_hz}.")
    try:
        sound = base64.b64decode(fields.get("data", ""), validate=True)
    except (TypeError, binascii.Error):
        raise BadMessage("'data' must be base64 text.") from None
    if len(sound) % 2:
        raise BadMessage("16-bit sound needs an even number of bytes.")
    return sound


def status(text: str) -> Json:
    return {"type": "status", "message": text}


class Desk:
    """Answers what a host answers without its engines, and knows whether a session is on."""

    def __init__(self) -> None:
        self.listening = False

    def feed(self, message: Json) -> list[Json]:
        """Take a message that is not microphone sound; returns what to send at once."""
        match message:
            case {"action": "start_session"}:
                return self._start(message.get("input_type", "audio"))
            case {"action": "pause_session"}:
                self.listening = False
                return [status("Session paused. Start it to go on.")]
            case {"action": "end_session"}:
                self.listening = False
                return [status("Session ended and saved.")]
            case {"action": "ping"}:
                return [{"type": "pong"}]
            case {"action": "stream_data", "input_type": "text", "data": str()}:
                return []
        return [status(f"Unknown action {message['action'][:64]!r}. [UNKNOWN_ACTION]")]

    def _start(self, mode: object) -> list[Json]:
        if mode not in ("audio", "text"):
            return [status("'input_type' must be audio or text here. [INVALID_INPUT_TYPE]")]
        self.listening = True
        return [
            {"type": "session_preparing", "input_mode": mode},
            {"type": "session_started", "input_mode": mode},
            status("Session started successfully"),
        ]


class Speaker:
    """Writes a reply's sound, and what tells the client to drop it.

    The client is told of every interruption; with the id of the speech if it was sent any of it.
    """

    def __init__(self) -> None:
        self._speeches = 0
        self._speaking = False

    def sound(self, pcm: bytes) -> Json:
        """Write one piece: 48 kHz mono s16le."""
        if not self._speaking:
            self._speaking = True
            self._speeches += 1
        return {"type": "audio", "audio_data": base64.b64encode(pcm).decode("ascii")}

    def finished(self) -> None:
        """The last piece of the speech was sent."""
        self._speaking = False

    def interrupted(self) -> Json:
        """Write that the person has begun to speak."""
        speech = f"speech-{self._speeches}" if self._speaking else None
        self._speaking = False
        return {"type": "user_activity", "interrupted_speech_id": speech}


def timeline(spans: list[Json]) -> Json:
    """All sound of the reply was sent, and where the turn's time went.

    Args:
        spans: name, owner, start_ms and end_ms after the person's last sample, as the host sees it.
    """
    return {"type": "timeline", "spans": spans}


def span(name: str, owner: str, start_s: float, end_s: float) -> Json:
    return {
        "name": name,
        "owner": owner,
        "start_ms": round(start_s * 1000, 1),
        "end_ms": round(end_s * 1000, 1),
    }
