"""``voicecore say``: a text spoken into a WAV file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import trio
from rich.console import Console

from voicecore import configfile
from voicecore.audio import MOUTH_HZ, Pcm, Samples, wav_bytes
from voicecore.commands.options import add_config_options
from voicecore.commands.progress import open_progress
from voicecore.config import Config
from voicecore.engines import open_engine
from voicecore.engines.interface import SpeechRequest, Tts
from voicecore.errors import VoicecoreError
from voicecore.mouth.phrase import Phraser
from voicecore.mouth.upsample import Upsampler
from voicecore.weights.fetch import ensure
from voicecore.weights.files import ModelStore


def add_parser(subparsers: Any) -> None:
    """Add the command to the subparsers that `argparse` made."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "say",
        help="speak a text into a WAV file",
        description="Speak a text into a 48 kHz WAV file, as the host would speak it.",
        epilog='example: voicecore say "It is half past three." -o time.wav',
    )
    parser.add_argument("text", help="what to say")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="WAV file")
    parser.add_argument(
        "--voice", metavar="MODEL", help="another voice (see: voicecore models list)"
    )
    add_config_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    config = configfile.load(args.config, args.overrides)
    samples = trio.run(say, config, args.text, args.voice)
    if not len(samples):
        raise VoicecoreError("There is nothing to say in this text.")
    write_wav(args.output, Pcm(samples, MOUTH_HZ))
    print(f"{args.output}: {len(samples) / MOUTH_HZ:.1f} s of speech")
    return 0


def write_wav(path: Path, pcm: Pcm) -> None:
    """Write a WAV file; raises as `write`."""
    write(path, wav_bytes(pcm))


def write(path: Path, data: bytes) -> None:
    """Write a file the person asked for.

    Raises:
        VoicecoreError: it cannot be written.
    """
    try:
        path.write_bytes(data)
    except OSError as error:
        raise VoicecoreError(f"Cannot write {path}: {error.strerror}.") from error


async def say(config: Config, text: str, voice: str | None = None) -> Samples:
    """Speak a text with the configured voice; return 48 kHz sound."""
    files = ModelStore.of(config)
    with open_progress(Console(stderr=True)) as progress:
        await ensure([config.tts.model], store=files, progress=progress)
    async with open_engine(config, "tts", files) as tts:
        return await speak(tts, text, voice=voice, speed=config.tts.speed)


async def speak(tts: Tts, text: str, *, voice: str | None = None, speed: float = 1.0) -> Samples:
    """Speak a text phrase by phrase; return 48 kHz sound."""
    phraser, upsampler = Phraser(), Upsampler()
    sound: list[Samples] = []
    for phrase in [*phraser.feed(text), *phraser.close()]:
        if phrase.spoken:
            async with tts.stream(SpeechRequest(phrase.spoken, voice, speed)) as chunks:
                sound += [upsampler.feed(chunk) async for chunk in chunks]
            sound.append(upsampler.close())
    return np.concatenate(sound) if sound else np.zeros(0, np.int16)
