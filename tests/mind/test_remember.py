"""What was said, on its way to the store."""

from __future__ import annotations

import math
from collections.abc import Sequence

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from voicecore.errors import StoreError
from voicecore.mind.happenings import Remember
from voicecore.mind.remember import Flush, Memory, remember
from voicecore.store import MemoryStore, StoredMessage

SAID = Remember("one", (StoredMessage("user", "hello", 1.0),))


class NeverDone(MemoryStore):
    async def append(self, session_id: str, messages: Sequence[StoredMessage]) -> None:
        await trio.sleep_forever()


def ignore(error: StoreError) -> None:
    raise AssertionError(error)


async def cut_off(room: float, flushes: Sequence[Flush]) -> None:
    """Have these wait behind a message that is never stored, and cancel the storing."""
    store = NeverDone(new_id=lambda: "new", now=lambda: 1.0)
    send, receive = trio.open_memory_channel[Memory](room)

    async def put() -> None:
        await send.send(SAID)
        for flush in flushes:
            await send.send(flush)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(put)
        async with trio.open_nursery() as storing:
            storing.start_soon(remember, receive, store, ignore)
            await wait_all_tasks_blocked()
            assert not any(flush.done.is_set() for flush in flushes)
            storing.cancel_scope.cancel()


async def test_who_waits_is_let_go_when_no_more_is_stored() -> None:
    flushes = [Flush(), Flush()]
    await cut_off(math.inf, flushes)
    assert all(flush.done.is_set() for flush in flushes)


async def test_so_is_who_found_no_room_yet() -> None:
    flushes = [Flush()]
    await cut_off(0, flushes)
    assert flushes[0].done.is_set()


async def test_all_before_a_flush_is_stored_when_it_is_done(autojump_clock: MockClock) -> None:
    class Slow(MemoryStore):
        async def append(self, session_id: str, messages: Sequence[StoredMessage]) -> None:
            await trio.sleep(1)
            await super().append(session_id, messages)

    store, flush = Slow(new_id=lambda: "new", now=lambda: 1.0), Flush()
    await store.open("one", character="default", client="me")
    send, receive = trio.open_memory_channel[Memory](4)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(remember, receive, store, ignore)
        with send:
            for memory in (SAID, SAID, flush):
                await send.send(memory)
            await flush.done.wait()
            found = await store.read("one")
            assert found is not None
            assert len(found.messages) == 2
