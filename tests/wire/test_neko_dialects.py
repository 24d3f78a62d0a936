"""What N.E.K.O. clients are sent: every message in both dialects, and when which is spoken."""

from __future__ import annotations

import json
import struct
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore import events
from voicecore.audio import MOUTH_HZ, Pcm
from voicecore.events import Event, Span, Task
from voicecore.wire.neko import Neko
from voicecore.wire.protocol import Shown

SOUND = events.ReplySound("t1", Pcm(np.array([1, -1], np.int16), MOUTH_HZ))
TASK = Task("k1", "weather", "running", 50, "asking")
FAILED = Task("k2", "weather", "failed", 10, "no network")
TASK_JSON = {
    "id": "k1", "tool": "weather", "status": "running", "progress": 50, "detail": "asking",
}  # fmt: skip
NATIVE_TASK_JSON = TASK_JSON | {
    "type": "user_plugin",
    "params": {"plugin_name": "weather", "description": "asking"},
}


def neko(dialect: Any = "auto") -> Neko:
    return Neko(chunk_ms=40, shown=Shown(timelines=True), dialect=dialect)


def encoded(wire: Neko, *found: Event) -> list[Any]:
    """All messages, JSON ones parsed."""
    messages = [message for event in found for message in wire.encode(event)]
    return [json.loads(m) if isinstance(m, str) else m for m in messages]


def status(message: str) -> dict[str, Any]:
    return {"type": "status", "message": message}


SAME_IN_BOTH: list[tuple[Event, list[dict[str, Any]]]] = [
    (events.Pong(), [{"type": "pong"}]),
    (events.Preparing("audio"), [{"type": "session_preparing", "input_mode": "audio"}]),
    (events.StartFailed("text"), [{"type": "session_failed", "input_mode": "text"}]),
    (events.Activity(None), [{"type": "user_activity", "interrupted_speech_id": None}]),
    (events.Activity("t1"), [{"type": "user_activity", "interrupted_speech_id": "t1"}]),
    (events.UserWords("hello", 0.9), [{"type": "user_transcript", "text": "hello"}]),
    (events.ReplyTextComplete("t1"), [{"type": "system", "data": "turn end"}]),
    (events.Mood("t1", "happy"), [{"type": "emotion", "emotion": "happy"}]),
    (
        events.CharacterSwitched("小天", "old"),
        [{"type": "catgirl_switched", "new_catgirl": "小天", "old_catgirl": "old"}],
    ),
    (events.PageOutdated("Reload."), [{"type": "reload_page", "message": "Reload."}]),
    (
        events.Notification("It rains.", "weather", "completed"),
        [{
            "type": "agent_notification", "text": "It rains.", "source": "weather",
            "status": "completed",
        }],
    ),
    (
        events.Touched("i1", "t1"),
        [{
            "type": "avatar_interaction_ack", "interaction_id": "i1", "accepted": True,
            "reason": "accepted", "turn_id": "t1",
        }],
    ),
    (
        events.Touched("i1", None),
        [{
            "type": "avatar_interaction_ack", "interaction_id": "i1", "accepted": True,
            "reason": "accepted", "turn_id": None,
        }],
    ),
    (
        events.Timeline("t1", 1.0, (Span("voice", "tts:piper", 1.25, 1.5),)),
        [{
            "type": "timeline",
            "turn_id": "t1",
            "spans": [
                {"name": "voice", "owner": "tts:piper", "start_ms": 250.0, "end_ms": 500.0}
            ],
        }],
    ),
    # What the other protocol tells, or nobody.
    (events.Connected(), []),
    (events.ConversationOpened("s", "default"), []),
    (events.TurnStarted("t1"), []),
    (events.PhraseStarted("t1", "Hi.", "joe"), []),
    (events.TurnDone("t1", "Hi.", 1, 1, 0.0, 1.0, "m"), []),
    (events.Stopped(), []),
    (events.Spoken(enabled=True), []),
    (events.CharacterSelected("default"), []),
    (events.OtherSpeaking(speaking=True), []),
]  # fmt: skip


@pytest.mark.parametrize("dialect", ["documented", "native"])
@pytest.mark.parametrize(
    ("event", "messages"), SAME_IN_BOTH, ids=[repr(event) for event, _ in SAME_IN_BOTH]
)
def test_most_messages_are_the_same_in_both(
    dialect: str, event: Event, messages: list[dict[str, Any]]
) -> None:
    assert encoded(neko(dialect), event) == messages


@pytest.mark.parametrize(
    ("event", "messages"),
    [
        (events.ReplyText("t1", "Hi "), [{"type": "text", "text": "Hi "}]),
        (SOUND, [{"type": "audio", "audio_data": "AQD//w=="}]),
        (
            events.Started("audio", "s1"),
            [
                {"type": "session_started", "input_mode": "audio", "session_id": "s1"},
                status("Session started successfully"),
            ],
        ),
        (events.Paused(), [status("Session paused. Start it to go on.")]),
        (events.Ended("s"), [status("Session ended and saved.")]),
        (events.Problem("CODE", "What, why."), [status("What, why. [CODE]")]),
        (events.TaskChanged(TASK), [{"type": "agent_task_update", "task": TASK_JSON}]),
        (
            events.AgentStatus((TASK, FAILED), ("weather",)),
            [{
                "type": "agent_status_update",
                "snapshot": {
                    "active_tasks": 1, "flags": {"agent_enabled": True}, "tools": ["weather"],
                },
            }],
        ),
    ],
)  # fmt: skip
def test_the_documented_dialect(event: Event, messages: list[dict[str, Any]]) -> None:
    assert encoded(neko("documented"), event) == messages


def coded(code: str, message: str) -> dict[str, Any]:
    text = json.dumps({"code": code, "details": {"message": message}}, separators=(",", ":"))
    return status(text)


@pytest.mark.parametrize(
    ("event", "messages"),
    [
        (
            events.ReplyText("t1", "Hi "),
            [{
                "type": "gemini_response", "text": "Hi ", "isNewMessage": True, "turn_id": "t1",
                "request_id": None,
            }],
        ),
        (SOUND, [{"type": "audio_chunk", "speech_id": "t1"}, b"\x01\x00\xff\xff"]),
        (
            events.Started("audio", "s1"),
            [
                {"type": "session_started", "input_mode": "audio", "session_id": "s1"},
                coded("SESSION_STARTED", "Session started successfully"),
            ],
        ),
        (events.Paused(), [coded("SESSION_PAUSED", "Session paused. Start it to go on.")]),
        (events.Ended("s"), [coded("SESSION_ENDED", "Session ended and saved.")]),
        (events.Problem("CODE", "What."), [coded("CODE", "What.")]),
        (events.TaskChanged(TASK), [{"type": "agent_task_update", "task": NATIVE_TASK_JSON}]),
        (
            events.AgentStatus((TASK, FAILED), ()),
            [{
                "type": "agent_status_update",
                "snapshot": {
                    "active_tasks": [NATIVE_TASK_JSON], "flags": {"agent_enabled": False},
                    "tools": [], "server_online": True,
                },
            }],
        ),
    ],
)  # fmt: skip
def test_the_native_dialect(event: Event, messages: list[Any]) -> None:
    assert encoded(neko("native"), event) == messages


def test_a_failed_task_says_why_where_shipped_clients_look() -> None:
    (message,) = encoded(neko("native"), events.TaskChanged(FAILED))
    assert message["task"]["error"] == "no network"


@pytest.mark.parametrize(
    ("told", "sent"), [(-1.0, 0), (0.0, 0), (33.333, 33.3), (250.0, 100), (float("nan"), 0)]
)
def test_progress_stays_a_percentage_whatever_the_tool_says(told: float, sent: float) -> None:
    task = Task("k", "t", "running", told)
    (message,) = encoded(neko(), events.TaskChanged(task))
    assert message["task"]["progress"] == sent


WORD = events.SpokenWord(0, "Hi.", 5.0, 20.0, 3, 6)


def test_what_is_not_documented_is_sent_only_when_asked_for() -> None:
    plain = Neko(chunk_ms=40, dialect="native")
    assert plain.encode(events.Timeline("t1", 0.0, ())) == []
    assert plain.encode(events.PartialWords("what is")) == []
    assert len(plain.encode(attrs.evolve(SOUND, words=(WORD,)))) == 2


@pytest.mark.parametrize("dialect", ["documented", "native"])
def test_partials_and_words_are_the_same_in_both(dialect: Any) -> None:
    wire = Neko(chunk_ms=40, shown=Shown(partials=True, words=True), dialect=dialect)
    assert encoded(wire, events.PartialWords("what is")) == [
        {"type": "user_partial", "text": "what is"}
    ]
    words, *sound = wire.encode(attrs.evolve(SOUND, words=(WORD,)))
    assert json.loads(words) == {
        "type": "speech_words", "turn_id": "t1", "speech_id": "t1",
        "words": [{"text": "Hi.", "start_ms": 5.0, "end_ms": 20.0, "from": 3, "to": 6}],
    }  # fmt: skip
    assert sound == neko(dialect).encode(SOUND)


@pytest.mark.parametrize(
    ("parameters", "shown"),
    [
        ({}, Shown()),
        ({"timeline": "1", "words": "1", "partials": "1"}, Shown(True, True, True)),
        ({"timeline": "0", "words": "true", "partials": ""}, Shown()),
    ],
)
def test_what_is_shown_is_asked_for_on_the_url(parameters: dict[str, str], shown: Shown) -> None:
    assert Shown.asked(parameters) == shown


# --- which dialect ---

SIGNS: list[str | bytes] = [
    '{"action": "home_tutorial_state"}',
    '{"action": "greeting_check"}',
    '{"action": "avatar_interaction", "interaction_id": "i"}',
    '{"action": "avatar_interaction", "interaction_id": 5}',
    '{"action": "stream_data", "input_type": "audio", "data": [1, 2]}',
    b"NEKO" + struct.pack("<I", 48_000) + b"\x00\x00",
    b"NEKO",
]
NO_SIGNS: list[str | bytes] = [
    '{"action": "ping"}',
    '{"action": "start_session"}',
    '{"action": "stream_data", "input_type": "audio", "data": "AAA="}',
    '{"action": "stream_data", "input_type": "audio", "data": [1.5]}',
    '{"action": "stream_data", "input_type": "text", "data": [1]}',
    '{"action": "telemetry"}',
    '{"action": "dance"}',
    "[]",
    b"",
    b"\x00\x00",
]


def is_native(wire: Neko) -> bool:
    return len(wire.encode(SOUND)) == 2


@pytest.mark.parametrize("message", SIGNS)
def test_auto_becomes_native_at_a_sign_and_stays_so(message: str | bytes) -> None:
    wire = neko()
    assert not is_native(wire)
    wire.decode(message)
    assert is_native(wire)
    for other in NO_SIGNS:
        wire.decode(other)
    assert is_native(wire)


def test_auto_stays_documented_without_a_sign() -> None:
    wire = neko()
    for message in NO_SIGNS:
        wire.decode(message)
    assert not is_native(wire)


@pytest.mark.parametrize("message", SIGNS)
def test_a_dialect_that_was_asked_for_stays(message: str | bytes) -> None:
    documented, native = neko("documented"), neko("native")
    assert is_native(native)
    documented.decode(message)
    native.decode('{"action": "ping"}')
    assert not is_native(documented)
    assert is_native(native)


def test_connections_do_not_share_a_dialect() -> None:
    first, second = neko(), neko()
    first.decode('{"action": "greeting_check"}')
    assert not is_native(second)


# --- text in the native dialect ---


def shown(wire: Neko, turn: str, *deltas: str) -> list[tuple[bool, str | None]]:
    texts = [events.ReplyText(turn, delta) for delta in deltas]
    return [(m["isNewMessage"], m["request_id"]) for m in encoded(wire, *texts)]


def test_the_first_text_of_each_turn_is_a_new_message() -> None:
    wire = neko("native")
    assert [new for new, _ in shown(wire, "t1", "a", "b", "c")] == [True, False, False]
    assert [new for new, _ in shown(wire, "t2", "a", "b")] == [True, False]


def test_a_reply_that_goes_on_after_the_change_of_dialect_is_a_new_message() -> None:
    wire = neko()
    wire.encode(events.ReplyText("t1", "a"))
    wire.decode('{"action": "greeting_check"}')
    late = encoded(wire, events.ReplyText("t1", "b"))
    assert late[0]["isNewMessage"] is True


def typed(wire: Neko, **fields: object) -> None:
    message = {"action": "stream_data", "input_type": "text", "data": "hi"} | fields
    wire.decode(json.dumps(message))


def test_a_reply_names_the_request_it_answers() -> None:
    wire = neko("native")
    wire.encode(events.TurnStarted("t0"))
    typed(wire, request_id="r1")
    assert shown(wire, "t0", "a") == [(True, None)]
    wire.encode(events.TurnStarted("t1"))
    assert shown(wire, "t1", "a", "b") == [(True, "r1"), (False, "r1")]
    wire.encode(events.TurnStarted("t2"))
    assert shown(wire, "t2", "a") == [(True, None)]


def test_a_spoken_turn_answers_no_request() -> None:
    wire = neko("native")
    typed(wire, request_id="refused")
    wire.encode(events.UserWords("hello", 0.9))
    wire.encode(events.TurnStarted("t1"))
    assert shown(wire, "t1", "a") == [(True, None)]


def test_the_newest_request_counts() -> None:
    wire = neko("native")
    typed(wire, request_id="r1")
    typed(wire)
    wire.encode(events.TurnStarted("t1"))
    assert shown(wire, "t1", "a") == [(True, None)]


@given(
    steps=st.lists(
        st.sampled_from([*SIGNS, *NO_SIGNS])
        | st.sampled_from([SOUND, *(event for event, _ in SAME_IN_BOTH)]),
        max_size=30,
    )
)
def test_every_binary_frame_follows_its_header_and_every_header_has_one(
    steps: list[str | bytes | Event],
) -> None:
    wire, sent = neko(), list[str | bytes]()
    for step in steps:
        if isinstance(step, str | bytes):
            wire.decode(step)
        else:
            sent.extend(wire.encode(step))
    is_header = [isinstance(m, str) and '"audio_chunk"' in m for m in sent]
    is_frame = [isinstance(m, bytes) for m in sent]
    assert [False, *is_header] == [*is_frame, False]
