"""What the log shows, and what it must not."""

from __future__ import annotations

import pytest
import structlog

from voicecore import logs
from voicecore.config import LogConfig


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_traceback_shows_no_local_variables(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """They may hold what was said."""
    logs.configure(LogConfig(format=form))  # type: ignore[arg-type]
    try:
        answer("my pin is " + str(1234))
    except RuntimeError:
        structlog.get_logger().exception("failed")
    shown = capsys.readouterr().err
    assert "RuntimeError" in shown
    assert "my pin is 1234" not in shown


def answer(said: str) -> None:
    raise RuntimeError(f"It broke after {len(said)} characters.")
