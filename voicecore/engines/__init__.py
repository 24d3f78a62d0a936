"""Native code and the threads that own it; engines are found by name.

An engine is an entry point in the group of its kind (``voicecore.stt``, ``.llm``, ``.tts``,
``.vad``): a function ``load(config, files, *, threads)``. It is imported only when it is used, and
another package may add its own. Blocking engines return a `Native`, which gets its threads here;
others return an `Engine` of their own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

import attrs
import trio

from voicecore.config import Config, EngineConfig, cores
from voicecore.engines.interface import (
    EngineInfo,
    Kind,
    Llm,
    ModelFiles,
    Native,
    Stt,
    Tts,
    Vad,
)
from voicecore.engines.worker import ThreadedEngine, open_threaded
from voicecore.errors import EngineMissing

KINDS: tuple[Kind, ...] = ("vad", "stt", "llm", "tts")


@attrs.frozen(eq=False)
class Engines:
    """The four loaded engines of a host."""

    vad: Vad
    stt: Stt
    llm: Llm
    tts: Tts

    def infos(self) -> list[EngineInfo]:
        return [getattr(self, kind).info for kind in KINDS]

    def waiting(self) -> dict[Kind, int]:
        """Requests waiting for each native engine."""
        found: dict[Kind, int] = {}
        for kind in KINDS:
            engine = getattr(self, kind)
            if isinstance(engine, ThreadedEngine):
                found[kind] = engine.waiting()
        return found


def idle(engine: object) -> bool:
    """Whether an engine has time for what may turn out not to be needed."""
    return engine.idle() if isinstance(engine, ThreadedEngine) else True


def threads_for(config: Config) -> dict[Kind, int]:
    """Share the cores out, where the configuration does not say.

    What a person waits for gets all of them, one after the other: recognition, then the voice's
    first phrase. The model writes on meanwhile, on half of them and giving way (`llama.NICENESS`):
    it is ahead of the voice anyway. Whisper's and the voice's threads sleep when they wait, so
    that more threads than cores cost little; llama.cpp's spin. (Silero and webrtcvad run for
    microseconds, in the main thread.)
    """
    mine = cores()
    share: dict[Kind, int] = {"vad": 1, "stt": mine, "llm": max(1, mine // 2), "tts": mine}
    return {kind: section(config, kind).threads or share[kind] for kind in KINDS}


def section(config: Config, kind: Kind) -> EngineConfig:
    return cast("EngineConfig", getattr(config, kind))


def names(kind: Kind) -> list[str]:
    return sorted({entry.name for entry in entry_points(group=f"voicecore.{kind}")})


def find(kind: Kind, name: str) -> EntryPoint:
    """Find an engine by name; another package's engine overrides ours of the same name.

    Raises:
        EngineMissing: no installed package has it.
    """
    found = entry_points(group=f"voicecore.{kind}", name=name)
    if not found:
        known = ", ".join(names(kind)) or "none"
        raise EngineMissing(
            f"There is no {kind} engine called {name!r} (installed: {known}). "
            f"Set {kind}.engine to one of these, or install the package that brings {name!r}."
        )
    return max(found, key=lambda entry: not entry.value.startswith("voicecore."))


async def _load(config: Config, kind: Kind, files: ModelFiles, loaded: dict[Kind, Any]) -> None:
    load = find(kind, section(config, kind).engine).load
    threads = threads_for(config)[kind]

    def make() -> Any:
        return load()(section(config, kind), files, threads=threads)

    loaded[kind] = await trio.to_thread.run_sync(make)


async def _load_all(config: Config, files: ModelFiles, kinds: Sequence[Kind]) -> dict[Kind, Any]:
    """Load engines side by side; if one cannot be loaded, close the others."""
    loaded: dict[Kind, Any] = {}
    try:
        async with trio.open_nursery() as nursery:
            for kind in kinds:
                nursery.start_soon(_load, config, kind, files, loaded)
    except BaseException:
        for engine in loaded.values():
            if isinstance(engine, Native):
                engine.close()
        raise
    return loaded


@asynccontextmanager
async def _serving(engine: Any) -> AsyncIterator[Any]:
    """Give a loaded engine what it needs to serve, and close it at the end."""
    if isinstance(engine, Native):
        async with open_threaded(lambda: engine) as threaded:
            yield threaded
        return
    async with AsyncExitStack() as stack:
        if hasattr(engine, "aclose"):
            stack.push_async_callback(engine.aclose)
        if hasattr(engine, "warm_up"):
            await engine.warm_up()
        yield engine


@asynccontextmanager
async def open_engines(config: Config, files: ModelFiles) -> AsyncIterator[Engines]:
    """Load and warm up all four engines; leaving closes them.

    Raises:
        EngineMissing, EngineError, ModelError: in a group: which one, why, and what mends it.
    """
    async with AsyncExitStack() as stack:
        loaded = await _load_all(config, files, KINDS)
        opened = {kind: await stack.enter_async_context(_serving(loaded[kind])) for kind in KINDS}
        yield Engines(**opened)


@asynccontextmanager
async def open_engine(config: Config, kind: Kind, files: ModelFiles) -> AsyncIterator[Any]:
    """Load a single engine, for commands and benchmarks that need only one."""
    loaded = await _load_all(config, files, [kind])
    async with _serving(loaded[kind]) as engine:
        yield engine


__all__ = [
    "KINDS",
    "Engines",
    "find",
    "idle",
    "names",
    "open_engine",
    "open_engines",
    "threads_for",
]
