"""Options that several commands share."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

from voicecore.config.profiles import PROFILES
from voicecore.configreference import toml


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--config FILE``, ``--profile NAME`` and ``--set SECTION.KEY=VALUE``.

    They become ``args.config`` (a path or None) and ``args.overrides`` (a list of texts), as
    `voicecore.configfile.load` takes them.
    """
    group = parser.add_argument_group("configuration")
    group.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="a TOML file; without one, every setting has its default",
    )
    group.add_argument(
        "--profile",
        dest="overrides",
        action="append",
        default=[],
        type=_profile,
        metavar="NAME",
        help=f"a set of defaults, weaker than the file: {' or '.join(PROFILES)}",
    )
    group.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="one setting, stronger than the file; may be repeated",
    )


def _profile(name: str) -> str:
    """Turn a profile's name into the override it stands for."""
    if name not in PROFILES:
        raise argparse.ArgumentTypeError(f"there is no {name!r}; there are {', '.join(PROFILES)}")
    return f'profile="{name}"'


def profiles_in_words() -> str:
    """List the profiles, and the reason of each of their values, for a command's help."""
    lines = ["profiles (weaker than --config and --set):"]
    for name, profile in PROFILES.items():
        lines.append(f"  {name}: {profile.summary}")
        for choice in profile.choices:
            lines.append(f"    {choice.key} = {toml(choice.value)}")
            lines += textwrap.wrap(choice.why.replace("`", ""), 76, initial_indent=" " * 8,
                                   subsequent_indent=" " * 8)  # fmt: skip
    return "\n".join(lines) + "\n"
