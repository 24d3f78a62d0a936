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
import math
import re
import zlib
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from voicecore.audio import EAR_HZ, Samples, ms_to_samples, to_float
from voicecore.config import SttConfig
from voicecore.engines.interface import EngineInfo, ModelFiles, Transcript, Utterance
from voicecore.engines.openmp import threads_that_sleep
from voicecore.errors import EngineError, EngineMissing, ModelError

try:
    with threads_that_sleep():
        import ctranslate2
    from faster_whisper import WhisperModel
    from faster_whisper.tokenizer import Tokenizer
    from faster_whisper.transcribe import get_suppressed_tokens
except ImportError as error:
    raise EngineMissing(
        f"The faster-whisper engine is not installed ({error}). "
        "`pip install 'voicecore[whisper]'` brings it."
    ) from error

Mel: TypeAlias = npt.NDArray[np.float32]
"""Log-mel spectrogram as Whisper takes it, shape ``[bands, frames]``, 100 frames a second."""

FRAMES_PER_S = 100
FULL_FRAMES = 30 * FRAMES_PER_S  # the window Whisper was trained on: no more at once

FLOOR_FRAMES = 10 * FRAMES_PER_S
"""The shortest window. Of 183 short or noisy utterances (tiny.en, greedy), 44 were repeated in a
window of 6 s, 25 of 8 s, 7 of 10 s and 2 of 12 s; word errors on real speech are the same from 10
to 15 s. Encoding 8, 10, 12, 15 or 30 s takes 42, 55, 70, 105 or 390 ms on two cores."""

MARGIN_FRAMES = 2 * FRAMES_PER_S
"""Empty window behind the speech, from which the model knows that it has ended."""

EMPTY = np.float32(0)
"""What the rest of a window holds, as in faster-whisper: the middle of the model's scale. Filled
with silence (about -0.6) instead, 17 of the utterances above were repeated, not 7."""

SILENCE_RMS = 10 ** (-75 / 20)
"""An utterance whose loudest 100 ms are below -75 dB of full scale is not even decoded. Recordings
lowered to an RMS of -67 to -81 dB were not below it; noise in the last bit lies at -92 dB."""

MAX_COMPRESSION = 2.4
"""Text that shrinks more than this is a loop (OpenAI's ``compression_ratio_threshold``)."""

MIN_MEAN_LOGPROB = -1.0
"""Below this the decoding has failed (OpenAI's ``logprob_threshold``)."""

UNSURE_LOGPROB = -0.35
UNSURE_WORDS = 4
SECOND_BEAM = 5
"""A sentence of so many words below this is heard again in the full window. Shorter texts score low
however clear they are. On 93 noisy and altered real recordings (beam 5) it brought the errors from
76 of 1376 words to 59, `transcribe`'s own count, by repeating 18 %; of 60 synthetic ones, none."""

NO_SPEECH = 0.7
MAYBE_NO_SPEECH = 0.5
"""The model's own probability that nobody speaks. For 96 noises, hums, clicks and tones it was
above 0.5 nearly always, and above 0.8 for 89 % (tiny.en) or 29 % (base); for 204 short or damaged
utterances it was 0.62 at most. In between, `MIN_MEAN_LOGPROB` and `INVENTED` decide."""

INVENTED = frozenset({"you", "thank you", "thanks for watching", "thank you for watching", "bye"})
"""What Whisper says of noise most often. People say it too, but then it knows that they speak: for
"Thank you" 0.25 at most."""

GUESS_LOGPROB = -1.6
"""Words below this are guesses about noise: with hints, a long beep has a no-speech probability of
0.3 but a mean log probability of -1.9. The worst real speech had -1.5, and was misheard."""

MAX_HINT_TOKENS = 100
"""About 70 words. The decoder reads them before its first word, and the model has room for 448
tokens in all, half of them for the prompt."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")

MAX_TOKENS = 448
"""The decoder's context, fixed by the model."""

BASE_TOKENS = 10
TOKENS_PER_S = 10
TOKENS_PER_S_OTHER = 25
"""The longest plausible result. Fast English is 8 tokens a second; scripts that the tokenizer cuts
into bytes (Thai, Hindi) need up to three times as many. More is a loop."""


def load(config: SttConfig, files: ModelFiles, *, threads: int) -> Whisper:
    """Load the configured model; nothing is ever downloaded here.

    Raises:
        ModelError: the model is unknown, missing or corrupt.
        EngineError: the device, the compute type or the language does not suit it.
    """
    return Whisper(config, _open_model(config, files.folder(config.model), threads), threads)


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

    **Cancellation**: recognition cannot be stopped, only outlived: about 0.2 s on two cores for
    tiny.en, 0.8 s with a second pass.
    """

    concurrency = 1
    """All threads work on one utterance: it is what its speaker waits for."""

    def __init__(self, config: SttConfig, model: Any, threads: int) -> None:
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
            self._decode(self._encode(fit(mel, frames)), language, "", SECOND_BEAM, limit=20)

    def close(self) -> None:
        self._tokenizers.clear()
        self._model.model.unload_model()

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
        hints = request.hints or self._config.hints
        beam = self._config.beam_size
        short = self._pass(mel, window_frames(mel.shape[1]), language, hints, beam)
        if short.is_noise() or not (short.is_doubtful() or short.is_unsure()):
            return short.transcript(passes=1)  # noise is as much noise in a longer window
        full = self._pass(mel, FULL_FRAMES, short.language, hints, max(beam, SECOND_BEAM))
        worse = full.is_doubtful() and not short.is_doubtful()
        return (short if worse else full).transcript(passes=2)

    def _pass(self, mel: Mel, frames: int, language: str | None, hints: str, beam: int) -> Decoded:
        encoded = self._encode(fit(mel, frames))
        if language is None:
            language = self._model.model.detect_language(encoded)[0][0][0][2:-2]
        return self._decode(encoded, language, hints, beam, max_tokens(mel.shape[1], language))

    def _mel(self, samples: Samples) -> Mel:
        mel: Mel = self._model.feature_extractor(to_float(samples))
        return np.asarray(mel[:, :FULL_FRAMES], np.float32)

    def _encode(self, mel: Mel) -> Any:
        batch = np.ascontiguousarray(mel[np.newaxis])
        return self._model.model.encode(ctranslate2.StorageView.from_array(batch))

    def _decode(self, encoded: Any, language: str, hints: str, beam: int, limit: int) -> Decoded:
        tokenizer = self._tokenizer(language)
        prompt = _prompt(tokenizer, hints)
        result = self._model.model.generate(
            encoded,
            [prompt],
            beam_size=beam,
            max_length=min(MAX_TOKENS, len(prompt) + limit),
            suppress_tokens=get_suppressed_tokens(tokenizer, [-1]),
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        tokens = result.sequences_ids[0]
        return Decoded(
            text=tokenizer.decode(tokens).strip(),
            # The score is the mean over the tokens; the end of the text counts as one more.
            mean_logprob=result.scores[0] * len(tokens) / (len(tokens) + 1),
            no_speech=result.no_speech_prob,
            language=language,
            ended=len(tokens) < limit,
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


def _prompt(tokenizer: Any, hints: str) -> list[int]:
    start = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
    words = " ".join(hints.encode(errors="replace").decode().split())
    if not words:
        return start
    # A hint that looks like one of the model's control tokens is not one.
    found = [token for token in tokenizer.encode(" " + words) if token < tokenizer.eot]
    return [tokenizer.sot_prev, *found[:MAX_HINT_TOKENS], *start]


# --- the pure part: sizes, and what to believe ---------------------------------------------------


@attrs.frozen
class Decoded:
    """What one pass gave."""

    text: str
    mean_logprob: float
    no_speech: float
    language: str
    ended: bool
    """False when the length limit ended it."""

    def is_noise(self) -> bool:
        """Whether nobody spoke, whatever words there are ("you", "Thank you." and the like)."""
        improbable = self.mean_logprob < MIN_MEAN_LOGPROB or " ".join(_words(self.text)) in INVENTED
        return self.no_speech >= NO_SPEECH or (self.no_speech >= MAYBE_NO_SPEECH and improbable)

    def is_doubtful(self) -> bool:
        """Whether it may be a loop or a failure."""
        return (
            not self.ended
            or self.mean_logprob < MIN_MEAN_LOGPROB
            or compression(self.text) > MAX_COMPRESSION
            or repeats(self.text)
        )

    def is_unsure(self) -> bool:
        """Whether it is a sentence that the full window may hear better."""
        return self.mean_logprob < UNSURE_LOGPROB and len(_words(self.text)) >= UNSURE_WORDS

    def is_rejected(self) -> bool:
        """Whether its words should reach nobody, if this pass decides."""
        doubtful_noise = self.no_speech >= MAYBE_NO_SPEECH and self.is_doubtful()
        return self.is_noise() or doubtful_noise or self.mean_logprob < GUESS_LOGPROB

    def transcript(self, passes: int) -> Transcript:
        text = "" if self.is_rejected() else self.text
        confidence = math.exp(min(0.0, self.mean_logprob)) if text else 0.0
        return Transcript(text, confidence, self.no_speech, self.language, passes)


def window_frames(speech_frames: int) -> int:
    """Size the first pass's window: the speech and a margin, from 10 to 30 s, an even number.

    The encoder halves the frames.
    """
    wanted = max(FLOOR_FRAMES, speech_frames + MARGIN_FRAMES)
    return min(FULL_FRAMES, wanted + wanted % 2)


def fit(mel: Mel, frames: int) -> Mel:
    """Extend (or cut) a spectrogram to a window."""
    window = np.full((mel.shape[0], frames), EMPTY, np.float32)
    window[:, : mel.shape[1]] = mel[:, :frames]
    return window


def max_tokens(speech_frames: int, language: str) -> int:
    """Bound the result's length by the sound's, so that a loop ends soon."""
    rate = TOKENS_PER_S if language == "en" else TOKENS_PER_S_OTHER
    return BASE_TOKENS + math.ceil(rate * speech_frames / FRAMES_PER_S)


def is_silent(samples: Samples) -> bool:
    """Whether even the loudest 100 ms are below `SILENCE_RMS`."""
    block = ms_to_samples(100, EAR_HZ)
    padded = np.pad(to_float(samples), (0, -len(samples) % block)).reshape(-1, block)
    return not len(padded) or float(np.sqrt((padded**2).mean(axis=1)).max()) < SILENCE_RMS


def compression(text: str) -> float:
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 0.0


def repeats(text: str) -> bool:
    """Whether the text says the same again at once, as a decoder does that has lost its way.

    True if a group of two to eight words follows itself, if one word comes three times in a row,
    or if the whole text is one word said twice. People say such things too: it costs them a second
    pass, not their words.
    """
    words = _words(text)
    if len(words) == 2 and words[0] == words[1]:
        return True
    return _runs(words, 1, 3) or any(_runs(words, size, 2) for size in range(2, 9))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _runs(words: Sequence[str], size: int, times: int) -> bool:
    """Whether ``size`` words are said ``times`` times in a row."""
    equal = 0
    for here, later in zip(words, words[size:], strict=False):
        equal = equal + 1 if here == later else 0
        if equal >= size * (times - 1):
            return True
    return False
