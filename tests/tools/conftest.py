"""A context whose clock and ears are the test's; and the log, kept from the terminal."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import attrs
import pytest
import structlog

from voicecore.tools.tool import ToolContext

NOON_S = 1_772_884_800.0
"""2026-03-07, a Saturday, 12:00 UTC."""


@attrs.define(eq=False)
class Heard:
    """What a tool has told, and the clock it sees."""

    folder: Path
    wall_s: float = NOON_S
    progress: list[tuple[float, str]] = attrs.field(factory=list)
    news: list[str] = attrs.field(factory=list)

    def context(self) -> ToolContext:
        return ToolContext(
            character="default",
            client="somebody",
            folder=self.folder / "somebody",
            wall_s=lambda: self.wall_s,
            progress=lambda percent, detail: self.progress.append((percent, detail)),
            notify=self.news.append,
        )


@pytest.fixture
def heard(tmp_path: Path) -> Heard:
    return Heard(tmp_path)


@pytest.fixture
def context(heard: Heard) -> ToolContext:
    return heard.context()


@pytest.fixture
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    with structlog.testing.capture_logs() as lines:
        yield lines
