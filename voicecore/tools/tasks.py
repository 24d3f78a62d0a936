"""Calls at work: each with a deadline, a place in line, and everybody who cares kept informed.

A call runs in the turn that made it and is cancelled with it. A *detached* one (a timer) runs on in
the host, until it is done or the host stops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

import attrs
import structlog
import trio

from voicecore import events
from voicecore.config import ToolsConfig
from voicecore.tools.function import foreign
from voicecore.tools.tool import Tool, ToolContext, ToolError

log = structlog.get_logger()

PROGRESS_PERIOD_S = 0.1
"""Between two messages about one task's progress; a page shows no more anyway."""

MAX_DETAIL_CHARS = 200
"""Of what a task says about itself, in the messages about it."""


Report: TypeAlias = Callable[[events.TaskStatus, float | None, str], None]
"""Tells of a change: the status, the progress (None: as before), and a detail."""


@attrs.frozen
class Result:
    """What a call came to: text for the model."""

    text: str
    failed: bool = False


@attrs.frozen(eq=False)
class Caller:
    """On whose behalf a call is made."""

    client: str
    character: str


@attrs.frozen(eq=False)
class Surroundings:
    """What the workshop needs of the host."""

    folder: Path
    """Tools' own files, one folder for each client."""
    wall_s: Callable[[], float]
    new_id: Callable[[], str]
    tell: Callable[[str, events.TaskChanged], None]
    """Tell a client of a change."""
    notify: Callable[[str, events.Notification], None]
    """Tell a client something, aloud."""
    observe: Callable[[str, str, float], None]
    """Count a call: the tool, how it ended, and its seconds."""


@attrs.define(eq=False)
class _Bench:
    """The calls of one client."""

    running: trio.Semaphore
    tasks: dict[str, events.Task] = attrs.field(factory=dict)
    detached: set[str] = attrs.field(factory=set)


class Workshop:
    """Runs the calls of all clients of a host."""

    def __init__(self, config: ToolsConfig, surroundings: Surroundings) -> None:
        self.config = config
        """May be replaced while calls run; it counts from the next call on."""
        self._around = surroundings
        self._benches: dict[str, _Bench] = {}
        self._nursery: trio.Nursery | None = None

    def tasks(self, client: str) -> tuple[events.Task, ...]:
        """A client's calls that wait or run."""
        bench = self._benches.get(client)
        return tuple(bench.tasks.values()) if bench else ()

    async def keep_open(self) -> None:
        """Run detached calls, until cancelled: then they are cancelled too."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None

    async def run(self, tool: Tool, arguments: Mapping[str, object], caller: Caller) -> Result:
        """Check the arguments, run the call, and wait for its result.

        A detached call is only begun. Never raises: what went wrong is the result, for the model to
        mend.

        **Cancellation** cancels the call, unless it is detached.
        """
        try:
            with foreign(f"{tool.name} failed", ToolError):
                checked = tool.check(arguments)
                begun = tool.started(checked) if tool.started else f"{tool.name} has begun."
        except ToolError as error:
            self._around.observe(tool.name, "refused", 0.0)
            return Result(self._bounded(str(error)), failed=True)
        if self._full(tool, caller):
            text = f"{self.config.max_waiting} calls wait or run already; wait until one is done."
            return Result(text, failed=True)
        if not tool.detached:
            return await self._work(tool, checked, caller)
        if self._nursery is None:
            return Result("The host is about to stop; nothing new is begun.", failed=True)
        await self._nursery.start(self._work_detached, tool, checked, caller)
        return Result(begun)

    def _full(self, tool: Tool, caller: Caller) -> bool:
        """Detached calls are counted apart: with many timers set, one can still ask the time."""
        bench = self._benches.get(caller.client)
        if bench is None:
            return False
        detached = len(bench.detached)
        here = detached if tool.detached else len(bench.tasks) - detached
        return here >= self.config.max_waiting

    async def _work_detached(
        self,
        tool: Tool,
        arguments: Mapping[str, object],
        caller: Caller,
        task_status: trio.TaskStatus[None],
    ) -> None:
        with self._listed(tool, caller) as report:
            task_status.started()
            result = await self._perform(tool, arguments, caller, report)
        if result.text:
            status: events.TaskStatus = "failed" if result.failed else "completed"
            news = events.Notification(result.text, tool.name, status)
            self._around.notify(caller.client, news)

    async def _work(self, tool: Tool, arguments: Mapping[str, object], caller: Caller) -> Result:
        with self._listed(tool, caller) as report:
            async with self._benches[caller.client].running:
                return await self._perform(tool, arguments, caller, report)

    async def _perform(
        self, tool: Tool, arguments: Mapping[str, object], caller: Caller, report: Report
    ) -> Result:
        report("running", 0.0, "")
        timeout_ms = tool.timeout_ms or self.config.timeout_ms
        context = self._context(tool, caller, report)
        text, problem = "", None
        try:
            with trio.fail_after(timeout_ms / 1000), foreign(f"{tool.name} failed", ToolError):
                text = await tool.call(arguments, context)
        except trio.TooSlowError:
            problem = f"{tool.name} took longer than {timeout_ms / 1000:g} s; given up."
        except ToolError as error:
            problem = str(error)
        if problem is not None:
            report("failed", None, problem)
            return Result(self._bounded(problem), failed=True)
        report("completed", 100.0, "")
        return Result(self._bounded(text))

    @contextmanager
    def _listed(self, tool: Tool, caller: Caller) -> Iterator[Report]:
        """Keep the call's task in the list, and tell of each change."""
        bench = self._benches.setdefault(
            caller.client, _Bench(trio.Semaphore(self.config.max_running))
        )
        task = events.Task(self._around.new_id(), tool.name, "queued")
        begun_s = told_s = trio.current_time()
        if tool.detached:
            bench.detached.add(task.id)

        def report(status: events.TaskStatus, progress: float | None, detail: str) -> None:
            nonlocal task, told_s
            before = task
            if not before.active:
                return  # a tool that tells of its progress after its end
            task = attrs.evolve(
                before,
                status=status,
                progress=before.progress if progress is None else progress,
                detail=detail[:MAX_DETAIL_CHARS],
            )
            bench.tasks[task.id] = task
            if not task.active:
                del bench.tasks[task.id]
            now_s = trio.current_time()
            first = status != before.status or task == before
            if first or now_s - told_s >= PROGRESS_PERIOD_S:
                told_s = now_s
                self._around.tell(caller.client, events.TaskChanged(task))

        report("queued", 0.0, "")
        try:
            yield report
        finally:
            report("cancelled", None, "")  # unless it has ended otherwise
            bench.detached.discard(task.id)
            log.info("tool called", tool=tool.name, end=task.status)
            self._around.observe(tool.name, task.status, trio.current_time() - begun_s)
            if not bench.tasks:
                self._benches.pop(caller.client, None)

    def _context(self, tool: Tool, caller: Caller, report: Report) -> ToolContext:
        def notify(text: str) -> None:
            news = events.Notification(text, tool.name, "running")
            self._around.notify(caller.client, news)

        folder = sha256(caller.client.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return ToolContext(
            character=caller.character,
            client=caller.client,
            folder=self._around.folder / folder,
            wall_s=self._around.wall_s,
            progress=lambda percent, detail: report(
                "running", min(100.0, max(0.0, percent)), detail
            ),
            notify=notify,
        )

    def _bounded(self, text: str) -> str:
        if len(text) <= self.config.max_result_chars:
            return text
        left_out = len(text) - self.config.max_result_chars
        return f"{text[: self.config.max_result_chars]} … ({left_out} more characters left out)"
