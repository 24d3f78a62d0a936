from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

pytest.importorskip("piper")

from voicecore.config import TtsConfig
from voicecore.engines.interface import ModelFiles, SpeechChunk, SpeechRequest, WordTime
from voicecore.engines.piper import Piper, load, words
from voicecore.engines.piper.phonemes import sounds
from voicecore.engines.piper.voice import pieces
from voicecore.engines.piper.words import Span, phoneme_places, spans, times


def spelled(word: str) -> Sequence[str]:
    """Stand in for espeak: letters are sounds, and a digit is two."""
    return [sound for letter in word for sound in (("n", letter) if letter.isdigit() else letter)]


def test_as_many_groups_as_words_belong_together_one_by_one() -> None:
    assert spans(["Write", "it,", "right?"], "ɹaɪt ɪt, ɹaɪt?", spelled) == [(0, 4), (5, 7), (9, 13)]


@pytest.mark.parametrize(
    ("text", "phonemes", "expected"),
    [
        ("one of the best", "one ofthe best", "one of the best"),
        ("to be, or not to be", "tobe, or not tobe", "to be or not to be"),
        ("a 7 b", "a n 7 b", "a|n 7|b"),
        ("all — is well", "all, is well", "all||is|well"),
        ("— so", "so", "|so"),
        ("so — ...", "so.", "so||"),
        ("of the end", "ˈʌvðˌə ˈɛnd", "ˈʌv|ðˌə|ˈɛnd"),
        ("well... done... so", "weldonso", "wel|don|so"),
    ],
)
def test_joined_and_split_words_are_told_apart(text: str, phonemes: str, expected: str) -> None:
    alone = {"of": "ˈʌv", "the": "ðˈə", "end": "ˈɛnd"}

    def say(word: str) -> str:
        return alone.get(word, "".join(spelled(word)))

    split = [phonemes[begin:end] for begin, end in spans(text.split(), phonemes, say)]
    assert split == expected.split("|" if "|" in expected else " ")


def test_numbers_that_are_equal_by_accident_match_nothing() -> None:
    text, phonemes = "my iPhone is in the box", "maɪ aɪ fəʊn ɪz ɪnðə bɒks"
    alone = {"my": "maɪ", "iPhone": "aɪ fəʊn", "is": "ɪz", "in": "ɪn", "the": "ðə", "box": "bɒks"}
    found = spans(text.split(), phonemes, lambda word: alone[word])
    assert ["".join(phonemes[first:last]) for first, last in found] == [
        *("maɪ", "aɪ fəʊn", "ɪz", "ɪn", "ðə", "bɒks")
    ]


def check_spans(found: list[Span], phonemes: Sequence[str]) -> None:
    places = [place for span in found for place in span]
    assert places == sorted(places)
    assert all(0 <= place <= len(phonemes) for place in places)
    for begin, end in found:
        if begin < end:
            assert sounds(phonemes[begin])
            assert sounds(phonemes[end - 1])


written = st.lists(st.text("abc.,7—", min_size=1, max_size=5), max_size=8)


@given(written, st.text("abcn7 .,ˈ", max_size=30))
def test_whatever_is_said_words_are_in_order_and_do_not_overlap(text: list[str], said: str) -> None:
    found = spans(text, said, spelled)
    assert len(found) == len(text)
    check_spans(found, said)


@given(st.lists(st.text("abc", min_size=1, max_size=5), min_size=1, max_size=8), st.data())
def test_no_sound_is_lost_wherever_words_are_joined(text: list[str], data: st.DataObject) -> None:
    gaps = [data.draw(st.sampled_from(["", " ", ", "])) for _ in text[1:]]
    said = "".join(word + gap for word, gap in zip(text, [*gaps, "."], strict=True))
    found = spans(text, said, spelled)
    heard = [phoneme for begin, end in found for phoneme in said[begin:end] if sounds(phoneme)]
    assert "".join(heard) == "".join(text)


def test_a_text_too_long_to_align_is_shared_out_by_letters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(words, "_MOST_CELLS", 10)
    assert spans(["ab", "abcd"], "aabbccddeefg", spelled) == [(0, 4), (4, 12)]
    check_spans(spans(["ab", "abcd", "abc"], "aab bccd, de efg. ", spelled), "aab bccd, de efg. ")


def test_where_phonemes_are_is_the_sum_of_the_samples_of_their_ids() -> None:
    samples = np.array([5, 1, 10, 2, 20, 3, 30, 4, 7])
    places = phoneme_places(samples, [2, 0, 4], before=2, pad=1, after=1)
    assert places is not None
    assert places.tolist() == [[6, 16], [18, 18], [18, 71]]
    assert phoneme_places(samples, [2, 2], before=2, pad=1, after=1) is None


def test_words_are_timed_from_the_first_sample_that_is_given() -> None:
    places = np.array([[10, 20], [30, 50], [60, 70], [90, 100]])
    told = [("—", (0, 0)), ("so", (0, 2)), ("...", (2, 2)), ("it", (3, 4))]
    assert [(word.start_ms, word.end_ms) for word in times(told, places, 15, 1_000)] == [
        (0, 0),
        (0, 35),
        (35, 35),
        (75, 85),
    ]


# --- the real voice ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def loaded(model_files: ModelFiles) -> Piper:
    return load(TtsConfig(), model_files, threads=1)


def speak(engine: Piper, text: str, speed: float = 1.0) -> list[SpeechChunk]:
    chunks: list[SpeechChunk] = []
    engine.run(SpeechRequest(text, speed=speed), chunks.append)
    return chunks


def whole(chunks: list[SpeechChunk]) -> tuple[npt.NDArray[np.int16], list[WordTime]]:
    """Join chunks, and make the times of their words count from the first sample."""
    told, samples = [], 0
    for chunk in chunks:
        begin = samples / 22.05
        told += [
            WordTime(word.text, word.start_ms + begin, word.end_ms + begin) for word in chunk.words
        ]
        samples += len(chunk.samples)
    return np.concatenate([chunk.samples for chunk in chunks]), told


LITTLE = ("of", "the", "in", "to", "be", "I", "have", "been", "a", "x")
SPOKEN = (*LITTLE, "well-known", "Dr.", "world,", "end.", "so;", "it?", '"quoted"', "don't", "(so)")
SILENT = ("—", "...", "-", "\u200b")
texts = st.lists(st.sampled_from(SPOKEN + SILENT), min_size=1, max_size=40)


@pytest.mark.model
@given(texts)
@example(["of", "the"] * 60)
@example(["Pneumonoultramicroscopicsilicovolcanoconiosis" * 6, "ends"])
@settings(max_examples=100)
def test_every_word_of_a_text_is_in_one_piece_in_order(loaded: Piper, text: list[str]) -> None:
    found = pieces(" ".join(text), loaded._voices[TtsConfig().model].reader)
    assert [word for piece in found for word, _ in piece.words] == (text if found else [])
    assert found or not set(text) & set(SPOKEN)
    for piece in found:
        places = [place for _, span in piece.words for place in span]
        assert places == sorted(places)
        assert all(0 <= place <= len(piece.phonemes) for place in places)


@pytest.mark.model
@given(texts, st.sampled_from([0.5, 1.0, 2.0]))
@settings(max_examples=10)
def test_words_are_told_once_in_order_within_the_sound(
    loaded: Piper, text: list[str], speed: float
) -> None:
    chunks = speak(loaded, "\n".join(text), speed)
    if not chunks:
        assert not set(text) & set(SPOKEN)
        return
    sound, told = whole(chunks)
    assert [word.text for word in told] == text
    edges = [0, *(edge for word in told for edge in (word.start_ms, word.end_ms))]
    assert edges == sorted(edges)
    assert edges[-1] <= len(sound) / 22.05 + 0.05


def bare(phonemes: Sequence[str]) -> list[str]:
    """Sounds without stress and gaps, which the words around them may change."""
    return [phoneme for phoneme in phonemes if sounds(phoneme) and phoneme not in "ˈˌ"]


@pytest.mark.model
@pytest.mark.parametrize(
    "text",
    [
        "Your iPhone is on the table in the kitchen.",
        "My iPhone will be fine in the morning.",
        "Your WiFi router is in the kitchen.",
        "World War II ended in the summer.",
        "The best of the two is in the PhD thesis.",
    ],
)
def test_a_sentence_in_two_parts_has_each_sound_once(loaded: Piper, text: str) -> None:
    """Wherever it is divided, both parts end and begin at the same of its phonemes."""
    voice = loaded._voices[loaded.info.model]
    (sentence,) = pieces(text, voice.reader)
    words = text.split()
    for known in range(3, len(words)):
        (begun,) = pieces(" ".join(words[:known]), voice.reader)
        for (_, (first, _)), (_, (again, _)) in zip(
            sentence.words[:known], begun.words[:known], strict=True
        ):
            assert bare(sentence.phonemes[:first]) == bare(begun.phonemes[:again])


@pytest.mark.model
def test_words_are_where_the_sound_is_and_pauses_are_between_them(loaded: Piper) -> None:
    text = "Yes, of course, said the man, he is one of the best, and she knows it, too."
    sound, told = whole(speak(loaded, text))

    def loudness(begin_ms: float, end_ms: float) -> float:
        part = sound[round(begin_ms * 22.05) : round(end_ms * 22.05)].astype(np.float64)
        return float(np.sqrt(np.mean(np.square(part))))

    for word, after in pairwise(told):
        assert loudness(word.start_ms, word.end_ms) > 500
        if word.text.endswith(","):
            assert after.start_ms - word.end_ms > 80
            assert loudness(word.end_ms + 25, after.start_ms - 25) < 400
    assert told[-1].end_ms == pytest.approx(len(sound) / 22.05 - 380, abs=60)


@pytest.mark.model
def test_a_word_takes_as_long_alone_as_its_sound(loaded: Piper) -> None:
    sound, (word,) = whole(speak(loaded, "Wonderful."))
    loud = np.flatnonzero(np.abs(sound) > 300) / 22.05
    assert word.start_ms == pytest.approx(loud[0], abs=60)
    assert word.end_ms == pytest.approx(loud[-1], abs=60)
