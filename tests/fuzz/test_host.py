"""Whole conversations with clients of every kind: whatever they send, the host keeps its promises.

It is never at a loss (nothing is logged as an error, no traceback), says only what docs/wire.md
documents, answers every ping, closes for a documented reason, leaves no engine at work for nobody,
and serves the next client. More examples: ``pytest tests/fuzz --hypothesis-profile long``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import pairwise

import attrs
import h11
import structlog
import trio
import trio_websocket
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, memory_stream_pair

from tests.fuzz import scripts
from tests.fuzz.scripts import Leave, Ping, RawBytes, Request, Send, Visit, Wait
from tests.fuzz.transcript import Transcript
from tests.harness import Fakes, Stage, open_stage
from tests.narrow import narrow_stream_pair
from tests.threads import without_threads
from voicecore.config import (
    CharacterConfig,
    Config,
    EarsConfig,
    EyesConfig,
    ServerConfig,
    ToolsConfig,
)
from voicecore.engines.fake import fake_llm, fake_stt, fake_tts
from voicecore.errors import EngineError
from voicecore.server import handle_connection
from voicecore.tools.tool import Tool, ToolContext

SMALL = Config(
    server=ServerConfig(
        max_message_bytes=60_000, max_text_chars=300, max_bad_messages=4, request_timeout_ms=2_000
    ),
    ears=EarsConfig(
        max_recording_ms=1_500, max_turn_chars=30, backlog_ms=1_000, max_utterance_ms=3_000
    ),
    eyes=EyesConfig(
        max_picture_bytes=500, max_files=2, max_file_bytes=1_000, max_document_chars=50
    ),
    tools=ToolsConfig(max_waiting=2, max_running=1, filler_ms=200, max_rounds=2, timeout_ms=900),
    characters={
        "default": CharacterConfig(prompt="Be brief."),
        "robin": CharacterConfig(prompt="You are Robin.", greeting="Hello there."),
    },
)
"""Limits that short scripts cross."""

DOCUMENTED_CLOSES = {1000, 1001, 1008, 1009}

# --- the host ------------------------------------------------------------------------------------


async def _work(arguments: Mapping[str, object], context: ToolContext) -> str:
    context.progress(50, "half")
    await trio.sleep(float(str(arguments.get("seconds", 0.5))))
    return "done"


WORK = Tool("work", "Works.", {"type": "object"}, dict, _work)
LATER = attrs.evolve(WORK, name="later", detached=True)


@attrs.frozen
class Surroundings:
    """What the engines do, whatever they are asked."""

    heard: list[str | None]
    replies: list[str | None]
    sees: bool
    warm: bool
    """Whether the engines are loaded before anybody comes."""
    order: int
    """Seeds the order in which Trio runs tasks that could run at the same time."""

    def fakes(self) -> Fakes:
        failure = EngineError("The engine failed, as it was told to.")
        heard = [failure if text is None else text for text in self.heard]
        replies = [failure if text is None else text for text in self.replies]
        return Fakes(fake_stt(heard), fake_llm(replies, sees=self.sees), fake_tts(ms_per_char=10))


SURROUNDINGS = st.builds(
    Surroundings,
    scripts.HEARD,
    scripts.REPLIES,
    sees=st.booleans(),
    warm=st.sampled_from([True, True, False]),
    order=st.integers(0, 2**16),
)


class _Complaints(logging.Handler):
    """What libraries log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextmanager
def never_at_a_loss() -> Iterator[None]:
    """Fail if an error or a traceback is logged, at any level."""
    complaints = _Complaints()
    logging.getLogger().addHandler(complaints)
    try:
        with structlog.testing.capture_logs() as lines:
            yield
    finally:
        logging.getLogger().removeHandler(complaints)
    bad = [
        line for line in lines
        if line["log_level"] in {"error", "critical"} or line.get("exc_info")
    ]  # fmt: skip
    assert not bad
    assert not complaints.lines


def play(world: Surroundings, *acts: Visit | Request) -> None:
    """Have these clients come; then see that nothing of them is left and the next is served."""
    with never_at_a_loss(), without_threads():
        trio._core._run._r.seed(world.order)  # pytest-trio has made it decide alone
        trio.run(_play, world, acts, clock=MockClock(autojump_threshold=0))


async def _play(world: Surroundings, acts: tuple[Visit | Request, ...]) -> None:
    tools = [WORK, LATER]
    async with open_stage(world.fakes(), SMALL, warm=world.warm, tools=tools) as stage:
        with trio.fail_after(900):
            async with trio.open_nursery() as nursery:
                for act in acts:
                    nursery.start_soon(_act, stage, act)
                if not world.warm:
                    await trio.sleep(1)
                    stage.host.room.open(stage.fakes.engines())
        with trio.fail_after(10):
            await stage.host.presence.empty()
        assert stage.fakes.listening() == 0
        for path in ("/ws", f"/ws/{stage.host.active}"):
            await _is_served(stage, path)


async def _is_served(stage: Stage, path: str) -> None:
    async with stage.connect(f"{path}?client=the-next") as client:
        if path == "/ws":
            await client.send(type="ping")
        else:
            await client.send(action="ping")
        await client.type("pong")


# --- a visit -------------------------------------------------------------------------------------


@attrs.define(eq=False)
class Visitor:
    """One connected client."""

    visit: Visit
    socket: trio_websocket.WebSocketConnection
    stream: trio.abc.Stream
    told: Transcript
    pings: int = 0
    news: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    async def read(self) -> None:
        with suppress(trio_websocket.ConnectionClosed):
            while True:
                self.told.feed(await self.socket.get_message())
                self.news.unpark_all()
                if self.visit.reads_slowly:
                    await trio.sleep(0.1)
        self.news.unpark_all()

    async def ping(self) -> None:
        kind = "type" if self.visit.wire == "cortex" else "action"
        await self.socket.send_message(json.dumps({kind: "ping"}))
        self.pings += 1

    async def take(self, step: scripts.Step) -> None:
        match step:
            case Send():
                await self.socket.send_message(step.frame)
            case Ping():
                await self.ping()
            case Wait(seconds):
                await trio.sleep(seconds)
            case RawBytes(data):
                async with self.socket._stream_lock:  # between two messages of the library's own
                    await self.stream.send_all(data)
            case Leave(politely=True):
                await self.socket.aclose()
            case Leave():
                await trio.aclose_forcefully(self.stream)

    async def is_answered(self) -> None:
        """Whoever is still connected has had an answer to every ping, at once."""
        sent_s = trio.current_time()
        while self.told.pongs < self.pings and not self.socket.closed:
            await self.news.park()
        if not self.visit.reads_slowly:
            assert trio.current_time() - sent_s < 0.1, "the ping had to wait"


async def _act(stage: Stage, act: Visit | Request) -> None:
    await trio.sleep(act.begins_s)
    with trio.fail_after(600):
        if isinstance(act, Visit):
            await _visit(stage, act)
        else:
            await _request(stage, act)


async def _visit(stage: Stage, visit: Visit) -> None:
    ours, theirs = (narrow_stream_pair if visit.reads_slowly else memory_stream_pair)()
    stage.nursery.start_soon(handle_connection, stage.host, theirs)
    dialect = visit.path.partition("dialect=")[2] or "auto"
    async with trio.open_nursery() as nursery:
        socket = await trio_websocket.wrap_client_stream(
            nursery,
            ours,  # type: ignore[arg-type] # it takes any stream
            "test",
            visit.path,
            max_message_size=2**26,
        )
        visitor = Visitor(visit, socket, ours, Transcript(visit.wire, dialect))
        nursery.start_soon(visitor.read)
        with suppress(
            trio_websocket.ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError
        ):
            for step in visit.steps:
                await visitor.take(step)
            if not visit.breaks_frames:
                await visitor.ping()
                await visitor.is_answered()
        _check_end(visitor)
        with trio.move_on_after(5):
            await socket.aclose()
        nursery.cancel_scope.cancel()


def _check_end(visitor: Visitor) -> None:
    """The host closes for a documented reason, and ends no sentence in its middle."""
    visit, closed = visitor.visit, visitor.socket.closed
    if not (visit.leaves or visit.breaks_frames):
        assert closed is None or closed.code in DOCUMENTED_CLOSES, closed
        visitor.told.close(cut=visit.reads_slowly or closed is None)


async def _request(stage: Stage, request: Request) -> None:
    """Whatever is asked, the answer is HTTP, or none at all to what is nothing."""
    ours, theirs = memory_stream_pair()
    stage.nursery.start_soon(handle_connection, stage.host, theirs)
    answer = bytearray()

    async def read() -> None:
        with suppress(trio.BrokenResourceError):
            while data := await ours.receive_some():
                answer.extend(data)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        edges = [0, *request.cuts, len(request.data)]
        with suppress(trio.BrokenResourceError):
            for start, end in pairwise(edges):
                await ours.send_all(request.data[start:end])
                await trio.sleep(0.1)
            await trio.sleep(3)
            await ours.send_eof()
    _check_answer(request.data, bytes(answer))


def _check_answer(request: bytes, answer: bytes) -> None:
    """One complete answer of a status that means what it says, or an upgrade."""
    if not answer or answer.startswith(b"HTTP/1.1 101 "):
        return
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
    connection.receive_data(answer)
    connection.receive_data(b"")
    head = connection.next_event()
    assert isinstance(head, h11.Response)
    # 426 is the library's answer to a second, different Sec-WebSocket-Version.
    assert head.status_code in {
        200, 304, 400, 403, 404, 405, 408, 409, 421, 426, 503,
    }  # fmt: skip
    assert head.status_code != 426 or b"Version: 8" in request
    length = int(dict(head.headers).get(b"content-length", 0))
    assert len(answer.partition(b"\r\n\r\n")[2]) in {0, length}  # HEAD and 304 have none


# --- the plays -----------------------------------------------------------------------------------


@given(world=SURROUNDINGS, visit=scripts.visits())
def test_one_client_of_any_kind(world: Surroundings, visit: Visit) -> None:
    play(world, visit)


@given(
    world=SURROUNDINGS, acts=st.lists(scripts.visits() | scripts.requests(), min_size=2, max_size=4)
)
def test_clients_of_all_kinds_at_once(world: Surroundings, acts: list[Visit | Request]) -> None:
    play(world, *acts)


@given(acts=st.lists(scripts.requests(), min_size=1, max_size=4), order=st.integers(0, 2**16))
def test_requests_of_any_kind(acts: list[Request], order: int) -> None:
    play(Surroundings([], [], sees=False, warm=True, order=order), *acts)
