"""The conversations' files: plain blocking code, for one thread at a time."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import tempfile
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import attrs

from voicecore.errors import StoreError
from voicecore.store.latest import LatestPointers
from voicecore.store.names import file_stem
from voicecore.store.records import JsonValue, SessionRecord, StoredMessage
from voicecore.store.schema import MIGRATIONS, migrate, refuse_foreign, version_of

MAX_OPEN_FILES = 64
"""Twice the default ``server.max_sessions``. Each takes three descriptors (file, -wal, -shm):
192 of the usual 1024."""

BUSY_TIMEOUT_S = 1.0
"""For a lock held by another program, a backup say. Every conversation waits meanwhile."""

SUFFIX = ".sqlite3"

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_UNWRITABLE = {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}
_COLUMNS = ", ".join(field.name for field in attrs.fields(StoredMessage))
_MARKS = ", ".join("?" for _ in attrs.fields(StoredMessage))


def explain(error: sqlite3.Error | OSError, path: Path) -> str:
    """What happened to ``path``, and what to do, in words for the person who runs the host."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest is an extended code
    number = getattr(error, "errno", 0)
    if code in _DAMAGED:
        return (
            f"{path} is damaged ({error}). It was left as it is; "
            "bring back a copy, or move it away to begin anew under its id."
        )
    if code == sqlite3.SQLITE_FULL or number in {errno.ENOSPC, errno.EDQUOT}:
        return f"The disk is full: {path.parent} takes no more ({error}). Free some space on it."
    if code in _LOCKED:
        return f"Another program holds {path} ({error}). Close that program."
    if code in _UNWRITABLE or isinstance(error, OSError):
        return (
            f"{path.parent} cannot be written ({error}). "
            "Let this user write there, or set paths.data to another folder."
        )
    return f"{path} cannot be used ({error})."


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as exc:
        raise StoreError(explain(exc, path)) from exc


def connect(path: Path) -> sqlite3.Connection:
    """Open a conversation's file, made if need be, and bring it up to date.

    Raises:
        StoreError: it is not ours, or from a newer release; nothing was changed.
        sqlite3.Error: it is damaged or cannot be opened.
    """
    connection = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    try:
        refuse_foreign(connection, path, len(MIGRATIONS))
        _refuse_damaged(connection, path)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA foreign_keys = ON")
        migrate(connection)
    except (sqlite3.Error, StoreError):
        connection.close()
        raise
    return connection


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Open a conversation's file that nobody has open, to look at it; raises as `connect`.

    Nothing is written, not even the files that SQLite keeps beside an open one. A file that a crash
    has left, or an older release, is opened as `connect` does.
    """
    if not path.with_name(f"{path.name}-wal").exists():
        address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        connection = sqlite3.connect(
            address, uri=True, isolation_level=None, check_same_thread=False
        )
        try:
            refuse_foreign(connection, path, len(MIGRATIONS))
            if version_of(connection) == len(MIGRATIONS):
                return connection
        except (sqlite3.Error, StoreError):
            connection.close()
            raise
        connection.close()
    return connect(path)


def _refuse_damaged(connection: sqlite3.Connection, path: Path) -> None:
    # Before anything is written into it; 8 ms for 10 000 messages.
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        error = sqlite3.DatabaseError(" ".join(found.split()))
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise StoreError(explain(error, path))


def insert_messages(
    connection: sqlite3.Connection, session_id: str, messages: Iterable[StoredMessage]
) -> None:
    """Add all messages in one transaction, or none."""
    rows = ((session_id, *attrs.astuple(message)) for message in messages)
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            f"INSERT INTO message (session_id, {_COLUMNS}) VALUES (?, {_MARKS})",  # noqa: S608
            rows,
        )


def newest_messages(connection: sqlite3.Connection, limit: int) -> tuple[StoredMessage, ...]:
    """The newest ``limit`` messages, oldest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM message ORDER BY number DESC LIMIT ?",  # noqa: S608
        (limit,),
    ).fetchall()
    messages = (StoredMessage(*row) for row in reversed(rows))
    return tuple(attrs.evolve(each, interrupted=bool(each.interrupted)) for each in messages)


class SessionFiles:
    """Every conversation of one folder. Raises `StoreError` for whatever the disk does."""

    def __init__(self, folder: Path, *, history: int, max_open: int) -> None:
        self._folder = folder
        self._latest = LatestPointers(folder / "latest")
        self._history = history
        self._max_open = max_open
        self._open: OrderedDict[Path, sqlite3.Connection] = OrderedDict()

    def check(self) -> None:
        """Write a file into the folder and take it away again."""
        with _explained(self._folder / "check"):
            self._make_folders()
            with tempfile.NamedTemporaryFile(dir=self._folder) as probe:
                probe.write(b"voicecore")

    def open(self, wanted: SessionRecord, fresh: bool) -> tuple[SessionRecord, bool]:  # noqa: FBT001
        """Begin or resume ``wanted.id``, at ``wanted.created_at``; True if it was created.

        ``fresh`` tells that the id was made for a new conversation and must not exist.
        """
        path = self._path(wanted.id)
        with _explained(path):
            if fresh and path.exists():
                raise StoreError(f"The new session id {wanted.id!r} is already taken.")
        with self._using(wanted.id, create=True) as connection:
            created = self._enter(connection, wanted)
            messages = newest_messages(connection, self._history)
            row = connection.execute("SELECT character, client, created_at FROM session").fetchone()
            self._latest.set(row[0], row[1], wanted.id)
        character, client, created_at = row
        return SessionRecord(wanted.id, character, client, created_at, messages), created

    def _enter(self, connection: sqlite3.Connection, wanted: SessionRecord) -> bool:
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            row = connection.execute("SELECT id FROM session").fetchone()
            if row is None:
                connection.execute(
                    "INSERT INTO session (id, character, client, created_at, opened_at)"
                    " VALUES (?, ?, ?, ?, ?)",
                    (*attrs.astuple(wanted)[:4], wanted.created_at),
                )
            elif row[0] != wanted.id:
                raise StoreError(
                    f"{self._path(wanted.id)} holds the session {row[0]!r}, not {wanted.id!r}:"
                    " it was renamed by hand. Give it its name back."
                )
            else:
                connection.execute(
                    "UPDATE session SET opened_at = ?, ended_at = NULL", (wanted.created_at,)
                )
        return row is None

    def latest(self, character: str, client: str) -> str | None:
        with _explained(self._latest.folder / "latest"):
            session_id = self._latest.get(character, client)
            return session_id if session_id and self._path(session_id).exists() else None

    def append(self, session_id: str, messages: tuple[StoredMessage, ...]) -> None:
        with self._using(session_id) as connection:
            insert_messages(connection, session_id, messages)

    def record_event(
        self, session_id: str, at: float, kind: str, detail: Mapping[str, JsonValue]
    ) -> None:
        with self._using(session_id) as connection:
            connection.execute(
                "INSERT INTO event (session_id, at, kind, detail) VALUES (?, ?, ?, ?)",
                (session_id, at, kind, json.dumps(detail)),
            )

    def end(self, session_id: str, at: float) -> None:
        """Mark it ended and close its file, so that it stands alone without its -wal."""
        with self._using(session_id) as connection:
            row = connection.execute("SELECT character, client FROM session").fetchone()
            self._latest.clear(row[0], row[1], session_id)
            connection.execute("UPDATE session SET ended_at = ?", (at,))
        self._forget(self._path(session_id))

    # --- looking back ---

    def newest(self) -> list[Path]:
        """The conversations' files, those first that were written last."""
        if not self._folder.exists():
            return []
        with _explained(self._folder), os.scandir(self._folder) as entries:
            written = {entry.name: entry.stat().st_mtime for entry in entries if entry.is_file()}
        names = [name for name in written if name.endswith(SUFFIX)]
        names.sort(key=lambda name: max(written[name], written.get(f"{name}-wal", 0)), reverse=True)
        return [self._folder / name for name in names]

    def read(self, session_id: str) -> SessionRecord | None:
        path = self._path(session_id)
        if not path.exists():
            return None
        with self.reading(path) as connection:
            row = connection.execute(
                "SELECT character, client, created_at FROM session WHERE id = ?", (session_id,)
            ).fetchone()
            if row is None:  # a crash came before its first line, or it was renamed by hand
                return None
            messages = newest_messages(connection, self._history)
        character, client, created_at = row
        return SessionRecord(session_id, character, client, created_at, messages)

    def delete(self, session_id: str) -> bool:
        path = self._path(session_id)
        if not path.exists():
            return False
        with suppress(StoreError):  # one that is damaged can be deleted, too
            record = self.read(session_id)
            if record is not None:
                self._latest.clear(record.character, record.client, session_id)
        self._forget(path)
        with _explained(path):
            # The file last: until then another try finds it.
            for each in (f"{path.name}-wal", f"{path.name}-shm", path.name):
                path.with_name(each).unlink(missing_ok=True)
        return True

    @contextmanager
    def reading(self, path: Path) -> Iterator[sqlite3.Connection]:
        """Lend a connection to look at a file, which is not counted among the open ones."""
        with _explained(path):
            if path in self._open:
                yield self._open[path]
            else:
                with closing(connect_to_read(path)) as connection:
                    yield connection

    def close(self) -> None:
        for path in tuple(self._open):
            self._forget(path)

    @contextmanager
    def _using(self, session_id: str, *, create: bool = False) -> Iterator[sqlite3.Connection]:
        """Lend the connection; after an error it is closed, so that the next call starts afresh."""
        path = self._path(session_id)
        try:
            with _explained(path):
                yield self._connection(session_id, path, create)
        except StoreError:
            self._forget(path)
            raise

    def _connection(self, session_id: str, path: Path, create: bool) -> sqlite3.Connection:  # noqa: FBT001
        if path not in self._open:
            if create:
                self._make_folders()
            elif not path.exists():
                raise StoreError(f"The session {session_id!r} was never opened.")
            while len(self._open) >= self._max_open:
                self._forget(next(iter(self._open)))
            self._open[path] = connect(path)
        self._open.move_to_end(path)
        return self._open[path]

    def _forget(self, path: Path) -> None:
        connection = self._open.pop(path, None)
        if connection is not None:
            connection.close()

    def _make_folders(self) -> None:
        # What people say at home is nobody else's to read.
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._latest.folder.mkdir(exist_ok=True)

    def _path(self, session_id: str) -> Path:
        return self._folder / f"{file_stem(session_id)}{SUFFIX}"
