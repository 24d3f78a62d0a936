"""A tool made of a typed Python function: its signature is the schema, its docstring the manual.

The function may be synchronous (it is run in a worker thread) or asynchronous (Trio). A parameter
annotated `ToolContext` gets the context; the model knows nothing of it.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FunctionType, MethodType
from typing import Any, TypeVar, cast, overload

import attrs
import structlog
import trio
from pydantic_core import to_json

from voicecore.errors import ConfigError, VoicecoreError
from voicecore.tools import docstring, signature
from voicecore.tools.signature import Signature, short
from voicecore.tools.tool import Call, Check, Started, Tool, ToolContext, ToolError

log = structlog.get_logger()

THREADS = 4
"""Calls of one synchronous tool that run at once; more wait. A thread whose call was cancelled
keeps its place until it is done, so a function that hangs fills its own places and no other's."""

OUTSIDERS = (asyncio.CancelledError, GeneratorExit)
"""Not errors to Python, and not ours: they would end the conversation as if it were cancelled."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # what OpenAI-compatible servers take
_OPTIONS = "_voicecore_tool"

Function = Callable[..., object]
F = TypeVar("F", bound=Function)


# --- the decorator -------------------------------------------------------------------------------


@attrs.frozen
class _Options:
    name: str | None = None
    dangerous: bool = False
    detached: bool = False
    timeout_ms: int | None = None
    started: Callable[..., str] | None = None


@overload
def tool(function: F, /) -> F: ...


@overload
def tool(
    *,
    name: str | None = None,
    dangerous: bool = False,
    detached: bool = False,
    timeout_ms: int | None = None,
    started: Callable[..., str] | None = None,
) -> Callable[[F], F]: ...


def tool(function: Function | None = None, /, **options: Any) -> Any:
    """Say how a function is to be used as a tool; the function itself stays as it is.

    Only what differs from a plain function's needs saying; without any of it, the decorator only
    tells the reader.

    Args:
        function: The function, when the decorator is used without parentheses.
        **options: ``name`` instead of the function's; ``dangerous``, ``detached`` and
            ``timeout_ms`` as in `Tool`; ``started``: a function with the same parameters, save the
            context, that does what `Tool.started` does.
    """

    def mark(function: Function) -> Function:
        setattr(function, _OPTIONS, _Options(**options))
        return function

    return mark if function is None else mark(function)


# --- the tool ------------------------------------------------------------------------------------


def tool_of(function: object, *, origin: str) -> Tool:
    """Make a tool of a function.

    What the function returns becomes text for the model: a ``str`` as it is, None as "done",
    anything else as JSON. A `ToolError` that it raises is told to the model as it is; whatever else
    it raises is logged, and told in short.

    Args:
        function: Every parameter is annotated, and described under ``Args:`` in the docstring or by
            ``Annotated[..., pydantic.Field(description=...)]``.
        origin: `Tool.origin`.

    Raises:
        ConfigError: no tool can be made of it; says why.
    """
    options: _Options = getattr(function, _OPTIONS, _Options())
    name = options.name or str(getattr(function, "__name__", ""))
    if not isinstance(function, FunctionType | MethodType) or not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name or function!r} of {origin} cannot be a tool: that takes a function, with a "
            "name of up to 64 of A-Z a-z 0-9 _ -."
        )
    manual = docstring.read(inspect.getdoc(function) or "")
    if not manual.tool:
        raise ConfigError(
            f"The tool {name} of {origin} has no docstring. Write one: it tells the model what "
            "the tool does and when to use it."
        )
    taken = signature.read(function, f"The tool {name} of {origin}", manual.parameters)
    return Tool(
        name=name,
        description=manual.tool,
        parameters=taken.schema(),
        check=_check(name, taken),
        call=_call(name, function, taken.contexts),
        dangerous=options.dangerous,
        detached=options.detached,
        started=_started(name, options.started),
        timeout_ms=options.timeout_ms,
        origin=origin,
    )


def _check(name: str, taken: Signature) -> Check:
    def check(arguments: Mapping[str, object]) -> Mapping[str, object]:
        # Types may have validators of their own, that is, foreign code.
        with foreign(f"{name}: its arguments could not be checked", ToolError):
            return taken.checked(name, arguments)

    return check


def _call(name: str, function: Function, contexts: tuple[str, ...]) -> Call:
    limiter = trio.CapacityLimiter(THREADS)

    async def call(arguments: Mapping[str, object], context: ToolContext) -> str:
        with foreign(f"{name} failed", ToolError):
            return as_text(
                await cast("Any", function)(**arguments, **dict.fromkeys(contexts, context))
            )

    async def call_in_thread(arguments: Mapping[str, object], context: ToolContext) -> str:
        given = dict.fromkeys(contexts, _from_thread(context))
        with foreign(f"{name} failed", ToolError):
            return await trio.to_thread.run_sync(
                lambda: as_text(function(**arguments, **given)),
                abandon_on_cancel=True,
                limiter=limiter,
            )

    return call if inspect.iscoroutinefunction(function) else call_in_thread


def _from_thread(context: ToolContext) -> ToolContext:
    """Let a thread tell of its call. A call that was cancelled ends there (`trio.Cancelled`)."""

    def progress(percent: float, detail: str) -> None:
        trio.from_thread.check_cancelled()
        trio.from_thread.run_sync(context.progress, percent, detail)

    def notify(text: str) -> None:
        trio.from_thread.check_cancelled()
        trio.from_thread.run_sync(context.notify, text)

    return attrs.evolve(context, progress=progress, notify=notify)


def _started(name: str, function: Callable[..., str] | None) -> Started | None:
    if function is None:
        return None

    def started(arguments: Mapping[str, object]) -> str:
        with foreign(f"{name} failed", ToolError):
            return function(**arguments)

    return started


def as_text(value: object) -> str:
    """Turn what a function returned into text for the model."""
    if value is None:
        return "done"
    return value if isinstance(value, str) else to_json(value, fallback=str).decode()


@contextmanager
def foreign(what: str, error: type[VoicecoreError]) -> Iterator[None]:
    """Run code of which nothing is known; whatever it raises becomes an ``error``.

    The package's second broad catch: this is the boundary to people's own functions, and one that
    fails, or even calls `sys.exit`, must not take a conversation down. An ``error`` that the code
    raises itself passes as it is; so does a cancellation.
    """
    try:
        yield
    except error:
        raise
    except SystemExit as exc:
        raise error(f"{what}: it called sys.exit({exc.code!r}).") from exc
    except Exception as exc:
        first = _first(exc)
        if isinstance(first, error):
            raise first from None
        log.warning(what, exc_info=True)
        reason = f"{type(first).__name__}: {first}" if str(first) else type(first).__name__
        raise error(f"{what}: {short(reason)}") from exc
    except BaseExceptionGroup as group:
        # A cancellation goes on alone; nobody waits for what failed besides.
        raise group.split(Exception)[1] or group from None
    except OUTSIDERS as exc:
        raise error(f"{what}: {type(exc).__name__}") from exc


def _first(error: Exception) -> Exception:
    """What a nursery's group is about."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
