"""The rules of the open microphone: what is heard there becomes the person's turn."""

from __future__ import annotations

from collections.abc import Generator

from voicecore import events
from voicecore.mind.floor import Actions, Floor
from voicecore.mind.happenings import (
    Action,
    Deafen,
    Emit,
    Heard,
    Listen,
    SpeechResumed,
)
from voicecore.mind.pieces import SpokenWords
from voicecore.mind.turn import Words


class OpenMic:
    """What is being said, until it is complete."""

    def __init__(self, floor: Floor, max_turn_chars: int) -> None:
        """Begin deaf. ``max_turn_chars``: of one turn's words held in memory."""
        self._floor = floor
        self._said = SpokenWords(max_turn_chars)
        self._listening = False
        self._utterances = 0  # begun and not yet recognised
        self._wrong_guess = 0

    @property
    def speaking(self) -> bool:
        """Whether the person speaks, or has spoken and is not understood yet."""
        return self._utterances > 0

    def listen(self) -> Actions:
        if not self._listening:
            self._listening = True
            yield Listen()

    def deafen(self) -> Actions:
        if self._listening:
            self._listening, self._utterances, self._wrong_guess = False, 0, 0
            self._said.clear()
            yield Deafen()

    def speech_started(self) -> Actions:
        self._utterances += 1
        interrupted = self._floor.turn_id
        if interrupted is None:
            yield Emit(events.Activity(None))
        yield from self._floor.cut("the person speaks", events.Activity(interrupted))

    def speech_resumed(self, resumed: SpeechResumed) -> Actions:
        self._wrong_guess = resumed.guess
        if self._floor.turn is not None and self._floor.turn.held:
            yield from self._floor.cut("the person goes on", None)

    def guessed(self, heard: Heard) -> Actions:
        """Prepare the answer, unseen: the person has perhaps finished."""
        alone = self._floor.turn is None and self._utterances == 1
        if alone and heard.text and heard.guess > self._wrong_guess:
            text = self._said.joined(heard.text)
            yield from self._floor.guess(Words(text, "voice", heard.zero_s, heard.spans))

    def heard(self, heard: Heard) -> Generator[Action, None, Words | None]:
        """Take recognised words; return the whole turn's once they are complete."""
        if heard.text:
            # Before, so that the last piece always finds something to answer.
            if overflow := self._said.overflow():
                yield self._floor.history.said(overflow, "voice")
            self._said.add(heard.text)
            yield Emit(events.UserWords(heard.text, heard.confidence))
        if not heard.final:
            return None
        return (yield from self.utterance_over(heard.zero_s, heard.spans))

    def utterance_over(
        self, zero_s: float, spans: tuple[events.Span, ...] = ()
    ) -> Generator[Action, None, Words | None]:
        """Return what is to be answered, unless the person has gone on speaking."""
        self._utterances = max(0, self._utterances - 1)
        if self._utterances:
            return None
        if text := self._said.take():
            return Words(text, "voice", zero_s, spans)
        if self._floor.turn is not None and self._floor.turn.held:
            yield from self._floor.cut("the guess was wrong", None)
        return None
