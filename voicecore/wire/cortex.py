"""CortexPrism: the agent chat's protocol.

JSON text frames; every message carries ``type``. See docs/wire.md.

Two kinds of messages are not in the document: the reply's ``emotion``, and what tools are at work
(``agent_task_update``, ``agent_notification``, ``agent_status_update``). Their types and contents
are those of N.E.K.O., so that one page can show both; their keys are in camel case, as all of this
protocol's.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from voicecore import events
from voicecore.audio import wav_bytes
from voicecore.errors import ClientError
from voicecore.events import Attachment, Command, Event
from voicecore.wire.protocol import (
    NOTHING_ELSE,
    Base64Parts,
    Json,
    Shown,
    dump,
    file_field,
    flag_field,
    kind_of,
    name_field,
    optional_name,
    parse_object,
    task_json,
    text_field,
    timeline_json,
)

PART_BYTES = 256 * 1024
"""Recordings come in parts of any size and are taken in steps of this, so that bounds count."""


class Cortex:
    """The translator for one client."""

    name = "cortex"
    waits_for_start = False
    exclusive = False
    paced = False
    chunk_ms: float | None = None
    """A whole phrase is one playable clip."""

    def __init__(
        self,
        *,
        shown: Shown = NOTHING_ELSE,
        max_files: int = 8,
        max_file_bytes: int = 10 * 1024 * 1024,
    ) -> None:
        """Begin.

        Args:
            shown: what the client asked for; only timelines are told.
            max_files: with one message; more are refused.
            max_file_bytes: of one file; a larger one is refused.
        """
        self.shown = Shown(timelines=shown.timelines)
        self._recording = Base64Parts()
        self._max_files = max_files
        self._max_file_bytes = max_file_bytes
        self._types: dict[str, Callable[[Json], list[Command]]] = {
            "ping": lambda _: [events.Ping()],
            "chat": self._chat,
            "new_session": lambda _: [events.NewConversation()],
            "select_agent": lambda m: [events.SelectAgent(name_field(m, "agentId"))],
            "stop": lambda _: [events.Stop()],
            "audio_chunk": self._audio_chunk,
            "audio_end": self._audio_end,
            "speak": self._speak,
            "voice_state": self._voice_state,
        }
        self._encoders: dict[type, Callable[[Any], dict[str, object]]] = {
            events.Connected: lambda _: {"type": "connected"},
            events.Pong: lambda _: {"type": "pong"},
            events.Problem: lambda e: {"type": "error", "error": e.message},
            events.ConversationOpened: _session,
            events.Ended: lambda e: {"type": "session_ended", "sessionId": e.session_id},
            events.CharacterSelected: _agent_selected,
            events.UserWords: _transcribed,
            events.TurnStarted: lambda _: {"type": "start"},
            events.Mood: lambda e: {"type": "emotion", "emotion": e.emotion},
            events.ReplyText: lambda e: {"type": "chunk", "delta": e.delta},
            events.PhraseStarted: lambda e: {"type": "speak", "text": e.text, "voice": e.voice},
            events.ReplySound: _audio,
            events.TurnDone: _done,
            events.Stopped: lambda _: {"type": "stopped"},
            events.Spoken: lambda e: {"type": "voice_state", "enabled": e.enabled},
            events.OtherSpeaking: lambda e: {"type": "voice_state", "speaking": e.speaking},
            events.Notification: _notification,
            events.TaskChanged: lambda e: {"type": "agent_task_update", "task": task_json(e.task)},
            events.AgentStatus: _agent_status,
        }

    # --- from the client ---

    def decode(self, message: str | bytes) -> list[Command]:
        """Read one message; what cannot be used becomes `Wrong`."""
        try:
            parsed = parse_object(message)
            kind = text_field(parsed, "type")
            return self._types.get(kind, _unknown)(parsed)
        except ClientError as error:
            return [events.Wrong(error)]

    def _chat(self, message: Json) -> list[Command]:
        return [
            events.Typed(
                text_field(message, "message", ""),
                session_id=optional_name(message, "sessionId"),
                files=self._files(message),
                agent_id=optional_name(message, "agentId"),
            )
        ]

    def _files(self, message: Json) -> tuple[Attachment, ...]:
        files = message.get("files")
        if files is None:
            return ()
        if not isinstance(files, list):
            raise ClientError(f"'files' must be a list, not {kind_of(files)}.")
        if len(files) > self._max_files:
            raise ClientError(
                f"{len(files)} files came with one message; {self._max_files} are allowed. "
                "Send the others with the next one.",
                "TOO_MANY_FILES",
            )
        return tuple(self._file(file) for file in files)

    def _file(self, file: object) -> Attachment:
        if not isinstance(file, dict):
            raise ClientError(f"Each of 'files' must be an object, not {kind_of(file)}.")
        name = name_field(file, "filename")
        data = file_field(
            file,
            "data",
            what=f"The file {name[:64]!r}",
            max_bytes=self._max_file_bytes,
            code="FILE_TOO_LARGE",
        )
        return Attachment(name, optional_name(file, "mimeType") or "", data)

    def _audio_chunk(self, message: Json) -> list[Command]:
        form, session_id = optional_name(message, "format"), optional_name(message, "session")
        data = self._recording.feed(message, "data")  # last: a refused message leaves no trace
        return [
            events.ClipPart(data[at : at + PART_BYTES], form, session_id=session_id)
            for at in range(0, max(1, len(data)), PART_BYTES)
        ]

    def _audio_end(self, message: Json) -> list[Command]:
        del message
        try:
            rest = self._recording.close()
        except ClientError as error:
            return [events.ClipEnd(error=error)]
        return [*([events.ClipPart(rest)] if rest else []), events.ClipEnd()]

    def _speak(self, message: Json) -> list[Command]:
        return [events.Recite(text_field(message, "text"), optional_name(message, "voice"))]

    def _voice_state(self, message: Json) -> list[Command]:
        commands: list[Command] = []
        if message.get("speaking") is not None:
            commands.append(events.SetSpeaking(flag_field(message, "speaking", default=False)))
        if message.get("enabled") is not None:
            commands.append(events.SetSpoken(flag_field(message, "enabled", default=True)))
        return commands or [events.SetSpoken(None)]

    # --- to the client ---

    def encode(self, event: Event) -> list[str | bytes]:
        """Write one event; those this protocol does not tell become nothing."""
        if isinstance(event, events.Timeline):
            return self._timeline(event)
        if isinstance(event, events.ReplyText) and event.unasked:
            return []  # a chunk belongs to a turn that was asked for; `agent_notification` tells it
        encoder = self._encoders.get(type(event))
        return [dump(**encoder(event))] if encoder else []

    def _timeline(self, event: events.Timeline) -> list[str | bytes]:
        if not self.shown.timelines:
            return []
        return [dump(type="timeline", turnId=event.turn, spans=timeline_json(event))]


def _unknown(message: Json) -> list[Command]:
    kind = text_field(message, "type")
    raise ClientError(f"Unknown message type {kind[:64]!r}.", "UNKNOWN_TYPE")


def _session(event: events.ConversationOpened) -> dict[str, object]:
    return {
        "type": "session",
        "sessionId": event.session_id,
        "agentId": event.character,
        "agentName": event.character,
    }


def _agent_selected(event: events.CharacterSelected) -> dict[str, object]:
    return {"type": "agent_selected", "agentId": event.name, "agentName": event.name}


def _transcribed(event: events.UserWords) -> dict[str, object]:
    return {
        "type": "transcribed",
        "text": event.text,
        "confidence": round(event.confidence, 3),
    }


def _audio(event: events.ReplySound) -> dict[str, object]:
    data = base64.b64encode(wav_bytes(event.pcm)).decode("ascii")
    return {"type": "audio", "data": data, "format": "wav"}


def _done(event: events.TurnDone) -> dict[str, object]:
    return {
        "type": "done",
        "tokensIn": event.tokens_in,
        "tokensOut": event.tokens_out,
        "costUsd": event.cost_usd,
        "durationMs": round(event.duration_ms),
        "model": event.model,
        "finalContent": event.text,
    }


def _notification(event: events.Notification) -> dict[str, object]:
    return {
        "type": "agent_notification",
        "text": event.text,
        "source": event.source,
        "status": event.status,
    }


def _agent_status(event: events.AgentStatus) -> dict[str, object]:
    snapshot = {
        "activeTasks": [task_json(task) for task in event.tasks if task.active],
        "flags": {"agentEnabled": bool(event.tools)},
        "tools": event.tools,
    }
    return {"type": "agent_status_update", "snapshot": snapshot}
