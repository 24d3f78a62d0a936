"""What both protocols promise."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Mapping

import pytest
from websockets.sync.client import connect

from tests.conformance.place import (
    Client,
    Message,
    Opener,
    Place,
    only,
    speech,
    story,
    text_of,
    to_base64,
)
from voicecore.audio import EAR_HZ, Pcm, encode_s16le, wav_bytes
from voicecore.config import ServerConfig

row = pytest.mark.row
NEKO, CORTEX = "/ws/default", "/ws"
both = pytest.mark.parametrize("path", [NEKO, CORTEX])


def error_code(path: str, message: Message) -> str:
    """Check that it is an error in the protocol's own form; N.E.K.O.'s ends with its code."""
    if path == CORTEX:
        assert message["type"] == "error"
        assert " " in message["error"]
        return ""
    assert message["type"] == "status"
    text: str = message["message"]
    assert " " in text
    return text.rpartition("[")[2].rstrip("]")


def ping(path: str) -> dict[str, object]:
    return {"action": "ping"} if path == NEKO else {"type": "ping"}


def expect_error(client: Client, path: str, code: str) -> None:
    kind = "error" if path == CORTEX else "status"
    assert error_code(path, client.next(kind)) in {"", code}
    client.send(**ping(path))
    client.until("pong")


def settled(client: Client, path: str) -> None:
    """Take what comes on connecting."""
    client.until("agent_status_update")


@row("B-unknown")
@both
def test_an_unknown_message_is_an_error(place: Place, path: str) -> None:
    with place.connect(path) as client:
        settled(client, path)
        client.send(**{"action" if path == NEKO else "type": "dance"})
        expect_error(client, path, "UNKNOWN_ACTION")


@row("B-malformed")
@both
@pytest.mark.parametrize(
    "frame", ["{", "", "[1, 2]", '"ping"', "7", "{" * 5_000, b"\x00\x01\x02", b""]
)
def test_a_malformed_frame_is_an_error(place: Place, path: str, frame: str | bytes) -> None:
    with place.connect(path) as client:
        settled(client, path)
        client.send_frame(frame)
        bad_frame = path == NEKO and isinstance(frame, bytes)
        expect_error(client, path, "BAD_FRAME" if bad_frame else "BAD_JSON")


@row("B-base64")
@both
def test_bad_base64_is_an_error(place: Place, path: str) -> None:
    with place.connect(path) as client:
        settled(client, path)
        if path == NEKO:
            client.send(action="stream_data", input_type="audio", data="!?!?")
        else:
            client.send(type="audio_chunk", data="!?!?")
        expect_error(client, path, "BAD_BASE64")


@row("B-odd")
@both
def test_half_a_sample_is_an_error(place: Place, path: str) -> None:
    odd = to_base64(encode_s16le(speech()) + b"\x01")
    with place.connect(path) as client:
        settled(client, path)
        if path == NEKO:
            client.send(action="stream_data", input_type="audio", data=odd)
        else:  # cut anywhere, so only the whole can be odd
            client.send(type="audio_chunk", data=odd, format="pcm")
            client.send(type="audio_end")
            messages = [client.receive()]
            while messages[-1]["type"] not in {"error", "done"}:
                messages.append(client.receive())
            assert only(messages, "error")
            return
        expect_error(client, path, "BAD_AUDIO")


@row("B-type")
@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (NEKO, {"action": 5}),
        (NEKO, {"action": "start_session", "new_session": "yes"}),
        (NEKO, {"action": "stream_data", "input_type": "text", "data": ["hello"]}),
        (NEKO, {"action": "stream_data", "input_type": "audio", "data": {"a": 1}}),
        (NEKO, {"action": "stream_data", "input_type": "screen", "data": 1}),
        (CORTEX, {"type": None}),
        (CORTEX, {"type": "chat", "message": 5}),
        (CORTEX, {"type": "chat", "message": "hi", "sessionId": 5}),
        (CORTEX, {"type": "chat", "message": "hi", "files": "all"}),
        (CORTEX, {"type": "chat", "message": "hi", "files": [7]}),
        (CORTEX, {"type": "select_agent", "agentId": []}),
        (CORTEX, {"type": "audio_chunk", "data": 1}),
        (CORTEX, {"type": "speak"}),
        (CORTEX, {"type": "voice_state", "enabled": "on"}),
    ],
)
def test_a_wrong_type_is_an_error(place: Place, path: str, fields: Mapping[str, object]) -> None:
    with place.connect(path) as client:
        settled(client, path)
        client.send(**fields)
        expect_error(client, path, "BAD_MESSAGE")


@row("B-nothing-lost")
@both
@pytest.mark.parametrize("bad", ["{", '{"action": "dance", "type": "dance"}'])
def test_what_came_before_a_bad_message_is_used(open_host: Opener, path: str, bad: str) -> None:
    place = open_host()
    sound = speech(2.0)
    half = len(sound) // 2
    with place.connect(path) as client:
        if path == NEKO:
            client.start()
            client.microphone(sound[:half])
            client.send_frame(bad)
            client.microphone(sound[half:])
            client.until("user_transcript")
        else:
            clip = wav_bytes(Pcm(sound, EAR_HZ))
            client.send(type="audio_chunk", data=to_base64(clip[: half * 2]))
            client.send_frame(bad)
            client.send(type="audio_chunk", data=to_base64(clip[half * 2 :]))
            client.send(type="audio_end")
            client.until("transcribed")
        heard = place.fakes.stt.requests[-1].samples
        assert len(heard) > 1.9 * EAR_HZ


@row("B-ten")
@both
def test_ten_bad_messages_in_a_row_close_with_1008(place: Place, path: str) -> None:
    with place.connect(path) as client:
        for _ in range(9):
            client.send_frame("{")
        client.send(**ping(path))  # which breaks the row
        for _ in range(9):
            client.send_frame("{")
        client.until("pong")
        client.send_frame("{")
        assert client.closed() == 1008
        kind = "error" if path == CORTEX else "status"
        assert len(only(client.received, kind)) == 19


@row("B-size")
@both
def test_a_message_over_the_limit_closes_with_1009(place: Place, path: str) -> None:
    with place.connect(path) as client:
        settled(client, path)
        client.send_frame('{"data": "' + "A" * ServerConfig().max_message_bytes + '"}')
        assert client.closed() == 1009


@row("B-ping-loading")
@both
def test_ping_is_answered_while_models_are_loaded(open_host: Opener, path: str) -> None:
    place = open_host(warm=False)
    with place.connect(path) as client:
        if path == NEKO:
            client.send(action="start_session", input_type="audio")
        else:
            client.send(type="chat", message="hello")
        client.send(**ping(path))
        client.until("pong")
        place.call(place.host.room.open, place.fakes.engines())
        client.until("session_started" if path == NEKO else "done")


@row("B-ping-turn")
@both
def test_ping_is_answered_during_a_turn(place: Place, path: str) -> None:
    with place.connect(path) as client:
        if path == NEKO:
            client.start()
            client.type_text("Tell me about the sea.")
            end = "system"
        else:
            client.send(type="chat", message="Tell me about the sea.")
            client.until("start")
            end = "done"
        client.send(**ping(path))
        assert end not in {m["type"] for m in client.until("pong")}
        client.until(end)


@row("B-ping-unread")
def test_ping_overtakes_sound_that_waits_for_a_slow_reader(open_host: Opener) -> None:
    place = open_host()
    narrow = socket.create_connection(place.address.split(":"))  # type: ignore[arg-type]
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    # 70 s of sound, 9 MB: far more than fits between the two, and 4 s may wait in the host.
    with connect(
        f"ws://{place.address}/ws", sock=narrow, max_queue=1, max_size=None, close_timeout=1
    ) as slow:
        slow.send(json.dumps({"type": "speak", "text": story(200)}))
        seen = [json.loads(slow.recv(timeout=60))["type"] for _ in range(3)]
        time.sleep(1)  # for all that lies between to fill up; if it does not, the test is easier
        slow.send(json.dumps({"type": "ping"}))
        while "pong" not in seen:
            seen.append(json.loads(slow.recv(timeout=60))["type"])
        left = 0
        while left < 10:  # there is more, so it was not at the end of the queue
            left += json.loads(slow.recv(timeout=60))["type"] == "audio"
        slow.send(json.dumps({"type": "stop"}))


def neko_conversation(place: Place, dialect: str) -> None:
    with place.connect(dialect=dialect) as client:
        client.start()
        client.microphone(place.question)
        client.until("system")
        client.type_text("Thank you.")
        client.until("system")
        client.send(action="avatar_interaction", interaction_id="touch-1")
        client.until("avatar_interaction_ack")
        client.send(action="dance")
        client.send(action="pause_session")
        client.send(action="end_session")
        client.send(action="ping")
        client.until("pong")
        client.listen()


def cortex_conversation(place: Place) -> None:
    with place.connect("/ws") as client:
        client.chat("Hello there.")
        client.send(type="audio_chunk", data=to_base64(wav_bytes(Pcm(place.question, EAR_HZ))))
        client.send(type="audio_end")
        client.until("done")
        client.send(type="speak", text="Good night.")
        client.send(type="voice_state", enabled=True)
        client.send(type="select_agent", agentId="default")
        client.send(type="new_session")
        client.send(type="dance")
        client.send(type="stop")
        client.until("stopped")
        client.listen()


TALKS: Mapping[str, Callable[[Place], None]] = {
    "documented": lambda place: neko_conversation(place, "documented"),
    "native": lambda place: neko_conversation(place, "native"),
    "cortex": cortex_conversation,
}


@row("B-shapes")
@pytest.mark.parametrize("talk", TALKS)
def test_every_message_has_its_documented_shape(place: Place, talk: str) -> None:
    TALKS[talk](place)  # the client looks at each


@row("B-calls")
@both
def test_a_tool_call_is_neither_shown_nor_spoken(open_host: Opener, path: str) -> None:
    call = '<tool_call>{"name": "lamp", "arguments": {"on": true}}</tool_call>'
    place = open_host(f"Let me see. {call} Wait.", "The lamp is on.")
    with place.connect(path) as client:
        if path == NEKO:
            client.start()
            messages = client.ask("Turn the lamp on.")
            messages += client.listen()
        else:
            client.send(type="voice_state", enabled=True)
            messages = client.chat("Turn the lamp on.")
    spoken = " ".join(request.text for request in place.fakes.tts.requests)
    assert "The lamp is on." in spoken
    for told in (spoken, json.dumps(messages)):
        assert "tool_call" not in told
        assert "arguments" not in told
    assert text_of(messages).split() == ["Let", "me", "see.", "Wait.", "The", "lamp", "is", "on."]
