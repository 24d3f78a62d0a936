"""Tools in a conversation, over both wires: run, told of, spoken of, and cancelled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import attrs
import trio
from trio.testing import MockClock

from tests.harness import PLAIN, Fakes, open_stage
from voicecore.config import PriceConfig, ToolsConfig
from voicecore.engines.fake import fake_llm
from voicecore.engines.interface import CalledTool, ToolSpec
from voicecore.tools.tool import Tool, ToolContext

CALL = '<tool_call>{"name": "work", "arguments": {}}</tool_call>'
Body = Callable[[Mapping[str, object], ToolContext], Awaitable[str]]


def tool(seconds: float = 0.2, result: str = "It is noon.", **fields: object) -> Tool:
    async def work(arguments: Mapping[str, object], context: ToolContext) -> str:
        await trio.sleep(seconds)
        return result

    return Tool("work", "Works.", {"type": "object"}, dict, work, **fields)  # type: ignore[arg-type]


def thinking(*replies: str, **fields: object) -> Fakes:
    return Fakes(llm=fake_llm(replies, **fields))  # type: ignore[arg-type]


async def test_a_call_is_run_and_its_result_answered_and_nobody_sees_it(
    autojump_clock: MockClock,
) -> None:
    fakes = thinking(CALL, "It is noon.")
    async with open_stage(fakes, tools=[tool()]) as stage, stage.connect("/ws") as client:
        await client.send(type="chat", message="what time is it")
        done = await client.type("done")
        assert done["finalContent"] == "It is noon."
        assert "tool_call" not in "".join(m["delta"] for m in client.messages("chunk"))
        tasks = [m["task"]["status"] for m in client.messages("agent_task_update")]
        assert tasks == ["queued", "running", "completed"]
        assert len(client.messages("agent_status_update")) == 4
        last = stage.fakes.llm.requests[-1].messages[-1]
        assert "It is noon." in last.content
        # Both rounds count.
        assert done["tokensOut"] == len(CALL.split(" ")) + 3


async def test_a_model_that_calls_natively_is_offered_the_tools(autojump_clock: MockClock) -> None:
    fakes = Fakes(llm=fake_llm([[CalledTool("c1", "work", "{}")], "It is noon."], calls_tools=True))
    async with open_stage(fakes, tools=[tool()]) as stage, stage.connect() as client:
        await client.start()
        await client.type_text("what time is it")
        await client.type("system")
        first, second = fakes.llm.requests
        assert first.tools == (ToolSpec("work", "Works.", {"type": "object"}),)
        assert [message.role for message in second.messages[-2:]] == ["assistant", "tool"]
        assert client.text() == "It is noon."


async def test_an_interruption_cancels_the_tools_of_the_turn(autojump_clock: MockClock) -> None:
    async with (
        open_stage(thinking(CALL, "Fine."), tools=[tool(seconds=30)]) as stage,
        stage.connect() as client,
    ):
        await client.start()
        await client.type_text("work for long")
        await client.type("text", text="One moment, please.\n")
        await client.send(action="pause_session")
        cancelled = await client.until(
            lambda m: m["type"] == "agent_task_update" and m["task"]["status"] == "cancelled"
        )
        assert cancelled["task"]["progress"] == 0
        assert stage.host.workshop.tasks("neko:address:local") == ()


async def test_a_timer_speaks_when_it_is_due_and_not_into_a_reply(
    autojump_clock: MockClock,
) -> None:
    timer = tool(5, "Your tea is ready.", detached=True, started=lambda _: "It is set.")
    story = " ".join(["Once upon a time there was a king."] * 6)
    async with (
        open_stage(thinking(CALL, "It is set.", story), tools=[timer]) as stage,
        stage.connect() as client,
    ):
        await client.start()
        await client.type_text("remind me of the tea")
        await client.type("system")
        await trio.sleep(3)
        await client.type_text("tell me a story")
        told = await client.type("agent_notification")
        assert told == {
            "type": "agent_notification", "text": "Your tea is ready.", "source": "work",
            "status": "completed",
        }  # fmt: skip
        at = client.mark()
        await client.type("text", text="Your tea is ready.", after=at)
        await client.type("audio", after=at)
        assert client.text() == f"It is set.{story}Your tea is ready."
        # Only once the story was heard to its end.
        assert trio.current_time() > len(story) * 0.06


async def test_what_a_client_missed_while_away_is_told_when_it_is_back(
    autojump_clock: MockClock,
) -> None:
    timer = tool(5, "Your tea is ready.", detached=True)
    async with open_stage(thinking(CALL, "Set."), tools=[timer]) as stage:
        async with stage.connect() as client:
            await client.start()
            await client.type_text("remind me")
            await client.type("system")
        await trio.sleep(10)
        async with stage.connect() as client:
            await client.type("agent_notification")
            await client.start()
            await client.type("audio")
            assert client.text() == "Your tea is ready."


async def test_a_client_that_comes_while_a_timer_runs_is_told_of_it(
    autojump_clock: MockClock,
) -> None:
    timer = tool(60, "Done.", detached=True)
    async with open_stage(thinking(CALL, "Set."), tools=[timer]) as stage:
        async with stage.connect() as client:
            await client.start()
            await client.type_text("remind me")
            await client.type("system")
        async with stage.connect() as client:
            status = await client.type("agent_status_update")
            assert status["snapshot"]["active_tasks"] == 1


async def test_dangerous_and_denied_tools_are_neither_offered_nor_run(
    autojump_clock: MockClock,
) -> None:
    for config in (ToolsConfig(), ToolsConfig(allow=("work",), deny=("*",))):
        fakes = thinking(CALL, "I may not.", calls_tools=True)
        stage_config = attrs.evolve(PLAIN, tools=config)
        async with (
            open_stage(fakes, stage_config, tools=[tool(dangerous=True)]) as stage,
            stage.connect("/ws") as client,
        ):
            await client.send(type="chat", message="do it")
            await client.type("done")
            assert client.messages("agent_task_update") == []
            assert fakes.llm.requests[0].tools == ()
            assert "no tool" in str(fakes.llm.requests[-1].messages[-1].content)


async def test_an_allowed_dangerous_tool_runs(autojump_clock: MockClock) -> None:
    config = attrs.evolve(PLAIN, tools=ToolsConfig(allow=("work",)))
    async with (
        open_stage(thinking(CALL, "Done."), config, tools=[tool(dangerous=True)]) as stage,
        stage.connect("/ws") as client,
    ):
        await client.send(type="chat", message="do it")
        await client.type("done")
        assert client.messages("agent_task_update")[-1]["task"]["status"] == "completed"


async def test_news_come_after_the_words_being_said(autojump_clock: MockClock) -> None:
    timer = tool(2.2, "Your tea is ready.", detached=True)
    async with (
        open_stage(thinking(CALL, "Set.", "I heard you."), tools=[timer]) as stage,
        stage.connect() as client,
    ):
        await client.start()
        await client.type_text("remind me")
        await client.type("system")
        await trio.sleep(1)
        await client.say(3.0, silence_s=0.8)
        await client.type("text", text="Your tea is ready.")
        assert client.text() == "Set.I heard you.Your tea is ready."


async def test_a_turn_costs_what_its_model_costs_over_all_rounds(autojump_clock: MockClock) -> None:
    config = attrs.evolve(
        PLAIN, prices={"fake": PriceConfig(in_per_million=1e6, out_per_million=1e7)}
    )
    async with (
        open_stage(thinking(CALL, "It is noon."), config, tools=[tool()]) as stage,
        stage.connect("/ws") as client,
    ):
        await client.send(type="chat", message="what time is it")
        done = await client.type("done")
        assert len(stage.fakes.llm.requests) == 2
        assert done["costUsd"] == done["tokensIn"] + 10 * done["tokensOut"]
