"""How much of a reply a person has taken in, from how much of its sound was played."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher

import attrs

from voicecore.engines.interface import WordTime

MS_PER_CHAR = 65
"""Of English speech (about 15 characters a second), for a phrase whose length is not known yet."""

_WORD = re.compile(r"\S+")
_BARE = re.compile(r"[^\W_]+")


@attrs.define
class SpokenPhrase:
    """A phrase of the reply and how much sound it made."""

    text: str
    ms: float = 0.0
    complete: bool = False
    """False while it is still being synthesised."""
    spoken: str = ""
    """What the voice says for it: numbers as words, and without marks."""
    word_ends_ms: list[float] = attrs.field(factory=list)
    """When each word of ``spoken`` ends, as far as the voice has told."""

    def likely_ms(self) -> float:
        return self.ms if self.complete else max(self.ms, len(self.text) * MS_PER_CHAR)

    def tell(self, words: Iterable[WordTime], begin_ms: float) -> None:
        """Take the words of a piece of sound that begins at ``begin_ms`` of the phrase."""
        self.word_ends_ms += [begin_ms + word.end_ms for word in words]

    def heard(self, played_ms: float) -> str:
        """What was said of it in its first ``played_ms``.

        Where the voice does not tell when it says what, each word counts the same. A word cut in
        the middle does not count: a person remembers the words they heard whole.
        """
        words = list(_WORD.finditer(self.text))
        if self.word_ends_ms:
            said = sum(end_ms <= played_ms for end_ms in self.word_ends_ms)
            count = covered([word[0] for word in words], self.spoken.split(), said)
        else:
            count = int(len(words) * min(1.0, played_ms / self.likely_ms()))
        return self.text[: words[count - 1].end()] if count else ""


def covered(written: Sequence[str], spoken: Sequence[str], said: int) -> int:
    """How many written words the first ``said`` spoken ones stand for.

    Words that are written as they are spoken tell exactly; between them ("1,500 km" for "one
    thousand five hundred kilometres") it goes by share.

    >>> covered(["about", "25", "km", "away"], ["about", "twenty", "five", "kilometres", "away"], 4)
    3
    """

    def bare(words: Sequence[str]) -> list[str]:
        return ["".join(_BARE.findall(word.casefold())) for word in words]

    count = 0
    matcher = SequenceMatcher(None, bare(written), bare(spoken), autojunk=False)
    for _, begin, end, spoken_begin, spoken_end in matcher.get_opcodes():
        if said < spoken_end:  # where the words are the same, the share is exact
            return begin + (end - begin) * (said - spoken_begin) // (spoken_end - spoken_begin)
        count = end
    return count
