"""A connection with no room in it: what one side sends waits until the other side reads.

`trio.testing.lockstep_stream_pair` does so too, but breaks when a send is cancelled.
"""

from __future__ import annotations

import math

import trio


class ChannelStream(trio.abc.HalfCloseableStream):
    """One end."""

    def __init__(
        self, outgoing: trio.MemorySendChannel[bytes], incoming: trio.MemoryReceiveChannel[bytes]
    ) -> None:
        self._outgoing, self._incoming = outgoing, incoming
        self._rest = b""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._outgoing.send(bytes(data))

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if not self._rest:
            try:
                self._rest = await self._incoming.receive()
            except trio.EndOfChannel:
                return b""
        size = len(self._rest) if max_bytes is None else max_bytes
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    async def send_eof(self) -> None:
        await self._outgoing.aclose()

    async def aclose(self) -> None:
        self._outgoing.close()
        self._incoming.close()
        await trio.lowlevel.checkpoint()


def narrow_stream_pair() -> tuple[ChannelStream, ChannelStream]:
    """The client's end, which is never held up, and the host's, whose sends wait for the client."""
    to_host, from_client = trio.open_memory_channel[bytes](math.inf)
    to_client, from_host = trio.open_memory_channel[bytes](0)
    return ChannelStream(to_host, from_host), ChannelStream(to_client, from_client)
