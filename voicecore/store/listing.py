"""Whose conversation each file is, and what a list says of it: blocking code for one thread."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import structlog

from voicecore.errors import StoreError
from voicecore.store.files import SessionFiles
from voicecore.store.records import Summary, title_of

log = structlog.get_logger()

MAX_KNOWN = 10_000
"""Files whose owner is remembered, 4 MB; those asked for longest ago are forgotten first."""


class Listing:
    """Finds a client's conversations among all files.

    Whose a file is never changes, so each is opened once for that: it takes 0.2 ms.
    """

    def __init__(self, files: SessionFiles) -> None:
        self._files = files
        self._owners: OrderedDict[Path, tuple[str, str]] = OrderedDict()

    def among(self, paths: Sequence[Path], character: str, client: str) -> list[Summary]:
        """The conversations of a character and a client among these files."""
        found: list[Summary] = []
        for path in paths:
            if self._owners.get(path, (character, client)) != (character, client):
                continue
            try:
                with self._files.reading(path) as connection:
                    if self._owner(path, connection) == (character, client):
                        found += _summary(connection)
            except StoreError as error:
                log.warning("a conversation is left out of a list", reason=str(error))
        return found

    def _owner(self, path: Path, connection: sqlite3.Connection) -> tuple[str, str] | None:
        row: tuple[str, str] | None
        row = connection.execute("SELECT character, client FROM session").fetchone()
        if row is not None:  # None: a crash came before its first line
            self._owners[path] = row
            self._owners.move_to_end(path)
            if len(self._owners) > MAX_KNOWN:
                self._owners.popitem(last=False)
        return row


def _summary(connection: sqlite3.Connection) -> list[Summary]:
    """What is said of it; nothing if nothing was said in it."""
    count, updated_at = connection.execute(
        "SELECT count(*), max(at) FROM message WHERE role <> 'tool' AND content <> ''"
    ).fetchone()
    if not count:
        return []
    session_id, created_at = connection.execute("SELECT id, created_at FROM session").fetchone()
    first = connection.execute(
        "SELECT content FROM message WHERE role = 'user' AND content <> '' ORDER BY number LIMIT 1"
    ).fetchone()
    title = title_of(first[0]) if first else ""
    return [Summary(session_id, created_at, updated_at, title, count)]
