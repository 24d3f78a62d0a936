"""A native engine behind its mailbox, on the real clock: threads do not follow a mock one."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import trio

from voicecore.engines.interface import EngineInfo, Native, Unheard
from voicecore.engines.worker import open_threaded
from voicecore.errors import EngineError


class Counter:
    """Counts to the number asked for, waiting at each step until it is let go on."""

    concurrency = 1
    info = EngineInfo("llm", "counter", "none", "0")

    def __init__(self) -> None:
        self.steps = threading.Semaphore(0)
        self.running = threading.Event()
        self.finished: list[str] = []
        self.warm = self.closed = False

    def run(self, request: int, emit: Callable[[int], None]) -> None:
        if request < 0:
            raise ValueError("negative")
        if request > 1_000:
            raise EngineError("Too far to count.")
        self.running.set()
        try:
            for number in range(request):
                assert self.steps.acquire(timeout=10)
                emit(number)
        except Unheard:
            self.finished.append("unheard")
            raise
        self.finished.append("counted")

    def warm_up(self) -> None:
        self.warm = True

    def close(self) -> None:
        self.closed = True


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(10):
        while not condition():  # noqa: ASYNC110 - a thread makes it true
            await trio.sleep(0.001)


async def test_it_is_warm_before_it_serves_and_closed_after() -> None:
    counter = Counter()
    assert isinstance(counter, Native)
    async with open_threaded(lambda: counter) as engine:
        assert counter.warm
        assert not counter.closed
        counter.steps.release(3)
        async with engine.stream(3) as numbers:
            assert [number async for number in numbers] == [0, 1, 2]
    assert counter.closed


async def test_leaving_takes_effect_while_the_native_code_is_still_busy() -> None:
    counter = Counter()
    async with open_threaded(lambda: counter) as engine:
        with trio.fail_after(10), trio.CancelScope() as turn:
            async with engine.stream(5) as numbers:
                await trio.to_thread.run_sync(counter.running.wait)
                turn.cancel("barge-in")
                async for _ in numbers:
                    pytest.fail("nothing was let through")
        assert turn.cancelled_caught
        assert counter.finished == []  # it still waits for its first step
        counter.steps.release(1)
        await until(lambda: counter.finished == ["unheard"])


@pytest.mark.parametrize(("request_", "why"), [(-1, "negative"), (2_000, "Too far to count.")])
async def test_an_error_reaches_the_listener_and_the_engine_lives(request_: int, why: str) -> None:
    counter = Counter()
    async with open_threaded(lambda: counter) as engine:
        async with engine.stream(request_) as numbers:
            with pytest.raises(EngineError, match=why):
                await anext(numbers)
        counter.steps.release(1)
        async with engine.stream(1) as numbers:
            assert [number async for number in numbers] == [0]


async def test_a_request_that_is_given_up_while_it_waits_is_never_begun() -> None:
    counter = Counter()
    async with open_threaded(lambda: counter) as engine, trio.open_nursery() as nursery:

        async def first() -> None:
            async with engine.stream(1) as numbers:
                assert [number async for number in numbers] == [0]

        nursery.start_soon(first)
        await trio.to_thread.run_sync(counter.running.wait)
        with trio.move_on_after(0.02):
            async with engine.stream(1):
                await trio.sleep_forever()
        counter.steps.release(1)
    assert counter.finished == ["counted"]


async def test_an_engine_that_cannot_be_loaded_says_why() -> None:
    def load() -> Counter:
        raise EngineError("No such file.")

    with pytest.raises(EngineError, match="No such file"):
        async with open_threaded(load):
            pytest.fail("it was not loaded")


async def test_shutdown_waits_for_the_chunk_in_progress_only() -> None:
    counter = Counter()
    async with trio.open_nursery() as nursery:
        async with open_threaded(lambda: counter) as engine:

            async def listener() -> None:
                async with engine.stream(1_000) as numbers:
                    async for _ in numbers:
                        pass

            nursery.start_soon(listener)
            await trio.to_thread.run_sync(counter.running.wait)
            nursery.cancel_scope.cancel("the host stops")
            counter.steps.release(1)
    assert counter.finished == ["unheard"]
    assert counter.closed
