"""The reply in the microphone, alone and with a person, in made-up voices and rooms."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicecore.audio import EAR_HZ, MOUTH_HZ, Pcm, Samples, from_float, resample
from voicecore.ears.echo import Echo

FRAME = 320
BEGINS_S = 5.0
"""On the clock: the reply's first sample."""

Sound = npt.NDArray[np.float64]


def babble(seed: int, duration_s: float) -> Sound:
    """Something with the texture of a voice: bands of noise that come and go with its syllables."""
    rng = np.random.default_rng(seed)
    length = round(duration_s * EAR_HZ)
    spectrum = np.fft.rfft(rng.normal(size=length))
    hz = np.fft.rfftfreq(length, 1 / EAR_HZ)
    sound = np.zeros(length)
    knots = np.arange(0, length + 2_400, 2_400)
    for low in np.geomspace(120, 5_000, 14)[:-1]:
        band = np.fft.irfft(spectrum * ((hz >= low) & (hz < low * 1.33)), length)
        loud_db = rng.choice([-60, -12, 0], size=len(knots), p=[0.5, 0.2, 0.3])
        envelope = 10 ** (np.interp(np.arange(length), knots, loud_db) / 20)
        sound += band / band.std() * envelope / (low / 120) ** 0.5
    return np.asarray(sound / sound.std() * 0.1)


def heard(
    reply: Sound, gain_db: float, delay_s: float, person: Sound | None = None, at_s: float = 0
) -> Samples:
    """What the microphone hears from the beginning of the reply on."""
    rng = np.random.default_rng(9)
    room = rng.normal(size=4_000) * np.exp(-np.arange(4_000) / 700) * 0.05
    room[0] = 1
    echo = np.convolve(reply, room)[: len(reply)] * 10 ** (gain_db / 20)
    late = round(delay_s * EAR_HZ)
    sound = np.concatenate((np.zeros(late), echo))[: len(reply)]
    sound += rng.normal(0, 2e-4, len(sound))
    if person is not None:
        start = round(at_s * EAR_HZ)
        sound[start : start + len(person)] += person[: len(sound) - start]
    return from_float(sound.astype(np.float32))


def at_48_khz(sound: Sound) -> Samples:
    return resample(Pcm(from_float(sound.astype(np.float32)), EAR_HZ), MOUTH_HZ).samples


def judged(echo: Echo, sound: Samples, begins_s: float = BEGINS_S) -> list[bool]:
    return [
        echo.explains(sound[at : at + FRAME], begins_s + (at + FRAME) / EAR_HZ)
        for at in range(0, len(sound) - FRAME + 1, FRAME)
    ]


REPLY = babble(1, 4)
REPLY_48 = at_48_khz(REPLY)
PERSON = babble(2, 1.5)


def with_reply() -> Echo:
    echo = Echo()
    echo.played(REPLY_48, BEGINS_S)
    return echo


def test_nothing_is_explained_when_nothing_is_played() -> None:
    assert not any(judged(Echo(), heard(REPLY, 0, 0)))


def test_nothing_is_explained_long_after_a_reply() -> None:
    assert not any(judged(with_reply(), heard(PERSON, 0, 0), BEGINS_S + 4 + 1.0))


@pytest.mark.parametrize("delay_s", [0.02, 0.133, 0.31, 0.5])
@pytest.mark.parametrize("gain_db", [0, -10, -20, -30])
def test_echo_is_explained(gain_db: float, delay_s: float) -> None:
    found = judged(with_reply(), heard(REPLY, gain_db, delay_s))
    first = round(delay_s * 50) + 10  # its delay is known after 200 ms of it
    assert sum(not explained for explained in found[first:]) <= 2


@pytest.mark.parametrize(("gain_db", "within"), [(-10, 12), (-20, 5), (-100, 4)])
def test_a_person_is_heard_through_it(gain_db: float, within: int) -> None:
    found = judged(with_reply(), heard(REPLY, gain_db, 0.2, PERSON, at_s=2.0))
    assert sum(not explained for explained in found[100 : 100 + within]) >= 2


def test_noise_alone_is_nobody() -> None:
    assert all(judged(with_reply(), heard(REPLY, -100, 0.2))[10:])


def test_what_was_learnt_serves_the_next_reply() -> None:
    echo = with_reply()
    judged(echo, heard(REPLY, -6, 0.2))
    later_s, other = BEGINS_S + 20, babble(3, 2)
    echo.played(at_48_khz(other), later_s)
    assert all(judged(echo, heard(other, -6, 0.2), later_s))


def test_sound_that_was_dropped_explains_nothing() -> None:
    sound = heard(REPLY, 0, 0.1)
    echo = with_reply()
    judged(echo, sound[: 2 * EAR_HZ])
    echo.stopped(BEGINS_S + 2)
    assert not any(judged(echo, sound[3 * EAR_HZ :], BEGINS_S + 3)[5:])


def test_frames_may_arrive_in_bursts() -> None:
    echo, sound, found = with_reply(), heard(REPLY, -6, 0.2), []
    for number in range(len(sound) // FRAME):
        burst = number // 6 * 6 + 6  # 120 ms at a time
        frame = sound[number * FRAME : (number + 1) * FRAME]
        found.append(echo.explains(frame, BEGINS_S + burst * 0.02))
    assert sum(not explained for explained in found[25:]) <= 2


def test_sound_far_ahead_does_not_grow_the_memory() -> None:
    echo = Echo()
    echo.played(np.tile(REPLY_48, 20), BEGINS_S)  # 80 s
    found = judged(echo, heard(REPLY, -6, 0.2), BEGINS_S + 76)
    assert sum(not explained for explained in found[75:]) <= 2  # joined in the middle: slower


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 30_000), max_size=12))
def test_any_pieces_of_a_reply_are_the_same_reply(cuts: list[int]) -> None:
    whole, pieces = Echo(), Echo()
    played, sound = REPLY_48[: MOUTH_HZ // 2], heard(REPLY, -6, 0.1)[: EAR_HZ * 3 // 4]
    whole.played(played, BEGINS_S)
    for piece, start in zip(
        np.split(played, sorted(cuts)), [0, *sorted(min(cut, len(played)) for cut in cuts)],
        strict=True,
    ):  # fmt: skip
        pieces.played(piece, BEGINS_S + start / MOUTH_HZ)
    assert judged(pieces, sound) == judged(whole, sound)
