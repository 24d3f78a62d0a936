"""Noises that are no speech: what stands near a microphone, and what plays beside it.

Made by arithmetic from a generator that is passed in, so that two runs disturb alike: 16 kHz,
float64, at any level. They are made after what is published of the real ones; they stand for them,
and do not replace a recorded collection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from voicecore.audio import EAR_HZ

Sound: TypeAlias = npt.NDArray[np.float64]


def samples_of(duration_s: float) -> int:
    return round(duration_s * EAR_HZ)


def _shaped(rng: np.random.Generator, length: int, peaks: Sequence[tuple[float, float]]) -> Sound:
    """Make noise with resonances, each ``(hz, width_hz)``."""
    spectrum = np.fft.rfft(rng.normal(size=length))
    hz = np.fft.rfftfreq(length, 1 / EAR_HZ)
    response = sum((1 / (1 + ((hz - at) / width) ** 2) for at, width in peaks), np.zeros(len(hz)))
    return np.asarray(np.fft.irfft(spectrum * response, length))


def _decay(length: int, time_s: float) -> Sound:
    return np.asarray(np.exp(-np.arange(length) / (time_s * EAR_HZ)))


def _joined(parts: Sequence[tuple[float, Sound]]) -> Sound:
    """Mix sounds that begin at these seconds."""
    whole = np.zeros(max(samples_of(at) + len(part) for at, part in parts))
    for at, part in parts:
        start = samples_of(at)
        whole[start : start + len(part)] += part
    return whole


def harmonics(hz: Sound, partials: int, slope_db: float) -> Sound:
    """Make a tone of this course of pitch (one value for each sample), falling by the octave."""
    phase = 2 * np.pi * np.cumsum(hz) / EAR_HZ
    tones = [
        10 ** (-slope_db * np.log2(n) / 20) * np.sin(n * phase) * (n * hz < EAR_HZ / 2)
        for n in range(1, partials + 1)
    ]
    return np.asarray(np.sum(tones, axis=0))


def cough(rng: np.random.Generator) -> Sound:
    """A burst, a noisy middle, and in half of them a voiced end (Korpáš et al. 1996)."""
    middle_s = rng.uniform(0.06, 0.3)
    peaks = [(rng.uniform(350, 700), 200), (rng.uniform(1_000, 1_800), 350), (3_000, 1_500)]
    burst = _shaped(rng, samples_of(0.1), peaks) * _decay(samples_of(0.1), 0.02) * 4
    middle = _shaped(rng, samples_of(middle_s), peaks) * _decay(samples_of(middle_s), middle_s / 2)
    parts = [(0.0, burst), (0.03, middle)]
    if rng.random() < 0.5:
        length = samples_of(rng.uniform(0.05, 0.15))
        voiced = harmonics(np.linspace(rng.uniform(180, 400), 120, length), 20, 9)
        voiced *= np.hanning(length) * np.abs(middle).max() * 0.3
        parts.append((0.02 + middle_s, voiced))
    return _joined(parts)


def coughs(rng: np.random.Generator) -> Sound:
    return _joined([(n * rng.uniform(0.25, 0.6), cough(rng)) for n in range(rng.integers(1, 4))])


def keyboard(rng: np.random.Generator) -> Sound:
    """Typing: each key is a click down and a softer one up, 60 to 120 ms later."""
    parts, at = [], 0.0
    while at < 3.0:
        peaks = [(rng.uniform(1_500, 3_500), 800), (rng.uniform(4_000, 6_500), 1_500), (300, 150)]
        for later, loud in ((0.0, 1.0), (rng.uniform(0.06, 0.12), 0.5)):
            click = _shaped(rng, samples_of(0.04), peaks) * _decay(samples_of(0.04), 0.005)
            parts.append((at + later, click * loud * rng.uniform(0.5, 1)))
        at += rng.uniform(0.08, 0.25)
    return _joined(parts)


def knocks(rng: np.random.Generator) -> Sound:
    """Two to five blows on a door: decaying modes of the wood, and the attack."""
    modes = [(rng.uniform(80, 600), rng.uniform(0.02, 0.08)) for _ in range(5)]
    apart = rng.uniform(0.15, 0.35)
    length = samples_of(0.3)
    t = np.arange(length) / EAR_HZ
    body = sum(
        (np.sin(2 * np.pi * hz * t) * _decay(length, s) for hz, s in modes), np.zeros(length)
    )
    attack = np.pad(_shaped(rng, 320, [(1_500, 1_000)]) * _decay(320, 0.004) * 3, (0, length - 320))
    return _joined([(n * apart, body + attack) for n in range(rng.integers(2, 6))])


def chords(rng: np.random.Generator) -> Sound:
    """Sustained chords, with vibrato, struck or swelling."""
    parts = []
    for n in range(4):
        length = samples_of(0.8)
        t = np.arange(length) / EAR_HZ
        root = 110 * 2 ** (rng.integers(0, 13) / 12)
        vibrato = 1 + rng.choice([0, 0.01]) * np.sin(2 * np.pi * rng.uniform(4, 7) * t)
        tones = [harmonics(root * ratio * vibrato, 10, 8) for ratio in (1, 1.26, 1.5)]
        parts.append((n * 0.75, np.sum(tones, axis=0) * _decay(length, rng.choice([0.2, 2.0]))))
    return _joined(parts)


def melody(rng: np.random.Generator) -> Sound:
    """One instrument, notes of 150 to 500 ms with vibrato: the most like a voice."""
    parts, at = [], 0.0
    while at < 3.0:
        length = samples_of(rng.uniform(0.15, 0.5))
        t = np.arange(length) / EAR_HZ
        hz = 220 * 2 ** (rng.integers(0, 20) / 12) * (1 + 0.008 * np.sin(2 * np.pi * 5.5 * t))
        rise = np.minimum(1, t / 0.02) * np.minimum(1, t[::-1] / 0.03)
        parts.append((at, harmonics(hz, 12, rng.uniform(6, 12)) * rise))
        at += length / EAR_HZ
    return _joined(parts)


def drums(rng: np.random.Generator) -> Sound:
    """A bar or two of kick, snare and hi-hat."""
    beat = 60 / rng.uniform(80, 140)
    length = samples_of(0.25)
    t = np.arange(length) / EAR_HZ
    kick = np.sin(2 * np.pi * 50 * t + 25 * (1 - np.exp(-t * 30))) * _decay(length, 0.08) * 1.5
    snare = rng.normal(size=length) * _decay(length, 0.06)
    snare += np.sin(2 * np.pi * 190 * t) * _decay(length, 0.05)
    hat = np.diff(rng.normal(size=length + 1)) * _decay(length, 0.015) * 0.5
    parts = [(n * beat / 2, hat) for n in range(12)]
    parts += [(n * beat, (kick, snare)[n % 2]) for n in range(6)]
    return _joined(parts)


def burst(rng: np.random.Generator) -> Sound:
    """White or pink noise, 0.1 to 1 s, with a sharp or a soft beginning."""
    length = samples_of(rng.uniform(0.1, 1))
    spectrum = np.fft.rfft(rng.normal(size=length))
    if rng.random() < 0.5:
        spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    rise = np.minimum(1, np.arange(length) / (rng.choice([0.002, 0.1]) * EAR_HZ))
    return np.asarray(np.fft.irfft(spectrum, length) * rise * rise[::-1])


def breath(rng: np.random.Generator) -> Sound:
    """Breathing on the microphone: noise around 500 and 1500 Hz that swells and fades."""
    length = samples_of(rng.uniform(0.4, 1.2))
    peaks = [(rng.uniform(300, 800), 400), (rng.uniform(1_200, 2_200), 800)]
    return np.asarray(_shaped(rng, length, peaks) * np.hanning(length))


def hum(rng: np.random.Generator) -> Sound:
    """Mains hum or a motor that is switched on."""
    length = samples_of(2)
    hz = np.full(length, rng.choice([50.0, 60.0, rng.uniform(90, 250)]))
    wave = harmonics(hz, 12, rng.uniform(6, 12)) + rng.normal(0, 0.05, length)
    return wave * np.minimum(1, np.arange(length) / (0.05 * EAR_HZ))


def beeps(rng: np.random.Generator) -> Sound:
    """A telephone, an alarm, a notification."""
    length = samples_of(rng.uniform(0.08, 0.4))
    tone = harmonics(np.full(length, rng.uniform(400, 2_500)), 3, 12) * np.hanning(length) ** 0.2
    return _joined([(n * 1.5 * length / EAR_HZ, tone) for n in range(rng.integers(1, 5))])


NOISES: Mapping[str, Callable[[np.random.Generator], Sound]] = {
    "cough": coughs,
    "keyboard": keyboard,
    "knock": knocks,
    "chords": chords,
    "melody": melody,
    "drums": drums,
    "noise burst": burst,
    "breath": breath,
    "hum": hum,
    "beeps": beeps,
}
