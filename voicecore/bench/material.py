"""What is said: sentences of the configured voice at several paces, or recordings of people."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import numpy as np
from rich.console import Console

from voicecore.audio import EAR_HZ, MOUTH_HZ, Pcm, Samples, resample, wav_bytes
from voicecore.bench.figures import Row
from voicecore.bench.sounds import at_level, trimmed
from voicecore.commands.progress import open_progress
from voicecore.commands.say import speak
from voicecore.config import Config
from voicecore.ears.clip import read_clip
from voicecore.engines import open_engine
from voicecore.engines.interface import Tts
from voicecore.errors import VoicecoreError
from voicecore.weights.fetch import ensure
from voicecore.weights.files import ModelStore

SPEECH_DB = -20.0
"""Level of a person near the microphone, below full scale."""

SPEEDS = (1.0, 0.85, 1.2)
"""Of the speaking voice, in turn: people do not all speak at one pace."""


@attrs.frozen(eq=False)
class Utterance:
    """Something to be said: 16 kHz, without silence before or after it."""

    said: str
    samples: Samples
    about: Row = attrs.field(factory=dict)
    """What is special about it, for the results: pace, level, noise, pause."""
    noise_db: float | None = None
    """Level of the room's noise while it is said, below full scale."""


@attrs.frozen(eq=False)
class Recording:
    said: str
    samples: Samples
    name: str


@attrs.frozen(eq=False)
class Studio:
    """Where the material is made, before anything is measured."""

    tts: Tts
    recordings: Sequence[Recording] = ()
    kept: Path | None = None
    """A folder of what was spoken before. The voice sounds a little different each time."""

    async def say(self, text: str, speed: float = 1.0) -> Samples:
        """Speak a text; 16 kHz, trimmed, at `SPEECH_DB`."""
        path = self._path(text, speed)
        if path is not None and path.exists():
            return trimmed(resample(read_clip(path), EAR_HZ).samples)
        sound = resample(Pcm(await speak(self.tts, text, speed=speed), MOUTH_HZ), EAR_HZ).samples
        sound = at_level(trimmed(sound), SPEECH_DB)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(wav_bytes(Pcm(sound, EAR_HZ)))
        return sound

    def _path(self, text: str, speed: float) -> Path | None:
        if self.kept is None:
            return None
        return self.kept / f"{hashlib.sha256(f'{text}@{speed}'.encode()).hexdigest()[:16]}.wav"


@asynccontextmanager
async def open_studio(
    config: Config, speech: Path | None, kept: Path | None
) -> AsyncIterator[Studio]:
    """Open the configured voice, and read the recordings if there are some.

    Raises:
        VoicecoreError: the folder holds no recordings, or the voice cannot be opened.
    """
    recordings = recorded(speech) if speech else []
    files = ModelStore.of(config)
    if config.tts.model in files.models:
        with open_progress(Console(stderr=True)) as progress:
            await ensure([config.tts.model], store=files, progress=progress)
    async with open_engine(config, "tts", files) as tts:
        yield Studio(tts, recordings, kept)


def recorded(folder: Path) -> list[Recording]:
    """Read the recordings of a folder: sound files, and their words in ``transcripts.jsonl``.

    Raises:
        VoicecoreError: there is no such file, or it or a recording cannot be read.
    """
    path = folder / "transcripts.jsonl"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        entries = [json.loads(line) for line in lines if line.strip()]
        named = [(str(entry["file"]), str(entry["text"])) for entry in entries]
    except OSError as error:
        raise VoicecoreError(f"Cannot read {path}: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise VoicecoreError(
            f'{path} must hold a line {{"file": "…", "text": "…"}} for each recording: {error}.'
        ) from error
    if not named:
        raise VoicecoreError(f"{path} names no recordings.")
    return [Recording(text, _read(folder / file), file) for file, text in named]


def _read(path: Path) -> Samples:
    return at_level(trimmed(resample(read_clip(path), EAR_HZ).samples), SPEECH_DB)


def shuffled(utterances: Sequence[Utterance], seed: int) -> list[Utterance]:
    """Mix kinds, so that none meets the host only when it is warm, or only when it is tired."""
    order = np.random.default_rng(seed).permutation(len(utterances))
    return [utterances[index] for index in order]
