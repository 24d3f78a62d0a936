"""A voice's sound, as it is made: level, and the silence before and after it."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from voicecore.audio import ms_to_samples

Sound: TypeAlias = npt.NDArray[np.float32]
"""Mono, full scale at 1, shape ``[samples]``."""

LEVEL = 10 ** (-24 / 20)
"""The level voices are brought to: 24 dB below full scale, root mean square (ATSC A/85 sets this
for broadcast, there weighted by ear). Peaks of the default voice then reach 0.85."""

_AUDIBLE = 0.003
"""50 dB below full scale; the voice is silent at 100 dB below. The first sound of 24 phrases, with
soft consonants among them, is found within 15 ms of the same place from 0.002 to 0.005."""

LEAD_MS = 20
"""Silence kept before a phrase; the voice makes up to 65 ms, which only delay it."""


class Trimmer:
    """Leaves `LEAD_MS` before the first audible sample, and the rest of a pause after the last.

    A sound that ends earlier is filled up with silence; one without an audible sample is empty.
    Silence within a sound passes at once as far as it may belong to the pause; only what is longer
    is held back until the sound goes on. Where a sentence had begun before, or goes on, nothing is
    left out or added.
    """

    def __init__(
        self, rate_hz: int, pause_ms: float, *, begun: bool = False, goes_on: bool = False
    ) -> None:
        self._lead = ms_to_samples(LEAD_MS, rate_hz)
        self._tail = max(0, ms_to_samples(pause_ms - LEAD_MS, rate_hz))
        self._held: Sound = np.zeros(0, np.float32)
        self._tail_given = self._given = 0
        self._goes_on = goes_on
        self.begun = begun
        """Whether anything was audible so far."""
        self.left_out = 0
        """Samples before the first that was given."""

    def feed(self, sound: Sound) -> list[Sound]:
        sound = np.concatenate((self._held, sound))
        audible = np.flatnonzero(np.abs(sound) > _AUDIBLE)
        if not self.begun:
            begin = max(0, (audible[0] if len(audible) else len(sound)) - self._lead)
            self.left_out += int(begin)
            self.begun = len(audible) > 0
            sound, audible = sound[begin:], audible - begin
        end = self._end(sound, audible) if self.begun else 0
        self._held = sound[end:]
        self._given += end
        return [sound[:end]] if end else []

    def _end(self, sound: Sound, audible: npt.NDArray[np.intp]) -> int:
        """Say how much of a sound that has begun can be given."""
        if self._goes_on:
            end = len(sound)
        elif len(audible):
            last = int(audible[-1]) + 1
            end = min(len(sound), last + self._tail)
            self._tail_given = end - last
        else:
            end = min(len(sound), self._tail - self._tail_given)
            self._tail_given += end
        return end

    def close(self, at_least: int = 0) -> list[Sound]:
        """Return the rest of the pause, and more silence up to ``at_least`` samples in all."""
        if self._goes_on:
            return []
        pause = self._tail - self._tail_given if self.begun else 0
        rest = max(pause, at_least - self._given)
        return [np.zeros(rest, np.float32)] if rest > 0 else []


def trim(sound: Sound, rate_hz: int, pause_ms: float) -> Sound:
    """Trim a whole sound as `Trimmer` does."""
    trimmer = Trimmer(rate_hz, pause_ms)
    return np.concatenate((sound[:0], *trimmer.feed(sound), *trimmer.close()))


def gain_of(sound: Sound) -> float:
    """Return what brings a sound to `LEVEL`.

    Raises:
        ValueError: it is silent.
    """
    if not len(sound):
        raise ValueError("it makes no sound")
    return LEVEL / float(np.sqrt(np.mean(np.square(sound))))
