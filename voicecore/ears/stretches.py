"""A recorded message to stretches that are recognised one by one while it still arrives."""

from __future__ import annotations

import attrs
import numpy as np

from voicecore.audio import EAR_HZ, SILENCE, Pcm, Samples, ms_to_samples
from voicecore.config import EarsConfig
from voicecore.ears.endpoint import Endpointer, Onset, Speech
from voicecore.ears.ingest import Ingest
from voicecore.engines.interface import VoiceDetector

PAUSE_MS = 600
"""Silence at which a message may be cut: longer than the pauses within a sentence."""

SHORTEST_STRETCH_MS = 2_500
"""Recognised alone; what is shorter waits for what follows, as words need their neighbours."""


class Stretches:
    """Cuts a message at its pauses, while it arrives, into stretches to be recognised one by one.

    Silence between them is left out. A message in which no speech is found stays whole: quiet
    speech may still be in it.
    """

    def __init__(self, detector: VoiceDetector, config: EarsConfig) -> None:
        self._detector = detector
        # Both at the same time: the end is then found first, and nothing is guessed.
        self._config = attrs.evolve(config, endpoint_ms=PAUSE_MS, guess_ms=PAUSE_MS)
        self._longest = ms_to_samples(config.max_utterance_ms, EAR_HZ)
        self.reset()

    def reset(self) -> None:
        """Forget this message; the next one begins."""
        self._detector.reset()
        self._endpointer = Endpointer(self._detector, self._config)
        self._silence: list[Samples] | None = []
        """All frames until speech is found; None from then on."""
        self._short = SILENCE
        """Speech that is too short to be recognised alone."""

    def feed(self, frame: Samples) -> list[Samples]:
        """Take 20 ms of 16 kHz sound and return the stretch that it completes, if any."""
        if self._silence is not None:
            self._silence.append(frame)
        ready: list[Samples] = []
        for found in self._endpointer.feed(frame):
            if isinstance(found, Onset):
                self._silence = None
            elif isinstance(found, Speech):
                ready += self._add(found.samples)
        return ready

    def close(self) -> list[Samples]:
        """End the message and return what is left to be recognised: nothing, if it ends silent."""
        if self._silence:
            rest = _pieces(np.concatenate(self._silence), self._config.max_utterance_ms)
        else:
            last = [found for found in self._endpointer.close() if isinstance(found, Speech)]
            rest = [stretch for speech in last for stretch in self._add(speech.samples)]
            rest += [self._short] if len(self._short) else []
        self.reset()
        return rest

    def _add(self, speech: Samples) -> list[Samples]:
        ready: list[Samples] = []
        if len(self._short) + len(speech) > self._longest:
            ready, self._short = [self._short] if len(self._short) else [], SILENCE
        stretch = np.concatenate((self._short, speech))
        if len(stretch) < ms_to_samples(SHORTEST_STRETCH_MS, EAR_HZ):
            self._short = stretch
            return ready
        self._short = SILENCE
        return [*ready, stretch]


def _pieces(samples: Samples, longest_ms: int) -> list[Samples]:
    """Cut a message to lengths that can be recognised; a short one stays whole."""
    longest = ms_to_samples(longest_ms, EAR_HZ)
    return [samples[at : at + longest] for at in range(0, len(samples), longest)]


def cut_at_pauses(samples: Samples, detector: VoiceDetector, config: EarsConfig) -> list[Samples]:
    """Cut a whole message of 16 kHz sound into its stretches."""
    ingest, stretches = Ingest(), Stretches(detector, config)
    frames = ingest.feed(Pcm(samples, EAR_HZ)) + ingest.close()
    return [found for frame in frames for found in stretches.feed(frame)] + stretches.close()
