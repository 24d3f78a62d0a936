"""Strategies: what clients do, from good manners to none.

A `Visit` is one connection: its path, and steps that are taken one after the other. Nothing in it
depends on the host's answers, so that Hypothesis can cut it down to what matters.
"""

from __future__ import annotations

import base64
import io
import json
import re
import struct
from itertools import chain
from typing import Any, TypeAlias, TypeVar

import attrs
import numpy as np
from hypothesis import strategies as st
from PIL import Image as Pillow

from voicecore.audio import Pcm, decode_s16le, encode_s16le, wav_bytes
from voicecore.engines.fake import babble

T = TypeVar("T")


@attrs.frozen
class Send:
    message: str | bytes
    """With the names of `BLOBS` in place of what they stand for: it has to be read by people."""

    @property
    def frame(self) -> str | bytes:
        if isinstance(self.message, bytes):
            return self.message.replace(b"<sound>", spoken(100, 0))
        return _BLOB.sub(lambda found: BLOBS[found[0]], self.message)


@attrs.frozen
class Ping:
    """The protocol's own; it must be answered."""


@attrs.frozen
class Wait:
    seconds: float


@attrs.frozen
class Leave:
    """The end of the visit, before its last answers are read."""

    politely: bool


@attrs.frozen
class RawBytes:
    """What no WebSocket library would send."""

    data: bytes


Step: TypeAlias = Send | Ping | Wait | Leave | RawBytes


@attrs.frozen
class Visit:
    path: str
    steps: tuple[Step, ...]
    begins_s: float = 0.0
    reads_slowly: bool = False
    """The host's sends wait until the client reads."""

    @property
    def wire(self) -> str:
        return "cortex" if self.path.partition("?")[0] == "/ws" else "neko"

    @property
    def leaves(self) -> bool:
        """By itself, before its last answers are read."""
        return any(isinstance(step, Leave) for step in self.steps)

    @property
    def breaks_frames(self) -> bool:
        """After which neither side knows where a message begins."""
        return any(isinstance(step, RawBytes) for step in self.steps)


@attrs.frozen
class Request:
    """Plain HTTP, or bytes that are nothing at all."""

    data: bytes
    cuts: tuple[int, ...] = ()
    begins_s: float = 0.0


# --- values --------------------------------------------------------------------------------------

ANY_TEXT = st.text(st.characters(), max_size=40)  # lone surrogates too
SOUND_OF_WORDS = st.sampled_from(
    [
        "Hello.", "What time is it? Tell me.", "1,234.5 km — at 12:30", "a < b [happy] <b>",
        '{"name": "Bob"}', "```\ncode\n```", "小天 😊 مرحبا", "...", " ", "<long>", "\x00\x07",
        '<tool_call>{"name": "work", "arguments": {}}</tool_call>', "[emotion: sad] Oh no",
    ]
)  # fmt: skip
TEXT = SOUND_OF_WORDS | ANY_TEXT
SCALARS = (
    st.none() | st.booleans() | st.integers(-40_000, 100_000) | st.floats() | TEXT
    | st.sampled_from([10**400, 16_000, 48_000, "audio", "AAA=", "AAAA", "data:;base64,AAAA"])
)  # fmt: skip
VALUES = st.recursive(
    SCALARS | st.lists(st.integers(-40_000, 40_000), max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["default", "robin", "robin", "nobody", "", "a" * 257]) | ANY_TEXT
SESSION_IDS = st.sampled_from([None, "s1", "s2", "../s", "a" * 129]) | NAMES


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def spoken(ms: int, silence_ms: int) -> bytes:
    """Noise at 16 kHz, which the fakes take for speech, and silence after it."""
    voice = babble(ms * 16)
    return encode_s16le(np.concatenate([voice, np.zeros(silence_ms * 16, np.int16)]))


def _picture() -> bytes:
    file = io.BytesIO()
    Pillow.new("RGB", (8, 6), "red").save(file, "PNG")
    return file.getvalue()


SOUNDS = {
    f"<speech {ms}+{quiet} ms>": _base64(spoken(ms, quiet))
    for ms in (0, 20, 300)
    for quiet in (0, 60, 600)
}
FILES = {
    "<text>": _base64(b"Some text."),
    "<picture>": _base64(_picture()),
    "<half a picture>": _base64(_picture()[:40]),
    "<pdf>": _base64(b"%PDF-1.4\n%%EOF"),
    "<no text>": _base64(b"\xff\xfe"),
    "<large>": _base64(b"x" * 2_000),
    "<empty>": "",
}
CLIPS = {
    "<wav>": _base64(wav_bytes(Pcm(decode_s16le(spoken(400, 100)), 16_000))),
    "<long wav>": _base64(bytes(16_000)),
    "<wav head>": _base64(b"RIFF\x00\x00\x00\x00WAVE"),
    "<ogg head>": _base64(b"OggS" + bytes(60)),
    "<webm head>": _base64(b"\x1aE\xdf\xa3" + bytes(60)),
    "<mp3 head>": _base64(b"ID3" + bytes(60)),
}
BLOBS = SOUNDS | FILES | CLIPS | {"<too long>": "x" * 70_000, "<long>": "word " * 80}
_BLOB = re.compile("|".join(map(re.escape, BLOBS)))

FILE_DATA = st.sampled_from([*FILES])
CLIP_DATA = st.sampled_from([*CLIPS]) | st.binary(max_size=60).map(_base64)


# --- messages ------------------------------------------------------------------------------------


def _mostly(usual: st.SearchStrategy[T], unusual: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    return st.sampled_from([usual] * 5 + [unusual]).flatmap(lambda strategy: strategy)


def _object(**fields: object) -> st.SearchStrategy[dict[str, Any]]:
    """A message of these fields, each a value or a strategy."""
    return st.fixed_dictionaries(
        {
            key: value if isinstance(value, st.SearchStrategy) else st.just(value)
            for key, value in fields.items()
        }
    )


def _input(kind: object, data: object, **others: object) -> st.SearchStrategy[dict[str, Any]]:
    return _object(action="stream_data", input_type=kind, data=data, **others)


_SAMPLES = st.lists(st.integers(-32_768, 32_767), max_size=20) | st.just([9_000] * 480)
NEKO_TALK = st.one_of(
    _input("audio", st.sampled_from([*SOUNDS])),
    _input("text", TEXT, request_id=st.none() | st.just("r1") | NAMES),
)
NEKO_REST = st.one_of(
    _object(
        action="start_session",
        input_type=st.sampled_from(["audio", "text", "screen", "camera"]),
        new_session=st.booleans(),
    ),
    _input("audio", _SAMPLES),
    _input(
        st.sampled_from(["screen", "camera", "user_image"]),
        FILE_DATA | FILE_DATA.map(lambda data: f"data:image/png;base64,{data}"),
    ),
    _object(action="avatar_interaction", interaction_id=NAMES),
    _object(
        action=st.sampled_from(
            ["pause_session", "end_session", "greeting_check", "home_tutorial_state", "telemetry"]
        )
    ),
)

_FILE = _object(
    filename=st.just("note.txt") | NAMES,
    mimeType=st.sampled_from(["text/plain", "image/png", "application/pdf", None]),
    data=FILE_DATA,
)
CORTEX_TALK = st.one_of(
    _object(type="chat", message=TEXT),
    _object(
        type="audio_chunk", data=CLIP_DATA, format=st.sampled_from([None, "pcm", "audio/webm"])
    ),
    _object(type="audio_end"),
    _object(type="speak", text=TEXT, voice=st.none() | NAMES),
)
CORTEX_REST = st.one_of(
    _object(type="chat", message=TEXT, sessionId=SESSION_IDS, agentId=st.none() | NAMES),
    _object(type="chat", message=TEXT, files=st.lists(_FILE, max_size=3)),
    _object(type="select_agent", agentId=NAMES),
    _object(type="voice_state", enabled=st.none() | st.booleans()),
    _object(type="voice_state", speaking=st.booleans()),
    _object(type=st.sampled_from(["new_session", "stop"])),
)


@st.composite
def _spoilt(draw: st.DrawFn, good: st.SearchStrategy[dict[str, Any]]) -> str:
    """A good message with a wrong value, or without one, or cut anywhere."""
    message = draw(good)
    how = draw(st.sampled_from(["value", "missing", "cut"]))
    key = draw(st.sampled_from(sorted(message)))
    if how == "value":
        return json.dumps(message | {key: draw(VALUES)})
    if how == "missing":
        return json.dumps({name: value for name, value in message.items() if name != key})
    text = json.dumps(message)
    return text[: draw(st.integers(0, len(text)))]


def _frames(data: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    rates = st.sampled_from([16_000, 48_000, 7, 2**32 - 1])
    return st.builds(lambda rate, rest: b"NEKO" + struct.pack("<I", rate) + rest, rates, data)


BINARY = st.just(b"<sound>") | st.binary(max_size=40)
BINARY_MESSAGES = _mostly(_frames(BINARY), BINARY)


def _sendable(text: str) -> str:
    """Without lone surrogates, which no WebSocket library sends; inside JSON they are escaped."""
    return text.encode(errors="replace").decode()


# --- visits --------------------------------------------------------------------------------------

PAUSES_S = [0.0, 0.0, 0.02, 0.3, 1.0, 5.0]
"""Between two messages: from none, to that of a person who hears the reply out."""


def _steps(
    talk: st.SearchStrategy[dict[str, Any]], rest: st.SearchStrategy[dict[str, Any]]
) -> st.SearchStrategy[tuple[Step, ...]]:
    """What a client does next, and a pause after it."""
    good = _mostly(talk, talk | rest)
    bad = _spoilt(talk | rest) | ANY_TEXT.map(_sendable)
    text = _mostly(good.map(json.dumps), bad).map(Send)
    step = _mostly(text, st.just(Ping()) | BINARY_MESSAGES.map(Send))
    return st.tuples(step, st.sampled_from(PAUSES_S).map(Wait))


NEKO_STEPS = _steps(NEKO_TALK, NEKO_TALK | NEKO_REST)
CORTEX_STEPS = _steps(CORTEX_TALK, CORTEX_TALK | CORTEX_REST)
ENDS: st.SearchStrategy[tuple[Step, ...]] = _mostly(
    st.just((Wait(6.0),)) | st.just(()),
    st.booleans().map(lambda politely: (Leave(politely),))
    | st.just((Send("<too long>"),))
    | st.binary(min_size=1, max_size=30).map(lambda data: (RawBytes(data), Wait(0.1))),
)
_START = Send(json.dumps({"action": "start_session"}))
NEKO_PATHS = [
    "/ws/default", "/ws/default?dialect=native", "/ws/default?dialect=documented",
    "/ws/robin?client=a&timeline=1", "/ws/robin", "/ws/nobody",
]  # fmt: skip
CORTEX_PATHS = ["/ws", "/ws?timeline=1", "/ws?client=b"]


@st.composite
def visits(draw: st.DrawFn) -> Visit:
    """One connection on any wire, in any dialect."""
    is_neko = draw(st.booleans())
    begun = draw(st.sampled_from([(_START,), (_START,), ()])) if is_neko else ()
    steps = draw(st.lists(NEKO_STEPS if is_neko else CORTEX_STEPS, max_size=8))
    return Visit(
        draw(st.sampled_from(NEKO_PATHS if is_neko else CORTEX_PATHS)),
        (*begun, *chain.from_iterable(steps), *draw(ENDS)),
        begins_s=draw(st.sampled_from([0.0, 0.0, 0.2, 1.5])),
        reads_slowly=draw(st.sampled_from([False, False, False, True])),
    )


# --- plain HTTP ----------------------------------------------------------------------------------

_PATHS = [
    "/healthz", "/metrics", "/api/characters", "/api/characters/current", "/api/reload", "/", "*",
    "/ws", "/ws/default", "/ws/%ff%00", "/ws/\xff", "http://[", "//", "/ws?client=%ff&dialect=x",
    "/page/app.js", "/page/../app.js", "/page/%ff", "/api/conversations?character=%ff&client=me",
    "/api/conversations/%00?character=default", "/api/conversations/", "/api/conversations?=&&;",
]  # fmt: skip
_HEADERS = [
    "Content-Type: application/json", "Content-Length: 19", "Content-Length: 9999999",
    "Content-Length: 0", "Content-Length: \xb2", "Transfer-Encoding: chunked", "Origin: http://[",
    "Origin: http://localhost", "Origin: http://evil.example", "If-None-Match: *",
    "Upgrade: websocket", "Connection: Upgrade",
    "Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8", "Expect: 100-continue", "Host: h",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Key: x", "X: \xff\x80",
    "Sec-WebSocket-Extensions: permessage-deflate", "Sec-WebSocket-Protocol: a, b",
]  # fmt: skip
_SWITCH = ["Content-Type: application/json", "Content-Length: 19"]
_UPGRADE = [
    "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
]  # fmt: skip
_BODIES = [
    '{"name": "default"}', '{"name": "robin"}  ', '{"name": ["\\ud800"]}', "[" * 19, "", "{}",
]  # fmt: skip


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """A head of parts that are each real, or bytes that are not."""
    method = draw(
        _mostly(st.sampled_from(["GET", "POST"]), st.sampled_from(["HEAD", "DELETE", "é"]))
    )
    base = draw(st.sampled_from([[], _SWITCH, _UPGRADE]))
    more = draw(_mostly(st.just([]), st.lists(st.sampled_from(_HEADERS), max_size=3)))
    host = draw(_mostly(st.just("localhost"), st.sampled_from(["h", "[", ""])))
    asked = f"{method} {draw(st.sampled_from(_PATHS))} HTTP/1.1"
    lines = [asked, f"Host: {host}", *base, *more, "", ""]
    built = "\r\n".join(lines) + draw(st.sampled_from(_BODIES))
    data = draw(_mostly(st.just(built.encode("latin-1")), st.binary(max_size=80)))
    cuts = draw(st.lists(st.integers(0, len(data)), max_size=3).map(sorted))
    return Request(data, tuple(cuts), draw(st.sampled_from([0.0, 0.3, 2.0])))


# --- the host's own ------------------------------------------------------------------------------

CALL = '<tool_call>{"name": "work", "arguments": {}}</tool_call>'
REPLIES = st.lists(
    st.sampled_from(
        [
            "It is noon. Lunch is ready.", f"Let me see. {CALL}", CALL, "", " ", "[happy] Yes!",
            "<tool_call>{", '{"name": "work", "arguments": {"a": ', "word " * 60, "*", "😊",
            None,
        ]
    )
    | ANY_TEXT,
    max_size=6,
)  # fmt: skip
"""What the language model says in turn; None fails. Past them it repeats what it was asked."""
HEARD = st.lists(st.sampled_from(["What time is it?", "", "Stop.", None]) | ANY_TEXT, max_size=4)
"""What is recognised in turn; None fails."""
