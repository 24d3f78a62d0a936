"""A host as a process of its own, which can be killed and come back on the same port."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

STOP_S = 60
"""Far more than it takes; a machine may be busy."""


class HostProcess:
    """A `voicecore serve` on a port that stays the same over restarts."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = _free_port()
        self._log = folder / "host.log"
        self._options = ("--set", f"paths.data={folder / 'data'}", *options)
        self._process: subprocess.Popen[str] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return self._log.read_text()

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        # The log goes into a file: a pipe that nobody reads would stop the host when it is full.
        serve = [sys.executable, "-m", "voicecore", "serve", "--offline"]
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [*serve, "--port", str(self.port), *self._options],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout
        ready = self._process.stdout.readline()
        assert ready == f"voicecore is ready on {self.url}\n", self.log

    def kill(self) -> None:
        """End it without a word, as a power cut would."""
        assert self._process
        self._process.kill()
        self._process.communicate(timeout=STOP_S)

    def stop(self) -> int:
        """Ask it to end; return its exit status."""
        assert self._process
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate(timeout=STOP_S)
        return self._process.returncode


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
