"""Microphone sound in the three forms N.E.K.O. clients send it: base64, numbers, binary frames."""

from __future__ import annotations

import binascii
import json
import struct
from array import array
from typing import cast

import numpy as np

from voicecore.audio import (
    EAR_HZ,
    HIGHEST_HZ,
    LOWEST_HZ,
    Pcm,
    Samples,
    decode_s16le,
    ms_to_samples,
)
from voicecore.errors import BadAudio, ClientError
from voicecore.events import Command, Sound
from voicecore.wire.protocol import Json, bytes_field, kind_of

STEP_MS = 500
"""Messages of any length are taken in steps of this, so that bounds count in time."""

DESKTOP_SAMPLES, DESKTOP_HZ = 480, 48_000
"""The web client's arrays are of 10 ms; their length is all that tells their rate (wire.md 1.2)."""

MAGIC = b"NEKO"
"""A binary frame begins with this and its rate in Hz, unsigned 32 bit, little-endian."""

_HEADER = struct.Struct("<4sI")

MAX_FRAME_MS = 120
"""In one binary frame (wire.md 1.2)."""

MAX_PATTERNS = 8
"""Tried for one client. Messages that bear a number or a time fit none, and to try costs as much as
to parse one."""
MAX_PATTERN_CHARS = 64 * 1024
"""In a message that is tried. Longer ones gain nothing."""
_PROBE = "AAAA+/=="


def from_message(message: Json) -> list[Command]:
    """Read the sound of a JSON message: base64 of s16le, or an array of int16.

    ``sample_rate`` or ``sample_rate_hz`` is its rate; without them it is 16 kHz, and 48 kHz for an
    array of 480.

    Raises:
        ClientError: something in it is wrong; named ``BAD_BASE64``, ``BAD_AUDIO``,
            ``BAD_SAMPLE_RATE`` or ``BAD_MESSAGE``.
    """
    data = message.get("data")
    samples = _from_array(data) if isinstance(data, list) else decode_s16le(_bytes(message))
    desktop = isinstance(data, list) and len(data) == DESKTOP_SAMPLES
    rate_hz = _explicit_rate(message) or (DESKTOP_HZ if desktop else EAR_HZ)
    return _in_steps(samples, rate_hz)


class Repeats:
    """Reads messages that differ from an earlier one in nothing but their base64 sound.

    So do nearly all that a client sends, 50 in a second. Where the sound stands between the same
    two pieces of text, the message says the same, and need not be parsed again.
    """

    def __init__(self) -> None:
        self._before = self._after = ""
        self._rate_hz = EAR_HZ
        self._tries = MAX_PATTERNS

    def learn(self, text: str, message: Json, rate_hz: int) -> None:
        """Take a message that was parsed, and its sound's rate."""
        data = message["data"]
        plain = not any(isinstance(value, dict | list) for value in message.values())
        if not plain or not self._tries or len(text) > MAX_PATTERN_CHARS:
            return
        self._tries -= 1
        before, quoted, after = text.partition(f'"{data}"')
        # Another field may have the same text, or the same name: try what this place decides.
        if quoted and json.loads(f'{before}"{_PROBE}"{after}') == {**message, "data": _PROBE}:
            self._before, self._after, self._rate_hz = f'{before}"', f'"{after}', rate_hz

    def read(self, text: str) -> list[Command] | None:
        """Read a message of the learnt pattern; None if it is another, or wrong."""
        begin, end = len(self._before), len(text) - len(self._after)
        fits = text.startswith(self._before) and text.endswith(self._after)
        if not self._before or not fits or begin >= end:
            return None
        try:
            # Strict: lets no quote and no backslash pass.
            data = binascii.a2b_base64(text[begin:end], strict_mode=True)
            return _in_steps(decode_s16le(data), self._rate_hz)
        except (ValueError, BadAudio):
            return None


def from_frame(frame: bytes) -> list[Command]:
    """Read a binary frame: ``NEKO``, the rate, and at most 120 ms of s16le.

    Raises:
        ClientError: something in it is wrong; named ``BAD_FRAME``, ``BAD_AUDIO`` or
            ``BAD_SAMPLE_RATE``.
    """
    if len(frame) < _HEADER.size or not frame.startswith(MAGIC):
        raise ClientError(
            "A binary message must begin with NEKO and the sample rate (8 bytes in all), and go on "
            "with 16-bit sound.",
            "BAD_FRAME",
        )
    rate_hz = _checked_rate(_HEADER.unpack_from(frame)[1])
    samples = decode_s16le(memoryview(frame)[_HEADER.size :])
    if len(samples) > ms_to_samples(MAX_FRAME_MS, rate_hz):
        raise ClientError(
            f"A binary message holds at most {MAX_FRAME_MS} ms of sound; this one has "
            f"{len(samples)} samples at {rate_hz} Hz.",
            "BAD_FRAME",
        )
    return _in_steps(samples, rate_hz)


def _bytes(message: Json) -> bytes:
    if not isinstance(message.get("data"), str):
        found = kind_of(message.get("data"))
        raise ClientError(f"'data' must be base64 text or a list of samples, not {found}.")
    return bytes_field(message, "data")


def _from_array(values: list[object]) -> Samples:
    # type() and not isinstance: to Python true is a number, to the client it is a mistake.
    if not set(map(type, values)) <= {int}:
        raise BadAudio("'data' must hold nothing but whole numbers.")
    try:
        # A third of the time of np.array.
        return np.frombuffer(array("h", cast("list[int]", values)), np.int16)
    except OverflowError:
        raise BadAudio("'data' must hold samples from -32768 to 32767.") from None


def _explicit_rate(message: Json) -> int | None:
    for key in ("sample_rate", "sample_rate_hz"):
        rate_hz = message.get(key)
        if rate_hz is None:
            continue
        if type(rate_hz) is not int:
            raise ClientError(
                f"{key!r} must be a whole number of Hz, not {kind_of(rate_hz)}.", "BAD_SAMPLE_RATE"
            )
        return _checked_rate(rate_hz)
    return None


def _checked_rate(rate_hz: int) -> int:
    if not LOWEST_HZ <= rate_hz <= HIGHEST_HZ:
        raise ClientError(
            f"The sample rate must be from {LOWEST_HZ} to {HIGHEST_HZ} Hz.", "BAD_SAMPLE_RATE"
        )
    return rate_hz


def _in_steps(samples: Samples, rate_hz: int) -> list[Command]:
    step = ms_to_samples(STEP_MS, rate_hz)
    return [Sound(Pcm(samples[at : at + step], rate_hz)) for at in range(0, len(samples), step)]
