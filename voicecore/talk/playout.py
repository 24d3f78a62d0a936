"""What the speaker plays next: a small buffer that evens out how sound arrives."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import attrs
import numpy as np
import numpy.typing as npt

from voicecore.audio import MOUTH_HZ, SILENCE, Resampler, Samples, ms_to_samples, samples_to_ms

START_MS = 80
"""Buffered before a speech begins to play: more than the network's usual unevenness. A host sends
200 to 300 ms ahead, so that this is there at once."""

MOST_START_MS = 240
"""What `START_MS` grows to, by `GROWTH_MS` each time the buffer ran empty within a speech."""
GROWTH_MS = 40

PATIENCE = 1.5
"""What is there is played after this many times the start has passed: a speech may be shorter."""

FADE = ms_to_samples(5, MOUTH_HZ)
"""Every start and stop is a ramp of this: shorter ones click, longer ones are heard as such."""

MOST_BUFFERED_MS = 120_000
"""Hosts that do not pace their sound send a whole reply at once; this is 11.5 MB."""

REMEMBERED = 32
"""Speeches, to know the sound of a stopped one when it still arrives."""


@attrs.frozen(eq=False)
class _Piece:
    speech: str
    samples: Samples


class Playout:
    """A jitter buffer at 48 kHz, from which the speaker takes what it needs.

    A speech starts once `START_MS` of it are there, or have been waited for. Where sound begins,
    runs out or is stopped, it fades within 5 ms. Sound of a speech that was stopped, and of those
    before it, never plays.
    """

    def __init__(self) -> None:
        self.underruns = 0
        """How often the buffer ran empty within a speech."""
        self.stale_ms = 0.0
        """Sound that came after its speech was stopped, and was thrown away."""
        self.overflow_ms = 0.0
        """Sound that was thrown away because `MOST_BUFFERED_MS` were waiting."""
        self._start = ms_to_samples(START_MS, MOUTH_HZ)
        self._pieces: deque[_Piece] = deque()
        self._buffered = 0
        self._waited = 0
        self._playing = False
        self._gain = 0  # of FADE: whole numbers, so that the sizes taken do not matter
        self._tail = SILENCE
        self._speech: str | None = None
        self._taken = 0
        self._seen: deque[str] = deque(maxlen=REMEMBERED)
        self._stopped: deque[str] = deque(maxlen=REMEMBERED)

    @property
    def sounding(self) -> bool:
        """Whether something plays, or is about to."""
        return self._playing or self._buffered > 0

    @property
    def position(self) -> tuple[str, float] | None:
        """The speech that played last, and how many ms of it were taken."""
        if self._speech is None:
            return None
        return self._speech, samples_to_ms(self._taken, MOUTH_HZ)

    def feed(self, speech: str, samples: Samples) -> None:
        """Take sound of a speech, 48 kHz; all of one speech comes before the next."""
        ms = samples_to_ms(len(samples), MOUTH_HZ)
        if speech in self._stopped:
            self.stale_ms += ms
            return
        if self._buffered + len(samples) > ms_to_samples(MOST_BUFFERED_MS, MOUTH_HZ):
            self.overflow_ms += ms
            return
        if speech not in self._seen:
            self._seen.append(speech)
        elif speech == self._speech and not self.sounding:
            self.underruns += 1
            longer = self._start + ms_to_samples(GROWTH_MS, MOUTH_HZ)
            self._start = min(longer, ms_to_samples(MOST_START_MS, MOUTH_HZ))
        if len(samples):
            self._pieces.append(_Piece(speech, samples))
            self._buffered += len(samples)

    def interrupt(self, speech: str) -> None:
        """Stop a speech and all before it, within 5 ms of what is taken from now on."""
        self._stopped.extend({*self._seen, speech} - {*self._stopped})
        tail = self._tail
        if self._playing:
            count = min(FADE, self._buffered)
            tail = _scale(self._next(count), np.minimum(self._gain, np.arange(count, 0, -1)))
        self.clear()
        self._tail = tail

    def clear(self) -> None:
        """Throw away what waits: nobody takes it any more. The speech may go on."""
        self._pieces.clear()
        self._tail = SILENCE
        self._buffered = self._waited = 0
        self._playing, self._gain = False, 0

    def take(self, count: int) -> Samples:
        """Give the next samples for the speaker, silence where there is nothing."""
        out = np.zeros(count, np.int16)
        begun = min(count, len(self._tail))
        out[:begun], self._tail = self._tail[:begun], self._tail[begun:]
        room = count - begun
        if room and self._may_play(room):
            ready = min(room, self._buffered)
            left = self._buffered - np.arange(ready)
            rise = self._gain + np.arange(1, ready + 1)
            gains = np.minimum(np.minimum(rise, left), FADE)
            out[begun : begun + ready] = _scale(self._next(ready), gains)
            self._gain = int(gains[-1])
            if not self._buffered:
                self._playing, self._gain, self._waited = False, 0, 0
        return out

    def _may_play(self, room: int) -> bool:
        if not self._playing and self._buffered:
            patient = self._waited < PATIENCE * self._start
            self._playing = self._buffered >= self._start or not patient
            self._waited += room
        return self._playing

    def _next(self, count: int) -> Samples:
        """Take samples out of the buffer, which has as many."""
        parts: list[Samples] = []
        self._buffered -= count
        while count:
            piece = self._pieces.popleft()
            if piece.speech != self._speech:
                self._speech, self._taken = piece.speech, 0
            part, rest = piece.samples[:count], piece.samples[count:]
            if len(rest):
                self._pieces.appendleft(_Piece(piece.speech, rest))
            parts.append(part)
            self._taken += len(part)
            count -= len(part)
        return np.concatenate(parts) if parts else SILENCE


def _scale(samples: Samples, gains: npt.NDArray[np.int64]) -> Samples:
    """Make samples softer, by gains from 0 to `FADE`."""
    scaled: Samples = (samples * gains // FADE).astype(np.int16)
    return scaled


class Puller:
    """Gives the speaker sound at its own rate, out of a source at 48 kHz.

    Any sizes taken give the same sound.
    """

    STEP = ms_to_samples(10, MOUTH_HZ)
    """Taken from the source at a time: as much as it may be ahead of the speaker."""

    def __init__(self, source: Callable[[int], Samples], rate_hz: int) -> None:
        self._source, self._rate_hz = source, rate_hz
        self._resampler = Resampler(MOUTH_HZ, rate_hz)
        self._ready = SILENCE

    def take(self, count: int) -> Samples:
        """Give the next samples at the speaker's rate."""
        if self._rate_hz == MOUTH_HZ:
            return self._source(count)
        while len(self._ready) < count:
            more = self._resampler.feed(self._source(self.STEP))
            self._ready = np.concatenate((self._ready, more))
        taken, self._ready = self._ready[:count], self._ready[count:]
        return taken
