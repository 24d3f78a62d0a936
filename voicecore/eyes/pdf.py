"""The words in a PDF file, read by a process of its own (`pdfpages`)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from voicecore.errors import ClientError
from voicecore.eyes.text import clean

PROGRAM = Path(__file__).with_name("pdfpages.py")

TIMEOUT_S = 30
"""Until the process is ended. Its own limit is 10 s of processor time; on a busy machine, behind
everything else, that takes longer."""

_SPACE = b"\xef\xbb\xbf\0\t\n\f\r "


def is_pdf(data: bytes) -> bool:
    """Tell a PDF by its beginning. White space may come before; readers have always allowed it."""
    return data[:1024].lstrip(_SPACE).startswith(b"%PDF-")


def pdf_text(data: bytes, max_chars: int) -> tuple[str, bool]:
    """Read at most ``max_chars`` of a PDF file's text, pages parted by an empty line.

    A page that cannot be read is left out. Blocks: 0.2 to 0.5 s for the process, and 10 to 100 ms
    for a page; at most `TIMEOUT_S`. Meanwhile it costs this process nothing.

    Returns:
        The text, and whether something was left out.

    Raises:
        ClientError: ``BAD_FILE``: it needs a password, holds no text, or is damaged.
    """
    lines = [json.loads(line) for line in _run(data, max_chars)]
    end = lines.pop()["end"] if lines and isinstance(lines[-1], dict) else "nothing"
    if end == "encrypted":
        raise _bad(
            "The PDF is encrypted and cannot be opened here. "
            "Save it without a password and send it again."
        )
    text = clean("\n\n".join(page.strip() for page in map(clean, lines) if page.strip()))
    if text:
        return text[:max_chars], end != "all" or len(text) > max_chars
    if end == "nothing":
        raise _bad(
            "The PDF cannot be read: it is damaged, incomplete or too complicated. "
            "Print it to a new PDF, or send its text."
        )
    raise _bad(
        "The PDF holds no text that can be read. If its pages are scanned, send them as pictures."
    )


def _run(data: bytes, max_chars: int) -> list[bytes]:
    """Run the program and return its complete lines, however it ended."""
    command = [sys.executable, "-P", str(PROGRAM), str(max_chars)]
    try:
        output = subprocess.run(
            command,
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # pypdf's remarks on the file, or how it failed
            timeout=TIMEOUT_S,
            check=False,
        ).stdout
    except subprocess.TimeoutExpired as expired:
        output = expired.stdout or b""
    except OSError as error:
        raise _bad(
            f"PDF files cannot be read now: the host could not start a process ({error.strerror}). "
            "Send it again later, or send its text."
        ) from error
    return [line for line in output.splitlines(keepends=True) if line.endswith(b"\n")]


def _bad(message: str) -> ClientError:
    return ClientError(message, "BAD_FILE")
