"""A person at a terminal, without one: a card, a screen and keys that tests hold in their hands."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import attrs
import numpy as np
import trio
import trio_websocket
from trio.testing import memory_stream_pair

from tests.harness import Fakes, Stage, open_stage
from voicecore.audio import EAR_HZ, MOUTH_HZ, Samples
from voicecore.client import HostUnreachable, Socket
from voicecore.config import Config
from voicecore.server import handle_connection
from voicecore.talk.conversation import Plan, talk
from voicecore.talk.dialogue import Line, ReplyEnd, ReplyText, Shown
from voicecore.talk.keyboard import LineEditor, Typing
from voicecore.talk.sound import DeviceError, Ends, Opened
from voicecore.talk.status import Status

FRAME_S = 0.02


@attrs.define
class FakeCard:
    """A microphone that hears what the test says, and a speaker that keeps what it played."""

    has_microphone: bool = True
    has_speaker: bool = True
    missing: bool = False
    """It cannot be opened."""
    rate_hz: int = EAR_HZ
    noise: int = 1
    """What a quiet room sounds like."""
    said: list[Samples] = attrs.field(factory=list)
    """What is still to be heard."""
    played: list[Samples] = attrs.field(factory=list)
    """20 ms at a time."""
    heard_at: list[float] = attrs.field(factory=list)
    """When something audible was played."""
    opened: int = 0
    unplugged: trio.Event = attrs.field(factory=trio.Event)

    def say(self, sound: Samples) -> None:
        size = round(self.rate_hz * FRAME_S)
        self.said += [sound[at : at + size] for at in range(0, len(sound) - size + 1, size)]

    @property
    def sound(self) -> Samples:
        return np.concatenate(self.played)

    @asynccontextmanager
    async def open(self, ends: Ends) -> AsyncIterator[Opened]:
        if self.missing:
            raise DeviceError("there is none")
        self.unplugged = trio.Event()
        self.opened += 1
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._run, ends)
                yield Opened(
                    "mic" if self.has_microphone else None, "box" if self.has_speaker else None
                )
                nursery.cancel_scope.cancel()
        finally:
            self.opened -= 1

    async def _run(self, ends: Ends) -> None:
        begun_s = trio.current_time()
        silence = np.full(round(self.rate_hz * FRAME_S), self.noise, np.int16)
        number = 0
        while not self.unplugged.is_set():
            number += 1
            await trio.sleep_until(begun_s + number * FRAME_S)
            if self.has_speaker:
                self.played.append(ends.take(round(MOUTH_HZ * FRAME_S), MOUTH_HZ))
                if self.played[-1].any():
                    self.heard_at.append(trio.current_time())
            if self.has_microphone:
                ends.heard(self.said.pop(0) if self.said else silence, self.rate_hz)
        ends.fail("it was unplugged")
        await trio.sleep_forever()


@attrs.define
class FakeScreen:
    """What was shown, and when."""

    lines: list[tuple[float, Shown]] = attrs.field(factory=list)
    now: Status = attrs.field(factory=lambda: Status("connecting"))
    phases: list[str] = attrs.field(factory=list)
    news: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    def show(self, shown: Sequence[Shown]) -> None:
        self.lines += [(trio.current_time(), item) for item in shown]
        self.news.unpark_all()

    def status(self, status: Status) -> None:
        self.now = status
        if self.phases[-1:] != [status.phase]:
            self.phases.append(status.phase)
        self.news.unpark_all()

    def texts(self, kind: str) -> list[str]:
        return [item.text for _, item in self.lines if isinstance(item, Line) and item.kind == kind]

    @property
    def replies(self) -> list[str]:
        """The replies that are complete; one that was interrupted ends with a stroke."""
        found, text = [], ""
        for _, item in self.lines:
            if isinstance(item, ReplyText):
                text += item.text
            elif isinstance(item, ReplyEnd):
                found.append(text + ("|" if item.stopped else ""))
                text = ""
        return found

    async def until(self, condition: Callable[[], bool]) -> None:
        with trio.fail_after(60):
            while not condition():
                await self.news.park()


class FakeTyping(Typing):
    """Lines that the test types."""

    def __init__(self) -> None:
        super().__init__(-1, LineEditor())
        self._in, self._out = trio.open_memory_channel[str](16)

    def type(self, line: str) -> None:
        self._in.send_nowait(line)

    def end(self) -> None:
        self._in.close()

    async def next(self) -> str | None:
        try:
            return await self._out.receive()
        except trio.EndOfChannel:
            return None


@attrs.define
class Network:
    """How a stage is reached, and how it can be out of reach."""

    stage: Stage
    down: HostUnreachable | None = None
    urls: list[str] = attrs.field(factory=list)
    _streams: list[trio.abc.Stream] = attrs.field(factory=list)

    @asynccontextmanager
    async def connect(self, url: str) -> AsyncIterator[Socket]:
        self.urls.append(url)
        await trio.lowlevel.checkpoint()
        if self.down is not None:
            raise self.down
        ours, theirs = memory_stream_pair()
        self._streams = [ours, theirs]
        self.stage.nursery.start_soon(handle_connection, self.stage.host, theirs)
        async with ours, trio.open_nursery() as nursery:
            socket = await trio_websocket.wrap_client_stream(
                nursery,
                ours,  # type: ignore[arg-type] # it takes any stream
                "localhost",
                url.removeprefix("ws://localhost"),
            )
            try:
                yield Socket(socket)
            finally:
                with trio.move_on_after(2, shield=True):
                    await socket.aclose()
            nursery.cancel_scope.cancel()

    def hold_back(self) -> None:
        """Let nothing that the host sends arrive any more."""

        async def wait(_: int | None = None) -> bytes:
            await trio.sleep_forever()
            raise AssertionError

        self._streams[0].receive_some = wait  # type: ignore[method-assign, assignment]

    async def cut(self, why: HostUnreachable | None = None) -> None:
        """Lose the connection, and every later attempt."""
        self.down = why or HostUnreachable("No host answers.")
        for stream in self._streams:
            await trio.aclose_forcefully(stream)


@attrs.define
class Scene:
    """A person who talks to a host."""

    stage: Stage
    network: Network
    card: FakeCard
    screen: FakeScreen
    typing: FakeTyping
    leave: trio.Event
    over: trio.Event
    """`talk` has returned."""

    async def started(self) -> None:
        await self.screen.until(lambda: "listening" in self.screen.phases)


@asynccontextmanager
async def open_scene(
    fakes: Fakes | None = None,
    config: Config | None = None,
    *,
    card: FakeCard | None = None,
    **plan: object,
) -> AsyncIterator[Scene]:
    """Open a host and a conversation with it; on leaving the person leaves."""
    async with open_stage(fakes, config) as stage, trio.open_nursery() as nursery:
        network, screen, typing = Network(stage), FakeScreen(), FakeTyping()
        scene = Scene(
            stage, network, card or FakeCard(), screen, typing, trio.Event(), trio.Event()
        )
        fields: dict[str, object] = {
            "url": "ws://localhost/ws/default",
            "client": "someone",
            "card": scene.card,
            "typing": typing,
            "connect": network.connect,
            **plan,
        }

        async def run() -> None:
            await talk(Plan(**fields), screen, scene.leave)  # type: ignore[arg-type]
            scene.over.set()

        nursery.start_soon(run)
        yield scene
        scene.leave.set()
        with trio.fail_after(10):
            await scene.over.wait()
        assert scene.card.opened == 0
