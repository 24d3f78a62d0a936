from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from voicecore.tools.builtin.timer import TIMEOUT_MS, lasting, set_reminder, set_timer
from voicecore.tools.function import tool_of
from voicecore.tools.tool import Tool, ToolContext, ToolError

TIMER = tool_of(set_timer, origin="voicecore")
REMINDER = tool_of(set_reminder, origin="voicecore")


@pytest.fixture(autouse=True)
def _new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def started(tool: Tool, **arguments: object) -> str:
    assert tool.started is not None
    return tool.started(tool.check(arguments))


async def called(tool: Tool, context: ToolContext, **arguments: object) -> tuple[str, float]:
    """Call it; return the result, and the seconds until it was there."""
    begun_s = trio.current_time()
    result = await tool.call(tool.check(arguments), context)
    return result, trio.current_time() - begun_s


def test_they_outlive_the_turn_and_the_usual_deadline() -> None:
    for tool in (TIMER, REMINDER):
        assert tool.detached
        assert tool.timeout_ms == TIMEOUT_MS > 24 * 3_600_000


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"minutes": 5, "label": "tea"}, "The tea timer is set for 5 minutes."),
        ({"minutes": "1.5"}, "The timer is set for 1 minute 30 seconds."),
        ({"hours": 1, "label": "oven timer"}, "The oven timer is set for 1 hour."),
        ({"at": "18:30"}, "The timer is set for 18:30."),
        ({"at": "00:00:00", "label": None}, "The timer is set for 00:00."),
        ({"seconds": 0.1, "at": ""}, "The timer is set for 1 second."),
    ],
)
def test_the_model_is_told_at_once(arguments: dict[str, object], told: str) -> None:
    assert started(TIMER, **arguments) == told


def test_the_model_is_told_at_once_of_a_reminder() -> None:
    told = started(REMINDER, what="call the dentist", hours=2)
    assert told == "The reminder is set for 2 hours: call the dentist"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "Give either a duration"),
        ({"minutes": 0}, "Give either a duration"),
        ({"minutes": 5, "at": "18:30"}, "Give either a duration"),
        ({"hours": 20, "minutes": 300}, "at most 24 hours"),
        ({"hours": 25}, "hours: Input should be less than or equal to 24"),
        ({"minutes": -1}, "greater than or equal to 0"),
        ({"minutes": float("nan")}, "minutes: Input should be"),
        ({"at": "half past six"}, "at: Input should be in a valid time format"),
        ({"at": "18:30Z"}, "without a time zone"),
        ({"minutes": 1, "label": "x" * 61}, "label: String should have at most 60"),
    ],
)
async def test_what_does_not_fit_is_told_before_it_starts(
    arguments: dict[str, object], words: str, context: ToolContext
) -> None:
    with pytest.raises(ToolError, match=words):
        started(TIMER, **arguments)
    with pytest.raises(ToolError, match=words):
        await called(TIMER, context, **arguments)


async def test_it_ends_when_it_is_due(
    context: ToolContext, heard: Any, autojump_clock: trio.testing.MockClock
) -> None:
    result, took_s = await called(TIMER, context, minutes=5, label="tea")
    assert result == "Your tea timer is done."
    assert took_s == pytest.approx(300)
    assert heard.progress[0] == (0, "5 minutes left")
    assert heard.progress[50] == (pytest.approx(50), "2 minutes 30 seconds left")
    assert len(heard.progress) == pytest.approx(100, abs=1)
    assert heard.news == []  # its result is what is said


async def test_a_short_one_tells_of_each_second(
    context: ToolContext, heard: Any, autojump_clock: trio.testing.MockClock
) -> None:
    result, took_s = await called(TIMER, context, seconds=2.5)
    assert result == "Your timer is done."
    assert took_s == pytest.approx(2.5)
    assert [detail for _, detail in heard.progress] == [
        "2 seconds left", "2 seconds left", "1 second left",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("at", "hours"),
    [("07:30", 0.5), ("06:59", 23 + 59 / 60 - 1), ("07:00", 23), ("23:00", 16)],
)  # it is seven, and the night has one hour less: summer time begins
async def test_a_time_of_day_is_the_next_one(
    at: str, hours: float, context: ToolContext, autojump_clock: trio.testing.MockClock
) -> None:
    _, took_s = await called(TIMER, context, at=at)
    assert took_s == pytest.approx(hours * 3600)


async def test_a_reminder_says_what(
    context: ToolContext, autojump_clock: trio.testing.MockClock
) -> None:
    result, took_s = await called(REMINDER, context, what="Call the dentist.", minutes=2)
    assert result == "Here is your reminder: Call the dentist."
    assert took_s == pytest.approx(120)


async def test_it_can_be_cancelled(
    context: ToolContext, autojump_clock: trio.testing.MockClock
) -> None:
    with trio.move_on_after(60) as scope:
        await called(TIMER, context, minutes=5)
    assert scope.cancelled_caught
    assert trio.current_time() == pytest.approx(60)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "1 second"),
        (59.6, "1 minute"),
        (61, "1 minute 1 second"),
        (3600, "1 hour"),
        (86_399, "23 hours 59 minutes 59 seconds"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert lasting(seconds) == words


@given(st.floats(0, 86_400))
def test_a_duration_is_told_to_the_second(seconds: float) -> None:
    sizes = {"hour": 3600, "minute": 60, "second": 1}
    words = lasting(seconds).split()
    told = zip(words[::2], words[1::2], strict=True)
    assert sum(int(n) * sizes[unit.removesuffix("s")] for n, unit in told) == max(1, round(seconds))
