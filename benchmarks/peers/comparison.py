"""The order of the visits, and how two hosts compare over them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, islice

import attrs

from voicecore.bench.compare import Difference, compare
from voicecore.bench.figures import Row
from voicecore.bench.material import Studio, Utterance
from voicecore.bench.results import Results, collect
from voicecore.bench.scenarios import Scenario


def visits(hosts: Sequence[str], rounds: int) -> Iterator[tuple[int, str]]:
    """Give the order: each host in turn, and again, so that the machine's moods meet all alike."""
    for round_ in range(rounds):
        for host in hosts:
            yield round_, host


def shortened(scenario: Scenario, turns: int) -> Scenario:
    """Make a scenario of exactly so many turns; a list that is too short begins again."""

    async def prepare(studio: Studio, seed: int) -> list[Utterance]:
        return portion(scenario.name, await scenario.prepare(studio, seed), turns)

    return attrs.evolve(scenario, prepare=prepare)


def portion(scenario: str, utterances: Sequence[Utterance], turns: int) -> list[Utterance]:
    # The first of these asks for the reply that the others interrupt.
    asked = 1 if scenario == "interruptions" else 0
    return [*utterances[:asked], *islice(cycle(utterances[asked:]), turns)]


@attrs.frozen
class Line:
    """A figure of two hosts over all rounds."""

    over_all: Difference
    """``a`` is the peer's, ``b`` ours, so that its ratio is ours to theirs."""
    by_round: tuple[float, ...]
    """The same ratio within each round: its spread is that of the machine. Empty for a rate."""


def lines(ours: Mapping[int, Sequence[Row]], theirs: Mapping[int, Sequence[Row]]) -> list[Line]:
    """Compare two hosts' results, given as their lines in each round.

    Only figures that both have are compared.
    """
    rounds = [
        {(each.scenario, each.figure): each for each in compare(_of(theirs, {n}), _of(ours, {n}))}
        for n in sorted(set(ours) & set(theirs))
    ]
    found = compare(_of(theirs, set(theirs)), _of(ours, set(ours)))
    return [Line(each, _ratios(each, rounds)) for each in found]


def _of(lines_: Mapping[int, Sequence[Row]], rounds: set[int]) -> Results:
    return collect(row for round_ in sorted(rounds) for row in lines_[round_])


def _ratios(
    each: Difference, rounds: Sequence[Mapping[tuple[str, str], Difference]]
) -> tuple[float, ...]:
    if each.is_rate:
        return ()
    key = (each.scenario, each.figure)
    found = [ratio for round_ in rounds if key in round_ and (ratio := round_[key].ratio)]
    return tuple(found)
