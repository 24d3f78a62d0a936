"""One turn: what was asked, what has been answered so far, and where the time went."""

from __future__ import annotations

import re
from typing import Literal

import attrs

from voicecore.engines.interface import Image, Message, SpeechRequest
from voicecore.events import Emotion, Mood, Span, Timeline
from voicecore.mind.spoken import SpokenPhrase


@attrs.frozen
class Words:
    """What the person said or typed, to be answered."""

    text: str
    via: Literal["voice", "text"]
    zero_s: float
    spans: tuple[Span, ...] = ()
    images: tuple[Image, ...] = ()


_WORDS = re.compile(r"\w+")


def same_words(one: str, other: str) -> bool:
    """Whether two texts differ in nothing but punctuation, case and spaces."""
    return _WORDS.findall(one.casefold()) == _WORDS.findall(other.casefold())


@attrs.define(eq=False)
class Turn:
    """A record the stages of one answer fill in. Times are seconds, as `trio.current_time`."""

    id: str
    user_text: str
    via: Literal["voice", "text"]
    spoken: bool
    """Whether the reply is spoken, or only written."""
    zero_s: float
    """The person's last spoken sample, or when their message arrived."""
    started_s: float
    held: bool = False
    """It is a guess, prepared unseen and unheard; the person may not have finished."""
    recited: bool = False
    """It only speaks its ``user_text``: no model is asked."""
    unasked: bool = False
    """The host speaks of its own accord (a greeting, a timer that is due). What is heard of it goes
    into the history; a message of the person's ends it."""
    voice: str | None = None
    """Asked for by the client; None for the character's."""
    text: str = ""
    """The reply's text sent so far, tool calls removed."""
    tokens_in: int = 0
    tokens_out: int = 0
    model: str = ""
    mood: Emotion | None = None
    """None until it was told to the client."""
    exchanges: list[Message] = attrs.field(factory=list)
    """Tools that were called and their results, as messages."""
    settled: int = 0
    """Characters of ``text`` that stand in the exchanges, or were said while the tools worked."""
    images: tuple[Image, ...] = ()
    """What the person showed with their words."""
    problem: str | None = None
    """Why the reply is incomplete, for the person; None while all is well."""
    problem_code: str = ""
    sound_s: float = 0.0
    """When the first sound was ready to be sent."""
    speaking: SpeechRequest | None = None
    """What the voice was last asked for."""
    phrases: list[SpokenPhrase] = attrs.field(factory=list)
    spans: list[Span] = attrs.field(factory=list)

    def span(self, name: str, owner: str, start_s: float, end_s: float) -> None:
        self.spans.append(Span(name, owner, start_s, end_s))

    def fail(self, code: str, problem: str) -> None:
        """Note the first thing that went wrong; later ones are its consequences."""
        if self.problem is None:
            self.problem_code, self.problem = code, problem

    @property
    def answer(self) -> str:
        """The reply itself: what was said since the last tool was called."""
        return self.text[self.settled :].strip()

    def feel(self, emotion: Emotion) -> Mood | None:
        """Take the reply's emotion; the first one counts, and is to be told to the client."""
        if self.mood is not None:
            return None
        self.mood = emotion
        return Mood(self.id, emotion)

    def foresaw(self, words: Words) -> bool:
        """Whether it is a guess that answers just these words."""
        return self.held and words.via == "voice" and same_words(self.user_text, words.text)

    def end_s(self, name: str) -> float:
        """When a stage ended; it must have."""
        return next(span.end_s for span in self.spans if span.name == name)

    def has(self, name: str) -> bool:
        return any(span.name == name for span in self.spans)

    def heard(self, played_ms: float) -> str:
        """What the person has taken in after ``played_ms`` of the reply's sound.

        Of a phrase cut in the middle the words count that were heard whole. A reply that is only
        written counts as far as it was sent.
        """
        if not self.spoken:
            return self.text
        heard: list[str] = []
        left_ms = played_ms
        for phrase in self.phrases:
            ms = phrase.likely_ms()
            if left_ms + 0.5 < ms:
                heard.append(phrase.heard(left_ms))
                break
            heard.append(phrase.text)
            left_ms -= ms
        # Phrases without sound at the end (an emoji, say) do not make silence heard.
        return "".join(heard).rstrip() if played_ms > 0 else ""

    def timeline(self) -> Timeline:
        spans = sorted(self.spans, key=lambda span: span.start_s)
        return Timeline(self.id, self.zero_s, tuple(spans))
