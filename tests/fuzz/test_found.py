"""What the fuzzers have found, each as small as it gets. Each failed before it was mended."""

from __future__ import annotations

import pytest

from tests.fuzz.scripts import Send, Visit
from tests.fuzz.test_host import Surroundings, play
from tests.fuzz.transcript import Transcript

START = Send('{"action": "start_session"}')


@pytest.mark.parametrize("order", range(20))
def test_a_message_that_is_too_long_right_after_another_closes_with_1009(order: int) -> None:
    """The host was gone before the library had sent its close frame: 1006."""
    world = Surroundings([], [], sees=False, warm=True, order=order)
    other = Visit("/ws/default", ())
    play(world, other, Visit("/ws/default", (START, Send("<too long>"))))


# --- the checker: one that lets everything through would find nothing -----------------------------

DONE = (
    '{"type":"done","tokensIn":1,"tokensOut":1,"costUsd":0,"durationMs":1,"model":"",'
    '"finalContent":"Hello"}'
)


@pytest.mark.parametrize(
    ("wire", "frames", "complaint"),
    [
        ("neko", [b"\0\0"], "without its header"),
        ("neko", ['{"type":"audio_chunk","speech_id":"a"}', '{"type":"pong"}'], "header and its"),
        ("neko", ['{"type":"audio_chunk","speech_id":"a"}', b""], "without sound"),
        ("neko", ['{"type":"done"}'], "not documented"),
        ("neko", ['{"type":"text","text":"Hi","x":NaN}'], "NaN is no JSON"),
        ("neko", ['{"type":"text","delta":"Hi"}'], "text with"),
        (
            "neko",
            [
                '{"type":"user_activity","interrupted_speech_id":"a"}',
                '{"type":"audio_chunk","speech_id":"a"}',
            ],
            "dead reply",
        ),
        (
            "cortex",
            ['{"type":"start"}', '{"type":"chunk","delta":"Hel"}', DONE],
            "finalContent",
        ),
        ("cortex", [DONE], "done without a start"),
    ],
)
def test_the_transcript_complains(wire: str, frames: list[str | bytes], complaint: str) -> None:
    *before, last = frames
    told = Transcript(wire)
    for frame in before:
        told.feed(frame)
    with pytest.raises(AssertionError, match=complaint):
        told.feed(last)


def test_a_header_needs_its_sound() -> None:
    told = Transcript("neko")
    told.feed('{"type":"audio_chunk","speech_id":"a"}')
    with pytest.raises(AssertionError, match="without its sound"):
        told.close(cut=False)
