"""A whole host on memory streams: no sockets, no threads, so that MockClock decides the time."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import attrs
import numpy as np
import trio
import trio_websocket
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

from voicecore.audio import Samples, encode_s16le, ms_to_samples
from voicecore.config import CharacterConfig, Config
from voicecore.engines import Engines
from voicecore.engines.fake import (
    FakeEngine,
    FakeVad,
    babble,
    fake_llm,
    fake_stt,
    fake_tts,
    tone,
)
from voicecore.engines.interface import (
    Completeness,
    LlmChunk,
    Prompt,
    SpeechChunk,
    SpeechRequest,
    Transcript,
    TurnSound,
    Utterance,
    WordTime,
)
from voicecore.host import EngineRoom, Host
from voicecore.metrics import Metrics
from voicecore.server import handle_connection
from voicecore.store import MemoryStore, Store
from voicecore.tools.tool import Tool

PLAIN = Config(characters={"default": CharacterConfig(prompt="Be brief.")})
"""The default character without its example exchanges, so that prompts are easy to read."""

Received = dict[str, Any]


@attrs.define
class Fakes:
    stt: FakeEngine[Utterance, Transcript] = attrs.field(factory=fake_stt)
    llm: FakeEngine[Prompt, LlmChunk] = attrs.field(factory=fake_llm)
    tts: FakeEngine[SpeechRequest, SpeechChunk] = attrs.field(factory=fake_tts)

    turn: FakeEngine[TurnSound, Completeness] | None = None

    def engines(self) -> Engines:
        return Engines(FakeVad(), self.stt, self.llm, self.tts, turn=self.turn)

    def listening(self) -> int:
        """Streams still being listened to: none may be left after a cancel."""
        return self.stt.open + self.llm.open + self.tts.open


class Client:
    """One connected client: sends, and keeps what it received with the time."""

    def __init__(self, socket: trio_websocket.WebSocketConnection) -> None:
        self.socket = socket
        self.received: list[tuple[float, Received]] = []
        self.news = trio.lowlevel.ParkingLot()
        self.gone = trio.Event()

    async def read(self) -> None:
        while True:
            try:
                message = await self.socket.get_message()
            except trio_websocket.ConnectionClosed:
                self.gone.set()
                self.news.unpark_all()
                return
            self.received.append((trio.current_time(), json.loads(message)))
            self.news.unpark_all()

    async def send(self, **fields: object) -> None:
        await self.socket.send_message(json.dumps(fields))

    async def until(self, found: Callable[[Received], bool], *, after: int = 0) -> Received:
        """Wait for a message, past or future; 60 virtual seconds at most."""
        with trio.fail_after(60):
            while True:
                for _, message in self.received[after:]:
                    if found(message):
                        return message
                assert not self.gone.is_set(), f"closed after {self.messages()}"
                await self.news.park()

    async def type(self, kind: str, *, after: int = 0, **fields: object) -> Received:
        """Wait for a message of this type with these fields."""
        return await self.until(
            lambda m: m["type"] == kind and all(m.get(k) == v for k, v in fields.items()),
            after=after,
        )

    def messages(self, kind: str | None = None) -> list[Received]:
        return [m for _, m in self.received if kind is None or m["type"] == kind]

    def at(self, kind: str) -> list[float]:
        return [at_s for at_s, message in self.received if message["type"] == kind]

    def mark(self) -> int:
        return len(self.received)

    # --- N.E.K.O. ---

    async def start(self, **fields: object) -> None:
        await self.send(action="start_session", input_type="audio", **fields)
        await self.type("session_started", after=self.mark())

    async def say(self, seconds: float, *, silence_s: float = 1.0) -> None:
        """Speak noise in real time, then be silent; frames as a mobile client sends them."""
        voice = babble(round(seconds * 16_000))
        await self.microphone(
            np.concatenate([voice, np.zeros(round(silence_s * 16_000), np.int16)])
        )

    async def microphone(self, samples: Samples, frame: int = 512) -> None:
        for at in range(0, len(samples), frame):
            data = base64.b64encode(encode_s16le(samples[at : at + frame])).decode()
            await self.send(action="stream_data", input_type="audio", data=data)
            await trio.sleep(frame / 16_000)

    async def type_text(self, text: str) -> None:
        await self.send(action="stream_data", input_type="text", data=text)

    def text(self) -> str:
        return "".join(m["text"] for m in self.messages("text"))

    def statuses(self) -> list[str]:
        return [m["message"] for m in self.messages("status")]

    def sound_ms(self) -> float:
        return sum(len(m["audio_data"]) * 3 / 4 / 2 / 48 for m in self.messages("audio"))


def telling_tts(
    *, ms_per_word: float = 300, piece_ms: float = 170, rate_hz: int = 22_050
) -> FakeEngine[SpeechRequest, SpeechChunk]:
    """A voice that tells when it says each word: each lasts as long. Its sound comes in pieces."""

    def script(request: SpeechRequest) -> Iterator[tuple[float, SpeechChunk]]:
        words = tuple(
            WordTime(word, number * ms_per_word, (number + 1) * ms_per_word)
            for number, word in enumerate(request.text.split())
        )
        sound = tone(ms_to_samples(len(words) * ms_per_word, rate_hz), rate_hz)
        piece = ms_to_samples(piece_ms, rate_hz)
        for at in range(0, len(sound), piece):
            yield 0.05, SpeechChunk(sound[at : at + piece], rate_hz, () if at else words)

    return FakeEngine("tts", script)


@attrs.define
class Stage:
    """A running host and its doors."""

    host: Host
    fakes: Fakes
    nursery: trio.Nursery

    @asynccontextmanager
    async def connect(
        self, path: str = "/ws/default", *, within: trio.Nursery | None = None
    ) -> AsyncIterator[Client]:
        """Connect a client; its connection is served in the nursery ``within``."""
        ours, theirs = memory_stream_pair()
        serving = within or self.nursery
        serving.start_soon(handle_connection, self.host, theirs)
        async with trio.open_nursery() as nursery:
            socket = await trio_websocket.wrap_client_stream(
                nursery,
                ours,  # type: ignore[arg-type] # it takes any stream
                "test",
                path,
            )
            client = Client(socket)
            nursery.start_soon(client.read)
            yield client
            with trio.move_on_after(5):
                await socket.aclose()
            nursery.cancel_scope.cancel()

    async def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
        """Ask over plain HTTP; return status and body."""
        status, _, body = await self.request(path, method, **headers)
        return status, body

    async def request(
        self, path: str, method: str = "GET", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Ask over plain HTTP; return status, headers (names in lower case) and body."""
        ours, theirs = memory_stream_pair()
        self.nursery.start_soon(handle_connection, self.host, theirs)
        named = {"host": "localhost", **headers}.items()
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in named)
        await ours.send_all(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode())
        answer = b""
        while data := await ours.receive_some():
            answer += bytes(data)
        head, _, body = answer.partition(b"\r\n\r\n")
        first, *others = head.decode().split("\r\n")
        received = (line.partition(": ") for line in others)
        return int(first.split()[1]), {name.lower(): value for name, _, value in received}, body


@asynccontextmanager
async def open_stage(
    fakes: Fakes | None = None,
    config: Config | None = None,
    *,
    store: Store | None = None,
    warm: bool = True,
    tools: Sequence[Tool] = (),
) -> AsyncIterator[Stage]:
    """Open a host; on leaving it stops, and nothing of it may be left."""
    fakes = fakes or Fakes()
    ids = count(1)
    host = Host(
        config or PLAIN,
        store
        or MemoryStore(
            new_id=lambda: f"session{next(ids)}",
            now=lambda: 1_000.0,
            history=(config or PLAIN).llm.max_history_messages,
        ),
        Metrics(),
        EngineRoom(fakes.engines() if warm else None),
        wall_s=lambda: 1_000.0,
        new_id=lambda: f"id{next(ids)}",
        tools={tool.name: tool for tool in tools},
    )
    async with trio.open_nursery() as nursery:
        workshop: trio.CancelScope = await nursery.start(_keep_workshop_open, host)
        yield Stage(host, fakes, nursery)
        host.stopping.set()
        with trio.fail_after(30):
            await host.presence.empty()
        workshop.cancel()
    assert fakes.listening() == 0


async def _keep_workshop_open(
    host: Host, task_status: trio.TaskStatus[trio.CancelScope] = trio.TASK_STATUS_IGNORED
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(host.workshop.keep_open)
        await wait_all_tasks_blocked()
        task_status.started(nursery.cancel_scope)
