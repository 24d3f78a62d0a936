"""How the machine is: load, memory, disk, and since when it runs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from voicecore.config import cores
from voicecore.tools.builtin.timer import lasting
from voicecore.tools.function import tool
from voicecore.tools.tool import ToolContext

PROC = Path("/proc")


@tool
def get_system_status(context: ToolContext) -> str:
    """Tell how the computer that runs this assistant is: load, memory, disk space, uptime."""
    return "\n".join((_load(), _memory(), _disk(context.folder), _uptime()))


def _load() -> str:
    try:
        minute = os.getloadavg()[0]
    except (OSError, AttributeError):
        return "Load: cannot be read on this system."
    return f"Load: {minute:.1f} on {cores()} cores."


def _memory() -> str:
    try:
        lines = (PROC / "meminfo").read_text(encoding="ascii").splitlines()
        kib = {line.partition(":")[0]: int(line.split()[1]) for line in lines}
        total, free = kib["MemTotal"] / 2**20, kib["MemAvailable"] / 2**20
    except (OSError, ValueError, KeyError, IndexError):
        return "Memory: cannot be read on this system."
    return f"Memory: {total - free:.1f} of {total:.1f} gigabytes used."


def _disk(folder: Path) -> str:
    try:
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        usage = shutil.disk_usage(folder)
    except OSError:
        return "Disk: cannot be read on this system."
    return f"Disk: {usage.free / 1e9:.0f} of {usage.total / 1e9:.0f} gigabytes free."


def _uptime() -> str:
    try:
        seconds = float((PROC / "uptime").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return "Uptime: cannot be read on this system."
    days, rest = divmod(seconds, 86_400)
    told = f"{days:.0f} days " if days else ""
    return f"Uptime: {told}{lasting(rest)}."
