"""A conversation's rules under test, without any I/O."""

from __future__ import annotations

from itertools import count

from voicecore import events
from voicecore.mind.floor import Surroundings
from voicecore.mind.happenings import (
    Action,
    Answer,
    Emit,
    Happening,
    Heard,
    Open,
    Opened,
    Remember,
    TurnOver,
)
from voicecore.mind.spoken import SpokenPhrase
from voicecore.mind.turn import Turn
from voicecore.mind.turns import TurnTaking
from voicecore.store import SessionRecord, StoredMessage


class Talk:
    """A conversation under test: feeds, collects, and keeps the played time."""

    def __init__(
        self,
        *,
        waits_for_start: bool = True,
        max_turn_chars: int = 8_000,
        partials: bool = False,
    ) -> None:
        self.played_ms = 0.0
        self.opening = 0
        self.greeting = ""
        self.backchannels: set[str] = set()
        ids = count(1)
        self.taking = TurnTaking(
            Surroundings(
                waits_for_start=waits_for_start,
                now_s=lambda: 5.0,
                wall_s=lambda: 1_000.0,
                played_ms=lambda: self.played_ms,
                new_turn_id=lambda: f"t{next(ids)}",
                max_turn_chars=max_turn_chars,
                max_text_chars=1_000,
                partials=partials,
                knows=lambda name: name == "robin",
                greeting=lambda: self.greeting,
                backchannel=lambda text: text in self.backchannels,
            )
        )

    def __call__(self, *happenings: Happening) -> list[Action]:
        actions = []
        for happening in happenings:
            actions += self.taking.feed(happening)
        self.opening = next((a.number for a in actions if isinstance(a, Open)), self.opening)
        return actions

    def open(self, *messages: StoredMessage, session: str = "s1") -> list[Action]:
        """Answer the newest opening."""
        record = SessionRecord(session, "default", "me", 0.0, messages)
        return self(Opened(record, self.opening))


def started(max_turn_chars: int = 8_000) -> Talk:
    talk = Talk(max_turn_chars=max_turn_chars)
    talk(events.Start("audio"))
    talk.open()
    return talk


def chat(session: str = "s1") -> Talk:
    talk = Talk(waits_for_start=False)
    talk.taking.begin()
    talk(events.Typed("hello"))
    talk.open(session=session)
    assert talk.taking.turn
    talk(TurnOver("t1"))
    return talk


def heard(text: str, *, final: bool = True, clip: int = 0, guess: int = 0) -> Heard:
    return Heard(text, 0.9, final=final, zero_s=4.0, clip=clip, guess=guess)


def emitted(actions: list[Action]) -> list[events.Event]:
    return [action.event for action in actions if isinstance(action, Emit)]


def answers(actions: list[Action]) -> list[Turn]:
    return [action.turn for action in actions if isinstance(action, Answer)]


def remembered(actions: list[Action]) -> list[tuple[str, str, bool]]:
    return [
        (message.role, message.content, message.interrupted)
        for action in actions
        if isinstance(action, Remember)
        for message in action.messages
    ]


def problems(actions: list[Action]) -> list[str]:
    return [event.code for event in emitted(actions) if isinstance(event, events.Problem)]


def say(turn: Turn | None, text: str, ms: float = 1_000) -> None:
    """As if the stages had spoken this as one phrase."""
    assert turn is not None
    turn.text += text
    turn.phrases.append(SpokenPhrase(text, ms, complete=True))
