"""`voicecore talk` as a program: on a terminal, in a pipe, and where there is no sound."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from voicecore.commands import main
from voicecore.commands.talk import _timing
from voicecore.talk.reply import Reply

FAKES = [
    part
    for kind in ("stt", "llm", "tts", "vad", "turn")
    for part in ("--set", f"{kind}.engine=fake")
]
SLOW_S = 60
"""Far more than it takes; a machine may be busy."""


def talk(tmp_path: Path, *options: str) -> list[str]:
    data = ["--set", f"paths.data={tmp_path}"]
    return [sys.executable, "-m", "voicecore", "talk", *FAKES, *data, *options]


def typed(tmp_path: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run it with text in a pipe."""
    return run(talk(tmp_path, "--text", *options), input=text)


def run(command: list[str], **how: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, timeout=SLOW_S, check=False, **how
    )


def test_lines_of_a_pipe_are_answered_in_order(tmp_path: Path) -> None:
    done = typed(tmp_path, "hello\nand you\n")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line for line in done.stdout.splitlines() if " ms: " not in line]
    assert lines == [
        "you: hello",
        "default: You said: hello",
        "you: and you",
        "default: You said: and you",
    ]


def test_a_file_works_as_a_pipe_does(tmp_path: Path) -> None:
    path = tmp_path / "questions.txt"
    path.write_text("hello")
    with path.open() as file:
        done = run(talk(tmp_path, "--text"), stdin=file)
    assert done.returncode == 0
    assert "default: You said: hello" in done.stdout


def test_an_empty_input_ends_it(tmp_path: Path) -> None:
    done = run(talk(tmp_path, "--text"), stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_no_host_is_one_line(tmp_path: Path) -> None:
    done = typed(tmp_path, "hello", "--url", "ws://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr.startswith("voicecore: No host answers at ws://127.0.0.1:9/ws/default: ")
    assert len(done.stderr.splitlines()) == 1


def test_without_sound_it_says_what_is_missing_and_offers_typing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["talk", "--input-device", "no such device"]) == 1
    shown = capsys.readouterr().err
    assert "Run: " in shown or "--list-devices" in shown
    assert "voicecore talk --text" in shown


@pytest.mark.parametrize(
    ("options", "why"),
    [([], "--resume needs --url"), (["--url", "ws://127.0.0.1:9"], "no last conversation")],
)
def test_resuming_needs_a_host_that_remembers(tmp_path: Path, options: list[str], why: str) -> None:
    done = typed(tmp_path, "", "--resume", *options)
    assert done.returncode == 1
    assert why in done.stderr


def test_where_the_time_went() -> None:
    reply = Reply("t")
    reply.spans = [
        {"name": "endpoint", "start_ms": 0.0, "end_ms": 210.0},
        {"name": "voice", "start_ms": 210.0, "end_ms": 300.4},
    ]
    assert _timing(reply, 0) == "300 ms: endpoint 210 · voice 90"
    reply.came_s, reply.heard_s = 1.0, 1.1
    assert _timing(reply, 25) == "425 ms: endpoint 210 · voice 90 · here 125"


class OnTerminal:
    """The program on a terminal of its own."""

    def __init__(self, command: list[str], **env: str) -> None:
        self.outer, self.terminal = pty.openpty()
        self.before = termios.tcgetattr(self.terminal)
        self.process = subprocess.Popen(
            command,
            stdin=self.terminal,
            stdout=self.terminal,
            stderr=self.terminal,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "80", **env},
        )
        self.seen = ""

    def until(self, text: str) -> None:
        """Read until this text stands in what was written since the last time."""
        due_s = time.monotonic() + SLOW_S
        while text not in self.seen:
            assert time.monotonic() < due_s, f"{text!r} did not come, but {self.seen!r}"
            if select.select([self.outer], [], [], 1)[0]:
                self.seen += os.read(self.outer, 65_536).decode("utf-8", "replace")
        self.seen = self.seen.partition(text)[2]

    def type(self, keys: str) -> None:
        os.write(self.outer, keys.encode())

    def close(self) -> int:
        """Wait for its end; return the exit code."""
        try:
            while self.process.poll() is None:  # a full terminal would hold it up
                if select.select([self.outer], [], [], 0.1)[0]:
                    self.seen += os.read(self.outer, 65_536).decode("utf-8", "replace")
            return self.process.wait(SLOW_S)
        finally:
            self.process.kill()
            os.close(self.outer)
            os.close(self.terminal)


@pytest.mark.parametrize("way", ["ctrl-c", "ctrl-d"])
def test_a_terminal_shows_what_is_typed_and_is_left_as_it_was(tmp_path: Path, way: str) -> None:
    person = OnTerminal(talk(tmp_path, "--text"))
    person.until("Ctrl-C ends.")
    person.until("listening")
    person.type("helo")
    person.until("> helo")
    person.type("\x7flo\r")
    person.until("hello")
    person.until("You said: hello")
    person.until(" ms: ")
    person.until("listening")
    if way == "ctrl-d":
        person.type("\x04")
    else:
        person.process.send_signal(signal.SIGINT)
    after = None
    while person.process.poll() is None:
        if select.select([person.outer], [], [], 0.1)[0]:
            person.seen += os.read(person.outer, 65_536).decode("utf-8", "replace")
    after = termios.tcgetattr(person.terminal)
    assert after == person.before
    assert person.close() == 0
    assert "\x1b[?25h" in person.seen, "the cursor is shown again"
    assert "Traceback" not in person.seen


def test_colours_can_be_switched_off(tmp_path: Path) -> None:
    person = OnTerminal(talk(tmp_path, "--text"), NO_COLOR="1")
    person.until("listening")
    person.type("hello\r")
    person.until("You said: hello")
    person.process.send_signal(signal.SIGTERM)
    assert person.close() == 0
    assert "\x1b[3" not in person.seen
