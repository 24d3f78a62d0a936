"""The words in a file's bytes, if it is text at all."""

from __future__ import annotations

import codecs
import re

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Byte order marks. Windows programs write them; UTF-16 without one is not recognised."""

MAX_FOREIGN = 0.25
"""Share of bytes beyond ASCII in a text that is taken for Windows-1252. Western European prose has
at most a tenth; Cyrillic, Greek, Chinese or Japanese in an old encoding has more than half, and
would decode without an error to nonsense."""

_NEWLINES = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
_UNPRINTABLE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")
"""Controls besides tab and newline, lone surrogates (which no encoding can store), stray marks."""

_CONTROL_BYTES = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
"""What text in Windows-1252 does not hold. Escape stays: logs have it for their colours."""


def decode(data: bytes) -> str | None:
    """Read text that has a byte order mark, or is UTF-8, or by all signs Windows-1252.

    Returns:
        The text as it is, or None: it is no text, or in another encoding.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _without_nul(_strictly(data[len(mark) :], encoding))
    text = _strictly(data, "utf-8")
    return _windows_1252(data) if text is None else _without_nul(text)


def clean(text: str) -> str:
    """Make it fit for prompts and storage: one kind of newline, nothing that cannot be shown."""
    return _UNPRINTABLE.sub("", _NEWLINES.sub("\n", text)).strip("\n")


def _strictly(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


def _without_nul(text: str | None) -> str | None:
    """Text has no NUL; many small binary files are valid UTF-8 but for that."""
    return None if text is None or "\0" in text else text


def _windows_1252(data: bytes) -> str | None:
    foreign = len(data) - len(data.decode("ascii", "ignore"))
    if foreign > MAX_FOREIGN * len(data) or _CONTROL_BYTES.search(data):
        return None
    return _strictly(data, "cp1252")  # which leaves five bytes undefined
