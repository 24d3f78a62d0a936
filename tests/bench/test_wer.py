"""The measure that recognition is judged by."""

from __future__ import annotations

import pytest

from voicecore.bench.wer import edit_distance, normalise


@pytest.mark.parametrize(
    ("said", "heard", "errors"),
    [
        ("", "", 0),
        ("a b c", "a b c", 0),
        ("a b c", "", 3),
        ("", "a b", 2),
        ("a b c", "a x c", 1),
        ("a b c", "b c d", 2),
        ("the cat sat", "cat the sat", 2),
    ],
)
def test_errors_are_the_fewest_changes_of_words(said: str, heard: str, errors: int) -> None:
    assert edit_distance(said.split(), heard.split()) == errors


def test_numbers_case_and_punctuation_are_no_errors() -> None:
    assert normalise("In 1813, he said: Hello!") == normalise("in eighteen thirteen he said hello")
