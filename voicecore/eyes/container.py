"""A picture file taken apart before it is decoded.

A decoder should see a stranger's file only when its size is known, and nothing of it but the
pixels. So the file's parts are read here: the size is found, the orientation too, and of JPEG and
PNG everything else (camera data, places, profiles, comments, thumbnails, further frames) is left
out. Pillow would parse much of that, with warnings and in code that a picture does not need.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Literal, TypeAlias

import attrs

from voicecore.errors import ClientError

Kind: TypeAlias = Literal["JPEG", "PNG", "WEBP"]

MAX_PARTS = 20_000
"""Chunks or segments of a file. PNG encoders write 8 KiB and more at a time: 1,280 for 10 MB. Each
costs microseconds of Python, and 10 MB have room for a million empty ones."""

MAX_SCANS = 32
"""Of a progressive JPEG. Encoders write about ten. Each goes over the whole picture (25 ms for 36
megapixels) and may be as short as 59 bytes: 200 kB kept a decoder busy for 26 s."""

ACCEPTED = "JPEG, PNG or WebP"

MIME_TYPES = {"image/jpeg", "image/jpg", "image/png", "image/webp"}
"""What clients call them; the second is wrong but frequent."""

UPRIGHT = 1
"""EXIF's number for a picture that is stored as it is to be seen."""


@attrs.frozen
class Container:
    """What a picture file says of itself, and its pixels, still encoded."""

    kind: Kind
    width_px: int
    height_px: int
    """As stored, before it is turned."""
    orientation: int
    """EXIF tag 0x0112: 1 to 8; 1 is upright."""
    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    """A file with the same pixels; of an animated PNG only its still picture."""


def kind_of(data: bytes) -> Kind | None:
    """Tell a picture by its first bytes; None if it is not one that is taken."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(_PNG_SIGNATURE):
        return "PNG"
    return "WEBP" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None


def take_apart(data: bytes) -> Container:
    """Find the size and the pixels of a picture file. Damage within the pixels is not noticed.

    Raises:
        ClientError: ``BAD_PICTURE``: of another kind, or so damaged that its size is not known.
    """
    kind = kind_of(data)
    if kind is None:
        raise bad_picture(f"The picture is not of a kind that is read here. Send {ACCEPTED}.")
    found = {"JPEG": _jpeg, "PNG": _png, "WEBP": _webp}[kind](data)
    if not found.width_px or not found.height_px:
        raise damaged(kind)
    return found


def bad_picture(message: str) -> ClientError:
    return ClientError(message, "BAD_PICTURE")


def damaged(kind: Kind) -> ClientError:
    return bad_picture(
        f"The {kind} picture cannot be read: it is damaged or incomplete. Send it again."
    )


def _too_many_parts(kind: Kind) -> ClientError:
    return bad_picture(
        f"The {kind} picture is made of too many parts to be an ordinary one. "
        "Save it anew with another program."
    )


# --- JPEG (ITU-T T.81, annex B) ------------------------------------------------------------------

_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")
"""A marker that begins a segment. The others stand alone, fill space or belong to a scan."""

_START_OF_SCAN, _END_OF_IMAGE, _APP1 = 0xDA, 0xD9, 0xE1
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_KEPT = _FRAMES | {0xC4, 0xCC, _START_OF_SCAN, _END_OF_IMAGE, 0xDB, 0xDC, 0xDD, 0xE0, 0xEE}
"""Frames, tables, scans; APP0 (JFIF) and APP14 (Adobe), which tell how colours are stored."""

_EXIF = b"Exif\0\0"


def _jpeg(data: bytes) -> Container:
    kept, size, orientation, scans = [data[:2]], (0, 0), UPRIGHT, 0
    for count, (code, segment) in enumerate(_segments(data)):
        scans += code == _START_OF_SCAN
        if scans > MAX_SCANS or count > MAX_PARTS:
            raise _too_many_parts("JPEG")
        if code in _FRAMES:
            height, width = struct.unpack(">HH", segment[5:9].ljust(4, b"\0"))
            size = max(size, (width, height), key=lambda size: size[0] * size[1])
        if code == _APP1 and segment.startswith(_EXIF, 4):
            orientation = _orientation(segment[4 + len(_EXIF) :])
        if code in _KEPT:
            kept.append(segment)
    return Container("JPEG", *size, orientation, b"".join(kept))


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield each segment's code and bytes, a scan's with what follows it, up to the image's end."""
    marker = _MARKER.search(data, 2)
    while marker:
        code, start = data[marker.start() + 1], marker.start()
        length = int.from_bytes(data[start + 2 : start + 4])  # counts itself, not the marker
        if code == _END_OF_IMAGE:
            yield code, data[start : start + 2]
        if code == _END_OF_IMAGE or length < 2:
            return
        end = start + 2 + length
        marker = _MARKER.search(data, end)
        if code == _START_OF_SCAN:
            end = marker.start() if marker else len(data)
        yield code, data[start:end]


# --- PNG (W3C, third edition) --------------------------------------------------------------------

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHUNKS = {b"PLTE", b"tRNS", b"IDAT", b"IEND"}


def _png(data: bytes) -> Container:
    kept, orientation, at = [data[:8]], UPRIGHT, 8
    width, height = 0, 0
    for _ in range(MAX_PARTS):
        if at + 8 > len(data):
            break
        length, name = struct.unpack_from(">I4s", data, at)
        chunk = data[at : at + 12 + length]
        if at == 8 and name == b"IHDR" and length == 13:  # a second one could name another size
            width, height = struct.unpack(">II", chunk[8:16].ljust(8, b"\0"))
            kept.append(chunk)
        elif name == b"eXIf":
            orientation = _orientation(chunk[8:-4])
        elif name in _CHUNKS:
            kept.append(chunk)
        at += 12 + length
    else:
        raise _too_many_parts("PNG")
    return Container("PNG", width, height, orientation, b"".join(kept))


# --- WebP (RFC 9649) -----------------------------------------------------------------------------


def _webp(data: bytes) -> Container:
    orientation, at = UPRIGHT, 12
    for _ in range(MAX_PARTS):
        if at + 8 > len(data):
            break
        name, length = struct.unpack_from("<4sI", data, at)
        if name == b"EXIF":
            exif = data[at + 8 : at + 8 + length]
            orientation = _orientation(exif.removeprefix(_EXIF))  # some encoders put it there
        at += 8 + length + length % 2
    else:
        raise _too_many_parts("WEBP")
    return Container("WEBP", *_webp_size(data[12:30]), orientation, data)


def _webp_size(chunk: bytes) -> tuple[int, int]:
    """Read the size from a file's first chunk; 0 by 0 if it has none."""
    name, body = chunk[:4], chunk[8:].ljust(10, b"\0")
    if name == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if name == b"VP8L" and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if name == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", body, 6)
        return width & 0x3FFF, height & 0x3FFF
    return 0, 0


# --- EXIF ----------------------------------------------------------------------------------------


def _orientation(exif: bytes) -> int:
    """Read tag 0x0112 of a TIFF file's first directory; upright if it is missing or damaged."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return UPRIGHT
    try:
        (at,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, _type, _count, value = struct.unpack_from(order + "HHIH", exif, entry)
            if tag == 0x0112:
                return value if 1 <= value <= 8 else UPRIGHT
    except struct.error:
        pass  # it ends early
    return UPRIGHT
