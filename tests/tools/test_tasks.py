"""Calls at work: deadlines, places in line, what the client is told, and cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import MockClock

from voicecore.config import ToolsConfig
from voicecore.events import Notification, TaskChanged
from voicecore.tools.tasks import Caller, Result, Surroundings, Workshop
from voicecore.tools.tool import Tool, ToolContext, ToolError

ME = Caller("neko:me", "default")
Body = Callable[[Mapping[str, object], ToolContext], Awaitable[str]]


@attrs.define
class Bench:
    workshop: Workshop
    told: list[tuple[str, str, float]]
    news: list[Notification]
    counted: list[tuple[str, str]]


def bench(**config: object) -> Bench:
    told: list[tuple[str, str, float]] = []
    news: list[Notification] = []
    counted: list[tuple[str, str]] = []
    ids = count(1)

    def tell(client: str, event: TaskChanged) -> None:
        assert client == ME.client
        told.append((event.task.id, event.task.status, event.task.progress))

    around = Surroundings(
        Path("/nowhere"),
        lambda: 1_000.0,
        lambda: f"task{next(ids)}",
        tell,
        lambda client, n: news.append(n),
        lambda tool, end, seconds: counted.append((tool, end)),
    )
    return Bench(Workshop(ToolsConfig(**config), around), told, news, counted)  # type: ignore[arg-type]


def tool(body: Body, **fields: object) -> Tool:
    return Tool("work", "Works.", {"type": "object"}, dict, body, **fields)  # type: ignore[arg-type]


async def quick(arguments: Mapping[str, object], context: ToolContext) -> str:
    await trio.sleep(0.2)
    context.progress(50, "half")
    return f"did {arguments['what']}"


async def slow(arguments: Mapping[str, object], context: ToolContext) -> str:
    await trio.sleep(10)
    return "done at last"


async def test_a_call_is_told_of_at_each_change(autojump_clock: MockClock) -> None:
    b = bench()
    result = await b.workshop.run(tool(quick), {"what": "it"}, ME)
    assert result == Result("did it")
    assert [(status, progress) for _, status, progress in b.told] == [
        ("queued", 0), ("running", 0), ("running", 50), ("completed", 100),
    ]  # fmt: skip
    assert b.counted == [("work", "completed")]
    assert b.workshop.tasks(ME.client) == ()


async def test_a_call_past_its_deadline_is_given_up(autojump_clock: MockClock) -> None:
    b = bench(timeout_ms=3_000)
    begun_s = trio.current_time()
    result = await b.workshop.run(tool(slow), {}, ME)
    assert result.failed
    assert "longer than 3 s" in result.text
    assert trio.current_time() - begun_s == pytest.approx(3)
    assert b.told[-1][1] == "failed"
    assert not (await b.workshop.run(tool(slow, timeout_ms=11_000), {}, ME)).failed


async def test_what_the_tool_cannot_do_is_told_to_the_model() -> None:
    async def broken(arguments: Mapping[str, object], context: ToolContext) -> str:
        await trio.lowlevel.checkpoint()
        raise ToolError("There is no such note.")

    b = bench()
    assert await b.workshop.run(tool(broken), {}, ME) == Result("There is no such note.", True)
    assert b.told[-1][1] == "failed"


async def test_arguments_that_do_not_fit_start_nothing() -> None:
    def check(arguments: Mapping[str, object]) -> Mapping[str, object]:
        raise ToolError("'minutes' must be a number.")

    b = bench()
    refused = Tool("work", "Works.", {}, check, slow)
    assert (await b.workshop.run(refused, {}, ME)).text == "'minutes' must be a number."
    assert b.told == []
    assert b.counted == [("work", "refused")]


async def test_only_so_many_run_and_wait(autojump_clock: MockClock) -> None:
    b = bench(max_running=2, max_waiting=3)
    results: list[Result] = []

    async def call() -> None:
        results.append(await b.workshop.run(tool(slow), {}, ME))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(call)
        await trio.sleep(1)
        states = sorted(task.status for task in b.workshop.tasks(ME.client))
        assert states == ["queued", "running", "running"]
        assert [result.failed for result in results] == [True, True]
    assert sum(not result.failed for result in results) == 3
    assert trio.current_time() == pytest.approx(20)


async def test_a_cancelled_turn_cancels_its_calls(autojump_clock: MockClock) -> None:
    b = bench()
    with trio.move_on_after(1):
        await b.workshop.run(tool(slow), {}, ME)
    assert [status for _, status, _ in b.told] == ["queued", "running", "cancelled"]
    assert b.workshop.tasks(ME.client) == ()
    assert b.counted == [("work", "cancelled")]


async def test_a_detached_call_outlives_its_turn_and_has_its_end_told(
    autojump_clock: MockClock,
) -> None:
    b = bench()
    timer = tool(slow, detached=True, started=lambda _: "The timer is set.")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(b.workshop.keep_open)
        await trio.testing.wait_all_tasks_blocked()
        with trio.CancelScope() as turn:
            assert await b.workshop.run(timer, {}, ME) == Result("The timer is set.")
            turn.cancel()
            await trio.lowlevel.checkpoint()
        await trio.sleep(11)
        assert b.news == [Notification("done at last", "work", "completed")]
        nursery.cancel_scope.cancel()


async def test_detached_calls_end_with_the_host(autojump_clock: MockClock) -> None:
    b = bench()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(b.workshop.keep_open)
        await trio.testing.wait_all_tasks_blocked()
        await b.workshop.run(tool(slow, detached=True), {}, ME)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert b.told[-1][1] == "cancelled"
    assert b.news == []
    late = await b.workshop.run(tool(slow, detached=True), {}, ME)
    assert late.failed


async def test_results_are_bounded_and_progress_after_the_end_is_ignored() -> None:
    contexts: list[ToolContext] = []

    async def talkative(arguments: Mapping[str, object], context: ToolContext) -> str:
        await trio.lowlevel.checkpoint()
        contexts.append(context)
        context.progress(900, "x" * 1_000)
        return "y" * 1_000

    b = bench(max_result_chars=100)
    result = await b.workshop.run(tool(talkative), {}, ME)
    assert result.text == "y" * 100 + " … (900 more characters left out)"
    told = len(b.told)
    contexts[0].progress(1, "still here")
    assert len(b.told) == told
    assert max(progress for *_, progress in b.told) == 100


async def test_progress_is_told_ten_times_a_second_at_most(autojump_clock: MockClock) -> None:
    async def busy(arguments: Mapping[str, object], context: ToolContext) -> str:
        for row in range(1_000):
            context.progress(row / 10, "a row")
            await trio.sleep(0.001)
        return "done"

    b = bench()
    await b.workshop.run(tool(busy), {}, ME)
    assert 10 <= len(b.told) <= 14


async def test_timers_do_not_keep_other_tools_from_running(autojump_clock: MockClock) -> None:
    b = bench(max_waiting=2)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(b.workshop.keep_open)
        await trio.testing.wait_all_tasks_blocked()
        timer = tool(slow, detached=True)
        results = [await b.workshop.run(timer, {}, ME) for _ in range(3)]
        await trio.testing.wait_all_tasks_blocked()
        assert [result.failed for result in results] == [False, False, True]
        assert not (await b.workshop.run(tool(quick), {"what": "it"}, ME)).failed
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("detached", [False, True])
@pytest.mark.parametrize(
    "error", [RuntimeError("boom"), asyncio.CancelledError(), SystemExit(3), KeyError("x")]
)
async def test_whatever_a_tool_raises_is_a_result(
    error: BaseException, detached: bool, autojump_clock: MockClock
) -> None:
    async def broken(arguments: Mapping[str, object], context: ToolContext) -> str:
        await trio.lowlevel.checkpoint()
        raise error

    b = bench()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(b.workshop.keep_open)
        await trio.testing.wait_all_tasks_blocked()
        await b.workshop.run(tool(broken, detached=detached), {}, ME)
        await trio.testing.wait_all_tasks_blocked()
        assert b.told[-1][1] == "failed"
        assert b.workshop.tasks(ME.client) == ()
        nursery.cancel_scope.cancel()


async def test_a_call_that_fails_while_it_is_cancelled_leaves_nothing(
    autojump_clock: MockClock,
) -> None:
    async def clumsy(arguments: Mapping[str, object], context: ToolContext) -> str:
        async def child() -> None:
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("while cleaning up")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)
            nursery.start_soon(trio.sleep_forever)
        return ""

    b = bench()
    with trio.move_on_after(1):
        await b.workshop.run(tool(clumsy), {}, ME)
    assert b.workshop.tasks(ME.client) == ()
    assert not b.told or b.told[-1][1] in {"cancelled", "failed"}


async def test_each_client_has_a_folder_of_its_own_that_its_name_cannot_leave() -> None:
    folders = []

    async def where(arguments: Mapping[str, object], context: ToolContext) -> str:
        await trio.lowlevel.checkpoint()
        folders.append(context.folder)
        return ""

    b = bench()
    b.workshop._around = attrs.evolve(b.workshop._around, tell=lambda c, e: None)
    for client in ("neko:../../etc", "neko:me", "neko:\ud800"):
        await b.workshop.run(tool(where), {}, Caller(client, "default"))
    assert len(set(folders)) == 3
    assert {folder.parent for folder in folders} == {Path("/nowhere")}
    assert all(folder.name.isalnum() for folder in folders)
