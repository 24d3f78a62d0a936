"""Events: what a client is told, whatever its protocol."""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

from voicecore.audio import Pcm
from voicecore.events.asked import InputMode


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
    session_id: str
    """The conversation's."""


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
    """The person began to speak. A reply that was being spoken is named: stop playing it.

    It may go on after all, as another stretch of speech (`ReplySound.speech`).
    """

    interrupted_turn: str | None


@attrs.frozen
class Attention:
    """Whether the open microphone is listened to, or sleeps until the wake word is said."""

    awake: bool
    word: str


@attrs.frozen
class UserWords:
    """What was recognised."""

    text: str
    confidence: float


@attrs.frozen
class PartialWords:
    """What was recognised while the person still speaks.

    The next one, or `UserWords`, takes its place; an empty one says that it was nothing.
    """

    text: str


@attrs.frozen
class TurnStarted:
    turn: str


@attrs.frozen
class ReplyText:
    turn: str
    delta: str
    unasked: bool = False
    """The host speaks of its own accord."""


@attrs.frozen
class PhraseStarted:
    """The phrase whose sound comes next."""

    turn: str
    text: str
    voice: str


@attrs.frozen
class SpokenWord:
    """A word of a reply, and when the voice says it."""

    number: int
    """Of the turn's spoken words, from 0."""
    text: str
    """As it is said."""
    start_ms: float
    """From the first sample of the sound that bears it; negative if it has begun before that."""
    end_ms: float
    begin: int
    """Its place in the reply's text: the first character."""
    end: int
    """The one after the last."""


@attrs.frozen(eq=False)
class ReplySound:
    turn: str
    pcm: Pcm
    speech: str = ""
    """Names this stretch of the turn's sound, if it is not the first: a client throws away what
    still comes of one that was interrupted. Empty for the turn's own name."""
    words: tuple[SpokenWord, ...] = ()
    """Those that are said in it, if the client asked for them and the voice tells."""


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


Emotion: TypeAlias = Literal["happy", "sad", "angry", "surprised", "neutral"]


@attrs.frozen
class Mood:
    """The emotion of the reply; comes before its first sound."""

    turn: str
    emotion: Emotion


@attrs.frozen
class CharacterSwitched:
    """Another character is the active one; the client connects to it."""

    new: str
    old: str


@attrs.frozen
class CharacterSelected:
    """Another character answers from now on, as the client asked."""

    name: str


@attrs.frozen
class PageOutdated:
    """The configuration changed; the client must load its page again."""

    message: str


TaskStatus: TypeAlias = Literal["queued", "running", "completed", "failed", "cancelled"]


@attrs.frozen
class Task:
    """A tool at work, as it is now."""

    id: str
    tool: str
    status: TaskStatus
    progress: float = 0.0
    """0 to 100."""
    detail: str = ""
    """What it is doing, or why it failed."""

    @property
    def active(self) -> bool:
        return self.status in {"queued", "running"}


@attrs.frozen
class TaskChanged:
    task: Task


@attrs.frozen
class AgentStatus:
    """The tools at work for this client, and what the host may do."""

    tasks: tuple[Task, ...]
    tools: tuple[str, ...]
    """Names of those the character may use."""


@attrs.frozen
class Notification:
    """A background task has something to say to the person."""

    text: str
    source: str
    """The tool."""
    status: TaskStatus


@attrs.frozen
class OtherSpeaking:
    """The person speaks, or has stopped, at another socket of this conversation."""

    speaking: bool


@attrs.frozen
class Touched:
    """Answers a `Touch`."""

    interaction_id: str
    turn: str | None
    """The turn that is running."""


Event: TypeAlias = (
    Mood
    | CharacterSwitched
    | CharacterSelected
    | PageOutdated
    | TaskChanged
    | AgentStatus
    | Notification
    | OtherSpeaking
    | Touched
    | Connected
    | Pong
    | Preparing
    | Started
    | StartFailed
    | Paused
    | Ended
    | ConversationOpened
    | Problem
    | Activity
    | Attention
    | PartialWords
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
