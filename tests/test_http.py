"""Request heads, whatever way they are cut, and what is handed on."""

from __future__ import annotations

import json
from itertools import pairwise

import attrs
import h11
import outcome
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, memory_stream_pair

from tests.harness import PLAIN, Stage, open_stage
from tests.narrow import ChannelStream, narrow_stream_pair
from voicecore.config import ServerConfig
from voicecore.http import BadRequest, Head, json_response, read_head
from voicecore.server import handle_connection
from voicecore.store import StoredMessage

REQUEST = (
    b"GET /ws/%E5%B0%8F?client=me HTTP/1.1\r\nHost: here\r\nUpgrade: WebSocket\r\n"
    b"Connection: Upgrade\r\n\r\n"
)


async def read_cut(data: bytes, cuts: list[int]) -> outcome.Outcome[Head | None]:
    ours, theirs = memory_stream_pair()
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]

    async def send() -> None:
        for start, end in pairwise(edges):
            if start < end:
                await ours.send_all(data[start:end])
        await ours.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        head = await outcome.acapture(read_head, theirs)
        nursery.cancel_scope.cancel()
    return head


@given(st.lists(st.integers(0, len(REQUEST)), max_size=6))
def test_a_head_is_read_however_it_is_cut(cuts: list[int]) -> None:
    head = trio.run(read_cut, REQUEST, cuts).unwrap()
    assert head
    assert (head.method, head.path, head.query) == ("GET", "/ws/%E5%B0%8F", "client=me")
    assert head.header("host") == "here"
    assert head.header("absent") == ""
    assert head.is_upgrade
    assert head.raw == REQUEST


@given(st.integers(0, len(REQUEST) - 1))
def test_who_leaves_before_the_end_of_it_asked_nothing(length: int) -> None:
    assert trio.run(read_cut, REQUEST[:length], []) == outcome.Value(None)


@given(st.binary(max_size=200))
def test_anything_is_a_head_nothing_or_a_bad_request(data: bytes) -> None:
    head = trio.run(read_cut, data, [])
    if isinstance(head, outcome.Error):
        assert isinstance(head.error, BadRequest)


async def test_a_head_without_end_is_refused() -> None:
    endless = b"GET / HTTP/1.1\r\nHost: " + b"x" * 100_000
    head = await read_cut(endless, list(range(0, 100_000, 5_000)))
    with pytest.raises(BadRequest):
        head.unwrap()


def test_an_answer_is_complete_http() -> None:
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
    client.send(h11.EndOfMessage())
    client.receive_data(json_response(503, {"name": "小天"}))
    head, body, end = (client.next_event() for _ in range(3))
    assert isinstance(head, h11.Response)
    assert head.status_code == 503
    assert isinstance(body, h11.Data)
    assert "小天" in bytes(body.data).decode()
    assert isinstance(end, h11.EndOfMessage)
    assert json_response(200, {}, head_only=True).endswith(b"\r\n\r\n")


async def test_silent_and_garbled_connections_are_answered_and_let_go(
    autojump_clock: MockClock,
) -> None:
    async with open_stage() as stage:
        status, _ = await stage.get("/ bad path")
        assert status == 400
        ours, theirs = memory_stream_pair()
        stage.nursery.start_soon(handle_connection, stage.host, theirs)
        begun_s = trio.current_time()
        answer = bytes(await ours.receive_some())
        assert answer.startswith(b"HTTP/1.1 408")
        assert trio.current_time() - begun_s == pytest.approx(10)


# --- whether there is room ---


async def full(stage: Stage) -> object:
    _, body = await stage.get("/healthz")
    return json.loads(body)["full"]


@pytest.mark.parametrize(
    "server", [ServerConfig(max_sessions=2), ServerConfig(max_sessions_per_address=2)]
)
async def test_health_tells_whether_another_connection_finds_a_place(
    server: ServerConfig, autojump_clock: MockClock
) -> None:
    config = attrs.evolve(PLAIN, server=server)
    async with open_stage(config=config, warm=False) as stage:
        async with stage.connect("/ws/default?client=one"):
            assert await full(stage) is False
            async with stage.connect("/ws/default?client=two"):
                assert await full(stage) is True
            await trio.sleep(1)
            assert await full(stage) is False


async def test_who_has_places_left_elsewhere_is_told_so() -> None:
    config = attrs.evolve(PLAIN, server=ServerConfig(max_sessions_per_address=1))
    async with open_stage(config=config) as stage:
        stage.host.presence.connect("192.0.2.1")
        assert await full(stage) is False  # to another address
        stage.host.presence.disconnect("192.0.2.1")


# --- long answers, slow clients ---

WHOLE = "/api/conversations/mine?character=default&client=me"


async def ask_for_a_long_conversation(stage: Stage, served: trio.Event) -> ChannelStream:
    """Ask for 1.6 MB over a connection with no room in it."""
    store = stage.host.store
    await store.open("mine", character="default", client="neko:name:me")
    await store.append("mine", [StoredMessage("user", "x" * 16_000, 1.0)] * 100)
    ours, theirs = narrow_stream_pair()

    async def serve() -> None:
        await handle_connection(stage.host, theirs)
        served.set()

    stage.nursery.start_soon(serve)
    await ours.send_all(f"GET {WHOLE} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return ours


async def test_a_slow_client_gets_the_whole_of_a_long_answer(autojump_clock: MockClock) -> None:
    async with open_stage() as stage:
        ours = await ask_for_a_long_conversation(stage, trio.Event())
        begun_s, answer = trio.current_time(), b""
        while data := await ours.receive_some():
            answer += data
            await trio.sleep(9)
        assert trio.current_time() - begun_s > 100  # longer than any one deadline
        head, _, body = answer.partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}\r\n".encode() in head + b"\r\n"
        assert len(json.loads(body)["messages"]) == 100


@pytest.mark.parametrize("pieces", [0, 3])
async def test_a_client_that_reads_no_more_is_dropped(
    pieces: int, autojump_clock: MockClock
) -> None:
    async with open_stage() as stage:
        served = trio.Event()
        ours = await ask_for_a_long_conversation(stage, served)
        for _ in range(pieces):
            await ours.receive_some()
        begun_s = trio.current_time()
        with trio.fail_after(60):
            await served.wait()
        assert trio.current_time() - begun_s == pytest.approx(10)
