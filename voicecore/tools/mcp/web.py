"""A server at an address: the SDK's client for streamable HTTP, with a bound and a memory."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx2
import trio
from mcp.client.streamable_http import streamable_http_client

from voicecore.config import McpServerConfig
from voicecore.tools.mcp.faults import ServerFault
from voicecore.tools.mcp.program import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

TIMEOUT = httpx2.Timeout(30.0, read=300.0)
"""Seconds: the SDK's own. A call may be silent that long; ``tools.timeout_ms`` ends it earlier."""


@asynccontextmanager
async def open_web(
    config: McpServerConfig, complain: Callable[[str], None]
) -> AsyncIterator[TransportStreams]:
    """Carry messages to and from the address. Nothing is connected yet.

    Refusals (``HTTP 401``) are given to ``complain``: the SDK does not tell them.

    Raises:
        ServerFault: its token is missing.
        httpx2.HTTPError: in a group: it cannot be reached.
    """

    async def look(response: httpx2.Response) -> None:
        if response.is_error and response.request.method == "POST":  # GET is optional
            complain(f"HTTP {response.status_code} {response.reason_phrase}".rstrip())
        is_events = response.headers.get("content-type", "").startswith("text/event-stream")
        if not is_events:  # the SDK bounds those itself, one by one
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = _Bounded(response.stream)
        await trio.lowlevel.checkpoint()

    async with httpx2.AsyncClient(
        headers=_authorization(config), timeout=TIMEOUT, event_hooks={"response": [look]}
    ) as client:
        # The session is left to time out: to end it, the SDK would wait for the server's answer,
        # which may be the very server that does not answer any more.
        async with streamable_http_client(
            config.url,
            http_client=client,
            terminate_on_close=False,
            max_sse_event_size=MAX_MESSAGE_BYTES,
        ) as streams:
            yield streams


def _authorization(config: McpServerConfig) -> dict[str, str]:
    if not config.token_env:
        return {}
    token = os.environ.get(config.token_env)
    if not token:
        raise ServerFault(
            f"the environment variable {config.token_env} with its token is not set", over=True
        )
    return {"Authorization": f"Bearer {token}"}


class _Bounded(httpx2.AsyncByteStream):
    """A response's body, of at most `MAX_MESSAGE_BYTES`. The SDK reads it whole."""

    def __init__(self, body: httpx2.AsyncByteStream) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for data in self._body:
            size += len(data)
            if size > MAX_MESSAGE_BYTES:
                # An error the SDK knows: it fails this request, not the connection.
                raise httpx2.StreamError(f"it sent a message over {MAX_MESSAGE_BYTES} bytes")
            yield data

    async def aclose(self) -> None:
        await self._body.aclose()
