"""JSON read a character at a time: is it still JSON, and has it shown itself to be a tool call?

`JsonScan` follows one object or array. `BareJson` holds such a value back from a reply while it may
still be a call, and decides. The theory is in `strip.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from enum import Enum, auto

import attrs

from voicecore.mind.strip.calls import (
    ARGUMENT_KEYS,
    CUT_OFF,
    NAME_KEYS,
    WRAPPER_KEYS,
    BadToolCall,
    Call,
    calls_in_json,
    too_long,
)
from voicecore.mind.strip.reader import Decision

MAX_UNDECIDED_CHARS = 4_096
"""How much of an object is held while it has shown nothing of a call: about eight seconds of a
model that writes 500 characters a second. Long enough for a "thought" in front of the tool's name.
"""
MAX_KEY_CHARS = 128
"""A longer key, in an object that has shown nothing of a call, is prose after a stray ``{"``."""

MARKS = frozenset(NAME_KEYS + ARGUMENT_KEYS + WRAPPER_KEYS)
"""Keys that make an object look like a call."""

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_NUMBER_BEGUN = re.compile(r"-?((0|[1-9]\d*)(\.\d*)?((?<=\d)[eE][+-]?\d*)?)?", re.ASCII)
_WORDS = ("true", "false", "null")
_WORD_BEGINNINGS = frozenset(word[:end] for word in _WORDS for end in range(1, len(word) + 1))
_BLANKS = " \t\r\n"


class Status(Enum):
    OPEN = auto()
    COMPLETE = auto()
    NOT_JSON = auto()
    """The character just given cannot follow; it was not taken."""


@attrs.define
class _Frame:
    """An object or array that is open."""

    kind: str
    start: int
    marks: set[str] = attrs.Factory(set)
    key: str = ""


class JsonScan:
    """Checks one object or array, from its opening bracket to its closing one.

    With ``bare`` it also looks for a call. It *commits* when some object in it has a name key and
    an arguments key, or names one of ``tools``. Until then it is strict: any character that is not
    JSON, a key too long, an array that does not begin with a call ends it. Afterwards nothing ends
    it but its closing bracket: line breaks in strings are taken, a syntax error leaves it
    ``broken``, and it goes on counting brackets outside strings.

    Without ``bare`` line breaks in strings are allowed, and it never commits.
    """

    def __init__(self, tools: Collection[str] = (), *, bare: bool = False) -> None:
        self.length = 0
        self.committed = False
        self.broken = False
        self.in_string = False
        self._tools = tools
        self._bare = bare
        self._frames: list[_Frame] = []
        self._step: Callable[[str], bool] = self._value
        self._token: list[str] = []
        self._reads_key = False
        self._brace: int | None = None
        self._hex_left = 0
        self._depth = 0

    def feed(self, char: str) -> Status:
        if self.broken:
            return self._count(char)
        if not self._step(char):
            if not self.committed:
                return Status.NOT_JSON
            self.give_up()
            return self._count(char)
        self.length += 1
        return Status.OPEN if self._frames else Status.COMPLETE

    @property
    def half(self) -> bool:
        """The outermost object has a key of a call other than ``name``, which is common."""
        outermost = next((frame for frame in self._frames if frame.kind == "{"), None)
        return outermost is not None and bool(outermost.marks - {"name"})

    def restart(self, after: int | None = None) -> int:
        """Return the offset of the next place where a call may begin, given that this is none.

        After a syntax error that is a brace at the end of a string: the string's closing quote
        could open a key. All open objects have failed together with the outermost. With ``after``
        (no error, but too long) it is also the first object still open that begins from there on.
        """
        if after is not None:
            for frame in self._frames:
                if frame.start >= max(after, 1):
                    return frame.start
        return self.length if self._brace is None else self._brace

    def give_up(self) -> None:
        """Stop checking; only count brackets to the end. Needs no memory from here on."""
        self.broken = True
        self._depth = len(self._frames)
        self._frames.clear()
        self._token.clear()
        self._step = self._value

    # --- one method for each thing that may be read next; each says whether it took the character

    def _value(self, char: str) -> bool:
        if char in _BLANKS:
            return True
        if self._must_be_object and char != "{":
            return False
        if char in "{[":
            return self._open(char)
        self._brace = None
        if char == '"':
            return self._open_string(reads_key=False)
        self._token = []
        self._step = self._literal
        return self._literal(char)

    def _first_value(self, char: str) -> bool:
        if char == "]" and not self._must_be_object:
            return self._close(char)
        return self._value(char)

    def _key(self, char: str) -> bool:
        return char in _BLANKS or (char == '"' and self._open_string(reads_key=True))

    def _first_key(self, char: str) -> bool:
        return self._close(char) if char == "}" else self._key(char)

    def _colon(self, char: str) -> bool:
        if char != ":":
            return char in _BLANKS
        frame = self._frames[-1]
        frame.key = self._read_token()
        self._reads_key = False
        if frame.key in MARKS:
            frame.marks.add(frame.key)
            self._commit_if(frame.marks & set(NAME_KEYS) and frame.marks & set(ARGUMENT_KEYS))
        self._brace = None
        self._step = self._value
        return True

    def _after(self, char: str) -> bool:
        if char in _BLANKS:
            return True
        if char != ",":
            return self._close(char)
        self._brace = None
        self._step = self._key if self._frames[-1].kind == "{" else self._value
        return True

    def _literal(self, char: str) -> bool:
        if char.isascii() and (char.isalnum() or char in "+-."):
            self._token.append(char)
            word = "".join(self._token[:32])  # a prefix is enough here: the end is checked below
            return bool(_NUMBER_BEGUN.fullmatch(word)) or word in _WORD_BEGINNINGS
        word = "".join(self._token)
        if word not in _WORDS and not _NUMBER.fullmatch(word):
            return False
        self._step = self._after
        return self._after(char)

    def _string(self, char: str) -> bool:
        if char == '"':
            return self._close_string()
        if char < " " and self._undecided:
            return False
        if char == "{":
            self._brace = self.length
        elif not char.isspace():
            self._brace = None
        if char == "\\":
            self._step = self._escape
        return self._note(char)

    def _escape(self, char: str) -> bool:
        self._step = self._string
        if char == "u" and self._undecided:
            self._hex_left = 4
            self._step = self._hex
        return (char in '"\\/bfnrtu' or not self._undecided) and self._note(char)

    def _hex(self, char: str) -> bool:
        self._hex_left -= 1
        if not self._hex_left:
            self._step = self._string
        return char in "0123456789abcdefABCDEF" and self._note(char)

    # --- what those have in common

    @property
    def _undecided(self) -> bool:
        return self._bare and not self.committed

    @property
    def _must_be_object(self) -> bool:
        return self._undecided and len(self._frames) == 1 and self._frames[0].kind == "["

    def _open(self, char: str) -> bool:
        self._brace = None
        self._frames.append(_Frame(char, self.length))
        self._step = self._first_key if char == "{" else self._first_value
        return True

    def _close(self, char: str) -> bool:
        if char != ("}" if self._frames[-1].kind == "{" else "]"):
            return False
        self._brace = None
        self._frames.pop()
        self._step = self._after
        return not self._must_be_object  # a list whose first object is no call is none either

    def _open_string(self, *, reads_key: bool) -> bool:
        self.in_string = True
        self._reads_key = reads_key
        self._brace = None
        self._token = []
        self._step = self._string
        return True

    def _close_string(self) -> bool:
        self.in_string = False
        self._step = self._colon if self._reads_key else self._after
        frame = self._frames[-1]
        if not self._reads_key and frame.kind == "{" and frame.key in NAME_KEYS:
            self._commit_if(self._read_token() in self._tools)
        return True

    def _note(self, char: str) -> bool:
        """Collect a string that may matter: a key, or a tool's name."""
        if self._bare and len(self._token) < MAX_KEY_CHARS:
            self._token.append(char)
            return True
        return not (self._reads_key and self._undecided)

    def _read_token(self) -> str:
        text = "".join(self._token)
        if "\\" not in text:
            return text
        try:
            return str(json.loads(f'"{text}"', strict=False))
        except ValueError:
            return text

    def _commit_if(self, found: object) -> None:
        self.committed = self.committed or (self._bare and bool(found))

    def _count(self, char: str) -> Status:
        if self._step == self._escape:
            self._step = self._value
        elif self.in_string:
            self.in_string = char != '"'
            if char == "\\":
                self._step = self._escape
        elif char == '"':
            self.in_string = True
        else:
            self._depth += (char in "{[") - (char in "}]")
        return Status.COMPLETE if self._depth <= 0 else Status.OPEN


class BareJson:
    """Holds JSON back from a reply, from its opening bracket, while it may be a call.

    At most ``limit`` characters are kept; a call that is longer is taken out to its end all the
    same, and reported as a `BadToolCall`.
    """

    def __init__(self, tools: Collection[str], limit: int) -> None:
        self._scan = JsonScan(tools, bare=True)
        self._tools = tools
        self._limit = limit
        self._held: list[str] = []
        self._too_long = False

    def feed(self, char: str) -> Decision | None:
        status = self._scan.feed(char)
        if status is Status.NOT_JSON:
            return self._refuse(self._scan.restart(), char)
        if len(self._held) < self._limit:
            self._held.append(char)
        else:
            self._too_long = True
        if status is Status.COMPLETE:
            return self._complete()
        return None if self._scan.broken else self._check_length()

    def close(self) -> Decision:
        """Decide at the end of the reply: what has begun a key may be half a call."""
        if '"' in self._held:
            return self._call([BadToolCall(CUT_OFF, "".join(self._held))])
        return self._refuse(len(self._held))

    def _check_length(self) -> Decision | None:
        length = len(self._held)
        if length >= self._limit and (self._scan.committed or self._scan.half):
            self._scan.committed = True
            self._scan.give_up()
        elif length >= min(MAX_UNDECIDED_CHARS, self._limit) and not (
            self._scan.committed or self._scan.half
        ):
            return self._refuse(self._scan.restart(after=length // 2))
        return None

    def _complete(self) -> Decision:
        raw = "".join(self._held)
        if not self._scan.committed:
            return self._refuse(len(raw))
        if self._too_long:
            return self._call([BadToolCall(too_long(self._limit), raw)])
        return self._call(calls_in_json(raw, self._tools))

    def _call(self, calls: list[Call]) -> Decision:
        return Decision(pieces=tuple(calls), removed=True)

    def _refuse(self, tried: int, char: str = "") -> Decision:
        return Decision(again="".join(self._held) + char, tried=tried)
