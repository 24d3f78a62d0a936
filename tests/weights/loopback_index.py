"""A package index and file server over loopback, whose faults are scripted."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import attrs
import h11
import trio


@attrs.define
class Page:
    """What is served at one path."""

    content: bytes
    content_type: str = "application/octet-stream"
    ranges: bool = True
    """False: the Range header is ignored."""
    most: int | None = None
    """A range is answered with at most so many bytes, as a server may."""
    cuts: list[int] = attrs.field(factory=list)
    """For each request in turn: the connection is cut after that many bytes of the body."""
    failures: list[int] = attrs.field(factory=list)
    """For each request in turn: answered with this status."""
    hold_head: bool = False
    """True: no answer comes at all."""
    hold_after: int | None = None
    """So many bytes of the body are sent, and then nothing more happens."""
    redirect: str = ""


@attrs.frozen
class Seen:
    path: str
    range: str | None
    accept: str | None
    authorization: str | None


@attrs.define
class LoopbackIndex:
    pages: dict[str, Page] = attrs.field(factory=dict)
    seen: list[Seen] = attrs.field(factory=list)
    connections: int = 0
    body_bytes: int = 0
    """Of files, not of index pages."""
    port: int = 0
    holding: trio.Event = attrs.field(factory=trio.Event)
    """Set when a page's hold is reached."""

    @property
    def simple(self) -> str:
        return f"http://127.0.0.1:{self.port}/simple/"

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def ranges(self, path: str) -> list[str | None]:
        """The Range headers of the requests for a path."""
        return [request.range for request in self.seen if request.path == path]

    def add_package(
        self, package: str, version: str, files: Mapping[str, bytes], *, html: bool = False
    ) -> Page:
        """Offer a wheel; returns its page, at ``/files/NAME-VERSION-py3-none-any.whl``."""
        filename = f"{package.replace('-', '_')}-{version}-py3-none-any.whl"
        page = Page(wheel(files))
        self.pages[f"/files/{filename}"] = page
        make = html_page if html else json_page
        self.pages[f"/simple/{package}/"] = make(filename, page.content)
        return page

    async def handle(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        connection = h11.Connection(h11.SERVER)
        async with stream:
            try:
                while await self._answer(connection, stream):
                    connection.start_next_cycle()
            except (trio.BrokenResourceError, h11.ProtocolError):
                pass  # the client has left

    async def _answer(self, connection: h11.Connection, stream: trio.SocketStream) -> bool:
        request = await _next_request(connection, stream)
        if request is None:
            return False
        headers = {name.decode(): value.decode() for name, value in request.headers}
        path = request.target.decode()
        self.seen.append(
            Seen(path, headers.get("range"), headers.get("accept"), headers.get("authorization"))
        )
        page = self.pages.get(path)
        if page is not None and page.hold_head:
            await self._hold()
        head, body = _respond(page, headers.get("range"))
        await stream.send_all(connection.send(head) or b"")
        cut = page.cuts.pop(0) if page is not None and page.cuts else None
        hold = page.hold_after if page is not None else None
        end = min(x for x in (cut, hold, len(body)) if x is not None)
        if path.startswith("/files/"):
            self.body_bytes += end
        await stream.send_all(connection.send(h11.Data(data=body[:end])) or b"")
        if hold is not None:
            await self._hold()
        if cut is not None:
            return False
        await stream.send_all(connection.send(h11.EndOfMessage()) or b"")
        return connection.our_state is h11.DONE and connection.their_state is h11.DONE

    async def _hold(self) -> None:
        self.holding.set()
        await trio.sleep_forever()


async def _next_request(
    connection: h11.Connection, stream: trio.SocketStream
) -> h11.Request | None:
    request = None
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await stream.receive_some(65536))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.EndOfMessage):
            return request
        elif isinstance(event, h11.ConnectionClosed):
            return None


def _respond(page: Page | None, wanted: str | None) -> tuple[h11.Response, bytes]:
    if page is None:
        return _head(404, {}, b"")
    if page.failures:
        return _head(page.failures.pop(0), {}, b"")
    if page.redirect:
        return _head(302, {"Location": page.redirect}, b"")
    kind = {"Content-Type": page.content_type}
    if wanted is None or not page.ranges:
        return _head(200, kind, page.content)
    start, total = int(wanted.removeprefix("bytes=").removesuffix("-")), len(page.content)
    if start >= total:
        return _head(416, {"Content-Range": f"bytes */{total}"}, b"")
    end = total if page.most is None else min(total, start + page.most)
    kind["Content-Range"] = f"bytes {start}-{end - 1}/{total}"
    return _head(206, kind, page.content[start:end])


def _head(status: int, headers: dict[str, str], body: bytes) -> tuple[h11.Response, bytes]:
    fields = [*headers.items(), ("Content-Length", str(len(body)))]
    return h11.Response(status_code=status, headers=fields), body


@asynccontextmanager
async def open_index() -> AsyncIterator[LoopbackIndex]:
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        index = LoopbackIndex(port=listeners[0].socket.getsockname()[1])
        await nursery.start(trio.serve_listeners, index.handle, listeners)
        yield index
        nursery.cancel_scope.cancel("the test is over")


def wheel(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return buffer.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def json_page(filename: str, content: bytes) -> Page:
    file = {
        "filename": filename,
        "url": f"../../files/{filename}",
        "hashes": {"sha256": sha256(content)},
    }
    body = json.dumps({"meta": {"api-version": "1.1"}, "name": "x", "files": [file]})
    return Page(body.encode(), "application/vnd.pypi.simple.v1+json")


def html_page(filename: str, content: bytes) -> Page:
    link = f"../../files/{filename}#sha256={sha256(content)}"
    body = f'<!DOCTYPE html><html><body><a href="{link}">{filename}</a><br></body></html>'
    return Page(body.encode(), "text/html; charset=utf-8")
