"""One recorded message, sent in parts, to utterances: recognised while it still arrives."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeAlias, TypeVar

import attrs
import trio

from voicecore.audio import SILENCE, Pcm, Samples
from voicecore.config import EarsConfig, cores
from voicecore.ears.clip import ClipDecoder
from voicecore.ears.ingest import Ingest
from voicecore.ears.segment import Take
from voicecore.ears.stretches import Stretches
from voicecore.engines.interface import VAD_FRAME_MS, VoiceDetector
from voicecore.errors import BadAudio, ClientError
from voicecore.events import ClipEnd, ClipPart
from voicecore.mind.happenings import Happening, HearingFailed

Recording: TypeAlias = ClipPart | ClipEnd

Part = TypeVar("Part", ClipPart, ClipEnd)

NO_AUDIO = "No audio data to transcribe"  # wire.md 2.1, word for word

SLICE_BYTES = 16 * 1024
"""Decoded at once. As WAV it is under 2 ms of work in the loop; as Opus, some 4 s of sound and
12 ms in a thread, after which a cancellation takes effect."""

DECODING = trio.CapacityLimiter(cores())
"""Threads that decode: it is all computing. They wait for no client (`ContainerReader`)."""


class RecordingDecoder:
    """Decodes one message after the other to 20 ms frames of 16 kHz.

    What is wrong with a message is told at its end. A decoder that is not used to the end must be
    abandoned.
    """

    def __init__(self, *, max_bytes: int, max_ms: float) -> None:
        self._max_bytes, self._max_ms = max_bytes, max_ms
        self._decoder: ClipDecoder | None = None
        self._begin(0)

    def _begin(self, clip: int) -> None:
        if self._decoder is not None:
            self._decoder.abandon()
        self._clip = clip
        self._decoder = None
        self._ingest = Ingest()
        self._frames = 0
        self._failure: ClientError | None = None

    def is_quick(self, part: Recording) -> bool:
        """Whether `feed` or `close` takes so little time now that it needs no thread."""
        if part.clip != self._clip or self._decoder is None:
            return isinstance(part, ClipEnd) or self._new_decoder(part).is_quick(part.data)
        return self._decoder.is_quick(part.data if isinstance(part, ClipPart) else b"")

    def feed(self, part: ClipPart) -> list[Samples]:
        """Take the next part and return the frames that are ready.

        A part of another message ends the one before, whose own end was not taken.
        """
        if part.clip != self._clip:
            self._begin(part.clip)
        if self._failure is not None:
            return []
        self._decoder = self._decoder or self._new_decoder(part)
        try:
            return self._framed(self._decoder.feed(part.data))
        except ClientError as error:
            self._decoder.abandon()
            self._failure = error
            return []

    def close(self, end: ClipEnd) -> list[Samples]:
        """End the message and return its last frames; the next one may begin.

        Raises:
            ClientError: there was no sound, or it cannot be decoded.
        """
        if end.clip != self._clip:
            self._begin(end.clip)
        try:
            if self._failure is not None:
                raise self._failure
            rest: list[Samples] = []
            if self._decoder is not None:
                rest = self._framed(self._decoder.close()) + self._ingest.close()
            if not self._frames and not rest:
                raise BadAudio(NO_AUDIO)
            return rest
        finally:
            self._begin(0)

    def abandon(self) -> None:
        """Nobody wants this message any more."""
        self._begin(0)

    def _new_decoder(self, part: ClipPart) -> ClipDecoder:
        return ClipDecoder(part.format, max_bytes=self._max_bytes, max_ms=self._max_ms)

    def _framed(self, sound: list[Pcm]) -> list[Samples]:
        frames = [frame for pcm in sound for frame in self._ingest.feed(pcm)]
        self._frames += len(frames)
        return frames


@attrs.frozen(eq=False)
class Frame:
    """20 ms of a message."""

    clip: int
    samples: Samples


@attrs.frozen
class End:
    """A message is complete, or of no use."""

    clip: int
    failure: ClientError | None = None


async def record(
    parts: trio.MemoryReceiveChannel[Recording],
    utterances: trio.MemorySendChannel[Take],
    inbox: trio.MemorySendChannel[Happening],
    config: EarsConfig,
    detector: VoiceDetector,
) -> None:
    """Decode messages as they arrive, and have each stretch of them recognised at its pause.

    All but the last `Take` of a message are not final; the last may have no samples. ``detector``
    is for the messages alone. The parts are taken even if recognition is behind: a whole message's
    sound fits between decoding and cutting, and as much may wait to be recognised.

    **Cancellation**: takes effect at once, or after the slice that a thread decodes, some 10 ms;
    what FFmpeg held is freed.
    """
    frames_in, frames_out = trio.open_memory_channel[Frame | End](
        config.max_recording_ms // VAD_FRAME_MS + 2
    )
    decoder = RecordingDecoder(max_bytes=config.max_recording_bytes, max_ms=config.max_recording_ms)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(decode, parts, frames_in, decoder)
        nursery.start_soon(cut, frames_out, utterances, inbox, Stretches(detector, config))


async def decode(
    parts: trio.MemoryReceiveChannel[Recording],
    frames: trio.MemorySendChannel[Frame | End],
    decoder: RecordingDecoder,
) -> None:
    """Turn the parts of messages into frames."""
    with parts, frames:
        try:
            async for part in parts:
                if isinstance(part, ClipPart):
                    for piece in _slices(part):
                        await _pass_on(piece, decoder.feed, frames, decoder)
                    continue
                try:
                    if part.error is not None:
                        decoder.abandon()
                        raise part.error
                    await _pass_on(part, decoder.close, frames, decoder)
                except ClientError as error:
                    await frames.send(End(part.clip, error))
                else:
                    await frames.send(End(part.clip))
        finally:
            decoder.abandon()


def _slices(part: ClipPart) -> Iterator[ClipPart]:
    for at in range(0, len(part.data), SLICE_BYTES):
        yield attrs.evolve(part, data=part.data[at : at + SLICE_BYTES])


async def _pass_on(
    part: Part,
    work: Callable[[Part], list[Samples]],
    frames: trio.MemorySendChannel[Frame | End],
    decoder: RecordingDecoder,
) -> None:
    if decoder.is_quick(part):
        found = work(part)
    else:
        found = await trio.to_thread.run_sync(work, part, limiter=DECODING)
    for frame in found:
        await frames.send(Frame(part.clip, frame))


async def cut(
    frames: trio.MemoryReceiveChannel[Frame | End],
    utterances: trio.MemorySendChannel[Take],
    inbox: trio.MemorySendChannel[Happening],
    stretches: Stretches,
) -> None:
    """Cut the frames of messages into what is to be recognised."""
    clip = 0
    waiting: deque[Take] = deque()
    with frames, utterances, inbox:
        async for item in frames:
            if item.clip != clip:
                clip = item.clip
                stretches.reset()
                waiting.clear()
            now_s = trio.current_time()
            take = partial(Take, zero_s=now_s, ended_s=now_s, clip=clip)
            if isinstance(item, Frame):
                waiting.extend(take(found, final=False) for found in stretches.feed(item.samples))
                _offer(waiting, utterances)
            elif item.failure is not None:
                waiting.clear()
                stretches.reset()
                await inbox.send(HearingFailed(item.failure.code, str(item.failure), clip=clip))
            else:
                rest = stretches.close() or [SILENCE]
                waiting.extend(take(found, final=False) for found in rest[:-1])
                waiting.append(take(rest[-1], final=True))
                while waiting:
                    await utterances.send(waiting.popleft())


def _offer(waiting: deque[Take], utterances: trio.MemorySendChannel[Take]) -> None:
    """Pass on what there is room for; recognition may be behind, and the client sends on."""
    while waiting:
        try:
            utterances.send_nowait(waiting[0])
        except trio.WouldBlock:
            return
        waiting.popleft()
