import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from typing import Any

import httpx2
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from voicecore.config import LlmConfig
from voicecore.engines.interface import (
    CalledTool,
    Delta,
    Image,
    LlmChunk,
    Message,
    Prompt,
    ToolSpec,
    Usage,
)
from voicecore.engines.openai import OpenAiChat, load
from voicecore.engines.openai_reply import ReplyReader
from voicecore.engines.openai_request import estimate_tokens, request_body
from voicecore.errors import ConfigError, EngineError

PROMPT = Prompt((Message("system", "Be brief."), Message("user", "Hello there.")))
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
USAGE = {"prompt_tokens": 12, "completion_tokens": 2}


def event(**fields: Any) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


def delta(text: str | None = None, finish: str | None = None, **more: Any) -> bytes:
    content = {"content": text, **more} if text is not None else more
    return event(choices=[{"index": 0, "delta": content, "finish_reason": finish}])


DONE = b"data: [DONE]\n\n"
REPLY = (
    delta(role="assistant", text="")
    + delta("Hel")
    + delta("lo 🎉")
    + delta(finish="stop")
    + event(choices=[], usage=USAGE)
    + DONE
)
WHOLE = [Delta("Hel"), Delta("lo 🎉"), Usage(12, 2, "m", "stop")]


def read(*pieces: bytes) -> list[LlmChunk]:
    reader = ReplyReader("m", 99)
    found = [chunk for piece in pieces for chunk in reader.feed(piece)]
    return found + reader.close()


# --- the reader ----------------------------------------------------------------------------------


def test_a_reply_is_deltas_and_usage() -> None:
    assert read(REPLY) == WHOLE


@given(cuts=st.lists(st.integers(0, len(REPLY))).map(sorted))
def test_any_chunking_gives_the_same_reply(cuts: list[int]) -> None:
    edges = [0, *cuts, len(REPLY)]

    assert read(*(REPLY[a:b] for a, b in pairwise(edges))) == WHOLE


def test_without_usage_tokens_are_estimated() -> None:
    assert read(delta("One"), delta(" two"), delta(finish="stop")) == [
        Delta("One"),
        Delta(" two"),
        Usage(99, 2, "m", "stop"),
    ]


@pytest.mark.parametrize(
    ("finish", "told"), [("length", "length"), ("stop", "stop"), ("tool_calls", "stop")]
)
def test_finish_reasons(finish: str, told: str) -> None:
    assert read(delta("x"), delta(finish=finish), DONE)[-1] == Usage(99, 1, "m", told)


def test_done_alone_ends_a_reply_and_nothing_counts_after_it() -> None:
    assert read(delta("x"), DONE, delta("y"), b"data: {\n\n") == [
        Delta("x"),
        Usage(99, 1, "m", "stop"),
    ]


def test_reasoning_and_empty_events_are_skipped() -> None:
    assert read(
        delta(reasoning_content="Hm."),
        delta(tool_calls=None, function_call=None),
        event(choices=None, usage=None),
        b": keep-alive\n\n",
        delta("x", finish="stop"),
    ) == [Delta("x"), Usage(99, 1, "m", "stop")]


@pytest.mark.parametrize(
    ("stream", "says"),
    [
        (delta("Hal"), "ended the reply of m halfway"),
        (b"", "ended the reply of m halfway"),
        (event(error={"message": "out of memory", "code": 500}), "failed .*: out of memory"),
        (event(error="overloaded."), "failed during the reply: overloaded"),
        (b"data: {not json\n\n", "no chat completion: {not json"),
        (b"data: [1, 2]\n\n", "no chat completion"),
        (b'data: {"choices": [3]}\n\n', "no chat completion"),
        (b'data: {"choices": 3}\n\n', "no chat completion"),
        (b'data: {"usage": {"prompt_tokens": "x"}}\n\n', "no chat completion"),
        (delta("x").replace(b'"x"', b"[7]"), "no chat completion"),
        (b"data: \xff\n\n", "not UTF-8"),
    ],
)
def test_a_broken_reply_is_an_error(stream: bytes, says: str) -> None:
    with pytest.raises(EngineError, match=says):
        read(stream)


def test_the_request() -> None:
    config = LlmConfig(model="m", temperature=0.5, top_p=0.8, max_tokens=77)
    picture = Image("image/png", b"\x00\x01")
    prompt = Prompt((Message("user", "What is this?", (picture,)),), max_tokens=5, temperature=0.0)

    body = request_body(prompt, config)

    assert body == {
        "model": "m",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAE="}},
                ],
            }
        ],
        "max_tokens": 5,
        "temperature": 0.0,
        "top_p": 0.8,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert request_body(PROMPT, config)["max_tokens"] == 77
    assert "tools" not in request_body(PROMPT, config)
    assert request_body(PROMPT, config)["temperature"] == 0.5


TIME = ToolSpec("get_time", "Tells the time.", {"type": "object", "properties": {}})


def test_a_request_with_tools_calls_and_results() -> None:
    calls = (CalledTool("a1", "get_time", '{"zone": "UTC"}'), CalledTool("b2", "get_time", "{bad"))
    prompt = Prompt(
        (
            Message("user", "Time?"),
            Message("assistant", "", calls=calls),
            Message("tool", "It is noon.", call_id="a1"),
            Message("tool", "No JSON.", call_id="b2"),
        ),
        tools=(TIME,),
    )

    body = request_body(prompt, LlmConfig())

    function = {"name": "get_time", "description": "Tells the time.", "parameters": TIME.parameters}
    assert body["tools"] == [{"type": "function", "function": function}]
    assert body["tool_choice"] == "auto"
    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "a1",
                    "type": "function",
                    "function": {"name": "get_time", "arguments": '{"zone": "UTC"}'},
                },
                {
                    "id": "b2",
                    "type": "function",
                    "function": {"name": "get_time", "arguments": "{}"},
                },
            ],
        },
        {"role": "tool", "tool_call_id": "a1", "content": "It is noon."},
        {"role": "tool", "tool_call_id": "b2", "content": "No JSON."},
    ]
    assert estimate_tokens(prompt) > estimate_tokens(Prompt(prompt.messages))


@pytest.mark.parametrize("arguments", ["", "[1]", "[" * 5000])
def test_arguments_that_are_no_object_are_not_sent_back(arguments: str) -> None:
    call = Message("assistant", "Hm.", calls=(CalledTool("a", "f", arguments),))

    (sent,) = request_body(Prompt((call,)), LlmConfig())["messages"]

    assert sent["content"] == "Hm."
    assert sent["tool_calls"][0]["function"]["arguments"] == "{}"


# --- against a transport in memory ---------------------------------------------------------------


class Body(httpx2.AsyncByteStream):
    """Plays bytes and pauses (seconds), then ends, fails or hangs."""

    def __init__(self, *steps: bytes | float | Exception) -> None:
        self.steps = steps
        self.closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Steps(iter(self.steps))

    async def aclose(self) -> None:
        self.closed = True


class _Steps:
    def __init__(self, steps: Iterator[bytes | float | Exception]) -> None:
        self.steps = steps

    def __aiter__(self) -> "_Steps":
        return self

    async def __anext__(self) -> bytes:
        for step in self.steps:
            if isinstance(step, bytes):
                return step
            if isinstance(step, Exception):
                raise step
            await trio.sleep(step)
        raise StopAsyncIteration


def engine(
    *steps: bytes | float | Exception,
    status: int = 200,
    connect_s: float = 0,
    models: httpx2.Response | Exception | None = None,
    requests: list[httpx2.Request] | None = None,
    body: Body | None = None,
    **config: Any,
) -> OpenAiChat:
    async def handle(request: httpx2.Request) -> httpx2.Response:
        if requests is not None:
            requests.append(request)
        await trio.sleep(connect_s)
        if isinstance(models, Exception):
            raise models
        return models or httpx2.Response(status, stream=body or Body(*steps))

    settings = LlmConfig(engine="openai", base_url="http://box/v1", **{"model": "m", **config})
    return OpenAiChat(settings, httpx2.MockTransport(handle))


async def listen(engine: OpenAiChat, heard: list[LlmChunk], prompt: Prompt = PROMPT) -> None:
    async with engine.stream(prompt) as chunks:
        async for chunk in chunks:
            heard.append(chunk)  # noqa: PERF401 - what came before an error counts


async def answer(engine: OpenAiChat, prompt: Prompt = PROMPT) -> list[LlmChunk]:
    heard: list[LlmChunk] = []
    await listen(engine, heard, prompt)
    return heard


async def test_a_streamed_reply(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "secret")
    requests: list[httpx2.Request] = []
    model = engine(1.0, REPLY[:70], 2.0, REPLY[70:], requests=requests, api_key_env="MY_KEY")

    assert await answer(model) == WHOLE
    assert str(requests[0].url) == "http://box/v1/chat/completions"
    assert requests[0].headers["Authorization"] == "Bearer secret"
    assert "secret" not in repr(model) + repr(model.info)


async def test_no_key_no_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    requests: list[httpx2.Request] = []

    await answer(engine(REPLY, requests=requests))

    assert "Authorization" not in requests[0].headers


@pytest.mark.parametrize("connect_s", [0.0, 30.0])
async def test_a_reply_that_does_not_begin(autojump_clock: MockClock, connect_s: float) -> None:
    body = Body(delta(role="assistant"), 30.0, REPLY)
    model = engine(body=body, connect_s=connect_s, first_token_timeout_ms=20_000)

    with pytest.raises(EngineError, match=r"did not begin .* 20000 ms .*first_token_timeout_ms"):
        await answer(model)
    assert trio.current_time() == pytest.approx(20, abs=0.1)
    assert body.closed == (connect_s == 0)


async def test_a_reply_that_stops_halfway(autojump_clock: MockClock) -> None:
    body = Body(delta("Hel"), delta("lo 🎉"), 60.0)
    heard: list[LlmChunk] = []

    with pytest.raises(EngineError, match=r"middle of its reply.* 10000 ms .*between_tokens"):
        await listen(engine(body=body, between_tokens_timeout_ms=10_000), heard)
    assert heard == WHOLE[:2]
    assert body.closed


async def test_a_call_that_grows_is_a_reply_that_goes_on(autojump_clock: MockClock) -> None:
    def piece(arguments: str) -> bytes:
        function = {"name": "note", "arguments": arguments}
        return delta(tool_calls=[{"index": 0, "id": "a", "function": function}])

    growing: list[bytes | float] = [15.0, piece('{"text": "')]
    for _ in range(10):
        growing += [8.0, piece("la ")]
    whole = [*growing, piece('"}'), delta(finish="tool_calls"), DONE]

    assert await answer(engine(*whole), TOOLS_PROMPT) == [
        CalledTool("a", "note", '{"text": "' + "la " * 10 + '"}'),
        Usage(estimate_tokens(TOOLS_PROMPT), 12, "m", "tool_calls"),
    ]
    with pytest.raises(EngineError, match=r"middle of its reply.* 10000 ms .*between_tokens"):
        await answer(engine(*growing, 60.0, between_tokens_timeout_ms=10_000), TOOLS_PROMPT)


async def test_a_listener_may_take_its_time(autojump_clock: MockClock) -> None:
    async with engine(REPLY).stream(PROMPT) as chunks:
        heard = []
        async for chunk in chunks:
            heard.append(chunk)
            await trio.sleep(100)

    assert heard == WHOLE


async def test_a_connection_that_breaks() -> None:
    heard: list[LlmChunk] = []

    with pytest.raises(EngineError, match=r"http://box/v1 cannot be reached or broke off: gone"):
        await listen(engine(delta("Hal"), httpx2.ReadError("gone")), heard)
    assert heard == [Delta("Hal")]


@pytest.mark.parametrize(
    ("status", "page", "says"),
    [
        (401, b'{"error": {"message": "bad key abc123"}}', "401: bad key …. Set .* MY_KEY"),
        (403, b"", "403. Its key"),
        (404, b'{"error": "model not found"}', r"404: model not found. Check llm.model \(m\)"),
        (429, b'{"detail": "slow down."}', "429: slow down. Wait"),
        (500, b'{"message": "boom"}', "500: boom. Its own log"),
        (502, b"<html>Bad gateway</html>", "502. Its own log"),
        (503, b"Loading model", "503: Loading model. Its"),
        (302, b"[]", "302"),
    ],
)
async def test_a_refusal_tells_the_servers_words(
    status: int, page: bytes, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "abc123")

    with pytest.raises(EngineError, match=says) as caught:
        await answer(engine(page[:7], page[7:], status=status, api_key_env="MY_KEY"))
    assert "abc123" not in str(caught.value)


TOOLS_PROMPT = Prompt(PROMPT.messages, tools=(TIME,))
NO_TOOLS = 'set llm.tools = "text".*or "off"'


@pytest.mark.parametrize(
    ("status", "page", "says"),
    [
        (400, b'{"error": {"message": "tiny does not support tools"}}', NO_TOOLS),
        (400, b'{"object": "error", "message": "\\"auto\\" tool choice requires x"}', NO_TOOLS),
        (404, b'{"error": {"message": "No endpoints found that support tool use."}}', NO_TOOLS),
        (422, b'{"detail": "extra field: tool_choice"}', NO_TOOLS),
        (500, b'{"error": {"message": "tools param requires --jinja flag"}}', NO_TOOLS),
        (400, b'{"error": {"message": "context too long"}}', "Its own log"),
        (401, b'{"error": {"message": "no key, no tools"}}', "Set the environment variable"),
        (429, b'{"error": {"message": "too many tools"}}', "429: too many tools. Wait"),
    ],
)
async def test_a_server_that_takes_no_tools(status: int, page: bytes, says: str) -> None:
    with pytest.raises(EngineError, match=says):
        await answer(engine(page, status=status), TOOLS_PROMPT)


async def test_the_advice_on_tools_is_for_requests_that_had_some() -> None:
    page = b'{"error": {"message": "does not support tools"}}'

    with pytest.raises(EngineError, match=r"tools\. Its own log"):
        await answer(engine(page, status=400))


async def test_a_picture_goes_only_to_a_model_that_sees() -> None:
    requests: list[httpx2.Request] = []
    prompt = Prompt((Message("user", "See?", (Image("image/png", b"1"),)),))

    with pytest.raises(EngineError, match=r"m is not known to take pictures. Set llm.sees = true"):
        await answer(engine(REPLY, requests=requests), prompt)
    assert requests == []
    assert await answer(engine(REPLY, sees=True), prompt) == WHOLE


@pytest.mark.parametrize(
    ("tools", "calls"), [("auto", True), ("native", True), ("text", False), ("off", False)]
)
def test_what_the_model_can_is_configured(tools: str, calls: bool) -> None:
    assert engine(tools=tools).info.calls_tools == calls
    assert not engine().info.sees
    assert engine(sees=True).info.sees


async def test_an_endless_error_page_is_read_to_a_limit() -> None:
    body = Body(*[b"x" * 10_000] * 100)

    with pytest.raises(EngineError, match=r"500: x{300}. Its"):
        await answer(engine(body=body, status=500))
    assert body.closed


# --- the check at the start ----------------------------------------------------------------------


def listing(*names: str) -> httpx2.Response:
    return httpx2.Response(200, json={"object": "list", "data": [{"id": name} for name in names]})


@pytest.mark.parametrize("name", ["llama3.2", "llama3.2:latest"])
async def test_warm_up_finds_the_model(name: str) -> None:
    requests: list[httpx2.Request] = []

    await engine(models=listing("other", name), model="llama3.2", requests=requests).warm_up()

    assert [str(request.url) for request in requests] == ["http://box/v1/models"]


@pytest.mark.parametrize(
    ("answered", "says"),
    [
        (listing("a", "b"), "has no model 'm'. It has: a, b. Set llm.model"),
        (listing(), "It has: none"),
        (httpx2.Response(200, text="<html>"), "gave no list of models"),
        (httpx2.Response(200, json=[1]), "gave no list of models"),
        (httpx2.Response(401, json={"error": "no"}), "status 401: no"),
        (httpx2.ConnectError("refused"), "cannot be reached or broke off: refused. Start it"),
    ],
)
async def test_warm_up_tells_what_is_wrong(
    answered: httpx2.Response | Exception, says: str
) -> None:
    with pytest.raises(EngineError, match=says):
        await engine(models=answered).warm_up()


async def test_warm_up_waits_ten_seconds(autojump_clock: MockClock) -> None:
    with pytest.raises(EngineError, match="did not answer within 10 s"):
        await engine(connect_s=60).warm_up()


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"base_url": "box:8080"}, "must be an http"),
        ({"base_url": "ftp://box/v1"}, "must be an http"),
        ({"base_url": "http://[::bad"}, "llm.base_url is"),
        ({"base_url": ""}, "must be an http"),
        ({"model": ""}, "llm.model is empty"),
    ],
)
def test_load_refuses_a_wrong_configuration(config: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load(LlmConfig(engine="openai", **config), files=None, threads=1)  # type: ignore[arg-type]


# --- over real sockets ---------------------------------------------------------------------------


class Peer:
    """A server of one script on a loopback socket."""

    def __init__(self, script: Callable[[trio.SocketStream], Awaitable[None]]) -> None:
        self.script = script
        self.connections = 0
        self.requests = 0
        self.closed = trio.Event()

    async def handle(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        try:
            while await self._request(stream):
                self.requests += 1
                await self.script(stream)
        except trio.BrokenResourceError:
            pass
        self.closed.set()

    async def _request(self, stream: trio.SocketStream) -> bool:
        seen = b""
        while b"\r\n\r\n" not in seen:
            seen += (more := await stream.receive_some())
            if not more:
                return False
        head, _, body = seen.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += await stream.receive_some()
        return True


@asynccontextmanager
async def peer_and_engine(
    script: Callable[[trio.SocketStream], Awaitable[None]], **config: Any
) -> AsyncIterator[tuple[Peer, OpenAiChat]]:
    peer = Peer(script)
    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, host="127.0.0.1")
        listeners: list[trio.SocketListener] = await nursery.start(serve, peer.handle, 0)
        port = listeners[0].socket.getsockname()[1]
        settings = LlmConfig(model="m", base_url=f"http://127.0.0.1:{port}/v1", **config)
        model = load(settings, files=None, threads=1)  # type: ignore[arg-type]
        try:
            yield peer, model
        finally:
            with trio.CancelScope(shield=True):
                await model.aclose()
            nursery.cancel_scope.cancel()


def http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def whole_reply(stream: trio.SocketStream) -> None:
    await stream.send_all(HEAD)
    for start in range(0, len(REPLY), 23):
        await stream.send_all(http_chunk(REPLY[start : start + 23]))
    await stream.send_all(b"0\r\n\r\n")


async def endless_reply(stream: trio.SocketStream) -> None:
    await stream.send_all(HEAD + http_chunk(delta("One ")))
    while True:
        await stream.send_all(http_chunk(delta("more ")))
        await trio.sleep(0.001)


async def half_a_reply(stream: trio.SocketStream) -> None:
    await stream.send_all(HEAD + http_chunk(delta("Hal")) + b"ff\r\ndata: {")
    await stream.send_eof()


async def test_replies_share_a_connection() -> None:
    async with peer_and_engine(whole_reply) as (peer, model):
        assert [await answer(model) for _ in range(3)] == [WHOLE] * 3
        assert (peer.connections, peer.requests) == (1, 3)


async def test_a_server_that_dies_in_the_middle() -> None:
    async with peer_and_engine(half_a_reply) as (_, model):
        heard: list[LlmChunk] = []
        with pytest.raises(EngineError, match="broke off"):
            await listen(model, heard)
        assert heard == [Delta("Hal")]


async def test_no_server() -> None:
    async with peer_and_engine(whole_reply) as (_, model):
        gone = LlmConfig(model="m", base_url="http://127.0.0.1:9/v1")
        nobody = load(gone, files=None, threads=1)  # type: ignore[arg-type]
        with pytest.raises(EngineError, match=r"http://127\.0\.0\.1:9/v1 cannot be reached"):
            await answer(nobody)
        await nobody.aclose()
        assert await answer(model) == WHOLE


async def test_cancelling_closes_the_connection() -> None:
    async with peer_and_engine(endless_reply) as (peer, model):
        heard: list[LlmChunk] = []
        with trio.CancelScope() as turn:
            async with model.stream(PROMPT) as chunks:
                async for chunk in chunks:
                    heard.append(chunk)
                    if len(heard) == 3:
                        turn.cancel("barge-in")
        assert turn.cancelled_caught
        await peer.closed.wait()


async def test_leaving_by_break_closes_the_connection() -> None:
    async with peer_and_engine(endless_reply) as (peer, model):
        async with model.stream(PROMPT) as chunks:
            async for _ in chunks:
                break
        await peer.closed.wait()


async def fail_at_once(model: OpenAiChat) -> None:
    async with model.stream(PROMPT) as chunks:
        async for _ in chunks:
            raise LookupError


async def test_leaving_by_an_error_closes_the_connection() -> None:
    async with peer_and_engine(endless_reply) as (peer, model):
        with pytest.raises(LookupError):
            await fail_at_once(model)
        await peer.closed.wait()


async def test_leaving_before_the_first_step_asks_nothing() -> None:
    async with peer_and_engine(endless_reply) as (peer, model):
        async with model.stream(PROMPT):
            pass
        assert peer.connections == 0


def test_the_key_is_read_from_the_named_variable_only() -> None:
    assert "VOICECORE_NO_SUCH_KEY" not in os.environ
    model = engine(api_key_env="VOICECORE_NO_SUCH_KEY")

    assert model.info.device == "remote"
    assert model.info.model == "m"
