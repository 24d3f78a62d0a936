"""Every input the fuzzer starts from, and every one it ever broke a decoder with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fuzz import decoders
from voicecore import events

HERE = Path(__file__).parent
SEEDS = sorted(HERE.glob("corpus/*/*"))
FOUND = sorted(HERE.glob("found/*/*"))
GOOD = [path for path in SEEDS if not path.stem.startswith("malformed")]


@pytest.mark.parametrize(
    "path", [*SEEDS, *FOUND], ids=lambda path: path.relative_to(HERE).as_posix()
)
def test_every_input_keeps_the_promises(path: Path) -> None:
    for name in decoders.MAKERS:  # each protocol is also sent the other's messages
        decoders.check(name, path.read_bytes())


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.relative_to(HERE).as_posix())
def test_the_seeds_are_messages_of_their_protocol(path: Path) -> None:
    """A seed that is refused leads nowhere."""
    wire = decoders.MAKERS[path.parent.name]()
    for message in decoders.messages(path.read_bytes()):
        commands = wire.decode(message)
        assert commands
        assert not [one for one in commands if isinstance(one, events.Wrong)], message


@pytest.mark.parametrize("name", decoders.MAKERS)
def test_the_seeds_reach_every_message_of_the_protocol(name: str) -> None:
    sent = set()
    for path in SEEDS:
        if (
            path.parent.name == name
            and path.suffix == ".txt"
            and not path.stem.startswith("malformed")
        ):
            for message in decoders.messages(path.read_bytes()):
                parsed = json.loads(message)
                sent.add(parsed.get("action" if name == "neko" else "type"))
    wire = decoders.MAKERS[name]()
    known = set(wire._actions if name == "neko" else wire._types)  # type: ignore[attr-defined]
    assert known - sent <= {
        "capture_bridge_response", "capture_bridge_status", "cat_greeting_check", "goodbye_state",
        "screenshot_response", "voice_input_control", "voice_play_end",
    }  # fmt: skip
    assert sent <= known
