"""A store without a disk, for simulations and tests: no threads, so a mock clock may jump."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence

import attrs
import trio

from voicecore.errors import StoreError
from voicecore.store.names import checked_id
from voicecore.store.records import (
    HISTORY_MESSAGES,
    MAX_LISTED,
    JsonValue,
    SessionRecord,
    StoredMessage,
    Summary,
    storable,
    title_of,
)


@attrs.frozen
class MemoryEvent:
    at: float
    kind: str
    detail: Mapping[str, JsonValue]


@attrs.define
class _Session:
    record: SessionRecord
    messages: deque[StoredMessage]
    events: deque[MemoryEvent]


class MemoryStore:
    """A `Store` that is gone with the process.

    Of each conversation it keeps only the newest ``history`` messages and as many events: what a
    resume can load. Conversations themselves are kept until the end, so it is not for a host that
    runs for weeks.
    """

    def __init__(
        self,
        *,
        new_id: Callable[[], str],
        now: Callable[[], float],
        history: int = HISTORY_MESSAGES,
    ) -> None:
        self._new_id = new_id
        self._now = now
        self._history = history
        self._sessions: dict[str, _Session] = {}
        self._latest: dict[tuple[str, str], str] = {}
        self._closed = False

    async def check(self) -> None:
        await self._turn()

    async def open(
        self, session_id: str | None, *, character: str, client: str
    ) -> tuple[SessionRecord, bool]:
        wanted = None if session_id is None else checked_id(session_id)
        await self._turn()
        found = None if wanted is None else self._sessions.get(wanted)
        session = found or self._create(wanted, storable(character), storable(client))
        record = attrs.evolve(session.record, messages=tuple(session.messages))
        self._latest[record.character, record.client] = record.id
        return record, found is None

    def _create(self, session_id: str | None, character: str, client: str) -> _Session:
        new_id = checked_id(self._new_id()) if session_id is None else session_id
        if new_id in self._sessions:
            raise StoreError(f"The new session id {new_id!r} is already taken.")
        record = SessionRecord(new_id, character, client, self._now(), ())
        session = _Session(record, deque(maxlen=self._history), deque(maxlen=self._history))
        self._sessions[new_id] = session
        return session

    async def latest(self, *, character: str, client: str) -> str | None:
        await self._turn()
        return self._latest.get((storable(character), storable(client)))

    async def conversations(self, *, character: str, client: str) -> tuple[Summary, ...]:
        await self._turn()
        sessions = reversed(self._sessions.values())
        mine = [each for each in sessions if each.record.is_of(character, client)]
        found = filter(None, map(_summary, mine))
        newest = sorted(found, key=lambda summary: summary.updated_at, reverse=True)
        return tuple(newest[:MAX_LISTED])

    async def read(self, session_id: str) -> SessionRecord | None:
        await self._turn()
        session = self._sessions.get(session_id)
        if session is None:
            return None
        return attrs.evolve(session.record, messages=tuple(session.messages))

    async def delete(self, session_id: str) -> bool:
        await self._turn()
        session = self._sessions.pop(session_id, None)
        if session is None:
            return False
        pair = session.record.character, session.record.client
        if self._latest.get(pair) == session_id:
            del self._latest[pair]
        return True

    async def append(self, session_id: str, messages: Sequence[StoredMessage]) -> None:
        taken = tuple(messages)
        await self._turn()
        self._find(session_id).messages.extend(taken)

    async def record_event(
        self, session_id: str, kind: str, detail: Mapping[str, JsonValue]
    ) -> None:
        event = MemoryEvent(self._now(), kind, dict(detail))
        await self._turn()
        self._find(session_id).events.append(event)

    async def end(self, session_id: str) -> None:
        await self._turn()
        record = self._find(session_id).record
        if self._latest.get((record.character, record.client)) == session_id:
            del self._latest[record.character, record.client]

    async def aclose(self) -> None:
        self._closed = True
        await trio.lowlevel.checkpoint()

    def events(self, session_id: str) -> tuple[MemoryEvent, ...]:
        """What `record_event` has noted, oldest first."""
        return tuple(self._find(session_id).events)

    async def _turn(self) -> None:
        # First the checkpoint, then the change without another one: all or nothing.
        if self._closed:
            raise trio.ClosedResourceError("the store is closed")
        await trio.lowlevel.checkpoint()

    def _find(self, session_id: str) -> _Session:
        try:
            return self._sessions[checked_id(session_id)]
        except KeyError:
            raise StoreError(f"The session {session_id!r} was never opened.") from None


def _summary(session: _Session) -> Summary | None:
    shown = [each for each in session.messages if each.role != "tool" and each.content]
    if not shown:
        return None
    title = next((title_of(each.content) for each in shown if each.role == "user"), "")
    record = session.record
    return Summary(record.id, record.created_at, shown[-1].at, title, len(shown))
