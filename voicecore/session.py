"""One conversation: every channel is opened here, every task started here.

    socket → read ─┬→ ingest → hearing (hearing.py) ───┐
                   ├→ recordings ──┘                   │
                   ├→ pictures → see ──────────────────┤
                   └───────── commands ───────────→ converse
                                                       │ a turn, one cancel scope (answering.py)
                                                       │
    socket ← write ←────────────────────── outbox ←────┘

Nesting is shutdown order. The writer and the keeper of memories are in the outer nursery and die
last, so that farewells are sent and everything said is stored; all else is in the inner one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import structlog
import trio
import trio_websocket

from voicecore import events
from voicecore.answering import Answering
from voicecore.audio import Pcm, Samples
from voicecore.ears.ingest import ingest
from voicecore.ears.recording import Recording
from voicecore.engines.interface import VAD_FRAME_MS, Message
from voicecore.errors import ClientError, ClientTooSlow, StoreError
from voicecore.eyes.see import Sights, read_files, see
from voicecore.hearing import Hearing
from voicecore.host import Host
from voicecore.mind.converse import converse
from voicecore.mind.floor import Surroundings
from voicecore.mind.happenings import (
    Close,
    Disconnected,
    FilesFailed,
    FilesRead,
    Happening,
    Open,
    Opened,
    OpenFailed,
    Overheard,
    ReadFiles,
    Remember,
    TurnOver,
)
from voicecore.mind.prompt import room_for_documents
from voicecore.mind.remember import Flush, Memory, Note, remember
from voicecore.mind.turn import Turn
from voicecore.mind.turns import TurnTaking
from voicecore.presence import Guest, Seat
from voicecore.reception import Closing, Door, Episodes, Inlets, Spool, receive
from voicecore.store.records import JsonValue
from voicecore.wire.outbox import Outbox
from voicecore.wire.write import write

log = structlog.get_logger()

# How much may wait in each channel. The large ones hold time on purpose; the others only decouple.
SOUND = 16
"""Microphone messages; ingest takes them at once and never waits."""
RECORDING_PARTS = 4
"""Parts of recorded messages, each at most 256 kB (`wire.cortex`); the others wait in a `Spool`."""
INBOX = 64
"""Happenings; the conversation handles one in microseconds."""
MEMORIES = 256
"""Messages waiting for the disk, a few kB each."""


@attrs.define(eq=False)
class Session:
    """One conversation's graph; the conversation starts its parts when they are needed."""

    host: Host
    guest: Guest
    outbox: Outbox
    inbox: trio.MemorySendChannel[Happening]
    frames: trio.MemoryReceiveChannel[Samples]
    recordings: trio.MemoryReceiveChannel[Recording]
    memories: trio.MemorySendChannel[Memory]
    taking: TurnTaking
    door: Door
    seat: Seat = attrs.field(init=False)
    _shown_status: object = attrs.field(default=None, init=False)
    _overruns: Episodes = attrs.field(factory=lambda: Episodes(quiet_s=5.0), init=False)

    def emit(self, event: events.Event) -> None:
        match event:
            case events.Problem():
                self.host.metrics.problems.labels(event.code).inc()
                log.info("problem", code=event.code)
                self._note("problem", code=event.code)
            case events.ConversationOpened():
                structlog.contextvars.bind_contextvars(session=event.session_id)
            case events.UserWords() if self.host.config.logs.content:
                log.info("heard", text=event.text)
        self.outbox.put(event)

    @seat.default
    def _seat(self) -> Seat:
        return Seat(
            self.guest,
            lambda: self.taking.conversation,
            self.tell,
            self.offer,
            self.dismiss,
            self.stored,
        )

    def tell(self, event: events.Event) -> None:
        """Pass on what others have to say to this client."""
        try:
            self.emit(event)
            if isinstance(event, events.TaskChanged):
                self.emit_agent_status()
        except ClientTooSlow:
            self.door.close(Closing(1008, "messages are not read"))

    def dismiss(self, last_words: events.Event) -> None:
        self.tell(last_words)
        self.door.close(Closing(1000, "this connection is over"))

    def emit_agent_status(self) -> None:
        tools = self.host.tools_for(self.host.character(self.guest.character))
        tasks = self.host.workshop.tasks(self.guest.key)
        shown = (tuple(tools), tuple((task.id, task.status) for task in tasks))
        if shown != self._shown_status:
            self._shown_status = shown
            self.emit(events.AgentStatus(tasks, tuple(tools)))

    def offer(self, happening: Happening) -> None:
        """Have the conversation take something, if it is not hopelessly behind."""
        try:
            self.inbox.send_nowait(happening)
        except trio.WouldBlock:
            log.warning("the conversation is behind", lost=type(happening).__name__)
        except trio.BrokenResourceError:
            log.debug("the conversation is over", lost=type(happening).__name__)

    def use_character(self, name: str) -> None:
        if name != self.guest.character:
            self.guest.character = name
            self.emit_agent_status()

    def share(self, event: events.Event) -> None:
        for other in self.host.presence.beside(self.seat):
            other.tell(event)

    def begin_turn(self, turn: Turn) -> None:
        structlog.contextvars.bind_contextvars(turn=turn.id)
        self.outbox.begin(turn.id, held=turn.held)

    def release(self, turn: Turn) -> None:
        del turn  # the live one
        self.outbox.release()

    def interrupt(self, turn: str, notice: events.Event | None) -> None:
        if self.outbox.held:  # a guess that was wrong: nobody ever knew of it
            self.outbox.interrupt(notice)
            return
        dropped_ms = self.outbox.interrupt(notice)
        self.host.metrics.turns.labels(self.guest.wire.name, "interrupted").inc()
        log.info("interrupted", turn=turn, dropped_ms=round(dropped_ms))
        kind = "stopped" if isinstance(notice, events.Stopped) else "interrupted"
        self._note(kind, turn=turn, dropped_ms=round(dropped_ms))

    def suspend(self, turn: str, notice: events.Event) -> None:
        unheard_ms = self.outbox.suspend(notice)
        log.info("suspended", turn=turn, unheard_ms=round(unheard_ms))

    def resume(self, turn: str) -> None:
        self.outbox.resume()
        self.host.metrics.turns.labels(self.guest.wire.name, "resumed").inc()
        log.info("resumed", turn=turn)

    def _note(self, kind: str, **detail: JsonValue) -> None:
        """Keep in the conversation's file that something happened, if the disk keeps up."""
        session_id = self.taking.conversation
        if session_id is not None:
            try:
                self.memories.send_nowait(Note(session_id, kind, detail))
            except (trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
                log.debug("an event was not kept", kind=kind)

    def emit_error(self, error: ClientError) -> None:
        self.emit(events.Problem(error.code, str(error)))

    def overrun(self, dropped_ms: float) -> None:
        self.host.metrics.dropped_ms.inc(dropped_ms)
        if self._overruns.begins(trio.current_time()):
            text = (
                "The host is behind: microphone sound is being dropped. It was sent faster than "
                "real time, before the session started, or the host is overloaded."
            )
            self.emit(events.Problem("AUDIO_OVERRUN", text))

    def forget_sound(self) -> None:
        while True:
            try:
                self.frames.receive_nowait()
            except (trio.WouldBlock, trio.EndOfChannel):
                return

    async def remember(self, memory: Remember | Close) -> None:
        if isinstance(memory, Remember):
            for other in self.host.presence.beside(self.seat):
                other.offer(Overheard(memory.session_id, memory.messages))
        await self.memories.send(memory)

    async def stored(self) -> None:
        """Wait until all that was said here so far is stored."""
        flush = Flush()
        try:
            await self.memories.send(flush)
        except (trio.ClosedResourceError, trio.BrokenResourceError):
            return  # the session is ending; `Presence.settled` waits for that
        await flush.done.wait()

    async def open(self, action: Open) -> None:
        """Load the conversation, and wait for the engines; then say so."""
        store, guest = self.host.store, self.guest
        me = {"character": guest.character, "client": guest.key}
        wanted = action.session_id
        await self.stored()
        await self.host.presence.settled(self.seat)
        try:
            continued = await store.latest(**me) if wanted is None and action.latest else None
            for other in self.host.presence.of_conversation(wanted or continued):
                await other.stored()
            try:
                record, created = await store.open(wanted or continued, **me)
            except StoreError as error:
                if continued is None:
                    raise
                # The last conversation is damaged: say so, and begin another.
                self.emit(events.Problem(error.code, str(error)))
                record, created = await store.open(None, **me)
        except (ClientError, StoreError) as error:
            await self.inbox.send(OpenFailed(error.code, str(error), action.number))
            return
        await self.host.room.warm()
        log.info("conversation opened", session=record.id, new=created)
        await self.inbox.send(Opened(record, action.number))

    async def listen(self) -> None:
        """The ears: frames and recordings to words."""
        hearing = Hearing(
            self.host, self.guest, self.frames, self.recordings, self.inbox, self.outbox.ready
        )
        await hearing.listen()

    async def answer(self, turn: Turn, history: tuple[Message, ...]) -> None:
        await self._answering.answer(turn, history)
        await self.inbox.send(TurnOver(turn.id))

    async def read_ahead(self, history: tuple[Message, ...]) -> None:
        await self._answering.read_ahead(history)

    async def recite(self, turn: Turn) -> None:
        await self._answering.recite(turn)
        await self.inbox.send(TurnOver(turn.id))

    async def read_files(self, action: ReadFiles) -> None:
        llm = self.host.config.llm
        room_chars = room_for_documents(
            budget_tokens=llm.prompt_tokens, max_tokens=llm.reply_tokens
        )
        try:
            text, images = await read_files(
                action.files,
                self.host.config.eyes,
                can_see=await self.can_see(),
                room_chars=room_chars,
            )
        except ClientError as error:
            await self.inbox.send(FilesFailed(action.number, error.code, str(error)))
        else:
            await self.inbox.send(FilesRead(action.number, text, images))

    async def can_see(self) -> bool:
        """Whether the language model takes pictures; waits until it is loaded."""
        engines = await self.host.room.warm()
        return self.host.llm(engines, self.host.character(self.guest.character)).info.sees

    @property
    def _answering(self) -> Answering:
        conversation = self.taking.conversation or ""
        return Answering(self.host, self.guest, conversation, self.outbox, self.emit)


async def run_session(
    host: Host, guest: Guest, socket: trio_websocket.WebSocketConnection
) -> Closing:
    """Run one conversation until its client leaves, misbehaves, or the host stops.

    Raises:
        ClientTooSlow: in a group; it does not read what it is sent.

    **Cancellation**: everything ends at once; what was said so far is stored if the disk is quick.
    """
    mouth = host.config.mouth
    outbox = Outbox(
        lead_ms=mouth.lead_ms if guest.wire.paced else math.inf, capacity_ms=mouth.outbox_ms
    )
    memories_in, memories_out = trio.open_memory_channel[Memory](MEMORIES)

    def not_stored(error: StoreError) -> None:
        outbox.put(events.Problem(error.code, str(error)))

    async def keep() -> None:
        await remember(memories_out, host.store, not_stored)
        host.presence.left(guest)  # all is stored, though the farewell may take its time

    try:
        async with trio.open_nursery() as outer:
            outer.start_soon(write, outbox, guest.wire, socket)
            outer.start_soon(keep)
            with memories_in:
                closing = await _converse(host, guest, socket, outbox, memories_in)
            outbox.close()
            # Close and wait, do not cancel: the farewell is still on its way.
            outer.cancel_scope.deadline = trio.current_time() + host.config.server.drain_ms / 1000
    finally:
        host.presence.left(guest)
    host.metrics.peak("outbox_ms", outbox.peak_ms)
    return closing


async def _converse(
    host: Host,
    guest: Guest,
    socket: trio_websocket.WebSocketConnection,
    outbox: Outbox,
    memories: trio.MemorySendChannel[Memory],
) -> Closing:
    """The inner part: what reads, hears and thinks. Ends when the client has left."""
    config = host.config
    sound_in, sound_out = trio.open_memory_channel[Pcm](SOUND)
    frames_in, frames_out = trio.open_memory_channel[Samples](
        config.ears.backlog_ms // VAD_FRAME_MS
    )
    recordings_in, recordings_out = trio.open_memory_channel[Recording](RECORDING_PARTS)
    inbox_in, inbox_out = trio.open_memory_channel[Happening](INBOX)
    taking, door, sights = TurnTaking(_surroundings(host, guest, outbox)), Door(), Sights()
    session = Session(
        host, guest, outbox, inbox_in, frames_out, recordings_out, memories, taking, door
    )
    spool = Spool(recordings_in, config.ears.max_recording_bytes)
    inlets = Inlets(taking, outbox, sound_in, spool, inbox_in, sights)

    async def until_left() -> None:
        await receive(host, guest.wire, socket, inlets, door)
        await inbox_in.send(Disconnected())

    async def until_over() -> None:
        await converse(taking, inbox_out, session)
        inner.cancel_scope.cancel("the client left")

    session.emit(events.Connected())
    session.emit_agent_status()
    with _seated(host, session):
        async with trio.open_nursery() as inner:
            inner.start_soon(until_left)
            inner.start_soon(until_over)
            inner.start_soon(ingest, sound_out, frames_in, session.overrun, session.emit_error)
            inner.start_soon(see, sights, session, config.eyes)
    host.metrics.peak("frames", frames_in.statistics().peak_buffer_used)
    host.metrics.peak("inbox", inbox_in.statistics().peak_buffer_used)
    return door.closing


@contextmanager
def _seated(host: Host, session: Session) -> Iterator[None]:
    host.presence.enter(session.seat)
    try:
        yield
    finally:
        host.presence.step_down(session.seat)


def _surroundings(host: Host, guest: Guest, outbox: Outbox) -> Surroundings:
    return Surroundings(
        waits_for_start=guest.wire.waits_for_start,
        now_s=trio.current_time,
        wall_s=host.wall_s,
        played_ms=outbox.played_ms,
        new_turn_id=host.new_id,
        max_turn_chars=host.config.ears.max_turn_chars,
        max_text_chars=host.config.server.max_text_chars,
        max_messages=host.config.llm.max_history_messages,
        knows=host.knows,
        character=lambda: guest.character,
        greeting=lambda: host.character(guest.character).greeting,
    )
