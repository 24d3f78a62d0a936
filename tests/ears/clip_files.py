"""Recordings in containers, made as browsers and phones make them."""

from __future__ import annotations

import fractions
import io
import struct
from collections.abc import Iterable, Mapping

import attrs
import av
import numpy as np

from voicecore.audio import Samples

RATE_HZ = 48_000


def melody(seconds: float, rate_hz: int = RATE_HZ) -> Samples:
    """Tones of 250 ms that swell and fade: each place is unlike every other."""
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    step = np.floor(time_s / 0.25)
    swell = np.sin(np.pi * (time_s % 0.25) / 0.25)
    tone = np.sin(2 * np.pi * (200 + 37 * step) * time_s)
    return (9_000 * swell * tone).astype(np.int16)


class Pipe:
    """Takes bytes and cannot go back: as MediaRecorder writes, with sizes unknown."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes) -> int:
        self.data += data
        return len(data)


@attrs.frozen
class Kind:
    container: str
    codec: str
    options: Mapping[str, str] = {}
    piped: bool = True
    rate_hz: int = RATE_HZ
    layout: str = "mono"


FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "500000"}
LIVE = {"live": "1", "cluster_time_limit": "500"}

KINDS = {
    "WebM as Chrome and Firefox": Kind("webm", "libopus", LIVE),
    "WebM with PCM as Chrome": Kind("matroska", "pcm_f32le", LIVE),
    "WebM, stereo": Kind("webm", "libopus", LIVE, layout="stereo"),
    "Ogg as Firefox and messengers": Kind("ogg", "libopus"),
    "Ogg with FLAC": Kind("ogg", "flac"),
    "Ogg with Vorbis": Kind("ogg", "vorbis", layout="stereo"),
    "MP4 as Safari": Kind("mp4", "aac", FRAGMENTS),
    "MP4 with Opus": Kind("mp4", "libopus", FRAGMENTS),
    "M4A as phones": Kind("ipod", "aac", piped=False, rate_hz=44_100),
    "M4A with ALAC": Kind("ipod", "alac", piped=False),
    "MP3 with tags": Kind("mp3", "libmp3lame", piped=False, rate_hz=44_100, layout="stereo"),
    "MP3 alone": Kind("mp3", "libmp3lame", {"write_xing": "0", "id3v2_version": "0"}),
    "FLAC": Kind("flac", "flac", rate_hz=16_000),
    "FLAC at 96 kHz": Kind("flac", "flac", rate_hz=96_000),
    "AAC": Kind("adts", "aac", rate_hz=16_000),
    "AMR": Kind("amr", "libopencore_amrnb", rate_hz=8_000),
}


def recorded(kind: Kind, sound: Samples) -> bytes:
    """Encode sound that is at the kind's own rate."""
    out: Pipe | io.BytesIO = Pipe() if kind.piped else io.BytesIO()
    with av.open(out, "w", format=kind.container, options=dict(kind.options)) as file:
        stream = file.add_stream(kind.codec, rate=kind.rate_hz, options={"strict": "-2"})
        assert isinstance(stream, av.AudioStream)
        stream.layout = kind.layout
        if kind.codec == "libopencore_amrnb":
            stream.bit_rate = 12_200
        for frame in frames(sound, kind.rate_hz):
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return bytes(out.data if isinstance(out, Pipe) else out.getvalue())


def frames(sound: Samples, rate_hz: int) -> Iterable[av.AudioFrame]:
    for at in range(0, len(sound), rate_hz // 50):
        frame = av.AudioFrame.from_ndarray(
            sound[None, at : at + rate_hz // 50], format="s16", layout="mono"
        )
        frame.sample_rate, frame.pts = rate_hz, at
        frame.time_base = fractions.Fraction(1, rate_hz)
        yield frame


def webm_of_packets(packets: Iterable[bytes], packet_ms: int = 20) -> bytes:
    """Put Opus packets into WebM as they are, valid or not."""
    out = Pipe()
    with av.open(out, "w", format="webm", options=LIVE) as file:
        stream = file.add_stream("libopus", rate=RATE_HZ)
        assert isinstance(stream, av.AudioStream)
        stream.layout = "mono"
        stream.codec_context.open()
        for index, data in enumerate(packets):
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, fractions.Fraction(1, 1000)
            packet.pts = packet.dts = index * packet_ms
            file.mux(packet)
    return bytes(out.data)


def filmed(container: str, codec: str) -> bytes:
    """A short video with sound."""
    out = Pipe()
    with av.open(out, "w", format=container, options=LIVE) as file:
        film = file.add_stream(codec, rate=25)
        assert isinstance(film, av.VideoStream)
        film.width, film.height, film.pix_fmt = 64, 64, "yuv420p"
        voice = file.add_stream("libopus", rate=RATE_HZ)
        assert isinstance(voice, av.AudioStream)
        voice.layout = "mono"
        for _ in range(5):
            picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            file.mux(film.encode(picture))
        file.mux(film.encode(None))
        for frame in frames(melody(0.2), RATE_HZ):
            file.mux(voice.encode(frame))
        file.mux(voice.encode(None))
    return bytes(out.data)


def with_cover(mp3: bytes, picture: bytes, title: bytes) -> bytes:
    """Put ID3v2.3 tags before an MP3: a picture, and a title of any bytes."""

    def tag(name: bytes, body: bytes) -> bytes:
        return name + struct.pack(">IH", len(body), 0) + body

    tags = tag(b"TIT2", b"\3" + title) + tag(b"APIC", b"\0image/png\0\3\0" + picture)
    size = bytes(len(tags) >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + size + tags + mp3
