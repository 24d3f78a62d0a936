"""Who has the floor: the running turn and what was said before it.

There is at most one turn, and it is one cancel scope. What the person said goes into the history
when the turn begins; what was answered goes in when it ends, as far as it was heard. So a history
only ever grows, and two user messages in a row mean that the first was interrupted before anything
was heard: the model reads them as one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Literal, TypeAlias

import attrs

from voicecore import events
from voicecore.engines.interface import Image, Message
from voicecore.mind.happenings import (
    Action,
    Answer,
    Cut,
    Emit,
    ReadAhead,
    Recite,
    Release,
    Resume,
    Suspend,
    TurnOver,
)
from voicecore.mind.history import History
from voicecore.mind.turn import Turn, Words

Actions: TypeAlias = Iterator[Action]

MAX_NEWS = 16
"""Things to be said unasked that wait until nobody speaks; the oldest are dropped first."""


@attrs.frozen(eq=False)
class Surroundings:
    """What a conversation needs to know of its surroundings."""

    waits_for_start: bool
    """Whether the client announces a session before it is listened to."""
    now_s: Callable[[], float]
    """The host's clock."""
    wall_s: Callable[[], float]
    """Seconds since the epoch, for what is stored."""
    played_ms: Callable[[], float]
    """How much of the running reply's sound was heard by now."""
    new_turn_id: Callable[[], str]
    max_turn_chars: int
    """Of one spoken turn's words held in memory."""
    max_text_chars: int
    """Of a typed message."""
    max_messages: int = 200
    """Of the conversation, held in memory."""
    knows: Callable[[str], bool] = lambda _: False
    """Whether there is a character of this name."""
    character: Callable[[], str] = lambda: "default"
    """Who answers now."""
    greeting: Callable[[], str] = lambda: ""
    """What the character says first."""
    partials: bool = False
    """Whether the client is shown words while the person still speaks."""
    backchannel: Callable[[str], bool] = lambda _: False
    """Whether words are only a listener's signal ("mhm"), which asks nobody to stop."""


class Floor:
    """The running turn of one conversation."""

    def __init__(self, history: History, around: Surroundings) -> None:
        """Begin with nobody speaking."""
        self.history = history
        self.turn: Turn | None = None
        self.suspended = False
        """Whether the turn is silent because the person began to speak, or something sounded so."""
        self.spoken_replies = around.waits_for_start
        """Whether replies to typed messages are spoken."""
        self.picture: Image | None = None
        """What the person shows; goes with the next turn."""
        self._around = around
        self._news: deque[str] = deque(maxlen=MAX_NEWS)

    @property
    def turn_id(self) -> str | None:
        """The turn the client knows of."""
        return self.turn.id if self.turn and not self.turn.held else None

    @property
    def busy(self) -> bool:
        """Whether something runs that the person has asked for."""
        return self.turn is not None and not self.turn.unasked

    @property
    def activity(self) -> events.Activity:
        """What the client is told when the running turn ends early."""
        return events.Activity(self.turn_id)

    def is_backchannel(self, text: str) -> bool:
        return self._around.backchannel(text)

    def answer(self, words: Words) -> Actions:
        """Begin a turn that answers these words."""
        images = words.images or self._shown()
        yield self.history.said(words.text, words.via, images)
        self.picture = None
        self.turn = self._new_turn(words.text, words.via, words)
        yield Answer(self.turn, self.history.messages)

    def guess(self, words: Words) -> Actions:
        """Begin to answer, unseen: the person has perhaps finished."""
        self.turn = self._new_turn(words.text, words.via, words)
        self.turn.held, self.turn.images = True, self._shown()
        asked = Message("user", words.text, self.turn.images)
        yield Answer(self.turn, (*self.history.messages, asked))

    def release(self, turn: Turn, words: Words) -> Actions:
        """Let the prepared answer go: it answers just these words."""
        turn.held = False
        turn.spans += [span for span in words.spans if not turn.has(span.name)]
        yield self.history.said(words.text, words.via, turn.images)
        if self.picture in turn.images:
            self.picture = None  # a newer one goes with the next turn
        yield Release(turn)

    def recite(self, text: str, voice: str | None) -> Actions:
        """Begin a turn that only speaks this text."""
        self.turn = self._new_turn(text, "text")
        self.turn.recited, self.turn.voice, self.turn.spoken = True, voice, True
        yield Recite(self.turn)

    def read_ahead(self, text: str) -> Actions:
        """Have the model read the words so far of what will be asked."""
        if self.turn is None and text:
            asked = Message("user", text, self._shown())
            yield ReadAhead((*self.history.messages, asked))

    # --- the client's smaller wishes ---

    def set_spoken(self, spoken: events.SetSpoken) -> Actions:
        if spoken.enabled is not None:
            self.spoken_replies = spoken.enabled
        yield Emit(events.Spoken(self.spoken_replies))

    def touch(self, touch: events.Touch) -> Actions:
        yield Emit(events.Touched(touch.interaction_id, self.turn_id))

    # --- of the host's own accord ---

    def add_news(self, text: str) -> None:
        """Keep something to be said as soon as nobody speaks."""
        if text.strip():
            self._news.append(text)

    def speak_news(self) -> Actions:
        """Say the next thing, if nobody has the floor."""
        if self.turn is not None or not self._news:
            return
        self.turn = self._new_turn(self._news.popleft(), "text")
        self.turn.recited = self.turn.unasked = True
        yield Recite(self.turn)

    # --- the end ---

    def suspend(self) -> Actions:
        """Silence the reply at once: the person speaks, unless it turns out to be nothing."""
        if self.turn is not None and not self.suspended:
            self.suspended = True
            yield Suspend(self.turn.id, self.activity)

    def resume(self) -> Actions:
        """It was nothing: go on."""
        if self.turn is not None and self.suspended:
            self.suspended = False
            yield Resume(self.turn.id)

    def over(self, over: TurnOver) -> Actions:
        """The turn has ended by itself."""
        turn = self.turn
        if turn is None or turn.id != over.turn:
            return  # it was cut meanwhile
        self.turn, self.suspended = None, False
        yield from self._answered(turn, turn.answer, interrupted=turn.problem is not None)

    def cut(self, reason: str, notice: events.Event | None) -> Actions:
        """End the turn now, if there is one."""
        if self.turn is None:
            return
        turn, self.turn = self.turn, None
        told, self.suspended = self.suspended, False
        if told and isinstance(notice, events.Activity):
            notice = None
        if turn.held:  # the client knows nothing of it
            yield Cut(turn.id, None, reason)
            if notice is not None and not isinstance(notice, events.Activity):
                yield Emit(notice)
            return
        heard = turn.heard(self._around.played_ms())[turn.settled :].strip()
        yield Cut(turn.id, notice, reason)
        yield from self._answered(turn, heard, interrupted=True)

    def _answered(self, turn: Turn, text: str, *, interrupted: bool) -> Actions:
        kept = self.history.answered(turn, text, interrupted=interrupted)
        if kept is not None:
            yield kept

    def _shown(self) -> tuple[Image, ...]:
        return () if self.picture is None else (self.picture,)

    def _new_turn(
        self, text: str, via: Literal["voice", "text"], words: Words | None = None
    ) -> Turn:
        now_s = self._around.now_s()
        return Turn(
            id=self._around.new_turn_id(),
            user_text=text,
            via=via,
            spoken=via == "voice" or self.spoken_replies,
            zero_s=words.zero_s if words else now_s,
            started_s=now_s,
            spans=list(words.spans) if words else [],
        )
