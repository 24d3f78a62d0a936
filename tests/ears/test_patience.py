"""How long to wait in silence, given what is known."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import attrs
import numpy as np
import pytest
from trio.testing import MockClock

from tests.harness import Fakes, open_stage
from voicecore.audio import Samples
from voicecore.config import EarsConfig
from voicecore.ears.endpoint import (
    Endpointer,
    Guess,
    Onset,
    Partial,
    Pause,
    Resumed,
    Segment,
    Silent,
    Speech,
)
from voicecore.ears.patience import Patience, unfinished
from voicecore.engines.fake import fake_stt, fake_turn

CONFIG = EarsConfig(
    guess_ms=40, onset_ms=100, endpoint_ms=440, endpoint_complete_ms=200, endpoint_open_ms=900,
    judge_ms=100,
)  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        "I would like to", "I want a", "Because,", "Well...", "I would like, um.",
        "Tell me about the.", "It is red and", "My name is—", "我想，...",
        "If it rains tomorrow.", "When I come home", "I have eggs, flour.",
        "My favourite colour is.",
    ],
)  # fmt: skip
def test_these_words_are_unfinished(words: str) -> None:
    assert unfinished(words, "en")


@pytest.mark.parametrize(
    "words",
    [
        "What is it?",
        "Turn it on.",
        "Thank you",
        "Yes, I am.",
        "What are they for?",
        "",
        "no",
        "a.m.?",
        "When does it leave?",
        "If it rains tomorrow, I stay at home.",
        "I know where it is.",
        "No, thank you.",
        "Tell me a story, please.",
    ],
)
def test_these_words_may_be_finished(words: str) -> None:
    assert not unfinished(words, "en")


def test_other_languages_are_judged_by_their_marks_alone() -> None:
    assert not unfinished("Das ist an", "de")
    assert unfinished("Das ist an,", "de")
    assert not unfinished("I want a", "")


@pytest.mark.parametrize(
    ("completeness", "words", "expected"),
    [
        (None, None, 440), (0.9, None, 200), (0.5, None, 440), (0.05, None, 900),
        (0.9, "I want a", 900), (None, "I want a", 900), (None, "I want tea.", 440),
        (0.9, "I want tea.", 200), (None, "", 200), (0.1, "", 200),
    ],
)  # fmt: skip
def test_the_wait_is_chosen_from_what_is_known(
    completeness: float | None, words: str | None, expected: int
) -> None:
    assert Patience(CONFIG, completeness, words, "en").endpoint_ms() == expected


class Loud:
    def feed(self, frame: Samples) -> bool:
        return bool(frame[0])

    def reset(self) -> None:
        """Nothing is kept."""


def voiced(flag: bool) -> Samples:
    return np.full(320, int(flag), np.int16)


def silence_until_the_end(endpointer: Endpointer, learn_after: int, **learnt: object) -> float:
    """Speak, then be silent; return the silence in ms after which the turn ended."""
    found = [segment for _ in range(30) for segment in endpointer.feed(voiced(True))]
    assert isinstance(found[0], Onset)
    for frame in range(1, 100):
        for segment in endpointer.feed(voiced(False)):
            if isinstance(segment, Speech):
                return frame * 20
            assert isinstance(segment, Guess | Pause)
        if frame == learn_after:
            endpointer.learn(endpointer._guess, **learnt)  # type: ignore[arg-type]
    raise AssertionError("it never ended")


def test_a_complete_turn_ends_early_and_an_open_one_late() -> None:
    endpointer = Endpointer(Loud(), CONFIG)
    assert silence_until_the_end(endpointer, 4, completeness=0.9) == 200
    assert silence_until_the_end(endpointer, 4, completeness=0.01) == 900
    assert silence_until_the_end(endpointer, 4, words="I want a", language="en") == 900
    assert silence_until_the_end(endpointer, 99) == 440


def test_what_is_learnt_late_ends_the_turn_at_once() -> None:
    assert silence_until_the_end(Endpointer(Loud(), CONFIG), 15, completeness=0.9) == 320


def test_what_is_learnt_of_a_wrong_guess_counts_for_nothing() -> None:
    endpointer = Endpointer(Loud(), CONFIG)
    found: list[Segment] = []
    for flag in [True] * 20 + [False] * 3 + [True] * 3:
        found = endpointer.feed(voiced(flag))
    endpointer.learn(1, completeness=0.9)
    silent = 0
    while not any(isinstance(segment, Speech) for segment in found):
        found = endpointer.feed(voiced(False))
        silent += 20
    assert silent == 440
    assert not isinstance(found[0], Resumed)


def test_the_judge_is_asked_once_there_is_enough_silence() -> None:
    endpointer = Endpointer(Loud(), CONFIG)
    found = [
        (frame, segment)
        for frame, flag in enumerate([True] * 30 + [False] * 8)
        for segment in endpointer.feed(voiced(flag))
    ]
    kinds = {type(segment): frame - 29 for frame, segment in found}
    assert kinds[Guess] == 2
    assert kinds[Pause] == 5
    (pause,) = [segment for _, segment in found if isinstance(segment, Pause)]
    assert pause.guess == 1


async def test_a_turn_that_sounds_complete_is_answered_sooner(autojump_clock: MockClock) -> None:
    ended = {}
    for probability in (0.95, 0.5, 0.05):
        fakes = attrs.evolve(Fakes(stt=fake_stt(["Yes."] * 9)), turn=fake_turn([probability]))
        async with open_stage(fakes) as stage, stage.connect("/ws/default?timeline=1") as client:
            await client.start()
            await client.say(1.0, silence_s=2.0)
            timeline = await client.type("timeline")
        (endpoint,) = [span for span in timeline["spans"] if span["name"] == "endpoint"]
        ended[probability] = endpoint["end_ms"] - endpoint["start_ms"]
    # Its answer can be heard after 40 ms and the fakes' 200, 100, 50 and 50.
    assert ended == {0.95: 460, 0.5: 600, 0.05: 900}


class Prepared(Silent):
    """An answer is being prepared."""

    def __init__(self, ready: Callable[[], bool]) -> None:
        self.next_is_ready = ready  # type: ignore[assignment,method-assign]


@pytest.mark.parametrize(
    ("ready_after", "ended_after"), [(0, 200), (15, 300), (21, 420), (99, 440)]
)
def test_a_complete_turn_lasts_until_its_answer_can_be_heard(
    ready_after: int, ended_after: float
) -> None:
    """But no longer than one of which nothing is known."""
    frames = 0

    def ready() -> bool:
        return frames >= ready_after

    class Counting(Loud):
        def feed(self, frame: Samples) -> bool:
            nonlocal frames
            frames = 0 if frame[0] else frames + 1
            return super().feed(frame)

    endpointer = Endpointer(Counting(), CONFIG, Prepared(ready))
    assert silence_until_the_end(endpointer, 4, completeness=0.9) == ended_after


def test_without_an_answer_being_prepared_a_complete_turn_ends_at_once() -> None:
    endpointer = Endpointer(Loud(), CONFIG, Silent())
    assert silence_until_the_end(endpointer, 4, completeness=0.9) == 200


def test_a_guess_is_made_while_the_detector_still_hears_the_voice_fade() -> None:
    class Lagging:
        def feed(self, frame: Samples) -> bool:
            return True

        def reset(self) -> None:
            """Nothing is kept."""

    endpointer = Endpointer(Lagging(), CONFIG)
    found: list[tuple[int, Segment]] = []
    for number, level in enumerate([8_000] * 30 + [20] * 4 + [8_000] * 2):
        found += [(number, s) for s in endpointer.feed(np.full(320, level, np.int16))]
    assert [(n, type(s)) for n, s in found[-2:]] == [(31, Guess), (34, Resumed)]


def test_partials_come_while_the_person_speaks_on() -> None:
    endpointer = Endpointer(Loud(), attrs.evolve(CONFIG, partial_ms=500))
    found = [
        (number, segment)
        for number in range(100)
        for segment in endpointer.feed(voiced(number < 90))
        if isinstance(segment, Partial | Guess)
    ]
    partials = [number for number, segment in found if isinstance(segment, Partial)]
    assert [later - one for one, later in itertools.pairwise(partials)] == [25, 25]
    assert [type(segment) for _, segment in found[-1:]] == [Guess]
