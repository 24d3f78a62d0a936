"""A typed message whose files are still being read."""

from __future__ import annotations

from voicecore import events
from voicecore.mind.floor import Actions
from voicecore.mind.happenings import Emit, FilesFailed, FilesRead, ReadFiles, StopReading


class Attached:
    """At most one message at a time waits for its files."""

    def __init__(self) -> None:
        self._number = 0
        self._typed: events.Typed | None = None

    @property
    def waits(self) -> bool:
        return self._typed is not None

    def read(self, typed: events.Typed) -> Actions:
        """Have a message's files read."""
        self._number, self._typed = self._number + 1, typed
        yield ReadFiles(typed.files, self._number)

    def done(self, read: FilesRead) -> events.Typed | None:
        """Return the message that waited for this; None if it was stopped meanwhile."""
        return self._take(read.number)

    def failed(self, failed: FilesFailed) -> Actions:
        """The message comes to nothing."""
        if self._take(failed.number) is not None:
            yield Emit(events.Problem(failed.code, failed.message))

    def stop(self) -> Actions:
        if self._take(self._number) is not None:
            yield StopReading()

    def _take(self, number: int) -> events.Typed | None:
        if number != self._number:
            return None
        typed, self._typed = self._typed, None
        return typed
