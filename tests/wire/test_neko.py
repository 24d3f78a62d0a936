"""What N.E.K.O. clients send: every message, and every way to get it wrong."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore import events
from voicecore.audio import Pcm, Samples, encode_s16le
from voicecore.events import Command
from voicecore.wire.neko import NEEDS_NO_ANSWER, PICTURES, Neko

SAMPLES = np.arange(-240, 240, dtype=np.int16)
BASE64 = base64.b64encode(encode_s16le(SAMPLES)).decode()
AUDIO = {"action": "stream_data", "input_type": "audio"}
TEXT = {"action": "stream_data", "input_type": "text"}
SCREEN = {"action": "stream_data", "input_type": "screen"}

PNG = b"\x89PNG any bytes: what they are is looked at elsewhere"


def neko(**settings: Any) -> Neko:
    return Neko(chunk_ms=40, **settings)


def decoded(message: dict[str, Any], **settings: Any) -> list[Command]:
    return neko(**settings).decode(json.dumps(message))


def sound(commands: list[Command]) -> Pcm:
    """All sound of one message, which must be nothing else."""
    pieces = [command.pcm for command in commands if isinstance(command, events.Sound)]
    assert len(pieces) == len(commands) > 0
    assert len({piece.rate_hz for piece in pieces}) == 1
    return Pcm(np.concatenate([piece.samples for piece in pieces]), pieces[0].rate_hz)


def frame(samples: Samples = SAMPLES, rate_hz: int = 48_000) -> bytes:
    return struct.pack("<4sI", b"NEKO", rate_hz) + encode_s16le(samples)


def wrong(message: str | bytes | dict[str, Any], **settings: Any) -> str:
    text = json.dumps(message) if isinstance(message, dict) else message
    (command,) = neko(**settings).decode(text)
    assert isinstance(command, events.Wrong)
    assert str(command.error)
    return command.error.code


@pytest.mark.parametrize(
    ("message", "command"),
    [
        ({"action": "start_session"}, events.Start("audio")),
        ({"action": "start_session", "input_type": None, "new_session": None},
         events.Start("audio")),
        ({"action": "start_session", "input_type": "audio", "new_session": False},
         events.Start("audio")),
        ({"action": "start_session", "input_type": "text", "new_session": True},
         events.Start("text", fresh=True)),
        ({"action": "start_session", "session_id": "s1"}, events.Start("audio", session_id="s1")),
        ({"action": "start_session", "session_id": None}, events.Start("audio")),
        ({"action": "start_session", "input_type": "screen"}, events.Start("screen")),
        ({"action": "start_session", "input_type": "camera"}, events.Start("camera")),
        (TEXT | {"data": "hi 小天"}, events.Typed("hi 小天", barge_in=True)),
        (TEXT | {"data": ""}, events.Typed("", barge_in=True)),
        ({"action": "pause_session"}, events.Pause()),
        ({"action": "end_session", "reason": "user_stop"}, events.End()),
        ({"action": "ping"}, events.Ping()),
        ({"action": "greeting_check", "is_switch": True}, events.Greet()),
        ({"action": "avatar_interaction", "interaction_id": "i1", "target": "avatar"},
         events.Touch("i1")),
        ({"action": "avatar_interaction"}, events.Ignored()),
        ({"action": "ping", "language": "en", "unknown": [{}]}, events.Ping()),
    ],
)  # fmt: skip
def test_each_message_becomes_its_command(message: dict[str, Any], command: Command) -> None:
    assert decoded(message) == [command]


@pytest.mark.parametrize("action", sorted(NEEDS_NO_ANSWER))
def test_what_shipped_clients_also_send_is_accepted(action: str) -> None:
    assert decoded({"action": action, "turn_id": 7, "anything": [1]}) == [events.Ignored()]


# --- sound ---


@pytest.mark.parametrize(
    ("rate", "rate_hz"),
    [
        ({}, 16_000),
        ({"sample_rate": 48_000}, 48_000),
        ({"sample_rate_hz": 8_000}, 8_000),
        ({"sample_rate": 24_000, "sample_rate_hz": 8_000}, 24_000),
        ({"sample_rate": None, "sample_rate_hz": 8_000}, 8_000),
    ],
)
def test_base64_sound_has_the_rate_it_is_given(rate: dict[str, Any], rate_hz: int) -> None:
    pcm = sound(decoded(AUDIO | {"data": BASE64} | rate))
    assert pcm.rate_hz == rate_hz
    np.testing.assert_array_equal(pcm.samples, SAMPLES)


@pytest.mark.parametrize(
    ("samples", "rate", "rate_hz"),
    [
        (480, {}, 48_000),
        (512, {}, 16_000),
        (479, {}, 16_000),
        (1, {}, 16_000),
        (480, {"sample_rate": 16_000}, 16_000),
        (512, {"sample_rate_hz": 44_100}, 44_100),
    ],
)
def test_an_array_of_480_is_48_khz_and_any_other_16_unless_it_says_so(
    samples: int, rate: dict[str, int], rate_hz: int
) -> None:
    values = list(range(samples))
    pcm = sound(decoded(AUDIO | {"data": values} | rate))
    assert pcm.rate_hz == rate_hz
    assert pcm.samples.dtype == np.int16
    assert pcm.samples.tolist() == values


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000])
def test_a_binary_frame_tells_its_rate(rate_hz: int) -> None:
    pcm = sound(neko().decode(frame(rate_hz=rate_hz)))
    assert pcm.rate_hz == rate_hz
    np.testing.assert_array_equal(pcm.samples, SAMPLES)


def test_a_binary_frame_holds_120_ms_and_no_more() -> None:
    longest = np.zeros(48 * 120, np.int16)
    assert sound(neko().decode(frame(longest))).ms == 120
    assert wrong(frame(np.zeros(48 * 120 + 1, np.int16))) == "BAD_FRAME"
    assert wrong(frame(longest, rate_hz=16_000)) == "BAD_FRAME"


@given(values=st.lists(st.integers(-32768, 32767), min_size=1, max_size=600))
def test_all_three_forms_carry_the_same_sound(values: list[int]) -> None:
    samples = np.array(values, np.int16)
    data = base64.b64encode(encode_s16le(samples)).decode()
    rate = {"sample_rate": 48_000}
    forms = [
        decoded(AUDIO | {"data": values} | rate),
        decoded(AUDIO | {"data": data} | rate),
        neko().decode(frame(samples)),
    ]
    for commands in forms:
        assert sound(commands).samples.tolist() == values


def test_sound_of_any_length_is_taken_in_steps_of_bounded_time() -> None:
    base64_3_s = base64.b64encode(bytes(16_000 * 2 * 3)).decode()
    for data in (base64_3_s, [0] * 48_000):
        found = decoded(AUDIO | {"data": data})
        assert [piece.pcm.ms for piece in found if isinstance(piece, events.Sound)] == [500] * 6


@pytest.mark.parametrize("data", ["", []])
def test_no_sound_is_no_command(data: object) -> None:
    assert decoded(AUDIO | {"data": data}) == []
    assert neko().decode(frame(SAMPLES[:0])) == []


# --- pictures ---


@pytest.mark.parametrize("kind", sorted(PICTURES))
@pytest.mark.parametrize(
    "head", ["", "data:image/png;base64,", "DATA:image/jpeg;BASE64,", "data:;x=y;base64,"]
)
def test_a_picture_is_base64_or_a_data_url(kind: str, head: str) -> None:
    data = head + base64.b64encode(PNG).decode()
    (picture,) = decoded({"action": "stream_data", "input_type": kind, "data": data})
    assert isinstance(picture, events.Picture)
    assert picture.data == PNG


@pytest.mark.parametrize("size", [7, 8, 9])
@pytest.mark.parametrize("head", ["", "data:image/webp;base64,"])
def test_a_picture_is_refused_by_the_size_of_the_file_it_would_be(size: int, head: str) -> None:
    message = SCREEN | {"data": head + base64.b64encode(bytes(size)).decode()}
    if size > 8:
        assert wrong(message, max_picture_bytes=8) == "PICTURE_TOO_LARGE"
    else:
        (picture,) = decoded(message, max_picture_bytes=8)
        assert isinstance(picture, events.Picture)


# --- what is wrong ---


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("", "BAD_JSON"),
        ("{", "BAD_JSON"),
        ("[]", "BAD_JSON"),
        ("1e999999", "BAD_JSON"),
        ("1" * 5_000, "BAD_JSON"),
        ("[" * 10_000, "BAD_JSON"),
        ('{"action":' * 10_000, "BAD_JSON"),
        ("[" * 100_000, "TOO_MANY_PARTS"),
        ({}, "BAD_MESSAGE"),
        ({"action": 7}, "BAD_MESSAGE"),
        ({"action": None}, "BAD_MESSAGE"),
        ({"action": "dance"}, "UNKNOWN_ACTION"),
        ({"action": "x" * 1_000_000}, "UNKNOWN_ACTION"),
        ({"action": "start_session", "input_type": "smell"}, "INVALID_INPUT_TYPE"),
        ({"action": "start_session", "input_type": ""}, "INVALID_INPUT_TYPE"),
        ({"action": "start_session", "input_type": {}}, "INVALID_INPUT_TYPE"),
        ({"action": "start_session", "input_type": False}, "INVALID_INPUT_TYPE"),
        ({"action": "start_session", "new_session": "yes"}, "BAD_MESSAGE"),
        ({"action": "start_session", "new_session": 1}, "BAD_MESSAGE"),
        ({"action": "stream_data"}, "INVALID_INPUT_TYPE"),
        ({"action": "stream_data", "input_type": "smell", "data": ""}, "INVALID_INPUT_TYPE"),
        ({"action": "stream_data", "input_type": ["audio"]}, "INVALID_INPUT_TYPE"),
        ({"action": "avatar_interaction", "interaction_id": 5}, "BAD_MESSAGE"),
        ({"action": "avatar_interaction", "interaction_id": "x" * 257}, "BAD_MESSAGE"),
        (TEXT, "BAD_MESSAGE"),
        (TEXT | {"data": 5}, "BAD_MESSAGE"),
        (TEXT | {"data": "hi", "request_id": 5}, "BAD_MESSAGE"),
        (AUDIO, "BAD_MESSAGE"),
        (AUDIO | {"data": 5}, "BAD_MESSAGE"),
        (AUDIO | {"data": {"0": 1}}, "BAD_MESSAGE"),
        (AUDIO | {"data": "AAA"}, "BAD_BASE64"),
        (AUDIO | {"data": "A B="}, "BAD_BASE64"),
        (AUDIO | {"data": "é"}, "BAD_BASE64"),
        (AUDIO | {"data": "\ud800"}, "BAD_BASE64"),
        (AUDIO | {"data": "AAAA"}, "BAD_AUDIO"),
        (AUDIO | {"data": [1, True]}, "BAD_AUDIO"),
        (AUDIO | {"data": [1.0]}, "BAD_AUDIO"),
        (AUDIO | {"data": [float("nan")]}, "BAD_AUDIO"),
        (AUDIO | {"data": [None]}, "BAD_AUDIO"),
        (AUDIO | {"data": ["1"]}, "BAD_AUDIO"),
        (AUDIO | {"data": [[1]]}, "BAD_AUDIO"),
        (AUDIO | {"data": [32_768]}, "BAD_AUDIO"),
        (AUDIO | {"data": [-32_769]}, "BAD_AUDIO"),
        (AUDIO | {"data": [10**30]}, "BAD_AUDIO"),
        (AUDIO | {"data": [0] * 500_001}, "TOO_MANY_PARTS"),
        (AUDIO | {"data": BASE64, "sample_rate": True}, "BAD_SAMPLE_RATE"),
        (AUDIO | {"data": BASE64, "sample_rate": 1}, "BAD_SAMPLE_RATE"),
        (AUDIO | {"data": BASE64, "sample_rate": 0}, "BAD_SAMPLE_RATE"),
        (AUDIO | {"data": BASE64, "sample_rate": -16_000}, "BAD_SAMPLE_RATE"),
        (AUDIO | {"data": BASE64, "sample_rate": 10**400}, "BAD_SAMPLE_RATE"),
        (AUDIO | {"data": BASE64, "sample_rate": 48_001}, "BAD_SAMPLE_RATE"),
        (AUDIO | {"data": BASE64, "sample_rate": 16_000.0}, "BAD_SAMPLE_RATE"),
        (AUDIO | {"data": BASE64, "sample_rate": "16000"}, "BAD_SAMPLE_RATE"),
        (AUDIO | {"data": [1], "sample_rate_hz": float("inf")}, "BAD_SAMPLE_RATE"),
        (SCREEN, "BAD_MESSAGE"),
        (SCREEN | {"data": [1]}, "BAD_MESSAGE"),
        (SCREEN | {"data": ""}, "BAD_PICTURE"),
        (SCREEN | {"data": "?"}, "BAD_BASE64"),
        (SCREEN | {"data": "data:image/png,AAAA"}, "BAD_BASE64"),
        (SCREEN | {"data": "data:image/png;base64"}, "BAD_BASE64"),
        (SCREEN | {"data": "data:" + "x" * 300 + ";base64,AAAA"}, "BAD_BASE64"),
        (b"", "BAD_FRAME"),
        (b"\x00\x01", "BAD_FRAME"),
        (b"NEKO", "BAD_FRAME"),
        (b"OKEN" + bytes(44), "BAD_FRAME"),
        (b"NEKO" + struct.pack("<I", 16_000) + b"\x00", "BAD_AUDIO"),
        (b"NEKO" + struct.pack("<I", 0) + b"\x00\x00", "BAD_SAMPLE_RATE"),
        (b"NEKO" + struct.pack(">I", 16_000) + b"\x00\x00", "BAD_SAMPLE_RATE"),
        (b"NEKO\xff\xff\xff\xff\x00\x00", "BAD_SAMPLE_RATE"),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_what_is_wrong_is_named(message: str | bytes | dict[str, Any], code: str) -> None:
    assert wrong(message) == code


def test_an_error_names_the_two_things_wire_md_names() -> None:
    for message, code in (
        ({"action": "dance"}, "UNKNOWN_ACTION"),
        ({"action": "start_session", "input_type": "smell"}, "INVALID_INPUT_TYPE"),
    ):
        (command,) = decoded(message)
        assert isinstance(command, events.Wrong)
        assert ("dance" in str(command.error)) or ("smell" in str(command.error))
        assert command.error.code == code


FIELDS = st.dictionaries(
    st.sampled_from(["data", "input_type", "sample_rate", "id", "action"]),
    st.sampled_from(["AAAA", "audio", "AAAA+/==", "", 16_000, 8_000, None, [], [1], BASE64]),
    max_size=3,
)
SOUND_TEXTS = st.builds(
    lambda extra, data, swap: json.dumps(
        (extra | AUDIO if swap else AUDIO | extra) | {"data": data}, separators=(",", ":")
    ),
    FIELDS,
    st.sampled_from([BASE64, "AAAA", "AAA=", "AA==", "AAA", "A?AA", "", 'AA"A', "AA\\/A", "AAAA"]),
    st.booleans(),
)
MORE_TEXTS = st.sampled_from(
    [
        '{"action":"stream_data","input_type":"audio","data":"AAAA","data":"AAAA"}',
        '{"action":"stream_data","input_type":"audio","data":"BBBB","data":"AAAA"}',
        '{"AAAA":1,"action":"stream_data","input_type":"audio","data":"AAAA"}',
        '{"AAAA":1,"action":"stream_data","input_type":"audio","data":"BBBB"}',
        '{"action":"stream_data","input_type":"audio","data":"}',
        '{"action":"stream_data","input_type":"audio","data":"AAAA"',
        '{"action":"stream_data","input_type":"audio","data":"AAAA"}x',
        '{"action":"stream_data","input_type":"audio","data":"AAAA","to":{"data":"AAAA"}}',
        '{"action":"ping"}',
    ]
)


def as_read(commands: list[Command]) -> list[object]:
    """Commands as values that can be compared."""
    return [
        (command.pcm.rate_hz, command.pcm.samples.tolist())
        if isinstance(command, events.Sound)
        else str(command)
        for command in commands
    ]


@given(st.lists(SOUND_TEXTS | MORE_TEXTS, max_size=8))
def test_what_was_said_before_changes_nothing(texts: list[str]) -> None:
    listening = neko()
    for text in texts:
        assert as_read(listening.decode(text)) == as_read(neko().decode(text))


def test_a_message_like_the_one_before_is_not_parsed_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listening = neko()
    message = json.dumps(AUDIO | {"sample_rate": 48_000, "data": BASE64})
    first = listening.decode(message)
    monkeypatch.setattr("voicecore.wire.neko.parse_object", None)
    assert as_read(listening.decode(message)) == as_read(first)
    assert sound(listening.decode(message.replace(BASE64, "AQACAA=="))).samples.tolist() == [1, 2]


def test_no_more_patterns_are_tried_than_are_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    listening = neko()
    for number in range(20):
        listening.decode(json.dumps(AUDIO | {"number": number, "data": BASE64}))
    monkeypatch.setattr("voicecore.wire.microphone.json", None)
    last = listening.decode(json.dumps(AUDIO | {"number": 20, "data": BASE64}))
    assert np.array_equal(sound(last).samples, SAMPLES)
