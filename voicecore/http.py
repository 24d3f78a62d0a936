"""The head of a request, read with h11, and small plain answers.

Plain HTTP and WebSocket share one listener: the head is read first, and an upgrade is handed on
with every byte that was read, as if nobody had looked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs

import attrs
import h11
import trio

MAX_HEAD_BYTES = 16 * 1024
"""Request line and headers; h11's own limit, which cites nginx's and Apache's."""


MAX_BODY_BYTES = 64 * 1024
"""Of a request to change something: a name, or nothing at all."""


class BadRequest(Exception):
    """The client does not speak HTTP, or was too slow to say so."""


@attrs.frozen
class Head:
    """A request without its body."""

    method: str
    path: str
    """Without the query, still percent-encoded."""
    query: str
    headers: tuple[tuple[str, str], ...]
    """Names in lower case."""
    raw: bytes
    """Everything that was read, for handing on."""

    @property
    def parameters(self) -> Mapping[str, str]:
        """What the query says, decoded; of a name that comes twice, the first."""
        return {name: values[0] for name, values in parse_qs(self.query).items()}

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")

    @property
    def wants_upgrade(self) -> bool:
        return "upgrade" in self.header("connection").lower()

    @property
    def is_upgrade(self) -> bool:
        return "websocket" in self.header("upgrade").lower()


async def read_head(stream: trio.abc.ReceiveStream) -> Head | None:
    """Read one request head; None when the client left without a word.

    Raises:
        BadRequest: it is not HTTP, or the head is too large.
    """
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
    raw = bytearray()
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            raise BadRequest(str(error)) from error
        if isinstance(event, h11.Request):
            return _head(event, bytes(raw))
        try:
            data = bytes(await stream.receive_some(4096))
        except trio.BrokenResourceError:
            return None
        if not data:
            return None
        raw += data
        connection.receive_data(data)


async def read_body(stream: trio.abc.ReceiveStream, head: Head) -> bytes:
    """Read the body of a request whose head was read.

    Raises:
        BadRequest: it is too long, of no stated length, or ends early.
    """
    length = head.header("content-length") or "0"
    if not length.isdigit() or int(length) > MAX_BODY_BYTES or head.header("transfer-encoding"):
        raise BadRequest(f"a body needs a Content-Length of at most {MAX_BODY_BYTES}")
    body = bytearray(head.raw.partition(b"\r\n\r\n")[2])
    while len(body) < int(length):
        data = await stream.receive_some(4096)
        if not data:
            raise BadRequest("the body ended early")
        body += data
    return bytes(body[: int(length)])


def _head(request: h11.Request, raw: bytes) -> Head:
    path, _, query = request.target.decode("latin-1").partition("?")
    headers = tuple(
        (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in request.headers
    )
    return Head(request.method.decode("ascii"), path, query, headers, raw)


def response(
    status: int,
    body: bytes,
    content_type: str,
    headers: Sequence[tuple[str, str]] = (),
    *,
    caching: str = "no-store",
    head_only: bool = False,
) -> bytes:
    """Write a complete answer, after which the connection is closed.

    Args:
        status: an HTTP status; 304 goes with ``head_only``.
        body: of the answer.
        content_type: of the body.
        headers: more of them.
        caching: the answer's ``Cache-Control``.
        head_only: leave out the body, of which the head still tells the length.
    """
    connection = h11.Connection(h11.SERVER)
    all_headers = [
        ("Content-Type", content_type),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
        ("Cache-Control", caching),
        ("X-Content-Type-Options", "nosniff"),
        *headers,
    ]
    # h11 wants to have seen a request; this one stands for it.
    connection.receive_data(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    connection.next_event()
    head = connection.send(h11.Response(status_code=status, headers=all_headers)) or b""
    return head if head_only else head + body


def json_response(status: int, content: object, *, head_only: bool = False) -> bytes:
    body = json.dumps(content, ensure_ascii=False, indent=1).encode() + b"\n"
    return response(status, body, "application/json; charset=utf-8", head_only=head_only)
