"""What was said in one conversation: in memory for the model, and as messages to be stored."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Literal

import attrs

from voicecore.engines.interface import CalledTool, Image, Message
from voicecore.mind.happenings import Remember
from voicecore.mind.turn import Turn
from voicecore.store import SessionRecord, StoredMessage


class History:
    """The history of the conversation that is open."""

    def __init__(self, wall_s: Callable[[], float], max_messages: int) -> None:
        """Begin with none open.

        Args:
            wall_s: gives seconds since the epoch, for what is stored.
            max_messages: held in memory; now and then twice as many.
        """
        self._wall_s, self._max = wall_s, max_messages
        self._messages: list[Message] = []
        self._missed: deque[tuple[str, StoredMessage]] = deque(maxlen=max_messages)
        self.session_id: str | None = None

    @property
    def messages(self) -> tuple[Message, ...]:
        return tuple(self._messages)

    def open(self, record: SessionRecord) -> None:
        self.session_id = record.id
        missed = [one for session, one in self._missed if session == record.id]
        new = [stored for stored in missed if stored not in record.messages]
        self._missed.clear()
        self._messages = whole([recalled(stored) for stored in (*record.messages, *new)])

    def close(self) -> None:
        self.session_id, self._messages = None, []

    def said(
        self, text: str, via: Literal["voice", "text"], images: tuple[Image, ...] = ()
    ) -> Remember:
        """Keep what the person said. Pictures are kept in memory, until newer ones are shown."""
        assert self.session_id is not None
        if images:
            self._messages = [attrs.evolve(message, images=()) for message in self._messages]
        self._add(Message("user", text, images))
        stored = StoredMessage(role="user", content=text, at=self._wall_s(), via=via)
        return Remember(self.session_id, (stored,))

    def answered(self, turn: Turn, text: str, *, interrupted: bool) -> Remember | None:
        """Keep the tools' work, and what was heard of the reply; nothing heard is nothing said."""
        if self.session_id is None or (turn.recited and not turn.unasked):
            return None
        at, kept = self._wall_s(), [*turn.exchanges]
        stored = [stored_exchange(message, at, turn.via) for message in kept]
        if text:
            kept.append(Message("assistant", text))
            stored.append(
                StoredMessage(
                    role="assistant",
                    content=text,
                    at=at,
                    via=turn.via,
                    interrupted=interrupted,
                    tokens_in=turn.tokens_in,
                    tokens_out=turn.tokens_out,
                )
            )
        self._add(*kept)
        return Remember(self.session_id, tuple(stored)) if stored else None

    def overheard(self, session_id: str, messages: Sequence[StoredMessage]) -> None:
        """Take messages that another socket has added to a conversation.

        Of one that is just being opened they are kept: they may have been stored too late for it.
        """
        if session_id == self.session_id:
            self._add(*map(recalled, messages))
        else:
            self._missed.extend((session_id, stored) for stored in messages)

    def _add(self, *messages: Message) -> None:
        """Add messages; the oldest go when there are twice as many as are to be kept.

        A prompt is made of all of them, on the event loop: 4,000 take 27 ms.
        """
        self._messages += messages
        if len(self._messages) > 2 * self._max:
            newest = self._messages[-self._max :]
            users = (i for i, message in enumerate(newest) if message.role == "user")
            self._messages = newest[next(users, 0) :]


def whole(messages: Sequence[Message]) -> list[Message]:
    """Leave out calls without all their results, and results without their call.

    A history that was cut, by its length or by a crash of an older release, may hold such; models
    with tools of their own refuse it.
    """
    kept: list[Message] = []
    for at, message in enumerate(messages):
        if message.role == "tool":
            if any(message.call_id == call.id for one in kept for call in one.calls):
                kept.append(message)
            continue
        following = list(takewhile(lambda later: later.role == "tool", messages[at + 1 :]))
        if {call.id for call in message.calls} <= {result.call_id for result in following}:
            kept.append(message)
    return kept


def stored_exchange(message: Message, at: float, via: Literal["voice", "text"]) -> StoredMessage:
    """Write a message about tools (an assistant's calls, or a tool's result) for the store."""
    if message.role == "tool":
        calls: object = {"id": message.call_id}
    else:
        calls = [attrs.asdict(call) for call in message.calls]
    role: Literal["assistant", "tool"] = "tool" if message.role == "tool" else "assistant"
    return StoredMessage(
        role=role, content=message.content, at=at, via=via, tool_calls=json.dumps(calls)
    )


def recalled(stored: StoredMessage) -> Message:
    """Read a stored message for the model."""
    if not stored.tool_calls:
        return Message(stored.role, stored.content)
    kept = json.loads(stored.tool_calls)
    if stored.role == "tool":
        return Message("tool", stored.content, call_id=kept["id"])
    return Message("assistant", stored.content, calls=tuple(CalledTool(**call) for call in kept))
