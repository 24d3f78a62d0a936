"""Where a sentence or a clause ends: rules about a punctuation mark and the text around it.

A mark alone decides nothing ("3.14", "Dr. Who", "1,000"). `Mark.meet` is asked once for each
character that follows, until it knows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import Literal

import attrs

SENTENCE_MARKS = frozenset(".!?…。！？｡।؟۔")
CLAUSE_MARKS = frozenset(",;:—、，；：،؛")
SPACED_DASHES = frozenset("-–")
"""A clause ends at these only when a space stands on both sides."""
CLOSERS = frozenset("\"'”’»)]}*_~」』）】》〉")
"""May stand between the mark and the space after it: ``(Really?)``, ``**Note.**``"""

_QUOTES = frozenset("\"'”’»」』")
_UNSPACED = frozenset("。！？｡、，；：—")
"""No space follows these in their own script, nor an em dash."""
_WIDE_FROM = "\u2e80"
"""From here on (Han, kana, hangul, emoji) a character may follow a mark without a space."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ABBREVIATIONS = _words(
    "mr mrs ms dr prof rev hon gen col capt lt sgt gov sen rep pres st mt ft ave blvd rd messrs "
    "e.g i.e eg ie vs cf viz approx dept est incl excl resp ca al "
    "mme mlle sra srta bzw evtl ggf inkl z.b d.h u.a p.ej"
)
_MAY_END = _words("etc a.m p.m am pm inc ltd co corp jr sr bros ph.d usw ecc")
"""Abbreviations that often close a sentence: the next word's first letter decides."""
_BEFORE_NUMBER = _words(
    "no nos nr fig figs vol pp p art sec ch eq ver op pt par n° "
    "jan feb mar apr jun jul aug sep sept oct nov dec"
)
"""Abbreviations only before a number: "No. 5", but "No. Never." """
_ORDINAL_DOT = _words("cs da de et fi hr hu is lt lv nb nn no pl sk sl sr tr")
"""Languages that write ordinals with a full stop (German "am 3. Mai")."""

_LAST_WORD = re.compile(r"[^\s(\[{<\"'“‘«*_—/-]*\Z")
_DOTTED = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]")
_LIST_NUMBER = re.compile(r"[\s>*_#+-]*[0-9]{1,4}")


JOINING_WORDS: Mapping[str, frozenset[str]] = {
    "en": _words(
        "and or but because so which who that when where while if although though "
        "about as by for from in into on than through to with"
    ),
}
"""Words that begin a clause or a phrase with no mark before them, where a reader may take a
breath."""


class Ending(Enum):
    """Whether a mark, followed by a space, ends something."""

    ENDS = auto()
    GOES_ON = auto()
    UNLESS_DIGIT = auto()
    """It goes on when a digit comes next."""
    UNLESS_LOWER = auto()
    """It goes on when a digit or a lower-case letter comes next."""


Answer = Literal["extend", "wait", "yes", "no"]


@attrs.define
class Mark:
    """A punctuation mark that may end something. Offsets are into the pending text."""

    kind: Literal["sentence", "clause"]
    start: int
    end: int
    """After the mark and what belongs to it: more marks, closing quotes and brackets."""
    spaced: bool = False
    """A space has followed; the next word decides."""

    def moved(self, by: int) -> Mark | None:
        """The same mark after ``by`` characters were cut from the front, or None if it was cut."""
        if self.end <= by:
            return None
        return attrs.evolve(self, start=max(self.start - by, 0), end=self.end - by)

    def extended_by(self, char: str) -> bool:
        return not self.spaced and (
            char in CLOSERS or (self.kind == "sentence" and char in SENTENCE_MARKS)
        )

    def meet(self, char: str, pending: str, language: str) -> Answer:
        """Decide, seeing the next character; ``wait`` asks again with the one after."""
        if self.extended_by(char):
            return "extend"
        space = char.isspace()
        if self.spaced and space:
            return "wait"
        if not self.spaced and not space and not self._needs_no_space(char, pending):
            return "no"
        ending = self._ending(pending, language)
        if ending is Ending.UNLESS_DIGIT or ending is Ending.UNLESS_LOWER:
            if space:
                self.spaced = True
                return "wait"
            lower = ending is Ending.UNLESS_LOWER and char.islower()
            return "no" if char.isdigit() or lower else "yes"
        return "yes" if ending is Ending.ENDS else "no"

    def _needs_no_space(self, char: str, pending: str) -> bool:
        run = pending[self.start : self.end]
        return not _UNSPACED.isdisjoint(run) or (char >= _WIDE_FROM and run[:1] not in ".-–")

    def _ending(self, pending: str, language: str) -> Ending:
        before, run = pending[: self.start], pending[self.start : self.end]
        if self.kind == "clause":
            number = before[-1:].isdigit() or run[0] in SPACED_DASHES
            return Ending.UNLESS_DIGIT if number else Ending.ENDS
        return _sentence_ending(before, run, language)


def _sentence_ending(before: str, run: str, language: str) -> Ending:
    if run[0] == "…" or run.startswith(".."):
        return Ending.UNLESS_LOWER  # a pause, unless a new sentence begins
    if run[0] == "." and (len(run) == 1 or run[1] not in SENTENCE_MARKS):
        ending = _full_stop(before, language)
        if ending is not Ending.ENDS:
            return ending
    # "Stop!" he said: the sentence goes on after the quotation.
    return Ending.UNLESS_LOWER if run[-1] in _QUOTES else Ending.ENDS


def _full_stop(before: str, language: str) -> Ending:
    """Judge one full stop by the word before it."""
    found = _LAST_WORD.search(before)
    word = found[0] if found else ""
    lower = word.lower()
    if lower in _MAY_END:
        return Ending.UNLESS_LOWER
    if lower in _BEFORE_NUMBER:
        return Ending.UNLESS_DIGIT
    initial = len(word) == 1 and word.isupper() and word not in "IЯ"
    list_number = _LIST_NUMBER.fullmatch(before) is not None
    ordinal = word.isdigit() and len(word) <= 2 and language in _ORDINAL_DOT
    dotted = _DOTTED.fullmatch(word) is not None
    if lower in _ABBREVIATIONS or initial or list_number or ordinal or dotted:
        return Ending.GOES_ON
    return Ending.ENDS
