from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore.tools.builtin import notes
from voicecore.tools.builtin.notes import FILE, add_note, delete_note, list_notes
from voicecore.tools.function import tool_of
from voicecore.tools.tool import ToolContext, ToolError


def test_notes_are_kept_by_numbers_that_stay(context: ToolContext) -> None:
    assert list_notes(context) == "There are no notes."
    assert not context.folder.exists()
    assert add_note(context, "Buy milk.") == "Note 1 is written down."
    assert add_note(context, "Grüße\n an   Jürgen") == "Note 2 is written down."
    assert list_notes(context) == "1: Buy milk.\n2: Grüße an Jürgen"
    assert delete_note(context, 2) == "Note 2 is deleted."
    assert add_note(context, "Call home.") == "Note 3 is written down."
    assert list_notes(context) == "1: Buy milk.\n3: Call home."


def test_an_unknown_number(context: ToolContext) -> None:
    with pytest.raises(ToolError, match="no note 7"):
        delete_note(context, 7)


def test_each_client_has_its_own(context: ToolContext, tmp_path: Path) -> None:
    other = attrs.evolve(context, client="../somebody else", folder=tmp_path / "other")
    add_note(context, "mine")
    assert list_notes(other) == "There are no notes."
    add_note(other, "theirs")
    assert list_notes(context) == "1: mine"
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        FILE, FILE, "other", "somebody",
    ]  # fmt: skip


def test_they_are_nobody_elses_to_read(context: ToolContext) -> None:
    add_note(context, "secret")
    assert stat.S_IMODE(context.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((context.folder / FILE).stat().st_mode) == 0o600


def test_their_number_and_length_are_bounded(
    context: ToolContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notes, "MAX_NOTES", 2)
    add_note(context, "one")
    add_note(context, "two")
    with pytest.raises(ToolError, match="There are 2 notes already"):
        add_note(context, "three")
    delete_note(context, 1)
    add_note(context, "three")
    check = tool_of(add_note, origin="voicecore").check
    check({"text": "x" * notes.MAX_CHARS})
    for text in ("", "x" * (notes.MAX_CHARS + 1)):
        with pytest.raises(ToolError):
            check({"text": text})


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"notes": [{"number": "one"}]}', "\xff", '{"notes": 5}', "{}", "5"]
)
def test_a_damaged_file_is_left_as_it_is(content: str, context: ToolContext) -> None:
    add_note(context, "one")
    path = context.folder / FILE
    path.write_bytes(content.encode("latin-1"))
    for call in (list_notes, lambda it: add_note(it, "two"), lambda it: delete_note(it, 1)):
        with pytest.raises(ToolError, match="are damaged; nothing was changed"):
            call(context)
    assert path.read_bytes() == content.encode("latin-1")


def test_a_disk_that_refuses_is_told(context: ToolContext) -> None:
    context.folder.write_text("in the way")
    with pytest.raises(ToolError, match=r"The notes cannot be kept in .*: (File exists|Not a dir)"):
        add_note(context, "one")


def test_a_write_that_fails_leaves_the_old_file(
    context: ToolContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_note(context, "one")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ToolError, match="No space left on device"):
        add_note(context, "two")
    assert list_notes(context) == "1: one"
    assert [path.name for path in context.folder.iterdir()] == [FILE]


def test_notes_taken_at_once_are_all_kept(context: ToolContext) -> None:
    together = threading.Barrier(8)

    def take(number: int) -> None:
        together.wait()
        add_note(context, f"note of thread {number}")

    threads = [threading.Thread(target=take, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = json.loads((context.folder / FILE).read_text(encoding="utf-8"))
    assert [note["number"] for note in kept["notes"]] == list(range(1, 9))
    assert len({note["text"] for note in kept["notes"]}) == 8


@given(texts=st.lists(st.text(min_size=1, max_size=50), max_size=5))
def test_any_text_can_be_noted(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("notes")
    context = ToolContext("", "", folder, lambda: 0.0, lambda *_: None, lambda _: None)
    for text in texts:
        add_note(context, text)
    told = "\n".join(f"{n}: {' '.join(text.split())}" for n, text in enumerate(texts, 1))
    assert list_notes(context) == (told or "There are no notes.")
