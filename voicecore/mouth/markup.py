"""Markdown, read one character at a time: may a phrase end here, and is it to be heard?

This is not a Markdown parser. It knows just what must not be cut (a link, inline code, a table row,
an HTML tag) and what is not spoken at all (a fenced code block).
"""

from __future__ import annotations

from enum import Enum, auto
from typing import ClassVar

MAX_FENCE_CHARS = 8_000
"""A code block is silent until its closing fence, but at most this long: about 200 lines or 2000
tokens. Beyond, the fence was more probably forgotten, and speech resumes at the next line."""

_LINE_HEAD = frozenset(" \t\r>-*+.)0123456789")
"""What may stand before a fence or a table row: indent, block quote, list marker."""
_FENCE_LINE = frozenset(" \t\r>")
"""What may stand on a closing fence's line besides the fence."""


class Place(Enum):
    """What a phrase may do here."""

    TEXT = auto()
    HELD = auto()
    """Spoken, but no phrase ends inside: the end of the line closes it in any case."""
    SILENT = auto()


class _State(Enum):
    HEAD = auto()
    TEXT = auto()
    MARKS = auto()
    CODE = auto()
    FENCE_INFO = auto()
    FENCE = auto()
    ROW = auto()
    LINK_TEXT = auto()
    LINK_END = auto()
    LINK_URL = auto()
    TAG_START = auto()
    TAG = auto()


_PLACES = {
    _State.HEAD: Place.TEXT,
    _State.TEXT: Place.TEXT,
    _State.TAG_START: Place.TEXT,
    _State.FENCE: Place.SILENT,
}


class Markup:
    """Follows the whole reply, whatever is cut from it; memory and time per character are fixed."""

    def __init__(self) -> None:
        self._state = _State.HEAD
        self._mark = "`"
        self._opened = 0
        """Marks that opened the inline code or fence."""
        self._run = 0
        """Marks seen in a row just now."""
        self._depth = 0
        """Open brackets of a link."""
        self._at_head = False
        """The run of marks began at the head of its line."""
        self._fence_chars = 0
        self._fence_line = True
        """The line so far could be a closing fence."""

    @property
    def place(self) -> Place:
        """Where the next character stands, as far as it is known before it comes."""
        return _PLACES.get(self._state, Place.HELD)

    @property
    def leaves_fence(self) -> bool:
        """Whether a newline here ends the silence of a code block."""
        if self._state is not _State.FENCE:
            return False
        closed = self._fence_line and self._run >= self._opened
        return closed or self._fence_chars >= MAX_FENCE_CHARS

    @property
    def opens_fence(self) -> bool:
        """Whether a newline here begins the silence of a code block."""
        return self._state is _State.FENCE_INFO or (
            self._state is _State.MARKS and self._at_head and self._run >= 3
        )

    def release(self) -> None:
        """A held piece grew too long and was cut: what follows is plain text."""
        if self.place is Place.HELD:
            self._state = _State.TEXT

    def feed(self, char: str) -> None:
        if char == "\n":
            self._newline()
        else:
            self._HANDLERS[self._state](self, char)

    def _newline(self) -> None:
        if self.opens_fence:
            self._opened = self._run
            self._state, self._fence_chars = _State.FENCE, 0
        elif self._state is not _State.FENCE or self.leaves_fence:
            self._state = _State.HEAD
        self._run, self._fence_line = 0, True

    def _head(self, char: str) -> None:
        if char == "|":
            self._state = _State.ROW
        elif char in "`~":
            self._begin_marks(char, at_head=True)
        elif char not in _LINE_HEAD:
            self._text(char)

    def _text(self, char: str) -> None:
        self._state = _State.TEXT
        if char == "`":
            self._begin_marks(char, at_head=False)
        elif char == "[":
            self._state, self._depth = _State.LINK_TEXT, 1
        elif char == "<":
            self._state = _State.TAG_START

    def _begin_marks(self, char: str, *, at_head: bool) -> None:
        self._state, self._mark, self._run, self._at_head = _State.MARKS, char, 1, at_head

    def _marks(self, char: str) -> None:
        if char == self._mark:
            self._run += 1
        elif self._at_head and self._run >= 3:
            self._state = _State.FENCE_INFO
        elif self._mark == "~":
            self._text(char)
        else:
            self._state, self._opened, self._run = _State.CODE, self._run, 0

    def _fence_info(self, char: str) -> None:
        if char == self._mark == "`":  # ```x``` on one line is inline code
            self._state, self._opened, self._run = _State.CODE, self._run, 1

    def _code(self, char: str) -> None:
        if char == "`":
            self._run += 1
        elif self._run == self._opened:
            self._text(char)
        else:
            self._run = 0

    def _fence(self, char: str) -> None:
        self._fence_chars += 1
        if char == self._mark:
            self._run += 1
        elif char not in _FENCE_LINE:
            self._fence_line = False

    def _link_text(self, char: str) -> None:
        self._depth += (char == "[") - (char == "]")
        if self._depth == 0:
            self._state = _State.LINK_END

    def _link_end(self, char: str) -> None:
        if char == "(":
            self._state, self._depth = _State.LINK_URL, 1
        else:
            self._text(char)

    def _link_url(self, char: str) -> None:
        self._depth += (char == "(") - (char == ")")
        if self._depth == 0:
            self._state = _State.TEXT

    def _tag_start(self, char: str) -> None:
        if char.isascii() and (char.isalpha() or char in "/!"):
            self._state = _State.TAG
        else:
            self._text(char)

    def _tag(self, char: str) -> None:
        if char == ">":
            self._state = _State.TEXT

    def _row(self, char: str) -> None:
        """A table row is held to the end of its line."""

    _HANDLERS: ClassVar = {
        _State.HEAD: _head,
        _State.TEXT: _text,
        _State.MARKS: _marks,
        _State.CODE: _code,
        _State.FENCE_INFO: _fence_info,
        _State.FENCE: _fence,
        _State.ROW: _row,
        _State.LINK_TEXT: _link_text,
        _State.LINK_END: _link_end,
        _State.LINK_URL: _link_url,
        _State.TAG_START: _tag_start,
        _State.TAG: _tag,
    }
