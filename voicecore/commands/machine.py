"""What a machine has, and what of it a host would miss. Nothing is imported or tried out for it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from voicecore.config import Config, cores
from voicecore.config.profiles import PROFILES
from voicecore.engines import KINDS, section
from voicecore.weights.files import ModelStore

MIB = 1024 * 1024

WIDE_ARITHMETIC = {"x86_64": "avx2", "aarch64": "asimddp"}
"""The instructions that the engines' arithmetic on 8-bit numbers is written for, as Linux calls
them. A Raspberry Pi 5 has those of its kind, a Raspberry Pi 4 does not."""

OLDEST_GLIBC = (2, 28)
"""Of the packages built for aarch64, some need it (docs/kiosk.md); the others less."""

DATA_MIB = 100
"""Conversations are text: years of them."""


@attrs.frozen
class Finding:
    """One part of the machine."""

    part: str
    found: str
    lack: str = ""
    """What is missing, why it matters, and what mends it; empty if nothing is."""


@attrs.frozen
class Machine:
    """Where to look; the defaults are this machine."""

    root: Path = Path("/")
    environment: Mapping[str, str] = attrs.field(factory=lambda: os.environ)
    kind: str = attrs.field(factory=platform.machine)
    libc: tuple[str, str] = attrs.field(factory=platform.libc_ver)

    def read(self, path: str) -> str:
        """Read a file of the system; empty if there is none."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def has(self, program: str) -> bool:
        return shutil.which(program, path=self.environment.get("PATH")) is not None


def look(config: Config, files: ModelStore, machine: Machine) -> Iterator[Finding]:
    """Look at each part that matters to a host with this configuration."""
    yield _memory(machine, _needed_mib(config, files), config.profile)
    yield _processor(machine)
    yield _packages(machine, uses_llama=config.llm.engine == "llama")
    yield _disk("disk for models", config.paths.models, _missing_mib(config, files))
    yield _disk("disk for conversations", config.paths.data, DATA_MIB)
    yield _sound(machine)
    if config.profile == "kiosk":
        yield _browser(machine)


# --- memory --------------------------------------------------------------------------------------


def _needed_mib(config: Config, files: ModelStore) -> int:
    """What the host takes at the most: as measured, and what its models are larger by."""
    plain = Config()
    more = 0
    for kind in KINDS:
        sizes = [_size(files, section(each, kind).model) for each in (config, plain)]
        more += max(0, sizes[0] - sizes[1])
    return PROFILES[config.profile].most_mib + more // MIB


def _size(files: ModelStore, model: str) -> int:
    return (files.models[model].size or 0) if model in files.models else 0


def _memory(machine: Machine, needed_mib: int, profile: str) -> Finding:
    amounts = dict(_meminfo(machine))
    if "MemAvailable" not in amounts:
        return Finding("memory", f"unknown; the host takes up to {needed_mib} MiB")
    free = amounts["MemAvailable"]
    found = f"{amounts['MemTotal']} MiB, {free} free; the host takes up to {needed_mib}"
    limit = machine.read("sys/fs/cgroup/memory.max").strip()
    if limit.isdecimal():  # "max" in a container without one
        free = min(free, int(limit) // MIB)
        found += f"; this container may take {int(limit) // MIB}"
    if free >= needed_mib:
        return Finding("memory", found)
    smaller = "" if profile == "kiosk" else " or start the host with --profile kiosk,"
    lack = (
        f"Memory: the host takes up to {needed_mib} MiB, and {free} are free. It would be ended, "
        f"or wait for the disk in mid-sentence. End other programs,{smaller} or give the board "
        "compressed swap: sudo apt install zram-tools"
    )
    return Finding("memory", found, lack)


def _meminfo(machine: Machine) -> Iterator[tuple[str, int]]:
    for line in machine.read("proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        if value.endswith(" kB"):
            yield name, int(value.split()[0]) // 1024


# --- processor and packages ----------------------------------------------------------------------


def _processor(machine: Machine) -> Finding:
    wanted = WIDE_ARITHMETIC.get(machine.kind)
    features = _features(machine)
    known = f", {wanted}" if wanted in features else ""
    found = f"{cores()} cores, {machine.kind}{known}"
    if wanted is None or sys.maxsize < 2**32:
        lack = (
            "Processor: the engines are built for x86-64 and aarch64 only, and for 64 bits. On a "
            "Raspberry Pi, install the 64-bit system: https://www.raspberrypi.com/software"
        )
    elif features and wanted not in features:
        lack = (
            f"Processor: it lacks {wanted}, so that answers take several times as long. Have a "
            "larger machine think: voicecore serve --set llm.engine=openai "
            "--set llm.base_url=http://OTHER:11434/v1"
        )
    elif cores() < 2:
        lack = (
            "Processor: with one core, hearing, thinking and speaking wait for each other. Give "
            "the host more, if they are there: a container's limit counts (docker update --cpus 2)"
        )
    else:
        lack = ""
    return Finding("processor", found, lack)


def _features(machine: Machine) -> set[str]:
    for line in machine.read("proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in {"flags", "Features"}:
            return set(value.split())
    return set()


def _packages(machine: Machine, *, uses_llama: bool) -> Finding:
    name, version = machine.libc
    places = ("lib", "lib/*", "usr/lib", "usr/lib/*", "usr/lib64")
    if uses_llama and not any(any(machine.root.glob(f"{each}/libgomp.so.1")) for each in places):
        lack = (
            "Packages: llama.cpp needs the library libgomp, which its package does not bring. "
            "Run: sudo apt install libgomp1"
        )
        return Finding("packages", "no libgomp", lack)
    found = (
        f"Python {platform.python_version()}, {name or 'another C library than glibc'} {version}"
    )
    number = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if name == "glibc" and number >= OLDEST_GLIBC:
        return Finding("packages", found.strip())
    lack = (
        "Packages: the engines' packages are built for glibc 2.28 and later; here they would have "
        "to be compiled. Use Debian 12, Ubuntu 22.04, a Raspberry Pi OS of 2023, or later ones: "
        "docker compose -f scripts/kiosk/docker/compose.yaml up"
    )
    return Finding("packages", found.strip(), lack)


# --- disk ----------------------------------------------------------------------------------------


def _missing_mib(config: Config, files: ModelStore) -> int:
    """What fetching the missing models takes: each, and the package it comes in."""
    wanted = {section(config, kind).model for kind in KINDS} & files.models.keys()
    missing = (name for name in wanted if not files.status(name).usable)
    return 2 * sum(_size(files, name) for name in missing) // MIB


def _disk(part: str, folder: Path, needed_mib: int) -> Finding:
    there = next((each for each in (folder, *folder.parents) if each.exists()), folder)
    try:
        free = shutil.disk_usage(there).free // MIB
    except OSError as error:
        return Finding(part, f"{folder}: {error.strerror}")
    found = f"{free} MiB free in {there}; {needed_mib} are needed"
    if free >= needed_mib:
        return Finding(part, found)
    lack = (
        f"Disk: {needed_mib} MiB are needed in {there}, and {free} are free. Make room there "
        "(sudo apt clean; sudo journalctl --vacuum-size=50M), or keep the files elsewhere: "
        f"--set paths.{'models' if 'models' in part else 'data'}=FOLDER"
    )
    return Finding(part, found, lack)


# --- what a person meets -------------------------------------------------------------------------


def _sound(machine: Machine) -> Finding:
    """Look for what PortAudio could open: ALSA's cards, or a sound server."""
    runtime = Path(machine.environment.get("XDG_RUNTIME_DIR", "/nowhere")).relative_to("/")
    if (machine.root / runtime / "pulse" / "native").exists():
        return Finding("sound", "a sound server (PipeWire or PulseAudio)")
    cards = [
        line.partition(":")[2].strip()
        for line in machine.read("proc/asound/cards").splitlines()
        if "]:" in line
    ]
    if cards and not _may_use_sound(machine):
        lack = (
            "Sound: this user may not use the sound card, so `voicecore talk` cannot (the page "
            "uses the browser's): sudo usermod -aG audio $USER, and log in again"
        )
        return Finding("sound", cards[0], lack)
    if cards:
        return Finding("sound", ", ".join(cards))
    lack = (
        "Sound: there is no sound card, so nobody can speak to this machine itself; other devices "
        "can, on the page. Plug one in (a USB speakerphone brings microphone and speaker), or "
        "type: voicecore talk --text"
    )
    return Finding("sound", "none", lack)


def _may_use_sound(machine: Machine) -> bool:
    nodes = list((machine.root / "dev/snd").glob("pcm*"))
    return not nodes or any(os.access(node, os.R_OK | os.W_OK) for node in nodes)


def _browser(machine: Machine) -> Finding:
    names = ("chromium", "chromium-browser", "cage")
    found = [name for name in names if machine.has(name)]
    if "cage" in found and len(found) > 1:
        return Finding("screen", ", ".join(found))
    lack = (
        "Screen: the page is shown full-screen by Chromium in cage, a compositor for one window. "
        "Run: sudo apt install chromium cage"
    )
    return Finding("screen", ", ".join(found) or "none", lack)
