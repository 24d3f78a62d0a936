"""Emotion tags that a model writes into its reply, taken out while the reply is being generated.

It runs on the text that `ToolCallStripper` leaves. Two rules, as there: a tag is never shown or
spoken, and text that cannot begin one is never held back. Every decision depends on nothing but the
characters before and the one that makes it certain, so how the text was cut cannot matter.

What is a tag
=============

====================================== =============================================================
``[happy]``, ``[ happy ]``             a word of `EMOTIONS` alone in brackets. Not if ``(`` follows:
                                       that is a Markdown link
``<happy>``, ``<happy/>``,             the same; text between an opening and a closing tag stays
``</happy>``, ``<|happy|>``
``(happy)``                            only as the first thing of a reply; later it is prose
``[emotion: happy]``, ``[mood=happy]``,
``(emotion: happy)``                   a word of `KEYS`, and anything for its value; with round
                                       brackets ``emotion`` only
``<emotion=happy>``, ``<emotion        the same; of several words in it the first known one counts
value="happy"/>``, ``<|emotion:happy|>``
``<emotion>happy</emotion>``           the same, around at most two words; around more, the words
                                       are the reply's and stay
``{"emotion": "happy"}``               an object with that one key
====================================== =============================================================

All without regard to case. A keyed tag with an unknown value is removed too, and says nothing. What
is left in the text: ``[1]``, ``<b>``, ``a < b``, ``[link](url)``, ``[laughs]``, and roleplay such
as ``*smiles*``, which is the speakable text's concern. Tags in code are taken for tags.

At most `MAX_TAG_CHARS` characters are held. At the end of a reply a keyed tag that was cut off is
removed, and another beginning is text. White space around a removed tag is joined by `Spacing`:
the longer of the two sides, and none at the start of a reply.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import attrs

from voicecore.events import Emotion
from voicecore.mind.strip.calls import Text
from voicecore.mind.strip.output import Spacing

KEYS = ("emotion", "mood", "feeling")
_WORDS: dict[Emotion, str] = {
    "happy": "happy happily happiness joy joyful joyfully cheerful cheerfully excited excitedly "
    "excitement delighted delight glad love loving amused playful smiling proud grateful",
    "sad": "sad sadly sadness sorry sorrow sorrowful unhappy disappointed depressed lonely "
    "melancholy melancholic crying hurt apologetic worried afraid fear fearful scared",
    "angry": "angry angrily anger annoyed annoyance mad furious rage irritated frustrated "
    "frustration disgust disgusted",
    "surprised": "surprised surprise surprising amazed amazement astonished shocked shock stunned "
    "startled",
    "neutral": "neutral calm calmly relaxed serious normal",
}
EMOTIONS: dict[str, Emotion] = {
    word: emotion for emotion, words in _WORDS.items() for word in words.split()
}
"""What a model may write, and which of the five it is nearest to."""

MAX_TAG_CHARS = 64
"""The longest form takes 62: an object with its white space and a value of 32 characters."""

_FLAGS = re.ASCII | re.IGNORECASE
_OPENING = re.compile(r"[\[<({]")
_WORD = re.compile(r"[a-z]+", _FLAGS)


@attrs.frozen
class Tagged:
    """The model has tagged its reply with an emotion, from here on."""

    emotion: Emotion


Piece: TypeAlias = str | Tagged


# --- the forms, as regular expressions -----------------------------------------------------------


def _beginnings(parts: Sequence[str]) -> str:
    """Make a pattern for all beginnings of ``parts`` in a row, if each matches its own."""
    pattern = ""
    for part in reversed(parts):
        pattern = f"{part}(?:{pattern})?" if pattern else part
    return pattern


def _keyed_forms() -> Iterator[list[str]]:
    """Yield the parts of each form with a key; its value is the one that begins with ``(``."""
    value = r"([^\[\]<>(){}|\n]{1,32})"
    blanks, quote = r"\s{0,4}", "[\"']"
    yield [r"\(", " ?", *KEYS[0], " ?", "[:=]", value, r"\)"]
    for key in KEYS:
        end = ["<", "/", *key, ">"]
        yield [r"\[", " ?", *key, " ?", "[:=]", value, r"\]", r"(?!\()"]
        yield ["<", r"\|", *key, "[:=]", value, r"\|", ">"]
        yield ["<", *key, ">", " ?", "([a-z-]{1,16}(?: [a-z-]{0,15})?)", *end]
        yield ["<", *key, r"((?:[ =:/][^<>\n]{0,48})?)", ">"]
        yield end
        yield [
            *(r"\{", blanks, quote, *key, quote, blanks, ":", blanks),
            *(quote, "([^\"'{}<>\\[\\]\\n]{0,32})", quote, blanks, r"\}"),
        ]


_KEYED = [re.compile("".join(parts), _FLAGS) for parts in _keyed_forms()]
_KEYED_BEGUN = re.compile("|".join(map(_beginnings, _keyed_forms())), _FLAGS)
_KEY = re.compile(rf"[\[(<{{][ |/]?\s{{0,4}}[\"']?(?:{'|'.join(KEYS)})", _FLAGS)
_BARE = re.compile(r"\[ ?([a-z]+) ?\](?!\()|<([a-z]+) ?/?>|<\|([a-z]+)\|>|</([a-z]+)>", _FLAGS)
_BARE_BEGUN = re.compile(
    r"(?:\[ ?(?=[a-z]* ?\]?$)|<(?=[a-z]* ?/?$)|</(?=[a-z]*$)|<\|(?=[a-z]*\|?$))"
    r"(?P<word>[a-z]*)(?P<end>.*)",
    _FLAGS,
)
_FIRST = re.compile(r"\( ?(?P<word>[a-z]+) ?\)", _FLAGS)
_FIRST_BEGUN = re.compile(r"\( ?(?P<word>[a-z]*)(?P<end> ?)", _FLAGS)
_WORD_BEGINNINGS = frozenset(word[:length] for word in EMOTIONS for length in range(len(word) + 1))


def _may_become_tag(text: str, *, at_start: bool) -> bool:
    bare = _BARE_BEGUN.fullmatch(text) or (at_start and _FIRST_BEGUN.fullmatch(text))
    if bare:
        known = EMOTIONS if bare["end"] else _WORD_BEGINNINGS
        if bare["word"].lower() in known:
            return True
    return _KEYED_BEGUN.fullmatch(text) is not None


@attrs.frozen
class _Found:
    chars: int
    emotion: Emotion | None


def _tag_at_head(text: str, *, at_start: bool) -> _Found | None:
    for form in _KEYED:
        keyed = form.match(text)
        if keyed:
            return _Found(keyed.end(), _known("".join(keyed.groups())))
    bare = _BARE.match(text) or (at_start and _FIRST.match(text))
    emotion = _known(bare[bare.lastindex or 0]) if bare else None
    if not bare or not emotion:
        return None
    is_end = text.startswith("</")
    return _Found(bare.end(), None if is_end else emotion)


def _known(words: str) -> Emotion | None:
    found = (EMOTIONS.get(word.lower()) for word in _WORD.findall(words))
    return next(filter(None, found), None)


def _half_at_end(text: str) -> _Found | None:
    """Read a keyed tag that the end of the reply has cut off."""
    key = _KEY.match(text)
    return _Found(len(text), _known(text[key.end() :])) if key else None


# --- incremental ---------------------------------------------------------------------------------


class EmotionTags:
    """Takes the emotion tags out of one reply: `feed` its text as it comes, then `close`."""

    def __init__(self) -> None:
        self._spacing = Spacing()
        self._pieces: list[Piece] = []
        self._held = ""
        """Empty, or what may become a tag."""
        self._at_start = True
        """Nothing but white space has been shown."""

    def feed(self, text: str) -> list[Piece]:
        """Take the next piece of the reply; return the text to show and the tags, in order."""
        position = 0
        while position < len(text):
            if not self._held:
                opening = _OPENING.search(text, position)
                plain_end = opening.start() if opening else len(text)
                self._show(text[position:plain_end])
                position = plain_end
            self._held += text[position : position + 1]
            self._settle()
            position += 1
        return self._take()

    def close(self) -> list[Piece]:
        """The reply is complete: return what was held."""
        self._settle(at_end=True)
        return self._take()

    def _settle(self, *, at_end: bool = False) -> None:
        while self._held:
            if not at_end and _may_become_tag(self._held, at_start=self._at_start):
                return
            found = _tag_at_head(self._held, at_start=self._at_start)
            if at_end and not (found and found.chars == len(self._held)):
                found = _half_at_end(self._held) or found
            if found:
                self._remove(found)
            else:
                self._show(self._held[0])
            self._held = self._held[found.chars if found else 1 :]

    def _show(self, text: str) -> None:
        self._spacing.text(text)
        self._at_start = self._at_start and not text.strip()

    def _remove(self, tag: _Found) -> None:
        if tag.emotion:
            self._pieces = [*self._take(), Tagged(tag.emotion)]
        self._spacing.removed()

    def _take(self) -> list[Piece]:
        shown = [piece.text for piece in self._spacing.take() if isinstance(piece, Text)]
        pieces, self._pieces = [*self._pieces, *shown], []
        return pieces
