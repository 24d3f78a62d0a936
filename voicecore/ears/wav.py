"""WAV files and raw PCM, decoded as their bytes arrive."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from voicecore.audio import (
    EAR_HZ,
    HIGHEST_HZ,
    LOWEST_HZ,
    SILENCE,
    Pcm,
    Resampler,
    Samples,
    decode_s16le,
    from_float,
)
from voicecore.ears.formats import ACCEPTED, MAX_RATE_HZ
from voicecore.errors import BadAudio

MAX_HEADER_BYTES = 1024 * 1024
"""Of a WAV file before its sound. Editors put notes and pictures there, recorders nothing."""

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
    """Reads a WAV file incrementally: bytes in, mono int16 out.

    The sound is at the file's own rate, or at 48 kHz if that is higher. Chunks other than ``fmt``
    and ``data`` are skipped, and so is whatever follows the sound. A file that ends early gives
    what was there. Wider samples are cut to their top 16 bits; stereo is the mean of both sides.
    """

    def __init__(self) -> None:
        self._rate_hz = 0  # until the header is read
        self._down: Resampler | None = None
        self._held = bytearray()
        self._header_bytes = 0
        self._skip = 0
        self._left: int | None = None
        """Bytes of sound to come; None until the data chunk is reached."""
        self._channels = 0
        self._frame_bytes = 0
        self._decode: _Decoder = _from_8_bit

    def feed(self, data: bytes) -> list[Pcm]:
        """Take the next bytes and return the sound that is complete.

        Raises:
            BadAudio: it is no WAV file, or one of a kind that is not decoded. Of no use afterwards.
        """
        self._held += data
        while self._left is None:
            if not self._read_header():
                return []
        samples = self._read_sound(self._left)
        return self._pcm(samples if self._down is None else self._down.feed(samples))

    def close(self) -> list[Pcm]:
        """The file has ended: return the rest of its sound.

        Raises:
            BadAudio: before its sound began.
        """
        if self._left is None:
            raise BadAudio("The WAV file ends before its sound begins. Record or send it again.")
        return self._pcm(SILENCE if self._down is None else self._down.close())

    def _pcm(self, samples: Samples) -> list[Pcm]:
        return [Pcm(samples, min(self._rate_hz, HIGHEST_HZ))] if len(samples) else []

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
            or not LOWEST_HZ <= rate_hz <= MAX_RATE_HZ
        ):
            raise BadAudio(
                f"This WAV file (format {tag}, {bits} bits, {channels} channels, {rate_hz} Hz) "
                f"is not of a kind that is decoded. Send {ACCEPTED}."
            )
        self._decode, self._channels = decode, channels
        self._frame_bytes, self._rate_hz = frame_bytes, rate_hz
        if rate_hz > HIGHEST_HZ:
            self._down = Resampler(rate_hz, HIGHEST_HZ)
        return True

    def _begin_sound(self, size: int) -> None:
        if not self._rate_hz:
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


class RawReader:
    """Reads raw PCM incrementally: 16 kHz, signed 16-bit little-endian, mono."""

    def __init__(self) -> None:
        self._odd = b""
        self._begun = False

    def feed(self, data: bytes) -> list[Pcm]:
        """Take the next bytes and return the sound that is complete."""
        whole = self._odd + data
        even = len(whole) - len(whole) % 2
        self._odd, self._begun = whole[even:], self._begun or even > 0
        return [Pcm(decode_s16le(whole[:even]), EAR_HZ)] if even else []

    def close(self) -> list[Pcm]:
        """The sound has ended.

        Raises:
            BadAudio: within a sample; it is not what it is said to be.
        """
        if self._odd and self._begun:
            raise BadAudio(
                "The recording ends within a 16-bit sample: it has an odd number of bytes. "
                "Send it whole, as 16 kHz signed 16-bit little-endian mono."
            )
        return []
