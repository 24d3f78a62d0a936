"""The program that reads a PDF file: the file comes by standard input, its pages go out as lines.

It is a process of its own (`pdf.py` runs it), since pypdf is pure Python and a PDF is a program:
2.5 kB of nested forms kept it busy for hours, and all that time it would take turns with the
threads that speak. A process can be given limits, and waits behind everything else.

It imports pypdf and nothing of voicecore. Each line is JSON: a string is one page's text; the last
is ``{"end": "all"}``, ``"part"`` when something was left out, or ``"encrypted"``. When the file is
damaged or a limit is reached the process ends without it, and the lines up to then are good.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import resource
import struct
import sys
import zlib
from typing import TextIO

import pypdf
from pypdf.errors import DependencyError, FileNotDecryptedError, PyPdfError

MAX_PAGES = 200
"""Looked at. A page has some 3,000 characters, so that far fewer fill a document; more are seen
only of a file that holds hardly any text."""

CPU_S = 10
"""Processor time for one file; then the kernel ends the process. A page of a book takes 20 ms, one
of a dense manual 100 ms."""

MEMORY_BYTES = 1024 * 1024 * 1024
"""Address space for one file; pypdf unpacks streams of up to 75 MB."""

BROKEN_PAGE = (
    PyPdfError, ArithmeticError, AssertionError, AttributeError, EOFError, LookupError,
    NotImplementedError, OSError, RecursionError, TypeError, ValueError, struct.error, zlib.error,
)  # fmt: skip
"""pypdf says that "broken PDF files might cause other exceptions" than its own."""


def main() -> None:
    """Read the file on standard input; the argument is how many characters are wanted."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(10)  # speech goes first
    # No other programs are run, and settings of older versions are not looked for.
    pypdf.overwrite_configuration(jbig2dec_binary=None, disable_legacy_handling=True)
    try:
        end = write_pages(sys.stdin.buffer.read(), int(sys.argv[1]), sys.stdout)
    except (FileNotDecryptedError, DependencyError):  # the latter: AES without `cryptography`
        end = "encrypted"
    sys.stdout.write(json.dumps({"end": end}) + "\n")


def write_pages(data: bytes, max_chars: int, out: TextIO) -> str:
    """Write the pages' text, a line each, until ``max_chars`` are reached. Returns how it ended."""
    pages = pypdf.PdfReader(io.BytesIO(data)).pages
    complete = len(pages) <= MAX_PAGES
    for page in itertools.islice(pages, MAX_PAGES):
        try:
            text = page.extract_text()
        except FileNotDecryptedError:
            raise
        except BROKEN_PAGE:
            complete = False
            continue
        out.write(json.dumps(text[:max_chars]) + "\n")
        out.flush()  # what is written stays, whatever becomes of the next page
        max_chars -= len(text)
        if max_chars < 0:
            return "part"
    return "all" if complete else "part"


if __name__ == "__main__":
    main()
