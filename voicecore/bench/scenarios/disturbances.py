"""Sounds that are no interruption, while a reply is spoken: does it go on?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import trio

from voicecore.audio import EAR_HZ, SILENCE
from voicecore.bench.figures import Row, disturbance
from voicecore.bench.material import SPEECH_DB, Studio, Utterance, shuffled
from voicecore.bench.person import Person
from voicecore.bench.playback import Echo
from voicecore.bench.results import rate
from voicecore.bench.scenarios.interruptions import STORY
from voicecore.bench.scenarios.scenario import Scenario, Stage
from voicecore.bench.sounds import at_level, gain, noise, silence

ECHO_DB = -20.0
"""Of what the loudspeaker plays: a headset, or a phone that cancels most of it."""

ECHO_S = 6.0
"""Of one reply under echo."""

WATCH_S = 2.0
"""After a noise: a host that stopped by mistake has gone on by then, or it is lost."""

FIRST_S, BETWEEN_S = 0.8, 0.5
"""From the first sound of the reply to the first noise, and between two."""

NOISES_DB = {"cough": 0.0, "keyboard": -10.0, "knock": -6.0, "chords": -6.0, "melody": -6.0}
"""What is heard beside a microphone, and how loud it is there, to a voice."""

BACKCHANNELS = ("Mm-hmm.", "Uh-huh.", "Mhm.")
EACH = 3
"""Of every kind, each made anew."""


async def prepare(studio: Studio, seed: int) -> list[Utterance]:
    """The question for a long reply, and then the noises, mixed; an echo has no sound of its own.

    A murmured "mhm" is 6 dB below a voice. Silence is the control: a gap under it is the
    host's own.
    """
    rng = np.random.default_rng(seed)
    noises = [
        Utterance("", noise(kind, rng, SPEECH_DB + db), {"noise": kind})
        for kind, db in NOISES_DB.items()
        for _ in range(EACH)
    ]
    for text in BACKCHANNELS:
        murmur = at_level(await studio.say(text), SPEECH_DB - 6)
        noises.append(Utterance(text, murmur, {"noise": "mhm"}))
    noises += [Utterance("", silence(1000), {"noise": "silence"}) for _ in range(EACH)]
    for delay_ms in (60, 120, 200):
        about = {"noise": "echo", "delay_ms": delay_ms}
        noises.append(Utterance("", SILENCE, about))
    return [Utterance(STORY, await studio.say(STORY)), *shuffled(noises, seed)]


async def play(stage: Stage) -> list[Row]:
    """Disturb stories until every noise has met a running reply."""
    story, *noises = stage.utterances
    left = [each for _ in range(stage.repeat) for each in noises]
    total, asked = len(left), 0
    rows: list[Row] = []
    while left and asked < 2 * total:
        async with stage.person(f"disturbances-{asked}", seed=asked) as person:
            found = await _one_reply(stage, person, story, left, total)
        asked += 1
        left = left[len(found) :]
        rows += found
    return rows


async def _one_reply(
    stage: Stage, person: Person, story: Utterance, noises: Sequence[Utterance], total: int
) -> list[Row]:
    """Ask for a story and disturb it until it ends or is lost; one row for each noise that met it.

    A noise after which the reply had ended by itself is not counted; the next reply gets it.
    """
    mark = len(person.tape)
    await person.say(story.samples)
    first_s = await person.wait_for_sound(mark)
    if first_s is None:
        return []
    rows: list[Row] = []
    at_s = first_s + FIRST_S
    for disturber in noises:
        stage.tell(total - len(noises) + len(rows), total, disturber.about["noise"])
        row = await _disturb(person, mark, disturber, at_s)
        if row is None:
            break
        rows.append({**disturber.about, **row})
        if row["outcome"] == "lost":
            break
        at_s = trio.current_time() + BETWEEN_S
    return rows


async def _disturb(person: Person, mark: int, disturber: Utterance, at_s: float) -> Row | None:
    """Make one noise and watch; None if the reply ended by itself meanwhile."""
    await trio.sleep_until(at_s - 0.05)
    arrived = len(person.tape)
    if disturber.about["noise"] == "echo":
        delay_s = disturber.about["delay_ms"] / 1000
        person.microphone.echo = Echo(person.playback, delay_s, gain(ECHO_DB))
        seconds = ECHO_S
    else:
        at_s = person.microphone.say(disturber.samples, at_s)
        seconds = len(disturber.samples) / EAR_HZ
    await trio.sleep_until(at_s + seconds + WATCH_S)
    person.microphone.echo = None
    row = disturbance(person.tape[mark:], person.playback, arrived - mark, at_s)
    ended = row["outcome"] == "none" and person.playback.ends_s < trio.current_time()
    return None if ended else row


def summarise(rows: Sequence[Row]) -> Row:
    """Share of noises that lost the reply, over all and by kind; those it got over are apart."""
    figures: Row = {
        "noises": len(rows),
        "lost_percent": rate(rows, "outcome", is_="lost"),
        "hiccup_percent": rate(rows, "outcome", is_="hiccup"),
    }
    for kind in dict.fromkeys(str(row["noise"]) for row in rows):
        of_kind = [row for row in rows if row["noise"] == kind]
        figures[f"{kind}_lost_percent"] = rate(of_kind, "outcome", is_="lost")
    return figures


DISTURBANCES = Scenario(
    "disturbances",
    'coughs, typing, knocks, music, "mhm" and the reply\'s own echo: is the reply lost?',
    ("neko",),
    "there is no open microphone to disturb",
    prepare,
    play,
    summarise,
)
