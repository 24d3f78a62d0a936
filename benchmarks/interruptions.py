"""What may interrupt a reply: how fast a voice is confirmed, and what else is taken for one.

    python -m benchmarks.interruptions [--speech FOLDER] [--count N] [--json FILE]

No host runs: sounds go through the voice detector (`vad.engine` of the configuration), `Echo` and
`OnsetDetector`, 20 ms at a time. People are the configured Piper voice and, from FOLDER, recordings
(see `benchmarks.recognition`), as they are and 7 % faster and slower. Noises, rooms and what a
client's echo canceller leaves are synthetic (`benchmarks.interruption_sounds`). Prints tables, and
with ``--json`` a line for each row:

* onset: time from the first sample of a voice to its confirmation, by the rules in use and by "5 of
  the last 10 frames are voiced", the rule before them; voices at -26 to -50 dB, noise 20 dB lower;
* noises: how many of each kind are taken for a voice;
* echo: how many replies interrupt themselves through the room, and what becomes of a person who
  speaks over them (their time counts as in "onset"; late is more than 300 ms);
* words: what recognition writes of a listener's signals and of interruptions, and which of them
  leave the floor to the assistant;
* cost: microseconds for 20 ms of sound.

The voice draws its sound by chance, so figures vary by a few percent; the rest is seeded.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

import attrs
import numpy as np

from benchmarks.interruption_sounds import (
    SPEECH_DB,
    Room,
    Voice,
    as_samples,
    as_sound,
    at_48_khz,
    at_level,
    phrases,
    silence,
)
from benchmarks.recognition import SENTENCES, recorded
from benchmarks.tables import show
from benchmarks.turn_places import speaker
from voicecore import configfile
from voicecore.audio import EAR_HZ, MOUTH_HZ, Pcm, Samples, resample
from voicecore.bench.noises import NOISES, Sound, samples_of
from voicecore.config import Config
from voicecore.ears.backchannel import backchannel
from voicecore.ears.echo import Echo
from voicecore.ears.onset import OnsetDetector
from voicecore.engines.interface import (
    VAD_FRAME_MS,
    Transcript,
    Utterance,
    Vad,
    VoiceDetector,
)
from voicecore.weights.files import ModelStore

Row: TypeAlias = dict[str, str | float]

FRAME = EAR_HZ * VAD_FRAME_MS // 1000
SENT_AHEAD_S = 0.3
LATE_MS = 300

REPLIES = (
    "Paris is the capital of France, and it is a lovely city with many museums and parks.",
    "The weather tomorrow will be mostly sunny, with a light breeze from the west.",
    "Sure, I can help you with that. First, heat the water, then add the coffee and stir it.",
    "Once upon a time there was a dragon who lived in a lighthouse by the sea.",
    "It is half past seven. You have two meetings today, one at nine and one at three.",
    "The train leaves from platform twelve, and it takes about an hour and a half.",
)
INTERRUPTIONS = (
    "No.", "Stop.", "Wait.", "Hold on.", "What?", "Please stop.", "Actually, no.", "Excuse me.",
    "I have a question.", "Wait a second.", "Hey!", "That is not what I meant.",
)  # fmt: skip
SIGNALS = (
    "Mhm.", "Mm-hmm.", "Uh-huh.", "Hmm.", "Yeah.", "Right.", "Okay.", "I see.", "Wow.", "Oh.",
    "Aha.", "Ha ha ha.", "Sure.", "Really?", "Yep.", "Got it.", "Great.", "Exactly.",
)  # fmt: skip
"""A voice that reads aloud spells the first four rather than hums them."""


@attrs.frozen(eq=False)
class People:
    voices: dict[str, list[Voice]]
    """By kind."""
    replies: list[Sound]

    @property
    def everyone(self) -> list[Voice]:
        return [voice for kind in self.voices.values() for voice in kind]


def find_people(speak: Callable[[str, float], Samples], speech: Path | None) -> People:
    def spoken(texts: Sequence[str]) -> list[Voice]:
        quiet = silence(0.25)
        return [
            voice
            for index, text in enumerate(texts)
            for voice in [*phrases(text, _join(quiet, speak(text, (0.9, 1.0, 1.1)[index % 3])))][:1]
        ]

    found = {"voice": spoken(SENTENCES), "short words": spoken((*INTERRUPTIONS, "Yes.") * 2)}
    for clip in recorded(speech) if speech else ():
        for rate_hz in (EAR_HZ * 93 // 100, EAR_HZ, EAR_HZ * 107 // 100):
            sound = as_sound(resample(Pcm(clip.samples, rate_hz), EAR_HZ).samples)
            found.setdefault("recordings", []).extend(phrases(clip.name, sound))
    return People(found, [as_sound(speak(text, 1.0)) for text in REPLIES])


def _join(quiet: Sound, samples: Samples) -> Sound:
    return np.concatenate((quiet, as_sound(samples)))


# --- when speech begins --------------------------------------------------------------------------

Rule: TypeAlias = Callable[[Samples, bool, bool], bool]
"""Takes a frame, whether it is voiced, and whether it is echo; says whether speech has begun."""


def counted(needed: int, within: int) -> Rule:
    """So many voiced frames of the last, as before."""
    voices: list[bool] = []

    def rule(_: Samples, voiced: bool, echo: bool) -> bool:  # noqa: FBT001
        voices.append(voiced and not echo)
        return voices[-1] and sum(voices[-within:]) >= needed

    return rule


def in_use(*, guarded: bool) -> Rule:
    detector = OnsetDetector()

    def rule(frame: Samples, voiced: bool, echo: bool) -> bool:  # noqa: FBT001
        return detector.feed(frame, voiced=voiced, echo=echo, guarded=guarded)

    return rule


RULES: dict[str, Callable[[], Rule]] = {
    "5 of 10": lambda: counted(5, 10),
    "open": lambda: in_use(guarded=False),
    "guarded": lambda: in_use(guarded=True),
}


def frames(sound: Samples) -> Iterator[Samples]:
    for at in range(0, len(sound) - FRAME + 1, FRAME):
        yield sound[at : at + FRAME]


def onsets_s(
    sound: Samples, detector: VoiceDetector, rule: Rule, echo: Callable[[Samples, float], bool]
) -> list[float]:
    """Give when the rule says that speech has begun, each time anew."""
    found = []
    for number, frame in enumerate(frames(sound), start=1):
        now_s = number * VAD_FRAME_MS / 1000
        if rule(frame, detector.feed(frame), echo(frame, now_s)):
            found.append(now_s)
    return found


def no_echo(_: Samples, __: float) -> bool:
    return False


def in_room(sound: Sound, noise_db: float, rng: np.random.Generator) -> Samples:
    """Put it after a second of a room's noise, and not on the border of a frame."""
    whole = np.concatenate((silence(1), sound, silence(0.4)))
    return as_samples(whole + rng.normal(0, 10 ** (noise_db / 20), len(whole)))


def onset_rows(people: People, vad: Vad, count: int, rng: np.random.Generator) -> Iterator[Row]:
    for kind, voices in people.voices.items():
        found: dict[str, list[float]] = {name: [] for name in RULES}
        for _ in range(3 * count):
            level_db = rng.uniform(-50, SPEECH_DB)
            late = silence(rng.uniform(0, VAD_FRAME_MS / 1000))
            voice = at_level(voices[rng.integers(len(voices))].sound, level_db)
            sound = in_room(np.concatenate((late, voice)), level_db - 20, rng)
            begins_s = 1 + len(late) / EAR_HZ
            for name, rule in RULES.items():
                times = onsets_s(sound, vad.detector(), rule(), no_echo)
                found[name].append(_first_ms(times, begins_s))
        for name, times_ms in found.items():
            yield {"voice": kind, "rule": name, **_figures(times_ms)}


def _first_ms(times: Sequence[float], begins_s: float) -> float:
    return next(((at - begins_s) * 1000 for at in times if at > begins_s), np.inf)


def _figures(times_ms: Sequence[float]) -> Row:
    median, p90 = np.percentile(np.minimum(times_ms, 9_999), (50, 90))
    late = float(np.mean(np.asarray(times_ms) > LATE_MS)) * 100
    return {"n": len(times_ms), "median_ms": round(median), "p90_ms": round(p90),
            "late_percent": round(late, 1)}  # fmt: skip


def noise_rows(vad: Vad, count: int, rng: np.random.Generator) -> Iterator[Row]:
    totals = dict.fromkeys(RULES, 0.0)
    for kind, make in NOISES.items():
        taken = dict.fromkeys(RULES, 0)
        for _ in range(3 * count):
            noise = at_level(make(rng), rng.uniform(-40, -14))
            sound = in_room(noise, rng.choice([-66, -50]), rng)
            for name, rule in RULES.items():
                taken[name] += bool(onsets_s(sound, vad.detector(), rule(), no_echo))
        percent = {name: round(hits * 100 / (3 * count), 1) for name, hits in taken.items()}
        totals = {name: totals[name] + percent[name] / len(NOISES) for name in totals}
        yield {"noise": kind, "n": 3 * count, **percent}
    yield {"noise": "mean", "n": "", **{name: round(total, 1) for name, total in totals.items()}}


# --- the assistant's own voice -------------------------------------------------------------------


@attrs.frozen
class Situation:
    """How the reply comes back, and when a person speaks over it."""

    name: str
    echo_db: float
    """Of the echo above the person's voice."""
    speaks_s: tuple[float, float] = (3.0, 7.0)
    """After the first reply of the conversation has begun."""
    noise_db: float = -60.0
    canceller: str = "none"


NO_ECHO_DB = -120.0

SITUATIONS = (
    *(Situation(f"echo {db:+} dB", db) for db in (0, -10, -20, -30)),
    Situation("echo -10 dB, noise -20 dB", -10, noise_db=SPEECH_DB - 20),
    Situation("residue of 0 dB", 0, canceller="residue"),
    Situation("residue of -10 dB", -10, canceller="residue"),
    Situation("no echo", NO_ECHO_DB),
    Situation("no echo, from 1 s on", NO_ECHO_DB, (1, 2)),
    Situation("no echo, in the first second", NO_ECHO_DB, (0.1, 0.9)),
    Situation("echo 0 dB, in the first second", 0, (0.1, 0.9)),
    Situation("echo -20 dB, in the first second", -20, (0.1, 0.9)),
)


def echo_rows(people: People, vad: Vad, count: int, rng: np.random.Generator) -> Iterator[Row]:
    for situation in SITUATIONS:
        itself, times_ms, blind = 0, [], 0
        for _ in range(count):
            reply, echo = reply_in_room(situation, people, rng)
            itself += bool(_interrupted_at(reply, echo, vad))
            blind += bool(_interrupted_at(None, echo, vad))
            begins_s = rng.uniform(*situation.speaks_s)
            spoken = _with_person(echo, begins_s, people, rng)
            times_ms.append(_first_ms(_interrupted_at(reply, spoken, vad), begins_s))
        yield {
            "situation": situation.name,
            "n": count,
            "itself_percent": round(itself * 100 / count, 1),
            "without Echo": round(blind * 100 / count, 1),
            **{f"person {key}": value for key, value in _figures(times_ms).items() if key != "n"},
        }


def reply_in_room(
    situation: Situation, people: People, rng: np.random.Generator
) -> tuple[Sound, Sound]:
    """Give two sentences and what the microphone hears of them."""
    first, second = rng.permutation(len(people.replies))[:2]
    parts = (people.replies[first], silence(0.3), people.replies[second], silence(0.8))
    reply = at_level(np.concatenate(parts), SPEECH_DB + 6)
    room = Room(
        level_db=situation.echo_db - 6,
        delay_s=rng.uniform(0.03, 0.45),
        rt60_s=rng.uniform(0.2, 0.6),
        direct_db=rng.uniform(0, 6),
        drift_ppm=rng.uniform(-100, 100),
        canceller=situation.canceller,
    )
    noise = rng.normal(0, 10 ** (situation.noise_db / 20), len(reply))
    return reply, room.echo(reply, rng) + noise


def _with_person(echo: Sound, at_s: float, people: People, rng: np.random.Generator) -> Sound:
    everyone = people.everyone
    voice = at_level(everyone[rng.integers(len(everyone))].sound, SPEECH_DB)
    sound, start = echo.copy(), samples_of(at_s)
    sound[start : start + len(voice)] += voice[: len(sound) - start]
    return sound


def _interrupted_at(reply: Sound | None, heard: Sound, vad: Vad) -> list[float]:
    """Give when the reply would be interrupted; ``None``: without knowing what is played."""
    explained = no_echo if reply is None else _sent(at_48_khz(reply))
    return onsets_s(as_samples(heard), vad.detector(), in_use(guarded=True), explained)


def _sent(reply: Samples) -> Callable[[Samples, float], bool]:
    """Tell an `Echo` of the reply a little ahead, in pieces of 40 ms, as a host sends it."""
    echo, piece, sent = Echo(), MOUTH_HZ * 40 // 1000, 0

    def explains(frame: Samples, now_s: float) -> bool:
        nonlocal sent
        while sent < len(reply) and sent / MOUTH_HZ < now_s + SENT_AHEAD_S:
            echo.played(reply[sent : sent + piece], sent / MOUTH_HZ)
            sent += piece
        return echo.explains(frame, now_s)

    return explains


# --- what is said --------------------------------------------------------------------------------


def word_rows(
    speak: Callable[[str, float], Samples], config: Config, files: ModelStore
) -> Iterator[Row]:
    from voicecore.engines import whisper  # noqa: PLC0415 - an extra

    recogniser = whisper.load(config.stt, files, threads=1)
    quiet = np.zeros(EAR_HZ * 3 // 10, np.int16)
    for kind, texts in (("signal", SIGNALS), ("interruption", INTERRUPTIONS)):
        for text in texts:
            heard: list[Transcript] = []
            sound = np.concatenate((quiet, speak(text, 1.0), quiet))
            recogniser.run(Utterance(sound, language="en"), heard.append)
            goes_on = backchannel(heard[0].text, "en")
            yield {
                "said": text,
                "kind": kind,
                "recognised": heard[0].text,
                "reply": "goes on" if goes_on else "ends",
                "right": "yes" if goes_on == (kind == "signal") else "no",
            }


# --- what it costs -------------------------------------------------------------------------------


def cost_rows(people: People, rng: np.random.Generator) -> Iterator[Row]:
    reply, heard = reply_in_room(SITUATIONS[1], people, rng)
    echo, onset, sent = Echo(), OnsetDetector(), at_48_khz(reply)
    taken: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[[], object]) -> None:
        began = time.perf_counter()
        work()
        taken.setdefault(name, []).append((time.perf_counter() - began) * 1e6)

    for number, frame in enumerate(frames(as_samples(heard))):
        now_s, at = number * VAD_FRAME_MS / 1000, number * 960
        timed("Echo.played, 20 ms", partial(echo.played, sent[at : at + 960], now_s))
        timed("Echo.explains", partial(echo.explains, frame, now_s))
        timed("Onset, voiced", partial(onset.feed, frame, voiced=True, guarded=True))
        timed("Onset, unvoiced", partial(onset.feed, frame, voiced=False))
    for number, frame in enumerate(frames(as_samples(heard))):
        timed("Echo.explains, no reply", partial(echo.explains, frame, 100 + number / 50))
    for name, times in taken.items():
        yield {"what": name, "n": len(times), "median_us": round(float(np.median(times)), 1),
               "p95_us": round(float(np.percentile(times, 95)), 1)}  # fmt: skip


# --- telling -------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.interruptions", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--speech", type=Path, metavar="FOLDER", help="recordings and their words")
    parser.add_argument("--count", type=int, default=20, help="of each situation (default: 20)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write JSON lines here")
    args = parser.parse_args()
    from voicecore.engines import silero  # noqa: PLC0415 - an extra

    config = configfile.load(None)
    files = ModelStore.of(config)
    speak, rng = speaker(config, files), np.random.default_rng(args.seed)
    vad = silero.load(config.vad, files, threads=1)
    people = find_people(speak, args.speech)
    tables = {
        "onset": onset_rows(people, vad, args.count, rng),
        "noises": noise_rows(vad, args.count, rng),
        "echo": echo_rows(people, vad, args.count, rng),
        "words": word_rows(speak, config, files),
        "cost": cost_rows(people, rng),
    }
    lines = []
    for title, rows in tables.items():
        found = list(rows)
        show(title, found)
        about = {"benchmark": "interruptions", "table": title, "vad": config.vad.engine}
        lines += [json.dumps({**about, **row}) for row in found]
    if args.json:
        args.json.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
