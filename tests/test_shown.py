"""What a client is shown if it asks: words as they are heard, and words as they are said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.harness import Client, Fakes, open_stage, telling_tts
from voicecore.audio import samples_to_ms
from voicecore.engines.fake import FakeEngine, fake_llm, fake_stt
from voicecore.engines.interface import Transcript, Urgency, Utterance
from voicecore.events import Notification

REPLY = "One 150 three four five. Six seven eight nine ten. And that is all there is."
SPOKEN = (
    "One one hundred fifty three four five. Six seven eight nine ten. And that is all there is."
)
WORDS = "/ws/default?words=1&timeline=1"


def fakes(heard: list[str], replies: list[str] | None = None) -> Fakes:
    return Fakes(
        stt=fake_stt(["Tell me", *heard]),
        llm=fake_llm(replies or [REPLY, "Fine."]),
        tts=telling_tts(),
    )


def told(client: Client) -> list[dict[str, Any]]:
    """All words, each with the speech it is of, what was sent of that, and the text by then."""
    found, text, sent_ms, speech = [], "", 0.0, ""
    for message in client.messages():
        if message["type"] == "text":
            text += message["text"]
        elif message["type"] == "audio":
            sent_ms += len(message["audio_data"]) * 3 / 4 / 2 / 48
        elif message["type"] == "speech_words":
            assert list(message) == ["type", "turn_id", "speech_id", "words"]
            if message["speech_id"] != speech:
                speech, sent_ms = message["speech_id"], 0.0
            found += [
                {"speech": speech, "sent_ms": sent_ms, "known": text, **word}
                for word in message["words"]
            ]
    return found


async def undisturbed() -> list[dict[str, Any]]:
    async with open_stage(fakes([])) as stage, stage.connect(WORDS) as client:
        await client.start()
        await client.say(1.0)
        await client.type("timeline")
        assert client.text() == REPLY
        return told(client)


async def test_each_word_is_told_before_its_sound_and_after_its_text(
    autojump_clock: MockClock,
) -> None:
    found = await undisturbed()
    assert " ".join(word["text"] for word in found) == SPOKEN
    marked = [word["known"][word["from"] : word["to"]] for word in found]
    assert marked == REPLY.replace("150", "150 150 150").split()
    for number, word in enumerate(found):
        assert word["sent_ms"] <= word["start_ms"] < word["sent_ms"] + 40
        assert word["end_ms"] - word["start_ms"] == pytest.approx(300, abs=0.1)
        assert word["start_ms"] == pytest.approx(number * 300, abs=1)  # phrases are rounded


async def test_a_reply_that_goes_on_tells_its_words_from_there(autojump_clock: MockClock) -> None:
    whole = await undisturbed()
    async with open_stage(fakes(["", ""])) as stage, stage.connect(WORDS) as client:
        await client.start()
        await client.say(1.0, silence_s=0.6)
        await client.type("audio")
        await trio.sleep(1)
        await client.say(0.4, silence_s=2.0)
        await client.type("timeline")
    assert client.text() == REPLY
    (notice,) = [m for m in client.messages("user_activity") if m["interrupted_speech_id"]]
    turn = notice["interrupted_speech_id"]
    found = told(client)
    first = [word for word in found if word["speech"] == turn]
    again = [word for word in found if word["speech"] == f"{turn}.2"]
    assert len(first) + len(again) == len(found)
    assert [word["text"] for word in first] == [word["text"] for word in whole[: len(first)]]
    rest = whole[-len(again) :]
    assert [word["text"] for word in again] == [word["text"] for word in rest]
    assert [(word["from"], word["to"]) for word in again] == [(w["from"], w["to"]) for w in rest]
    # The first one was being said when it was silenced: it is told again, from where it goes on.
    assert again[0]["start_ms"] == 0 < again[0]["end_ms"] < 300
    begun_ms = rest[0]["end_ms"] - again[0]["end_ms"]
    assert begun_ms % 40 == pytest.approx(0, abs=0.2)
    for before, after in zip(rest[1:], again[1:], strict=True):
        assert before["start_ms"] - after["start_ms"] == pytest.approx(begun_ms, abs=0.2)
        assert before["end_ms"] - after["end_ms"] == pytest.approx(begun_ms, abs=0.2)


async def test_after_an_interruption_no_words_of_the_dead_reply_come(
    autojump_clock: MockClock,
) -> None:
    stopped = fakes(["Stop it", "Stop it"])
    async with open_stage(stopped) as stage, stage.connect(WORDS) as client:
        await client.start()
        await client.say(1.0, silence_s=0.6)
        await client.type("audio")
        await trio.sleep(1)
        await client.say(1.0, silence_s=1.0)
        await client.until(lambda m: m["type"] == "text" and m["text"] == "Fine.")
        await trio.sleep(1)
    (notice,) = [m for m in client.messages("user_activity") if m["interrupted_speech_id"]]
    dead = notice["interrupted_speech_id"]
    after = client.messages()[client.messages().index(notice) + 1 :]
    later = [m for m in after if m["type"] == "speech_words"]
    assert [word["text"] for message in later for word in message["words"]] == ["Fine."]
    assert not any(message["turn_id"] == dead for message in later)
    assert (later[0]["words"][0]["from"], later[0]["words"][0]["to"]) == (0, 5)


async def test_what_the_host_says_unasked_is_marked_too(autojump_clock: MockClock) -> None:
    async with open_stage(fakes([])) as stage, stage.connect(WORDS) as client:
        await client.start()
        news = Notification("Tea is ready.", "timer", "completed")
        stage.host.presence.notify("neko:address:local", news)
        await client.type("timeline")
    found = told(client)
    assert [word["known"][word["from"] : word["to"]] for word in found] == ["Tea", "is", "ready."]


# --- words as they are heard ---

QUESTION = "what is the capital of France"


def listening(*finals: str) -> FakeEngine[Utterance, Transcript]:
    """Recognises a word for each 300 ms of what is unfinished; of what is over, the next text."""
    scripted = iter(finals)

    def script(utterance: Utterance) -> Iterator[tuple[float, Transcript]]:
        heard = int(samples_to_ms(len(utterance.samples), 16_000) // 300)
        text = " ".join(QUESTION.split()[:heard])
        if utterance.urgency is not Urgency.PARTIAL:
            text = next(scripted)
        yield 0.05, Transcript(text, confidence=0.9 if text else 0.0)

    return FakeEngine("stt", script)


async def test_words_are_shown_while_they_are_said(autojump_clock: MockClock) -> None:
    ears = Fakes(stt=listening("What is the capital of France?"))
    async with open_stage(ears) as stage, stage.connect("/ws/default?partials=1") as client:
        await client.start()
        await client.say(2.0)
        await client.type("user_transcript")
    shown = [m["text"] for m in client.messages("user_partial")]
    assert shown == ["what is", "what is the capital", "What is the capital of France?"]
    kinds = [m["type"] for m in client.messages()]
    first, last = kinds.index("user_partial"), len(kinds) - kinds[::-1].index("user_partial")
    assert kinds.index("user_activity") < first < last <= kinds.index("user_transcript")


async def test_words_that_prove_to_be_none_are_taken_back(autojump_clock: MockClock) -> None:
    ears = Fakes(stt=listening("", ""))
    async with open_stage(ears) as stage, stage.connect("/ws/default?partials=1") as client:
        await client.start()
        await client.say(1.5, silence_s=2.0)
        shown = [m["text"] for m in client.messages("user_partial")]
        assert shown[0] == "what is"
        assert shown[-1] == ""
        assert client.messages("user_transcript") == []


async def test_who_did_not_ask_is_shown_nothing_else(autojump_clock: MockClock) -> None:
    for path in ("/ws/default", "/ws/default?words=0&partials=yes", "/ws?words=1&partials=1"):
        shown = Fakes(stt=listening("Hi"), llm=fake_llm([REPLY]), tts=telling_tts())
        async with open_stage(shown) as stage, stage.connect(path) as client:
            if path.startswith("/ws/"):
                await client.start()
                await client.say(1.0)
                await client.type("audio")
            else:
                await client.send(type="chat", message="Hi")
                await client.type("done")
            assert not client.messages("user_partial")
            assert not client.messages("speech_words")
