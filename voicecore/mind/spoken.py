"""How much of a reply a person has taken in, from how much of its sound was played."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from itertools import pairwise

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
    begin: int = 0
    """Its place in the reply's text: the first character."""
    words: list[WordTime] = attrs.field(factory=list)
    """When each word of ``spoken`` is said, from the phrase's first sample, as far as the voice has
    told."""

    def likely_ms(self) -> float:
        return self.ms if self.complete else max(self.ms, len(self.text) * MS_PER_CHAR)

    def tell(self, words: Iterable[WordTime], begin_ms: float) -> None:
        """Take the words of a piece of sound that begins at ``begin_ms`` of the phrase."""
        self.words += [
            WordTime(word.text, begin_ms + word.start_ms, begin_ms + word.end_ms) for word in words
        ]

    def places(self) -> list[tuple[int, int]]:
        """Where each word of ``spoken`` stands in the reply's text: its characters, from and to.

        Where several spoken words stand for one that is written, each has the place of that.
        """
        written = list(_WORD.finditer(self.text))
        if not written:
            return [(self.begin, self.begin)] * len(self.spoken.split())
        found = []
        for before, after in pairwise(coverage([word[0] for word in written], self.spoken.split())):
            last = min(max(before + 1, after), len(written)) - 1
            first = written[min(before, last)]
            found.append((self.begin + first.start(), self.begin + written[last].end()))
        return found

    def heard(self, played_ms: float) -> str:
        """What was said of it in its first ``played_ms``.

        Where the voice does not tell when it says what, each word counts the same. A word cut in
        the middle does not count: a person remembers the words they heard whole.
        """
        words = list(_WORD.finditer(self.text))
        if self.words:
            said = sum(word.end_ms <= played_ms for word in self.words)
            counts = coverage([word[0] for word in words], self.spoken.split())
            count = counts[min(said, len(counts) - 1)]
        else:
            count = int(len(words) * min(1.0, played_ms / self.likely_ms()))
        return self.text[: words[count - 1].end()] if count else ""


def coverage(written: Sequence[str], spoken: Sequence[str]) -> list[int]:
    """How many written words the first spoken ones stand for: the first 0, 1, …, all of them.

    Words that are written as they are spoken tell exactly; between them ("1,500 km" for "one
    thousand five hundred kilometres") it goes by share.

    >>> coverage(["about", "25", "km", "away"], ["about", "twenty", "five", "kilometres", "away"])
    [0, 1, 1, 2, 3, 4]
    """

    def bare(words: Sequence[str]) -> list[str]:
        return ["".join(_BARE.findall(word.casefold())) for word in words]

    matcher = SequenceMatcher(None, bare(written), bare(spoken), autojunk=False)
    counts = [
        begin + (end - begin) * (said - spoken_begin) // (spoken_end - spoken_begin)
        for _, begin, end, spoken_begin, spoken_end in matcher.get_opcodes()
        for said in range(spoken_begin, spoken_end)  # where they are the same, the share is exact
    ]
    return [*counts, len(written)]
