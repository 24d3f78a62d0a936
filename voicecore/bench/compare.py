"""Two files of results side by side, and which differences are more than chance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import attrs
import numpy as np
import numpy.typing as npt

from voicecore.bench.figures import Row
from voicecore.bench.results import Results, numbers, percentile

FIGURES = (
    "latency_ms",
    "after_endpoint_ms",
    "stop_ms",
    "told_ms",
    "history_words_off",
    "core_percent",
    "resident_mb",
    "cpu_s",
)
"""Compared by the ratio of their medians."""

RATES: dict[str, Callable[[Row], bool]] = {
    "cut off or split": lambda row: bool(row["cut_off"] or row["split"]),
    "no answer": lambda row: bool(row["unanswered"]),
    "merged": lambda row: bool(row["merged"]),
    "not noticed": lambda row: bool(row["missed"]),
    "stale sound": lambda row: bool(row["stale_chunks"]),
    "reply lost": lambda row: row["outcome"] == "lost",
    "reply stopped, went on": lambda row: row["outcome"] == "hiccup",
}
"""Compared by their difference, in percent points. Rows that lack what is asked do not count."""

DRAWS = 4000
"""Of the bootstrap: the ends of the interval then vary by about a tenth of its width."""

FEWEST = 3
"""Values on each side: of fewer, an interval says nothing."""

Floats = npt.NDArray[np.float64]


@attrs.frozen
class Difference:
    """One figure of a scenario in both files."""

    scenario: str
    figure: str
    a: float
    b: float
    interval: tuple[float, float]
    """95 % of the ratio of medians B / A, or of the difference of rates B − A in points."""
    counts: tuple[int, int]
    is_rate: bool = False
    of_p95: bool = False
    """It is shown without an interval: few values say little of a p95."""

    @property
    def ratio(self) -> float | None:
        return self.b / self.a if self.a else None

    @property
    def beyond_noise(self) -> bool:
        """Whether the interval leaves "no difference" out."""
        same = 0.0 if self.is_rate else 1.0
        return min(self.counts) >= FEWEST and not self.interval[0] <= same <= self.interval[1]


def compare(a: Results, b: Results, seed: int = 0) -> list[Difference]:
    """Compare every figure that both files have, scenario by scenario, crowds by their size."""
    rng = np.random.default_rng(seed)
    found: list[Difference] = []
    left, right = _groups(a), _groups(b)
    for name in left:
        if name in right:
            found += _of_scenario(name, left[name], right[name], rng)
    return found


def _groups(results: Results) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for sample in results.samples:
        size = f", {sample['clients']} at once" if "clients" in sample else ""
        groups.setdefault(f"{sample['scenario']}{size}", []).append(sample)
    return groups


def _of_scenario(
    name: str, a: Sequence[Row], b: Sequence[Row], rng: np.random.Generator
) -> Iterator[Difference]:
    for figure in FIGURES:
        one, other = np.array(numbers(a, figure)), np.array(numbers(b, figure))
        if len(one) and len(other):
            yield from _medians(name, figure, one, other, rng)
    for figure, happened in RATES.items():
        yield from _rates(name, figure, _outcomes(a, happened), _outcomes(b, happened), rng)


def _medians(
    name: str, figure: str, a: Floats, b: Floats, rng: np.random.Generator
) -> Iterator[Difference]:
    counts = (len(a), len(b))
    medians = percentile(list(a), 50), percentile(list(b), 50)
    yield Difference(name, figure, *medians, ratio_interval(a, b, rng), counts)
    highs = percentile(list(a), 95), percentile(list(b), 95)
    yield Difference(name, f"  {figure} p95", *highs, (1, 1), counts, of_p95=True)


def ratio_interval(a: Floats, b: Floats, rng: np.random.Generator) -> tuple[float, float]:
    """Give the 95 % bootstrap interval of median(b) / median(a) (percentile method)."""
    ones, others = _resampled_medians(a, rng), _resampled_medians(b, rng)
    ratios = others / np.where(ones == 0, np.nan, ones)
    if np.isnan(ratios).all():
        return (float("-inf"), float("inf"))
    low, high = np.nanpercentile(ratios, (2.5, 97.5))
    return float(low), float(high)


def _resampled_medians(values: Floats, rng: np.random.Generator) -> Floats:
    drawn = rng.integers(len(values), size=(DRAWS, len(values)))
    return np.asarray(np.median(values[drawn], axis=1))


def _outcomes(rows: Sequence[Row], happened: Callable[[Row], bool]) -> list[bool]:
    found = []
    for row in rows:
        try:
            found.append(happened(row))
        except KeyError:
            continue
    return found


def _rates(
    name: str, figure: str, a: Sequence[bool], b: Sequence[bool], rng: np.random.Generator
) -> Iterator[Difference]:
    """Give the difference of two shares.

    Its interval is that of two Beta distributions with Jeffreys' prior: a bootstrap of a share that
    never happened would say that it never can.
    """
    if not a or not b:
        return
    shares = [100 * sum(each) / len(each) for each in (a, b)]
    one, other = (rng.beta(sum(x) + 0.5, len(x) - sum(x) + 0.5, DRAWS) for x in (a, b))
    low, high = np.percentile(100 * (other - one), (2.5, 97.5))
    interval = (float(low), float(high))
    yield Difference(name, figure, shares[0], shares[1], interval, (len(a), len(b)), is_rate=True)
