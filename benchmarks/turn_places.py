"""Places where a voice falls silent, some of them ends of turns, for `benchmarks.turns`.

The configured Piper voice speaks finished sentences, sentences with commas, and hesitations;
recordings come as they are and altered. Each sound is cut at its end, where the voice detector
finds silence inside it, and after words such as "the" or "for".
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
import numpy as np

from benchmarks.recognition import SENTENCES, Clip
from voicecore.audio import EAR_HZ, Pcm, Samples, ms_to_samples, resample, to_float
from voicecore.bench.scenarios.turns import QUESTION_TEXTS
from voicecore.config import Config
from voicecore.engines.interface import VAD_FRAME_MS, SpeechChunk, SpeechRequest, VoiceDetector
from voicecore.weights.files import ModelStore

COMMAS = (
    "What is the capital city of France, please?",
    "When I get home, remind me to call my mother.",
    "If it rains tomorrow, should I take the bus?",
    "First of all, tell me what time it is.",
    "Well, I was thinking about a trip to Italy.",
    "After the meeting on Friday, I need to go to the bank.",
    "My brother, who lives in Canada, wants to visit us.",
    "I need milk, bread, eggs and a bottle of wine.",
    "In the morning, before work, I like to run.",
    "Yes, that would be very nice.",
    "No, I meant the other one, the red one.",
    "The weather is nice today, so we went to the park.",
)
HESITATIONS = (
    ("I would like, um,", "a table for four people."),
    ("Can you tell me, uh,", "how far it is to Hamburg?"),
    ("So, um,", "what is the weather like today?"),
    ("I need to buy a, um,", "a birthday present for my sister."),
    ("What was the name of, uh,", "the man who wrote Hamlet?"),
    ("Set a timer for, um,", "ten minutes."),
    ("Please remind me to, uh,", "water the plants."),
    ("I think that, um,", "we should leave at seven."),
    ("Could you play some, uh,", "music for me?"),
    ("Turn off the, um,", "lights in the kitchen."),
    ("My favourite colour is, uh,", "blue."),
    ("On Monday, um,", "I have to see the doctor."),
    ("I was wondering if, well,", "you could tell me a story."),
    ("Let me think, hmm,", "how about tomorrow at noon?"),
)
LEADING = frozenset(
    re.findall(
        r"\w+",
        "a an the to of for and but or my your his her our in on at with from is are was that this "
        "if because would could should can will what how some",
    )
)
"""After these words nobody has finished; people often pause there to look for the next one."""

SPEEDS = (0.85, 1.0, 1.2)
SILENCES_MS = (40, 100, 200)
PAUSES_MS = range(300, 801, 20)
"""Hesitations that a turn should survive."""

SHORTEST_PAUSE_MS = 60
"""Shorter silences lie inside words: the closure of a "t" takes as long."""

OPEN = ("pause", "hesitation", "leading word")
"""The kinds of places where the person went on."""


@attrs.define(eq=False)
class Place:
    """Where a voice falls silent: the sound up to its last voiced frame, and silence after it."""

    heard: str
    """``voice``, ``recordings`` or ``altered recordings``."""
    kind: str
    """``end``, or one of `OPEN`."""
    spoken: Samples
    silence: Samples
    judged: dict[int, float] = attrs.field(factory=dict)
    """The probability that the turn is complete, by the milliseconds of silence."""
    words: str = ""
    """What recognition makes of it at the first of the silences."""

    def with_silence(self, ms: int) -> Samples:
        return np.concatenate((self.spoken, self.silence[: ms_to_samples(ms, EAR_HZ)]))


# --- where a voice falls silent ------------------------------------------------------------------


def voiced_frames(sound: Samples, detector: VoiceDetector) -> list[int]:
    """Return the numbers of the 20 ms frames that are voiced."""
    step = ms_to_samples(VAD_FRAME_MS, EAR_HZ)
    starts = range(0, len(sound) - step + 1, step)
    return [number for number, at in enumerate(starts) if detector.feed(sound[at : at + step])]


def floor_noise(sound: Samples, ms: float, rng: np.random.Generator) -> Samples:
    """Make noise as loud as the sound's quietest tenth: what a room sounds like between words."""
    step = ms_to_samples(VAD_FRAME_MS, EAR_HZ)
    frames = sound[: len(sound) // step * step].reshape(-1, step).astype(np.float64)
    level = float(np.percentile(np.sqrt((frames**2).mean(axis=1)), 10))
    return rng.normal(0, level, ms_to_samples(ms, EAR_HZ)).astype(np.int16)


@attrs.frozen(eq=False)
class Cutter:
    """Finds the places in a sound."""

    detector: Callable[[], VoiceDetector]
    model: Any
    """A `WhisperModel`, for when each word ends."""
    rng: np.random.Generator

    def end(self, heard: str, sound: Samples, kind: str = "end") -> Place:
        """Let the sound be followed by silence; its last voiced frame is the place."""
        noise = floor_noise(sound, 1_000, self.rng)
        whole = np.concatenate((sound, noise))
        last = (voiced_frames(whole, self.detector()) or [0])[-1] + 1
        at = ms_to_samples(last * VAD_FRAME_MS, EAR_HZ)
        return Place(heard, kind, whole[:at], whole[at:])

    def pauses(self, heard: str, sound: Samples) -> Iterator[Place]:
        """Cut at each silence that the voice ended; a short one is prolonged by noise like it."""
        voiced = voiced_frames(sound, self.detector())
        for before, after in itertools.pairwise(voiced):
            if (after - before - 1) * VAD_FRAME_MS >= SHORTEST_PAUSE_MS:
                at, until = (ms_to_samples(n * VAD_FRAME_MS, EAR_HZ) for n in (before + 1, after))
                noise = floor_noise(sound, 1_000, self.rng)
                yield Place(heard, "pause", sound[:at], np.concatenate((sound[at:until], noise)))

    def leading_words(self, heard: str, sound: Samples) -> Iterator[Place]:
        """Cut after words that begin something."""
        segments, _ = self.model.transcribe(to_float(sound), word_timestamps=True, language="en")
        words = [word for segment in segments for word in segment.words]
        for word in words[1:-1]:
            if word.word.strip().lower() in LEADING:
                cut = sound[: _quietest(sound, round(word.end * EAR_HZ))]
                yield self.end(heard, cut, "leading word")


def _quietest(sound: Samples, near: int) -> int:
    """Find the quietest 10 ms within 60 ms: a word's time is exact to about that."""
    step, reach = EAR_HZ // 100, EAR_HZ * 60 // 1000
    starts = range(max(0, near - reach), max(1, min(len(sound), near + reach) - step), step)
    return min(starts, key=lambda at: float(np.abs(to_float(sound[at : at + step])).mean()))


def places_of_recordings(cutter: Cutter, clips: Sequence[Clip]) -> list[Place]:
    found = []
    for clip in clips:
        for heard, sound in altered(clip.samples, cutter.rng):
            found += [cutter.end(heard, sound), *cutter.pauses(heard, sound)]
        found += cutter.leading_words("recordings", clip.samples)
    return found


def altered(sound: Samples, rng: np.random.Generator) -> Iterator[tuple[str, Samples]]:
    """Give the recording, and with noise (15 dB below), at a tenth of the level, and in two paces.

    The pace is changed with the pitch, as of another, smaller or larger, speaker.
    """
    yield "recordings", sound
    loud = float(np.sqrt((sound.astype(np.float64) ** 2).mean()))
    noisy = sound + rng.normal(0, loud * 10 ** (-15 / 20), len(sound))
    yield "altered recordings", np.clip(noisy, -32768, 32767).astype(np.int16)
    yield "altered recordings", (sound * 0.1).astype(np.int16)
    for rate_hz in (EAR_HZ * 9 // 10, EAR_HZ * 11 // 10):
        yield "altered recordings", resample(Pcm(sound, rate_hz), EAR_HZ).samples


def places_of_voice(cutter: Cutter, speak: Callable[[str, float], Samples]) -> list[Place]:
    found = []
    for index, text in enumerate((*QUESTION_TEXTS, *SENTENCES, *COMMAS)):
        sound = speak(text, SPEEDS[index % len(SPEEDS)])
        found += [cutter.end("voice", sound), *cutter.leading_words("voice", sound)]
        if text in COMMAS:
            found += cutter.pauses("voice", sound)
    for index, (first, second) in enumerate(HESITATIONS):
        speed = SPEEDS[index % len(SPEEDS)]
        begun = cutter.end("voice", speak(first, speed), "hesitation")
        pause = begun.silence[: ms_to_samples(PAUSES_MS[index % len(PAUSES_MS)], EAR_HZ)]
        whole = np.concatenate((begun.spoken, pause, speak(second, speed)))
        found += [begun, cutter.end("voice", whole)]
    return found


def speaker(config: Config, files: ModelStore) -> Callable[[str, float], Samples]:
    from voicecore.engines import piper  # noqa: PLC0415 - an extra

    voice = piper.load(config.tts, files, threads=1)

    def speak(text: str, speed: float) -> Samples:
        chunks: list[SpeechChunk] = []
        voice.run(SpeechRequest(text, speed=speed), chunks.append)
        sound = Pcm(np.concatenate([chunk.samples for chunk in chunks]), chunks[0].rate_hz)
        return resample(sound, EAR_HZ).samples

    return speak
