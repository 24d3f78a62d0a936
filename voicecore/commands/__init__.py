"""The ``voicecore`` command line: one module per command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from voicecore import __version__
from voicecore.errors import VoicecoreError

COMMANDS = ("serve", "talk", "ask", "say", "hear", "bench", "models", "tools", "check")

DESCRIPTION = "A host for spoken conversation: it hears, thinks and speaks."
EPILOG = """\
start here:
  voicecore serve          start the host on http://127.0.0.1:3000
  voicecore talk           talk to it here: microphone and speaker, or --text
  voicecore ask            speak a question to it and hear the answer
  voicecore check          what is installed, and what is missing

exit codes: 0 done, 1 it failed (one line says why), 2 wrong use, 130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="voicecore",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"voicecore {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    words = sys.argv[1:] if argv is None else argv
    # The others would take memory from a host, and time from every command.
    for name in words[:1] if words[:1] and words[0] in COMMANDS else COMMANDS:
        import_module(f"voicecore.commands.{name}").add_parser(subparsers)
    args = parser.parse_args(words)
    try:
        return int(args.run(args))
    except VoicecoreError as error:
        return _fail(error)
    except BaseExceptionGroup as group:
        if (known := expected(group)) is not None:
            return _fail(known)
        if group.subgroup(KeyboardInterrupt) is None:
            raise
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # Whoever read our output has seen enough; nothing more can be printed, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    print("Interrupted.", file=sys.stderr)
    return 130


def expected(group: BaseExceptionGroup[BaseException]) -> VoicecoreError | None:
    """Find the expected error that tasks have wrapped in groups; None if there is any other."""
    known, others = group.split(VoicecoreError)
    while known is not None:
        first = known.exceptions[0]
        if isinstance(first, VoicecoreError):
            return first if others is None else None
        known = first
    return None


def _fail(error: VoicecoreError) -> int:
    print(f"voicecore: {error}", file=sys.stderr)
    return 1
