"""The short way and the library, on one stream: nothing lost, nothing out of order, every end."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio_websocket
from trio.testing import MockClock, memory_stream_pair, open_stream_to_socket_listener
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage

from voicecore.wire.socket import LATEST_S, MAX_PASSED_BYTES, Intake, Socket

HEAD = (
    b"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Peer:
    """A client that writes any frames, and reads with a second library."""

    def __init__(self, stream: trio.abc.HalfCloseableStream) -> None:
        self.stream = stream
        self.protocol = Connection(ConnectionType.CLIENT)

    def bytes_of(self, *events: Event) -> bytes:
        return b"".join(bytes(self.protocol.send(event)) for event in events)

    async def send(self, *events: Event) -> None:
        await self.stream.send_all(self.bytes_of(*events))

    async def next_event(self) -> Event:
        while True:
            for event in self.protocol.events():
                return event
            self.protocol.receive_data(bytes(await self.stream.receive_some()))

    async def shake_hands(self) -> None:
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += await self.stream.receive_some(1)


@asynccontextmanager
async def accepted(
    ours: trio.abc.HalfCloseableStream,
    theirs: trio.abc.HalfCloseableStream,
    *,
    max_bytes: int = 1 << 20,
    early: bytes = b"",
) -> AsyncIterator[tuple[Socket, Peer]]:
    peer = Peer(theirs)
    intake = Intake(ours, HEAD + early, max_bytes)
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            request = await trio_websocket.wrap_server_stream(
                nursery, intake, max_message_size=max_bytes
            )
            socket = Socket(await request.accept(), intake)
            await peer.shake_hands()
            yield socket, peer
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def connected(**settings: int | bytes) -> AsyncIterator[tuple[Socket, Peer]]:
    async with accepted(*memory_stream_pair(), **settings) as both:  # type: ignore[arg-type]
        yield both


def text(data: str, *, last: bool = True) -> TextMessage:
    return TextMessage(data, message_finished=last)


async def all_messages(socket: Socket) -> list[str | bytes]:
    found: list[str | bytes] = []
    while True:
        try:
            found.append(await socket.get_message())
        except trio_websocket.ConnectionClosed:
            return found


async def test_messages_of_both_ways_come_in_order() -> None:
    async with connected() as (socket, peer):
        await peer.send(
            text("1"), text("2", last=False), Ping(b"p"), text("2"), BytesMessage(b"3"),
            text("4" * 70_000), text("5"), CloseConnection(1000),
        )  # fmt: skip
        assert await all_messages(socket) == ["1", "22", b"3", "4" * 70_000, "5"]


async def test_a_ping_is_answered_while_nobody_takes_messages() -> None:
    async with connected() as (socket, peer):
        await peer.send(text("1"))
        assert await socket.get_message() == "1"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(all_messages, socket)
            await peer.send(Ping(b"alive"))
            assert await peer.next_event() == Pong(b"alive")
            nursery.cancel_scope.cancel()


async def test_what_was_sent_with_the_request_is_read() -> None:
    early = Peer(memory_stream_pair()[0]).bytes_of(text("early"))
    async with connected(early=early) as (socket, _):
        assert await socket.get_message() == "early"


async def test_too_long_a_message_closes_with_1009() -> None:
    async with connected(max_bytes=1_000) as (socket, peer):
        await peer.send(text("1"), text("2" * 1_001), text("3"))
        assert await all_messages(socket) == ["1"]
        closed = await peer.next_event()
        assert isinstance(closed, CloseConnection)
        assert closed.code == 1009


@pytest.mark.parametrize(
    ("wrong", "code"),
    [(b"\x81\x01a", 1002), (b"\xc1\x81aaaa\x00", 1002), (b"\x81\x81\x00\x00\x00\x00\xff", 1007)],
)
async def test_what_breaks_the_protocol_ends_it(wrong: bytes, code: int) -> None:
    async with connected() as (socket, peer):
        await peer.stream.send_all(peer.bytes_of(text("1")) + wrong)
        assert await socket.get_message() == "1"
        with pytest.raises(trio_websocket.ConnectionClosed) as closed:
            await socket.get_message()
        assert closed.value.reason is not None
        assert closed.value.reason.code == code


async def test_a_client_that_vanishes_is_noticed() -> None:
    async with connected() as (socket, peer):
        await peer.send(text("1"))
        await peer.stream.aclose()
        assert await all_messages(socket) == ["1"]


async def test_our_close_is_answered_though_nobody_takes_messages(
    autojump_clock: MockClock,
) -> None:
    async with connected() as (socket, peer), trio.open_nursery() as nursery:
        with trio.move_on_after(1):
            await socket.get_message()
        nursery.start_soon(socket.aclose, 1001, "over")
        await peer.send(text("late"))
        closed = await peer.next_event()
        assert isinstance(closed, CloseConnection)
        assert (closed.code, closed.reason) == (1001, "over")
        await peer.send(closed.response())


async def test_messages_that_come_together_let_others_run_in_between() -> None:
    async with connected() as (socket, peer):
        steps: list[str] = []

        async def other() -> None:
            for _ in range(3):
                steps.append("other")
                await trio.lowlevel.checkpoint()

        await peer.send(*(text(str(number)) for number in range(4)))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(other)
            for _ in range(4):
                message = await socket.get_message()
                steps.append(str(message))
        assert steps.index("other") < steps.index("3")


async def test_pings_whose_answers_are_not_read_take_a_bounded_place() -> None:
    """The library waits to send its pongs; then it reads all, at the pace its client reads."""
    ours, theirs = memory_stream_pair()
    never = trio.Event()

    async def blocked() -> None:
        await never.wait()

    async with accepted(ours, theirs) as (socket, peer):
        ours.send_stream.send_all_hook = blocked
        flood = peer.bytes_of(*[Ping(bytes(120))] * 2_000)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(all_messages, socket)
            await peer.stream.send_all(flood)
            await trio.testing.wait_all_tasks_blocked()
            waiting = len(socket._intake._frames.passed)
            nursery.cancel_scope.cancel()
        assert MAX_PASSED_BYTES <= waiting <= MAX_PASSED_BYTES + 2 * 65_536


async def test_over_a_real_socket() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener, await open_stream_to_socket_listener(listener) as theirs:
        async with await listener.accept() as ours, accepted(ours, theirs) as (socket, peer):
            await peer.send(text("1"))
            assert await socket.get_message() == "1"
            await peer.send(BytesMessage(bytes(100_000)), text("3"), CloseConnection(1000))
            assert await all_messages(socket) == [bytes(100_000), "3"]


async def listening(socket: Socket, arrivals: list[tuple[float, str | bytes]]) -> None:
    while True:
        try:
            message = await socket.get_message()
        except trio_websocket.ConnectionClosed:
            return
        arrivals.append((trio.current_time(), message))


@asynccontextmanager
async def patient() -> AsyncIterator[tuple[Socket, Peer, list[tuple[float, str | bytes]]]]:
    """A socket that was sent 20 ms of sound fifty times and more, and is patient since."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener, await open_stream_to_socket_listener(listener) as theirs:
        async with await listener.accept() as ours, accepted(ours, theirs) as (socket, peer):
            arrivals: list[tuple[float, str | bytes]] = []
            async with trio.open_nursery() as nursery:
                nursery.start_soon(listening, socket, arrivals)
                for _ in range(60):
                    await peer.send(BytesMessage(bytes(640)))
                    await trio.sleep(0.02)
                socket.be_patient(True)
                await peer.send(BytesMessage(bytes(640)))  # taken at once: it was waited for
                await trio.sleep(0.02)
                arrivals.clear()
                yield socket, peer, arrivals
                nursery.cancel_scope.cancel()


linux_only = pytest.mark.skipif(sys.platform != "linux", reason="what wakes a poll differs")


@linux_only
async def test_the_patient_take_messages_together(autojump_clock: MockClock) -> None:
    async with patient() as (_, peer, arrivals):
        begun_s = trio.current_time()
        for number in range(4):
            await peer.send(BytesMessage(bytes([number]) * 640))
            await trio.sleep(0.02)
        assert [at_s - begun_s for at_s, _ in arrivals] == pytest.approx([0.02, 0.02, 0.06, 0.06])


@linux_only
async def test_the_patient_wait_not_long_for_a_single_message(autojump_clock: MockClock) -> None:
    async with patient() as (_, peer, arrivals):
        begun_s = trio.current_time()
        await peer.send(text("ping"))
        await trio.sleep(0.5)
        assert [message for _, message in arrivals] == ["ping"]
        assert arrivals[0][0] - begun_s <= LATEST_S + 1e-9
        # Then, with so little coming, each is taken at once.
        begun_s = trio.current_time()
        await peer.send(text("ping"))
        await trio.sleep(0.5)
        assert arrivals[1][0] == begun_s


@linux_only
async def test_who_is_patient_no_more_takes_what_waits(autojump_clock: MockClock) -> None:
    async with patient() as (socket, peer, arrivals):
        await peer.send(BytesMessage(bytes(640)))
        await trio.sleep(0.01)
        assert not arrivals
        socket.be_patient(False)
        begun_s = trio.current_time()
        await trio.sleep(0.02)
        assert [at_s for at_s, _ in arrivals] == [begun_s]


@linux_only
async def test_patience_ends_quietly_after_the_connection(autojump_clock: MockClock) -> None:
    async with patient() as (socket, peer, _):
        await peer.send(BytesMessage(bytes(640)))
        await trio.sleep(0.01)
        await socket._intake.aclose()
        socket.be_patient(False)


async def test_patience_needs_no_socket() -> None:
    async with connected() as (socket, peer):
        socket.be_patient(True)
        await peer.send(text("1"))
        assert await socket.get_message() == "1"
