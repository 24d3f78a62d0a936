"""One reply: rounds of the model and its tools, until it has answered.

The model's text goes to the client and on to the mouth as it comes; calls are taken out of it and
run, and their results go back to the model.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence

import attrs
import structlog
import trio

from voicecore.engines.interface import CalledTool, Delta, Llm, Message, Prompt
from voicecore.events import Event, ReplyText, ReplyTextComplete
from voicecore.mind.emotion import EmotionTags, Tagged
from voicecore.mind.generate import generate
from voicecore.mind.strip import BadToolCall, Piece, Text, ToolCall, ToolCallStripper
from voicecore.mind.turn import Turn
from voicecore.tools.tasks import Result
from voicecore.tools.tool import Tool

log = structlog.get_logger()

TOKENS = 64
"""Half a second of a small model's text."""

TOO_MANY_ROUNDS = "The language model went on calling tools and gave no answer."

MAX_CALLS = 16
"""Of one round; more are refused, and the model is told."""


@attrs.frozen(eq=False)
class Toolbox:
    """What the model may use in one turn."""

    tools: Mapping[str, Tool]
    run: Callable[[Tool, Mapping[str, object]], Awaitable[Result]]
    max_rounds: int
    filler: str
    """Said when the tools take longer than ``filler_ms`` and nothing was said yet."""
    filler_ms: int


@attrs.frozen(eq=False)
class Voice:
    """Where a reply's text goes: to the client first, so that text never follows its sound."""

    turn: Turn
    emit: Callable[[Event], None]
    words: trio.MemorySendChannel[str]


async def say(voice: Voice, text: str) -> None:
    turn = voice.turn
    voice.emit(ReplyText(turn.id, text))
    turn.text += text
    await voice.words.send(text)


async def reply(
    llm: Llm,
    prompt: Callable[[Sequence[Message], bool], Prompt],
    voice: Voice,
    toolbox: Toolbox,
    released: Callable[[], Awaitable[None]],
) -> None:
    """Answer, calling tools as the model asks for.

    Args:
        llm: the model.
        prompt: makes the prompt; takes the tools' work so far in this turn, and whether tools may
            still be called.
        voice: where the text goes; its channel is closed at the end.
        toolbox: the tools.
        released: waits until the turn is no longer a guess; no tool runs before.

    **Cancellation** cancels the tools that run, detached ones excepted.
    """
    turn = voice.turn
    with voice.words:
        for rounds_left in reversed(range(toolbox.max_rounds + 1)):
            asked = await _round(llm, prompt(turn.exchanges, rounds_left > 0), voice, toolbox)
            if not asked or turn.problem is not None:
                break
            if not rounds_left:
                turn.fail("TOOL_ROUNDS", TOO_MANY_ROUNDS)
                break
            await released()
            if turn.text and not turn.text.endswith("\n"):
                await say(voice, "\n")  # what was said so far is spoken while the tools work
            said = turn.answer
            turn.exchanges += await _use(asked, said, voice, toolbox)
            turn.settled = len(turn.text)
        voice.emit(ReplyTextComplete(turn.id))


async def _round(llm: Llm, prompt: Prompt, voice: Voice, toolbox: Toolbox) -> list[Asked]:
    """Have the model write; return the calls it made, those included that make no sense."""
    asked: list[Asked] = []
    stripper = ToolCallStripper(toolbox.tools)
    tokens_in, tokens_out = trio.open_memory_channel[Delta | CalledTool](TOKENS)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(generate, llm, prompt, tokens_in, voice.turn)
        nursery.start_soon(_strip, tokens_out, stripper, EmotionTags(), voice, asked)
    return asked


async def _strip(
    tokens: trio.MemoryReceiveChannel[Delta | CalledTool],
    stripper: ToolCallStripper,
    tags: EmotionTags,
    voice: Voice,
    asked: list[Asked],
) -> None:
    """Pass the text on; collect the calls in it and beside it."""

    async def pass_on(pieces: Sequence[str | Tagged]) -> None:
        for piece in pieces:
            if isinstance(piece, Tagged):
                if (mood := voice.turn.feel(piece.emotion)) is not None:
                    voice.emit(mood)
            else:
                await say(voice, piece)

    async def take(pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            if isinstance(piece, Text):
                await pass_on(tags.feed(piece.text))
            else:
                asked.append(Asked.of(piece, len(voice.turn.exchanges) + len(asked)))

    with tokens:
        async for token in tokens:
            if isinstance(token, CalledTool):
                asked.append(Asked.of_native(token))
            else:
                await take(stripper.feed(token.text))
        await take(stripper.close())
        await pass_on(tags.close())


@attrs.frozen
class Asked:
    """A call as the model made it."""

    call: CalledTool
    arguments: Mapping[str, object] | None
    """None if they could not be understood."""
    problem: str = ""

    @classmethod
    def of(cls, piece: ToolCall | BadToolCall, number: int) -> Asked:
        """Read a call that stood in the reply's text; ``number`` is unique in the turn."""
        if isinstance(piece, BadToolCall):
            problem = f"The call could not be understood. {piece.reason} Mend it, or answer."
            return cls(CalledTool(f"call-{number}", "unknown", "{}"), None, problem)
        written = json.dumps(piece.arguments, ensure_ascii=False)
        return cls(CalledTool(f"call-{number}", piece.name, written), piece.arguments)

    @classmethod
    def of_native(cls, call: CalledTool) -> Asked:
        try:
            arguments = json.loads(call.arguments or "{}")
        except (ValueError, RecursionError) as error:
            return cls(call, None, f"The arguments are not valid JSON: {error}.")
        if not isinstance(arguments, dict):
            return cls(call, None, "The arguments must be a JSON object.")
        return cls(call, arguments)


async def _use(asked: Sequence[Asked], said: str, voice: Voice, toolbox: Toolbox) -> list[Message]:
    """Run the calls of one round side by side; return them and their results as messages.

    ``said`` is what the model wrote before it called.
    """
    results: dict[int, Result] = {}

    async def work(index: int, one: Asked) -> None:
        results[index] = await _call(one, toolbox)

    async with trio.open_nursery() as waiting:
        waiting.start_soon(_fill_silence, voice, toolbox)
        async with trio.open_nursery() as nursery:
            for index, one in enumerate(asked[:MAX_CALLS]):
                nursery.start_soon(work, index, one)
        waiting.cancel_scope.cancel("the tools are done")
    refused = Result(f"Only {MAX_CALLS} calls at once are run; this one was not.", failed=True)
    return [
        Message("assistant", said, calls=tuple(one.call for one in asked)),
        *(
            Message("tool", results.get(index, refused).text, call_id=one.call.id)
            for index, one in enumerate(asked)
        ),
    ]


async def _call(asked: Asked, toolbox: Toolbox) -> Result:
    if asked.arguments is None:
        return Result(asked.problem, failed=True)
    tool = toolbox.tools.get(asked.call.name)
    if tool is None:
        known = ", ".join(sorted(toolbox.tools)) or "none"
        name = asked.call.name[:64]
        return Result(f"There is no tool called {name!r}. There are: {known}.", failed=True)
    return await toolbox.run(tool, asked.arguments)


async def _fill_silence(voice: Voice, toolbox: Toolbox) -> None:
    await trio.sleep(toolbox.filler_ms / 1000)
    if toolbox.filler and not voice.turn.text:
        await say(voice, f"{toolbox.filler}\n")
