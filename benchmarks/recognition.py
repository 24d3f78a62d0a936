"""Recognition in a right-sized window against faster-whisper's own `transcribe`.

    python -m benchmarks.recognition [--speech FOLDER] [--altered N] [--joined N]
                                     [--model NAME_OR_PATH] [--runs N] [--beam N] [--threads N]
                                     [--json FILE]

All recognisers hear every clip in turn, in the same run, so that a busy machine slows them alike.
FOLDER holds recordings and ``transcripts.jsonl``, one ``{"file": …, "text": …}`` a line. Without
it, the configured Piper voice speaks a list of sentences. ``--altered`` adds each clip so many
times with noise, another level and another speed; ``--joined`` adds so many pairs of clips with a
pause between them, as when a person goes on with another sentence.

Prints a table, and with ``--json`` one line for each recogniser. Times are of one clip, without
reading the file; "cpu" is all threads' time, which a busy machine changes little. Word errors are
those of the first run: recognition is deterministic. The voice is not: its sentences sound a little
different each time, and their errors vary by several words. Compare errors on recordings.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt
from faster_whisper import WhisperModel
from faster_whisper.audio import decode_audio
from rich.console import Console
from rich.table import Table

from benchmarks.alterations import Clip, altered, joined
from voicecore import configfile
from voicecore.audio import EAR_HZ, Pcm, Samples, resample, samples_to_ms, to_float
from voicecore.bench.wer import WordErrors, total
from voicecore.config import Config, OwnModelConfig, SttConfig, cores
from voicecore.engines import whisper
from voicecore.engines.interface import SpeechChunk, SpeechRequest, Transcript, Urgency, Utterance
from voicecore.weights.files import ModelStore

__all__ = ["SENTENCES", "Clip", "recorded"]  # other benchmarks take these

SENTENCES = (
    "What is the weather going to be like tomorrow afternoon?",
    "Please set a timer for ten minutes.",
    "Can you tell me a short story about a dragon and a lighthouse?",
    "Turn off the lights in the kitchen.",
    "How far is it from Berlin to Hamburg?",
    "Yes, please.",
    "Stop.",
    "What time is it?",
    "I would like to book a table for four people on Friday evening.",
    "Could you repeat that more slowly?",
    "My sister moved to Canada last year because she found a new job there.",
    "Add milk, bread and eggs to the shopping list.",
    "The train leaves at half past seven from platform twelve.",
    "Do you think it is better to walk or to take the bus?",
    "Remind me to call my mother when I get home.",
    "How do you make a good cup of coffee?",
    "Hello there, how are you doing today?",
    "Open the window.",
    "That is not what I meant at all.",
    "Is there anything else I should know before I leave?",
)
SPEEDS = (1.0, 0.85, 1.2)
"""Of the speaking voice, in turn: people do not all speak at one pace."""

PAUSE = np.zeros(EAR_HZ * 3 // 10, np.int16)
"""300 ms before and after a spoken sentence, about what the ears keep."""

Recogniser: TypeAlias = Callable[[Samples], Transcript]


@attrs.define
class Measured:
    """What one recogniser did, over all clips and runs."""

    name: str
    wall_ms: list[float] = attrs.field(factory=list)
    cpu_ms: list[float] = attrs.field(factory=list)
    heard: dict[str, Transcript] = attrs.field(factory=dict)
    """Of each clip, by name."""

    def median_ms(self) -> float:
        return float(np.median(self.wall_ms))

    def second_passes(self) -> int:
        return sum(transcript.passes > 1 for transcript in self.heard.values())

    def errors(self, clips: Sequence[Clip]) -> WordErrors:
        return total((clip.said, self.heard[clip.name].text) for clip in clips)


# --- what is heard -------------------------------------------------------------------------------


def recorded(folder: Path) -> list[Clip]:
    """Read the recordings of a folder, in any format, as 16 kHz mono."""
    lines = (folder / "transcripts.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines if line.strip()]
    return [
        Clip(
            entry["file"],
            _int16(decode_audio(str(folder / entry["file"]), sampling_rate=EAR_HZ)),
            entry["text"],
        )
        for entry in entries
    ]


def _int16(sound: npt.NDArray[np.float32]) -> Samples:
    """Undo the decoder's division by 32768 exactly: a word can hang on the last bit."""
    return np.clip(np.round(sound * 32768), -32768, 32767).astype(np.int16)


def spoken(config: Config, files: ModelStore) -> list[Clip]:
    """Let the configured voice say the sentences."""
    from voicecore.engines import piper  # noqa: PLC0415 - an extra that recordings do not need

    voice = piper.load(config.tts, files, threads=cores())
    clips = []
    for index, text in enumerate(SENTENCES):
        chunks: list[SpeechChunk] = []
        voice.run(SpeechRequest(text, speed=SPEEDS[index % len(SPEEDS)]), chunks.append)
        sound = Pcm(np.concatenate([chunk.samples for chunk in chunks]), chunks[0].rate_hz)
        samples = np.concatenate((PAUSE, resample(sound, EAR_HZ).samples, PAUSE))
        clips.append(Clip(f"sentence {index + 1}", samples, text))
    return clips


# --- who hears it --------------------------------------------------------------------------------


def with_model(config: Config, model: str | None) -> Config:
    """Choose the model: a listed name, or the folder of a converted one."""
    if model is None:
        return config
    folder = Path(model)
    own = {folder.name: OwnModelConfig(kind="stt", path=folder)} if folder.is_dir() else {}
    return attrs.evolve(
        config,
        stt=attrs.evolve(config.stt, model=folder.name if own else model),
        models={**config.models, **own},
    )


def recognisers(
    config: SttConfig, files: ModelStore, threads: int, beams: Sequence[int]
) -> dict[str, Recogniser]:
    """Load them all; they share nothing but the model's files."""
    found: dict[str, Recogniser] = {}
    for beam in beams:
        sized = attrs.evolve(config, beam_size=beam)
        engine = whisper.load(sized, files, threads=threads)
        found[f"sized window, {_search(beam)}"] = _sized(engine, Urgency.AWAITED)
        found.setdefault("sized window, partial", _sized(engine, Urgency.PARTIAL))
    model = WhisperModel(
        str(files.folder(config.model)),
        device=config.device,
        compute_type=config.compute_type,
        cpu_threads=threads,
        local_files_only=True,
    )
    for beam in (5, 1):
        found[f"transcribe, {_search(beam)}"] = _transcribe(model, config.language, beam)
    return found


def _search(beam: int) -> str:
    return "greedy" if beam == 1 else f"beam {beam}"


def _sized(engine: whisper.Whisper, urgency: Urgency) -> Recogniser:
    engine.warm_up()

    def hear(samples: Samples) -> Transcript:
        transcripts: list[Transcript] = []
        engine.run(Utterance(samples, urgency=urgency), transcripts.append)
        return transcripts[0]

    return hear


def _transcribe(model: Any, language: str, beam: int) -> Recogniser:
    known = None if language == "auto" else language

    def hear(samples: Samples) -> Transcript:
        segments, _ = model.transcribe(to_float(samples), language=known, beam_size=beam)
        return Transcript("".join(segment.text for segment in segments).strip(), confidence=0.0)

    hear(np.zeros(EAR_HZ, np.int16))
    return hear


# --- measuring -----------------------------------------------------------------------------------


def measure(clips: Sequence[Clip], hearers: dict[str, Recogniser], runs: int) -> list[Measured]:
    """Let each recogniser hear each clip ``runs`` times, taking turns."""
    measured = {name: Measured(name) for name in hearers}
    for _ in range(runs):
        for clip in clips:
            for name, hear in hearers.items():
                _hear_once(clip, hear, measured[name])
    return list(measured.values())


def _hear_once(clip: Clip, hear: Recogniser, measured: Measured) -> None:
    began, worked = time.perf_counter(), time.process_time()
    transcript = hear(clip.samples)
    measured.wall_ms.append((time.perf_counter() - began) * 1000)
    measured.cpu_ms.append((time.process_time() - worked) * 1000)
    measured.heard.setdefault(clip.name, transcript)


# --- telling -------------------------------------------------------------------------------------


def rows(measured: Sequence[Measured], clips: Sequence[Clip]) -> list[dict[str, str | float]]:
    """Give the figures; ratios are of median times, to `transcribe` with its default beam of 5."""
    baseline = next(one for one in measured if one.name == "transcribe, beam 5")
    return [
        {
            "recogniser": one.name,
            "median_ms": round(one.median_ms(), 1),
            "p95_ms": round(float(np.percentile(one.wall_ms, 95)), 1),
            "cpu_ms": round(float(np.median(one.cpu_ms)), 1),
            "ratio": round(one.median_ms() / baseline.median_ms(), 3),
            "word_errors": one.errors(clips).errors,
            "words": one.errors(clips).words,
            "wer_percent": round(one.errors(clips).rate * 100, 2),
            "second_passes": one.second_passes(),
        }
        for one in measured
    ]


def show(figures: Sequence[dict[str, str | float]], title: str) -> None:
    table = Table(title=title)
    for column in figures[0]:
        table.add_column(column, justify="left" if column == "recogniser" else "right")
    for row in figures:
        table.add_row(*map(str, row.values()))
    Console(width=120).print(table)


def show_differences(measured: Sequence[Measured], clips: Sequence[Clip]) -> None:
    """Print what was said and heard wherever somebody heard it wrong."""
    for clip in clips:
        wrong = [one for one in measured if one.errors([clip]).errors]
        if wrong:
            print(f"{clip.name}: {clip.said}")
        for one in wrong:
            print(f"    {one.name}: {one.heard[clip.name].text}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time and word errors of recognition.")
    parser.add_argument("--speech", type=Path, metavar="FOLDER", help="recordings and their words")
    parser.add_argument("--altered", type=int, default=0, metavar="N")
    parser.add_argument("--joined", type=int, default=0, metavar="N")
    parser.add_argument("--model", help="a model's name or folder (default: the configured one)")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--beam", type=int, help="of the sized window (default: configured and 5)")
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write JSON lines here")
    return parser.parse_args()


def main() -> None:
    args = parse()
    config = with_model(configfile.load(None), args.model)
    stt, files = config.stt, ModelStore.of(config)
    clips = recorded(args.speech) if args.speech else spoken(config, files)
    clips += [*altered(clips, args.altered), *joined(clips, args.joined)]
    beams = [args.beam] if args.beam else sorted({stt.beam_size, 5})
    measured = measure(clips, recognisers(stt, files, args.threads, beams), args.runs)
    seconds = sum(samples_to_ms(len(clip.samples), EAR_HZ) for clip in clips) / 1000
    figures = rows(measured, clips)
    about = f"{stt.model}, {stt.compute_type} on {stt.device}, {args.threads} threads"
    show(figures, f"{about}; {len(clips)} clips, {seconds:.0f} s, {args.runs} runs")
    if args.json:
        common = {"benchmark": "recognition", "about": about, "clips": len(clips)}
        lines = [json.dumps({**common, **row}) for row in figures]
        args.json.write_text("\n".join(lines) + "\n", encoding="utf-8")
    show_differences(measured, clips)


if __name__ == "__main__":
    main()
