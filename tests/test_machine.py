"""``voicecore check``: what a machine has and lacks, on machines made of files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from voicecore.commands import machine as machines
from voicecore.commands.machine import Finding, Machine, look
from voicecore.config import Config
from voicecore.config.profiles import PROFILES
from voicecore.configfile import load
from voicecore.weights.files import ModelStore

GOOD = {
    "proc/meminfo": "MemTotal: 4000000 kB\nMemAvailable: 2000000 kB\n",
    "proc/cpuinfo": "processor : 0\nFeatures : fp asimd asimddp\n",
    "proc/asound/cards": " 1 [Phone ]: USB-Audio - A Speakerphone\n   A Speakerphone at usb\n",
    "usr/lib/aarch64-linux-gnu/libgomp.so.1": "",
    "usr/bin/chromium": "",
    "usr/bin/cage": "",
}


@pytest.fixture(autouse=True)
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "cores", lambda: 4)


@pytest.fixture
def board(tmp_path: Path) -> Callable[..., Machine]:
    """A Raspberry Pi 5 that has all, but for what is given otherwise; None removes."""

    def build(changed: dict[str, str | None] | None = None) -> Machine:
        for name, text in (GOOD | (changed or {})).items():
            if text is not None:
                path = tmp_path / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
                path.chmod(0o755)
        environment = {"PATH": str(tmp_path / "usr/bin")}
        return Machine(tmp_path, environment, "aarch64", ("glibc", "2.36"))

    return build


@pytest.fixture
def config(tmp_path: Path) -> Config:
    folders = [f'paths.{name}="{tmp_path / name}"' for name in ("data", "models")]
    return load(None, ["profile=kiosk", *folders])


def findings(config: Config, machine: Machine) -> dict[str, Finding]:
    return {each.part: each for each in look(config, ModelStore.of(config), machine)}


def test_a_good_board_lacks_nothing(board: Callable[..., Machine], config: Config) -> None:
    found = findings(config, board())
    assert [each for each in found.values() if each.lack] == []
    assert found["memory"].found.startswith("3906 MiB, 1953 free; the host takes up to ")
    assert found["processor"].found == "4 cores, aarch64, asimddp"
    assert found["sound"].found == "USB-Audio - A Speakerphone"
    assert found["screen"].found == "chromium, cage"


@pytest.mark.parametrize(
    ("part", "changed", "mends"),
    [
        (
            "memory",
            {"proc/meminfo": "MemTotal: 900000 kB\nMemAvailable: 400000 kB\n"},
            "sudo apt install zram-tools",
        ),
        ("memory", {"sys/fs/cgroup/memory.max": "268435456\n"}, "End other programs"),
        ("processor", {"proc/cpuinfo": "Features : fp asimd\n"}, "--set llm.engine=openai"),
        (
            "packages",
            {"usr/lib/aarch64-linux-gnu/libgomp.so.1": None},
            "sudo apt install libgomp1",
        ),
        ("sound", {"proc/asound/cards": "--- no soundcards ---\n"}, "voicecore talk --text"),
        ("sound", {"proc/asound/cards": None}, "voicecore talk --text"),
        ("screen", {"usr/bin/cage": None}, "sudo apt install chromium cage"),
    ],
)
def test_what_is_missing_is_told_with_what_mends_it(
    board: Callable[..., Machine],
    config: Config,
    part: str,
    changed: dict[str, str | None],
    mends: str,
) -> None:
    found = findings(config, board(changed))
    assert mends in found[part].lack
    assert [each.part for each in found.values() if each.lack] == [part]


def test_other_processors_and_libraries_have_no_packages(
    board: Callable[..., Machine], config: Config
) -> None:
    old = attrs.evolve(board(), kind="armv7l", libc=("glibc", "2.24"))
    found = findings(config, old)
    assert "64-bit" in found["processor"].lack
    assert "glibc 2.28" in found["packages"].lack
    alpine = attrs.evolve(board(), libc=("", ""))
    assert "docker compose" in findings(config, alpine)["packages"].lack


def test_one_core_is_few(
    board: Callable[..., Machine], config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machines, "cores", lambda: 1)
    assert "one core" in findings(config, board())["processor"].lack


def test_larger_models_need_more_memory(board: Callable[..., Machine], config: Config) -> None:
    larger = attrs.evolve(config, stt=attrs.evolve(config.stt, model="whisper-base"))
    most = PROFILES["kiosk"].most_mib
    assert f"takes up to {most}" in findings(config, board())["memory"].found
    assert f"takes up to {most + 66}" in findings(larger, board())["memory"].found


def test_models_that_are_missing_need_room(
    board: Callable[..., Machine], config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = os.statvfs_result((4096, 4096, 1000, 0, 0, 0, 0, 0, 0, 255))
    monkeypatch.setattr("os.statvfs", lambda _: full)
    found = findings(config, board())
    assert "--set paths.models=FOLDER" in found["disk for models"].lack
    assert "--set paths.data=FOLDER" in found["disk for conversations"].lack


def test_a_card_that_this_user_may_not_use(
    board: Callable[..., Machine], config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = board({"dev/snd/pcmC1D0c": ""})
    monkeypatch.setattr("os.access", lambda *_: False)
    assert "sudo usermod -aG audio" in findings(config, machine)["sound"].lack


def test_a_sound_server_will_do(board: Callable[..., Machine], config: Config) -> None:
    machine = board({"proc/asound/cards": None, "run/user/1000/pulse/native": ""})
    with_server = attrs.evolve(
        machine, environment={**machine.environment, "XDG_RUNTIME_DIR": "/run/user/1000"}
    )
    assert findings(config, with_server)["sound"].lack == ""


def test_without_the_profile_no_screen_is_wanted(
    board: Callable[..., Machine], config: Config
) -> None:
    assert "screen" not in findings(attrs.evolve(config, profile="default"), board())


def test_each_lack_says_what_it_is_about(board: Callable[..., Machine], config: Config) -> None:
    nothing: dict[str, str | None] = dict.fromkeys(GOOD, None)
    found = findings(config, board(nothing))
    lacks = [each.lack for each in found.values() if each.lack]
    assert len(lacks) == 3  # packages, sound, screen; nothing is known of the others
    for lack in lacks:
        assert lack.partition(":")[0] in {"Packages", "Sound", "Screen"}
