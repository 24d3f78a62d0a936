"""What to believe of what Whisper wrote: loops, guesses, and words where nobody speaks.

Pure: texts and probabilities in, verdicts out.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Sequence

import attrs

from voicecore.engines.interface import Transcript

MAX_COMPRESSION = 2.4
"""Text that shrinks more than this is a loop (OpenAI's ``compression_ratio_threshold``)."""

MIN_MEAN_LOGPROB = -1.0
"""Below this the decoding has failed (OpenAI's ``logprob_threshold``)."""

UNSURE_LOGPROB = -0.35
UNSURE_WORDS = 4
"""A sentence of so many words below this is heard again in the full window. Shorter texts score low
however clear they are. On 93 noisy and altered real recordings (beam 5) it brought the errors from
76 of 1376 words to 59, `transcribe`'s own count, by repeating 18 %; of 60 synthetic ones, none."""

UNSURE_TIMED_LOGPROB = -0.6
"""The same where times are written, which are never sure: they cost the mean 0.1 to 0.3."""

UNHEARD_S = 1.0
"""More voice than this behind the last word's time is a sentence that was left out. Of 53
utterances with pauses, it was 2.2 s for the one whose second sentence was missing, and 0.3 s at
most for the others."""

NO_SPEECH = 0.7
MAYBE_NO_SPEECH = 0.5
"""The model's own probability that nobody speaks. For 96 noises, hums, clicks and tones it was
above 0.5 nearly always, and above 0.8 for 89 % (tiny.en) or 29 % (base); for 204 short or damaged
utterances it was 0.62 at most. In between, `MIN_MEAN_LOGPROB` and `INVENTED` decide."""

INVENTED = frozenset({"you", "thank you", "thanks for watching", "thank you for watching", "bye"})
"""What Whisper says of noise most often. People say it too, but then it knows that they speak: for
"Thank you" 0.25 at most."""

GUESS_LOGPROB = -1.6
"""Words below this are guesses about noise: with hints, a long beep has a no-speech probability of
0.3 but a mean log probability of -1.9. The worst real speech had -1.5, and was misheard."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


@attrs.frozen
class Decoded:
    """What one pass gave."""

    text: str
    mean_logprob: float
    """Of a token, the end of the text counted as one."""
    no_speech: float
    language: str
    ended: bool
    """False when the length limit ended it."""
    heard_s: float | None = None
    """Where in the sound the last words end, if times were written."""

    def is_noise(self) -> bool:
        """Whether nobody spoke, whatever words there are ("you", "Thank you." and the like)."""
        improbable = self.mean_logprob < MIN_MEAN_LOGPROB or " ".join(_words(self.text)) in INVENTED
        return self.no_speech >= NO_SPEECH or (self.no_speech >= MAYBE_NO_SPEECH and improbable)

    def is_doubtful(self) -> bool:
        """Whether it may be a loop or a failure."""
        return (
            not self.ended
            or self.mean_logprob < MIN_MEAN_LOGPROB
            or compression(self.text) > MAX_COMPRESSION
            or repeats(self.text)
        )

    def is_unsure(self) -> bool:
        """Whether it is a sentence that the full window may hear better."""
        sure = UNSURE_LOGPROB if self.heard_s is None else UNSURE_TIMED_LOGPROB
        return self.mean_logprob < sure and len(_words(self.text)) >= UNSURE_WORDS

    def is_short_of(self, voice_s: float) -> bool:
        """Whether a sentence is missing at the end of sound whose voice ends there."""
        return self.heard_s is not None and voice_s - self.heard_s > UNHEARD_S

    def is_rejected(self) -> bool:
        """Whether its words should reach nobody, if this pass decides."""
        doubtful_noise = self.no_speech >= MAYBE_NO_SPEECH and self.is_doubtful()
        return self.is_noise() or doubtful_noise or self.mean_logprob < GUESS_LOGPROB

    def partial(self) -> Transcript:
        """Give the words of an unfinished utterance, which no second pass will correct."""
        return (attrs.evolve(self, text="") if self.is_doubtful() else self).transcript(passes=1)

    def transcript(self, passes: int) -> Transcript:
        text = "" if self.is_rejected() else self.text
        confidence = math.exp(min(0.0, self.mean_logprob)) if text else 0.0
        return Transcript(text, confidence, self.no_speech, self.language, passes)


def compression(text: str) -> float:
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 0.0


def repeats(text: str) -> bool:
    """Whether the text says the same again at once, as a decoder does that has lost its way.

    True if a group of two to eight words follows itself, if one word comes three times in a row,
    or if the whole text is one word said twice. People say such things too: it costs them a second
    pass, not their words.
    """
    words = _words(text)
    if len(words) == 2 and words[0] == words[1]:
        return True
    return _runs(words, 1, 3) or any(_runs(words, size, 2) for size in range(2, 9))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _runs(words: Sequence[str], size: int, times: int) -> bool:
    """Whether ``size`` words are said ``times`` times in a row."""
    equal = 0
    for here, later in zip(words, words[size:], strict=False):
        equal = equal + 1 if here == later else 0
        if equal >= size * (times - 1):
            return True
    return False
