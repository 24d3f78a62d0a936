"""A server that is a program: its process, and messages over its standard input and output.

In place of the SDK's own client for this, which joins a line without a bound and by copying it for
each new piece. A program that wrote one endless line kept the host's thread at work all the time:
after 7 s, it held 40 MB and delayed every conversation by 50 ms, and more with each second.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from subprocess import PIPE
from typing import TYPE_CHECKING

import anyio
import trio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from voicecore.config import McpServerConfig
from voicecore.tools.mcp.faults import ServerFault

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""Of one message: a picture of 3 MB. To read one this long, the host's thread needs 10 ms for a
picture, and 0.3 s for a million small numbers."""

MAX_BAD_LINES = 100
"""Lines in a row that are no messages. Some programs print a greeting; one that prints nothing else
speaks no MCP."""

STDERR_PAUSE_S = 0.01
"""After each piece of at most 64 KiB, so that a program which floods its standard error waits
itself."""

EXIT_S = 2.0
"""For a program to end by itself, and again after SIGTERM (as the SDK does it)."""


class LineReader:
    """Cuts bytes into lines. Any chunking gives the same lines."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._begun = bytearray()

    def feed(self, data: bytes | bytearray) -> list[bytes]:
        """Return the lines that are complete now, without their ends.

        Raises:
            ServerFault: a line is longer than the limit.
        """
        lines = []
        *ended, rest = data.split(b"\n")
        for piece in ended:
            self._add(piece)
            lines.append(bytes(self._begun))
            self._begun.clear()
        self._add(rest)
        return lines

    def _add(self, piece: bytes | bytearray) -> None:
        if len(self._begun) + len(piece) > self._limit:
            raise ServerFault(f"it sent a message over {self._limit} bytes", over=True)
        self._begun += piece


@asynccontextmanager
async def open_program(
    config: McpServerConfig, complain: Callable[[str], None]
) -> AsyncIterator[TransportStreams]:
    """Start the program, and carry messages to and from it.

    What it writes to its standard error is given to ``complain``, in pieces of at most 64 KiB.

    Raises:
        OSError: it cannot be started.
        ServerFault: in a group: it ended, or wrote what no server would.

    **Cancellation**, as leaving: its input is closed, which tells it to end; 2 s later SIGTERM;
    another 2 s later SIGKILL, also to what it has started itself. This is waited for.
    """
    process = await trio.lowlevel.open_process(
        [config.command, *config.args],
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env=get_default_environment() | dict(config.env),
        start_new_session=True,  # a group of its own, and no Ctrl-C from our terminal
    )
    try:
        async with trio.open_nursery() as nursery:
            answers_in, answers_out = anyio.create_memory_object_stream[
                SessionMessage | Exception
            ]()
            asked_in, asked_out = anyio.create_memory_object_stream[SessionMessage]()
            nursery.start_soon(_read, process, answers_in)
            nursery.start_soon(_write, process, asked_out)
            nursery.start_soon(_listen, process, complain)
            with answers_in, answers_out, asked_in, asked_out:
                yield answers_out, asked_in
            nursery.cancel_scope.cancel("the connection is over")
    finally:
        with trio.CancelScope(shield=True):
            await _end(process)


async def _read(
    process: trio.Process, answers: MemoryObjectSendStream[SessionMessage | Exception]
) -> None:
    """Pass on what it says; raise when it ends."""
    assert process.stdout
    reader, bad = LineReader(MAX_MESSAGE_BYTES), 0
    async for data in process.stdout:
        for line in reader.feed(data):
            try:
                message = jsonrpc_message_adapter.validate_json(line, by_name=False)
            except ValueError:
                bad += bool(line.strip())
                if bad > MAX_BAD_LINES:
                    raise ServerFault("what it writes are no MCP messages", over=True) from None
                continue
            bad = 0
            # The session stops listening just before the program is ended.
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                await answers.send(SessionMessage(message))
    raise ServerFault(await _farewell(process), over=True)


async def _farewell(process: trio.Process) -> str:
    """How it ended. Its output may end a moment before it does."""
    with trio.move_on_after(EXIT_S):
        await process.wait()
    if process.returncode is None:
        return "it closed its standard output"
    if process.returncode < 0:
        return f"it was ended by signal {-process.returncode}"
    return f"it ended with status {process.returncode}"


async def _write(process: trio.Process, asked: MemoryObjectReceiveStream[SessionMessage]) -> None:
    """Pass on what it is asked. If it no longer listens, nor do we: calls then fail at once."""
    assert process.stdin
    with asked, suppress(trio.BrokenResourceError):
        async for item in asked:
            text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
            await process.stdin.send_all(text.encode() + b"\n")


async def _listen(process: trio.Process, complain: Callable[[str], None]) -> None:
    assert process.stderr
    async for data in process.stderr:
        complain(data.decode(errors="replace"))
        await trio.sleep(STDERR_PAUSE_S)


async def _end(process: trio.Process) -> None:
    """End it and what it has started. Its output is read on: a full pipe must not hold it up."""
    assert process.stdin
    assert process.stdout
    assert process.stderr
    async with process.stdout, process.stderr, trio.open_nursery() as nursery:
        nursery.start_soon(_drain, process.stdout)
        nursery.start_soon(_drain, process.stderr)
        await process.stdin.aclose()
        with trio.move_on_after(EXIT_S):
            await process.wait()
        if process.returncode is None:
            _signal_group(process, signal.SIGTERM)
            with trio.move_on_after(EXIT_S):
                await process.wait()
        _signal_group(process, signal.SIGKILL)
        await process.wait()
        nursery.cancel_scope.cancel("the program has ended")


async def _drain(output: trio.abc.ReceiveStream) -> None:
    async for _ in output:
        pass


def _signal_group(process: trio.Process, number: signal.Signals) -> None:
    # The group has the number of its first process, also when only its children are left in it.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
