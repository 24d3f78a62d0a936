from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from voicecore.tools.builtin import system
from voicecore.tools.builtin.system import get_system_status
from voicecore.tools.tool import ToolContext

MEMINFO = """\
MemTotal:        8388608 kB
MemFree:          524288 kB
MemAvailable:    5242880 kB
HugePages_Total:       0
"""


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(system, "PROC", tmp_path)
    monkeypatch.setattr(system, "cores", lambda: 2)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.52, 0.4, 0.3))
    (tmp_path / "meminfo").write_text(MEMINFO)
    (tmp_path / "uptime").write_text("273723.5 400000.0\n")
    return tmp_path


def test_the_machine_is_told_in_four_lines(proc: Path, context: ToolContext) -> None:
    load, memory, disk, uptime = get_system_status(context).splitlines()
    assert load == "Load: 0.5 on 2 cores."
    assert memory == "Memory: 3.0 of 8.0 gigabytes used."
    assert disk.startswith("Disk: ")
    assert disk.endswith(" gigabytes free.")
    assert uptime == "Uptime: 3 days 4 hours 2 minutes 4 seconds."
    assert not context.folder.exists()


def test_the_disk_is_the_one_that_will_hold_the_folder(
    proc: Path, context: ToolContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    class Usage:
        total, free = 500_000_000_000, 120_400_000_000

    def disk_usage(folder: Path) -> Usage:
        asked.append(folder)
        return Usage()

    monkeypatch.setattr(shutil, "disk_usage", disk_usage)
    assert "Disk: 120 of 500 gigabytes free." in get_system_status(context)
    assert asked == [context.folder.parent]


def test_what_cannot_be_read_is_told(
    proc: Path, context: ToolContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(os, "getloadavg", refuse)
    monkeypatch.setattr(shutil, "disk_usage", refuse)
    (proc / "uptime").unlink()
    (proc / "meminfo").write_text("MemTotal: many kB\n")
    assert get_system_status(context).splitlines() == [
        f"{name}: cannot be read on this system." for name in ("Load", "Memory", "Disk", "Uptime")
    ]


def test_the_real_machine(context: ToolContext) -> None:
    assert len(get_system_status(context).splitlines()) == 4
