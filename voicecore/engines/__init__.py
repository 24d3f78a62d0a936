"""Native code and the threads that own it; engines are found by name.

An engine is an entry point in the group of its kind (``voicecore.stt``, ``.llm``, ``.tts``,
``.vad``, ``.turn``, ``.wake``): a function ``load(config, files, *, threads)``. It is imported only
when it is used, and another package may add its own. Blocking engines return a `Native`, which gets
its threads here; others return an `Engine` of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
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
    TurnJudge,
    Urgency,
    Vad,
    Wake,
)
from voicecore.engines.schedule import Schedule
from voicecore.engines.worker import ThreadedEngine, Waited, open_threaded
from voicecore.errors import EngineError, EngineMissing, VoicecoreError

KINDS: tuple[Kind, ...] = ("vad", "stt", "llm", "tts", "turn", "wake")


@attrs.frozen(eq=False)
class Engines:
    """The loaded engines of a host."""

    vad: Vad
    stt: Stt
    llm: Llm
    """The configured language model, of every character that names no other."""
    tts: Tts
    llms: Mapping[str, Llm] = attrs.field(factory=dict)
    """Every language model by its name in the configuration, ``llm`` among them."""
    turn: TurnJudge | None = None
    """None where turns end by silence alone."""
    wake: Wake | None = None
    """None where the ears never sleep."""
    schedule: Schedule | None = None
    """What the native engines work on next; None for engines that were not opened here."""

    def llm_for(self, model: str | None) -> Llm:
        """Return the language model of a character; None for the configured one.

        Raises:
            EngineError: it is not loaded.
        """
        if model is None:
            return self.llm
        if model not in self.llms:
            raise EngineError(
                f"The language model {model!r} is not loaded: models are when the host starts. "
                "Restart it, now that the configuration names this one."
            )
        return self.llms[model]

    def each(self) -> Iterator[tuple[Kind, Any]]:
        """Give every engine once, with its kind."""
        yield from (("vad", self.vad), ("stt", self.stt), ("llm", self.llm), ("tts", self.tts))
        if self.turn is not None:
            yield "turn", self.turn
        if self.wake is not None:
            yield "wake", self.wake
        yield from (("llm", other) for other in self.llms.values() if other is not self.llm)

    def infos(self) -> list[EngineInfo]:
        return [engine.info for _, engine in self.each()]

    def waiting(self) -> dict[Kind, int]:
        """Requests waiting for the native engines of each kind."""
        found: Counter[Kind] = Counter()
        for kind, engine in self.each():
            if isinstance(engine, ThreadedEngine):
                found[kind] += engine.waiting()
        return dict(found)

    def busy_with(self, urgency: Urgency) -> bool:
        """Whether any native engine works on, or is asked for, anything so urgent or more.

        What may turn out not to be needed yields to that: with `Urgency.AHEAD`, to all that will
        be heard; with `Urgency.GUESS`, to others' guesses as well.
        """
        return self.schedule is not None and self.schedule.busy_with(urgency)


def idle(engine: object, urgency: Urgency = Urgency.GUESS) -> bool:
    """Whether an engine would work on a request of this urgency at once."""
    return engine.idle(urgency) if isinstance(engine, ThreadedEngine) else True


def raise_to(engine: object, request: object, urgency: Urgency) -> None:
    """Make a request more urgent than it was asked: a guess that turned out right, for instance.

    ``request`` is the very object that was given to ``engine.stream``. One that is done, or was
    never asked, is ignored; so is an engine that has no line.
    """
    if isinstance(engine, ThreadedEngine):
        engine.raise_to(request, urgency)


def threads_for(config: Config) -> dict[Kind, int]:
    """Share the cores out, where the configuration does not say.

    What a person waits for gets all of them, one after the other: recognition, then the voice's
    first phrase. The model writes on meanwhile, on half of them and giving way (`llama.NICENESS`):
    it is ahead of the voice anyway. Whisper's and the voice's threads sleep when they wait, so
    that more threads than cores cost little; llama.cpp's spin for a moment (`openmp`). (Silero and
    webrtcvad run for microseconds, in the main thread.) The end of a turn is judged beside the
    model's writing, on one.
    """
    mine = cores()
    share: dict[Kind, int] = {
        "vad": 1, "stt": mine, "llm": max(1, mine // 2), "tts": mine, "turn": 1, "wake": 1,
    }  # fmt: skip
    return {kind: section(config, kind).threads or share[kind] for kind in KINDS}


def section(config: Config, kind: Kind) -> EngineConfig:
    return cast("EngineConfig", getattr(config, kind))


def is_off(config: Config, kind: Kind) -> bool:
    """Whether the host does without this kind, as it can without ``turn`` and ``wake``."""
    return kind in {"turn", "wake"} and section(config, kind).engine == "none"


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


@attrs.frozen(eq=False)
class _Order:
    """An engine to be loaded."""

    kind: Kind
    settings: EngineConfig
    threads: int
    character: str = ""
    """Whose language model it is, unless it is everyone's."""

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """Have an error say which character's model is meant."""
        try:
            yield
        except VoicecoreError as error:
            if not self.character:
                raise
            setting = f"characters.{self.character}.model = {self.settings.model!r}"
            raise type(error)(f"{setting}: {error}") from error


def _orders(config: Config) -> list[_Order]:
    """Return what the host loads: an engine of each kind, and the characters' own models."""
    kinds = [kind for kind in KINDS if not is_off(config, kind)]
    threads = threads_for(config)
    known = {profile.model: name for name, profile in config.characters.items() if profile.model}
    own = [
        _Order("llm", attrs.evolve(config.llm, model=model), threads["llm"], name)
        for model, name in known.items()
        if model != config.llm.model
    ]
    return [*(_Order(kind, section(config, kind), threads[kind]) for kind in kinds), *own]


async def _load(order: _Order, files: ModelFiles, loaded: dict[_Order, Any]) -> None:
    load = find(order.kind, order.settings.engine).load

    def make() -> Any:
        return load()(order.settings, files, threads=order.threads)

    with order.blamed():
        loaded[order] = await trio.to_thread.run_sync(make)


async def _load_all(orders: Iterable[_Order], files: ModelFiles) -> dict[_Order, Any]:
    """Load engines side by side; if one cannot be loaded, close the others."""
    loaded: dict[_Order, Any] = {}
    with ExitStack() as undo:
        undo.callback(_close, loaded)
        async with trio.open_nursery() as nursery:
            for order in orders:
                nursery.start_soon(_load, order, files, loaded)
        undo.pop_all()
    return loaded


def _close(loaded: dict[_Order, Any]) -> None:
    for engine in loaded.values():
        if isinstance(engine, Native):
            engine.close()


@asynccontextmanager
async def _serving(engine: Any, schedule: Schedule, waited: Waited) -> AsyncIterator[Any]:
    """Give a loaded engine what it needs to serve, and close it at the end."""
    if isinstance(engine, Native):
        async with open_threaded(lambda: engine, schedule, waited) as threaded:
            yield threaded
        return
    async with AsyncExitStack() as stack:
        if hasattr(engine, "aclose"):
            stack.push_async_callback(engine.aclose)
        if hasattr(engine, "warm_up"):
            await engine.warm_up()
        yield engine


@asynccontextmanager
async def open_engines(
    config: Config, files: ModelFiles, waited: Waited = lambda *_: None
) -> AsyncIterator[Engines]:
    """Load and warm up the engine of each kind and every character's language model.

    One schedule decides what they work on. ``waited`` is told how long each request waited for it.
    Leaving closes them.

    Raises:
        EngineMissing, EngineError, ModelError: in a group: which one, why, and what mends it.
    """
    orders, schedule = _orders(config), Schedule(cores())
    async with AsyncExitStack() as stack:
        loaded = await _load_all(orders, files)
        opened = {}
        for order in orders:
            with order.blamed():
                serving = _serving(loaded[order], schedule, waited)
                opened[order] = await stack.enter_async_context(serving)
        own = {order.kind: opened[order] for order in orders if not order.character}
        models = {order.settings.model: opened[order] for order in orders if order.kind == "llm"}
        yield Engines(**own, llms=models, schedule=schedule)


@asynccontextmanager
async def open_engine(config: Config, kind: Kind, files: ModelFiles) -> AsyncIterator[Any]:
    """Load a single engine, for commands and benchmarks that need only one."""
    order = _Order(kind, section(config, kind), threads_for(config)[kind])
    loaded = await _load_all([order], files)
    async with _serving(loaded[order], Schedule(cores()), lambda *_: None) as engine:
        yield engine


__all__ = [
    "KINDS",
    "Engines",
    "find",
    "idle",
    "is_off",
    "names",
    "open_engine",
    "open_engines",
    "raise_to",
    "threads_for",
]
