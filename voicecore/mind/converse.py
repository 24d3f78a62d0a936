"""The conversation's own task: what happens goes in, what is to be done gets done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import attrs
import structlog
import trio

from voicecore import events
from voicecore.engines.interface import Message
from voicecore.mind.happenings import (
    Action,
    Answer,
    Close,
    Cut,
    Deafen,
    Disconnected,
    Emit,
    Happening,
    Listen,
    Open,
    ReadAhead,
    ReadFiles,
    Recite,
    Release,
    Remember,
    Resume,
    Share,
    StopOpening,
    StopReading,
    Suspend,
    UseCharacter,
)
from voicecore.mind.turn import Turn
from voicecore.mind.turns import TurnTaking

log = structlog.get_logger()


class Doings(Protocol):
    """What the conversation can set in motion. `session.py` wires it; simulations replace it."""

    def emit(self, event: events.Event) -> None: ...
    def begin_turn(self, turn: Turn) -> None: ...
    def release(self, turn: Turn) -> None: ...
    def interrupt(self, turn: str, notice: events.Event | None) -> None: ...
    def suspend(self, turn: str, notice: events.Event) -> None: ...
    def resume(self, turn: str) -> None: ...
    def forget_sound(self) -> None: ...
    def use_character(self, name: str) -> None: ...
    def share(self, event: events.Event) -> None: ...
    async def listen(self) -> None: ...
    async def open(self, action: Open) -> None: ...
    async def answer(self, turn: Turn, history: tuple[Message, ...]) -> None: ...
    async def read_ahead(self, history: tuple[Message, ...]) -> None: ...
    async def recite(self, turn: Turn) -> None: ...
    async def read_files(self, action: ReadFiles) -> None: ...
    async def remember(self, action: Remember | Close) -> None: ...


@attrs.define
class _Scopes:
    """The cancel scopes of what is in flight; each is cancelled with the reason why."""

    nursery: trio.Nursery
    turn: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    ears: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    opening: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    reading: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    ahead: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    def start(self, work: Callable[[], Awaitable[None]]) -> trio.CancelScope:
        scope = trio.CancelScope()

        async def scoped() -> None:
            with scope:
                await work()

        self.nursery.start_soon(scoped)
        return scope


async def converse(
    taking: TurnTaking, inbox: trio.MemoryReceiveChannel[Happening], doings: Doings
) -> None:
    """Run the conversation until the client has left.

    It never waits for an engine or the client, so that an interruption is acted on at once; it
    waits for the store only when that is hundreds of messages behind.

    **Cancellation**: cancels the turn, the ears and whatever else it started.
    """
    with inbox:
        async with trio.open_nursery() as nursery:
            scopes = _Scopes(nursery)
            for action in taking.begin():
                await _do(action, scopes, doings)
            async for happening in inbox:
                for action in taking.feed(happening):
                    await _do(action, scopes, doings)
                if isinstance(happening, Disconnected):
                    break
            nursery.cancel_scope.cancel("the conversation is over")


async def _do(action: Action, scopes: _Scopes, doings: Doings) -> None:
    """Begin, or cancel, what runs in a scope of its own; do the rest at once."""
    match action:
        case Cut(turn_id, notice, reason):
            doings.interrupt(turn_id, notice)
            scopes.turn.cancel(reason)
        case Answer(turn, history):
            doings.begin_turn(turn)
            scopes.turn = scopes.start(lambda: doings.answer(turn, history))
        case ReadAhead(history):
            scopes.ahead.cancel("more was said")
            scopes.ahead = scopes.start(lambda: doings.read_ahead(history))
        case Recite(turn):
            doings.begin_turn(turn)
            scopes.turn = scopes.start(lambda: doings.recite(turn))
        case Listen():
            scopes.ears = scopes.start(doings.listen)
        case Deafen():
            scopes.ears.cancel("the session was paused")
            doings.forget_sound()
        case Open():
            scopes.opening = scopes.start(lambda: doings.open(action))
        case StopOpening():
            scopes.opening.cancel("the session was paused")
        case ReadFiles():
            scopes.reading = scopes.start(lambda: doings.read_files(action))
        case StopReading():
            scopes.reading.cancel("stopped by the client")
        case _:
            await _do_at_once(action, doings)


async def _do_at_once(
    action: Emit | Suspend | Resume | Release | UseCharacter | Share | Remember | Close,
    doings: Doings,
) -> None:
    match action:
        case Emit(event):
            doings.emit(event)
        case Suspend(turn_id, notice):
            doings.suspend(turn_id, notice)
        case Resume(turn_id):
            doings.resume(turn_id)
        case Release(turn):
            doings.release(turn)
        case UseCharacter(name):
            doings.use_character(name)
        case Share(event):
            doings.share(event)
        case Remember() | Close():
            await doings.remember(action)
