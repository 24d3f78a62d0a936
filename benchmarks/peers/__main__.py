"""Voicecore beside other hosts: the same person, models and language model, in turn.

    python -m benchmarks.peers [--peers pipecat] [--rounds N] [--turns N] [--json FILE] ...

Each round visits every host once: it is started afresh, asked something that is not counted, and
then plays scenarios of ``voicecore bench``. See README.md beside this file for what is fair about
the comparison and what is not.
"""

from __future__ import annotations

import argparse
import secrets
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import attrs
import trio
from rich.console import Console
from rich.table import Table

from benchmarks.peers.comparison import Line, lines, shortened, visits
from benchmarks.peers.hosts import OURS, PEERS, Llm, OpenHost, stub_llm, voicecore
from voicecore import configfile
from voicecore.bench import report, results
from voicecore.bench.figures import Row
from voicecore.bench.run import Plan, Tell, run
from voicecore.bench.scenarios import SCENARIOS
from voicecore.commands.bench import progress
from voicecore.errors import VoicecoreError

DEFAULT_SCENARIOS = ("idle", "questions", "pauses", "interruptions")

ByRound: TypeAlias = dict[int, list[Row]]
"""Lines of results of one host, by round."""


async def measure(args: argparse.Namespace, tell: Tell) -> dict[str, ByRound]:
    """Make all visits; give the results of each host."""
    config = configfile.load(args.config, args.overrides)
    options = [word for override in args.overrides for word in ("--set", override)]
    options += ["--config", str(args.config)] if args.config else []
    hosts = {OURS: voicecore(options), **{name: PEERS[name](config) for name in args.peers}}
    found: dict[str, ByRound] = {name: {} for name in hosts}
    with tempfile.TemporaryDirectory(prefix="voicecore-peers-") as kept:
        plan = Plan(
            scenarios=[shortened(SCENARIOS[name], args.turns) for name in args.scenarios],
            config=config,
            id="",
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            seed=args.seed,
            speech=args.speech,
            # The voice sounds a little different each time; all hosts are to hear the same.
            keep=args.keep or Path(kept),
        )
        async with open_llm(args) as llm:
            for round_, name in visits(list(hosts), args.rounds):
                found[name][round_] = await visit(hosts[name], llm, plan, name, round_, tell)
                if args.json:
                    results.append(file_of(args.json, name), found[name][round_])
    return found


async def visit(
    open_host: OpenHost, llm: Llm, plan: Plan, name: str, round_: int, tell: Tell
) -> list[Row]:
    """Start a host, play everything, stop it; give the lines of its results."""
    found: list[Row] = []

    def tell_where(scenario: str, number: int, total: int, what: str) -> None:
        tell(f"{round_ + 1} {name} {scenario}", number, total, what)

    async with open_host(llm) as host:
        plan = attrs.evolve(
            plan, url=host.url, pid=host.pid, label=name, id=f"{name}-{secrets.token_hex(3)}"
        )
        # The first answer of a fresh process is slower everywhere.
        warm_up = attrs.evolve(plan, scenarios=[shortened(SCENARIOS["questions"], 1)])
        await run(warm_up, tell_where, lambda _: None)
        await run(plan, tell_where, found.extend)
    return [{**row, "host": name, "visit": round_} for row in found]


@asynccontextmanager
async def open_llm(args: argparse.Namespace) -> AsyncIterator[Llm]:
    """Use the given language model, or start the stand-in."""
    if args.llm != "stub":
        yield Llm(args.llm, args.model)
        return
    async with stub_llm(args.first_ms, args.tokens_per_s) as (_, url):
        yield Llm(url)


def file_of(path: Path, host: str) -> Path:
    """Give a host's own file of results: ``results.jsonl`` becomes ``results.pipecat.jsonl``."""
    return path.with_suffix(f".{host}{path.suffix}")


# --- what is shown -------------------------------------------------------------------------------


def over_rounds(by_round: ByRound) -> results.Results:
    """Give a host's results with one summary of each scenario, over all rounds."""
    found = results.collect(row for rows in by_round.values() for row in rows)
    summaries = [
        {"scenario": name, **SCENARIOS[name].summarise(found.of(name))}
        for name in found.scenarios()
    ]
    return attrs.evolve(found, summaries=summaries)


def show(console: Console, found: dict[str, ByRound], peer: str) -> list[Line]:
    compared = lines(found[OURS], found[peer])
    shown = Table("scenario", "figure", OURS, peer, "ratio", "over the rounds", "", box=None)
    for line in compared:
        shown.add_row(*cells(line))
    console.print(f"\n{OURS} beside {peer}", style="bold")
    console.print(shown)
    return compared


def cells(line: Line) -> list[str]:
    """Write a line of the table: figures over all rounds, ratios over all and within each."""
    each = line.over_all
    unit = " %" if each.is_rate else ""
    ratio = "" if each.is_rate or each.ratio is None else f"{each.ratio:.2f}"
    spread = f"{min(line.by_round):.2f} to {max(line.by_round):.2f}" if line.by_round else ""
    noise = "" if each.of_p95 or each.beyond_noise else "within the noise"
    return [each.scenario, each.figure, number(each.b) + unit, number(each.a) + unit, ratio,
            spread, noise]  # fmt: skip


def number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def as_row(line: Line, peer: str) -> Row:
    """Write a line as plain data."""
    each = line.over_all
    return {
        "peer": peer,
        "scenario": each.scenario,
        "figure": each.figure.strip(),
        "ours": each.b,
        "theirs": each.a,
        "counts": each.counts,
        "ratio": None if each.is_rate else each.ratio,
        "interval": None if each.of_p95 else each.interval,
        "ratio_by_round": line.by_round,
    }


# --- the command ---------------------------------------------------------------------------------


def names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers")
    add = parser.add_argument
    add("--peers", type=names, default=list(PEERS), help=f"of {', '.join(PEERS)} (default: all)")
    add("--rounds", type=int, default=3, help="visits to each host (default: 3)")
    add("--turns", type=int, default=20, help="of each scenario at each visit (default: 20)")
    add(
        "--scenarios", type=names, default=list(DEFAULT_SCENARIOS), metavar="NAME,…",
        help=f"of {', '.join(SCENARIOS)} (default: {','.join(DEFAULT_SCENARIOS)})",
    )  # fmt: skip
    add("--llm", default="stub", metavar="URL", help="an OpenAI-compatible server (default: stub)")
    add("--model", default="stub", help="its model")
    add("--first-ms", type=float, default=100.0, help="the stub's first token (default: 100)")
    add("--tokens-per-s", type=float, default=40.0, help="the stub's pace (default: 40)")
    add("--speech", type=Path, metavar="FOLDER", help="recordings instead of the voice")
    add("--keep", type=Path, metavar="FOLDER", help="keep what the voice said there")
    add("--seed", type=int, default=0, help="of noise and order (default: 0)")
    add(
        "--json", type=Path, metavar="FILE.jsonl",
        help="append the comparison there, and each host's results to FILE.HOST.jsonl",
    )  # fmt: skip
    add("--config", type=Path, metavar="FILE", help="of voicecore")
    add("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args(argv)
    if unknown := (set(args.peers) - set(PEERS)) | (set(args.scenarios) - set(SCENARIOS)):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    if min(args.rounds, args.turns, len(args.peers), len(args.scenarios)) < 1:
        parser.error("there must be at least one peer, scenario, round and turn")
    return args


def main() -> None:
    args = parse()
    console = Console(width=120, highlight=False)
    try:
        with progress(Console(stderr=True)) as tell:
            found = trio.run(measure, args, tell)
    except* VoicecoreError as group:
        raise SystemExit("\n".join(map(str, group.exceptions))) from None
    for name, by_round in found.items():
        console.print(f"\n{name}", style="bold")
        report.show(console, over_rounds(by_round))
    for peer in args.peers:
        compared = show(console, found, peer)
        if args.json:
            results.append(args.json, [as_row(line, peer) for line in compared])


if __name__ == "__main__":
    main()
