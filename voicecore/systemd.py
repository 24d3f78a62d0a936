"""Telling systemd how the host is, in the datagrams of sd_notify(3); without systemd, nothing.

A unit of ``Type=notify`` counts as started once the engines are warm. With ``WatchdogSec`` it is
started anew when the host no longer says that it is well: when the event loop stands still, or when
recognition no longer answers. The unit is ``scripts/kiosk/voicecore.service``.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

import attrs
import numpy as np
import structlog
import trio

from voicecore.engines import Engines
from voicecore.engines.interface import Utterance
from voicecore.engines.worker import ThreadedEngine
from voicecore.errors import VoicecoreError
from voicecore.host import Host

log = structlog.get_logger()

SILENCE = Utterance(np.zeros(1_600, np.int16))
"""0.1 s without a sound."""

EXTEND_PERIOD_S = 10.0
EXTENSION_S = 30.0
"""While it starts, the host asks for so much more time, so often: three times until it is over."""

LONGEST_START_S = 1800.0
"""After that it asks no more, and the unit's ``TimeoutStartSec`` ends what hangs. The default
models, 250 MB, take 17 minutes over a line of 2 Mbit/s."""


@attrs.define
class Manager:
    """Whoever started the host, and wants to be told. Made by `find_manager`."""

    channel: socket.socket | None = None
    """A connected datagram socket; None if nobody wants to be told."""
    watchdog_s: float | None = None
    """Silence after which the host counts as hung; None for no limit."""

    def tell(self, *lines: str) -> None:
        """Send one datagram of ``NAME=value`` lines. Never waits; what fails is logged."""
        if self.channel is None:
            return
        try:
            self.channel.send("\n".join(lines).encode())
        except OSError as error:
            log.warning("systemd was not told", lines=lines, reason=str(error))

    def close(self) -> None:
        if self.channel is not None:
            self.channel.close()


def find_manager(environment: Mapping[str, str]) -> Manager:
    """Look for systemd: ``NOTIFY_SOCKET``, and ``WATCHDOG_USEC`` if it is meant for this process.

    A socket that cannot be reached is logged, and counts as none.
    """
    address = environment.get("NOTIFY_SOCKET", "")
    if address[:1] not in {"/", "@"}:
        return Manager()
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    channel.settimeout(0)
    try:
        channel.connect(f"\0{address[1:]}" if address[0] == "@" else address)
    except OSError as error:
        channel.close()
        log.warning("systemd cannot be told", socket=address, reason=str(error))
        return Manager()
    return Manager(channel, _watchdog_s(environment))


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    usec, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not usec.isdecimal() or not int(usec) or pid not in {"", str(os.getpid())}:
        return None
    return int(usec) / 1_000_000


async def keep_told(host: Host, manager: Manager) -> None:
    """Tell the manager how the host is, until cancelled; that it is ready, `serve` tells."""
    if manager.channel is None:
        return
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_tell_stopping, host, manager)
        await _tell_starting(host, manager)
        if manager.watchdog_s is not None:
            await _tell_alive(host, manager, manager.watchdog_s / 2)


async def _tell_stopping(host: Host, manager: Manager) -> None:
    await host.stopping.wait()
    manager.tell("STOPPING=1", "STATUS=Saying goodbye")


async def _tell_starting(host: Host, manager: Manager) -> None:
    """Ask for more time until the engines are warm."""
    give_up_s = trio.current_time() + LONGEST_START_S
    while host.room.engines is None:
        if trio.current_time() < give_up_s:
            manager.tell(
                "STATUS=Fetching and loading the models",
                f"EXTEND_TIMEOUT_USEC={EXTENSION_S * 1_000_000:.0f}",
            )
        with trio.move_on_after(EXTEND_PERIOD_S):
            await host.room.warm()


async def _tell_alive(host: Host, manager: Manager, period_s: float) -> None:
    """Say every ``period_s`` that all is well, as long as it is."""
    engines = await host.room.warm()
    while True:
        try:
            await _ask(engines)
        except VoicecoreError as error:
            log.error("recognition does not work", reason=str(error))  # noqa: TRY400
        else:
            manager.tell("WATCHDOG=1", f"STATUS=Ready, {host.presence.count} connected")
        await trio.sleep(period_s)


async def _ask(engines: Engines) -> None:
    """Wait until recognition, if it is done here, has answered.

    Silence takes the way of every utterance, through the line and the engine's thread, and is known
    for silence without the network: it costs no time, and comes back only if all that goes before
    it ends. A model behind an address is not asked: it is no fault of this process.
    """
    if not isinstance(engines.stt, ThreadedEngine):
        return
    async with engines.stt.stream(SILENCE) as transcripts:
        async for _ in transcripts:
            pass
