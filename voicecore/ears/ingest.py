"""Sound as clients send it to 20 ms frames of 16 kHz, without ever holding up the socket."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import trio

from voicecore.audio import (
    EAR_HZ,
    HIGHEST_HZ,
    LOWEST_HZ,
    Framer,
    Pcm,
    Resampler,
    Samples,
    ms_to_samples,
)
from voicecore.engines.interface import VAD_FRAME_MS
from voicecore.errors import ClientError

FRAME_SAMPLES = ms_to_samples(VAD_FRAME_MS, EAR_HZ)
"""320."""


class Ingest:
    """Makes frames of exactly 20 ms (320 samples) of 16 kHz int16 out of pieces of any length.

    Any cutting of the same sound gives the same frames. The sound itself is not touched: no gain,
    no offset removed. What is fed at 16 kHz comes out at once, as soon as a frame is full; other
    rates come later by what `Resampler` holds back (48 kHz: 22 ms on average).
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget what is held, and begin a new stream."""
        self._rate_hz = EAR_HZ
        self._resampler = Resampler(EAR_HZ, EAR_HZ)
        self._framer = Framer(FRAME_SAMPLES)

    def feed(self, pcm: Pcm) -> list[Samples]:
        """Take the next sound and return the frames it completes.

        A change of rate ends the resampling before it; no sample is lost.

        Raises:
            ClientError: ``BAD_SAMPLE_RATE``; the stream is as it was before.
        """
        frames: list[Samples] = []
        if pcm.rate_hz != self._rate_hz:
            _check_rate(pcm.rate_hz)
            frames = self._framer.feed(self._resampler.close())
            self._rate_hz = pcm.rate_hz
            self._resampler = Resampler(pcm.rate_hz, EAR_HZ)
        return frames + self._framer.feed(self._resampler.feed(pcm.samples))

    def close(self) -> list[Samples]:
        """Return the rest, its last frame filled up with silence so that no word loses its end."""
        frames = self._framer.feed(self._resampler.close())
        for rest in self._framer.close():
            frames.append(np.pad(rest, (0, FRAME_SAMPLES - len(rest))))
        return frames


def _check_rate(rate_hz: int) -> None:
    if not LOWEST_HZ <= rate_hz <= HIGHEST_HZ:
        raise ClientError(
            f"Sound at {rate_hz} Hz cannot be used. Send a rate from {LOWEST_HZ} to "
            f"{HIGHEST_HZ} Hz; 16000 Hz is best.",
            "BAD_SAMPLE_RATE",
        )


class Microphone:
    """Where a client's sound comes in: turns it into frames at once, and never waits.

    A frame the channel has no room for is dropped: an unread microphone must not hold up the
    socket, pings and all (design, rule 7).

    Args:
        frames: to whoever listens. When nobody does any more, sound is dropped without a word.
        on_overrun: gets the milliseconds dropped, once for each piece of sound.
        on_error: gets what was wrong with a piece; the stream goes on as if it had not come.
    """

    def __init__(
        self,
        frames: trio.MemorySendChannel[Samples],
        on_overrun: Callable[[float], None],
        on_error: Callable[[ClientError], None],
    ) -> None:
        self._frames, self._on_overrun, self._on_error = frames, on_overrun, on_error
        self._source = Ingest()

    def take(self, pcm: Pcm) -> None:
        """Take a piece of sound. To resample 500 ms of it takes up to 0.4 ms."""
        try:
            frames = self._source.feed(pcm)
        except ClientError as error:
            self._on_error(error)
            return
        for at, frame in enumerate(frames):
            try:
                self._frames.send_nowait(frame)
            except trio.WouldBlock:
                # No reader runs while this does: the rest has no room either.
                self._on_overrun(float((len(frames) - at) * VAD_FRAME_MS))
                return
            except trio.BrokenResourceError:
                return
