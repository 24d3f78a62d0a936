"""Plain HTTP: which pages may talk to the host."""

from __future__ import annotations

import socket

import pytest

from tests.harness import PLAIN
from voicecore.api import origin_allowed
from voicecore.host import Host
from voicecore.http import Head
from voicecore.metrics import Metrics
from voicecore.store import MemoryStore


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("localhost:3000", True), ("127.0.0.1:3000", True), ("[::1]:3000", True),
        ("192.168.1.5", True), (socket.gethostname(), True), ("kiosk.localhost", True),
        ("evil.example:3000", False), ("127.0.0.1.evil.example", False), ("", False),
    ],
)  # fmt: skip
def test_a_page_whose_name_points_here_is_not_of_this_host(host: str, own: bool) -> None:
    """DNS rebinding: the page's origin and the Host header are the same foreign name."""
    head = Head("GET", "/ws", "", (("origin", f"http://{host}"), ("host", host)), b"")
    assert origin_allowed(Host(PLAIN, MemoryStore(new_id=str, now=float), Metrics()), head) is own
