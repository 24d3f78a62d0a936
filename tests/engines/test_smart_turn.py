"""The end of turn by its sound: the spectrogram against a slow one, the model, the fake."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from voicecore.audio import EAR_HZ, Pcm, Samples, resample
from voicecore.commands.models import used_models
from voicecore.config import Config, LlmConfig, SttConfig, TtsConfig, TurnConfig, VadConfig
from voicecore.engines import Engines, is_off, open_engines, threads_for
from voicecore.engines.fake import FakeVad, fake_llm, fake_stt, fake_tts, fake_turn
from voicecore.engines.interface import (
    Completeness,
    ModelFiles,
    SpeechChunk,
    SpeechRequest,
    TurnSound,
)
from voicecore.engines.onnx import OnnxErrors
from voicecore.errors import EngineError, EngineMissing, ModelError
from voicecore.weights.files import ModelStore

pytest.importorskip("onnxruntime")

from voicecore.engines import smart_turn
from voicecore.engines.smart_turn import BANDS, FFT, FRAMES, HOP, WINDOW, log_mel


class OneFile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def folder(self, name: str) -> Path:
        return self.path.parent

    def file(self, name: str, suffix: str) -> Path:
        return self.path


def noise(samples: int, *, level: float = 3_000, seed: int = 0) -> Samples:
    return np.random.default_rng(seed).normal(0, level, samples).astype(np.int16)


# --- the spectrogram -----------------------------------------------------------------------------


def mel_to_hz(mel: float) -> float:
    """Slaney's scale, as its author's Auditory Toolbox defines it."""
    return mel * 200 / 3 if mel < 15 else float(1000 * 6.4 ** ((mel - 15) / 27))


def slow_log_mel(sound: Samples) -> Any:
    """The same by definition: float64, a frame and a band at a time, no FFT of many frames."""
    padded = np.concatenate((np.zeros(WINDOW), sound[-WINDOW:] / 32768))[-WINDOW:]
    normal = (padded - padded.mean()) / np.sqrt(padded.var() + 1e-7)
    around = np.concatenate((normal[FFT // 2 : 0 : -1], normal, normal[-2 : -FFT // 2 - 2 : -1]))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT) / FFT)
    top = 15 + 27 * np.log(8) / np.log(6.4)
    edges = [mel_to_hz(top * step / (BANDS + 1)) for step in range(BANDS + 2)]
    hz = np.arange(FFT // 2 + 1) * EAR_HZ / FFT
    filters = [
        np.interp(hz, [low, mid, high], [0, 2 / (high - low), 0])
        for low, mid, high in zip(edges, edges[1:], edges[2:], strict=False)
    ]
    energies = np.empty((BANDS, FRAMES))
    for frame in range(FRAMES):
        power = np.abs(np.fft.rfft(around[frame * HOP :][:FFT] * window)) ** 2
        energies[:, frame] = [power @ weights for weights in filters]
    log = np.log10(np.maximum(energies, 1e-10))
    return (np.maximum(log, log.max() - 8) + 4) / 4


@pytest.mark.parametrize("samples", [0, 1, 700, EAR_HZ, 3 * EAR_HZ + 17, WINDOW, WINDOW + 999])
def test_the_spectrogram_is_as_defined(samples: int) -> None:
    sound = noise(samples)
    sound[: samples // 2] //= 50
    assert np.abs(log_mel(sound) - slow_log_mel(sound)).max() < 1e-4


@settings(max_examples=30)
@given(st.integers(0, WINDOW + 5_000), st.sampled_from([0, 3, 3_000, 30_000]))
def test_any_sound_has_a_spectrogram_of_one_size(samples: int, level: int) -> None:
    found = log_mel(noise(samples, level=level))
    assert found.shape == (BANDS, FRAMES)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert found.max() - found.min() <= 2.001  # 8 decades, 4 of them a unit


@settings(max_examples=20)
@given(st.integers(0, WINDOW), st.integers(0, 20_000))
def test_only_the_last_seconds_count_and_silence_comes_before_less(
    samples: int, before: int
) -> None:
    sound = noise(samples)
    silent = np.zeros(WINDOW - samples, np.int16)
    expected = log_mel(sound)
    assert np.array_equal(log_mel(np.concatenate((silent, sound))), expected)
    full = np.concatenate((silent, sound))
    assert np.array_equal(log_mel(np.concatenate((noise(before), full))), expected)


def test_a_soft_voice_gives_what_a_loud_one_does() -> None:
    loud = noise(2 * EAR_HZ) // 16 * 16
    assert np.abs(log_mel(loud) - log_mel(loud // 16)).max() < 0.01


# --- the engine ----------------------------------------------------------------------------------


class Session:
    """Stands in for the network; the probability is the highest value of its input."""

    broken = False

    def __init__(self, path: str, **options: object) -> None:
        self.heard: list[Any] = []

    def run(self, outputs: None, inputs: dict[str, Any]) -> list[Any]:
        if self.broken:
            raise OnnxErrors[0]("out of memory")
        (features,) = inputs.values()
        self.heard.append(features)
        return [features.max(axis=(1, 2), keepdims=True)[..., 0]]


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Session]]:
    monkeypatch.setattr("onnxruntime.InferenceSession", Session)
    yield Session
    Session.broken = False


def test_one_request_has_one_answer(session: type[Session], tmp_path: Path) -> None:
    engine = smart_turn.load(TurnConfig(), OneFile(tmp_path), threads=2)
    sound = noise(EAR_HZ)
    answers: list[Completeness] = []
    engine.run(TurnSound(sound), answers.append)

    assert [answer.probability for answer in answers] == [pytest.approx(log_mel(sound).max())]
    assert (engine.info.kind, engine.info.name) == ("turn", "smart-turn")
    assert (engine.info.model, engine.info.threads) == ("smart-turn-v3.2", 2)
    assert engine.concurrency == 1
    engine.warm_up()
    engine.close()


def test_a_failure_is_one_of_this_request(session: type[Session], tmp_path: Path) -> None:
    engine = smart_turn.load(TurnConfig(), OneFile(tmp_path), threads=1)
    session.broken = True
    with pytest.raises(EngineError, match=r"'smart-turn-v3.2' failed: out of memory"):
        engine.run(TurnSound(noise(100)), lambda _: None)
    session.broken = False
    answers: list[Completeness] = []
    engine.run(TurnSound(noise(100)), answers.append)
    assert len(answers) == 1


def test_a_corrupt_model_is_named_with_its_remedy(tmp_path: Path) -> None:
    path = tmp_path / "smart-turn.onnx"
    path.write_bytes(b"not a network")
    with pytest.raises(ModelError, match="not a usable Smart Turn v3 model") as failed:
        smart_turn.load(TurnConfig(), OneFile(path), threads=1)
    assert "voicecore models fetch" in str(failed.value)


def test_without_the_library_the_command_that_installs_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "voicecore.engines.smart_turn")
    monkeypatch.delitem(sys.modules, "voicecore.engines.onnx")
    with pytest.raises(EngineMissing, match=r"pip install 'voicecore\[smart-turn\]'"):
        importlib.import_module("voicecore.engines.smart_turn")


# --- the real model ------------------------------------------------------------------------------


@pytest.mark.model
def test_another_model_is_no_turn_model(model_files: ModelStore) -> None:
    voice = model_files.file("en_US-joe-medium", ".onnx")
    with pytest.raises(ModelError, match="not a usable Smart Turn v3 model"):
        smart_turn.load(TurnConfig(), OneFile(voice), threads=1)


@pytest.mark.model
def test_a_question_sounds_more_complete_than_a_hesitation(model_files: ModelFiles) -> None:
    from voicecore.engines import piper

    voice = piper.load(TtsConfig(), model_files, threads=1)
    judge = smart_turn.load(TurnConfig(), model_files, threads=1)

    def probability(text: str) -> float:
        chunks: list[SpeechChunk] = []
        voice.run(SpeechRequest(text), chunks.append)
        said = Pcm(np.concatenate([chunk.samples for chunk in chunks]), chunks[0].rate_hz)
        answers: list[Completeness] = []
        judge.run(TurnSound(resample(said, EAR_HZ).samples), answers.append)
        assert 0 <= answers[0].probability <= 1
        return answers[0].probability

    assert probability("What is the capital of France?") > probability("I need to buy a, um,") + 0.3


# --- the fake, and doing without -----------------------------------------------------------------


FAKES = Config(
    vad=VadConfig(engine="fake"),
    stt=SttConfig(engine="fake"),
    llm=LlmConfig(engine="fake"),
    tts=TtsConfig(engine="fake"),
    turn=TurnConfig(engine="fake"),
)


async def test_a_fake_judge_follows_its_script(autojump_clock: MockClock) -> None:
    judge = fake_turn([0.2, EngineError("The judge is asleep.")], delay_s=0.04)
    request = TurnSound(noise(100))

    async def ask() -> tuple[float, list[Completeness]]:
        begun_s = trio.current_time()
        async with judge.stream(request) as answers:
            found = [answer async for answer in answers]
        return trio.current_time() - begun_s, found

    took_s, answers = await ask()
    assert took_s == pytest.approx(0.04)
    assert answers == [Completeness(0.2)]
    with pytest.raises(EngineError, match="asleep"):
        await ask()
    assert (await ask())[1] == [Completeness(1.0)]
    assert judge.requests == [request] * 3
    assert judge.open == 0


@pytest.mark.parametrize(("engine", "loaded"), [("fake", True), ("none", False)])
async def test_a_host_may_do_without(engine: str, loaded: bool, model_files: ModelStore) -> None:
    config = attrs.evolve(FAKES, turn=TurnConfig(engine=engine))

    async with open_engines(config, model_files) as engines:
        kinds = [kind for kind, _ in engines.each()]
        told = [info.kind for info in engines.infos()]

    assert kinds == told == ["vad", "stt", "llm", "tts"] + ["turn"] * loaded
    assert (engines.turn is not None) == loaded
    assert is_off(config, "turn") != loaded
    assert ("smart-turn-v3.2" in used_models(config, model_files)) == loaded


def test_engines_without_a_judge_are_complete() -> None:
    assert Engines(FakeVad(), fake_stt(), fake_llm(), fake_tts()).turn is None


def test_only_the_judge_may_be_left_out() -> None:
    assert not is_off(Config(stt=SttConfig(engine="none")), "stt")


def test_one_thread_judges_unless_told_otherwise() -> None:
    assert threads_for(Config())["turn"] == 1
    assert threads_for(Config(turn=TurnConfig(threads=3)))["turn"] == 3
