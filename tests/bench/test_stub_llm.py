"""The stand-in for a language model."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import h11
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, memory_stream_pair

from voicecore.bench.stub_llm import REPLY, STORY, Pace, Stub, choose, events, read_messages, tokens
from voicecore.engines.interface import Delta, Usage
from voicecore.engines.openai_reply import ReplyReader

ASKED = [{"role": "user", "content": "What is the capital of France?"}]


@given(st.text(alphabet="ab .,\n", min_size=1))
def test_tokens_join_to_the_reply(reply: str) -> None:
    assert "".join(tokens(reply)) == reply.rstrip()


def test_the_first_token_and_the_rate_are_kept() -> None:
    pace = Pace(first_ms=250, tokens_per_s=20)
    assert [pace.due_s(index) for index in range(3)] == pytest.approx([0.25, 0.3, 0.35])


def test_the_reply_depends_on_the_prompt_alone() -> None:
    replies = ("one", "two")
    twice = [*ASKED, {"role": "assistant", "content": "one"}, *ASKED]
    assert choose(replies, ASKED) == choose(replies, ASKED) == "one"
    assert choose(replies, twice) == "two"
    assert choose(replies, [{"role": "user", "content": [{"text": "A long Story"}]}]) == STORY


def test_our_own_client_reads_what_it_writes() -> None:
    reader = ReplyReader("stub", 0)
    chunks = [chunk for event in events(REPLY, ASKED) for chunk in reader.feed(event)]
    chunks += reader.close()
    assert "".join(chunk.text for chunk in chunks if isinstance(chunk, Delta)) == REPLY
    usage = chunks[-1]
    assert isinstance(usage, Usage)
    assert (usage.tokens_in, usage.tokens_out) == (6, len(tokens(REPLY)))


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"messages": []}', b'{"stream": true, "messages": [1]}']
)
def test_what_is_no_streamed_chat_completion_is_refused(body: bytes) -> None:
    assert read_messages(body) is None


@asynccontextmanager
async def connected(stub: Stub) -> AsyncIterator[trio.abc.Stream]:
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stub.handle, theirs)
        yield ours
        await ours.aclose()


async def ask(
    stream: trio.abc.Stream, connection: h11.Connection, body: bytes
) -> list[tuple[float, Any]]:
    """Send a request; give the response's events with the seconds since."""
    begun_s = trio.current_time()
    headers = [("Host", "test"), ("Content-Length", str(len(body)))]
    request = h11.Request(method="POST", target="/v1/chat/completions", headers=headers)
    for part in (request, h11.Data(data=body), h11.EndOfMessage()):
        await stream.send_all(connection.send(part) or b"")
    found: list[tuple[float, Any]] = []
    while not (found and isinstance(found[-1][1], h11.EndOfMessage)):
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(bytes(await stream.receive_some()))
        else:
            found.append((trio.current_time() - begun_s, event))
    return found


async def test_a_connection_answers_request_after_request_at_the_pace(
    autojump_clock: MockClock,
) -> None:
    body = json.dumps({"model": "any", "stream": True, "messages": ASKED}).encode()
    async with connected(Stub(Pace(100, 40), ("a b c",))) as stream:
        client = h11.Connection(h11.CLIENT)
        for _ in range(2):
            found = await ask(stream, client, body)
            times = [at for at, event in found if isinstance(event, h11.Data)]
            assert times[:3] == pytest.approx([0.1, 0.125, 0.15])
            client.start_next_cycle()


async def test_a_bad_request_is_told_what_is_wrong(autojump_clock: MockClock) -> None:
    async with connected(Stub()) as stream:
        found = await ask(stream, h11.Connection(h11.CLIENT), b"{}")
    assert found[0][1].status_code == 400
    assert b"stream: true" in found[1][1].data


async def test_a_client_that_leaves_ends_its_reply(autojump_clock: MockClock) -> None:
    body = json.dumps({"stream": True, "messages": ASKED}).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n"
    with trio.fail_after(1):
        async with connected(Stub(Pace(100, 1))) as stream:
            await stream.send_all(head % len(body) + body)
            await stream.receive_some()
