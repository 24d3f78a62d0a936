"""Which conversation a character and a client opened last: one small file for each pair.

Pointers rather than an index database, because this one question is all that is asked across
conversations: nothing has to be kept consistent, repaired or migrated. A lost pointer costs a new
conversation instead of a continued one; everything said stays in its own file.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path

import attrs


@attrs.frozen
class LatestPointers:
    """The files hold the session's id and are replaced whole. Blocking; raises OSError."""

    folder: Path

    def get(self, character: str, client: str) -> str | None:
        try:
            return self._path(character, client).read_text(encoding="utf-8") or None
        except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError):
            return None

    def set(self, character: str, client: str, session_id: str) -> None:
        if self.get(character, client) == session_id:
            return
        descriptor, name = tempfile.mkstemp(dir=self.folder)
        draft = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                file.write(session_id)
                file.flush()
                os.fsync(file.fileno())  # else a power cut may leave the new name without its text
            draft.replace(self._path(character, client))
        finally:
            draft.unlink(missing_ok=True)

    def clear(self, character: str, client: str, session_id: str) -> None:
        """Forget the pair's conversation if it is this one."""
        if self.get(character, client) == session_id:
            self._path(character, client).unlink(missing_ok=True)

    def _path(self, character: str, client: str) -> Path:
        pair = json.dumps([character, client]).encode()
        return self.folder / hashlib.sha256(pair).hexdigest()
