"""Emotion tags are taken out of the reply, however it is cut; nothing else is."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from voicecore.events import Emotion
from voicecore.mind.emotion.tag import (
    EMOTIONS,
    KEYS,
    MAX_TAG_CHARS,
    EmotionTags,
    Piece,
    Tagged,
)


def take_out(*chunks: str) -> list[Piece]:
    tags = EmotionTags()
    pieces = [piece for chunk in chunks for piece in tags.feed(chunk)] + tags.close()
    joined: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, str) and joined and isinstance(joined[-1], str):
            joined[-1] += piece
        else:
            joined.append(piece)
    return joined


def shown(pieces: list[Piece]) -> str:
    return "".join(piece for piece in pieces if isinstance(piece, str))


TAGS: list[tuple[str, Emotion]] = [
    ("[happy]", "happy"),
    ("[ Sad ]", "sad"),
    ("<angry>", "angry"),
    ("<surprised/>", "surprised"),
    ("<|NEUTRAL|>", "neutral"),
    ("[emotion: happy]", "happy"),
    ("[mood=sad]", "sad"),
    ("(emotion: furious)", "angry"),
    ("<emotion>surprised</emotion>", "surprised"),
    ("<emotion> Very happy</emotion>", "happy"),
    ("<emotion=sad>", "sad"),
    ('<emotion name="anger" strength="0.8"/>', "angry"),
    ("<|feeling:calm|>", "neutral"),
    ('{"emotion": "joy"}', "happy"),
    ("{'mood':'amazed'}", "surprised"),
    ('{\n  "Emotion" : "Happy"\n}', "happy"),
]
ORDINARY = [
    "[1]",
    "[ ]",
    "[x]",
    "[link](https://example.org)",
    "[happy](https://example.org)",
    "[laughs]",
    "[happyland]",
    "<b>bold</b>",
    "<em>so</em>",
    "<emotional>",
    "a < b and b > a",
    "a<s",
    "*smiles*",
    "I am (happy)",
    "{}",
    '{"a": 1}',
    '{"emotion": "joy", "text": "Hi"}',
    "if (a[i] < b[j]) { return }",
    "[emotion]",
    "[emotion: " + "very " * 8 + "happy]",
    "你好 😊",
]


@pytest.mark.parametrize(("tag", "emotion"), TAGS)
def test_a_tag_is_removed_and_told(tag: str, emotion: Emotion) -> None:
    assert take_out(tag) == [Tagged(emotion)]
    assert take_out(f"{tag} Well, hello.") == [Tagged(emotion), "Well, hello."]
    assert take_out(f"Well, {tag} hello.") == ["Well, ", Tagged(emotion), "hello."]
    assert take_out(f"Well.{tag}") == ["Well.", Tagged(emotion)]


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_stays(text: str) -> None:
    assert take_out(text) == [text]
    assert take_out(f"Well, {text} and so on") == [f"Well, {text} and so on"]


@pytest.mark.parametrize(("word", "emotion"), EMOTIONS.items())
def test_every_known_word(word: str, emotion: Emotion) -> None:
    assert take_out(f"[{word}]") == [Tagged(emotion)]


def test_a_word_in_round_brackets_is_a_tag_only_as_the_first_thing() -> None:
    assert take_out("(happy) Hello (sad)") == [Tagged("happy"), "Hello (sad)"]
    assert take_out("\n( Happy )Hello") == ["\n", Tagged("happy"), "Hello"]


@pytest.mark.parametrize("tag", ["[emotion: puzzled]", "<mood=odd>", '{"feeling": ""}', "</sad>"])
def test_a_tag_that_says_nothing_is_removed_all_the_same(tag: str) -> None:
    assert take_out(f"Well, {tag} hello.") == ["Well, hello."]


def test_words_between_tags_stay() -> None:
    assert take_out("<happy>Hello</happy>, you.") == [Tagged("happy"), "Hello, you."]
    assert take_out("<emotion>It is a long way to go.</emotion>") == ["It is a long way to go."]
    assert take_out('<emotion v="sad">Oh</emotion>.') == [Tagged("sad"), "Oh."]


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("One [sad] two", "One two"),
        ("One[sad]two", "One two"),
        ("One [sad], two", "One , two"),
        ("One.\n[sad]\n\nTwo", "One.\n\nTwo"),
        (" [sad]\n One", " One"),
        ("[sad][happy] One", "One"),
        ("([sad]One)", "(One)"),
    ],
)
def test_white_space_around_a_tag_is_the_longer_of_both_sides(text: str, rest: str) -> None:
    assert shown(take_out(text)) == rest


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Yes. [emotion: ha", ["Yes. "]),
        ("Yes. <emotion>ha", ["Yes. "]),
        ("Yes. <emotion>happy", ["Yes. ", Tagged("happy")]),
        ("Yes. [emotion: sad", ["Yes. ", Tagged("sad")]),
        ('Yes. {"emotion": ', ["Yes. "]),
        ("Yes. [sad]", ["Yes. ", Tagged("sad")]),
        ("Yes. [sa", ["Yes. [sa"]),
        ("Yes. <", ["Yes. <"]),
        ("Yes. {", ["Yes. {"]),
    ],
)
def test_at_the_end_half_a_keyed_tag_is_removed_and_lesser_beginnings_are_text(
    text: str, pieces: list[Piece]
) -> None:
    assert take_out(text) == pieces


# --- for every text ------------------------------------------------------------------------------

PARTS = [
    *(tag for tag, _ in TAGS),
    *ORDINARY,
    *"[]<>(){}|/\"':= \nhse",
    *KEYS,
    *("[emotion", "<emotion", "<emotion>", "</emotion>", '{"mood"', "happy", "sad", "Word", ". "),
]
NOISE = st.lists(st.sampled_from(PARTS), max_size=12).map("".join)
PLAIN = st.text(st.characters(exclude_characters="[<({"))


@settings(max_examples=400, deadline=None)
@given(NOISE | st.text(), st.lists(st.integers(0, 200), max_size=10))
def test_any_cut_gives_the_same(text: str, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    whole = take_out(text)
    assert take_out(*(text[start:end] for start, end in itertools.pairwise(edges))) == whole
    assert take_out(*text) == whole


@given(PLAIN)
def test_text_that_begins_nothing_passes_unchanged_and_at_once(text: str) -> None:
    tags = EmotionTags()
    for char in text:
        assert tags.feed(char) == [char]
    assert tags.close() == []


@given(PLAIN, st.sampled_from(TAGS), PLAIN)
def test_a_tag_between_any_plain_text_is_found(
    before: str, tag: tuple[str, Emotion], after: str
) -> None:
    pieces = take_out(before + tag[0] + after)
    assert [piece for piece in pieces if isinstance(piece, Tagged)] == [Tagged(tag[1])]
    assert "".join(shown(pieces).split()) == "".join((before + after).split())


BRACKETS = ["[ ]", "[  ]", "< />", "<| |>", "</ >", "( )", "(  )"]
WORDS = [
    around.rpartition(" ")[0] + word + around.rpartition(" ")[2]
    for word in EMOTIONS
    for around in BRACKETS
]
WHOLE = [tag.lower() for tag, _ in TAGS] + WORDS
ENDINGS = sorted({tag[start:] for tag in WHOLE for start in range(len(tag) + 1)}, key=len)


def may_become_tag(text: str, before: str = "") -> bool:
    """Whether some ending makes a tag of it, by trying the likely ones first."""
    likely = [tag[len(text) :] for tag in WHOLE if tag.startswith(text.lower())]
    endings = itertools.chain(likely, ENDINGS)
    return any(shown(take_out(before + text + ending)) == before for ending in endings)


@settings(max_examples=100, deadline=None)
@given(NOISE)
@example("<emotion>happy ")
@example('{ "emo')
def test_only_what_may_become_a_tag_is_held(text: str) -> None:
    tags = EmotionTags()
    for char in text:
        tags.feed(char)
        before = "" if tags._at_start else "x"
        assert tags._held == "" or may_become_tag(tags._held, before)
        assert len(tags._held) <= MAX_TAG_CHARS


@pytest.mark.parametrize("text", ["[1", "[ha1", "< ", "<b", "[emotionx", "{a", "(emotional", "{1"])
def test_the_definition_used_above_fails_for_other_text(text: str) -> None:
    assert not may_become_tag(text)


@pytest.mark.parametrize(
    "beginning", ["[emotion: ", "<emotion ", "<emotion>", '{"emotion": "', "(emotion:", "<|mood:"]
)
def test_what_goes_on_for_too_long_is_shown(beginning: str) -> None:
    tags = EmotionTags()
    tags.feed(f"Yes {beginning}")
    held = 0
    while tags._held:
        held = len(tags._held)
        tags.feed("a")
    assert 20 < held <= MAX_TAG_CHARS
