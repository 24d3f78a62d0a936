"""The emotion of a reply from its words, and the benchmark that says how good it is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import emotion as benchmark
from voicecore.events import Emotion
from voicecore.mind.emotion import classify, emotion_of

EMOTIONS = get_args(Emotion)


@pytest.mark.parametrize(
    ("text", "emotion"),
    [
        ("The bridge was built in 1932.", "neutral"),
        ("I'd be happy to help. Which day do you mean?", "neutral"),
        ("Congratulations to both of you!", "happy"),
        ("That went really great!", "happy"),
        ("I’m so sorry to hear that.", "sad"),
        ("Unfortunately there is no train after midnight.", "sad"),
        ("How dare you say that to her!", "angry"),
        ("Oh my goodness, is that a bear?", "surprised"),
        ("He went there by bicycle?!", "surprised"),
        ("", "neutral"),
        ("...", "neutral"),
    ],
)
def test_what_is_felt(text: str, emotion: Emotion) -> None:
    assert emotion_of(text) == emotion


@pytest.mark.parametrize(
    ("fact", "felt"),
    [
        ("A horrible storm hit the coast in 1703.", "This is horrible!"),
        ("The old king was angry with his three sons.", "I am angry with you!"),
        ("The lonely whale sings at 52 hertz, too high for others.", "I feel so lonely today."),
    ],
)
def test_what_a_reply_is_about_is_not_felt(fact: str, felt: str) -> None:
    assert emotion_of(fact) == "neutral"
    assert emotion_of(felt) != "neutral"


def test_negation() -> None:
    assert emotion_of("I am happy about it.") == "happy"
    assert emotion_of("I am not happy about it.") != "happy"
    assert emotion_of("It is not that sad.") == "neutral"
    assert emotion_of("No, I am happy about it!") == "happy", "a comma ends the reach of a no"


@pytest.mark.parametrize("language", ["de", "ja", "auto", ""])
def test_of_other_languages_only_emoji_emoticons_and_doubt_are_understood(language: str) -> None:
    assert emotion_of("Was für ein Tag, die Katze ist tot", language) == "neutral"
    assert emotion_of("wow, congratulations", language) == "neutral"
    assert emotion_of("Danke 😊", language) == "happy"
    assert emotion_of("Schade :(", language) == "sad"
    assert emotion_of("本当！？", language) == "surprised"


def test_a_region_is_no_other_language() -> None:
    assert emotion_of("Congratulations!", "en-GB") == "happy"


def test_only_the_beginning_is_looked_at() -> None:
    facts = "It has nine floors. "
    assert emotion_of(facts * 2 + "I am so sorry.") == "sad"
    assert emotion_of(facts * 3 + "I am so sorry.") == "neutral"
    assert emotion_of("la " * (classify.MAX_CHARS // 3) + "I am so sorry") == "neutral"


@given(st.text(), st.sampled_from(["en", "de"]))
def test_any_text_has_one_of_the_five_and_always_the_same(text: str, language: str) -> None:
    emotion = emotion_of(text, language)
    assert emotion in EMOTIONS
    assert emotion_of(text, language) == emotion


# --- the tables ----------------------------------------------------------------------------------


def cues() -> list[str]:
    return [cue for _, _, listed in classify._rows("cues.tsv") for cue in listed.split(" | ")]


def test_every_cue_can_be_met() -> None:
    for cue in cues():
        tokens = classify._TOKEN.findall(cue)
        assert " ".join(tokens) == cue
        assert len(tokens) <= classify._LONGEST_CUE


def test_no_cue_is_listed_twice() -> None:
    assert [cue for cue, times in Counter(cues()).items() if times > 1] == []


def test_the_tables_hold_known_emotions_and_the_valences_of_vader() -> None:
    found, valences = classify._tables()
    assert {emotion for emotion, _ in found.values()} == set(EMOTIONS)
    assert valences["wonderful"] == 2.7
    assert valences["horrible"] == -2.5
    assert all(1 <= abs(valence) <= 4 for valence in valences.values())


# --- the benchmark -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "part", "at_least"),
    [
        ("held-out", "all", 0.92),
        ("held-out", "first phrase", 0.87),
        ("generated", "all", 0.82),
        ("generated", "first phrase", 0.77),
    ],
)
def test_it_is_as_good_as_it_was(name: str, part: str, at_least: float) -> None:
    judged = benchmark.judge(name, part, benchmark.replies()[name])
    assert benchmark.accuracy(judged.answers) >= at_least


def test_the_labelled_replies_are_whole() -> None:
    rows = [row for rows in benchmark.replies().values() for row in rows]
    assert len(rows) == len({row.text for row in rows}) > 200
    assert {row.emotion for row in rows} == set(EMOTIONS)


def test_accuracy_and_f1() -> None:
    answers: Counter[tuple[Emotion, Emotion]] = Counter(
        {("happy", "happy"): 1, ("happy", "neutral"): 1, ("neutral", "neutral"): 2}
    )
    assert benchmark.accuracy(answers) == 0.75
    assert benchmark.mean_f1(answers) == pytest.approx((2 / 3 + 4 / 5) / 2)


def test_goemotions_are_joined_and_ambiguous_rows_left_out(tmp_path: Path) -> None:
    file = tmp_path / "test.tsv"
    file.write_text("Thanks!\t15\ta\nHm.\t3,10\tb\nBoth.\t3,17\tc\nSo.\t27\td\n", encoding="utf-8")
    assert list(benchmark.goemotions(file)) == [
        benchmark.Labelled("Thanks!", "happy"),
        benchmark.Labelled("Hm.", "angry"),
        benchmark.Labelled("So.", "neutral"),
    ]


def test_the_first_phrase_is_what_is_spoken_first() -> None:
    assert benchmark.first_phrase("Oh no, that is bad. I am sorry.") == "Oh no, that is bad."
