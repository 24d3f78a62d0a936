"""CortexPrism: every message of both directions, and every way to get it wrong."""

from __future__ import annotations

import base64
import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore import events
from voicecore.audio import MOUTH_HZ, Pcm
from voicecore.events import Attachment, Command, Event, Span, Task
from voicecore.wire.cortex import PART_BYTES, Cortex
from voicecore.wire.protocol import Shown

FILE = {"filename": "a.txt", "mimeType": "text/plain", "data": "aGk="}


def cortex(**settings: Any) -> Cortex:
    return Cortex(shown=Shown(timelines=True), **settings)


def decoded(message: dict[str, Any], **settings: Any) -> list[Command]:
    return cortex(**settings).decode(json.dumps(message))


def wrong(message: str | bytes | dict[str, Any], **settings: Any) -> str:
    text = json.dumps(message) if isinstance(message, dict) else message
    (command,) = cortex(**settings).decode(text)
    assert isinstance(command, events.Wrong)
    assert str(command.error)
    return command.error.code


@pytest.mark.parametrize(
    ("message", "commands"),
    [
        ({"type": "ping"}, [events.Ping()]),
        ({"type": "chat", "message": "hi"}, [events.Typed("hi")]),
        ({"type": "chat", "message": "hi", "sessionId": None, "files": None, "agentId": None},
         [events.Typed("hi")]),
        ({"type": "chat", "message": "hi", "sessionId": "s", "agentId": "小天", "x": 1},
         [events.Typed("hi", session_id="s", agent_id="小天")]),
        ({"type": "chat"}, [events.Typed("")]),
        ({"type": "chat", "message": None, "files": []}, [events.Typed("")]),
        ({"type": "new_session"}, [events.NewConversation()]),
        ({"type": "select_agent", "agentId": "小天"}, [events.SelectAgent("小天")]),
        ({"type": "stop"}, [events.Stop()]),
        ({"type": "audio_end"}, [events.ClipEnd()]),
        ({"type": "audio_end", "session": "s"}, [events.ClipEnd()]),
        ({"type": "speak", "text": "hi"}, [events.Recite("hi")]),
        ({"type": "speak", "text": "hi", "voice": "joe"}, [events.Recite("hi", "joe")]),
        ({"type": "voice_state", "enabled": False}, [events.SetSpoken(enabled=False)]),
        ({"type": "voice_state", "enabled": True}, [events.SetSpoken(enabled=True)]),
        ({"type": "voice_state", "speaking": True}, [events.SetSpeaking(speaking=True)]),
        ({"type": "voice_state", "enabled": None, "speaking": False},
         [events.SetSpeaking(speaking=False)]),
        ({"type": "voice_state", "enabled": True, "speaking": True},
         [events.SetSpeaking(speaking=True), events.SetSpoken(enabled=True)]),
        ({"type": "voice_state"}, [events.SetSpoken(None)]),
    ],
)  # fmt: skip
def test_each_message_becomes_its_commands(
    message: dict[str, Any], commands: list[Command]
) -> None:
    assert decoded(message) == commands


# --- files ---


def files_of(commands: list[Command]) -> list[tuple[str, str, bytes]]:
    (typed,) = commands
    assert isinstance(typed, events.Typed)
    assert all(isinstance(file, Attachment) for file in typed.files)
    return [(file.name, file.mime_type, file.data) for file in typed.files]


@pytest.mark.parametrize("text", ["look", ""])
def test_files_come_with_a_message_or_alone(text: str) -> None:
    second = {"filename": "../小.png", "data": "data:image/png;base64,AAEC"}
    commands = decoded({"type": "chat", "message": text, "files": [FILE, second]})
    assert files_of(commands) == [
        ("a.txt", "text/plain", b"hi"),
        ("../小.png", "", b"\x00\x01\x02"),
    ]
    (typed,) = commands
    assert isinstance(typed, events.Typed)
    assert typed.text == text


def test_an_empty_file_is_a_file() -> None:
    commands = decoded({"type": "chat", "files": [FILE | {"data": ""}]})
    assert files_of(commands) == [("a.txt", "text/plain", b"")]


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({}, "BAD_MESSAGE"),
        ("a.txt", "BAD_MESSAGE"),
        (7, "BAD_MESSAGE"),
        ([7], "BAD_MESSAGE"),
        ([None], "BAD_MESSAGE"),
        ([[FILE]], "BAD_MESSAGE"),
        ([{}], "BAD_MESSAGE"),
        ([FILE | {"filename": 7}], "BAD_MESSAGE"),
        ([FILE | {"filename": None}], "BAD_MESSAGE"),
        ([FILE | {"filename": "x" * 257}], "BAD_MESSAGE"),
        ([FILE | {"mimeType": 7}], "BAD_MESSAGE"),
        ([FILE | {"data": None}], "BAD_MESSAGE"),
        ([FILE | {"data": [1]}], "BAD_MESSAGE"),
        ([FILE | {"data": "?"}], "BAD_BASE64"),
        ([FILE | {"data": "data:text/plain,hi"}], "BAD_BASE64"),
        ([FILE, FILE, FILE], "TOO_MANY_FILES"),
        ([7] * 3, "TOO_MANY_FILES"),
        ([FILE, FILE | {"data": "AAECAwQF"}], "FILE_TOO_LARGE"),
        ([FILE | {"data": "A" * 1_000_001}], "FILE_TOO_LARGE"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_files_that_cannot_be_used_are_refused_by_name(files: object, code: str) -> None:
    message = {"type": "chat", "message": "hi", "files": files}
    assert wrong(message, max_files=2, max_file_bytes=5) == code


def test_the_error_tells_which_file() -> None:
    message = {"type": "chat", "files": [FILE, FILE | {"filename": "big.pdf", "data": "A" * 80}]}
    (command,) = decoded(message, max_file_bytes=50)
    assert isinstance(command, events.Wrong)
    assert "big.pdf" in str(command.error)
    assert "50" in str(command.error)


# --- recordings ---


def test_recordings_come_in_parts() -> None:
    message = {"type": "audio_chunk", "data": "AAEC", "format": "pcm", "session": "s"}
    (part,) = decoded(message)
    assert isinstance(part, events.ClipPart)
    assert (part.data, part.format) == (b"\x00\x01\x02", "pcm")


def test_a_large_part_is_taken_in_steps_and_nothing_of_it_is_lost() -> None:
    data = np.random.default_rng(1).bytes(2 * PART_BYTES + 100)
    found = decoded({"type": "audio_chunk", "data": base64.b64encode(data).decode()})
    parts = [part.data for part in found if isinstance(part, events.ClipPart)]
    assert [len(part) for part in parts] == [PART_BYTES, PART_BYTES, 100]
    assert b"".join(parts) == data


def test_an_empty_part_is_a_part() -> None:
    (part,) = decoded({"type": "audio_chunk", "data": ""})
    assert isinstance(part, events.ClipPart)
    assert (part.data, part.format) == (b"", None)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("", "BAD_JSON"),
        ("null", "BAD_JSON"),
        ("[" * 10_000, "BAD_JSON"),
        (b"{}", "BAD_MESSAGE"),
        (b"", "BAD_MESSAGE"),
        ({}, "BAD_MESSAGE"),
        ({"type": None}, "BAD_MESSAGE"),
        ({"type": ["ping"]}, "BAD_MESSAGE"),
        ({"type": "dance"}, "UNKNOWN_TYPE"),
        ({"type": "chat", "message": ["hi"]}, "BAD_MESSAGE"),
        ({"type": "chat", "message": 5}, "BAD_MESSAGE"),
        ({"type": "chat", "message": "hi", "sessionId": 5}, "BAD_MESSAGE"),
        ({"type": "chat", "message": "hi", "sessionId": "x" * 257}, "BAD_MESSAGE"),
        ({"type": "chat", "message": "hi", "agentId": {}}, "BAD_MESSAGE"),
        ({"type": "select_agent"}, "BAD_MESSAGE"),
        ({"type": "select_agent", "agentId": 5}, "BAD_MESSAGE"),
        ({"type": "select_agent", "agentId": "x" * 257}, "BAD_MESSAGE"),
        ({"type": "audio_chunk"}, "BAD_MESSAGE"),
        ({"type": "audio_chunk", "data": [0]}, "BAD_MESSAGE"),
        ({"type": "audio_chunk", "data": "????"}, "BAD_BASE64"),
        ({"type": "audio_chunk", "data": "AAAA", "format": 5}, "BAD_MESSAGE"),
        ({"type": "speak"}, "BAD_MESSAGE"),
        ({"type": "speak", "text": 5}, "BAD_MESSAGE"),
        ({"type": "speak", "text": "hi", "voice": 5}, "BAD_MESSAGE"),
        ({"type": "voice_state", "enabled": "on"}, "BAD_MESSAGE"),
        ({"type": "voice_state", "enabled": 1}, "BAD_MESSAGE"),
        ({"type": "voice_state", "speaking": 0}, "BAD_MESSAGE"),
        ({"type": "voice_state", "speaking": True, "enabled": "on"}, "BAD_MESSAGE"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_wrong_is_named(message: str | bytes | dict[str, Any], code: str) -> None:
    assert wrong(message) == code


# --- to the client ---

TASK = Task("k1", "weather", "running", 50, "asking")
TASK_JSON = {
    "id": "k1", "tool": "weather", "status": "running", "progress": 50, "detail": "asking",
}  # fmt: skip

WRITTEN: list[tuple[Event, dict[str, Any] | None]] = [
    (events.Connected(), {"type": "connected"}),
    (events.Pong(), {"type": "pong"}),
    (events.ConversationOpened("s", "小天"),
     {"type": "session", "sessionId": "s", "agentId": "小天", "agentName": "小天"}),
    (events.Ended("s"), {"type": "session_ended", "sessionId": "s"}),
    (events.CharacterSelected("小天"),
     {"type": "agent_selected", "agentId": "小天", "agentName": "小天"}),
    (events.Problem("EMPTY_MESSAGE", "Empty message"), {"type": "error", "error": "Empty message"}),
    (events.UserWords("hello", 0.91234),
     {"type": "transcribed", "text": "hello", "confidence": 0.912}),
    (events.TurnStarted("t1"), {"type": "start"}),
    (events.Mood("t1", "sad"), {"type": "emotion", "emotion": "sad"}),
    (events.ReplyText("t1", "Hi "), {"type": "chunk", "delta": "Hi "}),
    (events.PhraseStarted("t1", "Hi there.", "joe"),
     {"type": "speak", "text": "Hi there.", "voice": "joe"}),
    (events.TurnDone("t1", "Hi there.", 12, 3, 0.25, 812.4, "smol"),
     {"type": "done", "tokensIn": 12, "tokensOut": 3, "costUsd": 0.25, "durationMs": 812,
      "model": "smol", "finalContent": "Hi there."}),
    (events.Stopped(), {"type": "stopped"}),
    (events.Spoken(enabled=False), {"type": "voice_state", "enabled": False}),
    (events.OtherSpeaking(speaking=True), {"type": "voice_state", "speaking": True}),
    (events.Notification("It rains.", "weather", "completed"),
     {"type": "agent_notification", "text": "It rains.", "source": "weather",
      "status": "completed"}),
    (events.TaskChanged(TASK), {"type": "agent_task_update", "task": TASK_JSON}),
    (events.AgentStatus((TASK, Task("k2", "x", "completed", 100)), ("weather",)),
     {"type": "agent_status_update",
      "snapshot": {"activeTasks": [TASK_JSON], "flags": {"agentEnabled": True},
                   "tools": ["weather"]}}),
    (events.Timeline("t1", 1.0, (Span("voice", "tts:piper", 1.25, 1.5),)),
     {"type": "timeline", "turnId": "t1",
      "spans": [{"name": "voice", "owner": "tts:piper", "start_ms": 250.0, "end_ms": 500.0}]}),
    # What the other protocol tells.
    (events.Preparing("audio"), None),
    (events.Started("audio", "s1"), None),
    (events.StartFailed("audio"), None),
    (events.Paused(), None),
    (events.Activity("t1"), None),
    (events.ReplyTextComplete("t1"), None),
    (events.CharacterSwitched("new", "old"), None),
    (events.PageOutdated("Reload."), None),
    (events.Touched("i", None), None),
]  # fmt: skip


@pytest.mark.parametrize(("event", "message"), WRITTEN, ids=[repr(event) for event, _ in WRITTEN])
def test_each_event_becomes_its_message(event: Event, message: dict[str, Any] | None) -> None:
    written = [json.loads(text) for text in cortex().encode(event)]
    assert written == ([] if message is None else [message])


def test_sound_is_a_complete_wav_file() -> None:
    pcm = Pcm(np.array([1, -1], np.int16), MOUTH_HZ)
    (text,) = cortex().encode(events.ReplySound("t1", pcm))
    clip = json.loads(text)
    wav = base64.b64decode(clip.pop("data"))
    assert clip == {"type": "audio", "format": "wav"}
    assert wav[:4] == b"RIFF"
    assert wav[-4:] == b"\x01\x00\xff\xff"


def test_timelines_are_sent_only_when_asked_for() -> None:
    assert Cortex().encode(events.Timeline("t1", 0.0, ())) == []


@given(st.binary(max_size=300), st.lists(st.integers(0, 400), max_size=8))
def test_a_recordings_base64_may_be_cut_anywhere(data: bytes, cuts: list[int]) -> None:
    text = base64.b64encode(data).decode()
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    wire = Cortex()
    commands: list[events.Command] = []
    for start, end in pairwise(edges):
        commands += wire.decode(json.dumps({"type": "audio_chunk", "data": text[start:end]}))
    commands += wire.decode('{"type": "audio_end"}')
    assert isinstance(commands[-1], events.ClipEnd)
    parts = commands[:-1]
    assert b"".join(part.data for part in parts if isinstance(part, events.ClipPart)) == data
    assert all(isinstance(part, events.ClipPart) for part in parts)


@given(st.lists(st.binary(max_size=20), max_size=6))
def test_parts_of_a_recording_may_each_be_encoded_by_themselves(parts: list[bytes]) -> None:
    wire = Cortex()
    got = b""
    for part in parts:
        data = base64.b64encode(part).decode()
        for command in wire.decode(json.dumps({"type": "audio_chunk", "data": data})):
            assert isinstance(command, events.ClipPart)
            got += command.data
    assert got == b"".join(parts)
    assert wire.decode('{"type": "audio_end"}') == [events.ClipEnd()]


def test_a_recording_that_ends_within_a_character_is_wrong_and_the_next_is_not() -> None:
    wire = Cortex()
    wire.decode('{"type": "audio_chunk", "data": "AAAAA"}')
    (end,) = wire.decode('{"type": "audio_end"}')
    assert isinstance(end, events.ClipEnd)
    assert end.error is not None
    assert end.error.code == "BAD_BASE64"
    (part,) = wire.decode('{"type": "audio_chunk", "data": "AAAA", "session": "s1"}')
    assert isinstance(part, events.ClipPart)
    assert (part.data, part.session_id) == (bytes(3), "s1")
