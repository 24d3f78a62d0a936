"""The frozen vocabulary between the wires and a conversation.

A wire decodes its client's messages to *commands* and encodes *events* to its own messages. The
conversation never learns which wire it serves.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

from voicecore.audio import Pcm
from voicecore.errors import ClientError

InputMode: TypeAlias = Literal["audio", "text", "screen", "camera"]

# --- commands: from the client -------------------------------------------------------------------


@attrs.frozen(eq=False)
class Sound:
    """Microphone sound, of any rate and length."""

    pcm: Pcm


@attrs.frozen
class Ping:
    pass


@attrs.frozen
class Start:
    """Begin, or begin again, to listen."""

    mode: InputMode
    fresh: bool = False
    """True begins a new conversation; False continues the last one of this client."""


@attrs.frozen
class Pause:
    """Stop everything in flight; the conversation stays."""


@attrs.frozen
class End:
    """Stop everything in flight and close the conversation."""


@attrs.frozen
class Stop:
    """Cancel the running turn."""


@attrs.frozen
class Typed:
    """A typed message."""

    text: str
    barge_in: bool = False
    """True: a running reply is interrupted, as by speech. False: it is an error."""
    session_id: str | None = None
    """The conversation it belongs to; None for the current one."""


@attrs.frozen
class NewConversation:
    pass


@attrs.frozen(eq=False)
class ClipPart:
    """A part of one recorded message, cut anywhere."""

    data: bytes
    format: str | None = None
    clip: int = 0
    """Which message it is of; the session numbers them."""


@attrs.frozen
class ClipEnd:
    """The recorded message is complete."""

    clip: int = 0


@attrs.frozen
class Recite:
    """Speak this text as it is."""

    text: str
    voice: str | None = None


@attrs.frozen
class SetSpoken:
    """Turn spoken replies to typed messages on or off."""

    enabled: bool | None
    """None changes nothing, and asks what it is."""


@attrs.frozen
class Ignored:
    """Something shipped clients send that needs no answer."""


@attrs.frozen
class Wrong:
    """A message that cannot be used; the client is told and the connection stays."""

    error: ClientError


Command: TypeAlias = (
    Sound
    | Ping
    | Start
    | Pause
    | End
    | Stop
    | Typed
    | NewConversation
    | ClipPart
    | ClipEnd
    | Recite
    | SetSpoken
    | Ignored
    | Wrong
)

# --- events: to the client -----------------------------------------------------------------------


@attrs.frozen
class Connected:
    pass


@attrs.frozen
class Pong:
    pass


@attrs.frozen
class Preparing:
    mode: InputMode


@attrs.frozen
class Started:
    mode: InputMode


@attrs.frozen
class StartFailed:
    mode: InputMode


@attrs.frozen
class Paused:
    pass


@attrs.frozen
class Ended:
    """The conversation was closed and saved."""

    session_id: str | None


@attrs.frozen
class ConversationOpened:
    session_id: str
    character: str


@attrs.frozen
class Problem:
    """Something went wrong; the message says what, why, and what to do."""

    code: str
    message: str


@attrs.frozen
class Activity:
    """The person began to speak. A reply that was being spoken is named: stop playing it."""

    interrupted_turn: str | None


@attrs.frozen
class UserWords:
    """What was recognised."""

    text: str
    confidence: float


@attrs.frozen
class TurnStarted:
    turn: str


@attrs.frozen
class ReplyText:
    turn: str
    delta: str
    first: bool


@attrs.frozen
class PhraseStarted:
    """The phrase whose sound comes next."""

    turn: str
    text: str
    voice: str


@attrs.frozen(eq=False)
class ReplySound:
    turn: str
    pcm: Pcm


@attrs.frozen
class ReplyTextComplete:
    """All of the reply's text was sent; its sound may still follow."""

    turn: str


@attrs.frozen
class TurnDone:
    """The turn is over: text and sound were sent."""

    turn: str
    text: str
    tokens_in: int
    tokens_out: int
    cost_usd: float
    duration_ms: float
    model: str


@attrs.frozen
class Stopped:
    """The running turn was cancelled, as asked."""


@attrs.frozen
class Spoken:
    """Spoken replies are now on or off."""

    enabled: bool


@attrs.frozen
class Span:
    """One stage of a turn. Times are seconds on the host's clock."""

    name: str
    owner: str
    """Who spent the time: an engine, or the configuration key that sets it."""
    start_s: float
    end_s: float


@attrs.frozen
class Timeline:
    """Where a turn's time went. ``zero_s`` is the person's last spoken sample, or their message."""

    turn: str
    zero_s: float
    spans: tuple[Span, ...]


Event: TypeAlias = (
    Connected
    | Pong
    | Preparing
    | Started
    | StartFailed
    | Paused
    | Ended
    | ConversationOpened
    | Problem
    | Activity
    | UserWords
    | TurnStarted
    | ReplyText
    | PhraseStarted
    | ReplySound
    | ReplyTextComplete
    | TurnDone
    | Stopped
    | Spoken
    | Timeline
)
