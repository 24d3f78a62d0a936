"""The ears' graph, run from a session's start to its pause.

frames → segment ──────┬→ transcribe → words, to the conversation
recordings → record ───┘
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import attrs
import trio

from voicecore import events
from voicecore.audio import Samples
from voicecore.ears.echo import Echo
from voicecore.ears.endpoint import Endpointer
from voicecore.ears.recording import Recording, record
from voicecore.ears.segment import Take, segment
from voicecore.ears.transcribe import transcribe
from voicecore.ears.wake import WakefulEndpointer, WakeGate
from voicecore.engines import Engines, idle
from voicecore.engines.interface import TurnJudge, TurnSound, Urgency
from voicecore.errors import EngineError
from voicecore.host import Host
from voicecore.mind.happenings import Happening
from voicecore.presence import Guest
from voicecore.wire.outbox import Outbox

UTTERANCES = 4
"""Utterances waiting for recognition: 80 s of speech at most, 2.6 MB."""


@attrs.frozen(eq=False)
class Replies:
    """The host's own voice, as far as it matters for hearing: the `Answers` of an `Endpointer`."""

    outbox: Outbox
    echo: Echo

    def next_is_ready(self) -> bool | None:
        return self.outbox.ready()

    def are_heard(self) -> bool:
        return self.outbox.sounds()

    def explain(self, frame: Samples) -> bool:
        return self.echo.explains(frame, trio.current_time())


@attrs.frozen(eq=False)
class Hearing:
    """What the ears need of their conversation."""

    host: Host
    guest: Guest
    frames: trio.MemoryReceiveChannel[Samples]
    recordings: trio.MemoryReceiveChannel[Recording]
    inbox: trio.MemorySendChannel[Happening]
    replies: Replies
    on_quiet: Callable[[bool], None]
    """Told whether what comes need not be taken at once, because nobody speaks."""
    answering: Callable[[], bool]
    """Whether the host answers, or says something of its own accord."""
    emit: Callable[[events.Event], None]

    async def listen(self) -> None:
        """Turn frames and recordings into words, for ever."""
        engines = await self.host.room.warm()
        config = self.host.config
        endpointer = self._endpointer(engines)
        judge = None if engines.turn is None else partial(_judge, engines.turn)
        utterances_in, utterances_out = trio.open_memory_channel[Take](UTTERANCES)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                segment, self.frames.clone(), utterances_in.clone(), self.inbox.clone(), endpointer,
                partial(_has_time, engines), judge, self.on_quiet,
            )  # fmt: skip
            nursery.start_soon(
                record, self.recordings.clone(), utterances_in, self.inbox.clone(), config.ears,
                engines.vad.detector(),
            )  # fmt: skip
            nursery.start_soon(
                partial(
                    transcribe,
                    language=self._language,
                    timeout_ms=config.stt.timeout_ms,
                    on_guess=partial(self._learn, endpointer),
                ),
                utterances_out,
                self.inbox.clone(),
                engines.stt,
            )  # fmt: skip

    def _endpointer(self, engines: Engines) -> Endpointer:
        """What finds utterances: with a wake word, one that sleeps until it is said."""
        config, voice, wake = self.host.config, engines.vad.detector(), engines.wake
        if wake is None:
            return Endpointer(voice, config.ears, self.replies)
        word = wake.word

        def tell(awake: bool) -> None:  # noqa: FBT001
            self.emit(events.Attention(awake, word))

        gate = WakeGate(wake.detector(), wake.late_ms, config.wake.awake_ms)
        tell(gate.awake)
        return WakefulEndpointer(gate, self.answering, tell, voice, config.ears, self.replies)

    def _language(self) -> str:
        return self.host.language(self.guest.character)

    def _learn(self, endpointer: Endpointer, guess: int, words: str) -> None:
        endpointer.learn(guess, words=words, language=self._language())


def _has_time(engines: Engines, urgency: Urgency) -> bool:
    """Whether the machine has time to recognise what may turn out not to be needed."""
    if urgency is Urgency.PARTIAL and engines.busy_with(Urgency.GUESS):
        return False
    return idle(engines.stt, urgency)


async def _judge(turn: TurnJudge, samples: Samples) -> float | None:
    """How complete it sounds; None if the engine is busy or fails: then silence decides."""
    if not idle(turn, Urgency.AWAITED):
        return None
    try:
        async with turn.stream(TurnSound(samples)) as answers:
            async for answer in answers:
                return answer.probability
    except EngineError:
        return None
    return None
