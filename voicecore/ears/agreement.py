"""Which words are certain while a person still speaks.

Recognitions of a growing utterance disagree about its end, where a word may be cut, and seldom
about its beginning. What two of them in a row agree on is taken as certain (LocalAgreement-2:
Macháček, Dabre and Bojar 2023, "Turning Whisper into Real-Time Transcription System").
"""

from __future__ import annotations

import re

_LETTERS = re.compile(r"[^\W_]+")


class Agreement:
    """The words two successive recognitions of one utterance agree on."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin another utterance."""
        self._last: list[str] = []
        self.agreed = ""

    def feed(self, words: str) -> str:
        """Take the words so far; return those that are certain, as they stand in the newer text.

        The newest recognition's last word is never certain: the sound may end within it.
        """
        newest = words.split()
        certain = 0
        for one, other in zip(self._last, newest[:-1], strict=False):
            if _bare(one) != _bare(other):
                break
            certain += 1
        self._last = newest
        self.agreed = " ".join(newest[:certain])
        return self.agreed


def _bare(word: str) -> str:
    """A word without case and punctuation."""
    return "".join(_LETTERS.findall(word.casefold()))
