"""A visit to the page: what a person does there, and what the browser can tell of it."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attrs
import numpy as np
import trio

from tests.page.chromium import FLAGS, executable
from voicecore.audio import MOUTH_HZ, Pcm, Samples, wav_bytes
from voicecore.commands.say import say
from voicecore.config import Config

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, CDPSession, Page

HERE = Path(__file__).parent

QUESTION = "What is the capital of France?"

LONG = "Why is the sky blue?"
"""Answered at length, so that there is something to interrupt."""

LIMIT_S = 60
"""For everything that is waited for. Far more than it takes; a machine may be busy."""

POLL_MS = 50

SILENCE = 32
"""Of 32 768: 60 dB below full scale. The page's fades end in exact zeros."""


PAUSE_SAMPLES = 480
"""10 ms at 48 kHz. The pauses of the voice are never quite silent."""


@attrs.frozen
class Heard:
    """What the page sent to the loudspeaker."""

    start: int
    """Of the first sample, in frames of the page's audio clock."""
    samples: Samples
    rate_hz: int
    missing: int
    """Samples in between that were not recorded, and are zero here."""

    def between(self, begin: int, end: int | None = None) -> Samples:
        """The samples from one frame to another."""
        stop = None if end is None else max(end - self.start, 0)
        return self.samples[max(begin - self.start, 0) : stop]

    def peak(self, begin: int, end: int | None = None) -> int:
        """The loudest sample between these frames."""
        return int(np.abs(self.between(begin, end).astype(np.int32)).max(initial=0))

    def sound(self, begin: int = 0) -> Samples:
        """What sounded from that frame on, without stretches of digital silence.

        Where the machine was too busy to have the next sound ready in time, the page waits in
        silence. That must not decide whether the words can be understood.
        """
        samples = self.between(begin)
        edges = np.flatnonzero(np.diff(np.pad(samples == 0, 1).astype(np.int8)))
        kept = np.ones(len(samples), bool)
        for first, end in edges.reshape(-1, 2):
            kept[first:end] = end - first < PAUSE_SAMPLES
        return samples[kept]


class Visit:
    """One page in a browser, and everything that was observed of it."""

    def __init__(self, page: Page, host_url: str) -> None:
        self.page = page
        self.requests: list[str] = []
        """Addresses of everything that the page asked for, WebSockets included."""
        self.complaints: list[str] = []
        """Errors on the console, and exceptions that nobody caught."""
        self.expected: list[str] = []
        """Patterns of complaints that belong to the test."""
        self.url = host_url
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("websocket", lambda socket: self.requests.append(socket.url))
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        page.on("console", lambda message: self._listen(message.type, message.text))

    def _listen(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.complaints.append(f"{kind}: {text}")

    # --- What a person does ---

    def open(self, query: str = "") -> None:
        """Open the page and wait until it can be used."""
        self.page.goto(f"{self.url}/{query}")
        self.until("window.voicecore !== undefined")

    def press(self, name: str) -> None:
        """Press the button of this name."""
        self.page.get_by_role("button", name=name, exact=True).click(timeout=LIMIT_S * 1000)

    def type(self, text: str) -> None:
        """Write a message and send it with the keyboard."""
        box = self.page.get_by_role("textbox", name="Message")
        box.fill(text)
        box.press("Enter")

    def say(self, recording: Path) -> None:
        """Speak into the microphone, to the end; for a visit with the script ``microphone.js``."""
        wav = base64.b64encode(recording.read_bytes()).decode()
        self.page.evaluate("wav => window.testSay(wav)", wav)

    def open_drawer(self) -> None:
        """Open the developer's drawer; where there is no room for its button, in the settings."""
        button = self.page.get_by_role("button", name="Developer’s drawer", exact=True)
        if button.is_visible():
            button.click()
        else:
            self.press("Settings")
            self.press("Open the developer’s drawer")
        self.page.get_by_role("complementary").wait_for()

    def lose_network(self) -> None:
        """From now on the host cannot be reached."""
        self.expected += [r"ERR_INTERNET_DISCONNECTED", r"already in CLOSING or CLOSED state"]
        self.page.context.set_offline(offline=True)
        self.page.evaluate("() => window.testProbe.cut()")

    # --- What can be observed ---

    @property
    def state(self) -> dict[str, Any]:
        """The page's own view of the conversation."""
        state: dict[str, Any] = json.loads(
            self.page.evaluate("() => JSON.stringify(window.voicecore?.session.state ?? {})")
        )
        return state

    @property
    def text(self) -> str:
        """Every word that can be read."""
        return self.page.locator("body").inner_text()

    def until(self, condition: str | Callable[[], bool], why: str = "") -> None:
        """Wait for an expression of the page, or a function of the test, to become true.

        `page.wait_for_function` would need ``eval``, which the page's security policy refuses.
        """
        deadline = time.monotonic() + LIMIT_S
        while not (
            self.page.evaluate(f"() => Boolean({condition})")
            if isinstance(condition, str)
            else condition()
        ):
            assert time.monotonic() < deadline, f"still not {why or condition}: {self.report()}"
            self.page.wait_for_timeout(POLL_MS)

    def until_state(self, expression: str) -> None:
        """Wait for a condition on the page's state ``s``."""
        self.until(f"((s) => {expression})(window.voicecore.session.state)")

    def until_read(self, pattern: str) -> None:
        """Wait until this can be read on the page."""
        found = re.compile(pattern, re.IGNORECASE)
        self.until(lambda: bool(found.search(self.text)), f"to be read: {pattern}")

    @property
    def received(self) -> list[tuple[dict[str, Any], int]]:
        """The host's messages, with the frame of the sound at which they came."""
        told = self.page.evaluate("() => window.testProbe.messages")
        return [(each["message"], each["frame"]) for each in told]

    @property
    def sent(self) -> list[dict[str, Any]]:
        """What the page sent, without the sound."""
        sent: list[dict[str, Any]] = self.page.evaluate("() => window.testProbe.sent")
        return sent

    def entries(self, role: str) -> list[str]:
        """What the page keeps of one side of the conversation."""
        return [each["text"] for each in self.state["entries"] if each["role"] == role]

    def heard(self) -> Heard:
        """Everything that the page has played since it was opened."""
        told = self.page.evaluate("() => window.testProbe.sound()")
        samples = np.frombuffer(base64.b64decode(told["data"]), "<i2").astype(np.int16)
        return Heard(told["start"], samples, told["rate"], told["missing"])

    def until_sounding(self, seconds: float = 0.5) -> None:
        """Wait until that much sound was played."""
        self.until(f"window.testProbe.loudFrames() > {seconds} * window.testProbe.rate()")

    def until_said(self, replies: int = 1) -> None:
        """Wait until so many replies were completely spoken, or broken off."""
        self.until_state(
            f"s.entries.filter((e) => e.role === 'assistant' && "
            f"(e.state === 'done' || e.state === 'interrupted')).length >= {replies} "
            "&& s.phase !== 'speaking' && s.phase !== 'thinking' && window.testProbe.allSent()"
        )

    def report(self) -> str:
        """What helps to understand a failure."""
        state = json.dumps(self.state, ensure_ascii=False)[:3000]
        last = self.page.evaluate("() => window.testProbe?.messages.slice(-8) ?? []")
        return f"\nstate {state}\nlast messages {last}\ncomplaints {self.complaints}\n{self.text}"

    def check(self) -> None:
        """What must be true of every visit: nothing from elsewhere, and no complaint."""
        own = urlsplit(self.url).netloc
        elsewhere = [
            url
            for url in self.requests
            if urlsplit(url).netloc != own and urlsplit(url).scheme not in {"data", "blob"}
        ]
        assert not elsewhere, elsewhere
        violations = self.page.evaluate("() => window.testProbe.violations")
        assert not violations, violations
        unexpected = [
            complaint
            for complaint in self.complaints
            if not any(re.search(pattern, complaint) for pattern in self.expected)
        ]
        assert not unexpected, unexpected


def recording(folder: Path, text: str) -> Path:
    """A WAV file of these words, spoken by the host's own voice, with silence around them."""
    pause = np.zeros(MOUTH_HZ, np.int16)
    samples: Samples = np.concatenate([pause, trio.run(say, Config(), text), pause])
    path = folder / f"{len(text)}.wav"
    path.write_bytes(wav_bytes(Pcm(samples, MOUTH_HZ)))
    return path


def serve_tap(browser: Browser) -> CDPSession:
    """Answer the pages' request for the tap as if it were one of the host's own files.

    So the page's security policy need not be loosened. Playwright's own routes do not see what
    worklets ask for.
    """
    session = browser.new_browser_cdp_session()
    body = base64.b64encode((HERE / "tap.js").read_bytes()).decode()

    def give(event: dict[str, Any]) -> None:
        session.send(
            "Fetch.fulfillRequest",
            {
                "requestId": event["requestId"],
                "responseCode": 200,
                "responseHeaders": [{"name": "Content-Type", "value": "text/javascript"}],
                "body": body,
            },
        )

    session.on("Fetch.requestPaused", give)
    session.send("Fetch.enable", {"patterns": [{"urlPattern": "*/test/tap.js"}]})
    return session


@contextmanager
def another(browser: Browser, *flags: str) -> Iterator[Browser]:
    """Run a second browser, which differs in its flags; Playwright can be started only once."""
    other = browser.browser_type.launch(executable_path=executable(), args=[*FLAGS, *flags])
    try:
        serve_tap(other)
        yield other
    finally:
        other.close()


@contextmanager
def guest(
    browser: Browser, scripts: Sequence[str] = (), **options: Any
) -> Iterator[BrowserContext]:
    """A person with a browser of their own: nothing stored, unknown to the host."""
    context = browser.new_context(**{"locale": "en-US", **options})
    for script in ("probe.js", *scripts):
        context.add_init_script(path=HERE / script)
    try:
        yield context
    finally:
        context.close()


@contextmanager
def window(context: BrowserContext, host_url: str, query: str = "") -> Iterator[Visit]:
    """Open the page in a window; on leaving it, look whether all was well."""
    visit = Visit(context.new_page(), host_url)
    visit.open(query)
    yield visit
    visit.check()
    visit.page.close()


@contextmanager
def visiting(
    browser: Browser, host_url: str, query: str = "", scripts: Sequence[str] = (), **options: Any
) -> Iterator[Visit]:
    """Open the page as somebody new."""
    with guest(browser, scripts, **options) as context, window(context, host_url, query) as visit:
        yield visit
