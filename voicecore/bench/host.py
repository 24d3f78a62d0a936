"""The host that is measured: one of our own, or any other; and what the kernel counts of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import attrs
import httpx2
import trio

from voicecore.bench.stub_llm import MODEL
from voicecore.errors import VoicecoreError

READY_S = 180.0
"""For a host to load its models on a busy machine."""

STOP_S = 10.0

OWN_SETTINGS = (
    "logs.level=error",
    "server.max_sessions=64",
    "server.max_sessions_per_address=64",
)
"""Of a host of our own: crowds come from one address."""

_PEAK = re.compile(r'^voicecore_queue_peak\{queue="([^"]+)"\} (\S+)', re.MULTILINE)


@attrs.frozen
class Host:
    """A host under test."""

    url: str
    pid: int | None = None
    """Its process on this machine; None if it is unknown."""
    sessions: Path | None = None
    """The folder of its conversations; None if they cannot be read."""
    start_s: float | None = None
    """From the command to its ready line."""

    def cpu_s(self) -> float | None:
        """Give the processor seconds of the host and its children so far (Linux)."""
        return None if self.pid is None else sum(map(_cpu_s, _family(self.pid)))

    def resident_mb(self) -> float | None:
        return None if self.pid is None else round(sum(map(_resident_mb, _family(self.pid))), 1)

    async def queue_peaks(self) -> dict[str, float]:
        """Ask the host's `/metrics` for the most that waited in its queues; {} if it has none."""
        parts = urlsplit(self.url)
        scheme = "https" if parts.scheme == "wss" else "http"
        try:
            async with httpx2.AsyncClient(timeout=2.0) as client:
                text = (await client.get(f"{scheme}://{parts.netloc}/metrics")).text
        except httpx2.HTTPError:
            return {}
        return {name: float(value) for name, value in _PEAK.findall(text)}


def _family(pid: int) -> list[int]:
    """A process and its descendants that still live."""
    try:
        tasks = Path(f"/proc/{pid}/task")
        children = [int(x) for t in tasks.iterdir() for x in (t / "children").read_text().split()]
    except OSError:
        return [pid]
    return [pid, *(each for child in children for each in _family(child))]


def _cpu_s(pid: int) -> float:
    fields = _proc(pid, "stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mb(pid: int) -> float:
    return int(_proc(pid, "status").split("VmRSS:")[1].split()[0]) / 1024


def _proc(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8")
    except OSError as error:
        raise VoicecoreError(f"The process {pid} cannot be measured: {error.strerror}.") from error


# --- a host of our own ---------------------------------------------------------------------------


@asynccontextmanager
async def own_host(
    options: Sequence[str], *, stub: Sequence[str] | None = None
) -> AsyncIterator[Host]:
    """Start a host on a free port with a folder of its own; it is stopped on leaving.

    Args:
        options: of ``voicecore serve``, such as ``--set KEY=VALUE``.
        stub: options of a stub language model to start beside it; None: the configured model.

    Raises:
        VoicecoreError: it does not start.
    """
    async with AsyncExitStack() as stack:
        data = stack.enter_context(tempfile.TemporaryDirectory(prefix="voicecore-bench-"))
        settings = [f"paths.data={data}", *OWN_SETTINGS]
        if stub is not None:
            command = ["voicecore.bench.stub_llm", *stub]
            _, url = await stack.enter_async_context(_program(command))
            settings += ["llm.engine=openai", f"llm.model={MODEL}", f"llm.base_url={url}"]
        begun_s = trio.current_time()
        chosen = [word for setting in settings for word in ("--set", setting)]
        command = ["voicecore", "serve", "--port", "0", *chosen, *options]
        pid, url = await stack.enter_async_context(_program(command))
        start_s = round(trio.current_time() - begun_s, 2)
        address = url.replace("http", "ws", 1).rstrip("/")
        yield Host(address, pid, Path(data) / "sessions", start_s)


@asynccontextmanager
async def _program(command: Sequence[str]) -> AsyncIterator[tuple[int, str]]:
    """Run a module until the block is left; give its process id and the URL in its ready line."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", *command], stdout=subprocess.PIPE
    )
    try:
        yield process.pid, await _ready(process, command[0])
    finally:
        process.terminate()
        with trio.move_on_after(STOP_S, shield=True) as patience:
            await process.wait()
        if patience.cancelled_caught:
            process.kill()


async def _ready(process: trio.Process, name: str) -> str:
    assert process.stdout is not None
    said = b""
    with trio.move_on_after(READY_S):
        while b"\n" not in said:
            data = await process.stdout.receive_some()
            if not data:
                break
            said += data
    found = re.search(rb"https?://\S+", said)
    if found is None:
        raise VoicecoreError(f"{name} did not start; what it said is above.")
    return found.group().decode()
