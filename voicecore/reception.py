"""From the socket to the conversation: each command to the channel it belongs in."""

from __future__ import annotations

import math
from collections import deque

import attrs
import trio

from voicecore import events
from voicecore.ears.ingest import Microphone
from voicecore.ears.recording import Recording
from voicecore.eyes.see import Sights
from voicecore.host import Host
from voicecore.mind.happenings import Happening
from voicecore.mind.turns import TurnTaking
from voicecore.wire.outbox import Outbox
from voicecore.wire.protocol import Wire
from voicecore.wire.read import TooManyBadMessages, read
from voicecore.wire.socket import Socket


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


SLACK_BYTES = 1024 * 1024
"""More than that may wait, so that the ears find out that a recording is too long, and say so."""
PART_COST = 256
"""Bytes that even an empty part takes."""


@attrs.define(eq=False)
class Spool:
    """Parts of recorded messages, until the ears have room for them.

    It is bounded in bytes and not in parts: a client may send a whole recording at once, in pieces
    of any size, and the reading must not wait for the ears. One task puts, one pumps.
    """

    _ears: trio.MemorySendChannel[Recording]
    _longest: int
    """Bytes of the longest recording that is taken: as much may wait."""
    _parts: deque[Recording] = attrs.field(factory=deque, init=False)
    _bytes: int = attrs.field(default=0, init=False)
    _news: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)

    def put(self, part: Recording) -> bool:
        """Keep a part; False if too much waits."""
        if self._bytes + _size(part) > self._longest + SLACK_BYTES:
            return False
        self._bytes += _size(part)
        self._parts.append(part)
        self._news.unpark_all()
        return True

    async def pump(self) -> None:
        """Hand the parts on, in order, for ever."""
        while True:
            while self._parts:
                part = self._parts.popleft()
                self._bytes -= _size(part)
                await self._ears.send(part)
            await self._news.park()


def _size(part: Recording) -> int:
    return PART_COST + (len(part.data) if isinstance(part, events.ClipPart) else 0)


ENDS_LOOKING = events.Start | events.Pause | events.End | events.NewConversation
"""After these, pictures shown before and messages typed after them are no longer looked at."""


@attrs.define(eq=False)
class Inlets:
    """Where each command of the client goes. Nothing here waits for anything slow."""

    taking: TurnTaking
    outbox: Outbox
    microphone: Microphone
    spool: Spool
    inbox: trio.MemorySendChannel[Happening]
    sights: Sights
    _clip: int = 1
    _session_id: str | None = None
    """The conversation that the message being recorded belongs to, if it says so."""
    _spoilt: bool = False
    """A part of the recording was not taken; the rest of it is of no use."""

    def take(self, command: events.Command) -> None:
        if isinstance(command, events.Sound):  # first: it comes 50 or 100 times in a second
            if self.taking.wants_sound:
                self.microphone.take(command.pcm)
            return
        if isinstance(command, ENDS_LOOKING):
            self.sights.clear()
        match command:
            case events.Ping():
                self.outbox.put(events.Pong())
            case events.Wrong(error):
                self.outbox.put(events.Problem(error.code, str(error)))
            case events.Ignored():
                pass
            case events.ClipPart() | events.ClipEnd():
                self._record(attrs.evolve(command, clip=self._clip))
            case events.Picture():
                if self.taking.wants_sound:
                    self.sights.put(command)
            case events.Typed() if self.sights.looking:
                if not self.sights.put(command):
                    self._refuse()
            case _:
                self._offer(command)

    def _record(self, part: Recording) -> None:
        """Take a part of a recording, or its end; after it the next one begins."""
        if not self._spoilt and not self.spool.put(part):
            self._spoilt = True
            self._refuse()
        if isinstance(part, events.ClipPart):
            self._session_id = part.session_id or self._session_id
            return
        if not self._spoilt:
            self.taking.clips.sent(self._clip, self._session_id)
        self._clip, self._spoilt, self._session_id = self._clip + 1, False, None

    def _offer(self, command: Happening) -> None:
        try:
            self.inbox.send_nowait(command)
        except trio.WouldBlock:
            self._refuse()

    def _refuse(self) -> None:
        text = "The host is behind with this connection; the message was not taken."
        self.outbox.put(events.Problem("TOO_MANY_MESSAGES", text))


async def receive(host: Host, wire: Wire, socket: Socket, inlets: Inlets, door: Door) -> None:
    """Take what the client sends until it leaves, misbehaves, or the door is closed."""
    limit = host.config.server.max_bad_messages
    with door.reading:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_leave, host, inlets.outbox, door)
            nursery.start_soon(inlets.spool.pump)
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
