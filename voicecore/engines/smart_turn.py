"""Smart Turn v3: whether a person has finished speaking, judged by how it sounds.

A Whisper tiny encoder with one output, by Daily (https://github.com/pipecat-ai/smart-turn). It
hears the last 8 s as a log-mel spectrogram and is given no words. Everything here blocks; a worker
thread runs it.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from voicecore.audio import EAR_HZ, Samples, to_float
from voicecore.config import TurnConfig
from voicecore.engines.interface import Completeness, EngineInfo, ModelFiles, TurnSound
from voicecore.errors import EngineError, EngineMissing, ModelError

try:
    from voicecore.engines.onnx import OnnxErrors, UnusableModel, onnxruntime
except ImportError as error:
    raise EngineMissing(
        f"The smart-turn engine is not installed ({error}). "
        "`pip install 'voicecore[smart-turn]'` brings it; or set turn.engine to \"none\"."
    ) from error

Floats: TypeAlias = npt.NDArray[np.float32]

WINDOW = 8 * EAR_HZ
"""Samples the model hears: 8 s, fixed by it."""

BANDS, FRAMES = 80, 800
"""Of the spectrogram: mel bands, and one frame each 10 ms."""

FFT, HOP = 400, 160
"""Samples of a frame (25 ms), and from one to the next: as Whisper has them."""


def load(config: TurnConfig, files: ModelFiles, *, threads: int) -> SmartTurn:
    """Load the configured model.

    Raises:
        ModelError: the model is unknown, missing or corrupt.
    """
    return SmartTurn(config.model, files, threads=threads, lean=config.lean)


class SmartTurn:
    """A `Native` that answers each `TurnSound` with one `Completeness`.

    **Cancellation**: there is one native call of fixed length, which nothing can stop.
    """

    concurrency = 1

    def __init__(self, model: str, files: ModelFiles, *, threads: int, lean: bool = False) -> None:
        self.info = EngineInfo("turn", "smart-turn", model, version("onnxruntime"), threads=threads)
        path = str(files.file(model, ".onnx"))
        try:
            self._session = onnxruntime.InferenceSession(
                path, providers=["CPUExecutionProvider"], sess_options=_options(threads, lean=lean)
            )
            self._judge(np.zeros(0, np.int16))
        except UnusableModel as error:
            raise ModelError(
                f"{path} is not a usable Smart Turn v3 model ({error}). "
                "`voicecore models fetch` brings it again."
            ) from error

    def run(self, request: TurnSound, emit: Callable[[Completeness], None]) -> None:
        """Judge the last 8 s of the sound; of a shorter one, all.

        Raises:
            EngineError: the model failed.
        """
        try:
            probability = self._judge(request.samples)
        except OnnxErrors as error:
            raise EngineError(f"The turn model {self.info.model!r} failed: {error}.") from error
        emit(Completeness(probability))

    def warm_up(self) -> None:
        """Nothing: a first request has run through the model when it was loaded."""

    def close(self) -> None:
        del self._session

    def _judge(self, samples: Samples) -> float:
        inputs = {"input_features": log_mel(samples)[np.newaxis]}
        (probability,) = self._session.run(None, inputs)
        return float(probability[0, 0])


def _options(threads: int, *, lean: bool) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    # An arena keeps 28 MB for the next time, which then need not be asked for: 10 ms of 60.
    options.enable_cpu_mem_arena = not lean
    options.inter_op_num_threads = 1
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # errors are raised as well; ours say more
    return options


# --- the spectrogram -----------------------------------------------------------------------------


def log_mel(samples: Samples) -> Floats:
    """Make the model's input of the last 8 s: log-mel energies, ``[BANDS, FRAMES]``.

    As Whisper's feature extractor with ``do_normalize``: the 8 s have mean 0 and variance 1, 8
    decades below the loudest are kept, and the scale is about -1 to 1. Shorter sound ends where
    longer does, with silence before it.
    """
    sound = np.zeros(WINDOW, np.float32)
    heard = samples[-WINDOW:]
    sound[WINDOW - len(heard) :] = to_float(heard)
    sound = (sound - sound.mean()) / np.sqrt(sound.var() + np.float32(1e-7))
    padded = np.pad(sound, FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT)[::HOP][:FRAMES]
    spectrum = np.fft.rfft(frames * _HANN, axis=-1)
    power = spectrum.real**2 + spectrum.imag**2
    # Not a product of matrices: NumPy would spread it over threads that wait for a busy core.
    energies = np.add.reduceat(power[:, _BINS] * _WEIGHTS, _STARTS, axis=1)
    log = np.log10(np.maximum(energies.T, np.float32(1e-10)))
    scaled: Floats = (np.maximum(log, log.max() - 8) + 4) / 4
    return scaled


def _mel_filters() -> Floats:
    """Make triangular filters of equal area, evenly spaced in mel: ``[BANDS, FFT // 2 + 1]``.

    Slaney's mel scale: 200/3 Hz each up to 1000 Hz (mel 15), then 27 to a factor of 6.4.
    """
    step = np.log(6.4) / 27
    top = 15 + np.log(EAR_HZ / 2 / 1000) / step
    mels = np.linspace(0, top, BANDS + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp((mels - 15) * step))
    bins = np.linspace(0, EAR_HZ / 2, FFT // 2 + 1)
    low, mid, high = (edges[at : at + BANDS, np.newaxis] for at in range(3))
    triangles = np.minimum((bins - low) / (mid - low), (high - bins) / (high - mid))
    filters: Floats = (np.maximum(0, triangles) * 2 / (high - low)).astype(np.float32)
    return filters


_FILTERS = _mel_filters()
_BANDS, _BINS = np.nonzero(_FILTERS)
_WEIGHTS = _FILTERS[_BANDS, _BINS]
_STARTS = np.searchsorted(_BANDS, np.arange(BANDS))  # every band has at least one bin
_HANN: Floats = np.hanning(FFT + 1)[:-1].astype(np.float32)
