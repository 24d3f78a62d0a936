"""Whether a frame is far softer than the speech before it.

A detector of voice goes on for some frames after the last sound, lest it miss a soft one. That a
person pauses shows in the level at once; whether they have finished is another question.
"""

from __future__ import annotations

import numpy as np

from voicecore.audio import Samples

DROP_DB = 30
"""Below the loudest of the speech so far. On 14 clips, half of them recordings of people, two such
frames came 35 ms after the last sound (40 dB below the loudest) with 0.9 false ones a second, the
detector's own 90 ms after it with 0.5; at 25 dB it is 30 ms and 1.2. In a room so loud that nothing
is so soft, the detector decides alone."""

DECAY_DB = 0.1
"""Of the loudest, with each frame of 20 ms: people grow softer towards the end of a sentence."""

LINGER_FRAMES = 6
"""How long a detector goes on after the last sound. A voice that is soft for longer is no echo of
the detector's, but somebody who speaks softly."""


class Loudness:
    """The level of one utterance."""

    def __init__(self) -> None:
        self._loudest_db = -np.inf
        self._soft = 0  # voiced frames since the last loud one

    def feed(self, frame: Samples, *, voiced: bool) -> bool:
        """Take 20 ms of sound; say whether the person speaks in it.

        Args:
            frame: any number of samples.
            voiced: whether the detector thinks so.
        """
        if not voiced:
            self._soft = 0
            return False
        level_db = 10 * np.log10(np.mean(np.square(frame, dtype=np.float64)) + 1e-9)
        self._loudest_db = max(self._loudest_db - DECAY_DB, level_db)
        self._soft = 0 if level_db > self._loudest_db - DROP_DB else self._soft + 1
        return self._soft == 0 or self._soft > LINGER_FRAMES
