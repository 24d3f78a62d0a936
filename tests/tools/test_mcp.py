"""Real servers: programs, and one on HTTP."""

from __future__ import annotations

import fcntl
import gc
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any, TextIO, TypeAlias

import attrs
import pytest
import structlog
import trio

from voicecore.config import McpServerConfig
from voicecore.tools.mcp import McpTools, connection, open_mcp, program
from voicecore.tools.tool import ToolContext, ToolError

SERVER = Path(__file__).with_name("mcp_server.py")

LITTLE = McpServerConfig(
    command=sys.executable,
    args=(str(SERVER),),
    env={"EXTRA": "1"},
    dangerous=False,
    start_timeout_ms=30_000,
)

PATIENCE_S = 30
"""Until a test has failed; no verdict depends on it."""

Logs: TypeAlias = list[MutableMapping[str, Any]]


@pytest.fixture
def logs() -> Iterator[Logs]:
    with structlog.testing.capture_logs() as entries:
        yield entries


def warnings(logs: Logs) -> Logs:
    return [entry for entry in logs if entry["log_level"] == "warning"]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "RELIST_PAUSE_S", 0.0)


async def call(
    tools: McpTools,
    name: str,
    progress: Callable[[float, str], None] = lambda percent, words: None,
    **arguments: object,
) -> str:
    context = ToolContext(
        character="default",
        client="client",
        folder=Path("unused"),
        wall_s=lambda: 0.0,
        progress=progress,
        notify=lambda text: None,
    )
    return await tools[name].call(tools[name].check(arguments), context)


async def until(true: Callable[[], bool]) -> None:
    with trio.fail_after(PATIENCE_S):
        while not true():  # noqa: ASYNC110
            await trio.sleep(0.01)


async def until_back(tools: McpTools) -> None:
    with trio.fail_after(PATIENCE_S):
        while True:
            try:
                assert await call(tools, "echo", text="back") == "back"
            except ToolError:
                await trio.sleep(0.05)
            else:
                return


async def use_everything(tools: McpTools) -> None:
    """What must be the same over both transports."""
    assert await call(tools, "echo", text="Grüße\n2") == "Grüße\n2"
    assert '"sum": 3' in await call(tools, "add", a=1, b=2)
    assert await call(tools, "picture") == "[a picture, image/png, 4 kB]"
    with pytest.raises(ToolError, match="the bridge is up"):
        await call(tools, "fails")
    with pytest.raises(ToolError, match="b: 'two' is not of type 'integer'"):
        await call(tools, "add", a=1, b="two")
    await interrupt_a_slow_one(tools)
    assert await call(tools, "learn") == "learnt"
    await until(lambda: "echo_again" in tools)
    assert await call(tools, "echo_again", text="x") == "x"


async def interrupt_a_slow_one(tools: McpTools) -> None:
    told: list[tuple[float, str]] = []
    with trio.fail_after(PATIENCE_S), trio.CancelScope() as scope:

        def hear(percent: float, words: str) -> None:
            told.append((percent, words))
            if len(told) == 2:
                scope.cancel()

        await call(tools, "slow", hear)
    assert sorted(told) == [(25.0, "one"), (50.0, "two")]


async def test_a_program(logs: Logs, capfd: pytest.CaptureFixture[str]) -> None:
    async with open_mcp({"little": LITTLE}) as tools:
        assert {tool.origin for tool in tools.values()} == {"mcp:little"}
        assert not any(tool.dangerous for tool in tools.values())
        assert tools["echo"].spec.description == "Say it again."
        await use_everything(tools)
        await until(lambda: any(entry.get("text") == "slow was cancelled" for entry in logs))
        names = set((await call(tools, "environment")).split())
        assert {"PATH", "EXTRA"} <= names
        assert not {name for name in names if name.startswith("PYTEST")}
        with pytest.raises(ToolError, match="little stopped during the call"):
            await call(tools, "dies")
        await until_back(tools)
    assert [entry["reason"] for entry in warnings(logs)] == ["it ended with status 3"]
    assert capfd.readouterr() == ("", "")


ODD = {
    "import sys; sys.exit('no licence')": "it ended with status 1 (no licence)",
    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)": "it was ended by signal 9",
    "print('{}\\n' * 101, flush=True); input()": "what it writes are no MCP messages",
    "import sys\nwhile sys.stdout.write('x' * 65536): pass": "it sent a message over 4194304 bytes",
    "import os, time; os.close(0); time.sleep(60)": "it was not ready within 300 ms "
    "(mcp.odd.start_timeout_ms)",
}


@pytest.mark.parametrize(("code", "reason"), ODD.items(), ids=range(len(ODD)))
async def test_an_odd_program_is_done_without(
    code: str,
    reason: str,
    logs: Logs,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(program, "EXIT_S", 0.1)
    timeout_ms = 300 if "start_timeout" in reason else 30_000
    odd = McpServerConfig(command=sys.executable, args=("-c", code), start_timeout_ms=timeout_ms)
    async with open_mcp({"odd": odd}) as tools:
        assert not tools
        await until(lambda: bool(warnings(logs)))
    assert warnings(logs)[0]["reason"] == reason
    assert capfd.readouterr() == ("", "")


async def test_a_program_that_is_not_there_is_told(logs: Logs) -> None:
    async with open_mcp({"none": McpServerConfig(command="no-such-program")}) as tools:
        assert not tools
    (entry,) = warnings(logs)
    assert "No such file or directory: 'no-such-program'" in entry["reason"]
    assert "[mcp.none] command" in entry["advice"]


FAMILY = """
import fcntl, json, signal, subprocess, sys
lock = open(sys.argv[1])
fcntl.flock(lock, fcntl.LOCK_EX)
ignore = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)"
subprocess.Popen([sys.executable, "-c", ignore], pass_fds=[lock.fileno()])
hello = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
         "serverInfo": {"name": "family", "version": "1"}}
says = {"initialize": hello, "tools/list": {"tools": []}}
print("Welcome!")
for line in sys.stdin:
    asked = json.loads(line)
    if "id" in asked:
        answer = {"jsonrpc": "2.0", "id": asked["id"], "result": says[asked["method"]]}
        print(json.dumps(answer), flush=True)
if sys.argv[2] == "stubborn":
    exec(ignore)
"""


@pytest.mark.parametrize("kind", ["stubborn", "polite"])
@pytest.mark.parametrize("leave", ["cancelled", "done"])
async def test_a_program_and_its_children_are_gone_afterwards(
    kind: str, leave: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    monkeypatch.setattr(program, "EXIT_S", 0.1)
    lock = tmp_path / "lock"
    lock.touch()
    args = ("-c", FAMILY, str(lock), kind)
    family = McpServerConfig(command=sys.executable, args=args, start_timeout_ms=30_000)
    with trio.CancelScope() as scope:
        async with open_mcp({"family": family}):
            assert [entry["event"] for entry in logs] == ["a tool server is ready"]
            if leave == "cancelled":
                scope.cancel()
                await trio.lowlevel.checkpoint()
    with lock.open() as file:
        await until(lambda: is_free(file))  # it is held as long as one of the two lives


def is_free(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@attrs.define(eq=False)
class Web:
    """Servers on one address, one after the other. The socket stays: nobody finds it closed."""

    listening: socket.socket
    running: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listening.getsockname()[1]}/mcp"

    def start(self) -> None:
        fd = self.listening.fileno()
        command = [sys.executable, str(SERVER), "http", str(fd), "secret"]
        self.running = subprocess.Popen(command, pass_fds=[fd], stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        if self.running:
            self.running.kill()
            self.running.wait()


@pytest.fixture
def web() -> Iterator[Web]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        web = Web(listening)
        web.start()
        yield web
        web.stop()


# The SDK leaves its streams of events before their end; Trio then closes them, with a warning.
@pytest.mark.filterwarnings(r"ignore:Async generator 'http(x|core)2\.:ResourceWarning")
async def test_a_server_on_http(web: Web, monkeypatch: pytest.MonkeyPatch, logs: Logs) -> None:
    monkeypatch.setenv("TOKEN", "secret")
    monkeypatch.setenv("WRONG", "guess")
    monkeypatch.delenv("UNSET", raising=False)
    servers = {
        "web": McpServerConfig(url=web.url, token_env="TOKEN", start_timeout_ms=30_000),
        "wrong": McpServerConfig(url=web.url, token_env="WRONG", start_timeout_ms=30_000),
        "unset": McpServerConfig(url=web.url, token_env="UNSET"),
        "closed": McpServerConfig(url="http://127.0.0.1:1/mcp"),
    }
    async with open_mcp(servers) as tools:
        assert {tool.origin for tool in tools.values()} == {"mcp:web"}
        await use_everything(tools)
        told = {entry["server"]: entry["reason"] for entry in warnings(logs)}
        assert "HTTP 401" in told["wrong"]
        assert "UNSET with its token is not set" in told["unset"]
        assert "127.0.0.1:1 failed" in told["closed"]
        web.stop()
        web.start()  # knows nothing of our session
        with pytest.raises(ToolError, match="Session not found"):
            await call(tools, "echo", text="x")
        await until_back(tools)
        with pytest.raises(ToolError, match=r"web did not do it|web stopped during the call"):
            await call(tools, "dies")
        with pytest.raises(ToolError, match=r"web is not there now|web stopped during the call"):
            await call(tools, "echo", text="x")
    gc.collect()  # within the filter above
