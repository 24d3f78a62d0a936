"""Recordings made harder, so that nothing is tuned to the few there are.

Seeded: the same recordings give the same alterations.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from voicecore.audio import EAR_HZ, Samples

SNR_DB = (8.0, 25.0)
"""Of white noise, to the recording's mean power: a fan nearby to a quiet room."""
LEVEL_DB = (-30.0, 0.0)
SPEED = (0.9, 1.15)
PAUSE_S = (0.3, 0.9)
"""Between two sentences of one turn."""
ROOM_RMS = 8.0
"""Of a pause: -72 dB of full scale."""


@attrs.frozen(eq=False)
class Clip:
    name: str
    samples: Samples
    said: str


def altered(clips: Sequence[Clip], count: int) -> list[Clip]:
    """Play each clip ``count`` times with noise, another level and another speed."""
    rng = np.random.default_rng(1)
    return [
        Clip(f"{clip.name}, altered {number + 1}", _alter(clip.samples, rng), clip.said)
        for clip in clips
        for number in range(count)
    ]


def joined(clips: Sequence[Clip], count: int) -> list[Clip]:
    """Make ``count`` clips of two at random with a pause between them, of 30 s at most."""
    rng = np.random.default_rng(2)
    made: list[Clip] = []
    while len(made) < count:
        first, second = (clips[index] for index in rng.integers(len(clips), size=2))
        pause = rng.normal(0, ROOM_RMS, round(rng.uniform(*PAUSE_S) * EAR_HZ)).astype(np.int16)
        samples = np.concatenate((first.samples, pause, second.samples))
        if len(samples) <= 30 * EAR_HZ:
            made.append(Clip(f"joined {len(made) + 1}", samples, f"{first.said} {second.said}"))
    return made


def _alter(samples: Samples, rng: np.random.Generator) -> Samples:
    sound = samples.astype(np.float64)
    places = np.arange(0, len(sound), rng.uniform(*SPEED))
    sound = np.interp(places, np.arange(len(sound)), sound)
    noise_rms = np.sqrt(np.mean(sound**2)) * 10 ** (-rng.uniform(*SNR_DB) / 20)
    sound += rng.normal(0, noise_rms, len(sound))
    sound *= 10 ** (rng.uniform(*LEVEL_DB) / 20)
    clipped: Samples = np.clip(np.round(sound), -32768, 32767).astype(np.int16)
    return clipped
