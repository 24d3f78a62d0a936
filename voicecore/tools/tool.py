"""What a tool is: a name, a description, a schema of its arguments, and something to be awaited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import attrs

from voicecore.engines.interface import ToolSpec
from voicecore.errors import VoicecoreError


class ToolError(VoicecoreError):
    """A call failed. The text is given to the model, which may mend the call or tell the person."""

    code = "TOOL_ERROR"


@attrs.frozen(eq=False)
class ToolContext:
    """What a running call knows of the conversation, and how it can tell about itself.

    A function that has a parameter annotated `ToolContext` gets it there; the model knows nothing
    of that parameter.
    """

    character: str
    client: str
    """Whose conversation it is: an opaque key, not fit for a file name."""
    folder: Path
    """This client's own, for what the tool keeps; made when it is first needed."""
    wall_s: Callable[[], float]
    """Seconds since the epoch; the one clock a tool may ask for the time of day."""
    progress: Callable[[float, str], None]
    """Tell how far the call is: 0 to 100, and in a few words what it does."""
    notify: Callable[[str], None]
    """Have something said to the person, as soon as nobody speaks."""


Check = Callable[[Mapping[str, object]], Mapping[str, object]]
"""Looks at the arguments as the model gave them, before anything runs. Returns them as the tool
wants them: in its own types, with its defaults. Synchronous, and quick.

Raises:
    ToolError: they do not fit the schema; says which, and what was expected.
"""

Call = Callable[[Mapping[str, object], ToolContext], Awaitable[str]]
"""Runs one call: arguments as `Tool.check` returned them, and the result as text for the model.

Raises:
    ToolError: it failed; says why.

**Cancellation**: the call ends at once; what it does in a thread goes on to its end, unheard.
"""

Started = Callable[[Mapping[str, object]], str]
"""What the model is told at once of a detached call: "The tea timer is set for 5 minutes." It gets
the arguments as `Tool.check` returned them, and is asked before the call is started. Synchronous,
and quick.

Raises:
    ToolError: the arguments do not fit together; nothing is to be started.
"""


@attrs.frozen(eq=False)
class Tool:
    """One tool, of whatever origin."""

    name: str
    description: str
    """For the model: what it does and when to use it."""
    parameters: Mapping[str, object]
    """JSON Schema of an object."""
    check: Check
    call: Call
    dangerous: bool = False
    """Off unless the configuration allows it by name."""
    detached: bool = False
    """It outlives the turn that called it: an interruption does not cancel it. The model does not
    wait for its result, which is told to the person instead."""
    started: Started | None = None
    """For a detached tool; None for a sentence that fits every tool."""
    timeout_ms: int | None = None
    """None for ``tools.timeout_ms``."""
    origin: str = "voicecore"
    """The package or the MCP server it comes from."""

    @property
    def spec(self) -> ToolSpec:
        return ToolSpec(self.name, self.description, self.parameters)
