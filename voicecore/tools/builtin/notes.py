"""Notes that a person has taken: one small JSON file for each client, replaced whole."""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import attrs
import cattrs
from pydantic import Field

from voicecore.tools.function import tool
from voicecore.tools.tool import ToolContext, ToolError

MAX_NOTES = 200
MAX_CHARS = 1_000
"""Of one note. With `MAX_NOTES`, a file stays below a megabyte and is rewritten at once."""

FILE = "notes.json"

_writing = threading.Lock()
"""Calls run in threads: reading, changing and writing is one step. Held for milliseconds."""


@attrs.frozen
class Note:
    """A note, by the number it was given: numbers stay, and are not used again."""

    number: int
    text: str


@attrs.frozen
class Notes:
    """The file's content."""

    next_number: int
    notes: tuple[Note, ...]


@tool
def add_note(
    context: ToolContext, text: Annotated[str, Field(min_length=1, max_length=MAX_CHARS)]
) -> str:
    """Write down a note for the person, to be kept.

    Args:
        context: Whose note it is.
        text: The note, in full.
    """
    with _changing(context.folder):
        kept = _read(context.folder)
        if len(kept.notes) >= MAX_NOTES:
            raise ToolError(f"There are {MAX_NOTES} notes already; delete some first.")
        note = Note(kept.next_number, " ".join(text.split()))
        _write(context.folder, Notes(note.number + 1, (*kept.notes, note)))
    return f"Note {note.number} is written down."


@tool
def list_notes(context: ToolContext) -> str:
    """List the person's notes, with their numbers; the newest last."""
    with _changing(context.folder):
        notes = _read(context.folder).notes
    return "\n".join(f"{note.number}: {note.text}" for note in notes) or "There are no notes."


@tool
def delete_note(context: ToolContext, number: int) -> str:
    """Delete a note.

    Args:
        context: Whose note it is.
        number: The note's number, as list_notes tells it.
    """
    with _changing(context.folder):
        kept = _read(context.folder)
        left = tuple(note for note in kept.notes if note.number != number)
        if len(left) == len(kept.notes):
            raise ToolError(f"There is no note {number}; list_notes tells the numbers.")
        _write(context.folder, attrs.evolve(kept, notes=left))
    return f"Note {number} is deleted."


@contextmanager
def _changing(folder: Path) -> Iterator[None]:
    try:
        with _writing:
            yield
    except OSError as error:
        reason = error.strerror or error
        raise ToolError(f"The notes cannot be kept in {folder}: {reason}.") from error


def _read(folder: Path) -> Notes:
    path = folder / FILE
    try:
        return cattrs.structure(json.loads(path.read_text(encoding="utf-8")), Notes)
    except FileNotFoundError:
        return Notes(1, ())
    except (ValueError, cattrs.BaseValidationError) as error:
        raise ToolError(f"The notes in {path} are damaged; nothing was changed.") from error


def _write(folder: Path, notes: Notes) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=folder)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(attrs.asdict(notes), file, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())  # else a power cut may leave the new name without its text
        draft.replace(folder / FILE)
    finally:
        draft.unlink(missing_ok=True)
