"""A native engine behind a mailbox: the thread belongs to the engine, a turn owns only its ear.

A turn that awaited the native call itself could not be cancelled before the call ends. Here it
listens to a channel instead: leaving the channel takes effect at once, and the native code stops by
itself at its next chunk, when it finds that nobody listens.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from typing import Generic

import attrs
import outcome
import structlog
import trio

from voicecore.engines.interface import C, EngineInfo, Native, R, Unheard
from voicecore.errors import EngineError, VoicecoreError

log = structlog.get_logger()

CHUNKS_AHEAD = 1024
"""Chunks an engine may be ahead of its listener before its thread waits.

A slow client must not hold the engine that others need, so this exceeds what one request makes: a
phrase is a few chunks, a reply at most ``llm.max_tokens``. A token is under 100 bytes and a
phrase's sound under 1 MB, so the bound is small in memory.
"""


@attrs.frozen(eq=False)
class Job(Generic[R, C]):
    request: R
    reply: trio.MemorySendChannel[outcome.Outcome[C]]

    def wanted(self) -> bool:
        return self.reply.statistics().open_receive_channels > 0


@attrs.frozen(eq=False)
class ThreadedEngine(Generic[R, C]):
    """An `Engine` whose work a `Native` does. Made by `open_threaded`."""

    _native: Native[R, C]
    _mailbox: trio.MemorySendChannel[Job[R, C]]

    @property
    def info(self) -> EngineInfo:
        return self._native.info

    def waiting(self) -> int:
        """Requests that wait for a free thread, for the metrics."""
        return self._mailbox.statistics().tasks_waiting_send

    def idle(self) -> bool:
        """Whether a thread is free: a request would be worked on at once."""
        return self._mailbox.statistics().tasks_waiting_receive > 0

    @asynccontextmanager
    async def stream(self, request: R) -> AsyncIterator[AsyncIterator[C]]:
        send, receive = trio.open_memory_channel[outcome.Outcome[C]](CHUNKS_AHEAD)
        with receive:
            with ExitStack() as unsent:  # once the job is in the mailbox, its end is the thread's
                unsent.enter_context(send)
                await self._mailbox.send(Job(request, send))
                unsent.pop_all()
            yield _unwrap(receive)


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


def _work(native: Native[R, C], job: Job[R, C]) -> None:
    """Run one request in a worker thread, from first to last chunk."""

    def deliver(result: outcome.Outcome[C]) -> None:
        try:
            trio.from_thread.run(job.reply.send, result)
        except (trio.BrokenResourceError, trio.Cancelled):
            # The listener has left, or the engine is being closed. The thread must not see
            # Cancelled: native callbacks do not know it, and `_serve` gets it anyway.
            raise Unheard from None  # noqa: ASYNC104

    def emit(chunk: C) -> None:
        deliver(outcome.Value(chunk))

    try:
        try:
            native.run(job.request, emit)
        except VoicecoreError as error:
            deliver(outcome.Error(error))
        except (RuntimeError, ValueError, OSError, MemoryError) as error:
            # What native libraries raise. The request failed; the engine goes on serving others.
            info = native.info
            log.error("engine failed on a request", kind=info.kind, engine=info.name, exc_info=True)
            failure = EngineError(f"The {info.kind} engine {info.name} failed: {error}.")
            failure.__cause__ = error
            deliver(outcome.Error(failure))
    except Unheard:
        pass


async def _serve(
    native: Native[R, C], inbox: trio.MemoryReceiveChannel[Job[R, C]], threads: trio.CapacityLimiter
) -> None:
    """Answer jobs one after the other; one such task runs per thread of the engine."""
    with inbox:
        async for job in inbox:
            with job.reply:
                if job.wanted():
                    await trio.to_thread.run_sync(_work, native, job, limiter=threads)


@asynccontextmanager
async def open_threaded(
    load: Callable[[], Native[R, C]],
) -> AsyncIterator[ThreadedEngine[R, C]]:
    """Load a native engine in a thread, warm it up, and serve it until the block is left.

    **Cancellation**: loading and warming up are waited for, since native code cannot be stopped
    halfway. On leaving, requests in progress end at their next chunk; then the engine is closed.
    """
    native = await trio.to_thread.run_sync(load)
    try:
        await trio.to_thread.run_sync(native.warm_up)
        # One token per thread, on a limiter of its own: the default one is shared with files and
        # name look-ups, which must not wait behind recognition.
        threads = trio.CapacityLimiter(native.concurrency)
        send, receive = trio.open_memory_channel[Job[R, C]](0)
        async with trio.open_nursery() as nursery:
            with receive:
                for _ in range(native.concurrency):
                    nursery.start_soon(_serve, native, receive.clone(), threads)
            with send:
                yield ThreadedEngine(native, send)
            nursery.cancel_scope.cancel("the engine is closed")
    finally:
        native.close()
