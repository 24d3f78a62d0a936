from __future__ import annotations

import math

import numpy as np
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from voicecore.audio import Pcm, Samples
from voicecore.ears.ingest import FRAME_SAMPLES, Ingest, Microphone
from voicecore.errors import ClientError

RATES = st.sampled_from([8_000, 11_025, 16_000, 22_050, 44_100, 48_000])
CUTS = st.lists(st.integers(0, 4_000), max_size=12).map(sorted)


def noise(samples: int, *, seed: int = 0) -> Samples:
    return np.random.default_rng(seed).integers(-32_768, 32_767, samples).astype(np.int16)


def framed(parts: list[Samples], rate_hz: int) -> list[Samples]:
    source = Ingest()
    frames = [frame for part in parts for frame in source.feed(Pcm(part, rate_hz))]
    return frames + source.close()


def joined(frames: list[Samples]) -> Samples:
    return np.concatenate([*frames, np.zeros(0, np.int16)])


@given(st.integers(0, 4_000), RATES, CUTS)
def test_any_cutting_gives_the_same_frames(length: int, rate_hz: int, cuts: list[int]) -> None:
    sound = noise(length)
    whole = framed([sound], rate_hz)
    cut = framed(np.split(sound, [min(at, length) for at in cuts]), rate_hz)
    assert {len(frame) for frame in whole + cut} <= {FRAME_SAMPLES}
    assert {frame.dtype for frame in whole} <= {np.dtype(np.int16)}
    resampled = math.floor(length * 16_000 / rate_hz + 0.5)
    assert len(whole) == -(-resampled // FRAME_SAMPLES)
    assert np.array_equal(joined(cut), joined(whole))


@given(st.integers(0, 2_000), CUTS)
def test_16_khz_is_untouched_and_its_last_frame_filled_with_silence(
    length: int, cuts: list[int]
) -> None:
    sound = noise(length)
    frames = framed(np.split(sound, [min(at, length) for at in cuts]), 16_000)
    assert np.array_equal(joined(frames)[:length], sound)
    assert not joined(frames)[length:].any()


def test_a_frame_at_16_khz_comes_at_once() -> None:
    source = Ingest()
    assert source.feed(Pcm(noise(319), 16_000)) == []
    assert len(source.feed(Pcm(noise(1), 16_000))) == 1


def test_a_change_of_rate_loses_no_sound() -> None:
    source = Ingest()
    frames = source.feed(Pcm(noise(4_801), 48_000))
    frames += source.feed(Pcm(noise(1_600), 16_000))
    frames += source.feed(Pcm(noise(799), 8_000))
    frames += source.close()
    assert len(frames) == -(-(1_600 + 1_600 + 1_598) // FRAME_SAMPLES)
    expected = np.concatenate(
        (joined(framed([noise(4_801)], 48_000))[:1_600], noise(1_600))  # 1600.3 samples
    )
    assert np.array_equal(joined(frames)[:3_200], expected)


@pytest.mark.parametrize("rate_hz", [7_999, 48_001, 0, -1, 1_000_000])
def test_an_impossible_rate_is_refused_and_nothing_is_lost(rate_hz: int) -> None:
    source = Ingest()
    before = source.feed(Pcm(noise(500), 16_000))
    with pytest.raises(ClientError, match="8000 to 48000") as refused:
        source.feed(Pcm(noise(100), rate_hz))
    assert refused.value.code == "BAD_SAMPLE_RATE"
    after = source.feed(Pcm(noise(500, seed=1), 16_000)) + source.close()
    expected = np.concatenate((noise(500), noise(500, seed=1)))
    assert np.array_equal(joined(before + after)[:1_000], expected)


def test_reset_forgets_what_is_held() -> None:
    source = Ingest()
    source.feed(Pcm(noise(300), 44_100))
    source.reset()
    assert source.close() == []


class Told:
    """What the task called back."""

    def __init__(self) -> None:
        self.dropped_ms: list[float] = []
        self.errors: list[ClientError] = []


def take_all(pieces: list[Pcm], room: int) -> tuple[Told, list[Samples]]:
    """Have all pieces taken, with room for so many frames that nobody reads meanwhile."""
    told = Told()
    frames_out, frames = trio.open_memory_channel[Samples](room)
    microphone = Microphone(frames_out, told.dropped_ms.append, told.errors.append)
    for piece in pieces:
        microphone.take(piece)
    waiting = frames.statistics().current_buffer_used
    return told, [frames.receive_nowait() for _ in range(waiting)]


def test_every_frame_is_passed_on() -> None:
    told, frames = take_all([Pcm(noise(1_000), 16_000)], room=10)
    assert np.array_equal(joined(frames), noise(1_000)[:960])
    assert (told.dropped_ms, told.errors) == ([], [])


def test_what_has_no_room_is_dropped() -> None:
    told, frames = take_all([Pcm(noise(3_200), 16_000), Pcm(noise(960), 16_000)], room=4)
    assert told.dropped_ms == [120.0, 60.0]
    assert np.array_equal(joined(frames), noise(3_200)[: 4 * FRAME_SAMPLES])


def test_a_bad_piece_is_reported_and_the_stream_goes_on() -> None:
    pieces = [Pcm(noise(320), 16_000), Pcm(noise(320), 4_000), Pcm(noise(320), 16_000)]
    told, frames = take_all(pieces, room=10)
    assert [error.code for error in told.errors] == ["BAD_SAMPLE_RATE"]
    assert len(frames) == 2


def test_sound_is_dropped_quietly_when_nobody_reads_the_frames() -> None:
    told = Told()
    frames_out, frames = trio.open_memory_channel[Samples](1)
    frames.close()
    Microphone(frames_out, told.dropped_ms.append, told.errors.append).take(Pcm(noise(960), 16_000))
    assert (told.dropped_ms, told.errors) == ([], [])
