"""The machine's microphone and speaker, by PortAudio (the package ``sounddevice``)."""

from __future__ import annotations

import ctypes
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import cache, partial
from importlib import import_module
from itertools import product
from typing import Any, Literal, TypeAlias

import attrs
import trio

from voicecore.audio import EAR_HZ, MOUTH_HZ, ms_to_samples
from voicecore.talk.sound import FRAME_MS, DeviceError, Ends, Opened

SPEAKER_FRAME_MS = 10
"""Half of the microphone's: what is stopped still plays this long."""

SPEAKER_LATENCY_S = 0.03
"""Asked of the driver: with `SPEAKER_FRAME_MS` and the fade, a reply is silent 45 ms after it was
stopped. Less makes clicks on a busy machine."""

CLOSE_S = 2.0
"""A driver may hang; the program ends all the same."""

INSTALL = "pip install 'voicecore[talk]'"
TYPE_INSTEAD = "To type instead: voicecore talk --text"
WHICH = "voicecore talk --list-devices shows what there is"

Side: TypeAlias = Literal["input", "output"]
Device: TypeAlias = int | str | None
"""Its number, a part of its name, or None for the system's choice."""


def load() -> Any:
    """Load the library, which looks for the system's devices.

    Raises:
        DeviceError: it, or PortAudio, is not installed.
    """
    try:
        library = import_module("sounddevice")
    except ImportError:
        raise DeviceError(f"Sound needs the package sounddevice. Run: {INSTALL}") from None
    except OSError:
        raise DeviceError(
            "Sound needs the PortAudio library. Run: sudo apt install libportaudio2 "
            "(on other systems: portaudio)"
        ) from None
    _silence_alsa()
    return library


_SAY_NOTHING = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int)(
    lambda *_: None
)
"""It lives as long as the program, for ALSA keeps it."""


@cache
def _silence_alsa() -> None:
    """Keep ALSA, on Linux, from writing its troubles across the screen."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libasound.so.2").snd_lib_error_set_handler(_SAY_NOTHING)


def devices() -> list[tuple[int, str, int, int, str]]:
    """List the devices: number, name, input and output channels, and what it is the default for.

    Raises:
        DeviceError: as `load`.
    """
    library = load()
    chosen = {"input": library.default.device[0], "output": library.default.device[1]}
    return [
        (
            number,
            device["name"],
            device["max_input_channels"],
            device["max_output_channels"],
            " and ".join(side for side, default in chosen.items() if default == number),
        )
        for number, device in enumerate(library.query_devices())
    ]


@attrs.frozen
class _Format:
    rate_hz: int
    channels: int


@attrs.define(eq=False)
class PortAudioCard:
    """A microphone, a speaker, or both, which open and close together."""

    microphone: Device = None
    speaker: Device = None
    has_microphone: bool = True
    has_speaker: bool = True
    _limiter: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(1))
    """One thread at a time: PortAudio's calls exclude each other."""
    _opened_before: bool = False

    def find(self) -> None:
        """Look whether there is what is wanted, without opening it.

        Raises:
            DeviceError: there is not, or no library to look with.
        """
        library = load()
        with _explained(library):
            if self.has_speaker:
                _format(library, self.speaker, "output", (MOUTH_HZ,))
            if self.has_microphone:
                _format(library, self.microphone, "input", (EAR_HZ, MOUTH_HZ))

    @asynccontextmanager
    async def open(self, ends: Ends) -> AsyncIterator[Opened]:
        """Open the streams; as `Card.open`."""
        streams: list[Any] = []
        try:
            opened = await trio.to_thread.run_sync(self._open, ends, streams, limiter=self._limiter)
            yield opened
        finally:
            with trio.move_on_after(CLOSE_S, shield=True):
                await trio.to_thread.run_sync(
                    _close, streams, limiter=self._limiter, abandon_on_cancel=True
                )

    def _open(self, ends: Ends, streams: list[Any]) -> Opened:
        """Open what is wanted; each stream is put into ``streams`` as soon as there is one."""
        library = load()
        if self._opened_before:
            # PortAudio looks for devices when it is initialised, and never again.
            library._terminate()  # noqa: SLF001 - there is no public way
            library._initialize()  # noqa: SLF001
        self._opened_before = True
        with _explained(library):
            if self.has_speaker:
                streams.append(_open_speaker(library, self.speaker, ends))
            if self.has_microphone:
                streams.append(_open_microphone(library, self.microphone, ends))
            for stream in streams:
                stream.start()
            return self._describe(library, streams)

    def _describe(self, library: Any, streams: list[Any]) -> Opened:
        speaker, microphone = None, None
        played_after_s = heard_after_s = 0.0
        for stream in streams:
            if isinstance(stream, library.OutputStream):
                speaker, played_after_s = _name(library, self.speaker, "output"), stream.latency
            else:
                microphone, heard_after_s = _name(library, self.microphone, "input"), stream.latency
        return Opened(microphone, speaker, heard_after_s, played_after_s)


def _name(library: Any, device: Device, side: Side) -> str:
    return str(library.query_devices(device, side)["name"])


def _open_microphone(library: Any, device: Device, ends: Ends) -> Any:
    form = _format(library, device, "input", (EAR_HZ, MOUTH_HZ))

    def callback(sound: Any, frames: int, time: Any, status: Any) -> None:
        del frames, time, status
        ends.heard(sound[:, 0].copy(), form.rate_hz)  # the device uses its memory again

    return library.InputStream(
        device=device,
        samplerate=form.rate_hz,
        channels=form.channels,
        blocksize=ms_to_samples(FRAME_MS, form.rate_hz),
        dtype="int16",
        latency="low",
        callback=callback,
        finished_callback=partial(ends.fail, "the microphone has stopped"),
    )


def _open_speaker(library: Any, device: Device, ends: Ends) -> Any:
    form = _format(library, device, "output", (MOUTH_HZ,))

    def callback(sound: Any, frames: int, time: Any, status: Any) -> None:
        del time, status
        sound[:] = ends.take(frames, form.rate_hz)[:, None]  # the same on each channel

    return library.OutputStream(
        device=device,
        samplerate=form.rate_hz,
        channels=form.channels,
        blocksize=ms_to_samples(SPEAKER_FRAME_MS, form.rate_hz),
        dtype="int16",
        latency=SPEAKER_LATENCY_S,
        callback=callback,
        finished_callback=partial(ends.fail, "the speaker has stopped"),
    )


def _format(library: Any, device: Device, side: Side, rates: tuple[int, ...]) -> _Format:
    """Find what the device can do: our rate rather than its own, mono rather than stereo."""
    own_hz = int(library.query_devices(device, side)["default_samplerate"])
    check: Callable[..., None] = getattr(library, f"check_{side}_settings")
    for rate_hz, channels in product((*rates, own_hz), (1, 2)):
        try:
            check(device=device, samplerate=rate_hz, channels=channels, dtype="int16")
        except library.PortAudioError:
            continue
        return _Format(rate_hz, channels)
    raise DeviceError(f"The {side} device takes neither mono nor stereo sound of 16 bits; {WHICH}.")


@contextmanager
def _explained(library: Any) -> Iterator[None]:
    """Say in words what PortAudio could not do."""
    try:
        yield
    except ValueError as error:  # of a name that no device, or more than one, has
        raise DeviceError(f"{error}; {WHICH}.") from None
    except library.PortAudioError as error:
        reason = str(error).partition(" [")[0]
        if "querying device -1" in reason:
            reason = "there is no microphone or no speaker"
        raise DeviceError(f"The sound device cannot be opened: {reason}; {WHICH}.") from None


def _close(streams: list[Any]) -> None:
    while streams:
        streams.pop().close()
