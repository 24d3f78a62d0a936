"""The id by which hosts know a person, and the conversations they may go on with."""

from __future__ import annotations

from pathlib import Path

import pytest

from voicecore.talk.identity import FILE, MOST_KEPT, Identity


def test_an_id_stays(tmp_path: Path) -> None:
    first = Identity.load(tmp_path / "data")
    first.remember("ws://host/ws/default", "one")
    first.remember("ws://host/ws/default", "two")
    again = Identity.load(tmp_path / "data")
    assert (again.client, again.last) == (first.client, {"ws://host/ws/default": "two"})
    assert len(first.client) == 36


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"client": 1, "last": {}}', "\x00"])
def test_a_damaged_file_is_replaced(tmp_path: Path, damaged: str) -> None:
    (tmp_path / FILE).write_text(damaged)
    identity = Identity.load(tmp_path)
    identity.remember("a", "1")
    assert Identity.load(tmp_path) == identity


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    identity = Identity.load(tmp_path)
    for number in range(MOST_KEPT + 1):
        identity.remember(str(number), "id")
        identity.remember("first", "id")
    assert len(identity.last) == MOST_KEPT
    assert "first" in identity.last
    assert "0" not in identity.last


def test_a_folder_that_cannot_be_written_does_no_harm() -> None:
    identity = Identity.load(Path("/proc/nowhere"))
    identity.remember("a", "1")
    assert identity.last == {"a": "1"}
