"""What waits to be sent to one client: control first, then sound at the pace it is played.

Two lanes. *Control* (text, states, errors) goes at once. *Sound* goes when the listener's playback
clock is less than ``lead_ms`` ahead, because whatever has left cannot be taken back by an
interruption, and socket back-pressure shows only 1.6 s too late. The clock also says what has
really been heard.

An interruption is one synchronous call, so nothing can come between its parts.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Protocol

import attrs
import trio

from voicecore.audio import Samples
from voicecore.errors import ClientTooSlow
from voicecore.events import Activity, Event, PhraseStarted, ReplySound, Touched, TurnDone

MAX_CONTROL_EVENTS = 2_000
"""More than a whole reply's deltas (`llm.max_tokens`) and many pongs; each is under a few kB. A
client that lets more pile up has stopped reading."""

_Paced = ReplySound | PhraseStarted | TurnDone


def _turn_of(event: Event) -> str | None:
    """The turn it is a part of."""
    return None if isinstance(event, Touched) else getattr(event, "turn", None)


@attrs.define
class PlaybackClock:
    """When the listener will have heard what was sent, if it plays as it receives.

    Sound sent while earlier sound still plays is queued behind it; sound sent after a gap begins at
    once. Times are seconds, as `trio.current_time`.
    """

    ends_s: float = -math.inf
    sent_ms: float = 0.0

    def send(self, now_s: float, ms: float) -> None:
        self.ends_s = max(self.ends_s, now_s) + ms / 1000
        self.sent_ms += ms

    def left_ms(self, now_s: float) -> float:
        return max(0.0, (self.ends_s - now_s) * 1000)

    def played_ms(self, now_s: float) -> float:
        return max(0.0, self.sent_ms - self.left_ms(now_s))


class Room(Protocol):
    """Where the client's loudspeaker is."""

    def played(self, samples: Samples, start_s: float) -> None:
        """This sound (48 kHz) is played from ``start_s`` on, or a little later."""

    def stopped(self, now_s: float) -> None:
        """What was to be played after ``now_s`` is not."""


class _Nowhere:
    def played(self, samples: Samples, start_s: float) -> None:
        """Nobody listens."""

    def stopped(self, now_s: float) -> None:
        """Nobody listens."""


class Outbox:
    """Events on their way to one client. Several tasks put, one (the writer) takes."""

    def __init__(self, *, lead_ms: float, capacity_ms: float, room: Room | None = None) -> None:
        """Make an empty outbox.

        Args:
            lead_ms: how far ahead of the playback clock sound is sent; infinity sends at once.
            capacity_ms: sound that may wait; `put_paced` waits beyond it.
            room: where the sound will be heard, which is told of it.
        """
        self._room = room or _Nowhere()
        self._lead_s = lead_ms / 1000
        self._capacity_ms = capacity_ms
        self._control: deque[Event] = deque()
        self._paced: deque[_Paced] = deque()
        self._waiting_ms = 0.0
        self._live: str | None = None
        self._held: list[Event] | None = None
        self._clock = PlaybackClock()
        self._first_sound_s: float | None = None
        self._sent: deque[ReplySound] = deque()  # what is not played yet
        self._sent_ms = 0.0
        self._suspended: list[Event] | None = None  # what a suspended turn says meanwhile
        self._stretch = 1  # of the live turn's sound; another begins when it is resumed
        self._changed = trio.lowlevel.ParkingLot()
        self._closed = False
        self.peak_ms = 0.0

    # --- for the conversation ---

    def begin(self, turn: str, *, held: bool = False) -> None:
        """Make ``turn`` the live one: sound of any other is dropped.

        Args:
            turn: its id.
            held: keep all of it back until `release`.
        """
        self._live = turn
        self._held = [] if held else None
        self._clock = PlaybackClock(ends_s=self._clock.ends_s)
        self._first_sound_s = None
        self._forget_sent()
        self._suspended, self._stretch = None, 1

    @property
    def held(self) -> bool:
        """Whether the live turn is held back."""
        return self._held is not None

    def ready(self) -> bool | None:
        """Whether a turn that is held back could be heard at once; None if none is."""
        if self._held is None:
            return None
        return bool(self._paced)

    def sounds(self) -> bool:
        """Whether the person hears something now."""
        return self._clock.left_ms(trio.current_time()) > 0

    def release(self) -> None:
        """Let a turn that was held back go."""
        held, self._held = self._held or [], None
        self._control.extend(held)
        self._changed.unpark_all()

    async def released(self) -> None:
        """Wait until the live turn is not held back."""
        await trio.lowlevel.checkpoint()
        while self._held is not None:
            await self._changed.park()

    def put(self, event: Event) -> None:
        """Queue a control event; it is sent before any sound.

        One of a turn that is no longer live is dropped: a turn that was cut may say one more thing
        before its task ends.

        Raises:
            ClientTooSlow: the client has stopped reading.
        """
        if _turn_of(event) not in {None, self._live}:
            return
        kept = self._suspended if self._suspended is not None else self._held
        waiting = len(self._control) + len(kept or ())
        if waiting >= MAX_CONTROL_EVENTS:
            raise ClientTooSlow(
                f"{MAX_CONTROL_EVENTS} messages wait because the client does not read them."
            )
        if kept is not None and _turn_of(event) is not None:
            kept.append(event)
            return
        self._control.append(event)
        self._changed.unpark_all()

    async def put_paced(self, event: _Paced) -> None:
        """Queue sound, or what belongs at its place among the sound; waits while full.

        An event of a turn that is no longer live is dropped: this is the one place that checks.
        """
        await trio.lowlevel.checkpoint()
        while event.turn == self._live and self._waiting_ms >= self._capacity_ms:
            await self._changed.park()
        if event.turn != self._live or self._closed:
            return
        self._paced.append(event)
        if isinstance(event, ReplySound):
            self._waiting_ms += event.pcm.ms
            self.peak_ms = max(self.peak_ms, self._waiting_ms)
        self._changed.unpark_all()

    def suspend(self, notice: Event) -> float:
        """Silence the live turn, and put the notice first. `resume` goes on with it.

        Returns:
            Milliseconds that were sent and not played, to be sent again: the client throws them
            away.
        """
        now_s = trio.current_time()
        unheard_ms = self._clock.left_ms(now_s)
        back_ms = 0.0
        while self._sent and back_ms < unheard_ms:
            sound = self._sent.pop()
            self._paced.appendleft(sound)
            back_ms += sound.pcm.ms
        self._forget_sent()
        self._waiting_ms += back_ms
        self._clock.sent_ms -= back_ms
        self._clock.ends_s = min(self._clock.ends_s, now_s)
        self._room.stopped(now_s)
        self._suspended = []
        self._control.appendleft(self._naming(notice))
        self._changed.unpark_all()
        return back_ms

    def resume(self) -> None:
        """Go on with the turn that was suspended."""
        self._control.extend(self._suspended or ())
        self._suspended = None
        self._stretch += 1
        self._changed.unpark_all()

    def interrupt(self, notice: Event | None) -> float:
        """Drop all that waits of the live turn, and put the notice first.

        Returns:
            Milliseconds of sound dropped.
        """
        dropped, dead = self._waiting_ms, self._live
        if notice is not None:
            notice = self._naming(notice)
        if dead is not None:
            kept = [event for event in self._control if _turn_of(event) != dead]
            self._control = deque(kept)
        self._paced.clear()
        self._forget_sent()
        self._waiting_ms, self._live, self._held = 0.0, None, None
        self._suspended = None
        # What had been sent and not played is thrown away by the client, too.
        now_s = trio.current_time()
        self._clock.ends_s = min(self._clock.ends_s, now_s)
        self._room.stopped(now_s)
        if notice is not None:
            self._control.appendleft(notice)
        self._changed.unpark_all()
        return dropped

    def _forget_sent(self) -> None:
        self._sent.clear()
        self._sent_ms = 0.0

    def _speech(self) -> str:
        """What the client knows the present stretch of sound as; empty for the turn's name."""
        return "" if self._stretch == 1 else f"{self._live}.{self._stretch}"

    def _naming(self, notice: Event) -> Event:
        """Have a notice name the stretch that is interrupted."""
        if isinstance(notice, Activity) and notice.interrupted_turn == self._live and self._live:
            return Activity(self._speech() or self._live)
        return notice

    def played_ms(self) -> float:
        """Sound of the live turn the person has heard by now."""
        return self._clock.played_ms(trio.current_time())

    @property
    def first_sound_s(self) -> float | None:
        """When the live turn's first sound was sent."""
        return self._first_sound_s

    async def sent(self) -> None:
        """Wait until all sound of the live turn was sent (or the turn is dropped)."""
        await trio.lowlevel.checkpoint()
        while self._paced:
            await self._changed.park()

    async def played(self) -> None:
        """Wait until all of it was sent, and then until the person has heard it."""
        while True:
            await self.sent()
            ends_s = math.inf if self._suspended is not None else self._clock.ends_s
            if ends_s <= trio.current_time():
                return
            with trio.move_on_at(ends_s):
                await self._changed.park()

    def close(self) -> None:
        """Let the writer send what waits as control, drop the sound, and end."""
        self._closed = True
        self._paced.clear()
        self._changed.unpark_all()

    # --- for the writer ---

    async def take(self) -> Event | None:
        """Wait for the next event that is due; None when closed and empty."""
        while True:
            await trio.lowlevel.checkpoint()
            if self._control:
                event = self._control.popleft()
                self._changed.unpark_all()
                return event
            if self._closed:
                return None
            due_s = self._due_s()
            if due_s <= trio.current_time():
                return self._take_paced()
            with trio.move_on_at(due_s):
                await self._changed.park()

    def _due_s(self) -> float:
        if not self._paced or self._held is not None or self._suspended is not None:
            return math.inf
        return self._clock.ends_s - self._lead_s

    def _take_paced(self) -> Event:
        event = self._paced.popleft()
        if isinstance(event, ReplySound):
            now_s = trio.current_time()
            if self._first_sound_s is None:
                self._first_sound_s = now_s
            self._waiting_ms -= event.pcm.ms
            self._keep(event, now_s)
            self._room.played(event.pcm.samples, max(self._clock.ends_s, now_s))
            self._clock.send(now_s, event.pcm.ms)
            if speech := self._speech():
                event = attrs.evolve(event, speech=speech)
        self._changed.unpark_all()
        return event

    def _keep(self, sound: ReplySound, now_s: float) -> None:
        """Remember sound until it is played, in case it must be sent again."""
        unheard_ms = self._clock.left_ms(now_s)
        while self._sent and self._sent_ms - self._sent[0].pcm.ms >= unheard_ms:
            self._sent_ms -= self._sent.popleft().pcm.ms
        if math.isfinite(self._lead_s):
            self._sent.append(sound)
            self._sent_ms += sound.pcm.ms
