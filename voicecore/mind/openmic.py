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
    PartlyHeard,
    SpeechResumed,
)
from voicecore.mind.pieces import SpokenWords
from voicecore.mind.turn import Words


class OpenMic:
    """What is being said, until it is complete."""

    def __init__(self, floor: Floor, max_turn_chars: int, *, partials: bool = False) -> None:
        """Begin deaf.

        Args:
            floor: the running turn.
            max_turn_chars: of one turn's words held in memory.
            partials: whether the client is shown what is recognised while the person speaks.
        """
        self._floor = floor
        self._partials, self._partial = partials, ""  # what it was shown last
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
            yield from self._show("")
            yield Deafen()

    def speech_started(self) -> Actions:
        """Be silent. Whether a reply is over with that, the words tell."""
        self._utterances += 1
        if self._floor.turn_id is None:
            yield Emit(events.Activity(None))
            yield from self._floor.cut("the person speaks", None)
        else:
            yield from self._floor.suspend()

    def speech_resumed(self, resumed: SpeechResumed) -> Actions:
        self._wrong_guess = resumed.guess
        if self._floor.turn is not None and self._floor.turn.held:
            yield from self._floor.cut("the person goes on", None)

    def partly_heard(self, partly: PartlyHeard) -> Actions:
        """Take words while the person speaks on: certain ones end a reply, any are read ahead."""
        if self.speaking:
            yield from self._show(partly.text)
            if partly.certain:
                yield from self._interrupt(self._said.joined(partly.certain))
            yield from self._floor.read_ahead(self._said.joined(partly.text))

    def guessed(self, heard: Heard) -> Actions:
        """Prepare the answer, unseen: the person has perhaps finished."""
        if self._utterances != 1 or not heard.text:
            return
        yield from self._show(heard.text)
        text = self._said.joined(heard.text)
        if heard.guess <= self._wrong_guess:  # they have gone on, perhaps within the last word
            yield from self._floor.read_ahead(text.rpartition(" ")[0])
            return
        yield from self._interrupt(text)
        if self._floor.turn is None:
            yield from self._floor.guess(Words(text, "voice", heard.zero_s, heard.spans))

    def _show(self, text: str) -> Actions:
        """Show the client what was recognised of what is being said."""
        if self._partials and text != self._partial:
            self._partial = text
            yield Emit(events.PartialWords(text))

    def _interrupt(self, text: str) -> Actions:
        """End a suspended reply if these words mean to."""
        if self._floor.suspended and not self._floor.is_backchannel(text):
            yield from self._floor.cut("the person speaks", None)

    def heard(self, heard: Heard) -> Generator[Action, None, Words | None]:
        """Take recognised words; return the whole turn's once they are complete."""
        if heard.text and not self._is_only_listening(heard):
            yield from self._interrupt(self._said.joined(heard.text))
            # Before, so that the last piece always finds something to answer.
            if overflow := self._said.overflow():
                yield self._floor.history.said(overflow, "voice")
            self._said.add(heard.text)
            self._partial = ""
            yield Emit(events.UserWords(heard.text, heard.confidence))
        if not heard.final:
            return None
        return (yield from self.utterance_over(heard.zero_s, heard.spans))

    def _is_only_listening(self, heard: Heard) -> bool:
        """Whether the person only signals that they follow the reply."""
        alone = self._floor.suspended and heard.final and not self._said.joined()
        return alone and self._floor.is_backchannel(heard.text)

    def utterance_over(
        self, zero_s: float, spans: tuple[events.Span, ...] = ()
    ) -> Generator[Action, None, Words | None]:
        """Return what is to be answered, unless the person has gone on speaking."""
        self._utterances = max(0, self._utterances - 1)
        yield from self._show("")
        if self._utterances:
            return None
        if text := self._said.take():
            return Words(text, "voice", zero_s, spans)
        yield from self._floor.resume()
        if self._floor.turn is not None and self._floor.turn.held:
            yield from self._floor.cut("the guess was wrong", None)
        return None
