"""A conversation in a terminal: what happens when, and the tasks that keep it going."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit

import attrs
import trio

from voicecore.audio import Samples
from voicecore.client import HostUnreachable, Socket, open_socket
from voicecore.errors import VoicecoreError
from voicecore.talk.connection import Backoff, Outgoing, run_connection
from voicecore.talk.dialogue import Dialogue, Line, Shown
from voicecore.talk.ears import Ears
from voicecore.talk.echo import Canceller
from voicecore.talk.keyboard import Typing
from voicecore.talk.playout import Playout
from voicecore.talk.reply import Reply
from voicecore.talk.screen import Screen
from voicecore.talk.sound import Card, DeviceError, Ends, Heard, Opened, keep_open
from voicecore.talk.status import Status

TICK_S = 0.05
"""The live line and the spoken word are brought up to date as often: quicker than reading."""

GOODBYE_S = 1.5
"""For the host to save the conversation and say so."""

ANSWER_S = 120.0
"""An answer to a line of a pipe that is not complete by then never will be."""

ASKED = {"dialect": "native", "timeline": "1", "partials": "1", "words": "1"}
"""On the address: stale sound is told by its id, and the rest is shown."""


@attrs.frozen(kw_only=True)
class Plan:
    """What a conversation is made of."""

    url: str
    """A N.E.K.O. address, with a character's name at its end."""
    client: str
    """The id by which the host knows this person's conversations."""
    resume: str = ""
    """The id of the conversation that is to go on; empty begins another."""
    remember: Callable[[str, str], None] = lambda _, __: None
    """Told the address of the character, and the id of the conversation."""
    card: Card | None = None
    open_canceller: Callable[[], Canceller] | None = None
    hint: str = ""
    """Said when the microphone is open."""
    typing: Typing | None = None
    interactive: bool = True
    """A person types. Otherwise each line waits for the answer to the one before it."""
    timing: Callable[[Reply, float], str] | None = None
    """Writes where the time of a reply went; the ms that the microphone took come with it."""
    connect: Callable[[str], AbstractAsyncContextManager[Socket]] = open_socket
    jitter: Callable[[], float] = lambda: 1.0

    @property
    def by_voice(self) -> bool:
        return self.card is not None and self.card.has_microphone


class Superseded(VoicecoreError):
    """The same client has connected from elsewhere."""

    code = "SUPERSEDED"


def character_of(url: str) -> str:
    """Read the character's name at the end of an address."""
    return unquote(urlsplit(url).path.rpartition("/")[2])


def address(url: str, character: str, **query: str) -> str:
    """Write the address of another character at the same host."""
    parts = urlsplit(url)
    path = f"{parts.path.rpartition('/')[0]}/{quote(character, safe='')}"
    return urlunsplit(parts._replace(path=path, query=urlencode(query)))


async def talk(plan: Plan, screen: Screen, leave: trio.Event) -> None:
    """Talk until ``leave`` is set, or the input ends in a conversation that is typed.

    Raises:
        VoicecoreError: in a group; the host cannot be reached at first, the device cannot be
            opened at first, or the same client has connected from elsewhere.

    **Cancellation**: at once; the host notices that the client is gone, and saves.
    """
    conversation = Conversation(plan, screen)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(conversation.stay_connected)
        nursery.start_soon(conversation.keep_time)
        if plan.card is not None:
            nursery.start_soon(
                keep_open,
                plan.card,
                conversation.ends,
                conversation.device_opened,
                conversation.device_lost,
            )
            nursery.start_soon(conversation.hear)
        if plan.typing is not None:
            nursery.start_soon(conversation.read, plan.typing, leave)
        await leave.wait()
        await conversation.say_goodbye()
        nursery.cancel_scope.cancel("the person leaves")


class Conversation:
    """The state of a conversation, and its tasks. Must be made in Trio."""

    def __init__(self, plan: Plan, screen: Screen) -> None:
        self._plan, self._screen = plan, screen
        self.ends = Ends(Playout())
        self.dialogue = Dialogue(
            character_of(plan.url), follows_voice=plan.by_voice, timing=self._timing
        )
        self._ears = Ears(None)
        self._conversation = plan.resume
        self._opened: Opened | None = None
        self._opened_before = False
        self._outgoing: Outgoing | None = None
        self._connection = trio.CancelScope()
        self._backoff = Backoff(plan.jitter)
        self._ticks = trio.lowlevel.ParkingLot()
        self._connected_before = self._away = self._leaving = self.muted = False
        self._silent_told = False
        self._lost_frames = 0

    def show(self, *shown: Shown) -> None:
        self._screen.show(shown)

    # --- the host ---

    async def stay_connected(self) -> None:
        """Connect, and again whenever the connection is lost, until the person leaves.

        Raises:
            HostUnreachable: the first connection failed, or the host does not let us in.
            Superseded: the same client has connected from elsewhere.
        """
        while True:
            lost = await self._connect_once()
            if self._leaving:
                return
            self.show(*self.dialogue.disconnect())
            if self.dialogue.superseded:
                raise Superseded(
                    "This conversation goes on elsewhere: another voicecore talk of yours has "
                    "connected to the same host."
                )
            if self.dialogue.elsewhere:
                self.dialogue.character, self._conversation = self.dialogue.elsewhere, ""
            elif not self._connected_before or lost.status not in {None, 503}:
                raise lost
            elif not self._away:
                self._away = True
                self.show(Line("problem", f"{lost} Connecting again ..."))
            await trio.sleep(self._backoff.wait_s())

    async def _connect_once(self) -> HostUnreachable:
        """Be connected once; say why that is over."""
        lost = HostUnreachable("The connection was closed.")
        plan, self._connection = self._plan, trio.CancelScope()
        self.dialogue.connect()
        try:
            url = address(plan.url, self.dialogue.character, client=plan.client, **ASKED)
            async with plan.connect(url) as socket:
                self._outgoing = Outgoing()
                self._start()
                with self._connection:
                    await run_connection(socket, self._outgoing, self)
        except* HostUnreachable as group:
            lost = _first(group)
        finally:
            self._outgoing = None
        return lost

    def _start(self) -> None:
        """Have the host listen: to a new conversation, or to one that goes on."""
        assert self._outgoing is not None
        which: dict[str, object] = {"new_session": not self._connected_before}
        if self._conversation:
            which = {"session_id": self._conversation}
        kind = "audio" if self._plan.by_voice else "text"
        self._outgoing.send("start_session", input_type=kind, **which)

    def message(self, message: dict[str, Any]) -> None:
        """Take a message of the host."""
        was_started = self.dialogue.started
        stopped = message.get("interrupted_speech_id")
        if message.get("type") == "user_activity" and isinstance(stopped, str):
            self.ends.interrupt(stopped)
        self.show(*self.dialogue.feed(message, trio.current_time()))
        if self.dialogue.failed:
            self._conversation = ""  # it may be that which the host does not know any more
            raise HostUnreachable("The host could not start a session.")
        if self.dialogue.elsewhere:
            self._connection.cancel("another character is the active one")
        if self.dialogue.started and not was_started:
            self._session_started()

    def sound(self, speech: str, samples: Samples) -> None:
        """Take sound of a reply."""
        if self._opened is not None and self._opened.speaker is not None:
            self.ends.feed(speech, samples)

    def _session_started(self) -> None:
        self._conversation = self.dialogue.conversation
        if self._conversation:
            where = address(self._plan.url, self.dialogue.character)
            self._plan.remember(where, self._conversation)
        self._backoff.reset()
        if self._away:
            self.show(Line("notice", "Connected again."))
        elif not self._connected_before and self._plan.interactive:
            how = "Speak, or type; Enter alone mutes" if self._plan.by_voice else "Type"
            self.show(Line("notice", f"{how}. You talk to {self.dialogue.character}; Ctrl-C ends."))
        self._connected_before, self._away = True, False

    async def say_goodbye(self) -> None:
        """Have the host close and save the conversation, and close the connection."""
        self._leaving = True
        if self._outgoing is not None and self.dialogue.started:
            self._outgoing.send("end_session")
            with trio.move_on_after(GOODBYE_S):
                while not self.dialogue.ended and self._outgoing is not None:
                    await self._ticks.park()
        self._connection.cancel("the person leaves")
        with trio.move_on_after(GOODBYE_S):
            while self._outgoing is not None:
                await self._ticks.park()

    # --- the sound device ---

    def device_opened(self, opened: Opened) -> None:
        """Take note that the device is open."""
        plan, self._opened = self._plan, opened
        self._ears = Ears(plan.open_canceller() if plan.open_canceller else None)
        named = {"Microphone": opened.microphone, "Speaker": opened.speaker}
        self.show(
            Line("notice", " ".join(f"{side}: {name}." for side, name in named.items() if name))
        )
        if plan.hint and opened.microphone and not self._opened_before:
            self.show(Line("notice", plan.hint))
        self._opened_before = True

    def device_lost(self, why: DeviceError) -> bool:
        """Take note that the device is gone; say whether to try it again."""
        self._opened = None
        self.ends.clear()
        if not self._opened_before:
            if self._plan.by_voice:
                raise why
            return False  # it was for hearing the replies; they are read now
        self.show(
            Line("problem", f"The sound device is gone: {why}. Trying again every 2 s; type on.")
        )
        return True

    async def hear(self) -> None:
        """Send what the microphone hears, for ever."""
        while True:
            for piece in await self.ends.pieces():
                if isinstance(piece, Heard):
                    self._send_sound(self._ears.heard(piece.samples, piece.rate_hz))
                else:
                    self._ears.played(piece.samples)

    def _send_sound(self, frames: list[Samples]) -> None:
        if self._outgoing is not None and not self._leaving:
            before = self._outgoing.lost
            for frame in frames:
                self._outgoing.sound(frame * 0 if self.muted else frame)
            self._lost_frames += self._outgoing.lost - before
        if self._ears.silent != self._silent_told:
            self._silent_told = self._ears.silent
            if self._silent_told:
                text = "The microphone gives nothing but silence. Is it switched off?"
                self.show(Line("problem", text))

    # --- typing ---

    async def read(self, typing: Typing, leave: trio.Event) -> None:
        """Send what is typed until the input ends."""
        while (line := await typing.next()) is not None:
            if not self._plan.interactive:
                await self._settled()
            self.typed(line.strip())
        if not self._plan.by_voice:
            await self._settled()
            leave.set()

    def typed(self, line: str) -> None:
        """Take a line that was typed; an empty one mutes the microphone, or ends that."""
        if not line:
            self.muted = not self.muted and self._plan.by_voice
        elif self._outgoing is None:
            self.show(Line("problem", "This was not sent, for there is no connection."))
        else:
            self._outgoing.send("stream_data", input_type="text", data=line)
            self.show(*self.dialogue.typed(line))

    async def _settled(self) -> None:
        """Wait until the conversation has begun, and the last answer is complete and heard."""
        with trio.move_on_after(ANSWER_S):
            while not self.dialogue.started or self.dialogue.busy or self.ends.sounding:
                await self._ticks.park()

    # --- the screen ---

    async def keep_time(self) -> None:
        """Bring the screen up to date, for ever."""
        while True:
            position, sounding = self._position(), self.ends.sounding
            now_s = trio.current_time()
            self.show(*self.dialogue.tick(now_s, position, sounding=sounding))
            self._screen.status(self._status(now_s, sounding=sounding))
            self._ticks.unpark_all()
            await trio.sleep(TICK_S)

    def _position(self) -> tuple[str, float] | None:
        """Which speech is heard, and how many ms of it were: what was taken is not heard yet."""
        position = self.ends.position
        if position is None or self._opened is None:
            return None
        return position[0], position[1] - self._opened.played_after_s * 1000

    def _status(self, now_s: float, *, sounding: bool) -> Status:
        dialogue, typing = self.dialogue, self._plan.typing
        connected = self._outgoing is not None
        hears = self._opened is not None and self._opened.microphone is not None
        return Status(
            dialogue.phase(now_s, sounding=sounding) if connected else "connecting",
            level_dbfs=self._ears.meter.dbfs if hears else None,
            muted=self.muted,
            partial=dialogue.partial,
            emotion=dialogue.emotion,
            tasks=tuple(dialogue.tasks.values()),
            lost_ms=20.0 * (self._lost_frames + self.ends.lost),
            typed=typing.editor.text if typing is not None and self._plan.interactive else "",
        )

    def _timing(self, reply: Reply) -> str:
        if self._plan.timing is None:
            return ""
        heard_after_s = self._opened.heard_after_s if self._opened and self._plan.by_voice else 0.0
        return self._plan.timing(reply, heard_after_s * 1000)


def _first(group: BaseExceptionGroup[HostUnreachable]) -> HostUnreachable:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, HostUnreachable)
    return found
