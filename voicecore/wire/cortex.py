"""CortexPrism: the agent chat's protocol.

JSON text frames; every message carries ``type``. See docs/wire.md.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from voicecore import events
from voicecore.audio import wav_bytes
from voicecore.errors import ClientError
from voicecore.events import Command, Event
from voicecore.wire.protocol import (
    Json,
    bytes_field,
    dump,
    flag_field,
    optional_text,
    parse_object,
    text_field,
    timeline_json,
)

PART_BYTES = 256 * 1024
"""Recordings come in parts of any size and are taken in steps of this, so that bounds count."""


class Cortex:
    """The translator for one client."""

    name = "cortex"
    waits_for_start = False
    paced = False
    chunk_ms: float | None = None
    """A whole phrase is one playable clip."""

    def __init__(self, *, timelines: bool = False) -> None:
        """Begin.

        Args:
            timelines: also send where each turn's time went (a message type of our own).
        """
        self._timelines = timelines
        self._types: dict[str, Callable[[Json], list[Command]]] = {
            "ping": lambda _: [events.Ping()],
            "chat": self._chat,
            "new_session": lambda _: [events.NewConversation()],
            "stop": lambda _: [events.Stop()],
            "audio_chunk": self._audio_chunk,
            "audio_end": lambda _: [events.ClipEnd()],
            "speak": self._speak,
            "voice_state": self._voice_state,
        }
        self._encoders: dict[type, Callable[[Any], dict[str, object]]] = {
            events.Connected: lambda _: {"type": "connected"},
            events.Pong: lambda _: {"type": "pong"},
            events.Problem: lambda e: {"type": "error", "error": e.message},
            events.ConversationOpened: self._session,
            events.Ended: lambda e: {"type": "session_ended", "sessionId": e.session_id},
            events.UserWords: self._transcribed,
            events.TurnStarted: lambda _: {"type": "start"},
            events.ReplyText: lambda e: {"type": "chunk", "delta": e.delta},
            events.PhraseStarted: lambda e: {"type": "speak", "text": e.text, "voice": e.voice},
            events.ReplySound: self._audio,
            events.TurnDone: self._done,
            events.Stopped: lambda _: {"type": "stopped"},
            events.Spoken: lambda e: {"type": "voice_state", "enabled": e.enabled},
        }

    # --- from the client ---

    def decode(self, message: str | bytes) -> list[Command]:
        """Read one message; what cannot be used becomes `Wrong`."""
        try:
            parsed = parse_object(message)
            kind = text_field(parsed, "type")
            return self._types.get(kind, _unknown)(parsed)
        except ClientError as error:
            return [events.Wrong(error)]

    def _chat(self, message: Json) -> list[Command]:
        text = text_field(message, "message", "")
        return [events.Typed(text, session_id=optional_text(message, "sessionId"))]

    def _audio_chunk(self, message: Json) -> list[Command]:
        data, name = bytes_field(message, "data"), optional_text(message, "format")
        steps = range(0, max(1, len(data)), PART_BYTES)
        return [events.ClipPart(data[at : at + PART_BYTES], name) for at in steps]

    def _speak(self, message: Json) -> list[Command]:
        return [events.Recite(text_field(message, "text"), optional_text(message, "voice"))]

    def _voice_state(self, message: Json) -> list[Command]:
        if message.get("enabled") is not None:
            return [events.SetSpoken(flag_field(message, "enabled", default=True))]
        if message.get("speaking") is not None:
            flag_field(message, "speaking", default=False)
            return [events.Ignored()]
        return [events.SetSpoken(None)]

    # --- to the client ---

    def encode(self, event: Event) -> list[str | bytes]:
        """Write one event; those this protocol does not tell become nothing."""
        if isinstance(event, events.Timeline):
            return self._timeline(event)
        encoder = self._encoders.get(type(event))
        return [dump(**encoder(event))] if encoder else []

    def _session(self, event: events.ConversationOpened) -> dict[str, object]:
        return {
            "type": "session",
            "sessionId": event.session_id,
            "agentId": event.character,
            "agentName": event.character,
        }

    def _transcribed(self, event: events.UserWords) -> dict[str, object]:
        return {
            "type": "transcribed",
            "text": event.text,
            "confidence": round(event.confidence, 3),
        }

    def _audio(self, event: events.ReplySound) -> dict[str, object]:
        data = base64.b64encode(wav_bytes(event.pcm)).decode("ascii")
        return {"type": "audio", "data": data, "format": "wav"}

    def _done(self, event: events.TurnDone) -> dict[str, object]:
        return {
            "type": "done",
            "tokensIn": event.tokens_in,
            "tokensOut": event.tokens_out,
            "costUsd": event.cost_usd,
            "durationMs": round(event.duration_ms),
            "model": event.model,
            "finalContent": event.text,
        }

    def _timeline(self, event: events.Timeline) -> list[str | bytes]:
        if not self._timelines:
            return []
        return [dump(type="timeline", turnId=event.turn, spans=timeline_json(event))]


def _unknown(message: Json) -> list[Command]:
    kind = text_field(message, "type")
    raise ClientError(f"Unknown message type {kind[:64]!r}.", "UNKNOWN_TYPE")
