"""Which of a reply's words are said in each message of its sound."""

from __future__ import annotations

from voicecore.events import SpokenWord
from voicecore.mind.spoken import SpokenPhrase


class WordMarks:
    """Marks the sound of one turn, message after message."""

    def __init__(self) -> None:
        self._phrase = SpokenPhrase("")
        self._places: list[tuple[int, int]] = []
        self._first = 0  # number of the phrase's first word
        self._begun = 0  # words of the phrase

    def feed(self, phrase: SpokenPhrase, ms: float) -> tuple[SpokenWord, ...]:
        """Mark the next ``ms`` of a phrase, of whose sound ``phrase.ms`` came before.

        Returns:
            The words that begin in it, and before them one that goes on from the message before.
        """
        if phrase is not self._phrase:
            self._first += self._begun
            whole = (phrase.begin, phrase.begin + len(phrase.text))
            self._phrase, self._places, self._begun = phrase, phrase.places() or [whole], 0
        begun, words = self._begun, phrase.words
        goes_on = begun > 0 and words[begun - 1].end_ms > phrase.ms
        while self._begun < len(words) and words[self._begun].start_ms < phrase.ms + ms:
            self._begun += 1
        return tuple(map(self._word, range(begun - goes_on, self._begun)))

    def _word(self, index: int) -> SpokenWord:
        word, before_ms = self._phrase.words[index], self._phrase.ms
        begin, end = self._places[min(index, len(self._places) - 1)]
        return SpokenWord(
            self._first + index,
            word.text,
            word.start_ms - before_ms,
            word.end_ms - before_ms,
            begin,
            end,
        )
