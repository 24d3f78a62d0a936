from __future__ import annotations

import io
import math
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voicecore.audio import Pcm, Samples, encode_s16le, wav_bytes
from voicecore.ears.clip import ClipDecoder, read_clip
from voicecore.ears.formats import ACCEPTED, container_name
from voicecore.ears.wav import MAX_HEADER_BYTES, WavReader
from voicecore.errors import BadAudio

SOUND = np.random.default_rng(0).integers(-32_768, 32_767, 500).astype(np.int16)
GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    padding = b"\0" * (len(body) % 2)
    return name + struct.pack("<I", len(body) if size is None else size) + body + padding


def fmt(tag: int, bits: int, channels: int = 1, rate_hz: int = 16_000) -> bytes:
    frame = channels * bits // 8
    return struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * frame, frame, bits)


def extensible(tag: int, bits: int, tail: bytes = GUID_TAIL) -> bytes:
    return fmt(0xFFFE, bits) + struct.pack("<HHIH", 22, bits, 0, tag) + tail


def wav(*chunks: bytes) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def with_pcm(bits: int, data: bytes, channels: int = 1, rate_hz: int = 16_000) -> bytes:
    return wav(chunk(b"fmt ", fmt(1, bits, channels, rate_hz)), chunk(b"data", data))


def in_24_bits(samples: Samples) -> bytes:
    return b"".join(struct.pack("<i", int(sample) * 256 + 77)[:3] for sample in samples)


def decoded(parts: list[bytes], format_name: str | None = None) -> list[Pcm]:
    decoder = ClipDecoder(format_name)
    return [pcm for part in parts for pcm in decoder.feed(part)] + decoder.close()


def sound_of(pieces: list[Pcm]) -> Samples:
    return np.concatenate([*(piece.samples for piece in pieces), np.zeros(0, np.int16)])


FILES = {
    "16 bit": with_pcm(16, encode_s16le(SOUND)),
    "8 bit": with_pcm(8, ((SOUND >> 8) + 128).astype(np.uint8).tobytes()),
    "24 bit": with_pcm(24, in_24_bits(SOUND)),
    "32 bit": with_pcm(32, (SOUND.astype("<i4") * 65_536 + 12_345).tobytes()),
    "float": wav(
        chunk(b"fmt ", fmt(3, 32)), chunk(b"data", (SOUND / 32_768).astype("<f4").tobytes())
    ),
    "extensible": wav(chunk(b"fmt ", extensible(1, 16)), chunk(b"data", encode_s16le(SOUND))),
    "other chunks": wav(
        chunk(b"LIST", b"odd"),
        chunk(b"fmt ", fmt(1, 16)),
        chunk(b"fact", b"1234"),
        chunk(b"data", encode_s16le(SOUND)),
        chunk(b"LIST", b"after the sound"),
    ),
    "stereo": with_pcm(16, encode_s16le(np.repeat(SOUND, 2)), channels=2),
    "no size": wav(chunk(b"fmt ", fmt(1, 16)), chunk(b"data", encode_s16le(SOUND), 0)),
    "piped": wav(chunk(b"fmt ", fmt(1, 16)), chunk(b"data", encode_s16le(SOUND), 0xFFFFFFFF)),
    "96 kHz": with_pcm(16, encode_s16le(SOUND), rate_hz=96_000),
}
EXACT = ["16 bit", "24 bit", "32 bit", "extensible", "other chunks", "stereo", "no size", "piped"]


@pytest.mark.parametrize("name", EXACT)
def test_a_wav_file_gives_its_samples(name: str) -> None:
    pieces = decoded([FILES[name]])
    assert {piece.rate_hz for piece in pieces} == {16_000}
    assert np.array_equal(sound_of(pieces), SOUND)


def test_8_bits_are_unsigned() -> None:
    assert np.array_equal(sound_of(decoded([FILES["8 bit"]])), SOUND >> 8 << 8)
    assert sound_of(decoded([with_pcm(8, b"\x80\x00\xff")])).tolist() == [0, -32_768, 32_512]


def test_float_is_scaled_and_clipped() -> None:
    got = sound_of(decoded([FILES["float"]])).astype(np.int32)
    assert np.abs(got - SOUND).max() <= 2
    loud = np.array([2, -2, math.nan, math.inf, -math.inf], "<f4").tobytes()
    pieces = decoded([wav(chunk(b"fmt ", fmt(3, 32)), chunk(b"data", loud))])
    assert sound_of(pieces).tolist() == [32_767, -32_767, 0, 32_767, -32_767]


def test_stereo_is_mixed_without_overflow() -> None:
    sides = np.array([32_767, 32_767, -32_768, -32_768, 100, -200], np.int16)
    pieces = decoded([with_pcm(16, encode_s16le(sides), channels=2)])
    assert sound_of(pieces).tolist() == [32_767, -32_768, -50]


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000])
def test_the_clips_own_rate_is_kept(rate_hz: int) -> None:
    pieces = decoded([with_pcm(16, encode_s16le(SOUND), rate_hz=rate_hz)])
    assert {piece.rate_hz for piece in pieces} == {rate_hz}


def test_a_higher_rate_is_brought_down_to_48_khz() -> None:
    pieces = decoded([FILES["96 kHz"]])
    assert {piece.rate_hz for piece in pieces} == {48_000}
    assert len(sound_of(pieces)) == 250


def test_the_librarys_own_wav_files_are_read() -> None:
    assert np.array_equal(sound_of(decoded([wav_bytes(Pcm(SOUND, 16_000))])), SOUND)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((2, 3, 44_100, 0, "NONE", "not compressed"))
        file.writeframes(in_24_bits(np.repeat(SOUND, 2)))
    assert np.array_equal(sound_of(decoded([buffer.getvalue()])), SOUND)


@given(st.sampled_from(sorted(FILES)), st.lists(st.integers(0, 2_100), max_size=20).map(sorted))
@example("other chunks", list(range(1_200)))
@example("stereo", list(range(2_100)))
def test_any_cutting_gives_the_same_sound(name: str, cuts: list[int]) -> None:
    data = FILES[name]
    parts = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    assert np.array_equal(sound_of(decoded(parts)), sound_of(decoded([data])))


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=8).map(sorted))
def test_raw_pcm_cut_anywhere(data: bytes, cuts: list[int]) -> None:
    parts = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    if len(data) > 1 and len(data) % 2:
        with pytest.raises(BadAudio, match="odd number of bytes"):
            decoded(parts, "pcm")
        return
    pieces = decoded(parts, "pcm")
    assert {piece.rate_hz for piece in pieces} <= {16_000}
    assert encode_s16le(sound_of(pieces)) == data[: len(data) // 2 * 2]


@given(st.integers(0, 2_000))
def test_a_truncated_file_gives_what_was_there(length: int) -> None:
    data = FILES["16 bit"][:length]
    if 0 < length < 44:
        with pytest.raises(BadAudio, match="ends"):
            decoded([data])
    else:
        whole = max(0, length - 44) // 2
        assert np.array_equal(sound_of(decoded([data])), SOUND[:whole])


@given(st.binary(max_size=200), st.lists(st.integers(0, 240), max_size=4).map(sorted))
def test_damage_gives_sound_or_bad_audio_and_nothing_else(junk: bytes, cuts: list[int]) -> None:
    data = FILES["other chunks"][:40] + junk
    parts = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    try:
        decoded(parts)
    except BadAudio as error:
        assert len(str(error)) > 20  # noqa: PT017 - sound is as right an answer


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (fmt(2, 4), "format 2, 4 bits"),
        (fmt(3, 64), "format 3, 64 bits"),
        (fmt(1, 16, channels=6), "6 channels"),
        (fmt(1, 16, rate_hz=4_000), "4000 Hz"),
        (fmt(1, 16, rate_hz=384_000), "384000 Hz"),
        (extensible(1, 16, b"?" * 14), "format 65534"),
        (struct.pack("<HHIIHH", 1, 2, 16_000, 64_000, 3, 16), "2 channels"),
        (b"short", "format chunk of 5 bytes"),
        (b"\0" * 2_000, "format chunk of 2000 bytes"),
    ],
)
def test_a_wav_of_another_kind_is_refused_with_what_is_accepted(body: bytes, says: str) -> None:
    with pytest.raises(BadAudio, match=says):
        decoded([wav(chunk(b"fmt ", body), chunk(b"data", b"\0" * 10))])


def test_sound_before_its_format_is_refused() -> None:
    with pytest.raises(BadAudio, match="before its format"):
        decoded([wav(chunk(b"data", b"\0" * 10))])


def test_an_endless_header_is_refused() -> None:
    head = wav(chunk(b"fmt ", fmt(1, 16)), chunk(b"JUNK", b"", 0xFFFFFFF0))
    decoder = ClipDecoder(None)
    decoder.feed(head + b"\0" * (MAX_HEADER_BYTES - len(head)))
    with pytest.raises(BadAudio, match="no sound within"):
        decoder.feed(b"\0")


def test_a_clip_that_is_too_long_is_refused() -> None:
    decoder = ClipDecoder("pcm", max_bytes=100)
    assert len(decoder.feed(b"\0" * 100)) == 1
    with pytest.raises(BadAudio, match="longer than 100 bytes") as refused:
        decoder.feed(b"\0")
    assert refused.value.code == "RECORDING_TOO_LONG"


def test_a_clip_of_too_much_sound_is_refused() -> None:
    decoder = ClipDecoder("pcm", max_ms=100)
    assert len(decoder.feed(b"\0" * 3_200)) == 1
    with pytest.raises(BadAudio, match=r"longer than 0\.1 s") as refused:
        decoder.feed(b"\0\0")
    assert refused.value.code == "RECORDING_TOO_LONG"


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\x1aE\xdf\xa3" + b"\0" * 8, "WebM"),
        (b"OggS\0\2" + b"\0" * 6, "Ogg"),
        (b"ID3\4" + b"\0" * 8, "MP3"),
        (b"\xff\xfb\x90\x64" + b"\0" * 8, "MP3"),
        (b"\xff\xf1\x50\x80" + b"\0" * 8, "AAC"),
        (b"\xff\xf9\x50\x80" + b"\0" * 8, "AAC"),
        (b"#!AMR\n" + b"\0" * 6, "AMR"),
        (b"fLaC" + b"\0" * 8, "FLAC"),
        (b"\0\0\0\x20ftypisom", "MP4"),
        (b"RIFF\0\0\0\0WAVE", "WAV"),
        (b"RIFF\0\0\0\0AVI ", "RIFF without WAVE"),
        (b"\xff\xe8" + b"\0" * 10, None),
        (b"\0" * 12, None),
    ],
)
def test_a_container_is_told_by_its_first_bytes(head: bytes, name: str | None) -> None:
    assert container_name(head) == name


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"RIFF\0\0\0\0AVI ", "RIFF without WAVE"),
        (b"RF64\0\0\0\0WAVE", "64-bit WAV"),
        (b"RIFX\0\0\0\0WAVE", "big-endian WAV"),
        (b"FORM\0\0\0\0AIFF", "AIFF"),
    ],
)
@pytest.mark.parametrize("format_name", [None, "webm", "wav"])
def test_other_containers_are_named_and_refused(
    head: bytes, name: str, format_name: str | None
) -> None:
    with pytest.raises(BadAudio, match=name) as refused:
        decoded([head[:5], head[5:]], format_name)
    assert ACCEPTED in str(refused.value)


def test_an_unknown_container_is_refused() -> None:
    with pytest.raises(BadAudio, match="no known kind"):
        decoded([b"hello, this is text"])
    with pytest.raises(BadAudio, match='format "ms-wma"'):
        decoded([b"0&\xb2u\x8ef\xcf\x11, or something"], "audio/x-ms-wma; rate=8000")


@pytest.mark.parametrize("format_name", ["pcm", "PCM", "audio/pcm", "audio/x-pcm;rate=16000"])
def test_raw_pcm_goes_by_several_names(format_name: str) -> None:
    assert np.array_equal(sound_of(decoded([encode_s16le(SOUND)], format_name)), SOUND)


@pytest.mark.parametrize("format_name", [None, "", "wav", "audio/x-wav", "webm"])
def test_a_wav_is_told_by_its_first_bytes(format_name: str | None) -> None:
    assert np.array_equal(sound_of(decoded([FILES["16 bit"]], format_name)), SOUND)


@pytest.mark.parametrize("format_name", [None, "wav", "pcm"])
def test_a_clip_of_no_bytes_has_no_sound(format_name: str | None) -> None:
    assert decoded([], format_name) == []


def test_sound_is_ready_as_it_arrives() -> None:
    decoder = ClipDecoder(None)
    assert decoder.feed(FILES["16 bit"][:43]) == []
    (first,) = decoder.feed(FILES["16 bit"][43:144])
    assert np.array_equal(first.samples, SOUND[:50])


def test_a_reader_alone_refuses_what_is_no_wav() -> None:
    with pytest.raises(BadAudio, match="not a WAV file"):
        WavReader().feed(b"OggS" * 3)


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    path.write_bytes(FILES["stereo"])
    pcm = read_clip(path)
    assert pcm.rate_hz == 16_000
    assert np.array_equal(pcm.samples, SOUND)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        (b"", "no sound"),
        (wav(chunk(b"fmt ", fmt(1, 16)), chunk(b"data", b"")), "no sound"),
        (b"RIFF", "ends within its header"),
        (b"FORM" + b"\0" * 40, "AIFF"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    tmp_path: Path, content: bytes | None, says: str
) -> None:
    path = tmp_path / "question.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadAudio, match=says) as refused:
        read_clip(path)
    assert "question.wav" in str(refused.value)
