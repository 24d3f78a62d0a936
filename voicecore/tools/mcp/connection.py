"""One server: its connection from start to end, again and again; its tools, and calls to them.

The SDK runs on anyio, whose cancel scopes must be left by the task that entered them. So a
connection lives in one task, and each call in a task of the connection: the caller only waits for
its answer, and can leave at once, whatever the SDK and the server do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from typing import TYPE_CHECKING

import attrs
import structlog
import trio
from mcp import ClientSession, MCPError
from mcp.client.session import IncomingMessage
from mcp_types import (
    CONNECTION_CLOSED,
    Implementation,
    PaginatedRequestParams,
    ToolListChangedNotification,
)
from mcp_types import Tool as ListedTool
from outcome import Error, Outcome, capture

from voicecore import __version__
from voicecore.config import McpServerConfig
from voicecore.tools.mcp.faults import ServerFault, faults
from voicecore.tools.mcp.offered import McpTools
from voicecore.tools.mcp.program import open_program
from voicecore.tools.mcp.translate import checker, description, parameters, percent, result_text
from voicecore.tools.mcp.web import open_web
from voicecore.tools.tool import Tool, ToolContext, ToolError

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

log = structlog.get_logger()

MAX_TOOLS = 256
"""Of one server. Twice what OpenAI takes in a request; a longer list has no end."""

MAX_PAGES = 100
"""Of its list; a paginator may have no end."""

RELIST_PAUSE_S = 1.0
"""Between a server's word that its tools have changed and asking for them: changes come in
flurries."""

LONGEST_PAUSE_S = 60.0
"""Between two attempts to start a server."""

MAX_COMPLAINT_CHARS = 500
"""Of what a program writes to its standard error, in one line of our log."""

_US = Implementation(name="voicecore", version=__version__)


class Backoff:
    """How long to wait before a server is started again: 1 s, then twice as long each time.

    There is no jitter: every host has servers of its own, or few share one.
    """

    def __init__(self) -> None:
        self._next_s = 1.0

    def pause_s(self, lasted_s: float) -> float:
        """Take how long the last attempt lasted; after a long one, begin anew."""
        pause_s = 1.0 if lasted_s >= LONGEST_PAUSE_S else self._next_s
        self._next_s = min(2 * pause_s, LONGEST_PAUSE_S)
        return pause_s


@attrs.frozen(eq=False)
class _Live:
    """A connection that is up."""

    session: ClientSession
    calls: trio.Nursery


@attrs.frozen(eq=False)
class _Call:
    tool: str
    arguments: Mapping[str, object]
    progress: Callable[[float, str], None]
    answer: trio.MemorySendChannel[Outcome[str]]
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    async def tell(self, progress: float, total: float | None, message: str | None) -> None:
        """Pass progress on; some may arrive after the answer."""
        if not self.scope.cancel_called:
            self.progress(percent(progress, total), message or "")


class Server:
    """A configured server: started, watched, started again, and called."""

    def __init__(self, name: str, config: McpServerConfig) -> None:
        self.name = name
        self.config = config
        self.tried = trio.Event()
        """It is up, or the first attempt has failed."""
        self._live: _Live | None = None
        self._starting = True
        self._complaint = ""
        """The last thing it said about its start."""

    async def keep(self, tools: McpTools) -> None:
        """Have it running until cancelled, and its tools in ``tools``. Never raises."""
        backoff, told = Backoff(), ""
        while True:
            began = trio.current_time()
            reason = await self._connect(tools)
            self._live = None
            self.tried.set()
            pause_s = backoff.pause_s(trio.current_time() - began)
            # The same again is not news.
            tell = log.debug if reason == told else log.warning
            tell(
                "a tool server is not there",
                server=self.name,
                reason=reason,
                advice=self._advice(),
                next_try_s=pause_s,
            )
            told = reason
            await trio.sleep(pause_s)

    async def call(
        self, tool: str, arguments: Mapping[str, object], progress: Callable[[float, str], None]
    ) -> str:
        """Have a tool run.

        Raises:
            ToolError: it failed, or the server is not there.

        **Cancellation** returns at once; the server is told that nobody waits for it any more.
        """
        live = self._live
        if live is None:
            raise ToolError(
                f"The tool server {self.name} is not there now. The host is trying to get it back; "
                "the call may work later."
            )
        answer_in, answer_out = trio.open_memory_channel[Outcome[str]](1)
        call = _Call(tool, arguments, progress, answer_in)
        live.calls.start_soon(self._run, live.session, call)
        try:
            with answer_out:
                return (await answer_out.receive()).unwrap()
        except trio.EndOfChannel:
            raise ToolError(f"The tool server {self.name} stopped during the call.") from None
        finally:
            call.scope.cancel("nobody waits for the answer")

    async def _run(self, session: ClientSession, call: _Call) -> None:
        """Run a call in the connection; raise if the connection turns out to be over."""
        with call.answer, call.scope, suppress(trio.BrokenResourceError):  # it has just left
            try:
                with faults():
                    result = await session.call_tool(
                        call.tool, dict(call.arguments), progress_callback=call.tell
                    )
            except ServerFault as fault:
                said = f"The tool server {self.name} did not do it: {fault}."
                call.answer.send_nowait(Error(ToolError(said)))
                if fault.over or (fault.invalid and self.config.url):
                    raise
            else:
                call.answer.send_nowait(capture(result_text, result))

    async def _connect(self, tools: McpTools) -> str:
        """Run one connection, from its start to its end; return why it ended."""
        self._starting, self._complaint = True, ""
        timeout_ms = self.config.start_timeout_ms
        starting = trio.CancelScope(deadline=trio.current_time() + timeout_ms / 1000)
        changed_in, changed_out = trio.open_memory_channel[None](1)

        async def hear(message: IncomingMessage) -> None:
            if isinstance(message, ToolListChangedNotification):
                with suppress(trio.WouldBlock):  # one is enough to make us ask
                    changed_in.send_nowait(None)
            await trio.lowlevel.checkpoint()

        try:
            with faults(), starting, changed_in, changed_out:
                async with (
                    self._open() as (read, write),
                    ClientSession(read, write, client_info=_US, message_handler=hear) as session,
                    trio.open_nursery() as calls,
                ):
                    await _shake_hands(session)
                    count = await self._list(session, tools)
                    log.info("a tool server is ready", server=self.name, tools=count)
                    starting.deadline = math.inf
                    await self._serve(_Live(session, calls), changed_out, tools)
        except ServerFault as fault:
            return f"{fault} ({self._complaint})" if self._complaint else str(fault)
        return f"it was not ready within {timeout_ms} ms (mcp.{self.name}.start_timeout_ms)"

    def _open(self) -> AbstractAsyncContextManager[TransportStreams]:
        opener = open_program if self.config.command else open_web
        return opener(self.config, self._complain)

    async def _serve(
        self, live: _Live, changed: trio.MemoryReceiveChannel[None], tools: McpTools
    ) -> None:
        """Let it be called, and follow the changes of its tools."""
        self._live = live
        self._starting, self._complaint = False, ""
        self.tried.set()
        try:
            async for _ in changed:
                await trio.sleep(RELIST_PAUSE_S)
                with trio.move_on_after(self.config.start_timeout_ms / 1000) as asking:
                    count = await self._list(live.session, tools)
                    log.info("a tool server has other tools now", server=self.name, tools=count)
                if asking.cancelled_caught:
                    raise ServerFault("it does not answer any more", over=True)
        finally:
            self._live = None

    async def _list(self, session: ClientSession, tools: McpTools) -> int:
        """Ask for its tools, and offer them; return how many there are."""
        listed: list[ListedTool] = []
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            page = await session.list_tools(params=PaginatedRequestParams(cursor=cursor))
            listed += page.tools
            cursor = page.next_cursor
            if cursor is None or len(listed) >= MAX_TOOLS:
                break
        if cursor is not None or len(listed) > MAX_TOOLS:
            log.warning(
                "a tool server has more tools than are taken; the rest is left out",
                server=self.name,
                taken=MAX_TOOLS,
                advice="Have it offer only those that are needed: each is in every prompt.",
            )
        offered = [tool for one in listed[:MAX_TOOLS] if (tool := self._tool(one))]
        tools.offer(self.name, offered)
        return len(offered)

    def _tool(self, listed: ListedTool) -> Tool | None:
        """Make a tool of what it lists; None if its schema is none, which models would refuse."""
        try:
            check = checker(listed.input_schema)
        except ServerFault as fault:
            log.warning(
                "a tool is left out: its schema of arguments is no JSON Schema",
                server=self.name,
                tool=listed.name[:MAX_COMPLAINT_CHARS],
                reason=str(fault),
                advice="Tell the server's author; its other tools are there.",
            )
            return None

        async def call(arguments: Mapping[str, object], context: ToolContext) -> str:
            return await self.call(listed.name, arguments, context.progress)

        return Tool(
            name=listed.name,
            description=description(listed),
            parameters=parameters(listed),
            check=check,
            call=call,
            dangerous=self.config.dangerous,
            origin=f"mcp:{self.name}",
        )

    def _complain(self, text: str) -> None:
        """Hear what it says about itself.

        Once it has been up, this may tell of a conversation, and stays out of warnings.
        """
        for line in text.splitlines():
            log.debug("a tool server says", server=self.name, text=line[:MAX_COMPLAINT_CHARS])
            if line.strip() and self._starting:
                self._complaint = line.strip()[:MAX_COMPLAINT_CHARS]

    def _advice(self) -> str:
        what = "command and args, or run it by hand" if self.config.command else "url and token_env"
        return f"Check [mcp.{self.name}] {what}. The host goes on without its tools."


async def _shake_hands(session: ClientSession) -> None:
    """Agree on a protocol version.

    First the handshake that every server up to 2026 knows: some end when they are asked anything
    before it, as the SDK's ``auto`` does. Servers that know only the protocol of 2026-07-28 refuse
    it, and are asked again in their way.
    """
    try:
        await session.initialize()
    except MCPError as refusal:
        if refusal.code == CONNECTION_CLOSED:
            raise
        try:
            await session.discover()
        except (MCPError, RuntimeError, ValueError):
            raise refusal from None
