"""Tools of other programs: servers that speak the Model Context Protocol (MCP).

Each server has a task of its own that starts it, lists its tools, and starts it again when it ends.
Whatever a server does, the host goes on: without its tools, or with calls that say why they failed.
The SDK (``pip install 'voicecore[mcp]'``) is imported only when servers are configured.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Container, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import structlog
import trio

from voicecore.config import McpServerConfig
from voicecore.errors import ConfigError
from voicecore.tools.mcp.offered import McpTools

if TYPE_CHECKING:
    from voicecore.tools.mcp.connection import Server

log = structlog.get_logger()

SDK_LOGGERS = ("mcp", "client")
"""The names under which the SDK logs."""


@asynccontextmanager
async def open_mcp(
    servers: Mapping[str, McpServerConfig], *, taken: Container[str] = ()
) -> AsyncIterator[McpTools]:
    """Start all servers side by side, and keep them running; leaving ends them.

    Entering takes as long as the slowest server, at most its ``start_timeout_ms``. One that is not
    ready by then is told in the log, and tried again in the background. ``taken`` are names that
    the servers' tools must not have: those of the host's own tools.

    Raises:
        ConfigError: the SDK is not installed, or a server has no command and no url, or both.

    **Cancellation**, as leaving: every program is told to end, and killed with its children if it
    is still there after 4 s. That is waited for; 5 s longer if a call is at work and the program
    does not read that it is cancelled.
    """
    for name, config in servers.items():
        _check(name, config)
    tools = McpTools(servers, taken)
    if not servers:
        yield tools
        return
    running = await trio.to_thread.run_sync(_prepare, servers)
    with _sdk_logs():
        async with trio.open_nursery() as nursery:
            began = trio.current_time()
            for server in running:
                nursery.start_soon(server.keep, tools)
            for server in running:
                with trio.move_on_at(began + server.config.start_timeout_ms / 1000):
                    await server.tried.wait()
            yield tools
            nursery.cancel_scope.cancel("the host stops")


def _check(name: str, config: McpServerConfig) -> None:
    if bool(config.command) == bool(config.url):
        both = "both" if config.command else "neither"
        raise ConfigError(
            f"[mcp.{name}] has {both} a command and a url. "
            "Give it one of them: a program to start, or the address of a server that runs."
        )


class _ToOurLog(logging.Handler):
    """Tells what the SDK logs as our debug lines, without its tracebacks.

    It logs one for each line that is no message. Nothing it warns of is unknown to us.
    """

    def emit(self, record: logging.LogRecord) -> None:
        log.debug("the MCP SDK says", text=record.getMessage()[:500])


@contextmanager
def _sdk_logs() -> Iterator[None]:
    """Keep the SDK's own log lines from the terminal, where Python sends warnings by default."""
    handler = _ToOurLog(logging.WARNING)
    loggers = [logging.getLogger(name) for name in SDK_LOGGERS]
    before = [logger.propagate for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, propagate in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.propagate = propagate


def _prepare(servers: Mapping[str, McpServerConfig]) -> list[Server]:
    """Import the SDK, which takes more than half a second: in a thread, while engines load."""
    try:
        from voicecore.tools.mcp.connection import Server  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(
            f"[mcp.{next(iter(servers))}] needs the MCP SDK, which cannot be imported ({error}). "
            "Install it with: pip install 'voicecore[mcp]'"
        ) from error
    return [Server(name, config) for name, config in servers.items()]


__all__ = ["McpTools", "open_mcp"]
