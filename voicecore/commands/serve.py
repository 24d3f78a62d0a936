"""``voicecore serve``: the host."""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import structlog
import trio
from rich.console import Console

from voicecore import configfile, logs
from voicecore.commands.models import used_models
from voicecore.commands.options import add_config_options, profiles_in_words
from voicecore.commands.progress import open_progress
from voicecore.config import Config
from voicecore.engines import idle
from voicecore.errors import ConfigError
from voicecore.host import Host, open_tools, random_id, warm_engines
from voicecore.metrics import Metrics
from voicecore.reload import try_reload, watch
from voicecore.server import Address, listening
from voicecore.store import SqliteStore
from voicecore.systemd import Manager, find_manager, keep_told
from voicecore.weights.files import ModelStore

log = structlog.get_logger()

M_ARENA_MAX = -8  # mallopt(3)
TRIM_PERIOD_S = 5.0
"""It takes about 10 ms in a thread of its own."""

INT_DIGITS = 640
"""Of a number in a client's JSON, the least that Python can be set to. Reading 16 MB of integers of
4,300 digits, the default, would stop the event loop for 0.33 s."""

EPILOG = """\
examples:
  voicecore serve
  voicecore serve --port 8080 --set llm.engine=openai --set llm.model=llama3.2
  voicecore serve --config kitchen.toml
  voicecore serve --profile kiosk

Clients connect to ws://HOST:PORT/ws/default (N.E.K.O.) and ws://HOST:PORT/ws (CortexPrism).
GET /healthz tells whether it is ready, GET /metrics how it does. Every setting is explained in
docs/configuration.md. A change of the file is used at once; SIGHUP has it read again.
Ctrl-C or SIGTERM lets what is being said be heard, then ends; a second one ends at once.
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to the subparsers that `argparse` made."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "serve",
        help="start the host",
        description="Start the host. Missing model files are fetched first.",
        epilog=f"{EPILOG}\n{profiles_in_words()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", metavar="H", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, metavar="P", help="port; 0 for any (default: 3000)")
    parser.add_argument(
        "--offline", action="store_true", help="fetch nothing; fail if it is missing"
    )
    add_config_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    config = load_config(args)
    logs.configure(config.logs)
    _use_one_malloc_arena()
    sys.set_int_max_str_digits(INT_DIGITS)
    with closing(find_manager(os.environ)) as manager:
        trio.run(serve, config, args.offline, Source(args), manager)
    return 0


def _use_one_malloc_arena() -> None:
    """Have glibc's malloc share one arena among all threads.

    By default each engine's thread gets its own, and what one frees no other can use. Other C
    libraries do not know the call, and do not need it.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_ARENA_MAX, 1)


async def _give_memory_back(host: Host) -> None:
    """Return to the system, now and then while the engines rest, what they have freed.

    malloc keeps it for the next time, 200 MB after a recognition of 30 s. Having every large piece
    mapped anew instead (M_MMAP_THRESHOLD) doubles the CPU time of a turn.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "malloc_trim"):
        return
    engines = await host.room.warm()
    while True:
        await trio.sleep(TRIM_PERIOD_S)
        if all(idle(engine) for _, engine in engines.each()):
            await trio.to_thread.run_sync(libc.malloc_trim, 0)


def load_config(args: argparse.Namespace) -> Config:
    config = configfile.load(args.config, args.overrides)
    given = {key: getattr(args, key) for key in ("host", "port") if getattr(args, key) is not None}
    try:
        return attrs.evolve(config, server=attrs.evolve(config.server, **given))
    except ValueError as error:
        raise ConfigError(f"--port must be from 0 to 65535, not {args.port}.") from error


@attrs.frozen
class Source:
    """Where the configuration came from, to be read again."""

    args: argparse.Namespace

    @property
    def path(self) -> Path | None:
        path: Path | None = self.args.config
        return path

    def load(self) -> Config:
        return load_config(self.args)


async def serve(
    config: Config,
    offline: bool,  # noqa: FBT001
    source: Source,
    manager: Manager,
) -> None:
    """Run the host until SIGTERM or SIGINT. SIGHUP, and a change of its file, reload the source.

    That it is ready is told on standard output, and to the manager.

    Raises:
        VoicecoreError: in a group; it cannot start, or an engine cannot be loaded.
    """
    files = await trio.to_thread.run_sync(ModelStore.of, config)
    store = SqliteStore(
        config.paths.data,
        new_id=random_id,
        now=time.time,
        history=config.llm.max_history_messages,
        max_open=max(64, config.server.max_sessions),
    )
    host = Host(config, store, Metrics(), load=source.load)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_stop_on_signal, host, nursery.cancel_scope)
        nursery.start_soon(_reload_on_signal, host, source)
        if source.path is not None:
            nursery.start_soon(watch, host, source.path, source.load)
        nursery.start_soon(host.metrics.watch_loop)
        nursery.start_soon(host.workshop.keep_open)
        nursery.start_soon(_give_memory_back, host)
        nursery.start_soon(keep_told, host, manager)
        try:
            await store.check()
            async with listening(host) as address:
                if not offline:
                    await _fetch(config, files, host.stopping)
                if not host.stopping.is_set():
                    await _serve_warm(host, files, address, manager)
        finally:
            with trio.move_on_after(2, shield=True):
                await store.aclose()
        nursery.cancel_scope.cancel("the host has stopped")


async def _serve_warm(host: Host, files: ModelStore, address: Address, manager: Manager) -> None:
    begun_s = trio.current_time()
    async with open_tools(host), warm_engines(host, files):
        if not host.stopping.is_set():
            log.info("ready", url=address.url, seconds=round(trio.current_time() - begun_s, 2))
            print(f"voicecore is ready on {address.url}", flush=True)
            manager.tell("READY=1", f"STATUS=Ready on {address.url}")
        await host.stopping.wait()


async def _fetch(config: Config, files: ModelStore, stopping: trio.Event) -> None:
    """Fetch what is missing, unless the host is told to stop meanwhile."""
    missing = await trio.to_thread.run_sync(_missing, config, files)
    if not missing:
        return
    from voicecore.weights.fetch import ensure  # noqa: PLC0415 - brings an HTTP client, 4 MB

    async with trio.open_nursery() as nursery:

        async def stop() -> None:
            await stopping.wait()
            nursery.cancel_scope.cancel("the host is told to stop")

        nursery.start_soon(stop)
        with open_progress(Console(stderr=True)) as progress:
            await ensure(missing, store=files, progress=progress)
        nursery.cancel_scope.cancel("all is fetched")


def _missing(config: Config, files: ModelStore) -> list[str]:
    return [name for name in used_models(config, files) if not files.status(name).usable]


async def _reload_on_signal(host: Host, source: Source) -> None:
    with trio.open_signal_receiver(signal.SIGHUP) as signals:
        async for _ in signals:
            await try_reload(host, source.load)


async def _stop_on_signal(host: Host, everything: trio.CancelScope) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            if host.stopping.is_set():
                everything.cancel("a second signal")
                return
            print("voicecore is stopping ...", file=sys.stderr, flush=True)
            host.stopping.set()
