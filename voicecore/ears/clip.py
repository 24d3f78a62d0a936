"""One recorded message, a WAV file or raw PCM, decoded as its bytes arrive."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from voicecore.audio import (
    EAR_HZ,
    SILENCE,
    Pcm,
    Resampler,
    Samples,
    decode_s16le,
    from_float,
)
from voicecore.errors import BadAudio

MAX_CLIP_BYTES = 64 * 1024 * 1024
"""Of one spoken message: 5.8 minutes of 48 kHz stereo, 35 of the 16 kHz mono that is asked for."""

MAX_FILE_BYTES = 1024 * 1024 * 1024
"""Of a file read whole: 1.5 hours of 48 kHz stereo, 0.5 GB in memory as mono."""

MAX_HEADER_BYTES = 1024 * 1024
"""Of a WAV file before its sound. Editors put notes and pictures there, recorders nothing."""

MAX_RATE_HZ = 48_000
"""The most that `ingest` takes; faster sound is brought down to it here."""

ACCEPTED = (
    "WAV (PCM of 8, 16, 24 or 32 bits or 32-bit float, mono or stereo, 8 to 192 kHz), or raw PCM "
    '(format "pcm": 16 kHz, signed 16-bit little-endian, mono)'
)

# --- WAV -----------------------------------------------------------------------------------------

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_SUBFORMAT_TAIL = bytes.fromhex("000000001000800000aa00389b71")
"""What follows the format tag in the GUID of an extensible header (Microsoft, ksmedia.h)."""

_UNKNOWN_SIZES = {0, 0xFFFFFFFF}
"""What encoders that write to a pipe leave in the data chunk's size: the sound runs to the end."""

_ENDLESS = 1 << 62

_Bytes: TypeAlias = npt.NDArray[np.uint8]
_Decoder: TypeAlias = Callable[[_Bytes], Samples]


def _from_8_bit(data: _Bytes) -> Samples:
    """Unsigned, with silence at 128."""
    return (data.astype(np.int16) - 128) * 256


def _from_wide(width: int) -> _Decoder:
    def top_16_bits(data: _Bytes) -> Samples:
        return decode_s16le(data.reshape(-1, width)[:, -2:].tobytes())

    return top_16_bits


def _from_float32(data: _Bytes) -> Samples:
    values = np.frombuffer(data.tobytes(), "<f4").astype(np.float32)
    return from_float(np.nan_to_num(values, nan=0.0))


_DECODERS: dict[tuple[int, int], _Decoder] = {
    (_PCM, 8): _from_8_bit,
    (_PCM, 16): _from_wide(2),
    (_PCM, 24): _from_wide(3),
    (_PCM, 32): _from_wide(4),
    (_FLOAT, 32): _from_float32,
}


class WavReader:
    """Reads a WAV file incrementally: bytes in, mono int16 at the file's own rate out.

    Chunks other than ``fmt`` and ``data`` are skipped, and so is whatever follows the sound. A
    file that ends early gives what was there. Wider samples are cut to their top 16 bits; stereo
    is the mean of both sides.
    """

    def __init__(self) -> None:
        self.rate_hz = 0
        """0 until the header is read."""
        self._held = bytearray()
        self._header_bytes = 0
        self._skip = 0
        self._left: int | None = None
        """Bytes of sound to come; None until the data chunk is reached."""
        self._channels = 0
        self._frame_bytes = 0
        self._decode: _Decoder = _from_8_bit

    def feed(self, data: bytes) -> Samples:
        """Take the next bytes and return the sound that is complete.

        Raises:
            BadAudio: it is no WAV file, or one of a kind that is not decoded. Of no use afterwards.
        """
        self._held += data
        while self._left is None:
            if not self._read_header():
                return SILENCE
        return self._read_sound(self._left)

    def close(self) -> None:
        """The file has ended.

        Raises:
            BadAudio: before its sound began.
        """
        if self._left is None:
            raise BadAudio("The WAV file ends before its sound begins. Record or send it again.")

    def _take(self, count: int) -> bytes:
        taken = bytes(self._held[:count])
        del self._held[:count]
        if self._left is None:
            self._header_bytes += len(taken)
            if self._header_bytes > MAX_HEADER_BYTES:
                raise BadAudio(f"The WAV file has no sound within its first {MAX_HEADER_BYTES} B.")
        return taken

    def _read_header(self) -> bool:
        """Read one item of the header; False when more bytes are needed for it."""
        if self._skip:
            self._skip -= len(self._take(self._skip))
            return not self._skip
        if not self._header_bytes:
            return len(self._held) >= 12 and self._read_riff()
        if len(self._held) < 8:
            return False
        name, size = struct.unpack_from("<4sI", self._held)
        if name == b"fmt ":
            return self._read_fmt(size)
        self._take(8)
        if name == b"data":
            self._begin_sound(size)
        else:
            self._skip = size + size % 2  # chunks are padded to even lengths
        return True

    def _read_riff(self) -> bool:
        head = self._take(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            raise BadAudio(f"The sound is not a WAV file. Send {ACCEPTED}.")
        return True

    def _read_fmt(self, size: int) -> bool:
        if not 16 <= size <= 1024:
            raise BadAudio(f"The WAV header is damaged: a format chunk of {size} bytes.")
        if len(self._held) < 8 + size + size % 2:
            return False
        body = self._take(8 + size + size % 2)[8:]
        tag, channels, rate_hz, _, frame_bytes, bits = struct.unpack_from("<HHIIHH", body)
        if tag == _EXTENSIBLE and size >= 40 and body[26:40] == _SUBFORMAT_TAIL:
            (tag,) = struct.unpack_from("<H", body, 24)
        decode = _DECODERS.get((tag, bits))
        if (
            decode is None
            or channels not in {1, 2}
            or frame_bytes != channels * bits // 8
            or not 8_000 <= rate_hz <= 192_000
        ):
            raise BadAudio(
                f"This WAV file (format {tag}, {bits} bits, {channels} channels, {rate_hz} Hz) "
                f"is not of a kind that is decoded. Send {ACCEPTED}."
            )
        self._decode, self._channels = decode, channels
        self._frame_bytes, self.rate_hz = frame_bytes, rate_hz
        return True

    def _begin_sound(self, size: int) -> None:
        if not self.rate_hz:
            raise BadAudio("The WAV header is damaged: the sound comes before its format.")
        self._left = _ENDLESS if size in _UNKNOWN_SIZES else size

    def _read_sound(self, due: int) -> Samples:
        ready = min(len(self._held), due)
        data = self._take(ready - ready % self._frame_bytes)
        self._left = due - len(data)
        if self._left < self._frame_bytes:
            self._held.clear()
        samples = self._decode(np.frombuffer(data, np.uint8))
        if self._channels == 1:
            return samples
        left, right = samples.astype(np.int32).reshape(-1, 2).T
        return ((left + right) // 2).astype(np.int16)


# --- raw PCM -------------------------------------------------------------------------------------


class _RawReader:
    rate_hz = EAR_HZ

    def __init__(self) -> None:
        self._odd = b""

    def feed(self, data: bytes) -> Samples:
        whole = self._odd + data
        even = len(whole) - len(whole) % 2
        self._odd = whole[even:]
        return decode_s16le(whole[:even])

    def close(self) -> None:
        """Half a sample at the very end is dropped."""


# --- any clip ------------------------------------------------------------------------------------


class _Reader(Protocol):
    @property
    def rate_hz(self) -> int: ...
    def feed(self, data: bytes) -> Samples: ...
    def close(self) -> None: ...


_MAGIC = (
    (b"\x1aE\xdf\xa3", "WebM"),
    (b"OggS", "Ogg"),
    (b"fLaC", "FLAC"),
    (b"ID3", "MP3"),
    (b"RIFX", "big-endian WAV"),
    (b"RF64", "64-bit WAV"),
    (b"FORM", "AIFF"),
)
_HEAD_BYTES = 12
"""Enough to tell every container above; the smallest WAV file has 44."""


def container_name(head: bytes) -> str | None:
    """Name the container a file's first 12 bytes tell of; None for one we do not know."""
    if head[:4] == b"RIFF":
        return "WAV" if head[8:12] == b"WAVE" else "RIFF without WAVE"
    if head[4:8] == b"ftyp":
        return "MP4"
    if head[0] == 0xFF and head[1] & 0xE6 in {0xE2, 0xE4, 0xE6}:
        return "MP3"  # a frame's 11 sync bits, then a layer that exists (AAC has none)
    return next((name for magic, name in _MAGIC if head.startswith(magic)), None)


class ClipDecoder:
    """Decodes one recorded message while it arrives, cut anywhere.

    Any cutting of the same bytes gives the same sound: mono int16 at the clip's own rate, or at
    48 kHz if that is higher. Of a truncated clip, what was there.

    Args:
        format_name: what the client calls it: ``pcm`` for raw 16 kHz s16le mono; a MIME type will
            do. Anything else, and None, is told by the first bytes.
        max_bytes: of the whole clip, as it arrives.
    """

    def __init__(self, format_name: str | None, *, max_bytes: int = MAX_CLIP_BYTES) -> None:
        self._declared = _plain_name(format_name)
        self._max_bytes = max_bytes
        self._total = 0
        self._head = b""
        self._reader: _Reader | None = _RawReader() if self._declared == "pcm" else None
        self._down: Resampler | None = None

    def feed(self, data: bytes) -> list[Pcm]:
        """Take the next bytes and return the sound that is ready.

        Raises:
            BadAudio: the clip is too long, or of a kind that is not decoded; says which are. The
                decoder is of no use afterwards.
        """
        self._total += len(data)
        if self._total > self._max_bytes:
            raise BadAudio(
                f"The recording is longer than {self._max_bytes} bytes. Send it in shorter "
                "messages, or as 16 kHz mono."
            )
        if self._reader is None:
            self._head += data
            if len(self._head) < _HEAD_BYTES:
                return []
            self._reader, data = self._reader_for(self._head), self._head
        return self._pcm(self._reader, self._reader.feed(data))

    def close(self) -> list[Pcm]:
        """The clip has ended: return the rest of its sound. A clip of no bytes has none.

        Raises:
            BadAudio: it ended before its sound began.
        """
        if self._reader is None:
            if self._head:
                raise BadAudio(f"The recording ends within its header. Send {ACCEPTED}.")
            return []
        self._reader.close()
        rest = SILENCE if self._down is None else self._down.close()
        return [Pcm(rest, MAX_RATE_HZ)] if len(rest) else []

    def _reader_for(self, head: bytes) -> WavReader:
        name = container_name(head)
        if name != "WAV":
            kind = name or (
                f'of format "{self._declared}"' if self._declared else "of no known kind"
            )
            raise BadAudio(f"The recording is {kind}, which is not decoded here. Send {ACCEPTED}.")
        return WavReader()

    def _pcm(self, reader: _Reader, samples: Samples) -> list[Pcm]:
        if reader.rate_hz > MAX_RATE_HZ:
            self._down = self._down or Resampler(reader.rate_hz, MAX_RATE_HZ)
            return _some(Pcm(self._down.feed(samples), MAX_RATE_HZ))
        return _some(Pcm(samples, reader.rate_hz))


def _some(pcm: Pcm) -> list[Pcm]:
    return [pcm] if len(pcm.samples) else []


def _plain_name(format_name: str | None) -> str:
    """``audio/x-wav; codecs=1`` is wav."""
    name = (format_name or "").split(";")[0].strip().lower()
    return name.removeprefix("audio/").removeprefix("x-")


def read_wav(path: Path) -> Pcm:
    """Read a whole WAV file, mixed to mono int16, at its own rate (at most 48 kHz).

    Blocks while it reads.

    Raises:
        BadAudio: it cannot be read or decoded, or holds no sound; names the file and says why.
    """
    decoder = ClipDecoder(None, max_bytes=MAX_FILE_BYTES)
    pieces: list[Pcm] = []
    try:
        with path.open("rb") as file:
            while data := file.read(1024 * 1024):
                pieces += decoder.feed(data)
        pieces += decoder.close()
    except OSError as error:
        raise BadAudio(f"Cannot read {path}: {error.strerror}.") from error
    except BadAudio as error:
        raise BadAudio(f"Cannot use {path}. {error}") from error
    if not pieces:
        raise BadAudio(f"Cannot use {path}: it holds no sound.")
    return Pcm(np.concatenate([piece.samples for piece in pieces]), pieces[0].rate_hz)
