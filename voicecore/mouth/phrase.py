"""A reply's text, as it is generated, cut into phrases worth speaking; the first one short.

A phrase ends at a line's end, at a sentence's end, and, for the first phrase only, at a clause's
end or before a word that begins one, so that the voice can begin early. Every decision is made by
one character at a time, so how the text was chunked cannot matter.
"""

from __future__ import annotations

import re
import unicodedata

import attrs

from voicecore.mouth.markup import Markup, Place
from voicecore.mouth.sentences import (
    CLAUSE_MARKS,
    JOINING_WORDS,
    SENTENCE_MARKS,
    SPACED_DASHES,
    Mark,
)
from voicecore.mouth.speakable import base_language, speakable

_ZERO_WIDTH_JOINER = "\u200d"
_NUMBER_NEIGHBOURS = frozenset("$€£¥₹#№")


@attrs.frozen
class Phrase:
    """A piece of the reply."""

    text: str
    """Exactly what this phrase covers: all phrases' texts joined are the reply."""
    spoken: str
    """What the voice should say; empty when there is nothing to say (code, emoji, space)."""
    before: str = ""
    """The same sentence's words in the phrase before, if that was its opening."""
    after: str = ""
    """Of an opening: the words that follow, by which the voice knows that the sentence goes on."""


OPENING_WORDS = 3
OPENING_AFTER = 2
"""Of a reply's first words so many are spoken before the phrase is complete, and so many more must
be known by then. They play for 0.5 to 1.2 s, in which the rest is written and spoken too. That two
words ahead are enough to speak on in one breath, and one nearly so, is what Ma et al. found
(Incremental Text-to-Speech Synthesis with Prefix-to-Prefix Framework, 2020)."""

_PLAIN_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
"""Spoken as it is written, whatever stands around it."""


class Phraser:
    """Cuts one reply into phrases: `feed` its text as it comes, then `close`.

    What is held back, and why:

    * up to the character after a full stop or comma, since "3." may become "3.14" and "wait." may
      become ``wait."``; after an abbreviation, a digit before a comma or a closing quote, up to the
      first letter of the next word, which says whether the sentence goes on;
    * the unfinished sentence, at most ``max_phrase_chars`` characters. A longer one is cut at its
      last clause, else at its last space (not beside a number, nor within a link, inline code or
      table row, unless there is no other), else hard, between two user-perceived characters;
    * of a code block at most ``max_phrase_chars``. It is silent to its closing fence, or for
      `markup.MAX_FENCE_CHARS` characters if it has none: speech then resumes at the next line.

    White space between two phrases leads the second. The rest of a URL that was cut is silent.

    Args:
        first_phrase_chars: from this length on the first phrase may end at a clause, and from twice
            this length before a word such as "because". A phrase with nothing to say does not count
            as the first.
        max_phrase_chars: no phrase's text is longer.
        language: of the text, an ISO 639-1 code such as ``en`` (a region may follow).
    """

    def __init__(
        self, *, first_phrase_chars: int = 12, max_phrase_chars: int = 200, language: str = "en"
    ) -> None:
        if first_phrase_chars < 1 or max_phrase_chars < 1:
            raise ValueError(
                "first_phrase_chars and max_phrase_chars must be at least 1, "
                f"not {first_phrase_chars} and {max_phrase_chars}."
            )
        self._first_chars = first_phrase_chars
        self._max_chars = max_phrase_chars
        self.language = base_language(language)
        self._joining = JOINING_WORDS.get(self.language, frozenset())
        self._markup = Markup()
        self._pending = ""
        self._spoken_yet = False
        self._opening = ""
        """The reply's first words, once they are cut off, until the phrase they open follows."""
        self._mark: Mark | None = None
        self._muted = False
        """Inside the rest of a URL that was cut."""
        # Offsets into the pending text; 0 means none.
        self._clause = 0
        self._space = 0
        self._any_space = 0
        self._held_from = 0

    def feed(self, text: str) -> list[Phrase]:
        """Take the next piece of the reply, of any length; return the phrases it completes."""
        phrases: list[Phrase] = []
        for char in text:
            if char == "\n":
                self._end_line(phrases)
            else:
                self._settle_mark(char, phrases)
                self._end_mute(char, phrases)
                self._meet_joining_word(char, phrases)
            if len(self._pending) >= self._max_chars:
                self._cut_long(char, phrases)
            self._append(char)
        return phrases

    def close(self) -> list[Phrase]:
        """The reply is complete (or was broken off): return its last phrase, if there is one."""
        phrases: list[Phrase] = []
        if self._pending:
            self._emit(len(self._pending), phrases)
        return phrases

    def opening(self) -> Phrase | None:
        """Cut off the first words of the reply, so that the voice can begin with them at once.

        There is one at most, of words that are spoken as they are written, and at least
        ``first_phrase_chars`` long. The phrase it opens follows, as it would be without it.
        """
        if self._spoken_yet or self._opening or self._mark or self._markup.place is not Place.TEXT:
            return None
        *words, _ = self._pending.split() or [""]  # the last one may go on
        length = next(
            (count for count in range(OPENING_WORDS, len(words) - OPENING_AFTER + 1)
             if len(" ".join(words[:count])) >= self._first_chars), 0,
        )  # fmt: skip
        known = words[: length + OPENING_AFTER]
        if not length or not all(map(_PLAIN_WORD.fullmatch, known)):
            return None
        end = [word.end() for word in re.finditer(r"\S+", self._pending)][length - 1]
        text = self._take(end)
        self._opening = text.strip()
        return Phrase(text, speakable(text, self.language), after=" ".join(known[length:]))

    def _end_line(self, phrases: list[Phrase]) -> None:
        if self._markup.place is Place.SILENT:
            ends = self._markup.leaves_fence and bool(self._pending)
        else:  # the line that opens a code block belongs to the block
            ends = not self._markup.opens_fence and bool(self._pending.strip())
        if ends:
            self._emit(len(self._pending), phrases)
        self._mark, self._muted = None, False

    def _settle_mark(self, char: str, phrases: list[Phrase]) -> None:
        mark = self._mark
        if mark is None:
            return
        answer = mark.meet(char, self._pending, self.language)
        if answer in {"extend", "wait"}:
            return
        self._mark = None
        if answer == "no":
            return
        long_enough = len(self._pending[: mark.end].strip()) >= self._first_chars
        if mark.kind == "sentence" or (not self._spoken_yet and long_enough):
            self._emit(mark.end, phrases)
        else:
            self._clause = mark.end

    def _end_mute(self, char: str, phrases: list[Phrase]) -> None:
        if self._muted and (char.isspace() or not char.isascii()):
            if self._pending:
                self._emit(len(self._pending), phrases)
            self._muted = False

    def _meet_joining_word(self, char: str, phrases: list[Phrase]) -> None:
        at = self._space
        if self._spoken_yet or char != " " or at < 2 * self._first_chars:
            return
        if self._markup.place is Place.TEXT and self._pending[at:].strip() in self._joining:
            self._emit(at, phrases)

    def _cut_long(self, following: str, phrases: list[Phrase]) -> None:
        self._note_space(following, self._markup.place)
        # A clause in the first quarter would leave a crumb, and a rescan for little progress.
        clause = self._clause if self._clause >= self._max_chars // 4 else 0
        end = clause or self._space or self._any_space
        if end:
            self._emit(end, phrases)
            return
        end = _hard_end(self._pending + following)
        cut_url = self._markup.place is not Place.SILENT and _in_url(self._pending)
        self._emit(end, phrases)
        self._muted = self._muted or cut_url

    def _append(self, char: str) -> None:
        held = self._markup.place is Place.HELD
        self._markup.feed(char)
        place = self._markup.place
        if place is Place.HELD and not held:
            self._held_from = len(self._pending)
        self._note_space(char, place)
        self._pending += char
        if self._mark is not None and self._mark.extended_by(char):
            self._mark.end = len(self._pending)
        elif place is Place.TEXT and not self._muted:
            self._note_mark(char)

    def _note_space(self, char: str, place: Place) -> None:
        """Remember the gap before this character, where a long sentence may be cut."""
        if char.isspace() or not self._pending[-1:].isspace():
            return
        end = len(self._pending.rstrip())
        if end == 0:
            return
        self._any_space = end
        neighbours = (self._pending[end - 1], char)
        by_number = any(near.isdigit() or near in _NUMBER_NEIGHBOURS for near in neighbours)
        if not by_number and (place is Place.TEXT or self._held_from == len(self._pending)):
            self._space = end

    def _note_mark(self, char: str) -> None:
        end = len(self._pending)
        if char in SENTENCE_MARKS:
            self._mark = Mark("sentence", end - 1, end)
        elif char in CLAUSE_MARKS or (char in SPACED_DASHES and self._pending[-2:-1].isspace()):
            self._mark = Mark("clause", end - 1, end)

    def _emit(self, end: int, phrases: list[Phrase]) -> None:
        text = self._take(end)
        silent = self._muted or self._markup.place is Place.SILENT
        spoken = "" if silent else speakable(text, self.language)
        phrases.append(Phrase(text, spoken, before=self._opening if spoken else ""))
        self._spoken_yet = self._spoken_yet or bool(spoken)
        self._opening = "" if spoken else self._opening
        if self._held_from < 0:
            self._held_from = 0
            self._markup.release()

    def _take(self, end: int) -> str:
        """Cut off the pending text up to here."""
        text, self._pending = self._pending[:end], self._pending[end:]
        self._mark = self._mark and self._mark.moved(end)
        self._clause = max(self._clause - end, 0)
        self._space = max(self._space - end, 0)
        self._any_space = max(self._any_space - end, 0)
        self._held_from -= end
        return text


def _in_url(text: str) -> bool:
    word = text.rsplit(maxsplit=1)[-1] if text.strip() else ""
    return "://" in word or "](" in word or word.startswith(("www.", "data:"))


def _hard_end(text: str) -> int:
    """Where to cut before the last character, or earlier if it belongs to the one before it.

    A text that is all one character with its marks is cut before the last: the bound wins.
    """
    end = len(text) - 1
    while end > 0 and _joined(text, end):
        end -= 1
    return end or len(text) - 1


def _joined(text: str, end: int) -> bool:
    """Whether the characters on both sides of ``end`` are one to a reader.

    The parts of UAX #29 (Unicode text segmentation) that matter in practice.
    """
    before, after = text[end - 1], text[end]
    if _is_flag_letter(before) and _is_flag_letter(after):
        start = end
        while start > 0 and _is_flag_letter(text[start - 1]):
            start -= 1
        return (end - start) % 2 == 1
    return (
        unicodedata.category(after) in {"Mn", "Me", "Mc"}
        or _ZERO_WIDTH_JOINER in {before, after}
        or "\U0001f3fb" <= after <= "\U0001f3ff"  # skin tones
        or "\U000e0020" <= after <= "\U000e007f"  # tags of regional flags
        or "\u1160" <= after <= "\u11ff"  # vowels and finals of a hangul syllable
        or ("\ud800" <= before <= "\udbff" and "\udc00" <= after <= "\udfff")
    )


def _is_flag_letter(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"
