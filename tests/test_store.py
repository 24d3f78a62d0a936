"""The suite both stores pass, and cancellation; the disk is in test_store_files."""

import contextlib
import itertools
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
import trio

from voicecore.errors import ClientError, StoreError
from voicecore.store import MAX_ID_CHARS, MemoryStore, SqliteStore, Store, StoredMessage
from voicecore.store.names import file_stem

ANNA = {"character": "小天", "client": "anna"}


class Clock:
    """Unix time that moves by one second at each look."""

    def __init__(self) -> None:
        self._seconds = itertools.count(1_700_000_000)

    def __call__(self) -> float:
        return float(next(self._seconds))


def new_ids() -> Callable[[], str]:
    numbers = itertools.count(1)
    return lambda: f"new-{next(numbers)}"


def sqlite_store(data: Path) -> SqliteStore:
    return SqliteStore(data, new_id=new_ids(), now=Clock())


def user(text: str, at: float = 1.5) -> StoredMessage:
    return StoredMessage("user", text, at)


def contents(messages: tuple[StoredMessage, ...]) -> list[str]:
    return [message.content for message in messages]


async def history(store: Store, session_id: str) -> list[str]:
    record, _ = await store.open(session_id, **ANNA)
    return contents(record.messages)


def file_of(data: Path, session_id: str) -> Path:
    return data / "sessions" / f"{file_stem(session_id)}.sqlite3"


def below(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def event_kinds(store: Store, data: Path, session_id: str) -> list[str]:
    if isinstance(store, MemoryStore):
        return [event.kind for event in store.events(session_id)]
    with contextlib.closing(sqlite3.connect(file_of(data, session_id))) as file:
        return [row[0] for row in file.execute("SELECT kind FROM event ORDER BY number")]


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    made: Store
    if request.param == "memory":
        made = MemoryStore(new_id=new_ids(), now=Clock(), history=5)
    else:
        made = SqliteStore(tmp_path, new_id=new_ids(), now=Clock(), history=5)
    await made.check()
    yield made
    await made.aclose()


# --- the suite both pass -------------------------------------------------------------------------


async def test_new_ids_and_times_come_from_outside(store: Store) -> None:
    first, created = await store.open(None, **ANNA)
    second, _ = await store.open(None, **ANNA)
    assert created
    assert (first.id, second.id) == ("new-1", "new-2")
    assert first.created_at == 1_700_000_000
    assert second.created_at == 1_700_000_001
    assert first.messages == ()


async def test_a_new_id_that_is_taken_is_an_error_not_a_resume(store: Store) -> None:
    await store.open("new-1", **ANNA)
    with pytest.raises(StoreError, match="already taken"):
        await store.open(None, **ANNA)


async def test_unknown_id_is_created_and_known_one_resumed(store: Store) -> None:
    _, created = await store.open("mine", **ANNA)
    await store.append("mine", [user("hello")])
    record, created_again = await store.open("mine", character="other", client="bob")
    assert (created, created_again) == (True, False)
    assert (record.character, record.client) == ("小天", "anna")
    assert record.created_at == 1_700_000_000
    assert contents(record.messages) == ["hello"]


async def test_every_field_comes_back(store: Store) -> None:
    said = [
        StoredMessage("user", "看图 🎤 <b>\0'\"", 12.25, via="voice"),
        StoredMessage("assistant", "", 13.0, "text", True, 120, 7, '[{"name":"clock"}]'),
        StoredMessage("tool", "noon", 13.5, tool_calls='{"name":"clock"}'),
    ]
    await store.open("s", **ANNA)
    await store.append("s", said)
    record, _ = await store.open("s", **ANNA)
    assert record.messages == tuple(said)
    assert [type(message.interrupted) for message in record.messages] == [bool] * 3


async def test_lone_surrogates_are_stored_as_replacement_characters(store: Store) -> None:
    await store.open("s", character="a\ud83d", client="b\udc00")
    await store.append("s", [user("x\ud83dy")])
    await store.record_event("s", "odd\ud83d", {"text": "\ud83d"})
    assert await history(store, "s") == ["x\ufffdy"]
    assert await store.latest(character="a\ud83d", client="b\udc00") == "s"


async def test_history_is_the_newest_messages_oldest_first(store: Store) -> None:
    await store.open("s", **ANNA)
    for number in range(8):
        await store.append("s", [user(str(number))])
    assert await history(store, "s") == ["3", "4", "5", "6", "7"]


async def test_appending_nothing_changes_nothing(store: Store) -> None:
    await store.open("s", **ANNA)
    await store.append("s", [])
    assert await history(store, "s") == []


async def test_latest_is_the_last_opened_of_this_pair(store: Store) -> None:
    assert await store.latest(**ANNA) is None
    await store.open("a", **ANNA)
    await store.open("b", **ANNA)
    await store.open("c", character="小天", client="bob")
    assert await store.latest(**ANNA) == "b"
    await store.open("a", **ANNA)
    assert await store.latest(**ANNA) == "a"
    assert await store.latest(character="小天", client="bob") == "c"


async def test_an_ended_session_is_not_continued_but_can_be_reopened(store: Store) -> None:
    await store.open("old", **ANNA)
    await store.open("s", **ANNA)
    await store.end("s")
    assert await store.latest(**ANNA) is None
    await store.append("s", [user("late words")])
    assert await store.latest(**ANNA) is None
    assert await history(store, "s") == ["late words"]
    assert await store.latest(**ANNA) == "s"


async def test_ending_an_older_session_keeps_the_latest(store: Store) -> None:
    await store.open("a", **ANNA)
    await store.open("b", **ANNA)
    await store.end("a")
    assert await store.latest(**ANNA) == "b"


async def test_events_are_noted(store: Store, tmp_path: Path) -> None:
    await store.open("s", **ANNA)
    await store.record_event("s", "interrupted", {"heard_ms": 120, "notes": [None, 1.5, "é"]})
    await store.record_event("s", "paused", {})
    assert event_kinds(store, tmp_path, "s") == ["interrupted", "paused"]


async def test_a_session_that_was_never_opened(store: Store, tmp_path: Path) -> None:
    for call in (
        store.append("ghost", [user("boo")]),
        store.record_event("ghost", "boo", {}),
        store.end("ghost"),
    ):
        with pytest.raises(StoreError, match="'ghost' was never opened"):
            await call
    _, created = await store.open("ghost", **ANNA)
    assert created


@pytest.mark.parametrize("bad", ["", "x" * (MAX_ID_CHARS + 1), "a\ud800"])
async def test_unusable_ids_are_the_clients_fault(store: Store, bad: str) -> None:
    for call in (
        store.open(bad, **ANNA),
        store.append(bad, [user("x")]),
        store.record_event(bad, "x", {}),
        store.end(bad),
    ):
        with pytest.raises(ClientError, match="session id"):
            await call


HOSTILE_IDS = [
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    ".",
    "a/b",
    "a\\b",
    "a\0b",
    "C:\\x",
    "%2e%2e%2f",
    "latest",
    "latest/x",
    "file:x?mode=memory",
    ":memory:",
    "x.sqlite3",
    "x.sqlite3-wal",
    "abc",
    "ABC",
    "Abc",
    "é",
    "e\u0301",
    "ß",
    "SS",
    " ",
    "\n",
    "🎤" * MAX_ID_CHARS,
    "🎤" * (MAX_ID_CHARS - 1) + "🎧",
    "-rf",
    "~root",
    "$HOME",
    "'; DROP TABLE message; --",
]


async def test_hostile_ids_are_only_names(store: Store, tmp_path: Path) -> None:
    for session_id in HOSTILE_IDS:
        record, created = await store.open(session_id, **ANNA)
        assert (record.id, created) == (session_id, True)
        await store.append(session_id, [user(session_id)])
    for session_id in HOSTILE_IDS:
        assert await history(store, session_id) == [session_id]
    assert below(tmp_path) <= {"sessions"}
    if isinstance(store, SqliteStore):
        assert "latest" in below(tmp_path / "sessions")
        assert len(below(tmp_path / "sessions" / "latest")) == 1


async def test_many_sessions_at_once_keep_their_order(store: Store) -> None:
    async def talk(session_id: str) -> None:
        await store.open(session_id, **ANNA)
        for number in range(10):
            await store.append(session_id, [user(f"{session_id} {number}")])

    async with trio.open_nursery() as nursery:
        for number in range(40):
            nursery.start_soon(talk, f"s{number}")
    for number in range(40):
        expected = [f"s{number} {each}" for each in range(5, 10)]
        assert await history(store, f"s{number}") == expected


async def test_concurrent_appends_to_one_session_do_not_mix(store: Store) -> None:
    await store.open("s", **ANNA)
    async with trio.open_nursery() as nursery:
        for name in "ab":
            nursery.start_soon(store.append, "s", [user(f"{name}{each}") for each in range(2)])
    assert await history(store, "s") in (["a0", "a1", "b0", "b1"], ["b0", "b1", "a0", "a1"])


async def test_a_closed_store_refuses_work(store: Store) -> None:
    await store.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await store.latest(**ANNA)
    await store.aclose()


async def test_conversations_are_listed_by_their_newest_message(store: Store) -> None:
    for number, name in enumerate(("one", "two", "three")):
        await store.open(name, **ANNA)
        await store.append(name, [user(f"I am\n {name} " + "x" * 99, at=float(number))])
    await store.open("empty", **ANNA)
    await store.open("other", character="小天", client="bob")
    await store.append("other", [user("hello")])
    await store.end("two")
    await store.append("one", [StoredMessage("assistant", "Yes?", 9.0)])
    found = await store.conversations(**ANNA)
    assert [(each.id, each.messages, each.updated_at) for each in found] == [
        ("one", 2, 9.0), ("three", 1, 2.0), ("two", 1, 1.0),
    ]  # fmt: skip
    assert found[0].title == "I am one " + "x" * 51
    assert found[0].created_at == 1_700_000_000
    assert await store.conversations(character="robin", client="anna") == ()


async def test_only_what_person_and_character_said_is_counted(store: Store) -> None:
    await store.open("s", **ANNA)
    await store.append(
        "s",
        [
            StoredMessage("assistant", "Welcome.", 1.0),
            StoredMessage("user", "hello", 2.0),
            StoredMessage("assistant", "", 3.0, tool_calls="[]"),
            StoredMessage("tool", "noon", 4.0, tool_calls="{}"),
        ],
    )
    (found,) = await store.conversations(**ANNA)
    assert (found.title, found.messages, found.updated_at) == ("hello", 2, 2.0)


async def test_reading_opens_nothing(store: Store) -> None:
    assert await store.read("s") is None
    _, created = await store.open("s", **ANNA)
    assert created
    await store.append("s", [user(f"{number}") for number in range(9)])
    await store.open("t", **ANNA)
    record = await store.read("s")
    assert record is not None
    assert contents(record.messages) == ["4", "5", "6", "7", "8"]
    assert record.is_of(**ANNA)
    assert not record.is_of("小天", "bob")
    assert await store.latest(**ANNA) == "t"


async def test_what_is_deleted_is_gone(store: Store) -> None:
    await store.open("s", **ANNA)
    await store.append("s", [user("hello")])
    assert await store.delete("s")
    assert not await store.delete("s")
    assert await store.read("s") is None
    assert await store.latest(**ANNA) is None
    assert await store.conversations(**ANNA) == ()
    with pytest.raises(StoreError, match="never opened"):
        await store.append("s", [user("late words")])
    record, created = await store.open("s", **ANNA)
    assert created
    assert record.messages == ()


@pytest.mark.parametrize("session_id", ["", "x" * (MAX_ID_CHARS + 1), "\ud800", "../s", "\0"])
async def test_what_is_no_id_is_no_conversation(store: Store, session_id: str) -> None:
    assert await store.read(session_id) is None
    assert not await store.delete(session_id)


# --- cancellation --------------------------------------------------------------------------------


class CancelAtStep(trio.abc.Instrument):
    """Cancels a scope after the n-th step of the task that runs the call."""

    def __init__(self, scope: trio.CancelScope, task: trio.lowlevel.Task, step: int) -> None:
        self._scope, self._task, self._left = scope, task, step

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self._task:
            self._left -= 1
            if self._left == 0:
                self._scope.cancel()


async def cancelled_at(step: int, call: Callable[[], Awaitable[object]]) -> bool:
    """Run the call, cancelling it at the step; True if it ended before it could notice."""
    with trio.CancelScope() as scope:
        instrument = CancelAtStep(scope, trio.lowlevel.current_task(), step)
        trio.lowlevel.add_instrument(instrument)
        try:
            if step == 0:
                scope.cancel()
            await call()
        finally:
            trio.lowlevel.remove_instrument(instrument)
    return not scope.cancelled_caught


async def test_cancelling_an_append_at_each_await_is_all_or_nothing(store: Store) -> None:
    finished = []
    for step in range(6):
        session_id = f"s{step}"
        await store.open(session_id, **ANNA)
        pair = [user("one"), user("two")]
        finished.append(await cancelled_at(step, partial(store.append, session_id, pair)))
        assert await history(store, session_id) == (["one", "two"] if finished[-1] else [])
    assert finished[0] is False
    assert finished[-1] is True


async def test_cancelling_open_at_each_await_is_all_or_nothing(store: Store) -> None:
    finished = []
    for step in range(6):
        session_id = f"s{step}"
        finished.append(
            await cancelled_at(
                step, partial(store.open, session_id, character="c", client=session_id)
            )
        )
        latest = await store.latest(character="c", client=session_id)
        assert latest == (session_id if finished[-1] else None)
        _, created = await store.open(session_id, **ANNA)
        assert created is not finished[-1]
    assert finished[0] is False
    assert finished[-1] is True


async def test_cancelling_end_and_events_at_each_await(store: Store, tmp_path: Path) -> None:
    for step in range(6):
        session_id = f"s{step}"
        await store.open(session_id, **ANNA)
        noted = await cancelled_at(step, partial(store.record_event, session_id, "noted", {"a": 1}))
        assert event_kinds(store, tmp_path, session_id) == (["noted"] if noted else [])
        ended = await cancelled_at(step, partial(store.end, session_id))
        assert await store.latest(**ANNA) == (None if ended else session_id)


async def test_a_cancelled_close_closes_all_the_same(tmp_path: Path) -> None:
    store = sqlite_store(tmp_path)
    await store.open("s", **ANNA)
    assert file_of(tmp_path, "s").with_name("s.sqlite3-wal").exists()
    with trio.CancelScope() as scope:
        scope.cancel()
        await store.aclose()
    assert [path.name for path in (tmp_path / "sessions").glob("s.*")] == ["s.sqlite3"]


async def test_a_cancelled_append_in_the_thread_is_finished_not_abandoned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = sqlite_store(tmp_path)
    await store.open("s", **ANNA)
    scope = trio.CancelScope()
    write = store._files.append

    def cancel_then_write(session_id: str, messages: tuple[StoredMessage, ...]) -> None:
        trio.from_thread.run_sync(scope.cancel, trio_token=token)
        write(session_id, messages)

    token = trio.lowlevel.current_trio_token()
    monkeypatch.setattr(store._files, "append", cancel_then_write)
    with scope:
        await store.append("s", [user("one"), user("two")])
    assert scope.cancel_called
    assert not scope.cancelled_caught
    assert await history(store, "s") == ["one", "two"]
    await store.aclose()


async def test_an_append_cancelled_while_it_waits_for_another_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = sqlite_store(tmp_path)
    await store.open("s", **ANNA)
    begun, go_on = trio.Event(), threading.Event()
    token = trio.lowlevel.current_trio_token()
    write = store._files.append

    def slow(session_id: str, messages: tuple[StoredMessage, ...]) -> None:
        trio.from_thread.run_sync(begun.set, trio_token=token)
        go_on.wait()
        write(session_id, messages)

    monkeypatch.setattr(store._files, "append", slow)
    scope = trio.CancelScope()

    async def second() -> None:
        with scope:
            await store.append("s", [user("second")])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.append, "s", [user("first")])
        await begun.wait()
        nursery.start_soon(second)
        await trio.testing.wait_all_tasks_blocked()
        scope.cancel()
        go_on.set()
    assert scope.cancelled_caught
    assert await history(store, "s") == ["first"]
    await store.aclose()
