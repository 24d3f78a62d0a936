"""One recorded message, sent in parts, to utterances: no endpoint is looked for in it."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import trio

from voicecore.audio import EAR_HZ, Samples, ms_to_samples
from voicecore.config import EarsConfig
from voicecore.ears.clip import ClipDecoder
from voicecore.ears.ingest import Ingest
from voicecore.ears.segment import Take
from voicecore.errors import BadAudio, ClientError
from voicecore.events import ClipEnd, ClipPart
from voicecore.mind.happenings import Happening, HearingFailed

Recording: TypeAlias = ClipPart | ClipEnd

NO_AUDIO = "No audio data to transcribe"  # wire.md 2.1, word for word


class RecordingBuffer:
    """Decodes one message after the other, each to 16 kHz sound of bounded length."""

    def __init__(self, max_ms: float) -> None:
        self._max_ms = max_ms
        self._begin(0)

    def _begin(self, clip: int) -> None:
        self._clip = clip
        self._decoder: ClipDecoder | None = None
        self._ingest = Ingest()
        self._frames: list[Samples] = []
        self._failure: ClientError | None = None

    def feed(self, part: ClipPart) -> None:
        """Take the next part; what is wrong with it is told at the end of the message.

        A part of another message ends the one before, whose own end was not taken.
        """
        if part.clip != self._clip:
            self._begin(part.clip)
        if self._failure is not None:
            return
        if self._decoder is None:
            self._decoder = ClipDecoder(part.format)
        try:
            for pcm in self._decoder.feed(part.data):
                self._frames += self._ingest.feed(pcm)
            self._check_length()
        except ClientError as error:
            self._failure = error
            self._frames.clear()

    def _check_length(self) -> None:
        if len(self._frames) * 20 > self._max_ms:
            raise BadAudio(
                f"The recording is longer than {self._max_ms / 1000:.0f} s; send shorter ones.",
                "RECORDING_TOO_LONG",
            )

    def close(self) -> Samples:
        """End the message and return its sound (16 kHz int16); the next one may begin.

        Raises:
            ClientError: there was none, or it cannot be decoded.
        """
        decoder, frames, failure, ingest = self._decoder, self._frames, self._failure, self._ingest
        self._begin(0)
        if failure is not None:
            raise failure
        if decoder is not None:
            for pcm in decoder.close():
                frames += ingest.feed(pcm)
            frames += ingest.close()
        if not frames:
            raise BadAudio(NO_AUDIO)
        return np.concatenate(frames)


def pieces(samples: Samples, longest_ms: int) -> list[Samples]:
    """Cut a message to lengths that can be recognised; a short one stays whole."""
    longest = ms_to_samples(longest_ms, EAR_HZ)
    return [samples[at : at + longest] for at in range(0, len(samples), longest)]


async def record(
    parts: trio.MemoryReceiveChannel[Recording],
    utterances: trio.MemorySendChannel[Take],
    inbox: trio.MemorySendChannel[Happening],
    config: EarsConfig,
) -> None:
    """Decode the parts as they arrive; at the end of a message pass it on to be recognised."""
    buffer = RecordingBuffer(config.max_recording_ms)
    with parts, utterances, inbox:
        async for part in parts:
            if isinstance(part, ClipPart):
                buffer.feed(part)
                continue
            now_s = trio.current_time()
            try:
                found = pieces(buffer.close(), config.max_utterance_ms)
            except ClientError as error:
                await inbox.send(HearingFailed(error.code, str(error), clip=part.clip))
                continue
            for index, piece in enumerate(found, 1):
                final = index == len(found)
                await utterances.send(Take(piece, final, now_s, now_s, clip=part.clip))
