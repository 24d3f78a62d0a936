"""The emotion of a reply from its words, for models that write no tag.

What counts is what the speaker feels, not what the reply is about, so the evidence is mostly what
people say when they feel something: "wow", "I'm so sorry", "how dare you" (``cues.tsv``, written
for this). The pleasantness of single words comes second (``valence.tsv``, from VADER), and counts
fully only where the sentence is exclaimed or speaks of those present: "the war was terrible" is a
fact. Emoticons and emoji are cues too.

English only. Of other languages only emoji, emoticons and ``?!`` are understood, and everything
else is neutral.

How good it is, by `benchmarks.emotion`: on the first 179 rows of GoEmotions' test split (159 of
them have one emotion) accuracy 0.57 and mean F1 0.46, where always neutral has 0.34 and 0.10; by
the first phrase alone 0.48 and 0.37. Mostly it errs towards neutral.

Both tables are read at the first call, in 20 ms.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from typing import TypeAlias, cast

from voicecore.events import Emotion

MAX_CHARS = 400
"""What is looked at: more than is known of a reply when it begins to sound, and below 1 ms."""
SENTENCE_WEIGHTS = (1.0, 0.8, 0.6)
"""Feeling shows at the beginning; later sentences are the matter itself and are not looked at.

These and the other numbers were set by hand on the development rows of `benchmarks.emotion`.
"""
THRESHOLD = 0.6
"""What an emotion must reach, or the reply is neutral. A strong cue is 1.5."""
VALENCE_WEIGHT = 0.3
"""Of a word of valence 1 in VADER's unit; its strongest words have 3.4 and -3.9."""
MATTER_OF_FACT = 0.3
"""How much a word counts in a sentence that is neither exclaimed nor about those present."""
FORMULA = 1.2
"""From this weight on a cue is never a matter of fact: nobody reports "wow"."""
SHORT_TOKENS = 4
"""A sentence of no more words and marks is as good as exclaimed: "Great." """
EXCLAIMED = 1.3
"""What an exclamation mark makes of all else in its sentence."""
DOUBTED = 0.8
"""The surprise in ``?!``."""
NEGATION_REACH = 3
"""Words that a "not" may stand before what it negates; VADER's number."""
UNHAPPY = 0.5
"""What is left, as sadness, of a happy cue that is negated."""

_Cue: TypeAlias = tuple[Emotion, float]

_LONGEST_CUE = 5
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*|[.!?]+")
_TOKEN = re.compile(
    r"[a-z]+(?:['-][a-z]+)*"  # words
    r"|[!?]+"
    r"|(?<!\w)(?::'?-?[()d](?!\w)|;-?\)|\^_?\^)"  # emoticons
    r"|[^\w\s.]"  # emoji, and marks that end the reach of a "not"
)
_PLAIN = str.maketrans({"’": "'", "！": "!", "？": "?", "。": ".", "，": ","})
_NEGATION = re.compile(
    r"not|no|never|nothing|nobody|without|hardly|cannot"
    r"|(?:ai|are|ca|could|did|do|does|had|has|have|is|should|was|were|wo|would)n't"
)
_PRESENT = re.compile(r"(?:i|you|we)(?:'[a-z]+)?|me|my|mine|us|our|your|this|that's|it's|what|so")
"""Words of sentences about those present, and of judgements."""
_BOUNDARIES = frozenset(",;:—–!?")
_MOODS: tuple[Emotion, ...] = ("sad", "angry", "surprised", "happy")
"""In the order that decides between equals."""


def emotion_of(text: str, language: str = "en") -> Emotion:
    """Tell the emotion of a reply, or of its beginning.

    Args:
        text: what will be spoken first, without emotion tags. About 0.1 ms for a sentence.
        language: an IETF tag. Words count only if it is English.
    """
    scores = dict.fromkeys(_MOODS, 0.0)
    for weight, tokens in zip(SENTENCE_WEIGHTS, _sentences(text, language), strict=False):
        for emotion, score in _evidence(tokens):
            scores[emotion] += weight * score
    strongest = max(_MOODS, key=scores.__getitem__)
    return strongest if scores[strongest] >= THRESHOLD else "neutral"


def _sentences(text: str, language: str) -> Iterator[list[str]]:
    is_english = language.lower().split("-")[0] == "en"
    for sentence in _SENTENCE.findall(text[:MAX_CHARS].translate(_PLAIN).lower()):
        tokens = _TOKEN.findall(sentence)
        if not is_english:
            tokens = [token for token in tokens if not token[0].isalpha()]
        if tokens:
            yield tokens


def _evidence(tokens: Sequence[str]) -> Iterator[_Cue]:
    """Yield what each cue and word of a sentence says, and how strongly."""
    exclaimed = "!" in tokens[-1]
    emphasis = EXCLAIMED if exclaimed else 1.0
    felt = exclaimed or len(tokens) <= SHORT_TOKENS or any(map(_PRESENT.fullmatch, tokens))
    if exclaimed and "?" in tokens[-1]:
        yield "surprised", DOUBTED
    position = 0
    while position < len(tokens):
        length, (emotion, weight) = _cue_at(tokens, position)
        if _is_negated(tokens, position):
            emotion, weight = _negated(emotion, weight)
        if not felt and weight < FORMULA:
            weight *= MATTER_OF_FACT
        if weight:
            yield emotion, weight * emphasis
        position += length


def _cue_at(tokens: Sequence[str], position: int) -> tuple[int, _Cue]:
    """Find the longest cue that begins here: how many tokens it is, and what it says."""
    cues, valences = _tables()
    for length in range(min(_LONGEST_CUE, len(tokens) - position), 0, -1):
        words = (_mark(token) for token in tokens[position : position + length])
        cue = cues.get(" ".join(words))
        if cue is not None:
            return length, cue
    valence = valences.get(tokens[position], 0.0)
    return 1, ("happy" if valence > 0 else "sad", abs(valence) * VALENCE_WEIGHT)


def _mark(token: str) -> str:
    """Give ``??`` as ``?``, and so on: a cue has one mark."""
    return ("?" if "?" in token else "!") if token[0] in "?!" else token


def _is_negated(tokens: Sequence[str], position: int) -> bool:
    for token in reversed(tokens[max(0, position - NEGATION_REACH) : position]):
        if token[0] in _BOUNDARIES:
            return False
        if _NEGATION.fullmatch(token):
            return True
    return False


def _negated(emotion: Emotion, weight: float) -> _Cue:
    """What is not happy is a little sad; what is not sad, angry or surprised says nothing."""
    return ("sad", weight * UNHAPPY) if emotion == "happy" else (emotion, 0.0)


@functools.cache
def _tables() -> tuple[Mapping[str, _Cue], Mapping[str, float]]:
    cues: dict[str, _Cue] = {}
    for emotion, weight, listed in _rows("cues.tsv"):
        for cue in listed.split(" | "):
            cues[cue] = (cast("Emotion", emotion), float(weight))
    valences = {word: int(tenths) / 10 for word, tenths in _rows("valence.tsv")}
    return cues, valences


def _rows(name: str) -> Iterator[list[str]]:
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            yield line.split("\t")
