"""The task that writes to a client's socket: the only one, and outside every turn's scope.

A send that is cancelled halfway leaves a torn frame, in which all later messages vanish. So nothing
cancels this task but the end of the connection itself.
"""

from __future__ import annotations

import trio_websocket

from voicecore.wire.outbox import Outbox
from voicecore.wire.protocol import Wire
from voicecore.wire.socket import Socket


async def write(outbox: Outbox, wire: Wire, socket: Socket) -> None:
    """Send what is due until the outbox is closed and empty, or the client is gone."""
    while True:
        event = await outbox.take()
        if event is None:
            return
        for message in wire.encode(event):
            try:
                await socket.send_message(message)
            except trio_websocket.ConnectionClosed:
                return
