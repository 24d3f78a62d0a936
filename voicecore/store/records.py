"""What a conversation consists of, and what a store can do with it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

import attrs

JsonValue: TypeAlias = (
    "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
)

HISTORY_MESSAGES = 200
"""Messages loaded when a conversation is opened: far more than a model's context takes, and read
in a few milliseconds. Older ones stay in the file."""

_SURROGATES = re.compile("[\ud800-\udfff]")


def storable(text: str) -> str:
    """Replace lone surrogates, which JSON can carry and UTF-8 cannot, by U+FFFD."""
    return _SURROGATES.sub("\ufffd", text)


@attrs.frozen
class StoredMessage:
    """One message of a conversation, as it was said or heard."""

    role: Literal["user", "assistant", "tool"]
    content: str = attrs.field(converter=storable)
    at: float
    """Unix time in seconds."""
    via: Literal["voice", "text"] = "text"
    interrupted: bool = False
    """The reply was cut off; ``content`` is the part that was heard."""
    tokens_in: int = 0
    tokens_out: int = 0
    tool_calls: str = attrs.field(default="", converter=storable)
    """JSON of the calls this message makes, or of the call this result answers; empty for none."""


MAX_LISTED = 50
"""Conversations in one list: more than a person looks through."""

TITLE_CHARS = 60


@attrs.frozen
class Summary:
    """What a list of conversations says of one."""

    id: str
    created_at: float
    """Unix time in seconds."""
    updated_at: float
    """When the newest message was said."""
    title: str
    """The first words of the person, in one line."""
    messages: int
    """Those of the person and of the character; what tools were asked and said does not count."""


def title_of(text: str) -> str:
    """The first 60 characters, each white space being one blank."""
    return " ".join(text.split())[:TITLE_CHARS]


@attrs.frozen
class SessionRecord:
    """A conversation as it was opened."""

    id: str
    character: str
    """The character it was begun with."""
    client: str
    """The client it was begun by."""
    created_at: float
    """Unix time in seconds."""
    messages: tuple[StoredMessage, ...]
    """The newest ones (200 unless the store was told otherwise), oldest first."""

    def is_of(self, character: str, client: str) -> bool:
        return (self.character, self.client) == (storable(character), storable(client))


class Store(Protocol):
    """Keeps conversations. Any number of tasks may use it at once.

    Every method raises `StoreError`, with what to do, when the disk or the file is at fault. The
    other conversations are not affected by it.

    **Cancellation**: each call happens wholly or not at all. One that raises ``Cancelled`` has
    changed nothing; one that had begun to write finishes and returns normally. A caller that must
    save while it is being cancelled shields the call.

    **Durability**: what `append` has returned from survives the death of the process. A power cut
    may take the last transactions with it, but never a part of one.
    """

    async def check(self) -> None:
        """Find out whether conversations can be written, before the first one is.

        Raises:
            StoreError: names the folder and what to do.
        """

    async def open(
        self, session_id: str | None, *, character: str, client: str
    ) -> tuple[SessionRecord, bool]:
        """Begin or resume a conversation; the second value tells whether it was created.

        An unknown id is created under that id, None under a new one. An ended conversation is
        active again. A known id keeps the character and the client it was begun with; it becomes
        their `latest`.

        Raises:
            ClientError: the id is empty, too long, or not valid Unicode.
            StoreError: it cannot be read or written; its file is left as it is.
        """

    async def latest(self, *, character: str, client: str) -> str | None:
        """The conversation that this character and client opened last, or None.

        None as well if that one has been ended: an older one is not dug out again.
        """

    async def conversations(self, *, character: str, client: str) -> tuple[Summary, ...]:
        """The conversations of this character and client in which something was said.

        Newest first, 50 at most. One that cannot be read is left out, and the log tells why.
        """

    async def read(self, session_id: str) -> SessionRecord | None:
        """Look at a conversation without opening it; None if there is none of this id.

        What is no id at all (see `open`) is none of a conversation either.
        """

    async def delete(self, session_id: str) -> bool:
        """Remove a conversation for good; False if there is none of this id.

        Nobody may have it open: what they said next could not be kept.
        """

    async def append(self, session_id: str, messages: Sequence[StoredMessage]) -> None:
        """Add messages in one transaction: all or none.

        An ended conversation takes them too, for the last words of a cancelled turn come late.

        Raises:
            ClientError: the id is not one.
            StoreError: the id was never opened, or the messages cannot be written.
        """

    async def record_event(
        self, session_id: str, kind: str, detail: Mapping[str, JsonValue]
    ) -> None:
        """Note something that happened, with the time; raises as `append`."""

    async def end(self, session_id: str) -> None:
        """Close the conversation. It may be opened again by its id; raises as `append`."""

    async def aclose(self) -> None:
        """Finish what has begun and close the files. Any later call raises ClosedResourceError.

        **Cancellation**: closes all the same.
        """
