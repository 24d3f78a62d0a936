"""What was said in one conversation: in memory for the model, and as messages to be stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Literal

import attrs

from voicecore.engines.interface import CalledTool, Image, Message
from voicecore.mind.happenings import Remember
from voicecore.mind.turn import Turn
from voicecore.store import SessionRecord, StoredMessage


class History:
    """The history of the conversation that is open. It only ever grows."""

    def __init__(self, wall_s: Callable[[], float]) -> None:
        """Begin with none open. ``wall_s`` gives seconds since the epoch, for what is stored."""
        self._wall_s = wall_s
        self._messages: list[Message] = []
        self.session_id: str | None = None

    @property
    def messages(self) -> tuple[Message, ...]:
        return tuple(self._messages)

    def open(self, record: SessionRecord) -> None:
        self.session_id = record.id
        self._messages = [recalled(stored) for stored in record.messages]

    def close(self) -> None:
        self.session_id, self._messages = None, []

    def said(
        self, text: str, via: Literal["voice", "text"], images: tuple[Image, ...] = ()
    ) -> Remember:
        """Keep what the person said. Pictures are kept in memory, until newer ones are shown."""
        assert self.session_id is not None
        if images:
            self._messages = [attrs.evolve(message, images=()) for message in self._messages]
        self._messages.append(Message("user", text, images))
        stored = StoredMessage(role="user", content=text, at=self._wall_s(), via=via)
        return Remember(self.session_id, stored)

    def answered(self, turn: Turn, text: str, *, interrupted: bool) -> list[Remember]:
        """Keep the tools' work, and what was heard of the reply; nothing heard is nothing said."""
        if self.session_id is None or (turn.recited and not turn.unasked):
            return []
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
        self._messages += kept
        return [Remember(self.session_id, message) for message in stored]

    def overheard(self, stored: StoredMessage) -> None:
        """Take a message that another socket of this conversation has added and stored."""
        self._messages.append(recalled(stored))


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
