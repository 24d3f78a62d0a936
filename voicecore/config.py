"""The configuration: frozen, complete with defaults, one class per part of the host.

Every number carries its unit in its name. ``configfile.load`` fills these classes from TOML; the
strings below the fields are the words of docs/configuration.md (``configreference.describe``).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import attrs
from attrs.validators import and_, ge, gt, in_, le, optional


def cores() -> int:
    """Processors this process may use (a container's or taskset's limit counts)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@attrs.frozen(kw_only=True)
class ServerConfig:
    """Where the host listens, and what it takes from a client."""

    host: str = "127.0.0.1"
    """The address to listen on: ``0.0.0.0`` for every network the machine is in."""
    port: int = attrs.field(default=3000, validator=[ge(0), le(65535)])
    """0 lets the system choose; the ready line tells which."""
    max_sessions: int = attrs.field(default=32, validator=gt(0))
    """Live sockets. One more is refused with 503: a person would rather hear "busy" than wait."""
    max_message_bytes: int = attrs.field(default=16 * 1024 * 1024, validator=gt(0))
    """10 MB pictures (wire.md 1.2) are 13.4 MB as base64. A larger frame closes with 1009."""
    max_text_chars: int = attrs.field(default=16_000, validator=gt(0))
    """Of a typed message, or of a text to be spoken: twice what a small model's context holds."""
    max_bad_messages: int = attrs.field(default=10, validator=gt(0))
    """Malformed frames in a row until the connection is closed with 1008 (wire.md)."""
    max_sessions_per_address: int = attrs.field(default=8, validator=gt(0))
    """Live sockets of one client address: a page in a loop must not take all places."""
    character: str = "default"
    """The active character: who answers ``/ws``, and whom a client of an unknown name is sent to.
    Changing it while the host runs sends the clients of the old one to the new one."""
    dialect: Literal["auto", "documented", "native"] = "auto"
    """How the host speaks N.E.K.O.: as documented, as the shipped clients understand it, or
    ``auto``: as documented until a client shows that it is a shipped one."""
    request_timeout_ms: int = attrs.field(default=10_000, validator=gt(0))
    """For a complete HTTP request head, so that silent connections do not pile up."""
    drain_ms: int = attrs.field(default=3_000, validator=ge(0))
    """From SIGTERM until what is still open is cut: time for farewells and the last writes."""
    allowed_origins: tuple[str, ...] = ()
    """Web origins besides the host's own that may connect; ``*`` for any. Programs always may."""
    allowed_hosts: tuple[str, ...] = ()
    """Names under which pages of this host itself may be opened, besides ``localhost``, the
    machine's name and every address: a name that others own could point here."""


@attrs.frozen(kw_only=True)
class PathsConfig:
    """Where voicecore keeps its files."""

    data: Path = Path("~/.local/share/voicecore")
    """Conversations, one SQLite file each, under ``sessions/``."""
    models: Path = Path("~/.cache/voicecore/models")
    """Fetched model files, verified."""

    def expanded(self) -> PathsConfig:
        return PathsConfig(data=self.data.expanduser(), models=self.models.expanduser())


@attrs.frozen(kw_only=True)
class EarsConfig:
    """From sound to turns: when a person has begun to speak, and when they are done."""

    backlog_ms: int = attrs.field(default=30_000, validator=gt(0))
    """Sound waiting for recognition or for the session's start; more is dropped, with a status."""
    preroll_ms: int = attrs.field(default=300, validator=ge(0))
    """Kept from before speech was noticed: soft first consonants begin there."""
    onset_ms: int = attrs.field(default=100, validator=gt(0))
    """Voiced time, within a window of twice that, that makes speech of a sound."""
    guess_ms: int = attrs.field(default=40, validator=gt(0))
    """Silence after which the answer is prepared, unheard, in case the turn is over."""
    endpoint_ms: int = attrs.field(default=440, validator=gt(0))
    """Silence that ends a turn when nothing tells whether it is complete."""
    endpoint_complete_ms: int = attrs.field(default=200, validator=gt(0))
    """Silence that ends a turn that sounds complete (`turn.engine`)."""
    endpoint_open_ms: int = attrs.field(default=900, validator=gt(0))
    """Silence that ends a turn that sounds open, or whose last word begins something."""
    judge_ms: int = attrs.field(default=100, validator=gt(0))
    """Silence after which the turn engine is asked."""
    complete_from: float = attrs.field(default=0.9, validator=[gt(0), le(1)])
    """The turn engine's probability from which a turn sounds complete."""
    open_until: float = attrs.field(default=0.3, validator=[ge(0), le(1)])
    """The turn engine's probability up to which a turn sounds open."""
    max_utterance_ms: int = attrs.field(default=20_000, validator=[gt(1_000), le(28_000)])
    """Longer speech is cut here and recognised in pieces of one turn. Whisper's window is 30 s."""
    max_recording_ms: int = attrs.field(default=120_000, validator=gt(0))
    """One recorded message (CortexPrism); 3.8 MB as sound. A longer one is refused."""
    max_recording_bytes: int = attrs.field(default=32 * 1024 * 1024, validator=gt(0))
    """Of one recorded message as it is sent: two minutes of 48 kHz stereo WAV are 23 MB."""
    max_turn_chars: int = attrs.field(default=8_000, validator=gt(0))
    """Words of one spoken turn held in memory; beyond, they go to the history at once."""


@attrs.frozen(kw_only=True)
class EngineConfig:
    """What every kind of engine has in common."""

    engine: str
    """The engine's name; ``voicecore check`` lists those installed."""
    model: str = ""
    """A name from ``voicecore models list``, or one of your own under ``[models.NAME]``."""
    threads: int = attrs.field(default=0, validator=ge(0))
    """0: this engine's share of the cores."""
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
    """Alternatives followed while decoding. 1 is faster by a third; of 774 words of real speech it
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
    2048 for ``llama``, whose memory it takes; 8192 otherwise, with room for tools and files."""
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
        return self.context_tokens or (2048 if self.engine == "llama" else 8192)


@attrs.frozen(kw_only=True)
class TtsConfig(EngineConfig):
    """Text to speech."""

    engine: str = "piper"
    model: str = "en_US-joe-medium"
    speed: float = attrs.field(default=1.0, validator=[ge(0.25), le(4)])
    """1 is the voice's own pace; 2 is twice as fast."""


@attrs.frozen(kw_only=True)
class MouthConfig:
    """From words to sound: how a reply is cut into phrases and sent."""

    first_phrase_chars: int = attrs.field(default=12, validator=gt(0))
    """The first phrase may end at a clause (a comma, say) from this length on."""
    max_phrase_chars: int = attrs.field(default=200, validator=gt(0))
    """Bounds one synthesis job: about 13 s of speech, 0.7 s of work on two cores."""
    lead_ms: int = attrs.field(default=250, validator=ge(0))
    """How far ahead of the listener's clock sound is sent: covers a slow moment, and is what an
    interruption has to take back."""
    outbox_ms: int = attrs.field(default=4_000, validator=gt(0))
    """Finished sound waiting to be sent; synthesis waits beyond it."""
    chunk_ms: int = attrs.field(default=40, validator=[gt(0), le(1000)])
    """Sound in one message."""


@attrs.frozen(kw_only=True)
class CharacterConfig:
    """Whom a person talks to, under ``/ws/NAME``; the character ``default`` always exists."""

    prompt: str = """\
You are a friendly voice assistant. You answer in one or two short sentences.
User: Hello.
Assistant: Hello! How can I help you today?
User: I feel tired.
Assistant: I'm sorry to hear that. Maybe a short nap would help?
User: What is your name?
Assistant: I'm your voice assistant.
User: What is the capital of Spain?
Assistant: The capital of Spain is Madrid."""
    """What the language model is told about its part."""
    voice: str | None = None
    """A TTS model's name; without it, ``tts.model``."""
    speed: float | None = attrs.field(default=None, validator=optional(and_(ge(0.25), le(4))))
    """Of the voice; without it, ``tts.speed``."""
    language: str | None = None
    """What is spoken to it; without it, ``stt.language``."""
    greeting: str = ""
    """Said at the start of a new conversation."""
    model: str | None = None
    """A language model of its own; without it, ``llm.model``. Loaded when the host starts."""
    tools: tuple[str, ...] = ("*",)
    """The tools it may use, ``*`` for all that are allowed; ``voicecore tools`` lists them."""


@attrs.frozen(kw_only=True)
class EyesConfig:
    """Pictures and files that a person shows."""

    max_picture_bytes: int = attrs.field(default=10 * 1024 * 1024, validator=gt(0))
    """Of one picture as it is sent (wire.md 1.2)."""
    max_picture_pixels: int = attrs.field(default=40_000_000, validator=gt(0))
    """Of one picture unpacked: an 8K screen has 33 million. A few kB can unpack to gigabytes."""
    side_px: int = attrs.field(default=1024, validator=[ge(64), le(8192)])
    """Pictures are scaled down to this longer side: what most models look at anyway."""
    max_files: int = attrs.field(default=8, validator=gt(0))
    """Files with one message."""
    max_file_bytes: int = attrs.field(default=10 * 1024 * 1024, validator=gt(0))
    """Of one file."""
    max_document_chars: int = attrs.field(default=20_000, validator=gt(0))
    """Of one file's text given to the model; the rest is left out, and the model is told."""


@attrs.frozen(kw_only=True)
class ToolsConfig:
    """What a character may do besides talking."""

    functions: tuple[str, ...] = ()
    """Python functions of your own, as ``package.module:function``."""
    allow: tuple[str, ...] = ()
    """Dangerous tools that may be used, by name (those of MCP servers as ``SERVER/TOOL``)."""
    deny: tuple[str, ...] = ()
    """Tools nobody may use, by name; ``*`` for all."""
    timeout_ms: int = attrs.field(default=30_000, validator=gt(0))
    """For one call; then it is cancelled, and the model is told."""
    max_running: int = attrs.field(default=4, validator=gt(0))
    """Calls running at once for one client; more wait their turn."""
    max_waiting: int = attrs.field(default=32, validator=gt(0))
    """Calls, timers included, that one client may have waiting or running."""
    max_rounds: int = attrs.field(default=4, validator=gt(0))
    """Times the model may call tools within one turn; then it must answer."""
    max_result_chars: int = attrs.field(default=4_000, validator=gt(0))
    """Of one result given to the model; the rest is left out, and the model is told."""
    filler_ms: int = attrs.field(default=1_000, validator=gt(0))
    """A tool that takes longer has the person told, once a turn, that it is at work."""
    filler: str = "One moment, please."
    """What is said then; empty for nothing."""


@attrs.frozen(kw_only=True)
class McpServerConfig:
    """A server of tools that speaks the Model Context Protocol: a program, or an address."""

    command: str = ""
    """The program, spoken with over its standard input and output."""
    args: tuple[str, ...] = ()
    """Its arguments."""
    env: Mapping[str, str] = attrs.field(factory=dict)
    """Added to the little of the environment that it gets (PATH, HOME and the like)."""
    url: str = ""
    """Or the address of a server that runs already (streamable HTTP)."""
    token_env: str = ""
    """The environment variable that holds its bearer token."""
    dangerous: bool = True
    """Its tools must be allowed by name (``tools.allow``). False trusts them all."""
    start_timeout_ms: int = attrs.field(default=10_000, validator=gt(0))
    """For it to start and list its tools; beyond, the host runs without it."""


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


@attrs.frozen(kw_only=True)
class LogConfig:
    """What the host tells about itself."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least serious kind of line that is written."""
    format: Literal["auto", "console", "json"] = "auto"
    """``auto``: coloured lines on a terminal, JSON lines elsewhere."""
    content: bool = False
    """True writes what was said and answered into the log. Sound is never logged."""


@attrs.frozen(kw_only=True)
class Config:
    """Everything; the one object the parts of the host are made from."""

    server: ServerConfig = attrs.field(factory=ServerConfig)
    paths: PathsConfig = attrs.field(factory=PathsConfig)
    ears: EarsConfig = attrs.field(factory=EarsConfig)
    vad: VadConfig = attrs.field(factory=VadConfig)
    turn: TurnConfig = attrs.field(factory=TurnConfig)
    stt: SttConfig = attrs.field(factory=SttConfig)
    llm: LlmConfig = attrs.field(factory=LlmConfig)
    tts: TtsConfig = attrs.field(factory=TtsConfig)
    mouth: MouthConfig = attrs.field(factory=MouthConfig)
    characters: Mapping[str, CharacterConfig] = attrs.field(factory=dict)
    eyes: EyesConfig = attrs.field(factory=EyesConfig)
    tools: ToolsConfig = attrs.field(factory=ToolsConfig)
    mcp: Mapping[str, McpServerConfig] = attrs.field(factory=dict)
    prices: Mapping[str, PriceConfig] = attrs.field(factory=dict)
    models: Mapping[str, OwnModelConfig] = attrs.field(factory=dict)
    logs: LogConfig = attrs.field(factory=LogConfig)

    def character(self, name: str) -> CharacterConfig | None:
        """Return the named character; ``default`` exists without being configured."""
        found = self.characters.get(name)
        return CharacterConfig() if found is None and name == "default" else found

    def cost_usd(self, model: str, tokens_in: int, tokens_out: int) -> float:
        """What a turn of this model costs; nothing if it has no price."""
        price = self.prices.get(model, PriceConfig())
        millionths = tokens_in * price.in_per_million + tokens_out * price.out_per_million
        return millionths / 1_000_000
