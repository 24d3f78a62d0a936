"""What was said, into the store: a task of its own, so that a slow disk delays no answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TypeAlias

import attrs
import structlog
import trio

from voicecore.errors import StoreError
from voicecore.mind.happenings import Close, Remember
from voicecore.store import Store
from voicecore.store.records import JsonValue

log = structlog.get_logger()


@attrs.frozen
class Note:
    """Something that happened in a conversation, besides what was said."""

    session_id: str
    kind: str
    detail: Mapping[str, JsonValue]


@attrs.frozen(eq=False)
class Flush:
    """Asks to be told when all before it is stored, or lost with its session."""

    done: trio.Event = attrs.field(factory=trio.Event)


Memory: TypeAlias = Remember | Close | Note | Flush


async def remember(
    memories: trio.MemoryReceiveChannel[Memory],
    store: Store,
    on_failure: Callable[[StoreError], None],
) -> None:
    """Write what belongs together in one transaction, in order, until the channel is empty.

    A write that fails is told once per conversation and the next one is still tried, since a full
    disk may be emptied.

    **Cancellation**: what still waits is lost, and whoever waits for it is let go.
    """
    failed = False
    with memories:
        try:
            async for memory in memories:
                try:
                    await _store(memory, store)
                except StoreError as error:
                    log.warning("a message was not stored", reason=str(error))
                    if not failed:
                        on_failure(error)
                    failed = True
        finally:
            _let_go(memories)


async def _store(memory: Memory, store: Store) -> None:
    match memory:
        case Remember():
            await store.append(memory.session_id, memory.messages)
        case Close():
            await store.end(memory.session_id)
        case Note(session_id, kind, detail):
            await store.record_event(session_id, kind, detail)
        case Flush():
            memory.done.set()


def _let_go(memories: trio.MemoryReceiveChannel[Memory]) -> None:
    """Nothing more is stored: have nobody wait for it, not even who found no room yet."""
    with suppress(trio.WouldBlock, trio.EndOfChannel):
        while True:
            memory = memories.receive_nowait()
            if isinstance(memory, Flush):
                memory.done.set()
