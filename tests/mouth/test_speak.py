"""Words to phrases, and what the voice is asked for them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial

import numpy as np
import pytest
import trio

from voicecore import events
from voicecore.engines.interface import EngineInfo, SpeechChunk, SpeechRequest, Urgency
from voicecore.mind.turn import Turn
from voicecore.mouth.phrase import Phrase, Phraser
from voicecore.mouth.speak import OPENING_WRITTEN_S, phrase
from voicecore.mouth.synthesize import PhraseSound, synthesize

REPLY = "I am sorry to hear of your very bad day. Sleep well."


async def cut(
    text: str, *, word_s: float, joins: bool = True
) -> tuple[list[Phrase], list[events.Emotion]]:
    """Have the model write a word each ``word_s``; return the phrases, and the moods told."""
    turn = Turn("t", "hello", "voice", spoken=True, zero_s=0, started_s=0)
    told: list[events.Event] = []
    words_in, words_out = trio.open_memory_channel[str](0)
    phrases_in, phrases_out = trio.open_memory_channel[Phrase](64)
    begun_s = trio.current_time()
    turn.span("first token", "llm", begun_s, begun_s)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            partial(phrase, joins=joins), words_out, phrases_in, Phraser(), turn, told.append
        )
        async with words_in:
            for word in text.split(" "):
                await words_in.send(word + " ")
                await trio.sleep(word_s)
    moods = [event.emotion for event in told if isinstance(event, events.Mood)]
    return [found async for found in phrases_out], moods


@pytest.mark.parametrize("word_s", [0.0, 0.02, 0.04])
async def test_a_voice_that_joins_begins_before_the_sentence_is_written(
    autojump_clock: object, word_s: float
) -> None:
    phrases, moods = await cut(REPLY, word_s=word_s)
    assert [found.text.strip() for found in phrases if found.spoken] == [
        *("I am sorry to", "hear of your very bad day.", "Sleep well.")
    ]
    assert [(found.before, found.after) for found in phrases[:2]] == [
        ("", "hear of"), ("I am sorry to", ""),
    ]  # fmt: skip
    assert moods == ["sad"]


async def test_a_slow_model_would_leave_it_in_the_middle_of_a_sentence(
    autojump_clock: object,
) -> None:
    phrases, moods = await cut(REPLY, word_s=OPENING_WRITTEN_S / 5)
    assert [found.text.strip() for found in phrases if found.spoken] == [
        *("I am sorry to hear of your very bad day.", "Sleep well.")
    ]
    assert moods == ["sad"]


async def test_a_voice_that_does_not_join_is_given_whole_phrases(autojump_clock: object) -> None:
    phrases, _ = await cut(REPLY, word_s=0.02, joins=False)
    assert not any(found.before or found.after for found in phrases)


async def test_the_voice_is_told_what_surrounds_a_phrase_and_is_not_kept_waiting_within_a_sentence(
    autojump_clock: object,
) -> None:
    turn = Turn("t", "hello", "voice", spoken=True, zero_s=0, started_s=0)
    asked: list[SpeechRequest] = []

    class Voice:
        info = EngineInfo("tts", "test", "test", "1", joins=True)

        @asynccontextmanager
        async def stream(self, request: SpeechRequest) -> AsyncIterator[AsyncIterator[SpeechChunk]]:
            asked.append(request)

            async def one() -> AsyncGenerator[SpeechChunk, None]:
                await trio.lowlevel.checkpoint()
                yield SpeechChunk(np.zeros(10, np.int16), 22_050)

            async with aclosing(one()) as chunks:
                yield chunks

    phrases_in, phrases_out = trio.open_memory_channel[Phrase](3)
    sound_in, sound_out = trio.open_memory_channel[PhraseSound](16)
    with phrases_in:
        phrases_in.send_nowait(Phrase("I am sorry to", "I am sorry to", after="hear of"))
        phrases_in.send_nowait(Phrase(" hear of it.", "hear of it.", before="I am sorry to"))
        phrases_in.send_nowait(Phrase(" Sleep well.", "Sleep well."))
    await synthesize(Voice(), phrases_out, sound_in, turn, voice=None, speed=1.0)
    sound_out.close()
    assert asked == [
        SpeechRequest("I am sorry to", None, 1.0, Urgency.AWAITED, after="hear of"),
        SpeechRequest("hear of it.", None, 1.0, Urgency.AWAITED, before="I am sorry to"),
        SpeechRequest("Sleep well.", None, 1.0, Urgency.AHEAD),
    ]
