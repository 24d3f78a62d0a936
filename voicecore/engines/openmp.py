"""How the threads of an OpenMP library wait for each other.

By default they spin. When other work wants a core, the one thread that all others wait for is then
the one that does not run. A library reads its environment once, when it is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

SPINS = "2000"
"""About 4 µs. Long enough for llama.cpp, whose threads meet hundreds of times for each token: the
first token of a short question after a warm prompt took 45 ms, and 47 ms with endless spinning.
Short enough beside one busy program on two cores: 49 ms, and 2970 ms with endless spinning."""


def threads_that_sleep() -> AbstractContextManager[None]:
    """Have the OpenMP library that is loaded meanwhile let its threads sleep when they wait.

    Spinning, an utterance took 1.7 s on a busy machine, not 0.13 s. CTranslate2 brings a copy of
    the library of its own, so that this is only for it.
    """
    return _set("OMP_WAIT_POLICY", "PASSIVE")


def threads_that_spin_shortly() -> AbstractContextManager[None]:
    """Have GNU's OpenMP library, if it is loaded meanwhile, spin for `SPINS` and then sleep."""
    return _set("GOMP_SPINCOUNT", SPINS)


@contextmanager
def _set(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = before or value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
