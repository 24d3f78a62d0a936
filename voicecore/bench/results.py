"""Results as JSON lines: one for the run, one for each sample, one summary for each scenario."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from voicecore import __version__
from voicecore.bench.figures import Row
from voicecore.config import cores
from voicecore.errors import VoicecoreError

PACKAGES = ("trio", "numpy", "faster-whisper", "ctranslate2", "piper-tts", "onnxruntime",
            "xllamacpp", "trio-websocket")  # fmt: skip
"""Whose versions change figures."""


def machine() -> Row:
    """Tell what the run ran on."""
    return {
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": cores(),
        "python": sys.version.split()[0],
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), "")


def versions() -> dict[str, str]:
    found = {"voicecore": __version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def percentile(values: Sequence[float], percent: float) -> float:
    return float(np.percentile(values, percent))


def numbers(rows: Iterable[Row], key: str) -> list[float]:
    """Give a figure's values, without the rows that lack it."""
    return [float(row[key]) for row in rows if row.get(key) is not None]


def spread(rows: Sequence[Row], key: str) -> Row:
    """Summarise a figure: ``KEY`` its median, ``KEY_p95``; both None if nobody has it."""
    values = numbers(rows, key)
    return {
        key: round(percentile(values, 50), 1) if values else None,
        f"{key}_p95": round(percentile(values, 95), 1) if values else None,
    }


def rate(rows: Sequence[Row], key: str, *, is_: Any = True) -> float | None:
    """Give the share of rows whose figure has this value, in percent."""
    return round(100 * sum(row.get(key) == is_ for row in rows) / len(rows), 1) if rows else None


@attrs.frozen
class Results:
    """What one or several files of results hold."""

    runs: list[Row]
    samples: list[Row]
    summaries: list[Row]

    def of(self, scenario: str) -> list[Row]:
        return [sample for sample in self.samples if sample["scenario"] == scenario]

    def scenarios(self) -> list[str]:
        return list(dict.fromkeys(sample["scenario"] for sample in self.samples))

    def label(self, default: str) -> str:
        return next((str(run["label"]) for run in self.runs if run.get("label")), default)


def append(path: Path, rows: Iterable[Row]) -> None:
    """Add lines to a file of results.

    Raises:
        VoicecoreError: it cannot be written.
    """
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise VoicecoreError(f"Cannot write {path}: {error.strerror}.") from error


def read(path: Path) -> Results:
    """Read a file of results.

    Raises:
        VoicecoreError: it cannot be read, or is none.
    """
    try:
        rows = [json.loads(x) for x in path.read_text(encoding="utf-8").splitlines() if x.strip()]
        return collect(rows)
    except OSError as error:
        raise VoicecoreError(f"Cannot read {path}: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise VoicecoreError(f"{path} is no file of voicecore bench --json: {error}.") from error


def collect(rows: Iterable[Row]) -> Results:
    """Sort lines by their kind."""
    results = Results([], [], [])
    kinds = {"run": results.runs, "sample": results.samples, "summary": results.summaries}
    for row in rows:
        kinds[row["kind"]].append(row)
    return results
