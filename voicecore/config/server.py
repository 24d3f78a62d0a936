"""The host itself: where it listens, keeps its files, and what it tells of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import attrs
from attrs.validators import ge, gt, le


@attrs.frozen(kw_only=True)
class ServerConfig:
    """Where the host listens, and what it takes from a client."""

    host: str = "127.0.0.1"
    """The address to listen on: ``0.0.0.0`` for every network the machine is in."""
    port: int = attrs.field(default=3000, validator=[ge(0), le(65535)])
    """0 lets the system choose; the ready line tells which."""
    max_sessions: int = attrs.field(default=32, validator=gt(0))
    """Live sockets. One more is refused with 503: a person would rather hear "busy" than wait."""
    max_message_bytes: int = attrs.field(default=16 * 1024 * 1024, validator=gt(0))
    """10 MB pictures (wire.md 1.2) are 13.4 MB as base64. A larger frame closes with 1009."""
    max_text_chars: int = attrs.field(default=16_000, validator=gt(0))
    """Of a typed message, or of a text to be spoken: twice what a small model's context holds."""
    max_bad_messages: int = attrs.field(default=10, validator=gt(0))
    """Malformed frames in a row until the connection is closed with 1008 (wire.md)."""
    max_sessions_per_address: int = attrs.field(default=8, validator=gt(0))
    """Live sockets of one client address: a page in a loop must not take all places."""
    character: str = "default"
    """The active character: who answers ``/ws``, and whom a client of an unknown name is sent to.
    Changing it while the host runs sends the clients of the old one to the new one."""
    dialect: Literal["auto", "documented", "native"] = "auto"
    """How the host speaks N.E.K.O.: as documented, as the shipped clients understand it, or
    ``auto``: as documented until a client shows that it is a shipped one."""
    request_timeout_ms: int = attrs.field(default=10_000, validator=gt(0))
    """For a complete HTTP request head, and for a client to take each 64 kB of an answer, so that
    silent connections do not pile up."""
    drain_ms: int = attrs.field(default=3_000, validator=ge(0))
    """From SIGTERM until what is still open is cut: time for farewells and the last writes."""
    allowed_origins: tuple[str, ...] = ()
    """Web origins besides the host's own that may connect; ``*`` for any. Programs always may."""
    allowed_hosts: tuple[str, ...] = ()
    """Names under which pages of this host itself may be opened, besides ``localhost``, the
    machine's name and every address: a name that others own could point here."""


@attrs.frozen(kw_only=True)
class PathsConfig:
    """Where voicecore keeps its files."""

    data: Path = Path("~/.local/share/voicecore")
    """Conversations, one SQLite file each, under ``sessions/``."""
    models: Path = Path("~/.cache/voicecore/models")
    """Fetched model files, verified."""

    def expanded(self) -> PathsConfig:
        return PathsConfig(data=self.data.expanduser(), models=self.models.expanduser())


@attrs.frozen(kw_only=True)
class LogConfig:
    """What the host tells about itself."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least serious kind of line that is written."""
    format: Literal["auto", "console", "json"] = "auto"
    """``auto``: coloured lines on a terminal, JSON lines elsewhere."""
    content: bool = False
    """True writes what was said and answered into the log. Sound is never logged."""
