"""The sound library, played by a fake: what devices can do, what they say, how they go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import attrs
import numpy as np
import pytest
import trio

from voicecore.talk import portaudio
from voicecore.talk.playout import Playout
from voicecore.talk.portaudio import PortAudioCard
from voicecore.talk.sound import DeviceError, Ends, Heard


class PortAudioError(Exception):
    pass


@attrs.define(eq=False)
class Stream:
    samplerate: int
    channels: int
    blocksize: int
    device: int | str | None
    dtype: str
    latency: Any
    callback: Any
    finished_callback: Any
    started: bool = False

    def start(self) -> None:
        self.started = True

    def close(self) -> None:
        self.started = False
        self.finished_callback()


class Library:
    """As much of sounddevice as is used. A device is its name, and what it takes."""

    PortAudioError = PortAudioError
    formats: ClassVar[set[tuple[int, int]]]

    def __init__(self, *formats: tuple[int, int]) -> None:
        self.formats = set(formats)  # type: ignore[misc] # each test has its own
        self.streams: list[Stream] = []
        self.initialised = 1
        library = self

        class InputStream(Stream):
            def __attrs_post_init__(self) -> None:
                library.streams.append(self)

        class OutputStream(Stream):
            def __attrs_post_init__(self) -> None:
                library.streams.append(self)

        self.InputStream = attrs.define(eq=False)(InputStream)
        self.OutputStream = attrs.define(eq=False)(OutputStream)

    def query_devices(self, device: int | str | None, side: str) -> dict[str, Any]:
        if device == "nowhere":
            raise ValueError(f"No {side} device matching 'nowhere'")
        if not self.formats:
            raise PortAudioError("Error querying device -1")
        return {"name": f"the {side}", "default_samplerate": 44_100.0}

    def _check(self, *, device: object, samplerate: int, channels: int, dtype: str) -> None:
        if (samplerate, channels) not in self.formats:
            raise PortAudioError("Invalid sample rate [PaErrorCode -9997]")

    check_input_settings = check_output_settings = _check

    def _terminate(self) -> None:
        self.initialised -= 1

    def _initialize(self) -> None:
        self.initialised += 1


GOOD = ((16_000, 1), (48_000, 1))


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Library], Library]:
    def use(library: Library) -> Library:
        monkeypatch.setattr(portaudio, "load", lambda: library)
        return library

    return use


async def test_both_streams_are_open_while_the_block_runs(use: Any) -> None:
    library = use(Library(*GOOD))
    async with PortAudioCard().open(Ends(Playout())) as opened:
        assert (opened.speaker, opened.microphone) == ("the output", "the input")
        speaker, microphone = library.streams
        assert (speaker.samplerate, speaker.blocksize) == (48_000, 480)
        assert (microphone.samplerate, microphone.blocksize) == (16_000, 320)
        assert speaker.started
        assert microphone.started
    assert not any(stream.started for stream in library.streams)


async def test_sound_goes_through_the_callbacks(use: Any) -> None:
    library = use(Library((48_000, 2), (16_000, 1)))
    ends = Ends(Playout())
    async with PortAudioCard().open(ends):
        speaker, microphone = library.streams
        ends.feed("a", np.full(9_600, 5_000, np.int16))
        out = np.zeros((4_800, 2), np.int16)
        speaker.callback(out, 4_800, None, None)
        assert out.any()
        assert (out[:, 0] == out[:, 1]).all()
        memory = np.full((320, 1), 7, np.int16)
        microphone.callback(memory, 320, None, None)
        memory[:] = 0  # the device uses its memory again
        heard = [piece for piece in await ends.pieces() if isinstance(piece, Heard)]
        assert heard[0].rate_hz == 16_000
        assert (heard[0].samples == 7).all()
        microphone.finished_callback()
        assert ends.failed == "the microphone has stopped"


@pytest.mark.parametrize(
    ("formats", "speaker", "microphone"),
    [
        (GOOD, (48_000, 1), (16_000, 1)),
        (((48_000, 2),), (48_000, 2), (48_000, 2)),
        (((44_100, 1), (44_100, 2)), (44_100, 1), (44_100, 1)),
    ],
)
async def test_the_best_that_the_device_can_do_is_taken(
    use: Any,
    formats: tuple[tuple[int, int], ...],
    speaker: tuple[int, int],
    microphone: tuple[int, int],
) -> None:
    library = use(Library(*formats))
    async with PortAudioCard().open(Ends(Playout())):
        found = [(stream.samplerate, stream.channels) for stream in library.streams]
        assert found == [speaker, microphone]


async def test_only_what_is_wanted_is_opened(use: Any) -> None:
    library = use(Library(*GOOD))
    async with PortAudioCard(has_microphone=False).open(Ends(Playout())) as opened:
        assert opened.microphone is None
        assert [stream.samplerate for stream in library.streams] == [48_000]


async def test_a_second_opening_looks_for_devices_anew(use: Any) -> None:
    library, card = use(Library(*GOOD)), PortAudioCard()
    for _ in range(2):
        async with card.open(Ends(Playout())):
            pass
    assert library.initialised == 1
    library.formats = set()
    with pytest.raises(DeviceError):
        async with card.open(Ends(Playout())):
            pass


@pytest.mark.parametrize(
    ("card", "formats", "why"),
    [
        (PortAudioCard(microphone="nowhere"), GOOD, "No input device matching 'nowhere'"),
        (PortAudioCard(), (), "there is no microphone or no speaker"),
        (PortAudioCard(), ((48_000, 1),), None),
        (PortAudioCard(), ((8_000, 1),), "neither mono nor stereo"),
    ],
)
async def test_what_cannot_be_opened_is_said_before_it_is_opened(
    use: Any, card: PortAudioCard, formats: tuple[tuple[int, int], ...], why: str | None
) -> None:
    use(Library(*formats))
    if why is None:
        card.find()
        return
    with pytest.raises(DeviceError, match=why) as raised:
        card.find()
    assert "--list-devices" in str(raised.value)
    with pytest.raises(DeviceError):
        async with card.open(Ends(Playout())):
            pass


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (ImportError("No module"), r"pip install 'voicecore\[talk\]'"),
        (OSError("PortAudio library not found"), "sudo apt install libportaudio2"),
    ],
)
def test_what_is_not_installed_is_told_with_the_command_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, error: Exception, remedy: str
) -> None:
    def fail(name: str) -> Any:
        assert name == "sounddevice"
        raise error

    monkeypatch.setattr(portaudio, "import_module", fail)
    with pytest.raises(DeviceError, match=remedy):
        portaudio.load()


async def test_a_driver_that_hangs_does_not_keep_us(use: Any) -> None:
    use(Library(*GOOD))
    card = PortAudioCard()
    with trio.move_on_after(0) as scope:
        async with card.open(Ends(Playout())):
            await trio.sleep_forever()
    assert scope.cancelled_caught


def test_the_real_library_has_what_is_used() -> None:
    try:
        library = portaudio.load()
    except DeviceError as error:
        pytest.skip(str(error))
    used = [
        "InputStream", "OutputStream", "PortAudioError", "check_input_settings",
        "check_output_settings", "query_devices", "default", "_initialize", "_terminate",
    ]  # fmt: skip
    assert [name for name in used if not hasattr(library, name)] == []
