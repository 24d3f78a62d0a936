"""The listener: plain HTTP and both WebSocket protocols on one port, one session per socket."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, unquote, urlsplit

import attrs
import structlog
import trio
import trio_websocket
import wsproto.utilities

from voicecore import __version__
from voicecore.errors import ClientTooSlow, ConfigError
from voicecore.host import Host
from voicecore.http import BadRequest, Head, ReplayStream, json_response, read_head, response
from voicecore.reception import Closing
from voicecore.session import Guest, run_session
from voicecore.wire.cortex import Cortex
from voicecore.wire.neko import Neko

log = structlog.get_logger()

GOODBYE_S = 2.0
"""For the closing handshake. A peer that never answers it would hold its task for a minute."""
RECEIVE_BYTES = 64 * 1024
"""Read from a socket at once: a whole microphone message, most times."""


class Lobby:
    """Counts live sessions, and tells when the last has left."""

    def __init__(self) -> None:
        self.count = 0
        self._left = trio.lowlevel.ParkingLot()

    def enter(self) -> None:
        self.count += 1

    def leave(self) -> None:
        self.count -= 1
        self._left.unpark_all()

    async def empty(self) -> None:
        while self.count:
            await self._left.park()


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
    lobby = Lobby()

    async def handler(stream: trio.SocketStream) -> None:
        await handle_connection(host, lobby, stream)

    async with trio.open_nursery() as connections:
        accepting = trio.CancelScope()

        async def accept() -> None:
            with accepting:
                await trio.serve_listeners(handler, listeners, handler_nursery=connections)

        connections.start_soon(accept)
        yield Address(server.host, port)
        accepting.cancel("the host is shutting down")
        with trio.move_on_after(server.drain_ms / 1000):
            await lobby.empty()
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


async def handle_connection(host: Host, lobby: Lobby, stream: trio.abc.HalfCloseableStream) -> None:
    """Serve one connection. Nothing that happens in it reaches the others.

    The one broad catch is here, around all of it: whatever fails, the host goes on.
    """
    try:
        _keep_alive(stream)
        await _answer_or_converse(host, lobby, stream)
    except* (OSError, trio.BrokenResourceError, wsproto.utilities.ProtocolError):
        # It left while it was answered, or spoke after the connection's close.
        log.debug("the client broke off", exc_info=True)
    except* Exception:
        log.exception("a connection failed")
    finally:
        await trio.aclose_forcefully(stream)


def _keep_alive(stream: trio.abc.Stream) -> None:
    """Have the system find out, within about two minutes, that a client is gone without a word."""
    if isinstance(stream, trio.SocketStream):
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
            if hasattr(socket, name):
                stream.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def _answer_or_converse(
    host: Host, lobby: Lobby, stream: trio.abc.HalfCloseableStream
) -> None:
    try:
        with trio.fail_after(host.config.server.request_timeout_ms / 1000):
            head = await read_head(stream)
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
            await _websocket(host, lobby, stream, head)
        else:
            await _try_send(stream, _answer(host, lobby, head))


async def _try_send(stream: trio.abc.SendStream, data: bytes) -> None:
    with trio.move_on_after(GOODBYE_S):
        try:
            await stream.send_all(data)
        except trio.BrokenResourceError:
            log.debug("the client left before it was answered")


# --- plain HTTP ----------------------------------------------------------------------------------


def _answer(host: Host, lobby: Lobby, head: Head) -> bytes:
    head_only = head.method == "HEAD"
    if head.method not in {"GET", "HEAD"}:
        error = {"error": f"{head.method} is not allowed; use GET."}
        return json_response(405, error, head_only=head_only)
    if head.path == "/healthz":
        return _health(host, lobby, head_only=head_only)
    if head.path == "/metrics":
        if host.room.engines is not None:
            host.metrics.engines_waiting(host.room.engines.waiting())
        text = "text/plain; version=0.0.4; charset=utf-8"
        return response(200, host.metrics.text(), text, head_only=head_only)
    error = {"error": f"There is nothing at {head.path}. Try /healthz, /metrics, or a WebSocket."}
    return json_response(404, error, head_only=head_only)


def _health(host: Host, lobby: Lobby, *, head_only: bool) -> bytes:
    engines = host.room.engines
    status = "stopping" if host.stopping.is_set() else "ready" if engines else "warming up"
    content: dict[str, object] = {"status": status, "version": __version__}
    if engines is not None:
        content["sessions"] = lobby.count
        content["engines"] = {
            info.kind: attrs.asdict(info, filter=lambda a, _: a.name != "kind")
            for info in engines.infos()
        }
    return json_response(200 if status == "ready" else 503, content, head_only=head_only)


# --- WebSocket -----------------------------------------------------------------------------------


async def _websocket(
    host: Host, lobby: Lobby, stream: trio.abc.HalfCloseableStream, head: Head
) -> None:
    refused = _refusal(host, lobby, head)
    guest = _guest(host, head, _peer(stream))
    if refused is None and guest is None:
        known = ", ".join(sorted({"default", *host.config.characters}))
        path = unquote(head.path)
        refused = 404, f"There is no conversation at {path}. Try /ws, or /ws/NAME ({known})."
    if refused is not None:
        status, error = refused
        host.metrics.refused.labels(str(status)).inc()
        await stream.send_all(json_response(status, {"error": error}))
        return
    assert guest is not None
    lobby.enter()
    gauge = host.metrics.sessions.labels(guest.wire.name)
    gauge.inc()
    try:
        await _converse(host, guest, ReplayStream(stream, head.raw))
    finally:
        gauge.dec()
        lobby.leave()


def _refusal(host: Host, lobby: Lobby, head: Head) -> tuple[int, str] | None:
    """Why this client may not come in, or None."""
    server = host.config.server
    if head.method != "GET" or not head.header("sec-websocket-key"):
        return 400, "This is no WebSocket handshake: it must be a GET with a Sec-WebSocket-Key."
    if head.header("sec-websocket-version") != "13" or not head.wants_upgrade:
        return 400, "This is no WebSocket handshake of version 13 (RFC 6455)."
    if host.stopping.is_set():
        return 503, "The host is shutting down."
    if lobby.count >= server.max_sessions:
        return 503, f"All {server.max_sessions} places are taken; try again soon."
    origin = head.header("origin")
    if origin and not _origin_allowed(origin, head.header("host"), server.allowed_origins):
        return 403, (
            f"Pages of {origin} may not talk to this host; "
            "its owner can allow them with server.allowed_origins."
        )
    return None


def _origin_allowed(origin: str, host: str, allowed: tuple[str, ...]) -> bool:
    """A browser tells which page connects; a page of another site could listen in on localhost."""
    try:
        own = urlsplit(origin).netloc == host
    except ValueError:
        return False
    return own or "*" in allowed or origin in allowed


def _guest(host: Host, head: Head, peer: str) -> Guest | None:
    query = parse_qs(head.query)
    client = query.get("client", [peer])[0][:128]
    timelines = query.get("timeline") == ["1"]
    if head.path == "/ws":
        profile = host.config.character("default")
        assert profile is not None
        return Guest(Cortex(timelines=timelines), "default", profile, client)
    if head.path.startswith("/ws/"):
        name = unquote(head.path.removeprefix("/ws/"))
        profile = host.config.character(name)
        if profile is not None:
            wire = Neko(chunk_ms=host.config.mouth.chunk_ms, timelines=timelines)
            return Guest(wire, name, profile, client)
    return None


def _peer(stream: trio.abc.HalfCloseableStream) -> str:
    """The client's address: who is meant by "the last conversation of this client"."""
    if not isinstance(stream, trio.SocketStream):
        return "local"
    return str(ipaddress.ip_address(stream.socket.getpeername()[0].partition("%")[0]))


async def _converse(host: Host, guest: Guest, stream: trio.abc.Stream) -> None:
    structlog.contextvars.bind_contextvars(connection=host.new_id()[:8], wire=guest.wire.name)
    async with trio.open_nursery() as nursery:
        try:
            with trio.fail_after(host.config.server.request_timeout_ms / 1000):
                request = await trio_websocket.wrap_server_stream(
                    nursery,
                    stream,
                    max_message_size=host.config.server.max_message_bytes,
                    receive_buffer_size=RECEIVE_BYTES,
                )
                connection = await request.accept()
        except (trio_websocket.HandshakeError, trio.TooSlowError) as error:
            log.info("the handshake failed", reason=repr(error))
        else:
            await _welcome(host, guest, connection)
        nursery.cancel_scope.cancel("the connection is over")


async def _welcome(
    host: Host, guest: Guest, connection: trio_websocket.WebSocketConnection
) -> None:
    log.info("connected", character=guest.character)
    closing = Closing(1011, "an internal error, which the host's log tells")
    try:
        closing = await run_session(host, guest, connection)
    except* ClientTooSlow as slow:
        log.warning("the client is too slow", reason=str(slow.exceptions[0]))
        closing = Closing(1008, "messages are not read")
    finally:
        with trio.move_on_after(GOODBYE_S, shield=True):
            await connection.aclose(closing.code, closing.reason)
        log.info("disconnected", code=closing.code)
