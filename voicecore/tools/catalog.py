"""Which tools there are, which of them may be used, and which a character gets.

A tool is an entry point in the group ``voicecore.tools`` (a function, or a `Tool`), or a function
named in ``tools.functions``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from itertools import chain

import structlog

from voicecore.config import Config, ToolsConfig
from voicecore.errors import ConfigError
from voicecore.tools.function import foreign, tool_of
from voicecore.tools.tool import Tool

log = structlog.get_logger()

GROUP = "voicecore.tools"
EXTRA = frozenset({"pint", "simpleeval"})
"""Modules of ``voicecore[tools]``: without them, the tools that need them are not offered."""


_PLACE = re.compile(r"[\w.]+:[\w.]+")


def load_tools(config: ToolsConfig) -> Mapping[str, Tool]:
    """Import all tools, allowed or not; by name, in an order that stays the same.

    Those of the configuration come first, then those of other packages, then ours: a model with
    little room is told of the first ones only.

    Raises:
        ConfigError: one cannot be imported, no tool can be made of it, or two have the same name.
    """
    tools: dict[str, Tool] = {}
    for place, found in _found(config):
        origin = place.partition(":")[0].partition(".")[0]
        tool = found if isinstance(found, Tool) else tool_of(found, origin=origin)
        if tool.name in tools:
            raise ConfigError(
                f"Two tools are called {tool.name!r}, one of {tools[tool.name].origin} and "
                f"{place}. Give one of them another name: @tool(name=...)."
            )
        tools[tool.name] = tool
    return tools


def full_name(tool: Tool) -> str:
    """The name by which the configuration speaks of a tool.

    Those of an MCP server bear its name (``files/read_file``): another server, which may choose its
    tools' names as it likes, must not get what was allowed to this one.
    """
    server = tool.origin.removeprefix("mcp:")
    return tool.name if server == tool.origin else f"{server}/{tool.name}"


def off(tool: Tool, config: ToolsConfig) -> str:
    """Why a tool may not be used, and what allows it; empty if it may."""
    name = full_name(tool)
    for denied in (name, tool.name, "*"):
        if denied in config.deny:
            return f"denied; take {denied!r} out of tools.deny"
    if tool.dangerous and name not in config.allow:
        return f"dangerous; to allow it, add {name!r} to tools.allow"
    return ""


def allowed(tools: Mapping[str, Tool], config: ToolsConfig) -> Mapping[str, Tool]:
    """Leave out what the configuration denies, and what is dangerous and not allowed by name."""
    return {name: tool for name, tool in tools.items() if not off(tool, config)}


def for_character(tools: Mapping[str, Tool], names: tuple[str, ...]) -> Mapping[str, Tool]:
    """Select a character's tools (`CharacterConfig.tools`) of those that are allowed, in its order.

    A name that is not there is left out: the server that brings it may be down.
    """
    order = chain.from_iterable(tools if name == "*" else (name,) for name in names)
    return {name: tools[name] for name in order if name in tools}


def warn_of_missing(tools: Mapping[str, Tool], config: Config) -> None:
    """Tell the log which names in the configuration are those of no tool that is there."""
    named = {*config.tools.allow, *config.tools.deny}
    named.update(*(profile.tools for profile in config.characters.values()))
    known = {*tools, *map(full_name, tools.values()), "*"}
    for name in sorted(named - known):
        log.warning("the configuration names a tool that is not there", tool=name)


def _found(config: ToolsConfig) -> Iterator[tuple[str, object]]:
    """Import everything that is to be a tool; yields where it was found, and what it is."""
    for place in config.functions:
        what = f"tools.functions: {place!r}"
        if not _PLACE.fullmatch(place):
            raise ConfigError(f"{what} is not of the form 'package.module:function'.")
        entry = EntryPoint(name=place, value=place, group=GROUP)
        yield place, _load(entry, what, "It must be installed, or in a folder of PYTHONPATH.")
    for entry in sorted(entry_points(group=GROUP), key=_others_first):
        found = _load(entry, f"The tool {entry.name!r} ({entry.value})", "Reinstall its package.")
        if found is not None:
            yield entry.value, found


def _others_first(entry: EntryPoint) -> tuple[bool, str, str]:
    return entry.value.startswith("voicecore."), entry.value, entry.name


def _load(entry: EntryPoint, what: str, remedy: str) -> object:
    """Import a tool; None for one of ours whose library is not installed."""
    with foreign(f"{what} cannot be imported", ConfigError):
        try:
            return entry.load()
        except (ImportError, AttributeError) as error:
            missing = isinstance(error, ImportError) and error.name in EXTRA
            if missing and entry.value.startswith("voicecore."):
                log.debug("a tool is not offered", tool=entry.name, missing=error.name)
                return None
            raise ConfigError(f"{what} cannot be imported: {error}. {remedy}") from error
