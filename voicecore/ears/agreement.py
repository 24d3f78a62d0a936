"""Which words of partial results can be relied on while a person still speaks.

A recognition of sound that stops in the middle of a sentence guesses at its end, and changes its
mind when more is heard. What two successive recognitions agree on rarely changes any more
(LocalAgreement-2: Macháček, Dabre and Bojar, "Turning Whisper into Real-Time Transcription System",
2023).
"""

from __future__ import annotations

import re

_NOT_IN_WORDS = re.compile(r"[\W_]+")


class Agreement:
    """The words that the last two partial results of one utterance have in common.

    Words are what spaces separate, and are compared without case and punctuation. The agreed words
    may become fewer, when a partial result contradicts an earlier one.
    """

    def __init__(self) -> None:
        self._last: list[str] = []
        self._agreed = ""

    @property
    def agreed(self) -> str:
        """The words agreed on so far, as the newest partial result writes them."""
        return self._agreed

    def feed(self, words: str) -> str:
        """Take a partial result and return the words agreed on.

        Its last word is held back: the end of the sound may have cut it.
        """
        newer = words.split()
        count = _common(self._last, newer[:-1])
        self._last = newer
        self._agreed = " ".join(newer[:count])
        return self._agreed

    def reset(self) -> None:
        """Forget everything: the next partial result is another utterance's first."""
        self._last = []
        self._agreed = ""


def _common(older: list[str], newer: list[str]) -> int:
    """Count the words, from the first, that are the same."""
    count = 0
    for one, other in zip(older, newer, strict=False):
        if _bare(one) != _bare(other):
            break
        count += 1
    return count


def _bare(word: str) -> str:
    """Return a word without case and punctuation; punctuation alone stays as it is."""
    return _NOT_IN_WORDS.sub("", word).casefold() or word
