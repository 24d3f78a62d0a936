"""The page that people talk to: which of its files are served, and how.

The files lie beside this module in ``static/`` and are served as they are: ``index.html`` as ``/``,
``style/page.css`` as ``/page/style/page.css``. Nothing is built and nothing is fetched elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import attrs

STATIC = Path(__file__).parent / "static"

INDEX = "index.html"
PREFIX = "/page/"

CONTENT_TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
"""What is served. A file with another suffix (an editor's copy, say) is not there."""

_CONTENT = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data: blob:",
    "connect-src": "'self' ws: wss:",  # Safari does not take 'self' for a WebSocket
    "font-src": "'self'",
    "media-src": "'self' blob:",
    "worker-src": "'self'",
    "manifest-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
_OWN = ("microphone", "camera", "display-capture", "autoplay", "fullscreen", "screen-wake-lock")
_OFF = (
    "accelerometer", "geolocation", "gyroscope", "hid", "idle-detection",
    "magnetometer", "midi", "payment", "publickey-credentials-get", "serial", "usb",
    "xr-spatial-tracking",
)  # fmt: skip

HEADERS: tuple[tuple[str, str], ...] = (
    ("Content-Security-Policy", "; ".join(f"{what} {whence}" for what, whence in _CONTENT.items())),
    ("Referrer-Policy", "no-referrer"),
    (
        "Permissions-Policy",
        ", ".join([*(f"{name}=(self)" for name in _OWN), *(f"{name}=()" for name in _OFF)]),
    ),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
"""Sent with every file: the page loads nothing from elsewhere, nobody else may show it in a frame
or load parts of it, and it may use the microphone, the camera and the screen, but no other device.
"""


@attrs.frozen
class File:
    """One file of the page, as it is now."""

    body: bytes = attrs.field(repr=lambda body: f"<{len(body)} bytes>")
    content_type: str
    etag: str


class Page:
    """The table of files. Blocking: it reads the disk.

    Only what stands in the table can be asked for, so no path is ever made of what a client sends.
    The table is made at the first question and again after one for an unknown path; the files
    themselves are read each time. So whoever works on the page sees every change at once.
    """

    def __init__(self, folder: Path = STATIC) -> None:
        self._folder = folder
        self._table: dict[str, Path] = {}

    def file(self, path: str) -> File | None:
        """Read the file that is served at ``path``; None if there is none."""
        if path not in self._table:
            self._table = self._look()
        found = self._table.get(path)
        if found is None:
            return None
        try:
            body = found.read_bytes()
        except OSError:  # it was taken away
            return None
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        return File(body, CONTENT_TYPES[found.suffix], etag)

    def _look(self) -> dict[str, Path]:
        table = {}
        for found in self._folder.rglob("*"):
            name = found.relative_to(self._folder).as_posix()
            if found.suffix in CONTENT_TYPES and found.is_file():
                table["/" if name == INDEX else PREFIX + name] = found
        return table


def matches(if_none_match: str, etag: str) -> bool:
    """Whether a client has the file already (RFC 9110, 13.1.2; a weak comparison)."""
    told = [each.strip().removeprefix("W/") for each in if_none_match.split(",")]
    return etag in told or "*" in told
