from __future__ import annotations

from itertools import pairwise

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore.audio import Samples
from voicecore.config import EarsConfig
from voicecore.ears.stretches import (
    PAUSE_MS,
    SHORTEST_STRETCH_MS,
    Stretches,
    cut_at_pauses,
)
from voicecore.engines.fake import FakeVad

CONFIG = EarsConfig()
FRAME = 320
PER_S = 50

Plan = list[tuple[bool, int]]
"""Voice or silence, and for how many frames."""


def frames(plan: Plan) -> list[Samples]:
    """Voice counts its frames from 1000 on, so that each can be found again; silence is 0."""
    voiced = [voice for voice, count in plan for _ in range(count)]
    numbers = np.cumsum(voiced)
    return [
        np.full(FRAME, 1_000 + number if voice else 0, np.int16)
        for voice, number in zip(voiced, numbers, strict=True)
    ]


def cutter(config: EarsConfig = CONFIG) -> Stretches:
    return Stretches(FakeVad().detector(), config)


def run(stretches: Stretches, plan: Plan) -> tuple[list[Samples], list[Samples]]:
    """Return what was ready early, and what was left at the end."""
    early = [found for frame in frames(plan) for found in stretches.feed(frame)]
    return early, stretches.close()


def voices(stretches: list[Samples]) -> list[int]:
    """The numbers of the voiced frames in it, in order."""
    sound = [stretch[at] for stretch in stretches for at in range(0, len(stretch), FRAME)]
    return [int(level) for level in sound if level]


def seconds(stretch: Samples) -> float:
    return len(stretch) / 16_000


def test_a_stretch_is_ready_at_its_pause() -> None:
    stretches = cutter()
    early: list[Samples] = []
    said = frames([(True, 3 * PER_S), (False, PAUSE_MS // 20)])
    for frame in said[:-1]:
        early += stretches.feed(frame)
    assert early == []
    (stretch,) = stretches.feed(said[-1])
    assert 3.0 <= seconds(stretch) <= 3.3
    assert stretches.close() == []


def test_a_short_one_waits_for_what_follows() -> None:
    early, rest = run(cutter(), [(True, 30), (False, 50), (True, 30), (False, 50), (True, 90)])
    assert early == []
    assert len(rest) == 1
    assert voices(rest) == list(range(1_001, 1_151))


def test_a_short_one_does_not_wait_for_a_pause_that_is_long_enough_together() -> None:
    early, rest = run(cutter(), [(True, 80), (False, 50), (True, 80), (False, 50)])
    assert len(early) == 1
    assert len(voices(early)) == 160
    assert rest == []


def test_a_pause_within_a_sentence_does_not_cut() -> None:
    early, rest = run(cutter(), [(True, 200), (False, PAUSE_MS // 20 - 1), (True, 200)])
    assert early == []
    assert len(rest) == 1


def test_a_last_word_is_left_for_the_end() -> None:
    early, rest = run(cutter(), [(True, 150), (False, 50), (True, 20)])
    assert len(early) == 1
    assert voices(rest) == list(range(1_151, 1_171))


def test_long_silence_is_left_out() -> None:
    early, rest = run(cutter(), [(False, 3_000), (True, 200), (False, 3_000)])
    assert len(early) == 1
    assert seconds(early[0]) < 5
    assert rest == []


def test_a_message_without_speech_stays_whole() -> None:
    early, rest = run(cutter(), [(False, 200)])
    assert early == []
    assert [len(stretch) for stretch in rest] == [200 * FRAME]
    early, rest = run(cutter(), [(False, 2_500)])
    assert [seconds(stretch) for stretch in rest] == [20, 20, 10]


def test_speech_without_a_pause_is_cut_when_it_is_long() -> None:
    early, rest = run(cutter(), [(True, 60 * PER_S)])
    assert all(seconds(stretch) <= 20 for stretch in early)
    assert voices(early + rest) == list(range(1_001, 1_001 + 60 * PER_S))


def test_nothing_of_a_message_is_left_for_the_next() -> None:
    stretches = cutter()
    plan = [(True, 40), (False, 40), (True, 40)]
    first = run(stretches, plan)
    again = run(stretches, plan)
    assert [part.tolist() for part in first[1]] == [part.tolist() for part in again[1]]
    for frame in frames(plan):
        stretches.feed(frame)
    stretches.reset()
    assert stretches.close() == []


@pytest.mark.parametrize("count", [0, 1, 319, 320, 321])
def test_a_whole_message_of_any_length(count: int) -> None:
    sound = np.full(count, 3_000, np.int16)
    found = cut_at_pauses(sound, FakeVad().detector(), CONFIG)
    assert sum(map(len, found)) == -(-count // FRAME) * FRAME


plans = st.lists(st.tuples(st.booleans(), st.integers(1, 400)), max_size=12)


@given(plans, st.integers(2_000, 28_000))
def test_every_word_is_in_one_stretch_and_none_is_too_long(plan: Plan, longest_ms: int) -> None:
    config = attrs.evolve(CONFIG, max_utterance_ms=longest_ms)
    early, rest = run(cutter(config), plan)
    found = voices(early + rest)
    assert all(a < b for a, b in pairwise(found))
    # A sound too short to be speech is left out: it never was voiced for the time of an onset.
    clear = sum(count for voice, count in plan if voice and count >= CONFIG.onset_ms // 20)
    assert len(found) >= clear
    assert all(len(stretch) <= longest_ms * 16 + FRAME for stretch in early + rest)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 200)), max_size=6))
def test_what_is_ready_early_is_long_enough_to_be_recognised_alone(plan: Plan) -> None:
    early, _ = run(cutter(), plan)
    assert all(seconds(stretch) * 1_000 >= SHORTEST_STRETCH_MS for stretch in early)
