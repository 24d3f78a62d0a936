"""Files that are whole or absent: locks between processes, atomic writes, errors in plain words."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO

import trio

from voicecore.errors import ModelError

LOCK_POLL_S = 0.2
"""How often a lock held by another process is tried: short beside any download."""


def disk_error(error: OSError, path: Path) -> ModelError:
    """Say in words what stopped a write below ``path``, and what to do."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return ModelError(
                f"The disk is full: {path} could not be written. Free some space, or choose "
                "another place with paths.models, and fetch again."
            )
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return ModelError(
                f"Not allowed to write {path}. Change its permissions, or choose another place "
                "with paths.models."
            )
        case _:
            reason = error.strerror or str(error)
            return ModelError(f"{path} could not be written: {reason}.")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an operating system's refusal inside the block into a `ModelError` about ``path``."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, path) from error


def publish(temporary: Path, target: Path) -> None:
    """Give a complete file its real name, so that after a power cut it is whole or absent."""
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@asynccontextmanager
async def lock(path: Path) -> AsyncIterator[None]:
    """Be the only one, among all processes and tasks, inside the block for this ``path``.

    The file stays: removing a lock file would let two processes lock two files of one name.

    **Cancellation**: waiting can be cancelled at any time; leaving the block frees the lock, and
    so does the end of the process.

    Raises:
        ModelError: the file cannot be made.
    """
    with writing(path):
        file = path.open("ab")
    with file:
        while not _try_lock(file, path):  # noqa: ASYNC110 - another process has no Event to wait for
            await trio.sleep(LOCK_POLL_S)
        yield


def _try_lock(file: IO[bytes], path: Path) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise disk_error(error, path) from error
    return True
