from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore.eyes.text import clean, decode

WORDS = "Grüße aus Łódź: 你好, мир 🌍\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_utf_8_with_and_without_its_mark(encoding: str) -> None:
    assert decode(WORDS.encode(encoding)) == WORDS


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_text_with_its_mark(encoding: str) -> None:
    assert decode("\ufeff".encode(encoding) + WORDS.encode(encoding)) == WORDS


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff")))
def test_all_utf_8_text_is_read(text: str) -> None:
    assert decode(text.encode()) == text


@pytest.mark.parametrize(
    "text",
    ["Käse für 3 €, bitte.", "“Où est la forêt ?” — demanda l’élève.", "\x1b[31mfällt\x1b[0m"],
)
def test_western_text_of_windows_is_read(text: str) -> None:
    assert decode(text.encode("cp1252")) == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Съешь же ещё этих мягких булок", "cp1251"),
        ("你好，世界", "gb18030"),
        ("日本語の文章", "cp932"),
    ],
)
def test_another_old_encoding_is_not_read_as_nonsense(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) is None


@pytest.mark.parametrize(
    "data",
    [
        b"\x7fELF\x02\x01\x01\0",
        b"text\0text",
        "wide".encode("utf-16-le"),
        b"caf\xe9 and a control \x01 character in it",
        b"a long line of text but an undefined byte \x81",
        b"\xff\xfea",
        b"\xff\xfe\x00\xd8",
        b"\xef\xbb\xbf\xff",
    ],
)
def test_what_is_no_text(data: bytes) -> None:
    assert decode(data) is None


def test_clean_text_has_one_kind_of_newline_and_no_controls() -> None:
    assert clean("\ufeffa\r\nb\rc\fd\u2028e\x00\x07f\x1b[0m\tg\udc80\n\n") == "a\nb\nc\nd\nef[0m\tg"


@given(st.text())
def test_clean_text_can_be_stored_and_stays_clean(text: str) -> None:
    cleaned = clean(text)

    assert cleaned.encode().decode() == cleaned
    assert clean(cleaned) == cleaned
    assert cleaned == "\n".join(cleaned.split("\n")).strip("\n")
    assert all(char in "\n\t" or ord(char) >= 32 for char in cleaned)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufeff")))
def test_ordinary_characters_are_kept(text: str) -> None:
    kept = clean(f"|{text}|")

    assert kept.replace("\n", "") == "|{}|".format(
        "".join(char for char in text if char not in "\u2028\u2029\ufffe\uffff")
    )


@given(st.binary(max_size=200))
def test_decoding_gives_text_or_nothing(data: bytes) -> None:
    text = decode(data)

    assert text is None or "\0" not in text
