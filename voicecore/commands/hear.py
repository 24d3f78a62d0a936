"""``voicecore hear``: the words in a WAV file."""

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
from voicecore.ears.clip import read_wav
from voicecore.ears.recording import pieces
from voicecore.ears.transcribe import recognise
from voicecore.engines import open_engine
from voicecore.engines.interface import Transcript, Utterance
from voicecore.weights.fetch import ensure
from voicecore.weights.files import ModelStore


def add_parser(subparsers: Any) -> None:
    """Add the command to the subparsers that `argparse` made."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "hear",
        help="recognise the words in a WAV file",
        description="Recognise the words in a WAV file, as the host would hear them.",
        epilog="example: voicecore hear question.wav",
    )
    parser.add_argument("file", type=Path, metavar="FILE.wav", help="any WAV file with speech")
    parser.add_argument("--json", action="store_true", help="with confidence, as JSON")
    add_config_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    config = configfile.load(args.config, args.overrides)
    samples = resample(read_wav(args.file), EAR_HZ).samples
    transcripts = trio.run(hear, config, samples)
    text = " ".join(transcript.text for transcript in transcripts if transcript.text)
    if args.json:
        confidence = min((t.confidence for t in transcripts if t.text), default=0.0)
        print(json.dumps({"text": text, "confidence": round(confidence, 3)}, ensure_ascii=False))
    else:
        print(text or "(no speech)")
    return 0


async def hear(config: Config, samples: Samples) -> list[Transcript]:
    """Recognise 16 kHz sound of any length, in pieces if it is long."""
    files = ModelStore.of(config)
    with open_progress(Console(stderr=True)) as progress:
        await ensure([config.stt.model], store=files, progress=progress)
    async with open_engine(config, "stt", files) as stt:
        return [
            await recognise(stt, Utterance(piece))
            for piece in pieces(samples, config.ears.max_utterance_ms)
        ]
