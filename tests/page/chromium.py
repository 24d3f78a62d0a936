"""Debian's Chromium, headless, driven by Playwright: what the tests of the page share."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

T = TypeVar("T")

NAMES = ("chromium", "chromium-browser", "google-chrome")

FLAGS = (
    "--no-sandbox",  # tests run as root in containers
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",  # /dev/shm is 64 MB in a container
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
)

FAKE_DEVICES = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
"""A microphone and a camera that exist in every browser, and are always allowed."""


def fake_microphone(recording: Path, *, loop: bool = False) -> tuple[str, ...]:
    """Flags that have a WAV file spoken into the microphone, once or again and again.

    It begins when the page opens the microphone.
    """
    once = "" if loop else "%noloop"
    return (*FAKE_DEVICES, f"--use-file-for-fake-audio-capture={recording}{once}")


def executable() -> str | None:
    """Where Chromium is, if it is installed."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def missing() -> str:
    """What must be installed before a browser can be driven; empty if nothing."""
    if importlib.util.find_spec("playwright") is None:
        return "the browser tests need Playwright: pip install playwright"
    if executable() is None:
        return "the browser tests need Chromium: apt-get install chromium"
    return ""


needs_chromium = pytest.mark.skipif(bool(missing()), reason=missing())


@contextmanager
def launched(*flags: str) -> Iterator[Browser]:
    """Run a browser until the block is left; for synchronous code only.

    Playwright's synchronous interface keeps an asyncio loop in the thread that uses it. Where
    anything else wants that thread, as trio does in the tests' own, use `in_a_thread`.

    Args:
        *flags: for Chromium, beside `FLAGS`.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable(), headless=True, args=[*FLAGS, *flags]
        )
        try:
            yield browser
        finally:
            browser.close()


def in_a_thread(work: Callable[[], T]) -> T:
    """Run synchronous browser work in a thread of its own, and wait for its result."""
    with ThreadPoolExecutor(1, thread_name_prefix="browser") as pool:
        return pool.submit(work).result()
