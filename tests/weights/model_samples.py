"""Small models, and what the tests look at."""

from __future__ import annotations

import random
from pathlib import Path

import attrs
import trio

from tests.weights.loopback_index import sha256
from voicecore.weights.files import ModelStore
from voicecore.weights.manifest import Model, ModelFile, PackagePart, UrlPart

WEIGHTS = random.Random(0).randbytes(300_000)  # its wheel takes several reads of a socket
SETTINGS = b'{"rate": 16000}'


@attrs.define
class Told:
    """A progress that remembers."""

    calls: list[tuple[str, str, int | None]] = attrs.field(factory=list)
    awaited: int = 0
    """Bytes at which ``reached`` is set."""
    reached: trio.Event = attrs.field(factory=trio.Event)

    def start(self, name: str, total_bytes: int | None) -> None:
        self.calls.append(("start", name, total_bytes))

    def advance(self, name: str, count: int) -> None:
        self.calls.append(("advance", name, count))
        if self.advanced() >= self.awaited:
            self.reached.set()

    def done(self, name: str) -> None:
        self.calls.append(("done", name, None))

    def advanced(self) -> int:
        """Bytes told since the last start."""
        count = 0
        for kind, _, number in self.calls:
            count = 0 if kind == "start" else count + (number or 0)
        return count


def packaged(name: str = "ear", package: str = "ear-model") -> Model:
    """A model of two files out of one wheel."""
    folder = package.replace("-", "_")
    return Model(
        name=name,
        kind="stt",
        licence="MIT",
        files=tuple(
            ModelFile(
                name=file,
                size=len(content),
                sha256=sha256(content),
                parts=(PackagePart(package, "1.0", f"{folder}/data/{file}"),),
            )
            for file, content in {"model.bin": WEIGHTS, "config.json": SETTINGS}.items()
        ),
    )


def contents(package: str = "ear-model") -> dict[str, bytes]:
    folder = package.replace("-", "_")
    return {f"{folder}/data/model.bin": WEIGHTS, f"{folder}/data/config.json": SETTINGS}


def at_url(url: str, content: bytes, name: str = "voice.onnx") -> Model:
    file = ModelFile(name=name, sha256=sha256(content), parts=(UrlPart(url),))
    return Model(name="own", kind="tts", licence="unknown", files=(file,))


def store_of(root: Path, *models: Model) -> ModelStore:
    return ModelStore(root, {model.name: model for model in models})


def partial_files(root: Path) -> list[Path]:
    return list(root.rglob("*.part"))


def real_files(root: Path) -> dict[str, bytes]:
    """What lies under a model file's name: neither locks, stamps nor partial downloads."""
    return {
        path.name: path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
        and ".verified" not in path.parts
        and path.suffix != ".part"
        and path.name != ".lock"
    }
