"""The tasks that look at what a person shows; the looking itself runs in threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

import trio

from voicecore import events
from voicecore.config import EyesConfig
from voicecore.engines.interface import Image
from voicecore.errors import ClientError
from voicecore.eyes.attachment import Document, as_prompt, check_all, read, shortened
from voicecore.eyes.picture import look
from voicecore.mind.happenings import Happening, Seen

_THREADS = trio.CapacityLimiter(1)
"""Pictures and files are unpacked one at a time, for the whole host: the largest that is allowed
takes 675 MB for a second (WebP of 40 megapixels)."""

MAX_WAITING = 16
"""Typed messages that wait for the picture before them."""

CANNOT_SEE = "The language model here takes no pictures; they are not looked at."


class Sights:
    """Pictures to be looked at, newest wins, and the messages that were typed after them.

    One task puts, one takes. A message that follows a picture waits for it, so that it is answered
    with the picture before the eyes.
    """

    def __init__(self) -> None:
        self._queue: deque[events.Picture | events.Typed] = deque()
        self.cleared = 0
        """How often; what was looked at before it happened counts no more."""
        self._news = trio.lowlevel.ParkingLot()
        self._looking = False

    @property
    def looking(self) -> bool:
        """Whether what is typed now should wait."""
        return self._looking or bool(self._queue)

    def put(self, item: events.Picture | events.Typed) -> bool:
        """Queue it; False if too many messages wait."""
        if isinstance(item, events.Picture):
            if self._queue and isinstance(self._queue[-1], events.Picture):
                self._queue.pop()
        elif len(self._queue) >= MAX_WAITING:
            return False
        self._queue.append(item)
        self._news.unpark_all()
        return True

    def next(self) -> events.Picture | events.Typed | None:
        """Take the next one, if there is one. The one before is done with."""
        self._looking = bool(self._queue)
        return self._queue.popleft() if self._queue else None

    def clear(self) -> None:
        """Forget all that waits, and what is being looked at."""
        self._queue.clear()
        self.cleared += 1

    async def wait(self) -> None:
        await self._news.park()


class Viewer(Protocol):
    """Whom the eyes serve."""

    async def can_see(self) -> bool: ...
    def offer(self, happening: Happening, /) -> None: ...
    def emit_error(self, error: ClientError, /) -> None: ...


async def see(sights: Sights, viewer: Viewer, config: EyesConfig) -> None:
    """Look at each picture in a thread and hand it on, for ever; then what was typed after it.

    A model that cannot see is told of once, and its pictures are not looked at.
    """
    told = False
    while True:
        match sights.next():
            case None:
                await sights.wait()
            case events.Typed() as typed:
                viewer.offer(typed)
            case events.Picture(data):
                if await viewer.can_see():
                    await _look(data, sights, viewer, config)
                elif not told:
                    told = True
                    viewer.emit_error(ClientError(CANNOT_SEE, "CANNOT_SEE"))


async def _look(data: bytes, sights: Sights, viewer: Viewer, config: EyesConfig) -> None:
    cleared = sights.cleared
    try:
        image = await trio.to_thread.run_sync(
            look, data, config, limiter=_THREADS, abandon_on_cancel=True
        )
    except ClientError as error:
        viewer.emit_error(error)
    else:
        if sights.cleared == cleared:
            viewer.offer(Seen(image))


async def read_files(
    files: Sequence[events.Attachment], config: EyesConfig, *, can_see: bool, room_chars: int
) -> tuple[str, tuple[Image, ...]]:
    """Read the files sent with a message: what they say, for the prompt, and the pictures.

    Args:
        files: in the order they were sent.
        config: the limits.
        can_see: whether the model takes pictures.
        room_chars: of all the files' words together; the longest are shortened, and say so.

    Raises:
        ClientError: one of them cannot be used; says which and why.

    **Cancellation**: at once; a thread that still reads ends unheard.
    """
    check_all(files, config)
    documents: list[Document] = []
    images: list[Image] = []
    for file in files:
        found = await trio.to_thread.run_sync(
            read, file, config, limiter=_THREADS, abandon_on_cancel=True
        )
        if isinstance(found, Document):
            documents.append(found)
        elif can_see:
            images.append(found)
        else:
            raise ClientError(f"{file.name[:64]!r} is a picture. {CANNOT_SEE}", "CANNOT_SEE")
    return as_prompt(shortened(documents, room_chars)) if documents else "", tuple(images)
