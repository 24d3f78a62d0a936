"""A prompt to tokens, through the language model."""

from __future__ import annotations

import trio

from voicecore.engines.interface import CalledTool, Delta, Llm, Prompt, Usage
from voicecore.errors import EngineError
from voicecore.mind.turn import Turn


async def generate(
    llm: Llm, prompt: Prompt, tokens: trio.MemorySendChannel[Delta | CalledTool], turn: Turn
) -> None:
    """Stream the reply into ``tokens`` and its cost into ``turn``.

    A model that fails halfway ends the reply there: what it had said is still shown and spoken, and
    the turn says why it is incomplete.
    """
    with tokens:
        asked_s = trio.current_time()
        first = not turn.has("first token")
        try:
            async with llm.stream(prompt) as chunks:
                async for chunk in chunks:
                    if isinstance(chunk, Usage):
                        turn.tokens_in += chunk.tokens_in
                        turn.tokens_out += chunk.tokens_out
                        turn.model = chunk.model
                        continue
                    if first:
                        turn.span(
                            "first token", f"llm:{llm.info.name}", asked_s, trio.current_time()
                        )
                        first = False
                    await tokens.send(chunk)
        except EngineError as error:
            turn.fail(error.code, str(error))
