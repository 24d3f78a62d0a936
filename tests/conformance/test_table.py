"""The table itself: each row has its test, and the page shows the table."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.conformance.rows import (
    COMMAND,
    PAGE,
    ROWS,
    SECTIONS,
    Engines,
    Outcome,
    outcomes_on,
    page,
    summary,
)

HERE = Path(__file__).parent


def test_every_row_has_one_test() -> None:
    sources = [path.read_text(encoding="utf-8") for path in HERE.glob("test_*.py")]
    named = (
        name for source in sources for name in re.findall(r'^@row\("(.+?)"\)', source, re.MULTILINE)
    )
    assert Counter(named) == Counter(ROWS.keys())


def test_every_row_is_in_a_section() -> None:
    assert {row.section for row in ROWS.values()} == SECTIONS.keys()


def test_the_page_shows_the_table_and_no_failure() -> None:
    text = PAGE.read_text(encoding="utf-8")
    outcomes = outcomes_on(text)
    assert text == page(outcomes), f"make it anew: {COMMAND}"
    for row in ROWS.values():
        assert outcomes[row.id, "fakes"] == "pass"
        assert outcomes[row.id, "models"] == ("pass" if row.on_models else "–")


@pytest.mark.parametrize("outcome", ["pass", "FAIL", "–"])
def test_what_is_written_is_read_again(outcome: Outcome) -> None:
    read = outcomes_on(page({(name, "fakes"): outcome for name in ROWS}))
    fakes = {name: found for (name, on), found in read.items() if on == "fakes"}
    assert fakes == dict.fromkeys(ROWS, outcome)


def test_the_summary_is_short_unless_something_failed() -> None:
    outcomes: dict[tuple[str, Engines], Outcome] = {(name, "fakes"): "pass" for name in ROWS}
    assert len([*summary(outcomes, whole=False)]) == len(SECTIONS)
    assert len([*summary(outcomes, whole=True)]) == len(SECTIONS) + len(ROWS)
    outcomes["B-ten", "fakes"] = "FAIL"
    (failed,) = (line for line in summary(outcomes, whole=False) if "B-ten" in line)
    assert "FAIL" in failed
    assert [*summary({}, whole=False)] == []
