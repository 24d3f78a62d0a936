"""The jitter buffer: when it starts, that it never clicks, that what is stopped stays silent."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore.audio import MOUTH_HZ, Pcm, Samples, ms_to_samples, resample
from voicecore.talk.playout import FADE, MOST_BUFFERED_MS, Playout, Puller

LEVEL = 20_000
STEP = LEVEL // FADE + 1
"""The most that a fade changes from one sample to the next, at this level."""


def ms(count: float) -> int:
    return ms_to_samples(count, MOUTH_HZ)


def loud(length_ms: float) -> Samples:
    """Constant sound, in which every sudden change is a click."""
    return np.full(ms(length_ms), LEVEL, np.int16)


def steps(sound: Samples) -> int:
    return int(np.abs(np.diff(sound.astype(int), prepend=0, append=0)).max())


def test_it_starts_when_80_ms_are_there() -> None:
    playout = Playout()
    playout.feed("a", loud(79))
    assert not playout.take(ms(10)).any()
    playout.feed("a", loud(1))
    assert playout.take(ms(10)).any()


def test_it_starts_with_less_after_120_ms() -> None:
    playout = Playout()
    playout.feed("a", loud(40))
    silent = [not playout.take(ms(10)).any() for _ in range(16)]
    assert silent == [True] * 12 + [False] * 4


def test_nothing_plays_without_sound() -> None:
    playout = Playout()
    assert not playout.take(ms(500)).any()
    assert not playout.sounding
    assert playout.position is None


def test_sound_begins_and_ends_without_a_click_and_is_untouched_between() -> None:
    playout = Playout()
    playout.feed("a", loud(200))
    sound = playout.take(ms(220))
    assert steps(sound) <= STEP
    assert (sound[FADE : ms(200) - FADE] == LEVEL).all()
    assert not sound[ms(200) :].any()
    assert not playout.sounding


def test_an_underrun_clicks_not_is_counted_and_makes_the_buffer_longer() -> None:
    playout = Playout()
    playout.feed("a", loud(100))
    sound = [playout.take(ms(10)) for _ in range(15)]
    playout.feed("a", loud(100))
    sound += [playout.take(ms(10)) for _ in range(2)]
    assert playout.underruns == 1
    assert not sound[-1].any(), "100 ms would have been enough before"
    playout.feed("a", loud(20))
    sound += [playout.take(ms(10)) for _ in range(30)]
    assert steps(np.concatenate(sound)) <= STEP


def test_the_next_speech_is_no_underrun() -> None:
    playout = Playout()
    playout.feed("a", loud(100))
    playout.take(ms(200))
    playout.feed("b", loud(100))
    assert playout.underruns == 0


def test_more_that_comes_while_it_fades_out_brings_it_back_without_a_click() -> None:
    playout = Playout()
    playout.feed("a", loud(100))
    sound = [playout.take(ms(97))]
    playout.feed("a", loud(100))
    sound.append(playout.take(ms(200)))
    assert steps(np.concatenate(sound)) <= STEP


@pytest.mark.parametrize("taken_ms", [2, 50, 97, 99.9])
def test_an_interruption_fades_within_5_ms(taken_ms: float) -> None:
    playout = Playout()
    playout.feed("a", loud(100))
    before = playout.take(ms(taken_ms))
    playout.interrupt("a")
    assert not playout.sounding
    after = playout.take(ms(50))
    assert steps(np.concatenate((before, after))) <= STEP
    assert not after[FADE:].any()


def test_what_was_stopped_never_plays_and_what_follows_does() -> None:
    playout = Playout()
    for speech in ("a", "a.2"):
        playout.feed(speech, loud(100))
    playout.take(ms(50))
    playout.interrupt("a.2")
    playout.take(ms(50))
    playout.feed("a", loud(100))
    playout.feed("a.2", loud(100))
    assert playout.stale_ms == 200
    assert not playout.take(ms(300)).any()
    playout.feed("a.3", loud(100))
    assert playout.take(ms(100)).any()
    assert playout.position == ("a.3", 100)


def test_a_speech_can_be_stopped_before_its_sound_came() -> None:
    playout = Playout()
    playout.interrupt("a")
    playout.feed("a", loud(100))
    assert not playout.take(ms(300)).any()


def test_position_counts_what_was_taken_of_the_speech() -> None:
    playout = Playout()
    playout.feed("a", loud(100))
    playout.feed("b", loud(100))
    positions = []
    for taken_ms in (30, 100):
        playout.take(ms(taken_ms))
        positions.append(playout.position)
    assert positions == [("a", 30), ("b", 30)]


def test_cleared_it_is_silent_and_the_speech_may_go_on() -> None:
    playout = Playout()
    playout.feed("a", loud(200))
    playout.take(ms(50))
    playout.clear()
    assert not playout.take(ms(50)).any()
    playout.feed("a", loud(300))
    assert playout.take(ms(300)).any()


def test_it_holds_two_minutes() -> None:
    playout = Playout()
    for _ in range(13):
        playout.feed("a", np.ones(ms(10_000), np.int16))
    assert playout.overflow_ms == 130_000 - MOST_BUFFERED_MS


sounds = st.integers(0, 2**32).map(
    lambda seed: np.random.default_rng(seed).integers(-9000, 9000, ms(150), dtype=np.int16)
)
cuts = st.lists(st.integers(0, ms(30)), max_size=20)


def cut(sound: Samples, sizes: list[int]) -> list[Samples]:
    return np.split(sound, np.cumsum(sizes)[np.cumsum(sizes) < len(sound)])


@given(sounds, cuts, cuts)
def test_any_chunks_in_and_out_give_the_same_sound(
    sound: Samples, sizes_in: list[int], sizes_out: list[int]
) -> None:
    whole, pieces = Playout(), Playout()
    whole.feed("a", sound)
    for piece in cut(sound, sizes_in):
        pieces.feed("a", piece)
    expected = whole.take(ms(200))
    taken = [pieces.take(size) for size in sizes_out]
    got = np.concatenate([*taken, pieces.take(ms(1200))])
    assert np.array_equal(got[: len(expected)], expected)


@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 48_000])
@given(sounds, st.lists(st.integers(0, 999), max_size=20))
def test_the_speakers_rate_is_met_whatever_it_takes(
    rate_hz: int, sound: Samples, sizes: list[int]
) -> None:
    def source() -> Puller:
        rest = [sound]

        def take(count: int) -> Samples:
            taken, rest[0] = rest[0][:count], rest[0][count:]
            return np.concatenate((taken, np.zeros(count - len(taken), np.int16)))

        return Puller(take, rate_hz)

    puller, total = source(), sum(sizes) + 100
    got = np.concatenate([*(puller.take(size) for size in sizes), puller.take(100)])
    assert np.array_equal(got, source().take(total))
    silence = np.zeros(MOUTH_HZ, np.int16)
    expected = resample(Pcm(np.concatenate((sound, silence)), MOUTH_HZ), rate_hz).samples
    assert np.array_equal(got, expected[:total])
