"""Both translators: every message they take and write, and anything else they may be sent."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore import events
from voicecore.audio import MOUTH_HZ, Pcm, encode_s16le
from voicecore.events import Command, Event, Span
from voicecore.wire.cortex import Cortex
from voicecore.wire.neko import Neko
from voicecore.wire.protocol import Wire

SOUND = Pcm(np.arange(480, dtype=np.int16), 16_000)
BASE64 = base64.b64encode(encode_s16le(SOUND.samples)).decode()


def neko() -> Neko:
    return Neko(chunk_ms=40, timelines=True)


def cortex() -> Cortex:
    return Cortex(timelines=True)


def decoded(wire: Wire, **message: object) -> list[Command]:
    return wire.decode(json.dumps(message))


def wrong(wire: Wire, message: str | bytes) -> str:
    (command,) = wire.decode(message)
    assert isinstance(command, events.Wrong)
    assert str(command.error)
    return command.error.code


@pytest.mark.parametrize(
    ("message", "command"),
    [
        ({"action": "start_session"}, events.Start("audio")),
        (
            {"action": "start_session", "input_type": "text", "new_session": True},
            events.Start("text", fresh=True),
        ),
        ({"action": "pause_session"}, events.Pause()),
        ({"action": "end_session"}, events.End()),
        ({"action": "ping"}, events.Ping()),
        (
            {"action": "stream_data", "input_type": "text", "data": "hi 小天"},
            events.Typed("hi 小天", barge_in=True),
        ),
        ({"action": "greeting_check", "anything": [1]}, events.Ignored()),
    ],
)
def test_neko_commands(message: dict[str, Any], command: Command) -> None:
    assert decoded(neko(), **message) == [command]


@pytest.mark.parametrize("rate", [{}, {"sample_rate": 48_000}, {"sample_rate_hz": 8_000}])
def test_neko_sound_has_the_rate_it_is_given(rate: dict[str, int]) -> None:
    found = decoded(neko(), action="stream_data", input_type="audio", data=BASE64, **rate)
    (sound,) = found
    assert isinstance(sound, events.Sound)
    assert sound.pcm.rate_hz == next(iter(rate.values()), 16_000)
    np.testing.assert_array_equal(sound.pcm.samples, SOUND.samples)


def test_neko_sound_of_any_length_is_taken_in_steps_of_bounded_time() -> None:
    data = base64.b64encode(bytes(16_000 * 2 * 3)).decode()
    found = decoded(neko(), action="stream_data", input_type="audio", data=data)
    assert [sound.pcm.ms for sound in found if isinstance(sound, events.Sound)] == [500] * 6
    assert decoded(neko(), action="stream_data", input_type="audio", data="") == []


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", "BAD_JSON"),
        ("[]", "BAD_JSON"),
        ("1e999999", "BAD_JSON"),
        ("[" * 100_000, "BAD_JSON"),
        (b"\x00\x01", "BAD_MESSAGE"),
        ("{}", "BAD_MESSAGE"),
        ('{"action": 7}', "BAD_MESSAGE"),
        ('{"action": "dance"}', "UNKNOWN_ACTION"),
        ('{"action": "start_session", "input_type": "smell"}', "INVALID_INPUT_TYPE"),
        ('{"action": "start_session", "input_type": {}}', "INVALID_INPUT_TYPE"),
        ('{"action": "start_session", "new_session": "yes"}', "BAD_MESSAGE"),
        ('{"action": "stream_data"}', "BAD_MESSAGE"),
        ('{"action": "stream_data", "input_type": "smell"}', "INVALID_INPUT_TYPE"),
        ('{"action": "stream_data", "input_type": "text", "data": 5}', "BAD_MESSAGE"),
        ('{"action": "stream_data", "input_type": "audio", "data": "AAA"}', "BAD_BASE64"),
        ('{"action": "stream_data", "input_type": "audio", "data": "A B="}', "BAD_BASE64"),
        ('{"action": "stream_data", "input_type": "audio", "data": "é"}', "BAD_BASE64"),
        ('{"action": "stream_data", "input_type": "audio", "data": "AAAA"}', "BAD_AUDIO"),
        (
            '{"action": "stream_data", "input_type": "audio", "data": "AAA=", "sample_rate": true}',
            "BAD_SAMPLE_RATE",
        ),
        (
            '{"action": "stream_data", "input_type": "audio", "data": "AAA=", "sample_rate": 1}',
            "BAD_SAMPLE_RATE",
        ),
    ],
)
def test_neko_says_what_is_wrong(message: str | bytes, code: str) -> None:
    assert wrong(neko(), message) == code


@pytest.mark.parametrize(
    ("message", "command"),
    [
        ({"type": "ping"}, events.Ping()),
        ({"type": "chat", "message": "hi"}, events.Typed("hi")),
        ({"type": "chat", "message": "hi", "sessionId": None}, events.Typed("hi")),
        (
            {"type": "chat", "message": "hi", "sessionId": "s", "agentId": "default", "x": 1},
            events.Typed("hi", session_id="s"),
        ),
        ({"type": "chat"}, events.Typed("")),
        ({"type": "new_session"}, events.NewConversation()),
        ({"type": "stop"}, events.Stop()),
        ({"type": "audio_end"}, events.ClipEnd()),
        ({"type": "speak", "text": "hi"}, events.Recite("hi")),
        ({"type": "speak", "text": "hi", "voice": "joe"}, events.Recite("hi", "joe")),
        ({"type": "voice_state", "enabled": False}, events.SetSpoken(enabled=False)),
        ({"type": "voice_state", "speaking": True}, events.Ignored()),
        ({"type": "voice_state", "enabled": None, "speaking": True}, events.Ignored()),
        ({"type": "voice_state"}, events.SetSpoken(None)),
    ],
)
def test_cortex_commands(message: dict[str, Any], command: Command) -> None:
    assert decoded(cortex(), **message) == [command]


def test_cortex_recordings_come_in_parts() -> None:
    (part,) = decoded(cortex(), type="audio_chunk", data="AAEC", format="pcm", session="s")
    assert isinstance(part, events.ClipPart)
    assert (part.data, part.format) == (b"\x00\x01\x02", "pcm")


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("", "BAD_JSON"),
        ('{"type": "dance"}', "UNKNOWN_TYPE"),
        ('{"type": null}', "BAD_MESSAGE"),
        ('{"type": "chat", "message": ["hi"]}', "BAD_MESSAGE"),
        ('{"type": "chat", "message": "hi", "sessionId": 5}', "BAD_MESSAGE"),
        ('{"type": "audio_chunk"}', "BAD_MESSAGE"),
        ('{"type": "audio_chunk", "data": "?"}', "BAD_BASE64"),
        ('{"type": "speak"}', "BAD_MESSAGE"),
        ('{"type": "voice_state", "enabled": "on"}', "BAD_MESSAGE"),
    ],
)
def test_cortex_says_what_is_wrong(message: str, code: str) -> None:
    assert wrong(cortex(), message) == code


def test_text_that_no_file_could_hold_is_mended() -> None:
    (typed,) = cortex().decode('{"type": "chat", "message": "a\\ud800b"}')
    assert typed == events.Typed("a\ufffdb")


EVENTS: list[Event] = [
    events.Connected(),
    events.Pong(),
    events.Preparing("audio"),
    events.Started("audio"),
    events.StartFailed("text"),
    events.Paused(),
    events.Ended("s"),
    events.ConversationOpened("s", "default"),
    events.Problem("CODE", "What, why, and what to do."),
    events.Activity(None),
    events.Activity("t1"),
    events.UserWords("hello", 0.91234),
    events.TurnStarted("t1"),
    events.ReplyText("t1", "Hi ", first=True),
    events.PhraseStarted("t1", "Hi there.", "joe"),
    events.ReplySound("t1", Pcm(np.array([1, -1], np.int16), MOUTH_HZ)),
    events.ReplyTextComplete("t1"),
    events.TurnDone("t1", "Hi there.", 12, 3, 0.0, 812.4, "smol"),
    events.Stopped(),
    events.Spoken(enabled=True),
    events.Timeline("t1", 1.0, (Span("voice", "tts:piper", 1.25, 1.5),)),
]

SPAN = {"name": "voice", "owner": "tts:piper", "start_ms": 250.0, "end_ms": 500.0}


def encoded(wire: Wire) -> list[dict[str, Any]]:
    return [json.loads(message) for event in EVENTS for message in wire.encode(event)]


def test_neko_writes_the_documented_messages() -> None:
    assert encoded(neko()) == [
        {"type": "pong"},
        {"type": "session_preparing", "input_mode": "audio"},
        {"type": "session_started", "input_mode": "audio"},
        {"type": "status", "message": "Session started successfully"},
        {"type": "session_failed", "input_mode": "text"},
        {"type": "status", "message": "Session paused. Start it to go on."},
        {"type": "status", "message": "Session ended and saved."},
        {"type": "status", "message": "What, why, and what to do."},
        {"type": "user_activity", "interrupted_speech_id": None},
        {"type": "user_activity", "interrupted_speech_id": "t1"},
        {"type": "user_transcript", "text": "hello"},
        {"type": "text", "text": "Hi "},
        {"type": "audio", "audio_data": "AQD//w=="},
        {"type": "system", "data": "turn end"},
        {"type": "timeline", "turn_id": "t1", "spans": [SPAN]},
    ]


def test_cortex_writes_the_documented_messages() -> None:
    messages = encoded(cortex())
    clip = next(message for message in messages if message["type"] == "audio")
    wav = base64.b64decode(clip.pop("data"))
    assert wav[:4] == b"RIFF"
    assert wav[-4:] == b"\x01\x00\xff\xff"
    assert messages == [
        {"type": "connected"},
        {"type": "pong"},
        {"type": "session_ended", "sessionId": "s"},
        {"type": "session", "sessionId": "s", "agentId": "default", "agentName": "default"},
        {"type": "error", "error": "What, why, and what to do."},
        {"type": "transcribed", "text": "hello", "confidence": 0.912},
        {"type": "start"},
        {"type": "chunk", "delta": "Hi "},
        {"type": "speak", "text": "Hi there.", "voice": "joe"},
        {"type": "audio", "format": "wav"},
        {
            "type": "done", "tokensIn": 12, "tokensOut": 3, "costUsd": 0.0, "durationMs": 812,
            "model": "smol", "finalContent": "Hi there.",
        },
        {"type": "stopped"},
        {"type": "voice_state", "enabled": True},
        {"type": "timeline", "turnId": "t1", "spans": [SPAN]},
    ]  # fmt: skip


def test_timelines_are_sent_only_when_asked_for() -> None:
    for wire in (Neko(chunk_ms=40), Cortex()):
        assert wire.encode(EVENTS[-1]) == []


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
WORDS = st.sampled_from(
    [
        "action", "type", "start_session", "stream_data", "input_type", "audio", "text", "data",
        "chat", "message", "sessionId", "audio_chunk", "audio_end", "format", "sample_rate", "AAAA",
        "voice_state", "enabled", "speak", "voice", "new_session", "pause_session", "ping",
    ]
)  # fmt: skip
MESSAGES = st.dictionaries(WORDS, WORDS | SCALARS | st.lists(SCALARS, max_size=3), max_size=6)


@given(message=MESSAGES.map(json.dumps) | st.text() | st.binary())
@pytest.mark.parametrize("make", [neko, cortex])
def test_anything_becomes_commands_and_never_an_exception(make: Any, message: str | bytes) -> None:
    for command in make().decode(message):
        if isinstance(command, events.Wrong):
            assert command.error.code
            assert len(str(command.error)) < 400
