"""What a person has heard of a reply."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore.mind.spoken import SpokenPhrase
from voicecore.mind.turn import Turn


def turn(*phrases: SpokenPhrase, spoken: bool = True) -> Turn:
    text = "".join(phrase.text for phrase in phrases)
    made = Turn("t", "hi", "voice", spoken, 0.0, 0.0, text=text)
    made.phrases.extend(phrases)
    return made


ONE = SpokenPhrase("One two three four.", 1_000, complete=True)
CODE = SpokenPhrase("\n`x`\n", 0, complete=True)
TWO = SpokenPhrase(" Five six seven eight.", 1_000, complete=True)


@pytest.mark.parametrize(
    ("played_ms", "heard"),
    [
        (0, ""),
        (100, ""),
        (250, "One"),
        (500, "One two"),
        (999, "One two three"),
        (1_000, "One two three four.\n`x`"),
        (1_500, "One two three four.\n`x`\n Five six"),
        (2_000, "One two three four.\n`x`\n Five six seven eight."),
        (9_999, "One two three four.\n`x`\n Five six seven eight."),
    ],
)
def test_heard_is_whole_words_of_what_was_played(played_ms: float, heard: str) -> None:
    assert turn(ONE, CODE, TWO).heard(played_ms) == heard


def test_a_phrase_still_being_made_counts_by_its_likely_length() -> None:
    # 19 characters take about 1.2 s, though only 300 ms of it are there.
    growing = SpokenPhrase("One two three four.", 300)
    assert turn(growing).heard(300) == ""
    assert turn(growing).heard(650) == "One two"


def test_a_written_reply_counts_as_far_as_it_was_sent() -> None:
    assert turn(ONE, spoken=False).heard(0) == ONE.text


def test_only_the_first_failure_is_told() -> None:
    failed = turn()
    failed.fail("FIRST", "one")
    failed.fail("SECOND", "two")
    assert (failed.problem_code, failed.problem) == ("FIRST", "one")


@given(
    st.lists(
        st.builds(
            SpokenPhrase, st.text("ab ,.", max_size=30), st.integers(0, 3_000), st.booleans()
        ),
        max_size=6,
    ),
    st.floats(0, 20_000),
    st.floats(0, 20_000),
)
def test_more_sound_is_never_less_heard_and_always_the_beginning(
    phrases: list[SpokenPhrase], some_ms: float, more_ms: float
) -> None:
    made = turn(*phrases)
    less, more = made.heard(min(some_ms, more_ms)), made.heard(max(some_ms, more_ms))
    assert made.text.startswith(more)
    assert more.startswith(less)
