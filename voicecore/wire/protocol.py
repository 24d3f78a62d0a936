"""What a protocol is to the rest: a translator between messages and the frozen vocabulary.

Also what both translators share: reading JSON and its fields with an error for everything that is
not as it should be, and writing it.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Protocol, TypeAlias, cast

import attrs

from voicecore.errors import ClientError
from voicecore.events import Command, Event, Task, Timeline

Json: TypeAlias = Mapping[str, object]

MAX_COMMAS = 500_000
"""In one message: an array of 10 s of 48 kHz sound. To read so many values takes 0.05 s (0.1 to
0.2 s for fractions), in which nothing else runs; as many as 16 MB hold would take a second."""

MAX_QUOTES = 50_000
"""In one message: three times what a text of `server.max_text_chars` can hold. They bound the
number of keys, which cost most: 16 MB of them would take 1.5 s."""

MAX_BRACKETS = 50_000
"""In one message, of ``[``: the same for lists in lists, of which 16 MB would take 2 s."""

MAX_NAME_CHARS = 256
"""Of ids and names. They come back in messages and stand in the log."""

_encode_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@attrs.frozen
class Shown:
    """What a client asked to be shown beyond the published documents."""

    timelines: bool = False
    """Where each turn's time went."""
    partials: bool = False
    """What is recognised while the person speaks."""
    words: bool = False
    """When the voice says each word."""

    @classmethod
    def asked(cls, parameters: Mapping[str, str]) -> Shown:
        """Read what the URL of the connection asks for."""
        return cls(*(parameters.get(name) == "1" for name in ("timeline", "partials", "words")))


NOTHING_ELSE = Shown()


class Wire(Protocol):
    """One protocol, spoken with one client. Sans-IO: it decodes and encodes, and keeps no task."""

    name: str
    """For logs and metrics."""
    waits_for_start: bool
    """Whether the client announces a session before it is listened to."""
    paced: bool
    """Whether sound is streamed at the pace it is played, or sent as soon as it is made."""
    exclusive: bool
    """Whether a client has one live connection to each character: a newer one wins."""
    chunk_ms: float | None
    """Sound in one message; None for a whole phrase in each."""
    shown: Shown
    """What else is told; of the rest nothing need be made."""

    def decode(self, message: str | bytes) -> list[Command]:
        """Read one message. Anything that cannot be used becomes one `Wrong`; never raises."""

    def encode(self, event: Event) -> list[str | bytes]:
        """Write one event: no message, or several that are sent with nothing between them."""


# --- from the client ---


def parse_object(message: str | bytes) -> Json:
    """Read a JSON object.

    Raises:
        ClientError: it is not one, or one of so many parts that it would hold up the host.
    """
    if not isinstance(message, str):
        raise ClientError("Binary messages are not part of this protocol; send JSON text.")
    _check_parts(message)
    try:
        parsed = json.loads(message)
    except json.JSONDecodeError as error:
        raise ClientError(f"The message is not valid JSON: {error}.", "BAD_JSON") from None
    except (ValueError, RecursionError):
        raise ClientError(
            "The message nests too deeply, or has a number of too many digits.", "BAD_JSON"
        ) from None
    if not isinstance(parsed, dict):
        raise ClientError("The message must be a JSON object.", "BAD_JSON")
    return cast("Json", parsed)


def _check_parts(message: str) -> None:
    """Count before parsing: counting takes 1 ms a megabyte, parsing up to 120 ms."""
    for mark, limit in ((",", MAX_COMMAS), ('"', MAX_QUOTES), ("[", MAX_BRACKETS)):
        if len(message) > limit and message.count(mark) > limit:
            raise ClientError(
                f"The message has more than {limit} of the character {mark}, too many to be read "
                "at once. Send long sound in several messages, or as base64.",
                "TOO_MANY_PARTS",
            )


def text_field(message: Json, key: str, default: str | None = None) -> str:
    """Return a field that must be text; null is as good as absent.

    Raises:
        ClientError: it is absent with no default, or something else. Lone surrogates, which JSON
            can carry and nothing else can, are replaced.
    """
    return mend(_text(message, key, default))


def name_field(message: Json, key: str) -> str:
    """Return a field that is an id or a name.

    Raises:
        ClientError: it is no text, or longer than any name.
    """
    name = text_field(message, key)
    if len(name) > MAX_NAME_CHARS:
        raise ClientError(
            f"{key!r} has {len(name)} characters; at most {MAX_NAME_CHARS} are allowed."
        )
    return name


def optional_name(message: Json, key: str) -> str | None:
    """Return a field that is an id or a name, null or absent."""
    return None if message.get(key) is None else name_field(message, key)


def flag_field(message: Json, key: str, *, default: bool) -> bool:
    """Return a field that is true or false; null is as good as absent."""
    value = message.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise ClientError(f"{key!r} must be true or false, not {kind_of(value)}.")
    return value


def bytes_field(message: Json, key: str) -> bytes:
    """Return a field that is base64, of any length.

    Raises:
        ClientError: it is not.
    """
    return _from_base64(_text(message, key), f"{key!r}")


class Base64Parts:
    """Reads base64 that comes in parts, cut anywhere, or each part encoded by itself.

    Four characters are three bytes, so at most three wait for the next part.
    """

    def __init__(self) -> None:
        self._rest = ""

    def feed(self, message: Json, key: str) -> bytes:
        """Take the part in this field.

        Raises:
            ClientError: it is no base64, and counts for nothing.
        """
        text = self._rest + _text(message, key)
        whole = len(text) - len(text) % 4
        data = _from_base64(text[:whole], f"{key!r}")
        self._rest = text[whole:]
        return data

    def close(self) -> bytes:
        """The parts have ended: return what was still waiting.

        Raises:
            ClientError: a single character is left, which is no byte.
        """
        rest, self._rest = self._rest, ""
        return _from_base64(rest + "=" * (-len(rest) % 4), "The recording's end")


def file_field(message: Json, key: str, *, what: str, max_bytes: int, code: str) -> bytes:
    """Return a field that is a file: base64, or a data URL of it.

    Args:
        message: the object it is in.
        key: its name there.
        what: how an error calls the file.
        max_bytes: of the file, checked before anything is decoded.
        code: of the error, if the file is larger.

    Raises:
        ClientError: it is not base64, or too large.
    """
    text = _text(message, key)
    if text[:5].lower() == "data:":
        text = _body_of_data_url(text, what)
    size = len(text) // 4 * 3 - text[-2:].count("=")
    if size > max_bytes:
        raise ClientError(f"{what} has {size} bytes; at most {max_bytes} are allowed.", code)
    return _from_base64(text, what)


def _text(message: Json, key: str, default: str | None = None) -> str:
    value = message.get(key)
    if value is None:
        value = default
    if not isinstance(value, str):
        raise ClientError(f"{key!r} must be text, not {kind_of(value)}.")
    return value


def _body_of_data_url(url: str, what: str) -> str:
    """RFC 2397: ``data:[<type>][;base64],<data>``. The bytes tell the type better than its name."""
    comma = url.find(",", 0, MAX_NAME_CHARS)
    if comma < 0 or not url[:comma].lower().endswith(";base64"):
        raise ClientError(f"{what} is not a data URL of base64.", "BAD_BASE64")
    return url[comma + 1 :]


def _from_base64(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ClientError(f"{what} is not valid base64: {error}.", "BAD_BASE64") from None


def kind_of(value: object) -> str:
    """Name a JSON value's type. The value itself is never shown: it may be megabytes."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return "missing" if value is None else names.get(type(value), "a number")


# --- to the client ---


def dump(**fields: object) -> str:
    return mend(_encode_json(fields))


def mend(text: str) -> str:
    """Write a question mark for each lone surrogate: half a character, which no frame can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="replace").decode()
    return text


def task_json(task: Task) -> dict[str, object]:
    """A tool at work as plain data; progress is kept within 0 to 100 whatever the tool said."""
    return {
        "id": task.id,
        "tool": task.tool,
        "status": task.status,
        "progress": round(min(100.0, max(0.0, task.progress)), 1),
        "detail": task.detail,
    }


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
