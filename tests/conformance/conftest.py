"""Hosts for the rows, and the table of rows at the end of the run."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from tests.conformance.place import (
    Opener,
    Place,
    ThreadPlace,
    open_process,
    open_thread,
    quick,
    wav_samples,
)
from tests.conformance.rows import PAGE, ROWS, Engines, Outcome, page, summary
from tests.harness import Fakes
from voicecore.audio import EAR_HZ, MOUTH_HZ, Pcm, resample
from voicecore.engines.fake import Reply
from voicecore.weights.files import ModelStore

QUESTION = "What is the capital of France?"

OUTCOMES = pytest.StashKey[dict[tuple[str, Engines], Outcome]]()


@pytest.fixture
def open_host(tmp_path: Path) -> Iterator[Opener]:
    with ExitStack() as stack:

        def opener(*replies: Reply, fakes: Fakes | None = None, **others: Any) -> ThreadPlace:
            place = open_thread(tmp_path, fakes or quick(*replies), **others)
            return stack.enter_context(place)

        yield opener


@pytest.fixture(scope="session")
def models_place(
    model_files: ModelStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """A host on the default models, and the question in its own voice."""
    data = tmp_path_factory.mktemp("data")
    with open_process("--set", f"paths.data={data}") as address:
        with Place(address).connect("/ws") as client:
            client.send(type="speak", text=QUESTION)
            voice = Pcm(wav_samples(client.next("audio")), MOUTH_HZ)
        silence = np.zeros(EAR_HZ, np.int16)
        yield Place(address, np.concatenate([resample(voice, EAR_HZ).samples, silence]))


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Place:
    """A host, on each kind of engines that the row is tried with."""
    if request.param == "models":
        return cast("Place", request.getfixturevalue("models_place"))
    opener: Opener = request.getfixturevalue("open_host")
    return opener()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "place" in metafunc.fixturenames:
        row = _row(metafunc.definition)
        models = [pytest.param("models", marks=pytest.mark.model)]
        engines = ["fakes", *(models if row and ROWS[row].on_models else [])]
        metafunc.parametrize("place", engines, indirect=True)


def _row(item: pytest.Item) -> str | None:
    mark = item.get_closest_marker("row")
    return None if mark is None else mark.args[0]


# --- the table -----------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-conformance-page",
        action="store_true",
        help="write docs/conformance.md from this run, if all its rows were tried",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "row(id): the row of tests/conformance/rows.py it is for")
    config.stash[OUTCOMES] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    row = _row(item)
    if row is not None:
        engines: Engines = "models" if item.get_closest_marker("model") else "fakes"
        outcomes = item.config.stash[OUTCOMES]
        if report.failed:
            outcomes[row, engines] = "FAIL"
        elif report.when == "call" and report.passed:
            outcomes.setdefault((row, engines), "pass")
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    outcomes = config.stash[OUTCOMES]
    if not outcomes:
        return
    terminalreporter.section("conformance")
    for line in summary(outcomes, whole=config.get_verbosity() > 0):
        terminalreporter.write_line(line)
    if config.getoption("--write-conformance-page", default=False):
        _write(terminalreporter, outcomes)


def _write(
    terminalreporter: pytest.TerminalReporter, outcomes: dict[tuple[str, Engines], Outcome]
) -> None:
    wanted = {(row.id, "fakes") for row in ROWS.values()}
    wanted |= {(row.id, "models") for row in ROWS.values() if row.on_models}
    if missing := sorted(wanted - outcomes.keys()):
        terminalreporter.write_line(f"The page was not written: not tried were {missing}.")
    else:
        PAGE.write_text(page(outcomes), encoding="utf-8")
