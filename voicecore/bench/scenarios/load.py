"""What a host costs: a client that listens in silence, and many who speak at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import trio

from voicecore.bench.figures import Row
from voicecore.bench.material import Studio, Utterance
from voicecore.bench.results import spread
from voicecore.bench.scenarios.scenario import Scenario, Stage, spoken_turn
from voicecore.bench.scenarios.turns import BOTH, questions, summarise
from voicecore.commands import expected
from voicecore.errors import VoicecoreError

IDLE_S = 15.0
SETTLE_S = 2.0
"""After connecting: what a session's start costs is not what listening costs."""

TURNS_EACH = 3
STAGGER_S = 0.7
"""Between the first words of two people: crowds do not speak in chorus."""


# --- silence -------------------------------------------------------------------------------------


async def nothing(studio: Studio, seed: int) -> list[Utterance]:
    del studio, seed
    await trio.lowlevel.checkpoint()
    return []


async def listen_in_silence(stage: Stage) -> list[Row]:
    """Measure the processor time of one client whose microphone hears nothing."""
    rows: list[Row] = []
    for round_ in range(stage.repeat):
        stage.tell(round_, stage.repeat, f"{IDLE_S:.0f} s of silence")
        async with stage.person(f"idle-{round_}"):
            await trio.sleep(SETTLE_S)
            before_s, begun_s = stage.host.cpu_s(), trio.current_time()
            await trio.sleep(IDLE_S)
            after_s, took_s = stage.host.cpu_s(), trio.current_time() - begun_s
        percent = None
        if before_s is not None and after_s is not None:
            percent = round((after_s - before_s) / took_s * 100, 2)
        memory_mb = stage.host.resident_mb()
        rows.append({"round": round_, "core_percent": percent, "resident_mb": memory_mb})
    return rows


def summarise_silence(rows: Sequence[Row]) -> Row:
    return {"rounds": len(rows), **spread(rows, "core_percent"), **spread(rows, "resident_mb")}


# --- a crowd -------------------------------------------------------------------------------------


def sizes(most: int) -> list[int]:
    """Give the crowds: 1, 2, 4 and so on, and the largest."""
    doubled = [2**power for power in range(most.bit_length()) if 2**power <= most]
    return doubled if doubled[-1] == most else [*doubled, most]


async def gather(stage: Stage) -> list[Row]:
    """Let more and more people talk at once."""
    rows: list[Row] = []
    crowds = [size for _ in range(stage.repeat) for size in sizes(stage.clients)]
    total = sum(crowds) * TURNS_EACH
    for number, size in enumerate(crowds):
        before_s = stage.host.cpu_s()
        found: list[Row] = []
        async with trio.open_nursery() as nursery:
            for index in range(size):
                nursery.start_soon(_member, stage, number, index, found, (len(rows), total, size))
        after_s = stage.host.cpu_s()
        cost_s = None
        if before_s is not None and after_s is not None:
            cost_s = round((after_s - before_s) / len(found), 2)
        rows += [{"clients": size, **row, "cpu_s": cost_s} for row in found]
    return rows


async def _member(
    stage: Stage, number: int, index: int, found: list[Row], done: tuple[int, int, int]
) -> None:
    """Talk as one of a crowd: each begins elsewhere in the list, and a little later."""
    before, total, size = done
    rng = np.random.default_rng((stage.seed, number, index))
    order = rng.permutation(len(stage.utterances))[:TURNS_EACH]
    await trio.sleep(STAGGER_S * index)
    spoken = 0
    try:
        async with stage.person(f"crowd-{number}-{index}", seed=index) as person:
            for which in order:
                stage.tell(before + len(found), total, f"{size} at once")
                row = await spoken_turn(person, stage.utterances[which])
                found.append({"client": index, **row})
                spoken += 1
    except* VoicecoreError as left:
        # A host that refuses or drops people under load is a result, not the end of the run.
        why = str(expected(left) or left)
        found += [_dropped(index, why) for _ in range(len(order) - spoken)]


def _dropped(index: int, why: str) -> Row:
    """Give the row of a turn that the host did not take."""
    return {"client": index, "why": why, "latency_ms": None, "cut_off": False, "split": False,
            "unanswered": True, "merged": False, "words": 0, "word_errors": 0}  # fmt: skip


def summarise_crowd(rows: Sequence[Row]) -> Row:
    """Latency and wrong turns by the number of clients."""
    figures: Row = {}
    for size in sorted({row["clients"] for row in rows}):
        of_size = summarise([row for row in rows if row["clients"] == size])
        keys = ("turns", "latency_ms", "latency_ms_p95", "wrong_percent", "unanswered_percent",
                "cpu_s")  # fmt: skip
        figures[str(size)] = {key: of_size[key] for key in keys}
    return {"clients": figures}


IDLE = Scenario(
    "idle",
    "the processor time of one client that listens in silence",
    BOTH,
    "",
    nothing,
    listen_in_silence,
    summarise_silence,
)
CROWD = Scenario(
    "crowd",
    "1, 2, 4 … people talk at once: latency by their number",
    BOTH,
    "",
    questions,
    gather,
    summarise_crowd,
)
