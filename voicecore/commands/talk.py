"""``voicecore talk``: talk to a host in a terminal, by microphone and speaker or by typing."""

from __future__ import annotations

import argparse
import random
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import attrs
import trio
from rich.console import Console
from rich.table import Table

from voicecore import configfile, logs
from voicecore.commands import timeline
from voicecore.commands.ask import neko_url, own_host
from voicecore.commands.options import add_config_options
from voicecore.config import Config
from voicecore.errors import VoicecoreError
from voicecore.talk import echo, portaudio
from voicecore.talk.conversation import Plan, address, character_of, talk
from voicecore.talk.identity import Identity
from voicecore.talk.keyboard import LineEditor, LineReader, Typing, keys_of
from voicecore.talk.reply import Reply
from voicecore.talk.screen import open_screen
from voicecore.talk.sound import DeviceError

DESCRIPTION = """\
Talk to a host: it listens to the microphone, answers through the speaker, and shows both as text.
You may interrupt it. You may also type, at any time; Enter on an empty line mutes the microphone.
Ctrl-C ends and saves the conversation; --resume goes on with it the next time.

Without --url a host of its own is started, which remembers nothing.
"""

EPILOG = """\
examples:
  voicecore talk                                  a host of its own, this machine's sound
  voicecore talk --url ws://192.168.1.5:3000      a host that is running
  voicecore talk --text                           type instead of speaking
  echo "What time is it?" | voicecore talk --text

Sound needs two things:                pip install 'voicecore[talk]'
                                       sudo apt install libportaudio2
With loudspeakers, cancel the echo:    pip install 'voicecore[echo]'
With headphones there is none.         docs/talk.md tells more.
"""

NO_CANCELLER = (
    "There is no echo cancellation: use headphones, or run: pip install 'voicecore[echo]'"
)


def add_parser(subparsers: Any) -> None:
    """Add the command to the subparsers that `argparse` made."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "talk",
        help="talk to a host in the terminal",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--url", metavar="ws://…", help="a running host; without it, one is started"
    )
    parser.add_argument("--character", metavar="NAME", help="whom to talk to (default: default)")
    parser.add_argument(
        "--resume", action="store_true", help="go on with the last conversation there"
    )
    parser.add_argument("--text", action="store_true", help="type instead of speaking")
    group = parser.add_argument_group("sound")
    group.add_argument("--list-devices", action="store_true", help="list the sound devices")
    for side, what in (("input", "microphone"), ("output", "speaker")):
        group.add_argument(
            f"--{side}-device", type=_device, metavar="DEVICE",
            help=f"the {what}: its number, or a part of its name (default: the system's)",
        )  # fmt: skip
    group.add_argument(
        "--no-echo-cancel", action="store_true", help="leave the sound as it is (for headphones)"
    )
    add_config_options(parser)
    parser.set_defaults(run=run)


def _device(text: str) -> int | str:
    return int(text) if text.isdigit() else text


def run(args: argparse.Namespace) -> int:
    console = Console(highlight=False)
    if args.list_devices:
        console.print(_devices())
        return 0
    if args.resume and args.url is None:
        raise VoicecoreError("A host of our own remembers nothing: --resume needs --url.")
    config = configfile.load(args.config, args.overrides)
    logs.configure(attrs.evolve(config.logs, level="error"))
    trio.run(_talk, args, config, _card(args), console)
    return 0


def _devices() -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("NUMBER", "NAME", "MICROPHONE", "SPEAKER", "DEFAULT FOR"):
        table.add_column(title)
    found = portaudio.devices()
    if not found:
        raise DeviceError("PortAudio finds no sound devices on this machine.")
    for number, name, inputs, outputs, default in found:
        table.add_row(str(number), name, "yes" if inputs else "", "yes" if outputs else "", default)
    return table


def _card(args: argparse.Namespace) -> portaudio.PortAudioCard | None:
    """Find the sound that is wanted; a conversation that is typed can do without.

    Raises:
        DeviceError: there is none to speak with.
    """
    card = portaudio.PortAudioCard(
        args.input_device, args.output_device, has_microphone=not args.text
    )
    try:
        card.find()
    except DeviceError as error:
        if args.text:
            return None
        raise DeviceError(f"{error}\nTo type instead: voicecore talk --text") from None
    return card


@contextmanager
def _open_typing() -> Iterator[Typing]:
    """Read the standard input: a terminal key by key, if the screen is there to show it."""
    file = sys.stdin.fileno()
    if _interactive():
        with keys_of(file):
            yield Typing(file, LineEditor())
    else:
        yield Typing(file, LineReader())


def _interactive() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


async def _talk(
    args: argparse.Namespace,
    config: Config,
    card: portaudio.PortAudioCard | None,
    console: Console,
) -> None:
    leave, begun = trio.Event(), trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_leave_on_signal, leave, begun, nursery.cancel_scope)
        async with _host(args.url, config, console) as url:
            begun.set()
            with _open_typing() as typing, open_screen(console) as screen:
                await talk(_plan(args, config, url, card, typing), screen, leave)
        nursery.cancel_scope.cancel("the conversation is over")


async def _leave_on_signal(
    leave: trio.Event, begun: trio.Event, everything: trio.CancelScope
) -> None:
    """End politely on the first signal, at once on the second, and at once before it has begun."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        async for _ in signals:
            if leave.is_set() or not begun.is_set():
                everything.cancel("a signal")
            leave.set()


@asynccontextmanager
async def _host(url: str | None, config: Config, console: Console) -> AsyncIterator[str]:
    """Give the address to talk to: the one that was asked for, or that of a host of our own."""
    if url is not None:
        yield neko_url(url)
        return
    async with own_host(config, console) as (own_url, _):
        yield own_url


def _plan(
    args: argparse.Namespace,
    config: Config,
    url: str,
    card: portaudio.PortAudioCard | None,
    typing: Typing,
) -> Plan:
    identity = Identity.load(config.paths.expanded().data)
    if args.character is not None:
        url = address(url, args.character)
    cancels = echo.is_installed() and not args.no_echo_cancel
    return Plan(
        url=url,
        client=identity.client,
        resume=_last(identity, url) if args.resume else "",
        remember=identity.remember if args.url else lambda _, __: None,
        card=card,
        open_canceller=echo.open_canceller if cancels else None,
        hint="" if cancels or args.no_echo_cancel else NO_CANCELLER,
        typing=typing,
        interactive=_interactive(),
        timing=_timing,
        jitter=random.random,
    )


def _last(identity: Identity, url: str) -> str:
    """Find the conversation that was the last at this address.

    Raises:
        VoicecoreError: there was none.
    """
    conversation = identity.last.get(address(url, character_of(url)))
    if conversation is None:
        raise VoicecoreError("There is no last conversation at this host; leave out --resume.")
    return conversation


def _timing(reply: Reply, heard_after_ms: float) -> str:
    """Write where the time went, from the last spoken sample to the first that is heard.

    The host's part ends with sending; ours is what the sound waited here, and what the microphone
    took before. The network's way is in neither.
    """
    host_ms = max(float(span["end_ms"]) for span in reply.spans)
    here_ms = heard_after_ms
    if reply.heard_s is not None and reply.came_s is not None:
        here_ms += max(0.0, reply.heard_s - reply.came_s) * 1000
    here = {"here": here_ms} if here_ms else {}
    return f"{host_ms + here_ms:.0f} ms: {timeline.line(reply.spans, more=here)}"
