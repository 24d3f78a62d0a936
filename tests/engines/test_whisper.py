from __future__ import annotations

import importlib
import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from voicecore.audio import EAR_HZ, Pcm, Samples, resample
from voicecore.config import SttConfig, TtsConfig
from voicecore.engines.interface import (
    ModelFiles,
    Native,
    SpeechChunk,
    SpeechRequest,
    Transcript,
    Urgency,
    Utterance,
)
from voicecore.errors import EngineError, EngineMissing, ModelError

pytest.importorskip("faster_whisper")

from voicecore.engines import whisper
from voicecore.engines.whisper_window import MAX_TOKENS, fit

EOT = 0x110000
NAMES = (
    "endoftext startoftranscript en de th transcribe translate startoflm startofprev nospeech"
    " notimestamps"
)
SPECIAL = {f"<|{name}|>": EOT + place for place, name in enumerate(NAMES.split())}
"""Control tokens of the stand-in's tokenizer, whose other tokens are single characters."""


class Letters:
    """Stands in for the tokenizer file."""

    def token_to_id(self, token: str) -> int | None:
        return SPECIAL.get(token)

    def encode(self, text: str, *, add_special_tokens: bool) -> SimpleNamespace:
        return SimpleNamespace(ids=[SPECIAL["<|en|>"] if c == "Ω" else ord(c) for c in text])

    def decode(self, tokens: list[int]) -> str:
        return "".join(map(chr, tokens))


def decoding(text: str, logprob: float = -0.2, no_speech: float = 0.1) -> SimpleNamespace:
    """What CTranslate2 returns for one utterance; ``logprob`` with the end of the text counted."""
    tokens = [ord(letter) for letter in text]
    score = logprob * (len(tokens) + 1) / max(1, len(tokens))
    return SimpleNamespace(sequences_ids=[tokens], scores=[score], no_speech_prob=no_speech)


class StubModel:
    """Stands in for a `WhisperModel` and its network: answers from a list, and notes the calls."""

    def __init__(self, *answers: Any, multilingual: bool = False) -> None:
        self.answers = list(answers)
        self.windows: list[int] = []
        self.calls: list[tuple[list[int], dict[str, Any]]] = []
        self.unloaded = False
        self.detected = "<|de|>"
        self.model = self
        self.is_multilingual = multilingual
        self.device = "cpu"
        self.hf_tokenizer = Letters()
        self.supported_languages = ["en", "de", "th"] if multilingual else ["en"]

    def feature_extractor(self, sound: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        return np.ones((80, len(sound) // 160 + 1))

    def encode(self, features: Any) -> Any:
        self.windows.append(np.array(features).shape[2])
        return features

    def detect_language(self, encoded: Any) -> list[list[tuple[str, float]]]:
        return [[(self.detected, 0.9), ("<|en|>", 0.1)]]

    def generate(
        self, encoded: Any, prompts: list[list[int]], **options: Any
    ) -> list[SimpleNamespace]:
        self.calls.append((prompts[0], options))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return [answer]

    def unload_model(self) -> None:
        self.unloaded = True


def engine(stub: StubModel, **settings: Any) -> whisper.Whisper:
    return whisper.Whisper(SttConfig(**{"beam_size": 1, **settings}), stub, threads=1)


def sound(seconds: float) -> Samples:
    return np.full(round(seconds * EAR_HZ), 3000, np.int16)


def hear(stt: whisper.Whisper, samples: Samples, **how: Any) -> Transcript:
    found: list[Transcript] = []
    stt.run(Utterance(samples, **how), found.append)
    (transcript,) = found
    return transcript


def prompt_text(stub: StubModel, call: int = 0) -> str:
    return "".join(chr(token) for token in stub.calls[call][0] if token < EOT)


# --- one utterance -------------------------------------------------------------------------------


def test_it_is_a_native_engine_that_tells_what_it_is() -> None:
    stt = engine(StubModel())
    assert isinstance(stt, Native)
    assert (stt.info.kind, stt.info.model, stt.info.threads) == ("stt", "whisper-tiny.en", 1)
    assert stt.concurrency == 1


def test_a_short_utterance_is_recognised_in_a_short_window() -> None:
    stub = StubModel(decoding(" Hello there. "))
    transcript = hear(engine(stub), sound(3))
    assert transcript.text == "Hello there."
    assert (transcript.passes, transcript.language) == (1, "en")
    assert transcript.confidence == pytest.approx(math.exp(-0.2))
    assert stub.windows == [1000]


def test_a_longer_utterance_gets_a_window_of_its_size_and_a_margin() -> None:
    stub = StubModel(decoding("A long sentence."))
    hear(engine(stub), sound(12))
    assert stub.windows == [1402]  # 1201 frames and 200, made even


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(decoding("no " * 4), id="a word again and again"),
        pytest.param(decoding("x" * 60), id="too long for the sound"),
        pytest.param(decoding("What is this", logprob=-1.2), id="unlikely"),
        pytest.param(decoding("Oh? Oh?"), id="a word twice and nothing else"),
        pytest.param(decoding("What is it then", logprob=-0.4), id="an unsure sentence"),
    ],
)
def test_a_doubtful_result_is_decided_by_the_full_window(first: SimpleNamespace) -> None:
    stub = StubModel(first, decoding("What is it?"))
    transcript = hear(engine(stub), sound(4))
    assert (transcript.text, transcript.passes) == ("What is it?", 2)
    assert stub.windows == [1000, 3000]
    assert [options["beam_size"] for _, options in stub.calls] == [1, 5]


@pytest.mark.parametrize(
    "first", [decoding("Is it so?", logprob=-0.5), decoding("It is so.", logprob=-0.3)]
)
def test_a_few_unsure_words_and_a_sure_sentence_are_not_heard_again(first: SimpleNamespace) -> None:
    stub = StubModel(first)
    assert hear(engine(stub), sound(4)).passes == 1
    assert stub.windows == [1000]


def test_a_loop_in_the_full_window_does_not_replace_an_unsure_sentence() -> None:
    stub = StubModel(decoding("What is it then", logprob=-0.4), decoding("no " * 4))
    transcript = hear(engine(stub), sound(4))
    assert (transcript.text, transcript.passes) == ("What is it then", 2)


@pytest.mark.parametrize("seconds", [1, 10, 28])
def test_the_result_can_be_no_longer_than_the_sound_allows(seconds: int) -> None:
    stub = StubModel(decoding("Hello."))
    hear(engine(stub), sound(seconds))
    _, options = stub.calls[0]
    assert 8 * seconds <= options["max_length"] // 2 <= 8 * seconds + 11


def test_the_configured_beam_is_used() -> None:
    stub = StubModel(decoding("Hello."), decoding("no no no"), decoding("No, no, no."))
    stt = engine(stub, beam_size=8)
    hear(stt, sound(1))
    hear(stt, sound(1))
    assert [options["beam_size"] for _, options in stub.calls] == [8, 8, 8]


def test_a_partial_result_takes_one_greedy_pass_in_a_small_window() -> None:
    stub = StubModel(decoding("What is it then", logprob=-0.4))
    stt = engine(stub, beam_size=5)
    transcript = hear(stt, sound(4), urgency=Urgency.PARTIAL)
    assert (transcript.text, transcript.passes) == ("What is it then", 1)
    assert stub.windows == [800]
    assert [options["beam_size"] for _, options in stub.calls] == [1]


@pytest.mark.parametrize("answer", [decoding("no " * 4), decoding("It is", logprob=-1.2)])
def test_a_doubtful_partial_result_has_no_words(answer: SimpleNamespace) -> None:
    transcript = hear(engine(StubModel(answer)), sound(4), urgency=Urgency.PARTIAL)
    assert (transcript.text, transcript.confidence, transcript.passes) == ("", 0.0, 1)


@pytest.mark.parametrize("urgency", [Urgency.AWAITED, Urgency.AHEAD, Urgency.GUESS])
def test_what_may_be_answered_is_recognised_thoroughly(urgency: Urgency) -> None:
    stub = StubModel(decoding("no no no"), decoding("No, no, no."))
    assert hear(engine(stub), sound(4), urgency=urgency).passes == 2


def with_a_pause(seconds: float) -> Samples:
    """Make noise with a silent middle: a second."""
    noise = np.random.default_rng(0).normal(0, 3000, round(seconds * EAR_HZ)).astype(np.int16)
    middle = len(noise) // 2
    noise[middle - EAR_HZ // 2 : middle + EAR_HZ // 2] = 0
    return noise


def timed(text: str, end_s: float, logprob: float = -0.2) -> SimpleNamespace:
    """What CTranslate2 returns where times are written."""
    answer = decoding(text, logprob)
    first = SPECIAL["<|notimestamps|>"] + 1
    before = len(answer.sequences_ids[0])
    answer.sequences_ids = [[first, *answer.sequences_ids[0], first + round(end_s * 50)]]
    answer.scores = [answer.scores[0] * before * (before + 3) / ((before + 1) * (before + 2))]
    return answer


def levelled(stub: StubModel) -> StubModel:
    """Give the stand-in a spectrogram that follows the sound."""

    def feature_extractor(sound: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        blocks = np.abs(sound[: len(sound) // 160 * 160]).reshape(-1, 160).max(axis=1)
        return np.tile(np.log10(blocks + 1e-4), (80, 1))

    stub.feature_extractor = feature_extractor  # type: ignore[method-assign]
    return stub


def test_times_are_written_where_a_pause_may_hide_a_second_sentence() -> None:
    stub = levelled(StubModel(timed("Yes. I do.", 5.9), decoding("Yes.")))
    stt = engine(stub)
    transcript = hear(stt, with_a_pause(6))
    assert (transcript.text, transcript.passes) == ("Yes. I do.", 1)
    assert hear(stt, np.roll(with_a_pause(6), 3 * EAR_HZ)).text == "Yes."  # silent at both ends
    assert [SPECIAL["<|notimestamps|>"] in prompt for prompt, _ in stub.calls] == [False, True]


def test_a_sentence_that_was_left_out_is_looked_for_in_the_full_window() -> None:
    stub = levelled(StubModel(timed("Yes.", 2.2), timed("Yes. I do.", 5.9)))
    transcript = hear(engine(stub), with_a_pause(6))
    assert (transcript.text, transcript.passes) == ("Yes. I do.", 2)
    assert stub.windows == [1000, 3000]
    assert all(SPECIAL["<|notimestamps|>"] not in prompt for prompt, _ in stub.calls)


@pytest.mark.parametrize(("logprob", "passes"), [(-0.5, 1), (-0.7, 2)])
def test_times_make_a_sentence_less_sure(logprob: float, passes: int) -> None:
    stub = levelled(StubModel(*[timed("Yes I really do.", 5.9, logprob)] * 2))
    assert hear(engine(stub), with_a_pause(6)).passes == passes


def test_one_model_encodes_and_the_other_writes() -> None:
    listener, writer = StubModel(), StubModel(decoding("Hello."), multilingual=True)
    stt = whisper.Whisper(SttConfig(), listener, 2, writer)
    assert hear(stt, sound(2)).text == "Hello."
    assert (listener.windows, len(listener.calls)) == ([1000], 0)
    assert (writer.windows, len(writer.calls)) == ([], 1)
    stt.close()
    assert listener.unloaded
    assert writer.unloaded


@pytest.mark.parametrize("samples", [sound(0), np.zeros(16_000, np.int16), sound(2) // 3000])
def test_silence_is_not_even_decoded(samples: Samples) -> None:
    stub = StubModel()
    transcript = hear(engine(stub), samples)
    assert (transcript.text, transcript.confidence, transcript.no_speech) == ("", 0.0, 1.0)
    assert stub.windows == []


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        pytest.param([decoding("you", -0.6, 0.97)], "", id="sure that nobody speaks"),
        pytest.param([decoding("Thank you.", -1.3, 0.6)], "", id="probably nobody, unlikely words"),
        pytest.param([decoding("Thank you.", -0.2, 0.6)], "", id="what is said of noise"),
        pytest.param([decoding("Thank you.", -0.2, 0.3)], "Thank you.", id="really said"),
        pytest.param([decoding("What?", -0.7, 0.6)], "What?", id="short but likely"),
        pytest.param([decoding("S not", -1.5, 0.4)] * 2, "S not", id="unlikely but speech"),
        pytest.param([decoding("I'm so", -1.9, 0.3)] * 2, "", id="a guess in both windows"),
        pytest.param([decoding("1.5.5.5", -0.9, 0.6)] * 2, "", id="a loop, probably nobody"),
    ],
)
def test_words_found_where_nobody_speaks_are_rejected(
    answers: list[SimpleNamespace], text: str
) -> None:
    transcript = hear(engine(StubModel(*answers)), sound(2))
    assert transcript.text == text
    assert transcript.passes == len(answers)
    assert (transcript.confidence > 0) == bool(text)


def test_more_than_the_model_can_take_is_refused() -> None:
    stub = StubModel()
    with pytest.raises(EngineError, match=r"at most 30 s at once, not 30\.5 s"):
        hear(engine(stub), sound(30.5))
    assert stub.windows == []


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), ValueError("bad shape")])
def test_a_failure_of_the_network_is_this_utterances(error: Exception) -> None:
    stub = StubModel(error, decoding("Hello."))
    stt = engine(stub)
    with pytest.raises(EngineError, match=f"failed on 2.0 s of sound: {error}"):
        hear(stt, sound(2))
    assert hear(stt, sound(2)).text == "Hello."


def test_warming_up_uses_both_windows_and_closing_frees_the_model() -> None:
    stub = StubModel(decoding("x"), decoding("x"))
    stt = engine(stub)
    stt.warm_up()
    assert stub.windows == [1000, 3000]
    stt.close()
    assert stub.unloaded


# --- languages and hints -------------------------------------------------------------------------


def test_the_utterances_language_goes_before_the_configured_one() -> None:
    stub = StubModel(decoding("Hallo."), decoding("Hallo."), multilingual=True)
    stt = engine(stub, language="en")
    assert hear(stt, sound(1), language="de-AT").language == "de"
    assert hear(stt, sound(1)).language == "en"
    assert SPECIAL["<|de|>"] in stub.calls[0][0]
    assert SPECIAL["<|en|>"] in stub.calls[1][0]


def test_auto_detects_the_language_once_for_both_passes() -> None:
    stub = StubModel(decoding("Ja. Ja."), decoding("Ja."), multilingual=True)
    stt = engine(stub, language="auto")
    stub.detected = "<|de|>"
    assert hear(stt, sound(1)).language == "de"
    assert all(SPECIAL["<|de|>"] in prompt for prompt, _ in stub.calls)


def test_auto_is_english_for_an_english_model() -> None:
    stub = StubModel(decoding("Hello."))
    assert hear(engine(stub, language="auto"), sound(1)).language == "en"
    assert SPECIAL["<|en|>"] not in stub.calls[0][0]


def test_a_language_the_model_does_not_know_is_refused_with_a_remedy() -> None:
    with pytest.raises(EngineError, match=r"does not know the language 'de'.*whisper-base"):
        engine(StubModel(), language="de")
    with pytest.raises(EngineError, match="'tlh'"):
        hear(engine(StubModel(multilingual=True)), sound(1), language="tlh")


def test_hints_are_the_prompt_and_bounded() -> None:
    stub = StubModel(*[decoding("Hello.")] * 4)
    stt = engine(stub, hints="Ann and\nBob")
    hear(stt, sound(1))
    hear(stt, sound(1), hints="Cleo")
    hear(stt, sound(1), hints="x" * 1000)
    hear(stt, sound(1), hints="aΩb\ud800")
    assert prompt_text(stub, 0) == " Ann and Bob"
    assert prompt_text(stub, 1) == " Cleo"
    assert len(prompt_text(stub, 2)) == whisper.MAX_HINT_TOKENS
    assert prompt_text(stub, 3) == " ab?"  # neither a control token nor half a character
    assert all(options["max_length"] <= MAX_TOKENS for _, options in stub.calls)


# --- loading -------------------------------------------------------------------------------------


class Folder:
    """Model files: every model is this one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, name: str) -> Path:
        return self.root

    def file(self, name: str, suffix: str) -> Path:
        raise AssertionError("Whisper is a folder")


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    for file in ("config.json", "tokenizer.json"):
        (tmp_path / file).write_text(json.dumps({}))
    (tmp_path / "model.bin").write_bytes(b"nothing of the kind")
    return tmp_path


def test_a_corrupt_model_is_named(damaged: Path) -> None:
    with pytest.raises(ModelError, match=r"'whisper-tiny\.en' in .* cannot be loaded") as failed:
        whisper.load(SttConfig(), Folder(damaged), threads=1)
    assert "voicecore models verify" in str(failed.value)


@pytest.mark.parametrize("file", ["model.bin", "config.json", "tokenizer.json"])
def test_a_missing_file_is_named_and_nothing_is_downloaded(damaged: Path, file: str) -> None:
    (damaged / file).unlink()
    with pytest.raises(ModelError, match=f"has no {file}"):
        whisper.load(SttConfig(), Folder(damaged), threads=1)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json"])
def test_a_damaged_file_is_named(damaged: Path, file: str) -> None:
    (damaged / file).write_bytes(b'{"half": \xff')
    with pytest.raises(ModelError, match=f"{file} is damaged"):
        whisper.load(SttConfig(), Folder(damaged), threads=1)


def test_a_compute_type_there_is_not_is_told_from_a_bad_model(damaged: Path) -> None:
    with pytest.raises(EngineError, match=r"stt\.compute_type = 'int7'"):
        whisper.load(SttConfig(compute_type="int7"), Folder(damaged), threads=1)


@pytest.mark.parametrize("absent", ["faster_whisper", "ctranslate2"])
def test_without_the_library_the_command_that_installs_it_is_named(
    monkeypatch: pytest.MonkeyPatch, absent: str
) -> None:
    monkeypatch.setitem(sys.modules, absent, None)
    monkeypatch.delitem(sys.modules, "voicecore.engines.whisper")
    with pytest.raises(EngineMissing, match=r"pip install 'voicecore\[whisper\]'"):
        importlib.import_module("voicecore.engines.whisper")


# --- the real model ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny(model_files: ModelFiles) -> whisper.Whisper:
    stt = whisper.load(SttConfig(), model_files, threads=2)
    stt.warm_up()
    return stt


@pytest.fixture(scope="module")
def say(model_files: ModelFiles) -> Any:
    from voicecore.engines import piper

    voice = piper.load(TtsConfig(), model_files, threads=2)

    def spoken(text: str) -> Samples:
        chunks: list[SpeechChunk] = []
        voice.run(SpeechRequest(text), chunks.append)
        joined = np.concatenate([chunk.samples for chunk in chunks])
        return resample(Pcm(joined, chunks[0].rate_hz), EAR_HZ).samples

    return spoken


def words(text: str) -> str:
    return " ".join("".join(c for c in text.lower() if c.isalnum() or c == " ").split())


@pytest.mark.model
@pytest.mark.parametrize(
    "text",
    [
        "What is the capital of France?",
        "Thank you.",
        "How do you make a good cup of coffee, and how long does it take in the morning?",
    ],
)
def test_speech_becomes_its_words(tiny: whisper.Whisper, say: Any, text: str) -> None:
    transcript = hear(tiny, say(text))
    assert words(transcript.text) == words(text)
    assert transcript.confidence > 0.4
    assert transcript.no_speech < 0.5


@pytest.mark.model
def test_the_same_sound_gives_the_same_transcript(tiny: whisper.Whisper, say: Any) -> None:
    samples = say("Turn off the lights in the kitchen.")
    assert hear(tiny, samples) == hear(tiny, samples)


@pytest.mark.model
def test_a_long_utterance_keeps_its_begin_and_end(tiny: whisper.Whisper, say: Any) -> None:
    pause = np.zeros(EAR_HZ // 2, np.int16)
    sentences = (
        "Tell me about the weather tomorrow.", "Open the window.", "My sister lives in London.",
        "We had a very nice lunch by the river.", "Please turn off the lights in the kitchen.",
        "The train was late again this morning.",
    )  # fmt: skip
    middle = [piece for sentence in sentences for piece in (say(sentence), pause)]
    ends = say("Good morning."), say("What time is it?")
    many = np.concatenate([ends[0], pause, *middle, ends[1]])
    assert 13 * EAR_HZ < len(many) < 28 * EAR_HZ
    heard = words(hear(tiny, many).text)
    assert heard.startswith("good morning")
    assert heard.endswith("what time is it")


@pytest.mark.model
def test_a_sentence_behind_a_pause_is_heard(tiny: whisper.Whisper, say: Any) -> None:
    pause = np.zeros(EAR_HZ * 8 // 10, np.int16)
    both = say("For a full hour he had been waiting."), pause, say("Then he went home again.")
    heard = words(hear(tiny, np.concatenate(both)).text)
    assert "full hour he had been waiting" in heard
    assert heard.endswith("then he went home again")


@pytest.mark.model
def test_a_partial_result_has_the_words_heard_so_far(tiny: whisper.Whisper, say: Any) -> None:
    """One of them may be missing: the window is short, and the next one comes soon."""
    before = np.zeros(EAR_HZ * 3 // 10, np.int16)  # what the ears keep
    sentences = {
        "Please turn off the lights in the kitchen.": "please turn off",
        "My sister lives in a small house by the river.": "my sister lives",
        "We had a very nice lunch in the garden.": "we had a very",
        "The train was late again this morning.": "the train was",
        "Tell me about the weather in London tomorrow.": "tell me about",
        "Could you open the window before you leave?": "could you open",
    }
    heard = {}
    for sentence in sentences:
        samples = say(sentence)
        begun = np.concatenate([before, samples[: len(samples) * 3 // 4]])
        transcript = hear(tiny, begun, urgency=Urgency.PARTIAL)
        assert transcript.passes == 1
        heard[sentence] = words(transcript.text)
    right = [s for s, begin in sentences.items() if heard[s].startswith(begin)]
    assert len(right) >= len(sentences) - 1, heard


@pytest.mark.model
@pytest.mark.parametrize("hints", ["", "Berlin, Hamburg, Ann and Bob " * 5])
def test_the_model_stops_at_the_limit(tiny: whisper.Whisper, say: Any, hints: str) -> None:
    samples = say("How do you make a good cup of coffee in the morning?")
    encoded = tiny._encode(fit(tiny._mel(samples), 1000))
    search = whisper.Search(1000, 3, hints, timed=False)
    assert len(tiny._decode(encoded, "en", search, limit=5).text.split()) <= 5
    assert not tiny._decode(encoded, "en", search, limit=5).ended
    assert tiny._decode(encoded, "en", search, limit=40).ended


@pytest.mark.model
@pytest.mark.parametrize("seconds", [0.5, 3, 12])
@pytest.mark.parametrize("level", [1, 30, 1000, 8000])
def test_noise_has_no_words(tiny: whisper.Whisper, seconds: float, level: int) -> None:
    noise = np.random.default_rng(4).normal(0, level, round(seconds * EAR_HZ))
    assert hear(tiny, np.clip(noise, -32768, 32767).astype(np.int16)).text == ""


@pytest.mark.model
@pytest.mark.parametrize("hz", [50, 440, 1000])
@pytest.mark.parametrize("hints", ["", "Cortex, Tokyo"])
def test_hum_and_tones_have_no_words(tiny: whisper.Whisper, hz: int, hints: str) -> None:
    tone = 8000 * np.sin(2 * np.pi * hz * np.arange(3 * EAR_HZ) / EAR_HZ)
    assert hear(tiny, tone.astype(np.int16), hints=hints).text == ""
