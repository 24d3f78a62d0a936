"""From the microphone to frames: rates, the echo's delay line, the meter, a silent microphone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore.audio import EAR_HZ, MOUTH_HZ, Samples, ms_to_samples
from voicecore.engines.fake import babble, tone
from voicecore.talk import echo
from voicecore.talk.ears import Ears, Meter
from voicecore.talk.echo import HEADSTART_MS, MOST_AHEAD_MS, Decimator, EchoLine

HEADSTART = ms_to_samples(HEADSTART_MS, EAR_HZ)


class Recorder:
    """A canceller that removes nothing and keeps what it was given."""

    def __init__(self) -> None:
        self.far: list[Samples] = []

    def process(self, near: Samples, far: Samples) -> Samples:
        self.far.append(far)
        return near


@given(st.lists(st.integers(0, 700), max_size=20))
def test_the_decimator_does_not_care_how_sound_is_cut(sizes: list[int]) -> None:
    sound = babble(4_000)
    parts = np.split(sound, np.cumsum(sizes)[np.cumsum(sizes) < len(sound)])
    decimator = Decimator()
    got = np.concatenate([decimator.feed(part) for part in parts])
    assert np.array_equal(got, Decimator().feed(sound))
    assert abs(len(got) - len(sound) / 3) < 1


def power_db(sound: Samples) -> float:
    return float(10 * np.log10((sound[200:].astype(float) ** 2).mean() + 1e-9))


@pytest.mark.parametrize("hz", [200, 1_000, 5_000])
def test_the_decimator_keeps_speech(hz: float) -> None:
    sound = tone(MOUTH_HZ, MOUTH_HZ, hz=hz)
    assert abs(power_db(Decimator().feed(sound)) - power_db(sound)) < 1


@pytest.mark.parametrize("hz", [10_000, 13_000, 20_000])
def test_the_decimator_lets_nothing_fold_back(hz: float) -> None:
    sound = tone(MOUTH_HZ, MOUTH_HZ, hz=hz)
    assert power_db(Decimator().feed(sound)) < power_db(sound) - 55


def played(at_ms: float, length_ms: float) -> Samples:
    """A click at a time, 48 kHz."""
    sound = np.zeros(ms_to_samples(length_ms, MOUTH_HZ), np.int16)
    sound[ms_to_samples(at_ms, MOUTH_HZ) :][:96] = 20_000
    return sound


def test_the_echo_line_is_late_by_its_headstart() -> None:
    line = EchoLine()
    line.feed(played(50, 100))
    far = np.concatenate([line.take(320) for _ in range(5)])
    assert abs(int(np.argmax(far)) - HEADSTART - ms_to_samples(51, EAR_HZ)) < 16
    assert line.slips == 0


def test_either_side_may_be_served_first() -> None:
    line, steady = EchoLine(), EchoLine()
    steady.feed(played(50, 100))
    sound, got = played(50, 100), []
    line.feed(sound[: 2 * 960])
    for at in range(2 * 960, len(sound), 960):
        got.append(line.take(320))
        got.append(line.take(320)) if at == 2 * 960 else None
        line.feed(sound[at : at + 960])
    got.append(line.take(320))
    assert np.array_equal(np.concatenate(got), steady.take(320 * len(got)))


def test_without_a_speaker_there_is_silence() -> None:
    line = EchoLine()
    assert not any(line.take(320).any() for _ in range(100))
    assert line.slips == 0


def test_a_speaker_with_a_faster_clock_does_not_run_away() -> None:
    line = EchoLine()
    for _ in range(20_000):
        line.feed(np.zeros(970, np.int16))  # 1 % fast: a bad one is off by 0.01 %
        assert len(line.take(320)) == 320
    assert line.slips > 0
    # What is played next is not later than the bound.
    line.feed(played(0, 20))
    taken = np.concatenate([line.take(320) for _ in range(10)])
    assert int(np.argmax(taken)) <= ms_to_samples(HEADSTART_MS + MOST_AHEAD_MS + 20, EAR_HZ)


@given(st.lists(st.integers(0, 2_000), max_size=20), st.sampled_from([16_000, 44_100, 48_000]))
def test_frames_are_20_ms_however_the_device_gives_sound(sizes: list[int], rate_hz: int) -> None:
    sound = babble(rate_hz // 2)
    parts = np.split(sound, np.cumsum(sizes)[np.cumsum(sizes) < len(sound)])
    ears, whole = Ears(None), Ears(None)
    got = [frame for part in parts for frame in ears.heard(part, rate_hz)]
    assert {len(frame) for frame in got} == {320}
    assert np.array_equal(np.concatenate(got), np.concatenate(whole.heard(sound, rate_hz)))


def test_the_canceller_gets_what_was_played_meanwhile() -> None:
    canceller = Recorder()
    ears = Ears(canceller)
    ears.played(played(0, 40))
    assert len(ears.heard(np.zeros(640, np.int16), EAR_HZ)) == 2
    assert not canceller.far[0][: HEADSTART - 16].any()
    assert canceller.far[1].any()


def test_the_meter_rises_at_once_and_falls_slowly() -> None:
    meter = Meter()
    meter.feed(np.full(320, 16_384, np.int16))
    assert meter.dbfs == pytest.approx(-6.02, abs=0.01)
    meter.feed(np.zeros(320, np.int16))
    assert meter.dbfs == pytest.approx(-6.62, abs=0.01)
    for _ in range(1_000):
        meter.feed(np.zeros(320, np.int16))
    assert meter.dbfs == -96


def test_a_microphone_that_gives_only_zeros_is_noticed_after_5_s() -> None:
    ears = Ears(None)
    ears.heard(babble(320), EAR_HZ)
    for _ in range(249):
        ears.heard(np.zeros(320, np.int16), EAR_HZ)
    told = [ears.silent]
    for last in (np.zeros(320, np.int16), np.ones(320, np.int16)):
        ears.heard(last, EAR_HZ)
        told.append(ears.silent)
    assert told == [False, True, False]


def test_the_echo_of_speech_is_cancelled() -> None:
    """80 ms late and 10 dB softer, as the fake voice of a reply: noise in syllables."""
    pytest.importorskip("pywebrtc_audio", reason="the extra `echo` is not installed")
    far = babble(10 * MOUTH_HZ) * (np.arange(10 * MOUTH_HZ) // 9_600 % 3 > 0)
    line = Decimator().feed(far.astype(np.int16))
    late = ms_to_samples(80, EAR_HZ)
    near = np.concatenate((np.zeros(late, np.int16), line))[: len(line)]
    near = (near * 10 ** (-10 / 20)).astype(np.int16)
    ears, frames = Ears(echo.open_canceller()), []
    for at in range(0, len(near) - 319, 320):
        ears.played(far[3 * at : 3 * at + 960].astype(np.int16))
        frames += ears.heard(near[at : at + 320], EAR_HZ)
    after = np.concatenate(frames)[5 * EAR_HZ :]
    assert power_db(near[5 * EAR_HZ :]) - power_db(after) > 20
