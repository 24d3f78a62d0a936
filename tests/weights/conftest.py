from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.weights.loopback_index import LoopbackIndex, open_index
from tests.weights.model_samples import Told
from voicecore.weights import web


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture(autouse=True)
def _plain_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "PAUSES_S", (0.0, 0.0))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/no-index-was-set/")


@pytest.fixture
async def index(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LoopbackIndex]:
    async with open_index() as index:
        monkeypatch.setenv("PIP_INDEX_URL", index.simple)
        yield index
