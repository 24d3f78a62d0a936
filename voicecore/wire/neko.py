"""N.E.K.O.: the character voice companion's protocol, in both dialects of its messages.

JSON text frames, and binary ones for sound. The client's messages carry ``action``, the server's
``type``. See docs/wire.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias, get_args

from voicecore import events
from voicecore.errors import ClientError
from voicecore.events import Command, Event, InputMode
from voicecore.wire import microphone
from voicecore.wire.neko_events import NekoEvents
from voicecore.wire.protocol import (
    NOTHING_ELSE,
    Json,
    Shown,
    file_field,
    flag_field,
    kind_of,
    optional_name,
    parse_object,
    text_field,
)

Dialect: TypeAlias = Literal["auto", "documented", "native"]

SIGNS_OF_A_SHIPPED_CLIENT = frozenset(
    {"avatar_interaction", "greeting_check", "home_tutorial_state"}
)
"""The document does not know these actions (wire.md 1.1)."""

PICTURES = frozenset({"screen", "camera", "user_image", "avatar_drop_image"})
"""Kinds of input that are pictures. The last two are what shipped clients call a picture the
person chose, or dropped on the character."""

NEEDS_NO_ANSWER = frozenset(
    {
        "capture_bridge_response",
        "capture_bridge_status",
        "cat_greeting_check",
        "goodbye_state",
        "home_tutorial_state",
        "language_update",
        "screenshot_response",
        "telemetry",
        "voice_input_control",
        "voice_play_end",
        "voice_play_start",
    }
)
"""What shipped clients also send, accepted without an error (wire.md 1.2)."""


class Neko:
    """The translator for one client."""

    name = "neko"
    waits_for_start = True
    exclusive = True
    paced = True

    def __init__(
        self,
        *,
        chunk_ms: float,
        shown: Shown = NOTHING_ELSE,
        dialect: Dialect = "auto",
        max_picture_bytes: int = 10 * 1024 * 1024,
    ) -> None:
        """Begin.

        Args:
            chunk_ms: sound in one message.
            shown: what the client asked for, in message types of our own.
            dialect: how the server's messages look. ``auto`` begins with ``documented`` and goes
                over to ``native`` for good when the client shows that it is a shipped one.
            max_picture_bytes: of one picture, as a file; a larger one is refused.
        """
        self.chunk_ms: float | None = chunk_ms
        self._auto = dialect == "auto"
        self.shown = shown
        self._events = NekoEvents(native=dialect == "native", shown=shown)
        self._max_picture_bytes = max_picture_bytes
        self._repeats = microphone.Repeats()
        self._actions: dict[str, Callable[[Json], list[Command]]] = {
            "start_session": self._start,
            "stream_data": self._stream,
            "pause_session": lambda _: [events.Pause()],
            "end_session": lambda _: [events.End()],
            "ping": lambda _: [events.Ping()],
            "greeting_check": lambda _: [events.Greet()],
            "avatar_interaction": self._touch,
            **dict.fromkeys(NEEDS_NO_ANSWER, lambda _: [events.Ignored()]),
        }

    def decode(self, message: str | bytes) -> list[Command]:
        """Read one message; what cannot be used becomes `Wrong`."""
        try:
            if isinstance(message, str):
                return self._repeats.read(message) or self._text(message)
            return self._frame(message)
        except ClientError as error:
            return [events.Wrong(error)]

    def encode(self, event: Event) -> list[str | bytes]:
        """Write one event; those this protocol does not tell become nothing."""
        return self._events.encode(event)

    def _text(self, message: str) -> list[Command]:
        parsed = parse_object(message)
        commands = self._decode(parsed)
        if commands and isinstance(commands[0], events.Sound):
            self._repeats.learn(message, parsed, commands[0].pcm.rate_hz)
        return commands

    def _decode(self, message: Json) -> list[Command]:
        action = text_field(message, "action")
        if action in SIGNS_OF_A_SHIPPED_CLIENT:
            self._is_shipped()
        decode = self._actions.get(action)
        if decode is None:
            raise ClientError(
                f"Unknown action {action[:64]!r}; docs/wire.md has those there are.",
                "UNKNOWN_ACTION",
            )
        return decode(message)

    def _frame(self, frame: bytes) -> list[Command]:
        if frame.startswith(microphone.MAGIC):
            self._is_shipped()
        return microphone.from_frame(frame)

    def _is_shipped(self) -> None:
        if self._auto:
            self._events.native = True

    def _start(self, message: Json) -> list[Command]:
        mode = message.get("input_type")
        if mode is None:
            mode = "audio"
        fresh = flag_field(message, "new_session", default=False)
        session_id = optional_name(message, "session_id")
        for known in get_args(InputMode):
            if mode == known:
                return [events.Start(known, fresh, session_id)]
        raise _bad_input_type(mode)

    def _stream(self, message: Json) -> list[Command]:
        kind = message.get("input_type")
        if kind == "audio":
            return self._microphone(message)
        if kind == "text":
            return self._typed(message)
        if isinstance(kind, str) and kind in PICTURES:
            return self._picture(message)
        raise _bad_input_type(kind)

    def _microphone(self, message: Json) -> list[Command]:
        sound = microphone.from_message(message)
        if isinstance(message.get("data"), list):
            self._is_shipped()
        return sound

    def _typed(self, message: Json) -> list[Command]:
        text = text_field(message, "data")
        self._events.asked = optional_name(message, "request_id")
        return [events.Typed(text, barge_in=True)]

    def _picture(self, message: Json) -> list[Command]:
        data = file_field(
            message,
            "data",
            what="The picture",
            max_bytes=self._max_picture_bytes,
            code="PICTURE_TOO_LARGE",
        )
        if not data:
            raise ClientError("The picture is empty.", "BAD_PICTURE")
        return [events.Picture(data)]

    def _touch(self, message: Json) -> list[Command]:
        interaction_id = optional_name(message, "interaction_id")
        return [events.Touch(interaction_id) if interaction_id else events.Ignored()]


def _bad_input_type(found: object) -> ClientError:
    shown = repr(found[:64]) if isinstance(found, str) else kind_of(found)
    return ClientError(
        f"'input_type' must be audio, text, screen or camera, not {shown}.", "INVALID_INPUT_TYPE"
    )
