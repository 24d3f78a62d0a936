"""Recordings in containers (WebM, Ogg, MP4, MP3 and others), decoded by FFmpeg as they arrive.

FFmpeg pulls: its demuxers ask a file for the next bytes and wait for them. A client pushes. So
FFmpeg, through PyAV, runs in a thread that takes the place of a coroutine: it works only while
`feed`, `close` or `abandon` waits for it, and stands still in the file's ``read`` at all other
times. Nothing happens in it that the caller did not ask for, and there is no lock to forget.

``read`` gives exactly what it is asked for, and less only at the end. So FFmpeg sees the same
reads however the bytes were cut, and makes the same sound of them. It is asked for 1 kB at a time,
and holds back that much: 0.25 s of Opus at 32 kbit/s.

What FFmpeg may do is bounded, as the bytes come from strangers:

- the container is told by the first bytes and never guessed, so that no playlist can make FFmpeg
  open files or addresses; and only codecs of speech recordings are opened;
- the sound is bounded by ``max_ms``, and a packet counts for 2.5 ms at least, the shortest that
  Opus has: hours of silence take a few kB, and packets without any sound take CPU time too;
- a single allocation is bounded (`MAX_ALLOCATION`): an MP4 index of some bytes can claim billions
  of entries;
- an MP4 file with its index at the end is kept whole, and its bytes are read three times at most.

Not bounded: a fault in FFmpeg's C code, which runs in this process.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Iterator
from itertools import groupby
from queue import SimpleQueue
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import outcome

from voicecore.audio import HIGHEST_HZ, LOWEST_HZ, Pcm
from voicecore.ears.formats import ACCEPTED, ACCEPTED_PLAIN, MAX_RATE_HZ, check_length
from voicecore.errors import BadAudio

if TYPE_CHECKING:
    from av import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

DEMUXERS = {
    "WebM": "matroska",
    "Ogg": "ogg",
    "MP4": "mov",
    "MP3": "mp3",
    "FLAC": "flac",
    "AAC": "aac",
    "AMR": "amr",
}
"""FFmpeg's demuxer for each container `formats.container_name` knows and we accept."""

CODECS = (
    "opus", "libopus", "vorbis", "flac", "mp3", "mp3float", "aac", "alac", "amrnb", "amrwb",
    "libopencore_amrnb", "libopencore_amrwb", "pcm_s16le", "pcm_s24le", "pcm_f32le",
)  # fmt: skip
"""FFmpeg's decoders that may be opened: what browsers and phones record with."""

READ_BYTES = 1024
"""FFmpeg's buffer; with its default of 32 kB, 8 s of Opus would wait for the end."""

PROBE_BYTES = 65_536
"""FFmpeg looks no further for what it wants to know of a stream (its default is 5 MB)."""

MAX_ALLOCATION = 8 * 1024 * 1024
"""Of a single block of FFmpeg's memory; its own bound is 2 GB. An index of 8 MB has 350 000
entries: two hours of AAC. It holds for all uses of PyAV in this process."""

MAX_STREAMS = 8
"""In one container, each with an index of its own; phones write up to three, besides a picture."""

MAX_CHANNELS = 8

SHORTEST_PACKET_MS = 2.5

_OPTIONS = {
    "codec_whitelist": ",".join(CODECS),
    "protocol_whitelist": "none",
    "max_streams": str(MAX_STREAMS),
    "probesize": str(PROBE_BYTES),
}


class ContainerReader:
    """Decodes one recording incrementally: bytes in, mono int16 out.

    The sound is at the recording's own rate, or at 48 kHz if that is higher. A file that ends early
    or is damaged gives what could be decoded. `feed` and `close` block while FFmpeg works, about
    3 ms for a second of sound: call them from a thread.

    Args:
        container: a key of `DEMUXERS`.
        max_ms: of its sound.
    """

    def __init__(self, container: str, *, max_ms: float) -> None:
        self._file = _ArrivingFile()
        self._sound: list[Pcm] = []
        self._result: outcome.Outcome[None] | None = None
        """None while FFmpeg wants more."""
        self._thread = threading.Thread(
            target=self._work, args=(container, max_ms), name="recording", daemon=True
        )

    def feed(self, data: bytes) -> list[Pcm]:
        """Take the next bytes and return the sound that is ready. What follows it is ignored.

        Raises:
            BadAudio: it cannot be decoded, is too long, or PyAV is missing. Of no use afterwards.
        """
        return self._give(data)

    def close(self) -> list[Pcm]:
        """The recording has ended: return the rest of its sound. The thread ends.

        Raises:
            BadAudio: as `feed`, or it ended before its sound began.
        """
        return self._give(None)

    def abandon(self) -> None:
        """End the thread, if it has not ended; waits for it (under a millisecond)."""
        self._file.abandoned = True
        if self._thread.ident is not None and self._result is None:
            self._file.give(None)
        if self._thread.ident is not None:
            self._thread.join()

    def _give(self, data: bytes | None) -> list[Pcm]:
        if self._result is None:
            if self._thread.ident is None:
                self._thread.start()
            self._file.give(data)
        if isinstance(self._result, outcome.Error):
            raise self._result.error
        sound, self._sound = self._sound, []
        return _joined(sound)

    def _work(self, container: str, max_ms: float) -> None:
        self._result = outcome.capture(self._decode, container, max_ms)
        self._file.finish()

    def _decode(self, container: str, max_ms: float) -> None:
        self._file.begin()
        for pcm in decode(self._file, container, max_ms):
            self._sound.append(pcm)


def _joined(sound: list[Pcm]) -> list[Pcm]:
    """Join pieces of equal rate: decoders give 20 ms at a time."""
    return [
        Pcm(np.concatenate([pcm.samples for pcm in pieces]), rate_hz)
        for rate_hz, pieces in groupby(sound, key=lambda pcm: pcm.rate_hz)
    ]


class _ArrivingFile:
    """What FFmpeg reads, and what the client's side fills. Only one of both sides runs at a time.

    Nothing here raises: PyAV prints what is raised in its callbacks, or loses it.
    """

    def __init__(self) -> None:
        self.abandoned = False
        self._arrived: SimpleQueue[bytes | None] = SimpleQueue()
        self._turns: SimpleQueue[None] = SimpleQueue()
        self._held = bytearray()
        self._at = 0
        self._given = 0
        self._ended = False
        self._kept = False

    # --- the client's side ---

    def give(self, data: bytes | None) -> None:
        """Add bytes, or with None the end, and wait until they are used up."""
        self._arrived.put(data)
        self._turns.get()

    # --- FFmpeg's side ---

    def begin(self) -> None:
        """Wait for the first bytes."""
        self._take()

    def finish(self) -> None:
        """Let the client's side run, for the last time."""
        self._turns.put(None)

    def peek(self, count: int) -> bytes:
        """Wait for the next ``count`` bytes, without reading them; fewer at the end."""
        while len(self._held) - self._at < count and not self._ended:
            self._turns.put(None)
            self._take()
        return bytes(self._held[self._at : self._at + count])

    def keep(self) -> None:
        """Keep all bytes, so that FFmpeg can go back."""
        self._kept = True

    def read(self, count: int) -> bytes:
        if self._given > 3 * len(self._held) and self._kept:
            return b""  # an index that leads FFmpeg over the same bytes again and again
        data = self.peek(count)
        self._given += len(data)
        self._at += len(data)
        if not self._kept:
            del self._held[: self._at]
            self._at = 0
        return data

    def seekable(self) -> bool:
        return self._kept

    def seek(self, offset: int, whence: int) -> int:
        """Go to an absolute (0) or relative (1) place; the end is not known, and refused."""
        if whence not in {0, 1}:
            return -1
        self._at = max(0, offset + whence * self._at)
        return self._at

    def tell(self) -> int:
        return self._at

    def _take(self) -> None:
        data = self._arrived.get()
        if data is None:
            self._ended = True
        else:
            self._held += data


def decode(file: _ArrivingFile, container: str, max_ms: float) -> Iterator[Pcm]:
    """Decode a recording in pieces of some 20 ms, until it ends or is abandoned.

    Raises:
        BadAudio: there is no sound in it that can be decoded; or too much.
    """
    av = _pyav()
    if container == "MP4" and not _index_comes_first(file):
        file.keep()
    ms = 0.0
    try:
        with av.open(
            file, format=DEMUXERS[container], options=_OPTIONS, metadata_errors="replace",
            buffer_size=READ_BYTES,
        ) as opened:  # fmt: skip
            for pcm in _sound(opened, file, max_ms):
                ms += pcm.ms
                check_length(ms, max_ms)
                yield pcm
    except (av.FFmpegError, ValueError, OverflowError) as error:
        problem = str(getattr(error, "strerror", None) or error)
        if not ms and not file.abandoned:
            raise BadAudio(
                f"The {container} recording is damaged, or ends before its sound begins "
                f"({problem}). Record or send it again."
            ) from error
    if not ms:
        raise BadAudio(f"The {container} recording holds no sound that can be decoded.")


@functools.cache
def _pyav() -> ModuleType:
    """Import PyAV, which takes some 50 ms, and bound FFmpeg's memory."""
    try:
        import av  # noqa: PLC0415

        # PyAV does not offer this; any of its modules leads to the FFmpeg it is linked with.
        limit = ctypes.CDLL(av.logging.__file__).av_max_alloc
    except (ImportError, OSError, AttributeError) as error:
        raise BadAudio(
            f"This host takes recordings only as {ACCEPTED_PLAIN}: PyAV, which decodes all others, "
            f"cannot be loaded ({error}). `pip install 'voicecore[clips]'` on the host brings it."
        ) from error
    limit(ctypes.c_size_t(MAX_ALLOCATION))
    return av


def _index_comes_first(file: _ArrivingFile) -> bool:
    """Whether an MP4 file can be decoded as it arrives: ``moov`` follows ``ftyp``.

    Browsers write it so, in fragments. Cameras and phones write the index last.
    """
    size = min(int.from_bytes(file.peek(4)), READ_BYTES)
    return file.peek(size + 8)[-4:] == b"moov"


def _sound(opened: InputContainer, file: _ArrivingFile, max_ms: float) -> Iterator[Pcm]:
    av = _pyav()
    stream, mono, ms = _sound_stream(opened), _Mono(), 0.0
    for packet in opened.demux(stream):
        if file.abandoned:
            return
        check_length(ms := ms + SHORTEST_PACKET_MS, max_ms)
        try:
            frames = packet.decode()
        except av.FFmpegError:
            continue  # a damaged packet; the next one may be whole
        for frame in frames:
            yield from mono.feed(frame)
    yield from mono.close()


def _sound_stream(opened: InputContainer) -> AudioStream:
    """Choose what is decoded: the first sound.

    Raises:
        BadAudio: there is none, or it is a video's.
    """
    picture = _pyav().stream.Disposition.attached_pic  # a cover
    if any(not stream.disposition & picture for stream in opened.streams.video):
        raise BadAudio(f"The recording is a video. Send {ACCEPTED}.")
    if not opened.streams.audio:
        raise BadAudio(f"The recording has no sound. Send {ACCEPTED}.")
    stream = opened.streams.audio[0]
    codec = getattr(stream.codec_context, "name", "unknown")
    if codec not in CODECS:
        raise BadAudio(f"The recording's codec ({codec}) is not decoded here. Send {ACCEPTED}.")
    stream.codec_context.thread_count = 1
    return stream


class _Mono:
    """Frames of any form to mono int16; the form may change on the way, as it does in AAC."""

    def __init__(self) -> None:
        self._form: tuple[str, str, int] | None = None
        self._resampler = _pyav().AudioResampler()

    def feed(self, frame: AudioFrame) -> list[Pcm]:
        """Take the next frame.

        Raises:
            BadAudio: its rate or its number of channels is not one of a microphone.
        """
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if form == self._form:
            return self._convert(frame)
        if (
            not LOWEST_HZ <= frame.sample_rate <= MAX_RATE_HZ
            or not 1 <= frame.layout.nb_channels <= MAX_CHANNELS
        ):
            raise BadAudio(
                f"The recording has {frame.layout.nb_channels} channels at {frame.sample_rate} Hz; "
                f"1 to {MAX_CHANNELS} at {LOWEST_HZ} to {MAX_RATE_HZ} Hz are accepted."
            )
        rest = self.close()
        self._form = form
        self._resampler = _pyav().AudioResampler(
            format="s16", layout="mono", rate=min(frame.sample_rate, HIGHEST_HZ)
        )
        return rest + self._convert(frame)

    def close(self) -> list[Pcm]:
        """Return what is held back."""
        return [] if self._form is None else self._convert(None)

    def _convert(self, frame: AudioFrame | None) -> list[Pcm]:
        return [
            Pcm(made.to_ndarray()[0], made.sample_rate)
            for made in self._resampler.resample(frame)
            if made is not None
        ]
