"""Word error rate: how many words were heard wrong, missed or invented.

The rate is the word-level edit distance divided by the words that were really said, over a whole
set (errors and words are summed first, so that a short sentence does not weigh as much as a long
one). It can exceed 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import attrs

# fmt: off
_UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
# fmt: on
_TITLES = {"mr": "mister", "mrs": "missus", "dr": "doctor", "st": "saint", "ok": "okay"}
_TOKEN = re.compile(r"\d+|[^\W\d_]+(?:'[^\W\d_]+)*")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")


@attrs.frozen
class WordErrors:
    """Errors among the words that were really said."""

    errors: int
    words: int

    @property
    def rate(self) -> float:
        return self.errors / self.words if self.words else 0.0

    def __add__(self, other: WordErrors) -> WordErrors:
        return WordErrors(self.errors + other.errors, self.words + other.words)


def normalise(text: str) -> list[str]:
    """Split into comparable words: lower case, no punctuation, numbers and titles spelled out.

    Whisper writes "1813", "Mr." and "cold-hearted"; a transcript may say the same in words.
    """
    plain = _THOUSANDS.sub("", text.lower().replace("’", "'"))
    words: list[str] = []
    for token in _TOKEN.findall(plain):
        words += number_words(token) if token.isdecimal() else [_TITLES.get(token, token)]
    return words


def number_words(digits: str) -> list[str]:
    """Spell a whole number as it is usually said; years in pairs ("1813": eighteen thirteen)."""
    number = int(digits)
    if len(digits) > 6 or (len(digits) > 1 and digits[0] == "0"):
        return [_UNITS[int(digit)] for digit in digits]
    if len(digits) == 4 and number % 1000 >= 10 and number % 100 >= 10:
        return _below_thousand(number // 100) + _below_thousand(number % 100)
    if number >= 1000:
        rest = _below_thousand(number % 1000) if number % 1000 else []
        return [*_below_thousand(number // 1000), "thousand", *rest]
    return _below_thousand(number)


def _below_thousand(number: int) -> list[str]:
    if number < 20:
        return [_UNITS[number]]
    if number < 100:
        return [_TENS[number // 10], *(_below_thousand(number % 10) if number % 10 else [])]
    rest = _below_thousand(number % 100) if number % 100 else []
    return [_UNITS[number // 100], "hundred", *rest]


def edit_distance(said: Sequence[str], heard: Sequence[str]) -> int:
    """Fewest insertions, deletions and substitutions (Levenshtein, two rows)."""
    previous = list(range(len(heard) + 1))
    for row, word in enumerate(said, start=1):
        current = [row]
        for column, other in enumerate(heard, start=1):
            substituted = previous[column - 1] + (word != other)
            current.append(min(previous[column] + 1, current[-1] + 1, substituted))
        previous = current
    return previous[-1]


def word_errors(said: str, heard: str) -> WordErrors:
    """Compare one sentence, after `normalise`."""
    reference = normalise(said)
    return WordErrors(edit_distance(reference, normalise(heard)), len(reference))


def total(pairs: Iterable[tuple[str, str]]) -> WordErrors:
    """Sum `word_errors` over pairs of (said, heard)."""
    return sum((word_errors(said, heard) for said, heard in pairs), WordErrors(0, 0))
