"""Where the tests go: a host on a real port, and a client that is made of other people's code.

The host runs in a thread of its own, on engines that follow a script; or in a process of its own,
on the models. A client waits long and decides by order and content, never by time.
"""

from __future__ import annotations

import base64
import io
import json
import queue
import signal
import subprocess
import sys
import threading
import urllib.request
import uuid
import wave
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlencode

import attrs
import numpy as np
import outcome
import structlog
import trio
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.conformance import shapes
from tests.harness import PLAIN, Fakes
from voicecore.audio import EAR_HZ, MOUTH_HZ, Samples, encode_s16le
from voicecore.config import Config
from voicecore.engines.fake import Reply, babble, fake_llm, fake_stt, fake_tts, tone
from voicecore.host import EngineRoom, Host
from voicecore.metrics import Metrics
from voicecore.server import listening
from voicecore.store import SqliteStore, Store
from voicecore.tools.tool import Tool

WAIT_S = 30.0
"""For anything that must come; a machine may be busy."""
QUIET_S = 0.3
"""Listened to for what must not come."""
PITCH_HZ = 220
MS_PER_CHAR = 10.0
"""The fake voice hurries, so that the tests do."""

Message: TypeAlias = dict[str, Any]


# --- the client ----------------------------------------------------------------------------------


class Client:
    """One connection. Everything it receives is held against the protocol's shapes."""

    def __init__(self, socket: ClientConnection, *known: Mapping[str, shapes.Shape]) -> None:
        self.socket = socket
        self.received: list[Message] = []
        self._known = known

    def send(self, **fields: object) -> None:
        self.socket.send(json.dumps(fields))

    def send_frame(self, frame: str | bytes) -> None:
        self.socket.send(frame)

    def receive(self, timeout_s: float = WAIT_S) -> Message:
        """Take the next message. A header is paired with the very next frame, as clients do."""
        frame = self.socket.recv(timeout=timeout_s)
        assert isinstance(frame, str), "a binary frame without a header: a client throws it away"
        message: Message = json.loads(frame)
        problems = [shapes.fault(message, known) for known in self._known]
        assert "" in problems, problems[0]
        if message["type"] == "audio_chunk":
            pcm = self.socket.recv(timeout=WAIT_S)
            assert isinstance(pcm, bytes), f"a header without a frame, but {pcm}"
            message["pcm"] = pcm
        self.received.append(message)
        return message

    def until(self, kind: str, **fields: object) -> list[Message]:
        """Take messages up to the first of this type with these fields."""
        found: list[Message] = []
        while True:
            found.append(self.receive())
            last = found[-1]
            if last["type"] == kind and all(last.get(k) == v for k, v in fields.items()):
                return found

    def next(self, kind: str, **fields: object) -> Message:
        """Wait for a message of this type with these fields."""
        return self.until(kind, **fields)[-1]

    def listen(self, seconds: float = QUIET_S) -> list[Message]:
        """Take what comes until nothing has come for so long."""
        found: list[Message] = []
        with suppress(TimeoutError):
            while True:
                found.append(self.receive(seconds))
        return found

    def closed(self) -> int:
        """Take what comes until the host has closed the connection; return its code."""
        try:
            while True:
                self.receive()
        except ConnectionClosed:
            assert self.socket.close_code is not None
            return self.socket.close_code

    # --- N.E.K.O. ---

    def start(self, mode: str = "audio", *, new: bool = False) -> list[Message]:
        self.send(action="start_session", input_type=mode, new_session=new)
        return self.until("session_started") + self.until("status")

    def type_text(self, text: str) -> None:
        self.send(action="stream_data", input_type="text", data=text)

    def ask(self, text: str) -> list[Message]:
        """Type, and take the answer to the end of its text."""
        self.type_text(text)
        return self.until("system", data="turn end")

    def microphone(self, samples: Samples, frame: int = 512, **fields: object) -> None:
        """Send sound as base64, as fast as it is taken."""
        for at in range(0, len(samples), frame):
            data = to_base64(encode_s16le(samples[at : at + frame]))
            self.send(action="stream_data", input_type="audio", data=data, **fields)

    # --- CortexPrism ---

    def chat(self, text: str, **fields: object) -> list[Message]:
        """Send a message and take everything up to ``done``."""
        self.send(type="chat", message=text, **fields)
        return self.until("done")


def wav_samples(message: Message) -> Samples:
    """Read a clip of CortexPrism's as any player would: 48 kHz."""
    assert message["format"] == "wav"
    with wave.open(io.BytesIO(base64.b64decode(message["data"], validate=True))) as clip:
        assert (clip.getnchannels(), clip.getsampwidth()) == (1, 2)
        assert clip.getframerate() == MOUTH_HZ
        return np.frombuffer(clip.readframes(clip.getnframes()), "<i2").astype(np.int16)


def to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def only(messages: Sequence[Message], kind: str) -> list[Message]:
    return [message for message in messages if message["type"] == kind]


def kinds(messages: Sequence[Message]) -> list[str]:
    """Types in order, each once; without what may come at any time."""
    return list(dict.fromkeys(m["type"] for m in messages if m["type"] != "agent_status_update"))


def text_of(messages: Sequence[Message]) -> str:
    """The reply's text, whatever the protocol and the dialect."""
    keys = {"text": "text", "gemini_response": "text", "chunk": "delta"}
    return "".join(m[keys[m["type"]]] for m in messages if m["type"] in keys)


def sound_of(messages: Sequence[Message]) -> Samples:
    """The reply's sound at 48 kHz, in both dialects of N.E.K.O."""
    pcm = [
        message.get("pcm") or base64.b64decode(message["audio_data"])
        for message in messages
        if message["type"] in {"audio", "audio_chunk"}
    ]
    return np.frombuffer(b"".join(pcm), "<i2").astype(np.int16)


def pitch_hz(samples: Samples, rate_hz: int) -> float:
    """The strongest frequency."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate_hz / len(samples))


def speech(seconds: float = 1.0, rate_hz: int = EAR_HZ, *, silence_s: float = 1.0) -> Samples:
    """What the fake ears take for speech, and the silence that ends it."""
    count = round(seconds * rate_hz)
    voice = tone(count, rate_hz, hz=PITCH_HZ) + babble(count)
    return np.concatenate([voice, np.zeros(round(silence_s * rate_hz), np.int16)])


# --- the host ------------------------------------------------------------------------------------


@attrs.define(eq=False)
class Place:
    """A host somewhere, and a question that its ears understand."""

    address: str
    question: Samples = attrs.field(factory=speech)
    """At 16 kHz, with silence at its end."""

    @contextmanager
    def connect(
        self, path: str = "/ws/default", *, as_client: str = "", **query: str
    ) -> Iterator[Client]:
        """Connect as a client nobody has met, or as the one of this name."""
        asked = urlencode({"client": as_client or uuid.uuid4().hex, **query})
        known = (shapes.CORTEX,) if path == "/ws" else _dialects(query.get("dialect", ""))
        address = f"ws://{self.address}{path}?{asked}"
        # Clips are longer than the library allows, and what is unread would hold up its goodbye.
        with connect(address, max_size=None, close_timeout=1) as socket:
            yield Client(socket, *known)

    def post(self, path: str, body: object) -> Message:
        request = urllib.request.Request(
            f"http://{self.address}{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
            found: Message = json.load(answer)
        return found


def _dialects(dialect: str) -> tuple[Mapping[str, shapes.Shape], ...]:
    known = {"documented": (shapes.DOCUMENTED,), "native": (shapes.NATIVE,)}
    return known.get(dialect, (shapes.DOCUMENTED, shapes.NATIVE))


@attrs.define(eq=False)
class ThreadPlace(Place):
    """A host in a thread, on engines that tell what they were asked."""

    host: Host = attrs.field(kw_only=True)
    fakes: Fakes = attrs.field(kw_only=True)
    data: Path = attrs.field(kw_only=True)
    token: trio.lowlevel.TrioToken = attrs.field(kw_only=True)

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Have the host's thread do something."""
        trio.from_thread.run_sync(function, *args, trio_token=self.token)

    def prompts(self) -> list[list[str]]:
        """What the model was given each time, without the character's own prompt."""
        return [[m.content for m in request.messages[1:]] for request in self.fakes.llm.requests]


def quick(*replies: Reply, **fields: Any) -> Fakes:
    """Engines that follow a script without losing time."""
    fields = {"first_token_s": 0.01, "tokens_per_s": 1_000, **fields}
    return Fakes(
        fake_stt(delay_s=0.01),
        fake_llm(replies, **fields),
        fake_tts(delay_s=0.001, ms_per_char=MS_PER_CHAR),
    )


def story(sentences: int = 40) -> str:
    """A reply that lasts: 3 s for each ten sentences of the hurried voice."""
    return " ".join(["Once upon a time there was a king."] * sentences)


@contextmanager
def open_thread(
    data: Path,
    fakes: Fakes,
    config: Config = PLAIN,
    *,
    tools: Sequence[Tool] = (),
    warm: bool = True,
    store: Store | None = None,
) -> Iterator[ThreadPlace]:
    """Run a host until the block is left. It must not log an error."""
    config = attrs.evolve(config, server=attrs.evolve(config.server, port=0, drain_ms=500))
    config = attrs.evolve(config, paths=attrs.evolve(config.paths, data=data))
    news: queue.SimpleQueue[ThreadPlace | BaseException] = queue.SimpleQueue()

    async def serve() -> None:
        kept = store or SqliteStore(data, new_id=lambda: uuid.uuid4().hex, now=lambda: 1_000.0)
        room = EngineRoom(fakes.engines() if warm else None)
        host = Host(config, kept, Metrics(), room, tools={tool.name: tool for tool in tools})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(host.workshop.keep_open)
            async with listening(host) as address:
                token = trio.lowlevel.current_trio_token()
                where = address.url.removeprefix("http://")
                news.put(ThreadPlace(where, host=host, fakes=fakes, data=data, token=token))
                await host.stopping.wait()
            nursery.cancel_scope.cancel()
        await kept.aclose()

    def run() -> None:
        ended = outcome.capture(trio.run, serve)
        if isinstance(ended, outcome.Error):
            news.put(ended.error)

    with structlog.testing.capture_logs() as logs:
        thread = threading.Thread(target=run)
        thread.start()
        place = news.get(timeout=WAIT_S)
        if isinstance(place, BaseException):
            raise place
        try:
            yield place
        finally:
            place.call(place.host.stopping.set)
            thread.join(WAIT_S)
    assert news.empty(), news.get()
    assert [line for line in logs if line["log_level"] in {"error", "critical"}] == []
    assert fakes.listening() == 0


Opener: TypeAlias = Callable[..., ThreadPlace]
"""Opens a host for a test: replies of the model in turn, or ``fakes``; else as `open_thread`."""


@contextmanager
def open_process(*options: str) -> Iterator[str]:
    """Run `voicecore serve`; gives its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "voicecore", "serve", "--port", "0", "--offline", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        ready = process.stdout.readline()
        assert ready, process.communicate()[1]
        yield ready.split("//")[1].strip()
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
