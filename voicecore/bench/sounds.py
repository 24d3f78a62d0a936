"""Sound made by arithmetic: levels, room noise, and what disturbs a conversation.

All of it is 16 kHz, and random parts come from a generator that is passed in, so that two runs
disturb alike. The noises themselves are in `noises`.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from voicecore.audio import EAR_HZ, Samples, from_float, ms_to_samples, to_float
from voicecore.bench.noises import NOISES
from voicecore.client import last_spoken_sample

Floats = npt.NDArray[np.float64]

BLOCK_MS = 10
FAR_BELOW_DB = -40.0
"""Of the loudest 10 ms: what is quieter counts as silence, as in `client.last_spoken_sample`."""


def silence(ms: float) -> Samples:
    return np.zeros(ms_to_samples(ms, EAR_HZ), np.int16)


def gain(db: float) -> float:
    return float(10 ** (db / 20))


def louder(samples: Samples, db: float) -> Samples:
    """Change the level; what becomes too loud is clipped, as in a microphone."""
    return from_float((to_float(samples) * np.float32(gain(db))).astype(np.float32))


def level_db(samples: Samples) -> float:
    """Give the level of the speech in a sound: dB below full scale, over its loud 10 ms blocks."""
    power = _power(samples)
    loud = power[power > power.max(initial=0) * 1e-2]
    return 10 * float(np.log10(loud.mean() / 32768**2)) if len(loud) and loud.mean() else -96.0


def at_level(samples: Samples, db: float) -> Samples:
    """Bring the speech in a sound to a level, in dB below full scale."""
    return louder(samples, db - level_db(samples))


def _power(samples: Samples) -> Floats:
    step = ms_to_samples(BLOCK_MS, EAR_HZ)
    blocks = samples[: len(samples) // step * step].astype(np.float64).reshape(-1, step)
    return np.asarray((blocks**2).mean(axis=1))


def onset_sample(samples: Samples) -> int:
    """Find where speech begins: the first 10 ms less than 40 dB below the loudest 10 ms."""
    power = _power(samples)
    loud = np.flatnonzero(power > power.max(initial=0) * 10 ** (FAR_BELOW_DB / 10))
    return int(loud[0]) * ms_to_samples(BLOCK_MS, EAR_HZ) if len(loud) else 0


def trimmed(samples: Samples) -> Samples:
    """Cut the silence before and after speech away, so that both ends are exact times."""
    return samples[onset_sample(samples) : last_spoken_sample(samples)]


def joined(first: Samples, second: Samples, pause_ms: float) -> Samples:
    """Say two pieces with exactly this pause between them."""
    return np.concatenate((trimmed(first), silence(pause_ms), trimmed(second)))


def inner_pauses(samples: Samples, shortest_ms: float = 120) -> list[tuple[int, int]]:
    """Find the silences inside speech, each as its first sample and the one after its last.

    A pause is a stretch of at least ``shortest_ms`` more than 30 dB below the loudest 10 ms: room
    noise of a recording is still below that, and the closure of a "t" is shorter.
    """
    power, step = _power(samples), ms_to_samples(BLOCK_MS, EAR_HZ)
    loud = np.flatnonzero(power > power.max(initial=0) * 1e-3)
    shortest = shortest_ms / BLOCK_MS
    gaps = [(int(a) + 1, int(b)) for a, b in pairwise(loud) if b - a - 1 >= shortest]
    return [(begin * step, end * step) for begin, end in gaps]


def stretched(samples: Samples, pause: tuple[int, int], pause_ms: float) -> Samples:
    """Make one pause of a recording exactly this long, of its own quiet sound."""
    begin, end = pause
    wanted = ms_to_samples(pause_ms, EAR_HZ)
    quiet = np.resize(samples[begin:end], wanted)
    return np.concatenate((samples[:begin], quiet, samples[end:]))


# --- what disturbs -------------------------------------------------------------------------------


def room_noise(count: int, rms_db: float, rng: np.random.Generator) -> Samples:
    """Make the noise of a room: random, with less of it the higher the pitch."""
    white = rng.standard_normal(count + 64)
    smooth = np.convolve(white, np.hanning(16), "same")[:count] + 0.2 * white[:count]
    return _scaled(smooth, rms_db)


def noise(kind: str, rng: np.random.Generator, db: float) -> Samples:
    """Make one of `noises.NOISES`, as loud in its loud parts as speech of this level."""
    return at_level(_scaled(NOISES[kind](rng), -40.0), db)


def _scaled(sound: Floats, rms_db: float) -> Samples:
    """Scale to a level over the whole sound, in dB below full scale."""
    rms = float(np.sqrt((sound**2).mean()))
    return from_float((sound * (gain(rms_db) / rms)).astype(np.float32))
