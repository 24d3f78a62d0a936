"""One run of the suite: material, host, scenarios, results."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import attrs

from voicecore.bench.figures import Row
from voicecore.bench.host import Host, own_host
from voicecore.bench.links import Wire
from voicecore.bench.material import Utterance, open_studio
from voicecore.bench.results import machine, versions
from voicecore.bench.scenarios import Scenario, Stage
from voicecore.config import Config

Tell = Callable[[str, int, int, str], None]
"""Takes the scenario (or what is being prepared), steps done, steps in all, and what comes next."""


@attrs.frozen(kw_only=True)
class Plan:
    """What is to be run, and on what."""

    scenarios: Sequence[Scenario]
    config: Config
    """Of the voice that speaks the material."""
    id: str
    at: str
    """When, for the results (ISO 8601)."""
    label: str = ""
    url: str | None = None
    """A running host; None: one of our own."""
    pid: int | None = None
    """Of the host at ``url``, if it runs on this machine."""
    wire: Wire = "neko"
    llm: Literal["configured", "stub"] = "configured"
    stub_options: tuple[str, ...] = ()
    serve_options: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    """As given to ``--set``, for the results."""
    repeat: int = 1
    clients: int = 8
    seed: int = 0
    speech: Path | None = None
    keep: Path | None = None

    def about(self, host: Host) -> Row:
        """Tell what was run: the first line of the results."""
        return {
            "kind": "run",
            "run": self.id,
            "label": self.label,
            "at": self.at,
            "wire": self.wire,
            "llm": self.llm if self.url is None else "the host's",
            "stub": list(self.stub_options),
            "host": "own" if self.url is None else self.url,
            "start_s": host.start_s,
            "set": list(self.overrides),
            "scenarios": [scenario.name for scenario in self.scenarios],
            "repeat": self.repeat,
            "seed": self.seed,
            "material": "recordings" if self.speech else f"voice {self.config.tts.model}",
            "machine": machine(),
            "versions": versions(),
        }


async def run(plan: Plan, tell: Tell, done: Callable[[Sequence[Row]], None]) -> None:
    """Run all scenarios, one after the other; ``done`` gets the lines of each as it ends.

    The material is made before the host starts and the memory is compared after it has ended, so
    that nothing of our own computes beside the host but the clients.
    """
    material = await _material(plan, tell)
    unfinished: list[tuple[Scenario, list[Row], Row]] = []
    tell("host", 0, 1, "starting" if plan.url is None else "connecting")
    async with _open_host(plan) as host:
        done([plan.about(host)])
        for scenario in plan.scenarios:
            rows, costs = await _play(plan, scenario, host, material[scenario.name], tell)
            if scenario.finish is None:
                done(_lines(plan, scenario, rows, costs))
            else:
                unfinished.append((scenario, rows, costs))
    for scenario, rows, costs in unfinished:
        assert scenario.finish is not None
        await scenario.finish(rows, plan.config)
        done(_lines(plan, scenario, rows, costs))


async def _material(plan: Plan, tell: Tell) -> Mapping[str, list[Utterance]]:
    material = {}
    async with open_studio(plan.config, plan.speech, plan.keep) as studio:
        for index, scenario in enumerate(plan.scenarios):
            tell("material", index, len(plan.scenarios), scenario.name)
            material[scenario.name] = await scenario.prepare(studio, plan.seed)
    return material


@asynccontextmanager
async def _open_host(plan: Plan) -> AsyncIterator[Host]:
    if plan.url is not None:
        yield Host(plan.url, plan.pid)
        return
    stub = plan.stub_options if plan.llm == "stub" else None
    async with own_host(plan.serve_options, stub=stub) as host:
        yield host


async def _play(
    plan: Plan, scenario: Scenario, host: Host, utterances: list[Utterance], tell: Tell
) -> tuple[list[Row], Row]:
    """Play one scenario; give its samples, and what it cost the host."""
    stage = Stage(
        host,
        plan.wire,
        plan.id,
        utterances,
        plan.repeat,
        plan.clients,
        plan.seed,
        tell=lambda number, total, what: tell(scenario.name, number, total, what),
    )
    before_s = host.cpu_s()
    rows = await scenario.play(stage)
    after_s = host.cpu_s()
    used_s = None if before_s is None or after_s is None else round(after_s - before_s, 2)
    costs = {
        "cpu_total_s": used_s,
        "resident_mb": host.resident_mb(),
        "queue_peaks": await host.queue_peaks(),
    }
    return rows, costs


def _lines(plan: Plan, scenario: Scenario, rows: Sequence[Row], costs: Row) -> list[Row]:
    common = {"run": plan.id, "label": plan.label, "scenario": scenario.name}
    samples = [{"kind": "sample", **common, **row} for row in rows]
    summary = scenario.summarise(rows) if rows else {}
    told = {"set": list(plan.overrides), "machine": machine(), "versions": versions()}
    return [*samples, {"kind": "summary", **common, "at": plan.at, **summary, **costs, **told}]
