"""The measure that the turn engine is judged by."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore.audio import EAR_HZ, Samples
from voicecore.engines.fake import FakeVad, tone

pytest.importorskip("faster_whisper")

from benchmarks.turn_places import Cutter, Place
from benchmarks.turns import Rule, auc, outcomes, thought

PROBABILITIES = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@given(PROBABILITIES, PROBABILITIES)
def test_auc_counts_the_pairs_in_order(ends: list[float], others: list[float]) -> None:
    pairs = [(end > other) + (end == other) / 2 for end in ends for other in others]
    assert auc(ends, others) == pytest.approx(sum(pairs) / len(pairs))
    assert auc(others, ends) == pytest.approx(1 - auc(ends, others))


def voice(ms: int) -> Samples:
    return tone(EAR_HZ * ms // 1000, EAR_HZ)


def silence(ms: int) -> Samples:
    return np.zeros(EAR_HZ * ms // 1000, np.int16)


@pytest.fixture
def cutter() -> Cutter:
    return Cutter(FakeVad().detector, None, np.random.default_rng(0))


def test_a_pause_is_a_silence_that_the_voice_ended(cutter: Cutter) -> None:
    sound = np.concatenate((voice(400), silence(40), voice(200), silence(300), voice(100)))
    (place,) = cutter.pauses("voice", np.concatenate((sound, silence(500))))
    assert len(place.spoken) == EAR_HZ * 640 // 1000
    assert len(place.with_silence(200)) == EAR_HZ * 840 // 1000
    assert not place.with_silence(200)[len(place.spoken) :].any()


def test_an_end_is_the_last_of_the_voice(cutter: Cutter) -> None:
    place = cutter.end("voice", np.concatenate((voice(300), silence(200), voice(100), silence(60))))
    assert place.kind == "end"
    assert len(place.spoken) == EAR_HZ * 600 // 1000
    assert len(place.with_silence(100)) == EAR_HZ * 700 // 1000


def place(kind: str, probability: float, words: str = "") -> Place:
    judged = dict.fromkeys((40, 100, 200), probability)
    return Place("voice", kind, silence(0), silence(0), judged, words)


def test_what_is_cut_off_stands_beside_what_the_ends_wait() -> None:
    places = [place("end", 0.95), place("pause", 0.95), place("pause", 0.01)]
    sound, silent = outcomes(places, (Rule(100, words=False), Rule(None, words=False)))
    assert sound["pause cut %"] == pytest.approx(50, abs=15)  # 100 without the judge of the sound
    assert sound["end_median_ms"] < silent["end_median_ms"]  # type: ignore[operator] # numbers
    assert sound["hesitation cut %"] == ""
    assert 25 < silent["pause cut %"] < 100  # type: ignore[operator] # of 300 to 800 ms


def test_words_that_lead_on_keep_a_turn_open() -> None:
    leading = place("leading word", 0.95, "I would like to")
    assert Rule(100, words=True).wait_ms(leading) > Rule(100, words=False).wait_ms(leading)


def test_each_kind_of_place_has_a_row_for_each_silence() -> None:
    found = list(thought([place("end", 0.8), place("end", 0.6), place("pause", 0.1)]))
    assert [(row["place"], row["n"], row["auc"]) for row in found] == [
        *[("end", 2, "")] * 3,
        *[("pause", 1, 1.0)] * 3,
    ]
    assert found[0][">=0.7"] == 0.5
