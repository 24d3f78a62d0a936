"""A stand-in for a language model: fixed words at a set pace, over OpenAI's chat completions.

It makes runs comparable: the model's share of a turn is the same for every host and every run. Only
what a streaming client needs is there: ``GET /v1/models`` and ``POST /v1/chat/completions``.

    python -m voicecore.bench.stub_llm --port 8089 --first-ms 100 --tokens-per-s 40
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import h11
import trio

MODEL = "stub"

REPLY = (
    "The capital of France is Paris. It lies on the Seine, and about two million people live there."
)
STORY = (
    "Seven grey dragons lived under the old post office near the sea. The smallest of them flew "
    "down to the harbour and counted copper spoons. One Tuesday a princess asked him where the "
    "wind was born. He did not know, and so they set out together to find it. They crossed seven "
    "rivers and three deserts, and slept under the stars. In the end they found a little old woman "
    "who kept the wind in a wooden box. She opened it for them, and they all flew home."
)
"""Its words are not those one expects, so that a recogniser that hears half of it adds nothing."""

STORY_WORD = "story"
"""Asked for one, the stub gives the long reply: something that can be interrupted."""

MAX_BODY_BYTES = 4 * 1024 * 1024
"""A prompt with a picture."""

_TOKEN = re.compile(r"\s*\S+")


@attrs.frozen
class Pace:
    """When each token of a reply is due, as a model would bring it."""

    first_ms: float = 100.0
    """From the request to the first token."""
    tokens_per_s: float = 40.0

    def due_s(self, index: int) -> float:
        """Give the seconds from the request to this token."""
        return self.first_ms / 1000 + index / self.tokens_per_s


def tokens(reply: str) -> list[str]:
    """Split a reply as it is streamed: word by word, each with the space before it."""
    return _TOKEN.findall(reply)


def choose(replies: Sequence[str], messages: Sequence[dict[str, Any]]) -> str:
    """Choose the reply by the prompt alone, so that a repeated request gets the same one."""
    asked = [_text(message) for message in messages if message.get("role") == "user"]
    if asked and STORY_WORD in asked[-1].lower():
        return STORY
    return replies[max(0, len(asked) - 1) % len(replies)]


def _text(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return " ".join(part.get("text", "") for part in content if isinstance(part, dict))


def events(reply: str, messages: Sequence[dict[str, Any]]) -> Iterator[bytes]:
    """Write the server-sent events: one for each token, then the end and the usage."""
    pieces = tokens(reply)
    for piece in pieces:
        yield _event({"choices": [{"index": 0, "delta": {"content": piece}}]})
    yield _event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    read = sum(len(tokens(_text(message))) for message in messages)
    usage = {"prompt_tokens": read, "completion_tokens": len(pieces)}
    yield _event({"choices": [], "usage": {**usage, "total_tokens": read + len(pieces)}})
    yield b"data: [DONE]\n\n"


def _event(fields: dict[str, Any]) -> bytes:
    about = {"id": "chatcmpl-stub", "object": "chat.completion.chunk", "created": 0, "model": MODEL}
    return b"data: " + json.dumps({**about, **fields}).encode() + b"\n\n"


# --- the server ----------------------------------------------------------------------------------


@attrs.frozen
class Stub:
    """What it says and how fast."""

    pace: Pace = Pace()
    replies: tuple[str, ...] = (REPLY,)

    async def serve(
        self, port: int, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve on 127.0.0.1 until cancelled; reports the port once it listens.

        **Cancellation** closes all connections.
        """
        listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
        task_status.started(listeners[0].socket.getsockname()[1])
        await trio.serve_listeners(self.handle, listeners)

    async def handle(self, stream: trio.abc.Stream) -> None:
        """Answer the requests of one connection until it is closed or broken."""
        connection = h11.Connection(h11.SERVER)
        async with stream:
            try:
                while await self._exchange(stream, connection):
                    connection.start_next_cycle()
            except (trio.BrokenResourceError, h11.RemoteProtocolError):
                return  # the client has left, which is how a reply is cancelled

    async def _exchange(self, stream: trio.abc.Stream, connection: h11.Connection) -> bool:
        request, body = await _receive(stream, connection)
        if request is None:
            return False
        path = request.target.decode("latin-1").partition("?")[0].rstrip("/")
        if request.method == b"GET" and path.endswith("/models"):
            listed = {"object": "list", "data": [{"id": MODEL, "object": "model"}]}
            await _answer(stream, connection, 200, listed)
        elif request.method == b"POST" and path.endswith("/chat/completions"):
            await self._complete(stream, connection, body)
        else:
            await _answer(stream, connection, 404, {"error": {"message": f"no such path: {path}"}})
        return connection.our_state is h11.DONE and connection.their_state is h11.DONE

    async def _complete(
        self, stream: trio.abc.Stream, connection: h11.Connection, body: bytes
    ) -> None:
        begun_s = trio.current_time()
        messages = read_messages(body)
        if messages is None:
            said = "the body must be a JSON object with messages and stream: true"
            await _answer(stream, connection, 400, {"error": {"message": said}})
            return
        headers = [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")]
        await _send(stream, connection, h11.Response(status_code=200, headers=headers))
        for index, event in enumerate(events(choose(self.replies, messages), messages)):
            await trio.sleep_until(begun_s + self.pace.due_s(index))
            await _send(stream, connection, h11.Data(data=event))
        await _send(stream, connection, h11.EndOfMessage())


def read_messages(body: bytes) -> list[dict[str, Any]] | None:
    """Read the prompt's messages; None if this is no streamed chat completion."""
    try:
        asked = json.loads(body)
    except ValueError:
        return None
    if not isinstance(asked, dict) or not asked.get("stream"):
        return None
    messages = asked.get("messages")
    if not isinstance(messages, list) or not all(isinstance(each, dict) for each in messages):
        return None
    return messages


async def _receive(
    stream: trio.abc.Stream, connection: h11.Connection
) -> tuple[h11.Request | None, bytes]:
    """Read one request with its body; None when the client has closed the connection."""
    request, body = None, bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(bytes(await stream.receive_some(65_536)))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_BODY_BYTES:
                raise h11.RemoteProtocolError("the request is too large", 413)
        elif isinstance(event, h11.EndOfMessage):
            return request, bytes(body)
        else:
            return None, b""


async def _answer(
    stream: trio.abc.Stream, connection: h11.Connection, status: int, content: object
) -> None:
    data = json.dumps(content).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(data)))]
    await _send(stream, connection, h11.Response(status_code=status, headers=headers))
    await _send(stream, connection, h11.Data(data=data))
    await _send(stream, connection, h11.EndOfMessage())


async def _send(stream: trio.abc.Stream, connection: h11.Connection, event: h11.Event) -> None:
    if data := connection.send(event):
        await stream.send_all(data)


# --- on its own ----------------------------------------------------------------------------------


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m voicecore.bench.stub_llm",
        description="A stand-in for a language model: fixed words at a set pace, over OpenAI's "
        f'chat completions. Asked for a "{STORY_WORD}", it tells a long one.',
    )
    parser.add_argument("--port", type=int, default=0, help="0 for any (the default)")
    parser.add_argument(
        "--first-ms", type=float, default=100.0, help="to the first token (default: 100)"
    )
    parser.add_argument("--tokens-per-s", type=float, default=40.0, help="(default: 40)")
    parser.add_argument(
        "--reply", action="append", metavar="TEXT",
        help="what it says; several are used in turn, by the number of user messages so far",
    )  # fmt: skip
    return parser.parse_args(argv)


async def run(stub: Stub, port: int) -> None:
    async with trio.open_nursery() as nursery:
        bound: int = await nursery.start(stub.serve, port)
        print(f"stub LLM on http://127.0.0.1:{bound}/v1", flush=True)


def main() -> None:
    args = parse()
    pace = Pace(args.first_ms, args.tokens_per_s)
    try:
        trio.run(run, Stub(pace, tuple(args.reply or (REPLY,))), args.port)
    except* KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
