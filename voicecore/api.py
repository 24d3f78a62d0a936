"""Plain HTTP: the page, how the host is, what it measures, and whom it lets people talk to."""

from __future__ import annotations

import ipaddress
import json
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

import attrs
import trio

from voicecore import __version__
from voicecore.conversations import PATH, answer_conversations
from voicecore.errors import ConfigError
from voicecore.host import Host
from voicecore.http import Head, json_response, response
from voicecore.page import HEADERS, PREFIX, Page, matches
from voicecore.reload import reload, switch_active

METHODS = {
    "/": ("GET",),
    "/healthz": ("GET",),
    "/metrics": ("GET",),
    "/api/characters": ("GET",),
    "/api/characters/current": ("GET", "POST"),
    PATH: ("GET",),
    "/api/reload": ("POST",),
}

OPEN_TO_ANY_NAME = frozenset({"/healthz", "/metrics"})
"""Asked for by programs that watch the host, under whatever name they know it."""

MAX_SHOWN_NAME = 80
"""Characters of a foreign name that an error repeats."""

PAGE = Page()


async def answer(host: Host, head: Head, body: bytes, address: str) -> bytes:
    """Answer one request, which came from this address."""
    if (refused := _refused(host, head)) is not None:
        return _error(*refused)
    if head.method == "POST":
        return await _post(host, head, body)
    if _is_of_the_page(head):
        return await _page(head)
    if _is_of_the_past(head):
        return await answer_conversations(host, head, address)
    return _tell(host, head, address)


def _is_of_the_page(head: Head) -> bool:
    return head.path == "/" or head.path.startswith(PREFIX)


def _is_of_the_past(head: Head) -> bool:
    return head.path == PATH or head.path.startswith(f"{PATH}/")


def _methods(head: Head) -> Sequence[str]:
    if _is_of_the_page(head):
        return ("GET",)
    if head.path.startswith(f"{PATH}/"):
        return ("GET", "DELETE")
    return METHODS.get(head.path, ())


def _refused(host: Host, head: Head) -> tuple[int, str] | None:
    """The status and the words for a request that is not answered, or None."""
    allowed = _methods(head)
    if not allowed:
        return 404, _nothing(head)
    if head.path not in OPEN_TO_ANY_NAME and (refusal := _misnamed(host, head)):
        return 421, refusal
    if ("GET" if head.method == "HEAD" else head.method) not in allowed:
        return 405, f"{head.method} is not allowed; use {' or '.join(allowed)}."
    if head.method not in {"GET", "HEAD"} and (refusal := _foreign(host, head)):
        return 403, refusal
    return None


def _nothing(head: Head) -> str:
    return f"There is nothing at {head.path}. Try {', '.join(METHODS)}, or a WebSocket."


def _tell(host: Host, head: Head, address: str) -> bytes:
    head_only = head.method == "HEAD"
    if head.path == "/metrics":
        text = "text/plain; version=0.0.4; charset=utf-8"
        return response(200, _metrics(host), text, head_only=head_only)
    content = _get(host, head.path, address)
    status = 503 if head.path == "/healthz" and content["status"] != "ready" else 200
    return json_response(status, content, head_only=head_only)


async def _page(head: Head) -> bytes:
    file = await trio.to_thread.run_sync(PAGE.file, head.path)
    if file is None:
        return _error(404, _nothing(head))
    known = matches(head.header("if-none-match"), file.etag)
    return response(
        304 if known else 200,
        file.body,
        file.content_type,
        (("ETag", file.etag), *HEADERS),
        caching="no-cache",
        head_only=known or head.method == "HEAD",
    )


def _error(status: int, text: str) -> bytes:
    return json_response(status, {"error": text})


def _get(host: Host, path: str, address: str) -> dict[str, object]:
    if path == "/healthz":
        return _health(host, address)
    names = sorted({"default", *host.config.characters})
    if path == "/api/characters/current":
        return {"name": host.active}
    return {"current": host.active, "characters": [_character(host, name) for name in names]}


def _character(host: Host, name: str) -> dict[str, object]:
    greets = bool(host.character(name).greeting)
    return {"name": name, "language": host.language(name), "greeting": greets}


def _metrics(host: Host) -> bytes:
    if host.room.engines is not None:
        host.metrics.engines_waiting(host.room.engines.waiting())
    return host.metrics.text()


def _health(host: Host, address: str) -> dict[str, object]:
    engines = host.room.engines
    full = bool(host.presence.full(host.config.server, address))
    status = "stopping" if host.stopping.is_set() else "ready" if engines else "warming up"
    content: dict[str, object] = {"status": status, "version": __version__, "full": full}
    if engines is not None:
        content["sessions"] = host.presence.count
        content["engines"] = {
            info.kind: attrs.asdict(info, filter=lambda a, _: a.name != "kind")
            for info in reversed(engines.infos())  # of several models, the default one
        }
    return content


async def _post(host: Host, head: Head, body: bytes) -> bytes:
    if head.path == "/api/reload":
        return await _reload(host)
    try:
        wanted = json.loads(body)
        name = wanted["name"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return _error(400, 'Send JSON such as {"name": "default"}.')
    if not isinstance(name, str) or not host.knows(name):
        return _error(404, f"There is no character called {name!r:.80}.")
    switch_active(host, name)
    return json_response(200, {"name": host.active})


async def _reload(host: Host) -> bytes:
    if host.load is None:
        return _error(409, "The host was started without a configuration file.")
    try:
        left_out = await reload(host, host.load)
    except ConfigError as error:
        return _error(422, f"The new configuration is not used. {error}")
    return json_response(200, {"reloaded": True, "need_restart": left_out})


def _foreign(host: Host, head: Head) -> str:
    """Why a page may not change anything here, or nothing."""
    origin = head.header("origin")
    if origin and not origin_allowed(host, head):
        return f"Pages of {origin} may not change this host."
    if (
        head.method == "POST"
        and head.header("content-type").partition(";")[0].strip() != "application/json"
    ):
        return "Send Content-Type: application/json. (Other pages cannot do so unasked.)"
    return ""


def origin_allowed(host: Host, head: Head) -> bool:
    """Whether the page that asks, if it is one, may talk to this host.

    A browser tells which page it is; one of another site could listen in on localhost.
    """
    origin, server = head.header("origin"), host.config.server
    try:
        own = urlsplit(origin).netloc == head.header("host")
    except ValueError:
        return False
    mine = own and not _misnamed(host, head)
    return mine or "*" in server.allowed_origins or origin in server.allowed_origins


def _misnamed(host: Host, head: Head) -> str:
    """Why the name under which the host is asked is not to be trusted, or nothing.

    What a page may read here, one of a name that points here (DNS rebinding) may not.
    """
    asked = head.header("host")
    try:
        name = urlsplit(f"//{asked}").hostname or ""
    except ValueError:
        name = ""
    if name and (_is_own_name(name) or name in host.config.server.allowed_hosts):
        return ""
    return (
        f"This host does not go by the name {asked[:MAX_SHOWN_NAME]!r}. Open it under its "
        "address, or have its owner add the name to server.allowed_hosts."
    )


def _is_own_name(name: str) -> bool:
    """Whether a host name can only mean this machine.

    Any page may have a name that its owner points at this machine's address (DNS rebinding), and
    would then seem to come from here. An address is no such name.
    """
    machine = socket.gethostname().lower()
    if name in {"localhost", machine, f"{machine}.local"} or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
