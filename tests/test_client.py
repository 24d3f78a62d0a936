"""The client's connection, and how it ends."""

from __future__ import annotations

import pytest
import trio
import trio_websocket
from trio.testing import MockClock, memory_stream_pair

from voicecore.client import open_socket


async def closed_by(leave: str, monkeypatch: pytest.MonkeyPatch) -> tuple[float, int | None]:
    """How long a client takes to leave, in s, and the code that the host is told."""
    ours, theirs = memory_stream_pair()
    codes: list[int | None] = []

    async def connect(
        nursery: trio.Nursery, url: str, *, max_message_size: int
    ) -> trio_websocket.WebSocketConnection:
        return await trio_websocket.wrap_client_stream(
            nursery,
            ours,  # type: ignore[arg-type] # it takes any stream
            "test",
            url,
            max_message_size=max_message_size,
        )

    async def serve() -> None:
        async with trio.open_nursery() as nursery:
            request = await trio_websocket.wrap_server_stream(nursery, theirs)
            socket = await request.accept()
            with pytest.raises(trio_websocket.ConnectionClosed) as closed:
                await socket.get_message()
            reason = closed.value.reason
            codes.append(reason.code if reason else None)
            nursery.cancel_scope.cancel()

    monkeypatch.setattr(trio_websocket, "connect_websocket_url", connect)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        with trio.CancelScope() as scope:
            async with open_socket("/ws"):
                await trio.sleep(1)
                begun_s = trio.current_time()
                if leave == "cancelled":
                    scope.cancel()
                    await trio.sleep_forever()
        took_s = trio.current_time() - begun_s
    return took_s, codes[0]


@pytest.mark.parametrize("leave", ["left", "cancelled"])
async def test_the_host_is_told_and_nobody_waits_for_long(
    leave: str, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    took_s, code = await closed_by(leave, monkeypatch)
    assert took_s < 0.2
    assert code == 1000
