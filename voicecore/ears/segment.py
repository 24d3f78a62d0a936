"""Frames to utterances: when a person begins to speak, and when they have finished."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import attrs
import numpy as np
import trio

from voicecore.audio import Samples
from voicecore.config import EarsConfig
from voicecore.ears.patience import Patience
from voicecore.engines.interface import VAD_FRAME_MS, VoiceDetector
from voicecore.mind.happenings import Happening, SpeechResumed, SpeechStarted

TAIL_MS = 200
"""Silence kept after the last voiced frame: final consonants are soft, and Whisper wants to hear
that the sentence ends."""

JUDGED_MS = 8_000
"""Of the utterance's end, given to the turn engine: what Smart Turn hears."""

CUT_SEARCH_MS = 2_000
"""An utterance that is too long is cut at the quietest place in its last two seconds, where a word
is least likely to be."""


@attrs.frozen
class Onset:
    """Speech began (it is confirmed now; the sound since before it is kept)."""


@attrs.frozen(eq=False)
class Speech:
    """An utterance, or a piece of one: 16 kHz mono int16."""

    samples: Samples
    final: bool
    """False when it was cut because it is long and goes on."""
    silence_ms: float
    """Silence that had passed since its last voiced frame."""
    guess: int = 0
    """The number of the `Guess` that holds the same speech; 0 if there is none."""


@attrs.frozen(eq=False)
class Guess:
    """The utterance so far, a short silence after its last voiced frame: perhaps all of it."""

    samples: Samples
    number: int
    """From 1."""


@attrs.frozen(eq=False)
class Pause:
    """The utterance so far, with enough silence to judge by its sound whether it is complete."""

    samples: Samples
    guess: int
    """The number of the `Guess` it belongs to."""


@attrs.frozen
class Resumed:
    """Speech went on after the guess of this number, which was wrong."""

    guess: int


Segment: TypeAlias = Onset | Speech | Guess | Pause | Resumed


def _frames(ms: int) -> int:
    """Whole frames, at least as long as the milliseconds."""
    return -(-ms // VAD_FRAME_MS)


class Endpointer:
    """Finds utterances in a stream of 20 ms frames.

    Quiet until ``onset_ms`` of the last ``2 * onset_ms`` are voiced; then speech, until
    ``endpoint_ms`` without a voiced frame. After ``guess_ms`` without one, a guess; what is learnt
    about it meanwhile makes the wait shorter or longer (`Patience`).
    """

    def __init__(self, detector: VoiceDetector, config: EarsConfig) -> None:
        self._detector = detector
        self._onset = _frames(config.onset_ms)
        self._config = config
        self._endpoint = _frames(config.endpoint_ms)
        self._guess_after = _frames(config.guess_ms)
        self._judge_after = max(self._guess_after, _frames(config.judge_ms))
        self._longest = _frames(config.max_utterance_ms)
        self._voiced: deque[bool] = deque(maxlen=2 * self._onset)
        self._before: deque[Samples] = deque(maxlen=_frames(config.preroll_ms) + 2 * self._onset)
        self._frames: list[Samples] = []
        self._speaking = False
        self._silent = 0
        self._guesses = 0
        self._guess = 0  # the one that still may be right
        self._patience = Patience(config)

    def learn(
        self,
        guess: int,
        *,
        completeness: float | None = None,
        words: str | None = None,
        language: str = "",
    ) -> None:
        """Take what was found out about a guess; ignored if it was wrong already.

        Args:
            guess: its number.
            completeness: 0 to 1, how complete the turn sounds.
            words: what was recognised.
            language: of the words, an ISO 639-1 code.
        """
        if guess != self._guess or not guess:
            return
        patience = self._patience
        patience.completeness = patience.completeness if completeness is None else completeness
        if words is not None:
            patience.words, patience.language = words, language
        self._endpoint = _frames(patience.endpoint_ms())

    @property
    def guess_ms(self) -> int:
        return self._guess_after * VAD_FRAME_MS

    def feed(self, frame: Samples) -> list[Segment]:
        """Take 20 ms of 16 kHz sound (320 samples)."""
        voiced = self._detector.feed(frame)
        return self._hear(frame, voiced) if self._speaking else self._wait(frame, voiced)

    def close(self) -> list[Segment]:
        """The sound has ended: what is being said is an utterance."""
        return [self._end()] if self._speaking else []

    def _wait(self, frame: Samples, voiced: bool) -> list[Segment]:  # noqa: FBT001
        self._before.append(frame)
        self._voiced.append(voiced)
        if not voiced or sum(self._voiced) < self._onset:
            return []
        self._speaking, self._silent = True, 0
        self._frames = list(self._before)
        self._before.clear()
        self._voiced.clear()
        return [Onset()]

    def _hear(self, frame: Samples, voiced: bool) -> list[Segment]:  # noqa: FBT001
        self._frames.append(frame)
        self._silent = 0 if voiced else self._silent + 1
        if self._silent >= self._endpoint:
            return [self._end()]
        found: list[Segment] = []
        if voiced and self._guess:
            found.append(Resumed(self._guess))
            self._guess = 0
            self._endpoint = _frames(self._config.endpoint_ms)
        if len(self._frames) >= self._longest:
            found.append(self._cut())
        elif self._silent == self._guess_after:
            self._guesses += 1
            self._guess = self._guesses
            self._patience = Patience(self._config)
            self._endpoint = _frames(self._config.endpoint_ms)
            found.append(Guess(np.concatenate(self._frames), self._guess))
        if self._silent == self._judge_after and self._guess:
            found.append(Pause(np.concatenate(self._frames[-_frames(JUDGED_MS) :]), self._guess))
        return found

    def _end(self) -> Speech:
        surplus = max(0, self._silent - TAIL_MS // VAD_FRAME_MS)
        kept = self._frames[: len(self._frames) - surplus]
        # What follows the last word may be the first soft sound of the next.
        self._before.extend(self._frames[len(self._frames) - surplus :])
        silence_ms = self._silent * VAD_FRAME_MS
        speech = Speech(np.concatenate(kept), True, silence_ms, self._guess)  # noqa: FBT003
        self._frames, self._speaking, self._silent, self._guess = [], False, 0, 0
        return speech

    def _cut(self) -> Speech:
        search = CUT_SEARCH_MS // VAD_FRAME_MS
        loudness = [
            float(np.abs(frame.astype(np.float32)).mean()) for frame in self._frames[-search:]
        ]
        # 100 ms around each place, so that a single quiet frame inside a word does not win.
        smooth = np.convolve(loudness, np.ones(5), mode="same")
        at = len(self._frames) - search + int(np.argmin(smooth[2:-2])) + 2
        head, self._frames = self._frames[:at], self._frames[at:]
        self._guess = 0
        return Speech(np.concatenate(head), final=False, silence_ms=0)


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


Judge: TypeAlias = Callable[[Samples], Awaitable[float | None]]
"""Says how complete an utterance sounds, 0 to 1; None if it cannot tell."""


async def segment(
    frames: trio.MemoryReceiveChannel[Samples],
    utterances: trio.MemorySendChannel[Take],
    inbox: trio.MemorySendChannel[Happening],
    endpointer: Endpointer,
    idle: Callable[[], bool],
    judge: Judge | None = None,
) -> None:
    """Turn frames into utterances, and tell the conversation when speech begins.

    When recognition is behind this waits, the frames wait in their channel, and beyond that
    channel's bound ingest drops them with a status. ``idle`` tells whether the recogniser has
    nothing to do for any conversation; a guess waits for that, and yields to real work. ``judge``
    hears each pause, and what it says decides how long to wait.
    """
    pending = _Pending(utterances, idle)

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
            case Guess(samples, guess):
                zero_s = now_s - endpointer.guess_ms / 1000
                pending.take = Take(
                    samples, final=True, zero_s=zero_s, ended_s=now_s, guess=guess, tentative=True
                )
            case Pause():
                judging.start_soon(ask, found)
            case Speech(samples, final, silence_ms, guess):
                pending.take = None
                zero_s = now_s - silence_ms / 1000
                await utterances.send(Take(samples, final, zero_s, now_s, guess=guess))

    async with trio.open_nursery() as judging:
        with frames, utterances, inbox:
            async for frame in frames:
                for found in endpointer.feed(frame):
                    await take(found)
                pending.offer()
        judging.cancel_scope.cancel("there is no more sound")


@attrs.define
class _Pending:
    """The newest guess, until recognition has time for it or it turns out to be wrong."""

    utterances: trio.MemorySendChannel[Take]
    idle: Callable[[], bool]
    take: Take | None = None

    def offer(self) -> None:
        """Have it recognised if nobody else wants that now: a guess yields to real work."""
        free = self.take and self.idle() and self.utterances.statistics().tasks_waiting_receive
        if self.take and free:
            self.utterances.send_nowait(self.take)
            self.take = None
