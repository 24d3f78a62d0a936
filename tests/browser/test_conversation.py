"""The page in a browser, on the real host and models: it hears, shows, plays, and falls silent."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import numpy as np
import pytest
import trio

from tests.browser.hosts import HostProcess
from tests.browser.visits import LONG, QUESTION, SILENCE, Visit, visiting
from voicecore.audio import EAR_HZ, Pcm, Samples, resample
from voicecore.commands.hear import hear
from voicecore.config import Config

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.model

SILENT_WITHIN_MS = 50

LIKE = 0.75
"""Of the letters. A small model mishears a word now and then; of another reply it is below 0.5."""


def plain(text: str) -> list[str]:
    return re.sub(r"[^a-z' ]+", " ", text.lower()).split()


def words(samples: Samples, rate_hz: int) -> str:
    """What the host's own ears hear in this sound, with silence around it."""
    sound = np.pad(resample(Pcm(samples, rate_hz), EAR_HZ).samples, EAR_HZ // 2)
    transcripts = trio.run(hear, Config(), sound)
    return "".join(plain(" ".join(transcript.text for transcript in transcripts)))


def likeness(heard: str, written: str) -> float:
    """By letters, since "France is" and "Francis" sound the same."""
    return SequenceMatcher(None, heard, "".join(plain(written)), autojunk=False).ratio()


def test_a_spoken_question_is_shown_and_its_answer_is_shown_and_heard(visit: Visit) -> None:
    visit.press("Talk")
    visit.until_said()
    assert plain(visit.entries("user")[0]) == plain(QUESTION)
    reply = visit.entries("assistant")[0]
    assert "paris" in plain(reply)
    shown = plain(visit.text)
    assert "".join(plain(QUESTION)) in "".join(shown)
    assert "".join(plain(reply)) in "".join(shown)
    heard = visit.heard()
    assert likeness(words(heard.sound(), heard.rate_hz), reply) > LIKE


def test_the_words_are_followed_to_the_end_as_they_are_spoken(visit: Visit) -> None:
    visit.type(QUESTION)
    visit.until_said()
    (reply,) = [each for each in visit.state["entries"] if each["role"] == "assistant"]
    said = [reply["text"][word["from"] : word["to"]] for word in reply["words"]]
    assert plain(" ".join(said)) == plain(reply["text"])
    assert reply["spokenTo"] == reply["words"][-1]["to"]


@attrs.frozen
class Interruption:
    """Where, in frames of the sound, the page was told to be silent and given new sound to play."""

    told: int
    fresh: int


def interruption(visit: Visit) -> Interruption:
    """The only interruption of this visit."""
    (index,) = [
        index
        for index, (message, _) in enumerate(visit.received)
        if message["type"] == "user_activity" and message["interrupted_speech_id"]
    ]
    activity, told = visit.received[index]
    fresh = next(
        frame
        for message, frame in visit.received[index:]
        if message["type"] == "audio_chunk"
        and message["speech_id"] != activity["interrupted_speech_id"]
    )
    return Interruption(told, fresh)


def check_that_it_fell_silent(visit: Visit) -> None:
    """Nothing sounds from 50 ms after the page was told, until it has new sound to play.

    Both ends are places in the sound itself: how quick the machine is does not count.
    """
    heard, places = visit.heard(), interruption(visit)
    before = heard.peak(places.told - heard.rate_hz, places.told)
    assert before > SILENCE, "it was silent already: nothing was interrupted"
    silent_from = places.told + SILENT_WITHIN_MS * heard.rate_hz // 1000
    assert heard.peak(silent_from, places.fresh) <= SILENCE, (heard.missing, places)
    reply = visit.entries("assistant")[-1]
    said = words(heard.sound(places.fresh), heard.rate_hz)
    assert likeness(said, reply) > LIKE


def test_a_typed_message_silences_the_reply_and_late_sound_of_it_stays_unheard(
    visit: Visit,
) -> None:
    visit.type(LONG)
    visit.until_sounding()
    visit.page.evaluate("() => { window.testProbe.repeatAfterInterruption = 5; }")
    visit.type(QUESTION)
    visit.until_said(2)
    check_that_it_fell_silent(visit)
    assert visit.page.evaluate("() => window.testProbe.repeated") == 5
    assert visit.page.evaluate("() => window.voicecore.session.debug().droppedStale") >= 5
    states = [each["state"] for each in visit.state["entries"] if each["role"] == "assistant"]
    assert states == ["interrupted", "done"]


def test_a_question_asked_into_the_reply_silences_it(
    browser: Browser, host: HostProcess, question: Path
) -> None:
    with visiting(browser, host.url, scripts=["microphone.js"]) as visit:
        visit.press("Talk")
        visit.until_state("s.microphone.state === 'on' && s.session.state === 'started'")
        visit.type(LONG)
        visit.until_sounding()
        visit.say(question)
        visit.until_said(2)
        assert plain(visit.entries("user")[-1]) == plain(QUESTION)
        check_that_it_fell_silent(visit)


def test_while_the_button_is_held_it_listens_and_then_it_answers(
    browser: Browser, host: HostProcess, question: Path
) -> None:
    with visiting(browser, host.url, scripts=["microphone.js"]) as visit:
        visit.page.get_by_role("radio", name="Push to talk").check()
        visit.press("Talk")
        visit.until_state("s.microphone.state === 'on' && s.session.state === 'started'")
        visit.page.get_by_role("button", name="Hold to talk").hover()
        visit.page.mouse.down()
        visit.say(question)
        visit.page.mouse.up()
        visit.until_said()
        assert plain(visit.entries("user")[0]) == plain(QUESTION)
        sounds = visit.page.evaluate("() => window.testProbe.sounds")
        visit.say(question)  # it is not held any more: nothing of this is for the host
        assert visit.page.evaluate("() => window.testProbe.sounds") == sounds > 0


def test_the_page_speaks_the_documented_dialect_too(browser: Browser, host: HostProcess) -> None:
    with visiting(browser, host.url, "?dialect=documented") as visit:
        visit.press("Talk")
        visit.until_said()
        assert plain(visit.entries("user")[0]) == plain(QUESTION)
        heard = visit.heard()
        assert likeness(words(heard.sound(), heard.rate_hz), visit.entries("assistant")[0]) > LIKE
        kinds = {message["type"] for message, _ in visit.received}
        assert {"text", "audio"} <= kinds
        assert not {"gemini_response", "audio_chunk"} & kinds
