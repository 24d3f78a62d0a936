"""The time of day and the date, here or elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from voicecore.tools.function import tool
from voicecore.tools.tool import ToolContext, ToolError


@tool
def get_time(context: ToolContext, timezone: str = "") -> str:
    """Tell the current time of day and the date.

    Args:
        context: Has the clock.
        timezone: An IANA time zone such as Europe/Paris, or its city; empty for here.
    """
    now = datetime.fromtimestamp(context.wall_s(), UTC)
    if not timezone.strip():
        return f"It is {spoken(now.astimezone())}."
    name = _zone(timezone)
    return f"It is {spoken(now.astimezone(ZoneInfo(name)))}, in {name.replace('_', ' ')}."


def spoken(moment: datetime) -> str:
    """Say when it is: 3:42 PM on Saturday, March 7, 2026."""
    hour = moment.hour % 12 or 12
    half = "AM" if moment.hour < 12 else "PM"
    return f"{hour}:{moment:%M} {half} on {moment:%A, %B} {moment.day}, {moment.year}"


@cache
def _zones() -> dict[str, str]:
    """Every way to name a zone, in lower case: Europe/Paris, and Paris."""
    names = sorted(available_timezones())
    cities = {name.rpartition("/")[2].lower(): name for name in reversed(names)}
    return cities | {name.lower(): name for name in names}


def _zone(wanted: str) -> str:
    # Only names of this list reach ZoneInfo, which opens a file by that name.
    zones = _zones()
    if not zones:
        raise ToolError("This machine has no time zones; install the package tzdata.")
    found = zones.get("_".join(wanted.lower().split()))
    if found is None:
        raise ToolError(
            f"There is no time zone {wanted[:60]!r}. Give an IANA name, such as Europe/Paris."
        )
    return found
