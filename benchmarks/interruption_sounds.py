"""Sounds for `benchmarks.interruptions`: people who begin to speak, and rooms that echo.

All of it is 16 kHz, float64 in [-1, 1], and made from a seeded generator: the same seed, the same
sounds. The noises are those of `voicecore.bench.noises`.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np

from voicecore.audio import EAR_HZ, MOUTH_HZ, Pcm, Samples, from_float, resample, to_float
from voicecore.bench.noises import Sound, samples_of

SPEECH_DB = -26.0
"""Level of speech, dB re full scale (RMS while it lasts): the nominal level of ITU-T P.56."""


def seconds(sound: Sound) -> float:
    return len(sound) / EAR_HZ


def as_samples(sound: Sound) -> Samples:
    return from_float(sound.astype(np.float32))


def as_sound(samples: Samples) -> Sound:
    return to_float(samples).astype(np.float64)


def at_level(sound: Sound, level_db: float) -> Sound:
    """Bring it to a level: the RMS of the 20 ms blocks within 20 dB of the loudest."""
    step = EAR_HZ // 50
    power = (sound[: len(sound) // step * step].reshape(-1, step) ** 2).mean(axis=1)
    active = power[power > power.max() / 100]
    return np.asarray(sound * 10 ** (level_db / 20) / np.sqrt(active.mean()))


def silence(duration_s: float) -> Sound:
    return np.zeros(samples_of(duration_s))


# --- people --------------------------------------------------------------------------------------


@attrs.frozen(eq=False)
class Voice:
    """Someone who begins to speak with the first sample."""

    name: str
    sound: Sound


QUIET_BEFORE_S = 0.15
"""Of a phrase: in a shorter pause the word before still sounds."""


def phrases(name: str, sound: Sound, longest_s: float = 2.5) -> Iterator[Voice]:
    """Cut a recording where speech begins after a pause, exact to 5 ms.

    It begins where the sound first rises 12 dB above the recording's quietest tenth, and is not
    more than 45 dB below its loudest part.
    """
    step = EAR_HZ // 200
    power = (sound[: len(sound) // step * step].reshape(-1, step) ** 2).mean(axis=1)
    floor = np.percentile(power, 10) * 10**1.2
    loud = power > max(floor, power.max() * 10**-4.5)
    quiet_before, last = round(QUIET_BEFORE_S * 200), -1_000
    for block in map(int, np.flatnonzero(loud)):
        if block - last > quiet_before and loud[block : block + 40].mean() > 0.6:
            start = block * step
            yield Voice(f"{name} {start}", sound[start : start + samples_of(longest_s)])
        last = block


# --- rooms ---------------------------------------------------------------------------------------


@attrs.frozen
class Room:
    """How a reply comes back into the microphone."""

    level_db: float
    """Of the echo, above that of speech (`SPEECH_DB`)."""
    delay_s: float = 0.15
    """Of all buffers, the network and the air."""
    rt60_s: float = 0.4
    """Time in which the reverberation falls by 60 dB."""
    direct_db: float = 3.0
    """The direct sound above the reverberation."""
    drift_ppm: float = 0.0
    """How much faster the client plays than it records."""
    canceller: str = "none"
    """The client's own: ``none``, or ``residue`` (it leaves what `_residue` says)."""

    def echo(self, reply: Sound, rng: np.random.Generator) -> Sound:
        """Give what the microphone hears of it."""
        played = np.tanh(reply * 2) / 2  # a small loudspeaker is not quite linear
        if self.drift_ppm:
            at = np.arange(len(played)) * (1 + self.drift_ppm / 1e6)
            played = np.interp(at, np.arange(len(played)), played)
        heard = _convolved(played, self._response(rng))
        if self.canceller == "residue":
            heard = _residue(heard, rng)
        late = samples_of(self.delay_s)
        loud = 10 ** ((self.level_db) / 20)
        return np.concatenate((np.zeros(late), heard * loud))[: len(reply)]

    def _response(self, rng: np.random.Generator) -> Sound:
        """Exponentially decaying noise after a direct path (Polack 1988)."""
        length = samples_of(self.rt60_s)
        tail = rng.normal(size=length) * 10 ** (-3 * np.arange(length) / length)
        tail[: samples_of(0.002)] = 0
        tail /= np.sqrt((tail**2).sum())
        tail[0] = 10 ** (self.direct_db / 20)
        return np.asarray(tail / np.sqrt((tail**2).sum()))


def _convolved(sound: Sound, response: Sound) -> Sound:
    length = 1 << (len(sound) + len(response)).bit_length()
    product = np.fft.rfft(sound, length) * np.fft.rfft(response, length)
    return np.fft.irfft(product, length)[: len(sound)]


def _residue(echo: Sound, rng: np.random.Generator) -> Sound:
    """What a canceller leaves: -15 to -40 dB, other in each band and 16 ms, now and then -5 dB."""
    size, hop = 512, 256
    window = np.sqrt(np.hanning(size + 1)[:-1])
    padded = np.pad(echo, (size, size))
    out = np.zeros(len(padded))
    for at in range(0, len(padded) - size, hop):
        gain_db = rng.uniform(-40, -15, 16)
        if rng.random() < 0.03:
            gain_db[rng.integers(0, 16) :] = -5
        gain = 10 ** (np.interp(np.arange(257), np.linspace(0, 256, 16), gain_db) / 20)
        part = np.fft.rfft(padded[at : at + size] * window) * gain
        out[at : at + size] += np.fft.irfft(part, size) * window
    return out[size : size + len(echo)]


def at_48_khz(sound: Sound) -> Samples:
    return resample(Pcm(as_samples(sound), EAR_HZ), MOUTH_HZ).samples
