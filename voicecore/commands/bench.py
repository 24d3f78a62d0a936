"""``voicecore bench``: what a host's conversations are like, measured."""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import trio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from voicecore import configfile, logs
from voicecore.bench import report, results
from voicecore.bench.compare import compare
from voicecore.bench.figures import Row
from voicecore.bench.run import Plan, Tell
from voicecore.bench.run import run as run_plan
from voicecore.bench.scenarios import SCENARIOS
from voicecore.commands.options import add_config_options
from voicecore.errors import ConfigError, VoicecoreError

DESCRIPTION = """\
Let a simulated person talk to a host in real time and measure what they get.

Without --url a host of its own is started and stopped. The person sends microphone frames exactly
when a microphone would, plays what it receives, and keeps every message with its time. Latency is
measured on the received waveform, from the last spoken sample to the first audible sample of the
answer, and is always shown beside the share of turns that were cut off or split.
"""

EPILOG = """\
examples:
  voicecore bench                                        every scenario, a host of its own
  voicecore bench questions pauses --llm stub --json a.jsonl --label before
  voicecore bench questions --set ears.endpoint_ms=300 --llm stub --json b.jsonl
  voicecore bench --compare a.jsonl b.jsonl              what has changed, and is it chance?
  voicecore bench short --url ws://192.168.1.5:3000      any host that speaks N.E.K.O.
  voicecore bench questions --speech recordings --plots pictures

FOLDER of --speech holds sound files and transcripts.jsonl, a line {"file": …, "text": …} for each;
they take the place of the voice in questions, pauses and crowd. The plots need matplotlib:
pip install 'voicecore[bench]'. What each figure means is told in docs/benchmarks.md.
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to the subparsers that `argparse` made."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "bench",
        help="measure a host's conversations: latency, wrong turns, interruptions, load",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help="which (default: all; see --list)"
    )
    parser.add_argument("--list", action="store_true", help="list the scenarios")
    parser.add_argument(
        "--compare", nargs=2, type=Path, metavar=("A.jsonl", "B.jsonl"),
        help="compare two files of results instead of measuring",
    )  # fmt: skip
    _add_host_options(parser)
    _add_material_options(parser)
    _add_output_options(parser)
    add_config_options(parser)
    parser.set_defaults(run=run)


def _add_host_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the host")
    group.add_argument("--url", metavar="ws://…", help="a running host; else one is started")
    group.add_argument(
        "--pid", type=int, help="of the host at --url, for its processor time and memory"
    )
    group.add_argument("--wire", choices=("neko", "cortex"), default="neko", help="(default: neko)")
    group.add_argument(
        "--llm", choices=("configured", "stub"), default="configured",
        help="stub: fixed replies at a set pace, so that runs compare (a host of its own only)",
    )  # fmt: skip
    group.add_argument(
        "--first-ms", type=float, default=100, help="the stub's first token (default: 100)"
    )
    group.add_argument(
        "--tokens-per-s", type=float, default=40, help="the stub's pace (default: 40)"
    )


def _add_material_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is said")
    group.add_argument("--repeat", type=int, default=1, metavar="N", help="times (default: 1)")
    group.add_argument(
        "--clients", type=int, default=8, metavar="N", help="largest crowd (default: 8)"
    )
    group.add_argument("--speech", type=Path, metavar="FOLDER", help="recordings of people")
    group.add_argument(
        "--keep", type=Path, metavar="FOLDER",
        help="keep what the voice said there and say it again: runs then sound alike",
    )  # fmt: skip
    group.add_argument("--seed", type=int, default=0, help="of noise and order (default: 0)")


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("results")
    group.add_argument("--json", type=Path, metavar="FILE.jsonl", help="append JSON lines")
    group.add_argument("--plots", type=Path, metavar="FOLDER", help="draw PNG pictures there")
    group.add_argument("--label", default="", metavar="NAME", help="the run's name in the results")


def run(args: argparse.Namespace) -> int:
    console = Console(width=None if sys.stdout.isatty() else 150, highlight=False)
    if args.list:
        list_scenarios(console)
        return 0
    if args.compare:
        show_comparison(console, *args.compare)
        return 0
    plan = make_plan(args)
    logs.configure(attrs.evolve(plan.config.logs, level="error"))
    draw = _drawing() if args.plots else None
    rows: list[Row] = []

    def done(lines: Sequence[Row]) -> None:
        rows.extend(lines)
        if args.json:
            results.append(args.json, lines)

    with progress(Console(stderr=True)) as tell:
        trio.run(run_plan, plan, tell, done)
    found = results.collect(rows)
    report.show(console, found)
    if draw is not None:
        for path in draw(found, args.plots):
            console.print(f"drawn: {path}")
    return 0 if found.samples else 1


def list_scenarios(console: Console) -> None:
    for scenario in SCENARIOS.values():
        wires = " and ".join(scenario.wires)
        console.print(f"[bold]{scenario.name:<14}[/]{scenario.about}", soft_wrap=True)
        why = f"; {scenario.why_not}" if scenario.why_not else ""
        console.print(f"{'':<14}wires: {wires}{why}", style="dim", soft_wrap=True)


def show_comparison(console: Console, a: Path, b: Path) -> None:
    one, other = results.read(a), results.read(b)
    names = one.label(a.stem), other.label(b.stem)
    if names[0] == names[1]:
        names = a.name, b.name
    found = compare(one, other)
    if not found:
        raise VoicecoreError(f"{a} and {b} have no scenario in common.")
    report.show_comparison(console, names, found)


def make_plan(args: argparse.Namespace) -> Plan:
    """Turn the command line into a plan.

    Raises:
        VoicecoreError: a scenario is unknown or needs the other wire, or options do not go
            together.
    """
    if args.url and args.llm == "stub":
        raise ConfigError(
            "--llm stub is for a host of its own. For the host at --url, start the stub yourself "
            "(python -m voicecore.bench.stub_llm --port 8089) and have the host use it."
        )
    if min(args.repeat, args.clients) < 1:
        raise ConfigError("--repeat and --clients must be at least 1.")
    options = [word for text in args.overrides for word in ("--set", text)]
    if args.config:
        options += ["--config", str(args.config)]
    return Plan(
        scenarios=[SCENARIOS[name] for name in chosen(args.scenarios, args.wire)],
        config=configfile.load(args.config, args.overrides),
        id=secrets.token_hex(4),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        label=args.label,
        url=args.url,
        pid=args.pid,
        wire=args.wire,
        llm=args.llm,
        stub_options=("--first-ms", f"{args.first_ms:g}", "--tokens-per-s",
                      f"{args.tokens_per_s:g}"),
        serve_options=tuple(options),
        overrides=tuple(args.overrides),
        repeat=args.repeat,
        clients=args.clients,
        seed=args.seed,
        speech=args.speech,
        keep=args.keep,
    )  # fmt: skip


def chosen(names: Sequence[str], wire: str) -> list[str]:
    """Give the scenarios to play; those the wire cannot play are left out of "all".

    Raises:
        ConfigError: one is unknown, or was named and the wire cannot play it.
    """
    for name in names:
        if name not in SCENARIOS:
            known = ", ".join(SCENARIOS)
            raise ConfigError(f"There is no scenario {name!r}; there are {known}.")
        if wire not in SCENARIOS[name].wires:
            raise ConfigError(f"{name} cannot be played on {wire}: {SCENARIOS[name].why_not}.")
    return list(names) or [name for name, each in SCENARIOS.items() if wire in each.wires]


def _drawing() -> Any:
    """Import the plots before anything is measured: a missing library is told at once."""
    try:
        from voicecore.bench.plots import draw  # noqa: PLC0415
    except ImportError as error:
        raise VoicecoreError(
            f"--plots needs {error.name}. Run: pip install 'voicecore[bench]'"
        ) from error
    return draw


@contextmanager
def progress(console: Console) -> Iterator[Tell]:
    """Show which step of how many is being played: a bar on a terminal, else lines."""
    if not console.is_terminal:
        yield lambda name, done, total, what: console.print(
            f"{name} {done + 1}/{total}: {what}", markup=False, highlight=False, soft_wrap=True
        )
        return
    columns = (
        TextColumn("{task.fields[name]:<14}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, Any] = {}

        def tell(name: str, done: int, total: int, what: str) -> None:
            if name not in tasks:
                for task in tasks.values():
                    bars.update(task, completed=bars.tasks[task].total, description="done")
                tasks[name] = bars.add_task("", name=name, total=total)
            bars.update(tasks[name], completed=done, total=total, description=what)

        yield tell
