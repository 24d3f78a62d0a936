from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from voicecore.tools.builtin import clock
from voicecore.tools.builtin.clock import get_time
from voicecore.tools.tool import ToolContext, ToolError


@pytest.fixture(autouse=True)
def _new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_here(context: ToolContext) -> None:
    assert get_time(context) == "It is 7:00 AM on Saturday, March 7, 2026."


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("Europe/Paris", "It is 1:00 PM on Saturday, March 7, 2026, in Europe/Paris."),
        ("paris", "It is 1:00 PM on Saturday, March 7, 2026, in Europe/Paris."),
        ("  Los  Angeles ", "It is 4:00 AM on Saturday, March 7, 2026, in America/Los Angeles."),
        ("UTC", "It is 12:00 PM on Saturday, March 7, 2026, in UTC."),
        ("Pacific/Kiritimati", "It is 2:00 AM on Sunday, March 8, 2026, in Pacific/Kiritimati."),
        ("Asia/Kolkata", "It is 5:30 PM on Saturday, March 7, 2026, in Asia/Kolkata."),
        (" ", "It is 7:00 AM on Saturday, March 7, 2026."),
    ],
)
def test_elsewhere(wanted: str, told: str, context: ToolContext) -> None:
    assert get_time(context, wanted) == told


def test_summer_time_counts(context: ToolContext, heard: Any) -> None:
    heard.wall_s += 86_400  # it began that Sunday at two
    assert get_time(context) == "It is 8:00 AM on Sunday, March 8, 2026."


def test_midnight_is_twelve(context: ToolContext, heard: Any) -> None:
    heard.wall_s -= 7 * 3600
    assert get_time(context).startswith("It is 12:00 AM on Saturday")


@pytest.mark.parametrize("wanted", ["Nowhere", "../../etc/passwd", "/etc/passwd", "x" * 100_000])
def test_an_unknown_zone(wanted: str, context: ToolContext) -> None:
    with pytest.raises(ToolError, match="There is no time zone") as caught:
        get_time(context, wanted)
    assert len(str(caught.value)) < 200


def test_a_machine_without_zones(context: ToolContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_zones", dict)
    with pytest.raises(ToolError, match="tzdata"):
        get_time(context, "Europe/Paris")
    assert get_time(context).startswith("It is 7:00 AM")
