"""What is sent when, on a virtual clock."""

from __future__ import annotations

import math

import numpy as np
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from voicecore import events
from voicecore.audio import MOUTH_HZ, Pcm, ms_to_samples
from voicecore.errors import ClientTooSlow
from voicecore.wire.outbox import MAX_CONTROL_EVENTS, Outbox, PlaybackClock


def sound(ms: float = 40, turn: str = "t1") -> events.ReplySound:
    return events.ReplySound(turn, Pcm(np.zeros(ms_to_samples(ms, MOUTH_HZ), np.int16), MOUTH_HZ))


def done(turn: str = "t1") -> events.TurnDone:
    return events.TurnDone(turn, "", 0, 0, 0.0, 0.0, "")


def outbox(lead_ms: float = 200, capacity_ms: float = 1_000) -> Outbox:
    box = Outbox(lead_ms=lead_ms, capacity_ms=capacity_ms)
    box.begin("t1")
    return box


async def drain(box: Outbox, sent: list[tuple[float, events.Event]]) -> None:
    while (event := await box.take()) is not None:
        sent.append((trio.current_time(), event))


async def test_sound_leaves_at_the_pace_it_is_played_a_lead_ahead(
    autojump_clock: MockClock,
) -> None:
    box = outbox(lead_ms=200, capacity_ms=10_000)
    sent: list[tuple[float, events.Event]] = []
    start_s = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(drain, box, sent)
        for _ in range(25):
            await box.put_paced(sound(40))
        await box.played()
        assert trio.current_time() - start_s == pytest.approx(1.0)
        box.close()
    times = [at_s - start_s for at_s, _ in sent]
    # Sound is due when the clock is at most 200 ms ahead: six at once, then one each 40 ms.
    assert times == pytest.approx([0] * 6 + [0.04 * n for n in range(1, 20)])


async def test_an_infinite_lead_sends_at_once(autojump_clock: MockClock) -> None:
    box = outbox(lead_ms=math.inf, capacity_ms=100_000)
    for _ in range(50):
        await box.put_paced(sound(1_000))
    await box.put_paced(done())
    begun_s = trio.current_time()
    taken = [await box.take() for _ in range(51)]
    assert trio.current_time() == begun_s
    assert taken[-1] == done()


async def test_control_overtakes_sound(autojump_clock: MockClock) -> None:
    box = outbox()
    await box.put_paced(sound())
    box.put(events.Pong())
    assert isinstance(await box.take(), events.Pong)
    assert isinstance(await box.take(), events.ReplySound)


async def test_control_goes_at_once_while_sound_waits_for_its_time(
    autojump_clock: MockClock,
) -> None:
    box = outbox(lead_ms=0)
    sent: list[tuple[float, events.Event]] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(drain, box, sent)
        await box.put_paced(sound(500))
        await box.put_paced(sound(500))
        await trio.sleep(0.1)
        box.put(events.Pong())
        await wait_all_tasks_blocked()
        assert [type(event) for _, event in sent] == [events.ReplySound, events.Pong]
        await box.sent()
        assert [type(event) for _, event in sent][2:] == [events.ReplySound]
        box.close()


async def test_putting_waits_while_full_and_goes_on_when_sound_was_sent(
    autojump_clock: MockClock,
) -> None:
    box = outbox(lead_ms=0, capacity_ms=100)
    for _ in range(3):
        await box.put_paced(sound(40))
    with trio.move_on_after(5) as scope:
        await box.put_paced(sound(40))
    assert scope.cancelled_caught
    await box.take()
    with trio.fail_after(5):
        await box.put_paced(sound(40))
    assert box.peak_ms == 120


async def test_an_interruption_drops_all_that_waits_and_puts_the_notice_first(
    autojump_clock: MockClock,
) -> None:
    box = outbox()
    box.put(events.Pong())
    box.put(events.ReplyText("t1", "stale"))
    await box.put_paced(sound(40))
    await box.put_paced(sound(60))
    notice = events.Activity("t1")
    assert box.interrupt(notice) == 100
    assert await box.take() == notice
    assert await box.take() == events.Pong()
    # Stages that have not been cancelled yet.
    await box.put_paced(sound())
    box.put(events.ReplyText("t1", "late"))
    box.close()
    assert await box.take() is None


async def test_an_interruption_frees_whoever_waits_to_put(autojump_clock: MockClock) -> None:
    box = outbox(capacity_ms=40)
    await box.put_paced(sound())
    async with trio.open_nursery() as nursery:
        nursery.cancel_scope.deadline = trio.current_time() + 1
        nursery.start_soon(box.put_paced, sound())
        nursery.start_soon(box.sent)
        await wait_all_tasks_blocked()
        box.interrupt(None)
    assert not nursery.cancel_scope.cancelled_caught


async def test_sound_of_the_next_turn_begins_at_once_after_an_interruption(
    autojump_clock: MockClock,
) -> None:
    box = outbox(lead_ms=200)
    await box.put_paced(sound(5_000))
    await box.take()
    await trio.sleep(1)
    assert box.played_ms() == pytest.approx(1_000)
    box.interrupt(None)
    box.begin("t2")
    await box.put_paced(sound(40, "t2"))
    begun_s = trio.current_time()
    await box.take()
    assert trio.current_time() == begun_s
    assert box.first_sound_s == begun_s
    assert box.played_ms() == 0


def test_a_client_that_does_not_read_is_found_out() -> None:
    box = outbox()
    for _ in range(MAX_CONTROL_EVENTS):
        box.put(events.Pong())
    with pytest.raises(ClientTooSlow):
        box.put(events.Pong())


async def test_a_held_turn_goes_when_it_is_released_and_all_else_at_once(
    autojump_clock: MockClock,
) -> None:
    box = outbox()
    box.begin("t2", held=True)
    text = events.ReplyText("t2", "Hi.")
    box.put(text)
    await box.put_paced(sound(40, "t2"))
    box.put(events.Pong())
    assert await box.take() == events.Pong()
    with trio.move_on_after(10) as waiting:
        await box.take()
    assert waiting.cancelled_caught
    async with trio.open_nursery() as nursery:
        nursery.start_soon(box.released)
        await wait_all_tasks_blocked()
        box.release()
    assert await box.take() == text
    assert isinstance(await box.take(), events.ReplySound)


async def test_an_interrupted_held_turn_is_gone(autojump_clock: MockClock) -> None:
    box = outbox()
    box.begin("t2", held=True)
    box.put(events.ReplyText("t2", "Hi."))
    box.interrupt(None)
    box.begin("t3")
    box.put(events.ReplyText("t3", "Yes."))
    assert await box.take() == events.ReplyText("t3", "Yes.")


async def test_closing_sends_control_and_drops_sound(autojump_clock: MockClock) -> None:
    box = outbox()
    await box.put_paced(sound())
    box.put(events.Pong())
    box.close()
    assert isinstance(await box.take(), events.Pong)
    assert await box.take() is None


@given(sends=st.lists(st.tuples(st.floats(0, 2), st.integers(1, 500)), min_size=1, max_size=20))
def test_the_clock_never_plays_more_than_was_sent_nor_backwards(
    sends: list[tuple[float, int]],
) -> None:
    clock, now_s, played_ms, total_ms = PlaybackClock(), 0.0, 0.0, 0
    for pause_s, ms in sends:
        now_s += pause_s
        before_ms = clock.played_ms(now_s)
        assert played_ms - 1e-6 <= before_ms <= total_ms + 1e-6
        clock.send(now_s, ms)
        total_ms += ms
        played_ms = clock.played_ms(now_s)
        assert played_ms == pytest.approx(before_ms)
    assert clock.played_ms(now_s + clock.left_ms(now_s) / 1000) == pytest.approx(total_ms)


# --- silent for a moment ---


async def test_a_suspended_turn_is_silent_and_goes_on_where_it_was_heard(
    autojump_clock: MockClock,
) -> None:
    box = outbox(lead_ms=200, capacity_ms=10_000)
    sent: list[tuple[float, events.Event]] = []
    begun_s = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(drain, box, sent)
        for _ in range(25):
            await box.put_paced(sound(40))
        await trio.sleep(0.1)
        assert box.played_ms() == pytest.approx(100)
        assert box.suspend(events.Activity("t1")) == 240  # of 320 ms that were sent
        await trio.sleep(2)
        assert box.played_ms() == pytest.approx(80)  # a chunk cut in the middle is said again
        assert sent[-1][1] == events.Activity("t1")
        assert len(sent) == 9
        box.resume()
        await box.played()
        assert trio.current_time() - begun_s == pytest.approx(0.1 + 2 + 0.92)
        assert box.played_ms() == pytest.approx(1_000)
        box.close()
    again = [event for _, event in sent[9:]]
    assert all(isinstance(event, events.ReplySound) for event in again)
    assert {event.speech for event in again if isinstance(event, events.ReplySound)} == {"t1.2"}


async def test_the_notice_names_the_stretch_that_is_interrupted(autojump_clock: MockClock) -> None:
    box = outbox(lead_ms=200)
    await box.put_paced(sound())
    for expected in ("t1", "t1.2", "t1.3"):
        assert isinstance(await box.take(), events.ReplySound)
        box.suspend(events.Activity("t1"))
        assert await box.take() == events.Activity(expected)
        box.resume()
    box.interrupt(events.Activity("t1"))
    assert await box.take() == events.Activity("t1.4")
    box.begin("t2")
    await box.put_paced(sound(turn="t2"))
    after = await box.take()
    assert isinstance(after, events.ReplySound)
    assert (after.turn, after.speech) == ("t2", "")


async def test_a_suspended_turn_is_neither_sent_nor_played(autojump_clock: MockClock) -> None:
    box = outbox(lead_ms=200)
    await box.put_paced(sound(120))
    await box.take()
    with trio.move_on_after(0.05):
        await box.played()
    box.suspend(events.Activity("t1"))
    with trio.move_on_after(5) as patience:
        await box.played()
    assert patience.cancelled_caught
    box.resume()
    assert await box.take() == events.Activity("t1")
    await box.take()
    await box.played()
    assert box.played_ms() == pytest.approx(120)


async def test_a_suspended_turn_writes_nothing_either(autojump_clock: MockClock) -> None:
    box = outbox()
    box.suspend(events.Activity("t1"))
    box.put(events.ReplyText("t1", "Hello."))
    box.put(events.Pong())
    assert await box.take() == events.Activity("t1")
    assert await box.take() == events.Pong()
    with trio.move_on_after(5) as patience:
        await box.take()
    assert patience.cancelled_caught
    box.resume()
    assert await box.take() == events.ReplyText("t1", "Hello.")


async def test_an_interruption_ends_a_suspended_turn(autojump_clock: MockClock) -> None:
    box = outbox()
    await box.put_paced(sound())
    box.suspend(events.Activity("t1"))
    box.put(events.ReplyText("t1", "Hello."))
    assert box.interrupt(None) == 40
    box.begin("t2")
    await box.put_paced(sound(turn="t2"))
    assert await box.take() == events.Activity("t1")
    after = await box.take()
    assert isinstance(after, events.ReplySound)
    assert (after.turn, after.speech) == ("t2", "")


@given(
    st.lists(st.floats(10, 200), min_size=1, max_size=30),
    st.lists(st.floats(0, 0.5), max_size=8),
)
def test_however_often_it_is_suspended_all_of_it_is_played_in_order(
    pieces_ms: list[float], waits_s: list[float]
) -> None:
    async def main() -> None:
        box = outbox(lead_ms=150, capacity_ms=100_000)
        sent: list[tuple[float, events.Event]] = []
        sounds = [
            events.ReplySound("t1", Pcm(np.full(round(ms) * 48, n, np.int16), MOUTH_HZ))
            for n, ms in enumerate(pieces_ms)
        ]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(drain, box, sent)
            for one in sounds:
                await box.put_paced(one)
            for wait_s in waits_s:
                await trio.sleep(wait_s)
                box.suspend(events.Activity("t1"))
                await trio.sleep(0.1)
                box.resume()
            await box.played()
            box.close()
        order = [int(e.pcm.samples[0]) for _, e in sent if isinstance(e, events.ReplySound)]
        assert list(dict.fromkeys(order)) == list(range(len(sounds)))
        assert box.played_ms() == pytest.approx(sum(one.pcm.ms for one in sounds))

    trio.run(main, clock=MockClock(autojump_threshold=0))


async def test_a_held_turn_is_ready_once_its_first_sound_waits(autojump_clock: MockClock) -> None:
    box = outbox()
    assert box.ready() is None
    box.begin("t2", held=True)
    assert box.ready() is False
    await box.put_paced(sound(turn="t2"))
    assert box.ready() is True
    box.release()
    assert box.ready() is None
