"""The engines and their models, and what models cost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import attrs
from attrs.validators import ge, gt, in_, le


@attrs.frozen(kw_only=True)
class EngineConfig:
    """What every kind of engine has in common."""

    engine: str
    """The engine's name; ``voicecore check`` lists those installed."""
    model: str = ""
    """A name from ``voicecore models list``, or one of your own under ``[models.NAME]``."""
    threads: int = attrs.field(default=0, validator=ge(0))
    """0: this engine's share of the cores."""
    lean: bool = False
    """Less memory for a few milliseconds: nothing is loaded twice or kept for later, and what a
    request took is given back after it."""
    options: Mapping[str, str | int | float | bool] = attrs.field(factory=dict)
    """For engines from other packages; voicecore's own read none."""


@attrs.frozen(kw_only=True)
class VadConfig(EngineConfig):
    """Voice activity: which sounds are speech."""

    engine: str = "webrtc-silero"
    model: str = "silero-vad-v6"
    aggressiveness: int = attrs.field(default=2, validator=[ge(0), le(3)])
    """webrtcvad's mode: 3 takes the fewest sounds for speech."""
    threshold: float = attrs.field(default=0.5, validator=[gt(0), le(1)])
    """Silero's probability from which a sound is speech; it stays speech down to 0.15 below."""


@attrs.frozen(kw_only=True)
class TurnConfig(EngineConfig):
    """End of turn: whether a person who falls silent has finished, judged by the sound."""

    engine: str = "smart-turn"
    """The engine's name, or ``none`` to go by silence alone."""
    model: str = "smart-turn-v3.2"


WAKE_WORDS = ("okay_nabu", "hey_jarvis", "hey_mycroft", "alexa")
"""Those that ``micro-wakeword`` knows: their models are in its package."""


@attrs.frozen(kw_only=True)
class WakeConfig(EngineConfig):
    """A word that an open microphone waits for before anything is listened to."""

    engine: str = "none"
    """``micro-wakeword``, or ``none`` to listen always."""
    model: str = "okay_nabu"
    """The word: ``okay_nabu``, ``hey_jarvis``, ``hey_mycroft`` or ``alexa``."""
    awake_ms: int = attrs.field(default=8_000, validator=ge(1_000))
    """How long it listens on after the last thing that was said, by the person or by the host."""
    threshold: float = attrs.field(default=0.0, validator=[ge(0), le(1)])
    """The probability from which a sound is the word; more makes it deafer. 0: the word's own, 0.85
    to 0.97."""


@attrs.frozen(kw_only=True)
class SttConfig(EngineConfig):
    """Speech to text."""

    engine: str = "faster-whisper"
    model: str = "whisper-tiny.en"
    device: Literal["cpu", "cuda", "auto"] = attrs.field(
        default="cpu", validator=in_(("cpu", "cuda", "auto"))
    )
    """Where recognition runs."""
    compute_type: str = "int8"
    """CTranslate2's number format: ``int8``, ``int8_float16``, ``float16``, ``float32``."""
    language: str = "en"
    """ISO 639-1 code, or ``auto`` to detect it (multilingual models)."""
    hints: str = ""
    """Names and words that may occur."""
    beam_size: int = attrs.field(default=3, validator=gt(0))
    """Alternatives followed while decoding. 1 is a little faster; of 774 words of real speech it
    gets 43 wrong, 3 gets 37, as faster-whisper's own ``transcribe`` with 5 does."""
    timeout_ms: int = attrs.field(default=30_000, validator=gt(0))
    """A recognition that takes longer is given up with a status."""


@attrs.frozen(kw_only=True)
class LlmConfig(EngineConfig):
    """The language model that answers."""

    engine: str = "llama"
    model: str = "smollm2-135m-instruct"
    """A manifest name for ``llama``; the server's model name for ``openai``."""
    temperature: float = attrs.field(default=0.0, validator=ge(0))
    """0 always takes the likeliest word; more makes replies more varied."""
    top_p: float = attrs.field(default=0.9, validator=[gt(0), le(1)])
    """Words are chosen among the likeliest that together have this probability."""
    repeat_penalty: float = attrs.field(default=1.0, validator=gt(0))
    """llama only."""
    max_tokens: int = attrs.field(default=0, validator=ge(0))
    """Of one reply, calls of tools included. 0: 96 for ``llama``, 400 otherwise."""
    context_tokens: int = attrs.field(default=0, validator=ge(0))
    """Of one conversation: prompt and reply together. The oldest turns are left out beyond it. 0:
    2048 for ``llama``, whose memory it takes (768 if it is ``lean``); 8192 otherwise, with room
    for tools and files."""
    max_history_messages: int = attrs.field(default=200, validator=gt(0))
    """Of one conversation, held in memory and loaded on resuming; older ones stay in its file."""
    parallel: int = attrs.field(default=2, validator=gt(0))
    """Conversations answered at once by ``llama``; more wait their turn."""
    base_url: str = "http://127.0.0.1:11434/v1"
    """openai only: Ollama's address by default."""
    api_key_env: str = "OPENAI_API_KEY"
    """openai only: the environment variable that holds the key; it may be unset."""
    first_token_timeout_ms: int = attrs.field(default=20_000, validator=gt(0))
    """From the question to the first word of the reply; then the turn fails with a status."""
    between_tokens_timeout_ms: int = attrs.field(default=10_000, validator=gt(0))
    """A reply that pauses longer has failed; what was said of it stays said."""
    sees: bool = False
    """openai only: the model takes pictures."""
    tools: Literal["auto", "native", "text", "off"] = "auto"
    """How the model is told of its character's tools: by the server's own interface (``native``,
    openai only), in its prompt (``text``), or not at all. ``auto``: ``native`` if the engine can,
    else not: models too small to use tools are confused by them. A call it writes is run all the
    same."""

    @property
    def reply_tokens(self) -> int:
        """``max_tokens``, or what is chosen for it."""
        return self.max_tokens or (96 if self.engine == "llama" else 400)

    @property
    def prompt_tokens(self) -> int:
        """``context_tokens``, or what is chosen for it."""
        if self.engine != "llama":
            return self.context_tokens or 8192
        return self.context_tokens or (768 if self.lean else 2048)


@attrs.frozen(kw_only=True)
class TtsConfig(EngineConfig):
    """Text to speech."""

    engine: str = "piper"
    model: str = "en_US-joe-medium"
    speed: float = attrs.field(default=1.0, validator=[ge(0.25), le(4)])
    """1 is the voice's own pace; 2 is twice as fast."""


@attrs.frozen(kw_only=True)
class PriceConfig:
    """What a model costs, in USD."""

    in_per_million: float = attrs.field(default=0.0, validator=ge(0))
    """For a million prompt tokens."""
    out_per_million: float = attrs.field(default=0.0, validator=ge(0))
    """For a million reply tokens."""


@attrs.frozen(kw_only=True)
class OwnModelConfig:
    """A model of your own: where it is, on disk or on the web, and what it is for."""

    kind: Literal["stt", "llm", "tts", "vad", "turn"]
    """What it is for."""
    path: Path | None = None
    """The file, or the folder, that holds it."""
    url: str | None = None
    """Where to fetch it from, if it is not on disk."""
    sha256: str | None = None
    """Required with ``url``: nothing unverified is ever used."""
    licence: str = "unknown"
    """For ``voicecore models list``."""
