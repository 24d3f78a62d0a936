"""What was verified, so that a start need not hash hundreds of megabytes again.

A stamp says: this path, at this size and these times, had this SHA-256. A file that was changed or
exchanged since has other times, its stamp no longer fits, and it is hashed again. The inode's
change time is part of it because, unlike the modification time, no program can set it back.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import cattrs

Stamp: TypeAlias = tuple[int, int, int, str]
"""Size in bytes, modification and change time in ns, SHA-256."""


class Stamps:
    """The stamps of one model, kept in a small JSON file.

    Losing the file costs time, never safety: so a folder that cannot be written is no error, and
    an unreadable file counts as empty. Several processes may use one file; the last one wins.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stamps = _read(file)

    def sha256(self, path: Path, *, rehash: bool = False) -> str:
        """Return the file's hash, reading it only if its stamp is stale or ``rehash`` asks for it.

        Raises:
            OSError: it cannot be read.
        """
        state = _state(path)  # before reading: a change meanwhile makes the stamp stale
        stamp = self._stamps.get(str(path))
        if stamp is not None and stamp[:3] == state and not rehash:
            return stamp[3]
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        self._stamps[str(path)] = (*state, sha256)
        with suppress(OSError):
            _write(self._file, self._stamps)
        return sha256


def _state(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _read(file: Path) -> dict[str, Stamp]:
    try:
        return cattrs.structure(json.loads(file.read_bytes()), dict[str, Stamp])
    except (OSError, ValueError, cattrs.BaseValidationError):
        return {}


def _write(file: Path, stamps: dict[str, Stamp]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as temporary:
        path = Path(temporary.name)
        try:
            json.dump(stamps, temporary, indent=1)
            temporary.flush()
            path.replace(file)
        finally:
            path.unlink(missing_ok=True)
