"""What a conversation's decisions do: to its client, its turn, its ears, the store, and others."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import structlog
import trio

from voicecore import events
from voicecore.answering import Answering
from voicecore.audio import Samples
from voicecore.ears.recording import Recording
from voicecore.engines.interface import Message
from voicecore.errors import ClientError, ClientTooSlow, StoreError
from voicecore.eyes.see import read_files
from voicecore.hearing import Hearing, Replies
from voicecore.host import Host
from voicecore.mind.happenings import (
    Close,
    FilesFailed,
    FilesRead,
    Happening,
    Open,
    Opened,
    OpenFailed,
    Overheard,
    Phase,
    ReadFiles,
    Remember,
    TurnOver,
)
from voicecore.mind.prompt import room_for_documents
from voicecore.mind.remember import Flush, Memory, Note
from voicecore.mind.turn import Turn
from voicecore.mind.turns import TurnTaking
from voicecore.presence import Guest, Seat
from voicecore.reception import Closing, Door, Episodes
from voicecore.store.records import JsonValue
from voicecore.wire.outbox import Outbox

log = structlog.get_logger()

UNKNOWN_CONVERSATION = (
    "There is no such conversation of yours with this character; start without a session_id."
)


@attrs.define(eq=False)
class Effects:
    """The `Doings` of one conversation, with a real client, engines and a store."""

    host: Host
    guest: Guest
    replies: Replies
    inbox: trio.MemorySendChannel[Happening]
    frames: trio.MemoryReceiveChannel[Samples]
    recordings: trio.MemoryReceiveChannel[Recording]
    memories: trio.MemorySendChannel[Memory]
    taking: TurnTaking
    door: Door
    be_patient: Callable[[bool], None]
    """Has the socket take what comes at once, or a little later and together."""
    seat: Seat = attrs.field(init=False)
    _claimed: str | None = attrs.field(default=None, init=False)
    """The conversation found for the newest `Open`."""
    _shown_status: object = attrs.field(default=None, init=False)
    _overruns: Episodes = attrs.field(factory=lambda: Episodes(quiet_s=5.0), init=False)

    @property
    def outbox(self) -> Outbox:
        return self.replies.outbox

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
            lambda: self._claimed if self.taking.phase is Phase.OPENING else None,
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
        """Wait until all that was said here so far is stored, or lost: the session was cut."""
        flush = Flush()
        try:
            await self.memories.send(flush)
        except (trio.ClosedResourceError, trio.BrokenResourceError):
            return  # the session is ending; `Presence.settled` waits for that
        await flush.done.wait()

    async def open(self, action: Open) -> None:
        """Wait for the engines and load the conversation; then say so."""
        store, guest = self.host.store, self.guest
        me = {"character": guest.character, "client": guest.key}
        wanted = action.session_id
        await self.host.room.warm()
        await self.stored()
        await self.host.presence.settled(self.seat)
        try:
            async with self.host.presence.claims:
                if action.own and wanted is not None:
                    await self._refuse_if_foreign(wanted)
                continued = await store.latest(**me) if wanted is None and action.latest else None
                found = self._claimed = wanted or continued
            for other in self.host.presence.of_conversation(found):
                await other.stored()
            try:
                record, created = await store.open(found, **me)
            except StoreError as error:
                if continued is None:
                    raise
                # The last conversation is damaged: say so, and begin another.
                self.emit(events.Problem(error.code, str(error)))
                record, created = await store.open(None, **me)
        except (ClientError, StoreError) as error:
            await self.inbox.send(OpenFailed(error.code, str(error), action.number))
            return
        log.info("conversation opened", session=record.id, new=created)
        await self.inbox.send(Opened(record, action.number))

    async def _refuse_if_foreign(self, session_id: str) -> None:
        """Raise ClientError unless it is a conversation of this character and client."""
        known = await self.host.store.read(session_id)
        if known is None or not known.is_of(self.guest.character, self.guest.key):
            raise ClientError(UNKNOWN_CONVERSATION, "UNKNOWN_CONVERSATION")

    async def listen(self) -> None:
        """The ears: frames and recordings to words."""
        hearing = Hearing(
            self.host,
            self.guest,
            self.frames,
            self.recordings,
            self.inbox,
            self.replies,
            self.be_patient,
            lambda: self.taking.turn is not None,
            self.emit,
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
