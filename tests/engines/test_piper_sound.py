from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("piper")

from voicecore.engines.piper import phonemes
from voicecore.engines.piper.sound import LEVEL, Sound, Trimmer, gain_of, trim

RATE_HZ = 1_000


def trimmed(sound: Sound, pause_ms: float, lead: int = 20) -> Sound:
    """What is expected: the obvious way, which needs the whole sound."""
    audible = np.flatnonzero(np.abs(sound) > 0.003)
    if not len(audible):
        return sound[:0]
    end = audible[-1] + 1 + max(0, round(pause_ms) - lead)
    return np.pad(sound[max(0, audible[0] - lead) : end], (0, max(0, end - len(sound))))


stretches = st.lists(
    st.tuples(st.sampled_from([0.0, 0.002, 0.5]), st.integers(0, 120)), max_size=8
).map(lambda made: np.concatenate([np.zeros(0), *(np.full(n, level) for level, n in made)]))


@given(stretches, st.lists(st.integers(0, 600)), st.sampled_from([0, 10, 20, 100, 300]))
def test_any_cutting_gives_the_same_as_the_whole(
    sound: Sound, cuts: list[int], pause_ms: int
) -> None:
    sound = sound.astype(np.float32)
    trimmer = Trimmer(RATE_HZ, pause_ms)
    given_out = [
        piece for part in np.split(sound, sorted(cuts)) for piece in trimmer.feed(part)
    ] + trimmer.close()
    assert all(map(len, given_out))
    expected = trimmed(sound, pause_ms)
    np.testing.assert_array_equal(np.concatenate([sound[:0], *given_out]), expected)
    if trimmer.begun:
        same = min(len(expected), len(sound) - trimmer.left_out)
        begin = trimmer.left_out
        np.testing.assert_array_equal(sound[begin : begin + same], expected[:same])


@given(st.integers(0, 400), st.integers(0, 400))
def test_silence_that_may_be_the_pause_is_not_held_back(pause_ms: int, after: int) -> None:
    trimmer = Trimmer(RATE_HZ, pause_ms)
    trimmer.feed(np.full(100, 0.5, np.float32))
    now = sum(map(len, trimmer.feed(np.zeros(after, np.float32))))
    assert now == min(after, max(0, pause_ms - 20))


@given(st.integers(0, 100), st.integers(0, 300), st.integers(0, 600))
def test_a_sound_is_filled_up_to_what_is_asked_for(audible: int, after: int, least: int) -> None:
    trimmer = Trimmer(RATE_HZ, 100)
    sound = np.concatenate((np.full(audible, 0.5), np.zeros(after)), dtype=np.float32)
    made = sum(map(len, trimmer.feed(sound) + trimmer.close(at_least=least)))
    assert made == max(audible + 80 if audible else 0, least)


@pytest.mark.parametrize("before", [0, 100, 2_000])
@pytest.mark.parametrize("after", [0, 100, 9_000])
def test_a_phrase_has_one_lead_and_one_pause_whatever_the_voice_makes(
    before: int, after: int
) -> None:
    sound = np.concatenate(
        (np.zeros(before), np.full(1_000, 0.5), np.zeros(after)), dtype=np.float32
    )
    made = trim(sound, 10_000, 300)
    lead = min(before, 200)
    assert len(made) == lead + 1_000 + 2_800
    assert not made[:lead].any()
    assert (made[lead : lead + 1_000] == 0.5).all()
    assert not made[lead + 1_000 :].any()


def test_a_short_pause_never_cuts_into_the_sound() -> None:
    assert len(trim(np.full(1_000, 0.5, np.float32), 10_000, 5)) == 1_000


def test_silence_is_no_sound() -> None:
    silence = np.full(1_000, 0.002, np.float32)
    assert len(trim(silence, 10_000, 300)) == 0
    with pytest.raises(ValueError, match="no sound"):
        gain_of(trim(silence, 10_000, 300))


def test_the_gain_brings_a_sound_to_the_level() -> None:
    sound = np.array([0.5, -0.5, 0.1], np.float32)
    assert np.sqrt(np.mean(np.square(sound * gain_of(sound)))) == pytest.approx(LEVEL)


# --- phonemes in pieces --------------------------------------------------------------------------


@given(st.text(st.sampled_from("ab ,.;"), max_size=700))
def test_pieces_are_short_and_lose_nothing(sentence: str) -> None:
    pieces = list(phonemes.cut(list(sentence)))
    assert "".join(phoneme for piece in pieces for phoneme in piece) == sentence
    assert all(0 < len(piece) <= phonemes.MAX_PHONEMES for piece in pieces)
    for piece in pieces[:-1]:
        assert len(piece) > phonemes.MAX_PHONEMES // 2


def test_a_long_sentence_is_cut_after_a_clause_else_between_words() -> None:
    words = "word " * 15 + "clause, "
    assert "".join(next(phonemes.cut(list(words * 3)))).endswith("clause,")
    assert "".join(next(phonemes.cut(list("word " * 50)))).endswith("word ")
    assert len(next(phonemes.cut(list("a" * 500)))) == phonemes.MAX_PHONEMES


def test_pauses_are_longer_after_a_sentence_than_after_a_clause_or_a_word() -> None:
    texts = ("so.", "so, ", "so", "", "Who?", "so: ")
    assert [phonemes.pause_ms(list(text)) for text in texts] == [400, 300, 100, 100, 400, 300]


def test_text_is_never_taken_for_phonemes_nor_breaks_espeak() -> None:
    assert phonemes.speakable("a\0b [[x]] \ud800c é 好 \N{ZERO WIDTH JOINER}") == (
        "a b  x  c é 好 \N{ZERO WIDTH JOINER}"
    )


def test_marks_and_spaces_make_no_sound() -> None:
    assert [phonemes.sounds(one) for one in (" ", ",", ".", "—", '"', "ˈ", "ə", "aɪ", "ː")] == [
        *(False,) * 5,
        *(True,) * 4,
    ]
