"""How well the emotion of a reply is told from its words.

    python -m benchmarks.emotion [--goemotions FILE] [--mistakes] [--json FILE]

The labelled replies of ``emotion_replies.tsv`` are judged as a whole, and by their first phrase,
which is what is known before the first sound. FILE is the ``test.tsv`` of GoEmotions (Demszky et
al., ACL 2020; github.com/google-research/google-research, goemotions/data), comments from Reddit;
its emotions are joined by the authors' own mapping to Ekman's six, disgust counts as angry and fear
as sad, and rows whose labels then differ are left out.

Prints a table and the confusions, and with ``--json`` one line for each row. Beside each figure
stands that of the trivial answer, always neutral. F1 is the mean over the emotions that occur.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast, get_args

import attrs
from rich.console import Console
from rich.table import Table

from voicecore.events import Emotion
from voicecore.mind.emotion import emotion_of
from voicecore.mouth.phrase import Phraser

REPLIES = Path(__file__).with_name("emotion_replies.tsv")
EMOTIONS: tuple[Emotion, ...] = get_args(Emotion)

GOEMOTIONS = (
    *("admiration", "amusement", "anger", "annoyance", "approval", "caring", "confusion"),
    *("curiosity", "desire", "disappointment", "disapproval", "disgust", "embarrassment"),
    *("excitement", "fear", "gratitude", "grief", "joy", "love", "nervousness", "optimism"),
    *("pride", "realization", "relief", "remorse", "sadness", "surprise", "neutral"),
)
"""In the order of the file's numbers."""
JOINED: dict[Emotion, tuple[str, ...]] = {
    "sad": (
        *("sadness", "disappointment", "embarrassment", "grief", "remorse"),
        *("fear", "nervousness"),
    ),
    "angry": ("anger", "annoyance", "disapproval", "disgust"),
    "surprised": ("surprise", "realization", "confusion", "curiosity"),
    "neutral": ("neutral",),
}
"""All others are happy."""


@attrs.frozen
class Labelled:
    text: str
    emotion: Emotion


@attrs.define
class Judged:
    """What was answered to one set of texts."""

    name: str
    part: str
    answers: Counter[tuple[Emotion, Emotion]] = attrs.field(factory=Counter)
    """How often each pair of label and answer was met."""
    micros: list[float] = attrs.field(factory=list)
    mistakes: list[tuple[Labelled, Emotion]] = attrs.field(factory=list)


# --- labelled texts ------------------------------------------------------------------------------


def replies() -> dict[str, list[Labelled]]:
    found: dict[str, list[Labelled]] = {}
    for line in REPLIES.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            name, emotion, text = line.split("\t")
            found.setdefault(name, []).append(Labelled(text, cast("Emotion", emotion)))
    return found


def goemotions(file: Path) -> Iterator[Labelled]:
    for line in file.read_text(encoding="utf-8").splitlines():
        text, numbers, *_ = line.split("\t")
        emotions = {joined(GOEMOTIONS[int(number)]) for number in numbers.split(",")}
        if len(emotions) == 1:
            yield Labelled(text, emotions.pop())


def joined(name: str) -> Emotion:
    return next((emotion for emotion, names in JOINED.items() if name in names), "happy")


def first_phrase(text: str) -> str:
    """Return what the voice gets first."""
    phraser = Phraser()
    phrases = phraser.feed(text) + phraser.close()
    return next((phrase.text for phrase in phrases if phrase.spoken), text)


# --- measuring -----------------------------------------------------------------------------------


def judge(name: str, part: str, rows: Sequence[Labelled]) -> Judged:
    judged = Judged(name, part)
    for row in rows:
        text = row.text if part == "all" else first_phrase(row.text)
        began = time.perf_counter()
        answer = emotion_of(text)
        judged.micros.append((time.perf_counter() - began) * 1e6)
        judged.answers[row.emotion, answer] += 1
        if answer != row.emotion:
            judged.mistakes.append((row, answer))
    return judged


def always_neutral(judged: Judged) -> Counter[tuple[Emotion, Emotion]]:
    answers: Counter[tuple[Emotion, Emotion]] = Counter()
    for (label, _), count in judged.answers.items():
        answers[label, "neutral"] += count
    return answers


def accuracy(answers: Counter[tuple[Emotion, Emotion]]) -> float:
    return sum(answers[emotion, emotion] for emotion in EMOTIONS) / answers.total()


def mean_f1(answers: Counter[tuple[Emotion, Emotion]]) -> float:
    """Average F1 over the emotions that some row has."""
    scores = []
    for emotion in EMOTIONS:
        labelled = sum(answers[emotion, answer] for answer in EMOTIONS)
        answered = sum(answers[label, emotion] for label in EMOTIONS)
        if labelled:
            scores.append(2 * answers[emotion, emotion] / (labelled + answered))
    return statistics.mean(scores)


# --- telling -------------------------------------------------------------------------------------


def figures(judged: Judged) -> dict[str, str | float]:
    trivial = always_neutral(judged)
    return {
        "set": judged.name,
        "part": judged.part,
        "rows": judged.answers.total(),
        "accuracy": round(accuracy(judged.answers), 3),
        "f1": round(mean_f1(judged.answers), 3),
        "neutral_accuracy": round(accuracy(trivial), 3),
        "neutral_f1": round(mean_f1(trivial), 3),
        "median_us": round(statistics.median(judged.micros), 1),
        "p95_us": round(statistics.quantiles(judged.micros, n=20)[-1], 1),
    }


def show(rows: Sequence[dict[str, str | float]], console: Console) -> None:
    table = Table(title="emotion of a reply")
    for column in rows[0]:
        table.add_column(column, justify="left" if column in {"set", "part"} else "right")
    for row in rows:
        table.add_row(*map(str, row.values()))
    console.print(table)


def show_confusions(judged: Judged, console: Console) -> None:
    table = Table(title=f"{judged.name}, {judged.part}: rows are labels, columns answers")
    table.add_column("")
    for emotion in EMOTIONS:
        table.add_column(emotion, justify="right")
    for label in EMOTIONS:
        table.add_row(label, *(str(judged.answers[label, answer]) for answer in EMOTIONS))
    console.print(table)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="How well emotions are told from words.")
    parser.add_argument("--goemotions", type=Path, metavar="FILE", help="its test.tsv")
    parser.add_argument("--mistakes", action="store_true", help="print what was judged wrong")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write JSON lines here")
    return parser.parse_args()


def main() -> None:
    args = parse()
    sets = replies()
    if args.goemotions:
        sets["goemotions"] = list(goemotions(args.goemotions))
    emotion_of("Both tables are read at the first call.")
    parts = ("all", "first phrase")
    results = [judge(name, part, rows) for name, rows in sets.items() for part in parts]
    rows = [figures(judged) for judged in results]
    console = Console(width=120)
    show(rows, console)
    for judged in results:
        show_confusions(judged, console)
        for row, answer in judged.mistakes if args.mistakes else ():
            console.print(f"{row.emotion}, judged {answer}: {row.text}", markup=False)
    if args.json:
        lines = [json.dumps({"benchmark": "emotion", **row}) for row in rows]
        args.json.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
