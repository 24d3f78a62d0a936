"""``voicecore hear``: the words in a recording."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import trio
from rich.console import Console

from voicecore import configfile
from voicecore.audio import EAR_HZ, Samples, resample
from voicecore.commands.options import add_config_options
from voicecore.commands.progress import open_progress
from voicecore.config import Config
from voicecore.ears.clip import read_clip
from voicecore.ears.stretches import cut_at_pauses
from voicecore.ears.transcribe import recognise
from voicecore.engines import open_engine
from voicecore.engines.interface import Transcript, Utterance
from voicecore.weights.fetch import ensure
from voicecore.weights.files import ModelStore


def add_parser(subparsers: Any) -> None:
    """Add the command to the subparsers that `argparse` made."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "hear",
        help="recognise the words in a recording",
        description="Recognise the words in a recording, as the host would hear them.",
        epilog="example: voicecore hear question.wav",
    )
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="WAV, WebM, Ogg, MP3, M4A, FLAC or AAC"
    )
    parser.add_argument("--json", action="store_true", help="with confidence, as JSON")
    add_config_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    config = configfile.load(args.config, args.overrides)
    samples = resample(read_clip(args.file), EAR_HZ).samples
    transcripts = trio.run(hear, config, samples)
    text = " ".join(transcript.text for transcript in transcripts if transcript.text)
    if args.json:
        confidence = min((t.confidence for t in transcripts if t.text), default=0.0)
        print(json.dumps({"text": text, "confidence": round(confidence, 3)}, ensure_ascii=False))
    else:
        print(text or "(no speech)")
    return 0


async def hear(config: Config, samples: Samples) -> list[Transcript]:
    """Recognise 16 kHz sound of any length, cut at its pauses if it has some."""
    files = ModelStore.of(config)
    models = [name for name in (config.stt.model, config.vad.model) if name in files.models]
    with open_progress(Console(stderr=True)) as progress:
        await ensure(models, store=files, progress=progress)
    async with (
        open_engine(config, "stt", files) as stt,
        open_engine(config, "vad", files) as vad,
    ):
        stretches = cut_at_pauses(samples, vad.detector(), config.ears)
        return [await recognise(stt, Utterance(stretch)) for stretch in stretches]
