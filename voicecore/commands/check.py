"""``voicecore check``: what is installed, which engines are used, and what the machine lacks."""

from __future__ import annotations

import argparse
import platform
import sys
from importlib.util import find_spec
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from voicecore import __version__, configfile
from voicecore.commands.machine import Machine, look
from voicecore.commands.options import add_config_options
from voicecore.config import Config, cores
from voicecore.config.engines import WAKE_WORDS
from voicecore.engines import KINDS, is_off, names, section, threads_for
from voicecore.engines.interface import Kind
from voicecore.weights.files import ModelStore

NEEDS: dict[str, tuple[str, str]] = {
    "faster-whisper": ("faster_whisper", "pip install 'voicecore[whisper]'"),
    "piper": ("piper", "pip install 'voicecore[piper]'"),
    "llama": ("xllamacpp", "pip install 'voicecore[llama]'"),
    "webrtc-silero": ("onnxruntime", "pip install 'voicecore[silero]'"),
    "smart-turn": ("onnxruntime", "pip install 'voicecore[smart-turn]'"),
    "micro-wakeword": ("pymicro_wakeword", "pip install 'voicecore[wake]'"),
}
"""The module each of our engines needs. It is looked for and not imported: a native library built
for another processor would end this program."""


OPTIONAL = {
    "av": ("clips", "recorded messages in WebM, Ogg, MP3 and more"),
    "simpleeval": ("tools", "the calculator"),
    "pint": ("tools", "the unit converter"),
    "mcp": ("mcp", "tools of MCP servers"),
    "sounddevice": ("talk", "voicecore talk with microphone and speaker"),
}
"""Modules that a host may do without: the extra that brings each, and what for."""


def add_parser(subparsers: Any) -> None:
    """Add the command to the subparsers that `argparse` made."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "check",
        help="what is installed, and what is missing",
        description="Tell what is installed, which engines would be used, what the machine lacks "
        "for them, and the command that mends it. Exit code 1 if the host could not start.",
        epilog="example: voicecore check --profile kiosk",
    )
    add_config_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    config = configfile.load(args.config, args.overrides)
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(
        f"voicecore {__version__}, Python {platform.python_version()}, "
        f"{platform.machine()}, {cores()} cores, profile {config.profile}"
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("KIND", "ENGINE", "THREADS", "MODEL", "STATE"):
        table.add_column(title)
    remedies = [remedy for kind in KINDS for remedy in _row(config, kind, table)]
    console.print(table)
    lacks = _machine(config, console)
    if config.mcp and not find_spec("mcp"):
        remedies.append("[mcp] needs the MCP SDK. Run: pip install 'voicecore[mcp]'")
    for text in dict.fromkeys([*remedies, *lacks]):
        console.print(text, markup=False, highlight=False)
    for module, (extra, use) in OPTIONAL.items():
        if not find_spec(module):
            text = f"Optional: pip install 'voicecore[{extra}]' for {use}."
            console.print(text, markup=False, highlight=False)
    if not remedies:
        profile = "" if config.profile == "default" else f" --profile {config.profile}"
        console.print(f"All is here: voicecore serve{profile}", highlight=False)
    return 1 if remedies else 0


def _machine(config: Config, console: Console) -> list[str]:
    """Tell what the machine has; return what it lacks."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("MACHINE", "HAS", "STATE"):
        table.add_column(title)
    findings = list(look(config, ModelStore.of(config), Machine()))
    for each in findings:
        table.add_row(each.part, Text(each.found), "see below" if each.lack else "enough")
    console.print(table)
    return [each.lack for each in findings if each.lack]


def _row(config: Config, kind: Kind, table: Table) -> list[str]:
    """Add one engine's row; return what would mend it."""
    engine = section(config, kind)
    if is_off(config, kind):
        table.add_row(kind, engine.engine, "", "", "off")
        return []
    remedies = _engine_remedies(kind, engine.engine)
    model, state = engine.model, "ready"
    if _has_files(kind, engine.engine):
        files = ModelStore.of(config)
        if engine.model not in files.models:
            state = "unknown model"
            remedies.append(f"{kind}.model: there is no model {model!r}: voicecore models list")
        elif not (status := files.status(engine.model)).usable:
            state = f"model {status.state.value}"
            remedies.append(f"{kind}: {status.problem} Run: voicecore models fetch {model}")
    elif engine.engine == "micro-wakeword":
        if model not in WAKE_WORDS:
            state = "unknown word"
            remedies.append(f"wake.model: there is no word {model!r}: {', '.join(WAKE_WORDS)}")
    elif kind != "llm" or engine.engine != "openai":
        model = ""
    if remedies and state == "ready":
        state = "not installed"
    table.add_row(kind, engine.engine, str(threads_for(config)[kind]), model, state)
    return remedies


def _has_files(kind: Kind, engine: str) -> bool:
    without = {"fake", "webrtc", "micro-wakeword"}
    return engine not in without and (engine in NEEDS or kind != "llm")


def _engine_remedies(kind: Kind, engine: str) -> list[str]:
    if engine not in names(kind):
        known = ", ".join(names(kind))
        return [f"{kind}.engine: there is no engine {engine!r}; there are {known}."]
    module, command = NEEDS.get(engine, ("voicecore", ""))
    return [] if find_spec(module) else [f"{kind}: {engine} is not installed. Run: {command}"]
