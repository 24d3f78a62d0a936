"""What happens at the same time: leaving, joining, storing, timers and other sockets."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from itertools import count

import attrs
import pytest
import trio
from trio.testing import MockClock

from tests.harness import PLAIN, Client, Fakes, open_stage
from voicecore.config import CharacterConfig, Config, ServerConfig, ToolsConfig
from voicecore.engines.fake import fake_llm
from voicecore.errors import StoreError
from voicecore.host import Host
from voicecore.metrics import Metrics
from voicecore.reload import reconfigure, reload
from voicecore.store import MemoryStore, StoredMessage
from voicecore.tools.tool import Tool, ToolContext

CALL = '<tool_call>{"name": "work", "arguments": {}}</tool_call>'
REBEGIN = {"action": "start_session", "input_type": "text"}


class SlowStore(MemoryStore):
    """Each write takes 300 ms."""

    def __init__(self) -> None:
        ids = count(1)
        super().__init__(new_id=lambda: f"s{next(ids)}", now=lambda: 1.0)

    async def append(self, session_id: str, messages: Sequence[StoredMessage]) -> None:
        await trio.sleep(0.3)
        await super().append(session_id, messages)

    async def end(self, session_id: str) -> None:
        await trio.sleep(0.3)
        await super().end(session_id)


def thinking(*replies: str) -> Fakes:
    return Fakes(llm=fake_llm(replies))


def working(seconds: float, result: str, **fields: object) -> Tool:
    async def work(arguments: Mapping[str, object], context: ToolContext) -> str:
        await trio.sleep(seconds)
        return result

    return Tool("work", "Works.", {"type": "object"}, dict, work, **fields)  # type: ignore[arg-type]


def last_prompt(fakes: Fakes) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in fakes.llm.requests[-1].messages[1:]]


async def chat(client: Client, text: str, **fields: object) -> None:
    mark = client.mark()
    await client.send(type="chat", message=text, **fields)
    await client.type("done", after=mark)


# --- leaving while others speak to one ---


async def _leave_while_another_speaks(steps: int) -> bool:
    async with open_stage() as stage, stage.connect("/ws?client=b") as staying:
        await chat(staying, "hi", sessionId="s")
        async with stage.connect("/ws?client=a") as leaving:
            await chat(leaving, "yo", sessionId="s")

            async def speak() -> None:
                for _ in range(steps):
                    await trio.lowlevel.checkpoint()
                await staying.send(type="chat", message="more")

            async with trio.open_nursery() as nursery:
                nursery.start_soon(leaving.socket.aclose)
                nursery.start_soon(speak)
            await trio.sleep(5)
            return not staying.gone.is_set() and len(staying.messages("done")) == 2


def test_one_who_leaves_takes_nobody_along() -> None:
    for steps in range(60):
        assert trio.run(_leave_while_another_speaks, steps, clock=MockClock(0, 0))


async def _timer_is_due_while_its_client_leaves(steps: int) -> None:
    async def work(arguments: Mapping[str, object], context: ToolContext) -> str:
        await trio.sleep(1)
        for _ in range(steps):
            await trio.lowlevel.checkpoint()
        return "due"

    timer = Tool("work", "Works.", {"type": "object"}, dict, work, detached=True)
    async with open_stage(thinking(CALL, "ok"), tools=[timer]) as stage, stage.connect("/ws") as me:
        await me.send(type="chat", message="x")
        await me.until(lambda m: m.get("task", {}).get("status") == "running")
        due_s = trio.current_time() + 1
        await me.type("done")
        await trio.sleep_until(due_s)
        await me.socket.aclose()


def test_a_timer_that_is_due_while_its_client_leaves_harms_nobody() -> None:
    for steps in range(60):
        trio.run(_timer_is_due_while_its_client_leaves, steps, clock=MockClock(0, 0))


# --- a store that is behind ---


async def test_starting_again_knows_what_was_just_heard(autojump_clock: MockClock) -> None:
    fakes = thinking("One two three four five six seven eight nine ten eleven. " * 3, "ok")
    async with open_stage(fakes, store=SlowStore()) as stage, stage.connect() as client:
        await client.start()
        await client.type_text("count")
        await client.type("audio")
        await trio.sleep(2)
        mark = client.mark()
        await client.send(**REBEGIN)
        await client.type("session_started", after=mark)
        await client.type_text("go on")
        await client.type("system", after=client.mark())
        assert [role for role, _ in last_prompt(fakes)] == ["user", "assistant", "user"]


async def test_a_conversation_that_was_ended_is_not_gone_on_with(
    autojump_clock: MockClock,
) -> None:
    fakes = thinking("Hello Ann.", "I do not know.")
    async with open_stage(fakes, store=SlowStore()) as stage, stage.connect() as client:
        await client.start()
        await client.type_text("my name is Ann")
        await client.type("system")
        await trio.sleep(5)
        mark = client.mark()
        await client.send(action="end_session")
        await client.send(**REBEGIN)
        await client.type("session_started", after=mark)
        await client.type_text("who am I")
        await client.type("system", after=client.mark())
        assert last_prompt(fakes) == [("user", "who am I")]


async def test_going_back_to_a_conversation_finds_its_last_answer(
    autojump_clock: MockClock,
) -> None:
    fakes = thinking("First.", "Second.", "Third.")
    async with open_stage(fakes, store=SlowStore()) as stage, stage.connect("/ws") as client:
        for text, session_id in (("one", "x"), ("two", "y"), ("three", "x")):
            await chat(client, text, sessionId=session_id)
        assert [text for _, text in last_prompt(fakes)] == ["one", "First.", "three"]


async def test_who_joins_a_conversation_knows_what_was_just_said(
    autojump_clock: MockClock,
) -> None:
    fakes = thinking("Hello Ann.", "You are Ann.")
    async with open_stage(fakes, store=SlowStore()) as stage, stage.connect("/ws") as client:
        await chat(client, "my name is Ann", sessionId="s")
        async with stage.connect("/ws?client=b") as other:
            await chat(other, "who am I", sessionId="s")
        contents = [text for _, text in last_prompt(fakes)]
        assert contents == ["my name is Ann", "Hello Ann.", "who am I"]


async def test_a_call_is_stored_with_its_result_or_not_at_all(autojump_clock: MockClock) -> None:
    class Full(MemoryStore):
        async def append(self, session_id: str, messages: Sequence[StoredMessage]) -> None:
            if any(message.role == "tool" for message in messages):
                raise StoreError("The disk is full.")
            await super().append(session_id, messages)

    store = Full(new_id=lambda: "s1", now=lambda: 1.0)
    async with (
        open_stage(thinking(CALL, "It is noon."), store=store, tools=[working(0, "noon")]) as stage,
        stage.connect("/ws") as client,
    ):
        await chat(client, "time?")
        await trio.sleep(1)
        record, _ = await store.open("s1", character="default", client="x")
        assert [message.role for message in record.messages] == ["user"]


# --- characters and configuration ---


async def test_a_resumed_conversation_is_answered_by_whom_it_was_begun_with(
    autojump_clock: MockClock,
) -> None:
    characters = {
        "default": CharacterConfig(prompt="Be default."),
        "robin": CharacterConfig(prompt="Be Robin."),
    }
    fakes = Fakes()
    async with open_stage(fakes, attrs.evolve(PLAIN, characters=characters)) as stage:
        async with stage.connect("/ws") as client:
            await client.send(type="select_agent", agentId="robin")
            await chat(client, "hi", sessionId="s")
        async with stage.connect("/ws") as client:
            await chat(client, "again", sessionId="s")
            assert (await client.type("session"))["agentId"] == "robin"
            assert fakes.llm.requests[-1].messages[0].content == "Be Robin."
            await chat(client, "and you?", agentId="default")
            assert fakes.llm.requests[-1].messages[0].content == "Be default."


async def test_removing_the_active_character_tells_its_clients_once(
    autojump_clock: MockClock,
) -> None:
    characters = {**PLAIN.characters, "robin": CharacterConfig()}
    config = attrs.evolve(PLAIN, characters=characters, server=ServerConfig(character="robin"))
    async with open_stage(config=config) as stage, stage.connect("/ws/robin") as client:
        await client.start()
        reconfigure(stage.host, PLAIN)
        await trio.sleep(1)
        assert len(client.messages("catgirl_switched")) == 1


async def test_of_two_reloads_the_later_one_counts() -> None:
    host = Host(PLAIN, MemoryStore(new_id=str, now=lambda: 1.0), Metrics())
    go_on = threading.Event()

    def slow_old() -> Config:
        go_on.wait(5)
        return attrs.evolve(PLAIN, tools=ToolsConfig(filler="old"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reload, host, slow_old)
        await trio.testing.wait_all_tasks_blocked(0.05)
        nursery.start_soon(
            reload, host, lambda: attrs.evolve(PLAIN, tools=ToolsConfig(filler="new"))
        )
        await trio.testing.wait_all_tasks_blocked(0.05)
        go_on.set()
    assert host.config.tools.filler == "new"


async def test_nobody_becomes_another_client_by_naming_its_address(
    autojump_clock: MockClock,
) -> None:
    fakes = thinking("I shall keep it.", "I do not know it.")
    async with open_stage(fakes) as stage, stage.connect() as victim:
        await victim.start()
        await victim.type_text("my pin is 1234")
        await victim.type("system")
        await trio.sleep(3)
        async with stage.connect("/ws/default?client=local") as thief:  # the victim's address
            await thief.start()
            await thief.type_text("what is my pin")
            await thief.type("system")
        assert not victim.gone.is_set()
        assert last_prompt(fakes) == [("user", "what is my pin")]


async def test_the_same_character_named_again_changes_nothing(autojump_clock: MockClock) -> None:
    async with open_stage() as stage, stage.connect("/ws") as client:
        for _ in range(3):
            await chat(client, "x", agentId="default")
        assert len(client.messages("agent_status_update")) == 1


# --- tools and what the host says of its own accord ---


async def test_what_the_model_said_before_its_call_is_known_to_it(
    autojump_clock: MockClock,
) -> None:
    fakes = thinking(f"Let me look at the clock. {CALL}", "It is noon.", "Yes.")
    async with open_stage(fakes, tools=[working(0, "noon")]) as stage, stage.connect("/ws") as me:
        await chat(me, "time?")
        assert any("Let me look" in text for _, text in last_prompt(fakes))
        await chat(me, "sure?")
        texts = [text for role, text in last_prompt(fakes) if role == "assistant"]
        assert texts[-1] == "It is noon."
        assert sum("Let me look" in text for text in texts) == 1


async def test_a_model_that_only_calls_tools_is_told_of_and_the_filler_is_no_answer(
    autojump_clock: MockClock,
) -> None:
    fakes = thinking(*[CALL] * 9)
    async with open_stage(fakes, tools=[working(2, "ok")]) as stage, stage.connect("/ws") as client:
        await client.send(type="chat", message="go")
        error = await client.type("error")
        assert "gave no answer" in error["error"]
        assert client.messages("done") == []


async def test_news_are_no_chunk_of_a_chat(autojump_clock: MockClock) -> None:
    timer = working(20, "Tea is done.", detached=True)
    async with open_stage(thinking(CALL, "Fine."), tools=[timer]) as stage:
        async with stage.connect("/ws") as client:
            await chat(client, "tea")
            mark = client.mark()
            await client.type("agent_notification")
            await trio.sleep(5)
            kinds = {message["type"] for _, message in client.received[mark:]}
            assert not kinds & {"start", "chunk", "done"}


async def test_a_flood_of_progress_closes_nobodys_connection(autojump_clock: MockClock) -> None:
    async def work(arguments: Mapping[str, object], context: ToolContext) -> str:
        await trio.lowlevel.checkpoint()
        for row in range(5_000):
            context.progress(row / 50, f"row {row}")
        return "ok"

    tool = Tool("work", "Works.", {"type": "object"}, dict, work)
    async with (
        open_stage(thinking(CALL, "Fine."), tools=[tool]) as stage,
        stage.connect("/ws") as me,
    ):
        await chat(me, "go")


@pytest.mark.parametrize("rounds", [1, 2])
async def test_a_greeting_is_said_once(rounds: int, autojump_clock: MockClock) -> None:
    characters = {"default": CharacterConfig(greeting="Hello, I am here.")}
    config = attrs.evolve(PLAIN, characters=characters)
    async with (
        open_stage(config=config) as stage,
        stage.connect("/ws/default?dialect=documented") as client,
    ):
        await client.start()
        await client.type("text")
        for _ in range(rounds):
            await client.send(action="greeting_check")
        await trio.sleep(20)
        assert client.text() == "Hello, I am here."
