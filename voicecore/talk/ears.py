"""From what the microphone gives to what the host is sent: 20 ms at 16 kHz, without the echo."""

from __future__ import annotations

import math
from typing import Protocol

from voicecore.audio import EAR_HZ, MOUTH_HZ, Framer, Resampler, Samples, to_float
from voicecore.client import FRAME_SAMPLES
from voicecore.talk.echo import Canceller, Decimator, EchoLine

FALL_DB_PER_S = 30
"""How fast the meter falls: a syllable stays readable."""

FLOOR_DBFS = -96.0
"""The quietest that 16 bits can say."""

SILENT_S = 5
"""Without one sample that is not zero. Even a quiet room gives some noise; this is a microphone
that is switched off, or another one."""


class Meter:
    """How loud the microphone is, as a person reads it: up at once, down slowly."""

    def __init__(self) -> None:
        self.dbfs = FLOOR_DBFS

    def feed(self, frame: Samples) -> None:
        """Take the next samples, 16 kHz."""
        power = float((to_float(frame) ** 2).mean()) if len(frame) else 0.0
        now = max(FLOOR_DBFS, 10 * math.log10(power)) if power else FLOOR_DBFS
        self.dbfs = max(now, self.dbfs - FALL_DB_PER_S * len(frame) / EAR_HZ)


class Narrower(Protocol):
    """Brings a stream of sound to another rate."""

    def feed(self, samples: Samples) -> Samples:
        """Take the next samples and return what is ready."""


class Ears:
    """Makes the host's frames of what the microphone and the speaker were doing."""

    def __init__(self, canceller: Canceller | None) -> None:
        self.meter = Meter()
        self.line = EchoLine()
        self._silent = 0  # samples
        self._canceller = canceller
        self._framer = Framer(FRAME_SAMPLES)
        self._rate_hz = 0
        self._narrower: Narrower = Resampler(EAR_HZ, EAR_HZ)

    def played(self, samples: Samples) -> None:
        """Take what the speaker was given, 48 kHz."""
        if self._canceller is not None:
            self.line.feed(samples)

    def heard(self, samples: Samples, rate_hz: int) -> list[Samples]:
        """Take what the microphone heard; return the frames that are complete."""
        if rate_hz != self._rate_hz:
            self._rate_hz, self._silent = rate_hz, 0
            self._narrower = Decimator() if rate_hz == MOUTH_HZ else Resampler(rate_hz, EAR_HZ)
        self._silent = 0 if samples.any() else self._silent + len(samples)
        frames = self._framer.feed(self._narrower.feed(samples))
        if self._canceller is not None:
            frames = [self._canceller.process(f, self.line.take(len(f))) for f in frames]
        for frame in frames:
            self.meter.feed(frame)
        return frames

    @property
    def silent(self) -> bool:
        """Whether the microphone itself, echo or not, seems to be switched off."""
        return self._silent >= SILENT_S * max(1, self._rate_hz)
