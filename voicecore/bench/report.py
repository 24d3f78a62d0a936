"""Results for people: one table for each kind of scenario."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from voicecore.bench.compare import Difference
from voicecore.bench.figures import Row
from voicecore.bench.results import Results, numbers, percentile
from voicecore.bench.scenarios import SCENARIOS

NOT_OBSERVABLE = "–"
LATE_MS = 20.0
"""A frame: from then on the person no longer speaks in real time."""
TURNS = ("questions", "pauses", "short")


def show(console: Console, results: Results) -> None:
    """Print what was measured; a figure that this host does not let be seen is a dash."""
    summaries = {row["scenario"]: row for row in results.summaries}
    turns = {name: summaries[name] for name in TURNS if name in summaries}
    _headed(console, "Spoken turns (median / p95)", _turns(turns))
    stages = _stages([sample for sample in results.samples if sample["scenario"] in TURNS])
    _headed(console, "Where the host says the time went", stages)
    if "crowd" in summaries:
        _headed(console, "Many at once (median / p95)", _crowd(summaries["crowd"]))
    for name in ("interruptions", "disturbances", "idle"):
        if name in summaries:
            title = f"{name}: {SCENARIOS[name].about}"
            _headed(console, title, _figures(summaries[name]))
    late_ms = max(numbers(results.samples, "client_late_ms"), default=0.0)
    if late_ms > LATE_MS:
        console.print(
            f"\nThe microphone's frames were up to {late_ms:.0f} ms late: the machine was too busy "
            "to measure well."
        )


def _headed(console: Console, title: str, table: Table) -> None:
    """Print a table under its title, which may be wider than it is."""
    if table.row_count:
        console.print(f"\n[bold]{title}[/]", soft_wrap=True)
        console.print(table)


def _table(columns: Sequence[str]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left")
    return table


def number(value: object, digits: int = 0) -> str:
    return f"{value:.{digits}f}" if isinstance(value, int | float) else NOT_OBSERVABLE


def _pair(row: Row, key: str, digits: int = 0) -> str:
    """Write median and p95."""
    return f"{number(row.get(key), digits)} / {number(row.get(f'{key}_p95'), digits)}"


def _turns(summaries: dict[str, Row]) -> Table:
    table = _table(
        ("", "turns", "last sample → first sound", "cut off or split", "no answer", "merged",
         "after the endpoint", "words wrong", "CPU a turn"),
    )  # fmt: skip
    for name, row in summaries.items():
        table.add_row(
            name,
            str(row.get("turns", 0)),
            _pair(row, "latency_ms") + " ms",
            number(row.get("wrong_percent"), 1) + " %",
            number(row.get("unanswered_percent"), 1) + " %",
            number(row.get("merged_percent"), 1) + " %",
            _pair(row, "after_endpoint_ms") + " ms",
            number(row.get("word_error_percent"), 1) + " %",
            number(row.get("cpu_s"), 2) + " s",
        )
    return table


def _stages(samples: Sequence[Row]) -> Table:
    """What the host tells of its stages, over all turns."""
    table = _table(("stage", "median", "p95", "whose time"))
    took: dict[str, list[float]] = {}
    owners: dict[str, str] = {}
    for sample in samples:
        for span in sample.get("spans", ()):
            name = str(span["name"])
            took.setdefault(name, []).append(float(span["end_ms"]) - float(span["start_ms"]))
            owners[name] = str(span.get("owner", ""))
    for name, values in took.items():
        middle, high = percentile(values, 50), percentile(values, 95)
        table.add_row(name, f"{middle:.0f} ms", f"{high:.0f} ms", owners[name])
    return table


def _crowd(summary: Row) -> Table:
    table = _table(
        ("people", "turns", "last sample → first sound", "cut off or split", "no answer",
         "CPU a turn"),
    )  # fmt: skip
    for size, row in (summary.get("clients") or {}).items():
        table.add_row(
            size,
            str(row["turns"]),
            _pair(row, "latency_ms") + " ms",
            number(row["wrong_percent"], 1) + " %",
            number(row["unanswered_percent"], 1) + " %",
            number(row["cpu_s"], 2) + " s",
        )
    return table


_ABOUT = {
    "stop_ms": "first sample of the voice → silent, ms",
    "told_ms": "  → the client told, ms",
    "last_sound_ms": "  → last of the old reply's sound received, ms",
    "missed_percent": "interruptions not noticed, %",
    "stale_percent": "with sound of the old reply after the notice, %",
    "stale_ms": "  the most of it, ms",
    "answered_percent": "answered, %",
    "latency_ms": "last sample → first sound of the answer, ms",
    "history_words_off": "words the host remembers too many or too few",
    "core_percent": "of one core, %",
    "resident_mb": "resident memory, MB",
    "cpu_total_s": "processor time in all, s",
    "lost_percent": "replies lost, %",
    "hiccup_percent": "replies stopped that went on, %",
}


def _figures(summary: Row) -> Table:
    """One figure a row, for scenarios of one kind of sample."""
    table = _table(("figure", "median", "p95"))
    for key, value in summary.items():
        if isinstance(value, int | float | None) and not key.endswith("_p95"):
            words = _ABOUT.get(key, key.replace("_lost_percent", ": lost, %").replace("_", " "))
            digits = 0 if isinstance(value, int) else 1
            high = number(summary[f"{key}_p95"], 1) if f"{key}_p95" in summary else ""
            table.add_row(words, number(value, digits), high)
    return table


# --- a comparison --------------------------------------------------------------------------------


def show_comparison(console: Console, names: tuple[str, str], found: Sequence[Difference]) -> None:
    """Print two files of results side by side."""
    columns = ("figure", *names, "B / A", "95 % interval", "")
    for scenario in dict.fromkeys(each.scenario for each in found):
        table = _table(columns)
        for each in found:
            if each.scenario == scenario:
                table.add_row(*_difference(each))
        _headed(console, scenario, table)


def _three_digits(value: float) -> str:
    return number(value, 0 if value >= 100 else 1 if value >= 10 else 2)


def _difference(each: Difference) -> tuple[str, ...]:
    unit = " %" if each.is_rate else ""
    low, high = each.interval
    shown = f"{low:+.1f} … {high:+.1f}" if each.is_rate else f"{low:.2f} … {high:.2f}"
    between = f"{each.b - each.a:+.1f} points" if each.is_rate else number(each.ratio, 2)
    verdict = "beyond the noise" if each.beyond_noise else "within the noise"
    if each.of_p95:
        shown, verdict = "", ""
    return (
        f"{each.figure} (n {each.counts[0]}, {each.counts[1]})",
        _three_digits(each.a) + unit,
        _three_digits(each.b) + unit,
        between,
        shown,
        verdict,
    )
