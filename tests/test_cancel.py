"""A session cancelled at every single step leaves nothing behind and harms nobody else."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tests.harness import Client, Fakes, open_stage
from voicecore.engines.fake import fake_llm, fake_stt

STEPS_APART = 7
"""A prime, so that the moments fall differently in each stage; with the offsets, every step."""


class CancelAt(trio.abc.Instrument):
    """Cancels a scope after so many task steps."""

    def __init__(self, step: int, scope: trio.CancelScope) -> None:
        self._left, self._scope = step, scope
        self._token = trio.lowlevel.current_trio_token()

    @property
    def happened(self) -> bool:
        return self._left <= 0

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self._left -= 1
        if self._left == 0:
            self._token.run_sync_soon(self._scope.cancel)


async def conversation(client: Client, path: str) -> None:
    if path == "/ws":
        await client.send(type="voice_state", enabled=True)
        await client.send(type="chat", message="hello")
        await client.type("done")
        return
    await client.start()
    await client.say(0.4, silence_s=0.6)
    await client.type("system")
    await client.type_text("and now")
    await client.type("audio", after=client.mark())
    await client.send(action="pause_session")
    await client.type("status", message="Session paused. Start it to go on.")


async def cancelled_at(step: int, path: str) -> bool:
    """Run one conversation and cancel the connection's scope; say whether it was soon enough."""
    fakes = Fakes(fake_stt(["Hi"]), fake_llm(["One two three.", "Four five six."]))
    async with open_stage(fakes) as stage:
        scope = trio.CancelScope()
        cancel = CancelAt(step, scope)
        with scope:
            async with (
                trio.open_nursery() as nursery,
                stage.connect(path, within=nursery) as client,
            ):
                trio.lowlevel.add_instrument(cancel)
                await conversation(client, path)
        trio.lowlevel.remove_instrument(cancel)
        with trio.fail_after(30):
            await stage.host.presence.empty()
        assert fakes.listening() == 0
        # The host lives, and serves the next client.
        async with stage.connect("/ws") as other:
            await other.send(type="chat", message="still there?")
            await other.type("done")
        return cancel.happened


@pytest.mark.parametrize("path", ["/ws/default", "/ws"])
@pytest.mark.parametrize("offset", range(STEPS_APART))
def test_cancelled_at_every_step(path: str, offset: int) -> None:
    step = offset + 1
    while trio.run(cancelled_at, step, path, clock=MockClock(autojump_threshold=0)):
        step += STEPS_APART
    assert step > 100, "the conversation was shorter than it should be"
