from __future__ import annotations

import functools
import io
import resource
import struct
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from voicecore.audio import Pcm, Samples, resample
from voicecore.ears import container
from voicecore.ears.clip import ClipDecoder, read_clip
from voicecore.ears.container import ContainerReader
from voicecore.ears.formats import ACCEPTED
from voicecore.errors import BadAudio

pytest.importorskip("av")

from tests.ears.clip_files import (
    KINDS,
    Kind,
    filmed,
    melody,
    recorded,
    webm_of_packets,
    with_cover,
)

WEBM = KINDS["WebM as Chrome and Firefox"]
SECONDS = 2.0
PRIMING_MS = 130
"""The most that an encoder here puts around the sound, and its container does not take away."""


@functools.cache
def clip(name: str, seconds: float = SECONDS) -> bytes:
    return recorded(KINDS[name], melody(seconds, KINDS[name].rate_hz))


def decoded(parts: list[bytes], *, max_ms: float = 60_000) -> list[Pcm]:
    decoder = ClipDecoder(None, max_ms=max_ms)
    try:
        return [pcm for part in parts for pcm in decoder.feed(part)] + decoder.close()
    finally:
        decoder.abandon()


def sound_of(pieces: list[Pcm]) -> Samples:
    assert len({piece.rate_hz for piece in pieces}) == 1
    return np.concatenate([piece.samples for piece in pieces])


def cut(data: bytes, places: list[int]) -> list[bytes]:
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def refused(data: bytes, *, max_ms: float = 60_000) -> BadAudio:
    with pytest.raises(BadAudio) as refusal:
        decoded([data], max_ms=max_ms)
    return refusal.value


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "recording"]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert threads() == []


# --- the sound -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_what_was_recorded_is_heard(name: str) -> None:
    pieces = decoded([clip(name)])
    kind = KINDS[name]
    rate_hz = min(kind.rate_hz, 48_000) if kind.codec != "libopus" else 48_000
    assert {piece.rate_hz for piece in pieces} == {rate_hz}
    heard = resample(Pcm(sound_of(pieces), rate_hz), 8_000).samples.astype(float)
    said = melody(SECONDS, 8_000).astype(float)
    assert len(said) - 160 <= len(heard) <= len(said) + PRIMING_MS * 8
    assert max(likeness(said, heard[late:]) for late in range(PRIMING_MS * 8)) > 0.93


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    length = min(len(one), len(other))
    return float(np.corrcoef(one[:length], other[:length])[0, 1])


@settings(deadline=None)
@given(st.data(), st.sampled_from(sorted(KINDS)))
def test_any_cutting_gives_the_same_sound(data: st.DataObject, name: str) -> None:
    whole = clip(name)
    places = data.draw(st.lists(st.integers(0, len(whole)), max_size=20).map(sorted))
    assert np.array_equal(sound_of(decoded(cut(whole, places))), sound_of(decoded([whole])))


@pytest.mark.parametrize("name", ["WebM as Chrome and Firefox", "AMR", "M4A as phones"])
def test_even_single_bytes(name: str) -> None:
    whole = clip(name, 0.4)
    bytewise = decoded([bytes([byte]) for byte in whole])
    assert np.array_equal(sound_of(bytewise), sound_of(decoded([whole])))


@pytest.mark.parametrize("name", sorted(set(KINDS) - {"M4A as phones", "M4A with ALAC"}))
def test_sound_is_ready_as_it_arrives(name: str) -> None:
    whole = clip(name, 12.0)
    decoder = ClipDecoder(None)
    early = [pcm for part in cut(whole, [len(whole) // 2]) for pcm in decoder.feed(part)]
    rest = decoder.close()
    assert sum(pcm.ms for pcm in early) > 10_500
    assert sum(pcm.ms for pcm in early + rest) > 11_900


def test_a_browsers_webm_has_no_sizes() -> None:
    data = clip("WebM as Chrome and Firefox")
    assert b"\x18S\x80g\x01" + b"\xff" * 7 in data  # a segment of unknown size
    assert data.count(b"\x1fC\xb6u") > 2  # clusters


def test_an_index_at_the_end_is_waited_for() -> None:
    data = clip("M4A as phones")
    assert data.index(b"moov") > data.index(b"mdat")
    reader = ContainerReader("MP4", max_ms=60_000)
    assert reader.feed(data[:-1]) == []
    assert sum(pcm.ms for pcm in reader.feed(data[-1:]) + reader.close()) > 1_900


def test_a_rate_that_changes_on_the_way_is_followed() -> None:
    low = recorded(KINDS["AAC"], melody(1, 16_000))
    high = recorded(Kind("adts", "aac", rate_hz=48_000), melody(1, 48_000))
    ms: dict[int, float] = {}
    for pcm in decoded([low + high]):
        ms[pcm.rate_hz] = ms.get(pcm.rate_hz, 0) + pcm.ms
    assert ms == {16_000: pytest.approx(1_000, abs=130), 48_000: pytest.approx(1_000, abs=50)}


def test_a_cover_and_a_title_in_any_bytes_do_no_harm() -> None:
    data = clip("MP3 alone")
    tagged = with_cover(data, one_pixel_png(), b"\xff\xfe\x80 title \xc3")
    assert sum(pcm.ms for pcm in decoded([tagged])) == pytest.approx(2_000, abs=100)


def one_pixel_png() -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixel = zlib.compress(b"\0\0")
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")
    )


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "memo.m4a"
    path.write_bytes(clip("M4A as phones"))
    pcm = read_clip(path)
    assert pcm.rate_hz == 44_100
    assert pcm.ms == pytest.approx(2_000, abs=50)


# --- what cannot be used -------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
@settings(deadline=None, max_examples=20)
@given(share=st.floats(0, 1))
def test_a_truncated_file_gives_what_was_there_or_one_error(name: str, share: float) -> None:
    whole = clip(name)
    try:
        pieces = decoded([whole[: round(len(whole) * share)]])
    except BadAudio as error:
        assert len(str(error)) > 20  # noqa: PT017 - sound is as right an answer
    else:
        assert 0 <= sum(pcm.ms for pcm in pieces) <= 2_200


@settings(deadline=None)
@given(
    st.sampled_from(sorted(KINDS)),
    st.lists(st.tuples(st.floats(0, 0.999), st.binary(min_size=1, max_size=40)), max_size=10),
    st.binary(max_size=200),
)
@example("FLAC", [], bytes(200))
def test_damage_gives_sound_or_bad_audio_and_nothing_else(
    name: str, damage: list[tuple[float, bytes]], tail: bytes
) -> None:
    data = bytearray(clip(name, 0.4))
    for share, junk in damage:
        at = 12 + round((len(data) - 12) * share)
        data[at : at + len(junk)] = junk
    try:
        decoded(cut(bytes(data) + tail, [len(data) // 2]))
    except BadAudio as error:
        assert len(str(error)) > 20  # noqa: PT017 - sound is as right an answer


@pytest.mark.parametrize(
    "head",
    [b"\x1aE\xdf\xa3", b"OggS", b"ID3\4", b"\xff\xfb", b"fLaC", b"\0\0\0\x18ftyp", b"#!AMR\n"],
)
def test_garbage_behind_a_containers_first_bytes_is_one_clear_error(head: bytes) -> None:
    junk = np.random.default_rng(0).bytes(20_000)
    try:
        sound = decoded([head + junk])
    except BadAudio as error:
        assert "recording" in str(error)  # noqa: PT017
    else:
        # An MP3 or AMR decoder finds sound anywhere: there is no check sum in it.
        assert head in {b"\xff\xfb", b"ID3\4", b"#!AMR\n"}
        assert sum(pcm.ms for pcm in sound) < 60_000


def test_what_follows_an_error_is_ignored_and_the_error_is_told_again() -> None:
    reader = ContainerReader("FLAC", max_ms=60_000)
    junk = b"fLaC" + bytes(200_000)
    for _ in range(2):
        with pytest.raises(BadAudio, match="FLAC recording"):
            reader.feed(junk) + reader.close()


@pytest.mark.parametrize(("file", "codec"), [("webm", "libvpx"), ("matroska", "mpeg4")])
def test_a_video_is_refused(file: str, codec: str) -> None:
    problem = str(refused(filmed(file, codec)))
    assert "is a video" in problem
    assert ACCEPTED in problem


def test_a_file_without_sound_is_refused() -> None:
    data = clip("WebM as Chrome and Firefox")
    before_the_first_cluster = data[: data.index(b"\x1fC\xb6u")]
    assert "before its sound begins" in str(refused(before_the_first_cluster))
    audio, subtitles = b"\x83\x81\x02", b"\x83\x81\x11"  # the type of the track
    assert data.count(audio) == 1
    assert "has no sound" in str(refused(data.replace(audio, subtitles)))


def test_a_codec_that_nobody_records_with_is_not_opened() -> None:
    assert "codec (ac3)" in str(refused(recorded(Kind("matroska", "ac3"), melody(1))))


@pytest.mark.parametrize(
    "kind",
    [
        Kind("matroska", "pcm_s16le", rate_hz=1_000),
        Kind("matroska", "pcm_s16le", rate_hz=500_000),
        Kind("matroska", "pcm_s16le", layout="hexadecagonal"),
    ],
)
def test_absurd_rates_and_channels_are_refused(kind: Kind) -> None:
    assert "1 to 8 at 8000 to 192000 Hz" in str(refused(recorded(kind, melody(0.5, kind.rate_hz))))


def test_without_pyav_the_error_says_what_is_taken_and_how_to_bring_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setattr(container, "_pyav", container._pyav.__wrapped__)
    problem = str(refused(b"OggS" + bytes(30)))
    assert "WAV" in problem
    assert "pip install 'voicecore[clips]'" in problem


# --- bounds --------------------------------------------------------------------------------------


def test_hours_of_silence_in_a_few_bytes_are_stopped_at_the_limit() -> None:
    packet = b"\xe3\x30" + bytes(48)  # 48 frames of 2.5 ms, each of one byte (RFC 6716, 3.2.5)
    bomb = webm_of_packets([packet] * 30_000, packet_ms=120)  # an hour
    reader = ContainerReader("WebM", max_ms=5_000)
    with pytest.raises(BadAudio, match="longer than 5 s") as refusal:
        reader.feed(bomb)
    assert refusal.value.code == "RECORDING_TOO_LONG"
    assert sum(pcm.ms for pcm in reader._sound) <= 5_000


def test_packets_without_sound_are_counted_too() -> None:
    data = bytearray(recorded(KINDS["AAC"], melody(4, 16_000)))
    at = 0
    while at < len(data):
        size = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5  # ADTS
        data[at + 7 : at + size] = b"\xff" * (size - 7)
        at += size
    assert "no sound" in str(refused(bytes(data)))
    assert refused(bytes(data), max_ms=100).code == "RECORDING_TOO_LONG"


def test_an_index_that_claims_millions_of_entries_takes_no_memory() -> None:
    data = bytearray(clip("M4A as phones"))
    entries = 20_000_000
    for name, offset, fields in [
        (b"stsz", 4, (0, 1, entries)),
        (b"stsc", 8, (1, 1, entries, 1)),
        (b"stts", 8, (1, entries, 1024)),
    ]:
        struct.pack_into(f">{len(fields)}I", data, data.index(name) + offset, *fields)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "MP4" in str(refused(bytes(data)))
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown_mb < 100  # without the bound, 700


def test_a_kept_file_is_read_three_times_at_most() -> None:
    file = container._ArrivingFile()
    file.keep()
    taking = threading.Thread(target=file.begin)
    taking.start()
    file._arrived.put(bytes(1_000))
    taking.join()
    reads = 0
    while file.read(500):
        file.seek(0, 0)
        reads += 1
    assert reads == 7


def test_a_kept_file_goes_anywhere_but_to_its_unknown_end() -> None:
    file = container._ArrivingFile()
    assert not file.seekable()
    file.keep()
    assert file.seekable()
    assert (file.seek(10, 0), file.seek(5, 1), file.seek(-100, 1), file.tell()) == (10, 15, 0, 0)
    assert file.seek(0, io.SEEK_END) == -1


# --- abandoning ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("share", [0, 0.001, 0.1, 0.5, 1])
def test_an_abandoned_recording_leaves_no_thread(name: str, share: float) -> None:
    data = clip(name)
    decoder = ClipDecoder(None)
    decoder.feed(data[: round(len(data) * share)])
    assert len(threads()) <= 1
    decoder.abandon()
    assert threads() == []
    decoder.abandon()


def test_a_recording_has_one_thread_which_ends_with_it() -> None:
    data = clip("WebM as Chrome and Firefox")
    decoder = ClipDecoder(None)
    decoder.feed(data[:11])
    assert threads() == []
    for at in range(11, len(data), 1_000):
        decoder.feed(data[at : at + 1_000])
        assert len(threads()) == 1
    decoder.close()
    decoder.abandon()
    assert threads() == []


def test_a_reader_that_was_never_fed_is_abandoned_too() -> None:
    ContainerReader("WebM", max_ms=1_000).abandon()


def test_only_what_waits_for_ffmpeg_is_not_quick() -> None:
    webm, wav = ClipDecoder(None), ClipDecoder(None)
    assert webm.is_quick(b"\x1aE\xdf\xa3")
    webm.feed(b"\x1aE\xdf\xa3")
    assert not webm.is_quick(bytes(8))
    assert wav.is_quick(b"RIFF\0\0\0\0WAVE")
    assert ClipDecoder("pcm").is_quick(b"OggS" + bytes(30))
    assert ClipDecoder(None).is_quick(b"no known kind")
    webm.feed(bytes(8))
    assert not webm.is_quick(b"")
    webm.abandon()
