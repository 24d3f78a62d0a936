from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest
import trio

from tests.weights.loopback_index import LoopbackIndex
from tests.weights.model_samples import (
    SETTINGS,
    WEIGHTS,
    Told,
    contents,
    packaged,
    partial_files,
    real_files,
    store_of,
)
from voicecore.weights.fetch import ensure

WHEEL = "/files/ear_model-1.0-py3-none-any.whl"
WHOLE = {"model.bin": WEIGHTS, "config.json": SETTINGS}


async def _cancel_when_held(root: Path, index: LoopbackIndex, told: Told) -> None:
    async with trio.open_nursery() as nursery:

        async def fetch() -> None:
            await ensure(["ear"], store=store_of(root, packaged()), progress=told)

        nursery.start_soon(fetch)
        await index.holding.wait()
        if told.awaited:
            await told.reached.wait()
        nursery.cancel_scope.cancel("test")


async def test_a_later_run_goes_on_where_a_cancelled_one_stopped(
    tmp_path: Path, index: LoopbackIndex, told: Told
) -> None:
    page = index.add_package("ear-model", "1.0", contents())
    page.hold_after = told.awaited = 1000
    await _cancel_when_held(tmp_path, index, told)
    (part,) = partial_files(tmp_path)
    assert part.stat().st_size == 1000
    page.hold_after = None

    await ensure(["ear"], store=store_of(tmp_path, packaged()), progress=told)

    assert index.ranges(WHEEL) == [None, "bytes=1000-"]
    assert real_files(tmp_path) == WHOLE


@pytest.mark.parametrize(
    ("path", "stage"), [("/simple/ear-model/", "head"), (WHEEL, "head"), (WHEEL, "body")]
)
async def test_cancelled_while_the_server_is_silent(
    tmp_path: Path, index: LoopbackIndex, told: Told, path: str, stage: str
) -> None:
    index.add_package("ear-model", "1.0", contents())
    if stage == "head":
        index.pages[path].hold_head = True
    else:
        index.pages[path].hold_after = told.awaited = 1000

    await _cancel_when_held(tmp_path, index, told)

    assert real_files(tmp_path) == {}
    assert len(partial_files(tmp_path)) == (1 if stage == "body" else 0)


class CancelAtStep(trio.abc.Instrument):
    """Cancels a scope at the n-th step of the task that opened it."""

    def __init__(self, step: int, scope: trio.CancelScope) -> None:
        self._left = step
        self._scope = scope
        self._task = trio.lowlevel.current_task()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self._task:
            self._left -= 1
            if self._left == 0:
                self._scope.cancel("test")


async def test_cancelled_at_every_step_only_whole_files_have_names(
    tmp_path: Path, index: LoopbackIndex, told: Told
) -> None:
    index.add_package("ear-model", "1.0", contents())
    for step in count(1):
        root = tmp_path / str(step)
        with trio.CancelScope() as scope:
            instrument = CancelAtStep(step, scope)
            trio.lowlevel.add_instrument(instrument)
            try:
                await ensure(["ear"], store=store_of(root, packaged()), progress=told)
            finally:
                trio.lowlevel.remove_instrument(instrument)
        assert real_files(root).items() <= WHOLE.items()
        if not scope.cancelled_caught:
            assert step > 20
            return
        await ensure(["ear"], store=store_of(root, packaged()), progress=told)
        assert real_files(root) == WHOLE


async def test_two_fetches_at_once_download_once(
    tmp_path: Path, index: LoopbackIndex, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add_package("ear-model", "1.0", contents())
    monkeypatch.setattr("voicecore.weights.disk.LOCK_POLL_S", 0.001)

    async def fetch() -> None:
        await ensure(["ear"], store=store_of(tmp_path, packaged()), progress=told)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fetch)
        nursery.start_soon(fetch)

    assert index.ranges(WHEEL) == [None]
    assert real_files(tmp_path) == WHOLE


async def test_waiting_for_another_fetch_can_be_cancelled(
    tmp_path: Path, index: LoopbackIndex, told: Told
) -> None:
    index.add_package("ear-model", "1.0", contents()).hold_head = True
    async with trio.open_nursery() as nursery:

        async def fetch() -> None:
            await ensure(["ear"], store=store_of(tmp_path, packaged()), progress=told)

        nursery.start_soon(fetch)
        await index.holding.wait()
        with trio.move_on_after(0.05) as waiting:
            await fetch()
        assert waiting.cancelled_caught
        assert index.ranges(WHEEL) == [None]
        nursery.cancel_scope.cancel("test")
