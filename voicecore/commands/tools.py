"""``voicecore tools``: what characters can do besides talking, and what is off."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any

import trio
from rich.console import Console
from rich.table import Table
from rich.text import Text

from voicecore import configfile, logs
from voicecore.commands.options import add_config_options
from voicecore.config import Config
from voicecore.tools.catalog import load_tools, off
from voicecore.tools.tool import Tool


def add_parser(subparsers: Any) -> None:
    """Add the command to the subparsers that `argparse` made."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "tools",
        help="list the tools that characters can use",
        description="List all tools, those of MCP servers too, which are started for it. A tool "
        "that is off says what allows it.",
        epilog="""example: voicecore tools --set 'tools.allow=["NAME"]'""",
    )
    parser.add_argument("--json", action="store_true", help="a JSON list for programs")
    add_config_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    config = configfile.load(args.config, args.overrides)
    logs.configure(config.logs)  # standard output is for the list
    tools = trio.run(find_tools, config)
    if args.json:
        listed = [_as_json(tool, config) for tool in tools.values()]
        print(json.dumps(listed, indent=2, ensure_ascii=False))
    else:
        # Into a pipe or a file, no line is to be wrapped.
        Console(width=None if sys.stdout.isatty() else 200).print(_table(tools, config))
    return 0


async def find_tools(config: Config) -> Mapping[str, Tool]:
    """Load all tools, and ask the MCP servers for theirs.

    Raises:
        ConfigError: a tool cannot be loaded, or a server is configured wrongly.
    """
    own = load_tools(config.tools)
    if not config.mcp:
        return own
    from voicecore.tools.mcp import open_mcp  # noqa: PLC0415

    async with open_mcp(config.mcp, taken=own) as served:
        return {**own, **served}


def _table(tools: Mapping[str, Tool], config: Config) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("NAME", "ORIGIN", "STATE", "DESCRIPTION"):
        table.add_column(title, no_wrap=title == "NAME")
    for tool in tools.values():
        why = off(tool, config.tools)
        state = f"off: {why}" if why else "allowed"
        # Text, because [ ] in foreign words is no markup.
        table.add_row(*map(Text, (tool.name, tool.origin, state, _first(tool))))
    return table


def _first(tool: Tool) -> str:
    lines = tool.description.strip().splitlines()
    return lines[0] if lines else ""


def _as_json(tool: Tool, config: Config) -> dict[str, object]:
    why = off(tool, config.tools)
    return {
        "name": tool.name,
        "origin": tool.origin,
        "allowed": not why,
        "off": why,
        "dangerous": tool.dangerous,
        "detached": tool.detached,
        "description": tool.description,
        "parameters": tool.parameters,
    }
