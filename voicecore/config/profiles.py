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
    "A small board (2 GB are plenty, 1 GB will do) with one person in front of it.",
    rest_mib=440,
    most_mib=562,
    choices=(
        Choice("stt.model", "whisper-tiny.en", "The smallest there is: 38 MB in memory."),
        Choice("stt.compute_type", "int8", "A quarter of the memory of `float32`, and faster."),
        Choice("stt.lean", True, "Loaded once, not twice: 42 MB. A word costs some ms more."),
        Choice("tts.model", "en_US-joe-medium", "The smallest there is: 60 MB, a mapped file."),
        Choice("tts.lean", True, "Gives back what a phrase took: 50 MB."),
        Choice("turn.lean", True, "Gives back what a judgement took: 28 MB."),
        Choice("llm.model", "smollm2-135m-instruct", "The smallest there is: 98 MB, mapped."),
        Choice("llm.lean", True, "No store of other conversations, and half the context: 80 MB."),
        Choice("llm.parallel", 1, "One person is answered at a time; each more takes 23 MB."),
        Choice("llm.max_history_messages", 40, "More than the context holds is not kept loaded."),
        Choice(
            "server.max_sessions",
            3,
            "One page, the same page loaded anew before the old one is gone, and one look from "
            "elsewhere. More would wait for each other.",
        ),
        Choice("server.max_message_bytes", 4 * MIB, "A message is held whole while it arrives."),
        Choice("eyes.max_picture_bytes", 2 * MIB, "It has to fit into a message, as base64."),
        Choice("eyes.max_picture_pixels", 4_000_000, "12 MB unpacked; 40 million are 120 MB."),
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
