"""What a protocol is to the rest: a translator between messages and the frozen vocabulary."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Protocol, TypeAlias, cast

from voicecore.errors import ClientError
from voicecore.events import Command, Event, Timeline

Json: TypeAlias = Mapping[str, object]


class Wire(Protocol):
    """One protocol, spoken with one client. Sans-IO: it decodes and encodes, and keeps no task."""

    name: str
    """For logs and metrics."""
    waits_for_start: bool
    """Whether the client announces a session before it is listened to."""
    paced: bool
    """Whether sound is streamed at the pace it is played, or sent as soon as it is made."""
    chunk_ms: float | None
    """Sound in one message; None for a whole phrase in each."""

    def decode(self, message: str | bytes) -> list[Command]:
        """Read one message. Anything that cannot be used becomes one `Wrong`; never raises."""

    def encode(self, event: Event) -> list[str | bytes]:
        """Write one event: no message, or several that belong together."""


def parse_object(message: str | bytes) -> Json:
    """Read a JSON object.

    Raises:
        ClientError: it is not one.
    """
    if isinstance(message, bytes):
        raise ClientError("Binary messages are not part of this protocol; send JSON text.")
    try:
        parsed = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise ClientError(f"The message is not valid JSON: {error}.", "BAD_JSON") from None
    if not isinstance(parsed, dict):
        raise ClientError("The message must be a JSON object.", "BAD_JSON")
    return cast("Json", parsed)


def text_field(message: Json, key: str, default: str | None = None) -> str:
    """Return a field that must be text.

    Raises:
        ClientError: it is absent with no default, or something else. Lone surrogates, which JSON
            can carry and nothing else can, are replaced.
    """
    value = message.get(key, default)
    if not isinstance(value, str):
        raise ClientError(f"{key!r} must be text, not {_kind(value)}.")
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def optional_text(message: Json, key: str) -> str | None:
    """Return a field that is text, null or absent."""
    return None if message.get(key) is None else text_field(message, key)


def flag_field(message: Json, key: str, *, default: bool) -> bool:
    value = message.get(key, default)
    if not isinstance(value, bool):
        raise ClientError(f"{key!r} must be true or false, not {_kind(value)}.")
    return value


def bytes_field(message: Json, key: str) -> bytes:
    """Return a field that is base64.

    Raises:
        ClientError: it is not.
    """
    try:
        return base64.b64decode(text_field(message, key), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ClientError(f"{key!r} is not valid base64: {error}.", "BAD_BASE64") from None


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return "missing" if value is None else names.get(type(value), "a number")


def dump(**fields: object) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def timeline_json(event: Timeline) -> list[dict[str, object]]:
    """Spans as plain data: milliseconds after the person's last spoken sample."""
    return [
        {
            "name": span.name,
            "owner": span.owner,
            "start_ms": round((span.start_s - event.zero_s) * 1000, 1),
            "end_ms": round((span.end_s - event.zero_s) * 1000, 1),
        }
        for span in event.spans
    ]
