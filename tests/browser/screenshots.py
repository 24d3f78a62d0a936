"""Pictures of the page's main states, from a real host: `scripts/screenshots`."""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import attrs
from PIL import Image

from tests.browser.hosts import HostProcess
from tests.browser.screens import DESKTOP, KIOSK, PHONE, Screen
from tests.browser.visits import LONG, QUESTION, Visit, guest, recording, serve_tap, window
from tests.page.chromium import launched

if TYPE_CHECKING:
    from playwright.sync_api import Browser

MAX_BYTES = 200_000
"""Of one picture: they are part of the repository."""

COLOURS = 256

SCHEMES = ("light", "dark")

SETTLE_MS = 700
"""After a state was reached: moves on the page have ended."""


@attrs.frozen
class Spoken:
    """What the person says."""

    question: Path
    long: Path


Reach: TypeAlias = Callable[[Visit, Spoken], None]


def idle(visit: Visit, spoken: Spoken) -> None:
    """Nobody has said anything. In the kiosk, it listens already."""
    visit.page.get_by_role("combobox", name="Character").wait_for()


def speaking(visit: Visit, spoken: Spoken) -> None:
    """A question was answered; the answer to the next one is halfway."""
    listen(visit)
    visit.say(spoken.question)
    visit.until_said()
    visit.say(spoken.long)
    visit.until_state("s.phase === 'speaking' && s.entries.at(-1).spokenTo > 100")


def drawer(visit: Visit, spoken: Spoken) -> None:
    """Stages and levels, after two turns."""
    listen(visit)
    for turn in (1, 2):
        visit.say(spoken.question)
        visit.until_said(turn)
    visit.open_drawer()


def away(visit: Visit, spoken: Spoken) -> None:
    """The host went away in the middle of a conversation."""
    listen(visit)
    visit.say(spoken.question)
    visit.until_said()
    visit.lose_network()
    visit.until_read("The host does not answer")


def listen(visit: Visit) -> None:
    if "kiosk" not in visit.page.url:  # the kiosk begins by itself
        visit.press("Talk")
    visit.until_state("s.microphone.state === 'on' && s.session.state === 'started'")


@attrs.frozen
class Shot:
    name: str
    screen: Screen
    reach: Reach
    query: str = ""


SHOTS = (
    Shot("phone-idle", PHONE, idle),
    Shot("phone-speaking", PHONE, speaking),
    Shot("phone-away", PHONE, away),
    Shot("kiosk-idle", KIOSK, idle, "?kiosk=1"),
    Shot("kiosk-speaking", KIOSK, speaking, "?kiosk=1"),
    Shot("kiosk-away", KIOSK, away, "?kiosk=1"),
    Shot("desktop-drawer", DESKTOP, drawer),
)


def picture(browser: Browser, url: str, shot: Shot, scheme: str, spoken: Spoken) -> bytes:
    """Open the page as somebody new, bring it into a state, and take its picture."""
    look = {**shot.screen, "color_scheme": scheme}
    with (
        guest(browser, ["microphone.js"], **look) as context,
        window(context, url, shot.query) as visit,
    ):
        shot.reach(visit, spoken)
        visit.page.wait_for_timeout(SETTLE_MS)
        return reduced(visit.page.screenshot())


def reduced(png: bytes) -> bytes:
    """The same picture in few colours, which is half of the bytes."""
    few = Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    data = io.BytesIO()
    few.save(data, "PNG", optimize=True)
    return data.getvalue()


def take(browser: Browser, url: str, spoken: Spoken, folder: Path) -> Iterator[str]:
    """Take every picture; yield what was written."""
    for shot in SHOTS:
        for scheme in SCHEMES:
            path = folder / f"{shot.name}-{scheme}.png"
            data = picture(browser, url, shot, scheme, spoken)
            if len(data) > MAX_BYTES:
                sys.exit(f"{path} would have {len(data)} bytes, over {MAX_BYTES}.")
            path.write_bytes(data)
            yield f"{path}: {len(data) / 1000:.0f} kB"


@contextmanager
def stage() -> Iterator[tuple[HostProcess, Browser, Spoken]]:
    """A host, a browser, and recordings to be spoken into its microphone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spoken = Spoken(recording(folder, QUESTION), recording(folder, LONG))
        host = HostProcess(folder, "--set", 'characters.robin.prompt="You are Robin."')
        try:
            with launched() as browser:
                serve_tap(browser)
                yield host, browser, spoken
        finally:
            host.stop()


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with stage() as (host, browser, spoken):
        for line in take(browser, host.url, spoken, folder):
            print(line, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
