"""What all conversations of one host share."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs
import trio

from voicecore.config import Config
from voicecore.engines import Engines, open_engines
from voicecore.engines.interface import Llm, Message, ModelFiles, Prompt
from voicecore.engines.worker import ThreadedEngine
from voicecore.metrics import Metrics
from voicecore.mind.prompt import build_prompt
from voicecore.store import Store

MAX_PREFILLED = 3
"""Characters whose prompts are computed at the start; each takes about a second on one core."""


class EngineRoom:
    """The engines, once they are warm. Whoever needs them before waits."""

    def __init__(self, engines: Engines | None = None) -> None:
        self._engines = engines
        self._ready = trio.Event()
        if engines is not None:
            self._ready.set()

    @property
    def engines(self) -> Engines | None:
        """None while they are loaded."""
        return self._engines

    async def warm(self) -> Engines:
        """Wait for the engines."""
        await self._ready.wait()
        assert self._engines is not None
        return self._engines

    def open(self, engines: Engines) -> None:
        self._engines = engines
        self._ready.set()


def random_id() -> str:
    return uuid.uuid4().hex


@attrs.frozen(eq=False)
class Host:
    """Everything a session needs that is not its own. Each part can be replaced in a simulation."""

    config: Config
    store: Store
    metrics: Metrics
    room: EngineRoom = attrs.field(factory=EngineRoom)
    stopping: trio.Event = attrs.field(factory=trio.Event)
    """Set when the host is asked to end; every session says goodbye."""
    wall_s: Callable[[], float] = time.time
    """Seconds since the epoch, for what is stored; nothing is timed with it."""
    new_id: Callable[[], str] = random_id


@asynccontextmanager
async def warm_engines(host: Host, files: ModelFiles) -> AsyncIterator[Engines]:
    """Load the engines and open the engine room.

    Raises:
        EngineError, EngineMissing, ModelError: an engine cannot be loaded.
    """
    async with open_engines(host.config, files) as engines:
        async with trio.open_nursery() as nursery:
            host.room.open(engines)
            # Nobody need wait for it: a person takes longer to ask their first question.
            nursery.start_soon(_prefill, host.config, engines)
            yield engines
            nursery.cancel_scope.cancel("the host stops")


async def _prefill(config: Config, engines: Engines) -> None:
    """Have the model compute each character's prompt before the first question needs it.

    For each of the places it answers in (``llm.parallel``), and only a model of our own: a remote
    one might charge for it.
    """
    if not isinstance(engines.llm, ThreadedEngine):
        return
    names = list(dict.fromkeys([*config.characters, "default"]))[-MAX_PREFILLED:]
    for profile in filter(None, map(config.character, names)):
        prompt = build_prompt(
            profile.prompt,
            (Message("user", "Hello."),),
            budget_tokens=config.llm.context_tokens,
            max_tokens=1,
        )
        async with trio.open_nursery() as nursery:
            for _ in range(config.llm.parallel):
                nursery.start_soon(_answer_unheard, engines.llm, prompt)


async def _answer_unheard(llm: Llm, prompt: Prompt) -> None:
    async with llm.stream(prompt) as chunks:
        async for _ in chunks:
            pass
