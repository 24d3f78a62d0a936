"""Levels, pauses and noises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore.audio import Samples
from voicecore.bench import sounds
from voicecore.bench.noises import NOISES
from voicecore.client import last_spoken_sample
from voicecore.engines.fake import babble

LOUD = babble(8_000)


def padded(before: int, after: int) -> Samples:
    return np.concatenate([np.zeros(before, np.int16), LOUD, np.zeros(after, np.int16)])


@given(st.integers(0, 4000), st.integers(0, 4000))
def test_speech_is_found_to_10_ms(before: int, after: int) -> None:
    sound = padded(before, after)
    assert abs(sounds.onset_sample(sound) - before) <= 160
    assert abs(last_spoken_sample(sound) - before - len(LOUD)) <= 160


@pytest.mark.parametrize("pause_ms", [300, 550, 800])
def test_two_halves_are_joined_with_exactly_the_pause(pause_ms: int) -> None:
    joined = sounds.joined(padded(1600, 800), padded(320, 3200), pause_ms)
    assert len(joined) == 2 * len(LOUD) + pause_ms * 16
    (pause,) = sounds.inner_pauses(joined)
    assert pause[1] - pause[0] == pytest.approx(pause_ms * 16, abs=320)


@pytest.mark.parametrize("pause_ms", [200, 700])
def test_a_pause_of_a_recording_becomes_as_long_as_wanted(pause_ms: int) -> None:
    sound = sounds.joined(LOUD, LOUD, 400)
    (pause,) = sounds.inner_pauses(sound)
    stretched = sounds.stretched(sound, pause, pause_ms)
    (changed,) = sounds.inner_pauses(stretched)
    assert changed[1] - changed[0] == pytest.approx(pause_ms * 16, abs=320)
    # The words on both sides are untouched.
    assert np.array_equal(stretched[: pause[0]], sound[: pause[0]])
    assert np.array_equal(stretched[-len(LOUD) + 400 :], sound[-len(LOUD) + 400 :])


def test_a_closure_is_no_pause() -> None:
    assert sounds.inner_pauses(sounds.joined(LOUD, LOUD, 60)) == []


@given(st.floats(-40, -10))
def test_the_level_is_that_of_the_speech_not_of_the_silence_around_it(db: float) -> None:
    for sound in (LOUD, padded(16_000, 16_000)):
        assert sounds.level_db(sounds.at_level(sound, db)) == pytest.approx(db, abs=0.6)


def test_too_loud_is_clipped_and_never_wrapped() -> None:
    louder = sounds.louder(np.array([20_000, -20_000], np.int16), 12)
    assert louder.tolist() == [32_767, -32_767]


@pytest.mark.parametrize("kind", NOISES)
def test_noises_are_the_same_for_the_same_seed_and_else_differ(kind: str) -> None:
    one, again, other = (
        sounds.noise(kind, np.random.default_rng(seed), -26.0) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert 0 < np.abs(one.astype(int)).max() <= 32_767
    assert sounds.level_db(one) == pytest.approx(-26.0, abs=2.0)
