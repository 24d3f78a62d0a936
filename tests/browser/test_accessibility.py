"""axe-core finds nothing to complain about: main states, light and dark, phone and kiosk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest

from tests.browser.hosts import HostProcess
from tests.browser.screens import KIOSK, PHONE, Screen
from tests.browser.visits import Visit, visiting

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.model


SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

SETTLE = """async () => {
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const moving = () => document.getAnimations().filter((each) => each instanceof CSSTransition);
  await frame();
  do {
    moving().forEach((each) => each.finish());
    await frame();
    await frame();
  } while (moving().length);
}"""
"""No colour is halfway to another one while it is looked at."""


def complaints(visit: Visit, axe: str) -> list[str]:
    """What axe finds in light and in dark, one line each."""
    found = []
    for scheme in SCHEMES:
        visit.page.emulate_media(color_scheme=scheme)
        visit.page.evaluate(SETTLE)
        visit.page.evaluate(axe)
        for rule in visit.page.evaluate("async () => (await axe.run()).violations"):
            found += [f"{scheme}: {rule['id']}: {describe(node)}" for node in rule["nodes"]]
    return found


def describe(node: dict[str, Any]) -> str:
    return f"{' '.join(map(str, node['target']))}: {node['failureSummary']}"


@pytest.mark.parametrize("screen", [PHONE, KIOSK], ids=["phone", "kiosk"])
def test_axe_finds_nothing(browser: Browser, host: HostProcess, axe: str, screen: Screen) -> None:
    with visiting(browser, host.url, reduced_motion="reduce", **screen) as visit:
        found = {"idle": complaints(visit, axe)}
        visit.type("Hello.")
        visit.until_said()
        found["conversation"] = complaints(visit, axe)
        for sheet in ("Settings", "Conversations", "Activity"):
            visit.press(sheet)
            visit.page.get_by_role("dialog").wait_for()
            found[sheet] = complaints(visit, axe)
            visit.page.keyboard.press("Escape")
        visit.open_drawer()
        found["drawer"] = complaints(visit, axe)
        visit.page.keyboard.press("Escape")
        visit.lose_network()
        visit.until_read("The host does not answer")
        found["error"] = complaints(visit, axe)
        assert found == {state: [] for state in found}
