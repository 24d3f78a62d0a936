"""Both translators, whatever they are given: commands or one named error, and valid messages."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore import events
from voicecore.audio import MOUTH_HZ, Pcm
from voicecore.errors import ClientError
from voicecore.events import Command, Event
from voicecore.wire.cortex import Cortex
from voicecore.wire.neko import Neko
from voicecore.wire.protocol import (
    MAX_BRACKETS,
    MAX_COMMAS,
    MAX_QUOTES,
    Wire,
    dump,
    mend,
    parse_object,
)

MAKERS: list[Callable[[], Wire]] = [
    lambda: Neko(chunk_ms=40, max_picture_bytes=50),
    lambda: Neko(chunk_ms=40, dialect="native"),
    lambda: Cortex(max_files=2, max_file_bytes=50),
]
both = pytest.mark.parametrize("make", MAKERS, ids=["neko", "native", "cortex"])

ANY_TEXT = st.text(st.characters(), max_size=30)  # lone surrogates too
WORDS = st.sampled_from(
    [
        "audio", "text", "screen", "camera", "user_image", "AAA=", "AAAA", "data:;base64,AAAA",
        "pcm", "default", "start_session", "stream_data", "chat", "data:", "greeting_check",
    ]
)  # fmt: skip
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT | WORDS
    | st.sampled_from([10**400, -(10**30), 16_000, 48_000, 32_768])
)  # fmt: skip
VALUES = st.recursive(
    SCALARS | st.lists(st.integers(-40_000, 40_000), max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)
FILE = {"filename": "a", "mimeType": "b", "data": "AAAA"}
FILES = st.lists(
    st.builds(
        lambda key, value: FILE | {key: value},
        st.sampled_from(["filename", "mimeType", "data"]),
        VALUES,
    ),
    max_size=3,
)

GOOD: list[dict[str, Any]] = [
    {"action": "start_session", "input_type": "audio", "new_session": True},
    {"action": "stream_data", "input_type": "audio", "data": "AAA=", "sample_rate": 16_000,
     "sample_rate_hz": 16_000},
    {"action": "stream_data", "input_type": "audio", "data": [1, 2, 3]},
    {"action": "stream_data", "input_type": "text", "data": "hi", "request_id": "r"},
    {"action": "stream_data", "input_type": "screen", "data": "data:image/png;base64,AAAA"},
    {"action": "avatar_interaction", "interaction_id": "i"},
    {"action": "ping"},
    {"type": "chat", "message": "hi", "sessionId": "s", "agentId": "a", "files": [FILE]},
    {"type": "select_agent", "agentId": "a"},
    {"type": "audio_chunk", "data": "AAAA", "format": "pcm", "session": "s"},
    {"type": "speak", "text": "hi", "voice": "joe"},
    {"type": "voice_state", "enabled": True, "speaking": False},
    {"type": "stop"},
]  # fmt: skip


def is_sound_answer(commands: list[Command]) -> None:
    """Commands, or one error that can be shown."""
    assert isinstance(commands, list)
    assert all(isinstance(command, get_args(Command)) for command in commands)
    for command in commands:
        if isinstance(command, events.Wrong):
            assert len(commands) == 1
            assert re.fullmatch(r"[A-Z][A-Z0-9_]+", command.error.code)
            assert 0 < len(str(command.error).encode()) < 600


@both
@given(data=st.data())
def test_any_value_in_any_field(make: Callable[[], Wire], data: st.DataObject) -> None:
    good = data.draw(st.sampled_from(GOOD))
    key = data.draw(st.sampled_from(sorted(good)))
    value = data.draw(VALUES | FILES)
    is_sound_answer(make().decode(json.dumps(good | {key: value})))


@both
@given(message=st.dictionaries(ANY_TEXT | WORDS, VALUES, max_size=5).map(json.dumps) | ANY_TEXT)
def test_any_text(make: Callable[[], Wire], message: str) -> None:
    is_sound_answer(make().decode(message))


@both
@given(
    message=st.binary(max_size=300)
    | st.builds(
        lambda rate, data: b"NEKO" + rate + data, st.binary(max_size=4), st.binary(max_size=60)
    )
)
def test_any_bytes(make: Callable[[], Wire], message: bytes) -> None:
    is_sound_answer(make().decode(message))


@both
@given(data=st.data())
def test_any_piece_of_a_good_message(make: Callable[[], Wire], data: st.DataObject) -> None:
    text = json.dumps(data.draw(st.sampled_from(GOOD)))
    start, end = sorted(data.draw(st.lists(st.integers(0, len(text)), min_size=2, max_size=2)))
    is_sound_answer(make().decode(text[:start] + data.draw(ANY_TEXT) + text[end:]))


@both
def test_all_commands_before_the_error_are_kept(make: Callable[[], Wire]) -> None:
    wire = make()
    ping = '{"action": "ping", "type": "ping"}'
    assert wire.decode(ping) == [events.Ping()]
    is_sound_answer(wire.decode("{"))
    assert wire.decode(ping) == [events.Ping()]


# --- how much at once ---


@pytest.mark.parametrize(
    ("message", "limit"),
    [
        ("[" + "1," * MAX_COMMAS + "1,1]", MAX_COMMAS),
        ("{" + '"":0,' * (MAX_QUOTES // 2) + '"":0}', MAX_QUOTES),
        ("[" * (MAX_BRACKETS + 1), MAX_BRACKETS),
        ("[" + "[]," * MAX_BRACKETS + "[]]", MAX_BRACKETS),
    ],
    ids=["numbers", "keys", "nested", "lists"],
)
def test_a_message_of_too_many_parts_is_refused_unread(message: str, limit: int) -> None:
    with pytest.raises(ClientError, match=f"more than {limit}") as refused:
        parse_object(message)
    assert refused.value.code == "TOO_MANY_PARTS"


def test_a_message_may_have_as_many_parts_as_are_allowed() -> None:
    commas = "[" + "1," * (MAX_COMMAS - 1) + "1]"
    found = parse_object('{"data":' + commas + ',"a":"' + '\\"' * (MAX_QUOTES - 6) + '"}')
    assert found["a"] == '"' * (MAX_QUOTES - 6)


# --- what no frame could hold ---


@pytest.mark.parametrize(
    ("message", "text"),
    [('"a\\ud800b"', "a?b"), ('"\\ude00\\ud83d"', "??"), ('"\\ud83d\\ude00"', "😀")],
)
def test_text_that_no_frame_could_hold_is_mended(message: str, text: str) -> None:
    (chat,) = Cortex().decode('{"type": "chat", "message": ' + message + "}")
    assert chat == events.Typed(text)
    request = '{"action": "stream_data", "input_type": "text", "data": ' + message + "}"
    assert Neko(chunk_ms=40).decode(request) == [events.Typed(text, barge_in=True)]


@given(text=ANY_TEXT)
def test_mended_text_can_be_sent_and_sound_text_is_untouched(text: str) -> None:
    assert json.loads(dump(text=text).encode()) == {"text": mend(text)}
    if not any("\ud800" <= char <= "\udfff" for char in text):
        assert mend(text) == text


PCM = Pcm(np.zeros(3, np.int16), MOUTH_HZ)
TASKS = st.builds(
    events.Task, ANY_TEXT, ANY_TEXT, st.sampled_from(["queued", "failed"]), st.floats(), ANY_TEXT
)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(events.Problem, ANY_TEXT, ANY_TEXT),
    st.builds(events.ConversationOpened, ANY_TEXT, ANY_TEXT),
    st.builds(events.UserWords, ANY_TEXT, st.floats(0, 1)),
    st.builds(events.Activity, st.none() | ANY_TEXT),
    st.builds(events.ReplyText, ANY_TEXT, ANY_TEXT, st.booleans()),
    st.builds(events.PhraseStarted, ANY_TEXT, ANY_TEXT, ANY_TEXT),
    st.builds(events.ReplySound, ANY_TEXT, st.just(PCM)),
    st.builds(events.CharacterSwitched, ANY_TEXT, ANY_TEXT),
    st.builds(events.CharacterSelected, ANY_TEXT),
    st.builds(events.PageOutdated, ANY_TEXT),
    st.builds(events.TaskChanged, TASKS),
    st.builds(events.AgentStatus, st.tuples(TASKS, TASKS), st.tuples(ANY_TEXT)),
    st.builds(events.Notification, ANY_TEXT, ANY_TEXT, st.just("completed")),
    st.builds(events.Touched, ANY_TEXT, st.none() | ANY_TEXT),
    st.builds(
        events.TurnDone, ANY_TEXT, ANY_TEXT, st.integers(), st.integers(), st.floats(0, 9),
        st.floats(0, 1e9), ANY_TEXT,
    ),
)  # fmt: skip


def no_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


@both
@given(event=EVENTS)
def test_whatever_is_written_is_a_json_object_of_valid_text(
    make: Callable[[], Wire], event: Event
) -> None:
    for message in make().encode(event):
        if isinstance(message, str):
            parsed = json.loads(message.encode(), parse_constant=no_constant)
            assert isinstance(parsed["type"], str)
            if parsed["type"] == "status" and parsed["message"].startswith('{"code"'):
                json.loads(parsed["message"])
        else:
            assert message == bytes(6)


def test_every_event_is_known_to_a_wire_or_meant_for_none() -> None:
    """An event added to the vocabulary and forgotten here would vanish unseen."""
    known = set(Neko(chunk_ms=40)._events._encoders) | set(Cortex()._encoders)
    assert known | {events.Timeline} == set(get_args(Event))
