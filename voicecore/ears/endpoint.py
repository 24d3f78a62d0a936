"""When a person begins to speak, pauses, and has finished: frames of 20 ms to pieces of speech."""

from __future__ import annotations

from collections import deque
from typing import Protocol, TypeAlias

import attrs
import numpy as np

from voicecore.audio import Samples
from voicecore.config import EarsConfig
from voicecore.ears.loudness import Loudness
from voicecore.ears.onset import OnsetDetector
from voicecore.ears.patience import Patience
from voicecore.engines.interface import VAD_FRAME_MS, VoiceDetector

TAIL_MS = 200
"""Silence kept after the last voiced frame: final consonants are soft, and Whisper wants to hear
that the sentence ends."""

JUDGED_MS = 8_000
"""Of the utterance's end, given to the turn engine: what Smart Turn hears."""

CUT_SEARCH_MS = 2_000
"""An utterance that is too long is cut at the quietest place in its last two seconds, where a word
is least likely to be."""


PARTIAL_SHARE = 8
"""A partial recognition waits for an eighth more speech: each hears all of the utterance again, so
that a long one would otherwise cost more and more for the same gain."""


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
    """Silence that had passed since its last loud frame."""
    guess: int = 0
    """The number of the `Guess` that holds the same speech; 0 if there is none."""


@attrs.frozen(eq=False)
class Partial:
    """The utterance so far, while the person speaks on."""

    samples: Samples


@attrs.frozen(eq=False)
class Guess:
    """The utterance so far, a short silence after its last loud frame: perhaps all of it."""

    samples: Samples
    number: int
    """From 1."""
    silence_ms: float
    """Silence that had passed since its last loud frame."""


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


Segment: TypeAlias = Onset | Speech | Partial | Guess | Pause | Resumed


def _frames(ms: int) -> int:
    """Whole frames, at least as long as the milliseconds."""
    return -(-ms // VAD_FRAME_MS)


class Answers(Protocol):
    """What the host says, as far as it matters for hearing."""

    def next_is_ready(self) -> bool | None:
        """Whether the answer prepared in this pause could be heard now; None if there is none."""

    def are_heard(self) -> bool:
        """Whether a reply is played now, which not every noise should stop."""

    def explain(self, frame: Samples) -> bool:
        """Whether this sound, just arrived, is the echo of what is played. Wants every frame."""


class Silent:
    """The `Answers` of a host that says nothing while it listens."""

    def next_is_ready(self) -> None:
        return None

    def are_heard(self) -> bool:
        return False

    def explain(self, frame: Samples) -> bool:
        del frame
        return False


QUIET_MS = 300
"""Without a voiced frame and without a reply's sound: nobody is about to speak. Longer than the
gaps within a first word."""


class Endpointer:
    """Finds utterances in a stream of 20 ms frames.

    Quiet until a voice is confirmed (`OnsetDetector`); then speech, until ``endpoint_ms`` without a
    voiced frame. After ``guess_ms`` that are not voiced, or far softer
    than the speech before, a guess; what is learnt about it meanwhile makes the wait shorter or
    longer (`Patience`).
    """

    def __init__(
        self,
        detector: VoiceDetector,
        config: EarsConfig,
        answers: Answers | None = None,
    ) -> None:
        """Begin in silence; ``answers`` is what the host says meanwhile, if it may say anything."""
        self._detector = detector
        self._onset = OnsetDetector(_frames(config.onset_ms))
        self._config = config
        self._guess_after = _frames(config.guess_ms)
        self._judge_after = max(self._guess_after, _frames(config.judge_ms))
        self._longest = _frames(config.max_utterance_ms)
        self._partial_after = _frames(config.partial_ms)
        onset = 2 * _frames(config.onset_ms)
        self._before: deque[Samples] = deque(maxlen=_frames(config.preroll_ms) + onset)
        self._answers = answers or Silent()
        self._frames: list[Samples] = []
        self._speaking = False
        self._loudness = Loudness()
        self._silent = self._soft = 0  # frames since the last voiced one, and the last loud one
        self._fresh = 0  # frames since the last guess or partial
        self._guesses = 0
        self._guess = 0  # the one that still may be right
        self._patience = Patience(config)
        self._quiet = 0  # frames since anything was heard, or said here

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

    @property
    def quiet(self) -> bool:
        """Whether nobody speaks, and nothing sounds as if somebody began to."""
        return self._quiet >= QUIET_MS // VAD_FRAME_MS

    def feed(self, frame: Samples) -> list[Segment]:
        """Take 20 ms of 16 kHz sound (320 samples)."""
        voiced, echo = self._detector.feed(frame), self._answers.explain(frame)
        if self._speaking:
            return self._hear(frame, voiced and not echo)
        return self._wait(frame, voiced=voiced, echo=echo)

    def close(self) -> list[Segment]:
        """The sound has ended: what is being said is an utterance."""
        return [self._end()] if self._speaking else []

    def _wait(self, frame: Samples, *, voiced: bool, echo: bool) -> list[Segment]:
        self._before.append(frame)
        guarded = self._answers.are_heard()
        self._quiet = 0 if voiced or guarded else self._quiet + 1
        if not self._onset.feed(frame, voiced=voiced, echo=echo, guarded=guarded):
            return []
        self._speaking = True
        self._quiet = 0
        self._silent = self._soft = self._fresh = 0
        self._loudness = Loudness()
        self._frames = list(self._before)
        self._before.clear()
        self._onset.reset()
        return [Onset()]

    def _hear(self, frame: Samples, voiced: bool) -> list[Segment]:  # noqa: FBT001
        self._frames.append(frame)
        self._fresh += 1
        loud = self._loudness.feed(frame, voiced=voiced)
        self._silent = 0 if voiced else self._silent + 1
        self._soft = 0 if loud else self._soft + 1
        if self._is_over():
            return [self._end()]
        if len(self._frames) >= self._longest:
            return [*self._go_on(), self._cut()]
        found = self._go_on() if loud else []
        if self._soft == self._guess_after:
            found.append(self._new_guess())
        elif loud and self._fresh >= max(self._partial_after, len(self._frames) // PARTIAL_SHARE):
            self._fresh = 0
            found.append(Partial(np.concatenate(self._frames)))
        if self._silent == self._judge_after and self._guess:
            found.append(Pause(np.concatenate(self._frames[-_frames(JUDGED_MS) :]), self._guess))
        return found

    def _is_over(self) -> bool:
        """Whether the silence is long enough.

        Until the prepared answer can be heard, waiting on costs nobody anything: a person who goes
        on meanwhile was not interrupted.
        """
        silence_ms = self._silent * VAD_FRAME_MS
        if not self._guess:
            return silence_ms >= self._config.endpoint_ms
        if silence_ms < self._patience.endpoint_ms():
            return False
        return silence_ms >= self._config.endpoint_ms or self._answers.next_is_ready() is not False

    def _go_on(self) -> list[Segment]:
        wrong, self._guess = self._guess, 0
        return [Resumed(wrong)] if wrong else []

    def _new_guess(self) -> Guess:
        self._guesses += 1
        self._guess, self._fresh = self._guesses, 0
        self._patience = Patience(self._config)
        silence_ms = self._soft * VAD_FRAME_MS
        return Guess(np.concatenate(self._frames), self._guess, silence_ms)

    def _end(self) -> Speech:
        surplus = max(0, self._silent - TAIL_MS // VAD_FRAME_MS)
        kept = self._frames[: len(self._frames) - surplus]
        # What follows the last word may be the first soft sound of the next.
        self._before.extend(self._frames[len(self._frames) - surplus :])
        silence_ms = self._soft * VAD_FRAME_MS
        speech = Speech(np.concatenate(kept), True, silence_ms, self._guess)  # noqa: FBT003
        self._frames, self._speaking, self._guess = [], False, 0
        return speech

    def _cut(self) -> Speech:
        search = min(CUT_SEARCH_MS // VAD_FRAME_MS, len(self._frames))
        loudness = [
            float(np.abs(frame.astype(np.float32)).mean()) for frame in self._frames[-search:]
        ]
        # 100 ms around each place, so that a single quiet frame inside a word does not win.
        smooth = np.convolve(loudness, np.ones(5), mode="same")
        at = len(self._frames) - search + int(np.argmin(smooth[2:-2])) + 2
        head, self._frames = self._frames[:at], self._frames[at:]
        self._guess = 0
        return Speech(np.concatenate(head), final=False, silence_ms=0)
