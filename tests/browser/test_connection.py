"""The page keeps its conversation: over a host that dies, other characters, other windows."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.browser.hosts import HostProcess
from tests.browser.visits import LONG, QUESTION, Visit, guest, visiting, window

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Route

pytestmark = pytest.mark.model

HOST_AWAY = [r"ERR_CONNECTION_REFUSED", r"WebSocket connection to .* failed", r"ERR_EMPTY_RESPONSE"]
"""What Chromium itself says on the console about a host that is not there."""

REFUSED = [r"WebSocket connection to .* failed", r"the server responded with a status of 503"]


def post(url: str, body: dict[str, Any]) -> None:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200


def sockets(visit: Visit) -> list[str]:
    """The paths of the WebSockets that were opened."""
    return [urlsplit(url).path for url in visit.requests if urlsplit(url).scheme == "ws"]


def stored(visit: Visit, host: HostProcess) -> list[str]:
    """What was said in this conversation, as the host has kept it."""
    last = next(url for url in reversed(visit.requests) if urlsplit(url).scheme == "ws")
    client = parse_qs(urlsplit(last).query)["client"][0]
    state = visit.state
    query = f"character={state['character']}&client={client}"
    url = f"{host.url}/api/conversations/{state['session']['id']}?{query}"
    with urllib.request.urlopen(url) as answer:
        return [each["text"] for each in json.load(answer)["messages"]]


def test_a_conversation_survives_the_death_of_the_host(visit: Visit, host: HostProcess) -> None:
    visit.expected = HOST_AWAY
    visit.type("Hello.")
    visit.until_said()
    session = visit.state["session"]["id"]
    visit.type(LONG)
    visit.until_state("s.phase === 'speaking' && s.entries.length > 3")
    host.kill()
    visit.until_read("The host does not answer")
    assert visit.text.count("Hello.") >= 1
    host.start()
    visit.until_state("s.connection.state === 'open' && s.session.state === 'started'")
    visit.until(lambda: "The host does not answer" not in visit.text, "without the message")
    visit.type(QUESTION)
    visit.until_said(3)
    assert visit.state["session"]["id"] == session
    assert "Paris" in visit.entries("assistant")[-1]
    assert visit.entries("user") == ["Hello.", LONG, QUESTION]
    kept = stored(visit, host)
    assert kept[0] == "Hello."
    assert kept[-2:] == [QUESTION, visit.entries("assistant")[-1]]


def test_choosing_another_character_reconnects_to_it(visit: Visit) -> None:
    visit.type("Hello.")
    visit.until_said()
    character = visit.page.get_by_role("combobox", name="Character")
    character.select_option("robin")
    visit.until_state("s.character === 'robin' && s.connection.state === 'open'")
    visit.type(QUESTION)
    visit.until_said()
    assert sockets(visit) == ["/ws/default", "/ws/robin"]
    assert visit.entries("user") == [QUESTION]
    visit.page.reload()
    visit.until("window.voicecore !== undefined")
    visit.until(lambda: character.input_value() == "robin", "the character chosen before")


def test_the_page_follows_the_host_to_another_character(visit: Visit, host: HostProcess) -> None:
    visit.type("Hello.")
    visit.until_said()
    post(f"{host.url}/api/characters/current", {"name": "robin"})
    try:
        visit.until_state("s.character === 'robin' && s.connection.state === 'open'")
        visit.type(QUESTION)
        visit.until_said()
    finally:
        post(f"{host.url}/api/characters/current", {"name": "default"})
    assert sockets(visit)[:2] == ["/ws/default", "/ws/robin"]


def test_an_earlier_conversation_can_be_gone_on_with(visit: Visit) -> None:
    visit.type("Hello.")
    visit.until_said()
    first = visit.state["session"]["id"]
    visit.press("New conversation")
    visit.until_state(f"s.session.id !== '{first}' && s.session.state === 'started'")
    visit.type(QUESTION)
    visit.until_said()
    assert visit.entries("user") == [QUESTION]
    visit.press("Conversations")
    visit.page.get_by_role("dialog").get_by_role("button", name="Hello.").first.click()
    visit.until_state(f"s.session.id === '{first}' && s.session.state === 'started'")
    visit.until_state("s.entries.length > 0")
    assert visit.entries("user") == ["Hello."]


def test_a_second_window_takes_over_and_the_first_can_take_back(
    browser: Browser, host: HostProcess
) -> None:
    with guest(browser) as context, window(context, host.url) as first:
        first.type("Hello.")
        first.until_said()
        with window(context, host.url) as second:
            second.type("Hello.")
            first.until_read("Open in another window")
            opened = len(sockets(first))
            first.page.wait_for_timeout(1_500)  # it would have come back three times
            assert len(sockets(first)) == opened
            first.press("Use here")
            second.until_read("Open in another window")
            first.until(lambda: "Open in another window" not in first.text, "taken back")
            first.until_state("s.connection.state === 'open' && s.session.state === 'started'")


def options(**engines: str) -> Iterator[str]:
    """Options of a host without models."""
    for kind in ("vad", "turn", "stt", "llm", "tts"):
        yield from ("--set", f"{kind}.engine={engines.get(kind, 'fake')}")


@pytest.fixture
def small_host(chromium_installed: None, tmp_path: Path) -> Iterator[HostProcess]:
    """A host without models, for one visitor at a time."""
    host = HostProcess(tmp_path, *options(), "--set", "server.max_sessions=1")
    yield host
    assert host.stop() == 0


class OneModel(BaseHTTPRequestHandler):
    """Tells that there is a model, and can do nothing else."""

    def do_GET(self) -> None:
        body = json.dumps({"data": [{"id": "one"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


def test_a_model_that_is_down_is_told_and_the_page_lives(
    browser: Browser, chromium_installed: None, tmp_path: Path
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), OneModel) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        address = f"llm.base_url=http://127.0.0.1:{server.server_port}/v1"
        host = HostProcess(
            tmp_path, *options(llm="openai"), "--set", address, "--set", "llm.model=one"
        )
        server.shutdown()
        thread.join()
    with visiting(browser, host.url) as visit:
        visit.type("Hello.")
        visit.until_read("The model could not answer|A part of the host has failed")
        assert visit.state["connection"]["state"] == "open"
        assert visit.page.get_by_role("textbox", name="Message").is_enabled()
    assert host.stop() == 0


def test_a_full_host_is_told_and_lets_in_when_somebody_leaves(
    browser: Browser, small_host: HostProcess
) -> None:
    with visiting(browser, small_host.url) as first:
        first.type("Hello.")
        first.until_said()
        with guest(browser) as context:
            with window(context, small_host.url) as second:
                second.expected = REFUSED
                second.type("Hello.")
                second.until_read("All places are taken")
                first.page.goto("about:blank")
                second.until_state("s.connection.state === 'open'")
                second.until(lambda: "All places are taken" not in second.text, "let in")


@pytest.mark.parametrize(
    ("health", "message"),
    [
        ({"status": "warming up"}, "The host is starting"),
        ({"status": "stopping"}, "The host is stopping"),
    ],
)
def test_a_host_that_is_not_ready_is_told(
    browser: Browser, small_host: HostProcess, health: dict[str, str], message: str
) -> None:
    """The host is gone, and something else answers for it: so the state stays until it was seen."""

    def answer(route: Route) -> None:
        route.fulfill(status=503, json=health)

    with visiting(browser, small_host.url) as visit:
        visit.expected = [*HOST_AWAY, *REFUSED]
        visit.type("Hello.")
        visit.until_said()
        visit.page.route("**/healthz", answer)
        small_host.kill()
        visit.until_read(message)
        visit.page.unroute("**/healthz")
        small_host.start()
        visit.until_state("s.connection.state === 'open'")
        visit.until(lambda: message not in visit.text, "without the message")
