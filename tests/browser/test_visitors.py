"""Whoever comes is served: with or without a microphone, in any language, on any screen."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.browser.hosts import HostProcess
from tests.browser.screens import KIOSK, PHONE
from tests.browser.visits import LONG, SILENCE, Visit, another, visiting
from tests.page.chromium import FAKE_DEVICES

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.model


def test_a_microphone_that_is_denied_is_told_and_typing_still_works(
    browser: Browser, host: HostProcess
) -> None:
    with another(browser, FAKE_DEVICES[0], "--deny-permission-prompts") as strict:
        with visiting(strict, host.url) as visit:
            visit.press("Talk")
            visit.until_read("The microphone is blocked")
            assert visit.state["microphone"]["state"] == "denied"
            visit.type("Hello.")
            visit.until_said()
            assert visit.heard().sound().size


def test_a_machine_without_microphone_is_told(host: HostProcess, browser: Browser) -> None:
    with another(browser) as deaf:
        with visiting(deaf, host.url, permissions=["microphone"]) as visit:
            visit.press("Talk")
            visit.until_read("No microphone found")
            assert visit.state["microphone"]["state"] == "missing"


def test_typing_asks_for_no_microphone(visit: Visit) -> None:
    visit.page.evaluate(
        "() => { navigator.mediaDevices.getUserMedia = () => { throw new Error('asked'); }; }"
    )
    visit.type("Hello.")
    visit.until_said()
    assert visit.entries("user") == ["Hello."]
    assert visit.heard().sound().size
    assert visit.state["microphone"]["state"] == "off"


def test_escape_stops_the_reply(visit: Visit) -> None:
    visit.type(LONG)
    visit.until_sounding()
    visit.page.keyboard.press("Escape")
    visit.until_state("s.phase !== 'speaking' && s.phase !== 'thinking'")
    stopped = visit.page.evaluate("() => window.testProbe.frame()")
    visit.page.wait_for_timeout(1_000)
    heard = visit.heard()
    assert heard.peak(stopped + heard.rate_hz // 20) <= SILENCE
    visit.type("Hello.")
    visit.until_said(2)


def test_nothing_is_connected_nor_recorded_before_somebody_asks_for_it(visit: Visit) -> None:
    visit.until(lambda: visit.requests[-1].startswith(visit.url + "/api/"), "at rest")
    assert [url for url in visit.requests if url.startswith("ws")] == []
    assert visit.state["microphone"]["state"] == "off"
    assert visit.heard().samples.size == 0


def strings(visit: Visit, language: str) -> dict[str, str]:
    texts: dict[str, str] = visit.page.evaluate(
        "async (language) => (await import(`/page/strings/${language}.js`)).default", language
    )
    return texts


@pytest.mark.parametrize(
    ("locale", "language"), [("en-GB", "en"), ("zh-CN", "zh"), ("ja-JP", "ja"), ("de-DE", "en")]
)
def test_the_page_speaks_the_language_of_the_browser_and_fits_every_screen(
    browser: Browser, host: HostProcess, locale: str, language: str
) -> None:
    with visiting(browser, host.url, locale=locale, **PHONE) as visit:
        texts = strings(visit, language)
        assert visit.page.evaluate("() => document.documentElement.lang").startswith(language)
        shown: list[list[str]] = visit.page.evaluate(
            "() => [...document.querySelectorAll('[data-text]')]"
            ".map((each) => [each.dataset.text, each.textContent])"
        )
        assert shown
        assert dict(shown) == {key: texts[key] for key, _ in shown}
        assert visit.page.get_by_role("button", name=texts["talk.begin"], exact=True).is_visible()
        assert visit.page.title() == texts["page.title"]
        assert too_wide(visit) == 0
        visit.press(texts["top.settings"])
        assert too_wide(visit) == 0
        visit.page.set_viewport_size(KIOSK["viewport"])
        assert too_wide(visit) == 0


def too_wide(visit: Visit) -> int:
    """Pixels that one would have to scroll sideways for."""
    pixels: int = visit.page.evaluate(
        "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return pixels


def test_all_languages_say_the_same(visit: Visit) -> None:
    def places(texts: dict[str, str]) -> dict[str, set[str]]:
        return {key: set(re.findall(r"\{\w+\}", text)) for key, text in texts.items()}

    english = strings(visit, "en")
    for language in ("zh", "ja"):
        texts = strings(visit, language)
        assert places(texts) == places(english)
        same = [key for key, text in texts.items() if text == english[key]]
        assert [key for key in same if not key.startswith("unit.")] in ([], ["page.title"])
