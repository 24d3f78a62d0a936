from __future__ import annotations

import hashlib
import os
from io import BufferedReader
from pathlib import Path

import pytest

from tests.weights.loopback_index import sha256
from tests.weights.model_samples import SETTINGS, WEIGHTS, contents, packaged, store_of
from voicecore.config import Config, OwnModelConfig, PathsConfig
from voicecore.errors import ModelError
from voicecore.weights.files import ModelStore, State
from voicecore.weights.manifest import Model, ModelFile


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    folder = tmp_path / "models" / "ear"
    folder.mkdir(parents=True)
    (folder / "model.bin").write_bytes(WEIGHTS)
    (folder / "config.json").write_bytes(SETTINGS)
    return store_of(tmp_path / "models", packaged())


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were read to be hashed."""
    names: list[str] = []
    original = hashlib.file_digest

    def file_digest(file: BufferedReader, algorithm: str) -> object:
        names.append(Path(file.name).name)
        return original(file, algorithm)

    monkeypatch.setattr(hashlib, "file_digest", file_digest)
    return names


def again(store: ModelStore) -> ModelStore:
    """The store of the next process."""
    return ModelStore(store.root, store.models)


def test_an_intact_model(store: ModelStore) -> None:
    assert store.status("ear").state is State.PRESENT
    assert store.folder("ear") == store.root / "ear"
    assert store.file("ear", ".bin") == store.root / "ear" / "model.bin"


def test_the_next_start_reads_nothing_again(store: ModelStore, hashed: list[str]) -> None:
    store.folder("ear")
    assert sorted(hashed) == ["config.json", "model.bin"]
    store.folder("ear")
    again(store).folder("ear")
    assert len(hashed) == 2


def test_verifying_reads_everything(store: ModelStore, hashed: list[str]) -> None:
    store.folder("ear")
    assert again(store).status("ear", rehash=True).usable
    assert len(hashed) == 4


@pytest.mark.parametrize("keep_time", [False, True])
def test_a_flipped_byte_is_noticed(store: ModelStore, keep_time: bool) -> None:
    store.folder("ear")
    path = store.root / "ear" / "model.bin"
    before = path.stat()
    flipped = bytearray(WEIGHTS)
    flipped[1000] ^= 1
    path.write_bytes(flipped)
    later = before.st_mtime_ns + (0 if keep_time else 1_000_000_000)
    os.utime(path, ns=(before.st_atime_ns, later))

    for each in (store, again(store)):
        assert each.status("ear").state is State.CORRUPT
        with pytest.raises(ModelError, match=r"corrupt: model\.bin .*`voicecore models fetch ear`"):
            each.folder("ear")


def test_a_touched_file_is_read_again_and_found_good(store: ModelStore, hashed: list[str]) -> None:
    store.folder("ear")
    os.utime(store.root / "ear" / "model.bin", ns=(1, 1))
    assert store.status("ear").usable
    assert again(store).status("ear").usable
    assert hashed.count("model.bin") == 2


def test_a_wrong_size_needs_no_reading(store: ModelStore, hashed: list[str]) -> None:
    (store.root / "ear" / "model.bin").write_bytes(WEIGHTS[:-1])
    assert store.status("ear").state is State.CORRUPT
    assert "model.bin" not in hashed


def test_a_missing_file(store: ModelStore) -> None:
    (store.root / "ear" / "config.json").unlink()
    status = store.status("ear")
    assert status.state is State.MISSING
    assert [file.name for file in status.bad] == ["config.json"]
    with pytest.raises(ModelError, match=r"missing: there is no config\.json"):
        store.folder("ear")


def test_a_damaged_stamp_file_counts_as_none(store: ModelStore) -> None:
    store.folder("ear")
    (store.root / ".verified" / "ear.json").write_text('{"x": [1]}')
    assert again(store).status("ear").usable


def test_stamps_that_cannot_be_written_are_no_error(store: ModelStore) -> None:
    (store.root / ".verified").write_text("in the way")
    assert store.status("ear").usable


def test_an_unknown_model_names_the_nearest(store: ModelStore) -> None:
    with pytest.raises(ModelError, match="Did you mean 'ear'"):
        store.folder("eer")


@pytest.mark.parametrize(("suffix", "count"), [(".onnx", "no file"), ("n", "2 files")])
def test_one_file_must_have_the_ending(store: ModelStore, suffix: str, count: str) -> None:
    with pytest.raises(ModelError, match=f"{count} ending in"):
        store.file("ear", suffix)


# --- installed packages --------------------------------------------------------------------------


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]) -> None:
    information = folder / "ear_model-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: ear-model\nVersion: 1.0\n")
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    monkeypatch.syspath_prepend(str(folder))


def test_an_installed_package_is_used_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "site", monkeypatch, contents())
    store = store_of(tmp_path / "models", packaged())
    assert store.status("ear").state is State.INSTALLED
    assert store.file("ear", "model.bin") == tmp_path / "site/ear_model/data/model.bin"


def test_an_installed_package_with_another_file_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "site", monkeypatch, contents() | {"ear_model/data/model.bin": b"other"})
    store = store_of(tmp_path / "models", packaged())
    assert store.status("ear").state is State.MISSING


# --- own models ----------------------------------------------------------------------------------


def own(tmp_path: Path, path: Path, **more: str) -> ModelStore:
    config = Config(
        paths=PathsConfig(models=tmp_path / "models"),
        models={"mine": OwnModelConfig(kind="tts", path=path, **more)},
    )
    return ModelStore.of(config)


def test_an_own_folder_is_used_in_place(tmp_path: Path) -> None:
    (tmp_path / "voice").mkdir()
    (tmp_path / "voice" / "a.onnx").write_bytes(b"1")
    (tmp_path / "voice" / "a.onnx.json").write_bytes(b"2")
    store = own(tmp_path, tmp_path / "voice")
    assert store.folder("mine") == tmp_path / "voice"
    assert store.file("mine", ".onnx").name == "a.onnx"
    assert store.file("mine", ".json").name == "a.onnx.json"


def test_an_own_file_brings_what_has_its_name(tmp_path: Path) -> None:
    for name in ("a.onnx", "a.onnx.json", "b.onnx"):
        (tmp_path / name).write_bytes(b"1")
    store = own(tmp_path, tmp_path / "a.onnx")
    assert store.file("mine", ".onnx") == tmp_path / "a.onnx"
    assert store.file("mine", ".onnx.json") == tmp_path / "a.onnx.json"


def test_an_own_file_with_a_hash_is_checked(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"1")
    good = own(tmp_path, tmp_path / "a.onnx", sha256=sha256(b"1").upper())
    bad = own(tmp_path, tmp_path / "a.onnx", sha256=sha256(b"2"))
    assert good.status("mine").usable
    assert bad.status("mine").state is State.CORRUPT
    with pytest.raises(ModelError, match=r"corrupt.*change models\.mine"):
        bad.folder("mine")


def test_an_own_path_that_does_not_exist(tmp_path: Path) -> None:
    store = own(tmp_path, tmp_path / "absent")
    with pytest.raises(ModelError, match=r"absent does not exist\. Put it there"):
        store.folder("mine")


def test_a_file_of_unknown_size(tmp_path: Path) -> None:
    file = ModelFile(name="a", sha256=sha256(b"1"))
    model = Model(name="m", kind="llm", licence="unknown", files=(file,))
    assert model.size is None
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "a").write_bytes(b"1")
    assert store_of(tmp_path, model).status("m").usable
