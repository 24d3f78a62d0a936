"""Piper: neural voices on ONNX Runtime, one for each voice file.

``piper-tts`` is GPL-3.0-or-later, so it is an extra of its own. Everything here blocks; a worker
thread runs it. A request goes through it so: `reader` (text to phonemes, in espeak), `words` (which
belong to which word), `model` (ids to sound, window by window), `sound` (level and silence).
"""

from __future__ import annotations

from voicecore.errors import EngineMissing

try:
    from voicecore.engines.piper.engine import Piper, load
except ImportError as error:
    raise EngineMissing(
        f"The piper voice engine is not installed ({error}). `pip install 'voicecore[piper]'` "
        "brings it; note that piper-tts is GPL-3.0-or-later."
    ) from error

__all__ = ["Piper", "load"]
