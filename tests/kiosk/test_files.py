"""The kiosk's files: what one says fits what the others and the host say."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from voicecore import configfile
from voicecore.config.profiles import KIOSK

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "scripts" / "kiosk"


class Unit(configparser.RawConfigParser):
    """A systemd unit, in which a key may be given several times: the last one counts here."""

    def __init__(self, name: str) -> None:
        super().__init__(strict=False, interpolation=None, delimiters=("=",))
        self.optionxform = str  # type: ignore[assignment, method-assign]
        text = (FOLDER / name).read_text(encoding="utf-8").replace("\\\n", " ")
        self.read_string(text)


def mib(size: str) -> int:
    return int(size.rstrip("Mm"))


HOST, SCREEN = Unit("voicecore.service"), Unit("voicecore-kiosk.service")


def test_the_hosts_limits_leave_it_what_it_takes() -> None:
    assert mib(HOST["Service"]["MemoryHigh"]) > KIOSK.most_mib
    assert mib(HOST["Service"]["MemoryMax"]) > mib(HOST["Service"]["MemoryHigh"])
    compose = (FOLDER / "docker" / "compose.yaml").read_text(encoding="utf-8")
    limit = re.search(r"mem_limit: (\S+)", compose)
    assert limit is not None
    assert mib(limit[1]) == mib(HOST["Service"]["MemoryMax"])


def test_the_host_is_started_with_the_kiosks_profile() -> None:
    config = configfile.load(FOLDER / "voicecore.toml")
    assert config.profile == "kiosk"
    state = Path("/var/lib") / HOST["Service"]["StateDirectory"]
    assert config.paths.data.parent == config.paths.models.parent == state
    assert "--config /etc/voicecore/voicecore.toml" in HOST["Service"]["ExecStart"]


def test_the_policy_lets_the_browser_go_where_the_unit_sends_it_and_nowhere_else() -> None:
    policy = json.loads((FOLDER / "chromium-policy.json").read_text(encoding="utf-8"))
    start, target = re.findall(r'"(file://[^#]+)#(http://[^/]+)/', SCREEN["Service"]["ExecStart"])[
        0
    ]
    assert policy["URLAllowlist"] == [target, start]
    assert policy["URLBlocklist"][0] == "*"
    assert policy["AudioCaptureAllowedUrls"] == [target]
    config = configfile.load(FOLDER / "voicecore.toml")
    assert target == f"http://{config.server.host}:{config.server.port}"


def test_no_flag_of_chromium_weakens_it() -> None:
    flags = SCREEN["Service"]["ExecStart"] + (FOLDER / "browser").read_text(encoding="utf-8")
    for flag in ("--no-sandbox", "--disable-web-security", "autoplay", "fake-ui", "unsafely"):
        assert flag not in flags


def test_all_that_is_copied_into_the_image_is_sent_to_its_builder() -> None:
    docker = FOLDER / "docker"
    sent = (docker / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = {line[1:] for line in sent if line.startswith("!")}
    copied = set()
    for line in (docker / "Dockerfile").read_text(encoding="utf-8").splitlines():
        words = line.split()
        if words[:1] == ["COPY"] and not line.startswith("COPY --from"):
            copied |= set(words[1:-1])
    assert copied == allowed
    for name in copied:
        assert (ROOT / name).exists()


# --- the installer -------------------------------------------------------------------------------


def dry(*options: str) -> list[str]:
    done = subprocess.run(
        [FOLDER / "install", "--dry-run", *options], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


on_debian = pytest.mark.skipif(
    not (shutil.which("apt-get") and shutil.which("systemctl")), reason="for Debian"
)


@on_debian
def test_the_installer_puts_every_file_in_its_place() -> None:
    put = {
        Path(words[4]).name for line in dry() if (words := line.split())[:2] == ["install", "-D"]
    }
    shipped = {path.name for path in FOLDER.iterdir() if path.is_file()}
    assert shipped - put <= {"install", "backoff.conf"}


@on_debian
def test_without_a_screen_there_is_none() -> None:
    lines = "\n".join(dry("--no-screen"))
    assert "voicecore.service" in lines
    assert "kiosk.service" not in lines
    assert "chromium" not in lines.replace(str(ROOT), "")


@on_debian
def test_what_is_installed_is_removed_again_but_what_belongs_to_the_owner() -> None:
    lines = dry("--uninstall")
    removed = [line for line in lines if line.startswith("rm ")]
    assert any("/opt/voicecore" in line for line in removed)
    assert not any("/var/lib" in line or "/etc/voicecore" in line for line in removed)


@pytest.mark.parametrize("word", ["--frob", "all"])
def test_the_installer_refuses_what_it_does_not_know(word: str) -> None:
    done = subprocess.run([FOLDER / "install", word], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Asks nothing" in done.stderr


# --- by the tools that are here ------------------------------------------------------------------


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")
@pytest.mark.parametrize("name", ["voicecore.service", "voicecore-kiosk.service"])
def test_systemd_finds_nothing_wrong(name: str, tmp_path: Path) -> None:
    """With programs that exist, since the real ones are not installed here."""
    for unit in ("voicecore.service", "voicecore-kiosk.service"):
        text = (FOLDER / unit).read_text(encoding="utf-8")
        text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE)
        (tmp_path / unit).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / name],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )
    assert name not in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="needs shellcheck")
@pytest.mark.parametrize("name", ["install", "browser"])
def test_shellcheck_finds_nothing_wrong(name: str) -> None:
    subprocess.run(["shellcheck", FOLDER / name], check=True)
