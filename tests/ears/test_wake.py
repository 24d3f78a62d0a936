from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore.audio import Samples
from voicecore.config import EarsConfig
from voicecore.ears.endpoint import Endpointer, Segment, Speech
from voicecore.ears.ingest import FRAME_SAMPLES
from voicecore.ears.wake import SETTLE_MS, WakefulEndpointer, WakeGate, after_word
from voicecore.engines.fake import KEYNOTE_HZ, FakeVad, FakeWake, babble, tone
from voicecore.engines.interface import VAD_FRAME_MS

AWAKE_MS = 2_000
STAY = AWAKE_MS // VAD_FRAME_MS
LATE_MS = 240
KEPT = (LATE_MS + SETTLE_MS) // VAD_FRAME_MS


class Scripted:
    """Notices the word in frames of the value 1."""

    def __init__(self) -> None:
        self.heard = self.resets = 0

    def feed(self, frame: Samples) -> bool:
        self.heard += 1
        return int(frame[0]) == 1

    def reset(self) -> None:
        self.resets += 1


def loud(number: int) -> Samples:
    """A frame that tells its number, as loud as any other."""
    frame = np.full(FRAME_SAMPLES, 9_000, np.int16)
    frame[0] = number
    return frame


def numbers(frames: list[Samples]) -> list[int]:
    return [int(frame[0]) for frame in frames]


def frames_of(sound: Samples) -> list[Samples]:
    return [
        sound[at : at + FRAME_SAMPLES]
        for at in range(0, len(sound) - FRAME_SAMPLES + 1, FRAME_SAMPLES)
    ]


def test_asleep_nothing_is_let_through() -> None:
    detector = Scripted()
    gate = WakeGate(detector, LATE_MS, AWAKE_MS)
    for number in range(2, 2_000):
        assert gate.feed(loud(number), speaking=False, answering=False) == []
    assert not gate.awake
    assert detector.heard == 1_998


def test_the_word_wakes_and_what_follows_in_one_breath_is_whole() -> None:
    detector = Scripted()
    gate = WakeGate(detector, LATE_MS, AWAKE_MS)
    heard = []
    for number in [*range(100, 200), 1, *range(200, 250)]:
        heard += gate.feed(loud(number), speaking=False, answering=False)
    assert gate.awake
    settled = SETTLE_MS // VAD_FRAME_MS
    before = [*range(100, 200), 1][-(KEPT - settled) :]
    assert numbers(heard) == [*before, *range(200, 250)]
    assert detector.heard == 101  # not while awake


def test_it_falls_asleep_when_nothing_is_said_and_a_person_or_a_reply_keeps_it_awake() -> None:
    detector = Scripted()
    gate = WakeGate(detector, LATE_MS, AWAKE_MS)
    gate.feed(loud(1), speaking=False, answering=False)
    for speaking, answering in ((True, False), (False, True)):
        for _ in range(3 * STAY):
            gate.feed(loud(5), speaking=speaking, answering=answering)
        assert gate.awake
    for _ in range(STAY - 1):
        gate.feed(loud(5), speaking=False, answering=False)
    assert gate.awake
    assert detector.resets == 0
    gate.feed(loud(5), speaking=False, answering=False)
    assert [gate.awake, detector.resets] == [False, 1]


def test_a_reply_wakes_it_without_the_word() -> None:
    gate = WakeGate(Scripted(), LATE_MS, AWAKE_MS)
    assert gate.feed(loud(7), speaking=False, answering=False) == []
    assert numbers(gate.feed(loud(8), speaking=False, answering=True)) == [8]
    assert gate.awake


def test_a_voice_alone_does_not_wake_it() -> None:
    gate = WakeGate(Scripted(), LATE_MS, AWAKE_MS)
    assert gate.feed(loud(7), speaking=True, answering=False) == []
    assert not gate.awake


HAPPENINGS = st.lists(st.tuples(st.integers(1, 40), st.booleans(), st.booleans()), max_size=400)
"""The word in one frame of forty; what goes on meanwhile."""


@given(HAPPENINGS)
def test_what_is_heard_comes_once_and_in_order(happenings: list[tuple[int, bool, bool]]) -> None:
    gate = WakeGate(Scripted(), LATE_MS, 1_000)
    heard: list[int] = []
    for at, (number, speaking, answering) in enumerate(happenings):
        frame = loud(number)
        frame[1] = at
        let_through = gate.feed(frame, speaking=speaking, answering=answering)
        heard += [int(each[1]) for each in let_through]
        assert len(let_through) <= KEPT
    assert heard == sorted(set(heard))


@given(st.lists(st.sampled_from([0, 20, 9_000]), min_size=1, max_size=KEPT))
def test_after_the_word_is_an_end_of_the_sound_and_begins_at_the_first_pause(
    levels: list[int],
) -> None:
    frames = [np.full(FRAME_SAMPLES, level, np.int16) for level in levels]
    found = after_word(frames)
    first = len(frames) - len(found)
    assert [id(frame) for frame in found] == [id(frame) for frame in frames[first:]]
    silent = [level < max(levels) / 10 or not level for level in levels]
    pauses = [at for at in range(len(levels) - 4) if all(silent[at : at + 5])]
    assert first == (pauses[0] if pauses else 0)


# --- before the ears ---


def ears(awakened: list[bool] | None = None) -> WakefulEndpointer:
    told = awakened if awakened is not None else []
    gate = WakeGate(FakeWake().detector(), LATE_MS, AWAKE_MS)
    return WakefulEndpointer(gate, lambda: False, told.append, FakeVad().detector(), EarsConfig())


def speeches(found: list[Segment]) -> list[Speech]:
    return [each for each in found if isinstance(each, Speech)]


WORD = tone(16_000 // 2, 16_000, hz=KEYNOTE_HZ)
PAUSE = np.zeros(16_000, np.int16)
QUESTION = babble(16_000)


def hear(endpointer: Endpointer, *sounds: Samples) -> list[Speech]:
    frames = frames_of(np.concatenate(sounds))
    return speeches([found for frame in frames for found in endpointer.feed(frame)])


def test_what_is_said_without_the_word_is_not_heard() -> None:
    told: list[bool] = []
    endpointer = ears(told)
    assert not hear(endpointer, QUESTION, PAUSE, QUESTION, PAUSE)
    assert told == []
    assert endpointer.quiet


def test_after_the_word_people_are_heard_until_they_are_silent_for_long() -> None:
    told: list[bool] = []
    endpointer = ears(told)
    (speech,) = hear(endpointer, QUESTION, PAUSE, WORD, PAUSE, QUESTION, PAUSE)
    assert 1_000 <= len(speech.samples) / 16 <= 1_800
    assert told == [True]
    assert len(hear(endpointer, QUESTION, PAUSE)) == 1
    assert not hear(endpointer, PAUSE, PAUSE, PAUSE, QUESTION, PAUSE)
    assert told == [True, False]


def test_nobody_who_speaks_on_is_cut_off_by_sleep() -> None:
    told: list[bool] = []
    endpointer = ears(told)
    (speech,) = hear(endpointer, WORD, PAUSE, *[QUESTION] * 6, PAUSE)
    assert len(speech.samples) > 6 * 16_000
    assert told == [True]


def test_the_word_itself_is_no_question() -> None:
    assert not hear(ears(), PAUSE, WORD[: 320 * 5], PAUSE, PAUSE)


@pytest.mark.parametrize("gap_ms", [0, 40, 80])
def test_a_question_in_the_same_breath_is_heard_whole(gap_ms: int) -> None:
    gap = PAUSE[: gap_ms * 16]
    (speech,) = hear(ears(), PAUSE, WORD[: 320 * 5], gap, QUESTION, PAUSE)
    begin = speech.samples.tobytes().find(QUESTION.tobytes())
    assert begin >= 0
