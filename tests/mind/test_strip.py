"""Each form of a call, each thing that only looks like one, and what is shown around them."""

from __future__ import annotations

import itertools
import json
import re

import pytest

from voicecore.mind.strip import BadToolCall, Piece, Text, ToolCall, ToolCallStripper
from voicecore.mind.strip.json_calls import MAX_KEY_CHARS, MAX_UNDECIDED_CHARS
from voicecore.mind.strip.output import MAX_FENCE_CHARS, MAX_FENCED_CALLS
from voicecore.mind.strip.tag_calls import MAX_GAP_CHARS, MAX_TAG_CHARS

TOOLS = {"clock"}
WEATHER = '{"name": "weather", "arguments": {"city": "Paris"}}'
PARIS = {"city": "Paris"}
NESTED = (
    '{"tool": "note", "args": {"text": "a } b { c \\" d \\\\", "list": [1, {"x": [null, -2.5e3]}]}}'
)
NESTED_ARGUMENTS = {"text": 'a } b { c " d \\', "list": [1, {"x": [None, -2500.0]}]}

Calls = list[tuple[str, object]]


def normal(pieces: list[Piece]) -> list[Piece]:
    """Join adjacent texts: where a text is cut says nothing."""
    joined: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, Text) and joined and isinstance(joined[-1], Text):
            joined[-1] = Text(joined[-1].text + piece.text)
        else:
            joined.append(piece)
    return joined


def strip(*chunks: str, max_call_chars: int = 16_384) -> list[Piece]:
    stripper = ToolCallStripper(TOOLS, max_call_chars=max_call_chars)
    pieces = [piece for chunk in chunks for piece in stripper.feed(chunk)]
    return normal(pieces + stripper.close())


def shown(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, Text))


def calls(pieces: list[Piece]) -> Calls:
    return [(piece.name, piece.arguments) for piece in pieces if isinstance(piece, ToolCall)]


def reasons(pieces: list[Piece]) -> list[str]:
    return [piece.reason for piece in pieces if isinstance(piece, BadToolCall)]


FORMS: dict[str, tuple[str, Calls]] = {
    "bare name": (WEATHER, [("weather", PARIS)]),
    "bare tool, nested and escaped": (NESTED, [("note", NESTED_ARGUMENTS)]),
    "bare parameters": ('{"name":"f","parameters":{"a":1}}', [("f", {"a": 1})]),
    "bare arguments first": ('{"args": {"a": {}}, "tool": "f"}', [("f", {"a": {}})]),
    "bare after a thought": ('{"thought": "So.", "tool": "f", "args": {}}', [("f", {})]),
    "bare escaped key": ('{"n\\u0061me": "f", "args": {}}', [("f", {})]),
    "registered name alone": ('{"name": "clock"}', [("clock", {})]),
    "registered name, flat": ('{"name": "clock", "zone": "UTC"}', [("clock", {"zone": "UTC"})]),
    "labels are no arguments": ('{"id": 7, "type": "x", "name": "clock"}', [("clock", {})]),
    "registered tool alone": ('{"tool":"clock"}', [("clock", {})]),
    "arguments in a string": ('{"name":"f","arguments":"{\\"a\\": 1}"}', [("f", {"a": 1})]),
    "arguments null": ('{"name":"f","arguments":null}', [("f", {})]),
    "line break in a string": ('{"name":"f","args":{"a":"1\n2"}}', [("f", {"a": "1\n2"})]),
    "not in the BMP": ('{"name":"f","args":{"a":"\U0001f600é"}}', [("f", {"a": "\U0001f600é"})]),
    "list": (f"[{WEATHER},\n {NESTED}]", [("weather", PARIS), ("note", NESTED_ARGUMENTS)]),
    "wrapped": (
        '{"tool_calls": [{"type": "function", "function": {"name": "f", "arguments": "{}"}}]}',
        [("f", {})],
    ),
    "call within a call": (
        '{"tool":"f","args":{"name":"g","args":{}}}',
        [
            ("f", {"name": "g", "args": {}}),
        ],
    ),
    "tag around JSON": (f"<tool_call>\n{WEATHER}\n</tool_call>", [("weather", PARIS)]),
    "tag around a list": (f"<tool_call>[{WEATHER}]</tool_call>", [("weather", PARIS)]),
    "tag around a name": ('<tool_call>{"name": "f"}</tool_call>', [("f", {})]),
    "tag around a fence": (
        f"<tool_call>\n```json\n{WEATHER}\n```\n</tool_call>",
        [("weather", PARIS)],
    ),
    "tag around tags around braces": (
        f"<tool_call>{NESTED}}}</tool_call>",
        [
            ("note", NESTED_ARGUMENTS),
        ],
    ),
    "tags in a string": (
        '<tool_call>{"name":"f","args":{"a":"<tool_call> </tool_call> <b>"}}</tool_call>',
        [("f", {"a": "<tool_call> </tool_call> <b>"})],
    ),
    "case, blanks, attributes": (
        f'< Tool_Call id="3" >{WEATHER}</ TOOL_CALL >',
        [("weather", PARIS)],
    ),
    "name in an attribute": ('<tool_call name="f">{"a": 1}</tool_call>', [("f", {"a": 1})]),
    "tag without its bracket": (f"<tool_call {WEATHER}</tool_call>", [("weather", PARIS)]),
    "name and args tags": (
        (
            "<tool_call><tool_call_name>f</tool_call_name>"
            '<tool_call_args>{"a": "</tool_call>"}</tool_call_args></tool_call>'
        ),
        [("f", {"a": "</tool_call>"})],
    ),
    "keys and values": (
        (
            "<tool_call>f\n<tool_call_arg_key>city</tool_call_arg_key>\n"
            "<tool_call_arg_value>Paris</tool_call_arg_value>\n"
            "<tool_call_arg_key>days</tool_call_arg_key>"
            "<tool_call_arg_value>3</tool_call_arg_value></tool_call>"
        ),
        [("f", {"city": "Paris", "days": 3})],
    ),
    "parameters": (
        (
            "<tool_call><tool_call_name>f</tool_call_name>"
            '<parameter name="city">Paris</parameter>'
            "<parameter=page><b>1</b></parameter><parameter name='x'>[1]</parameter>"
            "<parameter name='y'>[1] is</parameter><parameter name='z'></parameter></tool_call>"
        ),
        [("f", {"city": "Paris", "page": "<b>1</b>", "x": [1], "y": "[1] is", "z": ""})],
    ),
    "tags standing alone": (
        '<tool_call_name="f"/>\r\n<parameter name="city">Paris</parameter>',
        [("f", PARIS)],
    ),
    "name tag without its slash": (
        '<tool_call_name="f"><tool_call_args>{"a": 1}</tool_call_args></tool_call_name>',
        [("f", {"a": 1})],
    ),
    "two calls of tags standing alone": (
        (
            '<tool_call_name>f</tool_call_name><tool_call_args>{"a": 1}</tool_call_args>\n'
            "<tool_call_name>g</tool_call_name>"
        ),
        [("f", {"a": 1}), ("g", {})],
    ),
    "arguments before two names": (
        '<parameter name="a">Infinity</parameter><tool_call_name="f"/><tool_call_name="g"/>',
        [("f", {"a": "Infinity"}), ("g", {})],
    ),
    "empty tag with a name": ('<tool_call name="f"/></tool_call>', [("f", {})]),
    "tool_calls": (
        f"<tool_calls>\n<tool_call>{WEATHER}</tool_call>\n</tool_calls>",
        [
            ("weather", PARIS),
        ],
    ),
    "forgotten closing tag": (
        f"<tool_call>{WEATHER}\n<tool_call>{NESTED}</tool_call>",
        [("weather", PARIS), ("note", NESTED_ARGUMENTS)],
    ),
    "result": ('<tool_result name="f">{"ok": "<b>yes</b> <tool_call>"}</tool_result>', []),
    "response": ("<tool_response>It is noon.</tool_response>", []),
    "result with tags": ("<tool_result>a <tool_call>b</tool_call> c</tool_result>", []),
    "stray closing tag": ("</tool_call>", []),
    "two in a row": (f"{WEATHER}{NESTED}", [("weather", PARIS), ("note", NESTED_ARGUMENTS)]),
    "call and result": (
        f"<tool_call>{WEATHER}</tool_call>\n<tool_result>1</tool_result>",
        [
            ("weather", PARIS),
        ],
    ),
    "fence json": (f"```json\n{WEATHER}\n```", [("weather", PARIS)]),
    "fence tool_call, CRLF": (f"```tool_call\r\n{WEATHER}\r\n```", [("weather", PARIS)]),
    "fence without a language": (f"```\n\n{WEATHER}```", [("weather", PARIS)]),
    "fence in one line": (f"```json {WEATHER} ```", [("weather", PARIS)]),
    "fence of four marks": (f"````\n{WEATHER}\n````", [("weather", PARIS)]),
    "fence of tildes": (f"~~~json\n{WEATHER}\n~~~", [("weather", PARIS)]),
    "fence around tags": (f"```xml\n<tool_call>{WEATHER}</tool_call>\n```", [("weather", PARIS)]),
    "fence around two": (
        f"```\n{WEATHER}\n{NESTED}\n```",
        [
            ("weather", PARIS),
            ("note", NESTED_ARGUMENTS),
        ],
    ),
    "span": (f"`{WEATHER}`", [("weather", PARIS)]),
}
BROKEN = {
    "no JSON": "<tool_call>{oops}</tool_call>",
    "no name": "<tool_call>\n</tool_call>",
    "name is a number": '{"name": 5, "args": {}}',
    "name is empty": '{"name": " ", "args": {}}',
    "arguments are a list": '{"name": "f", "args": []}',
    "arguments are text": "<tool_call_name>f</tool_call_name><tool_call_args>x</tool_call_args>",
    "list of numbers in a tag": '<tool_call name="f">[1]</tool_call>',
    "single quotes": '{"name": "f", "args": {\'a\': \'x\'}}',
    "trailing comma": '{"name": "f", "args": {},}',
    "missing quote": '<tool_call>{"name": "f</tool_call>',
    "fenced": '```json\n{"name": "f", "args": {\'a\'}}\n```',
    "bad escape in a key": '{"name": "f", "args": {"\\q": 1}}',
    "overwritten": '{"a": {"name": "f", "args": {}}, "a": 1}',
}
KEPT = [
    "",
    "Hello, world.",
    "a < b and c > d, 1<2, <b>bold</b>, </p>, <!-- x -->, < tool, <toolbox>, <parameters>",
    "<param>, <parameter-list>, <tools>, </ t>, <tool>, <  /  /tool_call>, <      tool_call>",
    '{"name": "Bob"} and {"name": "Bob", "age": 3}',
    'Empty: {} [] {"a": []} [{}] [{"a": 1}, {"name": "Bob"}].',
    '{"arguments": {}} {"tool": "hammer"} {"parameters": [1]}',
    "body { color: red } .a{margin:0} @media{a{b:c}}",
    "f(x) = {x | x > 0}, {{template}}, ${var}, \\frac{a}{b}, [link](url), [x] [1] [1, 2] [[a]]",
    "say {'name': 'f', 'args': {}} {name: f}",
    '{"a": 01} {"a": tru} {"a": 1.} {"a" 1} {"a": "\\x"} {"a": "\\u12g4"} {"a": [1 2]} {"a": 1]',
    '{"a": "line\nbreak", "tool": 1',
    '```python\nprint({"a": 1})\n```\n',
    '```json\n{"name": "Bob"}\n```',
    "```\nplain\n```\n\n```css\nbody { color: red }\n```",
    "`code` and ``more`` and ~about~ `{` and ```inline``` ~5 ``` x",
    "   \n\t \r\n  two  spaces \n\n\n three breaks \U0001f600\ud83d",
    "🙂 :-[ ",
]


def around(form: str) -> str:
    return f"Well.\n\n{form}\n\nBye."


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_removed_and_understood(name: str) -> None:
    form, expected = FORMS[name]
    pieces = strip(around(form))
    assert shown(pieces) == "Well.\n\nBye."
    assert calls(pieces) == expected
    assert reasons(pieces) == []


@pytest.mark.parametrize("name", FORMS)
def test_a_call_may_be_all_there_is(name: str) -> None:
    form, expected = FORMS[name]
    pieces = strip(f"\n {form} \n") if name == "bare name" else strip(form)
    assert shown(pieces).strip() == ""
    assert calls(pieces) == expected
    assert reasons(pieces) == []


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_call_is_removed_and_reported(name: str) -> None:
    pieces = strip(around(BROKEN[name]))
    assert shown(pieces) == "Well.\n\nBye."
    assert calls(pieces) == []
    assert len(reasons(pieces)) == 1


@pytest.mark.parametrize("text", KEPT)
def test_other_text_is_kept(text: str) -> None:
    assert strip(text) == ([Text(text)] if text else [])


ALL_FORMS = [form for form, _ in FORMS.values()] + list(BROKEN.values())


@pytest.mark.parametrize("text", [*map(around, ALL_FORMS), *ALL_FORMS, *KEPT])
def test_every_split_gives_the_same(text: str) -> None:
    whole = strip(text)
    assert strip(*text) == whole
    for cut in range(len(text)):
        assert strip(text[:cut], text[cut:]) == whole


@pytest.mark.parametrize("text", [text for text in ALL_FORMS + KEPT if len(text) <= 48])
def test_every_two_splits_give_the_same(text: str) -> None:
    whole = strip(text)
    for first, second in itertools.combinations(range(len(text)), 2):
        assert strip(text[:first], text[first:second], text[second:]) == whole


# --- the end of the reply ------------------------------------------------------------------------

HARMLESS = re.compile(
    r"[`~]*[a-z_]*\s*(\{|\[\s*\{?|<\s*/?\s*(t|to|too|p|pa|par)?)?\s*", re.IGNORECASE
)
"""What may be left of a call that was cut off: a fence, a bracket, three letters of a tag."""


@pytest.mark.parametrize("name", FORMS)
def test_no_part_of_a_call_that_is_cut_off_is_shown(name: str) -> None:
    form, _ = FORMS[name]
    for end in range(len(form)):
        assert HARMLESS.fullmatch(shown(strip(form[:end])))


@pytest.mark.parametrize(
    "text",
    [
        WEATHER[:-1],
        '{"name": "f"',
        '{"na',
        '{"',
        '{"thought": "I should ask',
        '[{"id": 7, "type": "func',
        '{"tool_calls": [{"na',
        '{"thought": "x", "tool": "f", "arg',
        f"<tool_call>{WEATHER[:-2]}",
        "<tool_call",
        "<tool_ca",
        "<tool_call>",
        "<tool_call><tool_call_name>f</tool_call_name>",
        "<tool_call_name>f</tool_call_name><tool_call_args>{}",
        "<tool_result>never closed, ",
        f"```json\n{WEATHER[:-5]}",
    ],
)
def test_a_call_cut_off_is_reported(text: str) -> None:
    pieces = strip(text)
    assert shown(pieces) == ""
    assert reasons(pieces) == ["The call was cut off before its end."]


def test_after_an_unclosed_tag_nothing_is_shown() -> None:
    assert shown(strip("Well. <tool_call>f and then", " more text", "\n\nand more.")) == "Well. "


def test_a_call_that_lacks_only_its_closing_tag_is_understood() -> None:
    for rest in ("", "\n", "\nI have asked."):
        pieces = strip(f"Well. <tool_call>{WEATHER}{rest}")
        assert (shown(pieces), calls(pieces)) == ("Well. ", [("weather", PARIS)])
        assert reasons(pieces) == []


def test_a_beginning_that_says_nothing_is_text() -> None:
    for text in ("{", "[ {", "{ ", "a [", "```json\n{", "s<t", "a <p"):
        assert strip(text) == [Text(text)]


def test_text_after_a_missing_quote_is_not_lost() -> None:
    for rest in ("\nNow this.", ' Now "this".'):
        pieces = strip(f'<tool_call>{{"name": "f</tool_call>{rest}')
        assert shown(pieces) == rest.lstrip("\n ")
        assert len(reasons(pieces)) == 1


# --- white space ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "joined"),
    [
        ("a ", " b", "a b"),
        ("a", "b", "a b"),
        ("a.", "B", "a. B"),
        ("a", ".", "a."),
        ("(", "b)", "(b)"),
        ("a ", ", b", "a , b"),
        ("你好", "世界", "你好世界"),
        ("a", " b", "a b"),
        ("a ", "b", "a b"),
        ("a\n", "\nb", "a\nb"),
        ("a\n\n", "\n\nb", "a\n\nb"),
        ("a\n", "\n\nb", "a\n\nb"),
        ("a", "\n\nb", "a\n\nb"),
        ("a\n\n", "b", "a\n\nb"),
        ("a\r\n\r\n", "\r\n\r\nb", "a\r\n\r\nb"),
        ("a\r\n", "\r\n\r\nb", "a\r\n\r\nb"),
        ("a ", "\nb", "a \nb"),
        ("- a\n  ", "\n  - b", "- a\n  - b"),
        ("- a\n", "\n  - b", "- a\n  - b"),
        ("a\n\n", " b", "a\n\nb"),
        ("", "\n\n b", "b"),
        ("\n", "\n b", "\nb"),
        ("a\n", "\n", "a\n"),
        ("a", "", "a"),
    ],
)
def test_the_gap_closes(before: str, after: str, joined: str) -> None:
    for removed in (WEATHER, "</tool_call>", f"```json\n{WEATHER}\n```", f"{WEATHER}\n\n{NESTED}"):
        if removed == f"{WEATHER}\n\n{NESTED}" and "\n\n" not in joined and before.strip():
            continue  # two breaks between the calls stay between the texts
        assert shown(strip(before + removed + after)) == joined
        assert shown(strip(*(before + removed + after))) == joined


def test_white_space_alone_is_passed_on_at_once() -> None:
    stripper = ToolCallStripper()
    for text in (" ", "\n", "\t\r\n", "a", " ", "  "):
        assert stripper.feed(text) == [Text(text)]
    assert stripper.feed("") == []
    assert stripper.close() == []


# --- fences --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"```json\n{WEATHER}\nand more\n```", "```json\nand more\n```"),
        (f"```json\n# call\n{WEATHER}\n```", "```json\n# call\n```"),
        (f"```py\nx\n```\n{WEATHER}\n```js\ny\n```", "```py\nx\n```\n```js\ny\n```"),
        (f"use ``` here\nx\n```json\n{WEATHER}\n```\nBye.", "use ``` here\nx\nBye."),
        (f"```py\nx\n```. {WEATHER}\n```js\ny\n```", "```py\nx\n```. \n```js\ny\n```"),
        (f"see ```. {WEATHER}", "see ```. "),
        (f"`a` {WEATHER} `b`", "`a` `b`"),
        (f"`{WEATHER} x`", "` x`"),
        (f"``` two words {WEATHER}\n```", "``` two words \n```"),
        (f"```json\n{WEATHER}\n`` `", "```json\n`` `"),
        (f"```json\n{WEATHER}\n`` x", "```json\n`` x"),
        (f"~{WEATHER}~", "~~"),
        (f"```json\n{WEATHER}", ""),
        (f"```json\n{WEATHER}\n``", ""),
    ],
)
def test_a_fence_goes_only_with_its_last_content(text: str, left: str) -> None:
    pieces = strip(text)
    assert shown(pieces) == left
    assert calls(pieces) == [("weather", PARIS)]


def test_a_fence_is_held_in_bounds() -> None:
    for text in ("`" * 1000, "```" + "a" * 1000, "```\n" + " " * 1000):
        stripper = ToolCallStripper()
        assert len(text) - len(shown(stripper.feed(text))) <= MAX_FENCE_CHARS
        assert strip(text) == [Text(text)]


def test_a_call_after_half_an_end_lets_a_fence_go() -> None:
    pieces = strip(f"```\n{WEATHER}\n``{NESTED}`")
    assert shown(pieces) == "```\n```"
    assert len(calls(pieces)) == 2


def test_a_fence_of_many_calls_is_let_go() -> None:
    pieces = strip("```\n" + f"{WEATHER}\n" * (MAX_FENCED_CALLS + 1) + "```")
    assert shown(pieces) == "```\n```"
    assert len(calls(pieces)) == MAX_FENCED_CALLS + 1


# --- how long text is held -----------------------------------------------------------------------


def held(text: str) -> str:
    """What of ``text`` is not shown yet."""
    stripper = ToolCallStripper(TOOLS)
    visible = shown(stripper.feed(text))
    assert text.startswith(visible)
    return text[len(visible) :]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("body { c", ""),
        ("body { ", "{ "),
        ("[l", ""),
        ("[1", ""),
        ("a <b", ""),
        ("a < ", "< "),
        ("a <too", "<too"),
        ("a <tool ", ""),
        ("a </par", "</par"),
        ('{"a": 1}', ""),
        ('{"a": 1', '{"a": 1'),
        ('{"a": x', ""),
        ('{"a": 1\u00a0', ""),
        ('{"a": "\\u1g', ""),
        ('[{"a": 1}', ""),
        ('[{"a": [{"b": ', '[{"a": [{"b": '),
        ("```python\n", "```python\n"),
        ("```python\np", ""),
        ("```json\n[", "```json\n["),
        ("```json\n[1", ""),
        ("an `i", ""),
        ('{"a\n', ""),
        ('{"' + "a" * (MAX_KEY_CHARS + 1), ""),
        ("text without any sign.", ""),
        (f"{{'a': {WEATHER[:5]}", WEATHER[:5]),
    ],
)
def test_only_what_may_become_a_call_is_held(text: str, expected: str) -> None:
    assert held(text) == expected


def test_an_undecided_object_is_held_in_bounds() -> None:
    items = ", ".join(f'{{"id": {number}, "text": "some words"}}' for number in range(1000))
    for text in ('{"items": [' + items, '{"a": "' + "x" * 20_000, '{"name": "' + "x" * 20_000):
        stripper = ToolCallStripper()
        out = 0
        for fed, char in enumerate(text, 1):
            out += len(shown(stripper.feed(char)))
            assert fed - out <= MAX_UNDECIDED_CHARS
        assert strip(text)[0] == Text(text)


def test_a_call_deep_in_a_long_list_is_found() -> None:
    items = ", ".join(f'{{"id": {number}, "text": "some words"}}' for number in range(500))
    pieces = strip(f'{{"items": [{items}, {WEATHER}], "more": [{items}]}}')
    assert calls(pieces) == [("weather", PARIS)]
    assert shown(pieces) == f'{{"items": [{items}, ], "more": [{items}]}}'


def test_a_call_across_the_bound_is_found() -> None:
    for length in range(MAX_UNDECIDED_CHARS - 80, MAX_UNDECIDED_CHARS):
        pieces = strip('{"a": "' + "x" * (length - 20) + '", "list": [' + WEATHER + "]}")
        assert calls(pieces) == [("weather", PARIS)]
        assert "weather" not in shown(pieces)


def test_a_call_without_its_end_is_reported_when_another_begins() -> None:
    pieces = strip(f'<tool_call><tool_call_name="f"/><tool_call>{WEATHER}</tool_call>')
    assert reasons(pieces) == ["The call was cut off before its end."]
    assert calls(pieces) == [("weather", PARIS)]
    assert shown(pieces) == ""


def test_long_arguments_before_the_name_are_a_call() -> None:
    for size in (MAX_UNDECIDED_CHARS, 30_000):
        pieces = strip(json.dumps({"args": {"text": "x" * size}, "tool": "f"}) + " Bye.")
        assert shown(pieces) == "Bye."
        assert len(calls(pieces)) + len(reasons(pieces)) == 1


@pytest.mark.parametrize(
    "form",
    [
        "{}",
        "<tool_call>{}</tool_call>",
        "```json\n{}\n```",
        "<tool_call>{}<tool_call>f</tool_call>",
    ],
)
def test_a_call_too_long_is_removed_whole(form: str) -> None:
    call = json.dumps({"name": "f", "arguments": {"text": 'x } " { x <b> ``` ' * 20}})
    pieces = strip("Well. " + form.replace("{}", call) + " Bye.", max_call_chars=100)
    assert shown(pieces) == "Well. Bye."
    assert reasons(pieces) == ["The call is longer than 100 characters."]
    assert all(len(piece.raw) <= 100 for piece in pieces if isinstance(piece, BadToolCall))


def test_a_tag_in_a_string_of_a_call_too_long_ends_nothing() -> None:
    text = '<tool_call>{"name": "f", "args": {"a": "</tool_call> ' + "x" * 100
    pieces = strip(text + '"}}</tool_call> Bye.', max_call_chars=80)
    assert len(reasons(pieces)) == 1  # the first tag is taken for the end, as JSON is not followed
    assert shown(pieces).endswith("Bye.")


def test_many_parts_standing_alone_stay_in_bounds() -> None:
    pieces = strip(
        '<tool_call_name="f"/>' + '<parameter name="a" />' * 50 + "Bye.", max_call_chars=200
    )
    assert shown(pieces) == "Bye."
    raws = [piece.raw for piece in pieces if isinstance(piece, ToolCall | BadToolCall)]
    assert max(map(len, raws)) <= 200 + MAX_TAG_CHARS + MAX_GAP_CHARS


def test_far_parts_do_not_belong_together() -> None:
    gap = " " * (MAX_GAP_CHARS + 1)
    pieces = strip(f'<tool_call_name="f"/>{gap}<parameter name="a">1</parameter> Bye.')
    assert calls(pieces) == [("f", {})]
    assert len(reasons(pieces)) == 1
    assert shown(pieces) == "Bye."


def test_a_tag_without_end_is_bounded() -> None:
    pieces = strip(f"<tool_call {'x' * 1000} </tool_call> Bye.")
    assert shown(pieces) == "Bye."


def test_very_deep_json_is_reported() -> None:
    deep = "[" * 3000 + "]" * 3000
    for form in (f'{{"name":"f","args":{deep}}}', f"<tool_call>{deep}</tool_call>"):
        pieces = strip(around(form))
        assert shown(pieces) == "Well.\n\nBye."
        assert len(reasons(pieces)) == 1


# --- calls inside what is no call ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f'Use {{" then {WEATHER}.', 'Use {" then .'),
        (f'{{"a": "open {{ and {WEATHER}', '{"a": "open { and '),
        (f'{{"a": " {WEATHER}', '{"a": " '),
        (f'{{"a": 1 {WEATHER}', '{"a": 1 '),
        (f"{{{WEATHER}}}", "{}"),
        (f"[1, {WEATHER}]", "[1, ]"),
        (f'[{{"a": 1}}, {WEATHER}]', '[{"a": 1}, ]'),
        (f"< <{WEATHER}", "< <"),
        (f'{{"a": "<tool_call>{WEATHER}</tool_call>"}}', '{"a": "<tool_call>'),
        ('{"a": "<tool_call>' + WEATHER.replace('"', '\\"') + '</tool_call>"}', '{"a": ""}'),
        (f"<b>{WEATHER}</b>", "<b></b>"),
        (f'"{WEATHER}"', '""'),
    ],
)
def test_a_call_inside_other_text_is_removed(text: str, left: str) -> None:
    pieces = strip(text)
    if left.endswith("<tool_call>"):
        left = left.removesuffix("<tool_call>") + '"}'
    assert shown(pieces) == left
    assert WEATHER[1:12] not in shown(pieces)
    assert len(calls(pieces)) + len(reasons(pieces)) == 1


def test_another_tag_after_a_call_is_kept() -> None:
    assert shown(strip('<tool_call_name="f"/> <b>x</b>')) == "<b>x</b>"
    assert shown(strip(f"<tool_call>{WEATHER}</tool_call <b>x</b>")) == "<b>x</b>"


def test_names_of_keys_only_count_as_keys() -> None:
    text = '{"a": "name", "b": ["tool", "args"], "c": "arguments"}'
    assert strip(text) == [Text(text)]


def test_tools_need_not_be_registered() -> None:
    assert calls(ToolCallStripper().feed(WEATHER)) == [("weather", PARIS)]
    assert ToolCallStripper().feed('{"name": "clock"}') == [Text('{"name": "clock"}')]


def test_a_call_is_given_as_soon_as_it_ends() -> None:
    for form in (WEATHER, f"<tool_call>{WEATHER}</tool_call>", f"```json\n{WEATHER}\n```"):
        assert calls(ToolCallStripper().feed(form)) == [("weather", PARIS)]


def test_raw_is_what_the_model_wrote() -> None:
    for form in (WEATHER, f"<tool_call>\n{WEATHER}</tool_call>", '<tool_call_name="f"/>'):
        (piece,) = strip(form)
        assert isinstance(piece, ToolCall)
        assert piece.raw == form
