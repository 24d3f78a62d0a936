"""Spoken turns, one after the other, in one conversation: questions, pauses, short words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from voicecore.audio import Samples
from voicecore.bench.figures import Row
from voicecore.bench.links import Wire
from voicecore.bench.material import (
    SPEECH_DB,
    SPEEDS,
    Recording,
    Studio,
    Utterance,
    shuffled,
)
from voicecore.bench.results import numbers, rate, spread
from voicecore.bench.scenarios.scenario import Scenario, Stage, spoken_turn
from voicecore.bench.sounds import inner_pauses, joined, louder, stretched

QUESTION_TEXTS = (
    "What is the capital of France?",
    "Can you tell me a fun fact about cats?",
    "How do I boil an egg?",
    "What should I wear when it rains?",
    "Who wrote Romeo and Juliet?",
    "Why is the sky blue?",
    "Good morning.",
    "What is a good name for a dog?",
    "I would like to know how far it is from Berlin to Hamburg.",
    "My sister moved to Canada last year because she found a new job there.",
    "Please remind me to call my mother.",
    "How do you make a good cup of coffee?",
)
LEVELS_DB = (0.0, -6.0, -12.0)
"""Beside the usual level of a voice: people sit at different distances."""

SNRS_DB = (None, 25.0, None, 20.0)
"""The voice over the room's noise; None: a silent room."""

HALVES: dict[str, tuple[tuple[str, str], ...]] = {
    "comma": (
        ("If it rains tomorrow,", "what should I wear?"),
        ("Well, I was thinking about dinner,", "can you suggest something quick?"),
        ("I have eggs, flour,", "and a bit of milk in the kitchen."),
        ("Hello there,", "how are you doing today?"),
    ),
    "um": (
        ("What is the, um,", "capital of France?"),
        ("I would like to, um,", "book a table for four."),
        ("Can you tell me, uh,", "how far it is to Hamburg?"),
        ("My favourite colour is, um,", "I think it is blue."),
    ),
    "hesitation": (
        ("Can you tell me a fun fact", "about cats?"),
        ("Please set a timer for", "ten minutes."),
        ("I want to go to the", "museum on Friday evening."),
        ("How long does it take to", "boil an egg?"),
    ),
}
PAUSES_MS = (300, 400, 500, 600, 700, 800)
"""Inside a turn: a comma is spoken with 200 to 500 ms, a search for a word lasts longer."""

SHORT_TEXTS = ("Yes.", "No.", "Stop.", "Okay.", "Thank you.", "Why?")


# --- the material --------------------------------------------------------------------------------


async def questions(studio: Studio, seed: int) -> list[Utterance]:
    """All questions (or recordings), at levels, paces and with noise in turn."""
    del seed
    found = []
    for index, (text, speed) in enumerate(_paced(QUESTION_TEXTS)):
        if not studio.recordings:
            found.append(_varied(text, await studio.say(text, speed), index, {"speed": speed}))
    for index, take in enumerate(studio.recordings):
        found.append(_varied(take.said, take.samples, index, {"recording": take.name}))
    return found


def _paced(texts: Sequence[str]) -> list[tuple[str, float]]:
    return [(text, SPEEDS[index % len(SPEEDS)]) for index, text in enumerate(texts)]


def _varied(said: str, samples: Samples, index: int, about: Row) -> Utterance:
    # The levels change slower than the paces, so that every pair occurs.
    level_db = LEVELS_DB[index // len(SPEEDS) % len(LEVELS_DB)]
    snr_db = SNRS_DB[index % len(SNRS_DB)]
    noise_db = None if snr_db is None else SPEECH_DB + level_db - snr_db
    about = {**about, "level_db": level_db, "snr_db": snr_db}
    return Utterance(said, louder(samples, level_db), about, noise_db)


async def pauses(studio: Studio, seed: int) -> list[Utterance]:
    """Turns with one pause inside, at a real word boundary."""
    rng = np.random.default_rng(seed)
    if studio.recordings:
        return [made for take in studio.recordings for made in _with_pauses(take, rng)]
    found = []
    for kind, texts in HALVES.items():
        for index, (first, second) in enumerate(texts):
            speed, pause_ms = SPEEDS[index % len(SPEEDS)], int(rng.choice(PAUSES_MS))
            one, other = await studio.say(first, speed), await studio.say(second, speed)
            about = {"place": kind, "pause_ms": pause_ms, "speed": speed}
            found.append(Utterance(f"{first} {second}", joined(one, other, pause_ms), about))
    return shuffled(found, seed)


def _with_pauses(take: Recording, rng: np.random.Generator) -> list[Utterance]:
    """Lengthen up to two of a recording's own pauses, each in a copy of its own."""
    found = inner_pauses(take.samples)
    chosen = sorted(rng.permutation(len(found))[:2])
    made = []
    for index in chosen:
        pause_ms = int(rng.choice(PAUSES_MS))
        about = {"place": "recording", "pause_ms": pause_ms, "recording": take.name}
        made.append(Utterance(take.said, stretched(take.samples, found[index], pause_ms), about))
    return made


async def short(studio: Studio, seed: int) -> list[Utterance]:
    """Single words, which a voice detector may take for noise."""
    del seed
    return [
        Utterance(text, await studio.say(text, speed), {"speed": speed})
        for text, speed in _paced(SHORT_TEXTS)
    ]


# --- the play ------------------------------------------------------------------------------------


async def play(stage: Stage, *, name: str) -> list[Row]:
    """Say everything in one conversation for each repetition."""
    rows: list[Row] = []
    total = stage.repeat * len(stage.utterances)
    for round_ in range(stage.repeat):
        async with stage.person(f"{name}-{round_}", seed=round_) as person:
            for utterance in stage.utterances:
                stage.tell(len(rows), total, utterance.said)
                before_s = stage.host.cpu_s()
                row = await spoken_turn(person, utterance)
                rows.append({"round": round_, **row, "cpu_s": _since(stage, before_s)})
    return rows


def _since(stage: Stage, before_s: float | None) -> float | None:
    now_s = stage.host.cpu_s()
    return None if now_s is None or before_s is None else round(now_s - before_s, 2)


def summarise(rows: Sequence[Row]) -> Row:
    """Latency, always with the rates without which it means nothing."""
    words = sum(row["words"] for row in rows)
    return {
        "turns": len(rows),
        **spread(rows, "latency_ms"),
        "wrong_percent": wrong_percent(rows),
        "cut_off_percent": rate(rows, "cut_off"),
        "split_percent": rate(rows, "split"),
        "unanswered_percent": rate(rows, "unanswered"),
        "merged_percent": rate(rows, "merged"),
        **spread(rows, "after_endpoint_ms"),
        "word_error_percent": round(100 * sum(r["word_errors"] for r in rows) / max(1, words), 1),
        **spread(rows, "cpu_s"),
        "gap_ms": max(numbers(rows, "gap_ms"), default=None),
        "client_late_ms": max(numbers(rows, "client_late_ms"), default=None),
    }


def wrong_percent(rows: Sequence[Row]) -> float:
    """Give the share of turns that were cut off or split, in percent."""
    wrong = sum(bool(row["cut_off"] or row["split"]) for row in rows)
    return round(100 * wrong / len(rows), 1)


BOTH: tuple[Wire, ...] = ("neko", "cortex")

QUESTIONS = Scenario(
    "questions",
    "questions at several paces and levels, some with noise: latency and wrong turns",
    BOTH,
    "",
    questions,
    partial(play, name="questions"),
    summarise,
)
PAUSES = Scenario(
    "pauses",
    'one pause of 300 to 800 ms inside each turn, at commas, after "um", while searching a word',
    ("neko",),
    "the person ends the recording, so that no pause can end the turn",
    pauses,
    partial(play, name="pauses"),
    summarise,
)
SHORT = Scenario(
    "short",
    'single words such as "Yes." and "Stop."',
    BOTH,
    "",
    short,
    partial(play, name="short"),
    summarise,
)
