"""The mouth's first and last step: words to phrases, and the voice's sound to the outbox."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import numpy as np
import trio

from voicecore.audio import MOUTH_HZ, Pcm, Samples
from voicecore.events import Event, PhraseStarted, ReplySound
from voicecore.mind.emotion import emotion_of
from voicecore.mind.turn import Turn
from voicecore.mouth.phrase import Phrase, Phraser
from voicecore.mouth.synthesize import PhraseSound
from voicecore.mouth.upsample import Upsampler, chunker
from voicecore.mouth.words import WordMarks

Send = Callable[[PhraseStarted | ReplySound], Awaitable[None]]


OPENING_WRITTEN_S = 0.25
"""A model that took longer for the five or six words of an opening needs more than another 0.5 s
for the rest of a long sentence, and speech would stop in the middle of it. 7 tokens take 0.1 to
0.15 s with the default model."""


class _Cutter:
    """Cuts a phrase's sound to messages; the last one of a phrase may be shorter."""

    def __init__(self, chunk_ms: float | None) -> None:
        self._framer = None if chunk_ms is None else chunker(round(chunk_ms))
        self._whole: list[Samples] = []

    def feed(self, samples: Samples, *, last: bool) -> list[Pcm]:
        if self._framer is not None:
            cut = self._framer.feed(samples) + (self._framer.close() if last else [])
        else:
            self._whole.append(samples)
            cut = [np.concatenate(self._whole)] if last else []
            if last:
                self._whole.clear()
        return [Pcm(piece, MOUTH_HZ) for piece in cut if len(piece)]


async def phrase(
    words: trio.MemoryReceiveChannel[str],
    phrases: trio.MemorySendChannel[Phrase],
    phraser: Phraser,
    turn: Turn,
    emit: Callable[[Event], None],
    *,
    joins: bool = False,
) -> None:
    """Cut the reply's text to phrases worth speaking.

    The first one tells the reply's emotion, unless the model has said it itself. With ``joins`` the
    voice can begin a sentence before its end is known (`Phraser.opening`).
    """
    with words, phrases:
        async for text in words:
            cut = phraser.feed(text)
            if joins and not cut and _is_fast(turn) and (opening := phraser.opening()) is not None:
                cut = [opening]
            for found in cut:
                _note_first(turn, found, emit, phraser.language)
                await phrases.send(found)
        for found in phraser.close():
            _note_first(turn, found, emit, phraser.language)
            await phrases.send(found)


def _is_fast(turn: Turn) -> bool:
    """Whether the model will have written the rest of its sentence while the opening plays."""
    return turn.has("first token") and (
        trio.current_time() - turn.end_s("first token") < OPENING_WRITTEN_S
    )


def _note_first(turn: Turn, found: Phrase, emit: Callable[[Event], None], language: str) -> None:
    if found.spoken and turn.mood is None and not turn.recited:
        mood = turn.feel(emotion_of(f"{found.text} {found.after}", language))
        if mood is not None:
            emit(mood)
    if found.spoken and turn.has("first token") and not turn.has("first phrase"):
        owner = "mouth.first_phrase_chars"
        turn.span("first phrase", owner, turn.end_s("first token"), trio.current_time())


async def upsample(
    sound: trio.MemoryReceiveChannel[PhraseSound],
    send: Send,
    turn: Turn,
    *,
    chunk_ms: float | None,
    voice: str,
    marks: WordMarks | None = None,
) -> None:
    """Bring each phrase's sound to 48 kHz and cut it to messages.

    Args:
        sound: pieces at the voice's own rate, phrase after phrase.
        send: takes each message when there is room for it.
        turn: whose ledger says how long each phrase is.
        chunk_ms: sound in one message; None for a whole phrase in each.
        voice: its name, told to the client.
        marks: says which words each message bears; None if the client did not ask.
    """
    upsampler, cutter = Upsampler(), _Cutter(chunk_ms)
    with sound:
        async for spoken, chunk in sound:
            ready = upsampler.feed(chunk) if chunk is not None else upsampler.close()
            for message in cutter.feed(ready, last=chunk is None):
                if not spoken.ms:
                    await send(PhraseStarted(turn.id, spoken.text.strip(), voice))
                words = marks.feed(spoken, message.ms) if marks else ()
                spoken.ms += message.ms
                turn.sound_s = turn.sound_s or trio.current_time()
                await send(ReplySound(turn.id, message, words=words))
            spoken.complete = chunk is None
