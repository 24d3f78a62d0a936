"""The live line at the bottom of the screen, as text: what is going on, in one glance."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from rich.text import Text

from voicecore.talk.dialogue import Phase, Task

QUIET_DBFS, LOUD_DBFS = -60.0, -12.0
"""The meter's ends: a quiet room, and speech close to the microphone."""

METER_CELLS = 8
STYLES: dict[Phase, str] = {
    "connecting": "yellow",
    "starting": "yellow",
    "listening": "green",
    "hearing": "bold green",
    "thinking": "cyan",
    "speaking": "bold magenta",
}
WIDEST = max(map(len, STYLES))


@attrs.frozen
class Status:
    """All that the live line tells."""

    phase: Phase
    level_dbfs: float | None = None
    """Of the microphone; None without one."""
    muted: bool = False
    partial: str = ""
    emotion: str = "neutral"
    tasks: Sequence[Task] = ()
    lost_ms: float = 0.0
    """Microphone sound that did not reach the host."""
    typed: str = ""
    """What is being typed."""


def meter(dbfs: float, *, ascii_only: bool = False) -> str:
    """Draw a level as a bar of `METER_CELLS`."""
    share = (dbfs - QUIET_DBFS) / (LOUD_DBFS - QUIET_DBFS)
    filled = round(min(1.0, max(0.0, share)) * METER_CELLS)
    full, empty = ("#", ".") if ascii_only else ("▮", "▯")
    return full * filled + empty * (METER_CELLS - filled)


def status_line(status: Status, width: int, *, ascii_only: bool = False) -> Text:
    """Write the live line, no wider than ``width`` cells."""
    line = Text(no_wrap=True)
    line.append(status.phase.ljust(WIDEST), style=STYLES[status.phase])
    if status.muted:
        line.append("  muted: Enter listens again", style="yellow")
    elif status.level_dbfs is not None:
        line.append(f"  {meter(status.level_dbfs, ascii_only=ascii_only)}", style="green")
    if status.emotion != "neutral":
        line.append(f"  {status.emotion}", style="magenta")
    for task in status.tasks:
        line.append(f"  {task.tool} {task.progress:.0f} %", style="blue")
    if status.lost_ms:
        line.append(f"  {status.lost_ms:.0f} ms of sound lost", style="yellow")
    if status.typed:
        line.append("  > ")
        # The end of what is typed is where the eyes are.
        line.append_text(_last_cells(status.typed, width - line.cell_len - 1))
    elif status.partial:
        line.append("  ")
        line.append_text(_last_cells(status.partial, width - line.cell_len, style="dim"))
    line.truncate(width, overflow="crop")
    return line


def _last_cells(text: str, width: int, style: str = "") -> Text:
    """Keep the end of a text that is too wide."""
    kept = Text(text, style=style)
    while kept.cell_len > max(0, width):
        text = text[1:]
        kept = Text(text, style=style)
    return kept
