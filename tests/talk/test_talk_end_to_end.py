"""The terminal on the real models: a fake card asks, and what its speaker played is recognised."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from tests.talk.talking import FakeCard, FakeScreen
from voicecore.audio import EAR_HZ, MOUTH_HZ, Pcm, Samples, resample
from voicecore.commands.hear import hear
from voicecore.commands.say import say
from voicecore.config import Config
from voicecore.talk import echo
from voicecore.talk.conversation import Plan, talk
from voicecore.weights.files import ModelStore

pytestmark = pytest.mark.model


@pytest.fixture
def host(model_files: ModelStore, tmp_path: Path) -> Iterator[str]:
    options = ["--port", "0", "--offline", "--set", f"paths.data={tmp_path}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "voicecore", "serve", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout
    yield "ws" + process.stdout.readline().split("http")[1].strip()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)


async def asked(url: str, question: Samples, screen: FakeScreen) -> Samples:
    """Ask in real time; return what the speaker played."""
    card, leave = FakeCard(), trio.Event()
    cancel = echo.open_canceller if echo.is_installed() else None
    plan = Plan(url=f"{url}/ws/default", client="someone", card=card, open_canceller=cancel)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(talk, plan, screen, leave)
        await screen.until(lambda: "listening" in screen.phases)
        card.say(question)
        await screen.until(lambda: bool(screen.replies))
        leave.set()
    return card.sound


def plain(text: str) -> list[str]:
    return re.sub(r"[^a-z' ]+", " ", text.lower()).split()


def test_a_question_is_answered_through_the_speaker(host: str) -> None:
    spoken = trio.run(say, Config(), "What is the capital of France?")
    question = resample(Pcm(spoken, MOUTH_HZ), EAR_HZ).samples
    screen = FakeScreen()
    played = trio.run(asked, host, question, screen)
    assert plain(" ".join(screen.texts("you"))) == plain("What is the capital of France?")
    assert "paris" in plain(screen.replies[0])
    heard = trio.run(hear, Config(), resample(Pcm(played, MOUTH_HZ), EAR_HZ).samples)
    assert "paris" in plain(" ".join(transcript.text for transcript in heard))
