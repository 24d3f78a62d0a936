"""A host of its own, spoken to in real time: latency by stage, and what it costs.

    python -m benchmarks.conversation [--turns N] [--json FILE] [--set SECTION.KEY=VALUE ...]

Start-up, resident memory, CPU of a client that listens in silence, voice-to-voice time by stage
with the share of turns that were split, and how fast pause and interruption silence the reply.
Latency is measured on the received waveform: last spoken sample to first audible sample.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs
import numpy as np
import trio
from rich.console import Console
from rich.table import Table

from voicecore import configfile
from voicecore.audio import EAR_HZ, MOUTH_HZ, Pcm, Samples, resample
from voicecore.client import Exchange, NekoClient, open_client
from voicecore.commands.say import speak
from voicecore.config import Config
from voicecore.engines import open_engine
from voicecore.weights.files import ModelStore

QUESTIONS = (
    "What is the capital of France?",
    "Can you tell me a fun fact about cats?",
    "How do I boil an egg?",
    "What should I wear when it rains?",
    "Who wrote Romeo and Juliet?",
    "Why is the sky blue?",
    "Good morning.",
    "What is a good name for a dog?",
)
SPEEDS = (0.9, 1.0, 1.15)
"""Of the asking voice: people do not all speak at one pace."""
IDLE_S = 20
LONG_QUESTION = "Please tell me a long story about a dragon and a princess."
STAGES = ("endpoint", "recognition", "first token", "first phrase", "voice", "sending")


@attrs.frozen
class Row:
    """One figure over its runs."""

    name: str
    unit: str
    values: tuple[float, ...]

    def as_json(self) -> str:
        return json.dumps(
            {
                "name": self.name,
                "unit": self.unit,
                "n": len(self.values),
                "median": round(statistics.median(self.values), 2),
                "p95": round(percentile(self.values, 95), 2),
            }
        )


def percentile(values: Sequence[float], percent: float) -> float:
    return float(np.percentile(values, percent))


@attrs.frozen
class HostProcess:
    """A running host and what the kernel counts of it (Linux)."""

    process: subprocess.Popen[str]
    url: str
    start_s: float

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


@contextmanager
def running_host(overrides: Iterable[str]) -> Iterator[HostProcess]:
    options = [word for override in overrides for word in ("--set", override)]
    with tempfile.TemporaryDirectory() as data:
        begun = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "voicecore", "serve", "--port", "0", "--offline",
             "--set", f"paths.data={data}", "--set", "logs.level=error", *options],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout
        ready = process.stdout.readline()
        start_s = time.perf_counter() - begun
        if "ready" not in ready:
            raise SystemExit("The host did not start; its message is above.")
        try:
            address = ready.split("//")[1].strip()
            yield HostProcess(process, f"ws://{address}/ws/default", start_s)
        finally:
            process.terminate()
            process.wait(timeout=30)


async def spoken(config: Config, texts: Sequence[str]) -> list[Samples]:
    """Speak each text, at varied speeds, as 16 kHz sound."""
    async with open_engine(config, "tts", ModelStore.of(config)) as tts:
        return [
            resample(Pcm(await speak(tts, text, speed=speed), MOUTH_HZ), EAR_HZ).samples
            for index, text in enumerate(texts)
            for speed in [SPEEDS[index % len(SPEEDS)]]
        ]


async def conversation(url: str, questions: Sequence[Samples]) -> list[tuple[Exchange, int]]:
    """Ask all questions in one conversation; with each, how many transcripts it became."""
    exchanges = []
    async with open_client(url) as client:
        await client.start()
        for question in questions:
            pieces = 0

            def count(message: dict[str, object]) -> None:
                nonlocal pieces
                pieces += message["type"] == "user_transcript"

            exchanges.append((await client.ask(question, on_message=count), pieces))
            await trio.sleep(0.5)
    return exchanges


async def silence(host: HostProcess) -> float:
    """Percent of a core that a client listening in silence costs."""
    async with open_client(host.url) as client, trio.open_nursery() as nursery:
        await client.start()
        nursery.start_soon(drain, client, [])
        nursery.start_soon(client.microphone, np.zeros(0, np.int16))
        await trio.sleep(2)
        before_s, begun_s = host.cpu_s(), trio.current_time()
        await trio.sleep(IDLE_S)
        percent = (host.cpu_s() - before_s) / (trio.current_time() - begun_s) * 100
        nursery.cancel_scope.cancel()
    return percent


async def drain(client: NekoClient, received: list[tuple[float, dict[str, object]]]) -> None:
    while True:
        message = await client.receive()
        received.append((trio.current_time(), message))


async def until_silent(url: str, *, interruption: Samples | None) -> float:
    """Milliseconds from a pause, or from the first sample of an interruption, to the last sound."""
    received: list[tuple[float, dict[str, object]]] = []
    async with open_client(url) as client, trio.open_nursery() as nursery:
        await client.start()
        nursery.start_soon(drain, client, received)
        await client.send("stream_data", input_type="text", data=LONG_QUESTION)
        with trio.fail_after(60):
            while not any(m["type"] == "audio" for _, m in received):  # noqa: ASYNC110
                await trio.sleep(0.01)
        await trio.sleep(0.7)
        begun_s = trio.current_time()
        if interruption is None:
            await client.send("pause_session")
        else:
            nursery.start_soon(client.microphone, interruption)
        await trio.sleep(1.2)
        nursery.cancel_scope.cancel()
    notice = "status" if interruption is None else "user_activity"
    told = [at for at, message in received if message["type"] == notice and at >= begun_s]
    last = max(
        [at for at, m in received if m["type"] == "audio" and at >= begun_s], default=begun_s
    )
    assert told, "the client was not told"
    return (max(last, told[0]) - begun_s) * 1000


def rows(host: HostProcess, config: Config, turns: int, console: Console) -> list[Row]:
    found = [
        Row("start-up", "s", (host.start_s,)),
        Row("resident memory at start", "MB", (host.resident_mb(),)),
    ]
    with console.status("Speaking the questions ..."):
        texts = [QUESTIONS[index % len(QUESTIONS)] for index in range(turns)]
        questions = trio.run(spoken, config, texts)
        begin = next(i for i, s in enumerate(np.abs(questions[0].astype(np.int32))) if s > 500)
    with console.status(f"Listening in silence for {IDLE_S} s ..."):
        found.append(Row("one client listening in silence", "% core", (trio.run(silence, host),)))
    with console.status(f"Asking {turns} questions ..."):
        before_s = host.cpu_s()
        exchanges = trio.run(conversation, host.url, questions)
        cpu_s = (host.cpu_s() - before_s) / turns
    found += turn_rows(exchanges)
    found.append(Row("CPU for each turn, reply included", "s", (cpu_s,)))
    for name, interruption in (("pause", None), ("interruption", questions[0][begin:])):
        with console.status(f"Measuring {name} ..."):
            values = [
                trio.run(lambda: until_silent(host.url, interruption=interruption))  # noqa: B023
                for _ in range(5)
            ]
        found.append(Row(f"{name} to silence", "ms", tuple(values)))
    found.append(Row("resident memory at the end", "MB", (host.resident_mb(),)))
    return found


def turn_rows(exchanges: Sequence[tuple[Exchange, int]]) -> list[Row]:
    latencies = [value for e, _ in exchanges if (value := e.voice_to_voice_ms()) is not None]
    found = [
        Row("voice to voice", "ms", tuple(latencies)),
        Row(
            "turns split or cut off",
            "%",
            (100 * sum(n != 1 for _, n in exchanges) / len(exchanges),),
        ),
    ]
    for stage in STAGES:
        values = [
            float(span["end_ms"]) - float(span["start_ms"])
            for exchange, _ in exchanges
            for span in exchange.spans
            if span["name"] == stage
        ]
        if values:
            found.append(Row(f"  {stage}", "ms", tuple(values)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.conversation", description=__doc__)
    parser.add_argument("--turns", type=int, default=16, help="questions to ask (default: 16)")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="append one JSON line for each row"
    )
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args()
    console = Console(width=100)
    config = configfile.load(None, args.overrides)
    with running_host(args.overrides) as host:
        found = rows(host, config, args.turns, console)
    table = Table("figure", "n", "median", "p95", "unit", box=None, header_style="bold")
    for row in found:
        middle, high = statistics.median(row.values), percentile(row.values, 95)
        p95 = f"{high:.1f}" if len(row.values) > 1 else ""
        table.add_row(row.name, str(len(row.values)), f"{middle:.1f}", p95, row.unit)
    console.print(table)
    if args.json:
        with args.json.open("a", encoding="utf-8") as file:
            file.writelines(row.as_json() + "\n" for row in found)


if __name__ == "__main__":
    main()
