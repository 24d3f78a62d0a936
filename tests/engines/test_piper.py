from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any

import attrs
import numpy as np
import pytest
from structlog.testing import capture_logs

from voicecore.config import TtsConfig
from voicecore.engines.interface import ModelFiles, Native, SpeechChunk, SpeechRequest, Unheard
from voicecore.engines.onnx import OnnxErrors
from voicecore.errors import EngineError, EngineMissing, ModelError

pytest.importorskip("piper")

from piper.config import PiperConfig

from voicecore.engines import piper
from voicecore.engines.piper import engine as piper_engine
from voicecore.engines.piper import vits
from voicecore.engines.piper import voice as piper_voice
from voicecore.engines.piper.graph import Graph

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
    joins = True

    def __init__(self, name: str, **_: Any) -> None:
        if name.startswith("no"):
            raise ModelError(f"There is no model called {name!r}.")
        self.name = name
        self.opened.append(name)
        time.sleep(0.001)  # lets another thread in

    def speak(
        self, text: str, speed: float, before: str = "", after: str = ""
    ) -> Iterator[SpeechChunk]:
        for word in text.split():
            if word == "break":
                raise OnnxErrors[0]("bad shape")
            yield SpeechChunk(np.full(10, len(word), np.int16), 22_050)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(StubVoice, "opened", [], raising=False)
    monkeypatch.setattr(piper_engine, "open_voice", StubVoice)
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
    assert len(engine._voices) == piper_engine.MAX_VOICES


def test_threads_that_want_the_same_voice_load_it_once(
    engine: piper.Piper, stub: list[str]
) -> None:
    begin = Barrier(engine.concurrency)

    def speak(_: int) -> int:
        begin.wait()
        return len(spoken(engine, "two words", voice="other"))

    with ThreadPoolExecutor(engine.concurrency) as threads:
        assert set(threads.map(speak, range(engine.concurrency))) == {2}
    assert stub == ["own", "other"]


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
    for name in [name for name in sys.modules if name.startswith("voicecore.engines.piper")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "voicecore.engines.onnx")
    with pytest.raises(EngineMissing, match=r"pip install 'voicecore\[piper\]'") as missing:
        importlib.import_module("voicecore.engines.piper")
    assert "GPL-3.0-or-later" in str(missing.value)


# --- the real voice ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def loaded(model_files: ModelFiles) -> piper.Piper:
    return piper.load(TtsConfig(), model_files, threads=1)


def sound_of(chunks: list[SpeechChunk]) -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.concatenate([chunk.samples for chunk in chunks])


@pytest.mark.model
def test_the_voice_speaks_a_phrase(loaded: piper.Piper) -> None:
    chunks = spoken(loaded, "Paris is the capital of France.")
    assert {(chunk.rate_hz, str(chunk.samples.dtype)) for chunk in chunks} == {(22_050, "int16")}
    sound = sound_of(chunks)
    assert 1_000 < len(sound) / 22.05 < 4_000
    loud = np.flatnonzero(np.abs(sound) > 0.003 * 32_767)
    assert loud[0] <= 0.021 * 22_050
    assert 0.37 * 22_050 < len(sound) - loud[-1] < 0.39 * 22_050


@pytest.mark.model
def test_the_first_window_is_short_and_one_sentence_takes_several(loaded: piper.Piper) -> None:
    chunks = spoken(loaded, "When the sun had set behind the hills, the birds were quiet.")
    assert len(chunks) >= 4
    assert 200 < len(chunks[0].samples) / 22.05 <= 320
    assert max(len(chunk.samples) for chunk in chunks) / 22.05 < 1_900


@pytest.mark.model
def test_phrases_spoken_at_once_do_not_mix(loaded: piper.Piper) -> None:
    texts = [f"{word}, and then there was no more to be said." for word in ("One", "Two", "Six")]
    with ThreadPoolExecutor(len(texts)) as threads:
        for text, chunks in zip(texts, threads.map(partial(spoken, loaded), texts), strict=True):
            assert [word.text for chunk in chunks for word in chunk.words] == text.split()
            end_ms = len(sound_of(chunks)) / 22.05
            last = next(chunk.words[-1] for chunk in chunks if chunk.words)
            assert end_ms - 450 < last.end_ms < end_ms - 250


@pytest.mark.model
def test_an_abandoned_sentence_stops_at_its_next_window(loaded: piper.Piper) -> None:
    heard: list[SpeechChunk] = []

    def leave(chunk: SpeechChunk) -> None:
        heard.append(chunk)
        raise Unheard

    with pytest.raises(Unheard):
        loaded.run(SpeechRequest("When the sun had set, the birds were quiet."), leave)
    assert len(sound_of(heard)) / 22.05 <= 320


@pytest.mark.model
def test_phrases_are_about_as_loud_as_each_other_and_never_full_scale(
    loaded: piper.Piper,
) -> None:
    peaks = [
        int(np.abs(sound_of(spoken(loaded, text)).astype(np.int32)).max())
        for text in ("Happy birthday!", "Well, I think", "The quick brown fox jumps.", "No.")
    ]
    assert all(6_000 < peak < 32_767 for peak in peaks)


@pytest.fixture
def steady(model_files: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> piper.Piper:
    """A voice that leaves nothing to chance."""
    scales = {"noise_scale": 0.0, "noise_w_scale": 0.0}
    config_of = PiperConfig.from_dict

    def quiet(settings: dict[str, Any]) -> Any:
        config = config_of(settings)
        for name, value in scales.items():
            setattr(config, name, value)
        return config

    monkeypatch.setattr(PiperConfig, "from_dict", quiet)
    return piper.load(TtsConfig(), model_files, threads=1)


@pytest.mark.model
@pytest.mark.parametrize("words", [1, 3, 6, 9])
def test_a_sentence_spoken_in_two_parts_sounds_like_one(steady: piper.Piper, words: int) -> None:
    assert steady.info.joins
    text = "The best way to make tea is to use boiling water."
    before, after = " ".join(text.split()[:words]), " ".join(text.split()[words:])
    whole = spoken(steady, text)
    first = spoken(steady, before, after=after)
    second = spoken(steady, after, before=before)
    assert [word.text for chunk in first for word in chunk.words] == before.split()
    assert [word.text for chunk in second for word in chunk.words] == after.split()
    sound, joined = sound_of(whole), sound_of([*first, *second])
    assert len(joined) == len(sound)
    at, fade = len(sound_of(first)), 22_050 * piper_voice.JOIN_MS // 1000
    apart = np.abs(joined.astype(np.int32) - sound)
    assert apart[: at - fade].max() <= 1
    assert apart[at + fade :].max() <= 1
    assert not joined[at - 1 : at + 1].any(), "faded out and in"
    (times,) = [chunk.words for chunk in whole if chunk.words]
    (later,) = [chunk.words for chunk in second if chunk.words]
    begin_ms = at / 22.05
    for word, part in zip(times[words:], later, strict=True):
        assert part.start_ms == pytest.approx(word.start_ms - begin_ms, abs=0.1)


@pytest.mark.model
def test_words_that_only_surround_a_text_are_not_spoken(loaded: piper.Piper) -> None:
    assert spoken(loaded, "", before="All is", after="well") == []
    alone = spoken(loaded, "is", before="All", after="well")
    assert [word.text for chunk in alone for word in chunk.words] == ["is"]
    assert 60 < len(sound_of(alone)) / 22.05 < 500


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
def test_a_voice_may_be_a_link_in_a_folder_that_cannot_be_written(
    model_files: ModelFiles, tmp_path: Path
) -> None:
    folder = tmp_path / "linked"
    folder.mkdir()
    for suffix in (".onnx", ".onnx.json"):
        (folder / f"voice{suffix}").symlink_to(model_files.file(VOICE, suffix))
    folder.chmod(0o500)
    engine = piper.load(TtsConfig(model="linked"), Folder(tmp_path), threads=1)
    assert [word.text for chunk in spoken(engine, "All is well.") for word in chunk.words] == [
        *("All", "is", "well.")
    ]


@pytest.mark.model
def test_a_voice_that_cannot_be_cut_speaks_whole_sentences(
    model_files: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def split(_: object) -> None:
        raise ValueError("it has no decoder")

    monkeypatch.setattr(piper_voice, "split", split)
    with capture_logs() as logs:
        engine = piper.load(TtsConfig(), model_files, threads=1)
    assert [(entry["log_level"], entry["why"]) for entry in logs] == [
        ("warning", "it has no decoder")
    ]
    chunks = spoken(engine, "When the sun had set behind the hills, the birds were quiet.")
    assert len(chunks) <= 2, "the sound, and perhaps the rest of its pause"
    assert 2_000 < len(chunks[0].samples) / 22.05 < 7_000
    assert not any(chunk.words for chunk in chunks)


@pytest.mark.model
def test_a_voice_whose_windows_would_differ_speaks_whole_sentences(
    model_files: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def split(graph: Graph) -> vits.Parts:
        parts = vits.split(graph)
        near = tuple(attrs.evolve(part, reach=part.reach // 2) for part in parts.local)
        return attrs.evolve(parts, local=near)

    monkeypatch.setattr(piper_voice, "split", split)
    with capture_logs() as logs:
        engine = piper.load(TtsConfig(), model_files, threads=1)
    assert [entry["why"] for entry in logs] == ["windows of its sound do not join"]
    assert sum(len(chunk.words) for chunk in spoken(engine, "All is well.")) == 0


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
