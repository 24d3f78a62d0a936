"""Phrases: where they end, that they are the whole reply, that chunking cannot matter."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voicecore.mouth.markup import MAX_FENCE_CHARS
from voicecore.mouth.phrase import Phrase, Phraser


def phrases_of(text: str, **options: object) -> list[Phrase]:
    phraser = Phraser(**options)  # type: ignore[arg-type]
    return phraser.feed(text) + phraser.close()


def texts_of(text: str, **options: object) -> list[str]:
    return [phrase.text for phrase in phrases_of(text, **options)]


# --- sentences -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hi. I am well! Are you? Good…", ["Hi.", " I am well!", " Are you?", " Good…"]),
        ("What?! No way...  Really.", ["What?!", " No way...", "  Really."]),
        ("Well... maybe… not. Ok.", ["Well... maybe… not.", " Ok."]),
        ('He said "Hi." Then he left.', ['He said "Hi."', " Then he left."]),
        ('"Stop!" he said. Fine.', ['"Stop!" he said.', " Fine."]),
        ("(It is so.) We **know it.** Good.", ["(It is so.)", " We **know it.**", " Good."]),
        ("Pi is 3.14 and v1.2 is out. Ok.", ["Pi is 3.14 and v1.2 is out.", " Ok."]),
        ("Mr. Lee and Dr. Wu met. Good.", ["Mr. Lee and Dr. Wu met.", " Good."]),
        ("Fruit, e.g. apples, i.e. food. Ok.", ["Fruit, e.g. apples, i.e. food.", " Ok."]),
        ("J. R. R. Tolkien wrote. I did. I.", ["J. R. R. Tolkien wrote.", " I did.", " I."]),
        ("The U.S. Army is big. Yes.", ["The U.S. Army is big.", " Yes."]),
        ("It is No. 5 here. No. Never.", ["It is No. 5 here.", " No.", " Never."]),
        ("On Nov. 5 we met. Ok.", ["On Nov. 5 we met.", " Ok."]),
        ("At 3 p.m. we go. At 3 p.m. He left.", ["At 3 p.m. we go.", " At 3 p.m.", " He left."]),
        ("Cats, dogs, etc. are here. Etc. Ok.", ["Cats, dogs, etc. are here.", " Etc.", " Ok."]),
        ("See https://a.bc/d.e?f=g. Then a.py.", ["See https://a.bc/d.e?f=g.", " Then a.py."]),
        ("It was 1984. Then 5.", ["It was 1984.", " Then 5."]),
        ("Hello!😀 Nice.", ["Hello!", "😀 Nice."]),
        ("你好！我是小天。“真的吗？”他说", ["你好！", "我是小天。", "“真的吗？”", "他说"]),
        ("好!你呢?我很好.", ["好!", "你呢?", "我很好."]),
        ("यह ठीक है। अच्छा।", ["यह ठीक है।", " अच्छा।"]),
        ("no end", ["no end"]),
        ("", []),
    ],
)
def test_a_sentence_is_a_phrase(text: str, expected: list[str]) -> None:
    assert texts_of(text, first_phrase_chars=200) == expected


def test_german_ordinals_do_not_end_a_sentence() -> None:
    assert texts_of("Es ist der 3. Mai. Gut.", language="de-DE") == ["Es ist der 3. Mai.", " Gut."]
    assert texts_of("I have 3. Maybe 4.", language="en") == ["I have 3.", " Maybe 4."]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# Title\n\nText.\n", ["# Title", "\n\nText.", "\n"]),
        ("- one. two\n- three\n", ["- one.", " two", "\n- three", "\n"]),
        ("1. First. Yes\n2. Second", ["1. First.", " Yes", "\n2. Second"]),
        ("a\r\nb", ["a\r", "\nb"]),
        ("| a. b | c |\n|---|---|\n| d | e |", ["| a. b | c |", "\n|---|---|", "\n| d | e |"]),
    ],
)
def test_a_line_ends_a_phrase(text: str, expected: list[str]) -> None:
    assert texts_of(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Read [this. And, well, that](http://a.b/c, d. e) now",
        "Type `a. b, c; d` here",
        "Type ``a. ` b, c`` here",
        'An <a href="x. y, z">anchor</a> here',
        "| one. two, three | four. five |",
    ],
)
def test_what_is_one_unit_is_never_cut(text: str) -> None:
    assert texts_of(text) == [text]


# --- the first phrase ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Sure, I can help you, of course.", "Sure, I can help you,"),
        ("Well of course, I can.", "Well of course,"),
        ("The answer is this: it rains.", "The answer is this:"),
        ("It is a long way — believe me.", "It is a long way —"),
        ("It is a long way—believe me.", "It is a long way—"),
        ("It is a long way - believe me.", "It is a long way -"),
        ("It costs 1,000 dollars, I think.", "It costs 1,000 dollars,"),
        ("It is November 21, 2026, I think.", "It is November 21, 2026,"),
        ("It takes from 10 – 20 minutes, I think.", "It takes from 10 – 20 minutes,"),
        ("We leave at 10:30 sharp, I think.", "We leave at 10:30 sharp,"),
        ("我觉得这个问题其实很有意思，不过我们可以明天再说。", "我觉得这个问题其实很有意思，"),
        ("Yes. And more, and more, and more.", "Yes."),
    ],
)
def test_the_first_phrase_ends_at_a_clause(text: str, first: str) -> None:
    assert texts_of(text)[0] == first


@pytest.mark.parametrize(
    ("text", "first"),
    [
        (
            "The sky appears so very blue because light is scattered.",
            "The sky appears so very blue",
        ),
        ("It is blue because I say so, and that is it.", "It is blue because I say so,"),
        ("The sky appears blue in Band and elsewhere.", "The sky appears blue in Band"),
        ("The sky appears blue in `a if b` and elsewhere.", "The sky appears blue in `a if b`"),
        ("The sky appears so very blue android.", "The sky appears so very blue android."),
    ],
)
def test_the_first_phrase_ends_before_a_joining_word(text: str, first: str) -> None:
    assert texts_of(text)[0] == first


def test_another_languages_joining_words_are_not_known() -> None:
    text = "Das ist ein langer Satz and er hat kein Komma."
    assert texts_of(text, language="de") == [text]


def test_only_the_first_phrase_ends_at_a_clause() -> None:
    text = "Well of course, I can. It is easy, you see, and quick, too."
    assert texts_of(text) == [
        "Well of course,",
        " I can.",
        " It is easy, you see, and quick, too.",
    ]


def test_a_phrase_without_words_is_not_the_first() -> None:
    assert texts_of("😀\n\nWell of course, I can.") == ["😀", "\n\nWell of course,", " I can."]


def test_a_phrase_leaves_as_soon_as_the_next_character_is_known() -> None:
    phraser = Phraser()
    assert phraser.feed("Yes.") == []
    assert phraser.feed(" ") == [Phrase("Yes.", "Yes.")]
    assert phraser.feed("It is 3.") == []
    assert phraser.feed("5 now.") == []
    assert phraser.feed("\n") == [Phrase(" It is 3.5 now.", "It is three point five now.")]
    assert phraser.feed("At 3 p.m. ") == []
    assert phraser.feed("H") == [Phrase("\nAt 3 p.m.", "At three p.m.")]
    assert phraser.close() == [Phrase(" H", "H")]


# --- what is not spoken --------------------------------------------------------------------------


def test_a_code_block_is_silent_and_accounted_for() -> None:
    block = "\n\n```python\nprint('Hi. You, there')\n\n# ```x\n```"
    phrases = phrases_of(f"Look.{block}\nDone.")
    assert phrases == [Phrase("Look.", "Look."), Phrase(block, ""), Phrase("\nDone.", "Done.")]


@pytest.mark.parametrize("fence", ["```", "~~~~", "  ```", "- ```", "> ```"])
def test_every_kind_of_fence(fence: str) -> None:
    closing = fence.replace("-", " ")
    phrases = phrases_of(f"{fence}\nsecret one. two\n{closing}\nafter")
    assert [phrase.spoken for phrase in phrases] == ["", "after"]


def test_a_long_code_block_is_held_only_to_the_bound() -> None:
    phrases = phrases_of("```\n" + "x = 1; y = 2\n" * 100 + "```\nDone.")
    assert [phrase.spoken for phrase in phrases if phrase.spoken] == ["Done."]
    assert all(len(phrase.text) <= 200 for phrase in phrases)


def test_a_fence_that_never_closes_is_given_up() -> None:
    line = "These are words of a line.\n"
    lines = MAX_FENCE_CHARS // (len(line) - 1) + 1
    phrases = phrases_of("```\n" + line * (lines + 3))
    assert [phrase.spoken for phrase in phrases if phrase.spoken] == [line.strip()] * 3


def test_an_unfinished_fence_is_silent() -> None:
    assert [phrase.spoken for phrase in phrases_of("```\nnever, ended. it")] == [""]
    assert [phrase.spoken for phrase in phrases_of("```python")] == [""]


def test_a_fence_opened_and_closed_on_one_line_is_inline_code() -> None:
    assert [phrase.spoken for phrase in phrases_of("```a. b``` is code\nyes")] == [
        "a. b is code",
        "yes",
    ]


def test_the_rest_of_a_url_that_was_cut_is_silent() -> None:
    phrases = phrases_of("https://example.com/" + "a1/" * 150 + " is long. Yes.")
    spoken = [phrase.spoken for phrase in phrases if phrase.spoken]
    assert spoken == ["example dot com", "is long.", "Yes."]


def test_a_link_with_a_long_target_is_its_text() -> None:
    phrases = phrases_of("See [the manual](https://example.com/" + "a1/" * 150 + ") now. Yes.")
    assert " ".join(phrase.spoken for phrase in phrases if phrase.spoken) == (
        "See the manual now. Yes."
    )


# --- long sentences ------------------------------------------------------------------------------


def test_a_long_sentence_is_cut_at_its_last_clause() -> None:
    text = "First. " + "word " * 20 + "and, " + "word " * 40
    assert texts_of(text)[1] == " " + "word " * 20 + "and,"


def test_a_long_sentence_without_clauses_is_cut_at_a_space() -> None:
    pieces = texts_of("word " * 100)
    assert [len(piece) for piece in pieces[:2]] == [199, 195]
    assert all(piece.strip(" ").replace("word", "").strip() == "" for piece in pieces)


def test_a_long_sentence_is_not_cut_beside_a_number() -> None:
    text = "a " * 97 + "aa 55 km and so on"
    assert texts_of(text)[1].startswith(" 55 km") is False
    assert texts_of(text)[1].startswith(" aa 55 km")


def test_a_long_sentence_is_not_cut_in_a_link() -> None:
    link = "[the link that we mean](http://example.com/here)"
    assert texts_of("word " * 35 + link + " and more")[1] == " " + link + " and more"


def test_a_text_without_any_gap_is_cut_hard() -> None:
    assert [len(piece) for piece in texts_of("x" * 450)] == [200, 200, 50]


@pytest.mark.parametrize(
    "unit",
    [
        "e\u0301\u0323",
        "👩\u200d🚀",
        "👍\U0001f3fd",
        "\U0001f1e9\U0001f1ea",
        "\u1112\u1161\u11ab",
        "\ud83d\ude00",
    ],
)
def test_a_hard_cut_keeps_a_character_whole(unit: str) -> None:
    pieces = texts_of(unit * 40, max_phrase_chars=10)
    assert len(pieces) > 1
    assert all(len(piece) % len(unit) == 0 for piece in pieces)


@pytest.mark.parametrize("bad", [{"first_phrase_chars": 0}, {"max_phrase_chars": 0}])
def test_impossible_lengths_are_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Phraser(**bad)  # type: ignore[arg-type]


# --- properties ----------------------------------------------------------------------------------

WORDS = """a B word 你好 3.14 $5 10 2026 e.g. Mr. No. p.m. U.S. http://x.y/z www. &amp; < <b> > %"""
MARKS = """. ... ! ? … 。 ， , ; : — " ' ” ( ) * ** _ ` `` ``` ```` ~~~ ~ # [ ]( ] | \\ @ • ‼"""
EMOJI = "😀 👩\u200d🚀 e\u0301 \u0301 \u200d 🇩🇪 \ud83d \udc4d \x00 \ufe0f"
BLOCKS = ["- ", "1. ", " - ", " – ", "> ", "# ", "| a | b |\n", "|---|\n", "```py\nx. y\n```\n"]
PIECES = st.sampled_from(
    [" ", "  ", "\n", "longer words here", *WORDS.split(), *MARKS.split(), *EMOJI.split(), *BLOCKS]
)
TEXTS = st.lists(PIECES, max_size=60).map("".join) | st.text(max_size=120)
LENGTHS = st.integers(1, 40)


@given(text=TEXTS, data=st.data(), longest=LENGTHS, first=LENGTHS)
def test_chunking_does_not_matter(text: str, data: st.DataObject, longest: int, first: int) -> None:
    options = {"max_phrase_chars": longest, "first_phrase_chars": first}
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    phraser = Phraser(**options)  # type: ignore[arg-type]
    got: list[Phrase] = []
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        got += phraser.feed(text[start:end])
    got += phraser.close()
    assert got == phrases_of(text, **options)


@given(text=TEXTS, longest=LENGTHS, language=st.sampled_from(["en", "de", "zh"]))
@example(text="a" + "\u0301" * 50, longest=7, language="en")
def test_the_phrases_are_the_whole_text(text: str, longest: int, language: str) -> None:
    phrases = phrases_of(text, max_phrase_chars=longest, language=language)
    assert "".join(phrase.text for phrase in phrases) == text
    assert all(0 < len(phrase.text) <= longest for phrase in phrases)


@given(text=TEXTS, longest=LENGTHS)
def test_never_more_than_a_phrase_is_held(text: str, longest: int) -> None:
    phraser = Phraser(max_phrase_chars=longest)
    fed = 0
    for char in text:
        fed += 1 - sum(len(phrase.text) for phrase in phraser.feed(char))
        assert fed <= longest


CHARACTERS = st.sampled_from(
    [
        "a",
        "é",
        "e\u0301\u0323",
        "👩\u200d🚀",
        "👍\U0001f3fd",
        "🇩🇪",
        "\u1112\u1161\u11ab",
        "\ud83d\ude00",
    ]
)


@given(st.lists(CHARACTERS, max_size=60), st.integers(6, 20))
def test_no_hard_cut_is_inside_a_character(characters: list[str], longest: int) -> None:
    whole = {0}
    for char in characters:
        whole.add(max(whole) + len(char))
    end = 0
    for piece in texts_of("".join(characters), max_phrase_chars=longest):
        end += len(piece)
        assert end in whole


# --- an opening ----------------------------------------------------------------------------------


def opened(text: str, chunk: int = 1, **options: object) -> list[Phrase]:
    """Ask for the opening after each chunk."""
    phraser = Phraser(**options)  # type: ignore[arg-type]
    found: list[Phrase] = []
    for at in range(0, len(text), chunk):
        cut = phraser.feed(text[at : at + chunk])
        found += cut
        opening = None if cut else phraser.opening()
        found += [opening] if opening else []
    return found + phraser.close()


def test_the_first_words_can_be_spoken_before_the_phrase_is_complete() -> None:
    assert opened("The best way to make tea is slow. Yes.") == [
        Phrase("The best way", "The best way", after="to make"),
        Phrase(" to make tea is slow.", "to make tea is slow.", before="The best way"),
        Phrase(" Yes.", "Yes."),
    ]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("I am so glad that you came today.", "I am so glad"),  # as long as a first phrase is
        ("Of course, you may.", "Of course, you may."),  # a clause ends it soon
        ("The answer is 42 of course not really.", "The answer is 42 of course not really."),
        ("The **best way** to make it is slow.", "The **best way** to make it is slow."),
        ("The user@a.bc of this is gone now.", "The user@a.bc of this is gone now."),
        ("- The best way to make tea is slow.", "- The best way to make tea is slow."),
        ("Short and sweet is it.", "Short and sweet is it."),  # its end is known by then
        ("最好的办法是慢慢来，不要着急，真的不用着急。", "最好的办法是慢慢来，不要着急，"),
    ],
)
def test_only_plain_words_with_more_of_them_behind_are_an_opening(text: str, first: str) -> None:
    assert opened(text)[0].text == first


def test_there_is_one_opening_and_only_at_the_begin() -> None:
    text = "This is the first of them all. And this is the second of them all."
    assert [bool(phrase.after) for phrase in opened(text)] == [True, False, False]
    phraser = Phraser()
    assert phraser.opening() is None
    phraser.feed("Yes. And this is the second of them")
    assert phraser.opening() is None


def test_the_phrase_behind_an_opening_may_end_at_a_clause() -> None:
    text = "The best way to make tea, as you know, is slow."
    assert [phrase.text for phrase in opened(text)][:2] == ["The best way", " to make tea,"]


@given(
    text=st.one_of(
        st.text(alphabet="ab .,-*`\n1'", max_size=80),
        st.lists(st.sampled_from(["the", "I'd", "because", "a.", "b,", "3", "**x**", "\n"])).map(
            " ".join
        ),
    ),
    chunk=st.integers(1, 9),
    first=st.integers(1, 20),
)
@example(text="a b c d e f g", chunk=1, first=1)
def test_an_opening_only_divides_the_phrase_it_begins(text: str, chunk: int, first: int) -> None:
    phrases = opened(text, chunk, first_phrase_chars=first)
    assert "".join(phrase.text for phrase in phrases) == text
    openings = [number for number, phrase in enumerate(phrases) if phrase.after]
    for number in openings:
        assert number == 0
        opening, rest = phrases[0], next((p for p in phrases[1:] if p.spoken), None)
        assert opening.spoken == opening.text.strip()
        assert rest is not None
        assert rest.before == opening.spoken
        assert f"{rest.text.strip()} x ".startswith(opening.after)
    assert sum(bool(phrase.before) for phrase in phrases) == len(openings)
