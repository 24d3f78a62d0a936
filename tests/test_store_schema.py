"""Files of other versions: older ones are brought up to date, newer ones are left alone."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from voicecore.errors import StoreError
from voicecore.store import SqliteStore, StoredMessage
from voicecore.store.schema import MIGRATIONS, migrate, version_of

ANNA = {"character": "小天", "client": "anna"}


def sqlite_store(data: Path) -> SqliteStore:
    return SqliteStore(data, new_id=lambda: "new", now=lambda: 1.0)


def file_of_s(data: Path) -> Path:
    return data / "sessions" / "s.sqlite3"


VERSION_1 = """
CREATE TABLE session (id TEXT PRIMARY KEY NOT NULL, character TEXT NOT NULL, client TEXT NOT NULL,
    created_at REAL NOT NULL, opened_at REAL NOT NULL, ended_at REAL);
CREATE TABLE message (number INTEGER PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES session (id), role TEXT NOT NULL, content TEXT NOT NULL,
    at REAL NOT NULL, via TEXT NOT NULL, interrupted INTEGER NOT NULL, tokens_in INTEGER NOT NULL,
    tokens_out INTEGER NOT NULL, tool_calls TEXT NOT NULL);
CREATE TABLE event (number INTEGER PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES session (id), at REAL NOT NULL, kind TEXT NOT NULL,
    detail TEXT NOT NULL);
INSERT INTO session VALUES ('s', '小天', 'anna', 5.0, 6.0, 7.0);
INSERT INTO message VALUES (1, 's', 'user', 'from long ago', 5.5, 'voice', 0, 0, 0, '');
PRAGMA user_version = 1;
"""


def write_file(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.executescript(script)


async def test_a_version_1_file_made_by_hand_is_read(tmp_path: Path) -> None:
    write_file(file_of_s(tmp_path), VERSION_1)
    store = sqlite_store(tmp_path)
    record, created = await store.open("s", **ANNA)
    assert not created
    assert record.created_at == 5.0
    assert record.messages == (StoredMessage("user", "from long ago", 5.5, "voice"),)
    await store.aclose()


def test_a_version_0_file_gets_every_step_and_a_version_1_file_only_the_later(
    tmp_path: Path,
) -> None:
    later = (*MIGRATIONS, ("ALTER TABLE session ADD COLUMN title TEXT",))
    write_file(tmp_path / "one", VERSION_1)
    write_file(tmp_path / "zero", "")
    for name, rows in (("one", [("from long ago",)]), ("zero", [])):
        with contextlib.closing(sqlite3.connect(tmp_path / name, isolation_level=None)) as file:
            migrate(file, later)
            assert version_of(file) == 2
            assert file.execute("SELECT content FROM message").fetchall() == rows
            assert file.execute("SELECT title FROM session").fetchall() == [(None,)] * len(rows)


def test_a_migration_that_fails_leaves_the_old_version(tmp_path: Path) -> None:
    write_file(tmp_path / "one", VERSION_1)
    broken = (*MIGRATIONS, ("DELETE FROM message", "this is not SQL"))
    with contextlib.closing(sqlite3.connect(tmp_path / "one", isolation_level=None)) as file:
        with pytest.raises(sqlite3.OperationalError):
            migrate(file, broken)
        assert version_of(file) == 1
        assert file.execute("SELECT count(*) FROM message").fetchone() == (1,)


async def refused(data: Path, match: str) -> None:
    path = file_of_s(data)
    before = path.read_bytes()
    store = sqlite_store(data)
    with pytest.raises(StoreError, match=match):
        await store.open("s", **ANNA)
    await store.aclose()
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.glob("s.*")] == ["s.sqlite3"]


async def test_a_file_of_a_newer_version_is_refused_and_untouched(tmp_path: Path) -> None:
    newer = "CREATE TABLE session (whatever); PRAGMA user_version = 99;"
    write_file(file_of_s(tmp_path), "PRAGMA journal_mode = WAL;" + newer)
    await refused(tmp_path, "newer voicecore .format 99, this one knows 1")


async def test_another_programs_database_is_refused_and_untouched(tmp_path: Path) -> None:
    write_file(file_of_s(tmp_path), "CREATE TABLE cookies (value)")
    await refused(tmp_path, "not a conversation of voicecore")
