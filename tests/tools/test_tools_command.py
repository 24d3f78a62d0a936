from __future__ import annotations

import argparse
import json
from collections.abc import AsyncIterator, Container, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import structlog

import voicecore.tools.mcp
from voicecore import logs
from voicecore.commands import tools
from voicecore.config import McpServerConfig
from voicecore.errors import ConfigError
from voicecore.tools import catalog
from voicecore.tools.function import tool, tool_of
from voicecore.tools.tool import Tool

MCP = '[mcp.files]\ncommand = "files-server"\n'


@pytest.fixture(autouse=True)
def _one_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = EntryPoint("get_time", "voicecore.tools.builtin.clock:get_time", catalog.GROUP)
    monkeypatch.setattr(catalog, "entry_points", lambda *, group: [clock])
    monkeypatch.setattr(logs, "configure", lambda config: None)


@tool(dangerous=True)
def read_file(path: str) -> str:
    """Read a [bold] file.

    Whichever.
    """
    return path


@asynccontextmanager
async def one_server(
    servers: Mapping[str, McpServerConfig], *, taken: Container[str] = ()
) -> AsyncIterator[Mapping[str, Tool]]:
    assert "get_time" in taken
    assert [config.command for config in servers.values()] == ["files-server"]
    yield {"read_file": tool_of(read_file, origin="files")}


def voicecore_tools(*arguments: str) -> int:
    parser = argparse.ArgumentParser(prog="voicecore")
    tools.add_parser(parser.add_subparsers(required=True))
    args = parser.parse_args(["tools", *arguments])
    code = args.run(args)
    assert isinstance(code, int)
    return code


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert voicecore_tools() == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["NAME", "ORIGIN", "STATE", "DESCRIPTION"]
    assert row.split(maxsplit=3) == [
        "get_time", "voicecore", "allowed", "Tell the current time of day and the date.",
    ]  # fmt: skip


def test_the_tools_of_mcp_servers_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(voicecore.tools.mcp, "open_mcp", one_server)
    config = tmp_path / "voicecore.toml"
    config.write_text(MCP)
    assert voicecore_tools("--config", str(config)) == 0
    row = capsys.readouterr().out.splitlines()[2]
    assert row.startswith("read_file  files")
    assert "off: dangerous; to allow it, add 'read_file' to tools.allow" in row
    assert row.rstrip().endswith("Read a [bold] file.")

    assert voicecore_tools("--config", str(config), "--set", 'tools.allow=["read_file"]') == 0
    assert "allowed" in capsys.readouterr().out.splitlines()[2]


def test_the_list_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert voicecore_tools("--json", "--set", 'tools.deny=["get_time"]') == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert listed["name"] == "get_time"
    assert listed["allowed"] is False
    assert listed["off"] == "denied; take 'get_time' out of tools.deny"
    assert listed["dangerous"] is listed["detached"] is False
    assert listed["parameters"]["properties"]["timezone"]["type"] == "string"


def test_a_tool_that_cannot_be_loaded_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match=r"tools\.functions: 'nowhere:f' cannot be imported"):
        voicecore_tools("--set", 'tools.functions=["nowhere:f"]')


def test_a_servers_wrong_configuration_is_told(tmp_path: Path) -> None:
    config = tmp_path / "voicecore.toml"
    config.write_text("[mcp.files]\n")
    with pytest.raises(ConfigError, match=r"\[mcp.files\]"):
        voicecore_tools("--config", str(config))


def test_the_log_stays_out_of_the_list(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(catalog, "entry_points", lambda *, group: [])
    assert voicecore_tools("--json", "--set", "logs.level=debug") == 0
    structlog.get_logger().warning("something else")
    assert json.loads(capsys.readouterr().out) == []
