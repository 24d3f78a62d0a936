"""Words heard, from the sound that was played."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore.engines.interface import WordTime
from voicecore.mind.spoken import SpokenPhrase, coverage


def timed(text: str, spoken: str, ms: float = 400) -> SpokenPhrase:
    """Each spoken word lasts as long."""
    words = spoken.split()
    phrase = SpokenPhrase(text, ms * len(words), complete=True, spoken=spoken)
    for number, word in enumerate(words):
        phrase.tell([WordTime(word, 0, ms)], number * ms)
    return phrase


@pytest.mark.parametrize(
    ("played_ms", "heard"),
    [
        (0, ""), (399, ""), (400, " It"), (800, " It is"), (1_300, " It is"), (1_599, " It is"),
        (1_600, " It is 25"), (2_000, " It is 25 °C,"), (9_999, " It is 25 °C, outside."),
    ],
)  # fmt: skip
def test_the_words_that_were_spoken_whole_are_heard(played_ms: float, heard: str) -> None:
    phrase = timed(" It is 25 °C, outside.", "It is twenty five degrees, outside.")
    assert phrase.heard(played_ms) == heard


def test_words_told_piece_by_piece_count_from_the_piece() -> None:
    phrase = SpokenPhrase("One two three.", spoken="One two three.")
    phrase.tell([WordTime("One", 20, 300), WordTime("two", 300, 700)], 0)
    phrase.tell([], 500)
    phrase.tell([WordTime("three.", 10, 500)], 1_000)
    assert [phrase.heard(ms) for ms in (299, 300, 700, 1_499, 1_500)] == [
        "", "One", "One two", "One two", "One two three.",
    ]  # fmt: skip


def test_without_times_each_word_counts_the_same() -> None:
    phrase = SpokenPhrase(" One two three four.", 1_000, complete=True)
    assert phrase.heard(500) == " One two"


words = st.lists(st.sampled_from(["a", "b", "25", "twenty", "five", "—", "😀"]), max_size=12)


@given(words, words)
def test_more_spoken_words_never_cover_fewer_written_ones(
    written: list[str], spoken: list[str]
) -> None:
    counts = coverage(written, spoken)
    assert len(counts) == len(spoken) + 1
    assert counts == sorted(counts)
    assert counts[-1] == len(written)


@given(words)
def test_words_spoken_as_they_are_written_count_exactly(written: list[str]) -> None:
    assert coverage(written, written) == list(range(len(written) + 1))
