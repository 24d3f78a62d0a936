"""Every limit: it has a default and a key, it holds, and whoever crosses it is told.

Each one is crossed from the outside, by a client on one of the wires, with a small value for its
key. docs/limits.md is held against the same table, and against the configuration.
"""

from __future__ import annotations

import base64
import importlib
import io
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest
import structlog
import trio
import trio_websocket
from PIL import Image as Pillow
from trio.testing import MockClock, memory_stream_pair

from tests.harness import Client, Fakes, Stage, open_stage
from tests.narrow import narrow_stream_pair
from tests.threads import without_threads
from voicecore import configfile, presence
from voicecore.audio import encode_s16le
from voicecore.configreference import dotted, settings, toml
from voicecore.engines.fake import babble, fake_llm, fake_stt
from voicecore.engines.interface import CalledTool, Prompt
from voicecore.mind.reply import MAX_CALLS
from voicecore.mind.turns import MAX_WAITING_TEXTS
from voicecore.server import handle_connection
from voicecore.store import StoredMessage
from voicecore.store.records import MAX_LISTED
from voicecore.tools.tool import Tool, ToolContext
from voicecore.wire.outbox import MAX_CONTROL_EVENTS

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "limits.md"

Crossing: TypeAlias = Callable[[Stage], Awaitable[str]]
"""Crosses a limit; returns what was told about it: to the client, or to the model."""


@attrs.frozen
class Limit:
    key: str
    value: str
    """A small one, as ``--set`` takes it."""
    cross: Crossing
    told: str
    """What is told, as a regular expression."""
    fakes: Callable[[], Fakes] = Fakes
    more: tuple[str, ...] = ()
    """Other settings."""


def data(content: bytes) -> str:
    return base64.b64encode(content).decode()


def speech(ms: int) -> bytes:
    return encode_s16le(babble(ms * 16))


def picture(side_px: int = 8) -> bytes:
    file = io.BytesIO()
    Pillow.new("RGB", (side_px, side_px), "red").save(file, "PNG")
    return file.getvalue()


def calling(*calls: int, sees: bool = False) -> Callable[[], Fakes]:
    """A model that makes so many calls in each of its first replies, then answers."""
    replies = [
        [CalledTool(f"c{turn}-{index}", "work", "{}") for index in range(count)]
        for turn, count in enumerate(calls)
    ]
    return lambda: Fakes(llm=fake_llm([*replies, "Done."], sees=sees, calls_tools=True))


async def _work(arguments: Mapping[str, object], context: ToolContext) -> str:
    await trio.sleep(0.5)
    return "A long result of much work."


WORK = Tool("work", "Works.", {"type": "object"}, dict, _work)


# --- crossing ------------------------------------------------------------------------------------


async def asking(stage: Stage, request: bytes) -> str:
    """Send bytes on a connection of their own; return the answer, and after how long it came."""
    ours, theirs = memory_stream_pair()
    stage.nursery.start_soon(handle_connection, stage.host, theirs)
    begun_s = trio.current_time()
    await ours.send_all(request)
    answer = bytes(await ours.receive_some())
    await trio.aclose_forcefully(ours)
    return f"{trio.current_time() - begun_s:g} s: {answer.decode()}"


UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


async def one_too_many(stage: Stage) -> str:
    async with stage.connect("/ws?client=first"):
        return await asking(stage, UPGRADE)


async def a_request_without_an_end(stage: Stage) -> str:
    return await asking(stage, b"GET /ws HTTP/1.1\r\n")


async def closing(stage: Stage, *messages: str) -> str:
    async with stage.connect("/ws") as client:
        for message in messages:
            await client.socket.send_message(message)
        await client.gone.wait()
        assert client.socket.closed
        return f"{client.socket.closed.code} {client.socket.closed.reason}"


async def problem(client: Client) -> str:
    """The error, or the status that ends with a code."""
    told = await client.until(
        lambda m: m["type"] == "error" or bool(re.search(r"\[[A-Z_]+\]$", str(m.get("message"))))
    )
    return str(told.get("error") or told["message"])


def after_chat(*, and_sent: str = "hello", **fields: object) -> Crossing:
    async def cross(stage: Stage) -> str:
        async with stage.connect("/ws") as client:
            await client.send(type="chat", message=and_sent, **fields)
            return await problem(client)

    return cross


def after_input(*, start: bool = True, **fields: object) -> Crossing:
    async def cross(stage: Stage) -> str:
        async with stage.connect() as client:
            if start:
                await client.start()
            await client.send(action="stream_data", **fields)
            return await problem(client)

    return cross


def after_clip(**fields: object) -> Crossing:
    async def cross(stage: Stage) -> str:
        async with stage.connect("/ws") as client:
            await client.send(type="audio_chunk", **fields)
            await client.send(type="audio_end")
            return await problem(client)

    return cross


def as_asked(shown: Callable[[Prompt], str], **fields: object) -> Crossing:
    """Chat to the end, and look at what the model was last asked."""

    async def cross(stage: Stage) -> str:
        async with stage.connect("/ws") as client:
            await client.send(type="chat", message="hello", **fields)
            await client.type("done")
        return shown(stage.fakes.llm.requests[-1])

    return cross


def last_message(prompt: Prompt) -> str:
    return prompt.messages[-1].content


def results(prompt: Prompt) -> str:
    return " | ".join(message.content for message in prompt.messages if message.role == "tool")


async def after_speech(stage: Stage) -> str:
    """Speak for six seconds; return the longest piece recognised, and what the model was asked."""
    async with stage.connect() as client:
        await client.start()
        await client.say(6.0)
        await client.type("system")
    longest = max(len(one.samples) for one in stage.fakes.stt.requests) / 16
    return f"{longest:.0f} ms: {stage.fakes.llm.requests[-1].messages[-1].content}"


async def too_much_at_once(stage: Stage) -> str:
    async with stage.connect() as client:
        await client.send(action="stream_data", input_type="audio", data=data(speech(500)))
        return await problem(client)


async def a_shown_picture(stage: Stage) -> str:
    async with stage.connect() as client:
        await client.start()
        await client.send(action="stream_data", input_type="screen", data=data(picture(100)))
        await client.type_text("what is this")
        await client.type("system")
    (image,) = stage.fakes.llm.requests[-1].messages[-1].images
    return "x".join(map(str, Pillow.open(io.BytesIO(image.data)).size))


async def a_long_past(stage: Stage) -> str:
    store = stage.host.store
    await store.open("past", character="default", client="cortex:address:local")
    said = [
        StoredMessage(role=role, content=f"This is number {number}.", at=0.0)
        for number in range(0, 10, 2)
        for role in ("user", "assistant")
    ]
    await store.append("past", said)
    prompt = await as_asked(lambda prompt: str(len(prompt.messages)), sessionId="past")(stage)
    return f"{prompt} messages"


async def a_long_conversation(stage: Stage) -> str:
    async with stage.connect("/ws") as client:
        for number in range(20):
            mark = client.mark()
            await client.send(type="chat", message=f"This is the question of number {number}.")
            await client.type("done", after=mark)
    asked = "\n".join(message.content for message in stage.fakes.llm.requests[-1].messages)
    assert "number 19." in asked
    return f"first: {'number 0.' in asked}"


async def tasks(stage: Stage) -> str:
    async with stage.connect("/ws") as client:
        await client.send(type="chat", message="work")
        await client.type("done")
        told = [m["task"] for m in client.messages("agent_task_update")]
    return ", ".join(f"{task['status']}{task['detail'] and ': '}{task['detail']}" for task in told)


async def a_long_phrase(stage: Stage) -> str:
    async with stage.connect("/ws") as client:
        await client.send(type="speak", text="word " * 20)
        await client.type("audio")
    return f"{max(len(one.text) for one in stage.fakes.tts.requests) <= 20}"


# --- the table -----------------------------------------------------------------------------------

FILE: dict[str, Any] = {"filename": "note.txt", "mimeType": "text/plain"}
LONG_FILE = FILE | {"data": data(b"Once upon a time there was a host.")}
SEEING: Callable[[], Fakes] = lambda: Fakes(llm=fake_llm(sees=True))  # noqa: E731

LIMITS = [
    Limit("server.max_sessions", "1", one_too_many, r" 503 .*All 1 places are taken"),
    Limit(
        "server.max_sessions_per_address", "1", one_too_many,
        r" 503 .*1 connections already.*server\.max_sessions_per_address",
    ),
    Limit(
        "server.max_message_bytes", "1000", lambda stage: closing(stage, "x" * 1_001),
        "^1009 .*1000 bytes",
    ),
    Limit("server.max_text_chars", "4", after_chat(), "The text has 5 characters; 4 are allowed"),
    Limit(
        "server.max_text_chars", "4", after_input(input_type="text", data="hello"),
        r"5 characters; 4 are allowed.*\[TEXT_TOO_LONG\]",
    ),
    Limit(
        "server.max_bad_messages", "2", lambda stage: closing(stage, "{", "{"),
        "^1008 2 malformed messages in a row",
    ),
    Limit(
        "server.request_timeout_ms", "500", a_request_without_an_end,
        "^0.5 s: HTTP/1.1 408 .*did not arrive in time",
    ),
    Limit("ears.backlog_ms", "100", too_much_at_once, r"being dropped.*\[AUDIO_OVERRUN\]"),
    # Both are no errors: long speech is one turn, recognised in pieces and stored in pieces.
    Limit("ears.max_utterance_ms", "1500", after_speech, r"^1\d{3} ms: (I spoke [^\n]*){4}"),
    Limit(
        "ears.max_turn_chars", "30", after_speech, r"(I spoke.*\n.*)+I spoke",
        more=("ears.max_utterance_ms=1500",),
    ),
    Limit(
        "ears.max_recording_ms", "500", after_clip(data=data(speech(600)), format="pcm"),
        "longer than 0.5 s; send shorter ones",
    ),
    Limit(
        "ears.max_recording_bytes", "1000", after_clip(data=data(speech(600)), format="pcm"),
        "longer than 1000 bytes. Send it in shorter messages",
    ),
    Limit("stt.timeout_ms", "300", after_clip(data=data(speech(600)), format="pcm"),
          "took longer than 300 ms", lambda: Fakes(stt=fake_stt(delay_s=60))),
    Limit(
        "eyes.max_picture_bytes", "50", after_input(input_type="screen", data=data(picture())),
        r"at most 50 are allowed.*\[PICTURE_TOO_LARGE\]",
    ),
    Limit(
        "eyes.max_picture_pixels", "60", after_input(input_type="camera", data=data(picture())),
        r"8 by 8 pixels, which is more than the 60.*\[PICTURE_TOO_LARGE\]", SEEING,
    ),
    Limit("eyes.side_px", "64", a_shown_picture, "^64x64$", SEEING),
    Limit("eyes.max_files", "1", after_chat(files=[LONG_FILE] * 2), "2 files .* 1 are allowed"),
    Limit(
        "eyes.max_file_bytes", "10", after_chat(files=[LONG_FILE]),
        r"'note.txt' has 34 bytes; at most 10 are allowed",
    ),
    Limit(
        "eyes.max_document_chars", "10", as_asked(last_message, files=[LONG_FILE]),
        r"\]\nOnce upon \n\[\w+: note.txt goes on, but no more of it is given",
    ),
    Limit(
        "llm.max_history_messages",
        "4",
        a_long_past,
        "^6 messages$",  # and the character's part, and what is said now
        more=("llm.context_tokens=1000000", 'characters.default.prompt="Be brief."'),
    ),
    Limit("llm.context_tokens", "300", a_long_conversation, "^first: False$"),
    Limit("llm.max_tokens", "7", as_asked(lambda prompt: f"{prompt.max_tokens}"), "^7$"),
    Limit(
        "tools.timeout_ms", "200", tasks, "failed: work took longer than 0.2 s; given up",
        calling(1),
    ),
    Limit(
        "tools.max_running", "1", tasks,
        "^queued, (running, queued|queued, running), completed, running, completed$", calling(2),
    ),
    Limit(
        "tools.max_waiting", "1", as_asked(results), "1 calls wait or run already", calling(2),
        ("llm.tools=native",),
    ),
    Limit(
        "tools.max_rounds", "1", after_chat(), "gave no answer", calling(1, 1)
    ),
    Limit(
        "tools.max_result_chars", "6", as_asked(results),
        r"^A long … \(21 more characters left out\)$", calling(1), ("llm.tools=native",),
    ),
    Limit("mouth.max_phrase_chars", "20", a_long_phrase, "^True$"),
]  # fmt: skip

ELSEWHERE = {
    "llm.first_token_timeout_ms": "tests/engines/test_openai.py",
    "llm.between_tokens_timeout_ms": "tests/engines/test_openai.py",
    "mcp.*.start_timeout_ms": "tests/tools/test_mcp_scripted.py",
}
"""What only a real engine or a tools' server can cross is crossed there."""


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.key)
async def test_a_limit_holds_and_who_crosses_it_is_told(
    autojump_clock: MockClock, limit: Limit
) -> None:
    config = configfile.load(None, [f"{limit.key}={limit.value}", *limit.more])
    with without_threads():
        async with open_stage(limit.fakes(), config, tools=[WORK]) as stage:
            assert re.search(limit.told, await limit.cross(stage), re.DOTALL)


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.key)
async def test_without_the_small_value_the_same_is_no_crossing(
    autojump_clock: MockClock, limit: Limit
) -> None:
    """So that the test before this one tests the limit, and not something else."""
    config = configfile.load(None, limit.more)
    with without_threads(), trio.move_on_after(30):
        async with open_stage(limit.fakes(), config, tools=[WORK]) as stage:
            assert not re.search(limit.told, await limit.cross(stage), re.DOTALL)


@pytest.mark.parametrize(("key", "module"), ELSEWHERE.items())
def test_what_is_crossed_elsewhere_is(key: str, module: str) -> None:
    assert key.rpartition(".")[2] in (ROOT / module).read_text(encoding="utf-8")


# --- those without a key -------------------------------------------------------------------------


@attrs.frozen
class Fixed:
    constant: str
    cross: Crossing
    told: str
    fakes: Callable[[], Fakes] = Fakes
    more: tuple[str, ...] = ()
    warm: bool = True


async def of_frame(stage: Stage, *, samples: int, rate_hz: int) -> str:
    async with stage.connect("/ws/default?dialect=documented") as client:
        await client.socket.send_message(
            b"NEKO" + rate_hz.to_bytes(4, "little") + bytes(2 * samples)
        )
        return await problem(client)


def after(message: str) -> Crossing:
    async def cross(stage: Stage) -> str:
        async with stage.connect("/ws") as client:
            await client.socket.send_message(message)
            return await problem(client)

    return cross


async def texts_before_the_start(stage: Stage) -> str:
    async with stage.connect() as client:
        for _ in range(MAX_WAITING_TEXTS + 1):
            await client.type_text("hello")
        return await problem(client)


async def a_long_name(stage: Stage) -> str:
    """Who has the same beginning is the same client: the newer one wins."""
    name = "n" * presence.MAX_NAME_CHARS
    async with (
        stage.connect(f"/ws/default?client={name}") as client,
        stage.connect(f"/ws/default?client={name}-and-more"),
    ):
        return await problem(client)


async def many_conversations(stage: Stage) -> str:
    me = {"character": "default", "client": "neko:name:me"}
    for number in range(MAX_LISTED + 1):
        record, _ = await stage.host.store.open(None, **me)
        await stage.host.store.append(record.id, [StoredMessage("user", f"{number}.", number)])
    _, body = await stage.get("/api/conversations?character=default&client=me")
    titles = [each["title"] for each in json.loads(body)["conversations"]]
    return f"{len(titles)}, from {titles[0]} to {titles[-1]}"


async def pings_of_a_client_that_does_not_read(stage: Stage) -> str:
    """It is sent away, since it cannot be told."""
    ours, theirs = narrow_stream_pair()
    stage.nursery.start_soon(handle_connection, stage.host, theirs)
    with structlog.testing.capture_logs() as lines:
        async with trio.open_nursery() as nursery:
            socket = await trio_websocket.wrap_client_stream(
                nursery,
                ours,  # type: ignore[arg-type] # it takes any stream
                "test",
                "/ws",
            )
            with suppress(trio_websocket.ConnectionClosed):
                for _ in range(MAX_CONTROL_EVENTS + 10):
                    await socket.send_message('{"type":"ping"}')
            await trio.aclose_forcefully(ours)
            nursery.cancel_scope.cancel()
        await stage.host.presence.empty()
    return "; ".join(str(line.get("reason") or line.get("code")) for line in lines)


FIXED = [
    Fixed(
        "voicecore.http.MAX_HEAD_BYTES",
        lambda stage: asking(stage, b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000),
        "HTTP/1.1 400 ",
    ),
    Fixed(
        "voicecore.http.MAX_BODY_BYTES",
        lambda stage: asking(stage, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 70000\r\n\r\n"),
        "HTTP/1.1 400 .*at most 65536",
    ),
    Fixed("voicecore.wire.protocol.MAX_COMMAS", after("," * 500_001), "more than 500000"),
    Fixed("voicecore.wire.protocol.MAX_QUOTES", after('"' * 50_001), "more than 50000"),
    Fixed("voicecore.wire.protocol.MAX_BRACKETS", after("[" * 50_001), "more than 50000"),
    Fixed(
        "voicecore.wire.protocol.MAX_NAME_CHARS",
        after(json.dumps({"type": "select_agent", "agentId": "a" * 257})),
        "'agentId' has 257 characters; at most 256 are allowed",
    ),
    Fixed(
        "voicecore.store.names.MAX_ID_CHARS",
        after_chat(sessionId="a" * 129),
        "The session id has 129 characters; at most 128 are allowed",
    ),
    Fixed(
        "voicecore.wire.microphone.MAX_FRAME_MS",
        lambda stage: of_frame(stage, samples=121 * 16, rate_hz=16_000),
        r"at most 120 ms of sound.*\[BAD_FRAME\]",
    ),
    Fixed(
        "voicecore.audio.LOWEST_HZ",
        lambda stage: of_frame(stage, samples=1, rate_hz=7_999),
        r"from 8000 to 48000 Hz.*\[BAD_SAMPLE_RATE\]",
    ),
    Fixed(
        "voicecore.audio.HIGHEST_HZ",
        lambda stage: of_frame(stage, samples=1, rate_hz=48_001),
        r"from 8000 to 48000 Hz.*\[BAD_SAMPLE_RATE\]",
    ),
    Fixed(
        "voicecore.mind.turns.MAX_WAITING_TEXTS",
        texts_before_the_start,
        r"Too many messages before the session started.*\[TOO_MANY_MESSAGES\]",
    ),
    Fixed("voicecore.presence.MAX_NAME_CHARS", a_long_name, r"newer connection.*\[SUPERSEDED\]"),
    Fixed("voicecore.store.records.MAX_LISTED", many_conversations, r"50, from 50\. to 1\."),
    Fixed(
        "voicecore.wire.outbox.MAX_CONTROL_EVENTS",
        pings_of_a_client_that_does_not_read,
        "2000 messages wait because the client does not read them.*1008",
    ),
    Fixed(
        "voicecore.mind.reply.MAX_CALLS",
        as_asked(results),
        "Only 16 calls at once are run; this one was not",
        calling(MAX_CALLS + 1),
        ("llm.tools=native",),
    ),
]


@pytest.mark.parametrize("limit", FIXED, ids=lambda limit: limit.constant.rpartition(".")[2])
async def test_a_fixed_limit_holds_and_who_crosses_it_is_told(
    autojump_clock: MockClock, limit: Fixed
) -> None:
    config = configfile.load(None, limit.more)
    async with open_stage(limit.fakes(), config, warm=limit.warm, tools=[WORK]) as stage:
        assert re.search(limit.told, await limit.cross(stage), re.DOTALL)


# --- the page ------------------------------------------------------------------------------------

OTHERS = ("ears.backlog_ms", "eyes.side_px", "llm.context_tokens")
"""Limits that their names do not show to be some."""


def rows(heading: str) -> dict[str, str]:
    """The second column of a table (a name in quotes), and the third's first word (its value)."""
    section = (
        PAGE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    )
    cells = [line.split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return {row[1].strip("`"): row[2].split()[0] for row in cells[1:]}


def test_the_page_has_every_limit_of_the_configuration_and_its_default() -> None:
    keys = {
        dotted(each.key): each.default
        for each in settings()
        if each.key[-1].startswith("max_")
        or each.key[-1].endswith("timeout_ms")
        or dotted(each.key) in OTHERS
    }
    assert rows("Those with a key") == {key: toml(default) for key, default in keys.items()}


def test_every_limit_of_the_configuration_is_crossed() -> None:
    assert {limit.key for limit in LIMITS} | {*ELSEWHERE} == {*rows("Those with a key")}


def test_the_page_has_the_fixed_limits_and_their_values() -> None:
    values = {}
    for limit in FIXED:
        module, _, name = limit.constant.rpartition(".")
        values[limit.constant] = str(getattr(importlib.import_module(module), name))
    assert rows("Those without") == values
