"""A sound over a reply, on a whole host: the reply falls silent, and goes on if it was nothing."""

from __future__ import annotations

import itertools

import pytest
import trio
from trio.testing import MockClock

from tests.harness import Client, Fakes, open_stage
from voicecore.engines.fake import fake_llm, fake_stt
from voicecore.errors import EngineError
from voicecore.store import MemoryStore

REPLY = "One two three four five. Six seven eight nine ten. And that is all there is to say."


def fakes(heard: list[str | EngineError]) -> Fakes:
    return Fakes(stt=fake_stt(["Tell me", *heard]), llm=fake_llm([REPLY, "Fine."]))


async def undisturbed_ms() -> float:
    async with open_stage(fakes([])) as stage, stage.connect("/ws/default?timeline=1") as client:
        await client.start()
        await client.say(1.0)
        await client.type("timeline")
        return client.sound_ms()


async def disturbed(client: Client, *, over: bool = True) -> None:
    await client.start()
    await client.say(1.0, silence_s=0.6)
    await client.type("audio")
    await trio.sleep(1)
    await client.say(0.4, silence_s=2.0)
    if over:
        await client.type("timeline")


@pytest.mark.parametrize("noise", ["", "Mm-hmm.", EngineError("The ears broke.")])
async def test_a_reply_goes_on_after_a_sound_that_meant_nothing(
    autojump_clock: MockClock, noise: str | EngineError
) -> None:
    whole_ms = await undisturbed_ms()
    store = MemoryStore(new_id=lambda: "kept", now=lambda: 0.0)
    async with (
        open_stage(fakes([noise, noise]), store=store) as stage,
        stage.connect("/ws/default?timeline=1") as client,
    ):
        await disturbed(client)
        await trio.sleep(1)  # until all of it is heard
        assert len(stage.fakes.llm.requests) == 1
    assert client.text() == REPLY
    assert [m["text"] for m in client.messages("user_transcript")] == ["Tell me"]
    # What was sent and not heard is sent again: 250 ms and two chunks at most.
    assert whole_ms <= client.sound_ms() <= whole_ms + 330
    assert max(later - one for one, later in itertools.pairwise(client.at("audio"))) > 0.3
    record, _ = await store.open("kept", character="default", client="local")
    assert [(m.role, m.content, m.interrupted) for m in record.messages] == [
        ("user", "Tell me", False),
        ("assistant", REPLY, False),
    ]


async def test_words_end_the_reply(autojump_clock: MockClock) -> None:
    async with open_stage(fakes(["Stop it", "Stop it"])) as stage, stage.connect() as client:
        await disturbed(client, over=False)
        await client.until(lambda m: m == {"type": "text", "text": "Fine."})
        assert client.text() == f"{REPLY}Fine."
        assert len(client.messages("user_activity")) == 2
        assert [m["text"] for m in client.messages("user_transcript")] == ["Tell me", "Stop it"]
