"""CortexPrism, row by row; what is stripped from replies is in test_rows_stripping."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest

from tests.conformance.place import (
    PITCH_HZ,
    WAIT_S,
    Client,
    Message,
    Opener,
    Place,
    ThreadPlace,
    kinds,
    only,
    open_thread,
    pitch_hz,
    quick,
    speech,
    story,
    text_of,
    to_base64,
    wav_samples,
)
from tests.conformance.test_rows_neko import colours, picture, stored, tool
from tests.ears.clip_files import KINDS, recorded
from tests.eyes.pdf_files import document, text_page
from tests.harness import PLAIN
from voicecore.audio import EAR_HZ, Pcm, Samples, encode_s16le, resample, wav_bytes
from voicecore.config import CharacterConfig, Config, EyesConfig, PriceConfig
from voicecore.errors import EngineError

row = pytest.mark.row
TWO = Config(characters={**PLAIN.characters, "小天": CharacterConfig(prompt="You are Robin.")})
CALL = '<tool_call>{"name": "work", "arguments": {}}</tool_call>'
BUSY = "A turn is already in progress — wait for it to finish"


def session_id(messages: list[Message]) -> str:
    (told,) = only(messages, "session")
    found: str = told["sessionId"]
    return found


def expect_error(client: Client, text: str) -> None:
    assert client.next("error")["error"] == text


# --- 2.1: chat ---


@row("C2.1-connect")
def test_connected_comes_first(place: Place) -> None:
    with place.connect("/ws") as client:
        assert client.receive() == {"type": "connected"}


@row("C2.1-chat")
def test_a_chat_is_session_start_chunks_done(place: Place) -> None:
    with place.connect("/ws") as client:
        client.until("connected")
        order = kinds(client.chat("Hello there."))
        assert [kind for kind in order if kind != "emotion"] == [
            "session",
            "start",
            "chunk",
            "done",
        ]


@row("C2.1-chat-current")
@pytest.mark.parametrize("absent", [{}, {"sessionId": None}])
def test_without_an_id_it_is_the_sockets_session(
    open_host: Opener, absent: Mapping[str, object]
) -> None:
    place = open_host("One.", "Two.", "Three.")
    with place.connect("/ws") as client, place.connect("/ws") as other:
        first = session_id(client.chat("first", **absent))
        assert not only(client.chat("second", **absent), "session")
        assert place.prompts()[-1] == ["first", "One.", "second"]
        assert session_id(other.chat("third", **absent)) != first


@row("C2.1-chat-reconnect")
def test_a_known_id_goes_on_on_another_socket(open_host: Opener) -> None:
    place = open_host("One.", "Two.", "Three.")
    with place.connect("/ws") as client:
        known = session_id(client.chat("first"))
        client.send(type="new_session")  # which closes it
        client.until("session_ended", sessionId=known)
    with place.connect("/ws") as client:
        assert session_id(client.chat("second", sessionId=known)) == known
        assert place.prompts()[-1] == ["first", "One.", "second"]
        other = session_id(client.chat("third", sessionId="another"))
        assert other == "another"
        assert place.prompts()[-1] == ["third"]


@row("C2.1-chat-restart")
def test_a_known_id_goes_on_after_a_restart(tmp_path: Path) -> None:
    with open_thread(tmp_path, quick("One.")) as place, place.connect("/ws") as client:
        known = session_id(client.chat("first"))
    with open_thread(tmp_path, quick("Two.")) as place, place.connect("/ws") as client:
        assert session_id(client.chat("second", sessionId=known)) == known
        assert place.prompts()[-1] == ["first", "One.", "second"]


@row("C2.1-chat-unknown")
@pytest.mark.parametrize("name", ["my-own-id", "会话 7", "../../etc/passwd", "a" * 128])
def test_an_unknown_id_is_created(open_host: Opener, name: str) -> None:
    place = open_host("One.", "Two.")
    with place.connect("/ws") as client:
        assert session_id(client.chat("first", sessionId=name)) == name
    with place.connect("/ws") as client:
        client.chat("second", sessionId=name)
        assert place.prompts()[-1] == ["first", "One.", "second"]
    assert [path.parent for path in place.data.rglob("*.sqlite3")] == [place.data / "sessions"]


@row("C2.1-chat-empty")
@pytest.mark.parametrize("fields", [{"message": ""}, {"message": " \n"}, {}, {"files": []}])
def test_an_empty_message_is_an_error(place: Place, fields: Mapping[str, object]) -> None:
    with place.connect("/ws") as client:
        client.send(type="chat", **fields)
        expect_error(client, "Empty message")
        assert not only(client.listen(0.1), "start")


@row("C2.1-chat-busy")
def test_a_second_chat_during_a_turn_is_an_error(place: Place) -> None:
    with place.connect("/ws") as client:
        client.send(type="chat", message="Tell me about the sea.")
        client.send(type="chat", message="Tell me about the hills.")  # back to back
        expect_error(client, BUSY)
        client.until("done")
        after = client.listen()
        assert not {"start", "done"} & set(kinds(after))
        assert len(only(client.received, "start")) == 1
        client.chat("And now?")


# --- 2.1: files ---


def file(name: str, kind: str, data: bytes) -> dict[str, str]:
    return {"filename": name, "mimeType": kind, "data": to_base64(data)}


@row("C2.1-files-text")
def test_the_words_of_a_file_are_marked_in_the_prompt(open_host: Opener) -> None:
    place = open_host("Milk.", "Nothing.")
    with place.connect("/ws") as client:
        client.chat("What shall I buy?", files=[file("list.txt", "text/plain", b"two pints")])
        prompt = place.prompts()[-1][-1]
        lines = prompt.splitlines()
        at = lines.index("two pints")
        assert "list.txt" in lines[at - 1]
        assert "list.txt" in lines[at + 1]
        assert lines[-1] == "What shall I buy?"
        client.chat("", files=[file("alone.md", "text/markdown", "# 你好".encode())])
        assert "# 你好" in place.prompts()[-1][-1]


@row("C2.1-files-picture")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP"])
def test_a_picture_goes_to_a_model_that_sees(open_host: Opener, kind: str) -> None:
    place = open_host(fakes=quick("It is red.", sees=True))
    with place.connect("/ws") as client:
        client.chat("What is it?", files=[file("p", f"image/{kind.lower()}", picture(kind))])
        assert colours(place) == ["red"]


@row("C2.1-files-pdf")
def test_the_text_of_a_pdf_goes_into_the_prompt(open_host: Opener) -> None:
    place = open_host("Yes.")
    pdf = document(text_page(b"The rent is due"), text_page(b"on the first of May."))
    with place.connect("/ws") as client:
        client.chat("When?", files=[file("letter.pdf", "application/pdf", pdf)])
        prompt = place.prompts()[-1][-1]
        assert "The rent is due" in prompt
        assert "on the first of May." in prompt


REFUSED = {
    "too large": [file("big.txt", "text/plain", b"x" * (EyesConfig().max_file_bytes + 1))],
    "too many": [file("a.txt", "text/plain", b"x")] * 9,
    "unsupported": [file("a.zip", "application/zip", b"PK\x03\x04" + bytes(100))],
    "no text": [file("a.bin", "application/octet-stream", bytes(range(256)))],
    "broken picture": [file("a.png", "image/png", b"\x89PNG\r\n\x1a\n broken")],
    "broken pdf": [file("a.pdf", "application/pdf", b"%PDF-1.7 broken")],
    "bad base64": [{"filename": "a.txt", "mimeType": "text/plain", "data": "?!"}],
    "one bad of two": [
        file("good.txt", "text/plain", b"x"),
        file("a.zip", "application/zip", b"PK\x03\x04" + bytes(100)),
    ],
}


@row("C2.1-files-refused")
@pytest.mark.parametrize("why", REFUSED)
def test_a_file_that_cannot_be_used_is_an_error(place: Place, why: str) -> None:
    with place.connect("/ws") as client:
        client.send(type="chat", message="Look.", files=REFUSED[why])
        error = client.next("error")["error"]
        assert len(error.split()) > 4
        assert not {"start", "chunk", "done"} & set(kinds(client.listen()))
        client.chat("Never mind.")
    if isinstance(place, ThreadPlace):
        assert place.prompts() == [["Never mind."]]


@row("C2.1-files-names")
@pytest.mark.parametrize(
    "name", ["../../evil.txt", "/etc/passwd", "C:\\a\\b.txt", "a\x00\u202eb.txt"]
)
def test_names_are_sanitised(open_host: Opener, name: str, tmp_path: Path) -> None:
    place = open_host("Fine.")
    with place.connect("/ws") as client:
        client.chat("Look.", files=[file(name, "text/plain", b"words of it")])
        prompt = place.prompts()[-1][-1]
        assert "words of it" in prompt
        for part in ("..", "/", "\\", "\x00", "\u202e", "etc", "C:"):
            assert part not in prompt.partition("words of it")[0].partition("\n")[2]
    written = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")}
    assert written <= {"sessions", "tools"}


# --- 2.1: the session ---


@row("C2.1-new")
def test_a_new_session_ends_the_current_one(place: Place) -> None:
    with place.connect("/ws") as client:
        old = session_id(client.chat("Hello there."))
        client.send(type="new_session")
        told = client.until("session")
        assert kinds(told) == ["session_ended", "session"]
        assert told[0]["sessionId"] == old
        assert told[-1]["sessionId"] != old
        assert not only(client.chat("Hello again."), "session")


@row("C2.1-new-first")
def test_nothing_is_ended_where_nothing_was(open_host: Opener) -> None:
    place = open_host()
    with place.connect("/ws") as client:
        client.send(type="new_session")
        assert not only(client.until("session"), "session_ended")


@row("C2.1-agent")
def test_another_agent_is_selected(open_host: Opener) -> None:
    place = open_host("One.", "Two.", config=TWO)
    with place.connect("/ws") as client:
        client.send(type="select_agent", agentId="小天")
        assert client.next("agent_selected") == {
            "type": "agent_selected", "agentId": "小天", "agentName": "小天",
        }  # fmt: skip
        client.chat("hi")
        client.chat("and you", agentId="default")
        systems = [request.messages[0].content for request in place.fakes.llm.requests]
        assert systems == ["You are Robin.", "Be brief."]


@row("C2.1-agent-unknown")
def test_an_unknown_agent_is_an_error(place: Place) -> None:
    with place.connect("/ws") as client:
        client.send(type="select_agent", agentId="nobody")
        expect_error(client, 'Agent "nobody" not found')


@row("C2.1-ping")
def test_ping_is_answered(place: Place) -> None:
    with place.connect("/ws") as client:
        client.send(type="ping")
        assert client.next("pong") == {"type": "pong"}


@row("C2.1-stop")
def test_stop_cancels_the_turn(place: Place) -> None:
    with place.connect("/ws") as client:
        client.send(type="chat", message="Tell me about the sea.")
        client.until("start")
        client.send(type="stop")
        client.until("stopped")
        assert not {"chunk", "done", "audio", "error"} & set(kinds(client.listen()))
        client.chat("And now?")


# --- 2.1: recordings ---


def clip_of(kind: str, question: Samples) -> tuple[bytes, dict[str, Any]]:
    """The question as a recording of this kind, and what is said of it."""
    if kind == "pcm":
        return encode_s16le(question), {"format": "pcm"}
    if kind == "wav":
        return wav_bytes(Pcm(question, EAR_HZ)), {"format": "wav"}
    name = {
        "webm": "WebM as Chrome and Firefox",
        "ogg": "Ogg as Firefox and messengers",
        "mp3": "MP3 alone",
    }[kind]
    sound = resample(Pcm(question, EAR_HZ), KINDS[name].rate_hz).samples
    return recorded(KINDS[name], sound), {"format": kind}


def send_clip(client: Client, data: bytes, *, size: int = 4_096, **fields: Any) -> None:
    text = to_base64(data)
    for at in range(0, len(text), size):
        client.send(type="audio_chunk", data=text[at : at + size], **fields)
    client.send(type="audio_end")


@row("C2.1-clip")
@pytest.mark.parametrize("kind", ["webm", "ogg", "mp3", "wav", "pcm"])
def test_a_recording_is_understood(place: Place, kind: str) -> None:
    data, fields = clip_of(kind, place.question)
    with place.connect("/ws") as client:
        send_clip(client, data, **fields)
        told = client.next("transcribed")
        assert told["text"].strip()
        assert 0 <= told["confidence"] <= 1
        client.until("done")
    if isinstance(place, ThreadPlace):
        heard = place.fakes.stt.requests[-1].samples
        assert pitch_hz(heard, EAR_HZ) == pytest.approx(PITCH_HZ, abs=6)
        assert len(heard) / EAR_HZ == pytest.approx(1.0, abs=0.5)
    else:
        assert "france" in told["text"].lower()


@row("C2.1-clip-cut")
@pytest.mark.parametrize(
    ("size", "session"), [(37, {"session": "kept"}), (1_001, {}), (10_000_000, {"session": None})]
)
@pytest.mark.parametrize("kind", ["webm", "mp3", "wav", "pcm"])
def test_a_recording_may_be_cut_anywhere(
    open_host: Opener, kind: str, size: int, session: Mapping[str, object]
) -> None:
    place = open_host()
    data, fields = clip_of(kind, place.question)
    with place.connect("/ws") as client:
        # As text is cut, so that a piece may be no base64 by itself; and as bytes.
        send_clip(client, data, size=size, **fields, **session)
        told = client.until("done")
        if session.get("session"):
            assert session_id(told) == "kept"
        first = place.fakes.stt.requests[-1].samples
        for at in range(0, len(data), size):
            client.send(type="audio_chunk", data=to_base64(data[at : at + size]), **fields)
        client.send(type="audio_end")
        client.until("done")
        np.testing.assert_array_equal(place.fakes.stt.requests[-1].samples, first)
        assert pitch_hz(first, EAR_HZ) == pytest.approx(PITCH_HZ, abs=6)


@row("C2.1-clip-burst")
@pytest.mark.parametrize("kind", ["webm", "wav"])
def test_a_long_recording_may_come_at_once_in_small_pieces(open_host: Opener, kind: str) -> None:
    place = open_host()
    data, fields = clip_of(kind, np.concatenate([speech(4.0)] * 6))
    with place.connect("/ws") as client:
        send_clip(client, data, size=512, **fields)
        assert client.until("transcribed")
        assert not only(client.until("done"), "error")
    assert sum(len(r.samples) for r in place.fakes.stt.requests) > 24 * EAR_HZ


@row("C2.1-clip-early")
def test_a_recording_is_recognised_while_it_arrives(open_host: Opener) -> None:
    place = open_host()
    data, fields = clip_of("webm", np.concatenate([speech(2.0), speech(2.0), speech(2.0)]))
    text = to_base64(data)
    with place.connect("/ws") as client:
        client.send(type="audio_chunk", data=text, **fields)
        deadline_s = time.monotonic() + WAIT_S
        while not place.fakes.stt.requests:
            assert time.monotonic() < deadline_s, "nothing was recognised before audio_end"
            time.sleep(0.01)
        client.send(type="audio_end")
        client.until("done")


@row("C2.1-clip-answer")
def test_a_recording_is_answered_like_a_chat_with_speech(place: Place) -> None:
    data, fields = clip_of("webm", place.question)
    with place.connect("/ws") as client:
        client.until("agent_status_update")
        send_clip(client, data, **fields)
        messages = client.until("done")
        order = [k for k in kinds(messages) if k != "emotion"]
        assert order[:4] == ["transcribed", "session", "start", "chunk"]
        assert {"speak", "audio"} <= set(order)
        assert order[-1] == "done"


@row("C2.1-clip-empty")
@pytest.mark.parametrize("parts", [[], [""]])
def test_a_recording_of_nothing_is_an_error(place: Place, parts: list[str]) -> None:
    with place.connect("/ws") as client:
        for part in parts:
            client.send(type="audio_chunk", data=part)
        client.send(type="audio_end")
        expect_error(client, "No audio data to transcribe")
        assert not only(client.listen(0.1), "transcribed")


# --- 2.1: voice ---


@row("C2.1-speak")
@pytest.mark.parametrize("voice", [{}, {"voice": None}])
def test_a_text_is_spoken(place: Place, voice: Mapping[str, object]) -> None:
    with place.connect("/ws") as client:
        client.send(type="speak", text="Good morning to you.", **voice)
        sound = wav_samples(client.next("audio"))
        assert np.abs(sound).max() > 500
        assert not {"start", "chunk"} & set(kinds(client.received))
    if isinstance(place, ThreadPlace):
        assert not place.fakes.llm.requests


@row("C2.1-voice")
def test_spoken_replies_are_turned_on_and_off(place: Place) -> None:
    with place.connect("/ws") as client:
        client.send(type="voice_state")
        assert client.next("voice_state") == {"type": "voice_state", "enabled": False}
        assert not only(client.chat("Hello there."), "audio")
        client.send(type="voice_state", enabled=True)
        assert client.next("voice_state") == {"type": "voice_state", "enabled": True}
        assert only(client.chat("Hello again."), "audio")
        client.send(type="voice_state", enabled=False)
        client.until("voice_state", enabled=False)
        assert not only(client.chat("And again."), "audio")


@row("C2.1-speaking")
def test_speaking_is_passed_to_the_sessions_other_sockets(open_host: Opener) -> None:
    place = open_host()
    with (
        place.connect("/ws") as one,
        place.connect("/ws") as two,
        place.connect("/ws") as stranger,
    ):
        for client in (one, two):
            client.chat("hello", sessionId="shared")
        stranger.chat("hello")
        for speaking in (True, False):
            one.send(type="voice_state", speaking=speaking)
            assert two.next("voice_state") == {"type": "voice_state", "speaking": speaking}
        assert not only([*one.listen(), *stranger.listen()], "voice_state")


# --- 2.2 ---


@row("C2.2-session")
def test_the_session_bears_whom_one_talks_to(place: Place) -> None:
    with place.connect("/ws") as client:
        (told,) = only(client.chat("Hello there.", sessionId="of-mine"), "session")
        assert told == {
            "type": "session", "sessionId": "of-mine", "agentId": "default", "agentName": "default",
        }  # fmt: skip


@row("C2.2-tokens")
def test_tokens_are_the_models_own_summed_over_rounds(open_host: Opener) -> None:
    place = open_host(CALL, "It is noon.", tools=[tool()])
    with place.connect("/ws") as client:
        done = client.chat("what time is it")[-1]
        # The fake model counts words.
        asked = [
            sum(len(message.content.split()) for message in request.messages)
            for request in place.fakes.llm.requests
        ]
        assert len(asked) == 2
        assert done["tokensIn"] == sum(asked)
        assert done["tokensOut"] == len(CALL.split(" ")) + 3
        assert done["model"]


@row("C2.2-cost")
@pytest.mark.parametrize("priced", [True, False])
def test_the_cost_is_that_of_the_model(open_host: Opener, priced: bool) -> None:
    price = PriceConfig(in_per_million=2.0, out_per_million=8.0)
    prices = {"fake" if priced else "another": price}
    place = open_host("It is noon.", config=attrs.evolve(PLAIN, prices=prices))
    with place.connect("/ws") as client:
        done = client.chat("what time is it")[-1]
        assert done["model"] == "fake"  # by its own account
        cost = (2.0 * done["tokensIn"] + 8.0 * done["tokensOut"]) / 1e6 if priced else 0
        assert done["costUsd"] == pytest.approx(cost)
        assert done["tokensOut"] == 3


@row("C2.2-duration")
def test_the_duration_is_the_whole_turns(open_host: Opener) -> None:
    place = open_host(CALL, "It is noon.", tools=[tool(0.5)])
    with place.connect("/ws") as client:
        begun_s = time.monotonic()
        done = client.chat("what time is it")[-1]
        assert 500 <= done["durationMs"] <= (time.monotonic() - begun_s) * 1000 + 1


@row("C2.2-content")
def test_the_final_content_is_the_deltas_joined(place: Place) -> None:
    with place.connect("/ws") as client:
        for question in ("Hello there.", "Tell me about the sea."):
            messages = client.chat(question)
            assert messages[-1]["finalContent"] == text_of(messages)
            assert text_of(messages).strip()


@row("C2.2-audio")
def test_there_is_one_clip_for_each_phrase_in_order(place: Place) -> None:
    with place.connect("/ws") as client:
        client.send(type="voice_state", enabled=True)
        messages = client.chat("Tell me about the sea.")
        order = [m["type"] for m in messages if m["type"] in {"speak", "audio", "done"}]
        pairs = (len(order) - 1) // 2
        assert pairs >= 1
        assert order == ["speak", "audio"] * pairs + ["done"]
        lengths = [len(wav_samples(m)) for m in only(messages, "audio")]
        assert all(lengths)
        said = "".join(m["text"] for m in only(messages, "speak"))
        assert "".join(said.split()) == "".join(text_of(messages).split())
        assert all(m["voice"] for m in only(messages, "speak"))


def rows_of(data: Path, name: str, columns: str) -> list[tuple[object, ...]]:
    """What the file of a session holds, once the host has written it."""
    path = data / "sessions" / f"{name}.sqlite3"
    with sqlite3.connect(path) as connection:
        return connection.execute(f"SELECT {columns} FROM message ORDER BY number").fetchall()


def within(data: Path, name: str, columns: str, count: int) -> list[tuple[object, ...]]:
    deadline_s = time.monotonic() + WAIT_S
    while len(found := rows_of(data, name, columns)) < count:
        assert time.monotonic() < deadline_s, found
        time.sleep(0.02)
    return found


@row("C2.2-database")
def test_a_session_is_one_sqlite_file(open_host: Opener) -> None:
    place = open_host(CALL, "It is noon.", "Hi.", tools=[tool()])
    with place.connect("/ws") as client:
        client.chat("what time is it", sessionId="one")
        client.chat("hello", sessionId="two")
    found = within(place.data, "one", "role, content, tokens_in, tokens_out, at, tool_calls", 4)
    assert [(role, content) for role, content, *_ in found] == [
        ("user", "what time is it"), ("assistant", ""), ("tool", "It is noon."),
        ("assistant", "It is noon."),
    ]  # fmt: skip
    assert json.loads(str(found[1][5]))[0]["name"] == "work"
    assert found[3][2]
    assert found[3][3]
    assert all(at for _, _, _, _, at, _ in found)
    assert len(within(place.data, "two", "role", 2)) == 2
    assert len(stored(place.data)) == 2


@row("C2.2-voice-stored")
def test_spoken_turns_are_stored_as_typed_ones(open_host: Opener) -> None:
    place = open_host("First.", "Second.")
    with place.connect("/ws") as client:
        client.chat("typed", sessionId="both")
        data, fields = clip_of("wav", place.question)
        send_clip(client, data, **fields)
        heard = client.next("transcribed")["text"]
        client.until("done")
    found = within(place.data, "both", "role, content, via", 4)
    assert found == [
        ("user", "typed", "text"), ("assistant", "First.", "text"),
        ("user", heard, "voice"), ("assistant", "Second.", "voice"),
    ]  # fmt: skip


@row("C2.2-half")
def test_an_interrupted_reply_is_stored_as_far_as_it_came(open_host: Opener) -> None:
    place = open_host(fakes=quick(story(), tokens_per_s=20))
    with place.connect("/ws") as client:
        client.send(type="chat", message="tell me a story", sessionId="cut")
        client.until("chunk")
        client.until("chunk")
        client.send(type="stop")
        client.until("stopped")
        shown = text_of(client.received)
    found = within(place.data, "cut", "role, content, interrupted", 2)
    assert found == [("user", "tell me a story", 0), ("assistant", shown, 1)]


@row("C2.2-events")
def test_what_happened_is_stored_as_events(open_host: Opener) -> None:
    place = open_host(fakes=quick(story(), EngineError("It is broken."), tokens_per_s=20))
    with place.connect("/ws") as client:
        client.send(type="chat", message="tell me a story", sessionId="eventful")
        client.until("chunk")
        client.send(type="stop")
        client.until("stopped")
        client.send(type="chat", message="and now")
        client.until("error")
        client.listen()
    with sqlite3.connect(place.data / "sessions" / "eventful.sqlite3") as connection:
        assert connection.execute("SELECT kind, detail FROM event").fetchall()
