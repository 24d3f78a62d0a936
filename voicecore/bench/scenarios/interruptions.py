"""A person speaks into a running reply: how fast it falls silent, and what the host remembers."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from itertools import cycle
from pathlib import Path

import trio

from voicecore.audio import EAR_HZ, MOUTH_HZ, Pcm, resample
from voicecore.bench.figures import Row, interruption, ms, words_heard
from voicecore.bench.material import Studio, Utterance
from voicecore.bench.person import Person
from voicecore.bench.results import rate, spread
from voicecore.bench.scenarios.scenario import BREATH_S, Scenario, Stage
from voicecore.bench.tape import heard
from voicecore.bench.wer import normalise
from voicecore.commands.hear import hear
from voicecore.config import Config
from voicecore.store.files import newest_messages

PLAYED = "_played"
"""Holds the sound that was played until it is recognised; never written."""

STORY = "Please tell me a long story about a dragon and a princess."
INTERRUPTIONS_TEXTS = (
    "What time is it?",
    "Wait a moment, please.",
    "No, tell me about cats instead.",
    "Stop that, I have a question.",
    "Hold on, who is the princess?",
    "Thank you, that is enough.",
)
AFTER_S = (0.6, 1.3, 2.4, 3.7)
"""From the first audible sample of the reply to the first of the interruption."""


async def prepare(studio: Studio, seed: int) -> list[Utterance]:
    """The question for a long reply, and then what interrupts it."""
    del seed
    texts = (STORY, *INTERRUPTIONS_TEXTS)
    return [Utterance(text, await studio.say(text)) for text in texts]


async def play(stage: Stage) -> list[Row]:
    """Ask for a story and interrupt it, each time in a new conversation."""
    story, *others = stage.utterances
    rows: list[Row] = []
    total = stage.repeat * len(others)
    delays = cycle(AFTER_S)
    for round_ in range(stage.repeat):
        for other in others:
            stage.tell(len(rows), total, other.said)
            known = _files(stage.host.sessions)
            async with stage.person(f"interruptions-{len(rows)}", seed=len(rows)) as person:
                row = await _interrupt(person, story, other, next(delays))
                await trio.sleep(BREATH_S)
            row["kept"] = _kept(stage.host.sessions, known)
            rows.append({"round": round_, **row})
    return rows


UNDER_WAY_S = 0.3
"""A host that sends as it plays is ahead by less than the network may hold back for a moment."""


async def _interrupt(person: Person, story: Utterance, other: Utterance, after_s: float) -> Row:
    """Ask for the story, speak into it, and hear the new answer out."""
    mark = len(person.tape)
    row: Row = {"said": other.said, "after_s": after_s}
    await person.say(story.samples)
    first_s = await person.wait_for_sound(mark)
    if first_s is None:
        return {**row, "no_reply": True}
    onset_s = first_s + after_s
    await trio.sleep_until(onset_s - 0.05)
    if person.playback.ends_s < onset_s - UNDER_WAY_S:
        return {**row, "no_reply": True}  # it was too short, and is over
    spoken = len(person.tape)
    last_s = await person.say(other.samples, onset_s)
    await person.hear_out(spoken, last_s)
    figures = interruption(person.tape[mark:], spoken - mark, onset_s)
    told_s = onset_s + (figures["told_ms"] or 0.0) / 1000
    played = person.playback.played(first_s, told_s)
    old, *new = person.answers(mark)
    audible = [at_s for answer in new if (at_s := answer.audible_s()) is not None]
    return {
        **row,
        "no_reply": False,
        **figures,
        "played_ms": ms(len(played) / MOUTH_HZ),
        PLAYED: played,
        "reply": old.text,
        "answered": bool(audible),
        "latency_ms": ms(audible[-1] - last_s) if audible else None,
        "heard": " ".join(heard(person.tape[spoken:])),
    }


# --- what the host keeps -------------------------------------------------------------------------


def _files(folder: Path | None) -> set[Path]:
    return set() if folder is None else set(folder.glob("*.sqlite3"))


def _kept(folder: Path | None, known: set[Path]) -> str | None:
    """Give the interrupted reply as the host keeps it; None where it cannot be seen."""
    new = sorted(_files(folder) - known)
    if not new:
        return None
    with closing(sqlite3.connect(f"file:{new[-1]}?mode=ro", uri=True)) as connection:
        kept = [m.content for m in newest_messages(connection, 50) if m.interrupted]
    return kept[0] if kept else ""


async def compare_memory(rows: list[Row], config: Config) -> None:
    """Add ``history_words_off``: words the host remembers too many or too few.

    What was really played is recognised from the received sound, and so is a little uncertain: a
    word cut in the middle may count or not. Rows of hosts whose memory cannot be seen get None.
    """
    for row in rows:
        played, kept = row.pop(PLAYED, None), row.get("kept")
        row["history_words_off"] = None
        if played is None or kept is None or row["missed"]:
            continue
        sound = resample(Pcm(played, MOUTH_HZ), EAR_HZ).samples
        words = [word for t in await hear(config, sound) for word in normalise(t.text)]
        truth = words_heard(normalise(row["reply"]), words)
        row["played_words"] = truth
        row["history_words_off"] = abs(len(normalise(kept)) - truth)


def summarise(rows: Sequence[Row]) -> Row:
    """Time to silence, with the interruptions that were not noticed."""
    held = [row for row in rows if not row["no_reply"]]
    return {
        "interruptions": len(held),
        "no_reply": len(rows) - len(held),
        **spread(held, "stop_ms"),
        **spread(held, "told_ms"),
        **spread(held, "last_sound_ms"),
        "missed_percent": rate(held, "missed"),
        "stale_percent": rate([{"stale": row["stale_chunks"] > 0} for row in held], "stale"),
        "stale_ms": max((row["stale_ms"] for row in held), default=None),
        "answered_percent": rate(held, "answered"),
        **spread(held, "latency_ms"),
        **spread(held, "history_words_off"),
    }


INTERRUPTIONS = Scenario(
    "interruptions",
    "a person speaks into a running reply: time to silence, stale sound, what the host remembers",
    ("neko",),
    "there is no open microphone to interrupt with",
    prepare,
    play,
    summarise,
    compare_memory,
)
