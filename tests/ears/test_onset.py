"""From voiced frames to speech that has begun."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore.audio import EAR_HZ, Samples
from voicecore.ears.onset import TONE, OnsetDetector, repeats

FRAME = 320
RNG = np.random.default_rng(0)


def noise(level: float = 1_000) -> Samples:
    return RNG.normal(0, level, FRAME).astype(np.int16)


def tone(hz: float, samples: int, start: int = 0) -> Samples:
    t = np.arange(start, start + samples) / EAR_HZ
    wave = sum(np.sin(2 * np.pi * n * hz * t) / n for n in range(1, 6))
    return np.asarray(wave * 3_000).astype(np.int16)


def feed(detector: OnsetDetector, marks: str, *, guarded: bool = False) -> list[int]:
    """Feed noise: V is voiced, E is voiced echo, any other mark is not voiced."""
    return [
        number
        for number, mark in enumerate(marks, start=1)
        if detector.feed(noise(), voiced=mark in "VE", echo=mark == "E", guarded=guarded)
    ]


# --- repeating -----------------------------------------------------------------------------------


@given(st.floats(80, 450))
def test_a_tone_repeats_itself(hz: float) -> None:
    assert repeats(tone(hz, 2 * FRAME)) > TONE


@pytest.mark.parametrize("seed", range(5))
def test_noise_does_not(seed: int) -> None:
    sound = np.random.default_rng(seed).normal(0, 1_000, 2 * FRAME).astype(np.int16)
    assert repeats(sound) < 0.6


def test_a_voice_whose_pitch_glides_repeats_itself_less_than_a_tone() -> None:
    hz = np.linspace(140, 170, 2 * FRAME)
    phase = 2 * np.pi * np.cumsum(hz) / EAR_HZ
    fading = np.linspace(0.4, 1, 2 * FRAME)
    wave = sum(np.sin(n * phase) / n for n in range(1, 20)) * fading
    assert 0.5 < repeats((wave * 3_000).astype(np.int16)) < TONE


def test_silence_repeats_nothing() -> None:
    assert repeats(np.zeros(2 * FRAME, np.int16)) == 0


# --- counting ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("marks", "guarded", "confirmed"),
    [
        ("VVV", False, [3]),
        ("V.V.V", False, [5]),
        ("V..V..V..V", False, []),
        ("VV...V", False, [6]),
        ("VV", True, [2]),
        ("V..V", True, [4]),
        ("V...V...V", True, []),
        ("........", True, []),
    ],
)
def test_enough_voiced_frames_are_speech(marks: str, guarded: bool, confirmed: list[int]) -> None:
    # A faint first sound, so that nothing fades.
    detector = OnsetDetector()
    found = [
        number
        for number, mark in enumerate(marks, start=1)
        if detector.feed(noise(1_000 if mark == "V" else 10), voiced=mark == "V", guarded=guarded)
    ]
    assert found == confirmed


@given(st.text("V.", max_size=40))
def test_an_unvoiced_frame_never_confirms(marks: str) -> None:
    for guarded in (False, True):
        found = feed(OnsetDetector(), marks, guarded=guarded)
        assert all(marks[number - 1] == "V" for number in found)


@given(st.text("E.", max_size=40))
def test_echo_never_confirms(marks: str) -> None:
    assert feed(OnsetDetector(), marks, guarded=True) == []


def test_loud_echo_does_not_hide_a_softer_person() -> None:
    detector = OnsetDetector()
    for voiced in (False, True, True):
        detector.feed(noise(20_000), voiced=voiced, echo=True, guarded=True)
    assert not detector.feed(noise(500), voiced=True, guarded=True)
    assert detector.feed(noise(500), voiced=True, guarded=True)


def test_a_tone_is_no_voice() -> None:
    detector = OnsetDetector()
    found = [
        detector.feed(tone(220, FRAME, at * FRAME), voiced=True, guarded=guarded)
        for guarded in (False, True)
        for at in range(20)
    ]
    assert not any(found[1:])


def test_what_fades_after_a_noise_is_no_voice_unless_it_lasts() -> None:
    detector = OnsetDetector()
    assert not detector.feed(noise(10_000), voiced=False, guarded=True)
    found = [detector.feed(noise(2_000), voiced=True, guarded=True) for _ in range(12)]
    assert found == [False] * 11 + [True]


def test_a_noise_is_forgotten_after_half_a_second() -> None:
    detector = OnsetDetector()
    detector.feed(noise(10_000), voiced=False, guarded=True)
    for _ in range(25):
        detector.feed(noise(10), voiced=False, guarded=True)
    assert [detector.feed(noise(3_000), voiced=True, guarded=True) for _ in range(2)][1]


def test_fading_matters_only_when_guarded() -> None:
    detector = OnsetDetector()
    detector.feed(noise(10_000), voiced=False)
    assert [detector.feed(noise(3_000), voiced=True) for _ in range(3)] == [False, False, True]


def test_reset_begins_anew() -> None:
    detector = OnsetDetector()
    feed(detector, "VVVV")
    detector.reset()
    assert feed(detector, "VVV") == [3]
