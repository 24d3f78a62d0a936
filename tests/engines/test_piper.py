from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore.config import TtsConfig
from voicecore.engines.interface import ModelFiles, Native, SpeechChunk, SpeechRequest, Unheard
from voicecore.engines.onnx import OnnxErrors
from voicecore.errors import EngineError, EngineMissing, ModelError

pytest.importorskip("piper")

from voicecore.engines import piper

VOICE = TtsConfig().model


class Folder:
    """Model files: every model is two files in a folder of its own name."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, name: str) -> Path:
        if not (self.root / name).exists():
            raise ModelError(f"There is no model called {name!r}.")
        return self.root / name

    def file(self, name: str, suffix: str) -> Path:
        return self.folder(name) / f"voice{suffix}"


class StubVoice:
    """Speaks one chunk of 10 samples for each word."""

    opened: list[str]

    def __init__(self, name: str, *_: Any) -> None:
        if name.startswith("no"):
            raise ModelError(f"There is no model called {name!r}.")
        self.name = name
        self.opened.append(name)

    def speak(self, text: str, speed: float) -> Iterator[SpeechChunk]:
        for word in text.split():
            if word == "break":
                raise OnnxErrors[0]("bad shape")
            yield SpeechChunk(np.full(10, len(word), np.int16), 22_050)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(StubVoice, "opened", [], raising=False)
    monkeypatch.setattr(piper, "_open_voice", StubVoice)
    return StubVoice.opened


@pytest.fixture
def engine(stub: list[str], tmp_path: Path) -> piper.Piper:
    return piper.load(TtsConfig(model="own"), Folder(tmp_path), threads=1)


def spoken(engine: piper.Piper, text: str, **how: Any) -> list[SpeechChunk]:
    chunks: list[SpeechChunk] = []
    engine.run(SpeechRequest(text, **how), chunks.append)
    return chunks


# --- voices --------------------------------------------------------------------------------------


def test_it_is_a_native_engine_that_tells_what_it_is(engine: piper.Piper) -> None:
    assert isinstance(engine, Native)
    assert (engine.info.kind, engine.info.name, engine.info.model) == ("tts", "piper", "own")


def test_another_voice_is_loaded_once(engine: piper.Piper, stub: list[str]) -> None:
    for voice in ("other", None, "other", "own"):
        assert len(spoken(engine, "two words", voice=voice)) == 2
    assert stub == ["own", "other"]


def test_few_voices_stay_loaded_and_the_configured_one_always(
    engine: piper.Piper, stub: list[str]
) -> None:
    for voice in ("a", "b", "a", "c", "a", "own", "b"):
        spoken(engine, "word", voice=voice)
    assert stub == ["own", "a", "b", "c", "b"]
    assert len(engine._voices) == piper.MAX_VOICES


def test_an_unknown_voice_is_this_requests_error(engine: piper.Piper) -> None:
    with pytest.raises(EngineError, match=r"'nobody' is not available.*no model") as failed:
        spoken(engine, "word", voice="nobody")
    assert failed.value.code == "ENGINE_ERROR"
    assert len(spoken(engine, "word")) == 1


def test_a_failing_voice_is_this_requests_error(engine: piper.Piper) -> None:
    with pytest.raises(EngineError, match="'own' failed on a phrase: bad shape"):
        spoken(engine, "word break")
    assert len(spoken(engine, "word")) == 1


@pytest.mark.parametrize("speed", [0.0, 0.2, 5.0, -1.0, float("nan")])
def test_an_impossible_speed_is_refused(engine: piper.Piper, speed: float) -> None:
    with pytest.raises(EngineError, match=r"0.25 to 4"):
        spoken(engine, "word", speed=speed)


def test_it_stops_at_the_next_chunk_when_nobody_listens(engine: piper.Piper) -> None:
    heard: list[SpeechChunk] = []

    def leave(chunk: SpeechChunk) -> None:
        heard.append(chunk)
        raise Unheard

    with pytest.raises(Unheard):
        engine.run(SpeechRequest("one two three"), leave)
    assert len(heard) == 1


def test_a_missing_voice_is_told_when_loading(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model called 'gone'"):
        piper.load(TtsConfig(model="gone"), Folder(tmp_path), threads=1)


SETTINGS = (
    '{"num_symbols": 256, "num_speakers": 1, "audio": {"sample_rate": 22050},'
    ' "espeak": {"voice": "en-us"}, "phoneme_id_map": {}}'
)


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        (b"", SETTINGS),
        (b"not a model" * 99, SETTINGS),
        (None, SETTINGS),
        (b"", "{"),
        (b"", "[]"),
        (b"", "{}"),
        (b"", '{"audio": 1, "num_symbols": 1, "num_speakers": 1}'),
        (b"", None),
    ],
)
def test_a_corrupt_voice_is_a_model_error(
    tmp_path: Path, model: bytes | None, settings: str | None
) -> None:
    folder = tmp_path / "bad"
    folder.mkdir()
    if model is not None:
        (folder / "voice.onnx").write_bytes(model)
    if settings is not None:
        (folder / "voice.onnx.json").write_text(settings)
    with pytest.raises(ModelError, match="'bad' cannot be loaded") as failed:
        piper.load(TtsConfig(model="bad"), Folder(tmp_path), threads=1)
    assert "Fetch it again" in str(failed.value)


@pytest.mark.parametrize("absent", ["piper", "onnxruntime"])
def test_without_the_library_the_command_that_installs_it_is_named(
    monkeypatch: pytest.MonkeyPatch, absent: str
) -> None:
    monkeypatch.setitem(sys.modules, absent, None)
    monkeypatch.delitem(sys.modules, "voicecore.engines.piper")
    monkeypatch.delitem(sys.modules, "voicecore.engines.onnx")
    with pytest.raises(EngineMissing, match=r"pip install 'voicecore\[piper\]'") as missing:
        importlib.import_module("voicecore.engines.piper")
    assert "GPL-3.0-or-later" in str(missing.value)


# --- text, phonemes, sound -----------------------------------------------------------------------


@given(st.text(st.sampled_from("ab ,.;"), max_size=700))
def test_pieces_are_short_and_lose_nothing(sentence: str) -> None:
    pieces = list(piper.cut(list(sentence)))
    assert "".join(phoneme for piece in pieces for phoneme in piece) == sentence
    assert all(0 < len(piece) <= piper.MAX_PHONEMES for piece in pieces)
    for piece in pieces[:-1]:
        assert len(piece) > piper.MAX_PHONEMES // 2


def test_a_long_sentence_is_cut_after_a_clause_else_between_words() -> None:
    words = "word " * 15 + "clause, "
    assert "".join(next(piper.cut(list(words * 3)))).endswith("clause,")
    assert "".join(next(piper.cut(list("word " * 50)))).endswith("word ")
    assert len(next(piper.cut(list("a" * 500)))) == piper.MAX_PHONEMES


def test_pauses_are_longer_after_a_sentence_than_after_a_clause_or_a_word() -> None:
    after = [piper.pause_ms(list(text)) for text in ("so.", "so, ", "so", "", "Who?", "so: ")]
    assert after == [400, 300, 100, 100, 400, 300]


def test_text_is_never_taken_for_phonemes_nor_breaks_espeak() -> None:
    assert piper.speakable("a\0b [[x]] \ud800c é 好 \N{ZERO WIDTH JOINER}") == (
        "a b  x  c é 好 \N{ZERO WIDTH JOINER}"
    )


@pytest.mark.parametrize("before", [0, 100, 2_000])
@pytest.mark.parametrize("after", [0, 100, 9_000])
def test_a_phrase_has_one_lead_and_one_pause_whatever_the_voice_makes(
    before: int, after: int
) -> None:
    sound = np.concatenate(
        (np.zeros(before), np.full(1_000, 0.5), np.zeros(after)), dtype=np.float32
    )
    trimmed = piper.trim(sound, 10_000, 300)
    lead = min(before, 200)
    assert len(trimmed) == lead + 1_000 + 2_800
    assert not trimmed[:lead].any()
    assert (trimmed[lead : lead + 1_000] == 0.5).all()
    assert not trimmed[lead + 1_000 :].any()


def test_a_short_pause_never_cuts_into_the_sound() -> None:
    assert len(piper.trim(np.full(1_000, 0.5, np.float32), 10_000, 5)) == 1_000


def test_silence_is_no_sound() -> None:
    assert len(piper.trim(np.full(1_000, 0.002, np.float32), 10_000, 300)) == 0


# --- the real voice ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def loaded(model_files: ModelFiles) -> piper.Piper:
    return piper.load(TtsConfig(), model_files, threads=1)


def sound_of(chunks: list[SpeechChunk]) -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.concatenate([chunk.samples for chunk in chunks])


@pytest.mark.model
def test_the_voice_speaks_a_phrase(loaded: piper.Piper) -> None:
    (chunk,) = spoken(loaded, "Paris is the capital of France.")
    assert (chunk.rate_hz, chunk.samples.dtype) == (22_050, np.dtype(np.int16))
    assert 1_000 < len(chunk.samples) / 22.05 < 4_000
    loud = np.flatnonzero(np.abs(chunk.samples) > 0.003 * 32_767)
    assert loud[0] <= 0.021 * 22_050
    assert 0.37 * 22_050 < len(chunk.samples) - loud[-1] < 0.39 * 22_050


@pytest.mark.model
def test_one_chunk_comes_for_each_sentence_or_part_of_a_long_one(loaded: piper.Piper) -> None:
    assert len(spoken(loaded, "One. Two! Three?")) == 3
    long = "When the sun had set behind the hills and the birds were quiet, " * 3
    assert len(spoken(loaded, long)) >= 2


@pytest.mark.model
def test_phrases_are_about_as_loud_as_each_other_and_never_full_scale(
    loaded: piper.Piper,
) -> None:
    peaks = [
        int(np.abs(sound_of(spoken(loaded, text)).astype(np.int32)).max())
        for text in ("Happy birthday!", "Well, I think", "The quick brown fox jumps.", "No.")
    ]
    assert all(6_000 < peak < 32_767 for peak in peaks)


@pytest.mark.model
def test_speed_changes_the_length(loaded: piper.Piper) -> None:
    """Of several readings together: the voice draws the length of each sound by chance."""
    text = "The train leaves at nine fifteen."

    def length(speed: float) -> int:
        return sum(len(sound_of(spoken(loaded, text, speed=speed))) for _ in range(5))

    slow, normal, fast = (length(speed) for speed in (0.5, 1, 2))
    assert 1.4 < slow / normal < 2.6
    assert 1.4 < normal / fast < 2.6


@pytest.mark.model
@pytest.mark.parametrize("text", ["", " ", "...", "?!", "—", "\n", "\0", "\ud800", "\u200b"])
def test_text_without_a_sound_gives_no_chunk(loaded: piper.Piper, text: str) -> None:
    assert spoken(loaded, text) == []


@pytest.mark.model
@pytest.mark.parametrize("text", ["a\0b", "[[x]]", "日本語", "😀", "9" * 300, "x" * 500])
def test_strange_text_is_survived(loaded: piper.Piper, text: str) -> None:
    assert spoken(loaded, text)


@pytest.mark.model
def test_nothing_is_written_to_the_current_folder(
    loaded: piper.Piper, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    loaded.warm_up()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.model
def test_a_chinese_voice_would_download_and_is_refused(
    model_files: ModelFiles, tmp_path: Path
) -> None:
    folder = tmp_path / "zh"
    folder.mkdir()
    (folder / "voice.onnx").symlink_to(model_files.file(VOICE, ".onnx"))
    settings = model_files.file(VOICE, ".onnx.json").read_text()
    (folder / "voice.onnx.json").write_text(settings.replace('"espeak",', '"pinyin",', 1))
    with pytest.raises(EngineError, match="Chinese"):
        piper.load(TtsConfig(model="zh"), Folder(tmp_path), threads=1)


@pytest.mark.model
def test_closing_frees_the_voices(model_files: ModelFiles) -> None:
    engine = piper.load(TtsConfig(), model_files, threads=1)
    engine.close()
    assert not engine._voices
