"""The order of the visits to a peer, what is said at each, and the ratios."""

import functools
from pathlib import Path
from typing import cast

import attrs
import numpy as np
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.peers import comparison
from benchmarks.peers.__main__ import as_row, cells, file_of, over_rounds, parse
from voicecore.bench.figures import Row
from voicecore.bench.material import Studio, Utterance
from voicecore.bench.scenarios import SCENARIOS


def sample(latency_ms: float, **more: object) -> Row:
    return {"kind": "sample", "scenario": "questions", "latency_ms": latency_ms, **more}


def utterances(count: int) -> list[Utterance]:
    return [Utterance(str(index), np.zeros(0, np.int16)) for index in range(count)]


@given(st.integers(1, 5), st.integers(1, 4))
def test_hosts_alternate_and_each_is_visited_once_a_round(hosts: int, rounds: int) -> None:
    names = [str(index) for index in range(hosts)]
    visits = list(comparison.visits(names, rounds))
    assert visits == sorted(visits)
    assert len(set(visits)) == len(visits) == hosts * rounds
    assert [name for _, name in visits] == names * rounds


@given(st.integers(1, 8), st.integers(1, 30))
def test_a_portion_has_exactly_the_turns_and_repeats_its_list_in_order(
    count: int, turns: int
) -> None:
    said = [int(each.said) for each in comparison.portion("questions", utterances(count), turns)]
    assert said == [index % count for index in range(turns)]


@given(st.integers(2, 8), st.integers(1, 30))
def test_a_portion_of_interruptions_begins_with_what_is_interrupted(count: int, turns: int) -> None:
    first, *others = comparison.portion("interruptions", utterances(count), turns)
    assert first.said == "0"
    assert len(others) == turns
    assert all(each.said != "0" for each in others)


def test_a_scenario_that_says_nothing_says_nothing() -> None:
    assert comparison.portion("idle", [], 3) == []


async def test_a_shortened_scenario_is_the_scenario_with_fewer_turns() -> None:
    async def prepare(studio: Studio, seed: int) -> list[Utterance]:
        await trio.lowlevel.checkpoint()
        return utterances(seed)

    whole = attrs.evolve(SCENARIOS["questions"], prepare=prepare)
    part = comparison.shortened(whole, 2)
    nowhere = cast("Studio", None)
    assert [each.said for each in await part.prepare(nowhere, 5)] == ["0", "1"]
    assert part.summarise is whole.summarise


def test_the_ratio_is_ours_to_theirs_over_all_and_in_each_round() -> None:
    ours = {0: [sample(400.0)] * 3, 1: [sample(600.0)] * 3}
    theirs = {0: [sample(1000.0)] * 3, 1: [sample(1200.0)] * 3}
    line = next(x for x in comparison.lines(ours, theirs) if x.over_all.figure == "latency_ms")
    assert (line.over_all.a, line.over_all.b) == (1100.0, 500.0)
    assert line.by_round == (0.4, 0.5)
    row = as_row(line, "other")
    assert row["ratio"] == pytest.approx(500 / 1100)
    assert (row["ours"], row["theirs"], row["peer"]) == (500.0, 1100.0, "other")
    assert cells(line)[2:6] == ["500", "1100", "0.45", "0.40 to 0.50"]


def test_a_round_that_only_one_host_has_finished_gives_no_ratio_of_its_own() -> None:
    ours = {0: [sample(400.0)] * 3, 1: [sample(600.0)] * 3}
    line = next(iter(comparison.lines(ours, {0: [sample(1000.0)] * 3})))
    assert line.by_round == (0.4,)


def test_rates_have_no_ratio() -> None:
    turn = functools.partial(sample, cut_off=False)
    ours, theirs = {0: [turn(1.0, split=False)] * 4}, {0: [turn(1.0, split=True)] * 4}
    found = {line.over_all.figure: line for line in comparison.lines(ours, theirs)}
    line = found["cut off or split"]
    assert (line.over_all.a, line.over_all.b, line.by_round) == (100.0, 0.0, ())
    assert as_row(line, "other")["ratio"] is None
    assert cells(line)[2:5] == ["0 %", "100 %", ""]


def test_a_figure_that_one_host_lacks_is_not_compared() -> None:
    ours = {0: [sample(400.0, cpu_s=1.0)]}
    figures = {line.over_all.figure for line in comparison.lines(ours, {0: [sample(900.0)]})}
    assert "latency_ms" in figures
    assert "cpu_s" not in figures


def test_the_summary_is_of_all_rounds() -> None:
    def idle(percent: float) -> Row:
        return {"kind": "sample", "scenario": "idle", "core_percent": percent, "resident_mb": 1.0}

    old = {"kind": "summary", "scenario": "idle", "core_percent": 7.0}
    (summary,) = over_rounds({0: [idle(1.0), old], 1: [idle(3.0), old]}).summaries
    assert (summary["scenario"], summary["core_percent"]) == ("idle", 2.0)


def test_each_host_has_its_own_file_of_results() -> None:
    assert file_of(Path("a/night.jsonl"), "pipecat") == Path("a/night.pipecat.jsonl")


@pytest.mark.parametrize(
    "argv", [["--peers", "nobody"], ["--scenarios", "opera"], ["--rounds", "0"], ["--peers", ""]]
)
def test_what_cannot_be_compared_is_refused(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(argv)
    assert "error" in capsys.readouterr().err
