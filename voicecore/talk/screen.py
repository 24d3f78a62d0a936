"""The terminal: a transcript that scrolls, and one live line below it; plain lines elsewhere."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from voicecore.talk.dialogue import Line, ReplyEnd, ReplyText, Shown
from voicecore.talk.status import Status, status_line

STYLES = {"you": "bold", "notice": "dim", "problem": "yellow", "task": "blue", "timing": "dim"}
LABELS = {"you": "you", "problem": "!", "task": "*"}
INTERRUPTED = " [interrupted]"

MOST_AFTER = 32
"""Lines that wait for the end of a reply; it lasts some seconds."""


class Screen(Protocol):
    """Where a conversation is shown."""

    def show(self, shown: Sequence[Shown]) -> None:
        """Show what is new."""

    def status(self, status: Status) -> None:
        """Show what is going on now."""


@contextmanager
def open_screen(console: Console) -> Iterator[Screen]:
    """Use a terminal while the block runs, and leave it tidy; or write lines, if it is none."""
    if not console.is_terminal or console.is_dumb_terminal:
        yield PlainScreen(console)
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        screen = TerminalScreen(live)
        yield screen
        screen.finish()


class PlainScreen:
    """Whole lines, for pipes and files; nothing is live."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._reply = ""

    def show(self, shown: Sequence[Shown]) -> None:
        for item in shown:
            match item:
                case Line(kind, text):
                    label = LABELS.get(kind)
                    self._print(f"{label}: {text}" if label else text)
                case ReplyText(who, text):
                    self._reply = (self._reply or f"{who}: ") + text
                case ReplyEnd(stopped):
                    self._print(self._reply.rstrip() + (INTERRUPTED if stopped else ""))
                    self._reply = ""

    def status(self, status: Status) -> None:
        """Lines tell what has happened, and not what goes on."""

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)


class TerminalScreen:
    """Rows that are full scroll up; the reply's last row and the live line stay below them."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._console = live.console
        self._label = ""
        self._row = ""
        """Of the reply's text, what stands in its last row; empty without a reply."""
        self._status = Text("")
        self._drawn: tuple[object, ...] = ()
        self._after: deque[Line] = deque(maxlen=MOST_AFTER)

    def show(self, shown: Sequence[Shown]) -> None:
        for item in shown:
            match item:
                case Line() if self._row:
                    self._after.append(item)  # a reply is not torn apart
                case Line():
                    self._print_line(item)
                case ReplyText(who, text):
                    self._label = self._label or f"{who}  "
                    self._extend(text)
                case ReplyEnd(stopped):
                    self._end(stopped=stopped)
        if shown:
            self._draw()

    def status(self, status: Status) -> None:
        plain = self._console.options.ascii_only
        self._status = status_line(status, self._console.width - 1, ascii_only=plain)
        self._draw()

    def finish(self) -> None:
        """Leave the transcript complete."""
        if self._row:
            self._end(stopped=False)

    def _extend(self, text: str) -> None:
        """Add to the reply; rows that are full scroll."""
        self._row += text
        indent = cell_len(self._label)
        width = max(10, self._console.width - 1 - indent)
        *full, last = self._row.split("\n")
        for line in full:
            self._print_row(line)
        rows = [str(row) for row in Text(last).wrap(self._console, width)] or [""]
        for row in rows[:-1]:
            self._print_row(row)
        # Wrapping strips the blank that the next word needs before it.
        blank = " " if last.endswith(" ") and not rows[-1].endswith(" ") else ""
        self._row = rows[-1] + blank

    def _end(self, *, stopped: bool) -> None:
        self._print_row(self._row, INTERRUPTED if stopped else "")
        self._label = self._row = ""
        while self._after:
            self._print_line(self._after.popleft())

    def _print_line(self, line: Line) -> None:
        self._print(_labelled(LABELS.get(line.kind, ""), line.text, STYLES[line.kind]))

    def _print_row(self, row: str, note: str = "") -> None:
        text = Text(self._label, style="bold magenta")
        text.append(row.rstrip(), style="not bold default")
        text.append(note, style="dim not bold default")
        self._print(text)
        self._label = " " * cell_len(self._label)

    def _print(self, text: Text) -> None:
        self._console.print(text, highlight=False, soft_wrap=False)

    def _draw(self) -> None:
        """Draw the live part, if it has changed."""
        drawn = (self._label, self._row, self._status, self._console.width)
        if drawn != self._drawn:
            self._drawn = drawn
            row = Text(self._label, style="bold magenta", no_wrap=True)
            row.append(self._row, style="not bold default")
            parts = [row, self._status] if self._row else [self._status]
            self._live.update(Group(*parts), refresh=True)


def _labelled(label: str, text: str, style: str) -> Text:
    shown = Text(f"{label}  " if label else "", style=style)
    return shown.append(text, style=style if style != "bold" else "not bold")
