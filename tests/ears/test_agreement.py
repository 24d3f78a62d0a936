from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore.ears.agreement import Agreement

WORDS = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=6)
PARTIALS = st.lists(WORDS.map(" ".join), max_size=6)


def feed(*partials: str) -> Agreement:
    agreement = Agreement()
    for partial in partials:
        agreement.feed(partial)
    return agreement


@pytest.mark.parametrize(
    ("partials", "agreed"),
    [
        pytest.param([], "", id="nothing heard"),
        pytest.param(["what is the"], "", id="heard once"),
        pytest.param(["what is the", "what is the weather"], "what is the", id="heard twice"),
        pytest.param(["what is the", "what is the"], "what is", id="the last word may be cut"),
        pytest.param(
            ["what is the", "What is, the weather"], "What is, the", id="as the newer one"
        ),
        pytest.param(["what is the", "what was the weather"], "what", id="a contradiction"),
        pytest.param(["a b c", "a b c d", "a x c d e"], "a", id="fewer than before"),
        pytest.param(["a b c", "", "a b c"], "", id="an empty one agrees with nothing"),
        pytest.param(["don't go", "don’t go there"], "don’t go", id="another apostrophe"),
        pytest.param(["one - two", "one , two three"], "one", id="signs alone are compared"),
        pytest.param(["GRÜSSE an", "grüße an dich"], "grüße an", id="other scripts' cases"),
    ],
)
def test_what_is_agreed_on(partials: list[str], agreed: str) -> None:
    assert feed(*partials).agreed == agreed


@given(PARTIALS)
def test_agreed_words_begin_both_of_the_last_two_partials(partials: list[str]) -> None:
    agreed = feed(*partials).agreed.split()
    if agreed:
        older, newer = (partial.split() for partial in partials[-2:])
        assert older[: len(agreed)] == agreed
        assert newer[: len(agreed)] == agreed
        assert len(agreed) < len(newer)


@given(WORDS, WORDS, WORDS)
def test_all_that_is_common_is_agreed_on(
    common: list[str], older: list[str], newer: list[str]
) -> None:
    agreed = feed(" ".join(common + older), " ".join(common + newer)).agreed
    held_back = 0 if newer else 1
    assert len(agreed.split()) >= len(common) - held_back


@given(PARTIALS, WORDS.map(" ".join))
def test_only_the_last_two_partials_count(partials: list[str], last: str) -> None:
    whole = feed(*partials, last)
    assert whole.agreed == feed(*partials[-1:], last).agreed


@given(PARTIALS, PARTIALS)
def test_after_a_reset_it_is_as_new(before: list[str], after: list[str]) -> None:
    agreement = feed(*before)
    agreement.reset()
    assert agreement.agreed == ""
    assert [agreement.feed(partial) for partial in after] == [
        feed(*after[: count + 1]).agreed for count in range(len(after))
    ]


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_is_taken(older: str, newer: str) -> None:
    agreed = feed(older, newer).agreed
    assert " ".join(newer.split()).startswith(agreed)
