"""A voice's sessions: from phoneme ids to sound, window by window, or at once if need be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from voicecore.engines.onnx import onnxruntime
from voicecore.engines.piper.graph import WEIGHTS_FOLDER, Graph
from voicecore.engines.piper.sound import Sound
from voicecore.engines.piper.vits import Part, Parts

Tensors: TypeAlias = Mapping[str, npt.NDArray[Any]]

_LONG_INPUT = 120
"""Ids (about 60 phonemes) from which a call that makes all sound at once gives its memory back to
the system. Otherwise ONNX Runtime keeps what the longest call took: 370 MB in all after 200
characters, against 230 MB. It costs 7 % of a long call and 25 % of a short one, the kind a person
waits for. Windows take 40 MB whatever the length, and keep it."""

FIRST_WINDOW_MS = 300
"""Sound of the first window, of which a voice's own silence takes up to 65 ms. It plays while the
next one is made, which takes about a quarter of that time on two free cores."""

LONGEST_WINDOW_MS = 1_200
"""Windows double up to this: nothing can stop the work on one, about 0.1 s of one core."""

LEAN_WINDOW_MS = 600
"""The same of a lean voice, which then takes 340 MB with the rest of the host at the most, and not
360. (It takes no more CPU, either: 0.79 and 0.79 s for 9 s of speech.)"""

_AHEAD = 8
"""Once begun, a part makes at least so many times its reach: what it computes again at the seams is
then at most a quarter of its work."""

_CHECKED = (16, 32)
"""Ends of windows, in frames, that are compared with the usual ones when a voice is loaded: 0.1 s.
They end elsewhere, so that a part which reaches further than it seems makes a difference."""

_SAME = 1e-3
"""How far they may be from those, full scale being 1: 60 dB below. The default voice's differ by
0.000003, by rounding."""


@attrs.frozen(eq=False)
class Speech:
    """A piece of speech in the making."""

    windows: Callable[[int, int], Iterator[Sound]]
    """Makes the sound from one sample to another, which must be ends of phonemes, or ``0`` and
    ``total``."""
    total: int
    """Samples in all."""
    durations: npt.NDArray[np.int64] | None
    """Samples of each phoneme id, which sum to the total. None if they are not known."""

    def whole(self) -> Iterator[Sound]:
        return self.windows(0, self.total)


class Model(Protocol):
    def speak(self, ids: Tensors) -> Speech:
        """Begin to speak. ``ids`` are the inputs of Piper's models."""


class Whole:
    """A voice in one session, which gives its sound at once."""

    def __init__(self, path: Path, threads: int, *, lean: bool = False) -> None:
        self._session = Session(str(path), threads, lean=lean)

    def speak(self, ids: Tensors) -> Speech:
        shrink = ids["input"].shape[1] >= _LONG_INPUT
        sound = self._session.run(ids, shrink=shrink)[0].reshape(-1)
        return Speech(lambda begin, end: iter([sound[begin:end]]), len(sound), None)


class Parted:
    """A voice in the parts that `vits.split` finds."""

    def __init__(
        self, graph: Graph, parts: Parts, rate_hz: int, threads: int, *, lean: bool = False
    ) -> None:
        self._parts = parts
        # Two thousand small operations: a second thread makes it no faster, but takes 6 % more CPU.
        self._encoder = _open(graph, parts.encoder, 1, lean=lean)
        self._local = [_open(graph, part, threads, lean=lean) for part in parts.local]
        self._frame_samples = parts.local[-1].width
        self._rate_hz = rate_hz
        self._longest_ms = LEAN_WINDOW_MS if lean else LONGEST_WINDOW_MS

    def speak(self, ids: Tensors) -> Speech:
        made, total = self._encode(ids)
        frames = made[self._parts.durations].reshape(-1).astype(np.int64)
        durations = frames * self._frame_samples if frames.sum() == total else None
        return Speech(partial(self._windows, made), total * self._frame_samples, durations)

    def _windows(self, made: Tensors, begin: int, end: int) -> Iterator[Sound]:
        first, last = begin // self._frame_samples, end // self._frame_samples
        return self.decode(made, self._window_ends(first, last), first)

    def _window_ends(self, begin: int, end: int) -> Iterator[int]:
        per_ms = self._rate_hz / 1000 / self._frame_samples
        return (begin + at for at in window_ends(end - begin, per_ms, self._longest_ms))

    def _encode(self, ids: Tensors) -> tuple[Tensors, int]:
        """Return what the encoder makes, and how many frames the sound will have."""
        made = dict(zip(self._parts.encoder.makes, self._encoder.run(ids), strict=True))
        return made, int(made[self._parts.local[0].given[0]].shape[-1])

    def checked(self, ids: Tensors) -> Sound:
        """Speak, and make sure that other windows would give the same.

        Raises:
            ValueError: they would not: the voice is built otherwise than it seems.
        """
        made, total = self._encode(ids)
        sound = np.concatenate(list(self.decode(made, self._window_ends(0, total))))
        first = np.concatenate(list(self.decode(made, _CHECKED)))
        if total < _CHECKED[-1] or np.abs(sound[: len(first)] - first).max() > _SAME:
            raise ValueError("windows of its sound do not join")
        return sound

    def decode(self, made: Tensors, ends: Iterable[int], begin: int = 0) -> Iterator[Sound]:
        """Make the sound of windows, one after the other from a frame on, that end at these."""
        work: _Work | None = None
        for part, session in zip(self._parts.local, self._local, strict=True):
            work = _Work(part, session, made, work)
        assert work is not None
        for end in ends:
            yield work.frames(begin, end).reshape(-1)
            begin = end


def window_ends(frames: int, per_ms: float, longest_ms: int = LONGEST_WINDOW_MS) -> Iterator[int]:
    """Cut frames into windows, and return the end of each.

    A last window that would be shorter than half of the one before it is joined to that.
    """
    end, size = 0, FIRST_WINDOW_MS * per_ms
    while frames - end > 1.5 * size:
        end += round(size)
        yield end
        size = min(2 * size, longest_ms * per_ms)
    yield frames


class _Work:
    """One part at work on one piece of speech."""

    def __init__(self, part: Part, session: Session, made: Tensors, before: _Work | None) -> None:
        self._part = part
        self._session = session
        self._encoded = {name: made[name] for name in part.given if name in made}
        self._before = before
        self.total: int = before.total if before else made[part.given[0]].shape[-1]
        """Frames in all."""
        self._made = np.zeros((1, 1, 0), np.float32)
        """What is made and may still be asked for, from frame ``_kept`` to frame ``_done``."""
        self._kept = self._done = 0

    def frames(self, begin: int, end: int) -> npt.NDArray[np.float32]:
        """Make the output for frames from ``begin`` to ``end``; later calls never go further back.

        A later call may begin before the end of this one, but not before its beginning.
        """
        if not self._made.size:
            self._kept = self._done = begin
        if end > self._done:
            self._go_on(end)
        width = self._part.width
        self._made = self._made[..., (begin - self._kept) * width :]
        self._kept = begin
        return self._made[..., : (end - begin) * width]

    def _go_on(self, end: int) -> None:
        reach, width, done = self._part.reach, self._part.width, self._done
        if self._made.size:
            end = min(self.total, max(end, done + _AHEAD * reach))
        first, last = max(0, done - reach), min(self.total, end + reach)
        (output,) = self._session.run(self._input(first, last))
        output = output.reshape(1, -1, output.shape[-1])
        new = output[..., (done - first) * width : (end - first) * width]
        self._made = np.concatenate((self._made, new), axis=-1) if self._made.size else new
        self._done = end

    def _input(self, first: int, last: int) -> Tensors:
        given = {
            name: tensor[..., first:last] if tensor.shape[-1:] == (self.total,) else tensor
            for name, tensor in self._encoded.items()
        }
        if self._before is not None:
            given[self._part.given[0]] = self._before.frames(first, last)
        return given


class Session:
    """An ONNX Runtime session with our threads and memory.

    A lean one gives the memory of each run back after it. Else the sessions of a medium voice keep
    50 MB; that saves up to 5 ms of a first window, for memory that is new has to be cleared.
    """

    def __init__(
        self, model: str | bytes, threads: int, weights: Path | None = None, *, lean: bool = False
    ) -> None:
        options = onnxruntime.SessionOptions()
        self._lean = lean
        options.enable_cpu_mem_arena = not lean
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Patterns are kept for every length of input ever seen: memory for no measurable time.
        options.enable_mem_pattern = False
        # Idle threads that spin take the cores from recognition and the language model.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if weights is not None:
            options.add_session_config_entry(WEIGHTS_FOLDER, str(weights))
        self._session = onnxruntime.InferenceSession(
            model, sess_options=options, providers=["CPUExecutionProvider"]
        )

    def run(self, inputs: Tensors, *, shrink: bool = False) -> list[npt.NDArray[Any]]:
        """Run once; with ``shrink``, give the memory it took back to the system."""
        options = onnxruntime.RunOptions()
        if shrink and not self._lean:
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        outputs: list[npt.NDArray[Any]] = self._session.run(None, dict(inputs), options)
        return outputs


def _open(graph: Graph, part: Part, threads: int, *, lean: bool) -> Session:
    model = graph.part(part.nodes, part.given, part.makes)
    return Session(model, threads, graph.path.parent, lean=lean)
