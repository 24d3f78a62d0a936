"""The sizes of Whisper's input and output: the encoder's window, the longest plausible text."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from voicecore.audio import EAR_HZ, Samples, ms_to_samples, to_float

Mel: TypeAlias = npt.NDArray[np.float32]
"""Log-mel spectrogram as Whisper takes it, shape ``[bands, frames]``, 100 frames a second."""

FRAMES_PER_S = 100
FULL_FRAMES = 30 * FRAMES_PER_S  # the window Whisper was trained on: no more at once

FLOOR_FRAMES = 10 * FRAMES_PER_S
"""The shortest window. Of 183 short or noisy utterances (tiny.en, greedy), 44 were repeated in a
window of 6 s, 25 of 8 s, 7 of 10 s and 2 of 12 s; word errors on real speech are the same from 10
to 15 s. Encoding 8, 10, 12, 15 or 30 s takes 42, 55, 70, 105 or 390 ms on two cores."""

MARGIN_FRAMES = 2 * FRAMES_PER_S
"""Empty window behind the speech, from which the model knows that it has ended."""

EMPTY = np.float32(0)
"""What the rest of a window holds, as in faster-whisper: the middle of the model's scale. Filled
with silence (about -0.6) instead, 17 of the utterances above were repeated, not 7."""

SILENCE_RMS = 10 ** (-75 / 20)
"""An utterance whose loudest 100 ms are below -75 dB of full scale is not even decoded. Recordings
lowered to an RMS of -67 to -81 dB were not below it; noise in the last bit lies at -92 dB."""

VOICED = 0.35
"""A frame is voiced if its energy, in decibels, is this far from the quietest to the loudest, taken
as the 5th and 95th percentile."""

STEADY = 0.15
"""Sound whose loud frames are less than 6 dB (4 dB a tenth) above its quiet ones has no pauses: it
was 2 dB at most for hums, tones and noise, 9 dB and more for speech in noise 10 dB below it."""

PAUSE_FRAMES = 4 * FRAMES_PER_S // 10
"""Silence within an utterance behind which another sentence may begin. In 53 short or noisy
utterances of one sentence the longest was 300 ms but for real pauses; with a pause between two
sentences, it was 690 ms or more in 38."""

MAX_TOKENS = 448
"""The decoder's context, fixed by the model. Half of it is for the prompt."""

BASE_TOKENS = 10
TOKENS_PER_S = 8
TOKENS_PER_S_OTHER = 25
"""The longest plausible result. Fast English is 8 tokens a second; scripts that the tokenizer cuts
into bytes (Thai, Hindi) need up to three times as many. More is a loop."""


def window_frames(
    speech_frames: int, floor: int = FLOOR_FRAMES, margin: int = MARGIN_FRAMES
) -> int:
    """Size a window: the speech and a margin, from the floor to 30 s, an even number.

    The encoder halves the frames.
    """
    wanted = max(floor, speech_frames + margin)
    return min(FULL_FRAMES, wanted + wanted % 2)


def fit(mel: Mel, frames: int) -> Mel:
    """Extend (or cut) a spectrogram to a window."""
    window = np.full((mel.shape[0], frames), EMPTY, np.float32)
    window[:, : mel.shape[1]] = mel[:, :frames]
    return window


def voiced_frames(mel: Mel) -> npt.NDArray[np.intp]:
    """Return the numbers of the frames that are loud enough to be speech, however loud it is."""
    if not mel.shape[1]:
        return np.empty(0, np.intp)
    level = mel.mean(axis=0)  # logarithms: relative to each other, decibels
    quiet, loud = np.percentile(level, (5, 95))
    if loud - quiet < STEADY:
        return np.arange(len(level))
    return np.flatnonzero(level > quiet + VOICED * (loud - quiet))


def has_pause(voiced: npt.NDArray[np.intp]) -> bool:
    """Whether at least `PAUSE_FRAMES` of silence lie between two voiced frames."""
    return len(voiced) > 1 and int(np.diff(voiced).max()) > PAUSE_FRAMES


def max_tokens(speech_frames: int, language: str) -> int:
    """Bound the result's length by the sound's, so that a loop ends soon."""
    rate = TOKENS_PER_S if language == "en" else TOKENS_PER_S_OTHER
    found = BASE_TOKENS + math.ceil(rate * speech_frames / FRAMES_PER_S)
    return min(found, MAX_TOKENS // 2)


def max_length(prompt: int, limit: int) -> int:
    """Give CTranslate2's ``max_length`` for at most ``limit`` tokens behind a prompt of so many.

    It writes at most half as many as it is given, and at most what the prompt but for its last
    token leaves.
    """
    return min(MAX_TOKENS, max(2 * limit, prompt - 1 + limit))


def is_silent(samples: Samples) -> bool:
    """Whether even the loudest 100 ms are below `SILENCE_RMS`."""
    block = ms_to_samples(100, EAR_HZ)
    padded = np.pad(to_float(samples), (0, -len(samples) % block)).reshape(-1, block)
    return not len(padded) or float(np.sqrt((padded**2).mean(axis=1)).max()) < SILENCE_RMS
