"""One conversation: every channel is opened here, every task started here.

    socket → read ─┬→ ingest → segment ─┬→ transcribe ─┐
                   └→ recordings ───────┘              │
                   └───────── commands ───────────→ converse
                                                       │ a turn, one cancel scope:
                     generate → strip → phrase → synthesize → upsample
                                  └──────────┐                    │
    socket ← write ←────────────────────── outbox ←───────────────┘

Nesting is shutdown order. The writer and the keeper of memories are in the outer nursery and die
last, so that farewells are sent and everything said is stored; all else is in the inner one.
"""

from __future__ import annotations

import math
from functools import partial

import attrs
import structlog
import trio
import trio_websocket

from voicecore import events
from voicecore.audio import Pcm, Samples
from voicecore.config import CharacterConfig
from voicecore.ears.ingest import ingest
from voicecore.ears.recording import Recording, record
from voicecore.ears.segment import Endpointer, Take, segment
from voicecore.ears.transcribe import transcribe
from voicecore.engines import idle
from voicecore.engines.interface import VAD_FRAME_MS, Delta, Message
from voicecore.errors import ClientError, StoreError
from voicecore.host import Host
from voicecore.mind.converse import converse
from voicecore.mind.generate import generate
from voicecore.mind.happenings import (
    Close,
    Disconnected,
    Happening,
    Open,
    Opened,
    OpenFailed,
    Remember,
    TurnOver,
)
from voicecore.mind.prompt import build_prompt
from voicecore.mind.remember import remember
from voicecore.mind.reply import strip
from voicecore.mind.strip import ToolCallStripper
from voicecore.mind.turn import Turn
from voicecore.mind.turns import TurnTaking
from voicecore.mouth.phrase import Phrase, Phraser
from voicecore.mouth.speak import phrase, upsample
from voicecore.mouth.synthesize import PhraseSound, synthesize
from voicecore.reception import Closing, Episodes, Inlets, receive
from voicecore.wire.outbox import Outbox
from voicecore.wire.protocol import Wire
from voicecore.wire.write import write

log = structlog.get_logger()

# How much may wait in each channel. The large ones hold time on purpose; the others only decouple.
SOUND = 16
"""Microphone messages; ingest takes them at once and never waits."""
RECORDING_PARTS = 64
"""Parts of recorded messages, each at most 256 kB (`wire.cortex`): 16 MB."""
UTTERANCES = 4
"""Utterances waiting for recognition: 80 s of speech at most, 2.6 MB."""
INBOX = 64
"""Happenings; the conversation handles one in microseconds."""
MEMORIES = 256
"""Messages waiting for the disk, a few kB each."""
TOKENS = 64
"""Half a second of a small model's text."""
WORDS = 64
PHRASES = 64
"""Text may run this far ahead of the voice: a whole reply, so that it is shown early."""
PHRASE_SOUND = 2
"""Synthesised pieces ahead of the outbox, which holds its own milliseconds."""


@attrs.frozen
class Guest:
    """Who is connected, and whom they talk to."""

    wire: Wire
    character: str
    profile: CharacterConfig
    client: str
    """What is meant by "the last conversation of this client"."""


@attrs.frozen(eq=False)
class Session:
    """One conversation's graph; the conversation starts its parts when they are needed."""

    host: Host
    guest: Guest
    outbox: Outbox
    inbox: trio.MemorySendChannel[Happening]
    frames: trio.MemoryReceiveChannel[Samples]
    recordings: trio.MemoryReceiveChannel[Recording]
    memories: trio.MemorySendChannel[Remember | Close]
    _overruns: Episodes = attrs.field(factory=lambda: Episodes(quiet_s=5.0), init=False)

    def emit(self, event: events.Event) -> None:
        match event:
            case events.Problem():
                self.host.metrics.problems.labels(event.code).inc()
                log.info("problem", code=event.code)
            case events.ConversationOpened():
                structlog.contextvars.bind_contextvars(session=event.session_id)
            case events.UserWords() if self.host.config.logs.content:
                log.info("heard", text=event.text)
        self.outbox.put(event)

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
        await self.memories.send(memory)

    async def open(self, action: Open) -> None:
        """Load the conversation, and wait for the engines; then say so."""
        store, guest = self.host.store, self.guest
        me = {"character": guest.character, "client": f"{guest.wire.name}:{guest.client}"}
        wanted = action.session_id
        try:
            continued = await store.latest(**me) if wanted is None and action.latest else None
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
        engines = await self.host.room.warm()
        config = self.host.config
        endpointer = Endpointer(engines.vad.detector(), config.ears)
        language = self.guest.profile.language
        utterances_in, utterances_out = trio.open_memory_channel[Take](UTTERANCES)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                segment, self.frames.clone(), utterances_in.clone(), self.inbox.clone(), endpointer,
                lambda: idle(engines.stt),
            )  # fmt: skip
            nursery.start_soon(
                record, self.recordings.clone(), utterances_in, self.inbox.clone(), config.ears
            )
            nursery.start_soon(
                partial(transcribe, language=language, timeout_ms=config.stt.timeout_ms),
                utterances_out,
                self.inbox.clone(),
                engines.stt,
            )  # fmt: skip

    async def answer(self, turn: Turn, history: tuple[Message, ...]) -> None:
        """The mind and the mouth: one turn from prompt to sound. Runs in the turn's scope."""
        engines = await self.host.room.warm()
        config = self.host.config
        prompt = build_prompt(
            self.guest.profile.prompt,
            history,
            budget_tokens=config.llm.context_tokens,
            max_tokens=config.llm.max_tokens,
        )
        if turn.held and not idle(engines.llm):
            await self.outbox.released()  # a guess yields to the turns of others
        self.emit(events.TurnStarted(turn.id))
        tokens_in, tokens_out = trio.open_memory_channel[Delta](TOKENS)
        words_in, words_out = trio.open_memory_channel[str](WORDS)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(generate, engines.llm, prompt, tokens_in, turn)
            nursery.start_soon(
                strip, tokens_out, words_in, self.emit, turn, ToolCallStripper()
            )  # fmt: skip
            mouth = self._speak if turn.spoken else self._read_silently
            nursery.start_soon(mouth, words_out, turn)
        if not turn.text.strip():
            turn.fail("EMPTY_REPLY", "The language model gave no answer. Say it in other words.")
        await self._finish(turn)

    async def recite(self, turn: Turn) -> None:
        """The mouth alone: a text the client wants to hear."""
        words_in, words_out = trio.open_memory_channel[str](1)
        with words_in:
            words_in.send_nowait(turn.user_text)
        await self._speak(words_out, turn)
        if not turn.sound_s:
            turn.fail("NOTHING_TO_SAY", "There is nothing in this text that could be spoken.")
        await self._finish(turn)

    async def _speak(self, words: trio.MemoryReceiveChannel[str], turn: Turn) -> None:
        """Words to sound in the outbox."""
        engines = await self.host.room.warm()
        mouth, tts = self.host.config.mouth, self.host.config.tts
        voice = turn.voice or self.guest.profile.voice
        phraser = Phraser(
            first_phrase_chars=mouth.first_phrase_chars,
            max_phrase_chars=mouth.max_phrase_chars,
            language=self.guest.profile.language or self.host.config.stt.language,
        )
        phrases_in, phrases_out = trio.open_memory_channel[Phrase](PHRASES)
        sound_in, sound_out = trio.open_memory_channel[PhraseSound](PHRASE_SOUND)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(phrase, words, phrases_in, phraser, turn)
            nursery.start_soon(
                partial(synthesize, voice=voice, speed=self.guest.profile.speed or tts.speed),
                engines.tts,
                phrases_out,
                sound_in,
                turn,
            )  # fmt: skip
            nursery.start_soon(
                partial(upsample, chunk_ms=self.guest.wire.chunk_ms, voice=voice or tts.model),
                sound_out,
                self.outbox.put_paced,
                turn,
            )  # fmt: skip

    async def _read_silently(self, words: trio.MemoryReceiveChannel[str], turn: Turn) -> None:
        """A reply that is only written ends here."""
        del turn
        with words:
            async for _ in words:
                pass

    async def _finish(self, turn: Turn) -> None:
        """Close the turn when its last sound is sent, and where sound is paced, heard."""
        await self.outbox.released()
        if turn.problem is None and not turn.recited:
            await self.outbox.put_paced(self._done(turn))
        await self.outbox.sent()
        if (sent_s := self.outbox.first_sound_s) is not None:
            turn.span("sending", "mouth.lead_ms", turn.sound_s, sent_s)
        timeline = turn.timeline()
        self.host.metrics.observe(timeline)
        self.outbox.put(timeline)
        if turn.problem is not None:
            self.emit(events.Problem(turn.problem_code, turn.problem))
        if self.guest.wire.paced:
            await self.outbox.played()
        end = "failed" if turn.problem else "complete"
        self.host.metrics.turns.labels(self.guest.wire.name, end).inc()
        log.info("turn over", end=end, tokens_out=turn.tokens_out, stages=_stages_ms(timeline))
        if self.host.config.logs.content:
            log.info("replied", text=turn.text)
        await self.inbox.send(TurnOver(turn.id))

    def _done(self, turn: Turn) -> events.TurnDone:
        llm = self.host.config.llm
        cost = (
            turn.tokens_in * llm.price_in_per_million + turn.tokens_out * llm.price_out_per_million
        )
        return events.TurnDone(
            turn.id,
            turn.text,
            turn.tokens_in,
            turn.tokens_out,
            cost / 1_000_000,
            (trio.current_time() - turn.started_s) * 1000,
            turn.model,
        )


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
    memories_in, memories_out = trio.open_memory_channel[Remember | Close](MEMORIES)

    def not_stored(error: StoreError) -> None:
        outbox.put(events.Problem(error.code, str(error)))

    async with trio.open_nursery() as outer:
        outer.start_soon(write, outbox, guest.wire, socket)
        outer.start_soon(remember, memories_out, host.store, not_stored)
        with memories_in:
            closing = await _converse(host, guest, socket, outbox, memories_in)
        outbox.close()
        # Close and wait, do not cancel: the farewell is still on its way.
        outer.cancel_scope.deadline = trio.current_time() + host.config.server.drain_ms / 1000
    host.metrics.peak("outbox_ms", outbox.peak_ms)
    return closing


async def _converse(
    host: Host,
    guest: Guest,
    socket: trio_websocket.WebSocketConnection,
    outbox: Outbox,
    memories: trio.MemorySendChannel[Remember | Close],
) -> Closing:
    """The inner part: what reads, hears and thinks. Ends when the client has left."""
    config = host.config
    sound_in, sound_out = trio.open_memory_channel[Pcm](SOUND)
    frames_in, frames_out = trio.open_memory_channel[Samples](
        config.ears.backlog_ms // VAD_FRAME_MS
    )
    recordings_in, recordings_out = trio.open_memory_channel[Recording](RECORDING_PARTS)
    inbox_in, inbox_out = trio.open_memory_channel[Happening](INBOX)
    session = Session(host, guest, outbox, inbox_in, frames_out, recordings_out, memories)
    taking = TurnTaking(
        waits_for_start=guest.wire.waits_for_start,
        now_s=trio.current_time,
        wall_s=host.wall_s,
        played_ms=outbox.played_ms,
        new_turn_id=host.new_id,
        max_turn_chars=config.ears.max_turn_chars,
        max_text_chars=config.server.max_text_chars,
    )
    inlets = Inlets(taking, outbox, sound_in, recordings_in, inbox_in)
    closing = Closing()

    async def until_left() -> None:
        nonlocal closing
        closing = await receive(host, guest.wire, socket, inlets)
        await inbox_in.send(Disconnected())

    async def until_over() -> None:
        await converse(taking, inbox_out, session)
        inner.cancel_scope.cancel("the client left")

    async with trio.open_nursery() as inner:
        session.emit(events.Connected())
        inner.start_soon(until_left)
        inner.start_soon(until_over)
        inner.start_soon(ingest, sound_out, frames_in, session.overrun, session.emit_error)
    host.metrics.peak("frames", frames_in.statistics().peak_buffer_used)
    host.metrics.peak("inbox", inbox_in.statistics().peak_buffer_used)
    return closing


def _stages_ms(timeline: events.Timeline) -> dict[str, int]:
    return {span.name: round((span.end_s - span.start_s) * 1000) for span in timeline.spans}
