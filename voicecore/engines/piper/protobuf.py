"""Protobuf's encoding, as far as copying parts of a message needs it.

A message is a row of fields: a tag (the field's number and its wire type), then a varint, or 4 or 8
bytes, or a length and so many bytes. https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import TypeAlias

Data: TypeAlias = bytes | mmap.mmap

Field: TypeAlias = tuple[int, int, int, int]
"""Its number; where in the data it begins, where its value does, and where both end."""

_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5


def fields(data: Data, begin: int, end: int) -> Iterator[Field]:
    """Find the fields of the message that lies from ``begin`` to ``end``.

    Raises:
        ValueError: it is no message, or is cut off.
        IndexError: it goes on behind the end of the data.
    """
    at = begin
    while at < end:
        start = at
        tag, at = varint(data, at)
        wire_type = tag & 7
        if wire_type == _LENGTH_DELIMITED:
            length, at = varint(data, at)
            after = at + length
        elif wire_type == _VARINT:
            _, after = varint(data, at)
        elif wire_type in {_FIXED32, _FIXED64}:
            after = at + (4 if wire_type == _FIXED32 else 8)
        else:
            raise ValueError("not a protobuf message")
        yield tag >> 3, start, at, after
        at = after
    if at != end:
        raise ValueError("a protobuf message that is cut off")


def varint(data: Data, at: int) -> tuple[int, int]:
    """Read the number at ``at``; return it and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def number_field(number: int, value: int) -> bytes:
    return _encoded(number << 3 | _VARINT) + _encoded(value)


def bytes_field(number: int, value: bytes) -> bytes:
    return _encoded(number << 3 | _LENGTH_DELIMITED) + _encoded(len(value)) + value


def _encoded(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*encoded, value))
