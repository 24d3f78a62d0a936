from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from voicecore.engines.whisper_window import (
    EMPTY,
    MARGIN_FRAMES,
    MAX_TOKENS,
    PAUSE_FRAMES,
    Mel,
    fit,
    has_pause,
    is_silent,
    max_length,
    max_tokens,
    voiced_frames,
    window_frames,
)


@given(st.integers(0, 3001))
def test_a_window_holds_the_speech_and_is_neither_too_short_nor_too_long(frames: int) -> None:
    window = window_frames(frames)
    assert window % 2 == 0
    assert 1000 <= window <= 3000
    assert window >= min(frames + MARGIN_FRAMES, 3000)


@given(st.integers(0, 50), st.integers(1, 50))
def test_a_spectrogram_is_extended_or_cut_to_the_window(frames: int, window: int) -> None:
    mel = np.random.default_rng(0).random((80, frames), np.float32)
    fitted = fit(mel, window)
    kept = min(frames, window)
    assert fitted.shape == (80, window)
    assert np.array_equal(fitted[:, :kept], mel[:, :kept])
    assert np.all(fitted[:, kept:] == EMPTY)


def levels(*parts: tuple[int, float]) -> Mel:
    """Make a spectrogram of parts, each (frames, level), with a little noise."""
    level = np.concatenate([np.full(frames, level) for frames, level in parts])
    noise = np.random.default_rng(0).normal(0, 0.02, (80, len(level)))
    return (level + noise).astype(np.float32)


@given(
    before=st.integers(20, 300),
    pause=st.integers(0, 100),
    after=st.integers(20, 300),
    level=st.floats(-1, 1),
)
def test_silence_between_voices_is_a_pause_if_it_is_long_enough(
    before: int, pause: int, after: int, level: float
) -> None:
    voice, silence = level, level - 0.5
    mel = levels((30, silence), (before, voice), (pause, silence), (after, voice), (30, silence))
    voiced = voiced_frames(mel)
    assert has_pause(voiced) == (pause >= PAUSE_FRAMES)
    assert (voiced[0], voiced[-1]) == (30, mel.shape[1] - 31)


@given(st.integers(0, 500), st.floats(0, 0.1))
def test_steady_sound_has_no_pause(frames: int, step: float) -> None:
    mel = levels((frames, 0.0), (frames, step))
    assert len(voiced_frames(mel)) == 2 * frames
    assert not has_pause(voiced_frames(mel))


def test_other_scripts_may_need_more_tokens() -> None:
    assert max_tokens(1000, "th") > max_tokens(1000, "en") == 90


@given(st.integers(0, 3000), st.sampled_from(["en", "th"]))
def test_a_result_may_take_half_of_the_decoders_context(frames: int, language: str) -> None:
    assert 10 <= max_tokens(frames, language) <= MAX_TOKENS // 2


@given(st.integers(2, 110), st.integers(1, MAX_TOKENS // 2))
def test_the_decoder_stops_at_the_limit_whatever_the_prompt(prompt: int, limit: int) -> None:
    length = max_length(prompt, limit)
    assert length <= MAX_TOKENS
    assert min(length // 2, length - (prompt - 1)) == limit  # as CTranslate2 counts


@given(st.integers(0, 8000), st.integers(1, 1600))
def test_a_sound_anywhere_is_not_silence(place: int, length: int) -> None:
    samples = np.zeros(16_000, np.int16)
    samples[place : place + length] = 1000
    assert not is_silent(samples)
