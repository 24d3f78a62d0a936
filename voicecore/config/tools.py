"""What characters may do besides talking."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
from attrs.validators import gt


@attrs.frozen(kw_only=True)
class ToolsConfig:
    """What a character may do besides talking."""

    functions: tuple[str, ...] = ()
    """Python functions of your own, as ``package.module:function``."""
    allow: tuple[str, ...] = ()
    """Dangerous tools that may be used, by name (those of MCP servers as ``SERVER/TOOL``)."""
    deny: tuple[str, ...] = ()
    """Tools nobody may use, by name; ``*`` for all."""
    timeout_ms: int = attrs.field(default=30_000, validator=gt(0))
    """For one call; then it is cancelled, and the model is told."""
    max_running: int = attrs.field(default=4, validator=gt(0))
    """Calls running at once for one client; more wait their turn."""
    max_waiting: int = attrs.field(default=32, validator=gt(0))
    """Calls, timers included, that one client may have waiting or running."""
    max_rounds: int = attrs.field(default=4, validator=gt(0))
    """Times the model may call tools within one turn; then it must answer."""
    max_result_chars: int = attrs.field(default=4_000, validator=gt(0))
    """Of one result given to the model; the rest is left out, and the model is told."""
    filler_ms: int = attrs.field(default=1_000, validator=gt(0))
    """A tool that takes longer has the person told, once a turn, that it is at work."""
    filler: str = "One moment, please."
    """What is said then; empty for nothing."""


@attrs.frozen(kw_only=True)
class McpServerConfig:
    """A server of tools that speaks the Model Context Protocol: a program, or an address."""

    command: str = ""
    """The program, spoken with over its standard input and output."""
    args: tuple[str, ...] = ()
    """Its arguments."""
    env: Mapping[str, str] = attrs.field(factory=dict)
    """Added to the little of the environment that it gets (PATH, HOME and the like)."""
    url: str = ""
    """Or the address of a server that runs already (streamable HTTP)."""
    token_env: str = ""
    """The environment variable that holds its bearer token."""
    dangerous: bool = True
    """Its tools must be allowed by name (``tools.allow``). False trusts them all."""
    start_timeout_ms: int = attrs.field(default=10_000, validator=gt(0))
    """For it to start and list its tools; beyond, the host runs without it."""
