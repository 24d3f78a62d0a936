"""A new configuration while the host runs: conversations go on, and use it from then on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import attrs
import structlog
import trio

from voicecore.config import Config
from voicecore.errors import ConfigError
from voicecore.events import CharacterSwitched, PageOutdated
from voicecore.host import Host
from voicecore.tools.catalog import warn_of_missing

log = structlog.get_logger()

Load: TypeAlias = Callable[[], Config]
"""Reads the configuration again; raises ConfigError. Blocks."""

FIXED_SECTIONS = ("vad", "turn", "wake", "stt", "llm", "tts", "paths", "models", "mcp", "logs")
"""Loaded engines, open files and running servers stay as they are until the host starts again."""
FIXED_SERVER = ("host", "port")

WATCH_PERIOD_S = 1.0
"""A person who saves a file looks up about a second later."""

OUTDATED = "The host's configuration has changed; load the page again."


async def reload(host: Host, load: Load) -> list[str]:
    """Read the configuration again and use it.

    Returns:
        The keys that have changed and need a new start of the host.

    Raises:
        ConfigError: it is wrong; the old one stays.
    """
    async with host.reloading:  # so that the newest file is the one that is used
        return reconfigure(host, await trio.to_thread.run_sync(load))


def reconfigure(host: Host, wanted: Config) -> list[str]:
    """Use another configuration from now on, and tell the clients it concerns."""
    old = host.config
    new, left_out = _without_fixed(old, wanted)
    left_out += _models_not_loaded(host, new)
    host.config = new
    host.workshop.config = new.tools
    warn_of_missing(host.tools, new)
    if left_out:
        log.warning("these settings need a new start of the host", keys=left_out)
    gone = [name for name in old.characters if not host.knows(name)]
    was_active = host.active
    if new.server.character != old.server.character or was_active in gone:
        switch_active(host, new.server.character)
    for name in gone:
        if name != was_active:
            _send_to_active(host, name)
    if _shown(old) != _shown(new):
        for seat in host.presence:
            seat.tell(PageOutdated(OUTDATED))
    return left_out


def switch_active(host: Host, name: str) -> None:
    """Make another character the active one, and send the clients of the old one to it."""
    old, host.active = host.active, name
    if old != name:
        log.info("another character is the active one", new=name, old=old)
        _send_to_active(host, old)


def _send_to_active(host: Host, old: str) -> None:
    for seat in host.presence.of_character(old):
        seat.tell(CharacterSwitched(host.active, old))


def _without_fixed(old: Config, wanted: Config) -> tuple[Config, list[str]]:
    """Return the wanted configuration with what cannot change as it was, and those keys."""
    keys = [name for name in FIXED_SECTIONS if getattr(old, name) != getattr(wanted, name)]
    keys += [
        f"server.{name}"
        for name in FIXED_SERVER
        if getattr(old.server, name) != getattr(wanted.server, name)
    ]
    if old.tools.functions != wanted.tools.functions:
        keys.append("tools.functions")
    new = attrs.evolve(
        wanted,
        server=attrs.evolve(wanted.server, host=old.server.host, port=old.server.port),
        tools=attrs.evolve(wanted.tools, functions=old.tools.functions),
        **{name: getattr(old, name) for name in FIXED_SECTIONS},
    )
    return new, keys


def _models_not_loaded(host: Host, config: Config) -> list[str]:
    """Characters whose language model is not there; the default one answers for them."""
    engines = host.room.engines
    if engines is None:
        return []
    loaded = {None, config.llm.model, *engines.llms}
    return [
        f"characters.{name}.model"
        for name, profile in config.characters.items()
        if profile.model not in loaded
    ]


def _shown(config: Config) -> object:
    """What a client's page shows of a configuration."""
    return {
        name: (profile.greeting, profile.voice, profile.language)
        for name, profile in config.characters.items()
    }


async def watch(host: Host, path: Path, load: Load) -> None:
    """Reload whenever the file changes, for ever. A wrong one is told in the log."""
    seen = await trio.to_thread.run_sync(_stamp, path)
    while True:
        await trio.sleep(WATCH_PERIOD_S)
        now = await trio.to_thread.run_sync(_stamp, path)
        if now != seen:
            seen = now
            await try_reload(host, load)


async def try_reload(host: Host, load: Load) -> None:
    """Reload; if the new configuration is wrong, say so in the log and keep the old one."""
    try:
        await reload(host, load)
    except ConfigError as error:
        log.error("the new configuration is not used", reason=str(error))  # noqa: TRY400
    else:
        log.info("the configuration was loaded again")


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0  # an editor is replacing it
    return status.st_mtime_ns, status.st_size
