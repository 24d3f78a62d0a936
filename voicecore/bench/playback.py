"""The two ends of a person's headset, without I/O: what plays, what the microphone hears."""

from __future__ import annotations

from itertools import pairwise

import attrs
import numpy as np

from voicecore.audio import EAR_HZ, MOUTH_HZ, SILENCE, Samples
from voicecore.bench.sounds import room_noise

FRAME = EAR_HZ // 50
"""20 ms: what a browser's microphone would send."""

_EAR_PER_MOUTH = MOUTH_HZ // EAR_HZ


@attrs.define(eq=False)
class Stretch:
    """Sound that plays without a gap."""

    start_s: float
    samples: Samples

    @property
    def end_s(self) -> float:
        return self.start_s + len(self.samples) / MOUTH_HZ


class Playback:
    """Plays 48 kHz sound as it arrives, each piece behind the one before it."""

    def __init__(self) -> None:
        self.stretches: list[Stretch] = []

    @property
    def ends_s(self) -> float:
        """When all that was received has been played."""
        return self.stretches[-1].end_s if self.stretches else 0.0

    def feed(self, now_s: float, samples: Samples) -> float:
        """Take a piece; return when its first sample plays."""
        start_s = max(now_s, self.ends_s)
        self.stretches.append(Stretch(start_s, samples))
        return start_s

    def drop(self, now_s: float) -> float:
        """Throw away what has not been played; return how many seconds that was."""
        dropped_s = max(0.0, self.ends_s - now_s)
        for stretch in self.stretches:
            keep = round(max(0.0, now_s - stretch.start_s) * MOUTH_HZ)
            stretch.samples = stretch.samples[:keep]
        self.stretches = [stretch for stretch in self.stretches if len(stretch.samples)]
        return dropped_s

    def played(self, from_s: float, to_s: float) -> Samples:
        """Give what was heard between two times, without the gaps."""
        heard = [
            stretch.samples[self._index(stretch, from_s) : self._index(stretch, to_s)]
            for stretch in self.stretches
        ]
        return np.concatenate(heard) if heard else SILENCE

    def window(self, from_s: float, count: int) -> Samples:
        """Give ``count`` samples of what the loudspeaker gave from a time on, gaps included."""
        sound = np.zeros(count, np.int16)
        for stretch in reversed(self.stretches):
            at = round((stretch.start_s - from_s) * MOUTH_HZ)
            if at + len(stretch.samples) <= 0:
                break  # older ones ended even earlier
            begin, end = max(0, at), min(count, at + len(stretch.samples))
            if begin < end:
                sound[begin:end] = stretch.samples[begin - at : end - at]
        return sound

    def gaps(self, from_s: float, to_s: float) -> list[tuple[float, float]]:
        """Give the times when nothing played between two pieces, each as begin and end.

        A gap counts if it touches the time asked for; the silence after the last piece is none.
        """
        return [
            (one.end_s, other.start_s)
            for one, other in pairwise(self.stretches)
            if other.start_s > one.end_s + 1e-6 and one.end_s < to_s and other.start_s > from_s
        ]

    @staticmethod
    def _index(stretch: Stretch, at_s: float) -> int:
        return max(0, round((at_s - stretch.start_s) * MOUTH_HZ))


@attrs.define(eq=False)
class Echo:
    """The assistant's own sound, back in the microphone."""

    playback: Playback
    delay_s: float
    gain: float

    def at(self, now_s: float, count: int) -> Samples:
        """Give ``count`` samples at 16 kHz from a time on.

        Three samples are averaged to one: a small loudspeaker loses as much of the high pitches.
        """
        sound = self.playback.window(now_s - self.delay_s, count * _EAR_PER_MOUTH)
        mean = sound.astype(np.float64).reshape(-1, _EAR_PER_MOUTH).mean(axis=1)
        echoed: Samples = np.rint(mean * self.gain).astype(np.int16)
        return echoed


@attrs.define(eq=False)
class _Voice:
    start: int
    samples: Samples


class Microphone:
    """What a microphone takes, in 20 ms frames: voices at exact samples, room noise, echo.

    Sample ``n`` is taken at ``begun_s + n / 16000``.
    """

    def __init__(self, begun_s: float, rng: np.random.Generator) -> None:
        """Begin at ``begun_s``, a time as `trio.current_time`."""
        self.begun_s = begun_s
        self.taken = 0
        """Samples so far."""
        self.noise_db: float | None = None
        """Level of the room's noise, below full scale; None for a silent room."""
        self.echo: Echo | None = None
        self._rng = rng
        self._voices: list[_Voice] = []

    def time_s(self, sample: int) -> float:
        return self.begun_s + sample / EAR_HZ

    @property
    def due_s(self) -> float:
        """When the next frame is complete: a microphone gives it when its last sample is taken."""
        return self.time_s(self.taken + FRAME)

    def say(self, samples: Samples, at_s: float | None = None) -> float:
        """Sound from the given time on, at the earliest from the next frame on; return when."""
        wanted = 0 if at_s is None else round((at_s - self.begun_s) * EAR_HZ)
        voice = _Voice(max(wanted, self.taken), samples)
        self._voices.append(voice)
        return self.time_s(voice.start)

    def frame(self) -> Samples:
        """Take the next 20 ms."""
        mixed = np.zeros(FRAME, np.int64)
        for voice in self._voices:
            _mix(mixed, voice.samples, voice.start - self.taken)
        if self.noise_db is not None:
            mixed += room_noise(FRAME, self.noise_db, self._rng)
        if self.echo is not None:
            mixed += self.echo.at(self.time_s(self.taken), FRAME)
        self.taken += FRAME
        self._voices = [v for v in self._voices if v.start + len(v.samples) > self.taken]
        return np.clip(mixed, -32768, 32767).astype(np.int16)


def _mix(frame: np.ndarray[tuple[int], np.dtype[np.int64]], samples: Samples, at: int) -> None:
    """Add the part of a sound that begins ``at`` samples after the frame's begin."""
    begin, end = max(0, at), min(len(frame), at + len(samples))
    if begin < end:
        frame[begin:end] += samples[begin - at : end - at]
