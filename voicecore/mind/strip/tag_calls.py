"""Tool tags read a character at a time.

`TagScan` reads one tag and `Tag` is what it read; `LooseTag` decides about a ``<`` in a reply;
`Element` takes out what a tag opened, up to its end. The theory is in `strip.py`.
"""

from __future__ import annotations

import re
from collections.abc import Collection

import attrs

from voicecore.mind.strip.calls import (
    CHILD_OF_CALL,
    CONTAINER,
    CUT_OFF,
    NAME_TAG,
    BadToolCall,
    Call,
    Text,
    ToolCall,
    calls_in_markup,
    too_long,
)
from voicecore.mind.strip.json_calls import JsonScan, Status
from voicecore.mind.strip.reader import Decision

MAX_TAG_CHARS = 256
"""A tag ends here at the latest. The longest real one gives a parameter a name of 64 characters."""
MAX_BLANKS = 4
"""Blanks allowed between ``<``, ``/`` and the name."""
MAX_GAP_CHARS = 64
"""White space allowed between the parts of a call that stand without ``<tool_call>``."""
MIN_CUT_NAME = 4
"""Letters of its name that make a tag cut off by the end of the reply a call.

``<tool`` and ``<para`` are one; ``s<t`` and ``a <p`` are prose.
"""

_STEMS = ("tool_call", "tool_result", "tool_response", "parameter")
_NAME_CHAR = re.compile(r"[\w.:-]", re.ASCII)
_NAME_END = re.compile(r"[\s>/=<{'\"]")
_GIVES_NAME = re.compile(r"\s*=")


@attrs.frozen
class Tag:
    """A tool tag. The name is in lower case."""

    name: str
    raw: str
    closing: bool
    empty: bool
    """It opens nothing: ``<x/>``, or ``<tool_call_name="x">`` with or without the slash."""

    @property
    def is_container(self) -> bool:
        """It is a call or a result by itself, not a part of one."""
        return CONTAINER.fullmatch(self.name) is not None


class TagScan:
    """Reads a tag from its ``<``. A tag ends at the first ``>``, or before a ``<`` or ``{``."""

    def __init__(self) -> None:
        self.closed = False
        self.name = ""
        self._text = ["<"]
        self._closing = False
        self._blanks = 0
        self._named = False

    def add(self, char: str) -> bool:
        """Take the next character; False if it is no part of the tag, which is over then."""
        if not self._named:
            taken = self._head(char)
        else:
            taken = char not in "<{" and len(self._text) < MAX_TAG_CHARS
        if taken:
            self._text.append(char)
            self.closed = self._named and char == ">"
        return taken

    @property
    def text(self) -> str:
        return "".join(self._text)

    @property
    def tag(self) -> Tag | None:
        """The tool tag that was read; None if it is none."""
        if not self._named:
            return None
        raw = self.text
        rest = raw[raw.lower().index(self.name) + len(self.name) :]
        gives_name = self.name == NAME_TAG and _GIVES_NAME.match(rest) is not None
        empty = rest.rstrip(">").rstrip().endswith("/") or gives_name
        return Tag(self.name, raw, self._closing, empty=empty)

    def _head(self, char: str) -> bool:
        if not self.name and char.isspace():
            self._blanks += 1
            return self._blanks <= MAX_BLANKS
        if not self.name and char == "/" and not self._closing:
            self._closing = True
            return True
        if _NAME_CHAR.match(char):
            self.name += char.lower()
            return self._may_be_name() and len(self._text) < MAX_TAG_CHARS
        self._named = bool(_NAME_END.match(char) and CHILD_OF_CALL.fullmatch(self.name))
        return self._named and char not in "<{"

    def _may_be_name(self) -> bool:
        if any(stem.startswith(self.name) for stem in _STEMS):
            return True
        return CHILD_OF_CALL.fullmatch(self.name) is not None


class LooseTag:
    """Holds back a ``<`` in a reply while it may begin a tool tag. Arguments as for `Element`."""

    def __init__(self, tools: Collection[str], limit: int, *, reads_json: bool) -> None:
        self._tools = tools
        self._limit = limit
        self._reads_json = reads_json
        self._scan = TagScan()

    def feed(self, char: str) -> Decision | None:
        if not self._scan.add(char):
            return self._over(char)
        return self._over("") if self._scan.closed else None

    def close(self) -> Decision:
        if len(self._scan.name) >= MIN_CUT_NAME:
            return Decision(pieces=(BadToolCall(CUT_OFF, self._scan.text),), removed=True)
        return self._over("")

    def _over(self, char: str) -> Decision:
        tag = self._scan.tag
        if tag is None:
            return Decision(pieces=(Text(self._scan.text),), again=char)
        if tag.closing:
            return Decision(removed=True, again=char)
        element = Element(tag, self._tools, self._limit, reads_json=self._reads_json)
        return Decision(follows=element, again=char)


class Element:
    """Takes out what ``tag`` opened, up to its end, keeping at most ``limit`` characters of it.

    ``reads_json``: JSON right after a tag is followed, and a tag inside its strings is a part of
    it. A closing tag in a string is remembered: if the JSON then breaks, or a line ends in the
    string, then a quote was missing, that tag was the end, and the text after it is read again.
    """

    def __init__(self, tag: Tag, tools: Collection[str], limit: int, *, reads_json: bool) -> None:
        self._first = tag
        self._tools = tools
        self._limit = limit
        self._reads_json = reads_json
        self._raw = list(tag.raw)
        self._open = [] if tag.empty else [tag.name]
        self._named = tag.name == NAME_TAG
        self._fresh = True  # only white space since the last tag
        self._blank = True  # nothing but white space so far
        self._end = len(self._raw)  # of what is complete, while nothing is open
        self._tag: TagScan | None = None
        self._tag_at = 0
        self._json: JsonScan | None = None
        self._json_at = 0
        self._mistaken_end: int | None = None
        self._too_long = False

    def feed(self, char: str) -> Decision | None:
        if self._tag is not None and not self._tag.add(char):
            decision = self._tag_over()
            if decision is not None:
                return attrs.evolve(decision, again=decision.again + char)
        self._keep(char)
        if self._json is not None and not self._json_goes_on(self._json, char):
            return self._end_at_mistaken(self._json_at + self._json.restart())
        if self._tag is None:
            return self._content(char)
        return self._tag_over() if self._tag.closed else None

    def close(self) -> Decision:
        """Decide at the end of the reply: nothing that a tag opened is shown."""
        return self._end_at(len(self._raw) if self._open else self._end)

    def _keep(self, char: str) -> None:
        if len(self._raw) < self._limit or not self._open:
            self._raw.append(char)
        else:
            self._too_long = True

    def _json_goes_on(self, scan: JsonScan, char: str) -> bool:
        """Follow the JSON; False if it broke after something was taken for a part of it."""
        status = scan.feed(char)
        if status is Status.COMPLETE:
            self._mistaken_end = None
        line_ends = char == "\n" and self._mistaken_end is not None
        full = len(self._raw) >= self._limit
        if status is Status.OPEN and not line_ends and not full:
            return True
        if self._mistaken_end is None:
            self._json = None
        return self._mistaken_end is None

    def _content(self, char: str) -> Decision | None:
        if char == "<":
            self._tag = TagScan()
            self._tag_at = len(self._raw) - 1
        elif char.isspace():
            too_far = not self._open and len(self._raw) - self._end > MAX_GAP_CHARS
            return self._end_at(self._end) if too_far else None
        elif not self._open:
            return self._end_at(self._end)
        elif self._fresh:
            self._fresh = self._blank = False
            if char in "{[" and self._reads_json:
                self._json = JsonScan()
                self._json_at = len(self._raw) - 1
                self._json.feed(char)
        return None

    def _tag_over(self) -> Decision | None:
        assert self._tag is not None
        tag, self._tag = self._tag.tag, None
        if tag is None:
            return None if self._open else self._end_at(self._end)
        if self._json is not None:
            if tag.closing and tag.name == self._first.name and self._mistaken_end is None:
                self._mistaken_end = len(self._raw)
            return None
        return self._closing(tag) if tag.closing else self._opening(tag)

    def _closing(self, tag: Tag) -> Decision | None:
        if tag.name in self._open:
            while self._open.pop() != tag.name:
                pass
        if self._open:
            return None
        self._end = len(self._raw)
        return self._end_at(self._end) if self._first.is_container or self._too_long else None

    def _opening(self, tag: Tag) -> Decision | None:
        if self._too_long or self._is_result:
            return None
        if self._begins_another(tag):
            decision = self._end_at(self._tag_at if self._open else self._end)
            return attrs.evolve(decision, pieces=()) if self._blank and self._open else decision
        if not tag.empty:
            self._open.append(tag.name)
        elif not self._open:
            self._end = len(self._raw)
        self._named = self._named or tag.name == NAME_TAG
        self._fresh = True
        self._blank = False
        return None

    def _begins_another(self, tag: Tag) -> bool:
        if tag.is_container:
            return True
        second_name = tag.name == NAME_TAG and self._named
        return not self._open and (second_name or len(self._raw) >= self._limit)

    @property
    def _is_result(self) -> bool:
        return self._first.name.startswith(("tool_result", "tool_response"))

    def _end_at_mistaken(self, tried_until: int) -> Decision:
        assert self._mistaken_end is not None
        self._open.clear()
        tried = max(tried_until - self._mistaken_end, 0)
        return attrs.evolve(self._end_at(self._mistaken_end), tried=tried)

    def _end_at(self, end: int) -> Decision:
        raw = "".join(self._raw)
        return Decision(pieces=self._calls(raw[:end]), removed=True, again=raw[end:])

    def _calls(self, raw: str) -> tuple[Call, ...]:
        if self._too_long:
            return (BadToolCall(too_long(self._limit), raw),)
        if self._is_result:
            return () if not self._open else (BadToolCall(CUT_OFF, raw),)
        calls = tuple(calls_in_markup(raw, self._tools))
        if not self._open or (self._holds_whole_json(raw) and _all_understood(calls)):
            return calls
        return (BadToolCall(CUT_OFF, raw),)

    def _holds_whole_json(self, raw: str) -> bool:
        """Only the closing tag is missing, not a part of the call: JSON cut short is no JSON."""
        body = raw[len(self._first.raw) :].lstrip()
        return self._open == [self._first.name] and body.startswith(("{", "["))


def _all_understood(calls: tuple[Call, ...]) -> bool:
    return all(isinstance(call, ToolCall) for call in calls)
