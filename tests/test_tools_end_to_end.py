"""A host as a process with a remote model that calls tools: built in ones, and an MCP server's."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.test_serve import CONFIG, serving

MCP_SERVER = Path(__file__).parent / "tools" / "mcp_server.py"


class Model(BaseHTTPRequestHandler):
    """An OpenAI-compatible server whose model calls a tool, and then reads out its result."""

    asked: ClassVar[list[dict[str, Any]]] = []
    call: ClassVar[tuple[str, str]] = ("calculate", '{"expression": "6 * 7"}')

    def do_GET(self) -> None:
        self._answer("application/json", json.dumps({"data": [{"id": "stub"}]}).encode())

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(request)
        last = request["messages"][-1]
        if last["role"] == "tool":
            deltas: list[dict[str, object]] = [{"content": f"The result is {last['content']}."}]
        else:
            name, arguments = self.call
            function = {"name": name, "arguments": arguments[:5]}
            deltas = [
                {"tool_calls": [{"index": 0, "id": "c1", "function": function}]},
                {"tool_calls": [{"index": 0, "function": {"arguments": arguments[5:]}}]},
            ]
        events: list[dict[str, object]] = [{"choices": [{"delta": delta}]} for delta in deltas]
        events.append({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}})
        body = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
        self._answer("text/event-stream", body.encode())

    def _answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Stay silent."""


@contextmanager
def model() -> Iterator[str]:
    Model.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Model) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()


def until_done(socket: ClientConnection) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    while not messages or messages[-1]["type"] != "done":
        messages.append(json.loads(socket.recv(timeout=30)))
        assert messages[-1]["type"] != "error", messages[-1]
    return messages


@pytest.mark.parametrize(
    ("call", "result"),
    [
        (("calculate", '{"expression": "6 * 7"}'), "42"),
        (("add", '{"a": 2, "b": 3}'), "5"),
    ],
)
def test_a_remote_model_uses_tools(call: tuple[str, str], result: str, tmp_path: Path) -> None:
    Model.call = call
    config = tmp_path / "voicecore.toml"
    with model() as url:
        language = f'[llm]\nengine = "openai"\nmodel = "stub"\nbase_url = "{url}"\n'
        program = json.dumps([str(MCP_SERVER)])
        theirs = f"[mcp.sums]\ncommand = {json.dumps(sys.executable)}\nargs = {program}\n"
        config.write_text(
            CONFIG.replace('[llm]\nengine = "fake"\n', language) + theirs + "dangerous = false\n"
        )
        with serving(config) as (address, _), connect(f"ws://{address}/ws") as socket:
            socket.send(json.dumps({"type": "chat", "message": "Work it out."}))
            messages = until_done(socket)
    done = messages[-1]
    assert result in done["finalContent"]
    assert (done["tokensIn"], done["tokensOut"]) == (20, 10)
    states = [m["task"]["status"] for m in messages if m["type"] == "agent_task_update"]
    assert (states[0], states[-1]) == ("queued", "completed")
    offered = {tool["function"]["name"] for tool in Model.asked[0]["tools"]}
    assert {"calculate", "get_time", "set_timer", "add"} <= offered
    assert [message["role"] for message in Model.asked[1]["messages"][-3:]] == [
        "user", "assistant", "tool",
    ]  # fmt: skip
