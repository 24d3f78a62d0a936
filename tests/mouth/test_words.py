"""When each word of a reply is said, from the voice's chunks to what a client is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore.audio import MOUTH_HZ, Pcm
from voicecore.engines.interface import WordTime
from voicecore.events import ReplySound, SpokenWord
from voicecore.mind.spoken import SpokenPhrase
from voicecore.mouth.phrase import Phraser
from voicecore.mouth.words import WordMarks
from voicecore.wire.speech_words import SpeechWords

WORD_MS, GAP_MS = 230.0, 20.0

texts = st.lists(
    st.sampled_from([
        "Paris", "is", "25", "km", "away.", "—", "😀", "1,500", "€", "really?", "\n", "**bold**",
        "`code`", "[a link](https://example.org/x)", "你好，世界。", "3.14", "Well,",
    ]),
    max_size=30,
).map(" ".join)  # fmt: skip
cuts = st.lists(st.integers(1, 12), min_size=1, max_size=8)


def pieces(length: int, sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Cut a length to pieces of these sizes, again and again."""
    at, number = 0, 0
    while at < length:
        end = min(length, at + sizes[number % len(sizes)])
        yield at, end
        at, number = end, number + 1


def phrases(text: str, sizes: Sequence[int]) -> list[SpokenPhrase]:
    phraser, found, begin = Phraser(), [], 0
    for at, end in pieces(len(text), sizes):
        found += phraser.feed(text[at:end])
    made = []
    for phrase in [*found, *phraser.close()]:
        made.append(SpokenPhrase(phrase.text, spoken=phrase.spoken, begin=begin))
        begin += len(phrase.text)
    assert begin == len(text)
    return made


def speak(phrase: SpokenPhrase) -> float:
    """Have a voice tell its words; return how long the phrase is."""
    words = phrase.spoken.split()
    step = WORD_MS + GAP_MS
    phrase.tell((WordTime(w, n * step, n * step + WORD_MS) for n, w in enumerate(words)), 0)
    return len(words) * step + 170.0 if words else 0.0


def sound(phrase: SpokenPhrase, sizes: Sequence[int], marks: WordMarks) -> Iterator[ReplySound]:
    """Its messages, each a multiple of 10 ms."""
    for at, end in pieces(round(speak(phrase) / 10), sizes):
        ms = (end - at) * 10
        words = marks.feed(phrase, ms)
        phrase.ms += ms
        yield ReplySound("t", Pcm(np.zeros(ms * 48, np.int16), MOUTH_HZ), words=words)


def told(text: str, text_cuts: Sequence[int], sound_cuts: Sequence[int]) -> list[dict[str, Any]]:
    """All words a client is told, each with the sound sent and text known before it."""
    marks, wire, found = WordMarks(), SpeechWords(), []
    sent_ms = 0.0
    for phrase in phrases(text, text_cuts):
        for message in sound(phrase, sound_cuts, marks):
            event: Any = wire.feed(message)
            for word in event["words"] if event else ():
                known = phrase.begin + len(phrase.text)
                found.append({**word, "sent_ms": sent_ms, "known": known})
            sent_ms += message.pcm.ms
    return found


def without(word: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in word.items() if key not in keys}


@given(texts, cuts, cuts)
def test_however_text_and_sound_are_cut_the_same_words_are_told(
    text: str, text_cuts: list[int], sound_cuts: list[int]
) -> None:
    whole = [without(word, "sent_ms") for word in told(text, [1_000], [4])]
    cut = [without(word, "sent_ms") for word in told(text, text_cuts, sound_cuts)]
    assert cut == whole


@given(texts, cuts)
def test_places_and_times_only_go_forward_and_lie_in_what_was_sent(
    text: str, sound_cuts: list[int]
) -> None:
    found = told(text, [1_000], sound_cuts)
    spoken = [word for phrase in phrases(text, [1_000]) for word in phrase.spoken.split()]
    assert [word["text"] for word in found] == spoken
    for word in found:
        assert 0 <= word["from"] < word["to"] <= word["known"] <= len(text)
        assert not text[word["from"]].isspace()
        assert word["sent_ms"] <= word["start_ms"] <= word["end_ms"]
    for key in ("from", "to", "start_ms", "end_ms"):
        values = [word[key] for word in found]
        assert values == sorted(values)


@given(texts)
def test_what_is_marked_is_what_the_history_takes_for_heard(text: str) -> None:
    for phrase in phrases(text, [1_000]):
        if not (length_ms := speak(phrase)):
            continue
        phrase.ms, phrase.complete = length_ms, True
        heard_before = phrase.begin
        for word, (begin, end) in zip(phrase.words, phrase.places(), strict=True):
            heard = phrase.begin + len(phrase.heard(word.end_ms))
            if heard > heard_before:  # the word completes what it stands for
                assert heard == end
            else:
                assert heard <= begin or heard == len(phrase.text.rstrip()) + phrase.begin
            heard_before = heard


def words(*found: tuple[int, float, float]) -> tuple[SpokenWord, ...]:
    return tuple(
        SpokenWord(number, f"w{number}", s, e, number, number + 1) for number, s, e in found
    )


def message(ms: int, *found: tuple[int, float, float], speech: str = "") -> ReplySound:
    pcm = Pcm(np.zeros(ms * 48, np.int16), MOUTH_HZ)
    return ReplySound("t", pcm, speech, words(*found))


def test_times_count_from_the_first_sample_of_the_speech() -> None:
    wire = SpeechWords()
    assert wire.feed(message(40)) is None
    assert wire.feed(message(40, (0, 10.04, 60.0))) == {
        "type": "speech_words", "turn_id": "t", "speech_id": "t",
        "words": [{"text": "w0", "start_ms": 50.0, "end_ms": 100.0, "from": 0, "to": 1}],
    }  # fmt: skip
    assert wire.feed(message(40, (0, -30.0, 20.0))) is None  # it goes on, and was told
    # Sent again as another stretch, in the midst of the word.
    again: Any = wire.feed(message(40, (0, -30.0, 20.0), (1, 25.0, 90.0), speech="t.2"))
    assert again["speech_id"] == "t.2"
    assert [(w["start_ms"], w["end_ms"]) for w in again["words"]] == [(0, 20), (25, 90)]
    assert wire.feed(message(40, (1, -15.0, 50.0), speech="t.2")) is None


def test_a_word_goes_on_in_the_message_after_it() -> None:
    phrase, marks = SpokenPhrase("One two.", spoken="One two."), WordMarks()
    phrase.tell([WordTime("One", 10, 50), WordTime("two.", 90, 130)], 0)
    found = []
    for _ in range(4):
        found.append([(w.number, w.start_ms) for w in marks.feed(phrase, 40)])
        phrase.ms += 40
    assert found == [[(0, 10)], [(0, -30)], [(1, 10)], [(1, -30)]]


def test_words_that_are_told_late_are_told_all_the_same() -> None:
    phrase, marks = SpokenPhrase("One two.", spoken="One two."), WordMarks()
    phrase.ms = 200
    phrase.tell([WordTime("One", 0, 100), WordTime("two.", 100, 300)], 0)
    assert [word.text for word in marks.feed(phrase, 40)] == ["One", "two."]


@pytest.mark.parametrize(
    ("text", "spoken", "places"),
    [
        ("About 25 km.", "About twenty five kilometres.", ["About", "25", "25", "km."]),
        ("A — b", "A b", ["A —", "b"]),
        (" Hi.", "Hi.", ["Hi."]),
        ("One", "One two three", ["One", "One", "One"]),
        ("", "one", [""]),
    ],
)
def test_where_words_stand(text: str, spoken: str, places: list[str]) -> None:
    phrase = SpokenPhrase(text, spoken=spoken, begin=7)
    assert [text[begin - 7 : end - 7] for begin, end in phrase.places()] == places
