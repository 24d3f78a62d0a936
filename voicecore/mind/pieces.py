"""Recognised pieces of one long thing said, until it is complete."""

from __future__ import annotations

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
    """Recorded messages, by their numbers. One that was stopped or has failed is ignored."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._newest = 0
        self._dead = 0

    def sent(self, number: int) -> None:
        """The client has sent all of this one."""
        self._newest = number

    def forget(self) -> None:
        """Ignore whatever was sent so far and is not recognised yet."""
        self.fail(self._newest)

    def fail(self, number: int) -> None:
        """Ignore the rest of this one."""
        self._dead = max(self._dead, number)
        self._pieces.clear()

    def feed(self, heard: Heard) -> str | None:
        """Take a piece; return the whole message when it was the last."""
        if heard.clip <= self._dead:
            return None
        self._pieces.append(heard.text)
        if not heard.final:
            return None
        text = " ".join(filter(None, self._pieces))
        self._pieces.clear()
        return text
