"""The vocabulary of one conversation's rules: what happens, and what is to be done about it."""

from __future__ import annotations

import enum
from typing import TypeAlias

import attrs

from voicecore import events
from voicecore.engines.interface import Image, Message
from voicecore.mind.turn import Turn
from voicecore.store import SessionRecord, StoredMessage


class Phase(enum.Enum):
    """Where a conversation is."""

    IDLE = enum.auto()
    """Nothing started yet (N.E.K.O. before ``start_session``); input is kept."""
    OPENING = enum.auto()
    """The conversation is being loaded, or the engines still warm up; input is kept."""
    ACTIVE = enum.auto()
    """Listening and answering."""
    PAUSED = enum.auto()
    """After a pause or an end; input is ignored until the next start."""


# --- what happens ---


@attrs.frozen
class Opened:
    """The conversation asked for is loaded, and the engines are warm."""

    record: SessionRecord
    number: int
    """Of the `Open` it answers."""


@attrs.frozen
class OpenFailed:
    code: str
    message: str
    number: int


@attrs.frozen
class SpeechStarted:
    """The person began to speak."""


@attrs.frozen
class PartlyHeard:
    """The person speaks on."""

    text: str
    """Their words so far, as they were recognised last; the end may prove wrong."""
    certain: str
    """Those of the words on which recognitions agree."""


@attrs.frozen
class SpeechResumed:
    """The person went on after a short silence: the guess of this number was wrong."""

    guess: int


@attrs.frozen
class Heard:
    """Words were recognised; empty when a sound had none."""

    text: str
    confidence: float
    final: bool
    """False for a piece of speech that goes on."""
    zero_s: float
    """When the last spoken sample arrived."""
    spans: tuple[events.Span, ...] = ()
    clip: int = 0
    """Not 0: the number of the recorded message it is of, rather than the open microphone."""
    guess: int = 0
    """Not 0: the person may go on; `SpeechResumed` with this number tells that they did."""


@attrs.frozen
class HearingFailed:
    """One utterance could not be recognised."""

    code: str
    message: str
    final: bool = True
    clip: int = 0


@attrs.frozen
class TurnOver:
    """The turn ended by itself: all was sent (and, where paced, played), or it failed."""

    turn: str


@attrs.frozen
class Seen:
    """A picture the person shows was looked at; it goes with the next turn."""

    image: Image


@attrs.frozen
class FilesRead:
    """The files sent with a message were read."""

    number: int
    """Of the `ReadFiles` it answers."""
    text: str
    """What they say, for the model; empty if they are all pictures."""
    images: tuple[Image, ...]


@attrs.frozen
class FilesFailed:
    """One of the files cannot be used."""

    number: int
    code: str
    message: str


@attrs.frozen
class Announced:
    """There is something to be said to the person, unasked."""

    text: str


@attrs.frozen
class Overheard:
    """Another socket of this conversation has added messages to it."""

    session_id: str
    messages: tuple[StoredMessage, ...]


@attrs.frozen
class Disconnected:
    pass


Happening: TypeAlias = (
    events.Command
    | Opened
    | OpenFailed
    | SpeechStarted
    | SpeechResumed
    | PartlyHeard
    | Heard
    | HearingFailed
    | TurnOver
    | Seen
    | FilesRead
    | FilesFailed
    | Announced
    | Overheard
    | Disconnected
)

# --- what is to be done ---


@attrs.frozen
class Emit:
    event: events.Event


@attrs.frozen
class Open:
    """Load a conversation, in the background; `Opened` or `OpenFailed` follows."""

    session_id: str | None
    number: int
    """`Opened` and `OpenFailed` bear it; only the newest counts."""
    latest: bool = False
    """With no id: continue this client's last conversation, if there is one."""
    own: bool = False
    """With an id: only if it is a conversation of this character and client."""


@attrs.frozen
class StopOpening:
    pass


@attrs.frozen
class Listen:
    """Start the ears."""


@attrs.frozen
class Deafen:
    """Stop the ears, and forget the sound they had not yet taken in."""


@attrs.frozen
class Answer:
    """Begin a turn."""

    turn: Turn
    history: tuple[Message, ...]


@attrs.frozen
class ReadAhead:
    """Have the model read what will be the beginning of the next prompt."""

    history: tuple[Message, ...]


@attrs.frozen
class Suspend:
    """Stop the sound of the running turn, and tell the client; its unheard part is kept."""

    turn: str
    notice: events.Event


@attrs.frozen
class Resume:
    """Let the suspended turn go on where it was stopped."""

    turn: str


@attrs.frozen
class Release:
    """The running turn was a guess, and it was right: let it be seen and heard."""

    turn: Turn


@attrs.frozen
class Recite:
    """Begin a turn that only speaks ``turn.user_text``: no model is asked."""

    turn: Turn


@attrs.frozen
class ReadFiles:
    """Read what was sent with a message; `FilesRead` or `FilesFailed` follows."""

    files: tuple[events.Attachment, ...]
    number: int


@attrs.frozen
class StopReading:
    pass


@attrs.frozen
class UseCharacter:
    """This character answers from the next turn on."""

    name: str


@attrs.frozen
class Share:
    """Tell the other sockets of this conversation."""

    event: events.Event


@attrs.frozen
class Cut:
    """End the running turn now: cancel its scope, drop what waits, tell the client."""

    turn: str
    notice: events.Event | None
    reason: str


@attrs.frozen
class Remember:
    """Keep these messages, which belong together: all of them or none."""

    session_id: str
    messages: tuple[StoredMessage, ...]


@attrs.frozen
class Close:
    """The conversation is closed (it can be resumed by id)."""

    session_id: str


Action: TypeAlias = (
    Emit
    | Open
    | StopOpening
    | Listen
    | Deafen
    | Answer
    | ReadAhead
    | Suspend
    | Resume
    | Release
    | Recite
    | ReadFiles
    | StopReading
    | UseCharacter
    | Share
    | Cut
    | Remember
    | Close
)
