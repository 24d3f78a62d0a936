"""The sound device behind an interface, and how it is kept open.

A device calls from threads of its own; what they touch is in `Ends`, and nothing there waits.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Protocol, TypeAlias

import attrs
import trio

from voicecore.audio import Samples
from voicecore.errors import VoicecoreError
from voicecore.talk.playout import Playout, Puller

FRAME_MS = 20
"""What a device gives and takes at a time, at most."""

MOST_WAITING = 100
"""Pieces of 10 or 20 ms that may wait for Trio, at least a second: it is never away that long
unless the machine is overloaded, and then the oldest go."""

RETRY_S = 2.0
"""Between two attempts to open a device that has gone."""

LOOK_S = 1.0
"""Without a call for as long, a device has gone: some drivers say nothing when it is unplugged."""


class DeviceError(VoicecoreError):
    """There is no sound device, or it failed; the message says what to do."""

    code = "NO_SOUND_DEVICE"


@attrs.frozen(eq=False)
class Played:
    """What the speaker was given, 48 kHz."""

    samples: Samples


@attrs.frozen(eq=False)
class Heard:
    """What the microphone heard, at its own rate."""

    samples: Samples
    rate_hz: int


Piece: TypeAlias = Played | Heard


@attrs.frozen
class Opened:
    """A device that is open."""

    microphone: str | None
    speaker: str | None
    """Their names."""
    heard_after_s: float = 0.0
    """From a sound in the air until the device gives it."""
    played_after_s: float = 0.0
    """From taking a sound until it can be heard."""


class Card(Protocol):
    """A sound card, or what stands for one."""

    @property
    def has_microphone(self) -> bool:
        """Whether a microphone is wanted of it."""

    def open(self, ends: Ends) -> AbstractAsyncContextManager[Opened]:
        """Open it, and until the block ends call `Ends.heard` and `Ends.take`.

        Raises:
            DeviceError: it cannot be opened.
        """


class Ends:
    """Where the device's threads and Trio meet: both directions of sound, bounded."""

    def __init__(self, playout: Playout) -> None:
        """Begin; must be called in Trio."""
        self.lost = 0
        """Pieces that were thrown away, because Trio did not take them for a second."""
        self.calls = 0
        """How often the device called: one that has gone calls no more."""
        self.failed: str | None = None
        """Why the device has stopped, if it told."""
        self._playout = playout
        self._pullers: dict[int, Puller] = {}
        self._lock = threading.Lock()
        self._pieces: deque[Piece] = deque(maxlen=MOST_WAITING)
        self._news = trio.Event()
        self._token = trio.lowlevel.current_trio_token()

    # --- called by the device, from any thread ---

    def heard(self, samples: Samples, rate_hz: int) -> None:
        """Take what the microphone heard. Never waits, never raises."""
        self._put(Heard(samples, rate_hz))

    def take(self, count: int, rate_hz: int) -> Samples:
        """Give the speaker its next samples. Never waits, never raises."""
        puller = self._pullers.setdefault(rate_hz, Puller(self._give, rate_hz))
        return puller.take(count)

    def fail(self, why: str) -> None:
        """Say that the device has stopped."""
        self.failed = why
        self._wake()

    def _give(self, count: int) -> Samples:
        with self._lock:
            samples = self._playout.take(count)
        self._put(Played(samples))
        return samples

    def _put(self, piece: Piece) -> None:
        self.calls += 1
        self.lost += len(self._pieces) == MOST_WAITING
        self._pieces.append(piece)
        self._wake()

    def _wake(self) -> None:
        with suppress(trio.RunFinishedError):  # the device may outlive the conversation
            # Idempotent: however often the threads call, one call waits for Trio.
            self._token.run_sync_soon(self._ring, idempotent=True)

    def _ring(self) -> None:
        self._news.set()

    # --- called in Trio ---

    async def pieces(self) -> list[Piece]:
        """Wait for the next pieces, in the order in which they were put."""
        while not self._pieces:
            await self._news.wait()
            self._news = trio.Event()
        return [self._pieces.popleft() for _ in range(len(self._pieces))]

    def feed(self, speech: str, samples: Samples) -> None:
        """Have sound played, 48 kHz."""
        with self._lock:
            self._playout.feed(speech, samples)

    def interrupt(self, speech: str) -> None:
        """Stop a speech, and all before it."""
        with self._lock:
            self._playout.interrupt(speech)

    def clear(self) -> None:
        """Throw away what waits for a speaker that has gone."""
        with self._lock:
            self._playout.clear()

    @property
    def sounding(self) -> bool:
        return self._playout.sounding

    @property
    def position(self) -> tuple[str, float] | None:
        """The speech that is taken, and how many ms of it."""
        with self._lock:
            return self._playout.position


async def keep_open(
    card: Card,
    ends: Ends,
    on_open: Callable[[Opened], None],
    on_lost: Callable[[DeviceError], bool],
) -> None:
    """Keep the device open for ever; when it goes, say so once and try again every 2 s.

    Args:
        card: the device.
        ends: what it gives to and takes from.
        on_open: told whenever it was opened.
        on_lost: told when it has gone, or could not be opened; says whether to try again.

    **Cancellation**: the device is closed.
    """
    told = False
    while True:
        try:
            ends.failed = None
            async with card.open(ends) as opened:
                told = False
                on_open(opened)
                gone = await _until_gone(ends)
        except DeviceError as error:
            gone = error
        if not told and not on_lost(gone):
            return
        told = True
        await trio.sleep(RETRY_S)


async def _until_gone(ends: Ends) -> DeviceError:
    """Watch an open device; return why it is of no use any more."""
    calls = -1
    while ends.failed is None and calls != ends.calls:
        calls = ends.calls
        await trio.sleep(LOOK_S)
    return DeviceError(ends.failed or "it has stopped giving and taking sound")
