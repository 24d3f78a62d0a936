from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore.audio import Framer, Pcm, Resampler, Samples, resample
from voicecore.engines.interface import SpeechChunk
from voicecore.mouth.upsample import Upsampler, chunker

RATES = st.sampled_from([8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000])
CUTS = st.lists(st.integers(0, 4_000), max_size=12).map(sorted)


def noise(samples: int, *, seed: int = 0, level: int = 30_000) -> Samples:
    random = np.random.default_rng(seed)
    return random.integers(-level, level, samples).astype(np.int16)


def tone(samples: int, rate_hz: int, hz: float = 440, level: float = 10_000) -> Samples:
    return np.rint(np.sin(np.arange(samples) * 2 * np.pi * hz / rate_hz) * level).astype(np.int16)


def pieces(samples: Samples, cuts: list[int]) -> list[Samples]:
    return np.split(samples, [min(cut, len(samples)) for cut in cuts])


def upsampled(parts: list[Samples], rate_hz: int) -> Samples:
    upsampler = Upsampler()
    ready = [upsampler.feed(SpeechChunk(part, rate_hz)) for part in parts]
    return np.concatenate([*ready, upsampler.close()])


@given(st.integers(0, 4_000), RATES, CUTS)
def test_any_cutting_gives_the_same_sound_and_the_stated_length(
    length: int, rate_hz: int, cuts: list[int]
) -> None:
    sound = noise(length)
    whole = upsampled([sound], rate_hz)
    assert whole.dtype == np.int16
    assert len(whole) == math.floor(length * 48_000 / rate_hz + 0.5)
    assert np.array_equal(upsampled(pieces(sound, cuts), rate_hz), whole)


@given(st.integers(0, 2_000), st.integers(1, 2_000), RATES)
def test_a_phrase_does_not_depend_on_the_one_before(first: int, second: int, rate_hz: int) -> None:
    upsampler = Upsampler()
    upsampler.feed(SpeechChunk(noise(first, seed=1), rate_hz))
    upsampler.close()
    again = upsampler.feed(SpeechChunk(noise(second), rate_hz))
    assert np.array_equal(
        np.concatenate((again, upsampler.close())), upsampled([noise(second)], rate_hz)
    )


def test_48_khz_passes_untouched() -> None:
    sound = noise(1_000, level=32_768)
    assert np.array_equal(upsampled([sound], 48_000), sound)


def test_another_voices_rate_ends_the_sound_before_it() -> None:
    upsampler = Upsampler()
    parts = [
        upsampler.feed(SpeechChunk(tone(2_205, 22_050), 22_050)),
        upsampler.feed(SpeechChunk(tone(1_600, 16_000), 16_000)),
        upsampler.close(),
    ]
    expected = np.concatenate(
        (upsampled([tone(2_205, 22_050)], 22_050), upsampled([tone(1_600, 16_000)], 16_000))
    )
    assert np.array_equal(np.concatenate(parts), expected)


def test_full_scale_is_clipped_and_never_wraps() -> None:
    square = np.where(np.arange(4_410) // 50 % 2, 32_767, -32_768).astype(np.int16)
    up = upsampled([square], 22_050).astype(np.int32)
    assert up.max() == 32_767  # the filter overshoots at the edges
    assert up.min() == -32_768
    crossings = np.count_nonzero(np.diff(np.signbit(up)))
    assert crossings == np.count_nonzero(np.diff(np.signbit(square)))


def test_pieces_and_phrases_join_without_a_click() -> None:
    voice = tone(22_050, 22_050)
    voice = (voice * np.hanning(len(voice))).astype(np.int16)
    parts = np.split(voice, range(441, len(voice), 441))
    two_phrases = np.concatenate((upsampled(parts, 22_050), upsampled(parts, 22_050)))
    steepest = 10_000 * 2 * np.pi * 440 / 48_000
    assert np.abs(np.diff(two_phrases.astype(np.int32))).max() <= steepest + 2


def test_a_tone_keeps_its_level_and_its_place() -> None:
    up = upsampled([tone(22_050, 22_050)], 22_050)[4_800:-4_800]
    expected = tone(48_000, 48_000)[4_800:-4_800]
    assert np.abs(up.astype(np.int32) - expected).max() <= 2


def test_an_empty_phrase_is_empty() -> None:
    upsampler = Upsampler()
    assert len(upsampler.feed(SpeechChunk(np.zeros(0, np.int16), 22_050))) == 0
    assert len(upsampler.close()) == 0


def test_nothing_is_held_back_for_long() -> None:
    upsampler = Upsampler()
    ready = sum(len(upsampler.feed(SpeechChunk(noise(441), 22_050))) for _ in range(50))
    assert 48_000 - ready <= 48 * 60


@given(st.integers(0, 3_000), st.integers(1, 700), CUTS)
def test_frames_have_one_length_and_lose_nothing(length: int, frame: int, cuts: list[int]) -> None:
    sound = noise(length)
    framer = Framer(frame)
    frames = [ready for part in pieces(sound, cuts) for ready in framer.feed(part)]
    rest = framer.close()
    assert {len(one) for one in frames} <= {frame}
    assert len(frames) == length // frame
    assert sum(map(len, rest)) == length % frame
    assert np.array_equal(np.concatenate([*frames, *rest, sound[:0]]), sound)
    assert framer.close() == []


def test_a_chunk_of_40_ms_is_1920_samples() -> None:
    assert [len(chunk) for chunk in chunker(40).feed(noise(4_000))] == [1_920, 1_920]


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 48_000])
def test_a_whole_sound_is_resampled(rate_hz: int) -> None:
    pcm = resample(Pcm(tone(rate_hz, rate_hz), rate_hz), 16_000)
    assert pcm.rate_hz == 16_000
    middle = pcm.samples[1_600:-1_600].astype(np.int32)
    assert np.abs(middle - tone(16_000, 16_000)[1_600:-1_600]).max() <= 2


def test_the_same_sound_twice_gives_the_same_samples() -> None:
    # soxr's own 16-bit path would not: it adds random dither.
    sound = noise(5_000)
    once, twice = (Resampler(22_050, 48_000).feed(sound) for _ in range(2))
    assert np.array_equal(once, twice)
