"""What shipped clients do, played to the host: each client here behaves as its kind does."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Sequence

import attrs
import numpy as np
import pytest

from tests.conformance.place import (
    Client,
    Message,
    Opener,
    Place,
    ThreadPlace,
    kinds,
    only,
    pitch_hz,
    sound_of,
    speech,
    story,
    text_of,
    to_base64,
)
from tests.ears.clip_files import KINDS, recorded
from voicecore.audio import EAR_HZ, MOUTH_HZ, Pcm, Samples, resample

row = pytest.mark.row

PIECE = 65_536
"""Characters of base64 in one message of the web chat."""


def stream(client: Client, samples: Samples, frame: int, rate_hz: int) -> None:
    """Send microphone sound as arrays of numbers, at the pace it is spoken."""
    begun_s = time.monotonic()
    for number, at in enumerate(range(0, len(samples) - frame + 1, frame)):
        data = samples[at : at + frame].tolist()
        client.send(action="stream_data", input_type="audio", data=data)
        time.sleep(max(0.0, begun_s + (number + 1) * frame / rate_hz - time.monotonic()))


def expect_spoken_answer(client: Client) -> list[Message]:
    """Take a turn as a shipped client shows it: one bubble, one voice, nothing thrown away."""
    messages = client.until("user_transcript")
    assert messages[-1]["text"].strip()
    answer = client.until("system", data="turn end")
    while not only(answer, "audio_chunk"):
        answer += client.until("audio_chunk")
    answer += client.listen(1.0)
    said, chunks = only(answer, "gemini_response"), only(answer, "audio_chunk")
    assert [m["isNewMessage"] for m in said] == [True] + [False] * (len(said) - 1)
    assert len({m["turn_id"] for m in said} | {m["speech_id"] for m in chunks}) == 1
    assert np.abs(sound_of(answer)).max() > 500
    assert text_of(answer).strip()
    assert not only(answer, "status")
    return answer


@row("R-desktop")
def test_the_desktop_client(place: Place) -> None:
    question = resample(Pcm(place.question, EAR_HZ), 48_000).samples
    with place.connect() as client:
        client.send(action="home_tutorial_state", state="done")
        client.send(action="start_session", input_type="audio", new_session=False)
        client.until("session_started")
        client.send(action="ping")
        stream(client, question, 480, 48_000)
        expect_spoken_answer(client)
        assert len(only(client.received, "pong")) == 1
    if isinstance(place, ThreadPlace):
        heard = place.fakes.stt.requests[-1].samples
        assert pitch_hz(heard, EAR_HZ) == pytest.approx(220, abs=6)


@row("R-mobile")
def test_the_mobile_client(place: Place) -> None:
    with place.connect() as client:
        client.send(action="start_session", input_type="audio")
        client.until("session_started")
        stream(client, place.question, 512, EAR_HZ)
        expect_spoken_answer(client)
    if isinstance(place, ThreadPlace):
        heard = place.fakes.stt.requests[-1].samples
        assert pitch_hz(heard, EAR_HZ) == pytest.approx(220, abs=6)


def break_off(client: Client) -> None:
    """Lose the network: the host gets a reset, and no goodbye."""
    linger = struct.pack("ii", 1, 0)
    client.socket.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    client.socket.socket.shutdown(socket.SHUT_RDWR)


@row("R-reconnect")
@pytest.mark.parametrize("loss", ["goodbye", "reset", "unnoticed"])
def test_the_client_that_reconnects(open_host: Opener, loss: str) -> None:
    place = open_host("One.", story(), "Three.")
    with place.connect(as_client="desk", dialect="native") as client:
        client.start()
        client.ask("first")
        client.listen()
        client.type_text("tell me a story")
        old = client.next("audio_chunk")["speech_id"]
        if loss == "goodbye":
            client.socket.close()
        elif loss == "reset":
            break_off(client)
        with place.connect(as_client="desk", dialect="native") as again:
            again.send(action="start_session", input_type="audio", new_session=False)
            told = [*again.until("session_started"), *again.listen()]
            assert kinds(told) == ["session_preparing", "session_started", "status"]
            assert len(only(told, "session_preparing")) == len(only(told, "session_started")) == 1
            answer = [*again.ask("go on"), *again.listen()]
            assert text_of(answer) == "Three."
            assert old not in {m["speech_id"] for m in only(answer, "audio_chunk")}
    # Of the story next to nothing was heard, so the two questions may be read as one.
    said = "\n".join(place.prompts()[-1])
    assert said.startswith("first\nOne.\ntell me a story\n")
    assert said.endswith("\ngo on")


@attrs.define
class Player:
    """Plays sound as shipped clients do: after an interruption, nothing of the dead reply."""

    played: dict[str, int] = attrs.field(factory=dict)
    dropped: int = 0
    _dead: set[str] = attrs.field(factory=set)

    def take(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if message["type"] == "user_activity" and message["interrupted_speech_id"]:
                self._dead.add(message["interrupted_speech_id"])
            if message["type"] == "audio_chunk":
                name = message["speech_id"]
                if name in self._dead:
                    self.dropped += 1
                else:
                    self.played[name] = self.played.get(name, 0) + len(message["pcm"])


@row("R-interrupted")
@pytest.mark.parametrize("by", ["voice", "text"])
def test_the_client_that_drops_late_chunks(open_host: Opener, by: str) -> None:
    place = open_host(story(), "Yes, of course I can stop.")
    player = Player()
    with place.connect(dialect="native") as client:
        client.start()
        client.type_text("tell me a story")
        player.take(client.until("audio_chunk"))
        if by == "voice":
            client.microphone(speech())
        else:
            client.type_text("stop")
        player.take(client.until("user_activity"))
        player.take([*client.until("system", data="turn end"), *client.listen(1.0)])
    assert player.dropped == 0  # the host sends none, so none is heard by clients that drop none
    (_, old_bytes), (_, new_bytes) = player.played.items()
    assert old_bytes
    # The new reply is played from its first sample to its last.
    ms = new_bytes / 2 / MOUTH_HZ * 1000
    assert ms == pytest.approx(len("Yes, of course I can stop.") * 10, abs=45)


def web_recording(place: Place) -> bytes:
    """What a browser's MediaRecorder makes of the question; on fakes, a long one."""
    question = place.question
    if isinstance(place, ThreadPlace):
        noise = np.random.default_rng(1).normal(0, 6_000, 10 * EAR_HZ)
        question = np.concatenate([noise.astype(np.int16), question])
    name = "WebM as Chrome and Firefox"
    return recorded(KINDS[name], resample(Pcm(question, EAR_HZ), KINDS[name].rate_hz).samples)


@row("R-web-chat")
def test_the_web_chat(place: Place) -> None:
    clip = to_base64(web_recording(place))
    pieces = [clip[at : at + PIECE] for at in range(0, len(clip), PIECE)]
    with place.connect("/ws") as client:
        client.until("connected")
        first = client.chat("Hello there.", sessionId=None)
        (session,) = only(first, "session")
        for piece in pieces:
            client.send(type="audio_chunk", data=piece, format="webm")
        client.send(type="audio_end")
        told = client.until("done")
        assert not only(told, "session")
        (heard,) = only(told, "transcribed")
        assert heard["text"].strip()
        assert only(told, "audio")
        assert told[-1]["finalContent"] == text_of(told)
        client.send(type="ping")
        client.until("pong")
    with place.connect("/ws") as client:  # the page was loaded again
        again = client.chat("And now?", sessionId=session["sessionId"])
        assert only(again, "session") == [session]
    if isinstance(place, ThreadPlace):
        assert len(pieces) > 1
        assert place.prompts()[-1][0] == "Hello there."
        assert heard["text"] in place.prompts()[-1]
    else:
        assert "france" in heard["text"].lower()
