"""How well the turn engine tells a finished turn from a pause, what it costs, and which wait pays.

    python -m benchmarks.turns [--speech FOLDER] [--runs N] [--threads N ...] [--json FILE]

The configured Piper voice speaks finished sentences, sentences with commas, and hesitations; FOLDER
adds recordings (see `benchmarks.recognition`) as they are and altered in noise, level and pace.
Each is cut where the voice detector finds silence inside it, after words such as "the" or "for",
and at its end; the engine hears each cut with 40, 100 and 200 ms of silence after it.

That a person went on is all that makes a pause "open" here: some of them do sound finished. The
ends are those of the recordings, which their makers cut, mostly, at the ends of sentences.

Prints tables, and with ``--json`` a line for each row:

* what the engine thinks of each kind of place: quantiles of its probability, the share of places
  that it holds finished at three thresholds, and how well it separates them from the ends (AUC);
* what the host's rule of waiting makes of it, knowing the sound, the words, both or neither: the
  share of pauses of 300 to 800 ms that would have ended the turn, and the silence that a finished
  turn ends after. One without the other means nothing;
* how long a judgement takes, alone and while another process computes, and its memory.

The voice sounds a little different each time, so its figures vary.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TypeAlias

import attrs
import numpy as np
from faster_whisper import WhisperModel

from benchmarks.recognition import recorded
from benchmarks.speech import resident_mb
from benchmarks.tables import show
from benchmarks.turn_places import (
    OPEN,
    PAUSES_MS,
    SILENCES_MS,
    Cutter,
    Place,
    places_of_recordings,
    places_of_voice,
    speaker,
)
from voicecore import configfile
from voicecore.audio import EAR_HZ, Samples
from voicecore.config import Config, EarsConfig, cores
from voicecore.ears.patience import Patience
from voicecore.engines.interface import (
    Completeness,
    Native,
    Transcript,
    TurnSound,
    Utterance,
)
from voicecore.weights.files import ModelStore

THRESHOLDS = (0.5, 0.7, 0.9)

Judge: TypeAlias = Callable[[Samples], float]
Row: TypeAlias = dict[str, str | float | None]


# --- what the engine thinks ----------------------------------------------------------------------


def auc(complete: Sequence[float], open_: Sequence[float]) -> float:
    """How often a finished turn gets more than an open one: 1 is always, 0.5 is chance."""
    ends, others = np.asarray(complete)[:, np.newaxis], np.asarray(open_)[np.newaxis]
    return float((ends > others).mean() + (ends == others).mean() / 2)


def thought(places: Sequence[Place]) -> Iterator[Row]:
    """Give a row for each kind of place and silence."""
    for heard, kind in sorted({(place.heard, place.kind) for place in places}):
        for ms in SILENCES_MS:
            found = [p.judged[ms] for p in places if (p.heard, p.kind) == (heard, kind)]
            ends = [p.judged[ms] for p in places if p.kind == "end" and p.heard == heard]
            low, middle, high = np.percentile(found, (10, 50, 90))
            yield {
                "heard": heard,
                "place": kind,
                "silence_ms": ms,
                "n": len(found),
                "p10": round(float(low), 3),
                "median": round(float(middle), 3),
                "p90": round(float(high), 3),
                **{f">={t}": round(float(np.mean(np.asarray(found) >= t)), 3) for t in THRESHOLDS},
                "auc": "" if kind == "end" else round(auc(ends, found), 3),
            }


# --- what a rule of waiting would do -------------------------------------------------------------


@attrs.frozen
class Rule:
    """The host's own rule (`Patience`), told some of what can be known, with some setting."""

    judged_ms: int | None
    """The silence that the engine hears; None: it is not asked."""
    words: bool
    complete_from: float = EarsConfig().complete_from
    open_until: float = EarsConfig().open_until

    def wait_ms(self, place: Place) -> int:
        config = EarsConfig(complete_from=self.complete_from, open_until=self.open_until)
        sound = None if self.judged_ms is None else place.judged[self.judged_ms]
        words = place.words if self.words else None
        return Patience(config, completeness=sound, words=words, language="en").endpoint_ms()


RULES = (
    Rule(None, words=False),
    Rule(None, words=True),
    *(Rule(ms, words=False) for ms in SILENCES_MS),
    *(Rule(ms, words=True) for ms in SILENCES_MS),
    *(
        Rule(100, True, complete_from, open_until)  # noqa: FBT003 - the words
        for complete_from in THRESHOLDS
        for open_until in (0.1, 0.3, 0.5)
        if open_until < complete_from
    ),
)


def outcomes(places: Sequence[Place], rules: Sequence[Rule]) -> Iterator[Row]:
    """Give a row for each rule and kind of sound: what is cut off, and what the ends wait."""
    for heard in sorted({place.heard for place in places}):
        mine = [place for place in places if place.heard == heard]
        for rule in rules:
            waits = [rule.wait_ms(place) for place in mine if place.kind == "end"]
            yield {
                "heard": heard,
                **attrs.asdict(rule),
                **{f"{kind} cut %": _cut_percent(rule, mine, kind) for kind in OPEN},
                "end_median_ms": round(float(np.median(waits))),
                "end_mean_ms": round(float(np.mean(waits))),
                "end_p95_ms": round(float(np.percentile(waits, 95))),
            }


def _cut_percent(rule: Rule, places: Sequence[Place], kind: str) -> float | str:
    waits = [rule.wait_ms(place) for place in places if place.kind == kind]
    ended = [wait_ms <= pause_ms for wait_ms in waits for pause_ms in PAUSES_MS]
    return round(float(np.mean(ended)) * 100, 1) if ended else ""


# --- what it costs -------------------------------------------------------------------------------


def cost(engine: str, judge: Judge, sound: Samples, runs: int) -> Iterator[Row]:
    """Time judgements, alone and while another process computes."""
    for beside, load in (("nothing", nullcontext()), ("one busy process", busy())):
        wall, cpu = [], []
        with load:
            for _ in range(runs):
                began, worked = time.perf_counter(), time.process_time()
                judge(sound)
                wall.append((time.perf_counter() - began) * 1000)
                cpu.append((time.process_time() - worked) * 1000)
        yield {
            "engine": engine,
            "beside": beside,
            "min_ms": round(min(wall), 1),
            "median_ms": round(float(np.median(wall)), 1),
            "p95_ms": round(float(np.percentile(wall, 95)), 1),
            "cpu_ms": round(float(np.median(cpu)), 1),
        }


@contextmanager
def busy() -> Iterator[None]:
    """Keep one core computing meanwhile."""
    process = multiprocessing.get_context("spawn").Process(target=_compute, daemon=True)
    process.start()
    time.sleep(0.5)
    try:
        yield
    finally:
        process.terminate()
        process.join()


def _compute() -> None:
    while True:
        sum(range(100_000))


# --- telling -------------------------------------------------------------------------------------


def judge_of(native: Native[TurnSound, Completeness]) -> Judge:
    def judge(samples: Samples) -> float:
        answers: list[Completeness] = []
        native.run(TurnSound(samples), answers.append)
        return answers[0].probability

    return judge


def find_places(config: Config, files: ModelStore, speech: Path | None) -> list[Place]:
    from voicecore.engines import silero  # noqa: PLC0415 - an extra

    model = WhisperModel(
        str(files.folder(config.stt.model)), device="cpu", compute_type="int8", cpu_threads=cores()
    )
    vad = silero.load(config.vad, files, threads=1)
    cutter = Cutter(vad.detector, model, np.random.default_rng(0))
    places = places_of_voice(cutter, speaker(config, files))
    return places + (places_of_recordings(cutter, recorded(speech)) if speech else [])


def hear(places: Sequence[Place], judge: Judge, config: Config, files: ModelStore) -> None:
    """Have each place judged and recognised."""
    from voicecore.engines import whisper  # noqa: PLC0415 - an extra

    recogniser = whisper.load(config.stt, files, threads=cores())
    for place in places:
        place.judged = {ms: judge(place.with_silence(ms)) for ms in SILENCES_MS}
        found: list[Transcript] = []
        recogniser.run(Utterance(place.with_silence(SILENCES_MS[0])), found.append)
        place.words = found[0].text


def measure(args: argparse.Namespace, config: Config) -> dict[str, list[Row]]:
    """Return the rows of each table."""
    from voicecore.engines import smart_turn  # noqa: PLC0415 - an extra

    files = ModelStore.of(config)
    sound = np.random.default_rng(0).normal(0, 1_000, 4 * EAR_HZ).astype(np.int16)
    costs: list[Row] = []
    for threads in args.threads:
        before_mb = resident_mb()
        judge = judge_of(smart_turn.load(config.turn, files, threads=threads))
        name = f"{threads} threads, {resident_mb() - before_mb:.0f} MB"
        costs += cost(name, judge, sound, args.runs)
    places = find_places(config, files, args.speech)
    one_thread = judge_of(smart_turn.load(config.turn, files, threads=1))
    hear(places, one_thread, config, files)
    return {"cost": costs, "places": list(thought(places)), "rules": list(outcomes(places, RULES))}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.turns", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--speech", type=Path, metavar="FOLDER", help="recordings and their words")
    parser.add_argument("--runs", type=int, default=40, help="of each timing (default: 40)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write JSON lines here")
    args = parser.parse_args()
    config = configfile.load(None)
    tables = measure(args, config)
    for title, rows in tables.items():
        show(f"{config.turn.model}: {title}", rows, width=170)
    if args.json:
        lines = [
            json.dumps({"benchmark": "turns", "table": title, "model": config.turn.model, **row})
            for title, rows in tables.items()
            for row in rows
        ]
        args.json.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
