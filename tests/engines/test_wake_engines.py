from __future__ import annotations

import builtins
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore.audio import EAR_HZ, Pcm, Samples, resample
from voicecore.config import Config, WakeConfig
from voicecore.config.engines import WAKE_WORDS
from voicecore.engines import is_off, open_engine, threads_for
from voicecore.engines.fake import KEYNOTE_HZ, FakeWake, babble, load_wake, tone
from voicecore.engines.interface import SpeechRequest, WakeDetector
from voicecore.errors import EngineMissing, ModelError
from voicecore.weights.files import ModelStore


class NoFiles:
    def folder(self, name: str) -> Path:
        raise ModelError(name)

    def file(self, name: str, suffix: str) -> Path:
        raise ModelError(name + suffix)


def noticed(detector: WakeDetector, sound: Samples, pieces: list[int] | None = None) -> int | None:
    """Milliseconds into the sound at which the word is noticed."""
    lengths = iter(pieces or [])
    at = 0
    while at < len(sound):
        length = next(lengths, 320)
        piece, at = sound[at : at + length], at + length
        if detector.feed(piece):
            return at * 1000 // EAR_HZ
    return None


# --- the fake ---


def test_the_fake_hears_its_tone_and_nothing_else() -> None:
    detector = FakeWake().detector()
    assert noticed(detector, tone(EAR_HZ, EAR_HZ, hz=KEYNOTE_HZ)) == 60
    detector.reset()
    assert noticed(detector, babble(EAR_HZ)) is None
    assert noticed(detector, np.zeros(EAR_HZ, np.int16)) is None
    assert noticed(detector, tone(EAR_HZ, EAR_HZ)) is None


def test_the_fake_forgets_when_it_is_reset() -> None:
    detector = FakeWake().detector()
    sound = tone(640, EAR_HZ, hz=KEYNOTE_HZ)
    assert noticed(detector, sound) is None
    detector.reset()
    assert noticed(detector, sound) is None


def test_the_fake_is_loaded_by_its_settings() -> None:
    assert load_wake(WakeConfig(engine="fake"), NoFiles(), threads=1).info.kind == "wake"


# --- off by default ---


def test_there_is_no_wake_word_unless_one_is_asked_for() -> None:
    assert is_off(Config(), "wake")
    assert not is_off(Config(wake=WakeConfig(engine="micro-wakeword")), "wake")
    assert threads_for(Config())["wake"] == 1


# --- microWakeWord, whose models are in its package ---


def micro(model: str = "okay_nabu", **settings: Any) -> Any:
    pytest.importorskip("pymicro_wakeword")
    module = importlib.import_module("voicecore.engines.micro_wakeword")
    return module.load(WakeConfig(model=model, **settings), NoFiles(), threads=1)


@pytest.mark.parametrize("word", WAKE_WORDS)
def test_each_word_is_loaded_and_silence_is_not_it(word: str) -> None:
    engine = micro(word)
    assert (engine.info.kind, engine.info.model) == ("wake", word)
    assert engine.info.version
    assert 0 < engine.late_ms < 500
    assert engine.word.casefold().replace(" ", "_") == word
    assert noticed(engine.detector(), np.zeros(2 * EAR_HZ, np.int16)) is None
    assert noticed(engine.detector(), babble(2 * EAR_HZ)) is None


def test_an_unknown_word_is_told_with_those_there_are() -> None:
    with pytest.raises(ModelError, match=r"hey_robin.*okay_nabu"):
        micro("hey_robin")


def test_a_library_that_does_not_run_here_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pymicro_wakeword")
    module = importlib.import_module("voicecore.engines.micro_wakeword")

    def fail(_: object) -> None:
        raise OSError("GLIBC_2.35 not found")

    monkeypatch.setattr(module.MicroWakeWord, "from_builtin", fail)
    with pytest.raises(EngineMissing, match=r"GLIBC_2\.35 not found.*wake\.engine"):
        micro()


def test_without_its_package_the_error_says_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[..., Any] = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "pymicro_wakeword":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "voicecore.engines.micro_wakeword", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(EngineMissing, match=r"voicecore\[wake\]"):
        importlib.import_module("voicecore.engines.micro_wakeword")
    monkeypatch.delitem(sys.modules, "voicecore.engines.micro_wakeword", raising=False)


async def spoken(text: str, files: ModelStore) -> Samples:
    """A sentence in the default voice, with a second of silence before and after."""
    async with open_engine(Config(), "tts", files) as tts:
        async with tts.stream(SpeechRequest(text)) as chunks:
            found = [resample(Pcm(chunk.samples, chunk.rate_hz), EAR_HZ) async for chunk in chunks]
    silence = np.zeros(EAR_HZ, np.int16)
    return np.concatenate([silence, *(each.samples for each in found), silence])


@pytest.mark.model
async def test_the_word_is_noticed_and_other_words_are_not(model_files: ModelStore) -> None:
    engine = micro()
    asked = await spoken("Okay Nabu, what time is it?", model_files)
    other = await spoken("The weather is nice today, and tomorrow it will rain.", model_files)
    detector = engine.detector()
    at_ms = noticed(detector, asked)
    assert at_ms is not None
    assert 1_300 < at_ms < 2_300  # the word takes some 750 ms
    detector.reset()
    assert noticed(detector, other) is None
    detector.reset()
    assert noticed(detector, asked) == at_ms


@pytest.mark.model
async def test_the_threshold_is_the_settings_or_the_words_own(model_files: ModelStore) -> None:
    asked = await spoken("Okay Nabu, what time is it?", model_files)
    assert noticed(micro(threshold=1.0).detector(), asked) is None
    early = noticed(micro(threshold=0.05).detector(), asked)
    own = noticed(micro().detector(), asked)
    assert early is not None
    assert own is not None
    assert early <= own


@given(st.lists(st.integers(1, 4_000), max_size=60))
def test_any_cutting_of_the_sound_is_heard_the_same(pieces: list[int]) -> None:
    """The threshold is so low that something is noticed."""
    sound = babble(EAR_HZ)
    one = FakeFeed(sound)
    assert one.probabilities(pieces) == one.probabilities([320])


class FakeFeed:
    """The answers of the real network, whatever they are."""

    def __init__(self, sound: Samples) -> None:
        self.sound, self.detector = sound, micro().detector()

    def probabilities(self, pieces: list[int]) -> list[float | None]:
        answers: list[float | None] = []
        network = self.detector._network
        asked = network.process_streaming_prob
        network.process_streaming_prob = lambda features: answers.append(asked(features))
        self.detector.reset()
        noticed(self.detector, self.sound, pieces)
        network.process_streaming_prob = asked
        return answers
