"""One recorded message of any kind that is accepted, decoded as its bytes arrive."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from voicecore.audio import Pcm, resample
from voicecore.ears.container import DEMUXERS, ContainerReader
from voicecore.ears.formats import (
    ACCEPTED,
    HEAD_BYTES,
    check_length,
    container_name,
    plain_name,
)
from voicecore.ears.wav import RawReader, WavReader
from voicecore.errors import BadAudio

MAX_FILE_BYTES = 1024 * 1024 * 1024
"""Of a file read whole: 1.5 hours of 48 kHz stereo, 0.5 GB in memory as mono."""

MAX_FILE_MS = 5_400_000
"""Of a file read whole: the same 1.5 hours, for containers that pack them into a few MB."""


class _Reader(Protocol):
    def feed(self, data: bytes) -> list[Pcm]: ...
    def close(self) -> list[Pcm]: ...


class ClipDecoder:
    """Decodes one recorded message while it arrives, cut anywhere.

    Any cutting of the same bytes gives the same sound: mono int16 at the clip's own rate, or at
    48 kHz if that is higher. Of a truncated or damaged clip, what could be decoded.

    A decoder that is not closed must be abandoned: a container's has a thread that waits.

    Args:
        format_name: what the client calls it: ``pcm`` for raw 16 kHz s16le mono; a MIME type will
            do. Anything else, and None, is told by the first bytes.
        max_bytes: of the whole clip, as it arrives.
        max_ms: of its sound.
    """

    def __init__(
        self,
        format_name: str | None,
        *,
        max_bytes: int = MAX_FILE_BYTES,
        max_ms: float = MAX_FILE_MS,
    ) -> None:
        self._declared = plain_name(format_name)
        self._max_bytes, self._max_ms = max_bytes, max_ms
        self._bytes = 0
        self._ms = 0.0
        self._head = b""
        self._reader: _Reader | None = RawReader() if self._declared == "pcm" else None

    def is_quick(self, data: bytes) -> bool:
        """Whether `feed` with these next bytes takes microseconds.

        It does not wait then, as it does for FFmpeg, which belongs in a thread.
        """
        if self._reader is not None:
            return not isinstance(self._reader, ContainerReader)
        head = (self._head + data)[:HEAD_BYTES]
        return len(head) < HEAD_BYTES or container_name(head) not in DEMUXERS

    def feed(self, data: bytes) -> list[Pcm]:
        """Take the next bytes and return the sound that is ready.

        Raises:
            BadAudio: the clip is too long, cannot be decoded, or is of a kind that is not decoded;
                says which are. The decoder is of no use afterwards.
        """
        self._bytes += len(data)
        if self._bytes > self._max_bytes:
            raise BadAudio(
                f"The recording is longer than {self._max_bytes} bytes. Send it in shorter "
                "messages, or as 16 kHz mono.",
                "RECORDING_TOO_LONG",
            )
        if self._reader is None:
            self._head += data
            if len(self._head) < HEAD_BYTES:
                return []
            self._reader, data = self._reader_for(self._head), self._head
        return self._checked(self._reader.feed(data))

    def close(self) -> list[Pcm]:
        """The clip has ended: return the rest of its sound. A clip of no bytes has none.

        Raises:
            BadAudio: it cannot be decoded, or ended before its sound began.
        """
        if self._reader is None:
            if self._head:
                raise BadAudio(f"The recording ends within its header. Send {ACCEPTED}.")
            return []
        return self._checked(self._reader.close())

    def abandon(self) -> None:
        """Nobody wants the clip any more: free what decodes it, within milliseconds."""
        if isinstance(self._reader, ContainerReader):
            self._reader.abandon()

    def _reader_for(self, head: bytes) -> _Reader:
        name = container_name(head[:HEAD_BYTES])
        if name == "WAV":
            return WavReader()
        if name in DEMUXERS:
            return ContainerReader(name, max_ms=self._max_ms)
        kind = name or (f'of format "{self._declared}"' if self._declared else "of no known kind")
        raise BadAudio(f"The recording is {kind}, which is not decoded here. Send {ACCEPTED}.")

    def _checked(self, sound: list[Pcm]) -> list[Pcm]:
        self._ms += sum(pcm.ms for pcm in sound)
        check_length(self._ms, self._max_ms)
        return sound


def read_clip(path: Path) -> Pcm:
    """Read a whole file of any kind in `ACCEPTED`: mono int16 at its own rate (at most 48 kHz).

    Blocks while it reads.

    Raises:
        BadAudio: it cannot be read or decoded, or holds no sound; names the file and says why.
    """
    decoder = ClipDecoder(None)
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
    finally:
        decoder.abandon()
    return _joined(pieces, path)


def _joined(pieces: list[Pcm], path: Path) -> Pcm:
    if not pieces:
        raise BadAudio(f"Cannot use {path}: it holds no sound.")
    rate_hz = pieces[0].rate_hz  # a file whose rate changes is rare, and brought to its first one
    return Pcm(np.concatenate([resample(piece, rate_hz).samples for piece in pieces]), rate_hz)
