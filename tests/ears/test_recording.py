from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise

import attrs
import numpy as np
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from voicecore.audio import Pcm, Samples, encode_s16le, wav_bytes
from voicecore.config import EarsConfig
from voicecore.ears import recording
from voicecore.ears.recording import NO_AUDIO, Recording, RecordingDecoder, record
from voicecore.ears.segment import Take
from voicecore.engines.fake import FakeVad, babble
from voicecore.errors import ClientError
from voicecore.events import ClipEnd, ClipPart
from voicecore.mind.happenings import Happening, HearingFailed

CONFIG = EarsConfig()
SECOND = 16_000
SILENT_S = np.zeros(SECOND, np.int16)
VOICE = babble(3 * SECOND)
"""Long enough to be recognised alone."""


@attrs.define
class Recorder:
    """A running `record`, and what came out of it."""

    parts: trio.MemorySendChannel[Recording]
    utterances: trio.MemoryReceiveChannel[Take]
    inbox: trio.MemoryReceiveChannel[Happening]
    scope: trio.CancelScope

    async def send(self, data: bytes, clip: int = 1, *, size: int = 48 * 1024) -> None:
        """Send a message's bytes in parts, as raw PCM unless they tell what they are."""
        form = None if data[:4] in {b"RIFF", b"\x1aE\xdf\xa3", b"OggS"} else "pcm"
        for at in range(0, len(data), size):
            await self.parts.send(ClipPart(data[at : at + size], form, clip))

    async def end(self, clip: int = 1) -> None:
        await self.parts.send(ClipEnd(clip))

    async def ready(self) -> list[Take]:
        """Take what is ready now."""
        await wait_all_tasks_blocked()
        return self.drain()

    async def takes(self) -> list[Take]:
        """Wait for the rest of a message."""
        found: list[Take] = []
        while not (found and found[-1].final):
            found.append(await self.utterances.receive())
        return found

    def drain(self) -> list[Take]:
        found: list[Take] = []
        while self.utterances.statistics().current_buffer_used:
            found.append(self.utterances.receive_nowait())
        return found


@asynccontextmanager
async def recorder(config: EarsConfig = CONFIG, *, room: int = 8) -> AsyncIterator[Recorder]:
    parts_in, parts_out = trio.open_memory_channel[Recording](64)
    takes_in, takes_out = trio.open_memory_channel[Take](room)
    inbox_in, inbox_out = trio.open_memory_channel[Happening](8)
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            work = partial(record, config=config, detector=FakeVad().detector())
            nursery.start_soon(work, parts_out, takes_in, inbox_in)
            with parts_in, takes_out, inbox_out:
                yield Recorder(parts_in, takes_out, inbox_out, nursery.cancel_scope)


def pcm(*sounds: Samples) -> bytes:
    return encode_s16le(np.concatenate(sounds))


def seconds(takes: list[Take]) -> list[float]:
    return [round(len(take.samples) / SECOND, 1) for take in takes]


# --- to be recognised while it arrives ---


async def test_a_stretch_is_passed_on_at_its_pause_and_the_rest_at_the_end(
    autojump_clock: MockClock,
) -> None:
    async with recorder() as it:
        await it.send(pcm(VOICE, SILENT_S, VOICE[:SECOND]))
        (early,) = await it.ready()
        assert (early.final, early.clip) == (False, 1)
        assert seconds([early]) == [3.2]
        await trio.sleep(2)
        await it.end()
        (last,) = await it.ready()
        assert (last.final, last.clip, last.zero_s) == (True, 1, trio.current_time())
        assert seconds([last]) == [1.4]


async def test_a_message_that_ends_silent_ends_with_an_empty_take(
    autojump_clock: MockClock,
) -> None:
    async with recorder() as it:
        await it.send(pcm(VOICE, SILENT_S))
        await it.end()
        takes = await it.ready()
        assert [(take.final, len(take.samples) > 0) for take in takes] == [
            (False, True),
            (True, False),
        ]


async def test_a_silent_message_is_recognised_all_the_same(autojump_clock: MockClock) -> None:
    async with recorder() as it:
        await it.send(pcm(SILENT_S, SILENT_S))
        await it.end()
        (take,) = await it.ready()
        assert take.final
        assert seconds([take]) == [2.0]


async def test_a_silent_beginning_does_not_hide_what_follows(autojump_clock: MockClock) -> None:
    async with recorder() as it:
        await it.send(pcm(*[SILENT_S] * 30, VOICE[:SECOND]))
        assert await it.ready() == []
        await it.end()
        (take,) = await it.ready()
        assert take.final
        assert seconds([take]) == [1.4]


async def test_parts_are_taken_while_recognition_is_behind(autojump_clock: MockClock) -> None:
    config = attrs.evolve(CONFIG, max_recording_ms=60_000)
    async with recorder(config, room=1) as it:
        for _ in range(10):
            await it.send(pcm(VOICE, SILENT_S), size=4_096)
        await wait_all_tasks_blocked()
        assert it.parts.statistics().current_buffer_used == 0
        await it.end()
        takes = await it.takes()
        assert [take.final for take in takes] == [False] * 10 + [True]


async def test_messages_follow_each_other_in_order(autojump_clock: MockClock) -> None:
    async with recorder() as it:
        for clip in (1, 2, 3):
            await it.send(pcm(VOICE[: clip * SECOND]), clip)
            await it.end(clip)
        takes = await it.ready()
        assert [(take.clip, take.final) for take in takes] == [(1, True), (2, True), (3, True)]
        assert seconds(takes) == [1.0, 2.0, 3.0]


# --- what cannot be used ---


@pytest.mark.parametrize("sent", [b"", b"\0"])
async def test_a_message_without_sound_is_refused_word_for_word(
    autojump_clock: MockClock, sent: bytes
) -> None:
    async with recorder() as it:
        await it.send(sent)
        await it.end()
        assert await it.inbox.receive() == HearingFailed("BAD_AUDIO", NO_AUDIO, clip=1)
        assert await it.ready() == []


async def test_what_is_wrong_is_told_once_and_the_next_message_is_heard(
    autojump_clock: MockClock,
) -> None:
    async with recorder() as it:
        for _ in range(3):
            await it.parts.send(ClipPart(b"no known kind of sound", None, 1))
        await it.end()
        failed = await it.inbox.receive()
        assert isinstance(failed, HearingFailed)
        assert (failed.code, failed.clip) == ("BAD_AUDIO", 1)
        await it.send(pcm(VOICE), 2)
        await it.end(2)
        assert seconds(await it.ready()) == [3.0]
        assert it.inbox.statistics().current_buffer_used == 0


async def test_a_message_that_is_too_long_is_refused_at_its_end(autojump_clock: MockClock) -> None:
    config = attrs.evolve(CONFIG, max_recording_ms=5_000)
    async with recorder(config) as it:
        await it.send(pcm(VOICE, SILENT_S, VOICE))
        (early,) = await it.ready()  # before anybody knew
        assert not early.final
        await it.end()
        failed = await it.inbox.receive()
        assert isinstance(failed, HearingFailed)
        assert (failed.code, failed.clip) == ("RECORDING_TOO_LONG", 1)
        assert await it.ready() == []


async def test_a_message_whose_end_was_lost_is_forgotten(autojump_clock: MockClock) -> None:
    async with recorder() as it:
        await it.send(pcm(VOICE[:SECOND]), 1)
        await it.send(pcm(VOICE[: 2 * SECOND]), 2)
        await it.end(2)
        (take,) = await it.ready()
        assert (take.clip, seconds([take])) == (2, [2.0])
        await it.send(pcm(VOICE), 3)
        await it.end(4)
        assert await it.inbox.receive() == HearingFailed("BAD_AUDIO", NO_AUDIO, clip=4)
        assert [take for take in await it.ready() if take.clip != 3] == []


# --- the decoder ---


def feed(decoder: RecordingDecoder, data: bytes, places: list[int], clip: int = 1) -> Samples:
    cuts = [0, *places, len(data)]
    parts = [data[a:b] for a, b in pairwise(cuts)]
    frames = [frame for part in parts for frame in decoder.feed(ClipPart(part, None, clip))]
    frames += decoder.close(ClipEnd(clip))
    assert {len(frame) for frame in frames} == {320}
    return np.concatenate(frames)


def decoder(max_bytes: int = 10_000_000) -> RecordingDecoder:
    return RecordingDecoder(max_bytes=max_bytes, max_ms=60_000)


NOISE = np.random.default_rng(0).integers(-9_000, 9_000, 22_050).astype(np.int16)
WAV = wav_bytes(Pcm(NOISE, 44_100))


@given(st.lists(st.integers(0, len(WAV)), max_size=20).map(sorted))
def test_any_cutting_gives_the_same_frames(places: list[int]) -> None:
    assert np.array_equal(feed(decoder(), WAV, places), feed(decoder(), WAV, []))


def test_a_decoder_takes_one_message_after_the_other() -> None:
    one = decoder()
    first = feed(one, WAV, [100], clip=1)
    assert np.array_equal(feed(one, WAV, [], clip=2), first)
    one.feed(ClipPart(WAV, None, 3))
    one.abandon()
    assert np.array_equal(feed(one, WAV, [], clip=3), first)


def test_a_message_of_too_many_bytes_is_refused() -> None:
    one = decoder(max_bytes=1_000)
    assert one.feed(ClipPart(bytes(1_001), "pcm", 1)) == []
    with pytest.raises(ClientError, match="1000 bytes"):
        one.close(ClipEnd(1))


# --- containers, which have a thread ---


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "recording"]


@pytest.fixture
def webm() -> Iterator[bytes]:
    pytest.importorskip("av")
    from tests.ears.clip_files import KINDS, recorded

    voice = babble(3 * 48_000)
    sound = np.concatenate([voice, np.zeros(48_000, np.int16), voice])
    yield recorded(KINDS["WebM as Chrome and Firefox"], sound)
    assert threads() == []


async def test_a_browsers_message_is_recognised_while_it_arrives(webm: bytes) -> None:
    async with recorder() as it:
        half = len(webm) * 3 // 4
        await it.send(webm[:half], size=1_000)
        early = await it.utterances.receive()
        assert not early.final
        assert seconds([early]) == [pytest.approx(3.2, abs=0.1)]
        assert len(threads()) == 1
        await it.send(webm[half:], size=1_000)
        await it.end()
        (last,) = await it.takes()
        assert seconds([last]) == [pytest.approx(3.4, abs=0.1)]
        assert threads() == []


async def test_the_thread_ends_when_the_client_has_gone(webm: bytes) -> None:
    async with recorder() as it:
        await it.send(webm[: len(webm) * 3 // 4])
        await it.utterances.receive()
        assert len(threads()) == 1
        it.scope.cancel()
    assert threads() == []


async def test_the_thread_ends_when_the_next_message_begins(webm: bytes) -> None:
    async with recorder() as it:
        await it.send(webm[: len(webm) * 3 // 4], 1)
        await it.utterances.receive()
        await it.send(pcm(VOICE), 2)
        await it.end(2)
        (last,) = await it.takes()
        assert last.clip == 2
        assert threads() == []


async def test_the_thread_ends_when_the_message_is_too_long(webm: bytes) -> None:
    async with recorder(EarsConfig(max_recording_bytes=len(webm) // 2)) as it:
        await it.send(webm, size=1_000)
        await it.end()
        failed = await it.inbox.receive()
        assert isinstance(failed, HearingFailed)
        assert failed.code == "RECORDING_TOO_LONG"
        assert threads() == []


async def test_the_thread_ends_when_the_parts_end(webm: bytes) -> None:
    async with recorder() as it:
        await it.send(webm[: len(webm) // 2])
        it.parts.close()
    assert threads() == []


async def test_cancelled_at_any_time_nothing_is_left(webm: bytes) -> None:
    for checkpoints in range(0, 60, 3):
        async with recorder() as it:
            for part in (webm[:20_000], webm[20_000:]):
                it.parts.send_nowait(ClipPart(part, None, 1))
            it.parts.send_nowait(ClipEnd(1))
            for _ in range(checkpoints):
                await trio.lowlevel.checkpoint()
            it.scope.cancel()
        assert threads() == []
    assert recording.DECODING.borrowed_tokens == 0
