"""Which differences between two files of results are more than chance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore.bench.compare import Difference, compare, ratio_interval
from voicecore.bench.results import Results, collect


def turns(latencies: list[float], wrong: int = 0, **more: Any) -> Results:
    rows = [
        {"kind": "sample", "scenario": "questions", "latency_ms": latency, "cut_off": n < wrong,
         "split": False, "unanswered": False, "merged": False, **more}
        for n, latency in enumerate(latencies)
    ]  # fmt: skip
    return collect(rows)


def find(found: list[Difference], figure: str) -> Difference:
    return next(each for each in found if each.figure == figure)


def noisy(middle: float, seed: int, count: int = 40) -> list[float]:
    return list(np.random.default_rng(seed).normal(middle, middle / 10, count))


def test_the_same_is_within_the_noise_and_half_is_not() -> None:
    same = find(compare(turns(noisy(800, 1)), turns(noisy(800, 2))), "latency_ms")
    half = find(compare(turns(noisy(800, 1)), turns(noisy(400, 2))), "latency_ms")
    assert not same.beyond_noise
    assert half.beyond_noise
    assert half.ratio == pytest.approx(0.5, abs=0.05)
    assert half.interval[0] < 0.5 < half.interval[1]


def test_two_values_are_too_few_to_tell() -> None:
    found = find(compare(turns([800, 810]), turns([400, 410])), "latency_ms")
    assert not found.beyond_noise


@given(st.lists(st.floats(1, 1e4), min_size=1, max_size=20), st.floats(0.1, 10))
def test_a_constant_factor_lies_in_the_interval(values: list[float], factor: float) -> None:
    a = np.array(values)
    low, high = ratio_interval(a, a * factor, np.random.default_rng(0))
    assert low <= factor * (1 + 1e-9)
    assert high >= factor * (1 - 1e-9)


@pytest.mark.parametrize(
    ("wrong", "count", "beyond"), [(0, 20, False), (2, 20, False), (10, 20, True), (40, 400, True)]
)
def test_shares_are_compared_in_points(wrong: int, count: int, beyond: bool) -> None:
    found = compare(turns([1.0] * count), turns([1.0] * count, wrong=wrong))
    rate = find(found, "cut off or split")
    assert rate.b - rate.a == pytest.approx(100 * wrong / count)
    assert rate.beyond_noise is beyond


def test_figures_that_only_one_file_has_are_left_out() -> None:
    found = compare(turns([1.0, 2.0], cpu_s=1.0), turns([1.0, 2.0]))
    assert "cpu_s" not in {each.figure for each in found}
    assert "reply lost" not in {each.figure for each in found}


def test_crowds_are_compared_by_their_size() -> None:
    rows = turns([500.0] * 3, clients=2).samples + turns([900.0] * 3, clients=4).samples
    crowd = Results([], [{**row, "scenario": "crowd"} for row in rows], [])
    names = {each.scenario for each in compare(crowd, crowd)}
    assert names == {"crowd, 2 at once", "crowd, 4 at once"}


def test_the_same_files_give_the_same_comparison() -> None:
    a, b = turns(noisy(800, 1)), turns(noisy(700, 2), wrong=3)
    assert compare(a, b) == compare(a, b)
