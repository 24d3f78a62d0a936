"""The page's core, tested in a browser: each exported function of js/*.test.js is one test."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import voicecore.page
from tests.page.chromium import FAKE_DEVICES, in_a_thread, launched, needs_chromium

STATIC = Path(voicecore.page.__file__).parent / "static"
SUITES = Path(__file__).parent / "js"

RUN = """async (file) => {
  const tests = Object.entries(await import(`/tests/${file}`));
  const results = {};
  for (const [name, test] of tests) {
    const late = new Promise((_, fail) => setTimeout(fail, 30_000, new Error("no end in 30 s")));
    try {
      await Promise.race([test(), late]);
      results[name] = "";
    } catch (error) {
      results[name] = `${error?.message ?? error}\\n${error?.stack ?? ""}`;
    }
  }
  return results;
}"""


def names(suite: Path) -> list[str]:
    return re.findall(r"^export (?:async )?function (\w+)", suite.read_text("utf-8"), re.MULTILINE)


TESTS = [(path.name, name) for path in sorted(SUITES.glob("*.test.js")) for name in names(path)]


class Handler(SimpleHTTPRequestHandler):
    """The page's files as the host serves them, the tests beside them, and an empty page."""

    def translate_path(self, path: str) -> str:
        for prefix, folder in (("/page/", STATIC), ("/tests/", SUITES)):
            if path.startswith(prefix):
                return str(folder / path.removeprefix(prefix))
        return str(SUITES / "empty.html")

    def log_message(self, *_: object) -> None:
        pass


Handler.extensions_map = {**Handler.extensions_map, ".js": "text/javascript"}


@contextmanager
def serving() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def run_all() -> dict[str, Any]:
    results = {}
    with serving() as url, launched(*FAKE_DEVICES) as browser:
        for suite in sorted({suite for suite, _ in TESTS}):
            page = browser.new_page()
            page.goto(url)
            results[suite] = page.evaluate(RUN, suite)
            page.close()
    return results


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    return in_a_thread(run_all)


@needs_chromium
@pytest.mark.parametrize(("suite", "name"), TESTS)
def test_in_the_browser(results: dict[str, Any], suite: str, name: str) -> None:
    if trouble := results[suite][name]:
        pytest.fail(trouble, pytrace=False)


def test_every_suite_has_tests() -> None:
    assert all(names(path) for path in SUITES.glob("*.test.js"))
    assert len(TESTS) == len(set(TESTS))
