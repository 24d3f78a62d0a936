"""The engine: voices that stay loaded, and requests to them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from threading import Lock

from voicecore.config import TtsConfig
from voicecore.engines.interface import EngineInfo, ModelFiles, SpeechChunk, SpeechRequest
from voicecore.engines.onnx import OnnxErrors
from voicecore.engines.piper.voice import Voice, open_voice
from voicecore.errors import EngineError, ModelError

MAX_VOICES = 3
"""Voices kept loaded: the configured one and the two others used last. Each holds about 100 MB
(a medium voice), 60 of them a mapped file; loading one again takes about 1.5 s, during which the
engine begins no other phrase."""

LEAN_VOICES = 2
"""The same of a lean engine."""


def load(config: TtsConfig, files: ModelFiles, *, threads: int) -> Piper:
    """Load the configured voice.

    Args:
        config: ``model`` names the voice. ``speed`` is not read: every request brings its own.
        files: where the voices are, the configured one and those that requests name.
        threads: of one synthesis, for ONNX Runtime.

    Raises:
        ModelError: the voice is unknown, missing or corrupt.
    """
    return Piper(config.model, files, threads=threads, lean=config.lean)


class Piper:
    """A `Native` that speaks a phrase sentence by sentence, and a sentence window by window.

    A window is one `SpeechChunk`: mono int16 at the voice's rate (22 050 Hz for a medium voice).
    The first window of a sentence is 300 ms, later ones up to 1.2 s; before the sentence are 20 ms
    of silence, after it a pause as a person would make. Its first chunk tells the times of all its
    words. A voice that is not built like VITS gives a sentence as one chunk, without words.

    **Cancellation**: `emit` is called after each window, so a listener who has left frees the
    thread within one native call: a window, or the encoder on `MAX_PHONEMES`, 0.1 s of one core
    each.
    """

    concurrency = 8
    """Phrases begun and not finished: as many people as two cores can talk with. The host's
    schedule lets one work at a time, if all threads work on it, and holds a long sentence between
    two windows while somebody waits for a first one. A phrase that is held takes 2 MB. (espeak,
    process-wide and locked, serves one at a time anyway.)"""

    def __init__(self, model: str, files: ModelFiles, *, threads: int, lean: bool = False) -> None:
        self._open = partial(open_voice, files=files, threads=threads, lean=lean)
        self._most = LEAN_VOICES if lean else MAX_VOICES
        voice = self._open(model)
        self.info = EngineInfo(
            "tts", "piper", model, version("piper-tts"), threads=threads, joins=voice.joins
        )
        self._voices = {model: voice}
        """In order of use, the one used last at the end."""
        self._lock = Lock()

    def run(self, request: SpeechRequest, emit: Callable[[SpeechChunk], None]) -> None:
        """Speak one phrase. Text without a sound, such as punctuation, gives no chunk.

        Raises:
            EngineError: the voice is not available, or failed on this phrase.
        """
        if not 0.25 <= request.speed <= 4:
            raise EngineError(f"A voice speaks at 0.25 to 4 times its pace, not {request.speed}.")
        with self._lock:
            voice = self._voice(request.voice or self.info.model)
        try:
            for chunk in voice.speak(request.text, request.speed, request.before, request.after):
                emit(chunk)
        except OnnxErrors as error:
            raise EngineError(f"The voice {voice.name!r} failed on a phrase: {error}.") from error

    def warm_up(self) -> None:
        """Speak a word into nowhere: the first run of a session sets up its memory."""
        self.run(SpeechRequest("Ready."), lambda _: None)

    def close(self) -> None:
        self._voices.clear()

    def _voice(self, name: str) -> Voice:
        voice = self._voices.pop(name, None) or self._other_voice(name)
        self._voices[name] = voice
        for other in list(self._voices):
            if len(self._voices) > self._most and other not in {name, self.info.model}:
                del self._voices[other]
        return voice

    def _other_voice(self, name: str) -> Voice:
        try:
            return self._open(name)
        except ModelError as error:
            raise EngineError(f"The voice {name!r} is not available. {error}") from error
