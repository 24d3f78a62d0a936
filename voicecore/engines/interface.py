"""What an engine is: one small vocabulary for recognition, language, voice and turns.

Every engine answers a request with a stream of chunks. A *native* engine is blocking code that a
thread of its own runs (`worker.py`); any other engine is Trio code. A conversation sees only
`Engine`, and cannot tell which it has.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from enum import IntEnum
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

import attrs

from voicecore.audio import Samples

Kind: TypeAlias = Literal["stt", "llm", "tts", "vad", "turn", "wake"]

R = TypeVar("R")
R_contra = TypeVar("R_contra", contravariant=True)
C = TypeVar("C")
C_co = TypeVar("C_co", covariant=True)


@attrs.frozen
class EngineInfo:
    """What `/healthz` and `voicecore check` tell about a loaded engine."""

    kind: Kind
    name: str
    """The registry's name, as in the configuration (``faster-whisper``)."""
    model: str
    version: str
    """Of the library that does the work."""
    device: str = "cpu"
    threads: int = 1
    sees: bool = False
    """A language model that takes pictures."""
    calls_tools: bool = False
    """A language model that is told of tools by `Prompt.tools` and answers with `CalledTool`.
    Others are told in their prompt, and write calls as text."""
    reads_ahead: bool = False
    """A language model that gains by reading the beginning of a prompt while a person speaks."""
    joins: bool = False
    """A voice that can begin a sentence before its end is known: see `SpeechRequest.after`."""


class Urgency(IntEnum):
    """Who waits for a request: what a machine works on first when it cannot do all at once."""

    AWAITED = 0
    """A person waits in silence: a turn's last recognition, the first phrase of a reply."""
    AHEAD = 1
    """It will be waited for if it is not ready in time: a phrase while the one before it plays."""
    GUESS = 2
    """It may turn out to be what the person waits for, or not: an answer prepared in a pause."""
    PARTIAL = 3
    """It only makes later work shorter: words recognised while the person still speaks."""


# --- speech to text ------------------------------------------------------------------------------


@attrs.frozen(eq=False)
class Utterance:
    """A stretch of speech to recognise: 16 kHz mono int16."""

    samples: Samples
    language: str | None = None
    """ISO 639-1 code, or None for the engine's configured default."""
    hints: str = ""
    """Names and words that may occur, given to the recogniser as its initial prompt."""
    urgency: Urgency = Urgency.AWAITED
    """With `Urgency.PARTIAL` one quick pass will do: the words are not shown as final."""


@attrs.frozen
class Transcript:
    """What was recognised. ``text`` is empty when nobody spoke: silence and noise have no words."""

    text: str
    confidence: float
    """0 to 1: the exponential of the mean log probability of a token."""
    no_speech: float = 0.0
    """0 to 1: how sure the model is that nobody spoke."""
    language: str = "en"
    passes: int = 1
    """2 when a first, short-window result was rejected and the full window decided."""


# --- language ------------------------------------------------------------------------------------


@attrs.frozen
class Image:
    """A picture for a model that can see."""

    mime_type: str
    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")


@attrs.frozen
class CalledTool:
    """A call the model made, natively or in its text."""

    id: str
    """The model's own, or made up; unique in its prompt."""
    name: str
    arguments: str
    """JSON, as the model wrote it: perhaps malformed."""


@attrs.frozen
class Message:
    """One message of a prompt.

    A reply that called tools is an ``assistant`` message with ``calls``, followed by one ``tool``
    message with ``call_id`` for each of them.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    images: tuple[Image, ...] = ()
    calls: tuple[CalledTool, ...] = ()
    call_id: str = ""
    """Of a ``tool`` message: the call it answers."""


@attrs.frozen
class ToolSpec:
    """A tool as the model is told of it."""

    name: str
    description: str
    parameters: Mapping[str, object]
    """JSON Schema of an object."""


@attrs.frozen
class Prompt:
    """What the language model is asked. None means the engine's configured default."""

    messages: tuple[Message, ...]
    max_tokens: int | None = None
    temperature: float | None = None
    tools: tuple[ToolSpec, ...] = ()
    """Given only to a model whose `EngineInfo.calls_tools` is true."""
    conversation: str = ""
    """Names the conversation, whose prompts begin alike; empty for one that has no others."""
    urgency: Urgency = Urgency.AWAITED
    """With `Urgency.PARTIAL` nothing is to be written: the prompt is only read, so that one which
    begins the same is read faster. Given only to a model whose `EngineInfo.reads_ahead` is true."""


@attrs.frozen
class Delta:
    """A piece of the reply's text, as it is generated; never empty."""

    text: str


@attrs.frozen
class Usage:
    """The last chunk of every complete reply: what it cost, counted by the model that ran."""

    tokens_in: int
    tokens_out: int
    model: str
    finish: str = "stop"
    """``stop``, ``length`` or ``tool_calls``."""


LlmChunk: TypeAlias = Delta | CalledTool | Usage
"""A complete reply is any number of `Delta` and `CalledTool`, then one `Usage`."""


# --- text to speech ------------------------------------------------------------------------------


@attrs.frozen
class SpeechRequest:
    """A phrase to speak, already free of markup."""

    text: str
    voice: str | None = None
    speed: float = 1.0
    """1 is the voice's own pace; 2 is twice as fast."""
    urgency: Urgency = Urgency.AWAITED
    before: str = ""
    """Words of the same sentence that were just spoken. They are not spoken again, but the voice
    goes on from them as in one breath."""
    after: str = ""
    """Words that will follow in the same sentence. They are not spoken: the sound ends where they
    would begin. Both only for a voice whose `EngineInfo.joins` is true; others may ignore them."""


@attrs.frozen
class WordTime:
    """When a word is spoken, from the first sample of the chunk that brings it."""

    text: str
    """As it stands in the request's text, punctuation included, without spaces around it."""
    start_ms: float
    end_ms: float


@attrs.frozen(eq=False)
class SpeechChunk:
    """A piece of the phrase's sound at the voice's own rate."""

    samples: Samples
    rate_hz: int
    words: tuple[WordTime, ...] = ()
    """The words that begin here and in the chunks after it, up to the next chunk with words; they
    may end, or even begin, in those. Empty if the voice does not know when it says what."""


# --- end of turn ---------------------------------------------------------------------------------


@attrs.frozen(eq=False)
class TurnSound:
    """What a person said so far, up to now: 16 kHz mono int16, its end being a short silence.

    A judge hears the last 8 s of it at most.
    """

    samples: Samples
    urgency: Urgency = Urgency.AWAITED


@attrs.frozen
class Completeness:
    """How finished a turn sounds. The one chunk of every answer."""

    probability: float
    """0 to 1: that the person has finished, and does not only pause."""


# --- the engine ----------------------------------------------------------------------------------


class Engine(Protocol[R_contra, C_co]):
    """A loaded engine that serves every conversation of the host.

    `stream` waits until the engine has time, then yields the chunks as they are made.

    Raises:
        EngineError: from the iteration, when this request failed. The engine lives on.

    **Cancellation**: leaving the stream, by cancellation or otherwise, takes effect at once. Native
    work already begun ends unheard at its next chunk; the caller never waits for it.
    """

    @property
    def info(self) -> EngineInfo: ...

    def stream(self, request: R_contra, /) -> AbstractAsyncContextManager[AsyncIterator[C_co]]: ...


Stt: TypeAlias = Engine[Utterance, Transcript]
Llm: TypeAlias = Engine[Prompt, LlmChunk]
Tts: TypeAlias = Engine[SpeechRequest, SpeechChunk]
TurnJudge: TypeAlias = Engine[TurnSound, Completeness]


class Unheard(Exception):
    """Raised by ``emit`` when nobody listens any more: stop working on this request."""


@runtime_checkable
class Native(Protocol[R_contra, C_co]):
    """Blocking code that answers requests, each call in a worker thread.

    It knows nothing of Trio. At most ``concurrency`` calls of `run` run at once.
    """

    @property
    def info(self) -> EngineInfo: ...

    @property
    def concurrency(self) -> int: ...

    def run(self, request: R_contra, emit: Callable[[C_co], None], /) -> None:
        """Answer one request, calling ``emit`` with each chunk as it is made.

        Raises:
            Unheard: passed on from ``emit``.
            EngineError: this request failed; say why and what to do.
        """

    def warm_up(self) -> None:
        """Run a small request through everything, so that the first real one is fast."""

    def close(self) -> None:
        """Free the native resources. No `run` is in progress."""


# --- voice activity ------------------------------------------------------------------------------

VAD_FRAME_MS = 20
"""webrtcvad takes 10, 20 or 30 ms."""


class VoiceDetector(Protocol):
    """Voice activity of one stream of sound. Synchronous: it is cheaper than a thread hop."""

    def feed(self, frame: Samples) -> bool:
        """Take 20 ms (320 samples at 16 kHz) and say whether a person speaks in it."""

    def reset(self) -> None:
        """Forget the past: the next frame begins a new stream."""


class Vad(Protocol):
    """A loaded voice activity engine; makes one detector for each conversation."""

    @property
    def info(self) -> EngineInfo: ...

    def detector(self) -> VoiceDetector: ...


# --- wake word -----------------------------------------------------------------------------------


class WakeDetector(Protocol):
    """Listens for the wake word in one stream of sound. Synchronous, as `VoiceDetector` is."""

    def feed(self, frame: Samples) -> bool:
        """Take any number of samples at 16 kHz and say whether the word was just completed.

        It is told some time after that (`Wake.late_ms`), and perhaps for some frames in a row.
        """

    def reset(self) -> None:
        """Forget the past: the next frame begins a new stream."""


class Wake(Protocol):
    """A loaded wake word engine; makes one detector for each conversation."""

    @property
    def info(self) -> EngineInfo: ...

    @property
    def word(self) -> str:
        """What is to be said, as it is written for people: ``Okay Nabu``."""

    @property
    def late_ms(self) -> int:
        """How long after the word's end, at most, it is noticed, if more is said at once."""

    def detector(self) -> WakeDetector: ...


# --- how an engine is loaded ---------------------------------------------------------------------


class ModelFiles(Protocol):
    """Where the model files are: verified, on disk."""

    def folder(self, name: str) -> Path:
        """The folder that holds model ``name``'s files.

        Raises:
            ModelError: it is unknown, missing or corrupt; says which command brings it.
        """

    def file(self, name: str, suffix: str) -> Path:
        """The one file of model ``name`` whose name ends with ``suffix``.

        Raises:
            ModelError: as `folder`, or there is no such file.
        """
