"""The real host, the real models, and Debian's Chromium in front of them."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.hosts import HostProcess
from tests.browser.visits import QUESTION, Visit, recording, serve_tap, visiting
from tests.page.chromium import fake_microphone, launched, missing
from voicecore.weights.files import ModelStore

if TYPE_CHECKING:
    from playwright.sync_api import Browser

REQUIRED = os.environ.get("VOICECORE_BROWSER_TESTS") == "required"
"""Set by `.ci/run`: a browser that is missing is then a failure."""


HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Come last: the host and the browser stay until the end, and others want the processor."""
    items.sort(key=lambda item: HERE in item.path.parents)


def require(lacking: str) -> None:
    """Skip the test if something is lacking; fail it where nothing may be."""
    if lacking:
        (pytest.fail if REQUIRED else pytest.skip)(lacking)


@pytest.fixture(scope="session")
def chromium_installed() -> None:
    require(missing())


@pytest.fixture(scope="session")
def host(
    chromium_installed: None, model_files: ModelStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HostProcess]:
    """One host for all; each visit comes with a browser identity of its own."""
    host = HostProcess(
        tmp_path_factory.mktemp("host"),
        *("--set", 'characters.robin.prompt="You are Robin. You answer in one short sentence."'),
        *("--set", "server.max_sessions_per_address=32"),
    )
    yield host
    status = host.stop()
    assert status == 0
    assert "Traceback" not in host.log


@pytest.fixture(scope="session")
def question(model_files: ModelStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recording(tmp_path_factory.mktemp("question"), QUESTION)


@pytest.fixture(scope="session")
def browser(chromium_installed: None, question: Path) -> Iterator[Browser]:
    """A browser whose microphone hears the question once, when a page opens it."""
    with launched(*fake_microphone(question)) as browser:
        serve_tap(browser)
        yield browser


@pytest.fixture
def visit(browser: Browser, host: HostProcess) -> Iterator[Visit]:
    """The page, freshly opened by somebody the host has never seen."""
    with visiting(browser, host.url) as visit:
        yield visit


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core itself; the package is only how it is had."""
    package = importlib.util.find_spec("axe_playwright_python")
    if package is None or package.origin is None:
        require("axe-core is missing: pip install axe-playwright-python")
    assert package
    assert package.origin
    return (Path(package.origin).parent / "axe.min.js").read_text(encoding="utf-8")
