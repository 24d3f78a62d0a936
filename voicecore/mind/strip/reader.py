"""What the readers of held text have in common: one is fed characters until it decides."""

from __future__ import annotations

from typing import Protocol

import attrs

from voicecore.mind.strip.calls import Piece


class Reader(Protocol):
    """Holds text back while it may be a call, or takes a call out."""

    def feed(self, char: str) -> Decision | None:
        """Take the next character. A decision ends this reader; None: it needs more."""

    def close(self) -> Decision:
        """Decide now: the reply is over."""


@attrs.frozen
class Decision:
    """What became of the text a reader held. In order: pieces, the removal, the rest."""

    pieces: tuple[Piece, ...] = ()
    removed: bool = False
    """Something was taken out of the reply here; the calls among it, if any, are ``pieces``."""
    again: str = ""
    """Text to be read again, as if it came next."""
    tried: int = 0
    """How many characters of ``again`` are known to begin no JSON call."""
    follows: Reader | None = None
    """The reader of what comes next."""
