"""Whole conversations on fake engines, in exact virtual time."""

from __future__ import annotations

import base64
import socket
import struct
from contextlib import suppress
from functools import partial

import attrs
import numpy as np
import pytest
import trio
import trio.testing
import trio_websocket
from trio.testing import MockClock, memory_stream_pair

from tests.harness import Client, Fakes, Stage, open_stage
from voicecore.audio import MOUTH_HZ, Pcm, encode_s16le, wav_bytes
from voicecore.config import CharacterConfig, Config, EarsConfig, ServerConfig
from voicecore.engines.fake import babble, fake_llm, fake_stt, fake_tts
from voicecore.engines.interface import Urgency
from voicecore.errors import EngineError
from voicecore.mind.turns import BUSY
from voicecore.server import handle_connection
from voicecore.store import MemoryStore

LONG = " ".join(f"word{index}" for index in range(40)) + "."


def fakes(heard: list[str | EngineError], replies: list[str | EngineError]) -> Fakes:
    return Fakes(stt=fake_stt(heard), llm=fake_llm(replies))


async def spoken_turn(client: Client) -> None:
    mark = client.mark()
    await client.say(1.0)
    await client.type("system", after=mark)


# --- N.E.K.O. ---


async def test_a_spoken_question_gets_a_spoken_answer(autojump_clock: MockClock) -> None:
    async with (
        open_stage(fakes(["What time is it?"], ["It is noon. Lunch is ready."])) as stage,
        stage.connect("/ws/default?timeline=1") as client,
    ):
        await client.start()
        assert client.messages()[1:] == [
            {"type": "session_preparing", "input_mode": "audio"},
            {"type": "session_started", "input_mode": "audio", "session_id": "session2"},
        ]
        await spoken_turn(client)
        await client.type("timeline")
        kinds = list(dict.fromkeys(message["type"] for message in client.messages()))
        assert kinds == [
            "agent_status_update", "session_preparing", "session_started", "status",
            "user_activity", "user_transcript", "text", "emotion", "system", "audio", "timeline",
        ]  # fmt: skip
        assert client.messages("user_transcript") == [
            {"type": "user_transcript", "text": "What time is it?"}
        ]
        assert client.text() == "It is noon. Lunch is ready."
        assert client.statuses() == ["Session started successfully"]
        # The tone is 60 ms a character, both phrases without the space between them.
        assert client.sound_ms() == pytest.approx(26 * 60, abs=1)
        assert client.at("text")[0] <= client.at("audio")[0]


async def test_the_time_to_the_first_sound_is_the_sum_of_its_stages(
    autojump_clock: MockClock,
) -> None:
    async with open_stage(fakes(["Hello"], ["Hi."])) as stage:
        async with stage.connect("/ws/default?timeline=1") as client:
            await client.start()
            await spoken_turn(client)
            timeline = await client.type("timeline")
    spans = {span["name"]: span for span in timeline["spans"]}
    took = {name: span["end_ms"] - span["start_ms"] for name, span in spans.items()}
    # 600 ms of silence, as configured; and from 40 ms of it, 200 + 100 + 50 ms, as the fakes do.
    assert took == pytest.approx(
        {
            "endpoint": 600, "recognition": 200, "first token": 100, "first phrase": 0,
            "voice": 50, "sending": 200,
        },
        abs=10,  # sound comes 32 ms at a time
    )  # fmt: skip
    starts = [span["start_ms"] for span in timeline["spans"]]
    assert starts == sorted(starts)
    assert spans["recognition"]["start_ms"] == pytest.approx(40, abs=20)
    assert spans["sending"]["end_ms"] == pytest.approx(600, abs=20)
    assert spans["recognition"]["owner"] == "stt:fake"


async def test_speech_interrupts_the_reply_within_its_onset(autojump_clock: MockClock) -> None:
    async with (
        open_stage(fakes(["Tell me", "Stop"], [LONG, "Fine."])) as stage,
        stage.connect() as client,
    ):
        await client.start()
        await spoken_turn(client)
        await trio.sleep(2)
        mark, begun_s = client.mark(), trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.say, 1.0)
            notice = await client.until(
                lambda m: m["type"] == "user_activity" and bool(m["interrupted_speech_id"]),
                after=mark,
            )
            told_s = trio.current_time()
        assert notice["interrupted_speech_id"]
        # Five voiced 20 ms frames (100 ms) and the rest of a 32 ms message.
        assert told_s - begun_s <= 0.14
        index = client.messages().index(notice, mark)
        after = client.messages()[index + 1 :]
        next_reply = after.index({"type": "user_transcript", "text": "Stop"})
        assert not [m for m in after[:next_reply] if m["type"] in {"audio", "text"}]
        await client.until(lambda m: m == {"type": "text", "text": "Fine."})
        history = [
            message.content
            for message in stage.fakes.llm.requests[-1].messages
            if message.role != "system"
        ]
    assert history[0] == "Tell me"
    assert LONG.startswith(history[1])
    # About two seconds at 60 ms a character were heard.
    assert 15 <= len(history[1]) <= 60
    assert history[2] == "Stop"


@pytest.mark.parametrize("action", ["pause_session", "end_session"])
@pytest.mark.parametrize("moment_s", [0.0, 0.5, 1.5, 1.75, 2.0, 2.1, 2.5])
async def test_pause_and_end_silence_everything_at_any_moment(
    autojump_clock: MockClock, action: str, moment_s: float
) -> None:
    async with (
        open_stage(fakes(["Tell me", "Again"], [LONG, "Hello."])) as stage,
        stage.connect() as client,
    ):
        await client.start()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.say, 1.0)
            await trio.sleep(moment_s)
            mark = client.mark()
            await client.send(action=action)
            status = await client.type("status", after=mark)
            assert "Session" in status["message"]
            index = client.messages().index(status, mark)
        assert stage.fakes.listening() == 0
        await client.say(1.0, silence_s=3.0)
        late = [m["type"] for m in client.messages()[index + 1 :]]
        assert not set(late) & {"audio", "text", "user_transcript"}
        await client.start()
        await client.say(1.0)
        await client.type("text", after=index)


async def test_the_conversation_goes_on_after_a_reconnect_and_begins_anew_when_asked(
    autojump_clock: MockClock,
) -> None:
    async with open_stage(fakes(["One", "Two", "Three"], ["First.", "Second.", "Third."])) as stage:
        for fresh in (False, False, True):
            async with stage.connect() as client:
                await client.start(new_session=fresh)
                await spoken_turn(client)
                await trio.sleep(5)
        contents = [
            [m.content for m in request.messages[1:]] for request in stage.fakes.llm.requests
        ]
    assert contents == [["One"], ["One", "First.", "Two"], ["Three"]]


async def test_ping_is_answered_while_the_engines_are_loading(autojump_clock: MockClock) -> None:
    async with open_stage(warm=False) as stage, stage.connect() as client:
        await client.send(action="start_session", input_type="audio")
        await client.send(action="ping")
        await client.type("pong")
        assert [m["type"] for m in client.messages()][1:] == ["session_preparing", "pong"]
        assert (await stage.get("/healthz"))[0] == 503
        stage.host.room.open(stage.fakes.engines())
        await client.type("session_started")
        assert (await stage.get("/healthz"))[0] == 200


async def test_speech_during_the_start_is_kept_and_answered(autojump_clock: MockClock) -> None:
    async with (
        open_stage(
            fakes(["Early"], ["Yes."]),
        ) as stage,
        stage.connect() as client,
    ):
        await client.say(1.0)
        await client.send(action="start_session", input_type="audio")
        await client.type("user_transcript", text="Early")
        await client.type("text", text="Yes.")


async def test_typed_text_is_answered_aloud_and_interrupts(autojump_clock: MockClock) -> None:
    async with open_stage(fakes([], [LONG, "Short."])) as stage, stage.connect() as client:
        await client.start()
        await client.type_text("go on")
        await client.type("audio")
        await client.type_text("enough")
        await client.until(
            lambda m: m["type"] == "user_activity" and bool(m["interrupted_speech_id"])
        )
        await client.type("text", text="Short.")
        await client.type("audio", after=client.mark() - 1)


async def test_a_model_that_dies_keeps_what_it_said_and_says_so(autojump_clock: MockClock) -> None:
    dying = Fakes(stt=fake_stt(["Hello"]), llm=fake_llm([LONG], die_after=5))
    async with open_stage(dying) as stage, stage.connect() as client:
        await client.start()
        await spoken_turn(client)
        await client.until(lambda m: "died" in str(m.get("message")))
        assert client.text() == "word0 word1 word2 word3 word4"
        assert client.sound_ms() > 1_000
        await client.send(action="ping")
        await client.type("pong")


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (Fakes(stt=fake_stt([EngineError("The ears broke.")] * 2)), "The ears broke."),
        (Fakes(llm=fake_llm([EngineError("The mind broke.")])), "The mind broke."),
        (Fakes(llm=fake_llm([""])), "gave no answer"),
        (
            Fakes(llm=fake_llm(['<tool_call>{"name": "x", "arguments": {}}</tool_call>'] * 9)),
            "gave no answer",
        ),
    ],
)
async def test_every_failure_is_told_and_the_session_goes_on(
    autojump_clock: MockClock, broken: Fakes, expected: str
) -> None:
    async with open_stage(broken) as stage, stage.connect() as client:
        await client.start()
        await client.say(1.0)
        await client.until(lambda m: expected in str(m.get("message")))
        mark = client.mark()
        await client.say(1.0)
        await client.type("text", after=mark)


async def test_recognition_that_hangs_is_given_up(autojump_clock: MockClock) -> None:
    async with (
        open_stage(Fakes(stt=fake_stt(delay_s=1_000))) as stage,
        stage.connect() as client,
    ):
        await client.start()
        await client.say(1.0)
        await client.until(lambda m: "Recognition took longer" in str(m.get("message")))


async def test_a_monologue_without_a_pause_is_recognised_in_pieces(
    autojump_clock: MockClock,
) -> None:
    config = Config(ears=EarsConfig(max_turn_chars=2_000))
    async with open_stage(config=config) as stage, stage.connect() as client:
        await client.start()
        minute = babble(16_000 * 60)
        for _ in range(20):
            await client.microphone(minute, frame=8_000)
        await client.microphone(np.zeros(16_000, np.int16))
        await client.type("text")
        heard = client.messages("user_transcript")
        assert 60 <= len(heard) <= 68
        longest = max(len(u.samples) for u in stage.fakes.stt.requests)
        assert longest <= 20_000 * 16
        pieces = [u for u in stage.fakes.stt.requests if u.urgency is not Urgency.PARTIAL]
        total = sum(len(u.samples) for u in pieces) / 16_000
        assert total == pytest.approx(1_200, abs=1)


async def test_sound_faster_than_it_can_be_used_is_dropped_with_one_status(
    autojump_clock: MockClock,
) -> None:
    config = Config(ears=EarsConfig(backlog_ms=1_000))
    async with open_stage(config=config) as stage, stage.connect() as client:
        voice = base64.b64encode(encode_s16le(babble(160_000))).decode()
        for _ in range(3):
            await client.send(action="stream_data", input_type="audio", data=voice)
        await client.send(action="ping")
        await client.type("pong")
        assert len([s for s in client.statuses() if "dropped" in s]) == 1
        assert stage.host.metrics.dropped_ms._value.get() == pytest.approx(29_000)


# --- CortexPrism ---


async def test_a_chat_streams_its_answer_and_counts_it(autojump_clock: MockClock) -> None:
    async with (
        open_stage(fakes([], ["Hello there, you."])) as stage,
        stage.connect("/ws") as client,
    ):
        await client.type("connected")
        await client.send(type="chat", message="Hi")
        done = await client.type("done")
        kinds = [m["type"] for m in client.messages()]
        assert kinds == [
            "connected", "agent_status_update", "session", "start",
            "chunk", "chunk", "chunk", "done",
        ]  # fmt: skip
        deltas = "".join(m["delta"] for m in client.messages("chunk"))
        assert done["finalContent"] == deltas == "Hello there, you."
        assert (done["tokensOut"], done["costUsd"], done["model"]) == (3, 0, "fake")
        assert done["durationMs"] == pytest.approx(150, abs=1)
        assert stage.fakes.tts.requests == []


async def test_a_recording_is_transcribed_and_answered_aloud_phrase_by_phrase(
    autojump_clock: MockClock,
) -> None:
    clip = wav_bytes(Pcm(babble(44_100), 44_100))
    async with (
        open_stage(fakes(["What is this?"], ["A test of it. And more."])) as stage,
        stage.connect("/ws") as client,
    ):
        for at in range(0, len(clip), 1_000):
            data = base64.b64encode(clip[at : at + 1_000]).decode()
            await client.send(type="audio_chunk", data=data)
        await client.send(type="audio_end")
        await client.type("done")
        kinds = [m["type"] for m in client.messages() if m["type"] != "chunk"]
        assert kinds == [
            "connected", "agent_status_update", "transcribed", "session", "start", "emotion",
            "speak", "audio", "speak", "audio", "done",
        ]  # fmt: skip
        assert [m["text"] for m in client.messages("speak")] == ["A test of it.", "And more."]
        wav = base64.b64decode(client.messages("audio")[0]["data"])
        assert wav[:4] == b"RIFF"
        assert len(wav) == pytest.approx(44 + 13 * 60 * 48 * 2, abs=4)
        assert len(stage.fakes.stt.requests[0].samples) == pytest.approx(16_000, abs=320)


async def test_a_known_session_is_resumed_with_its_history(autojump_clock: MockClock) -> None:
    async with open_stage(fakes([], ["One.", "Two.", "Three."])) as stage:
        async with stage.connect("/ws") as client:
            await client.send(type="chat", message="first", sessionId="mine/../x")
            await client.type("done")
            assert client.messages("session")[0]["sessionId"] == "mine/../x"
        async with stage.connect("/ws") as client:
            await client.send(type="chat", message="second", sessionId="mine/../x")
            await client.type("done")
            await client.send(type="chat", message="third", sessionId=None)
            await client.until(lambda m: m.get("finalContent") == "Three.")
            assert len(client.messages("session")) == 1
    contents = [m.content for m in stage.fakes.llm.requests[-1].messages[1:]]
    assert contents == ["first", "One.", "second", "Two.", "third"]


async def test_stop_ends_the_turn_and_keeps_what_was_sent(autojump_clock: MockClock) -> None:
    async with open_stage(fakes([], [LONG, "Next."])) as stage, stage.connect("/ws") as client:
        await client.send(type="chat", message="go")
        await client.type("chunk")
        await client.send(type="stop")
        await client.type("stopped")
        sent = "".join(m["delta"] for m in client.messages("chunk"))
        await trio.sleep(5)
        assert "".join(m["delta"] for m in client.messages("chunk")) == sent
        assert not client.messages("done")
        await client.send(type="chat", message="again")
        await client.type("done")
    assert stage.fakes.llm.requests[-1].messages[2].content == sent


async def test_errors_have_the_protocols_own_words(autojump_clock: MockClock) -> None:
    async with open_stage() as stage, stage.connect("/ws") as client:
        await client.send(type="chat", message="")
        await client.type("error", error="Empty message")
        await client.send(type="audio_end")
        await client.type("error", error="No audio data to transcribe")
        await client.send(type="chat", message="one")
        await client.send(type="chat", message="two")
        await client.type("error", error=BUSY)
        await client.type("done")
        await client.send(type="audio_chunk", data="AAAAAAAAAAAAAAAAAAAAAAAA", format="webm")
        await client.send(type="audio_end")
        error = await client.until(lambda m: "WAV" in str(m.get("error")))
        assert "webm" in error["error"]


async def test_voice_state_makes_typed_messages_heard(autojump_clock: MockClock) -> None:
    async with open_stage(fakes([], ["Aloud."])) as stage, stage.connect("/ws") as client:
        await client.send(type="voice_state", enabled=True)
        await client.type("voice_state", enabled=True)
        await client.send(type="chat", message="hi")
        await client.type("done")
        assert [m["text"] for m in client.messages("speak")] == ["Aloud."]


async def test_speak_says_a_text_and_nothing_else(autojump_clock: MockClock) -> None:
    async with open_stage() as stage, stage.connect("/ws") as client:
        await client.send(type="speak", text="Good morning.")
        await client.type("audio")
        await client.send(type="ping")
        await client.type("pong")
        assert [m["type"] for m in client.messages()] == [
            "connected", "agent_status_update", "speak", "audio", "pong",
        ]  # fmt: skip
        assert stage.fakes.llm.requests == []


# --- both ---


async def test_two_clients_on_the_two_wires_talk_at_the_same_time(
    autojump_clock: MockClock,
) -> None:
    async with (
        open_stage() as stage,
        stage.connect() as neko,
        stage.connect("/ws") as cortex,
        trio.open_nursery() as nursery,
    ):
        await neko.start()
        nursery.start_soon(spoken_turn, neko)
        await cortex.send(type="chat", message="typed")
        assert (await cortex.type("done"))["finalContent"] == "You said: typed"
        await neko.type("text")


@pytest.mark.parametrize("path", ["/ws/default", "/ws"])
async def test_ten_malformed_messages_in_a_row_close_the_connection(
    autojump_clock: MockClock, path: str
) -> None:
    async with open_stage() as stage, stage.connect(path) as client:
        for _ in range(9):
            await client.socket.send_message("{")
        await client.send(action="ping", type="ping")
        await client.type("pong")
        for _ in range(10):
            await client.socket.send_message(b"\x00")
        await client.gone.wait()
        assert client.socket.closed
        assert client.socket.closed.code == 1008


async def test_a_frame_over_the_limit_closes_with_1009(autojump_clock: MockClock) -> None:
    config = Config()
    config = attrs.evolve(config, server=attrs.evolve(config.server, max_message_bytes=1_000))
    async with open_stage(config=config) as stage, stage.connect() as client:
        await client.socket.send_message("x" * 2_000)
        await client.gone.wait()
        assert client.socket.closed
        assert client.socket.closed.code == 1009


async def test_a_stopping_host_says_so_and_closes_with_1001(autojump_clock: MockClock) -> None:
    async with open_stage() as stage, stage.connect() as client:
        await client.start()
        stage.host.stopping.set()
        await client.gone.wait()
        assert "shutting down" in client.statuses()[-1]
        assert client.socket.closed
        assert client.socket.closed.code == 1001


async def test_what_was_heard_is_stored_when_the_client_leaves(autojump_clock: MockClock) -> None:
    store = MemoryStore(new_id=lambda: "kept", now=lambda: 0.0)
    async with open_stage(fakes(["Tell me"], [LONG]), store=store) as stage:
        async with stage.connect() as client:
            await client.start()
            await spoken_turn(client)
            await trio.sleep(2)
    record, created = await store.open("kept", character="default", client="local")
    assert not created
    assert [(m.role, m.interrupted, m.via) for m in record.messages] == [
        ("user", False, "voice"),
        ("assistant", True, "voice"),
    ]
    assert LONG.startswith(record.messages[1].content)


async def test_a_place_is_refused_before_the_upgrade_when_all_are_taken(
    autojump_clock: MockClock,
) -> None:
    config = Config()
    config = attrs.evolve(config, server=attrs.evolve(config.server, max_sessions=1))
    async with open_stage(config=config) as stage, stage.connect() as client:
        await client.start()
        status, body = await upgrade(stage, "/ws/default")
        assert (status, b"places are taken" in body) == (503, True)


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/ws/nobody", "", 101),
        ("/ws/", "", 101),
        ("/nowhere", "", 404),
        ("/ws/default", "Origin: http://[\r\n", 403),
        ("/ws/default", "Origin: http://evil.example\r\n", 403),
        ("/ws/%E5%B0%8F%E5%A4%A9", "Origin: http://test\r\n", 101),
        ("/ws", "", 101),
    ],
)
async def test_who_may_come_in(
    autojump_clock: MockClock, path: str, headers: str, status: int
) -> None:
    server = ServerConfig(allowed_hosts=("test",))
    config = Config(characters={"小天": CharacterConfig()}, server=server)
    async with open_stage(config=config) as stage:
        assert (await upgrade(stage, path, headers))[0] == status


async def upgrade(stage: Stage, path: str, headers: str = "") -> tuple[int, bytes]:
    ours, theirs = memory_stream_pair()
    stage.nursery.start_soon(handle_connection, stage.host, theirs)
    await ours.send_all(
        f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{headers}\r\n"
        "".encode()
    )
    answer = bytes(await ours.receive_some())
    await trio.aclose_forcefully(ours)
    return int(answer.split()[1]), answer


@pytest.mark.parametrize(
    "request_",
    [
        "GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n",
        "POST /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        "GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ],
)
async def test_a_bad_handshake_is_answered_and_takes_no_place(
    autojump_clock: MockClock, request_: str
) -> None:
    async with open_stage() as stage:
        ours, theirs = memory_stream_pair()
        stage.nursery.start_soon(handle_connection, stage.host, theirs)
        await ours.send_all(request_.encode())
        assert bytes(await ours.receive_some()).startswith(b"HTTP/1.1 400")
        assert stage.host.presence.count == 0


async def test_a_handshake_that_the_library_never_answers_is_given_up(
    autojump_clock: MockClock,
) -> None:
    async with open_stage() as stage:
        ours, theirs = memory_stream_pair()
        stage.nursery.start_soon(handle_connection, stage.host, theirs)
        await ours.send_all(
            b"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: not-quite-websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        await trio.sleep(15)
        assert stage.host.presence.count == 0


async def test_a_ping_after_the_close_harms_nobody(autojump_clock: MockClock) -> None:
    async with open_stage() as stage, stage.connect() as other:
        async with stage.connect("/ws/default?client=rude") as client:
            for _ in range(10):
                await client.socket.send_message("{")
            for _ in range(5):
                with suppress(trio_websocket.ConnectionClosed), trio.move_on_after(1):
                    await client.socket.ping()
        await other.send(action="ping")
        await other.type("pong")


async def test_a_client_that_resets_during_its_handshake_harms_nobody() -> None:
    async with open_stage() as stage:
        async with trio.open_nursery() as nursery:
            serve = partial(handle_connection, stage.host)
            listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
            for _ in range(20):
                stream = await trio.testing.open_stream_to_socket_listener(listeners[0])
                linger = struct.pack("ii", 1, 0)
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                await stream.send_all(b"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n")
                await stream.aclose()
            await trio.sleep(0.05)
            nursery.cancel_scope.cancel()
        assert (await stage.get("/healthz"))[0] == 200


async def test_the_two_wires_continue_conversations_of_their_own(
    autojump_clock: MockClock,
) -> None:
    async with open_stage(fakes(["Hi"], ["One.", "Two."])) as stage:
        async with stage.connect("/ws") as cortex:
            await cortex.send(type="chat", message="a secret")
            await cortex.type("done")
        async with stage.connect() as neko:
            await neko.start()
            await spoken_turn(neko)
    assert [m.content for m in stage.fakes.llm.requests[-1].messages[1:]] == ["Hi"]


async def test_a_text_with_nothing_to_say_is_told(autojump_clock: MockClock) -> None:
    async with open_stage() as stage, stage.connect("/ws") as client:
        await client.send(type="speak", text="***")
        error = await client.type("error")
        assert "could be spoken" in error["error"]


async def test_recordings_while_the_engines_load_are_bounded_and_never_glued(
    autojump_clock: MockClock,
) -> None:
    async with open_stage(fakes(["Second"], ["Yes."]), warm=False) as stage:
        async with stage.connect("/ws") as client:
            big = base64.b64encode(bytes(1_000_000)).decode()
            for _ in range(40):
                await client.send(type="audio_chunk", data=big, format="pcm")
            await client.send(type="audio_end")
            await client.until(lambda m: "was not taken" in str(m.get("error")))
            stage.host.room.open(stage.fakes.engines())
            await trio.sleep(1)
            small = base64.b64encode(encode_s16le(babble(16_000))).decode()
            await client.send(type="audio_chunk", data=small, format="pcm")
            await client.send(type="audio_end")
            await client.type("transcribed", text="Second")
            await client.type("done")
    assert [len(u.samples) for u in stage.fakes.stt.requests] == [16_000]


async def test_a_pause_right_after_the_start_is_never_overtaken(autojump_clock: MockClock) -> None:
    async with open_stage() as stage:
        for checkpoints in range(12):
            async with stage.connect() as client:
                await client.send(action="start_session", input_type="audio")
                for _ in range(checkpoints):
                    await trio.lowlevel.checkpoint()
                await client.send(action="pause_session")
                await client.type("status", message="Session paused. Start it to go on.")
                mark = client.mark()
                await client.say(0.5)
                assert not client.messages("user_transcript")
                assert not [m for m in client.messages()[mark:] if m["type"] == "session_started"]


async def test_health_and_metrics_tell_what_runs(autojump_clock: MockClock) -> None:
    async with open_stage(fakes(["Hi"], ["Hello."])) as stage, stage.connect() as client:
        await client.start()
        await spoken_turn(client)
        await trio.sleep(5)
        status, body = await stage.get("/healthz")
        assert status == 200
        assert b'"status": "ready"' in body
        assert b'"stt"' in body
        status, text = await stage.get("/metrics")
        assert status == 200
        for line in (
            b'voicecore_sessions{wire="neko"} 1.0',
            b'voicecore_turns_total{end="complete",wire="neko"} 1.0',
            b'voicecore_stage_seconds_count{stage="recognition"} 1.0',
            b"voicecore_voice_to_voice_seconds_count 1.0",
        ):
            assert line in text
        assert (await stage.get("/nothing"))[0] == 404
        assert (await stage.get("/healthz", "POST"))[0] == 405


async def test_the_sound_is_48_khz_whatever_the_voice(autojump_clock: MockClock) -> None:
    voices = Fakes(llm=fake_llm(["Ten chars."]), tts=fake_tts(rate_hz=16_000))
    async with open_stage(voices) as stage, stage.connect() as client:
        await client.start()
        await client.type_text("x")
        await client.type("system")
        await trio.sleep(3)
        assert client.sound_ms() == pytest.approx(600, abs=1)
        lengths = [len(base64.b64decode(m["audio_data"])) // 2 for m in client.messages("audio")]
        assert set(lengths[:-1]) == {MOUTH_HZ * 40 // 1000}
