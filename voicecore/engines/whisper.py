"""Whisper on CTranslate2, encoding a window the size of the speech instead of 30 s.

Whisper was trained on windows of 30 s, and every caller pads to that: of 0.5 s of work on a short
sentence, 0.4 s encodes padding. Here the first pass encodes the speech and a margin. In a short
window the model sometimes repeats itself without end, and is a little less accurate with unclear
speech; such results are noticed, and a second pass on the full window decides.

`faster-whisper` brings the model's files, tokenizer and spectrogram, CTranslate2 the network.
Everything here blocks; a worker thread runs it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from voicecore.audio import EAR_HZ, Samples, to_float
from voicecore.config import SttConfig
from voicecore.engines.interface import EngineInfo, ModelFiles, Transcript, Urgency, Utterance
from voicecore.engines.lazy import lazily
from voicecore.engines.openmp import threads_that_sleep
from voicecore.engines.whisper_belief import Decoded
from voicecore.engines.whisper_window import (
    FLOOR_FRAMES,
    FRAMES_PER_S,
    FULL_FRAMES,
    Mel,
    fit,
    has_pause,
    is_silent,
    max_length,
    max_tokens,
    voiced_frames,
    window_frames,
)
from voicecore.errors import EngineError, EngineMissing, ModelError

try:
    with threads_that_sleep():
        import ctranslate2
    with lazily("av"):  # it reads sound files, which nobody does here: 16 MB
        from faster_whisper import WhisperModel
    from faster_whisper.tokenizer import Tokenizer
    from faster_whisper.transcribe import get_suppressed_tokens
except ImportError as error:
    raise EngineMissing(
        f"The faster-whisper engine is not installed ({error}). "
        "`pip install 'voicecore[whisper]'` brings it."
    ) from error

SECOND_BEAM = 5
"""Alternatives followed in a second pass."""

PARTIAL_FLOOR_FRAMES = 8 * FRAMES_PER_S
PARTIAL_MARGIN_FRAMES = 1 * FRAMES_PER_S
"""The window of a partial result, which may fail: the next one comes soon. Of 210 sentences broken
off somewhere, 6 failed in a window of 6 s, 1 in one of 8 or 10 s, which take 10 % more each."""

TWICE_BYTES = 100_000_000
"""A model file up to this size is loaded twice on a CPU, to encode with all threads and to write
with one. A token of so small a model is too little work to share: with 1 or 2 threads it takes
4.5 or 5.2 ms with one hypothesis, 5.1 or 9.3 ms with three (tiny.en). Encoding 10 s takes 55 or
33 ms."""

TIME_STEP_S = 0.02
"""The model's times are so exact."""

TIME_TOKENS = 10
"""Beyond the text's: two for each sentence."""

MAX_HINT_TOKENS = 100
"""About 70 words. The decoder reads them before its first word, and the model has room for 448
tokens in all, half of them for the prompt."""


@attrs.frozen
class Search:
    """How a pass looks for the words."""

    frames: int
    """Of the window."""
    beam: int
    hints: str
    timed: bool
    """Whether the times of sentences are written too: a few tokens more. Without them the model
    likes to stop at the first sentence. Of 38 utterances with pauses (tiny.en, 3 hypotheses) it
    heard 119 words wrong or not at all without times, 34 with them; of those without pauses, the
    same or one more."""


def load(config: SttConfig, files: ModelFiles, *, threads: int) -> Whisper:
    """Load the configured model; nothing is ever downloaded here.

    Raises:
        ModelError: the model is unknown, missing or corrupt.
        EngineError: the device, the compute type or the language does not suit it.
    """
    folder = files.folder(config.model)
    model = _open_model(config, folder, threads)
    decoder = model.model if config.lean else _open_decoder(model.model, folder, threads)
    return Whisper(config, model, threads, decoder)


def _open_model(config: SttConfig, folder: Path, threads: int) -> Any:
    _check_files(config.model, folder)
    try:
        return WhisperModel(
            str(folder),
            device=config.device,
            compute_type=config.compute_type,
            cpu_threads=threads,
            num_workers=1,
            local_files_only=True,
        )
    except ValueError as error:
        raise EngineError(
            f"This machine cannot run {config.model!r} as stt.device = {config.device!r}, "
            f"stt.compute_type = {config.compute_type!r}: {error}"
        ) from error
    except RuntimeError as error:
        kind = ModelError if config.device == "cpu" else EngineError
        raise kind(
            f"The Whisper model {config.model!r} in {folder} cannot be loaded on "
            f"{config.device!r} ({error}). `voicecore models verify` checks its files."
        ) from error


def _open_decoder(model: Any, folder: Path, threads: int) -> Any:
    """Open a small model a second time, to write with one thread."""
    if threads == 1 or model.device != "cpu" or (folder / "model.bin").stat().st_size > TWICE_BYTES:
        return model
    return ctranslate2.models.Whisper(
        str(folder), device="cpu", compute_type=model.compute_type, intra_threads=1
    )


def _check_files(name: str, folder: Path) -> None:
    """Refuse what faster-whisper would answer with a download or a bare `Exception`."""
    for file in ("model.bin", "config.json", "tokenizer.json"):
        if not (folder / file).is_file():
            raise ModelError(
                f"The Whisper model {name!r} has no {file} in {folder}. It must be a model "
                "converted for CTranslate2; `voicecore models fetch` brings the listed ones."
            )
    for file in ("config.json", "tokenizer.json"):
        try:
            json.loads((folder / file).read_bytes())
        except ValueError as error:
            raise ModelError(
                f"{folder / file} is damaged ({error}). `voicecore models verify` tells more."
            ) from error


class Whisper:
    """A `Native` that gives one `Transcript` for each `Utterance` of at most 30 s.

    `Utterance.begins` is ignored: CTranslate2 goes through given words one by one, which takes as
    long as finding them (114 ms for 23 tokens, whether 0 or 20 of them were given).

    **Cancellation**: recognition cannot be stopped, only outlived: about 0.15 s on two cores for
    tiny.en, 0.8 s with a second pass.
    """

    concurrency = 1
    """All threads work on one utterance: it is what its speaker waits for."""

    def __init__(self, config: SttConfig, model: Any, threads: int, decoder: Any = None) -> None:
        self.info = EngineInfo(
            "stt",
            "faster-whisper",
            config.model,
            f"{version('faster-whisper')}, ctranslate2 {version('ctranslate2')}",
            device=str(model.model.device),
            threads=threads,
        )
        self._config = config
        self._model = model
        self._decoder = model.model if decoder is None else decoder
        self._multilingual: bool = model.model.is_multilingual
        self._tokenizers: dict[str, Any] = {}
        self._language(config.language)  # refused now rather than at the first utterance

    def run(self, request: Utterance, emit: Callable[[Transcript], None]) -> None:
        """Recognise one utterance.

        Raises:
            EngineError: it is longer than 30 s, its language is not known to the model, or the
                network failed (out of memory, say).
        """
        seconds = len(request.samples) / EAR_HZ
        if seconds > FULL_FRAMES / FRAMES_PER_S:
            raise EngineError(
                f"Whisper recognises at most 30 s at once, not {seconds:.1f} s: cut the sound."
            )
        language = self._language(request.language or self._config.language)
        if is_silent(request.samples):
            emit(Transcript("", 0.0, no_speech=1.0, language=language or "en"))
            return
        try:
            emit(self._recognise(request, language))
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"Whisper failed on {seconds:.1f} s of sound: {error}.") from error

    def warm_up(self) -> None:
        """Decode noise in a short and in the full window: memory and code are there afterwards."""
        noise = np.random.default_rng(0).normal(0, 300, EAR_HZ).astype(np.int16)
        mel = self._mel(noise)
        language = self._language(self._config.language) or "en"
        for frames in (FLOOR_FRAMES, FULL_FRAMES):
            search = Search(frames, SECOND_BEAM, "", timed=False)
            self._decode(self._encode(fit(mel, frames)), language, search, limit=20)

    def close(self) -> None:
        self._tokenizers.clear()
        for model in (self._model.model, self._decoder):
            model.unload_model()

    def _language(self, wanted: str) -> str | None:
        """Return the model's code for ``wanted``, or None where it is to be detected."""
        code = wanted.replace("_", "-").partition("-")[0].lower()
        if code == "auto":
            return None if self._multilingual else "en"
        if code not in self._model.supported_languages:
            raise EngineError(
                f"The model {self.info.model!r} does not know the language {wanted!r}. Set "
                "stt.language to one it knows, or stt.model to a multilingual one (whisper-base)."
            )
        return code

    def _recognise(self, request: Utterance, language: str | None) -> Transcript:
        mel = self._mel(request.samples)
        voiced = voiced_frames(mel)
        search = Search(
            window_frames(mel.shape[1]),
            self._config.beam_size,
            request.hints or self._config.hints,
            timed=has_pause(voiced),
        )
        if request.urgency is Urgency.PARTIAL:
            frames = window_frames(mel.shape[1], PARTIAL_FLOOR_FRAMES, PARTIAL_MARGIN_FRAMES)
            quick = attrs.evolve(search, frames=frames, beam=1)
            return self._pass(mel, quick, language).partial()
        short = self._pass(mel, search, language)
        voice_s = (voiced[-1] + 1) / FRAMES_PER_S if len(voiced) else 0.0
        good = not (short.is_doubtful() or short.is_unsure() or short.is_short_of(voice_s))
        if short.is_noise() or good:
            return short.transcript(passes=1)  # noise is as much noise in a longer window
        again = attrs.evolve(search, frames=FULL_FRAMES, beam=max(search.beam, SECOND_BEAM))
        full = self._pass(mel, again, short.language)
        worse = full.is_doubtful() and not short.is_doubtful()
        return (short if worse else full).transcript(passes=2)

    def _pass(self, mel: Mel, search: Search, language: str | None) -> Decoded:
        encoded = self._encode(fit(mel, search.frames))
        if language is None:
            language = self._decoder.detect_language(encoded)[0][0][0][2:-2]
        return self._decode(encoded, language, search, max_tokens(mel.shape[1], language))

    def _mel(self, samples: Samples) -> Mel:
        mel: Mel = self._model.feature_extractor(to_float(samples))
        return np.asarray(mel[:, :FULL_FRAMES], np.float32)

    def _encode(self, mel: Mel) -> Any:
        batch = np.ascontiguousarray(mel[np.newaxis])
        return self._model.model.encode(ctranslate2.StorageView.from_array(batch))

    def _decode(self, encoded: Any, language: str, search: Search, limit: int) -> Decoded:
        tokenizer = self._tokenizer(language)
        prompt = _prompt(tokenizer, search)
        limit += TIME_TOKENS if search.timed else 0
        result = self._decoder.generate(
            encoded,
            [prompt],
            beam_size=search.beam,
            max_length=max_length(len(prompt), limit),
            suppress_tokens=get_suppressed_tokens(tokenizer, [-1]),
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        tokens = result.sequences_ids[0]
        times = [token for token in tokens if token >= tokenizer.timestamp_begin]
        return Decoded(
            text=tokenizer.decode(tokens).strip(),
            # The score is the mean over the tokens; the end of the text counts as one more.
            mean_logprob=result.scores[0] * len(tokens) / (len(tokens) + 1),
            no_speech=result.no_speech_prob,
            language=language,
            ended=len(tokens) < limit,
            heard_s=(times[-1] - tokenizer.timestamp_begin) * TIME_STEP_S if times else None,
        )

    def _tokenizer(self, language: str) -> Any:
        if language not in self._tokenizers:
            self._tokenizers[language] = Tokenizer(
                self._model.hf_tokenizer,
                self._multilingual,
                task="transcribe",
                language=language,
            )
        return self._tokenizers[language]


def _prompt(tokenizer: Any, search: Search) -> list[int]:
    start = [*tokenizer.sot_sequence]
    if not search.timed:
        start.append(tokenizer.no_timestamps)
    words = " ".join(search.hints.encode(errors="replace").decode().split())
    if not words:
        return start
    # A hint that looks like one of the model's control tokens is not one.
    found = [token for token in tokenizer.encode(" " + words) if token < tokenizer.eot]
    return [tokenizer.sot_prev, *found[:MAX_HINT_TOKENS], *start]
