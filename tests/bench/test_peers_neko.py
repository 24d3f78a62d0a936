"""The documented messages of a peer's host, without the peer."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.peers import neko
from benchmarks.peers.neko import Json
from voicecore.audio import Samples, decode_s16le
from voicecore.bench.links import NekoLink
from voicecore.bench.tape import Interrupted, Ready, Sounded, Timed, Told


def events(*messages: Json) -> list[object]:
    """What the measuring client makes of messages."""
    link = NekoLink()
    return [event for message in messages for event in link.read(json.dumps(message), 1.0)]


@given(st.binary(max_size=2000).map(lambda data: data[: len(data) // 2 * 2]))
def test_microphone_sound_of_the_measuring_client_arrives_unchanged(data: bytes) -> None:
    samples: Samples = decode_s16le(data)
    assert neko.decode(NekoLink().sound(samples)) == data


def test_other_messages_are_passed_on() -> None:
    message = {"action": "stream_data", "input_type": "text", "data": "hello"}
    assert neko.decode(json.dumps(message)) == message


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"data": "abc"}, "base64"),
        ({"data": 7}, "base64"),
        ({"data": [1, 2]}, "base64"),
        ({"data": base64.b64encode(b"abc").decode()}, "even number"),
        ({"data": "", "sample_rate": 48_000}, "16000 Hz"),
    ],
)
def test_unusable_sound_is_refused_with_the_reason(fields: Json, said: str) -> None:
    message = {"action": "stream_data", "input_type": "audio", **fields}
    with pytest.raises(neko.BadMessage, match=said):
        neko.decode(json.dumps(message))


@pytest.mark.parametrize("message", ["", "nonsense", "[]", "{}", '{"action": 1}', b"\xff"])
def test_what_is_no_message_is_refused(message: str | bytes) -> None:
    with pytest.raises(neko.BadMessage, match="must be"):
        neko.decode(message)


def test_the_measuring_client_starts_a_session() -> None:
    desk = neko.Desk()
    (hello,) = NekoLink().hello()
    message = neko.decode(hello)
    assert isinstance(message, dict)
    answers = desk.feed(message)
    assert [answer["type"] for answer in answers] == [
        "session_preparing",
        "session_started",
        "status",
    ]
    assert desk.listening
    assert events(*answers) == [Ready(1.0), Told(1.0, "Session started successfully")]


@pytest.mark.parametrize("action", ["pause_session", "end_session"])
def test_a_session_that_was_paused_or_ended_does_not_listen(action: str) -> None:
    desk = neko.Desk()
    desk.feed({"action": "start_session"})
    (answer,) = desk.feed({"action": action})
    assert answer["type"] == "status"
    assert not desk.listening


def test_a_ping_is_answered_and_typed_text_is_not() -> None:
    desk = neko.Desk()
    assert desk.feed({"action": "ping"}) == [{"type": "pong"}]
    assert desk.feed({"action": "stream_data", "input_type": "text", "data": "hello"}) == []


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"action": "dance"}, "UNKNOWN_ACTION"),
        ({"action": "stream_data", "input_type": "screen", "data": ""}, "UNKNOWN_ACTION"),
        ({"action": "start_session", "input_type": "camera"}, "INVALID_INPUT_TYPE"),
        ({"action": "start_session", "input_type": 3}, "INVALID_INPUT_TYPE"),
    ],
)
def test_what_the_host_cannot_do_is_told(message: Json, code: str) -> None:
    desk = neko.Desk()
    (answer,) = desk.feed(message)
    assert code in answer["message"]
    assert not desk.listening


def test_sound_reaches_the_measuring_client() -> None:
    (sounded,) = events(neko.Speaker().sound(b"\x01\x00\xff\x7f"))
    assert isinstance(sounded, Sounded)
    assert list(sounded.samples) == [1, 32767]


def test_each_speech_that_is_interrupted_is_named_once() -> None:
    speaker = neko.Speaker()
    assert speaker.interrupted()["interrupted_speech_id"] is None
    speaker.sound(b"")
    speaker.sound(b"")
    first = speaker.interrupted()
    assert first["interrupted_speech_id"] is not None
    assert speaker.interrupted()["interrupted_speech_id"] is None
    speaker.sound(b"")
    second = speaker.interrupted()
    assert second["interrupted_speech_id"] not in {None, first["interrupted_speech_id"]}
    assert events(first, second) == [Interrupted(1.0), Interrupted(1.0)]


def test_a_finished_speech_is_not_interrupted() -> None:
    speaker = neko.Speaker()
    speaker.sound(b"")
    speaker.finished()
    assert events(speaker.interrupted()) == []


def test_spans_are_milliseconds() -> None:
    (timed,) = events(neko.timeline([neko.span("transcription", "Whisper", 0.2, 0.68125)]))
    assert isinstance(timed, Timed)
    assert timed.spans == (
        {"name": "transcription", "owner": "Whisper", "start_ms": 200.0, "end_ms": 681.2},
    )
