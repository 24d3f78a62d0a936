"""A conversation: hearing, seeing, speaking, and who answers."""

from __future__ import annotations

import attrs
from attrs.validators import and_, ge, gt, le, optional


@attrs.frozen(kw_only=True)
class EarsConfig:
    """From sound to turns: when a person has begun to speak, and when they are done."""

    backlog_ms: int = attrs.field(default=30_000, validator=gt(0))
    """Sound waiting for recognition or for the session's start; more is dropped, with a status."""
    preroll_ms: int = attrs.field(default=300, validator=ge(0))
    """Kept from before speech was noticed: soft first consonants begin there."""
    onset_ms: int = attrs.field(default=60, validator=gt(0))
    """Voiced time, within a window of twice that, that makes speech of a sound. While a reply is
    heard, other rules keep coughs and its echo from stopping it (`ears/onset.py`)."""
    partial_ms: int = attrs.field(default=500, validator=gt(0))
    """While a person speaks on, their words so far are recognised so often, when the machine has
    time: the last ones and the answer then come sooner."""
    guess_ms: int = attrs.field(default=40, validator=gt(0))
    """Silence, or sound far softer than the speech before, after which the answer is prepared,
    unheard, in case the turn is over."""
    endpoint_ms: int = attrs.field(default=600, validator=gt(0))
    """Silence that ends a turn when nothing tells whether it is complete."""
    endpoint_complete_ms: int = attrs.field(default=200, validator=gt(0))
    """Silence that ends a turn that sounds complete (`turn.engine`), once the prepared answer can
    be heard; at ``endpoint_ms`` it ends in any case."""
    endpoint_open_ms: int = attrs.field(default=900, validator=gt(0))
    """Silence that ends a turn that sounds open, or whose last word begins something."""
    judge_ms: int = attrs.field(default=200, validator=gt(0))
    """Silence after which the turn engine is asked."""
    complete_from: float = attrs.field(default=0.7, validator=[gt(0), le(1)])
    """The turn engine's probability from which a turn sounds complete."""
    open_until: float = attrs.field(default=0.1, validator=[ge(0), le(1)])
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
