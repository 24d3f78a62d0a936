"""The hosts that are compared, each started afresh for a visit with the same models."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import attrs
import trio

from voicecore.bench.host import READY_S, STOP_S, Host, own_host
from voicecore.bench.stub_llm import MODEL
from voicecore.config import Config
from voicecore.errors import VoicecoreError
from voicecore.weights.files import ModelStore

OURS = "voicecore"

HERE = Path(__file__).parent

QUIET = {"LOGURU_LEVEL": "ERROR"}
"""Pipecat logs at debug if it is not told otherwise; a measured host should not pay for that."""


@attrs.frozen
class Llm:
    """The language model that all hosts ask."""

    url: str
    """With /v1."""
    model: str = MODEL


OpenHost: TypeAlias = Callable[[Llm], AbstractAsyncContextManager[Host]]


@asynccontextmanager
async def program(command: Sequence[str]) -> AsyncIterator[tuple[int, str]]:
    """Run a program until the block is left; give its process id and the URL of its first line.

    Raises:
        VoicecoreError: it ended, or gave no URL for `READY_S`.
    """
    process = await trio.lowlevel.open_process(
        list(command),
        stdout=subprocess.PIPE,
        cwd=HERE.parent.parent,
        env={**os.environ, **QUIET},
    )
    try:
        yield process.pid, await _ready(process)
    finally:
        process.terminate()
        with trio.move_on_after(STOP_S, shield=True) as patience:
            await process.wait()
        if patience.cancelled_caught:
            process.kill()


async def _ready(process: trio.Process) -> str:
    assert process.stdout is not None
    said = b""
    with trio.move_on_after(READY_S):
        while b"\n" not in said and (data := await process.stdout.receive_some()):
            said += data
    found = re.search(rb"https?://\S+", said)
    if found is None:
        raise VoicecoreError("A peer's host did not start; what it said is above.")
    return found.group().decode()


def stub_llm(first_ms: float, tokens_per_s: float) -> AbstractAsyncContextManager[tuple[int, str]]:
    command = [sys.executable, "-m", "voicecore.bench.stub_llm", "--first-ms", str(first_ms),
               "--tokens-per-s", str(tokens_per_s)]  # fmt: skip
    return program(command)


def voicecore(options: Sequence[str]) -> OpenHost:
    """Our own host, with options of ``voicecore serve``."""

    def open_host(llm: Llm) -> AbstractAsyncContextManager[Host]:
        # No tools: they would lengthen only our prompt.
        chosen = ["llm.engine=openai", f"llm.base_url={llm.url}", f"llm.model={llm.model}",
                  "llm.tools=off"]  # fmt: skip
        sets = [word for setting in chosen for word in ("--set", setting)]
        return own_host(["--offline", *sets, *options])

    return open_host


def pipecat(config: Config) -> OpenHost:
    """Pipecat, with the model files and instructions of our configuration.

    Raises:
        VoicecoreError: its environment was not made, or a model file is missing.
    """
    python = HERE / "pipecat" / ".venv" / "bin" / "python"
    if not python.exists():
        raise VoicecoreError(f"There is no {python}. Run benchmarks/peers/setup first.")
    files = ModelStore.of(config)
    character = config.character("default")
    assert character  # it always exists
    whisper, voice = files.folder(config.stt.model), files.file(config.tts.model, ".onnx")

    @asynccontextmanager
    async def open_host(llm: Llm) -> AsyncIterator[Host]:
        command = [str(python), "-m", "benchmarks.peers.pipecat.host", "--whisper", str(whisper),
                   "--voice", str(voice), "--llm", llm.url, "--model", llm.model,
                   "--instructions", character.prompt]  # fmt: skip
        begun_s = trio.current_time()
        async with program(command) as (pid, url):
            start_s = round(trio.current_time() - begun_s, 2)
            yield Host(url.replace("http", "ws", 1), pid, start_s=start_s)

    return open_host


PEERS: dict[str, Callable[[Config], OpenHost]] = {"pipecat": pipecat}
