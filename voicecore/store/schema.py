"""The tables of a conversation's file, and how an older file becomes a current one."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from voicecore.errors import StoreError

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE session (
            id TEXT PRIMARY KEY NOT NULL,
            character TEXT NOT NULL,
            client TEXT NOT NULL,
            created_at REAL NOT NULL,
            opened_at REAL NOT NULL,
            ended_at REAL
        )""",
        """CREATE TABLE message (
            number INTEGER PRIMARY KEY,
            session_id TEXT NOT NULL REFERENCES session (id),
            role TEXT NOT NULL CHECK (role IN ('user', 'assistant', 'tool')),
            content TEXT NOT NULL,
            at REAL NOT NULL,
            via TEXT NOT NULL CHECK (via IN ('voice', 'text')),
            interrupted INTEGER NOT NULL CHECK (interrupted IN (0, 1)),
            tokens_in INTEGER NOT NULL,
            tokens_out INTEGER NOT NULL,
            tool_calls TEXT NOT NULL
        )""",
        """CREATE TABLE event (
            number INTEGER PRIMARY KEY,
            session_id TEXT NOT NULL REFERENCES session (id),
            at REAL NOT NULL,
            kind TEXT NOT NULL,
            detail TEXT NOT NULL
        )""",
    ),
)
"""Statements that lead from version i (``PRAGMA user_version``) to i + 1. Released ones never
change; a new version is a new entry."""


def version_of(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def refuse_foreign(connection: sqlite3.Connection, path: Path, current: int) -> None:
    """Look, without writing, whether the file is one of ours and not from a later release.

    Raises:
        StoreError: it is not.
    """
    version = version_of(connection)
    if version > current:
        raise StoreError(
            f"{path} was written by a newer voicecore (format {version}, this one knows {current})."
            " It was left as it is; install the newer release to open it."
        )
    if version == 0 and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise StoreError(f"{path} is not a conversation of voicecore; move it to another folder.")


def migrate(
    connection: sqlite3.Connection, migrations: Sequence[Sequence[str]] = MIGRATIONS
) -> None:
    """Bring the file to the current version in one transaction; a crash leaves the old one."""
    if version_of(connection) == len(migrations):
        return
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        # Asked again: another process may have done it while this one waited for the lock.
        for statements in migrations[version_of(connection) :]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
