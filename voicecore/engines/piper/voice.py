"""One voice: its files, its level, and how it speaks a phrase."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from operator import itemgetter
from pathlib import Path
from typing import TypeAlias

import attrs
import numpy as np
import numpy.typing as npt
import structlog
from piper import PhonemeType
from piper.config import PiperConfig

from voicecore.audio import from_float, ms_to_samples
from voicecore.engines.interface import ModelFiles, SpeechChunk, WordTime
from voicecore.engines.onnx import OnnxErrors, UnusableModel
from voicecore.engines.piper.graph import read_graph
from voicecore.engines.piper.model import Model, Parted, Speech, Tensors, Whole
from voicecore.engines.piper.phonemes import cut, pause_ms, sounds
from voicecore.engines.piper.reader import Reader
from voicecore.engines.piper.sound import Sound, Trimmer, gain_of, trim
from voicecore.engines.piper.vits import split
from voicecore.engines.piper.words import Span, spans, times
from voicecore.errors import EngineError, ModelError

log = structlog.get_logger()

LoadErrors: tuple[type[Exception], ...] = (
    *OnnxErrors,
    *(OSError, ValueError, LookupError, TypeError, AttributeError, ImportError),
)
"""What a damaged model or settings file gives, or a language's dictionary that is not installed."""

JOIN_MS = 5
"""Fade in and out where a sentence is cut between two words. The spectrum jumps there by as much as
between the same words spoken at once (1.09 and 1.05, in nepers, of 16 sentences), and Whisper hears
as many words right."""

Words: TypeAlias = tuple[tuple[str, Span], ...]
Places: TypeAlias = npt.NDArray[np.int64]
"""Where phonemes begin and end, in samples, shape ``[phonemes, 2]``."""

_LEVEL_TEXT = "The quick brown fox jumps over the lazy dog, and nobody minds."


@attrs.frozen
class Piece:
    """What is synthesised at once: a sentence or a part of it, and the words that begin in it."""

    phonemes: Sequence[str]
    words: Words


@attrs.frozen(eq=False)
class Voice:
    name: str
    reader: Reader
    model: Model
    gain: float
    """One for all phrases, which brings the voice to `LEVEL`. Piper can scale every sentence to
    full peak, which lifts a whispered word by 17 dB; against the same words spoken in one sentence,
    the level of two halves was off by 3.4 dB with that and by 2.5 dB without (24 pairs)."""
    joins: bool
    """Whether it can speak parts of a sentence, since it knows where each word is."""

    def speak(
        self, text: str, speed: float, before: str = "", after: str = ""
    ) -> Iterator[SpeechChunk]:
        """Speak a phrase in chunks, each as soon as it is made: one for each window of sound.

        The first chunk of each sentence tells the times of its words, if the voice knows them.
        ``before`` and ``after`` are those of a `SpeechRequest`.
        """
        if not self.joins:
            before = after = ""
        found = pieces(" ".join(filter(None, (before, text, after))), self.reader)
        for number, piece in enumerate(found):
            skipped = len(before.split()) if number == 0 else 0
            left = len(after.split()) if number == len(found) - 1 else 0
            if skipped + left < len(piece.words) or not piece.words:
                yield from self._say(piece, speed, skipped, left)

    def _say(self, piece: Piece, speed: float, skipped: int, left: int) -> Iterator[SpeechChunk]:
        """Speak a piece, but for so many words at its begin and its end."""
        rate_hz, pause = self.reader.rate_hz, pause_ms(piece.phonemes) / speed
        speech = self.model.speak(self.reader.inputs(piece.phonemes, speed))
        places = self._places(piece, speech)
        begin, end = 0, speech.total
        if places is not None:
            begin = _begin(piece, places, skipped) if skipped else begin
            end = _begin(piece, places, -left) if left else end
        trimmer, told = Trimmer(rate_hz, pause, begun=begin > 0, goes_on=end < speech.total), False
        spoken = piece.words[skipped : len(piece.words) - left]
        words: tuple[WordTime, ...] = ()
        for window in _faded(speech, begin, end, ms_to_samples(JOIN_MS, rate_hz)):
            for sound in trimmer.feed(window * np.float32(self.gain)):
                words = words if told else self._times(spoken, places, begin + trimmer.left_out)
                yield SpeechChunk(from_float(sound), rate_hz, () if told else words)
                told = True
        words = words if told else self._times(spoken, places, begin)  # nothing of it was audible
        last = ms_to_samples(words[-1].end_ms, rate_hz) if words else 0
        for sound in trimmer.close(at_least=last):
            yield SpeechChunk(from_float(sound), rate_hz, () if told else words)

    def _places(self, piece: Piece, speech: Speech) -> Places | None:
        if speech.durations is None:
            return None
        return self.reader.places(piece.phonemes, speech.durations)

    def _times(self, words: Words, places: Places | None, left_out: int) -> tuple[WordTime, ...]:
        return () if places is None else times(words, places, left_out, self.reader.rate_hz)


def _begin(piece: Piece, places: Places, word: int) -> int:
    """Return the sample where a word of a piece begins."""
    _, (first, _) = piece.words[word]
    return int(places[first, 0])


def _faded(speech: Speech, begin: int, end: int, fade: int) -> Iterator[Sound]:
    """Make a part of speech, with short fades where it was cut out."""
    at = begin
    for window in speech.windows(begin, end):
        ramp = np.linspace(0, 1, min(fade, len(window)), dtype=np.float32)
        shaped = window.copy()
        if at == begin > 0:
            shaped[: len(ramp)] *= ramp
        at += len(window)
        if at == end < speech.total:
            shaped[len(shaped) - len(ramp) :] *= ramp[::-1]
        yield shaped


def pieces(text: str, reader: Reader) -> list[Piece]:
    """Cut a phrase into the pieces that are heard, each with the words that begin in it.

    Each word is in one of them, if there are any. One that nobody hears, such as a dash, is with
    the word before it.
    """
    sentences = reader.sentences(text)
    whole = [phoneme for sentence in sentences for phoneme in sentence]
    parts = [part for sentence in sentences for part in cut(sentence)]
    begins = accumulate(map(len, parts), initial=0)
    heard = [(at, part) for at, part in zip(begins, parts, strict=False) if any(map(sounds, part))]
    if not heard:
        return []
    words = text.split()
    held: list[list[tuple[str, Span]]] = [[] for _ in heard]
    for word, (first, last) in zip(words, spans(words, whole, reader.alone), strict=True):
        inside = first if first < last else first - 1
        owner = max(0, bisect_right(heard, inside, key=itemgetter(0)) - 1)
        begin, part = heard[owner]
        span = (_within(first - begin, part), _within(last - begin, part))
        held[owner].append((word, span))
    return [Piece(part, tuple(own)) for (_, part), own in zip(heard, held, strict=True)]


def _within(place: int, part: Sequence[str]) -> int:
    return min(max(0, place), len(part))


def open_voice(name: str, files: ModelFiles, threads: int, *, lean: bool = False) -> Voice:
    """Load a voice and find its gain, by which it has also shown that it can speak.

    Args:
        name: of its model.
        files: where that is.
        threads: of one run.
        lean: give the memory of each run back after it.

    Raises:
        ModelError: it is unknown, missing or corrupt.
        EngineError: it is of a kind that is not supported.
    """
    path, settings = files.file(name, ".onnx"), files.file(name, ".onnx.json")
    try:
        config = PiperConfig.from_dict(json.loads(settings.read_bytes()))
        if config.phoneme_type == PhonemeType.PINYIN:
            raise EngineError(
                f"The voice {name!r} is Chinese: piper would download its dictionary while it "
                "speaks, unverified, which is not supported. Choose another voice."
            )
        reader = Reader(config, path.parent)
        phonemes = reader.sentences(_LEVEL_TEXT)[0]
        test = reader.inputs(phonemes, 1)
        model, sound = _open_model(path, reader.rate_hz, threads, test, lean=lean)
        durations = model.speak(test).durations
        joins = durations is not None and reader.places(phonemes, durations) is not None
        return Voice(name, reader, model, gain_of(trim(sound, reader.rate_hz, 0)), joins)
    except LoadErrors as error:
        raise ModelError(
            f"The voice {name!r} cannot be loaded from {path.parent}: {error!r}. "
            "Fetch it again, or choose another."
        ) from error


def _open_model(
    path: Path, rate_hz: int, threads: int, test: Tensors, *, lean: bool
) -> tuple[Model, Sound]:
    """Open a voice in parts if it can be, and return its sound for ``test``."""
    try:
        graph = read_graph(path)
        parted = Parted(graph, split(graph), rate_hz, threads, lean=lean)
        return parted, parted.checked(test)
    except UnusableModel as error:
        log.warning("voice gives whole sentences, not windows", path=str(path), why=str(error))
    whole = Whole(path, threads, lean=lean)
    return whole, np.concatenate(list(whole.speak(test).whole()))
