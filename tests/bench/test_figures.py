"""From what was received to answers, and from answers to figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from voicecore.audio import Samples
from voicecore.bench.figures import disturbance, interruption, turn, words_heard
from voicecore.bench.playback import Playback
from voicecore.bench.tape import (
    Complete,
    Event,
    Heard,
    Interrupted,
    Sounded,
    Timed,
    Wrote,
    answers,
)

SPANS = (
    {"name": "endpoint", "owner": "ears.endpoint_ms", "start_ms": 0.0, "end_ms": 210.0},
    {"name": "sending", "owner": "mouth.lead_ms", "start_ms": 240.0, "end_ms": 240.5},
)
LAST_S = 10.0
"""The person's last spoken sample."""


def sound(ms: float = 100, quiet_ms: float = 0) -> Samples:
    loud = np.full(round(ms * 48), 8000, np.int16)
    return np.concatenate([np.zeros(round(quiet_ms * 48), np.int16), loud])


def played(events: Sequence[Event]) -> Playback:
    playback = Playback()
    for event in events:
        if isinstance(event, Sounded):
            playback.feed(event.at_s, event.samples)
        elif isinstance(event, Interrupted):
            playback.drop(event.at_s)
    return playback


def figures(events: Sequence[Event]) -> dict[str, object]:
    return turn(events, played(events), LAST_S, "what is new")


GOOD: list[Event] = [
    Heard(10.2, "What is new?"),
    Wrote(10.25, "Not "),
    Sounded(10.3, sound(100, quiet_ms=20)),
    Wrote(10.3, "much."),
    Complete(10.35),
    Sounded(10.38, sound()),
    Timed(10.4, SPANS),
]


# --- answers ---


def test_one_reply_is_one_answer_however_its_messages_are_mixed() -> None:
    (answer,) = answers(GOOD)
    assert answer.text == "Not much."
    assert (answer.began_s, answer.complete_s, answer.timed_s) == (10.25, 10.35, 10.4)
    assert answer.seconds() == pytest.approx(0.22)
    assert answer.audible_s() == pytest.approx(10.32)


def test_text_after_a_completed_or_interrupted_reply_is_another_answer() -> None:
    for end in (Complete(1.3), Interrupted(1.3)):
        events: list[Event] = [Wrote(1.0, "one"), Sounded(1.1, sound()), end, Wrote(2.0, "two")]
        assert [answer.text for answer in answers(events)] == ["one", "two"]


def test_words_heard_while_the_reply_sounds_end_it_even_without_a_notice() -> None:
    events: list[Event] = [Wrote(1.0, "one"), Sounded(1.1, sound()), Heard(1.5, "x"), Wrote(2, "b")]
    assert [answer.text for answer in answers(events)] == ["one", "b"]


def test_words_heard_before_any_sound_are_a_late_piece_of_the_same_turn() -> None:
    events: list[Event] = [Wrote(1.0, "a"), Heard(1.1, "x"), Wrote(1.2, "b"), Sounded(2, sound())]
    assert [answer.text for answer in answers(events)] == ["ab"]


def test_sound_after_the_notice_is_stale_until_text_begins_a_new_answer() -> None:
    events: list[Event] = [
        Wrote(1.0, "old"), Sounded(1.1, sound()), Interrupted(1.5), Sounded(1.51, sound()),
        Heard(2.0, "stop"), Sounded(2.01, sound()), Wrote(2.5, "new"), Sounded(2.6, sound()),
    ]  # fmt: skip
    old, new = answers(events)
    assert [at for at, _ in old.stale] == [1.51, 2.01]
    assert [at for at, _ in new.sound] == [2.6]


def test_of_a_host_that_writes_nothing_words_begin_the_new_answer() -> None:
    events: list[Event] = [
        Sounded(1.1, sound()), Interrupted(1.5), Sounded(1.51, sound()), Heard(2.0, "stop"),
        Sounded(2.6, sound()),
    ]  # fmt: skip
    old, new = answers(events)
    assert len(old.stale) == 1
    assert new.began_s == 2.6


# --- a turn ---


def test_a_good_turn() -> None:
    row = figures(GOOD)
    assert row["latency_ms"] == pytest.approx(320)
    assert row["after_endpoint_ms"] == pytest.approx(240.5 - 210 + 20)
    assert (row["cut_off"], row["split"], row["merged"], row["unanswered"]) == (False,) * 4
    assert (row["word_errors"], row["words"], row["pieces"]) == (0, 3, 1)
    assert row["gap_ms"] == 0


def test_an_answer_before_the_last_sample_is_a_cut_off_and_the_one_that_stood_is_timed() -> None:
    early: list[Event] = [Wrote(9.5, "Hm?"), Sounded(9.6, sound()), Interrupted(9.7)]
    row = figures([*early, *GOOD])
    assert (row["cut_off"], row["split"], row["answers"]) == (True, True, 2)
    assert row["latency_ms"] == pytest.approx(320)


def test_text_alone_before_the_last_sample_is_a_cut_off_too() -> None:
    row = figures([Wrote(9.9, "Hm?"), Interrupted(9.95), *GOOD])
    assert (row["cut_off"], row["split"]) == (True, True)


def test_pieces_that_are_answered_once_are_merged() -> None:
    row = figures([Heard(9.0, "What"), Heard(10.2, "is new?"), *GOOD[1:]])
    assert (row["merged"], row["split"], row["pieces"], row["word_errors"]) == (True, False, 2, 0)


def test_two_answers_after_the_last_sample_are_a_split_but_no_cut_off() -> None:
    again: list[Event] = [Heard(12.0, "new"), Wrote(12.1, "Ah."), Sounded(12.2, sound())]
    row = figures([*GOOD, *again])
    assert (row["cut_off"], row["split"], row["merged"]) == (False, True, False)
    assert row["latency_ms"] == pytest.approx(2200)


def test_silence_is_no_answer() -> None:
    row = figures([Heard(10.2, "What is new?")])
    assert row["unanswered"]
    assert row["latency_ms"] is None


def test_silence_inside_the_reply_is_counted_from_200_ms_on() -> None:
    row = figures([*GOOD[:3], Sounded(10.5, sound()), Sounded(10.9, sound())])
    # 10.3 + 0.12 to 10.5 is less; 10.6 to 10.9 is more.
    assert row["gap_ms"] == pytest.approx(300)


# --- an interruption ---


REPLY: list[Event] = [Wrote(1.0, "a story"), *(Sounded(1 + n / 10, sound()) for n in range(10))]


def test_an_interruption_is_timed_from_the_first_sample_of_the_voice() -> None:
    events = [*REPLY, Sounded(2.05, sound()), Interrupted(2.1), Heard(3, "stop"), Wrote(3.1, "ok")]
    row = interruption(events, len(REPLY), onset_s=2.0)
    assert (row["told_ms"], row["last_sound_ms"], row["stop_ms"]) == pytest.approx((100, 50, 100))
    assert (row["missed"], row["stale_chunks"]) == (False, 0)


def test_sound_after_the_notice_makes_the_stop_later() -> None:
    stale = Sounded(2.25, sound(40))
    events: list[Event] = [*REPLY, Interrupted(2.1), stale, Wrote(3.1, "ok"), Sounded(3.2, sound())]
    row = interruption(events, len(REPLY), onset_s=2.0)
    assert row["stop_ms"] == pytest.approx(250)
    assert (row["stale_chunks"], row["stale_ms"]) == (1, pytest.approx(40))


def test_an_interruption_that_nobody_noticed_is_missed() -> None:
    row = interruption([*REPLY, Sounded(2.3, sound())], len(REPLY), onset_s=2.0)
    assert row["missed"]
    assert row["stop_ms"] is None


# --- a disturbance ---


def disturbed(*later: Event) -> dict[str, object]:
    events = [*REPLY, *later]
    return disturbance(events, played(events), len(REPLY), onset_s=2.0)


GOES_ON = [Sounded(2 + n / 10, sound()) for n in range(20)]


def test_a_reply_that_goes_on_was_not_disturbed() -> None:
    assert disturbed(*GOES_ON)["outcome"] == "none"


def test_a_reply_that_stops_for_a_while_and_goes_on_has_a_hiccup() -> None:
    later = [Sounded(2.5 + n / 10, sound()) for n in range(9)]
    told = disturbed(Interrupted(2.1), *later)
    untold = disturbed(Sounded(2.0, sound()), Sounded(2.4, sound()))
    assert (told["outcome"], untold["outcome"]) == ("hiccup", "hiccup")
    assert untold["gap_ms"] == pytest.approx(300)


@pytest.mark.parametrize(
    "later",
    [
        [Interrupted(2.1)],
        [Interrupted(2.1), Sounded(2.15, sound())],  # it was under way
        [Interrupted(2.1), Heard(2.5, "mm"), Wrote(2.6, "Yes?"), Sounded(2.7, sound())],
        [Heard(2.5, "mm"), Wrote(2.6, "Yes?"), Sounded(2.7, sound())],  # answered without a notice
    ],
)
def test_a_reply_that_stops_for_good_is_lost(later: list[Event]) -> None:
    assert disturbed(*later)["outcome"] == "lost"


# --- what was heard ---


@pytest.mark.parametrize(
    ("transcript", "words"),
    [
        ("", 0),
        ("one two", 2),
        ("one too", 2),
        ("one two three four", 4),
        ("one two three four five", 4),
        ("won two three", 3),
        ("two three", 3),
    ],
)
def test_the_beginning_that_fits_the_transcript_best_was_heard(transcript: str, words: int) -> None:
    assert words_heard(["one", "two", "three", "four"], transcript.split()) == words
