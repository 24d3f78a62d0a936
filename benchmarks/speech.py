"""How long the voice needs for a phrase, and bringing it to 48 kHz.

    python -m benchmarks.speech [--model NAME] [--threads N] [--runs N] [--json FILE]

Prints a table, and with ``--json`` one line for each row. Times are medians of the runs; "cpu" is
all threads' time, which a busy machine changes little.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import attrs

from voicecore import configfile
from voicecore.audio import MOUTH_HZ, samples_to_ms
from voicecore.config import cores
from voicecore.engines import piper
from voicecore.engines.interface import SpeechChunk, SpeechRequest
from voicecore.mouth.upsample import Upsampler
from voicecore.weights.files import ModelStore

PHRASES = (
    "Yes.",
    "Well, I think",
    "That is a good question.",
    "The capital city of France is Paris, and it is lovely.",
    "The quick brown fox jumps over the lazy dog while the cat sleeps in the sun on the window.",
    (
        "It was a bright cold day in April, and the clocks were striking thirteen; a man, his chin "
        "pressed to his chest in an effort to escape the wind, slipped quickly through the doors."
    ),
)


@attrs.frozen(kw_only=True)
class Row:
    """One phrase; all times are medians, in milliseconds."""

    chars: int
    first_ms: float
    """Until the first chunk, the whole phrase unless it is long."""
    all_ms: float
    cpu_ms: float
    upsample_ms: float
    sound_ms: float
    rss_mb: float
    """Resident memory of the process afterwards."""

    @property
    def per_real_time(self) -> float:
        return self.all_ms / self.sound_ms


def measure(voice: piper.Piper, text: str, runs: int) -> Row:
    """Speak one phrase ``runs`` times."""
    first, whole, cpu, up = [], [], [], []
    sound_ms = 0.0
    for _ in range(runs):
        chunks: list[SpeechChunk] = []
        arrived: list[float] = []
        emit = _collector(chunks, arrived)
        began, worked = time.perf_counter(), time.process_time()
        voice.run(SpeechRequest(text), emit)
        cpu.append(time.process_time() - worked)
        whole.append(time.perf_counter() - began)
        first.append(arrived[0] - began)
        began = time.perf_counter()
        sound_ms = _upsample(chunks)
        up.append(time.perf_counter() - began)
    in_ms = [round(statistics.median(times) * 1000, 2) for times in (first, whole, cpu, up)]
    return Row(
        chars=len(text),
        first_ms=in_ms[0],
        all_ms=in_ms[1],
        cpu_ms=in_ms[2],
        upsample_ms=in_ms[3],
        sound_ms=round(sound_ms, 1),
        rss_mb=round(resident_mb(), 1),
    )


def _collector(chunks: list[SpeechChunk], arrived: list[float]) -> Callable[[SpeechChunk], None]:
    def emit(chunk: SpeechChunk) -> None:
        arrived.append(time.perf_counter())
        chunks.append(chunk)

    return emit


def _upsample(chunks: list[SpeechChunk]) -> float:
    upsampler = Upsampler()
    samples = sum(len(upsampler.feed(chunk)) for chunk in chunks) + len(upsampler.close())
    return samples_to_ms(samples, MOUTH_HZ)


def resident_mb() -> float:
    """Memory of this process that is in RAM (Linux; 0 elsewhere)."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)


def report(rows: list[Row], model: str, threads: int) -> None:
    print(f"{model}, {threads} threads of {cores()} cores; times in ms")
    print("chars   first     all     cpu   48 kHz    sound   x real time   resident MB")
    for row in rows:
        print(
            f"{row.chars:5}{row.first_ms:8.0f}{row.all_ms:8.0f}{row.cpu_ms:8.0f}"
            f"{row.upsample_ms:9.2f}{row.sound_ms:9.0f}{row.per_real_time:14.3f}{row.rss_mb:14.0f}"
        )


def write_json(file: Path, rows: list[Row], model: str, threads: int) -> None:
    about = {"benchmark": "speech", "model": model, "threads": threads, "cores": cores()}
    lines = [json.dumps({**about, **attrs.asdict(row)}) for row in rows]
    file.write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Time per phrase of the voice.")
    parser.add_argument("--model", help="a Piper voice (default: the configured one)")
    parser.add_argument("--threads", type=int, default=max(1, cores() // 2))
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write JSON lines here")
    args = parser.parse_args()
    config = configfile.load(None)
    settings = attrs.evolve(config.tts, model=args.model or config.tts.model)
    began = time.perf_counter()
    voice = piper.load(settings, ModelStore.of(config), threads=args.threads)
    voice.warm_up()
    print(f"ready in {time.perf_counter() - began:.2f} s")
    rows = [measure(voice, text, args.runs) for text in PHRASES]
    report(rows, settings.model, args.threads)
    if args.json:
        write_json(args.json, rows, settings.model, args.threads)


if __name__ == "__main__":
    main()
