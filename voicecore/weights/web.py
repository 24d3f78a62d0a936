"""HTTP as the model downloads need it: certificates, patience, bounded answers, clear errors."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar

import httpx2
import trio

from voicecore.errors import ModelError

T = TypeVar("T")

PAUSES_S = (0.5, 1.0, 2.0, 4.0)
"""Between attempts: enough to outlive a reconnecting network, short enough to be told soon that
there is none. What was downloaded is kept, so a later run goes on where this one gave up."""

TIMEOUT = httpx2.Timeout(30.0, connect=10.0)
"""Seconds of silence. An index may take its time to answer; a connection that is open does not."""

MAX_PAGE_BYTES = 32 * 1024 * 1024
"""Of an index page; the longest known ones are a few MB."""


class TryAgain(Exception):
    """The attempt failed in a way that another one may mend."""


def open_client() -> httpx2.AsyncClient:
    """Make the HTTP client; use it with ``async with``.

    Certificates: the system's, or those named by SSL_CERT_FILE or SSL_CERT_DIR, and those named
    by PIP_CERT besides. Proxies come from the usual environment variables.

    Raises:
        ModelError: PIP_CERT or SSL_CERT_FILE names no certificates.
    """
    try:
        context = httpx2.create_ssl_context()
        if extra := os.environ.get("PIP_CERT"):
            kind = "capath" if Path(extra).is_dir() else "cafile"
            context.load_verify_locations(**{kind: extra})
    except OSError as error:  # SSLError is one
        raise ModelError(
            f"The certificates named by PIP_CERT or SSL_CERT_FILE cannot be read: {error}. "
            "Correct or unset the variable."
        ) from error
    return httpx2.AsyncClient(verify=context, timeout=TIMEOUT, follow_redirects=True)


async def persist(attempt: Callable[[], Awaitable[T]], url: str) -> T:
    """Repeat ``attempt`` while the connection fails, five times at most, with growing pauses.

    Raises:
        ModelError: it failed for good, or asked for something impossible.
    """
    pauses = iter(PAUSES_S)
    while True:
        try:
            return await attempt()
        except (httpx2.TransportError, TryAgain) as error:
            pause = next(pauses, None)
            if pause is None:
                raise ModelError(
                    f"{shown(url)} could not be fetched: {_reason(error)}. Check the network and "
                    "fetch again; what has arrived is kept."
                ) from error
        except (httpx2.RequestError, httpx2.InvalidURL) as error:
            raise ModelError(f"{shown(url)} could not be fetched: {_reason(error)}.") from error
        await trio.sleep(pause)


def check_status(status: int, url: str) -> None:
    """Raise what an HTTP status outside 2xx means.

    Raises:
        TryAgain: the server is busy or broken at the moment.
        ModelError: it will not give us this.
    """
    if 200 <= status < 300:
        return
    if status in {408, 425, 429} or status >= 500:
        raise TryAgain(f"the server answered {status}")
    hint = {
        401: "It wants credentials: give them in PIP_INDEX_URL.",
        403: "It refuses access.",
        404: "It is not there.",
    }.get(status, "Check the address.")
    raise ModelError(f"{shown(url)} could not be fetched: the server answered {status}. {hint}")


async def get_page(
    client: httpx2.AsyncClient, url: str, headers: Mapping[str, str]
) -> tuple[httpx2.Headers, httpx2.URL, bytes]:
    """Fetch a page of at most 32 MiB: its headers, the URL it came from in the end, its content.

    Raises:
        ModelError: it cannot be had, or is longer.
    """

    async def attempt() -> tuple[httpx2.Headers, httpx2.URL, bytes]:
        content = bytearray()
        with trio.CancelScope() as scope:
            async with client.stream("GET", url, headers=headers) as response:
                check_status(response.status_code, url)
                async for chunk in response.aiter_bytes():
                    content += chunk
                    if len(content) > MAX_PAGE_BYTES:
                        scope.cancel("page too long")
        if scope.cancelled_caught:
            raise ModelError(f"{shown(url)} is longer than {MAX_PAGE_BYTES} bytes: not an index.")
        return response.headers, response.url, bytes(content)

    return await persist(attempt, url)


def shown(url: str) -> str:
    """Return the URL without its password, for messages."""
    return re.sub(r"//[^/@]*@", "//", url)


def _reason(error: Exception) -> str:
    return shown(str(error)) or type(error).__name__
