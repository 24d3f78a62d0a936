"""The terminal: what a person reads, on a terminal, on a narrow one, and in a file."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from voicecore.talk.dialogue import Line, ReplyEnd, ReplyText, Shown, Task
from voicecore.talk.screen import open_screen
from voicecore.talk.status import METER_CELLS, Status, meter, status_line


class Terminal:
    """As much of a terminal as is needed: rows, a cursor, and the sequences that rich writes."""

    def __init__(self, width: int = 40) -> None:
        self.width = width
        self.rows = [""]
        self.row = self.column = 0
        self.cursor_hidden = False

    def write(self, text: str) -> None:
        for sequence, char in re.findall(r"(\x1b\[[?\d;]*[A-Za-z])|([\s\S])", text):
            self._control(sequence) if sequence else self._char(char)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return True

    def _control(self, sequence: str) -> None:
        if sequence.endswith("A"):
            self.row -= int(sequence[2:-1])
        elif sequence.endswith("2K"):
            self.rows[self.row] = ""
        elif sequence in {"\x1b[?25l", "\x1b[?25h"}:
            self.cursor_hidden = sequence.endswith("l")
        else:
            assert sequence.endswith("m"), f"{sequence!r} is not needed"

    def _char(self, char: str) -> None:
        if char == "\r":
            self.column = 0
        elif char == "\n":
            self.row, self.column = self.row + 1, 0
            if self.row == len(self.rows):
                self.rows.append("")
        else:
            row = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = row[: self.column] + char + row[self.column + 1 :]
            self.column += 1
            assert self.column <= self.width

    @property
    def text(self) -> list[str]:
        return [row.rstrip() for row in self.rows if row.strip()]


def show(terminal: Terminal, steps: Sequence[Shown | Status]) -> list[list[str]]:
    """Show one after the other; return what stood there each time, and after the end."""
    console = Console(
        file=terminal,  # type: ignore[arg-type] # as much of a file as rich needs
        width=terminal.width,
        force_terminal=True,
        color_system=None,
        highlight=False,
        legacy_windows=False,
        _environ={"TERM": "xterm"},
    )
    seen = []
    with open_screen(console) as screen:
        for step in steps:
            screen.status(step) if isinstance(step, Status) else screen.show([step])
            seen.append(terminal.text)
    return [*seen, terminal.text]


LISTENING = Status("listening")


def test_the_live_line_stays_below_the_transcript_and_is_gone_at_the_end() -> None:
    seen = show(
        Terminal(),
        [LISTENING, Line("you", "Hello"), ReplyText("Mia", "Good "), ReplyText("Mia", "day."),
         ReplyEnd(), Line("timing", "5 ms")],
    )  # fmt: skip
    assert seen == [
        ["listening"],
        ["you  Hello", "listening"],
        ["you  Hello", "Mia  Good", "listening"],
        ["you  Hello", "Mia  Good day.", "listening"],
        ["you  Hello", "Mia  Good day.", "listening"],
        ["you  Hello", "Mia  Good day.", "5 ms", "listening"],
        ["you  Hello", "Mia  Good day.", "5 ms"],
    ]


def test_long_replies_wrap_under_their_label() -> None:
    text = "one two three four five six seven eight nine ten"
    words = [ReplyText("Mia", f"{word} ") for word in text.split()]
    assert show(Terminal(30), [LISTENING, *words, ReplyEnd()])[-1] == [
        "Mia  one two three four five",
        "     six seven eight nine ten",
    ]


@given(st.lists(st.text("abcde  ", max_size=12), max_size=12), st.integers(20, 50))
def test_a_reply_reads_the_same_however_it_comes(pieces: list[str], width: int) -> None:
    in_pieces = [ReplyText("Mia", piece) for piece in pieces if piece]
    steps: list[Shown | Status] = [LISTENING, *in_pieces, ReplyEnd()]
    shown = " ".join(row.removeprefix("Mia").strip() for row in show(Terminal(width), steps)[-1])
    whole = " ".join("".join(pieces).split())
    # Only a word that is wider than the row may be broken.
    assert shown.replace(" ", "") == whole.replace(" ", "")
    if all(len(word) <= width - 6 for word in whole.split()):
        assert " ".join(shown.split()) == whole


def test_an_interrupted_reply_says_so() -> None:
    seen = show(Terminal(), [ReplyText("Mia", "Once upon "), ReplyEnd(stopped=True)])
    assert seen[-1] == ["Mia  Once upon [interrupted]"]


def test_a_reply_is_not_torn_apart_by_other_lines() -> None:
    one, two = ReplyText("Mia", "One "), ReplyText("Mia", "two.")
    seen = show(Terminal(), [one, Line("task", "timer: done"), two, ReplyEnd()])
    assert seen[-1] == ["Mia  One two.", "*  timer: done"]


def test_a_reply_that_is_open_at_the_end_is_kept() -> None:
    assert show(Terminal(), [LISTENING, ReplyText("Mia", "And then")])[-1] == ["Mia  And then"]


def test_the_cursor_comes_back() -> None:
    terminal = Terminal()
    show(terminal, [LISTENING])
    assert not terminal.cursor_hidden


def test_nothing_is_written_when_nothing_has_changed() -> None:
    written: list[str] = []

    class Counting(Terminal):
        def write(self, text: str) -> None:
            written.append(text)

    show(Counting(), [LISTENING, LISTENING, LISTENING])
    once = len(written)
    written.clear()
    show(Counting(), [LISTENING])
    assert len(written) == once


def test_a_file_gets_plain_lines() -> None:
    file = io.StringIO()
    with open_screen(Console(file=file, width=20, highlight=False)) as screen:
        screen.status(LISTENING)
        screen.show([Line("you", "What is [bold]this[/] :smile:?"), ReplyText("Mia", "It is ")])
        screen.show([ReplyText("Mia", "a rather long answer."), ReplyEnd(), Line("problem", "Oh.")])
    assert file.getvalue() == (
        "you: What is [bold]this[/] :smile:?\nMia: It is a rather long answer.\n!: Oh.\n"
    )


# --- the live line ---


FULL = Status(
    "speaking",
    level_dbfs=-30,
    emotion="happy",
    tasks=(Task("set_timer", 40),),
    lost_ms=120,
    partial="what is the",
)


def test_the_live_line_tells_everything() -> None:
    assert status_line(FULL, 120).plain == (
        "speaking    ▮▮▮▮▮▯▯▯  happy  set_timer 40 %  120 ms of sound lost  what is the"
    )


def test_what_is_typed_takes_the_place_of_what_is_heard() -> None:
    line = status_line(Status("hearing", -60, partial="what", typed="hello"), 80)
    assert line.plain == "hearing     ▯▯▯▯▯▯▯▯  > hello"


def test_a_muted_microphone_says_how_to_listen_again() -> None:
    assert "Enter listens again" in status_line(Status("listening", -20, muted=True), 80).plain


@given(st.integers(0, 60), st.text("ab你好 ", max_size=80), st.booleans())
def test_the_live_line_fits(width: int, text: str, typed: bool) -> None:
    status = Status("hearing", -20, typed=text) if typed else Status("hearing", -20, partial=text)
    assert status_line(status, width).cell_len <= width


def test_of_long_typing_the_end_is_seen() -> None:
    line = status_line(Status("listening", typed="abc" * 30 + "END"), 40)
    assert line.plain.endswith("END")


@pytest.mark.parametrize(("dbfs", "filled"), [(-96, 0), (-60, 0), (-36, 4), (-12, 8), (0, 8)])
def test_the_meter(dbfs: float, filled: int) -> None:
    assert meter(dbfs, ascii_only=True) == "#" * filled + "." * (METER_CELLS - filled)
