"""Typing, beside a screen that changes: a line editor, and what reads the terminal or a pipe."""

from __future__ import annotations

import codecs
import os
import termios
import unicodedata
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import trio

MOST_CHARS = 4_000
"""Of a line: a host of ours takes 8,000 (`server.max_text_chars`); what is typed beyond is lost."""

CTRL_D, CTRL_U, CTRL_W, ESCAPE = "\x04", "\x15", "\x17", "\x1b"
BACKSPACES = {"\x7f", "\x08"}
ENDS = {"\r", "\n"}


@attrs.define
class LineEditor:
    """The line being typed. The keys are those of the terminal's own line editing.

    Backspace takes a character back, Ctrl-W a word, Ctrl-U the line, Enter ends it, and Ctrl-D on
    an empty line ends the input. Arrow keys and the like do nothing.
    """

    text: str = ""
    ended: bool = False
    """The input is over."""
    _decoder: codecs.IncrementalDecoder = attrs.field(
        factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )
    _escape: str = ""

    def feed(self, data: bytes) -> list[str]:
        """Take what was typed; return the lines that are complete, without their ends."""
        lines: list[str] = []
        for char in self._decoder.decode(data):
            if self._in_escape(char):
                continue
            if char in ENDS:
                lines.append(self.text)
                self.text = ""
            else:
                self._edit(char)
        return lines

    def _edit(self, char: str) -> None:
        if char in BACKSPACES:
            while self.text and unicodedata.combining(self.text[-1]):
                self.text = self.text[:-1]
            self.text = self.text[:-1]
        elif char == CTRL_W:
            self.text = self.text.rstrip().rpartition(" ")[0]
            self.text += " " if self.text else ""
        elif char == CTRL_U:
            self.text = ""
        elif char == CTRL_D:
            self.ended = self.ended or not self.text
        elif char.isprintable() and len(self.text) < MOST_CHARS:
            self.text += char

    def _in_escape(self, char: str) -> bool:
        """Leave out what arrow and function keys send: ESC, [ or O, parameters, a letter."""
        if char == ESCAPE:
            self._escape = char
        elif self._escape == ESCAPE:
            self._escape = f"{ESCAPE}[" if char in "[O" else ""
        elif self._escape:
            if "@" <= char <= "~":
                self._escape = ""
        else:
            return False
        return True


@attrs.define
class LineReader:
    """Lines of a pipe or a file: nothing is edited."""

    ended: bool = False
    text: str = ""
    _decoder: codecs.IncrementalDecoder = attrs.field(
        factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )

    def feed(self, data: bytes) -> list[str]:
        """Take what was read; empty for the end of the input, which ends the last line."""
        self.ended = not data
        *lines, rest = (self.text + self._decoder.decode(data, final=not data)).split("\n")
        if self.ended and rest:
            lines.append(rest)
            rest = ""
        self.text = rest[:MOST_CHARS]
        return [line.rstrip("\r")[:MOST_CHARS] for line in lines]


@contextmanager
def keys_of(terminal: int) -> Iterator[None]:
    """Have a terminal give each key at once and not show it, while the block runs.

    Ctrl-C still interrupts. The terminal is as it was afterwards.
    """
    before = termios.tcgetattr(terminal)
    changed = termios.tcgetattr(terminal)
    changed[3] &= ~(termios.ECHO | termios.ICANON)
    changed[6][termios.VMIN], changed[6][termios.VTIME] = 1, 0
    termios.tcsetattr(terminal, termios.TCSADRAIN, changed)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


async def read_some(file: int) -> bytes:
    """Read what there is, waiting for the first byte; nothing at the end.

    **Cancellation**: at once; nothing that was typed is lost.
    """
    try:
        await trio.lowlevel.wait_readable(file)
    except PermissionError:  # epoll does not take files and /dev/null, which never make one wait
        await trio.lowlevel.checkpoint()
    try:
        return os.read(file, 4096)
    except OSError:  # the terminal was closed
        return b""


class Typing:
    """The lines of a terminal, a pipe or a file, one after the other."""

    def __init__(self, file: int, editor: LineEditor | LineReader) -> None:
        self.editor = editor
        self._file = file
        self._lines: deque[str] = deque()

    async def next(self) -> str | None:
        """Wait for the next line; None at the end of the input."""
        while not self._lines and not self.editor.ended:
            data = await read_some(self._file)
            self._lines.extend(self.editor.feed(data))
            if not data:
                self.editor.ended = True
        return self._lines.popleft() if self._lines else None
