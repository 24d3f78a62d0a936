from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore.audio import EAR_HZ, Pcm, Samples, resample
from voicecore.config import TtsConfig, VadConfig
from voicecore.engines import webrtc
from voicecore.engines.interface import (
    VAD_FRAME_MS,
    ModelFiles,
    SpeechChunk,
    SpeechRequest,
    Vad,
    VoiceDetector,
)
from voicecore.errors import EngineMissing, ModelError

pytest.importorskip("onnxruntime")

from voicecore.engines import silero
from voicecore.engines.silero import CONTEXT, WINDOW, ConfirmedDetector, Floats, State

FRAME = 320
ASLEEP_AFTER = silero.STAY_AWAKE_MS // VAD_FRAME_MS
LOOK_BACK = silero.LOOK_BACK_MS // VAD_FRAME_MS


def frame(level: int) -> Samples:
    return np.full(FRAME, level, np.int16)


class LoudTrigger:
    """Stands in for webrtcvad: fires on a frame whose first sample is odd."""

    def feed(self, frame: Samples) -> bool:
        return bool(frame[0] % 2)

    def reset(self) -> None:
        pass


class LevelJudge:
    """Stands in for Silero: the probability is the newest sample's level; it notes what it hears.

    The state counts the windows.
    """

    def __init__(self) -> None:
        self.windows: list[Floats] = []
        self.counts: list[int] = []

    def __call__(self, samples: Floats, state: State) -> tuple[float, State]:
        self.windows.append(samples)
        self.counts.append(int(state[0][0, 0, 0]))
        return float(samples[-1]), (state[0] + 1, state[1])


def detector(judge: LevelJudge, threshold: float = 0.5) -> ConfirmedDetector:
    return ConfirmedDetector(LoudTrigger(), judge, threshold)


QUIET, NOISE, SOFT, SPEECH = 100, 101, 14_001, 25_001
"""Levels: of no probability and not firing; the same, firing; of 0.43, firing; of 0.76, firing."""


# --- windows -------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 1500), max_size=12))
def test_any_chunks_give_the_same_windows(lengths: list[int]) -> None:
    sound = np.random.default_rng(0).integers(-32768, 32767, sum(lengths)).astype(np.int16)
    whole, cut = LevelJudge(), LevelJudge()
    expected = silero.SpeechProbability(whole).feed(sound)
    stream = silero.SpeechProbability(cut)
    ends = np.cumsum([0, *lengths])
    found = [
        probability
        for start, end in itertools.pairwise(ends)
        for probability in stream.feed(sound[start:end])
    ]
    assert found == expected
    assert len(found) == len(sound) // WINDOW
    assert all(np.array_equal(a, b) for a, b in zip(whole.windows, cut.windows, strict=True))
    assert cut.counts == list(range(len(found)))


def test_each_window_begins_with_the_end_of_the_one_before() -> None:
    judge = LevelJudge()
    sound = np.arange(3 * WINDOW, dtype=np.int16)
    silero.SpeechProbability(judge).feed(sound)
    first, second, third = judge.windows
    assert [len(window) for window in judge.windows] == [CONTEXT + WINDOW] * 3
    assert not first[:CONTEXT].any()
    assert np.array_equal(second[:CONTEXT], first[-CONTEXT:])
    assert np.array_equal(third[:CONTEXT], second[-CONTEXT:])
    joined = np.concatenate([window[CONTEXT:] for window in judge.windows])
    assert np.array_equal(joined * 32768, sound)


# --- when Silero listens -------------------------------------------------------------------------


def test_silero_hears_nothing_while_the_trigger_is_quiet() -> None:
    judge = LevelJudge()
    vad = detector(judge)
    assert not any(vad.feed(frame(level)) for level in [QUIET, 32_000, QUIET] * 100)
    assert judge.windows == []
    assert not vad.awake


def test_on_waking_silero_hears_the_last_300_ms_first() -> None:
    judge = LevelJudge()
    vad = detector(judge)
    for level in range(2, 202, 2):
        vad.feed(frame(level))
    vad.feed(frame(SPEECH))
    heard = np.concatenate([window[CONTEXT:] for window in judge.windows]) * 32768
    levels = [*range(202 - 2 * LOOK_BACK, 202, 2), SPEECH]
    assert np.array_equal(heard, np.repeat(levels, FRAME)[: len(heard)])
    assert len(heard) == (LOOK_BACK + 1) * FRAME // WINDOW * WINDOW


def test_the_trigger_alone_makes_no_speech() -> None:
    vad = detector(LevelJudge())
    assert not any(vad.feed(frame(NOISE)) for _ in range(200))
    assert vad.awake


def test_speech_lasts_down_to_a_little_below_the_threshold() -> None:
    vad = detector(LevelJudge())
    assert not any(vad.feed(frame(SOFT)) for _ in range(10))
    assert [vad.feed(frame(SPEECH)) for _ in range(10)][-1]
    assert all(vad.feed(frame(SOFT)) for _ in range(50))
    assert not [vad.feed(frame(NOISE)) for _ in range(3)][-1]


def test_a_low_threshold_still_lets_speech_end() -> None:
    vad = detector(LevelJudge(), threshold=0.1)
    assert [vad.feed(frame(SPEECH)) for _ in range(5)][-1]
    assert not [vad.feed(frame(NOISE)) for _ in range(5)][-1]


def test_silero_sleeps_when_both_have_been_quiet_for_long() -> None:
    judge = LevelJudge()
    vad = detector(judge)
    for _ in range(20):
        vad.feed(frame(SPEECH))
    awake = [vad.awake for _ in range(100) if not vad.feed(frame(QUIET))]
    assert awake == sorted(awake, reverse=True)
    assert ASLEEP_AFTER - 2 <= awake.count(True) <= ASLEEP_AFTER
    windows = len(judge.windows)
    vad.feed(frame(QUIET))
    assert len(judge.windows) == windows


@pytest.mark.parametrize("kept_awake_by", [NOISE, SPEECH - 1])
def test_either_one_keeps_silero_awake(kept_awake_by: int) -> None:
    vad = detector(LevelJudge())
    vad.feed(frame(SPEECH))
    for _ in range(20):
        for _ in range(ASLEEP_AFTER - 2):
            vad.feed(frame(QUIET))
        for _ in range(2):
            vad.feed(frame(kept_awake_by))
    assert vad.awake


def test_silero_begins_anew_each_time_it_wakes() -> None:
    judge = LevelJudge()
    vad = detector(judge)
    for level in [SPEECH] * 10 + [QUIET] * (ASLEEP_AFTER + 5) + [SPEECH] * 10:
        vad.feed(frame(level))
    assert judge.counts.count(0) == 2


LEVELS = st.lists(st.sampled_from([QUIET, NOISE, SOFT, SPEECH, SPEECH - 1]), max_size=150)


@given(LEVELS, LEVELS)
def test_a_reset_forgets_everything(before: list[int], after: list[int]) -> None:
    used, fresh = detector(LevelJudge()), detector(LevelJudge())
    for level in before:
        used.feed(frame(level))
    used.reset()
    for level in after:
        assert used.feed(frame(level)) == fresh.feed(frame(level))
        assert used.awake == fresh.awake


@given(LEVELS)
def test_speech_is_only_what_the_trigger_woke_silero_for(levels: list[int]) -> None:
    vad = detector(LevelJudge())
    for level in levels:
        was_awake, fires = vad.awake, level % 2 == 1
        speech = vad.feed(frame(level))
        assert not speech or was_awake or fires
        assert not speech or vad.awake


# --- webrtcvad -----------------------------------------------------------------------------------


class NoFiles:
    def folder(self, name: str) -> Path:
        raise ModelError(name)

    def file(self, name: str, suffix: str) -> Path:
        raise ModelError(name)


def frames(sound: Samples) -> Iterator[Samples]:
    for start in range(0, len(sound) - FRAME + 1, FRAME):
        yield sound[start : start + FRAME]


def answers(vad: VoiceDetector, sound: Samples) -> list[bool]:
    return [vad.feed(piece) for piece in frames(sound)]


def white_noise(seconds: float, level: float) -> Samples:
    return np.random.default_rng(2).normal(0, level, round(seconds * EAR_HZ)).astype(np.int16)


def test_webrtc_is_quiet_in_silence_and_fires_on_loud_noise() -> None:
    engine = webrtc.load(VadConfig(engine="webrtc"), NoFiles(), threads=1)
    assert (engine.info.kind, engine.info.name) == ("vad", "webrtc")
    assert not any(answers(engine.detector(), np.zeros(EAR_HZ, np.int16)))
    assert all(answers(engine.detector(), white_noise(1, 3000))[10:])


def test_webrtc_refuses_a_frame_of_another_length() -> None:
    with pytest.raises(Exception, match="Error while processing frame"):
        webrtc.WebrtcDetector(2).feed(np.zeros(500, np.int16))


def test_webrtc_reset_begins_a_new_stream() -> None:
    sound = np.concatenate([white_noise(1, 3000), white_noise(1, 50)])
    used = webrtc.WebrtcDetector(1)
    first = answers(used, sound)
    used.reset()
    assert answers(used, sound) == first


# --- the real Silero -----------------------------------------------------------------------------


class OneFile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def folder(self, name: str) -> Path:
        return self.path.parent

    def file(self, name: str, suffix: str) -> Path:
        return self.path


def test_a_corrupt_model_is_named_with_its_remedy(tmp_path: Path) -> None:
    path = tmp_path / "silero.onnx"
    path.write_bytes(b"not a network")
    with pytest.raises(ModelError, match="not a usable Silero v6 model") as failed:
        silero.load(VadConfig(), OneFile(path), threads=1)
    assert "voicecore models fetch" in str(failed.value)


def test_without_the_library_the_command_that_installs_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "voicecore.engines.silero")
    monkeypatch.delitem(sys.modules, "voicecore.engines.onnx")
    with pytest.raises(EngineMissing, match=r"pip install 'voicecore\[silero\]'"):
        importlib.import_module("voicecore.engines.silero")


@pytest.fixture(scope="module")
def confirmed(model_files: ModelFiles) -> Vad:
    return silero.load(VadConfig(), model_files, threads=1)


@pytest.fixture(scope="module")
def sentence(model_files: ModelFiles) -> Samples:
    """One second of silence, a sentence, one second of silence."""
    from voicecore.engines import piper

    chunks: list[SpeechChunk] = []
    voice = piper.load(TtsConfig(), model_files, threads=2)
    voice.run(SpeechRequest("What is the weather like tomorrow afternoon?"), chunks.append)
    said = Pcm(np.concatenate([chunk.samples for chunk in chunks]), chunks[0].rate_hz)
    silence = np.zeros(EAR_HZ, np.int16)
    return np.concatenate((silence, resample(said, EAR_HZ).samples, silence))


def ms_of_ends(found: Iterable[bool]) -> tuple[int, int]:
    places = np.flatnonzero(list(found))
    return int(places[0]) * VAD_FRAME_MS, (int(places[-1]) + 1) * VAD_FRAME_MS


def ms_of_sound(sound: Samples) -> tuple[float, float]:
    loud = np.flatnonzero(np.abs(sound.astype(np.int32)) > 300)
    return float(loud[0]) / 16, float(loud[-1]) / 16


@pytest.mark.model
@pytest.mark.parametrize("gain", [1.0, 0.1])
def test_speech_is_found_where_it_is(confirmed: Vad, sentence: Samples, gain: float) -> None:
    begin, end = ms_of_ends(answers(confirmed.detector(), (sentence * gain).astype(np.int16)))
    first, last = ms_of_sound(sentence)
    assert first - 100 < begin < first + 200
    assert last - 200 < end < last + 300


@pytest.mark.model
def test_conversations_do_not_disturb_each_other(confirmed: Vad, sentence: Samples) -> None:
    alone = answers(confirmed.detector(), sentence)
    one, other = confirmed.detector(), confirmed.detector()
    noise = frames(white_noise(len(sentence) / EAR_HZ, 2000))
    beside = []
    for piece, disturbance in zip(frames(sentence), noise, strict=True):
        beside.append(one.feed(piece))
        other.feed(disturbance)
    assert beside == alone


def sines(*pitches: float, seconds: float = 6) -> Any:
    time = np.arange(round(seconds * EAR_HZ)) / EAR_HZ
    return sum(np.sin(2 * np.pi * hz * time) / len(pitches) for hz in pitches)


def clicks(seconds: float = 6) -> Any:
    rng = np.random.default_rng(5)
    sound = np.zeros(round(seconds * EAR_HZ))
    for start in rng.integers(0, len(sound) - 400, 40):
        sound[start : start + 400] += rng.normal(0, 0.5, 400) * np.exp(-np.arange(400) / 80)
    return np.clip(sound, -1, 1)


@pytest.mark.model
@pytest.mark.parametrize(
    "sound",
    [
        pytest.param(white_noise(6, 1000) / 32768, id="white noise"),
        pytest.param(sines(50, 100, 150, 200), id="hum"),
        pytest.param(sines(1000), id="beep"),
        pytest.param(sines(262, 330, 392), id="chord"),
        pytest.param(clicks(), id="clicks"),
    ],
)
@pytest.mark.parametrize("level", [0.05, 0.5])
def test_what_is_no_voice_opens_no_turn(confirmed: Vad, sound: Any, level: float) -> None:
    found = answers(confirmed.detector(), (sound * level * 32767).astype(np.int16))
    assert sum(found) * VAD_FRAME_MS < 100
