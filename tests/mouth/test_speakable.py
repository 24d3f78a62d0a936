"""Text as it is spoken: a table of cases, and what holds for any text."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore.mouth import numbers
from voicecore.mouth.phrase import Phraser
from voicecore.mouth.speakable import base_language, speakable


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("It is 5.", "It is five."),
        ("0", "zero"),
        ("105 1,234 1000000", "one hundred five one thousand two hundred thirty-four one million"),
        ("3.14 and .5", "three point one four and zero point five"),
        ("-5 or −5", "minus five or minus five"),
        ("10 - 5", "ten minus five"),
        ("10\u202f000 men", "ten thousand men"),
        ("99999999999999999", " ".join(["nine"] * 17)),
        ("1st 2nd 3rd 12th 21st 100th 1,000th",
         ("first second third twelfth twenty-first one "
         "hundredth one thousandth")),
        ("50% 3.5 %", "fifty percent three point five percent"),
        ("5-10", "five to ten"),
        ("10 – 20 km", "ten to twenty kilometers"),
        ("10%–20%", "ten percent to twenty percent"),
        ("1990-2000", "nineteen ninety to two thousand"),
        ("a 5-year-old", "a five-year-old"),
        ("COVID-19, GPT-4", "COVID-nineteen, GPT-four"),
        ("A4 MP3 H2O H₂O 4K", "A four MP three H two O H two O four K"),
        ("v1.2 v1.2.3", "version one point two version one point two point three"),
        ("192.168.0.1", "one hundred ninety-two dot one hundred sixty-eight dot zero dot one"),
        ("007", "zero zero seven"),
        ("№ 5, No. 5, #5", "number five, number five, number five"),
        ("p. 12, fig. 3", "page twelve, figure three"),
    ],
)  # fmt: skip
def test_numbers(written: str, spoken: str) -> None:
    assert speakable(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("$3.50", "three dollars and fifty cents"),
        ("$1 and $1.01", "one dollar and one dollar and one cent"),
        ("$0.99", "ninety-nine cents"),
        ("$5.00", "five dollars"),
        ("-$5", "minus five dollars"),
        ("$1,234.50", "one thousand two hundred thirty-four dollars and fifty cents"),
        ("$1.5 million, $5M, $2k",
         ("one point five million dollars, five million dollars, two "
         "thousand dollars")),
        ("$5-10 or $5–$10", "five to ten dollars or five to ten dollars"),
        ("5 €, €5, 3,50 €", "five euros, five euros, three euros and fifty cents"),
        ("£2 and ¥500", "two pounds and five hundred yen"),
        ("20 USD", "twenty dollars"),
        ("$5/month", "five dollars per month"),
    ],
)  # fmt: skip
def test_money(written: str, spoken: str) -> None:
    assert speakable(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("in 1984", "in nineteen eighty-four"),
        ("in 2026", "in twenty twenty-six"),
        ("1900 2000 2005 1805", "nineteen hundred two thousand two thousand five eighteen oh five"),
        ("1,984 and 1066", "one thousand nine hundred eighty-four and one thousand sixty-six"),
        ("the 1980s, the '90s, the 2000s",
         "the nineteen eighties, the nineties, the two thousands"),
        ("in their 30s, after 30s", "in their thirties, after thirty seconds"),
        ("3:30 pm", "three thirty p.m."),
        ("3:05 a.m.", "three oh five a.m."),
        ("3:00, 15:30, 15:00", "three o'clock, fifteen thirty, fifteen hundred"),
        ("3pm.", "three p.m."),
        ("3:30–5 pm", "three thirty to five p.m."),
        ("12:30:05", "twelve thirty and five seconds"),
        ("16:9", "sixteen to nine"),
        ("2026-11-21", "November twenty-first, twenty twenty-six"),
        ("2026-11-21T12:30:00Z", "November twenty-first, twenty twenty-six twelve thirty"),
        ("11/21/2026", "November twenty-first, twenty twenty-six"),
        ("21/11/2026", "November twenty-first, twenty twenty-six"),
        ("21.11.2026", "November twenty-first, twenty twenty-six"),
        ("2026-99-99", "twenty twenty-six ninety-nine ninety-nine"),
        ("Nov. 5 and November 21, 2026",
         ("November fifth and November twenty-first, twenty "
         "twenty-six")),
        ("21 November, May 5-7", "twenty-first of November, May fifth to seventh"),
        ("May 5% be", "May five percent be"),
        ("call 911", "call nine one one"),
        ("555-1234", "five five five, one two three four"),
        ("(555) 123-4567", "five five five, one two three, four five six seven"),
        ("+49 30 123456", "plus four nine, three zero, one two three four five six"),
        ("5551234567", "five five five one two three four five six seven"),
    ],
)  # fmt: skip
def test_times_dates_and_telephones(written: str, spoken: str) -> None:
    assert speakable(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("5 km, 1 km, 5-km run", "five kilometers, one kilometer, five-kilometer run"),
        ("3 kg 20 °C 1 °C 68°F 20°",
         ("three kilograms twenty degrees Celsius one degree Celsius "
         "sixty-eight degrees Fahrenheit twenty degrees")),
        ("-5 ℃", "minus five degrees Celsius"),
        ("60 km/h and 5 m/s", "sixty kilometers per hour and five meters per second"),
        ("10 m² and 2 m^3", "ten square meters and two cubic meters"),
        ("5'10\" or 5 ft 1 in", "five feet ten inches or five feet one inch"),
        ("1 ft., 6 ft. tall", "one foot., six feet tall"),
        ("16 GB", "sixteen gigabytes"),
        ("1/2 cup, 3/4, 2/3", "one half cup, three quarters, two thirds"),
        ("1 1/2 km, ½ km, 3½", "one and a half kilometers, one half kilometer, three and a half"),
        ("7/40, 24/7, 9/11", "seven over forty, twenty-four seven, nine eleven"),
        ("50/50", "fifty fifty"),
        ("2 + 2 = 4", "two plus two equals four"),
        ("3 * 4, 3 × 4, 3x4, 10x", "three times four, three times four, three by four, ten times"),
        ("x^2, 10⁵, 8 ÷ 2", "x squared, ten to the power of five, eight divided by two"),
        ("5 < 6 > 4, x <= 3", "five less than six greater than four, x is at most three"),
        ("~5, ±3", "about five, plus or minus three"),
        ("5 in the morning", "five in the morning"),
        ("low of –5°C", "low of minus five degrees Celsius"),
        ("2.5kg/5.5lbs", "two point five kilograms five point five pounds"),
        ("10cm x 20cm", "ten centimeters by twenty centimeters"),
        ("3x - 2 = 7", "three x minus two equals seven"),
    ],
)  # fmt: skip
def test_measures_and_sums(written: str, spoken: str) -> None:
    assert speakable(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("e.g. this, i.e. that", "for example this, that is that"),
        ("Cats, etc. sleep, etc.", "Cats, et cetera sleep, et cetera."),
        ("Dr. Wu vs. Mr. Lee Jr.", "Doctor Wu versus Mister Lee Junior."),
        ("Ms. Lee, St. Louis, Main St.", "Miz Lee, Saint Louis, Main Street."),
        ("w/o sugar, w/ milk", "without sugar, with milk"),
        ("NASA, the U.S. Army, HTTP", "NASA, the U.S. Army, HTTP"),
        ("a & b, and/or, TCP/IP", "a and b, and or, TCP IP"),
        ("C++, C#, #tag, @bob", "C plus plus, C sharp, tag, at bob"),
        ("a -> b → c", "a to b to c"),
        ("Node.js and file.py", "Node dot js and file dot py"),
        ("See https://www.example.com/foo?a=b_c#d.", "See example dot com."),
        ("(http://a.example.org:80/x), ok", "(a dot example dot org), ok"),
        ("<https://example.com>", "example dot com"),
        ("Write bob.a_b-c@example.com!", "Write bob dot a underscore b dash c at example dot com!"),
    ],
)
def test_abbreviations_signs_and_addresses(written: str, spoken: str) -> None:
    assert speakable(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("# The *weather* ##", "The weather."),
        ("**bold**, *em*, __b__, _e_, ~~s~~, ***x***", "bold, em, b, e, s, x"),
        ("**not closed", "not closed"),
        ("not opened**", "not opened"),
        ("- item", "item."),
        ("* [x] done!", "done!"),
        ("1. First", "one. First."),
        ("> quote\n> more", "quote more"),
        ("---", ""),
        ("***", ""),
        ("Title\n=====", "Title"),
        ("| a | **b** |\n|---|:-:|\n| c | |", "a, b. c."),
        ("[text](http://x.com/a_(b)) more", "text more"),
        ("[text][1], a fact.[2] Foot[^1]", "text, a fact. Foot"),
        ("[half a link](http://x", "half a link"),
        ("a link](http://x.y/z) ends", "a link ends"),
        ("an ![image](http://x.y/z.png) here", "an here"),
        ("`print_hello(x)` and ``a`b``", "print hello x and a b"),
        ("`main.py` has `<br>`", "main dot py has br"),
        ("look\n```py\nprint('x')\n```\nthere", "look there"),
        ("look\n~~~\nnever closed", "look"),
        ("snake_case and __init__", "snake case and init"),
        ("\\*not bold\\*", "not bold"),
        ('<p class="x">Hi <b>you</b><br/></p><!-- no -->', "Hi you"),
        ("a &amp; b &lt; 3 &nbsp;x", "a and b less than three x"),
        ("I 😀 like 👩\u200d🚀 it 👍🏽 1️⃣ 🇩🇪 ❤️", "I like it one"),
        ("😀", ""),
        ("hello :smile: :) there", "hello there"),
        ("Wow!!! Really??? What?!", "Wow! Really? What?"),
        ("Well... ok… no...", "Well, ok, no."),
        ("a—b and c -- d and e - f", "a, b and c, d and e, f"),
        ("...", ""),
        (" \n ", ""),
        ("", ""),
    ],
)
def test_markup(written: str, spoken: str) -> None:
    assert speakable(written) == spoken


@pytest.mark.parametrize(
    ("written", "language", "spoken"),
    [
        ("# Es kostet **3,50 €** & 20 % 😀", "de", "Es kostet 3,50 € & 20 %."),
        ("Siehe https://www.example.com/a_b, a@b.de", "de-DE", "Siehe example.com, a@b.de"),
        ("- z.B. 3/4 – 5 °C", "de", "z.B. 3/4 – 5 °C."),
        (
            "你好，**世界**！！看https://example.com/a很长。",
            "zh",
            "你好，世界！看example.com很长。",
        ),
        ("می\u200cخواهم", "fa", "می\u200cخواهم"),
        ("हिन्दी 5", "hi", "हिन्दी 5"),
        ("Dr. Wu has 5", "en_GB", "Doctor Wu has five"),
    ],
)
def test_other_languages_keep_their_numbers(written: str, language: str, spoken: str) -> None:
    assert speakable(written, language) == spoken


def test_base_language() -> None:
    assert [base_language(tag) for tag in ("en", "en-US", "EN_gb", "auto")] == [
        "en",
        "en",
        "en",
        "auto",
    ]


def test_a_reply_is_spoken_phrase_by_phrase() -> None:
    reply = (
        "Sure thing, here it is. The **U.S.** has 50 states, see [the map](https://x.org/a.b).\n"
        "1. It costs $3.50, i.e. little.\n```sh\nls -l\n```\nBye 👋!"
    )
    phraser = Phraser()
    spoken = [phrase.spoken for phrase in phraser.feed(reply) + phraser.close()]
    assert [words for words in spoken if words] == [
        "Sure thing, here it is.",
        "The U.S. has fifty states, see the map.",
        "one. It costs three dollars and fifty cents, that is little.",
        "Bye!",
    ]


# --- number words --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (19, "nineteen"),
        (40, "forty"),
        (101, "one hundred one"),
        (1_000_001, "one million one"),
        (99_000_000_000_999, "ninety-nine trillion nine hundred ninety-nine"),
        (10**15, "one" + " zero" * 15),
    ],
)
def test_cardinal(number: int, words: str) -> None:
    assert numbers.cardinal(number) == words


@given(st.integers(0, 10**15 - 1))
def test_a_cardinal_can_be_read_back(number: int) -> None:
    assert _value(numbers.cardinal(number)) == number


def _value(words: str) -> int:
    """Compute what number words mean, the other way round than `cardinal` makes them."""
    small = {numbers.cardinal(value): value for value in range(100)}
    scales = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
    total = group = 0
    for word in words.split():
        if word == "hundred":
            group *= 100
        elif word in scales:
            total, group = total + group * scales[word], 0
        else:
            group += small[word]
    return total + group


@pytest.mark.parametrize(
    ("above", "below", "words"),
    [(1, 2, "one half"), (3, 4, "three quarters"), (2, 5, "two fifths"), (5, 4, "five over four")],
)
def test_fraction(above: int, below: int, words: str) -> None:
    assert numbers.fraction(above, below) == words


# --- properties ----------------------------------------------------------------------------------

WORDS = """a B. Dr. etc. e.g. No. U.S. word-word it's 3.14 1,234 $5 € % °C km 1/2 2026 1st 3:30 pm -
2026-11-21 555-1234 v1.2.3 10:99 24/7 0/0 1/0 99/99/9999 0 00 http://x.y/z_1 a_b@c.de &amp; &#42;
<b> <a </p> <!-- --> 你好 ， ا ² ½ ① ㎏ Ａ ＊ ‼ ⁉ © ™ → 😀 👍🏽 ❤️ 🇩🇪 1️⃣ 🫠 ◾ ⭐"""
SIGNS = (
    """* ** *** _ __ ` `` ``` ~ ~~ ~~~ # ## > - + = [ ] ( ) ](  ![ | |-| \\ / ^ & @ { } < : ; , ."""
)
ODD = ["\ud83d", "\x00", "\u200d", "\ufe0f", "👩\u200d🚀"]
PIECES = st.sampled_from([" ", "\n", "\t", "...", "?!", *WORDS.split(), *SIGNS.split(), *ODD])
TEXTS = st.lists(PIECES, max_size=30).map("".join) | st.text(max_size=80)
LANGUAGES = st.sampled_from(["en", "de", "zh", "auto"])

FORBIDDEN = re.compile(
    r"[*_`#|~\[\]<>{}\\^\n\t\x00-\x1f]|[\U0001f000-\U0001faff]|[\u2600-\u27bf]|[\u2b00-\u2bff]"
    r"|[\u2190-\u21ff]|[\u20e3\ufe0f]|[\ud800-\udfff]|[\U000e0020-\U000e007f]"
)


@given(TEXTS, LANGUAGES)
def test_nothing_unspeakable_is_left(text: str, language: str) -> None:
    spoken = speakable(text, language)
    assert not FORBIDDEN.search(spoken)
    assert not any(
        unicodedata.category(char) in {"So", "Cc", "Cn", "Co"} for char in spoken if char != "°"
    )
    assert spoken == " ".join(spoken.split())
    assert spoken == "" or any(char.isalnum() for char in spoken)


@given(TEXTS)
def test_english_has_no_digits_left(text: str) -> None:
    assert not re.search("[0-9$%]", speakable(text))


@given(st.text("abcdfhik \n", max_size=60))
def test_plain_words_stay_as_they_are(text: str) -> None:
    assert speakable(text) == " ".join(text.split())
