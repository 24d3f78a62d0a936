"""Recognised pieces of one long thing said, until it is complete."""

from __future__ import annotations

import attrs

from voicecore.mind.happenings import Heard


class SpokenWords:
    """What has been recognised of the turn being spoken at the open microphone."""

    def __init__(self, max_chars: int) -> None:
        """``max_chars``: of words held in memory; `overflow` gives them away beyond it."""
        self._max_chars = max_chars
        self._pieces: list[str] = []

    def add(self, text: str) -> None:
        self._pieces.append(text)

    def joined(self, more: str = "") -> str:
        return " ".join(filter(None, [*self._pieces, more]))

    def overflow(self) -> str:
        """Take what there is, if it is too much to be kept; else nothing."""
        return self.take() if sum(map(len, self._pieces)) > self._max_chars else ""

    def take(self) -> str:
        text = self.joined()
        self._pieces.clear()
        return text

    def clear(self) -> None:
        self._pieces.clear()


class Clips:
    """Recorded messages, by their numbers. One that was stopped or has failed is ignored.

    A message is recognised in pieces while it is still being sent, so there may be pieces of one
    that nobody has stopped, for it was not sent yet.
    """

    def __init__(self) -> None:
        self._pieces: list[Heard] = []
        self._newest = 0
        self._dead = 0
        self._sessions: dict[int, str] = {}

    def sent(self, number: int, session_id: str | None = None) -> None:
        """The client has sent all of this one; it belongs to that conversation, if to any."""
        self._newest = number
        if session_id is not None:
            self._sessions[number] = session_id

    def forget(self) -> None:
        """Ignore whatever was sent so far and is not recognised yet."""
        self.fail(self._newest)

    def fail(self, number: int) -> None:
        """Ignore the rest of this one."""
        self._dead = max(self._dead, number)
        self._pieces = [piece for piece in self._pieces if piece.clip > self._dead]
        self._sessions = {n: name for n, name in self._sessions.items() if n > number}

    def feed(self, heard: Heard) -> Heard | None:
        """Take a piece; return the whole message when it was the last.

        It is as sure as its least sure piece.
        """
        if heard.clip <= self._dead:
            return None
        self._pieces = [*(piece for piece in self._pieces if piece.clip == heard.clip), heard]
        if not heard.final:
            return None
        spoken, self._pieces = [piece for piece in self._pieces if piece.text], []
        return attrs.evolve(
            heard,
            text=" ".join(piece.text for piece in spoken),
            confidence=min((piece.confidence for piece in spoken), default=heard.confidence),
        )

    def session(self, number: int) -> str | None:
        """The conversation that this one belongs to, asked once; None for the current one."""
        return self._sessions.pop(number, None)
