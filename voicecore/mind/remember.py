"""What was said, into the store: a task of its own, so that a slow disk delays no answer."""

from __future__ import annotations

from collections.abc import Callable

import structlog
import trio

from voicecore.errors import StoreError
from voicecore.mind.happenings import Close, Remember
from voicecore.store import Store

log = structlog.get_logger()


async def remember(
    memories: trio.MemoryReceiveChannel[Remember | Close],
    store: Store,
    on_failure: Callable[[StoreError], None],
) -> None:
    """Write each message in a transaction, in order, until the channel is closed and empty.

    A write that fails is told once per conversation and the next one is still tried, since a full
    disk may be emptied.
    """
    failed = False
    with memories:
        async for memory in memories:
            try:
                if isinstance(memory, Remember):
                    await store.append(memory.session_id, [memory.message])
                else:
                    await store.end(memory.session_id)
            except StoreError as error:
                log.warning("a message was not stored", reason=str(error))
                if not failed:
                    on_failure(error)
                failed = True
