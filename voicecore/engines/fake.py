"""Deterministic engines: exact times on Trio's clock, no models, no threads.

They are shipped code. Tests run whole conversations on them in virtual time, benchmarks measure the
host without the models, and ``--set stt.engine=fake`` shows the host on a machine that has none.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Generic, TypeAlias

import attrs
import numpy as np
import trio

from voicecore.audio import EAR_HZ, Samples, ms_to_samples, samples_to_ms
from voicecore.config import LlmConfig, SttConfig, TtsConfig, TurnConfig, VadConfig, WakeConfig
from voicecore.engines.interface import (
    C,
    CalledTool,
    Completeness,
    Delta,
    EngineInfo,
    Kind,
    LlmChunk,
    ModelFiles,
    Prompt,
    R,
    SpeechChunk,
    SpeechRequest,
    Transcript,
    TurnSound,
    Urgency,
    Usage,
    Utterance,
    Vad,
    VoiceDetector,
    Wake,
    WakeDetector,
)
from voicecore.errors import EngineError

Step: TypeAlias = tuple[float, C | EngineError]
"""Seconds until this chunk, and the chunk. An error in its place is raised there."""

Reply: TypeAlias = str | EngineError | Sequence[Delta | CalledTool]
"""Of a fake language model: its words, its failure, or text and native calls."""


class FakeEngine(Generic[R, C]):
    """Answers each request by playing a script of timed chunks."""

    def __init__(
        self,
        kind: Kind,
        script: Callable[[R], Iterator[Step[C]]],
        *,
        info: EngineInfo | None = None,
    ) -> None:
        self.info = info or EngineInfo(kind, "fake", "none", "0")
        """May be replaced, for an engine that can something else."""
        self.requests: list[R] = []
        """Every request so far, for tests to look at."""
        self.open = 0
        """Streams being listened to now."""
        self._script = script

    @asynccontextmanager
    async def stream(self, request: R) -> AsyncIterator[AsyncIterator[C]]:
        self.requests.append(request)
        self.open += 1
        try:
            yield _Player(self._script(request))
        finally:
            self.open -= 1


class _Player(Generic[C]):
    def __init__(self, script: Iterator[Step[C]]) -> None:
        self._script = script

    def __aiter__(self) -> _Player[C]:
        return self

    async def __anext__(self) -> C:
        for delay_s, chunk in self._script:
            await trio.sleep(delay_s)
            if isinstance(chunk, EngineError):
                raise chunk
            return chunk
        raise StopAsyncIteration


def fake_stt(
    texts: Sequence[str | EngineError] = (), *, delay_s: float = 0.2
) -> FakeEngine[Utterance, Transcript]:
    """Recognise the scripted texts in turn; past them, say how long the speech was.

    Of a partial it recognises nothing.
    """
    scripted = iter(texts)

    def script(utterance: Utterance) -> Iterator[Step[Transcript]]:
        if utterance.urgency is Urgency.PARTIAL:
            yield delay_s, Transcript("", confidence=0.0)
            return
        ms = samples_to_ms(len(utterance.samples), 16_000)
        text = next(scripted, f"I spoke for {ms / 1000:.1f} seconds.")
        if isinstance(text, EngineError):
            yield delay_s, text
        else:
            yield delay_s, Transcript(text, confidence=0.9 if text else 0.0)

    return FakeEngine("stt", script)


def fake_llm(
    replies: Sequence[Reply] = (),
    *,
    first_token_s: float = 0.1,
    tokens_per_s: float = 40,
    die_after: int | None = None,
    sees: bool = False,
    calls_tools: bool = False,
    model: str = "none",
) -> FakeEngine[Prompt, LlmChunk]:
    """Give the scripted replies in turn, a word a token; past them, repeat the person's words.

    Args:
        replies: what to say. A list is text and native calls, each one token; an `EngineError` is
            raised in place of a reply.
        first_token_s: seconds to the first token.
        tokens_per_s: rate of the rest.
        die_after: fail after this many tokens of every reply.
        sees: for its `EngineInfo`.
        calls_tools: for its `EngineInfo`.
        model: for its `EngineInfo`.
    """
    scripted = iter(replies)

    def script(prompt: Prompt) -> Iterator[Step[LlmChunk]]:
        reply = next(scripted, f"You said: {prompt.messages[-1].content}")
        if isinstance(reply, EngineError):
            yield first_token_s, reply
            return
        chunks = _words(reply) if isinstance(reply, str) else list(reply)
        for index, chunk in enumerate(chunks):
            if index == die_after:
                yield 0, EngineError("The fake language model died, as it was told to.")
            if chunk != Delta(""):
                yield 1 / tokens_per_s if index else first_token_s, chunk
        tokens_in = sum(len(message.content.split()) for message in prompt.messages)
        called = any(isinstance(chunk, CalledTool) for chunk in chunks)
        yield 0, Usage(tokens_in, len(chunks), "fake", "tool_calls" if called else "stop")

    info = EngineInfo("llm", "fake", model, "0", sees=sees, calls_tools=calls_tools)
    return FakeEngine("llm", script, info=info)


def _words(text: str) -> list[Delta | CalledTool]:
    first, *others = text.split(" ")
    return [Delta(first), *(Delta(f" {word}") for word in others)]


def fake_tts(
    *, delay_s: float = 0.05, ms_per_char: float = 60, rate_hz: int = 22_050
) -> FakeEngine[SpeechRequest, SpeechChunk]:
    """Speak a 220 Hz tone as long as the words would take."""

    def script(request: SpeechRequest) -> Iterator[Step[SpeechChunk]]:
        samples = ms_to_samples(len(request.text) * ms_per_char / request.speed, rate_hz)
        yield delay_s, SpeechChunk(tone(samples, rate_hz), rate_hz)

    return FakeEngine("tts", script)


def tone(samples: int, rate_hz: int, *, hz: float = 220, level: int = 8_000) -> Samples:
    """A sine wave: how the fake voice sounds."""
    phase = np.arange(samples) * (2 * np.pi * hz / rate_hz)
    wave: Samples = (np.sin(phase) * level).astype(np.int16)
    return wave


def babble(samples: int, *, level: int = 8_000) -> Samples:
    """Noise, the same each time: how a person sounds to the fakes. A steady tone is nobody."""
    return np.random.default_rng(0).integers(-level, level, samples, dtype=np.int16)


def fake_turn(
    probabilities: Sequence[float | EngineError] = (), *, delay_s: float = 0.05
) -> FakeEngine[TurnSound, Completeness]:
    """Give the scripted probabilities in turn; past them, every turn sounds complete."""
    scripted = iter(probabilities)

    def script(_: TurnSound) -> Iterator[Step[Completeness]]:
        answer = next(scripted, 1.0)
        yield delay_s, answer if isinstance(answer, EngineError) else Completeness(answer)

    return FakeEngine("turn", script)


@attrs.frozen
class FakeVad:
    """Takes any frame louder than a whisper for speech."""

    info: EngineInfo = EngineInfo("vad", "fake", "none", "0")  # noqa: RUF009 - frozen

    def detector(self) -> VoiceDetector:
        return _Loudness()


class _Loudness:
    def feed(self, frame: Samples) -> bool:
        return bool(len(frame)) and int(np.abs(frame.astype(np.int32)).max()) > 500

    def reset(self) -> None:
        pass


KEYNOTE_HZ = 1_000
"""What the fake wake word sounds like: `tone` of this pitch."""


@attrs.frozen
class FakeWake:
    """Takes 60 ms of a pure 1 kHz tone for the word."""

    info: EngineInfo = EngineInfo("wake", "fake", "none", "0")  # noqa: RUF009 - frozen
    word: str = "Beep"
    late_ms: int = 0

    def detector(self) -> WakeDetector:
        return _Keynote()


class _Keynote:
    def __init__(self) -> None:
        self._ms = 0.0

    def feed(self, frame: Samples) -> bool:
        self._ms = self._ms + samples_to_ms(len(frame), EAR_HZ) if _is_keynote(frame) else 0.0
        return self._ms >= 60

    def reset(self) -> None:
        self._ms = 0.0


def _is_keynote(frame: Samples) -> bool:
    """Whether nearly all of the power is at one frequency."""
    power = float(np.sum(np.square(frame, dtype=np.float64)))
    angles = np.arange(len(frame)) * (2j * np.pi * KEYNOTE_HZ / EAR_HZ)
    found = float(np.abs(np.sum(frame * np.exp(angles))) ** 2) * 2 / max(1, len(frame))
    return power > 0 and found > 0.9 * power


def load_stt(
    config: SttConfig, files: ModelFiles, *, threads: int
) -> FakeEngine[Utterance, Transcript]:
    del config, files, threads
    return fake_stt()


def load_llm(config: LlmConfig, files: ModelFiles, *, threads: int) -> FakeEngine[Prompt, LlmChunk]:
    del files, threads
    return fake_llm(
        sees=config.sees, calls_tools=config.tools == "native", model=config.model or "none"
    )


def load_tts(
    config: TtsConfig, files: ModelFiles, *, threads: int
) -> FakeEngine[SpeechRequest, SpeechChunk]:
    del config, files, threads
    return fake_tts()


def load_vad(config: VadConfig, files: ModelFiles, *, threads: int) -> Vad:
    del config, files, threads
    return FakeVad()


def load_turn(
    config: TurnConfig, files: ModelFiles, *, threads: int
) -> FakeEngine[TurnSound, Completeness]:
    del config, files, threads
    return fake_turn()


def load_wake(config: WakeConfig, files: ModelFiles, *, threads: int) -> Wake:
    del config, files, threads
    return FakeWake()
