"""The short way gives what the library alone gives, for any frames, cut anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage

from voicecore.wire.frames import Frames, Way

KEY = b"\x01\x80\xff\x3c"


def frame(
    first: int, payload: bytes = b"", *, key: bytes | None = KEY, width: int | None = None
) -> bytes:
    """Write a frame; ``width`` is that of its length, in bytes, if it is not the shortest."""
    size = len(payload)
    if width is None:
        width = 0 if size < 126 else 2 if size < 65_536 else 8
    code = {0: size, 2: 126, 8: 127}[width]
    length = size.to_bytes(width) if width else b""
    if key is None:
        return bytes([first, code]) + length + payload
    masked = bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))
    return bytes([first, code | 0x80]) + length + key + masked


class Library:
    """The library's part, as it runs behind the short way; or alone."""

    def __init__(self) -> None:
        self.connection = Connection(ConnectionType.SERVER)
        self.messages: list[str | bytes] = []
        self.pings: list[bytes] = []
        self.closed: int | None = None
        self._text, self._bytes = "", b""

    def feed(self, data: bytes) -> None:
        if self.closed is not None or not data:
            return
        self.connection.receive_data(data)
        for event in self.connection.events():
            match event:
                case TextMessage():
                    self._text += event.data
                    if event.message_finished:
                        self.messages.append(self._text)
                        self._text = ""
                case BytesMessage():
                    self._bytes += event.data
                    if event.message_finished:
                        self.messages.append(self._bytes)
                        self._bytes = b""
                case Ping():
                    self.pings.append(bytes(event.payload))
                case CloseConnection():
                    self.closed = int(event.code)
                    return


def read(parts: list[bytes], longest: int) -> tuple[list[str | bytes], list[bytes], int | None]:
    """Read all parts by the short way and the library behind it; a message's place is its own."""
    frames, library = Frames(longest), Library()
    found: list[str | bytes | Way] = []
    for part in parts:
        found += frames.feed(part)
        library.feed(bytes(frames.passed))
        frames.passed.clear()
    frames.close()  # what is held may be wrong already, though it is not a whole frame
    library.feed(bytes(frames.passed))
    passed = iter(library.messages)
    messages = list(in_order(found, passed))
    return [*messages, *passed], library.pings, library.closed


def in_order(
    found: list[str | bytes | Way], passed: Iterator[str | bytes]
) -> Iterator[str | bytes]:
    for item in found:
        if not isinstance(item, Way):
            yield item
            continue
        message = next(passed, None)
        if message is None:
            return  # the connection ended, or the message did not
        yield message


def alone(data: bytes) -> tuple[list[str | bytes], list[bytes], int | None]:
    library = Library()
    library.feed(data)
    assert library.connection.state is not ConnectionState.CONNECTING
    return library.messages, library.pings, library.closed


PAYLOADS = st.binary(max_size=140) | st.text(max_size=40).map(str.encode)
OPCODES = st.sampled_from([0x81, 0x81, 0x82, 0x82, 0x89, 0x8A, 0x01, 0x02, 0x00, 0x80])
GOOD = st.builds(frame, OPCODES, PAYLOADS, key=st.binary(min_size=4, max_size=4))
ODD = st.builds(
    frame,
    OPCODES | st.integers(0, 255) | st.just(0x88),
    PAYLOADS,
    key=st.just(KEY) | st.none(),
    width=st.sampled_from([None, None, 2, 8]),
)
CUTS = st.lists(st.integers(0, 2_000), max_size=8).map(sorted)


@given(
    st.lists(st.one_of(GOOD, GOOD, GOOD, ODD), max_size=10).map(b"".join) | st.binary(max_size=60),
    CUTS,
    st.sampled_from([20, 100, 100_000]),
)
@example(frame(0x81, b"\xff") + frame(0x81, b"later"), [], 100_000)
@example(frame(0x01, b"a") + frame(0x89) + frame(0x80, b"b") + frame(0x81, b"c"), [3, 9], 100_000)
@example(frame(0x01, b"a") + frame(0x81, b"b"), [], 100_000)
def test_any_bytes_mean_what_they_mean_to_the_library(
    data: bytes, cuts: list[int], longest: int
) -> None:
    edges = [0, *(min(cut, len(data)) for cut in cuts), len(data)]
    parts = [data[begin:end] for begin, end in pairwise(edges)]
    assert read(parts, longest) == alone(data)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_000, 65_535, 65_536, 70_000])
@pytest.mark.parametrize("first", [0x81, 0x82])
def test_messages_of_every_length(first: int, size: int) -> None:
    payload = (b"0123456789" * (size // 10 + 1))[:size]
    data = frame(first, payload) + frame(0x81, b"next")
    expected = payload.decode() if first == 0x81 else payload
    for step in (1_000, len(data)):
        parts = [data[at : at + step] for at in range(0, len(data), step)]
        assert read(parts, 1 << 24) == ([expected, "next"], [], None)


def test_a_short_message_never_reaches_the_library() -> None:
    frames = Frames(1 << 20)
    assert frames.feed(frame(0x81, b"hello") + frame(0x82, b"\x00\x01")) == ["hello", b"\x00\x01"]
    assert not frames.passed
    assert not frames.passing


def test_no_more_is_held_than_a_short_message() -> None:
    frames = Frames(1 << 24)
    whole = frame(0x82, bytes(1 << 20))
    held = 0
    for at in range(0, len(whole), 4_096):
        frames.feed(whole[at : at + 4_096])
        held = max(held, len(frames._held))
        frames.passed.clear()
    assert held < 66_000


def test_after_a_close_all_is_for_the_library() -> None:
    frames = Frames(1 << 20)
    goodbye = frame(0x88, b"\x03\xe8")
    assert frames.feed(goodbye + frame(0x81, b"late")) == [Way.LIBRARY]
    assert frames.feed(frame(0x81, b"later")) == []
    assert frames.over
    assert bytes(frames.passed) == goodbye + frame(0x81, b"late") + frame(0x81, b"later")
