"""The real host on the real models, over a real socket, with an independent client library."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio
from websockets.sync.client import ClientConnection, connect

from voicecore.audio import EAR_HZ, MOUTH_HZ, Pcm, Samples, encode_s16le, resample, wav_bytes
from voicecore.commands.hear import hear
from voicecore.commands.say import say
from voicecore.config import Config
from voicecore.weights.files import ModelStore

pytestmark = pytest.mark.model

QUESTION = "What is the capital of France?"
READY_S = 60
"""Far more than it takes; a machine may be busy."""


class HostProcess:
    """A `voicecore serve` of its own."""

    def __init__(self, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "voicecore", "serve", "--port", "0", "--offline", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.ready = self.process.stdout.readline()

    @property
    def address(self) -> str:
        return self.ready.split("//")[1].strip()

    def stop(self, sign: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(sign)
        _, errors = self.process.communicate(timeout=READY_S)
        return self.process.returncode, errors


@pytest.fixture(scope="module")
def host(
    model_files: ModelStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HostProcess]:
    data = tmp_path_factory.mktemp("data")
    host = HostProcess("--set", f"paths.data={data}")
    assert re.fullmatch(r"voicecore is ready on http://127\.0\.0\.1:\d+\n", host.ready)
    yield host
    code, errors = host.stop()
    assert code == 0
    assert "Traceback" not in errors


@pytest.fixture(scope="module")
def question(model_files: ModelStore) -> Samples:
    """The question at 16 kHz, as a person with the host's own voice would ask it."""
    return resample(Pcm(trio.run(say, Config(), QUESTION), MOUTH_HZ), EAR_HZ).samples


def words(samples: Samples) -> list[str]:
    transcripts = trio.run(hear, Config(), resample(Pcm(samples, MOUTH_HZ), EAR_HZ).samples)
    return plain(" ".join(transcript.text for transcript in transcripts))


def plain(text: str) -> list[str]:
    return re.sub(r"[^a-z' ]+", " ", text.lower()).split()


def receive(socket: ClientConnection, kind: str) -> list[dict[str, Any]]:
    """Take messages up to the first of this type."""
    found = []
    while True:
        found.append(json.loads(socket.recv(timeout=READY_S)))
        if found[-1]["type"] == kind:
            return found


def speak(socket: ClientConnection, samples: Samples) -> None:
    """Send microphone sound in real time, 32 ms at a time."""
    for at in range(0, len(samples), 512):
        data = base64.b64encode(encode_s16le(samples[at : at + 512])).decode()
        message = {"action": "stream_data", "input_type": "audio", "data": data}
        socket.send(json.dumps(message))
        time.sleep(0.032)


def test_a_spoken_question_is_recognised_answered_and_spoken(
    host: HostProcess, question: Samples
) -> None:
    with connect(f"ws://{host.address}/ws/default?timeline=1") as socket:
        socket.send(json.dumps({"action": "start_session", "input_type": "audio"}))
        receive(socket, "session_started")
        speak(socket, np.concatenate([question, np.zeros(EAR_HZ, np.int16)]))
        messages = receive(socket, "timeline")
    heard = " ".join(m["text"] for m in messages if m["type"] == "user_transcript")
    reply = "".join(m["text"] for m in messages if m["type"] == "text")
    sound = b"".join(base64.b64decode(m["audio_data"]) for m in messages if m["type"] == "audio")
    assert plain(heard) == plain(QUESTION)
    assert "paris" in plain(reply)
    spoken = words(np.frombuffer(sound, "<i2").astype(np.int16))
    assert "paris" in spoken
    # The voice says what was written. By letters, since "France is" and "Francis" sound the same.
    assert SequenceMatcher(None, "".join(spoken), "".join(plain(reply))).ratio() > 0.85
    names = [span["name"] for span in messages[-1]["spans"]]
    assert names == ["endpoint", "recognition", "first token", "first phrase", "voice", "sending"]


def test_each_word_is_told_and_lies_within_the_sound(host: HostProcess, question: Samples) -> None:
    """In text as sent, and in time as sent: a page marks the word that is being said."""
    options = "dialect=native&words=1&partials=1&timeline=1"
    with connect(f"ws://{host.address}/ws/default?{options}") as socket:
        socket.send(json.dumps({"action": "start_session", "new_session": True}))
        speak(socket, np.concatenate([question, np.zeros(EAR_HZ, np.int16)]))
        text, samples, told = "", 0, []
        while True:
            frame = socket.recv(timeout=READY_S)
            if isinstance(frame, bytes):
                samples += len(frame) // 2
                continue
            message = json.loads(frame)
            if message["type"] == "gemini_response":
                text += message["text"]
            elif message["type"] == "speech_words":
                sent_ms = samples / MOUTH_HZ * 1000
                assert all(word["start_ms"] >= sent_ms - 0.1 for word in message["words"])
                assert all(word["to"] <= len(text) for word in message["words"])
                told += message["words"]
            elif message["type"] == "timeline":
                break
    assert told[-1]["end_ms"] <= samples / MOUTH_HZ * 1000
    assert [text[word["from"] : word["to"]] for word in told] == text.split()
    times = [time_ms for word in told for time_ms in (word["start_ms"], word["end_ms"])]
    assert times == sorted(times)


def test_a_recording_is_answered_on_the_other_wire(host: HostProcess, question: Samples) -> None:
    clip = base64.b64encode(wav_bytes(Pcm(question, EAR_HZ))).decode()
    with connect(f"ws://{host.address}/ws") as socket:
        for at in range(0, len(clip), 65_536):
            socket.send(json.dumps({"type": "audio_chunk", "data": clip[at : at + 65_536]}))
        socket.send(json.dumps({"type": "audio_end"}))
        messages = receive(socket, "done")
    kinds = list(dict.fromkeys(message["type"] for message in messages))
    assert kinds[:5] == ["connected", "agent_status_update", "transcribed", "session", "start"]
    transcribed = next(m for m in messages if m["type"] == "transcribed")
    assert plain(transcribed["text"]) == plain(QUESTION)
    assert transcribed["confidence"] > 0.5
    deltas = "".join(m["delta"] for m in messages if m["type"] == "chunk")
    assert messages[-1]["finalContent"] == deltas
    assert messages[-1]["tokensOut"] > 0
    clips = [base64.b64decode(m["data"]) for m in messages if m["type"] == "audio"]
    sound = np.concatenate([np.frombuffer(found[44:], "<i2") for found in clips])
    assert "paris" in words(sound.astype(np.int16))


def test_two_people_talk_at_the_same_time_on_the_two_wires(
    host: HostProcess, question: Samples
) -> None:
    with (
        connect(f"ws://{host.address}/ws/default") as neko,
        connect(f"ws://{host.address}/ws") as cortex,
    ):
        neko.send(json.dumps({"action": "start_session", "new_session": True}))
        receive(neko, "session_started")
        cortex.send(json.dumps({"type": "chat", "message": "Hello, who are you?"}))
        speak(neko, np.concatenate([question, np.zeros(EAR_HZ, np.int16)]))
        assert receive(cortex, "done")[-1]["finalContent"]
        reply = receive(neko, "system")
    assert "paris" in plain("".join(m["text"] for m in reply if m["type"] == "text"))


def test_a_session_goes_on_after_a_restart(tmp_path: Path, model_files: ModelStore) -> None:
    options = ("--set", f"paths.data={tmp_path}", "--set", "llm.engine=fake")
    tokens = []
    for number in (1, 2):
        host = HostProcess(*options)
        with connect(f"ws://{host.address}/ws") as socket:
            message = {"type": "chat", "message": f"turn {number}", "sessionId": "kept"}
            socket.send(json.dumps(message))
            tokens.append(receive(socket, "done")[-1]["tokensIn"])
        assert host.stop(signal.SIGINT)[0] == 0
    # The fake model counts the words it is given: the second time the first turn is among them.
    history = "You said: turn 1", "turn 2"
    assert tokens[1] - tokens[0] == sum(len(text.split()) for text in history)


def test_health_and_metrics_over_plain_http(host: HostProcess) -> None:
    with urllib.request.urlopen(f"http://{host.address}/healthz") as answer:
        health = json.load(answer)
    assert health["status"] == "ready"
    assert set(health["engines"]) == {"vad", "turn", "stt", "llm", "tts"}
    with urllib.request.urlopen(f"http://{host.address}/metrics") as answer:
        assert b"voicecore_sessions" in answer.read()


def run(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "voicecore", *args],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **env},
    )


def test_ask_shows_the_turn_and_writes_the_reply(model_files: ModelStore, tmp_path: Path) -> None:
    reply, picture = tmp_path / "reply.wav", tmp_path / "turn.svg"
    done = run("ask", "-o", str(reply), "--timeline", str(picture))
    assert done.returncode == 0, done.stderr
    assert "heard  What is the capital of France?" in done.stdout
    for stage in ("endpoint", "recognition", "first token", "voice", "sending"):
        assert stage in done.stdout
    assert "Paris" in run("hear", str(reply)).stdout
    assert picture.read_text().startswith("<svg")


def test_ask_of_a_host_that_is_not_there_says_so() -> None:
    done = run("ask", "--url", "ws://127.0.0.1:9/ws/default")
    assert done.returncode == 1
    assert "No host answers" in done.stderr
    assert "Traceback" not in done.stderr


def test_say_and_hear_agree(model_files: ModelStore, tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    assert run("say", "The train leaves early in the morning.", "-o", str(path)).returncode == 0
    assert plain(run("hear", str(path)).stdout) == plain("The train leaves early in the morning.")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--set", "stt.modle=x"], "did you mean stt.model?"),
        (["--set", "stt.engine=tin-can"], "no stt engine called 'tin-can'"),
        (["--set", "llm.model=gpt-9"], "gpt-9"),
        (["--set", "paths.data=/proc/nowhere"], "/proc/nowhere"),
        (["--set", "paths.models=/proc/nowhere"], "voicecore models fetch"),
    ],
)
def test_a_host_that_cannot_start_says_why_in_one_line(
    model_files: ModelStore, options: list[str], why: str
) -> None:
    done = run("serve", "--offline", "--port", "0", *options)
    assert done.returncode == 1
    assert why in done.stderr
    assert len([line for line in done.stderr.splitlines() if "voicecore:" in line]) == 1
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_told(host: HostProcess) -> None:
    done = run("serve", "--offline", "--port", host.address.rpartition(":")[2])
    assert done.returncode == 1
    assert "is taken by another program" in done.stderr


def test_wrong_use_exits_with_2_and_help_with_0() -> None:
    assert run("serve", "--prot", "1").returncode == 2
    assert run().returncode == 2
    for command in (
        [],
        ["serve"],
        ["ask"],
        ["talk"],
        ["say"],
        ["hear"],
        ["check"],
        ["models"],
        ["models", "fetch"],
    ):
        shown = run(*command, "--help")
        assert shown.returncode == 0
        assert "usage: voicecore" in shown.stdout


def test_check_says_what_is_missing_and_the_command_that_brings_it(
    model_files: ModelStore, tmp_path: Path
) -> None:
    assert run("check").returncode == 0
    missing = run("check", "--set", f"paths.models={tmp_path}")
    assert missing.returncode == 1
    assert "voicecore models fetch whisper-tiny.en" in missing.stdout
