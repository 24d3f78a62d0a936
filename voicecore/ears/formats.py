"""What a recorded message may be, and how its first bytes tell."""

from __future__ import annotations

from voicecore.errors import BadAudio

HEAD_BYTES = 12
"""Enough to tell every container below; the smallest WAV file has 44."""

MAX_RATE_HZ = 192_000
"""Of any recording: the most that sound cards record at."""

ACCEPTED_PLAIN = (
    "WAV (PCM of 8, 16, 24 or 32 bits or 32-bit float, mono or stereo, 8 to 192 kHz), or raw PCM "
    '(format "pcm": 16 kHz, signed 16-bit little-endian, mono)'
)
"""What is decoded without PyAV."""

ACCEPTED = (
    "sound without pictures as WebM or Ogg (Opus, Vorbis or FLAC), MP3, MP4 or M4A (AAC, Opus or "
    f"ALAC), AAC, FLAC or AMR; {ACCEPTED_PLAIN}"
)

_MAGIC = (
    (b"\x1aE\xdf\xa3", "WebM"),
    (b"OggS", "Ogg"),
    (b"fLaC", "FLAC"),
    (b"ID3", "MP3"),
    (b"#!AMR", "AMR"),
    (b"RIFX", "big-endian WAV"),
    (b"RF64", "64-bit WAV"),
    (b"FORM", "AIFF"),
)


def container_name(head: bytes) -> str | None:
    """Name the container a file's first `HEAD_BYTES` tell of; None for one we do not know."""
    if head[:4] == b"RIFF":
        return "WAV" if head[8:12] == b"WAVE" else "RIFF without WAVE"
    if head[4:8] == b"ftyp":
        return "MP4"
    if head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "AAC"  # ADTS: 12 sync bits, and layer 0, which MP3 has not
    if head[0] == 0xFF and head[1] & 0xE6 in {0xE2, 0xE4, 0xE6}:
        return "MP3"  # a frame's 11 sync bits, then a layer that exists
    return next((name for magic, name in _MAGIC if head.startswith(magic)), None)


def plain_name(format_name: str | None) -> str:
    """``audio/x-wav; codecs=1`` is wav."""
    name = (format_name or "").split(";")[0].strip().lower()
    return name.removeprefix("audio/").removeprefix("x-")


def check_length(ms: float, max_ms: float) -> None:
    """Refuse a recording that is too long.

    Raises:
        BadAudio: ``RECORDING_TOO_LONG``.
    """
    if ms > max_ms:
        raise BadAudio(
            f"The recording is longer than {max_ms / 1000:g} s; send shorter ones.",
            "RECORDING_TOO_LONG",
        )
