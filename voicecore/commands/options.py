"""Options that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--config FILE`` and ``--set SECTION.KEY=VALUE``.

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
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="one setting, stronger than the file; may be repeated",
    )
