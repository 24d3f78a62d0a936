"""What was said in one conversation: in memory for the model, and as messages to be stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from voicecore.engines.interface import Message
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
        self._messages = [Message(stored.role, stored.content) for stored in record.messages]

    def close(self) -> None:
        self.session_id, self._messages = None, []

    def said(self, text: str, via: Literal["voice", "text"]) -> Remember:
        """Keep what the person said."""
        assert self.session_id is not None
        self._messages.append(Message("user", text))
        stored = StoredMessage(role="user", content=text, at=self._wall_s(), via=via)
        return Remember(self.session_id, stored)

    def answered(self, turn: Turn, text: str, *, interrupted: bool) -> Remember | None:
        """Keep what was heard of the reply; nothing heard is nothing said."""
        if not text or self.session_id is None or turn.recited:
            return None
        self._messages.append(Message("assistant", text))
        stored = StoredMessage(
            role="assistant",
            content=text,
            at=self._wall_s(),
            via=turn.via,
            interrupted=interrupted,
            tokens_in=turn.tokens_in,
            tokens_out=turn.tokens_out,
        )
        return Remember(self.session_id, stored)
