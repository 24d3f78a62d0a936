"""microWakeWord: a wake word heard by a small network, made for microcontrollers.

`pymicro-wakeword` (Open Home Foundation, Apache-2.0) brings TensorFlow Lite, the models of four
words and the sound features they were trained on. A detector is fed in the event loop: 20 ms of
sound take it 0.1 ms on average, 0.4 % of a core, and 0.3 MB. The network looks at 30 ms at a time,
and the word is noticed when the mean of its last five answers (150 ms) is above the threshold.
"""

from __future__ import annotations

from importlib.metadata import version

from voicecore.audio import Samples, encode_s16le
from voicecore.config import WakeConfig
from voicecore.engines.interface import EngineInfo, ModelFiles
from voicecore.errors import EngineMissing, ModelError

try:
    from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model
except ImportError as error:
    raise EngineMissing(
        f"The micro-wakeword engine is not installed ({error}). "
        "`pip install 'voicecore[wake]'` brings it; or set wake.engine to \"none\"."
    ) from error

LATE_MS = {"okay_nabu": 160, "hey_jarvis": 280, "hey_mycroft": 60, "alexa": 320}
"""After the next word has begun: how long it takes at most until the word is noticed, if both are
said in one breath. Of 69 such sentences in a synthetic voice, at three speeds and with some noise.
"""


def load(config: WakeConfig, files: ModelFiles, *, threads: int) -> MicroWake:  # noqa: ARG001
    """Make the engine. Its models are in its package, and one thread is plenty.

    Raises:
        EngineMissing: its native library does not run here.
        ModelError: there is no such word.
    """
    if config.model not in LATE_MS:
        raise ModelError(
            f"There is no wake word {config.model!r}. "
            f"Set wake.model to one of these: {', '.join(LATE_MS)}."
        )
    return MicroWake(config)


class MicroWake:
    """A `Wake`: one small network for each conversation, nothing shared."""

    def __init__(self, config: WakeConfig) -> None:
        """Load the word once, so that what is wrong is known before anybody speaks."""
        self._config = config
        self.info = EngineInfo("wake", "micro-wakeword", config.model, version("pymicro-wakeword"))
        self.late_ms = LATE_MS[config.model]
        self.word = config.model.replace("_", " ").title()
        try:
            self.detector()
        except OSError as error:
            raise EngineMissing(
                f"The micro-wakeword engine does not run on this system ({error}). "
                'It needs glibc 2.35 or newer. Set wake.engine to "none" to do without.'
            ) from error

    def detector(self) -> MicroWakeDetector:
        network = MicroWakeWord.from_builtin(Model(self._config.model))
        return MicroWakeDetector(network, self._config.threshold or network.probability_cutoff)


class MicroWakeDetector:
    """A `WakeDetector`: any cutting of the same sound is heard the same.

    Args:
        network: not shared with any other stream.
        threshold: the mean probability above which the word was said.
    """

    def __init__(self, network: MicroWakeWord, threshold: float) -> None:
        self._network, self._threshold = network, threshold
        self._features = MicroWakeWordFeatures()

    def feed(self, frame: Samples) -> bool:
        """Take any number of samples at 16 kHz; say whether the word was just completed."""
        noticed = False
        for features in self._features.process_streaming(encode_s16le(frame)):
            probability = self._network.process_streaming_prob(features)
            noticed |= probability is not None and probability > self._threshold
        return noticed

    def reset(self) -> None:
        """Forget the past. Takes up to 1 ms: the network is loaded again."""
        self._features.reset()
        self._network.reset()
