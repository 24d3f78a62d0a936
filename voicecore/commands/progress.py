"""Downloads as a person sees them: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import rich.progress
from rich.console import Console

if TYPE_CHECKING:  # it brings an HTTP client, which a host that has its models never needs
    from voicecore.weights.download import Progress


@contextmanager
def open_progress(console: Console) -> Iterator[Progress]:
    """Show downloads on ``console`` while the block runs."""
    if not console.is_terminal:
        yield LineProgress(console)
        return
    columns = (
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.DownloadColumn(),
        rich.progress.TransferSpeedColumn(),
        rich.progress.TimeRemainingColumn(),
    )
    with rich.progress.Progress(*columns, console=console) as bars:
        yield BarProgress(bars)


class BarProgress:
    """One bar for each download, with size and speed."""

    def __init__(self, bars: rich.progress.Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, rich.progress.TaskID] = {}

    def start(self, name: str, total_bytes: int | None) -> None:
        if name in self._tasks:
            self._bars.reset(self._tasks[name], total=total_bytes)
        else:
            self._tasks[name] = self._bars.add_task(name, total=total_bytes)

    def advance(self, name: str, count: int) -> None:
        self._bars.advance(self._tasks[name], count)

    def done(self, name: str) -> None:
        self._bars.stop_task(self._tasks[name])


class LineProgress:
    """A line when a download begins and one when it is complete."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def start(self, name: str, total_bytes: int | None) -> None:
        size = "" if total_bytes is None else f", {megabytes(total_bytes)}"
        self._print(f"{name}: downloading{size}")

    def advance(self, name: str, count: int) -> None:
        """Lines tell the beginning and the end only."""

    def done(self, name: str) -> None:
        self._print(f"{name}: downloaded")

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def megabytes(count: int) -> str:
    """Write a number of bytes in MB (10⁶ bytes), with one digit below ten."""
    size = count / 1e6
    return f"{size:.1f} MB" if size < 9.95 else f"{size:.0f} MB"
