"""What both decoders promise, whatever they are given: for the fuzzer, and for its replay.

An input is a client's whole conversation: messages, one a line. A line that begins with ``NEKO``,
or is not UTF-8, is a binary frame.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import get_args

import attrs
import numpy as np

from voicecore import events
from voicecore.audio import HIGHEST_HZ, LOWEST_HZ, ms_to_samples
from voicecore.errors import ClientError
from voicecore.events import Command, Event
from voicecore.wire import microphone
from voicecore.wire.cortex import PART_BYTES, Cortex
from voicecore.wire.neko import Neko
from voicecore.wire.protocol import MAX_NAME_CHARS, Wire

MAX_FILES, MAX_FILE_BYTES = 2, 60
"""Small, so that short inputs cross them."""

MAKERS: dict[str, Callable[[], Wire]] = {
    "neko": lambda: Neko(chunk_ms=40, max_picture_bytes=MAX_FILE_BYTES),
    "cortex": lambda: Cortex(max_files=MAX_FILES, max_file_bytes=MAX_FILE_BYTES),
}

MAX_ERROR_BYTES = 600
"""Of an error's text: what the client sent is shown in it at most in part."""


def messages(data: bytes) -> Iterator[str | bytes]:
    """Read an input."""
    for line in data.split(b"\n"):
        try:
            yield line if line.startswith(microphone.MAGIC) else line.decode()
        except UnicodeDecodeError:
            yield line


def check(name: str, data: bytes) -> None:
    """Decode an input, and encode what such a client would be told.

    Raises:
        AssertionError: a promise is broken. Any other exception is a broken promise, too.
    """
    wire = MAKERS[name]()
    kept: list[str | bytes] = []
    understood: list[Command] = []
    for message in messages(data):
        commands = wire.decode(message)
        check_commands(commands)
        if not _is_refused(commands):
            kept.append(message)
            understood += commands
        for command in commands:
            for event in _told(command):
                check_encoded(wire.encode(event))
    alone = MAKERS[name]()
    again = [command for message in kept for command in alone.decode(message)]
    assert plain(again) == plain(understood), "a message that was refused has left a trace"


def _is_refused(commands: list[Command]) -> bool:
    """Whether all goes on as if the message had never come."""
    return any(isinstance(command, events.Wrong) for command in commands)


def plain(commands: list[Command]) -> list[object]:
    """Commands as they can be compared."""

    def value(_: object, __: object, found: object) -> object:
        if isinstance(found, np.ndarray):
            return found.tobytes()
        return str(found) if isinstance(found, Exception) else found

    return [(type(one).__name__, attrs.asdict(one, value_serializer=value)) for one in commands]


def check_commands(commands: list[Command]) -> None:
    """Commands within their bounds, or one error that can be shown."""
    assert isinstance(commands, list)
    for command in commands:
        assert isinstance(command, get_args(Command)), command
        assert len(commands) == 1 or not isinstance(command, events.Wrong)
        _check_bounds(command)


def _check_bounds(command: Command) -> None:
    match command:
        case events.Wrong(error) | events.ClipEnd(_, ClientError() as error):
            assert re.fullmatch(r"[A-Z][A-Z0-9_]+", error.code), error.code
            assert 0 < len(str(error).encode()) < MAX_ERROR_BYTES
        case events.Sound(pcm):
            assert pcm.samples.dtype == np.int16
            assert LOWEST_HZ <= pcm.rate_hz <= HIGHEST_HZ
            assert 0 < len(pcm.samples) <= ms_to_samples(microphone.STEP_MS, pcm.rate_hz)
        case events.ClipPart():
            assert len(command.data) <= PART_BYTES
            _check_name(command.format, command.session_id)
        case events.Picture(data):
            assert 0 < len(data) <= MAX_FILE_BYTES
        case events.Typed(text, _, session_id, files, agent_id):
            text.encode()
            _check_name(session_id, agent_id, *(file.name for file in files))
            assert len(files) <= MAX_FILES
            assert all(len(file.data) <= MAX_FILE_BYTES for file in files)
        case events.Recite(text, voice):
            text.encode()
            _check_name(voice)
        case events.SelectAgent(name) | events.Touch(name):
            _check_name(name)


def _check_name(*names: str | None) -> None:
    """Names come back in messages and stand in the log."""
    for name in names:
        assert name is None or (name.encode() is not None and len(name) <= MAX_NAME_CHARS)


def _told(command: Command) -> list[Event]:
    """What the client's own words come back in."""
    told: list[Event] = []
    match command:
        case events.Wrong(error) | events.ClipEnd(_, ClientError() as error):
            told = [events.Problem(error.code, str(error))]
        case events.Typed(text) | events.Recite(text):
            told = [events.TurnStarted("t"), events.ReplyText("t", text)]
        case events.Touch(name):
            told = [events.Touched(name, None)]
        case events.SelectAgent(name):
            told = [events.CharacterSelected(name)]
        case events.Start(mode):
            told = [events.Preparing(mode), events.Started(mode, "s1")]
        case events.Sound(pcm):
            told = [events.ReplySound("t", pcm)]
    return told


def check_encoded(encoded: list[str | bytes]) -> None:
    """JSON objects with a type that UTF-8 can hold; a binary frame only after its header."""
    kinds: list[str] = []
    for message in encoded:
        if isinstance(message, bytes):
            assert kinds[-1:] == ["audio_chunk"]
            kinds.append("")
        else:
            kinds.append(json.loads(message.encode(), parse_constant=_no_constant)["type"])
    assert all(isinstance(kind, str) for kind in kinds)
    assert kinds[-1:] != ["audio_chunk"]


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")
