"""Commands: what a client asks for, whatever its protocol."""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

from voicecore.audio import Pcm
from voicecore.errors import ClientError

InputMode: TypeAlias = Literal["audio", "text", "screen", "camera"]


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
    session_id: str | None = None
    """Continues this conversation, which must be one of this client's."""


@attrs.frozen
class Pause:
    """Stop everything in flight; the conversation stays."""


@attrs.frozen
class End:
    """Stop everything in flight and close the conversation."""


@attrs.frozen
class Stop:
    """Cancel the running turn."""


@attrs.frozen(eq=False)
class Attachment:
    """A file sent with a message, not looked at yet."""

    name: str
    mime_type: str
    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")


@attrs.frozen
class Typed:
    """A typed message."""

    text: str
    barge_in: bool = False
    """True: a running reply is interrupted, as by speech. False: it is an error."""
    session_id: str | None = None
    """The conversation it belongs to; None for the current one."""
    files: tuple[Attachment, ...] = ()
    agent_id: str | None = None
    """Who is to answer from now on; None changes nothing."""


@attrs.frozen(eq=False)
class Picture:
    """What the person shows: a screen or a camera's picture, not looked at yet.

    The newest goes with the next turn.
    """

    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")


@attrs.frozen
class SelectAgent:
    """Another character is to answer from now on."""

    agent_id: str


@attrs.frozen
class SetSpeaking:
    """The client's person begins or ends to speak; told to the conversation's other sockets."""

    speaking: bool


@attrs.frozen
class Greet:
    """The client has shown its page: greet, if the conversation is new."""


@attrs.frozen
class Touch:
    """The person has touched the character's picture."""

    interaction_id: str


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
    session_id: str | None = None
    """The conversation it belongs to; None for the current one."""


@attrs.frozen
class ClipEnd:
    """The recorded message is complete."""

    clip: int = 0
    error: ClientError | None = None
    """It is of no use: its last part could not be read."""


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
    | Picture
    | SelectAgent
    | SetSpeaking
    | Greet
    | Touch
    | NewConversation
    | ClipPart
    | ClipEnd
    | Recite
    | SetSpoken
    | Ignored
    | Wrong
)
