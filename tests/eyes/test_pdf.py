from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import Any

import pypdf
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.eyes.pdf_files import document, pdf, stream, text_page
from voicecore.errors import ClientError
from voicecore.eyes import pdf as pdf_module
from voicecore.eyes.pdf import is_pdf, pdf_text
from voicecore.eyes.pdfpages import MAX_PAGES, write_pages

TWO_PAGES = document(text_page(b"First page.", b"Its second line."), text_page(b"Second page."))
FORM = b"/Type/XObject/Subtype/Form/BBox[0 0 99 99]/Resources<</Font<</F1 3 0 R>>>>"
BLANK = b"0 0 10 10 re f"
BROKEN = b"[" * 100_000 + text_page(b"Two.")
"""Too deep for pypdf, which is recursive."""


def pages_of(data: bytes, max_chars: int = 1000) -> tuple[list[str], str]:
    """What the program writes, without a process."""
    out = io.StringIO()
    end = write_pages(data, max_chars, out)
    return [json.loads(line) for line in out.getvalue().splitlines()], end


def encrypted(password: str, algorithm: str = "RC4-128") -> bytes:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(TWO_PAGES))
    writer.encrypt(password, owner_password="owner", algorithm=algorithm)
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


def refusal(data: bytes) -> str:
    with pytest.raises(ClientError) as caught:
        pdf_text(data, 1000)
    assert caught.value.code == "BAD_FILE"
    return str(caught.value)


def test_a_pdf_is_told_by_its_beginning() -> None:
    assert is_pdf(TWO_PAGES)
    assert is_pdf(b"\xef\xbb\xbf\r\n " + TWO_PAGES)
    assert not is_pdf(b'MAGIC = "%PDF-"')
    assert not is_pdf(b"")


def test_all_pages_are_read() -> None:
    text = "First page.\nIts second line.\n\nSecond page."

    assert pdf_text(TWO_PAGES, 1000) == (text, False)
    assert pdf_text(TWO_PAGES, len(text)) == (text, False)


def test_no_more_characters_than_asked_for() -> None:
    text, more = pdf_text(TWO_PAGES, 15)

    assert text == "First page.\nIts"
    assert more


def test_reading_stops_when_there_is_enough() -> None:
    pages, end = pages_of(document(*[text_page(b"A page.")] * 10), max_chars=20)

    assert (pages, end) == (["A page.\n", "A page.\n", "A pa"], "part")


def test_no_more_pages_than_a_limit() -> None:
    assert pages_of(document(*[BLANK] * MAX_PAGES)) == ([""] * MAX_PAGES, "all")
    assert pages_of(document(*[BLANK] * (MAX_PAGES + 1))) == ([""] * MAX_PAGES, "part")


def test_a_broken_page_is_left_out() -> None:
    pages, end = pages_of(document(text_page(b"One."), BROKEN, text_page(b"Three.")))

    assert (pages, end) == (["One.\n", "Three.\n"], "part")


def test_text_within_forms_is_read() -> None:
    form = stream(text_page(b"In a form."), FORM)

    assert pages_of(document(b"/X0 Do", forms=[form]))[0][0].strip() == "In a form."


def test_a_pdf_without_text_is_refused() -> None:
    assert "scanned" in refusal(document(BLANK, BLANK))


@pytest.mark.parametrize(
    "data",
    [
        b"%PDF-1.7",
        b"%PDF-1.7\n" + b"junk " * 100,
        TWO_PAGES[:60],
        pdf([b"<</Type/Catalog/Pages 9 0 R>>"]),
        pdf([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[2 0 R]/Count 1>>"]),
    ],
)
def test_a_damaged_pdf_is_refused(data: bytes) -> None:
    assert "damaged" in refusal(data) or "no text" in refusal(data)


def test_a_pdf_that_needs_a_password_is_refused() -> None:
    assert "password" in refusal(encrypted("secret"))


def test_a_pdf_with_an_empty_password_is_read() -> None:
    """Many are so: it lets everybody read, but not print or change."""
    assert pdf_text(encrypted(""), 1000)[0].startswith("First page.")


def test_control_characters_and_lone_surrogates_do_not_come_through() -> None:
    cmap = b"1 beginbfchar <41> <0007> <42> <D800> endbfchar"
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/Resources<</Font<</F1 4 0 R>>>>/Contents 6 0 R>>",
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode 5 0 R>>",
        stream(b"begincmap " + cmap + b" endcmap"),
        stream(text_page(b"xABx")),
    ]

    text, _ = pdf_text(pdf(objects), 1000)

    assert text.encode()
    assert text.startswith("x")
    assert not set(text) & {"\x07", "\ud800"}


# --- the process ---------------------------------------------------------------------------------


class Ended:
    """A process that wrote something and ended, or that was ended."""

    def __init__(self, stdout: bytes | None, error: Exception | None = None) -> None:
        self.stdout = stdout
        self._error = error

    def __call__(self, *args: Any, **options: Any) -> Ended:
        if self._error:
            raise self._error
        return self


def test_the_pages_before_the_end_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", Ended(b'"One."\n"Two."\n"cut off in the mid'))

    assert pdf_text(b"", 1000) == ("One.\n\nTwo.", True)


@pytest.mark.parametrize("written", [b'"One."\n', None])
def test_a_process_that_takes_too_long(
    monkeypatch: pytest.MonkeyPatch, written: bytes | None
) -> None:
    expired = subprocess.TimeoutExpired("pdf", 30, output=written)
    monkeypatch.setattr(subprocess, "run", Ended(None, expired))

    if written:
        assert pdf_text(b"", 1000) == ("One.", True)
    else:
        assert "too complicated" in refusal(b"")


def test_a_process_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")

    assert "could not start a process" in refusal(TWO_PAGES)


def test_the_kernel_ends_what_never_would(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forms that take hours: 2.5 kB. The limit is lowered here, the program is the same."""
    program = tmp_path / "pdfpages.py"
    source = pdf_module.PROGRAM.read_text(encoding="utf-8")
    assert "\nCPU_S = 10\n" in source
    program.write_text(source.replace("\nCPU_S = 10\n", "\nCPU_S = 2\n"), encoding="utf-8")
    monkeypatch.setattr(pdf_module, "PROGRAM", program)
    form = stream(b"1 0 0 RG " * 100_000 + text_page(b"x"), FORM)
    hostile = document(
        text_page(b"A fine page."), text_page(b"x") + b" /X0 Do" * 5_000, forms=[form]
    )

    assert len(hostile) < 5_000
    assert pdf_text(hostile, 1000) == ("A fine page.", True)


@settings(max_examples=15)
@given(
    st.lists(
        st.tuples(st.integers(0, len(TWO_PAGES)), st.integers(0, 9), st.binary(max_size=9)),
        min_size=1,
        max_size=4,
    )
)
@example([(0, 9, b"")])
def test_text_or_a_named_error_and_never_anything_else(
    changes: list[tuple[int, int, bytes]],
) -> None:
    data = TWO_PAGES
    for at, count, new in changes:
        data = data[:at] + new + data[at + count :]
    try:
        text, _ = pdf_text(data, 1000)
    except ClientError as error:
        outcome = error.code
    else:
        outcome = "text" if text else "nothing"
    assert outcome in {"text", "BAD_FILE"}
