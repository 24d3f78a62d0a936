"""How the threads of an OpenMP library wait for each other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

POLICY = "OMP_WAIT_POLICY"


@contextmanager
def threads_that_sleep() -> Iterator[None]:
    """Have the OpenMP library that is loaded meanwhile let its threads sleep when they wait.

    By default they spin. When other work wants a core, the one thread that all others wait for is
    then the one that does not run: an utterance took 1.7 s on a busy machine, not 0.13 s. The
    library reads its environment once, when it is loaded. CTranslate2 brings a copy of its own, so
    that llama.cpp's threads go on spinning, which is faster for them.
    """
    before = os.environ.get(POLICY)
    os.environ[POLICY] = before or "PASSIVE"
    try:
        yield
    finally:
        if before is None:
            del os.environ[POLICY]
