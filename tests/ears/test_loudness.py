"""Softness against the speech before it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from voicecore.audio import Samples
from voicecore.ears.loudness import LINGER_FRAMES, Loudness


def frame(level: int) -> Samples:
    return np.full(320, level, np.int16)


def feed(levels: list[int]) -> list[bool]:
    loudness = Loudness()
    return [loudness.feed(frame(level), voiced=True) for level in levels]


def test_what_is_30_db_softer_than_the_speech_before_is_soft() -> None:
    assert feed([10_000, 400, 250, 10_000]) == [True, True, False, True]


def test_a_voice_that_stays_soft_is_a_soft_voice() -> None:
    assert feed([10_000] + [100] * 9) == [True] + [False] * LINGER_FRAMES + [True] * 3


def test_a_sentence_may_grow_softer() -> None:
    """The loudest counts less and less: 5 dB after a second."""
    assert all(feed([10_000] + [round(10_000 / 10 ** (n / 200)) for n in range(300)]))


@given(st.lists(st.integers(0, 32_767), max_size=100))
def test_what_the_detector_does_not_hear_is_never_loud(levels: list[int]) -> None:
    loudness = Loudness()
    assert not any(loudness.feed(frame(level), voiced=False) for level in levels)
