"""The listener: plain HTTP and both WebSocket protocols on one port, one session per socket."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import get_args
from urllib.parse import unquote

import attrs
import structlog
import trio
import trio_websocket
import wsproto.utilities

from voicecore.api import answer, origin_allowed
from voicecore.errors import ClientTooSlow, ConfigError
from voicecore.events import CharacterSwitched
from voicecore.host import Host
from voicecore.http import BadRequest, Head, json_response, read_body, read_head
from voicecore.presence import Guest, client_key
from voicecore.reception import Closing
from voicecore.session import run_session
from voicecore.wire.cortex import Cortex
from voicecore.wire.neko import Dialect, Neko
from voicecore.wire.protocol import Shown
from voicecore.wire.socket import RECEIVE_BYTES, Intake, Socket

log = structlog.get_logger()

GOODBYE_S = 2.0
"""For the closing handshake. A peer that never answers it would hold its task for a minute."""
ANSWER_BYTES = 64 * 1024
"""Of an answer that must be taken within ``server.request_timeout_ms``: 52 kbit/s by default, less
than any telephone's connection. The whole of a long conversation is some megabytes."""


@attrs.frozen
class Address:
    """Where the host listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


@asynccontextmanager
async def listening(host: Host) -> AsyncIterator[Address]:
    """Accept connections until the block is left; then let the sessions say goodbye.

    Leave the block when ``host.stopping`` is set. Sessions have ``server.drain_ms`` to end by
    themselves before they are cut.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    server = host.config.server
    listeners = await _listeners(server.host, server.port)
    port = listeners[0].socket.getsockname()[1]

    async def handler(stream: trio.SocketStream) -> None:
        await handle_connection(host, stream)

    async with trio.open_nursery() as connections:
        accepting = trio.CancelScope()

        async def accept() -> None:
            with accepting:
                await trio.serve_listeners(handler, listeners, handler_nursery=connections)

        connections.start_soon(accept)
        yield Address(server.host, port)
        accepting.cancel("the host is shutting down")
        with trio.move_on_after(server.drain_ms / 1000):
            await host.presence.empty()
        connections.cancel_scope.cancel("the host is shutting down")


async def _listeners(host: str, port: int) -> list[trio.SocketListener]:
    try:
        return await trio.open_tcp_listeners(port, host=host)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"Port {port} on {host} is taken by another program (perhaps another voicecore). "
                "Stop it, or choose another port with --port."
            ) from error
        raise ConfigError(f"Cannot listen on {host}:{port}: {error}.") from error


async def handle_connection(host: Host, stream: trio.abc.HalfCloseableStream) -> None:
    """Serve one connection. Nothing that happens in it reaches the others.

    The one broad catch is here, around all of it: whatever fails, the host goes on.
    """
    try:
        _keep_alive(stream)
        await _answer_or_converse(host, stream)
    except* (OSError, trio.BrokenResourceError, wsproto.utilities.ProtocolError) as left:
        # It left while it was answered, or spoke after the connection's close.
        log.debug("the client broke off", reason=repr(_first(left)))
    except* Exception:
        log.exception("a connection failed")
    finally:
        await trio.aclose_forcefully(stream)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What went wrong first, in groups of groups."""
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


def _keep_alive(stream: trio.abc.Stream) -> None:
    """Have the system find out, within about two minutes, that a client is gone without a word."""
    if isinstance(stream, trio.SocketStream):
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
            if hasattr(socket, name):
                stream.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def _answer_or_converse(host: Host, stream: trio.abc.HalfCloseableStream) -> None:
    try:
        with trio.fail_after(host.config.server.request_timeout_ms / 1000):
            head = await read_head(stream)
            body = b"" if head is None or head.is_upgrade else await read_body(stream, head)
    except BadRequest as error:
        await _try_send(stream, json_response(400, {"error": f"Not an HTTP request: {error}"}))
    except trio.TooSlowError:
        await _try_send(
            stream, json_response(408, {"error": "The request did not arrive in time."})
        )
    else:
        if head is None:
            return
        if head.is_upgrade:
            await _websocket(host, stream, head)
        else:
            data = await answer(host, head, body, _peer(stream))
            await _try_send(stream, data, host.config.server.request_timeout_ms / 1000)


async def _try_send(stream: trio.abc.SendStream, data: bytes, timeout_s: float = GOODBYE_S) -> None:
    """Send an answer. A client may be slow, but not stop to read: each piece must go in time."""
    rest = memoryview(data)
    try:
        while rest:
            with trio.fail_after(timeout_s):
                await stream.send_all(rest[:ANSWER_BYTES])
            rest = rest[ANSWER_BYTES:]
    except (trio.BrokenResourceError, trio.TooSlowError) as left:
        log.debug("the client left before it was answered", reason=repr(left))


# --- WebSocket -----------------------------------------------------------------------------------


async def _websocket(host: Host, stream: trio.abc.HalfCloseableStream, head: Head) -> None:
    address = _peer(stream)
    refused = _refusal(host, head, address)
    guest = _guest(host, head, address)
    if refused is None and guest is None:
        refused = 404, f"There is no conversation at {unquote(head.path)}. Try /ws, or /ws/NAME."
    if refused is not None:
        status, error = refused
        host.metrics.refused.labels(str(status)).inc()
        await stream.send_all(json_response(status, {"error": error}))
        return
    assert guest is not None
    host.presence.connect(address)
    gauge = host.metrics.sessions.labels(guest.wire.name)
    gauge.inc()
    try:
        await _converse(host, guest, Intake(stream, head.raw, host.config.server.max_message_bytes))
    finally:
        gauge.dec()
        host.presence.disconnect(address)


def _refusal(host: Host, head: Head, address: str) -> tuple[int, str] | None:
    """Why this client may not come in, or None."""
    if problem := _malformed(head):
        return 400, f"This is no WebSocket handshake: {problem}."
    if head.header("origin") and not origin_allowed(host, head):
        return 403, (
            f"Pages of {head.header('origin')} may not talk to this host; "
            "its owner can allow them with server.allowed_origins."
        )
    if host.stopping.is_set():
        return 503, "The host is shutting down."
    full = host.presence.full(host.config.server, address)
    return (503, full) if full else None


def _malformed(head: Head) -> str:
    if head.method != "GET" or not head.header("sec-websocket-key"):
        return "it must be a GET with a Sec-WebSocket-Key"
    if head.header("sec-websocket-version") != "13" or not head.wants_upgrade:
        return "it must be of version 13 (RFC 6455)"
    return ""


def _guest(host: Host, head: Head, address: str) -> Guest | None:
    config, query = host.config, head.parameters
    shown = Shown.asked(query)
    if head.path == "/ws":
        cortex = Cortex(
            shown=shown,
            max_files=config.eyes.max_files,
            max_file_bytes=config.eyes.max_file_bytes,
        )
        return Guest(cortex, host.active, client_key(cortex.name, query, address))
    if not head.path.startswith("/ws/"):
        return None
    neko = Neko(
        chunk_ms=config.mouth.chunk_ms,
        shown=shown,
        dialect=_dialect(query, config.server.dialect),
        max_picture_bytes=config.eyes.max_picture_bytes,
    )
    character = unquote(head.path.removeprefix("/ws/"))
    return Guest(neko, character, client_key(neko.name, query, address))


def _dialect(query: Mapping[str, str], default: Dialect) -> Dialect:
    asked = query.get("dialect", default)
    return next((known for known in get_args(Dialect) if known == asked), default)


def _peer(stream: trio.abc.HalfCloseableStream) -> str:
    """The client's address: who is meant by "the last conversation of this client"."""
    if not isinstance(stream, trio.SocketStream):
        return "local"
    return str(ipaddress.ip_address(stream.socket.getpeername()[0].partition("%")[0]))


async def _converse(host: Host, guest: Guest, intake: Intake) -> None:
    structlog.contextvars.bind_contextvars(connection=host.new_id()[:8], wire=guest.wire.name)
    grace_s = 0.0
    async with trio.open_nursery() as nursery:
        try:
            with trio.fail_after(host.config.server.request_timeout_ms / 1000):
                request = await trio_websocket.wrap_server_stream(
                    nursery,
                    intake,
                    max_message_size=host.config.server.max_message_bytes,
                    receive_buffer_size=RECEIVE_BYTES,
                )
                client = Socket(await request.accept(), intake)
        except (trio_websocket.HandshakeError, trio.TooSlowError) as error:
            log.info("the handshake failed", reason=repr(error))
        else:
            if host.knows(guest.character):
                await _welcome(host, guest, client)
            else:
                await _send_elsewhere(host, guest, client)
            # The library's reader may still be telling why it closed (1009), and ends by itself.
            grace_s = GOODBYE_S
        nursery.cancel_scope.deadline = trio.current_time() + grace_s


async def _welcome(host: Host, guest: Guest, client: Socket) -> None:
    log.info("connected", character=guest.character)
    closing = Closing(1011, "an internal error, which the host's log tells")
    try:
        closing = await run_session(host, guest, client)
    except* ClientTooSlow as slow:
        log.warning("the client is too slow", reason=str(_first(slow)))
        closing = Closing(1008, "messages are not read")
    finally:
        with trio.move_on_after(GOODBYE_S, shield=True):
            await client.aclose(closing.code, closing.reason)
        log.info("disconnected", code=closing.code)


async def _send_elsewhere(host: Host, guest: Guest, client: Socket) -> None:
    """There is no character of this name: send the client to the active one (wire.md 1.3)."""
    log.info("connected to an unknown character")
    switched = CharacterSwitched(host.active, guest.character)
    with trio.move_on_after(GOODBYE_S):
        for message in guest.wire.encode(switched):
            await client.send_message(message)
        await client.aclose(1000, "there is no character of this name")
