"""Work that goes to threads, done at once: a mock clock would jump while a real thread works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trio


async def _at_once(function: Callable[..., Any], *args: Any, **_: object) -> Any:
    await trio.lowlevel.checkpoint()
    return function(*args)


@contextmanager
def without_threads() -> Iterator[None]:
    """Have `trio.to_thread.run_sync` block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trio.to_thread, "run_sync", _at_once)
        yield
