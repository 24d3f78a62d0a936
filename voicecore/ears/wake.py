"""Ears that sleep until they hear the wake word.

Asleep, a frame reaches only the detector of the word, and a short ring that forgets it. Awake, all
is as it is without a wake word, until nothing was said or answered for a while.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from voicecore.audio import Samples
from voicecore.config import EarsConfig
from voicecore.ears.endpoint import Answers, Endpointer, Segment
from voicecore.engines.interface import VAD_FRAME_MS, VoiceDetector, WakeDetector

SETTLE_MS = 200
"""Waited for after the word was noticed, to see whether the person pauses: what is kept from before
may begin within the word, whose end alone would be taken for a question. Nothing is late for it: no
question is shorter."""

PAUSE_MS = 100
"""A silence of this length ends the word. Shorter ones are stops within words: the "b" of "Nabu".
"""

PAUSE_DB = 20
"""Below the loudest of the word: what is so soft is silence. In a room so loud that nothing is, the
word's end may be heard along with the question."""


class WakeGate:
    """Lets frames through while awake. Time is counted in frames, each of 20 ms.

    Args:
        detector: hears every frame while asleep, and none while awake.
        late_ms: how late it may notice the word: so much sound is kept from before.
        awake_ms: how long it stays awake after the last thing that was said or heard.
    """

    def __init__(self, detector: WakeDetector, late_ms: int, awake_ms: int) -> None:
        """Begin asleep."""
        self._detector = detector
        self._stay = max(1, awake_ms // VAD_FRAME_MS)
        self._left = 0  # frames until it falls asleep; 0: it sleeps
        self._settling = 0  # frames until the ring is let through
        self._ring: deque[Samples] = deque(maxlen=(late_ms + SETTLE_MS) // VAD_FRAME_MS)

    @property
    def awake(self) -> bool:
        return self._left > 0

    def feed(self, frame: Samples, *, speaking: bool, answering: bool) -> list[Samples]:
        """Take 20 ms (320 samples at 16 kHz) and return the frames that are to be heard.

        Args:
            frame: the sound.
            speaking: somebody speaks, as far as the ears know: nobody is cut off by sleep.
            answering: the host has something to say, which also wakes it: a reply may be
                interrupted, and answered, without the word.
        """
        if not self.awake and not answering:
            self._wait(frame)
            return []
        self._left = self._stay if speaking or answering else self._left - 1
        if not self.awake:
            self._detector.reset()
            self._ring.clear()
        if self._settling:
            return self._settle(frame)
        return [frame]

    def _wait(self, frame: Samples) -> None:
        self._ring.append(frame)
        if self._detector.feed(frame):
            self._left, self._settling = self._stay, SETTLE_MS // VAD_FRAME_MS

    def _settle(self, frame: Samples) -> list[Samples]:
        self._ring.append(frame)
        self._settling -= 1
        if self._settling and self.awake:
            return []
        heard = after_word(list(self._ring))
        self._settling = 0
        self._ring.clear()
        return heard


def after_word(frames: list[Samples]) -> list[Samples]:
    """Leave out what comes before the first pause; without one, all may belong to the question."""
    levels = [float(np.mean(np.square(frame, dtype=np.float64))) for frame in frames]
    silent = max(levels) * 10 ** (-PAUSE_DB / 10)
    run = 0
    for at, level in enumerate(levels):
        run = run + 1 if level <= silent else 0
        if run == PAUSE_MS // VAD_FRAME_MS:
            return frames[at + 1 - run :]
    return frames


class WakefulEndpointer(Endpointer):
    """An `Endpointer` behind a `WakeGate`: it finds utterances only while awake.

    Args:
        gate: asleep.
        answering: whether the host answers, or says something of its own accord.
        on_awake: told whenever it wakes, or falls asleep.
        detector: of voice.
        config: of the ears.
        answers: what the host says meanwhile.
    """

    def __init__(
        self,
        gate: WakeGate,
        answering: Callable[[], bool],
        on_awake: Callable[[bool], None],
        detector: VoiceDetector,
        config: EarsConfig,
        answers: Answers | None = None,
    ) -> None:
        """Begin asleep."""
        super().__init__(detector, config, answers)
        self._gate, self._answering, self._on_awake = gate, answering, on_awake

    @property
    def quiet(self) -> bool:
        """Whether nobody speaks. Who says the wake word can wait for a moment."""
        return not self._gate.awake or super().quiet

    def feed(self, frame: Samples) -> list[Segment]:
        """Take 20 ms of 16 kHz sound (320 samples)."""
        was_awake = self._gate.awake
        found: list[Segment] = []
        for heard in self._gate.feed(frame, speaking=not self.quiet, answering=self._answering()):
            found += super().feed(heard)
        if self._gate.awake != was_awake:
            self._on_awake(self._gate.awake)
        return found
