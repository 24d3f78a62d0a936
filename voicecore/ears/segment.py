"""The ears' first task: frames to utterances, for recognition and for the conversation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import attrs
import trio

from voicecore.audio import Samples
from voicecore.ears.endpoint import (
    Endpointer,
    Guess,
    Onset,
    Partial,
    Pause,
    Resumed,
    Segment,
    Speech,
)
from voicecore.engines.interface import VAD_FRAME_MS, Urgency
from voicecore.mind.happenings import Happening, SpeechResumed, SpeechStarted


@attrs.frozen(eq=False)
class Take:
    """What `transcribe` works on: speech and when its last voiced sample arrived."""

    samples: Samples
    final: bool
    zero_s: float
    ended_s: float
    clip: int = 0
    """Not 0: the number of the recorded message it is of."""
    guess: int = 0
    """The guess that holds the same speech; with ``tentative``, this is it."""
    tentative: bool = False
    """A guess: the person may go on."""
    partial: bool = False
    """The person is still speaking."""

    @property
    def unfinished(self) -> bool:
        """Whether more may be said."""
        return self.tentative or self.partial

    @property
    def urgency(self) -> Urgency:
        if self.partial:
            return Urgency.PARTIAL
        return Urgency.GUESS if self.tentative else Urgency.AWAITED


Judge: TypeAlias = Callable[[Samples], Awaitable[float | None]]
"""Says how complete an utterance sounds, 0 to 1; None if it cannot tell."""


async def segment(
    frames: trio.MemoryReceiveChannel[Samples],
    utterances: trio.MemorySendChannel[Take],
    inbox: trio.MemorySendChannel[Happening],
    endpointer: Endpointer,
    has_time: Callable[[Urgency], bool],
    judge: Judge | None = None,
    on_quiet: Callable[[bool], None] = lambda _: None,
) -> None:
    """Turn frames into utterances, and tell the conversation when speech begins.

    When recognition is behind this waits, the frames wait in their channel, and beyond that
    channel's bound ingest drops them with a status. ``has_time`` tells whether the recogniser could
    begin at once with something so urgent; guesses and partials wait for that, and yield to real
    work. ``judge`` hears each pause, and what it says decides how long to wait.
    ``on_quiet`` is told when nobody speaks any more, and at the first frame that may be a voice.
    """
    pending = _Pending(utterances, has_time)

    async def ask(pause: Pause) -> None:
        if judge is not None:
            endpointer.learn(pause.guess, completeness=await judge(pause.samples))

    async def take(found: Segment) -> None:
        now_s = trio.current_time()
        match found:
            case Onset():
                await inbox.send(SpeechStarted())
            case Resumed(guess):
                pending.take = None
                await inbox.send(SpeechResumed(guess))
            case Partial(samples):
                pending.take = Take(samples, final=False, zero_s=now_s, ended_s=now_s, partial=True)
            case Guess(samples, guess, silence_ms):
                zero_s, pending.offered_s = now_s - silence_ms / 1000, now_s
                pending.take = Take(
                    samples, final=True, zero_s=zero_s, ended_s=now_s, guess=guess, tentative=True
                )
            case Pause():
                judging.start_soon(ask, found)
            case Speech(samples, final, silence_ms, guess):
                pending.take = None
                zero_s = now_s - silence_ms / 1000
                if guess:  # frames come unevenly when the machine is busy
                    zero_s = min(zero_s, pending.offered_s - VAD_FRAME_MS / 1000)
                await utterances.send(Take(samples, final, zero_s, now_s, guess=guess))

    async with trio.open_nursery() as judging:
        with frames, utterances, inbox:
            quiet = False
            async for frame in frames:
                for found in endpointer.feed(frame):
                    await take(found)
                pending.offer()
                if endpointer.quiet != quiet:
                    quiet = not quiet
                    on_quiet(quiet)
        judging.cancel_scope.cancel("there is no more sound")


@attrs.define
class _Pending:
    """The newest partial or guess, until recognition has time for it or it has become pointless."""

    utterances: trio.MemorySendChannel[Take]
    has_time: Callable[[Urgency], bool]
    take: Take | None = None
    offered_s: float = 0.0
    """When the newest guess was made, some frames after the end of its speech."""

    def offer(self) -> None:
        """Have it recognised if nobody else wants that now: a guess yields to real work."""
        listened_to = self.utterances.statistics().tasks_waiting_receive > 0
        if self.take and listened_to and self.has_time(self.take.urgency):
            self.utterances.send_nowait(self.take)
            self.take = None
