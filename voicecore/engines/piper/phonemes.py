"""Text to phonemes, and phonemes in pieces that are spoken one after the other."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

MAX_PHONEMES = 120
"""Of one piece: the encoder, which nothing can stop, needs 0.1 s of one core for it. Long sentences
cut so were recognised as well as whole ones (word errors 3.7 and 6.2 %, 356 words)."""

_SENTENCE_MS, _CLAUSE_MS, _WORD_MS = 400, 300, 100
"""From the last sound of one piece of speech to the first of the next, at speed 1. The voice's own
pause at a comma within a sentence is 290 ms (median), and 90 ms between words. Sentences are made
apart, and simply joined would follow each other after 230 ms, faster than clauses; 400 ms lies
among the medium pauses of read speech, 200 to 1000 ms (Campione and Veronis, 2002)."""

_SENTENCE_MARKS, _CLAUSE_MARKS = ".?!", ",;:"


def speakable(text: str) -> str:
    """Leave out what espeak cannot take (NUL, half surrogates), and piper's ``[[phonemes]]``."""
    text = text.encode("utf-8", "ignore").decode("utf-8")
    return text.replace("\0", " ").replace("[[", " ").replace("]]", " ")


def sounds(phoneme: str) -> bool:
    """Say whether a phoneme is heard: not a space or a mark, which only make a pause."""
    return not (phoneme.isspace() or unicodedata.category(phoneme[0]).startswith("P"))


def cut(phonemes: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut a long sentence into pieces of at most `MAX_PHONEMES`, to be synthesised one by one.

    After a clause if there is one in the second half of a piece, else between words.
    """
    rest = phonemes
    while len(rest) > MAX_PHONEMES:
        end = _cut_at(rest[:MAX_PHONEMES])
        yield rest[:end]
        rest = rest[end:]
    if rest:
        yield rest


def _cut_at(head: Sequence[str]) -> int:
    later = range(len(head) - 1, len(head) // 2, -1)
    for marks in (_CLAUSE_MARKS + _SENTENCE_MARKS, " "):
        found = next((at + 1 for at in later if head[at] in marks), None)
        if found:
            return found
    return len(head)


def pause_ms(phonemes: Sequence[str]) -> int:
    """Say how long a person would pause after these."""
    last = next((phoneme for phoneme in reversed(phonemes) if phoneme != " "), " ")
    if last in _SENTENCE_MARKS:
        return _SENTENCE_MS
    return _CLAUSE_MS if last in _CLAUSE_MARKS else _WORD_MS
