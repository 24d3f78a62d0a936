"""The voice's sound to what both wires deliver: 48 kHz, in messages of one length."""

from __future__ import annotations

import numpy as np

from voicecore.audio import MOUTH_HZ, Framer, Resampler, Samples, ms_to_samples
from voicecore.engines.interface import SpeechChunk


class Upsampler:
    """Brings speech of any rate to 48 kHz int16.

    `close` at the end of each phrase. A phrase is a complete sound that begins and ends in
    silence, so nothing is heard where two meet; the pieces of one phrase go through one filter and
    join without a seam. A phrase of ``n`` samples gives ``n * 48000 / rate`` of them, rounded.
    The last 20 to 40 ms of a phrase come with `close`.
    """

    def __init__(self) -> None:
        self._rate_hz = MOUTH_HZ
        self._resampler = Resampler(MOUTH_HZ, MOUTH_HZ)

    def feed(self, chunk: SpeechChunk) -> Samples:
        """Take the next sound and return what is ready, which may be nothing.

        Another voice may have another rate: a change of rate ends the sound before it, as `close`.
        """
        if chunk.rate_hz == self._rate_hz:
            return self._resampler.feed(chunk.samples)
        before = self.close()
        self._rate_hz = chunk.rate_hz
        self._resampler = Resampler(chunk.rate_hz, MOUTH_HZ)
        ready = self._resampler.feed(chunk.samples)
        return np.concatenate((before, ready)) if len(before) else ready

    def close(self) -> Samples:
        """End the phrase and return the rest of it; the next `feed` begins a new one."""
        return self._resampler.close()


def chunker(chunk_ms: int) -> Framer:
    """Make the cutter for messages: ``chunk_ms`` of 48 kHz sound each, 1920 samples for 40 ms."""
    return Framer(ms_to_samples(chunk_ms, MOUTH_HZ))
