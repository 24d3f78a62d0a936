"""The simulated person: an honest client that speaks in real time and plays what it receives.

Only this module waits. The microphone runs in exact real time for as long as the person is
connected, as a browser's does; what arrives is kept on a tape with the time and played by a
playback clock. Told that the person is speaking, the client throws away what it has not played.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import trio

from voicecore.audio import EAR_HZ, Samples
from voicecore.bench.links import Link, Wire, address, link
from voicecore.bench.playback import Microphone, Playback
from voicecore.bench.tape import (
    Answer,
    Event,
    Interrupted,
    Ready,
    Refused,
    Sounded,
    Told,
    answers,
)
from voicecore.client import Socket, last_spoken_sample, open_socket
from voicecore.errors import VoicecoreError

START_S = 20.0
"""For a session to start; shipped clients give up after 15 s."""

NO_ANSWER_S = 20.0
"""From the last spoken sample to the first of the answer. A person has left long before."""

LONGEST_ANSWER_S = 90.0

SETTLE_TIMED_S = 0.4
SETTLE_COMPLETE_S = 1.5
SETTLE_UNKNOWN_S = 2.5
"""Of silence after the answer was played, until it counts as over: the host has told that all of
its sound was sent; that its text is complete; or nothing of the kind."""

LOOK_S = 0.1
"""Between two looks at an answer that is coming in: they are to cost little beside the host."""


class Person:
    """A connected person. One task speaks at a time."""

    def __init__(self, socket: Socket, wire: Link, seed: int) -> None:
        self._socket, self._link = socket, wire
        self._news = trio.lowlevel.ParkingLot()
        self.tape: list[Event] = []
        self.playback = Playback()
        self.microphone = Microphone(trio.current_time(), np.random.default_rng(seed))
        self.recording = wire.open_mic
        self.late_s = 0.0
        """The most that a microphone frame was late: this machine is then too busy to measure."""

    # --- what runs all the time ---

    async def listen(self) -> None:
        """Keep and play what arrives, for ever."""
        while True:
            message = await self._socket.receive()
            for event in self._link.read(message, trio.current_time()):
                self._take(event)
            self._news.unpark_all()

    def _take(self, event: Event) -> None:
        self.tape.append(event)
        if isinstance(event, Sounded):
            self.playback.feed(event.at_s, event.samples)
        elif isinstance(event, Interrupted):
            self.playback.drop(event.at_s)

    async def run_microphone(self) -> None:
        """Send each frame when its last sample was taken, for ever."""
        while True:
            await trio.sleep_until(self.microphone.due_s)
            self.late_s = max(self.late_s, trio.current_time() - self.microphone.due_s)
            frame = self.microphone.frame()
            if self.recording:
                await self._socket.send(self._link.sound(frame))

    async def start(self) -> None:
        """Start a session and wait until the host listens.

        Raises:
            VoicecoreError: it refused, or said nothing for `START_S`.
        """
        for message in self._link.hello():
            await self._socket.send(message)
        due_s = trio.current_time() + START_S
        while not any(isinstance(event, Ready) for event in self.tape):
            refused = [event.why for event in self.tape if isinstance(event, Refused)]
            if refused or trio.current_time() >= due_s:
                said = [event.text for event in self.tape if isinstance(event, Told)]
                why = (refused + said or [f"it said nothing for {START_S:g} s"])[-1]
                raise VoicecoreError(f"The host did not start a session: {why}")
            await self.changed(due_s)

    async def changed(self, until_s: float) -> None:
        """Wait until something arrives, or until a time."""
        with trio.move_on_at(until_s):
            await self._news.park()

    # --- what the person does ---

    def answers(self, mark: int) -> list[Answer]:
        """Give the answers received since the tape had this length."""
        return answers(self.tape[mark:])

    async def say(self, samples: Samples, at_s: float | None = None) -> float:
        """Say something, from a time on; return when its last spoken sample was, once it was.

        On a wire of recordings, the recording is over with it.
        """
        self.recording = True
        begin_s = self.microphone.say(samples, at_s)
        last_s = begin_s + last_spoken_sample(samples) / EAR_HZ
        if not self._link.open_mic:
            await trio.sleep_until(last_s + 0.02)  # the frame that holds it has left
            self.recording = False
            for message in self._link.over():
                await self._socket.send(message)
        await trio.sleep_until(last_s)
        return last_s

    async def hear_out(self, mark: int, last_s: float) -> None:
        """Listen until the answer is over: played, and nothing more to come.

        Gives up after `NO_ANSWER_S` without one, or `LONGEST_ANSWER_S`.
        """
        give_up_s = last_s + LONGEST_ANSWER_S
        while trio.current_time() < min(give_up_s, due_s := self._over_s(mark, last_s)):
            await self.changed(min(give_up_s, due_s))
            await trio.sleep(LOOK_S)

    def _over_s(self, mark: int, last_s: float) -> float:
        """Say when the answer will be over if nothing more arrives."""
        found = self.answers(mark)
        if not found or not found[-1].sound or found[-1].interrupted_s is not None:
            return last_s + NO_ANSWER_S
        last = found[-1]
        settle_s = SETTLE_UNKNOWN_S
        if last.timed_s is not None:
            settle_s = SETTLE_TIMED_S
        elif last.complete_s is not None:
            settle_s = SETTLE_COMPLETE_S
        return max(self.playback.ends_s, last_s) + settle_s

    async def wait_for_sound(self, mark: int, timeout_s: float = NO_ANSWER_S) -> float | None:
        """Wait for the first audible sample of an answer; return when it plays."""
        due_s = trio.current_time() + timeout_s
        while trio.current_time() < due_s:
            audible = [at for answer in self.answers(mark) if (at := answer.audible_s())]
            if audible:
                return audible[-1]
            await self.changed(due_s)
        return None


@asynccontextmanager
async def open_person(url: str, wire: Wire, *, client: str, seed: int = 0) -> AsyncIterator[Person]:
    """Connect a person and start their session; on leaving they hang up.

    Args:
        url: the host's address, with or without a path.
        wire: which protocol.
        client: what the client calls itself, so that several can come from one machine.
        seed: of the microphone's noise.

    Raises:
        VoicecoreError: the host cannot be reached, refuses, or hangs up; in a group.
    """
    async with (
        open_socket(address(url, wire, client)) as socket,
        present(socket, link(wire), seed) as person,
    ):
        yield person


@asynccontextmanager
async def present(socket: Socket, wire: Link, seed: int) -> AsyncIterator[Person]:
    """Be present as a person on a connected socket; raises as `open_person`."""
    async with trio.open_nursery() as nursery:
        person = Person(socket, wire, seed)
        nursery.start_soon(person.listen)
        await person.start()
        person.microphone.begun_s = trio.current_time()
        nursery.start_soon(person.run_microphone)
        yield person
        nursery.cancel_scope.cancel("the person hangs up")
