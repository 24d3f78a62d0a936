"""The task that reads a client's socket.

It never stops reading: an unread socket answers no ping, and its messages grow old in buffers
nobody sees.
"""

from __future__ import annotations

from collections.abc import Callable

import trio
import trio_websocket

from voicecore import events
from voicecore.events import Command
from voicecore.wire.protocol import Wire
from voicecore.wire.socket import Socket


class TooManyBadMessages(Exception):
    """So many malformed messages in a row that the client does not speak this protocol."""


async def read(
    socket: Socket,
    wire: Wire,
    take: Callable[[Command], None],
    *,
    max_bad_messages: int,
) -> None:
    """Decode what the client sends until it leaves.

    Args:
        socket: the accepted connection.
        wire: the protocol.
        take: gets each command; it has nothing to wait for.
        max_bad_messages: in a row; one more is not read.

    Raises:
        TooManyBadMessages: close the connection with 1008.
    """
    bad = 0
    while True:
        try:
            message = await socket.get_message()
        except trio_websocket.ConnectionClosed:
            return
        for number, command in enumerate(wire.decode(message)):
            if number:  # of a long sound, cut into pieces: let others run in between
                await trio.lowlevel.checkpoint()
            bad = bad + 1 if isinstance(command, events.Wrong) else 0
            take(command)
        if bad >= max_bad_messages:
            raise TooManyBadMessages
