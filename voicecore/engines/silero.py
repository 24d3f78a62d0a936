"""webrtcvad on every frame, and Silero to confirm what it fires on.

webrtcvad costs 2 µs a frame and fires on noise; Silero is a small neural network that knows a voice
from a cough, and costs 70 times as much. So Silero sleeps while webrtcvad is quiet. When it wakes,
it first hears the last 300 ms: its judgement rests on what came before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from importlib.metadata import version
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from voicecore.audio import Samples, to_float
from voicecore.config import VadConfig
from voicecore.engines.interface import VAD_FRAME_MS, EngineInfo, ModelFiles, VoiceDetector
from voicecore.engines.webrtc import WebrtcDetector
from voicecore.errors import EngineMissing, ModelError

try:
    from voicecore.engines.onnx import UnusableModel, onnxruntime
except ImportError as error:
    raise EngineMissing(
        f"The webrtc-silero voice activity engine is not installed ({error}). "
        "`pip install 'voicecore[silero]'` brings it; or set vad.engine to \"webrtc\"."
    ) from error

Floats: TypeAlias = npt.NDArray[np.float32]

WINDOW = 512
"""Samples of one judgement: 32 ms at 16 kHz, fixed by the model."""

CONTEXT = 64
"""Samples of the window before, given again in front of each window (4 ms, fixed by the model)."""

HYSTERESIS = 0.15
"""Speech lasts down to this much below the threshold, as in Silero's own reference code
(``neg_threshold``). Without it, soft syllables cut a word in two."""

LOOK_BACK_MS = 300
"""Heard again on waking: the soft consonant before webrtcvad fires, and enough to judge it by."""

STAY_AWAKE_MS = 500
"""Both detectors quiet for this long put Silero to sleep. Longer than the pauses between words, so
that it seldom loses its state within a sentence; the endpointer waits about as long."""

State: TypeAlias = tuple[Floats, Floats]
"""The network's memory of one stream, hidden and cell state, each ``[1, 1, 128]``."""

Judge: TypeAlias = Callable[[Floats, State], tuple[float, State]]
"""Takes ``[CONTEXT + WINDOW]`` samples in [-1, 1) and the state; gives the probability of speech in
them and the next state."""


def new_state() -> State:
    return np.zeros((1, 1, 128), np.float32), np.zeros((1, 1, 128), np.float32)


def load(config: VadConfig, files: ModelFiles, *, threads: int) -> Silero:  # noqa: ARG001
    """Load the model. One thread is enough for 0.14 ms of work, whatever ``threads`` says.

    Raises:
        ModelError: the model is unknown, missing or corrupt.
    """
    return Silero(config, files)


class Silero:
    """A `Vad`: one network for the process, and one small detector for each conversation."""

    def __init__(self, config: VadConfig, files: ModelFiles) -> None:
        model = f"webrtcvad + {config.model}"
        self.info = EngineInfo("vad", "webrtc-silero", model, version("onnxruntime"))
        self._config = config
        self._network = _Network(str(files.file(config.model, ".onnx")))

    def detector(self) -> ConfirmedDetector:
        trigger = WebrtcDetector(self._config.aggressiveness)
        return ConfirmedDetector(trigger, self._network.judge, self._config.threshold)


class _Network:
    """Silero v6 as `faster-whisper` ships it: inputs ``input``, ``h`` and ``c``."""

    def __init__(self, path: str) -> None:
        try:
            self._session = onnxruntime.InferenceSession(
                path, providers=["CPUExecutionProvider"], sess_options=_one_thread()
            )
            self.judge(np.zeros(CONTEXT + WINDOW, np.float32), new_state())
        except UnusableModel as error:
            raise ModelError(
                f"{path} is not a usable Silero v6 model ({error}). "
                "`voicecore models fetch` brings it again."
            ) from error

    def judge(self, samples: Floats, state: State) -> tuple[float, State]:
        inputs = {"input": samples[np.newaxis], "h": state[0], "c": state[1]}
        probability, hidden, cell = self._session.run(None, inputs)
        return float(probability[0]), (hidden, cell)


def _one_thread() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = options.intra_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # the network is too small to gain from it
    options.log_severity_level = 4  # errors are raised as well; ours say more
    return options


class SpeechProbability:
    """Silero over one stretch of sound: any chunks in, one probability for each 32 ms out."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._state = new_state()
        self._samples: Floats = np.zeros(CONTEXT, np.float32)
        """The context, then what is still too short for a window."""

    def feed(self, samples: Samples) -> list[float]:
        self._samples = np.concatenate((self._samples, to_float(samples)))
        found = []
        while len(self._samples) >= CONTEXT + WINDOW:
            probability, self._state = self._judge(self._samples[: CONTEXT + WINDOW], self._state)
            self._samples = self._samples[WINDOW:]
            found.append(probability)
        return found


class ConfirmedDetector:
    """A `VoiceDetector`: what the trigger fires on is speech once Silero says so.

    Asleep, only the trigger hears the sound. Its first firing wakes Silero, which then judges every
    frame until both have been quiet for `STAY_AWAKE_MS`. The same frames always give the same
    answers.

    Args:
        trigger: the cheap detector.
        judge: the network.
        threshold: the probability from which a sound is speech.
    """

    def __init__(self, trigger: VoiceDetector, judge: Judge, threshold: float) -> None:
        self._trigger = trigger
        self._judge = judge
        self._on, self._off = threshold, max(threshold - HYSTERESIS, 0.01)
        self._recent: deque[Samples] = deque(maxlen=LOOK_BACK_MS // VAD_FRAME_MS)
        self._silero: SpeechProbability | None = None
        self._speech = False
        self._quiet_ms = 0

    @property
    def awake(self) -> bool:
        return self._silero is not None

    def feed(self, frame: Samples) -> bool:
        """Take 20 ms and say whether a person speaks in it.

        Silero judges 32 ms at a time, so an answer may rest on sound up to 20 ms old.
        """
        fired = self._trigger.feed(frame)
        if self._silero is not None:
            self._listen(self._silero, frame, fired=fired)
        elif fired:
            self._wake(frame)
        else:
            self._recent.append(frame)
        return self._speech

    def reset(self) -> None:
        self._trigger.reset()
        self._recent.clear()
        self._sleep()

    def _wake(self, frame: Samples) -> None:
        self._silero = SpeechProbability(self._judge)
        before = [*self._recent, frame]
        self._recent.clear()
        self._decide(self._silero.feed(np.concatenate(before)))

    def _listen(self, silero: SpeechProbability, frame: Samples, *, fired: bool) -> None:
        self._decide(silero.feed(frame))
        self._recent.append(frame)
        self._quiet_ms = 0 if fired or self._speech else self._quiet_ms + VAD_FRAME_MS
        if self._quiet_ms >= STAY_AWAKE_MS:
            self._sleep()

    def _decide(self, probabilities: list[float]) -> None:
        for probability in probabilities:
            self._speech = probability >= (self._off if self._speech else self._on)

    def _sleep(self) -> None:
        self._silero = None
        self._speech = False
        self._quiet_ms = 0
