"""Downloads that go on where they stopped, within a run and across runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import attrs
import httpx2
import trio

from voicecore.weights.disk import disk_error, writing
from voicecore.weights.web import TryAgain, check_status, persist


class Progress(Protocol):
    """Is told what is being downloaded. Called from the Trio thread; must not block."""

    def start(self, name: str, total_bytes: int | None) -> None:
        """Take note that a download begins, or begins again after a cut connection, at 0 bytes.

        ``total_bytes`` is None when the server does not say. What was kept from before is
        reported as the first `advance`.
        """

    def advance(self, name: str, count: int) -> None:
        """Take note of ``count`` more bytes."""

    def done(self, name: str) -> None:
        """Take note that it is complete."""


@attrs.frozen
class Body:
    """How a response's body continues the file."""

    offset: int
    """Of its first byte: what was kept, or 0 to begin again."""
    total: int | None
    """Bytes of the whole file."""


def request_headers(have: int) -> dict[str, str]:
    """Ask for what comes after the ``have`` bytes, unpacked: packing would make offsets useless."""
    headers = {"Accept-Encoding": "identity"}
    return headers | ({"Range": f"bytes={have}-"} if have else {})


def read_head(status: int, headers: Mapping[str, str], have: int, url: str) -> Body | None:
    """Say what the response means for a file of which there are ``have`` bytes.

    Returns:
        How to continue; None when the file is complete. An offset of 0 also covers a server that
        knows no ranges.

    Raises:
        StartAgain: what we have is not the beginning of what the server has.
        TryAgain: the server is unwell.
        ModelError: it refuses.
    """
    span, _, total = headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
    size = int(total) if total.isdecimal() else None
    if status == 206:
        if span.partition("-")[0] != str(have):
            raise StartAgain("the server sent another part than the one asked for")
        return Body(have, size)
    if status == 416:
        if size == have:
            return None
        raise StartAgain("the file on the server is another one than before")
    check_status(status, url)
    length = headers.get("Content-Length", "")
    return Body(0, int(length) if length.isdecimal() else None)


class StartAgain(TryAgain):
    """What was kept is of no use; the next attempt begins at 0."""


async def download(
    client: httpx2.AsyncClient, url: str, part: Path, *, name: str, progress: Progress
) -> None:
    """Bring ``url`` into the file ``part``, going on from what is in it already.

    The content is not verified here. A lost connection is retried a bounded number of times.

    **Cancellation**: takes effect at once; ``part`` stays and the next call goes on from it.

    Raises:
        ModelError: it cannot be fetched or written; ``part`` stays for the next time.
    """

    async def attempt() -> None:
        try:
            await _continue(client, url, part, name, progress)
        except StartAgain:
            _discard(part)
            raise

    await persist(attempt, url)
    progress.done(name)


async def _continue(
    client: httpx2.AsyncClient, url: str, part: Path, name: str, progress: Progress
) -> None:
    have = _size(part)
    async with client.stream("GET", url, headers=request_headers(have)) as response:
        body = read_head(response.status_code, response.headers, have, url)
        if body is None:
            _tell(progress, name, Body(have, have))
            return
        _tell(progress, name, body)
        await _receive(response, part, body, name, progress)
    _check_length(_size(part), body.total)


def _tell(progress: Progress, name: str, body: Body) -> None:
    progress.start(name, body.total)
    progress.advance(name, body.offset)


async def _receive(
    response: httpx2.Response, part: Path, body: Body, name: str, progress: Progress
) -> None:
    failure: OSError | None = None
    # The response's generators must end by themselves, at the end or cancelled where they wait:
    # any exception out of the loop's body, Cancelled too, would leave them to the collector.
    with trio.CancelScope() as scope, writing(part):
        async with await trio.open_file(part, "ab" if body.offset else "wb") as file:
            async for chunk in response.aiter_raw():
                try:
                    with trio.CancelScope(shield=True):
                        await file.write(chunk)
                except OSError as error:
                    failure = error
                    scope.cancel("cannot write")
                progress.advance(name, len(chunk))
    if failure is not None:
        raise disk_error(failure, part) from failure


def _check_length(size: int, total: int | None) -> None:
    if total is not None and size < total:
        raise TryAgain(f"the connection was cut after {size} of {total} bytes")
    if total is not None and size > total:
        raise StartAgain(f"{size} bytes arrived instead of {total}")


def _discard(part: Path) -> None:
    with writing(part):
        part.unlink(missing_ok=True)


def _size(part: Path) -> int:
    with writing(part):
        return part.stat().st_size if part.exists() else 0
