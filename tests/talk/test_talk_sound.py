"""The sound device: where its threads meet Trio, and how it is kept open."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import numpy as np
import pytest
import trio
from trio.testing import MockClock

from voicecore.audio import MOUTH_HZ
from voicecore.talk.playout import Playout
from voicecore.talk.sound import (
    LOOK_S,
    MOST_WAITING,
    RETRY_S,
    DeviceError,
    Ends,
    Heard,
    Opened,
    Played,
    keep_open,
)

FRAME = np.ones(320, np.int16)


async def test_pieces_come_in_order_and_what_played_is_told() -> None:
    ends = Ends(Playout())
    ends.heard(FRAME, 16_000)
    assert len(ends.take(480, MOUTH_HZ)) == 480
    ends.heard(FRAME, 16_000)
    assert [type(piece) for piece in await ends.pieces()] == [Heard, Played, Heard]


async def test_another_rate_is_told_at_48_khz() -> None:
    ends = Ends(Playout())
    taken = [ends.take(160, 16_000) for _ in range(50)]
    assert {len(sound) for sound in taken} == {160}
    played = sum(len(piece.samples) for piece in await ends.pieces() if isinstance(piece, Played))
    assert 0.5 * MOUTH_HZ <= played <= 0.6 * MOUTH_HZ


async def test_the_oldest_goes_when_trio_does_not_take_it() -> None:
    ends = Ends(Playout())
    for number in range(MOST_WAITING + 7):
        ends.heard(np.full(1, number, np.int16), 16_000)
    assert ends.lost == 7
    pieces = await ends.pieces()
    assert [int(piece.samples[0]) for piece in pieces] == list(range(7, MOST_WAITING + 7))


async def test_a_thread_wakes_trio() -> None:
    ends = Ends(Playout())

    def call() -> None:
        for _ in range(50):
            ends.heard(FRAME, 16_000)

    thread, found = threading.Thread(target=call), 0
    with trio.fail_after(20):
        thread.start()
        while found < 50:
            found += len(await ends.pieces())
    thread.join()
    assert ends.lost == 0


def test_a_device_that_outlives_the_conversation_does_no_harm() -> None:
    async def make() -> Ends:
        await trio.lowlevel.checkpoint()
        return Ends(Playout())

    ends = trio.run(make)
    ends.heard(FRAME, 16_000)
    ends.take(480, MOUTH_HZ)
    ends.fail("closed")


async def test_an_interruption_is_silent_within_15_ms_of_the_devices_sound() -> None:
    ends = Ends(Playout())
    ends.feed("a", np.full(MOUTH_HZ, 9_000, np.int16))
    assert ends.take(4_800, MOUTH_HZ).any()
    ends.interrupt("a")
    assert not np.concatenate([ends.take(480, MOUTH_HZ) for _ in range(5)])[240:].any()
    assert len(await ends.pieces()) == 6


@attrs.define
class Scripted:
    """A card that opens, fails, stops calling or says that it has stopped, in turn."""

    script: list[str]
    log: list[tuple[float, str]] = attrs.field(factory=list)
    has_microphone: bool = True

    def note(self, what: str) -> None:
        self.log.append((trio.current_time(), what))

    @asynccontextmanager
    async def open(self, ends: Ends) -> AsyncIterator[Opened]:
        what = self.script.pop(0) if self.script else "plays"
        if what == "missing":
            raise DeviceError("there is no device")
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._call, ends, what)
                yield Opened("mic", "speaker")
                nursery.cancel_scope.cancel()
        finally:
            self.note("closed")

    async def _call(self, ends: Ends, what: str) -> None:
        for number in range(10**9):
            if number == 150 and what == "stops":
                ends.fail("unplugged")
            if number >= 150 and what == "hangs":
                await trio.sleep_forever()
            ends.heard(FRAME, 16_000)
            await trio.sleep(0.02)


async def kept_open(card: Scripted, seconds: float, *, again: bool = True) -> None:
    """Keep a card open for some time; it notes what happened, and when."""

    def lost(why: DeviceError) -> bool:
        card.note(f"lost: {why}")
        return again

    with trio.move_on_after(seconds):
        await keep_open(card, Ends(Playout()), lambda opened: card.note("opened"), lost)
        card.note("given up")


@pytest.mark.parametrize(
    ("what", "why"),
    [("stops", "unplugged"), ("hangs", "it has stopped giving and taking sound")],
)
async def test_a_device_that_goes_is_told_once_and_tried_every_2_s(
    autojump_clock: MockClock, what: str, why: str
) -> None:
    card = Scripted([what, "missing", "missing"])
    await kept_open(card, 20)
    times, events = zip(*card.log, strict=True)
    assert events == ("opened", "closed", f"lost: {why}", "opened", "closed")
    noticed_s, opened_again_s = times[1], times[3]
    assert 3 < noticed_s <= 3 + 2 * LOOK_S
    assert opened_again_s - noticed_s == pytest.approx(3 * RETRY_S)


async def test_it_is_told_again_when_it_goes_again(autojump_clock: MockClock) -> None:
    card = Scripted(["stops", "stops"])
    await kept_open(card, 20)
    assert sum(event.startswith("lost") for _, event in card.log) == 2


async def test_a_device_that_is_not_wanted_is_not_tried_again(autojump_clock: MockClock) -> None:
    card = Scripted(["missing"])
    await kept_open(card, 20, again=False)
    assert [event for _, event in card.log] == ["lost: there is no device", "given up"]
