"""A conversation cancelled at every single step closes its device and its connection."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tests.harness import Fakes, open_stage
from tests.talk.talking import FakeCard, FakeScreen, FakeTyping, Network
from tests.test_cancel import CancelAt
from voicecore.engines.fake import babble, fake_llm, fake_stt
from voicecore.talk.conversation import Plan, talk

STEPS_APART = 23
"""A prime, so that the moments fall differently in each task; with the offsets, every step."""


async def person(card: FakeCard, screen: FakeScreen, typing: FakeTyping, leave: trio.Event) -> None:
    """Speak, interrupt by typing, unplug the device, and leave."""
    await screen.until(lambda: "listening" in screen.phases)
    card.say(babble(6_400))
    await screen.until(lambda: screen.now.phase == "speaking")
    typing.type("and now")
    await screen.until(lambda: len(screen.replies) == 2)
    card.unplugged.set()
    await screen.until(lambda: bool(screen.texts("problem")))
    leave.set()


async def cancelled_at(step: int) -> bool:
    """Run one conversation and cancel it; say whether it was soon enough."""
    fakes = Fakes(fake_stt(["Hi"]), fake_llm(["One.", "Two."]))
    card, screen, typing, leave = FakeCard(), FakeScreen(), FakeTyping(), trio.Event()
    async with open_stage(fakes) as stage:
        network, scope = Network(stage), trio.CancelScope()
        plan = Plan(
            url="ws://localhost/ws/default",
            client="someone",
            card=card,
            typing=typing,
            connect=network.connect,
        )
        cancel = CancelAt(step, scope)
        with scope:
            async with trio.open_nursery() as nursery:
                trio.lowlevel.add_instrument(cancel)
                nursery.start_soon(talk, plan, screen, leave)
                await person(card, screen, typing, leave)
        trio.lowlevel.remove_instrument(cancel)
        assert card.opened == 0
        with trio.fail_after(30):
            await stage.host.presence.empty()
        assert fakes.listening() == 0
        return cancel.happened


@pytest.mark.parametrize("offset", [0, 7, 15])
def test_talk_cancelled_at_every_step(offset: int) -> None:
    step = offset + 1
    while trio.run(cancelled_at, step, clock=MockClock(autojump_threshold=0)):
        # Densely while it begins, when most is in the air; then every so often.
        step += STEPS_APART if step < 500 else STEPS_APART * 29
    assert step > 1_000, "the conversation was shorter than it should be"
