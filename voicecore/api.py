"""Plain HTTP: how the host is, what it measures, and whom it lets people talk to."""

from __future__ import annotations

import ipaddress
import json
import socket
from urllib.parse import urlsplit

import attrs

from voicecore import __version__
from voicecore.errors import ConfigError
from voicecore.host import Host
from voicecore.http import Head, json_response, response
from voicecore.reload import reload, switch_active

METHODS = {
    "/healthz": ("GET",),
    "/metrics": ("GET",),
    "/api/characters": ("GET",),
    "/api/characters/current": ("GET", "POST"),
    "/api/reload": ("POST",),
}


async def answer(host: Host, head: Head, body: bytes) -> bytes:
    """Answer one request."""
    allowed = METHODS.get(head.path)
    method = "GET" if head.method == "HEAD" else head.method
    if allowed is None:
        paths = ", ".join(METHODS)
        return _error(404, f"There is nothing at {head.path}. Try {paths}, or a WebSocket.")
    if method not in allowed:
        return _error(405, f"{head.method} is not allowed; use {' or '.join(allowed)}.")
    if method == "POST":
        return await _post(host, head, body)
    content = _get(host, head.path)
    if head.path == "/metrics":
        text = "text/plain; version=0.0.4; charset=utf-8"
        return response(200, _metrics(host), text, head_only=head.method == "HEAD")
    status = 503 if head.path == "/healthz" and content["status"] != "ready" else 200
    return json_response(status, content, head_only=head.method == "HEAD")


def _error(status: int, text: str) -> bytes:
    return json_response(status, {"error": text})


def _get(host: Host, path: str) -> dict[str, object]:
    if path == "/healthz":
        return _health(host)
    names = sorted({"default", *host.config.characters})
    if path == "/api/characters/current":
        return {"name": host.active}
    return {"current": host.active, "characters": [{"name": name} for name in names]}


def _metrics(host: Host) -> bytes:
    if host.room.engines is not None:
        host.metrics.engines_waiting(host.room.engines.waiting())
    return host.metrics.text()


def _health(host: Host) -> dict[str, object]:
    engines = host.room.engines
    status = "stopping" if host.stopping.is_set() else "ready" if engines else "warming up"
    content: dict[str, object] = {"status": status, "version": __version__}
    if engines is not None:
        content["sessions"] = host.presence.count
        content["engines"] = {
            info.kind: attrs.asdict(info, filter=lambda a, _: a.name != "kind")
            for info in reversed(engines.infos())  # of several models, the default one
        }
    return content


async def _post(host: Host, head: Head, body: bytes) -> bytes:
    if refusal := _foreign(host, head):
        return _error(403, refusal)
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
    if head.header("content-type").partition(";")[0].strip() != "application/json":
        return "Send Content-Type: application/json. (Other pages cannot do so unasked.)"
    return ""


def origin_allowed(host: Host, head: Head) -> bool:
    """Whether the page that asks, if it is one, may talk to this host.

    A browser tells which page it is; one of another site could listen in on localhost.
    """
    origin, server = head.header("origin"), host.config.server
    try:
        own = urlsplit(origin).netloc == head.header("host")
        name = urlsplit(f"//{head.header('host')}").hostname or ""
    except ValueError:
        return False
    mine = own and (_is_own_name(name) or name in server.allowed_hosts)
    return mine or "*" in server.allowed_origins or origin in server.allowed_origins


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
