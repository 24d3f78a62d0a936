"""Why a server failed, in one sentence: the boundary to the SDK."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from httpx2 import HTTPError
from mcp import MCPError
from mcp_types import CONNECTION_CLOSED, INVALID_REQUEST
from pydantic import ValidationError

from voicecore.errors import VoicecoreError

MAX_REASON_CHARS = 300
"""Of a server's own words in an error."""


class ServerFault(VoicecoreError):
    """A server failed: its text says how."""

    code = "TOOL_ERROR"

    def __init__(self, reason: str, *, over: bool, invalid: bool = False) -> None:
        super().__init__(reason)
        self.over = over
        """The connection cannot be used any more; otherwise only this request failed."""
        self.invalid = invalid
        """The server called the request invalid, as one does that has forgotten its session."""


@contextmanager
def faults() -> Iterator[None]:
    """Turn whatever the SDK raises into a `ServerFault`.

    This is the one broad catch towards MCP: a server's answers pass through a dozen modules of the
    SDK (JSON-RPC, pydantic models, JSON Schema, HTTP) whose errors have no common base, and which
    anyio puts in groups. A cancellation passes through.
    """
    group: ExceptionGroup[Exception] | None = None
    try:
        yield
    except* Exception as caught:  # noqa: BLE001
        group = caught
    # Raised out here: within except*, it would itself be put in a group.
    if group is not None:
        raise _fault(group) from group


def _fault(group: ExceptionGroup[Exception]) -> ServerFault:
    errors = list(_leaves(group))
    for error in errors:
        if isinstance(error, ServerFault):
            return error
    over = [error for error in errors if _is_over(error)]
    worst = (over or errors)[0]
    invalid = isinstance(worst, MCPError) and worst.code == INVALID_REQUEST
    return ServerFault(_reason(worst), over=bool(over), invalid=invalid)


def _leaves(error: Exception) -> Iterator[Exception]:
    if isinstance(error, ExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _is_over(error: Exception) -> bool:
    """Whether nothing more can be asked."""
    if isinstance(error, MCPError):
        return error.code == CONNECTION_CLOSED
    return isinstance(error, OSError | HTTPError)


def _reason(error: Exception) -> str:
    if isinstance(error, MCPError):
        said = error.message
    elif isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        said = f"it answered with what MCP does not know ({where}: {first['msg']})"
    else:
        said = str(error)
    return " ".join(said.split())[:MAX_REASON_CHARS] or type(error).__name__
