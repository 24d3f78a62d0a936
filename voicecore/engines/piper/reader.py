"""Text to phonemes and ids, as a voice was taught them, through ``piper-tts`` and its espeak."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from piper import PiperVoice
from piper.config import PiperConfig
from piper.const import BOS, EOS, PAD

from voicecore.engines.piper.model import Tensors
from voicecore.engines.piper.phonemes import speakable
from voicecore.engines.piper.words import phoneme_places

_WORDS_KEPT = 2_000
"""Words whose phonemes are remembered; espeak takes 0.1 ms for one."""


class Reader:
    """Reads text for one voice. espeak is process-wide and locked: one text at a time."""

    def __init__(self, config: PiperConfig, folder: Path) -> None:
        self.rate_hz: int = config.sample_rate
        self._config = config
        # Without a session: it only reads. `download_dir` would be the current folder; only Chinese
        # voices use it, which are refused.
        self._piper = PiperVoice(session=None, config=config, download_dir=folder)
        self.alone = lru_cache(_WORDS_KEPT)(self._alone)
        """Gives the phonemes of one word said by itself."""

    def sentences(self, text: str) -> list[list[str]]:
        found: list[list[str]] = self._piper.phonemize(speakable(text))
        return found

    def _alone(self, word: str) -> tuple[str, ...]:
        return tuple(phoneme for sentence in self.sentences(word) for phoneme in sentence)

    def inputs(self, phonemes: Sequence[str], speed: float) -> Tensors:
        """Return what the voice's model takes: ids, how many, how to speak, and who."""
        config = self._config
        ids = self._piper.phonemes_to_ids(list(phonemes))
        scales = (config.noise_scale, config.length_scale / speed, config.noise_w_scale)
        inputs: dict[str, npt.NDArray[np.int64] | npt.NDArray[np.float32]] = {
            "input": np.array([ids], np.int64),
            "input_lengths": np.array([len(ids)], np.int64),
            "scales": np.array(scales, np.float32),
        }
        if config.num_speakers > 1:
            inputs["sid"] = np.array([config.default_speaker_id], np.int64)
        return inputs

    def places(
        self, phonemes: Sequence[str], durations: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64] | None:
        """Return where phonemes begin and end, from the samples of each id; `phoneme_places`."""
        ids = self._config.phoneme_id_map
        pad, after = len(ids[PAD]), len(ids[EOS])
        counts = [len(ids[name]) + pad if name in ids else 0 for name in phonemes]
        return phoneme_places(durations, counts, before=len(ids[BOS]) + pad, pad=pad, after=after)
