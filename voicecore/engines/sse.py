"""Server-sent events, as far as a client of streamed replies needs them (WHATWG HTML, 9.2).

Sans-IO: bytes in, the data of each complete event out.
"""

from __future__ import annotations

import re

from voicecore.errors import EngineError

MAX_EVENT_BYTES = 1024 * 1024
"""A token's event is under 1 KiB, its log probabilities included; a whole reply in one event still
fits. More means that the other side does not speak this protocol."""

_LINE_END = re.compile(rb"\r\n|\n|\r")


class SseReader:
    """Splits a byte stream into events. Any chunking gives the same events.

    Comments and the fields ``event``, ``id`` and ``retry`` are skipped: no reply uses them.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._data: list[bytes] = []
        self._size = 0
        self._first = True

    def feed(self, chunk: bytes) -> list[str]:
        """Take bytes, return the data of the events they complete.

        Raises:
            EngineError: an event exceeds `MAX_EVENT_BYTES`, or is not UTF-8.
        """
        self._buffer += chunk
        events: list[str] = []
        start = 0
        for end in _LINE_END.finditer(self._buffer, self._searched):
            if end.group() == b"\r" and end.end() == len(self._buffer):
                break  # a line feed may follow
            events += self._line(bytes(self._buffer[start : end.start()]))
            start = end.end()
        del self._buffer[:start]
        # Searching goes on where it ended; only a last \r is looked at again.
        self._searched = max(0, len(self._buffer) - 1)
        if len(self._buffer) + self._size > MAX_EVENT_BYTES:
            raise EngineError(
                f"The language model's server sent an event over {MAX_EVENT_BYTES} bytes."
            )
        return events

    def close(self) -> list[str]:
        """The stream has ended: an event without its blank line is not one and is dropped."""
        events = self._line(b"") if self._buffer == b"\r" else []
        self._buffer.clear()
        self._data.clear()
        return events

    def _line(self, line: bytes) -> list[str]:
        if self._first:
            self._first = False
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line:
            return self._dispatch()
        field, _, value = line.partition(b":")
        if field == b"data":
            self._data.append(value.removeprefix(b" "))
            self._size += len(value) + 1
        return []

    def _dispatch(self) -> list[str]:
        if not self._data:
            return []
        data = b"\n".join(self._data)
        self._data.clear()
        self._size = 0
        try:
            return [data.decode()]
        except UnicodeDecodeError as error:
            raise EngineError(
                f"The language model's server sent text that is not UTF-8: {error}."
            ) from error
