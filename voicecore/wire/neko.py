"""N.E.K.O.: the character voice companion's protocol, in its documented dialect.

JSON text frames. The client's messages carry ``action``, the server's ``type``. See docs/wire.md.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any, get_args

from voicecore import events
from voicecore.audio import EAR_HZ, Pcm, decode_s16le, encode_s16le, ms_to_samples
from voicecore.errors import ClientError
from voicecore.events import Command, Event, InputMode
from voicecore.wire.protocol import (
    Json,
    bytes_field,
    dump,
    flag_field,
    parse_object,
    text_field,
    timeline_json,
)

SHIPPED_CLIENTS_ALSO_SEND = frozenset(
    {
        "avatar_interaction",
        "greeting_check",
        "home_tutorial_state",
        "language_update",
        "screenshot_response",
        "telemetry",
        "voice_play_end",
        "voice_play_start",
    }
)
"""Accepted without an error (wire.md 1.2)."""

SOUND_STEP_MS = 500
"""Microphone messages of any length are taken in steps of this, so that bounds count in time."""


class Neko:
    """The translator for one client."""

    name = "neko"
    waits_for_start = True
    paced = True

    def __init__(self, *, chunk_ms: float, timelines: bool = False) -> None:
        """Begin.

        Args:
            chunk_ms: sound in one ``audio`` message.
            timelines: also send where each turn's time went (a message type of our own).
        """
        self.chunk_ms: float | None = chunk_ms
        self._timelines = timelines
        self._actions: dict[str, Callable[[Json], list[Command]]] = {
            "start_session": self._start,
            "stream_data": self._stream,
            "pause_session": lambda _: [events.Pause()],
            "end_session": lambda _: [events.End()],
            "ping": lambda _: [events.Ping()],
        }
        self._encoders: dict[type, Callable[[Any], Iterator[str]]] = {
            events.Pong: lambda _: iter([dump(type="pong")]),
            events.Preparing: lambda e: iter([dump(type="session_preparing", input_mode=e.mode)]),
            events.Started: self._started,
            events.StartFailed: lambda e: iter([dump(type="session_failed", input_mode=e.mode)]),
            events.Paused: lambda _: iter([_status("Session paused. Start it to go on.")]),
            events.Ended: lambda _: iter([_status("Session ended and saved.")]),
            events.Problem: lambda e: iter([_status(e.message)]),
            events.Activity: self._activity,
            events.UserWords: lambda e: iter([dump(type="user_transcript", text=e.text)]),
            events.ReplyText: lambda e: iter([dump(type="text", text=e.delta)]),
            events.ReplySound: self._sound,
            events.ReplyTextComplete: lambda _: iter([dump(type="system", data="turn end")]),
            events.Timeline: self._timeline,
        }

    # --- from the client ---

    def decode(self, message: str | bytes) -> list[Command]:
        """Read one message; what cannot be used becomes `Wrong`."""
        try:
            return self._decode(parse_object(message))
        except ClientError as error:
            return [events.Wrong(error)]

    def _decode(self, message: Json) -> list[Command]:
        action = text_field(message, "action")
        if action in SHIPPED_CLIENTS_ALSO_SEND:
            return [events.Ignored()]
        decode = self._actions.get(action)
        if decode is None:
            raise ClientError(f"Unknown action {action[:64]!r}.", "UNKNOWN_ACTION")
        return decode(message)

    def _start(self, message: Json) -> list[Command]:
        mode = message.get("input_type", "audio")
        for known in get_args(InputMode):
            if mode == known:
                return [events.Start(known, flag_field(message, "new_session", default=False))]
        raise ClientError(
            f"input_type {str(mode)[:64]!r} is not one of audio, text, screen, camera.",
            "INVALID_INPUT_TYPE",
        )

    def _stream(self, message: Json) -> list[Command]:
        kind = text_field(message, "input_type")
        if kind == "audio":
            return self._microphone(message)
        if kind == "text":
            return [events.Typed(text_field(message, "data"), barge_in=True)]
        raise ClientError(f"input_type {kind[:64]!r} is not supported.", "INVALID_INPUT_TYPE")

    def _microphone(self, message: Json) -> list[Command]:
        rate_hz = message.get("sample_rate", message.get("sample_rate_hz", EAR_HZ))
        if isinstance(rate_hz, bool) or not isinstance(rate_hz, int):
            raise ClientError("'sample_rate' must be a whole number of Hz.", "BAD_SAMPLE_RATE")
        if not 8_000 <= rate_hz <= 48_000:
            raise ClientError(
                f"'sample_rate' {rate_hz} is not between 8000 and 48000 Hz.", "BAD_SAMPLE_RATE"
            )
        samples = decode_s16le(bytes_field(message, "data"))
        step = ms_to_samples(SOUND_STEP_MS, rate_hz)
        return [
            events.Sound(Pcm(samples[at : at + step], rate_hz))
            for at in range(0, len(samples), step)
        ]

    # --- to the client ---

    def encode(self, event: Event) -> list[str | bytes]:
        """Write one event; those this protocol does not tell become nothing."""
        encoder = self._encoders.get(type(event))
        return list(encoder(event)) if encoder else []

    def _started(self, event: events.Started) -> Iterator[str]:
        yield dump(type="session_started", input_mode=event.mode)
        yield _status("Session started successfully")

    def _activity(self, event: events.Activity) -> Iterator[str]:
        yield dump(type="user_activity", interrupted_speech_id=event.interrupted_turn)

    def _sound(self, event: events.ReplySound) -> Iterator[str]:
        data = base64.b64encode(encode_s16le(event.pcm.samples)).decode("ascii")
        yield dump(type="audio", audio_data=data)

    def _timeline(self, event: events.Timeline) -> Iterator[str]:
        if self._timelines:
            yield dump(type="timeline", turn_id=event.turn, spans=timeline_json(event))


def _status(message: str) -> str:
    return dump(type="status", message=message)
