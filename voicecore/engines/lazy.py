"""Modules that a library imports and that nobody here may ever need."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType


@contextmanager
def lazily(name: str) -> Iterator[None]:
    """Have whoever imports a module meanwhile get a stand-in, which imports it when it is used.

    Does nothing for a module that is imported already. Python's own ``importlib.util.LazyLoader``
    is no help: there, the import statement itself counts as use (Python 3.11).
    """
    if name in sys.modules:
        yield
        return
    stand_in = _StandIn(name)
    sys.modules[name] = stand_in
    try:
        yield
    finally:
        stand_in.step_aside()


class _StandIn(ModuleType):
    def __getattr__(self, attribute: str) -> object:
        self.step_aside()
        return getattr(import_module(self.__name__), attribute)

    def step_aside(self) -> None:
        """Let the next import find the module itself."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
