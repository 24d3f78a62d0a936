"""The short way of a client's messages: WebSocket frames that need no library.

Nearly all that a client sends is small messages of one frame each, 50 or 100 in a second. The
library takes one through a dozen functions, a task and a channel, which is a third of the work of
a host that listens in silence. Here it takes three functions. Whatever is not such a frame, or not
as it should be, the library gets, byte for byte.
"""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

_TEXT, _BINARY, _PING, _PONG = 0x81, 0x82, 0x89, 0x8A
"""First bytes of whole messages: final, nothing reserved, and the opcode (RFC 6455, 5.2)."""
_FIRST_TEXT, _FIRST_BINARY, _NEXT, _LAST = 0x01, 0x02, 0x00, 0x80
"""First bytes of a message's frames, if it has several."""
_FINAL = _MASKED = 0x80
_IN_2_BYTES, _IN_8_BYTES = 126, 127
"""In place of a length: it follows."""
_KEY_BYTES = 4
_SHORT_BYTES = 64 * 1024
"""The library reads longer frames, as they come, so that nothing is kept twice."""


class Way(Enum):
    """Where the next message is to be had."""

    LIBRARY = 1


Item: TypeAlias = str | bytes | Way


class Frames:
    """Cuts what a client sends into messages, and what is for the library. Sans-IO.

    Any cutting of the same bytes gives the same.

    Args:
        max_bytes: of a message. A longer one is for the library, which refuses it.
    """

    def __init__(self, max_bytes: int) -> None:
        self._longest = min(max_bytes, _SHORT_BYTES)
        self._held = bytearray()
        """Less than a frame."""
        self._left = 0
        """Bytes to come of a frame that the library reads."""
        self._open = False
        """The library has some frames of a message, and not the last."""
        self._over = False
        self.passed = bytearray()
        """For the library. Who feeds it takes them from here."""

    @property
    def over(self) -> bool:
        """Whether the library reads all that comes."""
        return self._over

    @property
    def passing(self) -> bool:
        """Whether the library is in the midst of a message, or `over`."""
        return self._over or self._open or self._left > 0

    def feed(self, data: bytes | bytearray) -> list[Item]:
        """Take the next bytes; return the messages they complete, in order.

        `Way.LIBRARY` stands for a message that the library begins to read, or for the connection's
        end, of which it will tell.
        """
        self._held += data
        found: list[Item] = []
        while self._held and self._step(found):
            pass
        return found

    def close(self) -> list[Item]:
        """Leave all to the library: what is held, and what follows."""
        found: list[Item] = [] if self.passing else [Way.LIBRARY]
        self._over = True
        self._pass(len(self._held))
        return found

    def _step(self, found: list[Item]) -> bool:
        """Deal with one frame, or some bytes of it; False if more are needed."""
        held = self._held
        if self._over or self._left:
            self._pass(len(held) if self._over else min(self._left, len(held)))
            return True
        size = _frame_bytes(held)
        if size is None:
            return False
        first = held[0]
        if not size:
            found += self.close()
        elif first in (_TEXT, _BINARY) and size <= self._longest and not self._open:
            if len(held) < size:
                return False
            self._take(size, found)
        elif first in (_PING, _PONG):
            if len(held) < size:
                return False
            self._pass(size)
        elif first in ((_NEXT, _LAST) if self._open else _BEGINNINGS):
            if not self._open:
                found.append(Way.LIBRARY)
            self._open, self._left = not first & _FINAL, size
        else:
            found += self.close()
        return True

    def _take(self, size: int, found: list[Item]) -> None:
        payload = _unmasked(self._held, size)
        try:
            found.append(payload.decode() if self._held[0] == _TEXT else payload)
        except UnicodeDecodeError:
            found += self.close()
        else:
            del self._held[:size]

    def _pass(self, count: int) -> None:
        self.passed += self._held[:count]
        del self._held[:count]
        self._left = max(0, self._left - count)


_BEGINNINGS = (_TEXT, _BINARY, _FIRST_TEXT, _FIRST_BINARY)


def _frame_bytes(held: bytearray) -> int | None:
    """Length of the frame that begins here; None if that is still to come, 0 if it is wrong."""
    if len(held) < 2:
        return None
    size = held[1] - _MASKED
    if size < _IN_2_BYTES:
        return 0 if size < 0 else 2 + _KEY_BYTES + size
    if held[0] & 0x08:
        return 0  # ping, pong and close are never so long
    width, least = (2, _IN_2_BYTES) if size == _IN_2_BYTES else (8, 1 << 16)
    if len(held) < 2 + width:
        return None
    size = int.from_bytes(held[2 : 2 + width])
    return 2 + width + _KEY_BYTES + size if size >= least else 0


def _unmasked(held: bytearray, size: int) -> bytes:
    """The payload of the frame of that size (RFC 6455, 5.3)."""
    head = 2 if held[1] < _MASKED + _IN_2_BYTES else 4
    begin = head + _KEY_BYTES
    key = held[head:begin] * ((size - begin + 3) // _KEY_BYTES)
    mask = int.from_bytes(key[: size - begin], "little")
    # As numbers: several times as fast as byte by byte, and nothing to import.
    return (int.from_bytes(held[begin:size], "little") ^ mask).to_bytes(size - begin, "little")
