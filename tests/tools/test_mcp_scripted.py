"""How connections are kept, in virtual time: the servers are tasks of this process."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import attrs
import pytest
import structlog
import trio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp.shared.message import SessionMessage
from mcp_types import (
    ErrorData,
    JSONRPCError,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
)
from outcome import Outcome
from trio.testing import MockClock

from voicecore.config import McpServerConfig
from voicecore.errors import ConfigError
from voicecore.tools.mcp import McpTools, connection, open_mcp
from voicecore.tools.mcp.faults import ServerFault
from voicecore.tools.tool import ToolContext, ToolError

Logs: TypeAlias = list[MutableMapping[str, Any]]

Asked: TypeAlias = MemoryObjectReceiveStream[SessionMessage]
Answers: TypeAlias = MemoryObjectSendStream[SessionMessage | Exception]

ECHO = {"name": "echo", "inputSchema": {"type": "object"}}

DONE = {"content": [{"type": "text", "text": "done"}]}

SAYS: dict[str, dict[str, Any]] = {
    "initialize": {
        "protocolVersion": "2025-11-25",
        "capabilities": {"tools": {"listChanged": True}},
        "serverInfo": {"name": "scripted", "version": "1"},
    },
    "tools/list": {"tools": [ECHO]},
    "tools/call": DONE,
}


@attrs.define(eq=False)
class Peer:
    """A server's end: answers as `SAYS`, with what a test puts in its place."""

    says: dict[str, Any] = attrs.field(factory=dict)
    heard: list[str] = attrs.field(factory=list)
    """Methods, in order."""
    starts_s: list[float] = attrs.field(factory=list)
    answers: Answers | None = None
    complain: Callable[[str], None] = print

    async def run(self, asked: Asked, answers: Answers) -> None:
        self.starts_s.append(trio.current_time())
        self.answers = answers
        async for item in asked:
            message = item.message
            if isinstance(message, JSONRPCRequest | JSONRPCNotification):
                self.heard.append(message.method)
            if isinstance(message, JSONRPCRequest):
                answer = self.says.get(message.method, SAYS.get(message.method, {}))
                if callable(answer):
                    answer = await answer(message)
                if isinstance(answer, ErrorData):
                    error = JSONRPCError(jsonrpc="2.0", id=message.id, error=answer)
                    await answers.send(SessionMessage(error))
                else:
                    result = JSONRPCResponse(jsonrpc="2.0", id=message.id, result=answer)
                    await answers.send(SessionMessage(result))

    async def notify(self, method: str, **params: Any) -> None:
        assert self.answers
        note = JSONRPCNotification(jsonrpc="2.0", method=method, params=params or None)
        await self.answers.send(SessionMessage(note))


Start: TypeAlias = Callable[..., tuple[dict[str, McpServerConfig], dict[str, Peer]]]


def with_peers(patch: pytest.MonkeyPatch, peers: dict[str, Peer]) -> dict[str, McpServerConfig]:
    """Give configurations whose programs are peers."""

    @asynccontextmanager
    async def open_peer(
        config: McpServerConfig, complain: Callable[[str], None]
    ) -> AsyncIterator[tuple[Any, Any]]:
        answers_in, answers_out = anyio.create_memory_object_stream[SessionMessage | Exception]()
        asked_in, asked_out = anyio.create_memory_object_stream[SessionMessage]()
        peers[config.command].complain = complain
        async with trio.open_nursery() as nursery:
            with answers_in, answers_out, asked_in, asked_out:
                nursery.start_soon(peers[config.command].run, asked_out, answers_in)
                yield answers_out, asked_in
            nursery.cancel_scope.cancel()

    patch.setattr(connection, "open_program", open_peer)
    return {name: McpServerConfig(command=name, start_timeout_ms=5_000) for name in peers}


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Start:
    def make(**peers: Peer) -> tuple[dict[str, McpServerConfig], dict[str, Peer]]:
        return with_peers(monkeypatch, peers), peers

    return make


@pytest.fixture
def logs() -> Iterator[Logs]:
    with structlog.testing.capture_logs() as entries:
        yield entries


def warnings(logs: Logs) -> Logs:
    return [entry for entry in logs if entry["log_level"] == "warning"]


def context(told: list[tuple[float, str]] | None = None) -> ToolContext:
    heard = told if told is not None else []
    return ToolContext(
        character="default",
        client="client",
        folder=Path("unused"),
        wall_s=lambda: 0.0,
        progress=lambda percent, words: heard.append((percent, words)),
        notify=lambda text: None,
    )


async def never(_message: JSONRPCRequest) -> Any:
    await trio.sleep_forever()


async def call(tools: McpTools, name: str = "echo") -> str:
    return await tools[name].call(tools[name].check({}), context())


async def test_the_host_waits_no_longer_than_the_time_given(
    start: Start, autojump_clock: trio.abc.Clock, logs: Logs
) -> None:
    servers, _ = start(
        hangs=Peer({"initialize": never}), stalls=Peer({"tools/list": never}), works=Peer()
    )
    began = trio.current_time()
    async with open_mcp(servers) as tools:
        assert trio.current_time() - began == pytest.approx(5.0)  # side by side
        assert list(tools) == ["echo"]
        assert await call(tools) == "done"
    told = {entry["server"]: entry for entry in warnings(logs)}
    assert set(told) == {"hangs", "stalls"}
    assert told["hangs"]["reason"] == "it was not ready within 5000 ms (mcp.hangs.start_timeout_ms)"
    assert "host goes on without" in told["hangs"]["advice"]


async def test_a_server_is_started_again_with_growing_pauses_and_told_once(
    start: Start, autojump_clock: trio.abc.Clock, logs: Logs
) -> None:
    servers, peers = start(bad=Peer({"initialize": ErrorData(code=-32603, message="no licence")}))
    async with open_mcp(servers):
        await trio.sleep(130)
    starts_s = peers["bad"].starts_s
    assert [round(b - a) for a, b in pairwise(starts_s)] == [
        1, 2, 4, 8, 16, 32, 60,
    ]  # fmt: skip
    assert [entry["reason"] for entry in warnings(logs)] == ["no licence"]


async def test_what_a_server_says_is_quoted_only_of_its_start(
    start: Start, autojump_clock: trio.abc.Clock, logs: Logs
) -> None:
    async def fail(_message: JSONRPCRequest) -> Any:
        peers["bad"].complain("Traceback\nno licence\n")
        await trio.lowlevel.checkpoint()
        return ErrorData(code=-32603, message="sorry")

    async def die(_message: JSONRPCRequest) -> Any:
        try:
            peers["one"].complain("cannot find 'my secret plan'\n")
            await trio.lowlevel.checkpoint()
            raise ServerFault("it ended with status 3", over=True)
        finally:
            peers["one"].complain("my secret plan\n")

    servers, peers = start(bad=Peer({"initialize": fail}), one=Peer({"tools/call": die}))
    async with open_mcp(servers) as tools:
        with pytest.raises(ToolError):
            await call(tools)
        await trio.sleep(0.5)
    reasons = [entry["reason"] for entry in warnings(logs)]
    assert reasons == ["sorry (no licence)", "it ended with status 3"]


async def test_tools_stay_while_their_server_is_away(
    start: Start, autojump_clock: trio.abc.Clock
) -> None:
    async def die(_message: JSONRPCRequest) -> Any:
        await trio.lowlevel.checkpoint()
        raise ServerFault("it ended with status 3", over=True)

    servers, peers = start(one=Peer({"tools/call": die}))
    async with open_mcp(servers) as tools:
        with pytest.raises(ToolError, match="stopped during the call"):
            await call(tools)
        with pytest.raises(ToolError, match="one is not there now"):
            await call(tools)
        del peers["one"].says["tools/call"]
        await trio.sleep(1.5)
        assert await call(tools) == "done"


async def test_all_pages_of_the_list_are_read_and_what_is_no_schema_left_out(
    start: Start, autojump_clock: trio.abc.Clock, logs: Logs
) -> None:
    async def page(message: JSONRPCRequest) -> Any:
        await trio.lowlevel.checkpoint()
        number = int((message.params or {}).get("cursor", "0"))
        schema = {"type": "object", "properties": {"x": {"type": "odd" if number == 1 else "null"}}}
        tool = {"name": f"t{number}", "inputSchema": schema}
        return {"tools": [tool], "nextCursor": str(number + 1)} if number < 3 else {"tools": [tool]}

    servers, _ = start(one=Peer({"tools/list": page}))
    async with open_mcp(servers) as tools:
        assert list(tools) == ["t0", "t2", "t3"]
        assert {(tool.origin, tool.dangerous) for tool in tools.values()} == {("mcp:one", True)}
    assert [entry["tool"] for entry in warnings(logs)] == ["t1"]


async def test_a_list_without_an_end_is_cut(
    start: Start, autojump_clock: trio.abc.Clock, logs: Logs
) -> None:
    async def page(message: JSONRPCRequest) -> Any:
        await trio.lowlevel.checkpoint()
        number = int((message.params or {}).get("cursor", "0"))
        tools = [
            {"name": f"t{number}_{place}", "inputSchema": {"type": "object"}} for place in range(9)
        ]
        return {"tools": tools, "nextCursor": str(number + 1)}

    servers, _ = start(
        many=Peer({"tools/list": page}),
        empty=Peer({"tools/list": {"tools": [], "nextCursor": "again"}}),
    )
    async with open_mcp(servers) as tools:
        assert len(tools) == connection.MAX_TOOLS
    assert {entry["server"] for entry in warnings(logs)} == {"many", "empty"}


async def test_changes_are_followed_a_flurry_as_one(
    start: Start, autojump_clock: trio.abc.Clock
) -> None:
    servers, peers = start(one=Peer())
    peer = peers["one"]
    async with open_mcp(servers) as tools:
        peer.says["tools/list"] = {"tools": [ECHO, ECHO | {"name": "more"}]}
        for _ in range(10):
            await peer.notify("notifications/tools/list_changed")
        await trio.sleep(5)
        assert list(tools) == ["echo", "more"]
        assert peer.heard.count("tools/list") <= 3


async def test_a_list_that_does_not_come_is_the_end_of_the_connection(
    start: Start, autojump_clock: trio.abc.Clock, logs: Logs
) -> None:
    servers, peers = start(one=Peer())
    async with open_mcp(servers) as tools:
        peers["one"].says["tools/list"] = never
        await peers["one"].notify("notifications/tools/list_changed")
        # A pause of 1 s, 5 s for the answer, and 5 s in which the SDK tries to tell the server.
        await trio.sleep(11.5)
        assert [entry["reason"] for entry in warnings(logs)] == ["it does not answer any more"]
        assert list(tools) == ["echo"]


async def test_a_cancelled_call_is_left_at_once_and_the_server_told(
    start: Start, autojump_clock: trio.abc.Clock
) -> None:
    servers, peers = start(one=Peer())
    asked = trio.Event()

    async def begin(_message: JSONRPCRequest) -> Any:
        asked.set()
        # Reads nothing more for a while: what it is sent waits in the SDK.
        await trio.sleep(3)
        return {}

    peers["one"].says["tools/call"] = begin
    async with open_mcp(servers) as tools:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call, tools)
            await asked.wait()
            cancelled_at = trio.current_time()
            nursery.cancel_scope.cancel()
        assert trio.current_time() == cancelled_at


async def test_the_server_hears_of_a_cancellation(
    start: Start, autojump_clock: trio.abc.Clock
) -> None:
    servers, peers = start(one=Peer())

    async def begin(_message: JSONRPCRequest) -> Any:
        await trio.sleep(3)
        return {}

    peers["one"].says["tools/call"] = begin
    async with open_mcp(servers) as tools:
        with trio.move_on_after(1) as waiting:
            await call(tools)
        assert waiting.cancelled_caught
        assert trio.current_time() - peers["one"].starts_s[0] == pytest.approx(1.0)
        await trio.sleep(5)
        assert peers["one"].heard[-1] == "notifications/cancelled"
        del peers["one"].says["tools/call"]
        assert await call(tools) == "done"  # the connection lives on


async def test_progress_is_passed_on_until_the_answer(
    start: Start, autojump_clock: trio.abc.Clock
) -> None:
    servers, peers = start(one=Peer())
    peer = peers["one"]
    tokens = []

    async def work(message: JSONRPCRequest) -> Any:
        assert message.params
        token = message.params["_meta"]["progressToken"]
        tokens.append(token)
        await peer.notify("notifications/progress", progressToken=token, progress=1, total=4)
        await trio.sleep(1)
        await peer.notify(
            "notifications/progress", progressToken=token, progress=1, total=2, message="half"
        )
        await trio.sleep(1)
        return DONE

    peer.says["tools/call"] = work
    told: list[tuple[float, str]] = []
    async with open_mcp(servers) as tools:
        await tools["echo"].call({}, context(told))
        await peer.notify(
            "notifications/progress", progressToken=tokens[0], progress=4, total=4, message="late"
        )
        await trio.sleep(1)
    assert told == [(25.0, ""), (50.0, "half")]


async def test_no_progress_is_told_once_nobody_waits() -> None:
    told: list[float] = []
    answer, answer_out = trio.open_memory_channel[Outcome[str]](1)
    with answer, answer_out:
        work = connection._Call("echo", {}, lambda percent, words: told.append(percent), answer)
        await work.tell(1, 2, None)
        work.scope.cancel()
        await work.tell(2, 2, None)
    assert told == [50.0]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (ErrorData(code=-32602, message="no such tool"), "no such tool"),
        ({"content": [{"type": "smell"}]}, "what MCP does not know"),
        ({"content": "text"}, "what MCP does not know"),
        ({"content": [], "isError": True}, "did not say why"),
    ],
)
async def test_a_bad_answer_fails_the_call_and_nothing_else(
    start: Start, autojump_clock: trio.abc.Clock, answer: Any, said: str, logs: Logs
) -> None:
    servers, peers = start(one=Peer({"tools/call": answer}))
    async with open_mcp(servers) as tools:
        with pytest.raises(ToolError, match=said):
            await call(tools)
        del peers["one"].says["tools/call"]
        assert await call(tools) == "done"
    assert not warnings(logs)


@pytest.mark.parametrize("answer", [{"tools": [{"name": "x"}]}, {"tools": 7}, {}])
async def test_a_list_that_is_none_is_told(
    start: Start, autojump_clock: trio.abc.Clock, answer: Any, logs: Logs
) -> None:
    servers, _ = start(one=Peer({"tools/list": answer}))
    async with open_mcp(servers) as tools:
        assert not tools
    assert "what MCP does not know" in warnings(logs)[0]["reason"]


async def test_a_server_of_the_newest_protocol_only_is_asked_in_its_way(
    start: Start, autojump_clock: trio.abc.Clock
) -> None:
    versions = {"supported": ["2026-07-28"], "requested": "2025-11-25"}
    complete = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
    says = {
        "initialize": ErrorData(code=-32022, message="too old", data=versions),
        "server/discover": complete | {"supportedVersions": ["2026-07-28"], "capabilities": {}},
        "tools/list": complete | {"tools": [ECHO]},
        "tools/call": complete | DONE,
    }
    servers, _ = start(one=Peer(says))
    async with open_mcp(servers) as tools:
        assert await call(tools) == "done"


@pytest.mark.parametrize("config", [McpServerConfig(), McpServerConfig(command="a", url="b")])
async def test_a_server_is_a_program_or_an_address(config: McpServerConfig) -> None:
    with pytest.raises(ConfigError, match=r"\[mcp\.odd\] has (both|neither)"):
        async with open_mcp({"odd": config}):
            pass


async def test_without_the_sdk_the_command_that_installs_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "voicecore.tools.mcp.connection", None)
    with pytest.raises(ConfigError, match=r"pip install 'voicecore\[mcp\]'"):
        async with open_mcp({"one": McpServerConfig(command="true")}):
            pass


async def test_without_servers_nothing_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "voicecore.tools.mcp.connection", None)
    async with open_mcp({}) as tools:
        assert not tools


MEANINGFUL = """protocolVersion capabilities serverInfo tools name inputSchema type nextCursor
content text isError structuredContent _meta version"""

KEYS = st.sampled_from(MEANINGFUL.split())

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)
"""Anything, with names that mean something to MCP."""


@given(st.sampled_from(sorted(SAYS)), st.dictionaries(KEYS, JSON, max_size=5), st.booleans())
@settings(max_examples=50)
def test_whatever_a_server_says_the_host_goes_on(
    method: str, answer: dict[str, Any], mend: bool
) -> None:
    says = {method: (SAYS[method] if mend else {}) | answer}
    trio.run(listen_to, Peer(says), clock=MockClock(autojump_threshold=0))


async def listen_to(peer: Peer) -> None:
    with pytest.MonkeyPatch.context() as patch, structlog.testing.capture_logs():
        servers = with_peers(patch, {"odd": peer})
        async with open_mcp(servers) as tools:
            for name in tools:
                with suppress(ToolError):
                    assert isinstance(await call(tools, name), str)
            with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
                await peer.notify("notifications/tools/list_changed", **peer.says)
            await trio.sleep(3)
