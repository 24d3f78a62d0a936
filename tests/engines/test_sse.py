from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore.engines.sse import MAX_EVENT_BYTES, SseReader
from voicecore.errors import EngineError


def events_of(*chunks: bytes) -> list[str]:
    reader = SseReader()
    found = [event for chunk in chunks for event in reader.feed(chunk)]
    return found + reader.close()


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: one\n\ndata: two\n\n", ["one", "two"]),
        (b"data:one\r\n\r\ndata: two\r\r", ["one", "two"]),
        (b"data: a\ndata: b\n\n", ["a\nb"]),
        (b"data:  kept space\n\n", [" kept space"]),
        (b": ping\n\nevent: x\nid: 3\nretry: 5\ndata: one\n\n", ["one"]),
        (b"\xef\xbb\xbfdata: one\n\n", ["one"]),
        (b"data\n\n", [""]),
        (b"data: no blank line\n", []),
        (b"data: cut sh", []),
        (b"database: not data\n\n", []),
        ("data: 天 🎉\n\n".encode(), ["天 🎉"]),
        (b"", []),
    ],
)
def test_events(stream: bytes, events: list[str]) -> None:
    assert events_of(stream) == events


LINES = st.sampled_from(
    [
        b"data: x",
        "data: é🎉".encode(),
        b"data",
        b": note",
        b"event: y",
        b"",
        b"",
        b"data:\xef\xbb\xbf",
    ]
)
STREAMS = st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r\n", b"\r"]))).map(
    lambda lines: b"".join(line + end for line, end in lines)
)


@given(stream=STREAMS, data=st.data())
def test_any_chunking_gives_the_same_events(stream: bytes, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(stream))).map(sorted))
    edges = [0, *cuts, len(stream)]
    chunks = [stream[a:b] for a, b in pairwise(edges)]

    whole = events_of(stream)

    assert events_of(*chunks) == whole
    assert events_of(*(bytes([byte]) for byte in stream)) == whole


@pytest.mark.parametrize("piece", [b"x" * 65_536, b"data: " + b"x" * 65_536 + b"\n"])
def test_an_endless_event_is_refused(piece: bytes) -> None:
    reader = SseReader()
    for _ in range(MAX_EVENT_BYTES // len(piece)):
        assert reader.feed(piece) == []

    with pytest.raises(EngineError, match="over 1048576 bytes"):
        reader.feed(piece * 2)


def test_many_small_events_are_no_long_one() -> None:
    reader = SseReader()

    count = sum(len(reader.feed(b"data: " + b"x" * 1000 + b"\n\n")) for _ in range(2000))

    assert count == 2000


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(EngineError, match="not UTF-8"):
        events_of(b"data: \xff\n\n")
