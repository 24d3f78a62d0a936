from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore.engines.whisper_belief import MAX_COMPRESSION, compression, repeats


@given(st.lists(st.integers(0, 10**6), unique=True, max_size=40))
def test_words_that_differ_do_not_repeat(numbers: list[int]) -> None:
    assert not repeats(" ".join(f"w{number}" for number in numbers))


@given(
    before=st.lists(st.sampled_from("abc"), max_size=6),
    group=st.lists(st.sampled_from("defg"), min_size=2, max_size=8),
    after=st.lists(st.sampled_from("abc"), max_size=6),
)
def test_a_group_of_words_said_twice_in_a_row_is_noticed(
    before: list[str], group: list[str], after: list[str]
) -> None:
    assert repeats(" ".join([*before, *group, *group, *after]))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", False),
        ("Stop.", False),
        ("Stop. Stop!", True),
        ("That is very very good.", False),
        ("No, no, no.", True),
        ("In 1813, in 1813, in", True),
        ("Ask not what your country can do for you, ask what you can do for it.", False),
        ("1.5.5.5", True),
        (". . . . .", False),
    ],
)
def test_what_counts_as_a_repetition(text: str, expected: bool) -> None:
    assert repeats(text) is expected


def test_text_that_compresses_well_is_a_loop() -> None:
    assert compression("") == 0
    assert compression("The weather is going to be nice tomorrow.") < 1.2
    assert compression(". " * 50) > MAX_COMPRESSION
