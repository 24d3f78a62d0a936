"""Native engines that share a machine: their order, what may be held, and leaving at any moment.

On the real clock, with threads that wait to be let go on: no verdict depends on time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AsyncExitStack

import attrs
import pytest
import trio

from tests.test_cancel import CancelAt
from voicecore.engines import Engines, idle, raise_to
from voicecore.engines.fake import FakeVad, fake_llm, fake_stt, fake_tts
from voicecore.engines.interface import EngineInfo, Kind, Unheard, Urgency
from voicecore.engines.schedule import Schedule
from voicecore.engines.worker import ThreadedEngine, open_threaded

AWAITED, AHEAD, GUESS, PARTIAL = Urgency


@attrs.frozen(eq=False)
class Ask:
    name: str
    steps: int = 1
    urgency: Urgency = AWAITED


class Steps:
    """Emits as many chunks as asked for, each once it is let."""

    def __init__(self, kind: Kind, concurrency: int, log: list[str], threads: int = 2) -> None:
        self.info = EngineInfo(kind, "steps", "none", "0", threads=threads)
        self.concurrency = concurrency
        self.log = log
        self.let = threading.Semaphore(0)

    def run(self, request: Ask, emit: Callable[[str], None]) -> None:
        self.log.append(f"{request.name} begins")
        try:
            for step in range(request.steps):
                assert self.let.acquire(timeout=10)
                self.log.append(f"{request.name} {step}")
                emit(f"{request.name} {step}")
        except Unheard:
            self.log.append(f"{request.name} unheard")
            raise

    def warm_up(self) -> None:
        pass

    def close(self) -> None:
        pass


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(10):
        while not condition():  # noqa: ASYNC110 - a thread makes it true
            await trio.sleep(0.001)


@attrs.frozen(eq=False)
class Pair:
    """A recogniser and a voice on one machine of two cores."""

    log: list[str]
    schedule: Schedule
    hears: Steps
    speaks: Steps
    stt: ThreadedEngine[Ask, str]
    tts: ThreadedEngine[Ask, str]
    heard: list[str]
    waited: list[tuple[Kind, Urgency]]

    async def listen(
        self,
        engine: ThreadedEngine[Ask, str],
        request: Ask,
        scope: trio.CancelScope | None = None,
    ) -> None:
        with scope or trio.CancelScope():
            async with engine.stream(request) as chunks:
                async for chunk in chunks:
                    self.heard.append(chunk)

    async def logged(self, line: str) -> None:
        await until(lambda: line in self.log)


@pytest.fixture
async def pair(nursery: trio.Nursery) -> Pair:
    log: list[str] = []
    schedule, stack = Schedule(2), AsyncExitStack()
    hears, speaks = Steps("stt", 1, log), Steps("tts", 3, log)
    waited: list[tuple[Kind, Urgency]] = []

    def note(kind: Kind, urgency: Urgency, seconds: float) -> None:
        assert seconds >= 0
        waited.append((kind, urgency))

    async def serve(task_status: trio.TaskStatus[Pair]) -> None:
        async with stack:
            stt = await stack.enter_async_context(open_threaded(lambda: hears, schedule, note))
            tts = await stack.enter_async_context(open_threaded(lambda: speaks, schedule, note))
            task_status.started(Pair(log, schedule, hears, speaks, stt, tts, [], waited))
            await trio.sleep_forever()

    opened: Pair = await nursery.start(serve)
    return opened


async def test_requests_are_served_by_urgency_over_both_engines(pair: Pair) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.listen, pair.stt, Ask("first"))
        await pair.logged("first begins")
        for engine, request in (
            (pair.stt, Ask("partial", urgency=PARTIAL)),
            (pair.tts, Ask("guess", urgency=GUESS)),
            (pair.tts, Ask("ahead", urgency=AHEAD)),
            (pair.stt, Ask("awaited")),
        ):
            nursery.start_soon(pair.listen, engine, request)
        await until(lambda: pair.stt.waiting() == pair.tts.waiting() == 2)
        assert not any(
            idle(engine, urgency) for engine in (pair.stt, pair.tts) for urgency in Urgency
        )
        pair.hears.let.release(9)
        pair.speaks.let.release(9)
    assert [line for line in pair.log if "begins" in line] == [
        "first begins", "awaited begins", "ahead begins", "guess begins", "partial begins",
    ]  # fmt: skip
    assert sorted(pair.waited) == sorted([
        ("stt", AWAITED), ("stt", AWAITED), ("stt", PARTIAL), ("tts", AHEAD), ("tts", GUESS),
    ])  # fmt: skip
    assert idle(pair.stt, PARTIAL)


async def test_a_first_phrase_does_not_wait_behind_anothers_long_sentence(pair: Pair) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.listen, pair.tts, Ask("long", 3, AHEAD))
        await pair.logged("long begins")
        nursery.start_soon(pair.listen, pair.tts, Ask("first"))
        await until(lambda: pair.tts.waiting() == 1)
        pair.speaks.let.release(1)
        await pair.logged("first begins")
        await until(lambda: pair.heard == ["long 0"])  # what is done is delivered before it waits
        pair.speaks.let.release(3)
    assert pair.heard == ["long 0", "first 0", "long 1", "long 2"]


async def test_recognition_goes_before_the_rest_of_a_long_sentence(pair: Pair) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.listen, pair.tts, Ask("long", 2, AHEAD))
        await pair.logged("long begins")
        nursery.start_soon(pair.listen, pair.stt, Ask("words"))
        await until(lambda: pair.stt.waiting() == 1)
        pair.speaks.let.release(2)
        await pair.logged("words begins")
        assert "long 1" not in pair.log
        pair.hears.let.release(1)
    assert pair.heard == ["long 0", "words 0", "long 1"]


async def test_an_engine_of_one_place_is_not_held(nursery: trio.Nursery) -> None:
    log: list[str] = []
    native = Steps("tts", 1, log)

    async def hear(engine: ThreadedEngine[Ask, str], request: Ask) -> None:
        async with engine.stream(request) as chunks:
            async for _ in chunks:
                pass

    async with open_threaded(lambda: native, Schedule(2)) as engine, trio.open_nursery() as inner:
        inner.start_soon(hear, engine, Ask("long", 3, AHEAD))
        await until(lambda: "long begins" in log)
        inner.start_soon(hear, engine, Ask("first"))
        await until(lambda: engine.waiting() == 1)
        native.let.release(4)
    assert log == ["long begins", "long 0", "long 1", "long 2", "first begins", "first 0"]


async def test_held_work_ends_when_its_listener_leaves(pair: Pair) -> None:
    turn = trio.CancelScope()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.listen, pair.tts, Ask("long", 3, AHEAD), turn)
        await pair.logged("long begins")
        nursery.start_soon(pair.listen, pair.tts, Ask("first"))
        await until(lambda: pair.tts.waiting() == 1)
        pair.speaks.let.release(1)
        await pair.logged("first begins")  # so "long" is held
        turn.cancel("barge-in")
        await pair.logged("long unheard")
        pair.speaks.let.release(1)
    assert pair.heard == ["long 0", "first 0"]
    assert pair.tts.idle(PARTIAL)


async def test_shutdown_ends_held_work() -> None:
    log: list[str] = []
    native = Steps("tts", 2, log)

    async def hear(request: Ask) -> None:
        async with engine.stream(request) as chunks:
            async for _ in chunks:
                pass

    async with trio.open_nursery() as nursery:
        async with open_threaded(lambda: native, Schedule(2)) as engine:
            nursery.start_soon(hear, Ask("long", 3, AHEAD))
            await until(lambda: "long begins" in log)
            nursery.start_soon(hear, Ask("first"))
            await until(lambda: engine.waiting() == 1)
            native.let.release(1)
            await until(lambda: "first begins" in log)
            nursery.cancel_scope.cancel("the host stops")
            native.let.release(1)
    assert sorted(log[-3:]) == ["first 0", "first unheard", "long unheard"]


async def test_a_guess_that_turned_out_right_goes_first(pair: Pair) -> None:
    guess = Ask("guess", urgency=GUESS)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.listen, pair.stt, Ask("first"))
        await pair.logged("first begins")
        nursery.start_soon(pair.listen, pair.tts, Ask("ahead", urgency=AHEAD))
        nursery.start_soon(pair.listen, pair.tts, guess)
        await until(lambda: pair.tts.waiting() == 2)
        raise_to(pair.tts, Ask("guess", urgency=GUESS), AWAITED)  # another one: ignored
        raise_to(pair.tts, guess, AWAITED)
        raise_to(fake_tts(), guess, AWAITED)
        pair.hears.let.release(1)
        pair.speaks.let.release(2)
    assert pair.heard == ["first 0", "guess 0", "ahead 0"]


async def test_a_request_without_an_urgency_is_awaited(nursery: trio.Nursery) -> None:
    class Echo(Steps):
        def run(self, request: object, emit: Callable[[str], None]) -> None:
            emit(str(request))

    waited: list[Urgency] = []
    native = Echo("stt", 1, [])
    async with (
        open_threaded(lambda: native, waited=lambda _, urgency, __: waited.append(urgency)) as echo,
        echo.stream("plain") as chunks,
    ):
        assert [chunk async for chunk in chunks] == ["plain"]
    assert waited == [AWAITED]


async def test_a_model_on_a_gpu_and_a_language_model_take_no_room(pair: Pair) -> None:
    log: list[str] = []
    writes, hears = Steps("llm", 1, log), Steps("stt", 1, log)
    hears.info = attrs.evolve(hears.info, device="cuda")
    async with (
        open_threaded(lambda: writes, pair.schedule) as llm,
        open_threaded(lambda: hears, pair.schedule) as stt,
        trio.open_nursery() as nursery,
    ):
        for engine, name in ((pair.tts, "voice"), (llm, "words"), (stt, "ears")):
            nursery.start_soon(pair.listen, engine, Ask(name))
        await pair.logged("voice begins")
        await until(lambda: sorted(log) == ["ears begins", "words begins"])
        for native in (writes, hears, pair.speaks):
            native.let.release(1)


async def test_the_host_asks_whether_the_machine_has_time(pair: Pair) -> None:
    engines = Engines(FakeVad(), fake_stt(), fake_llm(), fake_tts())
    assert not engines.busy_with(PARTIAL)
    engines = attrs.evolve(engines, schedule=pair.schedule)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.listen, pair.tts, Ask("ahead", urgency=AHEAD))
        await pair.logged("ahead begins")
        assert engines.busy_with(AHEAD)
        assert not engines.busy_with(AWAITED)
        pair.speaks.let.release(1)
    await until(lambda: not engines.busy_with(PARTIAL))


# --- leaving at every moment ---


async def _leave_after(step: int) -> bool:
    """Have one of three conversations leave; say whether that was before all was heard."""
    log: list[str] = []
    schedule = Schedule(2)
    speaks, hears = Steps("tts", 2, log), Steps("stt", 1, log)
    for native in (speaks, hears):
        native.let.release(1_000)
    scope = trio.CancelScope()
    cancel = CancelAt(step, scope)
    heard: list[str] = []

    async def listen(engine: ThreadedEngine[Ask, str], request: Ask) -> None:
        async with engine.stream(request) as chunks:
            heard.extend([chunk async for chunk in chunks])

    async def leave() -> None:
        with scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(listen, tts, Ask("leaver", 3, AHEAD))
                nursery.start_soon(listen, stt, Ask("leaver"))

    async with (
        open_threaded(lambda: speaks, schedule) as tts,
        open_threaded(lambda: hears, schedule) as stt,
    ):
        trio.lowlevel.add_instrument(cancel)
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(leave)
                nursery.start_soon(listen, tts, Ask("first"))
                nursery.start_soon(listen, stt, Ask("words"))
            trio.lowlevel.remove_instrument(cancel)
            await until(lambda: not schedule.busy_with(PARTIAL))
        assert {"first 0", "words 0"} <= set(heard)
        assert all(engine.idle(PARTIAL) and not engine.waiting() for engine in (tts, stt))
    assert schedule.would_begin(schedule.places(1, 2), PARTIAL, 0), "all its room is back"
    return cancel.happened


def test_leaving_at_any_step_loses_no_place_and_harms_nobody() -> None:
    step = 1
    while trio.run(_leave_after, step):
        step += 1
    assert step > 20, "the conversation was shorter than it should be"
