"""Which phonemes belong to which written word, and when each word is spoken.

espeak gives the phonemes of a text with spaces between words, but joins some ("of the" is one), and
says others in several ("3.5", or an emoji). Where there are as many groups as words, they belong
together one by one. Otherwise the phonemes are aligned with those of each word said alone, by the
fewest changes that make one of the other (Levenshtein).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, groupby
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from voicecore.audio import samples_to_ms
from voicecore.engines.interface import WordTime
from voicecore.engines.piper.phonemes import sounds

Span: TypeAlias = tuple[int, int]
"""A word's phonemes: the first one, and the one after the last. Empty for a word nobody hears."""

Alone: TypeAlias = Callable[[str], Sequence[str]]
"""Gives the phonemes of one word."""

_MOST_CELLS = 4_000_000
"""Of an alignment's table: 2 000 phonemes, two minutes of speech, 8 MB and 0.05 s. Words of a
longer text get their share of its phonemes by their letters."""

_STRESS = frozenset("ˈˌ")
"""A word alone is stressed, the same word among others often is not."""


def spans(words: Sequence[str], phonemes: Sequence[str], alone: Alone) -> list[Span]:
    """Find each word's phonemes. Spans are in order and do not overlap.

    Args:
        words: the written words of a text.
        phonemes: of the whole text; marks and spaces are between words.
        alone: says what a word would sound like by itself.
    """
    groups = _groups(phonemes)
    if not words or (len(groups) == len(words) and _are_whole(words, alone)):
        return groups[: len(words)]
    begins = _begins(words, phonemes, alone)
    found: list[Span] = []
    for begin, end in zip(begins, (*begins[1:], len(phonemes)), strict=True):
        found.append(_heard(phonemes, begin, end, found[-1][1] if found else 0))
    return found


def _are_whole(words: Sequence[str], alone: Alone) -> bool:
    """Whether each word by itself is one group of sounds.

    espeak says "iPhone" in two groups and "in the" in one: their numbers can be equal by accident.
    """
    return all(len(_groups(alone(word))) == 1 for word in words)


def _groups(phonemes: Sequence[str]) -> list[Span]:
    found = []
    for heard, group in groupby(range(len(phonemes)), key=lambda at: sounds(phonemes[at])):
        places = list(group)
        if heard:
            found.append((places[0], places[-1] + 1))
    return found


def _heard(phonemes: Sequence[str], begin: int, end: int, before: int) -> Span:
    """Leave out spaces and marks at both ends; if nothing is left, be at the end of the one before.

    Args:
        phonemes: of the whole text.
        begin: of one word.
        end: of the same word.
        before: where the one before it ends.
    """
    heard = [place for place in range(begin, end) if sounds(phonemes[place])]
    return (heard[0], heard[-1] + 1) if heard else (before, before)


# --- alignment -----------------------------------------------------------------------------------


def _begins(words: Sequence[str], phonemes: Sequence[str], alone: Alone) -> list[int]:
    """Return the place among ``phonemes`` where each word begins."""
    apart = [_symbols(alone(word)) for word in words]
    said = _symbols(phonemes)
    expected = [symbol for word in apart for _, symbol in (*word, (0, " "))]
    lengths = [len(word) + 1 for word in apart]
    if len(expected) * len(said) > _MOST_CELLS:
        return _shares(words, len(phonemes))
    reached = _align(expected, [symbol for _, symbol in said])
    places = [*(place for place, _ in said), len(phonemes)]
    begins = [places[reached[at]] for at in accumulate(lengths[:-1], initial=0)]
    return [_before_stress(phonemes, begin) for begin in begins]


def _symbols(phonemes: Sequence[str]) -> list[tuple[int, str]]:
    """Return what is compared, and where it is: sounds, and one space for all between words."""
    found: list[tuple[int, str]] = []
    for place, phoneme in enumerate(phonemes):
        if not sounds(phoneme):
            if found and found[-1][1] != " ":
                found.append((place, " "))
        elif phoneme not in _STRESS:
            found.append((place, phoneme))
    while found and found[-1][1] == " ":
        found.pop()
    return found


def _align(expected: Sequence[str], said: Sequence[str]) -> list[int]:
    """Return how many of ``said`` stand before each of ``expected``, and before its end."""
    costs = _costs(expected, said)
    reached = [0] * (len(expected) + 1)
    row, column = len(expected), len(said)
    while row:
        cost = costs[row, column]
        if column and cost == costs[row, column - 1] + 1:
            column -= 1
            continue
        reached[row] = column
        row -= 1
        if cost != costs[row, column] + 1:
            column -= 1
    return reached


def _costs(expected: Sequence[str], said: Sequence[str]) -> npt.NDArray[np.int16]:
    """Return the changes that make each beginning of one the other, shape ``[expected, said]``.

    To leave one out or put one in is a change, to replace a sound too; a space is never replaced.
    """
    columns = np.arange(len(said) + 1, dtype=np.int16)
    rows = [columns]
    others = np.array([" ", *said])
    spaces = others == " "
    for row, symbol in enumerate(expected, 1):
        before = rows[-1]
        replaced = np.where(others == symbol, 0, np.where(spaces | (symbol == " "), 2, 1))
        cost = before + np.int16(1)
        cost[1:] = np.minimum(cost[1:], before[:-1] + replaced[1:])
        cost[0] = row
        rows.append((np.minimum.accumulate(cost - columns) + columns).astype(np.int16))
    return np.stack(rows)


def _before_stress(phonemes: Sequence[str], begin: int) -> int:
    while begin and phonemes[begin - 1] in _STRESS:
        begin -= 1
    return begin


def _shares(words: Sequence[str], phonemes: int) -> list[int]:
    ends = list(accumulate(len(word) for word in words))
    return [0, *(end * phonemes // ends[-1] for end in ends[:-1])]


# --- time ----------------------------------------------------------------------------------------


def phoneme_places(
    durations: npt.NDArray[np.int64], ids: Sequence[int], *, before: int, pad: int, after: int
) -> npt.NDArray[np.int64] | None:
    """Return where each phoneme begins and ends, in samples.

    The blank that follows it is not counted as its own: without it, words ended 8 ms (median of 10)
    behind the last audible sample, with it 60 ms.

    Args:
        durations: samples of each id.
        ids: how many each phoneme became, its blank included; 0 for one the voice does not know.
        before: how many stand before the first phoneme.
        pad: how many of each phoneme's ids are its blank.
        after: how many stand after the last phoneme.

    Returns:
        Shape ``[phonemes, 2]``; None if the ids do not add up.
    """
    ends: npt.NDArray[np.int64] = np.cumsum((before, *ids))
    if ends[-1] + after != len(durations):
        return None
    at: npt.NDArray[np.int64] = np.concatenate(([0], np.cumsum(durations)))
    own_ends = np.maximum(ends[1:] - pad, ends[:-1])
    return np.stack((at[ends[:-1]], at[own_ends]), axis=-1)


def times(
    words: Sequence[tuple[str, Span]], places: npt.NDArray[np.int64], left_out: int, rate_hz: int
) -> tuple[WordTime, ...]:
    """Return when words are spoken.

    Args:
        words: those of one piece, with their phonemes there.
        places: of those phonemes, from `phoneme_places`.
        left_out: samples before the one that times count from.
        rate_hz: of the samples.
    """
    edges = np.maximum(0, places - left_out)
    found = []
    for word, (first, last) in words:
        heard = first < last
        begin = edges[first, 0] if heard else edges[first - 1, 1] if first else 0
        end = edges[last - 1, 1] if heard else begin
        found.append(WordTime(word, *(samples_to_ms(int(at), rate_hz) for at in (begin, end))))
    return tuple(found)
