"""What a client may be told, and in which order: docs/wire.md, held against what it was told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from voicecore.wire.protocol import Json

_AGENT = {
    "agent_notification": {"text", "source", "status"},
    "agent_task_update": {"task"},
    "agent_status_update": {"snapshot"},
    "emotion": {"emotion"},
    "pong": set[str](),
}
_NEKO_BOTH = _AGENT | {
    "session_preparing": {"input_mode"},
    "session_started": {"input_mode", "session_id"},
    "session_failed": {"input_mode"},
    "status": {"message"},
    "user_activity": {"interrupted_speech_id"},
    "user_transcript": {"text"},
    "user_partial": {"text"},
    "speech_words": {"turn_id", "speech_id", "words"},
    "system": {"data"},
    "catgirl_switched": {"new_catgirl", "old_catgirl"},
    "reload_page": {"message"},
    "avatar_interaction_ack": {"interaction_id", "accepted", "reason", "turn_id"},
    "timeline": {"turn_id", "spans"},
}
_DOCUMENTED = {"text": {"text"}, "audio": {"audio_data"}}
_NATIVE = {
    "gemini_response": {"text", "isNewMessage", "turn_id", "request_id"},
    "audio_chunk": {"speech_id"},
}
_CORTEX = _AGENT | {
    "connected": set[str](),
    "session": {"sessionId", "agentId", "agentName"},
    "session_ended": {"sessionId"},
    "agent_selected": {"agentId", "agentName"},
    "transcribed": {"text", "confidence"},
    "start": set[str](),
    "chunk": {"delta"},
    "speak": {"text", "voice"},
    "audio": {"data", "format"},
    "done": {
        "tokensIn", "tokensOut", "costUsd", "durationMs", "model", "finalContent",
    },
    "voice_state": {"enabled"},
    "error": {"error"},
    "stopped": set[str](),
    "timeline": {"turnId", "spans"},
}  # fmt: skip
EMOTIONS = {"happy", "sad", "angry", "surprised", "neutral"}


class Transcript:
    """Takes what one client receives, frame by frame; raises `AssertionError` at once."""

    def __init__(self, wire: str, dialect: str = "auto") -> None:
        self.pongs = 0
        self._shapes: Mapping[str, set[str]] = _CORTEX
        if wire == "neko":
            native, documented = dialect in {"auto", "native"}, dialect in {"auto", "documented"}
            self._shapes = (
                _NEKO_BOTH | (_NATIVE if native else {}) | (_DOCUMENTED if documented else {})
            )
        self._announced = False
        """A header has come; the next frame is its sound."""
        self._deltas: list[str] | None = None
        """Of the turn that runs."""
        self._interrupted: set[str] = set()

    def feed(self, frame: str | bytes) -> None:
        if isinstance(frame, bytes):
            assert self._announced, "a binary frame without its header"
            assert frame, "a binary frame without sound"
            assert len(frame) % 2 == 0
            self._announced = False
            return
        assert not self._announced, f"between a header and its sound: {frame[:200]}"
        message = json.loads(frame, parse_constant=_no_constant)
        kind = message.pop("type")
        self._check_shape(kind, message)
        self._check_order(kind, message)

    def close(self, *, cut: bool) -> None:
        """The connection is over; ``cut``: by a client that did not wait for what was coming."""
        assert cut or not self._announced, "a header without its sound"

    def _check_shape(self, kind: str, fields: Json) -> None:
        assert kind in self._shapes, f"{kind} is not documented"
        if kind == "voice_state" and fields.keys() == {"speaking"}:
            return
        assert fields.keys() == self._shapes[kind], f"{kind} with {sorted(fields)}"
        if kind == "emotion":
            assert fields["emotion"] in EMOTIONS
        if "audio_data" in fields or kind == "audio":
            assert fields.get("audio_data") or fields.get("data"), "sound without sound"
        if kind == "agent_task_update":
            _check_task(fields["task"])

    def _check_order(self, kind: str, fields: Json) -> None:
        match kind:
            case "pong":
                self.pongs += 1
            case "audio_chunk":
                self._announced = True
                assert fields["speech_id"] not in self._interrupted, "sound of a dead reply"
            case "gemini_response":
                assert fields["turn_id"] not in self._interrupted, "text of a dead reply"
            case "user_activity":
                if fields["interrupted_speech_id"] is not None:
                    self._interrupted.add(str(fields["interrupted_speech_id"]))
            case "start":
                self._deltas = []
            case "chunk":
                assert fields["delta"]
                if self._deltas is not None:
                    self._deltas.append(str(fields["delta"]))
            case "done":
                assert self._deltas is not None, "done without a start"
                assert "".join(self._deltas) == fields["finalContent"], "another finalContent"
                self._deltas = None
            case "stopped":
                self._deltas = None


def _check_task(task: Any) -> None:
    assert {"id", "tool", "status", "progress", "detail"} <= task.keys()
    assert task["status"] in {"queued", "running", "completed", "failed", "cancelled"}
    assert 0 <= task["progress"] <= 100


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")
