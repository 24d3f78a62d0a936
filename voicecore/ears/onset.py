"""When a sound is a person who begins to speak.

The voice detector says it of single frames, and it says it of some coughs, knocks and tones. Two
cheap looks at the sound tell those from the beginning of speech:

* *A tone*: it repeats itself almost exactly. Voices change where they begin: over 40 ms the
  correlation of speech with itself one period later is mostly below 0.95. Hum, beeps and single
  instruments are above; and who sings a long note is heard a little later.
* *A fading sound*: coughs and blows begin with a loud noise and end in something like a voice.
  Speech begins the other way round: its vowels are louder than the consonant before them.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from voicecore.audio import EAR_HZ, SILENCE, Samples, to_float
from voicecore.engines.interface import VAD_FRAME_MS

TONE = 0.95
"""Correlation with itself one period later, from which a sound is no voice."""

LOWEST_PITCH_HZ, HIGHEST_PITCH_HZ = 70, 500
"""Of voices, and of the periods tried. Higher tones repeat at multiples of theirs, too."""

FADE_DB = 6.0
"""By how much a voiced frame may be softer than the noise before it."""

FADE_MS = 500
"""How long that noise is remembered: coughs come in pairs."""


def repeats(samples: Samples) -> float:
    """Say how exactly the end of a sound repeats itself: 1 for a tone, about 0 for noise.

    Its correlation with itself one period later, at the best period of a voice: one that is better
    than its neighbours; 0 if there is none. Needs 40 ms at 16 kHz.
    """
    # 8 kHz is enough for the periods, and halves the work.
    sound = to_float(samples).reshape(-1, 2).mean(axis=1)
    sound -= sound.mean()
    length, rate_hz = len(sound), EAR_HZ // 2
    spectrum = np.fft.rfft(sound, 2 * length)
    products = np.fft.irfft(spectrum.real**2 + spectrum.imag**2)
    lags = np.arange(rate_hz // HIGHEST_PITCH_HZ, rate_hz // LOWEST_PITCH_HZ + 1)
    energy = np.concatenate((np.zeros(1), np.cumsum(sound.astype(np.float64) ** 2)))
    both = energy[length - lags] * (energy[-1] - energy[lags])
    found = products[lags] / np.sqrt(both + 1e-12)
    inner = found[1:-1]
    periods = inner[(inner >= found[:-2]) & (inner >= found[2:])]
    return float(periods.max(initial=0))


def _power(frame: Samples) -> float:
    return float(np.mean(to_float(frame) ** 2)) if len(frame) else 0.0


class OnsetDetector:
    """Confirms that speech has begun, from frames and what the voice detector says of them.

    Normally three voiced frames of the last six, that are no tone, are speech (60 of 120 ms).
    *Guarded*, while a reply plays that should not stop for a cough: two frames of the last four
    that are no tone, do not fade, and are not the reply's echo; or twelve of the last fifteen,
    fading or not. Two guarded frames reject more noises than three unguarded ones.
    """

    GUARDED_NEEDED, GUARDED_WITHIN = 2, 4
    LASTING_NEEDED, LASTING_WITHIN = 12, 15

    def __init__(self, needed: int = 3) -> None:
        """Begin in silence; ``needed`` frames of the last twice as many are speech."""
        self._needed = needed
        self._before = SILENCE
        self._voices: deque[bool] = deque(maxlen=max(self.LASTING_WITHIN, 2 * needed))
        self._rising: deque[bool] = deque(maxlen=self.LASTING_WITHIN)
        self._noises: deque[Samples] = deque(maxlen=FADE_MS // VAD_FRAME_MS)
        """The last frames; an empty one where the detector heard a voice."""

    def feed(
        self, frame: Samples, *, voiced: bool, echo: bool = False, guarded: bool = False
    ) -> bool:
        """Take 20 ms (320 samples at 16 kHz) and say whether speech has begun.

        Args:
            frame: the sound.
            voiced: what the voice detector says of it.
            echo: it is explained by what is being played (`Echo.explains`).
            guarded: a reply plays; see the class.
        """
        self._noises.append(SILENCE if voiced or echo else frame)
        voice = voiced and not echo and not self._tone(frame)
        self._before = frame
        self._voices.append(voice)
        self._rising.append(voice and self._rises(frame))
        return voice and (self._guarded() if guarded else self._open())

    def reset(self) -> None:
        """Forget the past: after an onset, the next one is another."""
        self._before = SILENCE
        for past in (self._voices, self._rising, self._noises):
            past.clear()

    def _rises(self, frame: Samples) -> bool:
        # Reckoned only when it is asked: in silence it would cost more than the voice detector.
        return _power(frame) >= max(map(_power, self._noises)) * 10 ** (-FADE_DB / 10)

    def _tone(self, frame: Samples) -> bool:
        return len(self._before) > 0 and repeats(np.concatenate((self._before, frame))) >= TONE

    def _open(self) -> bool:
        return sum(list(self._voices)[-2 * self._needed :]) >= self._needed

    def _guarded(self) -> bool:
        rising = sum(list(self._rising)[-self.GUARDED_WITHIN :])
        lasting = sum(list(self._voices)[-self.LASTING_WITHIN :])
        return rising >= self.GUARDED_NEEDED or lasting >= self.LASTING_NEEDED
