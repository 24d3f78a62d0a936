"""From the socket to the conversation: each command to the channel it belongs in."""

from __future__ import annotations

import math
from typing import Any

import attrs
import trio
import trio_websocket

from voicecore import events
from voicecore.audio import Pcm
from voicecore.ears.recording import Recording
from voicecore.eyes.see import Sights
from voicecore.host import Host
from voicecore.mind.happenings import Happening
from voicecore.mind.turns import TurnTaking
from voicecore.wire.outbox import Outbox
from voicecore.wire.protocol import Wire
from voicecore.wire.read import TooManyBadMessages, read


@attrs.frozen
class Closing:
    """How the connection is to be closed."""

    code: int = 1000
    reason: str = ""


@attrs.define(eq=False)
class Door:
    """How the connection ends, and when: at the latest when the client leaves by itself."""

    closing: Closing = attrs.field(factory=Closing)
    reading: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    """Of the task that reads what the client sends; all else ends after it."""

    def close(self, closing: Closing) -> None:
        self.closing = closing
        self.reading.cancel(closing.reason)


@attrs.define
class Episodes:
    """Tells the first of a row of events from the rest: a person is told once."""

    quiet_s: float
    """Without one for this long, the next begins another episode."""
    _last_s: float = -math.inf

    def begins(self, now_s: float) -> bool:
        begins = now_s - self._last_s > self.quiet_s
        self._last_s = now_s
        return begins


@attrs.define(eq=False)
class Inlets:
    """Where each command of the client goes. Nothing here waits for anything slow."""

    taking: TurnTaking
    outbox: Outbox
    sound: trio.MemorySendChannel[Pcm]
    recordings: trio.MemorySendChannel[Recording]
    inbox: trio.MemorySendChannel[Happening]
    sights: Sights
    _clip: int = 1
    _session_id: str | None = None
    """The conversation that the message being recorded belongs to, if it says so."""
    _spoilt: bool = False
    """A part of the recording was not taken; the rest of it is of no use."""

    async def take(self, command: events.Command) -> None:
        match command:
            case events.Ping():
                self.outbox.put(events.Pong())
            case events.Sound(pcm):
                if self.taking.wants_sound:
                    await self.sound.send(pcm)
            case events.Wrong(error):
                self.outbox.put(events.Problem(error.code, str(error)))
            case events.Ignored():
                pass
            case events.ClipPart():
                self._session_id = command.session_id or self._session_id
                self._record(attrs.evolve(command, clip=self._clip))
            case events.ClipEnd():
                self._record(events.ClipEnd(self._clip))
                self.taking.clips.sent(self._clip, self._session_id)
                self._clip, self._spoilt, self._session_id = self._clip + 1, False, None
            case events.Picture():
                if self.taking.wants_sound:
                    self.sights.put(command)
            case events.Typed() if self.sights.looking:
                if not self.sights.put(command):
                    self._refuse()
            case _:
                self._offer(self.inbox, command)

    def _record(self, part: Recording) -> None:
        if not self._spoilt:
            self._spoilt = not self._offer(self.recordings, part)

    def _offer(self, channel: trio.MemorySendChannel[Any], command: object) -> bool:
        try:
            channel.send_nowait(command)
        except trio.WouldBlock:
            self._refuse()
            return False
        return True

    def _refuse(self) -> None:
        text = "The host is behind with this connection; the message was not taken."
        self.outbox.put(events.Problem("TOO_MANY_MESSAGES", text))


async def receive(
    host: Host, wire: Wire, socket: trio_websocket.WebSocketConnection, inlets: Inlets, door: Door
) -> None:
    """Take what the client sends until it leaves, misbehaves, or the door is closed."""
    limit = host.config.server.max_bad_messages
    with door.reading:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_leave, host, inlets.outbox, door)
            try:
                await read(socket, wire, inlets.take, max_bad_messages=limit)
            except TooManyBadMessages:
                door.close(Closing(1008, f"{limit} malformed messages in a row"))
            nursery.cancel_scope.cancel("reading is over")


async def _leave(host: Host, outbox: Outbox, door: Door) -> None:
    """When the host stops, let what is being said be heard, within the time there is."""
    await host.stopping.wait()
    with trio.move_on_after(host.config.server.drain_ms / 2000):
        await outbox.played()
    outbox.put(events.Problem("SHUTTING_DOWN", "The host is shutting down; connect again soon."))
    door.close(Closing(1001, "the host is shutting down"))
