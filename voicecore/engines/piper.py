"""Piper: neural voices on ONNX Runtime, one for each voice file.

``piper-tts`` is GPL-3.0-or-later, so it is an extra of its own. Everything here blocks; a worker
thread runs it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from voicecore.audio import from_float, ms_to_samples
from voicecore.config import TtsConfig
from voicecore.engines.interface import EngineInfo, ModelFiles, SpeechChunk, SpeechRequest
from voicecore.errors import EngineError, EngineMissing, ModelError

try:
    from piper import PhonemeType, PiperVoice, SynthesisConfig
    from piper.config import PiperConfig

    from voicecore.engines.onnx import OnnxErrors, onnxruntime
except ImportError as error:
    raise EngineMissing(
        f"The piper voice engine is not installed ({error}). `pip install 'voicecore[piper]'` "
        "brings it; note that piper-tts is GPL-3.0-or-later."
    ) from error

_LoadErrors: tuple[type[Exception], ...] = (
    *OnnxErrors,
    *(OSError, ValueError, LookupError, TypeError, AttributeError, ImportError),
)
"""What a damaged model or settings file gives, or a language's dictionary that is not installed."""

MAX_VOICES = 3
"""Voices kept loaded: the configured one and the two others used last. Each holds about 100 MB
(a medium voice); loading one again takes about 1.3 s, during which the engine speaks to nobody."""

MAX_PHONEMES = 120
"""Of one native call, which nothing can stop: about 6 s of speech, 0.47 s of one core. Long
sentences cut so were recognised as well as whole ones (word errors 3.7 and 6.2 %, 356 words)."""

_LONG_INPUT = 120
"""Ids (about 60 phonemes) from which a call gives its memory back to the system. Otherwise ONNX
Runtime keeps what the longest call took: 370 MB in all after 200 characters, against 230 MB. It
costs 7 % of a long call and 25 % of a short one, the kind a person waits for."""

LEVEL = 10 ** (-24 / 20)
"""The level voices are brought to: 24 dB below full scale, root mean square (ATSC A/85 sets this
for broadcast, there weighted by ear). Peaks of the default voice then reach 0.85."""

_LEVEL_TEXT = "The quick brown fox jumps over the lazy dog, and nobody minds."

_AUDIBLE = 0.003
"""50 dB below full scale; the voice is silent at 100 dB below. The first sound of 24 phrases, with
soft consonants among them, is found within 15 ms of the same place from 0.002 to 0.005."""

LEAD_MS = 20
"""Silence kept before a phrase; the voice makes up to 65 ms, which only delay it."""

_SENTENCE_MS, _CLAUSE_MS, _WORD_MS = 400, 300, 100
"""From the last sound of one piece of speech to the first of the next, at speed 1. The voice's own
pause at a comma within a sentence is 290 ms (median), and 90 ms between words. Sentences are made
apart, and simply joined would follow each other after 230 ms, faster than clauses; 400 ms lies
among the medium pauses of read speech, 200 to 1000 ms (Campione and Veronis, 2002)."""


def load(config: TtsConfig, files: ModelFiles, *, threads: int) -> Piper:
    """Load the configured voice.

    Args:
        config: ``model`` names the voice. ``speed`` is not read: every request brings its own.
        files: where the voices are, the configured one and those that requests name.
        threads: of one synthesis, for ONNX Runtime.

    Raises:
        ModelError: the voice is unknown, missing or corrupt.
    """
    return Piper(config.model, files, threads=threads)


class Piper:
    """A `Native` that speaks a phrase piece by piece, a piece being at most one sentence.

    The sound of a piece is one `SpeechChunk`: mono int16 at the voice's rate (22 050 Hz for a
    medium voice), with 20 ms of silence before it and a pause after it, as a person would make.

    **Cancellation**: `emit` is called after each piece, so a listener who has left frees the thread
    within one native call (`MAX_PHONEMES`).
    """

    concurrency = 1
    """All threads work on one phrase. Two at once would each take twice as long, and the first
    sound of a reply is what a person waits for. One core speaks about 13 times faster than real
    time. (espeak, process-wide and locked, serves one at a time anyway.)"""

    def __init__(self, model: str, files: ModelFiles, *, threads: int) -> None:
        self.info = EngineInfo("tts", "piper", model, version("piper-tts"), threads=threads)
        self._files = files
        self._voices = {model: _open_voice(model, files, threads)}
        """In order of use, the one used last at the end."""

    def run(self, request: SpeechRequest, emit: Callable[[SpeechChunk], None]) -> None:
        """Speak one phrase. Text without a sound, such as punctuation, gives no chunk.

        Raises:
            EngineError: the voice is not available, or failed on this phrase.
        """
        if not 0.25 <= request.speed <= 4:
            raise EngineError(f"A voice speaks at 0.25 to 4 times its pace, not {request.speed}.")
        voice = self._voice(request.voice or self.info.model)
        try:
            for chunk in voice.speak(request.text, request.speed):
                emit(chunk)
        except OnnxErrors as error:
            raise EngineError(f"The voice {voice.name!r} failed on a phrase: {error}.") from error

    def warm_up(self) -> None:
        """Speak a word into nowhere: the first run of a session sets up its memory."""
        self.run(SpeechRequest("Ready."), lambda _: None)

    def close(self) -> None:
        self._voices.clear()

    def _voice(self, name: str) -> _Voice:
        voice = self._voices.pop(name, None) or self._other_voice(name)
        self._voices[name] = voice
        for other in list(self._voices):
            if len(self._voices) > MAX_VOICES and other not in {name, self.info.model}:
                del self._voices[other]
        return voice

    def _other_voice(self, name: str) -> _Voice:
        try:
            return _open_voice(name, self._files, self.info.threads)
        except ModelError as error:
            raise EngineError(f"The voice {name!r} is not available. {error}") from error


# --- one voice -----------------------------------------------------------------------------------

_Sound = npt.NDArray[np.float32]
"""Mono, full scale at 1, shape ``[samples]``."""


@attrs.frozen(eq=False)
class _Voice:
    name: str
    piper: Any
    gain: float = 1.0
    """One for all phrases. Piper can scale every sentence to full peak, which lifts a whispered
    word by 17 dB; against the same words spoken in one sentence, the level of two halves was off
    by 3.4 dB with that and by 2.5 dB without (24 pairs)."""

    def speak(self, text: str, speed: float) -> Iterator[SpeechChunk]:
        rate_hz: int = self.piper.config.sample_rate
        for phonemes in self.piper.phonemize(speakable(text)):
            for piece in cut(phonemes):
                sound = trim(self.synthesize(piece, speed), rate_hz, pause_ms(piece) / speed)
                if len(sound):
                    yield SpeechChunk(from_float(sound), rate_hz)

    def synthesize(self, phonemes: Sequence[str], speed: float) -> _Sound:
        ids = self.piper.phonemes_to_ids(phonemes)
        settings = SynthesisConfig(length_scale=self.piper.config.length_scale / speed)
        sound: _Sound = self.piper.phoneme_ids_to_audio(ids, settings) * np.float32(self.gain)
        return sound


def _open_voice(name: str, files: ModelFiles, threads: int) -> _Voice:
    """Load a voice and find its gain, by which it has also shown that it can speak.

    Raises:
        ModelError: it is unknown, missing or corrupt.
        EngineError: it is of a kind that is not supported.
    """
    model, settings = files.file(name, ".onnx"), files.file(name, ".onnx.json")
    try:
        config = PiperConfig.from_dict(json.loads(settings.read_bytes()))
        session = _Session(str(model), threads)
        # `download_dir` would be the current folder. Only Chinese voices use it, refused below.
        voice = PiperVoice(session=session, config=config, download_dir=model.parent)
        if config.phoneme_type == PhonemeType.PINYIN:
            raise EngineError(
                f"The voice {name!r} is Chinese: piper would download its dictionary while it "
                "speaks, unverified, which is not supported. Choose another voice."
            )
        return _levelled(_Voice(name, voice))
    except _LoadErrors as error:
        raise ModelError(
            f"The voice {name!r} cannot be loaded from {model.parent}: {error!r}. "
            "Fetch it again, or choose another."
        ) from error


def _levelled(voice: _Voice) -> _Voice:
    """Find the gain that brings a voice to `LEVEL`; of voices too soft to tell, none."""
    phonemes = voice.piper.phonemize(_LEVEL_TEXT)[0]
    sound = trim(voice.synthesize(phonemes, 1), voice.piper.config.sample_rate, 0)
    if not len(sound):
        raise ValueError("it makes no sound")
    level = float(np.sqrt(np.mean(np.square(sound))))
    return attrs.evolve(voice, gain=LEVEL / level)


class _Session:
    """The ONNX Runtime session `PiperVoice` speaks through, with our threads and memory."""

    def __init__(self, path: str, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Patterns are kept for every length of input ever seen: memory for no measurable time.
        options.enable_mem_pattern = False
        # Idle threads that spin take the cores from recognition and the language model.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            path, sess_options=options, providers=["CPUExecutionProvider"]
        )

    def run(self, names: Sequence[str] | None, inputs: dict[str, npt.NDArray[Any]]) -> Any:
        options = onnxruntime.RunOptions()
        if inputs["input"].shape[1] >= _LONG_INPUT:
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        return self._session.run(names, inputs, options)


# --- text, phonemes, sound -----------------------------------------------------------------------

_SENTENCE_MARKS, _CLAUSE_MARKS = ".?!", ",;:"


def speakable(text: str) -> str:
    """Leave out what espeak cannot take (NUL, half surrogates), and piper's ``[[phonemes]]``."""
    text = text.encode("utf-8", "ignore").decode("utf-8")
    return text.replace("\0", " ").replace("[[", " ").replace("]]", " ")


def cut(phonemes: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut a long sentence into pieces of at most `MAX_PHONEMES`, to be synthesised one by one.

    After a clause if there is one in the second half of a piece, else between words.
    """
    rest = phonemes
    while len(rest) > MAX_PHONEMES:
        end = _cut_at(rest[:MAX_PHONEMES])
        yield rest[:end]
        rest = rest[end:]
    if rest:
        yield rest


def _cut_at(head: Sequence[str]) -> int:
    later = range(len(head) - 1, len(head) // 2, -1)
    for marks in (_CLAUSE_MARKS + _SENTENCE_MARKS, " "):
        found = next((at + 1 for at in later if head[at] in marks), None)
        if found:
            return found
    return len(head)


def pause_ms(phonemes: Sequence[str]) -> int:
    """Say how long a person would pause after these."""
    last = next((phoneme for phoneme in reversed(phonemes) if phoneme != " "), " ")
    if last in _SENTENCE_MARKS:
        return _SENTENCE_MS
    return _CLAUSE_MS if last in _CLAUSE_MARKS else _WORD_MS


def trim(sound: _Sound, rate_hz: int, pause_ms: float) -> _Sound:
    """Leave `LEAD_MS` before the first audible sample, and the rest of the pause after the last.

    A sound that ends earlier is filled up with silence; one without an audible sample is empty.
    """
    audible = np.flatnonzero(np.abs(sound) > _AUDIBLE)
    if not len(audible):
        return sound[:0]
    begin = max(0, audible[0] - ms_to_samples(LEAD_MS, rate_hz))
    end = audible[-1] + 1 + max(0, ms_to_samples(pause_ms - LEAD_MS, rate_hz))
    return np.pad(sound[begin:end], (0, max(0, end - len(sound))))
