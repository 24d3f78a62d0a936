"""What a host holds in memory: step by step, and while it is talked to.

    python -m benchmarks.memory [--profile NAME] [--rounds N] [--set KEY=VALUE ...] [--json FILE]

First the parts of a host are imported, loaded and warmed up one after the other in this process,
and each is told with what it added. Then a host is started as a process of its own, and a person
asks it four questions over a socket, several times; told is what it holds when it is ready, after
each round, and 8 s later, and the most it held meanwhile.

* ``rss``: all that is in memory for the process (``Rss`` of ``/proc/PID/smaps_rollup``).
* ``anon``: of that, what only swapping could free.
* ``file``: mapped files: libraries, the language model's and the voice's weights. The system drops
  them when memory is short, and reads them again.
* ``pss``: as ``rss``, with what other processes map too shared out among them.

All in MiB, as systemd counts (``MemoryMax=450M``) and as ``ps`` and ``top`` do. Memory that was
freed is given back before each step is told (malloc_trim), as the host does when it rests. Linux.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:  # what is imported below is measured
    from voicecore.audio import Samples
    from voicecore.config import Config
    from voicecore.engines.interface import Kind

Row: TypeAlias = dict[str, str | float]

QUESTIONS = (
    "What is the capital of France?",
    "Tell me something about the river Seine, and how long it is.",
    "I would like to know how many people live in Paris, and why they live there.",
    "Thank you, that is enough.",
)
REST_S = 8.0
"""The host gives back what it has freed every 5 s, while it rests."""
SAMPLE_S = 0.02

libc = ctypes.CDLL(None)


def held(pid: int | str = "self") -> dict[str, float]:
    """What a process holds now, in MiB."""
    found = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if value.endswith(" kB"):
            found[name] = int(value.split()[0]) / 1024
    rss, anon = found["Rss"], found["Anonymous"]
    amounts = {"rss": rss, "anon": anon, "file": rss - anon, "pss": found["Pss"]}
    return {name: round(amount, 1) for name, amount in amounts.items()}


# --- step by step --------------------------------------------------------------------------------


class Steps:
    """Rows of what is held after each step."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._before = 0.0

    def took(self, step: str) -> None:
        libc.malloc_trim(0)
        now = held()
        added = round(now["rss"] - self._before, 1)
        self.rows.append({"step": step, **now, "added": added})
        self._before = now["rss"]


def steps(overrides: Sequence[str]) -> list[Row]:
    taken = Steps()
    taken.took("Python")
    serve: Any = import_module("voicecore.commands.serve")
    serve._use_one_malloc_arena()  # noqa: SLF001 - as the host does
    configfile = import_module("voicecore.configfile")
    config = configfile.load(None, overrides)
    taken.took("the host's imports")
    for module in ("onnxruntime", "ctranslate2", "tokenizers", "xllamacpp"):
        import_module(module)
        taken.took(f"import {module}")
    for kind in ("vad", "turn", "stt", "tts", "llm"):
        _engine(config, kind, taken)
    return taken.rows


def _engine(config: Config, kind: Kind, taken: Steps) -> None:
    engines: Any = import_module("voicecore.engines")
    files = import_module("voicecore.weights.files").ModelStore.of(config)
    if engines.is_off(config, kind):
        return
    settings = engines.section(config, kind)
    load = engines.find(kind, settings.engine).load()
    taken.took(f"{kind}: {settings.engine} imported")
    engine = load(settings, files, threads=engines.threads_for(config)[kind])
    taken.took(f"{kind}: {settings.model} loaded")
    if hasattr(engine, "warm_up"):
        engine.warm_up()
        taken.took(f"{kind}: warm")
    _KEPT.append(engine)


_KEPT: list[object] = []


# --- a host that is talked to --------------------------------------------------------------------


@contextmanager
def serving(overrides: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Run a host; give its address and process id."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "voicecore", "serve", "--port", "0"]
        for override in (*overrides, 'logs.level="error"', f'paths.data="{folder}"'):
            command += ["--set", override]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            try:
                ready = process.stdout.readline()
                if "ready" not in ready:
                    sys.exit("The host did not start.")
                yield ready.split("//")[1].strip(), process.pid
            finally:
                process.terminate()


class Peak:
    """The most a process held, looked at every `SAMPLE_S`."""

    def __init__(self, pid: int) -> None:
        self._statm = Path(f"/proc/{pid}/statm")
        self._highest = 0.0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            try:
                pages = int(self._statm.read_text(encoding="ascii").split()[1])
            except OSError:  # it has ended
                return
            self._highest = max(self._highest, pages / 256)
            time.sleep(SAMPLE_S)

    def since_last(self) -> float:
        highest, self._highest = self._highest, 0.0
        return round(highest, 1)


async def talk(address: str, pid: int, rounds: int, questions: Sequence[Samples]) -> list[Row]:
    trio = import_module("trio")
    client = import_module("voicecore.client")
    peak = Peak(pid)

    def row(step: str) -> Row:
        return {"step": step, **held(pid), "peak": peak.since_last()}

    rows = [row("ready")]
    await trio.sleep(REST_S)
    rows.append(row("ready, at rest"))
    async with client.open_client(f"ws://{address}/ws/default?client=memory") as person:
        await person.start()
        for number in range(rounds):
            for question in questions:
                exchange = await person.ask(question)
                assert exchange.sound
            rows.append(row(f"after {(number + 1) * len(questions)} turns"))
        await trio.sleep(REST_S)
        rows.append(row("at rest, connected"))
    return rows


def spoken_questions() -> list[Samples]:
    """Have the voice speak the questions: in another process, since this one was measured."""
    audio = import_module("voicecore.audio")
    sounds = []
    for question in QUESTIONS:
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            command = [sys.executable, "-m", "voicecore", "say", question, "-o", file.name]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            clip = import_module("voicecore.ears.clip").read_clip(Path(file.name))
            sounds.append(audio.resample(clip, audio.EAR_HZ).samples)
    return sounds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--profile", default="default")
    parser.add_argument("--rounds", type=int, default=3, help="of four questions")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--json", type=Path, help="write the rows there, one a line")
    args = parser.parse_args()
    overrides = [f'profile="{args.profile}"', *args.overrides]
    taken = steps(overrides)
    questions = spoken_questions()
    with serving(overrides) as (address, pid):
        rows = import_module("trio").run(talk, address, pid, args.rounds, questions)
    show = import_module("benchmarks.tables").show
    show(f"{args.profile}: step by step, MiB", taken)
    show(f"{args.profile}: a host that is talked to, MiB", rows)
    if args.json:
        args.json.write_text("".join(f"{json.dumps(row)}\n" for row in (*taken, *rows)))


if __name__ == "__main__":
    main()
