"""The store on disk: restarts, kills, older and newer and damaged files, a disk that refuses."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import trio

from voicecore.errors import StoreError
from voicecore.store import SqliteStore, StoredMessage
from voicecore.store.names import file_stem

ANNA = {"character": "小天", "client": "anna"}


def sqlite_store(data: Path, **options: int) -> SqliteStore:
    return SqliteStore(data, new_id=lambda: "new", now=lambda: 1.0, **options)


def user(text: str) -> StoredMessage:
    return StoredMessage("user", text, 1.5)


async def history(store: SqliteStore, session_id: str) -> list[str]:
    record, _ = await store.open(session_id, **ANNA)
    return [message.content for message in record.messages]


def file_of(data: Path, session_id: str) -> Path:
    return data / "sessions" / f"{file_stem(session_id)}.sqlite3"


def below(folder: Path, pattern: str = "*") -> set[str]:
    return {path.name for path in folder.glob(pattern)}


# --- across restarts and crashes -----------------------------------------------------------------


async def test_a_session_is_resumed_after_a_restart(tmp_path: Path) -> None:
    first = sqlite_store(tmp_path)
    await first.open("s", **ANNA)
    await first.append("s", [user("hello"), StoredMessage("assistant", "hi", 2.0)])
    await first.aclose()

    second = sqlite_store(tmp_path)
    assert await second.latest(**ANNA) == "s"
    assert await history(second, "s") == ["hello", "hi"]
    await second.aclose()


async def test_an_ended_file_stands_alone_and_is_private(tmp_path: Path) -> None:
    store = sqlite_store(tmp_path)
    await store.open("s", **ANNA)
    await store.append("s", [user("hello")])
    await store.end("s")
    assert below(tmp_path / "sessions") == {"s.sqlite3", "latest"}
    assert (tmp_path / "sessions").stat().st_mode & 0o777 == 0o700
    with contextlib.closing(sqlite3.connect(file_of(tmp_path, "s"))) as file:
        assert file.execute("SELECT ended_at FROM session").fetchone() == (1.0,)
        await store.open("s", **ANNA)
        assert file.execute("SELECT ended_at FROM session").fetchone() == (None,)
    await store.aclose()


async def test_a_deleted_conversation_is_not_the_latest(tmp_path: Path) -> None:
    store = sqlite_store(tmp_path)
    await store.open("s", **ANNA)
    await store.aclose()
    file_of(tmp_path, "s").unlink()
    again = sqlite_store(tmp_path)
    assert await again.latest(**ANNA) is None
    await again.aclose()


@pytest.mark.parametrize("found", [b"", b"\xff\xfe"])
async def test_a_spoiled_pointer_means_a_new_conversation(tmp_path: Path, found: bytes) -> None:
    store = sqlite_store(tmp_path)
    await store.open("s", **ANNA)
    (name,) = below(tmp_path / "sessions" / "latest")
    (tmp_path / "sessions" / "latest" / name).write_bytes(found)
    assert await store.latest(**ANNA) is None
    assert await history(store, "s") == []
    assert await store.latest(**ANNA) == "s"
    await store.aclose()


def open_files(store: SqliteStore) -> list[str]:
    return [path.stem for path in store._files._open]


async def test_only_a_bounded_number_of_files_is_open(tmp_path: Path) -> None:
    store = sqlite_store(tmp_path, max_open=3)
    for number in range(5):
        await store.open(f"s{number}", **ANNA)
    assert open_files(store) == ["s2", "s3", "s4"]
    await store.append("s2", [user("used again")])
    await store.append("s0", [user("reopened")])
    assert open_files(store) == ["s4", "s2", "s0"]
    assert await history(store, "s0") == ["reopened"]
    await store.aclose()


WRITER = """
import sys, trio
from pathlib import Path
from voicecore.store import SqliteStore, StoredMessage

async def main():
    store = SqliteStore(Path(sys.argv[1]), new_id=lambda: "n", now=lambda: 1.0)
    await store.open("s", character="c", client="k")
    for turn in range(1_000_000):
        await store.append("s", [StoredMessage("user", f"{turn} {each}", 1.0) for each in range(3)])
        sys.stdout.write(f"{turn}\\n")
        sys.stdout.flush()

trio.run(main)
"""


async def test_after_a_kill_only_whole_transactions_are_there(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    seen = b""
    async with trio.open_nursery() as nursery:
        writer: trio.Process = await nursery.start(
            partial(trio.run_process, command, stdout=subprocess.PIPE, check=False)
        )
        assert writer.stdout is not None
        async for chunk in writer.stdout:
            seen += chunk
            if seen.count(b"\n") >= 200:
                writer.kill()
    assert writer.returncode == -signal.SIGKILL
    saved = seen.count(b"\n")

    store = sqlite_store(tmp_path, history=1_000_000)
    found = await history(store, "s")
    await store.aclose()
    turns, half = divmod(len(found), 3)
    assert half == 0
    assert turns in (saved, saved + 1)
    assert found == [f"{turn} {each}" for turn in range(turns) for each in range(3)]


KILLED_INSIDE = """
import os, signal, sys
from pathlib import Path
from voicecore.store import StoredMessage
from voicecore.store.files import connect, insert_messages

connection = connect(Path(sys.argv[1]))
connection.execute("PRAGMA cache_size = 1")  # so that unfinished pages do reach the file

def messages():
    for number in range(2000):
        yield StoredMessage("user", "half " * 50, float(number))
    os.kill(os.getpid(), signal.SIGKILL)

insert_messages(connection, "s", messages())
"""


async def test_a_transaction_cut_off_by_a_kill_is_not_loaded(tmp_path: Path) -> None:
    store = sqlite_store(tmp_path)
    await store.open("s", **ANNA)
    await store.append("s", [user("whole")])
    await store.aclose()
    path = file_of(tmp_path, "s")
    killed = await trio.run_process([sys.executable, "-c", KILLED_INSIDE, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.with_name("s.sqlite3-wal").stat().st_size > 100_000

    again = sqlite_store(tmp_path)
    assert await history(again, "s") == ["whole"]
    await again.append("s", [user("and on")])
    assert await history(again, "s") == ["whole", "and on"]
    await again.aclose()


async def test_a_creation_that_was_cut_off_begins_again(tmp_path: Path) -> None:
    store = sqlite_store(tmp_path)
    await store.check()
    file_of(tmp_path, "s").touch()
    _, created = await store.open("s", **ANNA)
    assert created
    await store.aclose()


# --- damaged files --------------------------------------------------------------------------------


async def refused(tmp_path: Path, match: str) -> None:
    """Session ``s`` cannot be opened, its file stays as it is, and others can be opened."""
    path = file_of(tmp_path, "s")
    before = path.read_bytes()
    store = sqlite_store(tmp_path)
    for _ in range(2):
        with pytest.raises(StoreError, match=match):
            await store.open("s", **ANNA)
    assert path.read_bytes() == before
    assert below(path.parent, "s.*") == {"s.sqlite3"}
    assert await history(store, "other") == []
    await store.aclose()


async def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path) -> None:
    file_of(tmp_path, "s").parent.mkdir()
    file_of(tmp_path, "s").write_bytes(b"these are not the bytes you want\n" * 500)
    await refused(tmp_path, "damaged .file is not a database")


@pytest.mark.parametrize("harm", ["cut", "overwritten", "overwritten where no resume looks"])
async def test_a_damaged_database_is_refused_and_kept(tmp_path: Path, harm: str) -> None:
    store = sqlite_store(tmp_path)
    await store.open("s", **ANNA)
    await store.append("s", [user("x" * 100) for _ in range(2000)])
    await store.aclose()
    path = file_of(tmp_path, "s")
    data = path.read_bytes()
    if harm == "cut":
        path.write_bytes(data[: len(data) // 2])
    else:
        start = 8192 if harm == "overwritten" else 8192 * (len(data) // 8192 // 2)
        path.write_bytes(data[:start] + b"\xa5" * 8192 + data[start + 8192 :])
    await refused(tmp_path, "is damaged .* left as it is")


async def test_a_file_renamed_by_hand_is_refused(tmp_path: Path) -> None:
    store = sqlite_store(tmp_path)
    await store.open("t", **ANNA)
    await store.aclose()
    file_of(tmp_path, "t").rename(file_of(tmp_path, "s"))
    await refused(tmp_path, "holds the session 't', not 's'")


# --- a disk that refuses -------------------------------------------------------------------------


@contextlib.contextmanager
def ordinary_user() -> Iterator[None]:
    """Root may write everywhere, so become nobody for a while."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def permit(path: Path, mode: int) -> None:
    path.chmod(mode)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder below which an ordinary user can look (root's tmp_path is closed to others)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


async def test_a_read_only_folder_is_found_at_start(open_folder: Path) -> None:
    permit(open_folder, 0o555)
    store = sqlite_store(open_folder / "data")
    with ordinary_user():
        for call in (store.check(), store.open("s", **ANNA)):
            with pytest.raises(StoreError, match=r"/data/sessions cannot be written .*paths\.data"):
                await call
    await store.aclose()


async def test_a_folder_made_unreadable_later(open_folder: Path) -> None:
    store = sqlite_store(open_folder)
    await store.open("s", **ANNA)
    await store.aclose()
    permit(open_folder / "sessions", 0)
    store = sqlite_store(open_folder)
    with ordinary_user():
        for call in (
            store.open("s", **ANNA),
            store.open(None, **ANNA),
            store.append("s", [user("x")]),
            store.latest(**ANNA),
        ):
            with pytest.raises(StoreError, match=r"cannot be written .*Let this user write there"):
                await call
    await store.aclose()


async def test_a_read_only_file_cannot_be_appended_to(open_folder: Path) -> None:
    store = sqlite_store(open_folder)
    await store.open("s", **ANNA)
    await store.aclose()
    permit(open_folder / "sessions", 0o555)
    permit(file_of(open_folder, "s"), 0o444)
    store = sqlite_store(open_folder)
    with ordinary_user(), pytest.raises(StoreError, match="cannot be written"):
        await store.append("s", [user("x")])
    await store.aclose()


async def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "sessions").write_text("in the way")
    store = sqlite_store(tmp_path)
    for call in (store.check(), store.open("s", **ANNA)):
        with pytest.raises(StoreError, match="sessions cannot be written"):
            await call
    await store.aclose()


async def test_check_makes_the_folder_and_leaves_nothing_in_it(tmp_path: Path) -> None:
    store = sqlite_store(tmp_path / "deep" / "data")
    await store.check()
    assert below(tmp_path / "deep/data/sessions") == {"latest"}
    await store.aclose()


async def test_a_full_disk_refuses_the_append_and_keeps_what_there_was(tmp_path: Path) -> None:
    store = sqlite_store(tmp_path)
    await store.open("s", **ANNA)
    await store.append("s", [user("before")])
    store._files._open[file_of(tmp_path, "s")].execute("PRAGMA max_page_count = 10")
    much = [user("x" * 1000) for _ in range(100)]
    with pytest.raises(StoreError, match=r"disk is full: .*/sessions takes no more .* Free some"):
        await store.append("s", much)
    # The connection, and the limit with it, is gone: as if somebody had freed some space.
    await store.append("s", much)
    assert await history(store, "s") == ["before"] + ["x" * 1000] * 100
    await store.aclose()


FILES_LIMITED = """
import resource, sys, trio
from pathlib import Path
from voicecore.errors import StoreError
from voicecore.store import SqliteStore, StoredMessage

async def main():
    store = SqliteStore(Path(sys.argv[1]), new_id=lambda: "n", now=lambda: 1.0)
    await store.open("s", character="c", client="k")
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
    for turn in range(10_000):
        try:
            await store.append("s", [StoredMessage("user", "x" * 3000, 1.0) for _ in range(3)])
        except StoreError as exc:
            sys.stdout.write(f"{turn} {exc}")
            return

trio.run(main)
"""


async def test_a_write_the_system_refuses_leaves_nothing_half_written(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FILES_LIMITED, str(tmp_path)]
    done = await trio.run_process(command, capture_stdout=True)
    turns, reason = done.stdout.decode().split(" ", 1)
    assert "sessions" in reason
    store = sqlite_store(tmp_path, history=100_000)
    assert len(await history(store, "s")) == 3 * int(turns) > 0
    await store.aclose()


async def test_a_file_locked_by_another_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicecore.store.files.BUSY_TIMEOUT_S", 0.01)
    store = sqlite_store(tmp_path)
    await store.open("s", **ANNA)
    with contextlib.closing(sqlite3.connect(file_of(tmp_path, "s"))) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="Another program holds"):
            await store.append("s", [user("x")])
    await store.append("s", [user("y")])
    assert await history(store, "s") == ["y"]
    await store.aclose()


# --- looking back --------------------------------------------------------------------------------


async def titles(store: SqliteStore) -> list[str]:
    return [each.title for each in await store.conversations(**ANNA)]


async def kept(tmp_path: Path, *names: str) -> None:
    """Conversations that were closed, the first one oldest."""
    store = sqlite_store(tmp_path)
    for number, name in enumerate(names):
        await store.open(name, **ANNA)
        await store.append(name, [StoredMessage("user", name, float(number))])
    await store.aclose()


async def test_looking_back_writes_nothing(tmp_path: Path) -> None:
    await kept(tmp_path, "a", "b")
    folder = tmp_path / "sessions"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    store = sqlite_store(tmp_path)
    assert await titles(store) == ["b", "a"]
    record = await store.read("a")
    assert record is not None
    assert [message.content for message in record.messages] == ["a"]
    assert open_files(store) == []
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    await store.aclose()


async def test_what_is_open_is_looked_at_where_it_is(tmp_path: Path) -> None:
    await kept(tmp_path, "a", "b")
    store = sqlite_store(tmp_path)
    await store.open("a", **ANNA)
    await store.append("a", [StoredMessage("user", "more", 9.0)])
    assert file_of(tmp_path, "a").with_name("a.sqlite3-wal").exists()
    assert await titles(store) == ["a", "b"]
    record = await store.read("a")
    assert record is not None
    assert [message.content for message in record.messages] == ["a", "more"]
    await store.append("a", [StoredMessage("user", "and more", 10.0)])
    await store.aclose()


async def test_what_a_crash_has_left_is_looked_at_too(tmp_path: Path) -> None:
    await kept(tmp_path, "s")
    path = file_of(tmp_path, "s")
    await trio.run_process([sys.executable, "-c", KILLED_INSIDE, str(path)], check=False)
    assert path.with_name("s.sqlite3-wal").exists()
    store = sqlite_store(tmp_path)
    assert await titles(store) == ["s"]
    await store.aclose()


async def test_a_damaged_file_is_left_out_of_the_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await kept(tmp_path, "a", "b", "c")
    file_of(tmp_path, "b").write_bytes(b"these are not the bytes you want\n" * 500)
    (tmp_path / "sessions" / "notes.txt").write_text("no conversation")
    store = sqlite_store(tmp_path)
    assert await titles(store) == ["c", "a"]
    assert "b.sqlite3 is damaged" in capsys.readouterr().out
    with pytest.raises(StoreError, match="damaged"):
        await store.read("b")
    assert await store.delete("b")  # whoever wants to be rid of it can
    assert await store.read("b") is None
    await store.aclose()


async def test_a_deleted_conversation_leaves_no_file(tmp_path: Path) -> None:
    await kept(tmp_path, "a", "b")
    for opened in (True, False):
        store = sqlite_store(tmp_path)
        if opened:
            await store.open("a", **ANNA)
        assert await store.delete("a" if opened else "b")
        assert await store.latest(**ANNA) in {"b", None}
        await store.aclose()
    assert below(tmp_path / "sessions", "*") == {"latest"}
    assert below(tmp_path / "sessions" / "latest", "*") == set()


async def test_whose_a_file_is_is_looked_up_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kept(tmp_path, *(f"s{number}" for number in range(60)))
    store = sqlite_store(tmp_path)
    assert await store.conversations(character="小天", client="bob") == ()
    looked_at: list[Path] = []
    reading = store._files.reading

    def noted(path: Path) -> contextlib.AbstractContextManager[sqlite3.Connection]:
        looked_at.append(path)
        return reading(path)

    monkeypatch.setattr(store._files, "reading", noted)
    assert await store.conversations(character="小天", client="bob") == ()
    assert looked_at == []
    assert len(await store.conversations(**ANNA)) == 50
    assert len(looked_at) == 60
    await store.aclose()


async def test_only_the_files_written_last_are_looked_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kept(tmp_path, "a", "b", "c")
    for number, name in enumerate("cab"):
        os.utime(file_of(tmp_path, name), (number, number))
    monkeypatch.setattr("voicecore.store.sqlite.MAX_LOOKED_THROUGH", 2)
    store = sqlite_store(tmp_path)
    assert await titles(store) == ["b", "a"]
    await store.aclose()


async def test_without_a_folder_there_is_nothing_to_look_back_at(tmp_path: Path) -> None:
    store = sqlite_store(tmp_path / "none")
    assert await store.conversations(**ANNA) == ()
    assert await store.read("a") is None
    assert not await store.delete("a")
    assert not (tmp_path / "none").exists()
    await store.aclose()
