"""The two wires from the client's side, against what the host itself writes and reads."""

from __future__ import annotations

import json

import numpy as np
import pytest

from voicecore import events
from voicecore.audio import MOUTH_HZ, Pcm, Samples
from voicecore.bench.links import CortexLink, Link, NekoLink, address
from voicecore.bench.tape import (
    Complete,
    Event,
    Heard,
    Interrupted,
    Ready,
    Refused,
    Sounded,
    Timed,
    Told,
    Wrote,
)
from voicecore.errors import VoicecoreError
from voicecore.wire.cortex import Cortex
from voicecore.wire.neko_events import NekoEvents
from voicecore.wire.protocol import Shown

SOUND: Samples = np.arange(-480, 480, dtype=np.int16)
SPANS = (events.Span("voice", "tts:x", 1.0, 1.5),)
TOLD: list[events.Event] = [
    events.UserWords("Hello", 0.9),
    events.ReplyText("t", "Hi."),
    events.ReplySound("t", Pcm(SOUND, MOUTH_HZ)),
    events.Timeline("t", 0.5, SPANS),
]


def read(link: Link, messages: list[str | bytes]) -> list[Event]:
    return [event for message in messages for event in link.read(message, 7.0)]


def kinds(found: list[Event]) -> list[type]:
    return [type(event) for event in found]


def test_neko_reads_what_the_host_writes() -> None:
    host = NekoEvents(native=False, shown=Shown(timelines=True))
    told: list[events.Event] = [
        *TOLD, events.ReplyTextComplete("t"), events.Activity("t"), events.Activity(None),
    ]  # fmt: skip
    found = read(NekoLink(), [message for event in told for message in host.encode(event)])
    assert kinds(found) == [Heard, Wrote, Sounded, Timed, Complete, Interrupted]
    assert found[0] == Heard(7.0, "Hello")
    assert isinstance(found[2], Sounded)
    assert np.array_equal(found[2].samples, SOUND)
    assert isinstance(found[3], Timed)
    assert found[3].spans[0]["end_ms"] == 1000


def test_neko_reads_the_session_and_its_troubles() -> None:
    host = NekoEvents(native=False)
    told: list[events.Event] = [
        events.Started("audio", "s1"),
        events.StartFailed("audio"),
        events.Problem("X", "Why."),
    ]
    found = read(NekoLink(), [message for event in told for message in host.encode(event)])
    assert kinds(found) == [Ready, Told, Refused, Told]
    assert isinstance(found[3], Told)
    assert found[3].text.startswith("Why.")


def test_cortex_reads_what_the_host_writes() -> None:
    host = Cortex(shown=Shown(timelines=True))
    done = events.TurnDone("t", "Hi.", 1, 1, 0.0, 10.0, "m")
    told: list[events.Event] = [events.Connected(), *TOLD, done, events.Problem("X", "Why.")]
    found = read(CortexLink(), [message for event in told for message in host.encode(event)])
    assert kinds(found) == [Ready, Heard, Wrote, Sounded, Timed, Complete, Told]
    assert isinstance(found[3], Sounded)
    assert np.array_equal(found[3].samples, SOUND)


def test_the_host_reads_a_recording_on_cortex() -> None:
    link, host = CortexLink(), Cortex()
    commands = [command for m in (link.sound(SOUND), *link.over()) for command in host.decode(m)]
    assert isinstance(commands[0], events.ClipPart)
    assert isinstance(commands[-1], events.ClipEnd)
    assert NekoLink().over() == []


@pytest.mark.parametrize("message", ["", "[]", "nonsense"])
def test_a_message_that_is_none_is_told(message: str) -> None:
    for link in (NekoLink(), CortexLink()):
        with pytest.raises(VoicecoreError, match="no JSON object"):
            link.read(message, 0.0)


def test_messages_that_are_none_of_a_turns_are_skipped() -> None:
    for kind in ("pong", "emotion", "agent_status_update", "status", "done?"):
        assert NekoLink().read(json.dumps({"type": kind}), 0.0) == []
        assert CortexLink().read(json.dumps({"type": kind}), 0.0) == []


def test_addresses_are_completed() -> None:
    base = "ws://h:3000"
    assert address(base, "neko", "a b") == f"{base}/ws/default?client=a%20b&timeline=1"
    assert address(f"{base}/", "cortex", "a") == f"{base}/ws?client=a&timeline=1"
    assert address(f"{base}/ws/x?k=1", "neko", "a") == f"{base}/ws/x?k=1&client=a&timeline=1"
    with pytest.raises(VoicecoreError, match="no WebSocket address"):
        address("http://h", "neko", "a")
