"""Who this client is to hosts, and which conversation it had last at each: kept in one small file.

The id is what a host knows a person's conversations by; with another, they cannot be resumed.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import attrs

FILE = "talk.json"

MOST_KEPT = 32
"""Hosts and characters; those that were talked to longest ago go first."""


@attrs.define
class Identity:
    """This person's id, and their last conversations."""

    path: Path
    client: str
    last: dict[str, str]
    """By address: the id of the last conversation there."""

    @classmethod
    def load(cls, folder: Path) -> Identity:
        """Read it, or make a new one if there is none that can be read.

        Args:
            folder: `paths.data` of the configuration.
        """
        path = folder / FILE
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            kept = None
        match kept:
            case {"client": str(client), "last": dict(last)}:
                return cls(path, client, {str(key): str(value) for key, value in last.items()})
        return cls(path, str(uuid.uuid4()), {})

    def remember(self, address: str, conversation: str) -> None:
        """Keep a conversation's id. If the file cannot be written, it is kept while we run."""
        self.last.pop(address, None)
        self.last[address] = conversation
        while len(self.last) > MOST_KEPT:
            del self.last[next(iter(self.last))]
        kept = json.dumps({"client": self.client, "last": self.last}, ensure_ascii=False, indent=1)
        draft = self.path.with_suffix(".new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(kept, encoding="utf-8")
            draft.replace(self.path)
        except OSError:
            return
