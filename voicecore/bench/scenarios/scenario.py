"""What every scenario is, and what it is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager

import attrs
import trio

from voicecore.bench.figures import Row, ms, turn
from voicecore.bench.host import Host
from voicecore.bench.links import Wire
from voicecore.bench.material import Studio, Utterance
from voicecore.bench.person import Person, open_person
from voicecore.config import Config

BREATH_S = 0.5
"""Between the end of an answer and the next question."""


@attrs.frozen(eq=False)
class Stage:
    """What a scenario is played on."""

    host: Host
    wire: Wire
    run: str
    """The run's id: clients are named after it, so that a host takes them for new ones."""
    utterances: Sequence[Utterance]
    repeat: int = 1
    clients: int = 8
    """The most at once, for a crowd."""
    seed: int = 0
    tell: Callable[[int, int, str], None] = attrs.field(kw_only=True)
    """Takes how many of how many steps are done, and what comes next."""

    def person(self, name: str, seed: int = 0) -> AbstractAsyncContextManager[Person]:
        """Connect a person of this name."""
        client = f"bench-{self.run}-{name}"
        return open_person(self.host.url, self.wire, client=client, seed=self.seed + seed)


@attrs.frozen(eq=False)
class Scenario:
    """A named scenario."""

    name: str
    about: str
    """One line for ``--list``."""
    wires: tuple[Wire, ...]
    """Those that can play it."""
    why_not: str
    """Why the other wire cannot; empty if it can."""
    prepare: Callable[[Studio, int], Awaitable[list[Utterance]]]
    """Makes the material, before the host is started; takes the seed too."""
    play: Callable[[Stage], Awaitable[list[Row]]]
    """Gives one row for each sample."""
    summarise: Callable[[Sequence[Row]], Row]
    finish: Callable[[list[Row], Config], Awaitable[None]] | None = None
    """Completes the rows after the host was stopped, where that takes computing."""


async def spoken_turn(person: Person, utterance: Utterance) -> Row:
    """Say something, hear the answer out, and give the turn's figures."""
    mark = len(person.tape)
    person.microphone.noise_db, person.late_s = utterance.noise_db, 0.0
    last_s = await person.say(utterance.samples)
    await person.hear_out(mark, last_s)
    person.microphone.noise_db = None
    figures = turn(person.tape[mark:], person.playback, last_s, utterance.said)
    await trio.sleep(BREATH_S)
    late_ms = ms(person.late_s)
    return {"said": utterance.said, **utterance.about, **figures, "client_late_ms": late_ms}
