"""A client's WebSocket: the library's, with a short way for most of what the client sends."""

from __future__ import annotations

import os
import socket as sockets
from collections import deque
from contextlib import suppress

import trio
import trio_websocket

from voicecore.wire.frames import Frames, Item, Way

RECEIVE_BYTES = 64 * 1024
"""Read from a socket at once: a whole microphone message, most times."""
MAX_PASSED_BYTES = 64 * 1024
"""Of pings that wait for the library, because their sender reads no pongs."""

GATHERED_S = 0.04
"""What comes in this time is taken together while nobody speaks: two messages of 20 ms, four of 10.
To be woken costs a silent client more than all else."""
GATHERED_SHARE = 0.8
"""Messages vary in length: the last of the time must be enough."""
LATEST_S = 0.06
"""Whatever has come is taken then."""
REST_S = 1.0
"""After a change: the rate is measured that long."""


class Intake(trio.abc.HalfCloseableStream):
    """The stream the library works on, which gives it only what the short way cannot take.

    Two tasks wait here, of which one at a time reads the client's stream: whoever takes messages
    (`next_item`), or the library while it is in the midst of a message, and after `leave`.

    Args:
        stream: the client's.
        first: what was read of it already; it begins with the request that opens the WebSocket.
        max_bytes: of a message.
    """

    def __init__(self, stream: trio.abc.HalfCloseableStream, first: bytes, max_bytes: int) -> None:
        self._stream = stream
        head, end, rest = first.partition(b"\r\n\r\n")
        self._frames = Frames(max_bytes)
        self._frames.passed += head + end
        self._items: deque[Item] = deque(self._frames.feed(rest))
        self._news = trio.lowlevel.ParkingLot()
        self._patient = self._gathering = False
        self._bytes, self._begun_s = 0, trio.current_time()

    def be_patient(self, patient: bool) -> None:  # noqa: FBT001
        """Say whether what comes need not be taken at once, but within `LATEST_S`."""
        self._patient = patient
        if self._gathering and not patient:
            self._gather(0)

    def _gather(self, size: int) -> None:
        """Be woken when so many bytes have come; 0 for each."""
        if isinstance(self._stream, trio.SocketStream):
            with suppress(OSError):  # it is closed, or the system knows no such thing
                self._stream.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVLOWAT, max(1, size))
                self._gathering = size > 0
        self._bytes, self._begun_s = 0, trio.current_time()

    async def _gathered(self) -> bytes | bytearray:
        passed_s = trio.current_time() - self._begun_s
        if self._patient and not self._gathering and passed_s > REST_S:
            self._gather(round(self._bytes / passed_s * GATHERED_S * GATHERED_SHARE))
        if self._gathering:
            with trio.move_on_after(LATEST_S):
                return await _receive_from(self._stream)
            self._gather(0)
        return await _receive_from(self._stream)

    async def next_item(self) -> Item:
        """Wait for the next message, or for the word that it comes from the library."""
        while not self._items:
            if self._frames.over:
                return Way.LIBRARY
            try:
                await self._receive()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self.leave()  # the library finds the same, and closes
        item = self._items.popleft()
        if self._items:  # they came together: let others run in between
            await trio.lowlevel.checkpoint()
        return item

    def leave(self) -> None:
        """Take no more messages: from now on the library reads all."""
        self._items += self._frames.close()
        self._news.unpark_all()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """For the library. Waits while there is nothing for it."""
        await trio.lowlevel.checkpoint()
        passed = self._frames.passed
        while not passed:
            if not self._frames.passing:
                await self._news.park()
            elif not await self._receive():
                return b""
        data = passed[:max_bytes]
        del passed[: len(data)]
        return data

    async def _receive(self) -> bool:
        """Read some bytes; False at their end."""
        data = await self._gathered()
        self._bytes += len(data)
        self._items += self._frames.feed(data)
        if not data or len(self._frames.passed) > MAX_PASSED_BYTES:
            self.leave()
        elif self._frames.passed:
            self._news.unpark_all()
        return bool(data)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _receive_from(stream: trio.abc.ReceiveStream) -> bytes | bytearray:
    """As ``receive_some``, for a socket that is nearly always empty when it is asked.

    ``receive_some`` first tries whether there is something. To wait first saves that call and its
    exception, 5 % of what a silent client costs.
    """
    if not isinstance(stream, trio.SocketStream) or os.name != "posix":
        return await stream.receive_some(RECEIVE_BYTES)
    handle = stream.socket.fileno()
    if handle < 0:
        raise trio.ClosedResourceError("The connection was closed here.")
    while True:
        await trio.lowlevel.wait_readable(handle)
        try:
            return os.read(handle, RECEIVE_BYTES)
        except BlockingIOError:
            continue
        except OSError as error:
            raise trio.BrokenResourceError(f"The connection is broken: {error}") from error


class Socket:
    """An accepted WebSocket.

    One task receives, one sends. As the library's connection in all but the way that messages take.
    """

    def __init__(self, connection: trio_websocket.WebSocketConnection, intake: Intake) -> None:
        self._connection, self._intake = connection, intake

    async def get_message(self) -> str | bytes:
        """Wait for the next message.

        Raises:
            trio_websocket.ConnectionClosed: the client has left, or broken the protocol.

        **Cancellation**: loses nothing but the message that was about to be returned.
        """
        item = await self._intake.next_item()
        return await self._connection.get_message() if isinstance(item, Way) else item

    def be_patient(self, patient: bool) -> None:  # noqa: FBT001
        self._intake.be_patient(patient)

    async def send_message(self, message: str | bytes) -> None:
        """Send a message; raises as `get_message`. A cancelled send tears it."""
        await self._connection.send_message(message)

    async def aclose(self, code: int, reason: str) -> None:
        """Close, and wait for the client to agree. Messages on their way are not read."""
        self._intake.leave()
        await self._connection.aclose(code, reason)
