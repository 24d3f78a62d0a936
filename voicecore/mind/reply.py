"""Tokens to the reply's text: tool calls are taken out, the rest is shown and spoken."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog
import trio

from voicecore.engines.interface import Delta
from voicecore.events import Event, ReplyText, ReplyTextComplete
from voicecore.mind.strip import BadToolCall, Piece, Text, ToolCallStripper
from voicecore.mind.turn import Turn

log = structlog.get_logger()


async def strip(
    tokens: trio.MemoryReceiveChannel[Delta],
    words: trio.MemorySendChannel[str],
    emit: Callable[[Event], None],
    turn: Turn,
    stripper: ToolCallStripper,
) -> None:
    """Send the reply's text to the client as it comes, and on to the mouth.

    The client gets it first, so that text never follows its sound.
    """
    with tokens, words:
        async for delta in tokens:
            await _pass_on(stripper.feed(delta.text), words, emit, turn)
        await _pass_on(stripper.close(), words, emit, turn)
        emit(ReplyTextComplete(turn.id))


async def _pass_on(
    pieces: Sequence[Piece],
    words: trio.MemorySendChannel[str],
    emit: Callable[[Event], None],
    turn: Turn,
) -> None:
    for piece in pieces:
        if not isinstance(piece, Text):
            log.info("tool call removed", understood=not isinstance(piece, BadToolCall))
            continue
        emit(ReplyText(turn.id, piece.text, first=not turn.text))
        turn.text += piece.text
        await words.send(piece.text)
