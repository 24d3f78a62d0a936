"""Timers and reminders: the person is told when they are due, whatever is talked of meanwhile."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import trio
from pydantic import BeforeValidator, Field

from voicecore.tools.function import tool
from voicecore.tools.tool import ToolContext, ToolError

MAX_HOURS = 24
"""A timer lives as long as the host runs, and no longer; beyond a day, a calendar is needed."""

TIMEOUT_MS = (MAX_HOURS + 1) * 3_600_000  # the hour is the one that ends summer time

Hours = Annotated[float, Field(ge=0, le=MAX_HOURS)]
Minutes = Annotated[float, Field(ge=0, le=MAX_HOURS * 60)]
Seconds = Annotated[float, Field(ge=0, le=MAX_HOURS * 3600)]
# Models write "" for what they do not want to give.
At = Annotated[dt.time | None, BeforeValidator(lambda given: None if given == "" else given)]
Text = Annotated[str, Field(min_length=1, max_length=200)]


def _told_of_timer(
    hours: float, minutes: float, seconds: float, at: dt.time | None, label: str
) -> str:
    return f"The {_named(label)} is set {_when(_duration_s(hours, minutes, seconds), at)}."


@tool(detached=True, timeout_ms=TIMEOUT_MS, started=_told_of_timer)
async def set_timer(
    context: ToolContext,
    hours: Hours = 0,
    minutes: Minutes = 0,
    seconds: Seconds = 0,
    at: At = None,
    label: Annotated[str, Field(max_length=60)] = "",
) -> str:
    """Set a timer or an alarm. The person is told when it is due.

    Args:
        context: Has the clock.
        hours: The duration's hours.
        minutes: Its minutes.
        seconds: Its seconds.
        at: Instead of a duration: local time as HH:MM, 24 hours.
        label: What it is for, such as "tea".
    """
    await _wait(context, _duration_s(hours, minutes, seconds), at)
    return f"Your {_named(label)} is done."


def _told_of_reminder(what: str, hours: float, minutes: float, at: dt.time | None) -> str:
    return f"The reminder is set {_when(_duration_s(hours, minutes, 0), at)}: {what}"


@tool(detached=True, timeout_ms=TIMEOUT_MS, started=_told_of_reminder)
async def set_reminder(
    context: ToolContext, what: Text, hours: Hours = 0, minutes: Minutes = 0, at: At = None
) -> str:
    """Remind the person of something later.

    Args:
        context: Has the clock.
        what: What to remind of, such as "call the dentist".
        hours: The hours until then.
        minutes: The minutes until then.
        at: Instead of hours and minutes: local time as HH:MM, 24 hours.
    """
    await _wait(context, _duration_s(hours, minutes, 0), at)
    return f"Here is your reminder: {what.rstrip('.')}."


async def _wait(context: ToolContext, duration_s: float, at: dt.time | None) -> None:
    """Sleep until it is due, telling of each hundredth, or second where that is longer.

    The clock is asked once: a clock that is set, or a machine that sleeps, does not move a timer.
    """
    _when(duration_s, at)
    total_s = duration_s if at is None else _until_s(at, context.wall_s())
    begun_s = trio.current_time()
    step_s = max(1.0, total_s / 100)
    passed_s = 0.0
    while passed_s < total_s:
        context.progress(100 * passed_s / total_s, f"{lasting(total_s - passed_s)} left")
        passed_s = min(total_s, passed_s + step_s)
        await trio.sleep_until(begun_s + passed_s)


def _duration_s(hours: float, minutes: float, seconds: float) -> float:
    return hours * 3600 + minutes * 60 + seconds


def _when(duration_s: float, at: dt.time | None) -> str:
    """Say when it is due: for 5 minutes, for 18:30. Raises ToolError."""
    if (duration_s > 0) == (at is not None):
        raise ToolError("Give either a duration (hours, minutes, seconds) or a time (at).")
    if duration_s > MAX_HOURS * 3600:
        raise ToolError(f"That is too long: at most {MAX_HOURS} hours.")
    if at is not None and at.tzinfo is not None:
        raise ToolError("Give the local time, without a time zone.")
    return f"for {lasting(duration_s) if at is None else at.strftime('%H:%M')}"


def _until_s(at: dt.time, now_s: float) -> float:
    """Seconds from now to the next time that local clocks show ``at``."""
    now = dt.datetime.fromtimestamp(now_s).astimezone()
    # Without a zone, `timestamp` asks for the offset of that day: summer time may begin tonight.
    due = dt.datetime.combine(now.date(), at.replace(tzinfo=None))
    if due.timestamp() <= now_s:
        due += dt.timedelta(days=1)
    return due.timestamp() - now_s


def _named(label: str) -> str:
    name = label.strip().removesuffix("timer").strip()
    return f"{name} timer" if name else "timer"


def lasting(seconds: float) -> str:
    """Say a duration: 1 hour 30 minutes."""
    left = max(1, round(seconds))
    parts = []
    for name, size in (("hour", 3600), ("minute", 60), ("second", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}{'s' if count > 1 else ''}")
    return " ".join(parts)
