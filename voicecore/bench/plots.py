"""Pictures of results: a median turn, the latency distribution, latency by the number of clients.

Matplotlib is imported with this module, which the command imports only when pictures are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from voicecore.bench.figures import Row
from voicecore.bench.results import Results, numbers, percentile
from voicecore.bench.scenarios.turns import wrong_percent
from voicecore.errors import VoicecoreError

COLOURS = {
    "endpoint": "#9aa5b1",
    "recognition": "#3e7cb1",
    "first token": "#7b5ea7",
    "first phrase": "#b5838d",
    "voice": "#2a9d8f",
    "sending": "#e9a03b",
}
OTHER, LINE, ACCENT, WARN = "#52606d", "#3e7cb1", "#2a9d8f", "#c8553d"
SERIES = (LINE, ACCENT, "#e9a03b", "#7b5ea7", WARN)
TARGET_MS = 450.0
"""Last spoken sample to first sound; people leave about 200 ms, and 500 ms feels slow."""


def draw(results: Results, folder: Path) -> list[Path]:
    """Draw what the results allow; return the files.

    Raises:
        VoicecoreError: a file cannot be written.
    """
    pictures: dict[str, Callable[[Results], Figure | None]] = {
        "turn.png": waterfall,
        "latency.png": distribution,
        "crowd.png": crowd,
    }
    drawn = []
    for name, make in pictures.items():
        figure = make(results)
        if figure is not None:
            drawn.append(folder / name)
            _save(figure, drawn[-1])
    return drawn


def _save(figure: Figure, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150, facecolor="white")
    except OSError as error:
        raise VoicecoreError(f"Cannot write {path}: {error.strerror}.") from error


def _plain(axes: Axes) -> None:
    """Leave nothing on the paper but the data and what they are read by."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#cbd2d9")
    axes.tick_params(colors=OTHER, labelsize=9)
    axes.set_axisbelow(True)


def _titled(figure: Figure, title: str, below: str) -> None:
    figure.text(0.02, 0.965, title, fontsize=13, fontweight="bold", color="#1f2933", va="top")
    figure.text(0.02, 0.895, below, fontsize=9.5, color=OTHER, va="top")


# --- a turn --------------------------------------------------------------------------------------


def waterfall(results: Results) -> Figure | None:
    """Draw the stages of the turn whose latency is the median; None without timelines."""
    turns = [
        row
        for name in ("questions", "pauses", "short")
        for row in results.of(name)
        if row.get("spans") and row.get("latency_ms") is not None and not row["split"]
    ]
    if not turns:
        return None
    turn = sorted(turns, key=lambda row: float(row["latency_ms"]))[len(turns) // 2]
    spans = turn["spans"]
    figure = Figure(figsize=(9, 1.9 + 0.42 * len(spans)))
    axes = figure.add_axes((0.14, 0.16, 0.83, 0.62))
    longest = max(*(float(span["end_ms"]) for span in spans), float(turn["latency_ms"]))
    for place, span in enumerate(spans):
        _bar(axes, place, span, longest)
    _mark(axes, float(turn["latency_ms"]), "first audible sample")
    axes.set_yticks(range(len(spans)), [span["name"] for span in spans])
    axes.set_ylim(len(spans) - 0.4, -0.6)
    axes.set_xlim(min(0.0, *(float(span["start_ms"]) for span in spans)), longest * 1.28)
    axes.set_xlabel("ms after the last spoken sample", fontsize=9, color=OTHER)
    axes.grid(axis="x", color="#e4e7eb", linewidth=0.8)
    _plain(axes)
    _titled(figure, f"A median turn: {turn['latency_ms']:.0f} ms", f'"{turn["said"]}"')
    return figure


def _bar(axes: Axes, place: int, span: Row, longest: float) -> None:
    start, end = float(span["start_ms"]), float(span["end_ms"])
    colour = COLOURS.get(span["name"], OTHER)
    axes.barh(place, max(end - start, longest / 300), left=start, height=0.62, color=colour)
    text = f"{end - start:.0f} ms  {span.get('owner', '')}"
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    axes.text(end + longest / 90, place, text, va="center", fontsize=8.5, color=OTHER, bbox=paper)


def _mark(axes: Axes, at: float, text: str) -> None:
    axes.axvline(at, color=WARN, linewidth=1.2)
    axes.text(at, -0.66, text, fontsize=8.5, color=WARN, va="bottom", ha="center")


# --- the distribution ----------------------------------------------------------------------------


def distribution(results: Results) -> Figure | None:
    """Draw the share of turns answered within a time, a line for each scenario."""
    names = [n for n in ("questions", "pauses", "short") if numbers(results.of(n), "latency_ms")]
    if not names:
        return None
    figure = Figure(figsize=(8, 4.8))
    axes = figure.add_axes((0.09, 0.12, 0.87, 0.68))
    rows = [row for name in names for row in results.of(name)]
    for name, colour in zip(names, SERIES, strict=False):
        _steps(axes, name, results.of(name), colour)
    right = max(1000.0, *(percentile(numbers(results.of(n), "latency_ms"), 98) for n in names))
    axes.axvline(TARGET_MS, color="#9aa5b1", linewidth=1, linestyle=(0, (4, 3)))
    axes.text(TARGET_MS + 8, 3, f"{TARGET_MS:.0f} ms", fontsize=8.5, color=OTHER)
    axes.set_xlim(0, right * 1.05)
    axes.set_ylim(0, 101)
    axes.set_xlabel("last spoken sample → first audible sample, ms", fontsize=9, color=OTHER)
    axes.set_ylabel("turns answered by then, %", fontsize=9, color=OTHER)
    axes.grid(color="#e4e7eb", linewidth=0.8)
    above = (1.0, 1.0)  # the curves need the whole paper
    axes.legend(
        frameon=False, fontsize=9, loc="lower right", bbox_to_anchor=above, labelcolor=OTHER
    )
    _plain(axes)
    title = f"{wrong_percent(rows):.1f} % of {len(rows)} turns cut off or split"
    _titled(figure, f"Latency, with {title}", _about(results))
    return figure


def _steps(axes: Axes, name: str, rows: Sequence[Row], colour: str) -> None:
    values = np.sort(numbers(rows, "latency_ms"))
    shares = np.arange(1, len(values) + 1) * 100 / len(rows)
    median, wrong = percentile(list(values), 50), wrong_percent(rows)
    label = f"{name}: median {median:.0f} ms, {wrong:.1f} % wrong"
    points = [values[0], *values], [0, *shares]
    axes.step(*points, where="post", color=colour, linewidth=2, label=label)


def _about(results: Results) -> str:
    run = results.runs[-1] if results.runs else {}
    machine = run.get("machine", {})
    parts = [str(run.get("label") or "")]
    if run:
        parts.append(f"language model: {run['llm']}")
        parts.append(f"{machine.get('cores')} cores, {machine.get('processor')}")
    return " · ".join(filter(None, parts))


# --- a crowd -------------------------------------------------------------------------------------


def crowd(results: Results) -> Figure | None:
    """Draw latency against the number of people who talk at once."""
    rows = [row for row in results.of("crowd") if row.get("latency_ms") is not None]
    if not rows:
        return None
    sizes = sorted({int(row["clients"]) for row in rows})
    by_size = [[float(r["latency_ms"]) for r in rows if r["clients"] == size] for size in sizes]
    places = np.arange(len(sizes))
    figure = Figure(figsize=(8, 4.8))
    axes = figure.add_axes((0.1, 0.16, 0.86, 0.64))
    for place, values in zip(places, by_size, strict=True):
        spread = np.linspace(-0.07, 0.07, len(values)) if len(values) > 1 else np.zeros(1)
        axes.plot(place + spread, sorted(values), "o", color=LINE, alpha=0.35, markersize=4)
    for percent, name, colour in ((50, "median", LINE), (95, "p95", WARN)):
        line = [percentile(values, percent) for values in by_size]
        axes.plot(places, line, color=colour, linewidth=2, marker="o", markersize=6, label=name)
    wrong = [wrong_percent([r for r in results.of("crowd") if r["clients"] == n]) for n in sizes]
    labels = [f"{size}\n{share:.0f} % wrong" for size, share in zip(sizes, wrong, strict=True)]
    axes.set_xticks(places, labels)
    axes.set_ylim(0, max(max(values) for values in by_size) * 1.08)
    axes.set_xlabel("people who talk at once", fontsize=9, color=OTHER)
    axes.set_ylabel("last spoken sample → first audible sample, ms", fontsize=9, color=OTHER)
    axes.grid(axis="y", color="#e4e7eb", linewidth=0.8)
    axes.legend(frameon=False, fontsize=9, loc="upper left", labelcolor=OTHER)
    _plain(axes)
    _titled(figure, "Latency by the number of clients", _about(results))
    return figure
