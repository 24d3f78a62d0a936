"""What a listener says while the assistant speaks, and what takes the floor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore.ears.backchannel import backchannel

ENGLISH = (
    "Mhm.", "Mm-hmm.", "MMM.", "mm hmm", "Hmm.", "M-H-M", "NMM.", "m.", "Uh-huh.", "Uh.", "Um,",
    "Oh.", "Ohhh!", "Ah.", "Aha.", "Huh.", "Yeah.", "Yeah, yeah.", "Yep", "Yes.", "Right.",
    "Okay.", "OK.", "O.K.", "Sure.", "I see.", "Got it.", "Wow!", "Really?", "Oh, really?",
    "That's great.", "That’s right.", "Exactly", "Ha, ha, ha.", "Haha", "Hehe.", "Heh.",
    "Oh, okay, I see.", "Of course.", "(laughs)", "[MUSIC]", "*coughs*", "♪♪", "Hm…",
)  # fmt: skip
TAKES_THE_FLOOR = (
    "No.", "Stop.", "Stop!", "Wait.", "Wait a second.", "Hold on.", "Hang on.", "Nope", "What?",
    "Huh?", "Hm?", "Mm?", "Eh?", "Sorry?", "Excuse me.", "Hey.", "Okay, stop.", "Yeah, but wait.",
    "Yes, please.", "Right, so what about tomorrow?", "Thank you.", "Quiet.", "Enough.", "Hello?",
    "Mmm, no.", "Oh no.", "Ho.", "I see a problem", "Actually", "Really, why?", "Bye.", "Cancel.",
    "That's enough.", "Okay okay okay enough", "uh-uh", "Uh uh.", "nuh-uh",
    "Um, can I ask something?",
)  # fmt: skip


@pytest.mark.parametrize("words", ENGLISH)
def test_a_listener_leaves_the_floor(words: str) -> None:
    assert backchannel(words, "en")


@pytest.mark.parametrize("words", TAKES_THE_FLOOR)
def test_these_take_the_floor(words: str) -> None:
    assert not backchannel(words, "en")


@pytest.mark.parametrize(
    "words",
    [
        "嗯。",
        "嗯嗯",
        "对对对",
        "是的。",
        "好的，好的。",
        "哈哈哈哈",
        "真的吗？",
        "原来如此",
        "对，没错。",
    ],
)
def test_chinese_listens(words: str) -> None:
    assert backchannel(words, "zh")


@pytest.mark.parametrize(
    "words",
    [
        "不",
        "不是",
        "等等",
        "等一下。",
        "停",
        "停一下",
        "对不起",
        "好了",
        "嗯？",
        "不对",
        "是什么",
        "别说了",
    ],
)
def test_chinese_takes_the_floor(words: str) -> None:
    assert not backchannel(words, "zh")


@pytest.mark.parametrize(
    "words",
    [
        "うん。", "うんうん", "はい、はい。", "へえー", "なるほど。", "そうですか。",
        "ええ、そうですね。", "本当？", "あははは",
    ],
)  # fmt: skip
def test_japanese_listens(words: str) -> None:
    assert backchannel(words, "ja")


@pytest.mark.parametrize(
    "words",
    [
        "いいえ",
        "違う",
        "ちょっと待って",
        "待って",
        "ううん",
        "止めて",
        "ストップ",
        "え？",
        "はい？",
        "やめて",
        "もういい",
    ],
)
def test_japanese_takes_the_floor(words: str) -> None:
    assert not backchannel(words, "ja")


@pytest.mark.parametrize("words", ["", " ", "...", "…", "、", "(laughter)", "（笑）"])
@pytest.mark.parametrize("language", ["en", "zh", "ja", "de", ""])
def test_nothing_recognised_takes_nothing(words: str, language: str) -> None:
    assert backchannel(words, language)


def test_other_languages_have_sounds_only() -> None:
    assert backchannel("Mhm.", "de")
    assert not backchannel("Yeah.", "de")
    assert backchannel("Yeah.", "en-GB")


@given(st.lists(st.sampled_from(ENGLISH), min_size=1, max_size=6))
def test_several_signals_are_still_signals(words: list[str]) -> None:
    assert backchannel(" ".join(words), "en")


@given(
    st.lists(st.sampled_from(ENGLISH[:30]), max_size=3),
    st.sampled_from(["stop", "no", "wait", "what"]),
    st.lists(st.sampled_from(ENGLISH[:30]), max_size=3),
)
def test_one_other_word_takes_the_floor(before: list[str], word: str, after: list[str]) -> None:
    assert not backchannel(" ".join((*before, word, *after)), "en")


@pytest.mark.parametrize("language", ["en", "zh", "ja"])
@pytest.mark.parametrize("sound", ["m", "ha", "ha ", "m ", "h", "uh huh ", "哈", "嗯"])
def test_a_long_series_is_judged_at_once(sound: str, language: str) -> None:
    """It would take for ever if the pattern could split it in more than one way."""
    assert not backchannel(sound * 2_000 + "stop", language)
