"""N.E.K.O., row by row."""

from __future__ import annotations

import base64
import io
import json
import sqlite3
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from unittest.mock import ANY
from urllib.parse import quote

import attrs
import numpy as np
import pytest
import trio
from PIL import Image as Pillow

from tests.conformance.place import (
    MS_PER_CHAR,
    PITCH_HZ,
    Client,
    Message,
    Opener,
    Place,
    ThreadPlace,
    kinds,
    only,
    open_process,
    pitch_hz,
    quick,
    sound_of,
    speech,
    story,
    text_of,
    to_base64,
)
from tests.conformance.shapes import EMOTIONS
from tests.harness import PLAIN, Fakes, telling_tts
from voicecore.audio import EAR_HZ, MOUTH_HZ, Samples, encode_s16le
from voicecore.config import CharacterConfig, Config, EyesConfig, ServerConfig
from voicecore.engines.fake import FakeEngine, fake_stt
from voicecore.engines.interface import Transcript, Urgency, Utterance
from voicecore.errors import EngineError, StoreError
from voicecore.store import MemoryStore
from voicecore.tools.tool import Tool, ToolContext, ToolError

row = pytest.mark.row
dialects = pytest.mark.parametrize("dialect", ["documented", "native"])
ROBIN = CharacterConfig(prompt="You are Robin.")
TWO = Config(characters={**PLAIN.characters, "小天": ROBIN})
CALL = '<tool_call>{"name": "work", "arguments": {}}</tool_call>'


def status_code(message: Message) -> str:
    """The code of a status in either dialect."""
    text: str = message["message"]
    if text.startswith("{"):
        code: str = json.loads(text)["code"]
        return code
    return text.rpartition("[")[2].rstrip("]")


def expect_status(client: Client, code: str) -> str:
    """Wait for an error in words a person can act on; return them."""
    message = client.next("status")
    assert status_code(message) == code
    text: str = message["message"]
    assert len(text.split()) > 3
    return text


@row("N1.1-name")
def test_the_name_is_percent_encoded(open_host: Opener) -> None:
    place = open_host("Hi.", config=TWO)
    with place.connect(f"/ws/{quote('小天')}") as client:
        client.start()
        client.ask("hello")
        assert place.fakes.llm.requests[0].messages[0].content == "You are Robin."


# --- 1.1: the dialects ---


@row("N1.1-text-documented")
def test_reply_text_as_documented(place: Place) -> None:
    with place.connect(dialect="documented") as client:
        client.start()
        answer = client.ask("Hello there.")
        assert only(answer, "text")
        assert not only(answer, "gemini_response")


@row("N1.1-text-native")
def test_reply_text_as_shipped_clients_know_it(place: Place) -> None:
    with place.connect(dialect="native") as client:
        client.start()
        turns = []
        for question in ("Hello there.", "And again."):
            client.send(action="stream_data", input_type="text", data=question, request_id=question)
            said = only(client.until("system"), "gemini_response")
            assert [m["isNewMessage"] for m in said] == [True] + [False] * (len(said) - 1)
            assert {m["request_id"] for m in said} == {question}
            turns.append({m["turn_id"] for m in said})
        assert {client.next("audio_chunk")["speech_id"]} == turns[1]
        assert len(turns[0]) == len(turns[1]) == 1
        assert turns[0] != turns[1]


@row("N1.1-audio-documented")
def test_reply_sound_as_documented(place: Place) -> None:
    with place.connect(dialect="documented") as client:
        client.start()
        client.type_text("Hello there.")
        message = client.next("audio")
        pcm = base64.b64decode(message["audio_data"], validate=True)
        assert pcm
        assert len(pcm) % 2 == 0


@row("N1.1-audio-native")
def test_reply_sound_is_a_header_and_one_binary_frame(place: Place) -> None:
    with place.connect(dialect="native") as client:
        client.start()
        client.type_text("Hello there.")
        messages = [*client.until("audio_chunk"), *client.until("audio_chunk")]
        pcm = [m["pcm"] for m in only(messages, "audio_chunk")]
        assert all(pcm)
        assert not sum(map(len, pcm)) % 2


@row("N1.1-status-documented")
def test_status_as_documented_is_plain_text(place: Place) -> None:
    with place.connect(dialect="documented") as client:
        messages = client.start()
        client.send(action="dance")
        messages += [client.next("status")]
        first, second = only(messages, "status")
        assert first["message"] == "Session started successfully"
        assert not second["message"].startswith("{")


@row("N1.1-status-native")
def test_status_as_shipped_clients_know_it_is_json(place: Place) -> None:
    with place.connect(dialect="native") as client:
        messages = client.start()
        client.send(action="dance")
        messages += [client.next("status")]
        first, second = (json.loads(m["message"]) for m in only(messages, "status"))
        assert first.keys() == second.keys() == {"code", "details"}
        assert first["details"]["message"] == "Session started successfully"
        assert second["code"] == "UNKNOWN_ACTION"


@row("N1.1-emotion")
@dialects
def test_emotion_in_both_dialects(place: Place, dialect: str) -> None:
    with place.connect(dialect=dialect) as client:
        client.start()
        client.type_text("Hello there.")
        assert client.next("emotion").keys() == {"type", "emotion"}


@row("N1.1-sound")
@dialects
def test_sound_is_48_khz_mono_of_16_bit(open_host: Opener, dialect: str) -> None:
    text = "This is a sentence that lasts for a while."
    place = open_host(text)
    with place.connect(dialect=dialect) as client:
        client.start()
        sound = sound_of([*client.ask("hello"), *client.listen(1.0)])
        assert len(sound) / MOUTH_HZ * 1000 == pytest.approx(len(text) * MS_PER_CHAR, abs=40)
        assert pitch_hz(sound, MOUTH_HZ) == pytest.approx(PITCH_HZ, abs=5)
        assert 7_000 < np.abs(sound).max() < 9_000  # as loud as it was made: no swapped bytes


@row("N1.1-auto")
def test_auto_begins_as_documented(place: Place) -> None:
    with place.connect() as client:
        started = client.start()
        assert started[-1]["message"] == "Session started successfully"
        assert only(client.ask("Hello there."), "text")
        client.until("audio")


def binary(samples: Samples, rate_hz: int) -> bytes:
    return b"NEKO" + struct.pack("<I", rate_hz) + encode_s16le(samples)


SIGNS: Mapping[str, Callable[[Client], None]] = {
    "array": lambda client: client.send(action="stream_data", input_type="audio", data=[0] * 480),
    "binary": lambda client: client.send_frame(binary(speech(0.02), EAR_HZ)),
    "tutorial": lambda client: client.send(action="home_tutorial_state", state="done"),
    "greeting": lambda client: client.send(action="greeting_check"),
    "avatar": lambda client: client.send(action="avatar_interaction", interaction_id="1"),
}


@row("N1.1-auto-native")
@pytest.mark.parametrize("sign", SIGNS)
def test_auto_goes_over_for_good_at_a_sign_of_a_shipped_client(
    open_host: Opener, sign: str
) -> None:
    place = open_host()
    with place.connect() as client:
        client.start()
        assert only(client.ask("one"), "text")
        SIGNS[sign](client)
        for text in ("two", "three"):
            answer = client.ask(text)
            client.until("audio_chunk")
            assert only(answer, "gemini_response")
            assert not only(answer, "text")


@row("N1.1-dialect-url")
@pytest.mark.parametrize(
    ("dialect", "kind"), [("native", "gemini_response"), ("documented", "text")]
)
def test_the_url_chooses_the_dialect(open_host: Opener, dialect: str, kind: str) -> None:
    other = {"native": "documented", "documented": "native"}[dialect]
    place = open_host(config=attrs.evolve(PLAIN, server=ServerConfig(dialect=other)))  # type: ignore[arg-type]
    with place.connect(dialect=dialect) as client:
        client.start()
        client.send(action="greeting_check")  # no sign counts where the dialect was chosen
        assert only(client.ask("hello"), kind)


@row("N1.1-dialect-configured")
@pytest.mark.parametrize(
    ("dialect", "kind"), [("native", "gemini_response"), ("documented", "text")]
)
def test_the_configuration_chooses_the_dialect(open_host: Opener, dialect: str, kind: str) -> None:
    place = open_host(config=attrs.evolve(PLAIN, server=ServerConfig(dialect=dialect)))  # type: ignore[arg-type]
    with place.connect() as client:
        client.start()
        client.send(action="greeting_check")
        assert only(client.ask("hello"), kind)


@row("N1.1-session")
@dialects
def test_a_start_is_told_with_its_mode(place: Place, dialect: str) -> None:
    with place.connect(dialect=dialect) as client:
        told = [m for m in client.start("text") if m["type"].startswith("session_")]
        assert told == [
            {"type": "session_preparing", "input_mode": "text"},
            {"type": "session_started", "input_mode": "text", "session_id": ANY},
        ]


class BrokenStore(MemoryStore):
    async def open(self, *args: object, **fields: object) -> None:  # type: ignore[override]
        raise StoreError("The disk is full. Free some space on it.")


@row("N1.1-session-failed")
@dialects
def test_a_failed_start_is_told_with_its_mode(open_host: Opener, dialect: str) -> None:
    store = BrokenStore(new_id=lambda: "1", now=lambda: 1.0)
    place = open_host(store=store)
    with place.connect(dialect=dialect) as client:
        client.send(action="start_session", input_type="camera")
        told = client.until("session_failed")
        assert kinds(told) == ["session_preparing", "status", "session_failed"]
        assert told[-1]["input_mode"] == "camera"
        assert "disk is full" in only(told, "status")[0]["message"]


@row("N1.1-user-transcript")
@dialects
def test_what_was_heard_is_told(place: Place, dialect: str) -> None:
    with place.connect(dialect=dialect) as client:
        client.start()
        client.microphone(place.question)
        assert client.next("user_transcript")["text"].strip()


@row("N1.1-user-activity")
@dialects
def test_speech_names_the_interrupted_reply_or_null(open_host: Opener, dialect: str) -> None:
    place = open_host(story())
    with place.connect(dialect=dialect) as client:
        client.start()
        client.microphone(speech())
        assert client.next("user_activity")["interrupted_speech_id"] is None
        client.until("audio_chunk" if dialect == "native" else "audio")
        client.microphone(speech())
        interrupted = client.next("user_activity")["interrupted_speech_id"]
        assert interrupted
        if dialect == "native":
            first = only(client.received, "gemini_response")[0]
            assert interrupted == first["turn_id"]


@row("N1.1-turn-end")
@dialects
def test_the_end_of_the_text_is_told(place: Place, dialect: str) -> None:
    with place.connect(dialect=dialect) as client:
        client.start()
        answer = client.ask("Hello there.")
        assert answer[-1] == {"type": "system", "data": "turn end"}
        assert text_of(answer).strip()
        assert text_of(client.listen()) == ""


# --- 1.2: from the client ---


@row("N1.2-start")
@pytest.mark.parametrize("mode", ["audio", "text", "screen", "camera"])
def test_a_session_starts_in_every_mode(place: Place, mode: str) -> None:
    with place.connect() as client:
        told = client.start(mode)
        assert kinds(told) == ["session_preparing", "session_started", "status"]
        assert told[-1]["message"] == "Session started successfully"


@row("N1.2-start-at-once")
def test_a_start_waits_for_nothing_that_is_busy(open_host: Opener) -> None:
    place = open_host(fakes=quick(story(), tokens_per_s=10))
    with place.connect() as busy, place.connect() as client:
        busy.start()
        busy.type_text("tell me a story")
        busy.until("text")
        client.start()
        assert not only(busy.listen(0.05), "system")
        busy.send(action="pause_session")
        busy.until("status")


def last_prompt(place: ThreadPlace) -> list[str]:
    return place.prompts()[-1]


@row("N1.2-start-new")
def test_a_new_session_is_a_fresh_conversation(open_host: Opener) -> None:
    place = open_host("One.", "Two.")
    with place.connect() as client:
        client.start(new=True)
        client.ask("first")
        client.start(new=True)
        client.ask("second")
        assert last_prompt(place) == ["second"]


@row("N1.2-start-again")
def test_a_start_continues_the_last_conversation(open_host: Opener) -> None:
    place = open_host("One.", "Two.", "Three.")
    with place.connect(as_client="anna") as client:
        client.start()
        client.ask("first")
        client.listen()
        client.start(new=False)
        client.ask("second")
        client.listen()
    with place.connect(as_client="anna") as client:
        client.start()
        client.ask("third")
        assert last_prompt(place) == ["first", "One.", "second", "Two.", "third"]
    with place.connect(as_client="berta") as client:
        client.start()
        client.ask("fourth")
        assert last_prompt(place) == ["fourth"]


@row("N1.2-start-id")
@dialects
def test_a_start_continues_the_conversation_it_names(open_host: Opener, dialect: str) -> None:
    place = open_host("One.", "Two.", "Three.")
    with place.connect(as_client="anna", dialect=dialect) as client:
        told = client.start()
        first = only(told, "session_started")[0]["session_id"]
        client.ask("first")
        client.listen()
        client.start(new=True)
        client.ask("second")
        client.listen()
        client.send(action="start_session", session_id=first)
        assert client.next("session_started")["session_id"] == first
        client.ask("third")
        assert last_prompt(place) == ["first", "One.", "third"]
        client.listen()
    with place.connect(as_client="berta", dialect=dialect) as client:
        client.send(action="start_session", session_id=first)
        told = client.until("session_failed")
        assert [status_code(m) for m in only(told, "status")] == ["UNKNOWN_CONVERSATION"]


@row("N1.2-start-starting")
def test_a_second_start_while_one_is_starting_changes_nothing(open_host: Opener) -> None:
    place = open_host(warm=False)
    with place.connect() as client:
        client.send(action="start_session", input_type="audio")
        client.until("session_preparing")
        client.send(action="start_session", input_type="text", new_session=True)
        expect_status(client, "SESSION_STARTING")
        place.call(place.host.room.open, place.fakes.engines())
        told = [*client.until("session_started"), *client.listen()]
        assert [m["input_mode"] for m in only(told, "session_started")] == ["audio"]
        assert not only(told, "session_preparing")


@row("N1.2-start-active")
def test_a_start_while_active_cancels_the_old_turn_first(open_host: Opener) -> None:
    place = open_host(story(), "Yes.")
    with place.connect(dialect="native") as client:
        client.start()
        client.type_text("tell me a story")
        old = client.next("audio_chunk")["speech_id"]
        client.send(action="start_session", input_type="audio")
        before = client.until("session_preparing")
        assert only(before, "user_activity")[-1]["interrupted_speech_id"] == old
        after = [*client.until("session_started"), *client.listen()]
        assert not only(after, "audio_chunk")
        assert not only(after, "gemini_response")
        assert text_of(client.ask("are you there")) == "Yes."


@row("N1.2-start-bad")
@pytest.mark.parametrize("mode", ["telepathy", "", "AUDIO", 7, ["audio"]])
def test_a_bad_input_type_is_told(place: Place, mode: object) -> None:
    with place.connect() as client:
        client.send(action="start_session", input_type=mode)
        expect_status(client, "INVALID_INPUT_TYPE")
        assert not only(client.received, "session_preparing")
        client.start()


# --- 1.2: sound ---


def expect_heard(place: ThreadPlace, client: Client, seconds: float = 1.0) -> None:
    """Check that the ears got the tone at its pitch, and so at its rate."""
    client.until("user_transcript")
    samples = place.fakes.stt.requests[-1].samples
    assert pitch_hz(samples, EAR_HZ) == pytest.approx(PITCH_HZ, abs=6)
    assert seconds - 0.1 < len(samples) / EAR_HZ < seconds + 1.0


@pytest.fixture
def started(open_host: Opener) -> Iterator[tuple[ThreadPlace, Client]]:
    place = open_host()
    with place.connect() as client:
        client.start()
        yield place, client


Started = tuple[ThreadPlace, Client]


@row("N1.2-audio-base64")
def test_sound_as_base64_is_16_khz(started: Started) -> None:
    place, client = started
    client.microphone(speech())
    expect_heard(place, client)


@row("N1.2-audio-rate")
@pytest.mark.parametrize("name", ["sample_rate", "sample_rate_hz"])
@pytest.mark.parametrize("rate_hz", [8_000, 24_000, 44_100, 48_000])
def test_sound_has_the_rate_that_is_given(started: Started, name: str, rate_hz: int) -> None:
    place, client = started
    client.microphone(speech(rate_hz=rate_hz), **{name: rate_hz})
    expect_heard(place, client)


def numbers(client: Client, samples: Samples, frame: int, **fields: object) -> None:
    for at in range(0, len(samples), frame):
        data = samples[at : at + frame].tolist()
        client.send(action="stream_data", input_type="audio", data=data, **fields)


@row("N1.2-audio-480")
def test_an_array_of_480_is_48_khz(started: Started) -> None:
    place, client = started
    numbers(client, speech(rate_hz=48_000), 480)
    expect_heard(place, client)


@row("N1.2-audio-array")
@pytest.mark.parametrize("frame", [160, 512, 479, 481, 16_000])
def test_an_array_of_another_length_is_16_khz(started: Started, frame: int) -> None:
    place, client = started
    sound = speech()
    numbers(client, sound[: len(sound) // frame * frame], frame)
    expect_heard(place, client)


@row("N1.2-audio-array-rate")
@pytest.mark.parametrize(("rate_hz", "frame"), [(16_000, 480), (48_000, 1_024)])
def test_a_given_rate_wins(started: Started, rate_hz: int, frame: int) -> None:
    place, client = started
    numbers(client, speech(rate_hz=rate_hz), frame, sample_rate=rate_hz)
    expect_heard(place, client)


@row("N1.2-audio-binary")
@pytest.mark.parametrize(("rate_hz", "ms"), [(48_000, 10), (16_000, 32), (24_000, 120)])
def test_binary_sound_bears_its_rate(started: Started, rate_hz: int, ms: int) -> None:
    place, client = started
    sound, frame = speech(rate_hz=rate_hz), rate_hz * ms // 1000
    for at in range(0, len(sound), frame):
        client.send_frame(binary(sound[at : at + frame], rate_hz))
    expect_heard(place, client)
    client.send_frame(binary(sound[: rate_hz * 121 // 1000], rate_hz))
    expect_status(client, "BAD_FRAME")


@row("N1.2-audio-lengths")
def test_messages_may_be_of_any_length(started: Started) -> None:
    place, client = started
    sound, at = speech(2.0), 0
    for length in (1, 2, 3, 7, 0, 159, 481, 4_001, 16_000, 50_000):
        data = to_base64(encode_s16le(sound[at : at + length]))
        client.send(action="stream_data", input_type="audio", data=data)
        at += length
    expect_heard(place, client, 2.0)


@row("N1.2-audio-early")
@pytest.mark.parametrize("when", ["before", "during"])
def test_early_sound_is_kept_and_used(open_host: Opener, when: str) -> None:
    place = open_host(warm=False)
    with place.connect() as client:
        if when == "before":
            client.microphone(speech())
        client.send(action="start_session", input_type="audio")
        client.until("session_preparing")
        if when == "during":
            client.microphone(speech())
            client.send(action="ping")
            client.until("pong")
        place.call(place.host.room.open, place.fakes.engines())
        expect_heard(place, client)


@row("N1.2-audio-bounded")
def test_early_sound_is_bounded(open_host: Opener) -> None:
    place = open_host()
    with place.connect() as client:
        client.microphone(speech(40.0), frame=16_000)
        expect_status(client, "AUDIO_OVERRUN")
        client.start()
        client.until("user_transcript")
        whole = [r for r in place.fakes.stt.requests if r.urgency is not Urgency.PARTIAL]
        kept = sum(len(r.samples) for r in whole[-2:])
        assert kept <= 31 * EAR_HZ


# --- 1.2: text and pictures ---


@row("N1.2-text")
def test_a_typed_turn_is_answered(place: Place) -> None:
    with place.connect() as client:
        client.start("text")
        assert text_of(client.ask("Hello there.")).strip()
        client.until("audio")


@row("N1.2-text-interrupts")
def test_a_typed_turn_interrupts_a_reply(open_host: Opener) -> None:
    place = open_host(story(), "Fine.")
    with place.connect(dialect="native") as client:
        client.start()
        client.type_text("tell me a story")
        old = client.next("audio_chunk")["speech_id"]
        client.type_text("stop that")
        assert client.next("user_activity")["interrupted_speech_id"] == old
        after = [*client.until("system"), *client.listen()]
        assert text_of(after) == "Fine."
        assert old not in {m["speech_id"] for m in only(after, "audio_chunk")}


def picture(kind: str = "PNG", colour: str = "red") -> bytes:
    file = io.BytesIO()
    Pillow.new("RGB", (64, 48), colour).save(file, kind)
    return file.getvalue()


def noise() -> bytes:
    """A reddish picture that nothing can make small: 9 MB."""
    dots = np.random.default_rng(1).integers(0, 256, (1_840, 1_840, 3), np.uint8)
    dots[:, :, 1] //= 2
    file = io.BytesIO()
    Pillow.fromarray(dots).save(file, "PNG", compress_level=1)
    return file.getvalue()


def colours(place: ThreadPlace, request: int = -1) -> list[str]:
    """What the model saw with its newest message."""
    found = []
    for image in place.fakes.llm.requests[request].messages[-1].images:
        pixel = Pillow.open(io.BytesIO(image.data)).convert("RGB").resize((1, 1)).getpixel((0, 0))
        assert isinstance(pixel, tuple)
        found.append("red" if pixel[0] > pixel[1] else "green")
    return found


def show(client: Client, data: str, kind: str = "screen") -> None:
    client.send(action="stream_data", input_type=kind, data=data)


@row("N1.2-picture")
@pytest.mark.parametrize("source", ["screen", "camera"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP"])
@pytest.mark.parametrize("url", [False, True])
def test_pictures_reach_a_model_that_sees(
    open_host: Opener, source: str, kind: str, url: bool
) -> None:
    place = open_host(fakes=quick("It is red.", sees=True))
    with place.connect() as client:
        client.start(source)
        prefix = f"data:image/{kind.lower()};base64," if url else ""
        show(client, prefix + to_base64(picture(kind)), source)
        client.ask("what is this")
        assert colours(place) == ["red"]


@row("N1.2-picture-size")
def test_a_picture_over_10_mb_is_refused(open_host: Opener) -> None:
    place = open_host(fakes=quick("Nothing.", sees=True))
    with place.connect() as client:
        client.start()
        limit = EyesConfig().max_picture_bytes
        assert limit == 10 * 1024 * 1024
        show(client, to_base64(picture() + bytes(limit)))
        expect_status(client, "PICTURE_TOO_LARGE")
        large = noise()
        assert 0.8 * limit < len(large) <= limit
        show(client, to_base64(large))
        client.ask("what is this")
        assert colours(place) == ["red"]


@row("N1.2-picture-newest")
def test_the_newest_picture_goes_with_the_next_turn(open_host: Opener) -> None:
    place = open_host(fakes=quick("It is green.", "Yes.", sees=True))
    with place.connect() as client:
        client.start()
        show(client, to_base64(picture(colour="red")))
        show(client, to_base64(picture(colour="green")), "camera")
        client.ask("what is this")
        assert colours(place) == ["green"]
        client.listen()  # to the end: what was never heard is asked again, with its picture
        client.ask("sure")
        assert colours(place) == []


@row("N1.2-picture-blind")
def test_a_model_that_cannot_see_is_told_once(place: Place) -> None:
    with place.connect() as client:
        client.start()
        for _ in range(3):
            show(client, to_base64(picture()))
        messages = client.ask("What is this?")
        assert [status_code(m) for m in only(messages, "status")] == ["CANNOT_SEE"]


# --- 1.2: the rest ---


@row("N1.2-pause")
def test_a_pause_stops_everything(place: Place) -> None:
    with place.connect() as client:
        client.start()
        client.type_text("Tell me about the sea.")
        client.until("text")
        client.send(action="pause_session")
        client.until("status")
        after = kinds(client.listen())
        assert not {"text", "audio", "system", "emotion"} & set(after)
        client.send(action="ping")
        client.until("pong")


@row("N1.2-pause-ignores")
def test_input_is_ignored_until_the_next_start(open_host: Opener) -> None:
    place = open_host("One.", "Two.")
    with place.connect() as client:
        client.start()
        client.ask("first")
        client.listen()
        client.send(action="pause_session")
        client.until("status")
        client.type_text("ignored")
        client.microphone(speech())
        assert client.listen() == []
        client.start()
        client.ask("second")
        assert last_prompt(place) == ["first", "One.", "second"]
        assert not place.fakes.stt.requests


def stored(data: Path) -> list[sqlite3.Connection]:
    return [sqlite3.connect(path) for path in sorted(data.glob("sessions/*.sqlite3"))]


@row("N1.2-end")
def test_an_end_closes_and_saves(place: Place) -> None:
    with place.connect() as client:
        client.start()
        client.ask("Hello there.")
        client.send(action="end_session")
        client.until("status")
        after = kinds(client.listen())
        assert not {"text", "audio"} & set(after)
        client.start()
        assert text_of(client.ask("Hello again.")).strip()
    if isinstance(place, ThreadPlace):
        assert last_prompt(place) == ["Hello again."]
        first = [each for each in stored(place.data) if _contents(each)[:1] == ["Hello there."]]
        assert len(first) == 1
        assert first[0].execute("SELECT ended_at FROM session").fetchone()[0] is not None


def _contents(connection: sqlite3.Connection) -> list[str]:
    return [found for (found,) in connection.execute("SELECT content FROM message ORDER BY number")]


@row("N1.2-ping")
def test_ping_is_answered(place: Place) -> None:
    with place.connect() as client:
        client.send(action="ping")
        assert client.next("pong") == {"type": "pong"}


SHIPPED = (
    "home_tutorial_state", "greeting_check", "language_update", "screenshot_response",
    "voice_play_start", "voice_play_end", "telemetry", "capture_bridge_response",
    "capture_bridge_status", "cat_greeting_check", "goodbye_state", "voice_input_control",
)  # fmt: skip


@row("N1.2-shipped")
def test_what_shipped_clients_also_send_is_no_error(place: Place) -> None:
    with place.connect() as client:
        client.start()
        for action in SHIPPED:
            client.send(action=action, language="en", state={"step": 1}, data=[1], speech_id=None)
        assert not only(client.listen(), "status")
        client.send(action="ping")
        client.until("pong")


@row("N1.2-avatar")
def test_a_touch_of_the_avatar_is_acknowledged(open_host: Opener) -> None:
    place = open_host(story())
    with place.connect() as client:
        client.start()
        client.send(action="avatar_interaction", interaction_id="pat-1", kind="pat", zone="head")
        assert client.next("avatar_interaction_ack") == {
            "type": "avatar_interaction_ack", "interaction_id": "pat-1", "accepted": True,
            "reason": "accepted", "turn_id": None,
        }  # fmt: skip
        client.type_text("tell me a story")
        turn = client.next("audio_chunk")["speech_id"]
        client.send(action="avatar_interaction", interaction_id="pat-2")
        assert client.next("avatar_interaction_ack")["turn_id"] == turn


@row("N1.2-unknown")
def test_an_unknown_action_is_told(place: Place) -> None:
    with place.connect() as client:
        client.send(action="dance")
        assert "dance" in expect_status(client, "UNKNOWN_ACTION")


# --- 1.3: from the host ---


@row("N1.3-text-first")
def test_text_never_comes_after_its_sound(place: Place) -> None:
    with place.connect() as client:
        client.start()
        client.type_text("Tell me about the sea, please.")
        messages = [*client.until("system"), *client.listen(1.0)]
    order = [m["type"] for m in messages if m["type"] in {"text", "audio"}]
    assert order[0] == "text"
    assert "audio" in order
    if isinstance(place, ThreadPlace):  # whose voice takes just so long for each character
        chars = heard_ms = 0.0
        for message in messages:
            if message["type"] == "text":
                chars += len(message["text"])
            heard_ms += len(sound_of([message])) * 1000 / MOUTH_HZ
            assert heard_ms <= chars * MS_PER_CHAR + 1


@row("N1.3-status")
@pytest.mark.parametrize("engine", ["stt", "llm", "tts"])
def test_a_failed_engine_is_told(open_host: Opener, engine: str) -> None:
    broken = EngineError("The engine has lost its thread. Say it again.")
    fakes = quick(broken if engine == "llm" else "Fine.")
    if engine == "stt":
        fakes.stt = fake_stt([broken] * 2)  # the guess fails, too, and is not told
    if engine == "tts":
        fakes.tts = Fakes().tts.__class__("tts", lambda _: iter([(0.0, broken)]))
    place = open_host(fakes=fakes)
    with place.connect() as client:
        client.start()
        client.microphone(speech())
        text = client.next("status")["message"]
        assert "lost its thread" in text
        client.ask("still there?")


@row("N1.3-emotion")
def test_the_emotion_comes_before_the_first_sound(place: Place) -> None:
    with place.connect() as client:
        client.start()
        client.type_text("I have passed my exam!")
        messages = client.until("audio")
        (mood,) = only(messages, "emotion")
        assert mood["emotion"] in EMOTIONS


@row("N1.3-emotion-tag")
@pytest.mark.parametrize("emotion", sorted(EMOTIONS))
def test_the_models_tag_is_neither_shown_nor_spoken(open_host: Opener, emotion: str) -> None:
    place = open_host(f"[{emotion}] The weather is here.")
    with place.connect() as client:
        client.start()
        messages = client.ask("how do you feel") + client.until("audio")
        assert [m["emotion"] for m in only(messages, "emotion")] == [emotion]
        assert text_of(messages) == "The weather is here."
        assert emotion not in " ".join(r.text for r in place.fakes.tts.requests)


@row("N1.3-switched")
def test_switching_tells_all_clients_of_the_old_character(open_host: Opener) -> None:
    place = open_host(config=TWO)
    new = f"/ws/{quote('小天')}"
    with place.connect() as one, place.connect() as two, place.connect(new) as other:
        for client in (one, two, other):
            client.start()
        assert place.post("/api/characters/current", {"name": "小天"}) == {"name": "小天"}
        switched = {"type": "catgirl_switched", "new_catgirl": "小天", "old_catgirl": "default"}
        assert one.next("catgirl_switched") == switched
        assert two.next("catgirl_switched") == switched
        assert not only(other.listen(), "catgirl_switched")


CONFIG = """
[server]
character = "{active}"
[characters.default]
greeting = "{greeting}"
[characters."小天"]
"""
ENGINES = [f"--set={kind}.engine=fake" for kind in ("vad", "stt", "llm", "tts")]


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Path]]:
    """A host in a process of its own, and its configuration file."""
    folder = tmp_path_factory.mktemp("edited")
    file = folder / "voicecore.toml"
    file.write_text(CONFIG.format(active="default", greeting=""), encoding="utf-8")
    options = ["--config", str(file), f"--set=paths.data={folder}", *ENGINES]
    with open_process(*options) as address:
        yield Place(address), file


@row("N1.3-switched-file")
def test_editing_the_file_switches(edited: tuple[Place, Path]) -> None:
    place, file = edited
    file.write_text(CONFIG.format(active="default", greeting=""), encoding="utf-8")
    with place.connect() as client:
        client.start()
        file.write_text(CONFIG.format(active="小天", greeting=""), encoding="utf-8")
        switched = client.next("catgirl_switched")
        assert (switched["old_catgirl"], switched["new_catgirl"]) == ("default", "小天")
        client.send(action="ping")  # nobody is dropped
        client.until("pong")
    with place.connect(f"/ws/{quote('小天')}") as client:
        client.start()
        assert text_of(client.ask("hello"))


@row("N1.3-switched-unknown")
def test_an_unknown_name_is_sent_to_the_default(place: Place) -> None:
    with place.connect(f"/ws/{quote('nobody 在')}") as client:
        assert client.closed() == 1000
        assert client.received == [
            {"type": "catgirl_switched", "new_catgirl": "default", "old_catgirl": "nobody 在"}
        ]


@row("N1.3-reload")
def test_a_page_is_told_to_reload(edited: tuple[Place, Path]) -> None:
    place, file = edited
    with place.connect(f"/ws/{quote('小天')}") as client:
        client.start()
        file.write_text(CONFIG.format(active="小天", greeting="Good day."), encoding="utf-8")
        assert client.next("reload_page")["message"]
        assert text_of(client.ask("hello"))


# --- 1.3: the agent ---


def tool(seconds: float = 0.05, result: str | ToolError = "It is noon.", **fields: object) -> Tool:
    async def work(arguments: Mapping[str, object], context: ToolContext) -> str:
        await trio.sleep(seconds / 2)
        context.progress(40, "half way")
        await trio.sleep(seconds / 2)
        if isinstance(result, ToolError):
            raise result
        return result

    return Tool("work", "Works.", {"type": "object"}, dict, work, **fields)  # type: ignore[arg-type]


@row("N1.3-notification")
def test_news_of_a_background_task_are_told_and_spoken(open_host: Opener) -> None:
    timer = tool(1.0, "Your tea is ready.", detached=True)
    place = open_host(CALL, "It is set.", tools=[timer])
    with place.connect() as client:
        client.start()
        assert text_of(client.ask("remind me of the tea")) == "It is set."
        assert client.next("agent_notification") == {
            "type": "agent_notification", "text": "Your tea is ready.", "source": "work",
            "status": "completed",
        }  # fmt: skip
        after = client.until("system")
        assert text_of(after) == "Your tea is ready."
        client.until("audio")


def tasks(messages: list[Message]) -> list[tuple[str, float]]:
    found = [m["task"] for m in only(messages, "agent_task_update")]
    assert len({task["id"] for task in found}) == 1
    return [(task["status"], task["progress"]) for task in found]


@row("N1.3-task")
@dialects
def test_each_change_of_a_task_is_told(open_host: Opener, dialect: str) -> None:
    place = open_host(CALL, "Noon.", tools=[tool(0.6)])
    with place.connect(dialect=dialect) as client:
        client.start()
        assert tasks(client.ask("what time is it")) == [
            ("queued", 0), ("running", 0), ("running", 40), ("completed", 100),
        ]  # fmt: skip


@row("N1.3-task-failed")
def test_the_end_of_a_failed_task_is_told(open_host: Opener) -> None:
    place = open_host(CALL, "Sorry.", tools=[tool(result=ToolError("No clock here."))])
    with place.connect() as client:
        client.start()
        answer = client.ask("what time is it")
        assert tasks(answer)[-1][0] == "failed"
        assert "No clock here." in only(answer, "agent_task_update")[-1]["task"]["detail"]
        assert text_of(answer) == "Sorry."


@row("N1.3-task-cancelled")
def test_the_end_of_a_cancelled_task_is_told(open_host: Opener) -> None:
    place = open_host(CALL, "Noon.", tools=[tool(3_600)])
    with place.connect() as client:
        client.start()
        client.type_text("what time is it")
        while client.next("agent_task_update")["task"]["status"] != "running":
            pass
        client.send(action="pause_session")
        while client.next("agent_task_update")["task"]["status"] != "cancelled":
            pass


@row("N1.3-agent-status")
def test_the_agents_status_is_told_on_connecting(place: Place) -> None:
    with place.connect() as client:
        assert client.next("agent_status_update")["snapshot"]["active_tasks"] == 0
    with place.connect(dialect="native") as client:
        assert client.next("agent_status_update")["snapshot"]["active_tasks"] == []


@row("N1.3-agent-status-changes")
@dialects
def test_the_agents_status_is_told_at_each_change(open_host: Opener, dialect: str) -> None:
    place = open_host(CALL, "Noon.", tools=[tool()])
    with place.connect(dialect=dialect) as client:
        client.start()
        messages = client.received + client.ask("what time is it")
    active = [m["snapshot"]["active_tasks"] for m in only(messages, "agent_status_update")]
    counts = [len(each) if isinstance(each, list) else each for each in active]
    assert {type(each) for each in active} == {list if dialect == "native" else int}
    assert max(counts) == 1
    assert counts[0] == counts[-1] == 0


@row("N1.3-pong")
def test_there_is_one_pong_for_each_ping(open_host: Opener) -> None:
    place = open_host()
    with place.connect() as client:
        for _ in range(20):
            client.send(action="ping")
        assert [m for m in client.listen() if m["type"] != "agent_status_update"] == [
            {"type": "pong"}
        ] * 20


def hears_parts() -> Fakes:
    def script(utterance: Utterance) -> Iterator[tuple[float, Transcript]]:
        part = utterance.urgency is Urgency.PARTIAL
        yield 0.01, Transcript("what is the" if part else "What is the time?", confidence=0.9)

    return attrs.evolve(quick("Noon."), stt=FakeEngine("stt", script))


@row("N1.3-partials")
@dialects
def test_words_are_shown_while_the_person_speaks(open_host: Opener, dialect: str) -> None:
    place = open_host(fakes=hears_parts())
    with place.connect(dialect=dialect, partials="1") as client:
        client.start()
        client.microphone(speech(1.2))
        told = [m for m in client.until("user_transcript") if m["type"].startswith("user_")]
        assert kinds(told) == ["user_activity", "user_partial", "user_transcript"]
        assert only(told, "user_partial")[0]["text"] == "what is"  # the last word may be cut
    with place.connect(dialect=dialect) as client:
        client.start()
        client.microphone(speech(1.2))
        assert not only(client.until("user_transcript"), "user_partial")


@row("N1.3-words")
@dialects
def test_words_are_told_before_they_are_said(open_host: Opener, dialect: str) -> None:
    fakes = attrs.evolve(quick(*["It is 25 degrees. Enjoy it!"] * 2), tts=telling_tts())
    place = open_host(fakes=fakes)
    with place.connect(dialect=dialect, words="1", timeline="1") as client:
        client.start()
        client.type_text("how warm is it?")
        told = client.until("timeline")
    text, sent, words = "", 0, []
    for message in told:
        text += text_of([message])
        sent += len(sound_of([message]))
        if message["type"] == "speech_words":
            assert message["speech_id"] == message["turn_id"] == told[-1]["turn_id"]
            assert all(word["start_ms"] >= sent / 48 for word in message["words"])
            words += [text[word["from"] : word["to"]] for word in message["words"]]
    assert words == ["It", "is", "25", "degrees.", "Enjoy", "it!"]
    with place.connect(dialect=dialect) as client:
        client.start()
        client.type_text("how warm is it?")
        client.until("audio_chunk" if dialect == "native" else "audio")
        assert not only(client.received, "speech_words")


@row("N1.3-one-socket")
def test_a_newer_socket_wins(place: Place) -> None:
    with place.connect(as_client="twice") as old:
        old.start()
        with place.connect(as_client="twice") as new:
            assert old.closed() == 1000
            assert status_code(only(old.received, "status")[-1]) == "SUPERSEDED"
            new.start()
            assert text_of(new.ask("Are you there?")).strip()


# --- 1.4 ---


@row("N1.4-interruption")
def test_an_interruption_is_told_when_the_person_starts(open_host: Opener) -> None:
    place = open_host(story())
    with place.connect(dialect="native") as client:
        client.start()
        client.type_text("tell me a story")
        old = client.next("audio_chunk")["speech_id"]
        client.microphone(speech(1.0, silence_s=0))  # and goes on speaking
        assert client.next("user_activity")["interrupted_speech_id"] == old
        assert not only(client.listen(), "audio_chunk")
        assert not only(client.received, "user_transcript")


@row("N1.4-mode")
def test_a_change_of_mode_is_one_start(open_host: Opener) -> None:
    place = open_host("One.", "Two.")
    with place.connect() as client:
        client.start("audio")
        client.ask("first")
        client.listen()
        client.start("text")
        told = [*only(client.received, "session_started"), *client.listen()]
        assert [m["input_mode"] for m in told] == ["audio", "text"]
        assert len(only(client.received, "session_preparing")) == 2
        client.ask("second")
        assert last_prompt(place) == ["first", "One.", "second"]
