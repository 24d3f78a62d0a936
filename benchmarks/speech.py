"""How long the voice needs for a phrase, until its first sound, and bringing it to 48 kHz.

    python -m benchmarks.speech [--model NAME] [--threads N] [--runs N] [--windows MS ...]
        [--json FILE]

Prints tables, and with ``--json`` one line for each row. Times are medians of the runs; "cpu" is
all threads' time, which a busy machine changes little. The second table compares speaking in
windows with the same voice in one piece, in turns, so that both meet the same machine: read ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import attrs

from voicecore import configfile
from voicecore.audio import MOUTH_HZ, samples_to_ms
from voicecore.config import cores
from voicecore.engines import piper
from voicecore.engines.interface import SpeechChunk, SpeechRequest
from voicecore.engines.piper import model as piper_model
from voicecore.engines.piper.voice import Voice, open_voice
from voicecore.mouth.upsample import Upsampler
from voicecore.weights.files import ModelStore

PHRASES = (
    "Yes.",
    "Well, I think",
    "Well, that is a good question.",
    "The capital city of France is Paris, and I have been there.",
    (
        "It was a bright cold day in April, and the clocks were striking thirteen; a man pressed "
        "his chin to his chest as he ran."
    ),
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
    """Until the first chunk, a window of sound."""
    all_ms: float
    cpu_ms: float
    upsample_ms: float
    sound_ms: float
    rss_mb: float
    """Resident memory of the process afterwards."""

    @property
    def per_real_time(self) -> float:
        return self.all_ms / self.sound_ms


@attrs.frozen(kw_only=True)
class Start:
    """One phrase in windows and at once; medians, in milliseconds."""

    chars: int
    window_ms: int
    """Sound of the first window."""
    first_ms: float
    all_ms: float
    cpu_ms: float
    whole_ms: float
    whole_cpu_ms: float

    @property
    def first_ratio(self) -> float:
        return self.first_ms / self.whole_ms

    @property
    def cpu_ratio(self) -> float:
        return self.cpu_ms / self.whole_cpu_ms


def compare(windows: Voice, whole: Voice, text: str, window_ms: int, runs: int) -> Start:
    """Speak one phrase in windows and at once, in turns."""
    piper_model.FIRST_WINDOW_MS = window_ms
    timed = [(_timed(windows, text), _timed(whole, text)) for _ in range(runs)]
    first, everything, cpu = (_median(ours[at] for ours, _ in timed) for at in range(3))
    whole_ms, _, whole_cpu = (_median(theirs[at] for _, theirs in timed) for at in range(3))
    return Start(
        chars=len(text),
        window_ms=window_ms,
        first_ms=first,
        all_ms=everything,
        cpu_ms=cpu,
        whole_ms=whole_ms,
        whole_cpu_ms=whole_cpu,
    )


def _timed(voice: Voice, text: str) -> tuple[float, float, float]:
    """Return seconds to the first chunk, to the last one, and of all threads."""
    began, worked = time.perf_counter(), time.process_time()
    chunks = voice.speak(text, 1)
    next(chunks)
    first = time.perf_counter() - began
    for _ in chunks:
        pass
    return first, time.perf_counter() - began, time.process_time() - worked


def _median(seconds: Iterable[float]) -> float:
    return round(statistics.median(seconds) * 1000, 2)


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
    in_ms = [_median(times) for times in (first, whole, cpu, up)]
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


def report_starts(starts: list[Start]) -> None:
    print("\nfirst sound, in windows and at once; times in ms")
    print("chars  window   first    at once   ratio       all   cpu ratio")
    for row in starts:
        print(
            f"{row.chars:5}{row.window_ms:8}{row.first_ms:8.0f}{row.whole_ms:11.0f}"
            f"{row.first_ratio:8.2f}{row.all_ms:10.0f}{row.cpu_ratio:12.2f}"
        )


def write_json(file: Path, rows: Sequence[Row | Start], model: str, threads: int) -> None:
    about = {"benchmark": "speech", "model": model, "threads": threads, "cores": cores()}
    lines = [json.dumps({**about, "row": type(row).__name__, **attrs.asdict(row)}) for row in rows]
    file.write_text("\n".join(lines) + "\n")


def starts_of(model: str, store: ModelStore, args: argparse.Namespace) -> list[Start]:
    """Compare windows with the same voice in one piece; nothing, for a voice without windows."""
    windows = open_voice(model, store, args.threads)
    if not isinstance(windows.model, piper_model.Parted):
        print(f"{model} cannot be spoken in windows")
        return []
    in_one = piper_model.Whole(store.file(model, ".onnx"), args.threads)
    whole = attrs.evolve(windows, model=in_one)
    for voice in (windows, whole):
        _timed(voice, PHRASES[-1])
    return [
        compare(windows, whole, text, window_ms, args.runs)
        for window_ms in args.windows
        for text in PHRASES
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Time per phrase of the voice.")
    parser.add_argument("--model", help="a Piper voice (default: the configured one)")
    parser.add_argument("--threads", type=int, default=max(1, cores() // 2))
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument(
        "--windows",
        type=int,
        nargs="*",
        metavar="MS",
        default=[piper_model.FIRST_WINDOW_MS],
        help="sound of the first window",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write JSON lines here")
    args = parser.parse_args()
    config = configfile.load(None)
    settings = attrs.evolve(config.tts, model=args.model or config.tts.model)
    began = time.perf_counter()
    store = ModelStore.of(config)
    voice = piper.load(settings, store, threads=args.threads)
    voice.warm_up()
    print(f"ready in {time.perf_counter() - began:.2f} s")
    rows = [measure(voice, text, args.runs) for text in PHRASES]
    report(rows, settings.model, args.threads)
    starts = starts_of(settings.model, store, args)
    report_starts(starts)
    if args.json:
        write_json(args.json, [*rows, *starts], settings.model, args.threads)


if __name__ == "__main__":
    main()
