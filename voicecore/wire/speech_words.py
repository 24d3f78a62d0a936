"""When each word of a reply is said, counted as the client counts: along one stretch of speech."""

from __future__ import annotations

from voicecore.events import ReplySound


class SpeechWords:
    """Writes the words that a reply's sound bears, each once for each ``speech_id``.

    A reply that was silenced goes on as another stretch, with an id of its own. Its sound begins
    anew, so its times do; a word in whose midst it begins is told again.
    """

    def __init__(self) -> None:
        self._speech = ""
        self._sent_ms = 0.0
        self._told = -1

    def feed(self, sound: ReplySound) -> dict[str, object] | None:
        """Take the next sound that is sent; return the message that goes before it, if any."""
        speech = sound.speech or sound.turn
        if speech != self._speech:
            self._speech, self._sent_ms, self._told = speech, 0.0, -1
        begins_ms, self._sent_ms = self._sent_ms, self._sent_ms + sound.pcm.ms
        new = [word for word in sound.words if word.number > self._told]
        if not new:
            return None
        self._told = new[-1].number
        words = [
            {
                "text": word.text,
                "start_ms": round(max(0.0, begins_ms + word.start_ms), 1),
                "end_ms": round(begins_ms + word.end_ms, 1),
                "from": word.begin,
                "to": word.end,
            }
            for word in new
        ]
        return {"type": "speech_words", "turn_id": sound.turn, "speech_id": speech, "words": words}
