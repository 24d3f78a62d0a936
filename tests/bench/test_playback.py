"""What plays, and what the microphone hears."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore.audio import Samples
from voicecore.bench.playback import FRAME, Echo, Microphone, Playback


def ramp(count: int, first: int = 1) -> Samples:
    return np.arange(first, first + count).astype(np.int16)


def taken(microphone: Microphone, frames: int) -> Samples:
    return np.concatenate([microphone.frame() for _ in range(frames)])


# --- playback ---


def test_sound_plays_behind_what_still_plays_and_at_once_after_a_gap() -> None:
    playback = Playback()
    assert playback.feed(1.0, ramp(4800)) == 1.0
    assert playback.feed(1.05, ramp(4800)) == pytest.approx(1.1)
    assert playback.feed(2.0, ramp(480)) == 2.0
    assert playback.ends_s == pytest.approx(2.01)
    assert np.allclose(playback.gaps(0.0, 9.0), [(1.2, 2.0)])


def test_a_gap_counts_only_in_the_time_asked_for() -> None:
    playback = Playback()
    for at in (1.0, 2.0, 3.0):
        playback.feed(at, ramp(480))
    assert len(playback.gaps(0.0, 9.0)) == 2
    assert np.allclose(playback.gaps(2.005, 9.0), [(2.01, 3.0)])
    assert playback.gaps(3.0, 9.0) == []


def test_what_was_not_played_is_dropped_and_what_was_stays() -> None:
    playback = Playback()
    playback.feed(0.0, ramp(4800))
    playback.feed(0.0, ramp(4800))
    assert playback.drop(0.05) == pytest.approx(0.15)
    assert np.array_equal(playback.played(0.0, 9.0), ramp(2400))
    assert playback.feed(0.05, ramp(480)) == pytest.approx(0.05)


@given(st.lists(st.integers(1, 2000), min_size=1, max_size=8), st.integers(0, 9000))
def test_any_cutting_of_the_sound_plays_the_same(cuts: list[int], until: int) -> None:
    whole, pieces = Playback(), Playback()
    sound = ramp(sum(cuts))
    whole.feed(0.0, sound)
    for piece in np.split(sound, np.cumsum(cuts)[:-1]):
        pieces.feed(0.0, piece)
    until_s = until / 48_000
    assert np.array_equal(whole.played(0.0, until_s), pieces.played(0.0, until_s))
    assert np.array_equal(whole.window(until_s, 960), pieces.window(until_s, 960))


def test_the_window_shows_the_gaps_too() -> None:
    playback = Playback()
    playback.feed(0.0, ramp(10))
    playback.feed(20 / 48_000, ramp(10, 100))
    expected = [*range(6, 11), *[0] * 10, *range(100, 105)]
    assert playback.window(5 / 48_000, 20).tolist() == expected


# --- the microphone ---


def test_a_voice_sounds_at_its_exact_sample() -> None:
    microphone = Microphone(10.0, np.random.default_rng(0))
    assert microphone.say(ramp(400), 10.03) == pytest.approx(10.03)
    sound = taken(microphone, 4)
    assert np.flatnonzero(sound)[0] == 480
    assert np.array_equal(sound[480:880], ramp(400))
    assert microphone.due_s == pytest.approx(10.1)


def test_what_is_said_too_late_begins_with_the_next_frame() -> None:
    microphone = Microphone(0.0, np.random.default_rng(0))
    microphone.frame()
    assert microphone.say(ramp(10), 0.001) == pytest.approx(0.02)
    assert np.array_equal(microphone.frame()[:10], ramp(10))


def test_voices_add_up_and_are_clipped_and_forgotten() -> None:
    microphone = Microphone(0.0, np.random.default_rng(0))
    for _ in range(2):
        microphone.say(np.full(FRAME, 30_000, np.int16))
    assert microphone.frame().tolist() == [32_767] * FRAME
    assert not microphone.frame().any()


def test_noise_has_its_level_and_is_the_same_for_the_same_seed() -> None:
    sounds = []
    for _ in range(2):
        microphone = Microphone(0.0, np.random.default_rng(7))
        microphone.noise_db = -40.0
        sounds.append(taken(microphone, 50))
    assert np.array_equal(sounds[0], sounds[1])
    rms = np.sqrt((sounds[0].astype(float) ** 2).mean())
    assert 20 * np.log10(rms / 32768) == pytest.approx(-40, abs=0.5)


def test_an_echo_is_what_played_later_and_softer() -> None:
    playback = Playback()
    playback.feed(0.0, np.full(4800, 10_000, np.int16))
    microphone = Microphone(0.0, np.random.default_rng(0))
    microphone.echo = Echo(playback, delay_s=0.03, gain=0.1)
    sound = taken(microphone, 10)
    heard = np.flatnonzero(sound)
    assert (heard[0], heard[-1]) == (480, 480 + 1600 - 1)
    assert set(sound[heard].tolist()) == {1000}
