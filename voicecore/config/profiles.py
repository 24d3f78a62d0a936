"""Named sets of defaults, for machines that the plain ones do not fit.

A profile is weaker than the configuration file and ``--set``: it changes what a setting is when
nobody says otherwise. Each value stands here with its reason, which ``voicecore serve --help`` and
docs/configuration.md repeat.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

MIB = 1024 * 1024


@attrs.frozen
class Choice:
    """What one setting is in a profile."""

    key: str
    """Dotted: ``llm.parallel``."""
    value: str | int | bool
    why: str
    """One or two sentences, in Markdown."""


@attrs.frozen
class Profile:
    """A named set of defaults."""

    summary: str
    """One sentence: for which machine."""
    rest_mib: int
    """What the host's process holds with it and the default models, after some turns, at rest."""
    most_mib: int
    """The most it held meanwhile. Both measured on x86-64 with ``python -m benchmarks.memory``; the
    most is what ``voicecore check`` wants to see free."""
    choices: Sequence[Choice] = ()


KIOSK = Profile(
    "A small board of 2 GB, with one person in front of it.",
    rest_mib=440,
    most_mib=562,
    choices=(
        Choice("stt.model", "whisper-tiny.en", "The smallest there is: 60 MiB in memory."),
        Choice("stt.compute_type", "int8", "A quarter of the memory of `float32`, and faster."),
        Choice(
            "stt.lean",
            value=True,
            why="Loaded once, not twice: 41 MiB. A token takes up to 4 ms more.",
        ),
        Choice(
            "tts.model",
            "en_US-joe-medium",
            "The smallest there is: 76 MiB, most of it a mapped file.",
        ),
        Choice(
            "tts.lean",
            value=True,
            why="Gives back what a phrase took, 37 MiB, and makes it in shorter pieces.",
        ),
        Choice(
            "turn.lean",
            value=True,
            why="Gives back what a judgement took, 18 MiB, for 10 ms of 60.",
        ),
        Choice(
            "llm.model",
            "smollm2-135m-instruct",
            "The smallest there is: 94 MiB of weights, a mapped file.",
        ),
        Choice(
            "llm.lean",
            value=True,
            why="A context of 768 tokens, not 2048, and none kept of others: 60 MiB.",
        ),
        Choice("llm.parallel", 1, "One person is answered at a time; each more takes 17 MiB."),
        Choice("llm.max_history_messages", 40, "More than the context holds is not kept loaded."),
        Choice(
            "server.max_sessions",
            3,
            "One page, the same page loaded anew before the old one is gone, and one more. More "
            "would only wait for each other.",
        ),
        Choice("server.max_message_bytes", 4 * MIB, "A message is held whole while it arrives."),
        Choice("eyes.max_picture_bytes", 2 * MIB, "It has to fit into a message, as base64."),
        Choice("eyes.max_picture_pixels", 4_000_000, "11 MiB unpacked; 40 million are 114."),
        Choice("eyes.max_file_bytes", 2 * MIB, "A file is held whole, and its text beside it."),
        Choice("ears.max_recording_ms", 60_000, "A recording is held whole until it is heard."),
        Choice("ears.max_recording_bytes", 8 * MIB, "For the same reason."),
    ),
)

PROFILES: Mapping[str, Profile] = {
    "default": Profile(
        "A desktop machine or a server, with room for several conversations.",
        rest_mib=647,
        most_mib=738,
    ),
    "kiosk": KIOSK,
}
