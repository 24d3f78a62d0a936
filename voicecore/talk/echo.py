"""The reply's own sound, taken out of what the microphone hears.

The canceller is WebRTC's AEC3, as in browsers, from the package ``pywebrtc-audio``. On speech that
came back 80 ms late and 10 dB softer it took 37 dB off the echo after 5 s, 29 dB within the first
2 s, for 0.1 ms of processor time in 10 ms (docs/talk.md).
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Protocol

import numpy as np

from voicecore.audio import EAR_HZ, MOUTH_HZ, SILENCE, Samples, ms_to_samples

RATIO = MOUTH_HZ // EAR_HZ

TAPS = 48
"""Of the low-pass filter: 60 dB at 9.5 kHz and above, for a delay of 0.5 ms. A resampler of better
quality takes 20 to 40 ms, and the canceller must know a sound before its echo arrives."""

HEADSTART_MS = 20
"""Silence put in front: the microphone and the speaker are served in turns of up to 20 ms, and
what was played must be there when the microphone's part of that time is looked at. The echo itself
is later than this by the buffers of both."""

MOST_AHEAD_MS = 120
"""The two devices' clocks differ, by up to some ms in a minute; beyond this the delay is set back
to `HEADSTART_MS`, to which the canceller adapts within a second."""


class Canceller(Protocol):
    """Removes an echo."""

    def process(self, near: Samples, far: Samples) -> Samples:
        """Take what the microphone heard and what the speaker was given meanwhile, 16 kHz."""


def is_installed() -> bool:
    """Say whether an echo canceller can be opened."""
    return find_spec("pywebrtc_audio") is not None


def open_canceller() -> Canceller:
    """Make a canceller that has heard nothing yet.

    Noise suppression and gain control stay off: the host's recognition was trained on what they
    would remove, and its voice detection sets its own levels.
    """
    canceller: Canceller = import_module("pywebrtc_audio").AudioProcessor(
        sample_rate=EAR_HZ, echo_cancellation=True, high_pass_filter=True
    )
    return canceller


class Decimator:
    """48 kHz to 16 kHz by a windowed sinc, nearly without delay. Any chunking, same output."""

    def __init__(self) -> None:
        at = (np.arange(TAPS) - (TAPS - 1) / 2) / RATIO
        taps = np.sinc(at * 0.92) * np.kaiser(TAPS, 6.0)
        self._taps = taps / taps.sum()
        self._past = np.zeros(TAPS - 1, np.int16)

    def feed(self, samples: Samples) -> Samples:
        """Take the next samples and return those that are ready."""
        sound = np.concatenate((self._past, samples))
        count = max(0, (len(sound) - TAPS) // RATIO + 1)
        self._past = sound[count * RATIO :]
        if not count:
            return SILENCE
        windows = np.lib.stride_tricks.sliding_window_view(sound, TAPS)[::RATIO][:count]
        # einsum adds each row by itself: a matrix product's sums depend on how many rows there are
        filtered = np.einsum("rt,t->r", windows.astype(np.float64), self._taps)
        whole: Samples = np.clip(np.rint(filtered), -32768, 32767).astype(np.int16)
        return whole


class EchoLine:
    """What was played, kept until the microphone's part of the same time is looked at."""

    def __init__(self) -> None:
        self.slips = 0
        """How often too much was waiting, because the devices' clocks differ."""
        self._decimator = Decimator()
        self._waiting: Samples = np.zeros(ms_to_samples(HEADSTART_MS, EAR_HZ), np.int16)

    def feed(self, played: Samples) -> None:
        """Take what the speaker was given, 48 kHz."""
        self._waiting = np.concatenate((self._waiting, self._decimator.feed(played)))

    def take(self, count: int) -> Samples:
        """Give as many samples as the microphone heard, 16 kHz; silence where nothing played."""
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        headstart = ms_to_samples(HEADSTART_MS, EAR_HZ)
        if len(self._waiting) > headstart + ms_to_samples(MOST_AHEAD_MS, EAR_HZ):
            self.slips += 1
            self._waiting = self._waiting[-headstart:]
        return np.concatenate((taken, np.zeros(count - len(taken), np.int16)))
