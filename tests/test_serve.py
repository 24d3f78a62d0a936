"""``voicecore serve`` as a process: reloading by signal and by file, tools, and a clean end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from websockets.sync.client import ClientConnection, connect

CONFIG = """\
[stt]
engine = "fake"
[llm]
engine = "fake"
[tts]
engine = "fake"
[vad]
engine = "fake"
[turn]
engine = "fake"
[logs]
format = "json"
[paths]
data = "data"
"""
ROBIN = '\n[characters.robin]\nprompt = "You are Robin."\ngreeting = "Hello, I am Robin."\n'


@contextmanager
def serving(config: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "voicecore", "serve", "--config", str(config), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    try:
        ready = process.stdout.readline()
        assert "ready" in ready, process.communicate()[1]
        yield ready.split("//")[1].strip(), process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "voicecore.toml"
    path.write_text(CONFIG)
    return path


def until(socket: ClientConnection, kind: str) -> dict[str, object]:
    while True:
        message: dict[str, object] = json.loads(socket.recv(timeout=20))
        if message["type"] == kind:
            return message


def characters(address: str) -> list[str]:
    with urlopen(f"http://{address}/api/characters", timeout=20) as answer:
        return [each["name"] for each in json.load(answer)["characters"]]


def test_a_change_of_the_file_is_used_while_a_client_stays(config: Path) -> None:
    with serving(config) as (address, _), connect(f"ws://{address}/ws/default") as socket:
        assert characters(address) == ["default"]
        config.write_text(CONFIG + ROBIN)
        until(socket, "reload_page")
        assert characters(address) == ["default", "robin"]
        with connect(f"ws://{address}/ws/robin") as robin:
            robin.send(json.dumps({"action": "start_session", "input_type": "text"}))
            assert until(robin, "text")["text"] == "Hello, I am Robin."
        socket.send(json.dumps({"action": "ping"}))
        until(socket, "pong")


def test_a_number_of_absurd_length_is_refused_and_the_connection_stays(config: Path) -> None:
    with serving(config) as (address, _), connect(f"ws://{address}/ws") as socket:
        socket.send('{"type": "ping", "x": ' + "9" * 700 + "}")
        assert "too many digits" in str(until(socket, "error")["error"])
        socket.send('{"type": "ping", "x": ' + "9" * 600 + "}")
        until(socket, "pong")


def test_sighup_reloads_and_a_wrong_file_changes_nothing(config: Path) -> None:
    with serving(config) as (address, process):
        with connect(f"ws://{address}/ws/default") as socket:
            config.write_text(CONFIG + ROBIN)
            process.send_signal(signal.SIGHUP)
            until(socket, "reload_page")
            config.write_text(CONFIG + ROBIN + "charakters = 3\n")
            process.send_signal(signal.SIGHUP)
            socket.send(json.dumps({"action": "ping"}))
            until(socket, "pong")
        request = Request(
            f"http://{address}/api/reload",
            data=b"{}",
            headers={"Content-Type": "application/json"},
        )
        with pytest.raises(OSError, match="422"):
            urlopen(request, timeout=20)
        assert characters(address) == ["default", "robin"]
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 0
        assert "the new configuration is not used" in errors
        assert "Traceback" not in errors


def test_a_tool_that_cannot_be_imported_ends_the_start_with_one_line(config: Path) -> None:
    config.write_text(CONFIG + '[tools]\nfunctions = ["no_such_module:f"]\n')
    done = subprocess.run(
        [sys.executable, "-m", "voicecore", "serve", "--config", str(config), "--port", "0"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "no_such_module" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_mcp_server_that_does_not_start_does_not_keep_the_host(config: Path) -> None:
    config.write_text(CONFIG + '[mcp.broken]\ncommand = "/no/such/program"\n')
    with serving(config) as (address, _):
        assert characters(address) == ["default"]
