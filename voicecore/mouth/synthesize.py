"""Phrases to sound at the voice's own rate, through the voice."""

from __future__ import annotations

from typing import TypeAlias

import structlog
import trio

from voicecore.audio import samples_to_ms
from voicecore.engines.interface import SpeechChunk, SpeechRequest, Tts, Urgency
from voicecore.errors import EngineError
from voicecore.mind.spoken import SpokenPhrase
from voicecore.mind.turn import Turn
from voicecore.mouth.phrase import Phrase

log = structlog.get_logger()

PhraseSound: TypeAlias = tuple[SpokenPhrase, SpeechChunk | None]
"""A piece of a phrase's sound; None once the phrase is complete."""


async def synthesize(
    tts: Tts,
    phrases: trio.MemoryReceiveChannel[Phrase],
    sound: trio.MemorySendChannel[PhraseSound],
    turn: Turn,
    *,
    voice: str | None,
    speed: float,
) -> None:
    """Speak phrase after phrase, each when there is room for its sound.

    A phrase the voice fails on is left out and noted in ``turn``; the next ones are still tried.
    """
    with phrases, sound:
        async for phrase in phrases:
            begin = sum(len(before.text) for before in turn.phrases)
            spoken = SpokenPhrase(phrase.text, spoken=phrase.spoken, begin=begin)
            turn.phrases.append(spoken)
            if phrase.spoken:
                request = SpeechRequest(
                    phrase.spoken,
                    voice,
                    speed,
                    _urgency(turn, phrase),
                    before=phrase.before,
                    after=phrase.after,
                )
                turn.speaking = request
                try:
                    await _speak(tts, request, sound, spoken, turn)
                except EngineError as error:
                    turn.fail(error.code, str(error))
            await sound.send((spoken, None))


def _urgency(turn: Turn, phrase: Phrase) -> Urgency:
    """The first phrase is what the person waits for; of the others, the one before still plays.

    An opening is too short to count as one.
    """
    if turn.held:
        return Urgency.GUESS
    return Urgency.AHEAD if turn.has("voice") and not phrase.before else Urgency.AWAITED


async def _speak(
    tts: Tts,
    request: SpeechRequest,
    sound: trio.MemorySendChannel[PhraseSound],
    spoken: SpokenPhrase,
    turn: Turn,
) -> None:
    asked_s = trio.current_time()
    made_ms = 0.0
    async with tts.stream(request) as chunks:
        async for chunk in chunks:
            if not turn.has("voice"):
                turn.span("voice", f"tts:{tts.info.name}", asked_s, trio.current_time())
            spoken.tell(chunk.words, made_ms)
            made_ms += samples_to_ms(len(chunk.samples), chunk.rate_hz)
            await sound.send((spoken, chunk))
