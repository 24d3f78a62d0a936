"""Utterances from voice activity, frame by frame."""

from __future__ import annotations

import numpy as np
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from voicecore.audio import Samples
from voicecore.config import EarsConfig
from voicecore.ears.endpoint import Endpointer, Guess, Onset, Pause, Resumed, Segment, Speech
from voicecore.ears.segment import Take, segment
from voicecore.engines.fake import FakeVad
from voicecore.mind.happenings import Happening

CONFIG = EarsConfig(
    guess_ms=160, onset_ms=100, endpoint_ms=400, preroll_ms=200, max_utterance_ms=4_000
)
QUIET, LOUD = 10, 4_000


class Marked:
    """Takes the frames whose samples are loud for speech."""

    def feed(self, frame: Samples) -> bool:
        return int(abs(frame[0])) >= LOUD

    def reset(self) -> None:
        pass


def frame(level: int, number: int) -> Samples:
    samples = np.full(320, level, np.int16)
    samples[-1] = number
    return samples


def run(voiced: list[bool], config: EarsConfig = CONFIG) -> list[tuple[int, Segment]]:
    """Feed one frame for each flag; return what was found with the frame's number."""
    endpointer = Endpointer(Marked(), config)
    found = [
        (number, segment)
        for number, is_voiced in enumerate(voiced)
        for segment in endpointer.feed(frame(LOUD if is_voiced else QUIET, number))
        if not isinstance(segment, Pause)
    ]
    return [*found, *((len(voiced), segment) for segment in endpointer.close())]


def run_without_guesses(
    voiced: list[bool], config: EarsConfig = CONFIG
) -> list[tuple[int, Onset | Speech]]:
    return [(n, s) for n, s in run(voiced, config) if isinstance(s, Onset | Speech)]


def numbers(speech: Segment) -> list[int]:
    assert isinstance(speech, Speech)
    return [int(n) for n in speech.samples[319::320]]


def test_speech_begins_at_its_fifth_voiced_frame_and_ends_after_the_silence() -> None:
    (begun, onset), (ended, speech) = run_without_guesses([False] * 30 + [True] * 20 + [False] * 40)
    assert (begun, onset) == (34, Onset())
    assert ended == 49 + 20
    assert isinstance(speech, Speech)
    assert speech.final
    assert speech.silence_ms == 400
    # From 200 ms before the window of the onset, to 200 ms after the last voiced frame.
    assert numbers(speech) == list(range(15, 60))


def test_clicks_and_short_noises_are_no_speech() -> None:
    assert run_without_guesses(([True] * 3 + [False] * 12) * 20) == []


def test_speech_may_be_uneven() -> None:
    ((_, onset), (_, speech)) = run_without_guesses([True, False] * 20 + [False] * 30)
    assert onset == Onset()
    assert isinstance(speech, Speech)


def test_a_pause_shorter_than_the_endpoint_does_not_end_it() -> None:
    found = run_without_guesses([True] * 20 + [False] * 19 + [True] * 20 + [False] * 30)
    assert [type(segment) for _, segment in found] == [Onset, Speech]


def test_two_utterances_share_no_frame_and_lose_none_between_them() -> None:
    found = run_without_guesses([True] * 20 + [False] * 22 + [True] * 20 + [False] * 30)
    first, second = (numbers(segment) for _, segment in found if isinstance(segment, Speech))
    assert first[-1] + 1 == second[0]
    assert set(range(42, 62)) <= set(second)


def test_long_speech_is_cut_and_goes_on() -> None:
    found = [segment for _, segment in run_without_guesses([True] * 1_000 + [False] * 30)]
    speeches = [segment for segment in found if isinstance(segment, Speech)]
    assert found.count(Onset()) == 1
    assert [speech.final for speech in speeches] == [False] * (len(speeches) - 1) + [True]
    assert all(len(speech.samples) <= 4_000 * 16 for speech in speeches)
    joined = [number for speech in speeches for number in numbers(speech)]
    assert joined == list(range(1_010))


def test_it_is_cut_where_it_is_quietest() -> None:
    endpointer = Endpointer(Marked(), CONFIG)
    found: list[Segment] = []
    for number in range(300):
        level = 5_000 if number == 0 or number % 150 > 5 else LOUD
        found += endpointer.feed(frame(level, number))
    (cut,) = (segment for segment in found if isinstance(segment, Speech))
    assert 150 <= len(numbers(cut)) <= 156


def test_what_is_being_said_when_the_sound_ends_is_kept() -> None:
    assert [type(segment) for _, segment in run_without_guesses([True] * 20)] == [Onset, Speech]
    assert run_without_guesses([False] * 20) == []


def test_a_guess_is_made_at_a_short_silence_and_holds_what_was_said() -> None:
    found = run([True] * 20 + [False] * 30)
    assert [type(segment) for _, segment in found] == [Onset, Guess, Speech]
    (made, guess), (_, speech) = found[1:]
    assert made == 19 + 160 // 20
    assert isinstance(guess, Guess)
    assert isinstance(speech, Speech)
    assert speech.guess == guess.number == 1
    np.testing.assert_array_equal(guess.samples, speech.samples[: len(guess.samples)])


def test_a_guess_that_was_wrong_is_taken_back_at_once_and_made_anew() -> None:
    found = run([True] * 20 + [False] * 10 + [True] * 10 + [False] * 30)
    assert [segment for _, segment in found if isinstance(segment, Resumed)] == [Resumed(1)]
    assert [type(s) for _, s in found] == [Onset, Guess, Resumed, Guess, Speech]
    assert next(n for n, s in found if isinstance(s, Resumed)) == 30
    assert [s.guess for _, s in found if isinstance(s, Speech)] == [2]


def test_speech_cut_for_its_length_has_no_guess() -> None:
    found = run(([True] * 15 + [False] * 9) * 20)
    cuts = [s for _, s in found if isinstance(s, Speech) and not s.final]
    assert cuts
    assert all(cut.guess == 0 for cut in cuts)


@given(st.lists(st.booleans(), max_size=600))
def test_frames_are_never_repeated_or_reordered_and_voiced_ones_never_lost_in_speech(
    voiced: list[bool],
) -> None:
    heard: list[int] = []
    speaking, begun = False, 0
    for number, part in run_without_guesses(voiced):
        if isinstance(part, Onset):
            assert not speaking
            speaking = True
            begun = number
            continue
        assert speaking
        found = numbers(part)
        if heard:
            assert found[0] > heard[-1]
        heard += found
        assert found == list(range(found[0], found[-1] + 1))
        if part.final:
            speaking = False
            spoken = {n for n in range(begun, number) if voiced[n]}
            assert spoken <= set(heard)
    assert not speaking


async def test_a_guess_waits_until_recognition_has_time(autojump_clock: MockClock) -> None:
    """And is forgotten when the person goes on meanwhile."""
    idle = False
    offered: list[tuple[int, bool]] = []
    frames_in, frames_out = trio.open_memory_channel[Samples](1_000)
    takes_in, takes_out = trio.open_memory_channel[Take](4)
    inbox_in, _inbox = trio.open_memory_channel[Happening](64)

    async def recognise() -> None:
        async for take in takes_out:
            offered.append((take.guess, take.tentative))  # noqa: PERF401

    async with trio.open_nursery() as nursery:
        nursery.start_soon(recognise)
        nursery.start_soon(
            segment, frames_out, takes_in, inbox_in, Endpointer(FakeVad().detector(), CONFIG),
            lambda _: idle,
        )  # fmt: skip
        for voiced in [True] * 20 + [False] * 10 + [True] * 20 + [False] * 10:
            await frames_in.send(np.full(320, 8_000 * voiced, np.int16))
            await trio.sleep(0.02)
        assert offered == []
        idle = True
        await frames_in.send(np.zeros(320, np.int16))
        await trio.sleep(0.02)
        assert offered == [(2, True)]
        frames_in.close()
