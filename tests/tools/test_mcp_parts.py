"""The parts of the MCP client that need neither a server nor time."""

from __future__ import annotations

import math

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)
from mcp_types import Tool as ListedTool

from voicecore.tools.mcp.connection import Backoff
from voicecore.tools.mcp.faults import ServerFault, faults
from voicecore.tools.mcp.offered import McpTools
from voicecore.tools.mcp.program import LineReader
from voicecore.tools.mcp.translate import checker, description, parameters, percent, result_text
from voicecore.tools.tool import Tool, ToolContext, ToolError

# --- lines ---------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b""))), st.data())
def test_any_chunking_gives_the_same_lines(lines: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)))))
    reader = LineReader(20)
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        found += reader.feed(whole[start:end])
    assert found == lines


@given(st.integers(1, 7))
def test_a_line_over_the_limit_is_refused_however_it_comes(size: int) -> None:
    reader = LineReader(10)
    assert reader.feed(b"0123456789\n") == [b"0123456789"]
    whole = 10 // size
    assert not [line for _ in range(whole) for line in reader.feed(b"x" * size)]
    with pytest.raises(ServerFault, match="over 10 bytes"):
        reader.feed(b"x" * (11 - whole * size))


# --- names ---------------------------------------------------------------------------------------


async def nothing(_arguments: object, _context: ToolContext) -> str:
    await trio.lowlevel.checkpoint()
    return ""


def tool(name: str) -> Tool:
    return Tool(name, "", {}, dict, nothing)


def test_tools_keep_their_names_where_they_can() -> None:
    tools = McpTools(["files", "web"], taken={"calculate"})
    tools.offer("web", [tool("search"), tool("calculate")])
    tools.offer("files", [tool("search"), tool("read/all"), tool("")])
    assert list(tools) == ["files_search", "files_read_all", "files_", "search", "web_calculate"]
    assert tools["files_search"].name == "files_search"


def test_a_name_stays_while_its_tool_is_listed_and_is_free_afterwards() -> None:
    tools = McpTools(["a", "b"])
    tools.offer("a", [tool("x"), tool("y")])
    tools.offer("b", [tool("x")])
    tools.offer("a", [tool("new"), tool("x")])
    assert list(tools) == ["new", "x", "b_x"]
    tools.offer("a", [])
    tools.offer("b", [tool("x"), tool("new")])
    assert list(tools) == ["b_x", "new"]


def test_of_two_tools_with_one_name_the_first_counts() -> None:
    tools = McpTools(["a"])
    first = Tool("x", "first", {}, dict, nothing)
    tools.offer("a", [first, tool("x")])
    assert [one.description for one in tools.values()] == ["first"]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.lists(st.text(max_size=70), max_size=5))))
def test_every_name_is_one_that_models_accept_and_used_once(
    offers: list[tuple[str, list[str]]],
) -> None:
    tools = McpTools(["a", "b"], taken={"", "0", "a_"})
    listed: dict[str, set[str]] = {}
    for server, names in offers:
        tools.offer(server, [tool(name) for name in names])
        listed[server] = set(names)
    assert len(tools) == sum(map(len, listed.values()))
    for name, one in tools.items():
        assert one.name == name
        assert 1 <= len(name) <= 64
        assert all(char.isascii() and (char.isalnum() or char in "_-") for char in name)
        assert name not in {"", "0", "a_"}


# --- arguments -----------------------------------------------------------------------------------

SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "to": {"$ref": "#/$defs/place"}},
    "required": ["n"],
    "$defs": {"place": {"type": "object", "required": ["city"]}},
}


def test_arguments_that_fit_pass() -> None:
    given_ = {"n": 1, "to": {"city": "Ulm"}}
    assert checker(SCHEMA)(given_) == given_


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "'n' is a required property"),
        ({"n": "one"}, "n: 'one' is not of type 'integer'"),
        ({"n": 1, "to": {}}, "to: 'city' is a required property"),
    ],
)
def test_what_does_not_fit_is_named(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ToolError, match=said):
        checker(SCHEMA)(arguments)


def test_a_complaint_is_short() -> None:
    schema = {"properties": {"x": {"maxLength": 3}, "y": {"maxLength": 3}}}
    with pytest.raises(ToolError) as caught:
        checker(schema)({"x": "long" * 9999, "y": "long" * 9999})
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "schema", [{"$ref": "https://example.org/far.json"}, {"$ref": "#/$defs/none"}, {"$ref": "#"}]
)
def test_a_schema_that_cannot_be_followed_refuses_the_call(
    schema: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[object] = []
    monkeypatch.setattr("urllib.request.urlopen", fetched.append)
    with pytest.raises(ToolError, match="schema of arguments cannot be used"):
        checker(schema)({})
    assert not fetched


@pytest.mark.parametrize("schema", [{"type": 7}, {"properties": {"x": {"pattern": "["}}}])
def test_what_is_no_schema_is_refused_at_once(schema: dict[str, object]) -> None:
    with pytest.raises(ServerFault):
        checker(schema)


def test_a_schema_of_an_unknown_dialect_is_read_as_the_newest() -> None:
    check = checker({"$schema": "https://example.org/mine", "required": ["x"]})
    with pytest.raises(ToolError):
        check({})


def test_what_the_model_is_told_of_a_tool() -> None:
    plain = ListedTool(name="x", title="An X", input_schema={"type": "object"})
    assert parameters(plain) == {"type": "object", "properties": {}}
    assert description(plain) == "An X"
    wordy = ListedTool(name="x", description="w" * 5000, input_schema={"type": "object"})
    assert len(description(wordy)) == 1024


# --- results -------------------------------------------------------------------------------------


def test_text_is_joined_and_other_things_are_named() -> None:
    result = CallToolResult(
        content=[
            TextContent(text="Here:"),
            ImageContent(data="AAAA" * 1000, mime_type="image/png"),
            AudioContent(data="AAAA", mime_type="audio/wav"),
            ResourceLink(name="plan", uri="file:///plan.txt"),
            EmbeddedResource(resource=TextResourceContents(uri="file:///a", text="Inside.")),
            EmbeddedResource(resource=BlobResourceContents(uri="file:///b.pdf", blob="AAAA")),
        ],
        structured_content={"left": "out"},
    )
    assert result_text(result).splitlines() == [
        "Here:",
        "[a picture, image/png, 3 kB]",
        "[a sound, audio/wav, 1 kB]",
        "[a resource, plan: file:///plan.txt]",
        "Inside.",
        "[a file, file:///b.pdf, of unknown type]",
    ]


def test_data_without_text_is_json() -> None:
    result = CallToolResult(content=[], structured_content={"sum": 3, "of": "Äpfel"})
    assert result_text(result) == '{"sum": 3, "of": "Äpfel"}'


def test_nothing_is_said_to_be_done() -> None:
    assert result_text(CallToolResult(content=[])) == "It is done; there is nothing to tell."


def test_a_failure_is_an_error_with_its_words() -> None:
    with pytest.raises(ToolError, match="the bridge is up"):
        result_text(CallToolResult(content=[TextContent(text="the bridge is up")], is_error=True))
    with pytest.raises(ToolError, match="did not say why"):
        result_text(CallToolResult(content=[], is_error=True))


@pytest.mark.parametrize(
    ("progress", "total", "said"),
    [(1, 4, 25.0), (5, 4, 100.0), (-1, 4, 0.0), (3, None, 0.0), (3, 0, 0.0), (math.nan, 4, 0.0)],
)
def test_progress_is_a_percentage(progress: float, total: float | None, said: float) -> None:
    assert percent(progress, total) == said


# --- failures ------------------------------------------------------------------------------------


def test_the_innermost_reason_is_told() -> None:
    with pytest.raises(ServerFault, match="no such program") as caught, faults():
        raise ExceptionGroup("", [ExceptionGroup("", [OSError("no such\n program")])])
    assert caught.value.over


def test_a_fault_of_ours_is_told_before_its_consequences() -> None:
    with pytest.raises(ServerFault, match="it ended with status 3"), faults():
        raise ExceptionGroup("", [OSError("?"), ServerFault("it ended with status 3", over=True)])


def test_what_has_no_words_is_named() -> None:
    with pytest.raises(ServerFault, match="KeyError") as caught, faults():
        raise KeyError
    assert not caught.value.over


def test_pauses_double_up_to_a_minute_and_begin_anew_after_a_long_life() -> None:
    backoff = Backoff()
    assert [backoff.pause_s(0.1) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert [backoff.pause_s(lasted) for lasted in (3600.0, 0.1, 0.1)] == [1, 2, 4]
