"""Utterances to words, through the recogniser."""

from __future__ import annotations

from collections.abc import Callable

import structlog
import trio

from voicecore.ears.agreement import Agreement
from voicecore.ears.segment import Take
from voicecore.engines.interface import Stt, Transcript, Utterance
from voicecore.errors import EngineError
from voicecore.events import Span
from voicecore.mind.happenings import Happening, Heard, HearingFailed, PartlyHeard

log = structlog.get_logger()


async def transcribe(
    utterances: trio.MemoryReceiveChannel[Take],
    inbox: trio.MemorySendChannel[Happening],
    stt: Stt,
    *,
    language: Callable[[], str | None],
    timeout_ms: int,
    on_guess: Callable[[int, str], None] | None = None,
) -> None:
    """Recognise each utterance in turn; a failure is told and the next one is tried.

    ``language`` is asked each time, since another character may speak another one.

    What was recognised as a guess is not recognised again when the guess was right. ``on_guess`` is
    told a guess's number and its words.
    """
    guessed: tuple[int, Transcript] | None = None
    agreement = Agreement()
    with utterances, inbox:
        async for take in utterances:
            if not (take.unfinished or take.clip):
                agreement.reset()
            if guessed and not take.unfinished and take.guess == guessed[0]:
                await inbox.send(_heard(take, guessed[1], stt.info.name))
                continue
            result = await _try(stt, take, language(), timeout_ms)
            if take.partial:
                if isinstance(result, Transcript):
                    await _tell(agreement, result, inbox)
                continue
            if isinstance(result, Transcript):
                guessed = (take.guess, result) if take.tentative else None
                if take.tentative and on_guess is not None:
                    on_guess(take.guess, result.text)
                await inbox.send(_heard(take, result, stt.info.name))
            elif not take.tentative:
                await inbox.send(result)


async def _tell(
    agreement: Agreement, result: Transcript, inbox: trio.MemorySendChannel[Happening]
) -> None:
    """Tell the conversation of the words so far, less the last one, which may be cut."""
    certain = agreement.feed(result.text)
    words, _, _ = result.text.rpartition(" ")
    if words:
        await inbox.send(PartlyHeard(words, certain))


async def _try(
    stt: Stt, take: Take, language: str | None, timeout_ms: int
) -> Transcript | HearingFailed:
    if not len(take.samples):  # a message whose last words were recognised before its end
        return Transcript("", confidence=0.0)
    utterance = Utterance(take.samples, language, urgency=take.urgency)
    try:
        with trio.fail_after(timeout_ms / 1000):
            return await recognise(stt, utterance)
    except trio.TooSlowError:
        problem = (
            f"Recognition took longer than {timeout_ms} ms and was given up; say it again. "
            "The host is overloaded, or its model is too large for it (stt.timeout_ms)."
        )
        return HearingFailed("STT_TIMEOUT", problem, take.final, take.clip)
    except EngineError as error:
        return HearingFailed(error.code, str(error), take.final, take.clip)


async def recognise(stt: Stt, utterance: Utterance) -> Transcript:
    """Recognise one utterance.

    Raises:
        EngineError: the recogniser failed on it.
    """
    async with stt.stream(utterance) as transcripts:
        async for transcript in transcripts:
            return transcript
    raise EngineError(f"The recogniser {stt.info.name} ended without a result.")


def _heard(take: Take, transcript: Transcript, owner: str) -> Heard:
    now_s = trio.current_time()
    log.debug("recognised", words=len(transcript.text.split()), passes=transcript.passes)
    recognition = Span("recognition", f"stt:{owner}", take.ended_s, now_s)
    waited_for = "the client" if take.clip else "ears.endpoint_ms"
    endpoint = Span("endpoint", waited_for, take.zero_s, take.ended_s)
    return Heard(
        transcript.text,
        transcript.confidence,
        final=take.final,
        zero_s=take.zero_s,
        spans=(recognition,) if take.tentative else (endpoint, recognition),
        clip=take.clip,
        guess=take.guess if take.tentative else 0,
    )
