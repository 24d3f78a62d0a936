"""The kiosk's start page in a real browser: it waits for the host and then goes to its page."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from tests.page.chromium import in_a_thread, launched, needs_chromium

PAGE = Path(__file__).parents[2] / "scripts" / "kiosk" / "waiting.html"


class Host(BaseHTTPRequestHandler):
    """Is still warming up, as /healthz tells with 503, and has a page."""

    def do_GET(self) -> None:
        page = self.path == "/?kiosk=1"
        self.send_response(200 if page else 503)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<title>the host's page</title>" if page else b"warming up")

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def port_of_a_host_to_come() -> Iterator[tuple[int, HTTPServer]]:
    """Reserve a port where nobody answers until `server_activate` is called."""
    server = HTTPServer(("127.0.0.1", 0), Host, bind_and_activate=False)
    server.server_bind()
    try:
        yield server.server_address[1], server
    finally:
        server.server_close()


def start(server: HTTPServer) -> threading.Thread:
    server.server_activate()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    return thread


@needs_chromium
def test_it_waits_for_the_host_and_then_shows_its_page() -> None:
    def visit() -> None:
        with port_of_a_host_to_come() as (port, server), launched() as browser:
            page = browser.new_page(locale="ja-JP")
            asked: list[str] = []
            page.on("requestfailed", lambda request: asked.append(request.url))
            page.goto(f"{PAGE.as_uri()}#http://127.0.0.1:{port}/?kiosk=1")
            while len(asked) < 2:  # it asks again
                page.wait_for_timeout(50)
            assert page.text_content("#text") == "少々お待ちください。起動しています。"
            assert not page.is_visible("#long")
            thread = start(server)
            page.wait_for_url(f"http://127.0.0.1:{port}/?kiosk=1")
            assert page.title() == "the host's page"
            browser.close()
            server.shutdown()
            thread.join()

    in_a_thread(visit)


@needs_chromium
def test_it_goes_nowhere_but_to_this_machine() -> None:
    def visit() -> None:
        with launched() as browser:
            page = browser.new_page()
            errors: list[str] = []
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto(f"{PAGE.as_uri()}#http://example.org/")
            while not errors:
                page.wait_for_timeout(20)
            assert "is not on this machine" in errors[0]

    in_a_thread(visit)


def test_the_page_brings_everything_with_it() -> None:
    """It is shown before there is a host, and maybe without a network."""
    text = PAGE.read_text(encoding="utf-8")
    for reference in ("src=", "href=", "@import", "url("):
        assert reference not in text
