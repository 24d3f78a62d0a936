"""What a client has received, with the times, and which answers it makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import attrs

from voicecore.audio import MOUTH_HZ, Samples
from voicecore.client import Exchange

Spans: TypeAlias = tuple[Mapping[str, Any], ...]


@attrs.frozen
class Ready:
    """The host listens."""

    at_s: float


@attrs.frozen
class Refused:
    at_s: float
    why: str


@attrs.frozen
class Heard:
    """Words of the person that were recognised."""

    at_s: float
    text: str


@attrs.frozen
class Wrote:
    """Text of the reply."""

    at_s: float
    text: str


@attrs.frozen(eq=False)
class Sounded:
    """Sound of the reply, 48 kHz."""

    at_s: float
    samples: Samples


@attrs.frozen
class Interrupted:
    """Stop playing: the person speaks."""

    at_s: float


@attrs.frozen
class Complete:
    """The reply's text is complete."""

    at_s: float


@attrs.frozen
class Timed:
    """Where the turn's time went; all of its sound was sent."""

    at_s: float
    spans: Spans


@attrs.frozen
class Told:
    """A status or an error, in words."""

    at_s: float
    text: str


Event: TypeAlias = Ready | Refused | Heard | Wrote | Sounded | Interrupted | Complete | Timed | Told


@attrs.define(eq=False)
class Answer:
    """One reply, as the client received it."""

    began_s: float
    """When its first text or sound came."""
    text: str = ""
    sound: list[tuple[float, Samples]] = attrs.field(factory=list)
    stale: list[tuple[float, Samples]] = attrs.field(factory=list)
    """Sound that came after the client had been told to stop playing."""
    interrupted_s: float | None = None
    complete_s: float | None = None
    """When its text was complete."""
    timed_s: float | None = None
    spans: Spans = ()

    def audible_s(self) -> float | None:
        """When its first audible sample played, on the received waveform."""
        return Exchange(sound=self.sound).first_sound_s()

    def seconds(self) -> float:
        return sum(len(piece) for _, piece in self.sound) / MOUTH_HZ

    def last_sound_s(self) -> float | None:
        """When its last sound arrived, stale sound included."""
        return max((at_s for at_s, _ in (*self.sound, *self.stale)), default=None)


class _Reader:
    """Splits events into answers.

    The documented messages name no turn, so what follows what decides: text after a completed or
    interrupted reply is a new one; sound belongs to the newest reply, and after an interruption to
    a new one only once text was written or, from a host that writes none, words were heard.
    """

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self._open = False
        """Whether more text belongs to the last answer."""
        self._heard = self._writes = False
        """Whether words were heard since the interruption; whether the host writes text."""

    def feed(self, event: Event) -> None:
        last = self.answers[-1] if self.answers else None
        match event:
            case Wrote(at_s, text):
                self._writes = True
                self._current(at_s).text += text
            case Sounded(at_s, samples):
                self._sound(at_s, samples)
            case Heard():
                self._heard = True
                self._open = self._open and not (last and last.sound)
            case Interrupted(at_s) if last and last.interrupted_s is None:
                last.interrupted_s, self._open, self._heard = at_s, False, False
            case Complete(at_s) if last and last.complete_s is None:
                last.complete_s, self._open = at_s, False
            case Timed(at_s, spans) if last and last.timed_s is None:
                last.timed_s, last.spans = at_s, spans
            case _:
                pass

    def _current(self, at_s: float) -> Answer:
        if not self._open:
            self.answers.append(Answer(at_s))
            self._open = True
        return self.answers[-1]

    def _sound(self, at_s: float, samples: Samples) -> None:
        last = self.answers[-1] if self.answers else None
        stopped = last is not None and last.interrupted_s is not None
        if last is None or (stopped and self._heard and not self._writes):
            self._current(at_s).sound.append((at_s, samples))
        elif stopped:
            last.stale.append((at_s, samples))
        else:
            last.sound.append((at_s, samples))


def answers(events: Sequence[Event]) -> list[Answer]:
    """Split what was received into answers, in order."""
    reader = _Reader()
    for event in events:
        reader.feed(event)
    return reader.answers


def heard(events: Sequence[Event]) -> list[str]:
    """Give the pieces of the person's words, in order."""
    return [event.text for event in events if isinstance(event, Heard) and event.text.strip()]
