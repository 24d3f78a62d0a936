"""ONNX Runtime, as several engines need it. Importing this raises ImportError without it."""

from __future__ import annotations

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as _state

OnnxErrors: tuple[type[Exception], ...] = tuple(
    kind for kind in vars(_state).values() if isinstance(kind, type) and issubclass(kind, Exception)
)
"""Its own exceptions, which have no common base but Exception."""

UnusableModel: tuple[type[Exception], ...] = (*OnnxErrors, ValueError, IndexError)
"""What a damaged file gives, or a model with other inputs and outputs."""

__all__ = ["OnnxErrors", "UnusableModel", "onnxruntime"]
