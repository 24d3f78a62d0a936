"""Calls as servers stream them: in pieces, whole, without ids, without indexes."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore.engines.interface import CalledTool, Delta, LlmChunk, Usage
from voicecore.engines.openai_reply import MAX_CALL_BYTES, MAX_CALLS, ReplyReader
from voicecore.errors import EngineError

DONE = b"data: [DONE]\n\n"


def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def pieces(*fragments: dict[str, Any]) -> bytes:
    return event({"tool_calls": list(fragments)})


def piece(
    index: int | None = None,
    call_id: str | None = None,
    name: str | None = None,
    args: Any = None,
) -> dict[str, Any]:
    fragment: dict[str, Any] = {"function": {}}
    if index is not None:
        fragment["index"] = index
    if call_id is not None:
        fragment |= {"id": call_id, "type": "function"}
    if name is not None:
        fragment["function"]["name"] = name
    if args is not None:
        fragment["function"]["arguments"] = args
    return fragment


def read(*stream: bytes, taken: tuple[str, ...] = ()) -> list[LlmChunk]:
    reader = ReplyReader("m", 99, taken_ids=taken)
    found = [chunk for data in stream for chunk in reader.feed(data)]
    return found + reader.close()


def calls(*stream: bytes, finish: str = "tool_calls") -> list[CalledTool]:
    *found, usage = read(*stream, event({}, finish), DONE)
    assert isinstance(usage, Usage)
    assert usage.finish == "tool_calls"
    return [chunk for chunk in found if isinstance(chunk, CalledTool)]


TIME, DATE = CalledTool("t1", "get_time", '{"zone": "UTC"}'), CalledTool("d1", "get_date", "{}")


OPENAI = (
    event({"role": "assistant", "content": None})
    + event({"content": "Let me see."})
    + pieces(piece(0, "t1", "get_time", ""))
    + pieces(piece(0, args='{"zo'))
    + pieces(piece(0, args='ne": "UTC"}'))
    + pieces(piece(1, "d1", "get_date", ""))
    + pieces(piece(1, args="{}"))
    + event({}, "tool_calls")
    + DONE
)


def test_pieces_by_index_and_the_words_before_them() -> None:
    assert read(OPENAI) == [Delta("Let me see."), TIME, DATE, Usage(99, 6, "m", "tool_calls")]


@given(cuts=st.lists(st.integers(0, len(OPENAI))).map(sorted))
def test_any_chunking_gives_the_same_calls(cuts: list[int]) -> None:
    edges = [0, *cuts, len(OPENAI)]

    assert read(*(OPENAI[a:b] for a, b in pairwise(edges))) == read(OPENAI)


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(
            [pieces(piece(0, "t1", "get_time", TIME.arguments), piece(1, "d1", "get_date", "{}"))],
            id="whole, in one event",
        ),
        pytest.param(
            [pieces(piece(0, "t1", "get_time", TIME.arguments)),
             pieces(piece(0, "d1", "get_date", "{}"))],
            id="whole, all with index 0",
        ),
        pytest.param(
            [pieces(piece(None, "t1", "get_time", TIME.arguments)),
             pieces(piece(None, "d1", "get_date", ""))],
            id="whole, without index",
        ),
        pytest.param(
            [pieces(piece(0, "t1", "get_time", {"zone": "UTC"})),
             pieces(piece(1, "d1", "get_date"))],
            id="arguments as an object, or none",
        ),
        pytest.param(
            [pieces(piece(None, "t1", "get_time")), pieces(piece(args='{"zone": ')),
             pieces(piece(args='"UTC"}')), pieces(piece(None, "d1", "get_date", "{}"))],
            id="pieces without index follow the last call",
        ),
        pytest.param(
            [pieces(piece(0, "t1", "get_time", '{"zone": ')),
             pieces(piece(0, "t1", "get_time", '"UTC"}')),
             pieces(piece(1, "d1", "get_date", "{}"))],
            id="id and name again with each piece",
        ),
        pytest.param(
            [pieces(piece(None, "t1", "get_time", '{"zone": '), piece(None, "d1", "get_date")),
             pieces(piece(None, "t1", "", '"UTC"}'), piece(None, "d1", "", "{}"))],
            id="pieces by id, mixed",
        ),
        pytest.param(
            [pieces(piece(0, "t1", args='{"zone":')), pieces(piece(0, "t1", "get_time", ' "UTC"}')),
             pieces(piece(1, "d1", "get_")), pieces(piece(1, "", "date", "{}"))],
            id="the name late, and in pieces",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("finish", ["tool_calls", "stop", "function_call"])
def test_what_servers_do(stream: list[bytes], finish: str) -> None:
    assert calls(*stream, finish=finish) == [TIME, DATE]


def test_without_ids_calls_get_ids_that_are_not_taken() -> None:
    whole = [pieces(piece(0, None, "a", "{}")), pieces(piece(0, "", "b", "{}"))]

    *found, _ = read(*whole, DONE, taken=("call00001", "x"))

    assert found == [CalledTool("call00002", "a", "{}"), CalledTool("call00003", "b", "{}")]


def test_an_id_that_is_taken_is_replaced() -> None:
    *found, _ = read(pieces(piece(0, "x", "a", "{}"), piece(1, "x", "b", "{}")), DONE, taken=("x",))

    ids = [chunk.id for chunk in found if isinstance(chunk, CalledTool)]
    assert len({*ids, "x"}) == 3


def test_the_old_function_call() -> None:
    stream = [
        event({"function_call": {"name": "get_time", "arguments": ""}}),
        event({"function_call": {"arguments": '{"zone": '}}),
        event({"function_call": {"arguments": '"UTC"}'}}),
    ]

    (call,) = calls(*stream, finish="function_call")

    assert (call.name, call.arguments) == (TIME.name, TIME.arguments)


def test_malformed_arguments_are_passed_on() -> None:
    (call,) = calls(pieces(piece(0, "a", "f", "{zone: UTC")))

    assert call.arguments == "{zone: UTC"


def test_a_character_whose_halves_come_apart() -> None:
    (call,) = calls(
        pieces(piece(0, "a", "f", '{"x": "\ud83c')), pieces(piece(0, args='\udf89\ud83c"}'))
    )

    assert call.arguments == '{"x": "🎉\N{REPLACEMENT CHARACTER}"}'


def test_a_reply_may_end_without_done() -> None:
    *_, call, usage = read(OPENAI.removesuffix(DONE))

    assert call == DATE
    assert isinstance(usage, Usage)
    assert usage.finish == "tool_calls"


@pytest.mark.parametrize(
    ("stream", "says"),
    [
        (OPENAI.partition(b'data: {"choices": [{"index": 0, "delta": {}, "f')[0], "halfway"),
        (pieces(piece(0, "a", "f", '{"x"')), "halfway"),
        (
            pieces(piece(0, "a", "f", '{"x"')) + event({}, "length"),
            "cut off within a tool call. Raise llm.max_tokens",
        ),
        (pieces(piece(0, "a", "f")) + event({}, "length"), "cut off within a tool call"),
        (pieces(piece(0, "a", args="{}")) + DONE, "called a tool without saying which"),
        (pieces(piece(0, "a", "f", 3)), "no chat completion"),
        (pieces(piece(0, "a", "f", [3])), "no chat completion"),
        (event({"tool_calls": [3]}), "no chat completion"),
        (event({"tool_calls": 3}), "no chat completion"),
        (event({"tool_calls": [{"index": [], "function": {"name": "f"}}]}), "no chat completion"),
        (event({"tool_calls": [{"function": "f"}]}), "no chat completion"),
        (event({"function_call": "f"}), "no chat completion"),
    ],
)
def test_broken_calls_are_errors(stream: bytes, says: str) -> None:
    with pytest.raises(EngineError, match=says):
        read(stream)


def test_a_whole_call_at_the_limit_counts() -> None:
    assert calls(pieces(piece(0, "a", "f", "{}")), finish="length") == [CalledTool("a", "f", "{}")]


def test_the_number_of_calls_is_bounded() -> None:
    many = [pieces(piece(n, str(n), "f", "{}")) for n in range(MAX_CALLS)]

    assert len(calls(*many)) == MAX_CALLS
    with pytest.raises(EngineError, match="more than 32 tools at once"):
        read(*many, pieces(piece(MAX_CALLS, "more", "f", "{}")))


@pytest.mark.parametrize("letter", ["x", "é", "\ud83c"])
def test_the_size_of_a_call_is_bounded(letter: str) -> None:
    growing = [pieces(piece(0, "a", "f", letter * 100))] * (MAX_CALL_BYTES // 100 + 2)

    with pytest.raises(EngineError, match="more than 65536 bytes"):
        read(*growing)


FRAGMENTS = st.builds(
    piece,
    st.none() | st.integers(0, 2),
    st.sampled_from([None, "", "a", "b"]),
    st.sampled_from([None, "", "f", "g"]),
    st.sampled_from([None, "", "{", "}", "{}", '"x": 1', {}]),
)


@given(stream=st.lists(st.lists(FRAGMENTS, max_size=3), max_size=8))
def test_whatever_comes_is_calls_or_an_error(stream: list[list[dict[str, Any]]]) -> None:
    try:
        *found, usage = read(*(pieces(*fragments) for fragments in stream), DONE)
    except EngineError as error:
        assert "without saying which" in str(error)  # noqa: PT017
        return
    assert isinstance(usage, Usage)
    ids = [chunk.id for chunk in found if isinstance(chunk, CalledTool)]
    assert len(ids) == len(found) == len(set(ids))
    assert all(chunk.name and chunk.arguments for chunk in found if isinstance(chunk, CalledTool))
    assert usage.finish == ("tool_calls" if found else "stop")
