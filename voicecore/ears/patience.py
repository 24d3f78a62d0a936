"""How long to wait in silence before a turn counts as over.

Most turns are over when a person stops; some stop to think. What was said tells, by its sound (a
model of the ends of turns) and by its words, how likely that is.
"""

from __future__ import annotations

import re

import attrs

from voicecore.config import EarsConfig

_OPEN_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a an the my your our their its and or but because if when while although than "
        "of to into from with at for um uh er erm hmm",
    )
)
"""English words that a sentence seldom ends with ("turn it on" does, so ``on`` is not among them).
Recognisers put a full stop after anything; the word before it counts for more than the stop."""

_WORDS = re.compile(r"[\w']+")
_QUESTION = re.compile(r"\?\s*$")
_HANGING = re.compile(r"(?:[,;:–—-]|\.\.\.|…)\s*$")
_CLAUSE = re.compile(r"\W*(?:if|when|whenever|although|unless)(?:\s+[\w']+){1,6}\W*$")
"""One short clause that asks for another: "If it rains tomorrow."."""
_LIST = re.compile(
    r"(?:[\w']+\s+){2,}[\w']+,\s+(?!(?:please|then|too|thanks|though|right|okay)\b)[\w']+\W*$"
)
"""An enumeration without its last member: "I have eggs, flour."."""
_IS = re.compile(
    r"\b(?!(?:it|he|she|they|we|you|that|this|these|there|what|who|where|how)\b)[\w']+"
    r"\s+(?:is|are|was)\W*$"
)
"""A verb that something must follow: "My favourite colour is.", but not "I know where it is."."""


def unfinished(words: str, language: str) -> bool:
    """Whether the words sound as if more were to come.

    >>> unfinished("I would like to", "en")
    True
    >>> unfinished("What is it?", "en")
    False
    """
    if _HANGING.search(words):
        return True
    if language != "en" or _QUESTION.search(words):
        return False
    text = words.casefold()
    if any(pattern.search(text) for pattern in (_LIST, _IS)) or _CLAUSE.match(text):
        return True
    *_, last = ["", *_WORDS.findall(text)]
    return last in _OPEN_WORDS


@attrs.define
class Patience:
    """What is known about one pause: the more is known, the better the wait is chosen."""

    config: EarsConfig
    completeness: float | None = None
    """0 to 1, how complete the turn sounds; None while nobody has judged it."""
    words: str | None = None
    """What was recognised so far; None while it is not."""
    language: str = ""
    """Of the words, an ISO 639-1 code; only English words are known here."""

    def endpoint_ms(self) -> int:
        """Silence after which the turn is over."""
        if self.words == "":  # a cough, say: what it silenced can go on
            return self.config.endpoint_complete_ms
        if self.words and unfinished(self.words, self.language):
            return self.config.endpoint_open_ms
        if self.completeness is None:
            return self.config.endpoint_ms
        if self.completeness >= self.config.complete_from:
            return self.config.endpoint_complete_ms
        if self.completeness <= self.config.open_until:
            return self.config.endpoint_open_ms
        return self.config.endpoint_ms
