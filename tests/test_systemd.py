"""sd_notify: what systemd is told, over a real datagram socket."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.harness import PLAIN, Fakes, open_stage
from voicecore.engines import Engines
from voicecore.engines.interface import EngineInfo, Transcript, Utterance
from voicecore.engines.worker import open_threaded
from voicecore.errors import EngineError
from voicecore.host import EngineRoom, Host
from voicecore.metrics import Metrics
from voicecore.store import MemoryStore
from voicecore.systemd import (
    EXTEND_PERIOD_S,
    LONGEST_START_S,
    Manager,
    find_manager,
    keep_told,
)


class Systemd:
    """The other end."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address.replace("@", "\0"))
        self.socket.setblocking(False)
        self.managers: list[Manager] = []

    def told(self) -> list[dict[str, str]]:
        """What has come since the last look."""
        found: list[dict[str, str]] = []
        while True:
            try:
                lines = self.socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return found
            found.append(dict(line.split("=", 1) for line in lines))

    def manager(self, **environment: str) -> Manager:
        manager = find_manager({"NOTIFY_SOCKET": self.address, **environment})
        self.managers.append(manager)
        return manager

    def close(self) -> None:
        self.socket.close()
        for manager in self.managers:
            manager.close()


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    abstract = f"@voicecore-test-{os.getpid()}"
    systemd = Systemd(abstract if request.param == "abstract" else str(tmp_path / "notify"))
    yield systemd
    systemd.close()


def new_host(engines: Engines | None) -> Host:
    store = MemoryStore(new_id=str, now=float, history=1)
    return Host(PLAIN, store, Metrics(), EngineRoom(engines))


# --- the socket ----------------------------------------------------------------------------------


def test_lines_are_one_datagram(systemd: Systemd) -> None:
    systemd.manager().tell("READY=1", "STATUS=Ready on http://[::1]:3000 = here")
    assert systemd.told() == [{"READY": "1", "STATUS": "Ready on http://[::1]:3000 = here"}]


@pytest.mark.parametrize("address", ["", "relative/path", "vsock:2:1"])
def test_without_systemd_nothing_is_told(address: str) -> None:
    manager = find_manager({"NOTIFY_SOCKET": address})
    assert manager == Manager()
    manager.tell("READY=1")


def test_a_socket_that_is_not_there_is_logged_and_does_no_harm(tmp_path: Path) -> None:
    with capture_logs() as logs:
        assert find_manager({"NOTIFY_SOCKET": str(tmp_path / "none")}) == Manager()
    assert [line["event"] for line in logs] == ["systemd cannot be told"]


def test_a_manager_that_went_away_is_logged_and_does_no_harm(systemd: Systemd) -> None:
    manager = systemd.manager()
    systemd.socket.close()
    with capture_logs() as logs:
        manager.tell("READY=1")
    assert [line["event"] for line in logs] == ["systemd was not told"]


@pytest.mark.parametrize(
    ("environment", "expected_s"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 60),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 60),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_that_of_this_process(
    systemd: Systemd, environment: dict[str, str], expected_s: float | None
) -> None:
    assert systemd.manager(**environment).watchdog_s == expected_s


# --- what is told --------------------------------------------------------------------------------


async def test_more_time_is_asked_for_until_the_engines_are_warm(
    systemd: Systemd, autojump_clock: MockClock
) -> None:
    host = new_host(None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_told, host, systemd.manager())
        await trio.sleep(2.5 * EXTEND_PERIOD_S)
        assert [each["EXTEND_TIMEOUT_USEC"] for each in systemd.told()] == ["30000000"] * 3
        host.room.open(Fakes().engines())
        await trio.sleep(10 * EXTEND_PERIOD_S)
        assert systemd.told() == []
        nursery.cancel_scope.cancel()


async def test_a_start_that_hangs_asks_for_more_time_only_so_long(
    systemd: Systemd, autojump_clock: MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_told, new_host(None), systemd.manager())
        told = 0
        while trio.current_time() < 2 * LONGEST_START_S:
            await trio.sleep(5 * EXTEND_PERIOD_S)  # a socket holds ten datagrams
            told += len(systemd.told())
        assert told == LONGEST_START_S / EXTEND_PERIOD_S
        nursery.cancel_scope.cancel()


async def test_it_says_that_it_is_well_at_half_the_watchdogs_time(
    systemd: Systemd, autojump_clock: MockClock
) -> None:
    async with open_stage() as stage, trio.open_nursery() as nursery:
        manager = systemd.manager(WATCHDOG_USEC="60000000")
        nursery.start_soon(keep_told, stage.host, manager)
        async with stage.connect():
            await trio.sleep(100)
        told = systemd.told()
        assert [each["WATCHDOG"] for each in told] == ["1"] * 4  # after 0, 30, 60 and 90 s
        assert told[-1]["STATUS"] == "Ready, 1 connected"
        nursery.cancel_scope.cancel()


async def test_a_host_that_stops_says_so_once(systemd: Systemd, autojump_clock: MockClock) -> None:
    host = new_host(Fakes().engines())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_told, host, systemd.manager())
        await wait_all_tasks_blocked()
        assert systemd.told() == []
        host.stopping.set()
        await trio.sleep(5)
        assert [each["STOPPING"] for each in systemd.told()] == ["1"]
        nursery.cancel_scope.cancel()


class Recognition:
    """A `Native` whose every answer is what a function gives."""

    concurrency = 1
    info = EngineInfo("stt", "stub", "stub", "1")

    def __init__(self, answer: Callable[[], Transcript]) -> None:
        self._answer = answer

    def warm_up(self) -> None:
        pass

    def run(self, request: Utterance, emit: Callable[[Transcript], None]) -> None:
        assert not request.samples.any()
        emit(self._answer())

    def close(self) -> None:
        pass


def engines_with(stt: object) -> Engines:
    fakes = Fakes().engines()
    return Engines(fakes.vad, stt, fakes.llm, fakes.tts)  # type: ignore[arg-type]


async def test_recognition_that_hangs_is_not_called_well(systemd: Systemd) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def answer() -> Transcript:
        asked.set()
        go_on.wait(60)
        return Transcript("", 0.0)

    async with open_threaded(lambda: Recognition(answer)) as stt:
        host = new_host(engines_with(stt))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keep_told, host, systemd.manager(WATCHDOG_USEC="2000"))
            assert await trio.to_thread.run_sync(asked.wait, 60)
            await trio.sleep(0.05)  # fifty times the period
            assert systemd.told() == []
            go_on.set()
            with trio.fail_after(60):
                await trio.lowlevel.wait_readable(systemd.socket)
            assert systemd.told()[0]["WATCHDOG"] == "1"
            nursery.cancel_scope.cancel()


async def test_recognition_that_fails_is_not_called_well(systemd: Systemd) -> None:
    asked = threading.Semaphore(0)

    def answer() -> Transcript:
        asked.release()
        raise EngineError("out of memory")

    async with open_threaded(lambda: Recognition(answer)) as stt:
        host = new_host(engines_with(stt))
        with capture_logs() as logs:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(keep_told, host, systemd.manager(WATCHDOG_USEC="2000"))
                for _ in range(3):  # so the first two answers have arrived
                    assert await trio.to_thread.run_sync(asked.acquire, True, 60)
                nursery.cancel_scope.cancel()
    assert logs[0]["event"] == "recognition does not work"
    assert systemd.told() == []


# --- the command ---------------------------------------------------------------------------------


def test_the_host_tells_that_it_is_ready_and_that_it_stops(
    systemd: Systemd, tmp_path: Path
) -> None:
    fakes = [f"--set={kind}.engine=fake" for kind in ("stt", "llm", "tts", "vad", "turn")]
    with subprocess.Popen(
        [sys.executable, "-m", "voicecore", "serve", "--port=0", *fakes, "--set=paths.data=data"],
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        text=True,
        env={**os.environ, "NOTIFY_SOCKET": systemd.address, "WATCHDOG_USEC": "60000000"},
    ) as process:
        try:
            assert process.stdout
            url = process.stdout.readline().removeprefix("voicecore is ready on ").strip()
            systemd.socket.settimeout(60)
            told: list[str] = []
            while "READY=1" not in told:
                told += systemd.socket.recv(4096).decode().splitlines()
            assert f"STATUS=Ready on {url}" in told
            process.terminate()
            while "STOPPING=1" not in told:
                told += systemd.socket.recv(4096).decode().splitlines()
            assert process.wait(60) == 0
        finally:
            process.kill()
