"""The store on disk, for Trio: every call is one whole transaction in one thread call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import trio

from voicecore.store.files import MAX_OPEN_FILES, SessionFiles
from voicecore.store.listing import Listing
from voicecore.store.names import checked_id, is_id
from voicecore.store.records import (
    HISTORY_MESSAGES,
    MAX_LISTED,
    JsonValue,
    SessionRecord,
    StoredMessage,
    Summary,
    storable,
)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

MAX_LOOKED_THROUGH = 2_000
"""Files that one list is found among: those written last. Half a second of the thread, the first
time, and in steps, so that nobody waits for it."""
LOOKED_THROUGH_AT_ONCE = 20

CLOSE_TIMEOUT_S = 5
"""For the writes still queued when the store is closed; each takes milliseconds."""


class SqliteStore:
    """A `Store` of one SQLite file per conversation, in ``<data>/sessions/``.

    One thread at a time works on all files: a transaction takes well under a millisecond, so one
    is enough for the whole host, and no connection is ever used by two threads. A thread call is
    never abandoned. An abandoned one would leave its transaction open.

    Args:
        data: The folder of ``paths.data``, with ``~`` already expanded.
        new_id: Makes the id of a new conversation; it must not repeat itself.
        now: Unix time in seconds.
        history: Messages loaded when a conversation is opened.
        max_open: Files held open at once, at least ``server.max_sessions``; with more
            conversations active, files are closed and reopened, which costs about 10 ms each time.
    """

    def __init__(
        self,
        data: Path,
        *,
        new_id: Callable[[], str],
        now: Callable[[], float],
        history: int = HISTORY_MESSAGES,
        max_open: int = MAX_OPEN_FILES,
    ) -> None:
        self._files = SessionFiles(data / "sessions", history=history, max_open=max_open)
        self._listing = Listing(self._files)
        self._new_id = new_id
        self._now = now
        self._limiter = trio.CapacityLimiter(1)
        self._closed = False

    async def check(self) -> None:
        await self._run(self._files.check)

    async def open(
        self, session_id: str | None, *, character: str, client: str
    ) -> tuple[SessionRecord, bool]:
        fresh = session_id is None
        wanted = checked_id(self._new_id() if session_id is None else session_id)
        record = SessionRecord(wanted, storable(character), storable(client), self._now(), ())
        return await self._run(self._files.open, record, fresh)

    async def latest(self, *, character: str, client: str) -> str | None:
        return await self._run(self._files.latest, storable(character), storable(client))

    async def conversations(self, *, character: str, client: str) -> tuple[Summary, ...]:
        found: list[Summary] = []
        paths = (await self._run(self._files.newest))[:MAX_LOOKED_THROUGH]
        while paths and len(found) < MAX_LISTED:
            some, paths = paths[:LOOKED_THROUGH_AT_ONCE], paths[LOOKED_THROUGH_AT_ONCE:]
            found += await self._run(
                self._listing.among, some, storable(character), storable(client)
            )
        found.sort(key=lambda summary: summary.updated_at, reverse=True)
        return tuple(found[:MAX_LISTED])

    async def read(self, session_id: str) -> SessionRecord | None:
        return await self._run(self._files.read, session_id) if is_id(session_id) else None

    async def delete(self, session_id: str) -> bool:
        return await self._run(self._files.delete, session_id) if is_id(session_id) else False

    async def append(self, session_id: str, messages: Sequence[StoredMessage]) -> None:
        await self._run(self._files.append, checked_id(session_id), tuple(messages))

    async def record_event(
        self, session_id: str, kind: str, detail: Mapping[str, JsonValue]
    ) -> None:
        event = (self._now(), storable(kind), dict(detail))
        await self._run(self._files.record_event, checked_id(session_id), *event)

    async def end(self, session_id: str) -> None:
        await self._run(self._files.end, checked_id(session_id), self._now())

    async def aclose(self) -> None:
        self._closed = True
        with trio.move_on_after(CLOSE_TIMEOUT_S, shield=True):
            await trio.to_thread.run_sync(self._files.close, limiter=self._limiter)

    async def _run(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        # Not abandoned on cancel: Trio raises Cancelled only before the thread has begun.
        if self._closed:
            raise trio.ClosedResourceError("the store is closed")
        return await trio.to_thread.run_sync(work, *args, limiter=self._limiter)
