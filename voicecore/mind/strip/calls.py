"""What a tool call is once all of it has been read: its names, its forms and what they mean.

`strip.py` finds where a call begins and ends; the functions here read the whole of one. They return
a list, since one JSON array or one tag may hold several calls, and never raise: what cannot be
understood becomes a `BadToolCall` whose reason can be given to the model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import TypeAlias, cast

import attrs

NAME_KEYS = ("tool", "name")
ARGUMENT_KEYS = ("arguments", "args", "parameters")
WRAPPER_KEYS = ("function", "tool_call", "tool_calls")
"""Keys under which other dialects put the object that is the call."""
LABEL_KEYS = ("type", "id")
"""Keys of a call that are neither its name nor an argument."""

NAME_TAG = "tool_call_name"
CHILD_OF_CALL = re.compile(r"parameter|tool_(?:call|result|response)[\w.:-]*", re.ASCII)
CONTAINER = re.compile(r"tool_(?:call|result|response)s?", re.ASCII)

_TAG = re.compile(
    r"<\s*(?P<end>/?)\s*(?P<name>tool_(?:call|result|response)[\w.:-]*|parameter(?![\w.:-]))"
    r"(?P<rest>[^<>{]*)>?",
    re.ASCII | re.IGNORECASE,
)
_ATTRIBUTE = re.compile(r"""([\w.-]*)\s*=\s*("[^"]*"|'[^']*'|[^\s"'/>]+)""")
_IDENTIFIER = re.compile(r"[\w.:-]{1,64}")
_BEFORE_VALUE = re.compile(r"\s*(?:```\w*)?\s*")


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(
    strict=False,  # models write line breaks inside strings
    parse_constant=_no_constant,  # the word Infinity is a text
)


@attrs.frozen
class Text:
    """To be shown and spoken; never empty."""

    text: str


@attrs.frozen
class ToolCall:
    """A call that was understood. ``raw`` is what the model wrote: the whole JSON or tag."""

    name: str
    arguments: Mapping[str, object]
    raw: str


@attrs.frozen
class BadToolCall:
    """A call that could not be understood, taken out all the same; the model can be told why."""

    reason: str
    """A sentence."""
    raw: str
    """What the model wrote, cut at the stripper's ``max_call_chars``."""


Call: TypeAlias = ToolCall | BadToolCall
Piece: TypeAlias = Text | ToolCall | BadToolCall

NO_NAME = "The call names no tool."
CUT_OFF = "The call was cut off before its end."
NOT_AN_OBJECT = "The arguments are not a JSON object."


def too_long(limit: int) -> str:
    return f"The call is longer than {limit} characters."


def calls_in_json(raw: str, tools: Collection[str]) -> list[Call]:
    """Read bare JSON that holds a call, or calls in an array or under another object's key."""
    try:
        value = _DECODER.decode(raw)
    except (ValueError, RecursionError) as error:  # RecursionError: a thousand brackets deep
        return [BadToolCall(f"The call is not valid JSON: {error}.", raw)]
    found = [_read_object(item, raw) for item in _outermost_calls(value, tools)]
    return found or [BadToolCall(NO_NAME, raw)]


def _is_call(item: Mapping[str, object], tools: Collection[str]) -> bool:
    named = [item[key] for key in NAME_KEYS if key in item]
    if any(key in item for key in ARGUMENT_KEYS):
        return bool(named)
    return any(isinstance(name, str) and name in tools for name in named)


def _outermost_calls(value: object, tools: Collection[str]) -> list[Mapping[str, object]]:
    found: list[Mapping[str, object]] = []
    unread = [value]
    while unread:
        item = unread.pop()
        if isinstance(item, dict) and _is_call(item, tools):
            found.append(item)
        elif isinstance(item, dict):
            unread.extend(reversed(item.values()))
        elif isinstance(item, list):
            unread.extend(reversed(item))
    return found


def _read_object(item: Mapping[str, object], raw: str) -> Call:
    """Read one object; one without an arguments key is flat: its other members are arguments."""
    name = next((item[key] for key in NAME_KEYS if isinstance(item.get(key), str)), "")
    if not isinstance(name, str) or not name.strip():
        return BadToolCall(NO_NAME, raw)
    flat = {key: value for key, value in item.items() if key not in NAME_KEYS + LABEL_KEYS}
    arguments = next((item[key] for key in ARGUMENT_KEYS if key in item), flat)
    if isinstance(arguments, str):  # OpenAI's shape: JSON within a string
        arguments = _decoded(arguments or "{}")
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        return BadToolCall(NOT_AN_OBJECT, raw)
    return ToolCall(name.strip(), arguments, raw)


def _decoded(text: str) -> object:
    """Decode ``text`` as JSON; the text itself if it is none."""
    try:
        return cast("object", _DECODER.decode(text))
    except (ValueError, RecursionError):
        return text


# --- tags ----------------------------------------------------------------------------------------


def calls_in_markup(raw: str, tools: Collection[str]) -> list[Call]:
    """Read one element from its opening tag on: ``<tool_call>…``, or its parts standing alone.

    A value between tags is JSON if it decodes as JSON, else the text without outer white space.
    """
    reading = _Reading()
    position = 0
    while position < len(raw):
        tag = _TAG.match(raw, position)
        if tag is not None:
            reading.tag(tag)
            position = tag.end()
        else:
            value, position = _value_at(raw, position, exact=reading.exact)
            reading.put(value)
    return reading.finish(raw, tools)


def _value_at(raw: str, position: int, *, exact: bool) -> tuple[object, int]:
    """Decode the value at ``position``: its value and where it ends.

    JSON is decoded where it begins, so that a tag inside one of its strings stays a part of it.
    With ``exact`` only JSON that reaches to the next tag counts; otherwise trailing text is left,
    such as a closing brace too many.
    """
    start = cast("re.Match[str]", _BEFORE_VALUE.match(raw, position)).end()
    if raw[start : start + 1] in ("{", "["):
        try:
            value, end = _DECODER.raw_decode(raw, start)
        except (ValueError, RecursionError):
            pass
        else:
            rest = cast("re.Match[str]", _BEFORE_VALUE.match(raw, end)).end()
            if not exact or rest == len(raw) or _TAG.match(raw, rest):
                return value, end
    tag = _TAG.search(raw, position + 1)
    end = tag.start() if tag else len(raw)
    return raw[position:end].strip(), end


def _attribute(rest: str) -> str:
    """Return the name a tag gives: ``="x"`` right after the tag's name, or ``name="x"``."""
    given = {key.lower(): value.strip("\"'") for key, value in _ATTRIBUTE.findall(rest)}
    return next((given[key] for key in ("", "name", "key", "tool") if key in given), "").strip()


@attrs.define
class _Reading:
    """What has been read of one element."""

    name: str = ""
    arguments: dict[str, object] = attrs.Factory(dict)
    values: list[object] = attrs.Factory(list)
    """JSON that stood directly in the call."""
    problem: str = ""
    _at: str = ""
    _key: str = ""

    @property
    def exact(self) -> bool:
        return self._at in ("parameter", "tool_call_arg_value")

    def tag(self, tag: re.Match[str]) -> None:
        if tag["end"]:
            if self.exact:
                self.arguments.setdefault(self._key, "")
            self._at = ""
            return
        self._at = tag["name"].lower()
        given = _attribute(tag["rest"])
        if self._at == "parameter":
            self._key = given
        elif given and self._at in ("tool_call", NAME_TAG):
            self.name = given

    def put(self, value: object) -> None:
        if value == "" and not self.exact:
            return
        if isinstance(value, str):
            self._put_text(value)
        elif self.exact:
            self.arguments[self._key] = value
        elif self._at == "tool_call_args" and isinstance(value, dict):
            self.arguments.update(value)
        else:
            self.values.append(value)

    def _put_text(self, text: str) -> None:
        if self.exact:
            self.arguments[self._key] = _decoded(text)
        elif self._at == "tool_call_arg_key":
            self._key = text
        elif self._at == "tool_call_args":
            self.problem = NOT_AN_OBJECT
        elif self._at == NAME_TAG or (not self.name and _IDENTIFIER.fullmatch(text)):
            self.name = text
        elif text[:1] in ("{", "["):
            self.problem = "The call is not valid JSON."

    def finish(self, raw: str, tools: Collection[str]) -> list[Call]:
        if self.problem:
            return [BadToolCall(self.problem, raw)]
        found = _outermost_calls(self.values, tools)
        if found:
            return [_read_object(item, raw) for item in found]
        for value in self.values:
            if not isinstance(value, dict):
                return [BadToolCall(NOT_AN_OBJECT, raw)]
            if not self.name:  # inside a tag an object needs no arguments to be a call
                return [_read_object(value, raw)]
            self.arguments.update(value)
        return [
            ToolCall(self.name, self.arguments, raw) if self.name else BadToolCall(NO_NAME, raw)
        ]
