"""A crowd on fakes in virtual time: what the schedule is worth, and what it costs."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.crowd import FIRST_PHRASE_S, FIRST_WORDS_S, RECOGNITION_S, simulate

ALONE_S = RECOGNITION_S + FIRST_WORDS_S + FIRST_PHRASE_S
TURNS = 15


def p95_s(seconds: list[float]) -> float:
    return float(np.percentile(seconds, 95))


def test_one_person_alone_waits_for_nothing() -> None:
    result = simulate(1, replies=2, scheduled=True, turns=5)
    # The model writes on while the voice speaks its first phrase.
    assert result.first_sound_s == pytest.approx([ALONE_S] * 5, abs=0.01)
    assert result.gaps_s == [0.0] * 15


def test_sixteen_people_hear_an_answer_in_half_the_time_and_nobody_starves() -> None:
    """First phrases go before long ones, which have a second to spare: few are late by more."""
    plain = simulate(16, replies=None, scheduled=False, turns=TURNS)
    scheduled = simulate(16, replies=None, scheduled=True, turns=TURNS)
    assert len(scheduled.first_sound_s) == 16 * TURNS
    assert p95_s(scheduled.first_sound_s) <= 0.6 * p95_s(plain.first_sound_s)
    assert p95_s(scheduled.gaps_s) == 0


@pytest.mark.parametrize("scheduled", [False, True])
def test_the_language_model_is_what_eight_people_wait_for(scheduled: bool) -> None:
    """Its places are asked for by the reply, and a reply is long."""
    two = simulate(8, replies=2, scheduled=scheduled, turns=TURNS)
    four = simulate(8, replies=4, scheduled=scheduled, turns=TURNS)
    assert p95_s(four.first_sound_s) <= 0.75 * p95_s(two.first_sound_s)
