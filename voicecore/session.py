"""One conversation: every channel is opened here, every task started here.

    socket → read ─┬→ frames → hearing (hearing.py) ───┐
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

import structlog
import trio

from voicecore import events
from voicecore.audio import Samples
from voicecore.ears.backchannel import backchannel
from voicecore.ears.echo import Echo
from voicecore.ears.ingest import Microphone
from voicecore.ears.recording import Recording
from voicecore.effects import Effects
from voicecore.engines.interface import VAD_FRAME_MS
from voicecore.errors import StoreError
from voicecore.eyes.see import Sights, see
from voicecore.hearing import Replies
from voicecore.host import Host
from voicecore.mind.converse import converse
from voicecore.mind.floor import Surroundings
from voicecore.mind.happenings import (
    Disconnected,
    Happening,
)
from voicecore.mind.remember import Memory, remember
from voicecore.mind.turns import TurnTaking
from voicecore.presence import Guest, Seat
from voicecore.reception import Closing, Door, Inlets, Spool, receive
from voicecore.wire.outbox import Outbox
from voicecore.wire.socket import Socket
from voicecore.wire.write import write

log = structlog.get_logger()

# How much may wait in each channel. The large ones hold time on purpose; the others only decouple.
RECORDING_PARTS = 4
"""Parts of recorded messages, each at most 256 kB (`wire.cortex`); the others wait in a `Spool`."""
INBOX = 64
"""Happenings; the conversation handles one in microseconds."""
MEMORIES = 256
"""Messages waiting for the disk, a few kB each."""


async def run_session(host: Host, guest: Guest, socket: Socket) -> Closing:
    """Run one conversation until its client leaves, misbehaves, or the host stops.

    Raises:
        ClientTooSlow: in a group; it does not read what it is sent.

    **Cancellation**: everything ends at once; what was said so far is stored if the disk is quick.
    """
    mouth = host.config.mouth
    paced, echo = guest.wire.paced, Echo()
    outbox = Outbox(
        lead_ms=mouth.lead_ms if paced else math.inf,
        capacity_ms=mouth.outbox_ms,
        room=echo if paced else None,  # one that keeps the sound may never play it
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
                closing = await _converse(host, guest, socket, Replies(outbox, echo), memories_in)
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
    socket: Socket,
    replies: Replies,
    memories: trio.MemorySendChannel[Memory],
) -> Closing:
    """The inner part: what reads, hears and thinks. Ends when the client has left."""
    config, outbox = host.config, replies.outbox
    frames_in, frames_out = trio.open_memory_channel[Samples](
        config.ears.backlog_ms // VAD_FRAME_MS
    )
    recordings_in, recordings_out = trio.open_memory_channel[Recording](RECORDING_PARTS)
    inbox_in, inbox_out = trio.open_memory_channel[Happening](INBOX)
    taking, door, sights = TurnTaking(_surroundings(host, guest, outbox)), Door(), Sights()
    effects = Effects(
        host,
        guest,
        replies,
        inbox_in,
        frames_out,
        recordings_out,
        memories,
        taking,
        door,
        socket.be_patient,
    )
    spool = Spool(recordings_in, config.ears.max_recording_bytes)
    microphone = Microphone(frames_in, effects.overrun, effects.emit_error)
    inlets = Inlets(taking, outbox, microphone, spool, inbox_in, sights)

    async def until_left() -> None:
        await receive(host, guest.wire, socket, inlets, door)
        await inbox_in.send(Disconnected())

    async def until_over() -> None:
        await converse(taking, inbox_out, effects)
        inner.cancel_scope.cancel("the client left")

    effects.emit(events.Connected())
    effects.emit_agent_status()
    with _seated(host, effects.seat):
        async with trio.open_nursery() as inner:
            inner.start_soon(until_left)
            inner.start_soon(until_over)
            inner.start_soon(see, sights, effects, config.eyes)
    host.metrics.peak("frames", frames_in.statistics().peak_buffer_used)
    host.metrics.peak("inbox", inbox_in.statistics().peak_buffer_used)
    return door.closing


@contextmanager
def _seated(host: Host, seat: Seat) -> Iterator[None]:
    host.presence.enter(seat)
    try:
        yield
    finally:
        host.presence.step_down(seat)


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
        partials=guest.wire.shown.partials,
        knows=host.knows,
        character=lambda: guest.character,
        greeting=lambda: host.character(guest.character).greeting,
        backchannel=lambda words: backchannel(words, host.language(guest.character)),
    )
