"""What all conversations of one host share."""

from __future__ import annotations

import time
import uuid
from collections import ChainMap
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import cast

import attrs
import structlog
import trio

from voicecore.config import CharacterConfig, Config
from voicecore.engines import Engines, open_engines
from voicecore.engines.interface import Llm, Message, ModelFiles, Prompt
from voicecore.engines.worker import ThreadedEngine
from voicecore.errors import EngineError
from voicecore.metrics import Metrics
from voicecore.mind.emotion import emotion_of
from voicecore.mind.prompt import build_prompt, fitting_tools
from voicecore.mind.prompt_tools import how_told
from voicecore.presence import Presence
from voicecore.store import Store
from voicecore.tools.catalog import allowed, for_character, load_tools, warn_of_missing
from voicecore.tools.mcp import open_mcp
from voicecore.tools.tasks import Surroundings, Workshop
from voicecore.tools.tool import Tool

log = structlog.get_logger()

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


@attrs.define(eq=False)
class Host:
    """Everything a session needs that is not its own. Each part can be replaced in a simulation."""

    config: Config
    """As it is now: `reload` replaces it while conversations run."""
    store: Store
    metrics: Metrics
    room: EngineRoom = attrs.field(factory=EngineRoom)
    stopping: trio.Event = attrs.field(factory=trio.Event)
    """Set when the host is asked to end; every session says goodbye."""
    wall_s: Callable[[], float] = time.time
    """Seconds since the epoch, for what is stored; nothing is timed with it."""
    new_id: Callable[[], str] = random_id
    presence: Presence = attrs.field(factory=Presence)
    tools: Mapping[str, Tool] = attrs.field(factory=dict)
    """All that were found, those included that the configuration does not allow."""
    reloading: trio.Lock = attrs.field(factory=trio.Lock)
    """Held while the configuration is read again."""
    load: Callable[[], Config] | None = None
    """Reads the configuration again; None if the host was started without a file."""
    active: str = attrs.field(init=False)
    """The character that is the active one."""
    workshop: Workshop = attrs.field(init=False)

    @active.default
    def _active(self) -> str:
        return self.config.server.character

    @workshop.default
    def _workshop(self) -> Workshop:
        around = Surroundings(
            folder=self.config.paths.data / "tools",
            wall_s=self.wall_s,
            new_id=self.new_id,
            tell=self.presence.tell_client,
            notify=self.presence.notify,
            observe=self.metrics.tool_called,
        )
        return Workshop(self.config.tools, around)

    def knows(self, name: str) -> bool:
        """Whether there is a character of this name."""
        return self.config.character(name) is not None

    def character(self, name: str) -> CharacterConfig:
        """The character of this name; the default one if a reload has removed it."""
        return self.config.character(name) or self.config.characters.get(
            "default", CharacterConfig()
        )

    def language(self, character: str) -> str:
        """What is spoken to a character: an ISO 639-1 code, or ``auto``."""
        return self.character(character).language or self.config.stt.language

    def llm(self, engines: Engines, profile: CharacterConfig) -> Llm:
        """The character's language model; the default one if a reload has named another."""
        try:
            return engines.llm_for(profile.model)
        except EngineError:
            return engines.llm

    def tools_for(self, profile: CharacterConfig) -> Mapping[str, Tool]:
        """The tools this character may use."""
        return for_character(allowed(self.tools, self.config.tools), profile.tools)


@asynccontextmanager
async def open_tools(host: Host) -> AsyncIterator[None]:
    """Find the tools and start the servers that bring more.

    Raises:
        ConfigError: one of them is not as it should be. A server that does not start is none.
    """
    own = await trio.to_thread.run_sync(load_tools, host.config.tools)
    async with open_mcp(host.config.mcp, taken=own) as theirs:
        # Own tools first: where not all fit into a prompt, the last are left out.
        host.tools = ChainMap(cast("dict[str, Tool]", theirs), dict(own))
        warn_of_missing(host.tools, host.config)
        yield


@asynccontextmanager
async def warm_engines(host: Host, files: ModelFiles) -> AsyncIterator[Engines]:
    """Load the engines and open the engine room.

    Raises:
        EngineError, EngineMissing, ModelError: an engine cannot be loaded.
    """
    async with open_engines(host.config, files, host.metrics.engine_waited) as engines:
        await trio.to_thread.run_sync(emotion_of, "Hello.")  # reads its tables: 20 ms
        async with trio.open_nursery() as nursery:
            host.room.open(engines)
            _warn_of_left_out(host, engines)
            # Nobody need wait for it: a person takes longer to ask their first question.
            nursery.start_soon(_prefill, host, engines)
            yield engines
            nursery.cancel_scope.cancel("the host stops")


def _warn_of_left_out(host: Host, engines: Engines) -> None:
    """Tell the log of tools that a character may use and its model is never told of."""
    config = host.config.llm
    for name in dict.fromkeys([*host.config.characters, "default"]):
        profile = host.character(name)
        specs = [tool.spec for tool in host.tools_for(profile).values()]
        how = how_told(config, host.llm(engines, profile).info)
        told = fitting_tools(
            specs,
            how,
            budget_tokens=config.prompt_tokens,
            max_tokens=config.reply_tokens,
        )
        if how != "off" and len(told) < len(specs):
            left_out = [spec.name for spec in specs[len(told) :]]
            log.warning(
                "not all tools fit into the prompt; raise llm.context_tokens, or name fewer",
                character=name,
                left_out=left_out,
            )


async def _prefill(host: Host, engines: Engines) -> None:
    """Have the model compute each character's prompt before the first question needs it.

    For each of the places it answers in (``llm.parallel``), and only a model of our own: a remote
    one might charge for it.
    """
    if not isinstance(engines.llm, ThreadedEngine):
        return
    config = host.config
    names = list(dict.fromkeys([*config.characters, "default"]))[-MAX_PREFILLED:]
    for profile in filter(None, map(config.character, names)):
        llm = host.llm(engines, profile)
        prompt = build_prompt(
            profile.prompt,
            (Message("user", "Hello."),),
            budget_tokens=config.llm.prompt_tokens,
            max_tokens=1,
        )
        async with trio.open_nursery() as nursery:
            for _ in range(config.llm.parallel):
                nursery.start_soon(_answer_unheard, llm, prompt)


async def _answer_unheard(llm: Llm, prompt: Prompt) -> None:
    async with llm.stream(prompt) as chunks:
        async for _ in chunks:
            pass
