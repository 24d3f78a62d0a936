"""webrtcvad: voice activity by the loudness of six frequency bands, in about 2 µs a frame.

It hears every voice, and takes many other sounds for one: see `silero` for the second opinion.
"""

from __future__ import annotations

from importlib.metadata import version

import webrtcvad

from voicecore.audio import EAR_HZ, Samples, encode_s16le
from voicecore.config import VadConfig
from voicecore.engines.interface import EngineInfo, ModelFiles


def load(config: VadConfig, files: ModelFiles, *, threads: int) -> Webrtc:  # noqa: ARG001
    """Make the engine. It has no model file, and works in the thread that feeds it."""
    return Webrtc(config.aggressiveness)


class Webrtc:
    """A `Vad`: one detector for each conversation, nothing shared."""

    def __init__(self, aggressiveness: int) -> None:
        self.info = EngineInfo("vad", "webrtc", "", version("webrtcvad-wheels"))
        self._aggressiveness = aggressiveness

    def detector(self) -> WebrtcDetector:
        return WebrtcDetector(self._aggressiveness)


class WebrtcDetector:
    """Voice activity of one stream, 20 ms (320 samples at 16 kHz) at a time.

    Args:
        aggressiveness: webrtcvad's mode, 0 to 3; 3 takes the fewest sounds for speech.
    """

    def __init__(self, aggressiveness: int) -> None:
        self._aggressiveness = aggressiveness
        self._vad = webrtcvad.Vad(aggressiveness)

    def feed(self, frame: Samples) -> bool:
        """Say whether the frame, with those before it, sounds like speech."""
        return bool(self._vad.is_speech(encode_s16le(frame), EAR_HZ))

    def reset(self) -> None:
        """Forget the noise level learnt so far."""
        self._vad = webrtcvad.Vad(self._aggressiveness)
