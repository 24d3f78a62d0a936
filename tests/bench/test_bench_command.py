"""The command: its options, its files, its tables, and one real run."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from voicecore.bench import report, results
from voicecore.bench.scenarios import SCENARIOS
from voicecore.bench.scenarios.disturbances import summarise as summarise_disturbances
from voicecore.bench.scenarios.interruptions import summarise as summarise_interruptions
from voicecore.bench.scenarios.load import sizes, summarise_crowd, summarise_silence
from voicecore.bench.scenarios.turns import summarise
from voicecore.commands import main
from voicecore.weights.files import ModelStore

Row = dict[str, Any]

TURN: Row = {
    "said": "Why?", "latency_ms": 500.0, "cut_off": False, "split": False, "unanswered": False,
    "merged": False, "after_endpoint_ms": 20.0, "word_errors": 1, "words": 4, "cpu_s": 1.5,
    "gap_ms": 0.0, "clients": 2, "spans": [],
}  # fmt: skip
CUT: Row = {**TURN, "cut_off": True, "latency_ms": None, "after_endpoint_ms": None}
HELD: Row = {
    "no_reply": False, "missed": False, "stop_ms": 120.0, "told_ms": 110.0, "last_sound_ms": 120.0,
    "stale_chunks": 0, "stale_ms": 0.0, "answered": True, "latency_ms": 500.0,
    "history_words_off": None,
}  # fmt: skip


# --- summaries -----------------------------------------------------------------------------------


def test_a_summary_never_gives_latency_without_the_wrong_turns() -> None:
    summary = summarise([TURN, TURN, TURN, CUT])
    assert (summary["latency_ms"], summary["latency_ms_p95"]) == (500.0, 500.0)
    assert (summary["wrong_percent"], summary["cut_off_percent"]) == (25.0, 25.0)
    assert summary["word_error_percent"] == 25.0


def test_the_crowd_is_summed_up_by_its_size() -> None:
    alone = {**TURN, "clients": 1, "latency_ms": 300.0}
    clients = summarise_crowd([alone, TURN, CUT])["clients"]
    assert {size: row["latency_ms"] for size, row in clients.items()} == {"1": 300.0, "2": 500.0}
    assert clients["2"]["wrong_percent"] == 50.0


def test_crowds_double_up_to_the_largest() -> None:
    assert [sizes(most) for most in (1, 3, 8)] == [[1], [1, 2, 3], [1, 2, 4, 8]]
    assert sizes(12) == [1, 2, 4, 8, 12]


def test_what_cannot_be_seen_is_none_and_no_zero() -> None:
    assert summarise_interruptions([HELD])["history_words_off"] is None
    assert summarise_silence([{"core_percent": None, "resident_mb": None}])["core_percent"] is None


def test_replies_lost_are_counted_by_the_noise() -> None:
    rows = [{"noise": "cough", "outcome": "none"}, {"noise": "mhm", "outcome": "lost"}]
    summary = summarise_disturbances(rows)
    assert summary["lost_percent"] == 50.0
    assert (summary["cough_lost_percent"], summary["mhm_lost_percent"]) == (0.0, 100.0)


# --- files and tables ----------------------------------------------------------------------------


def lines(name: str, rows: list[Row], summary: Row) -> list[Row]:
    about = {"scenario": name, "label": "here"}
    samples = [{"kind": "sample", **about, **row} for row in rows]
    return [*samples, {"kind": "summary", **about, **summary}]


def everything() -> list[Row]:
    spans = [{"name": "endpoint", "owner": "ears.endpoint_ms", "start_ms": 0.0, "end_ms": 210.0}]
    silence = {"core_percent": 1.2, "resident_mb": 300.0}
    return [
        {"kind": "run", "label": "here", "llm": "stub", "machine": {"cores": 2, "processor": "x"}},
        *lines("questions", [{**TURN, "spans": spans}], summarise([TURN])),
        *lines("interruptions", [HELD], summarise_interruptions([HELD])),
        *lines("idle", [silence], summarise_silence([silence])),
        *lines("crowd", [TURN], summarise_crowd([TURN])),
    ]


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    results.append(path, everything()[:3])
    results.append(path, everything()[3:])
    assert results.read(path) == results.collect(everything())


def test_the_tables_show_latency_and_wrong_turns_in_one_row() -> None:
    written = io.StringIO()
    report.show(Console(width=150, file=written), results.collect(everything()))
    text = written.getvalue()
    (row,) = [line for line in text.splitlines() if line.startswith("questions")]
    assert "500 / 500 ms" in row
    assert "0.0 %" in row
    assert "ears.endpoint_ms" in text
    assert report.NOT_OBSERVABLE in text.split("words the host remembers")[1].splitlines()[0]


def test_two_files_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for path, latency in zip(paths, (800.0, 400.0), strict=True):
        results.append(path, lines("questions", [{**TURN, "latency_ms": latency}] * 5, {}))
    assert main(["bench", "--compare", *map(str, paths)]) == 0
    shown = capsys.readouterr().out
    assert "0.50" in shown
    assert "beyond the noise" in shown


def test_pictures_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from voicecore.bench.plots import draw

    drawn = draw(results.collect(everything()), tmp_path / "pictures")
    assert [path.name for path in drawn] == ["turn.png", "latency.png", "crowd.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)


# --- wrong use -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["nonsense"], "There is no scenario 'nonsense'; there are questions"),
        (["pauses", "--wire", "cortex"], "the person ends the recording"),
        (["short", "--url", "ws://h", "--llm", "stub"], "start the stub yourself"),
        (["short", "--repeat", "0"], "at least 1"),
        (["--compare", "nowhere.jsonl", "nowhere.jsonl"], "Cannot read nowhere.jsonl"),
    ],
)
def test_wrong_use_is_told_in_one_line(
    options: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *options]) == 1
    told = capsys.readouterr().err
    assert why in told
    assert told.count("\n") == 1


def test_a_file_that_holds_no_results_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"kind": "cough"}\n')
    assert main(["bench", "--compare", str(path), str(path)]) == 1
    assert "no file of voicecore bench" in capsys.readouterr().err


def test_the_list_tells_what_each_wire_can_play(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--list"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in SCENARIOS)
    assert "wires: neko and cortex" in shown


# --- a real run ----------------------------------------------------------------------------------


@pytest.mark.model
def test_short_words_are_measured_on_a_host_of_its_own(
    model_files: ModelStore, tmp_path: Path
) -> None:
    path = tmp_path / "short.jsonl"
    done = subprocess.run(
        [sys.executable, "-m", "voicecore", "bench", "short", "--repeat", "1", "--llm", "stub",
         "--json", str(path), "--label", "test"],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "cut off or split" in done.stdout
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    run, *samples, summary = rows
    assert [row["kind"] for row in rows] == ["run", *["sample"] * 6, "summary"]
    assert {row["label"] for row in rows} == {"test"}
    assert run["machine"]["cores"] >= 1
    assert "voicecore" in run["versions"]
    assert summary["turns"] == 6
    assert summary["resident_mb"] > 50
    answered = [row for row in samples if not row["unanswered"]]
    assert len(answered) >= 4  # a single word may go unheard
    assert all(row["reply_s"] > 1 and row["cpu_s"] > 0 for row in answered)
    assert all({"endpoint", "voice"} <= {span["name"] for span in row["spans"]} for row in answered)
