"""``voicecore ask``: speak a question to a host, hear the answer, and see where the time went."""

from __future__ import annotations

import argparse
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
import trio
from rich.console import Console

from voicecore import configfile, logs
from voicecore.audio import EAR_HZ, MOUTH_HZ, Pcm, Samples, resample
from voicecore.client import Exchange, NekoClient, open_client
from voicecore.commands import timeline
from voicecore.commands.models import used_models
from voicecore.commands.options import add_config_options
from voicecore.commands.progress import open_progress
from voicecore.commands.say import say, speak, write, write_wav
from voicecore.config import Config
from voicecore.ears.clip import read_clip
from voicecore.errors import VoicecoreError
from voicecore.host import Host, open_tools, random_id, warm_engines
from voicecore.metrics import Metrics
from voicecore.server import listening
from voicecore.store import MemoryStore
from voicecore.weights.fetch import ensure
from voicecore.weights.files import ModelStore

QUESTION = "What is the capital of France?"

EPILOG = """\
examples:
  voicecore ask                                    a built-in question, a host of its own
  voicecore ask question.wav -o reply.wav
  voicecore ask question.wav --url ws://127.0.0.1:3000/ws/default
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to the subparsers that `argparse` made."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "ask",
        help="speak a question to a host and hear the answer",
        description="Speak a recording to a host in real time, show what was heard, the reply as "
        "it streams and where the turn's time went, and write the reply's sound.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "file", nargs="?", type=Path, metavar="question.wav",
        help=f'a recording (WAV, MP3, M4A, Ogg, …); without one, the voice asks "{QUESTION}"',
    )  # fmt: skip
    parser.add_argument(
        "--url", metavar="ws://…", help="a running host; without it, one is started"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the reply's sound")
    parser.add_argument("--timeline", type=Path, metavar="FILE.svg", help="draw the timeline there")
    add_config_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    config = configfile.load(args.config, args.overrides)
    logs.configure(attrs.evolve(config.logs, level="error"))
    question = resample(read_clip(args.file), EAR_HZ).samples if args.file else None
    console = Console(highlight=False)
    exchange = trio.run(ask, config, args.url, question, console)
    show_timeline(console, exchange)
    if args.output:
        write_wav(args.output, Pcm(exchange.samples(), MOUTH_HZ))
        console.print(f"The reply's sound is in {args.output}", highlight=False)
    latency_ms = exchange.voice_to_voice_ms()
    if args.timeline and exchange.spans and latency_ms is not None:
        title = f"From the last spoken sample to the first sound: {latency_ms:.0f} ms"
        write(args.timeline, timeline.svg(exchange.spans, title).encode())
    return 0 if exchange.sound else 1


async def ask(
    config: Config, url: str | None, question: Samples | None, console: Console
) -> Exchange:
    """Have one exchange, with the host at ``url`` or with one of our own."""
    if url is not None:
        url = neko_url(url)
        if question is None:
            question = await _built_in(config)
        async with open_client(url) as client:
            return await _exchange(client, question, console)
    async with own_host(config, console) as (own_url, host):
        if question is None:
            engines = await host.room.warm()
            spoken = await speak(engines.tts, QUESTION)
            question = resample(Pcm(spoken, MOUTH_HZ), EAR_HZ).samples
        async with open_client(own_url) as client:
            return await _exchange(client, question, console)


def neko_url(url: str) -> str:
    """Complete a host's address to its N.E.K.O. one.

    Raises:
        VoicecoreError: it is the other protocol's, or no WebSocket address.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"ws", "wss"} or not parts.netloc:
        raise VoicecoreError(f"{url} is no WebSocket address; one is ws://127.0.0.1:3000")
    if parts.path == "/ws":
        raise VoicecoreError(f"{url} is CortexPrism; ask speaks N.E.K.O.: use {url}/default")
    return url if parts.path.strip("/") else f"{url.rstrip('/')}/ws/default"


async def _built_in(config: Config) -> Samples:
    return resample(Pcm(await say(config, QUESTION), MOUTH_HZ), EAR_HZ).samples


@asynccontextmanager
async def own_host(config: Config, console: Console) -> AsyncIterator[tuple[str, Host]]:
    """Start a host on a free port that remembers nothing."""
    config = attrs.evolve(config, server=attrs.evolve(config.server, host="127.0.0.1", port=0))
    files = ModelStore.of(config)
    with open_progress(Console(stderr=True)) as progress:
        await ensure(used_models(config, files), store=files, progress=progress)
    host = Host(config, MemoryStore(new_id=random_id, now=time.time), Metrics())
    loading = console.status("Loading the engines ...")
    loading.start()
    try:
        async with (
            trio.open_nursery() as nursery,
            listening(host) as address,
            open_tools(host),
            warm_engines(host, files),
        ):
            nursery.start_soon(host.workshop.keep_open)
            loading.stop()
            yield f"ws{address.url.removeprefix('http')}/ws/default", host
            host.stopping.set()
            nursery.cancel_scope.cancel("the question is answered")
    finally:
        loading.stop()


async def _exchange(client: NekoClient, question: Samples, console: Console) -> Exchange:
    await client.start()
    shown = _Shown(console)
    exchange = await client.ask(question, on_message=shown.message)
    console.print()
    return exchange


class _Shown:
    """The conversation as it streams."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._replying = False

    def message(self, message: Mapping[str, Any]) -> None:
        print_ = self._console.print
        match message:
            case {"type": "user_transcript", "text": str(text)}:
                print_(f"[bold]heard[/]  {text}", soft_wrap=True)
            case {"type": "text", "text": str(text)}:
                if not self._replying:
                    self._replying = True
                    print_("[bold]reply[/]  ", end="")
                print_(text, end="", markup=False, soft_wrap=True)
            case {"type": "status", "message": str(text)}:
                print_(text, style="dim", markup=False)


def show_timeline(console: Console, exchange: Exchange) -> None:
    """Draw where the turn's time went, from the last spoken sample on."""
    latency_ms = exchange.voice_to_voice_ms()
    if latency_ms is None:
        console.print("No sound was received.")
        return
    if exchange.spans:
        console.print(timeline.table(exchange.spans))
    seconds = len(exchange.samples()) / MOUTH_HZ
    console.print(
        f"[bold]{latency_ms:.0f} ms[/] from the last spoken sample to the first sound of the "
        f"answer, which lasts {seconds:.1f} s."
    )
