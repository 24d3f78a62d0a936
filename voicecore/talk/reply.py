"""A reply as it is shown: its text, as far as it was spoken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs


@attrs.frozen
class Word:
    """A word that is spoken, and its place in the reply's text (code points)."""

    start_ms: float
    begin: int
    end: int


@attrs.define
class Reply:
    """One reply. It gives text to show when that was spoken, or at once.

    With words' times, text is shown up to the word that is heard. Until its first sound it is kept
    back, for only then it is known whether the host tells such times; if it does not, all is shown
    as it comes.
    """

    turn: str
    spoken: bool = False
    """Whether the text is shown as it is spoken, rather than as it comes."""
    text: str = ""
    shown: int = 0
    """How much of the text was shown."""
    complete: bool = False
    """All of the text is there."""
    over: bool = False
    """All of the sound was sent."""
    stopped: bool = False
    """It was interrupted, and has not gone on."""
    spans: Sequence[Mapping[str, Any]] = ()
    """Where its time went, as the host tells."""
    came_s: float | None = None
    """When its first sound arrived."""
    heard_s: float | None = None
    """When that was heard."""
    _words: dict[str, list[Word]] = attrs.field(factory=dict)

    def owns(self, speech: str) -> bool:
        """Say whether a speech is this reply's: its own, or where it went on after a pause."""
        return speech == self.turn or speech.startswith(f"{self.turn}.")

    def write(self, text: str) -> str:
        """Take text; return what is to be shown now."""
        self.text += text
        return self.rest() if not self.spoken else ""

    def time(self, speech: str, words: Sequence[Word]) -> None:
        """Take words that are spoken in a speech, in order."""
        self._words.setdefault(speech, []).extend(words)

    def sound(self, now_s: float) -> str:
        """Take note of sound; return what is to be shown now."""
        self.stopped = False
        if self.came_s is None:
            self.came_s = now_s
            self.spoken = self.spoken and bool(self._words)
        return "" if self.spoken else self.rest()

    def hear(self, speech: str, ms: float, now_s: float) -> str:
        """Take note of how far a speech was heard; return what is to be shown now."""
        if ms > 0 and self.heard_s is None:
            self.heard_s = now_s - ms / 1000
        words = self._words.get(speech, [])
        begun = [word for word in words if word.start_ms <= ms]
        if not self.spoken or not begun:
            return ""
        following = words[len(begun)].begin if len(begun) < len(words) else len(self.text)
        return self._show(self._with_signs(begun[-1].end, following))

    def rest(self) -> str:
        """Return what was not shown yet."""
        return self._show(len(self.text))

    def _with_signs(self, end: int, limit: int) -> int:
        """Take the signs behind a word with it: they are not spoken."""
        while end < min(limit, len(self.text)) and not self.text[end].isspace():
            end += 1
        return end

    def _show(self, until: int) -> str:
        until = min(until, len(self.text))  # a word may be told before its text comes
        piece = self.text[self.shown : until]
        self.shown = max(self.shown, until)
        return piece


def words_of(message: Mapping[str, Any]) -> list[Word]:
    """Read the words of a ``speech_words`` message; what is no such word is left out."""
    found, words = [], message.get("words")
    for word in words if isinstance(words, list) else ():
        match word:
            case {"start_ms": int() | float() as start_ms, "from": int(begin), "to": int(end)}:
                found.append(Word(float(start_ms), begin, end))
    return found
