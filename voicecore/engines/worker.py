"""A native engine behind a line: the thread belongs to the engine, a turn owns only its ear.

A turn that awaited the native call itself could not be cancelled before the call ends. Here it
listens to a channel instead: leaving the channel takes effect at once, and the native code stops by
itself at its next chunk, when it finds that nobody listens.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Generic, TypeAlias

import attrs
import outcome
import structlog
import trio

from voicecore.config import cores
from voicecore.engines.interface import C, EngineInfo, Kind, Native, R, Unheard, Urgency
from voicecore.engines.schedule import Places, Schedule, State, Ticket
from voicecore.errors import EngineError, VoicecoreError

log = structlog.get_logger()

CHUNKS_AHEAD = 1024
"""Chunks an engine may be ahead of its listener before its thread waits.

A slow client must not hold the engine that others need, so this exceeds what one request makes: a
phrase's sound is a hundred chunks at most, a reply ``llm.max_tokens``. A token is under 100 bytes
and a phrase's sound under 1 MB in all, so the bound is small in memory.
"""

Waited: TypeAlias = Callable[[Kind, Urgency, float], object]
"""Told of each request that begins: the engine's kind, its urgency, and the seconds it waited."""


@attrs.frozen(eq=False)
class Job(Generic[R, C]):
    request: R
    reply: trio.MemorySendChannel[outcome.Outcome[C]]
    ticket: Ticket

    def wanted(self) -> bool:
        return self.reply.statistics().open_receive_channels > 0


@attrs.frozen(eq=False)
class ThreadedEngine(Generic[R, C]):
    """An `Engine` whose work a `Native` does. Made by `open_threaded`.

    A request waits in the schedule's line, as a task of its conversation: so there are at most as
    many as conversations have stages, and one that is given up is never begun.
    """

    _native: Native[R, C]
    _schedule: Schedule
    _places: Places
    _nursery: trio.Nursery
    _threads: trio.CapacityLimiter
    _waited: Waited
    _open: dict[Ticket, R] = attrs.field(factory=dict, init=False)
    """What is listened to, or waited for."""

    @property
    def info(self) -> EngineInfo:
        return self._native.info

    def waiting(self) -> int:
        """Requests that are not begun yet, for the metrics."""
        return self._schedule.waiting(self._places)

    def idle(self, urgency: Urgency = Urgency.GUESS) -> bool:
        """Whether a request of this urgency would be worked on at once."""
        return self._schedule.would_begin(self._places, urgency, trio.current_time())

    def raise_to(self, request: R, urgency: Urgency) -> None:
        """Make a request, this very object, more urgent, whether it is begun or not."""
        for ticket, asked in self._open.items():
            if asked is request:
                self._schedule.raise_to(ticket, urgency)

    @asynccontextmanager
    async def stream(self, request: R) -> AsyncIterator[AsyncIterator[C]]:
        send, receive = trio.open_memory_channel[outcome.Outcome[C]](CHUNKS_AHEAD)
        asked_s, begun = trio.current_time(), trio.Event()
        urgency: Urgency = getattr(request, "urgency", Urgency.AWAITED)
        with receive, ExitStack() as unbegun:  # once it is begun, both ends are the thread's
            unbegun.enter_context(send)
            ticket = self._schedule.ask(self._places, urgency, asked_s, begun.set)
            unbegun.callback(self._schedule.end, ticket)
            with self._listening(ticket, request):
                await begun.wait()
                self._nursery.start_soon(self._answer, Job(request, send, ticket))
                unbegun.pop_all()
                self._waited(self.info.kind, ticket.urgency, trio.current_time() - asked_s)
                yield _unwrap(receive)

    @contextmanager
    def _listening(self, ticket: Ticket, request: R) -> Iterator[None]:
        self._open[ticket] = request
        try:
            yield
        finally:
            del self._open[ticket]
            self._schedule.release(ticket)

    async def _answer(self, job: Job[R, C]) -> None:
        try:
            with job.reply:
                if job.wanted():
                    await trio.to_thread.run_sync(self._work, job, limiter=self._threads)
        finally:
            self._schedule.end(job.ticket)

    def _work(self, job: Job[R, C]) -> None:
        """Run one request in a worker thread, from first to last chunk."""

        def emit(chunk: C) -> None:
            _call(self._emit, job, chunk)

        try:
            try:
                self._native.run(job.request, emit)
            except VoicecoreError as error:
                _call(job.reply.send, outcome.Error(error))
            except (RuntimeError, ValueError, OSError, MemoryError) as error:
                # What native libraries raise. The request failed; the engine serves others.
                _call(job.reply.send, outcome.Error(_failure(self.info, error)))
        except Unheard:
            pass

    async def _emit(self, job: Job[R, C], chunk: C) -> None:
        """Give a chunk to the listener; then let more urgent work go first.

        An engine of one place goes on, since a request to it would wait for that place.

        Raises:
            BrokenResourceError: the listener has left.
        """
        await job.reply.send(outcome.Value(chunk))
        if self._places.threads and self._native.concurrency > 1:
            go_on = trio.Event()
            self._schedule.hold(job.ticket, go_on.set)
            if job.ticket.state is State.HELD:
                await go_on.wait()
                if not job.wanted():
                    raise trio.BrokenResourceError


def _call(function: Callable[..., Awaitable[None]], *args: object) -> None:
    """Call into the event loop from a worker thread.

    Raises:
        Unheard: the listener has left, or the engine is being closed.
    """
    try:
        trio.from_thread.run(function, *args)
    except (trio.BrokenResourceError, trio.Cancelled):
        # The thread must not see Cancelled: native callbacks do not know it, and the task that
        # waits for the thread gets it anyway.
        raise Unheard from None  # noqa: ASYNC104


def _failure(info: EngineInfo, error: BaseException) -> EngineError:
    log.error("engine failed on a request", kind=info.kind, engine=info.name, exc_info=error)
    failure = EngineError(f"The {info.kind} engine {info.name} failed: {error}.")
    failure.__cause__ = error
    return failure


class _unwrap(Generic[C]):  # noqa: N801 - a function that happens to need __anext__
    """Iterate over results; an iterator class, because an async generator left early leaks."""

    def __init__(self, results: trio.MemoryReceiveChannel[outcome.Outcome[C]]) -> None:
        self._results = results

    def __aiter__(self) -> _unwrap[C]:
        return self

    async def __anext__(self) -> C:
        try:
            result = await self._results.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None
        return result.unwrap()


def _threads(info: EngineInfo) -> int:
    """Say what one request takes of the machine.

    A language model takes nothing: it has threads of its own, which give way to the others, and
    the seconds of a reply would hold up every voice. Neither does a model on a GPU.
    """
    return info.threads if info.kind != "llm" and info.device == "cpu" else 0


@asynccontextmanager
async def open_threaded(
    load: Callable[[], Native[R, C]],
    schedule: Schedule | None = None,
    waited: Waited = lambda *_: None,
) -> AsyncIterator[ThreadedEngine[R, C]]:
    """Load a native engine in a thread, warm it up, and serve it until the block is left.

    Args:
        load: called once.
        schedule: shared with the other engines of the machine; None for one of its own.
        waited: told how long each request waited.

    **Cancellation**: loading and warming up are waited for, since native code cannot be stopped
    halfway. On leaving, requests in progress end at their next chunk; then the engine is closed.
    """
    schedule = schedule or Schedule(cores())
    native = await trio.to_thread.run_sync(load)
    try:
        await trio.to_thread.run_sync(native.warm_up)
        places = schedule.places(native.concurrency, _threads(native.info))
        # One token per thread, on a limiter of its own: the default one is shared with files and
        # name look-ups, which must not wait behind recognition.
        threads = trio.CapacityLimiter(native.concurrency)
        async with trio.open_nursery() as nursery:
            yield ThreadedEngine(native, schedule, places, nursery, threads, waited)
            nursery.cancel_scope.cancel("the engine is closed")
    finally:
        native.close()
