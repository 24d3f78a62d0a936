"""Typing: the keys of a terminal, the lines of a pipe, files that are always ready."""

from __future__ import annotations

import os
import pty
import termios
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from voicecore.talk.keyboard import (
    MOST_CHARS,
    LineEditor,
    LineReader,
    Typing,
    keys_of,
    read_some,
)


@pytest.mark.parametrize(
    ("keys", "lines", "rest"),
    [
        (b"hello\rand", ["hello"], "and"),
        (b"helo\x7flo\n", ["hello"], ""),
        (b"one two  three\x17four\n", ["one two  four"], ""),
        (b"alone\x17\n", [""], ""),
        (b"all gone\x15new", [], "new"),
        ("grüße, 你好\x7f吗\n".encode(), ["grüße, 你吗"], ""),
        ("e\u0301\x7fx".encode(), [], "x"),
        (b"up\x1b[Aand\x1b[1;5Cleft\x1bOD!", [], "upandleft!"),
        (b"tab\tbell\x07\x00", [], "tabbell"),
        (b"\n\n", ["", ""], ""),
        (b"\x7f\x17", [], ""),
    ],
)
def test_keys(keys: bytes, lines: list[str], rest: str) -> None:
    editor = LineEditor()
    assert editor.feed(keys) == lines
    assert editor.text == rest
    assert not editor.ended


def test_ctrl_d_ends_only_an_empty_line() -> None:
    editor = LineEditor()
    editor.feed(b"word\x04")
    assert not editor.ended
    editor.feed(b"\n\x04")
    assert editor.ended


def test_a_line_is_bounded() -> None:
    editor, reader = LineEditor(), LineReader()
    editor.feed(b"x" * 10_000)
    assert len(editor.text) == MOST_CHARS
    for _ in range(10):
        reader.feed(b"x" * 10_000)
    assert [len(line) for line in reader.feed(b"\n")] == [MOST_CHARS]


@given(st.binary(max_size=200), st.lists(st.integers(0, 40), max_size=8))
def test_keys_may_arrive_in_any_pieces(data: bytes, sizes: list[int]) -> None:
    whole, pieces = LineEditor(), LineEditor()
    expected, got, at = whole.feed(data), [], 0
    for size in [*sizes, len(data)]:
        got += pieces.feed(data[at : at + size])
        at += size
    assert (got, pieces.text, pieces.ended) == (expected, whole.text, whole.ended)


def test_the_last_line_of_a_pipe_needs_no_end() -> None:
    reader = LineReader()
    assert reader.feed(b"one\r\ntw") == ["one"]
    assert reader.feed("o \u4f60".encode()[:-1]) == []
    assert reader.feed("\u4f60".encode()[-1:]) == []
    assert reader.feed(b"") == ["two 你"]
    assert reader.ended


async def lines_of(typing: Typing) -> list[str]:
    found = []
    while (line := await typing.next()) is not None:
        found.append(line)
    return found


async def test_a_pipe_is_read_to_its_end() -> None:
    out, into = os.pipe()
    os.write(into, b"hello\nthere")
    os.close(into)
    assert await lines_of(Typing(out, LineReader())) == ["hello", "there"]
    os.close(out)


@pytest.mark.parametrize("content", [b"hello\nthere\n", b""])
async def test_a_file_is_read_too(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "questions.txt"
    path.write_bytes(content)
    file = os.open(path, os.O_RDONLY)
    assert await lines_of(Typing(file, LineReader())) == content.decode().split()
    os.close(file)


async def test_waiting_for_a_key_can_be_cancelled() -> None:
    out, into = os.pipe()
    with trio.move_on_after(0) as scope:
        await Typing(out, LineReader()).next()
    assert scope.cancelled_caught
    os.close(into)
    os.close(out)


async def test_the_terminal_gives_keys_at_once_and_is_put_back() -> None:
    outer, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    with keys_of(terminal):
        assert not termios.tcgetattr(terminal)[3] & (termios.ECHO | termios.ICANON)
        assert termios.tcgetattr(terminal)[3] & termios.ISIG, "Ctrl-C must interrupt"
        os.write(outer, b"half a line")
        with trio.fail_after(10):
            assert await read_some(terminal) == b"half a line"
    assert termios.tcgetattr(terminal) == before
    os.close(outer)
    os.close(terminal)


async def test_a_terminal_that_is_closed_ends_the_input() -> None:
    outer, terminal = pty.openpty()
    os.close(outer)
    assert await Typing(terminal, LineEditor()).next() is None
    os.close(terminal)
