"""What holds for every reply: any cut gives the same, nothing leaks or stalls, cost is linear."""

from __future__ import annotations

import itertools
import json
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from voicecore.mind.strip import BadToolCall, Piece, Text, ToolCall, ToolCallStripper

SECRET = "xyzzy"
CALL = '{"name": "f", "arguments": {"a": "xyzzy } { \\" [\U0001f600"}}'
CALLS = [
    CALL,
    f"[{CALL}]",
    f"<tool_call>{CALL}</tool_call>",
    f"< TOOL_CALL >\n{CALL}\n</tool_call >",
    f"```json\n{CALL}\n```",
    f"```tool_call\r\n<tool_call>{CALL}</tool_call>\r\n```",
    (
        "<tool_call><tool_call_name>f</tool_call_name>"
        '<parameter name="a">xyzzy</parameter></tool_call>'
    ),
    (
        "<tool_call>f<tool_call_arg_key>a</tool_call_arg_key>"
        "<tool_call_arg_value>xyzzy</tool_call_arg_value></tool_call>"
    ),
    '<tool_call_name="f"/><tool_call_args>{"a": "xyzzy"}</tool_call_args>',
    '{"tool_calls": [{"function": {"name": "f", "arguments": {"a": "xyzzy"}}}]}',
]
NO_CALLS = [
    '{"name": "Bob"}',
    "body { color: red }",
    "```python\nprint({})\n```",
    "a < b",
    "<b>bold</b>",
    "[1, 2]",
    '[{"a": [1, {"b": null}]}]',
    "Hello there, 你好.",
    "\U0001f600",
    "don't",
    '"quoted"',
    "it is `code`",
]
SPACES = st.sampled_from(["", " ", "\n", "\n\n", "\r\n", "  ", "\t"])
PART = st.sampled_from(CALLS + NO_CALLS)
REPLY = st.lists(st.tuples(SPACES, PART), max_size=8).map(
    lambda parts: "".join(space + part for space, part in parts)
)
PIECES = [
    *'<>{}[]"\\:,/`~ \n\r=1-.et',
    *(
        "tool_call",
        "parameter",
        "tool_result",
        '"name"',
        '"args"',
        '"tool":',
        '{"a": 1',
        "```json\n",
    ),
    *("<tool_call>", "</tool_call>", "<tool_call", "<tool_call_name>", "</tool_call_name>"),
    *('{"name": "f"', ', "args": {', "}}", '<parameter name="x">', "</parameter>", "<tool_result>"),
    *("</tool_result>", "word", '{"', '"}', "你", "\U0001f600", '<tool_call_name="x"/>'),
]
NOISE = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)
TEXT = st.one_of(REPLY, NOISE, st.text())


def strip(chunks: list[str], limit: int = 16_384) -> list[Piece]:
    stripper = ToolCallStripper({"clock"}, max_call_chars=limit)
    pieces = [piece for chunk in chunks for piece in stripper.feed(chunk)]
    pieces += stripper.close()
    joined: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, Text) and joined and isinstance(joined[-1], Text):
            joined[-1] = Text(joined[-1].text + piece.text)
        else:
            joined.append(piece)
    return joined


def shown(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, Text))


@settings(max_examples=400, deadline=None)
@given(TEXT, st.lists(st.integers(0, 600), max_size=12), st.sampled_from([40, 16_384]))
def test_any_cut_gives_the_same(text: str, cuts: list[int], limit: int) -> None:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    chunks = [text[start:end] for start, end in itertools.pairwise(edges)]
    whole = strip([text], limit)
    assert strip(chunks, limit) == whole
    assert strip(list(text), limit) == whole


@settings(max_examples=300, deadline=None)
@given(NOISE, st.sampled_from(CALLS), NOISE)
@example('<tool_call>{"x</tool_call>', CALL, "")
@example('{"a": "', CALL, "")
@example('{"args": "', CALL, "")
def test_whatever_stands_around_it_no_call_is_shown(before: str, call: str, after: str) -> None:
    pieces = strip([before + call + after])
    assert SECRET not in shown(pieces)
    assert any(isinstance(piece, ToolCall | BadToolCall) for piece in pieces) or "_result" in before


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(PART, st.sampled_from([" ", "\n", ". "])), max_size=8))
def test_calls_are_found_and_all_else_is_kept(parts: list[tuple[str, str]]) -> None:
    pieces = strip(["".join(part + space for part, space in parts)])
    found = [piece for piece in pieces if not isinstance(piece, Text)]
    assert len(found) == sum(part in CALLS for part, _ in parts)
    for piece in found:
        assert isinstance(piece, ToolCall)
        assert piece.name == "f"
    kept = "".join(part + space for part, space in parts if part not in CALLS)
    dots = "." * sum(part in CALLS and space == ". " for part, space in parts)
    assert sorted(re.sub(r"\s", "", shown(pieces))) == sorted(re.sub(r"\s", "", kept) + dots)


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_characters="<{[`~")))
def test_text_that_begins_nothing_passes_unchanged_and_at_once(text: str) -> None:
    stripper = ToolCallStripper()
    for char in text:
        assert stripper.feed(char) == [Text(char)]
    assert stripper.close() == []


# --- no stall: what is held could begin a call, by another definition of that --------------------

TAG_BEGUN = re.compile(r"<\s{0,4}(/?\s{0,4})(\w*)", re.ASCII)
FENCE_BEGUN = re.compile(r"(`+|~+)|(`{3,}|~{3,})[^`\n]*(\n\s*)?|`{1,2}")
TOKEN_ENDS = [
    *("", '"', '":0', ":0", "0", '"":0', '0"', '0":0'),
    *("rue", "ue", "e", "alse", "lse", "se", "ull", "ll", "l"),
    *(
        '""',
        '"":',
        *(digits + end for digits in ("0", "00", "000", "0000") for end in ('"', '":0')),
    ),
    *('\\"', '\\":0', 'n"', 'n":0'),
]


def closers(text: str) -> str:
    """The brackets that ``text`` leaves open, strings aside."""
    stack: list[str] = []
    for char in re.sub(r'"(\\.|[^"\\])*("|\\?$)', "", text):
        if char in "{[":
            stack.append("}" if char == "{" else "]")
        elif char in "}]" and stack:
            stack.pop()
    return "".join(reversed(stack))


def is_json_begun(text: str) -> bool:
    for end in TOKEN_ENDS:
        try:
            json.loads(text + end + closers(text))
        except ValueError:
            continue
        return closers(text) != ""
    return False


def may_begin_call(text: str) -> bool:
    tag = TAG_BEGUN.fullmatch(text)
    if tag is not None:
        names = ("tool_call", "tool_result", "parameter")
        return any(name.startswith(tag[2].lower()) for name in names)
    if text.startswith("["):
        first = text[1:].lstrip()
        return first == "" or (first[0] == "{" and closers(first) != "" and is_json_begun(text))
    return text.startswith("{") and is_json_begun(text)


def may_be_held(text: str) -> bool:
    if not text or may_begin_call(text):
        return True
    return any(
        FENCE_BEGUN.fullmatch(text[:cut]) and (cut == len(text) or may_begin_call(text[cut:]))
        for cut in range(1, len(text) + 1)
    )


ORDINARY = st.lists(
    st.sampled_from(
        [
            *NO_CALLS,
            *'<>{}[]"\\:,/`~ \n1-.eEtu',
            *("{'a': 1}", '{"a": "', '{"a": tr', '{"a": -1.5e', "<to", "</para", "<table>"),
            *("```json\n", "```", '{"b": [', '"u": "\\u12', "null", "\\n", "[{", "< "),
        ]
    ),
    max_size=14,
).map("".join)


@settings(max_examples=500, deadline=None)
@given(ORDINARY)
@example("~~~```json\n")
def test_only_what_may_begin_a_call_is_held(text: str) -> None:
    stripper = ToolCallStripper()
    out = ""
    for fed in range(1, len(text) + 1):
        out += shown(stripper.feed(text[fed - 1]))
        assert text.startswith(out)
        assert may_be_held(text[len(out) : fed]), text[len(out) : fed]
    assert text.startswith(out + shown(stripper.close()))


@pytest.mark.parametrize("text", ['{"a": 1', "```\n[{", "<tool", '{"a": tru', '{"\\u00', "[ ", "`"])
def test_the_definition_used_above_holds_for_beginnings(text: str) -> None:
    assert may_be_held(text)


@pytest.mark.parametrize(
    "text", ["{a", "[1", "<b", '{"a": 1}', "x", "```\na", '{"a": trx', '[{"a": 1}']
)
def test_the_definition_used_above_fails_for_other_text(text: str) -> None:
    assert not may_be_held(text)


# --- cost ----------------------------------------------------------------------------------------

HARD = [
    *("x", "{", "[", "<", "`", "[{", '{"', '{"{', '{"a":', '{"a":[', '{"a":{"b":1},', '{"a": "{ '),
    *(
        '{":":",":',
        '"{":',
        '{"a {',
        '{"name": "',
        '{"args":',
        "<tool_call>",
        "</tool_call>",
        "< / t",
    ),
    *('<tool_call>{"a</tool_call>', '<tool_call>{":</tool_call><tool_call>{",', "<tool_cal"),
    '<tool_call_name="x"/>' + " " * 60,
    *("```\n", "```json\n{", '{"a": "<tool_call>{" ', '{"name": "f", "args": {}} ', '{"args": 1, '),
    '{"' + " " * 60,
    '{"<b":',
]
TIMES_READ = 4
"""Each character may be read again for tags, as the rest of a string, and on an inner object's
account; measured: 3.5 at most.
"""


@pytest.mark.parametrize("pattern", HARD)
def test_the_cost_is_linear(pattern: str) -> None:
    text = pattern * (30_000 // len(pattern))
    stripper = ToolCallStripper()
    for char in text:
        stripper.feed(char)
    stripper.close()
    assert len(text) <= stripper.examined <= TIMES_READ * len(text)


def test_two_hundred_thousand_characters_one_at_a_time() -> None:
    unit = 'Some words, {"a": [1, 2]}, a < b, ```py\nx = {}\n``` and ' + CALLS[2] + ". "
    text = unit * (200_000 // len(unit) + 1)
    stripper = ToolCallStripper()
    for char in text:
        stripper.feed(char)
    assert stripper.examined <= 2 * len(text)
    whole = ToolCallStripper()
    whole.feed(text)
    assert whole.examined == stripper.examined
