"""Utterances to words, through the recogniser."""

from __future__ import annotations

import structlog
import trio

from voicecore.ears.segment import Take
from voicecore.engines.interface import Stt, Transcript, Utterance
from voicecore.errors import EngineError
from voicecore.events import Span
from voicecore.mind.happenings import Happening, Heard, HearingFailed

log = structlog.get_logger()


async def transcribe(
    utterances: trio.MemoryReceiveChannel[Take],
    inbox: trio.MemorySendChannel[Happening],
    stt: Stt,
    *,
    language: str | None,
    timeout_ms: int,
) -> None:
    """Recognise each utterance in turn; a failure is told and the next one is tried."""
    with utterances, inbox:
        async for take in utterances:
            try:
                with trio.fail_after(timeout_ms / 1000):
                    transcript = await recognise(stt, Utterance(take.samples, language))
            except trio.TooSlowError:
                problem = (
                    f"Recognition took longer than {timeout_ms} ms and was given up; say it again. "
                    "The host is overloaded, or its model is too large for it (stt.timeout_ms)."
                )
                await inbox.send(HearingFailed("STT_TIMEOUT", problem, take.final, take.clip))
            except EngineError as error:
                await inbox.send(HearingFailed(error.code, str(error), take.final, take.clip))
            else:
                await inbox.send(_heard(take, transcript, stt.info.name))


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
    waited_for = "the client" if take.clip else "ears.endpoint_ms"
    return Heard(
        transcript.text,
        transcript.confidence,
        final=take.final,
        zero_s=take.zero_s,
        spans=(
            Span("endpoint", waited_for, take.zero_s, take.ended_s),
            Span("recognition", f"stt:{owner}", take.ended_s, now_s),
        ),
        clip=take.clip,
    )
