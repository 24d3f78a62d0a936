"""A whole host with a wake word: what a person at an open microphone meets."""

from __future__ import annotations

import attrs
import numpy as np
import trio
from trio.testing import MockClock

from tests.harness import PLAIN, Client, Fakes, open_stage
from voicecore.config import Config, WakeConfig
from voicecore.engines import Engines
from voicecore.engines.fake import KEYNOTE_HZ, FakeWake, babble, fake_llm, fake_stt, tone

AWAKE_MS = 3_000
ASLEEP = "Asleep. Say “Beep” to wake me."
AWAKE = "Awake, and listening."
SILENCE = np.zeros(16_000, np.int16)
WORD = tone(1_600, 16_000, hz=KEYNOTE_HZ)


class Wakeful(Fakes):
    def engines(self) -> Engines:
        return attrs.evolve(super().engines(), wake=FakeWake())


def fakes(*heard: str, reply: str = "Yes.") -> Fakes:
    return Wakeful(stt=fake_stt(heard), llm=fake_llm([reply] * 10))


CONFIG: Config = attrs.evolve(PLAIN, wake=WakeConfig(engine="fake", awake_ms=AWAKE_MS))


def wakings(client: Client) -> list[str]:
    return [status for status in client.statuses() if status in {ASLEEP, AWAKE}]


async def test_only_after_the_word_is_anything_heard(autojump_clock: MockClock) -> None:
    one = fakes("what time is it")
    async with open_stage(one, CONFIG) as stage, stage.connect() as client:
        await client.start()
        await client.until(lambda m: m.get("message") == ASLEEP)
        await client.say(1)
        assert not client.messages("user_activity")
        assert not one.stt.requests
        await client.microphone(np.concatenate([WORD, babble(16_000), SILENCE]))
        await client.type("user_transcript", text="what time is it")
        await client.type("system")
        assert wakings(client) == [ASLEEP, AWAKE]
        assert client.text() == "Yes."


async def test_it_listens_on_for_a_while_and_then_sleeps_again(autojump_clock: MockClock) -> None:
    async with open_stage(fakes("one", "two", "three"), CONFIG) as stage:
        async with stage.connect() as client:
            await client.start()
            await client.microphone(np.concatenate([WORD, SILENCE, babble(16_000), SILENCE]))
            await client.type("system")
            mark = client.mark()
            await client.say(1)  # no word is needed
            await client.type("user_transcript", after=mark, text="two")
            await client.type("system", after=mark)
            await client.microphone(np.concatenate([SILENCE] * 5))
            assert wakings(client) == [ASLEEP, AWAKE, ASLEEP]
            mark = client.mark()
            await client.say(1)
            assert not [m for m in client.messages()[mark:] if m["type"] == "user_activity"]


async def test_a_long_reply_keeps_it_awake_and_can_be_interrupted(
    autojump_clock: MockClock,
) -> None:
    long = "This is a long reply that goes on and on, for many seconds. " * 5
    async with open_stage(fakes("one", "stop it", reply=long), CONFIG) as stage:
        async with stage.connect() as client:
            await client.start()
            await client.microphone(np.concatenate([WORD, SILENCE, babble(16_000)]))
            await client.microphone(np.concatenate([SILENCE] * 8))  # longer than AWAKE_MS
            assert client.messages("audio")
            mark = client.mark()
            await client.say(1)
            activity = await client.type("user_activity", after=mark)
            assert activity["interrupted_speech_id"] is not None
            await client.type("user_transcript", after=mark, text="stop it")
            assert wakings(client) == [ASLEEP, AWAKE]


async def test_a_typed_message_is_answered_and_may_be_answered_aloud(
    autojump_clock: MockClock,
) -> None:
    async with open_stage(fakes("and then"), CONFIG) as stage, stage.connect() as client:
        await client.start()
        await client.type_text("hello")
        await client.type("system")
        await client.say(1)
        await client.type("user_transcript", text="and then")
        assert wakings(client) == [ASLEEP, AWAKE]


async def test_each_start_begins_asleep(autojump_clock: MockClock) -> None:
    async with open_stage(fakes(), CONFIG) as stage, stage.connect() as client:
        await client.start()
        await client.microphone(np.concatenate([WORD, SILENCE]))
        await client.send(action="pause_session")
        await client.start()
        await trio.sleep(0.1)
        assert wakings(client) == [ASLEEP, AWAKE, ASLEEP]


async def test_shipped_clients_are_told_by_code(autojump_clock: MockClock) -> None:
    async with open_stage(fakes(), CONFIG) as stage:
        async with stage.connect("/ws/default?dialect=native") as client:
            await client.start()
            status = await client.until(lambda m: "ASLEEP" in str(m.get("message")))
            assert status["message"] == ('{"code":"ASLEEP","details":{"message":"' + ASLEEP + '"}}')


async def test_without_a_wake_word_nobody_is_told_of_one(autojump_clock: MockClock) -> None:
    async with open_stage() as stage, stage.connect() as client:
        await client.start()
        await client.say(1)
        await client.type("system")
        assert wakings(client) == []


async def test_the_wake_word_is_among_the_engines_that_are_told(autojump_clock: MockClock) -> None:
    async with open_stage(fakes(), CONFIG) as stage:
        status, body = await stage.get("/healthz")
        assert status == 200
        assert b'"wake"' in body
