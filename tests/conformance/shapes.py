"""What the host may send: every message's fields and their types, as docs/wire.md has them."""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import Any, TypeAlias

Shape: TypeAlias = Mapping[str, type | UnionType]

MAYBE_TEXT = str | None
NUMBER = int | float

_TOLD: dict[str, Shape] = {
    "pong": {},
    "emotion": {"emotion": str},
    "agent_notification": {"text": str, "source": str, "status": str},
    "agent_task_update": {"task": dict},
    "agent_status_update": {"snapshot": dict},
}

_NEKO: dict[str, Shape] = {
    **_TOLD,
    "session_preparing": {"input_mode": str},
    "session_started": {"input_mode": str, "session_id": str},
    "session_failed": {"input_mode": str},
    "status": {"message": str},
    "user_activity": {"interrupted_speech_id": MAYBE_TEXT},
    "user_transcript": {"text": str},
    "user_partial": {"text": str},
    "speech_words": {"turn_id": str, "speech_id": str, "words": list},
    "system": {"data": str},
    "catgirl_switched": {"new_catgirl": str, "old_catgirl": str},
    "reload_page": {"message": str},
    "timeline": {"turn_id": str, "spans": list},
    "avatar_interaction_ack": {
        "interaction_id": str, "accepted": bool, "reason": str, "turn_id": MAYBE_TEXT,
    },
}  # fmt: skip

DOCUMENTED: dict[str, Shape] = {**_NEKO, "text": {"text": str}, "audio": {"audio_data": str}}

NATIVE: dict[str, Shape] = {
    **_NEKO,
    "gemini_response": {
        "text": str, "isNewMessage": bool, "turn_id": str, "request_id": MAYBE_TEXT,
    },
    "audio_chunk": {"speech_id": str},
}  # fmt: skip

CORTEX: dict[str, Shape] = {
    **_TOLD,
    "connected": {},
    "session": {"sessionId": str, "agentId": str, "agentName": str},
    "session_ended": {"sessionId": str},
    "agent_selected": {"agentId": str, "agentName": str},
    "transcribed": {"text": str, "confidence": NUMBER},
    "start": {},
    "chunk": {"delta": str},
    "speak": {"text": str, "voice": str},
    "audio": {"data": str, "format": str},
    "done": {
        "tokensIn": int, "tokensOut": int, "costUsd": NUMBER, "durationMs": NUMBER, "model": str,
        "finalContent": str,
    },
    "stopped": {},
    "error": {"error": str},
}  # fmt: skip

_WORD: Shape = {"text": str, "start_ms": NUMBER, "end_ms": NUMBER, "from": int, "to": int}

_VOICE_STATES: tuple[Shape, ...] = ({"enabled": bool}, {"speaking": bool})

EMOTIONS = {"happy", "sad", "angry", "surprised", "neutral"}
TASK_STATUSES = {"queued", "running", "completed", "failed", "cancelled"}


def fault(message: Mapping[str, Any], shapes: Mapping[str, Shape]) -> str:
    """What is wrong with a message's shape, or nothing."""
    kind = message.get("type")
    fields = {key: value for key, value in message.items() if key != "type"}
    if kind == "voice_state" and shapes is CORTEX:
        fits = any(_fits(fields, shape) for shape in _VOICE_STATES)
    else:
        fits = kind in shapes and _fits(fields, shapes[str(kind)])
    return "" if fits and not _odd_content(message) else f"not in the protocol: {message}"


def _fits(fields: Mapping[str, Any], shape: Shape) -> bool:
    return fields.keys() == shape.keys() and all(
        _is(value, shape[key]) for key, value in fields.items()
    )


def _is(value: object, wanted: type | UnionType) -> bool:
    # To Python true is a number, to a client it is none.
    return isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))


def _odd_content(message: Mapping[str, Any]) -> bool:
    match message["type"]:
        case "emotion":
            return message["emotion"] not in EMOTIONS
        case "speech_words":
            return not all(_fits(word, _WORD) for word in message["words"])
        case "agent_task_update":
            return not _is_task(message["task"])
        case "agent_status_update":
            snapshot = message["snapshot"]
            active = snapshot.get("active_tasks", snapshot.get("activeTasks"))
            tasks = active if isinstance(active, list) else []
            return not (isinstance(active, int | list) and all(map(_is_task, tasks)))
    return False


def _is_task(task: Mapping[str, Any]) -> bool:
    return (
        isinstance(task.get("id"), str)
        and task.get("status") in TASK_STATUSES
        and 0 <= task.get("progress", -1) <= 100
    )
