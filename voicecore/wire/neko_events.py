"""What N.E.K.O. clients are sent, in the dialect of the document or that of the shipped clients."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

from voicecore import events
from voicecore.audio import encode_s16le
from voicecore.events import Event
from voicecore.wire.protocol import NOTHING_ELSE, Shown, dump, task_json, timeline_json
from voicecore.wire.speech_words import SpeechWords


class NekoEvents:
    """Writes events for one client.

    The dialects differ in reply text, reply sound, status and the agent's messages; all else is
    the same in both (wire.md 1.1).

    Reply text names, in the native dialect, the client's ``request_id`` of the typed message it
    answers, or null. The vocabulary has no such id, so it is taken here: the first turn to start
    after a typed message answers it, unless words were heard in between.
    """

    def __init__(self, *, native: bool, shown: Shown = NOTHING_ELSE) -> None:
        """Begin.

        Args:
            native: which dialect; may be changed between two events.
            shown: what the client asked for beyond the document.
        """
        self.native = native
        self.asked: str | None = None
        """The request id of a typed message whose turn has not started yet."""
        self._answered: str | None = None
        self._shown_turn: str | None = None
        self._shown, self._words = shown, SpeechWords()
        self._encoders: dict[type, Callable[[Any], Iterator[str | bytes]]] = {
            events.Pong: lambda _: _one(type="pong"),
            events.Preparing: lambda e: _one(type="session_preparing", input_mode=e.mode),
            events.Started: self._started,
            events.StartFailed: lambda e: _one(type="session_failed", input_mode=e.mode),
            events.Paused: self._paused,
            events.Ended: self._ended,
            events.Problem: self._problem,
            events.Activity: self._activity,
            events.Attention: self._attention,
            events.PartialWords: self._partly_heard,
            events.UserWords: self._heard,
            events.TurnStarted: self._turn_started,
            events.Mood: lambda e: _one(type="emotion", emotion=e.emotion),
            events.ReplyText: self._text,
            events.ReplySound: self._sound,
            events.ReplyTextComplete: lambda _: _one(type="system", data="turn end"),
            events.CharacterSwitched: self._switched,
            events.PageOutdated: lambda e: _one(type="reload_page", message=e.message),
            events.Touched: self._touched,
            events.Notification: self._notification,
            events.TaskChanged: lambda e: _one(type="agent_task_update", task=self._task(e.task)),
            events.AgentStatus: self._agent_status,
            events.Timeline: self._timeline,
        }

    def encode(self, event: Event) -> list[str | bytes]:
        """Write one event; those this protocol does not tell become nothing."""
        encoder = self._encoders.get(type(event))
        return list(encoder(event)) if encoder else []

    # --- the session ---

    def _status(self, code: str, message: str) -> str:
        if self.native:
            return dump(type="status", message=dump(code=code, details={"message": message}))
        return dump(type="status", message=message)

    def _started(self, event: events.Started) -> Iterator[str]:
        yield dump(type="session_started", input_mode=event.mode, session_id=event.session_id)
        yield self._status("SESSION_STARTED", "Session started successfully")

    def _paused(self, _: events.Paused) -> Iterator[str]:
        yield self._status("SESSION_PAUSED", "Session paused. Start it to go on.")

    def _ended(self, _: events.Ended) -> Iterator[str]:
        yield self._status("SESSION_ENDED", "Session ended and saved.")

    def _problem(self, event: events.Problem) -> Iterator[str]:
        # The documented status is plain text; its last word is what a program can match.
        shown = event.message if self.native else f"{event.message} [{event.code}]"
        yield self._status(event.code, shown)

    def _attention(self, event: events.Attention) -> Iterator[str]:
        if event.awake:
            yield self._status("AWAKE", "Awake, and listening.")
        else:
            yield self._status("ASLEEP", f"Asleep. Say “{event.word}” to wake me.")

    def _switched(self, event: events.CharacterSwitched) -> Iterator[str]:
        yield dump(type="catgirl_switched", new_catgirl=event.new, old_catgirl=event.old)

    def _touched(self, event: events.Touched) -> Iterator[str]:
        yield dump(
            type="avatar_interaction_ack",
            interaction_id=event.interaction_id,
            accepted=True,
            reason="accepted",
            turn_id=event.turn,
        )

    # --- what is said ---

    def _activity(self, event: events.Activity) -> Iterator[str]:
        yield dump(type="user_activity", interrupted_speech_id=event.interrupted_turn)

    def _partly_heard(self, event: events.PartialWords) -> Iterator[str]:
        if self._shown.partials:
            yield dump(type="user_partial", text=event.text)

    def _heard(self, event: events.UserWords) -> Iterator[str]:
        self.asked = None
        yield dump(type="user_transcript", text=event.text)

    def _turn_started(self, _: events.TurnStarted) -> Iterator[str]:
        self._answered, self.asked = self.asked, None
        yield from ()

    def _text(self, event: events.ReplyText) -> Iterator[str]:
        if not self.native:
            yield dump(type="text", text=event.delta)
            return
        # By the turn: a client may turn out to be a shipped one in the middle of a reply.
        is_new, self._shown_turn = event.turn != self._shown_turn, event.turn
        yield dump(
            type="gemini_response",
            text=event.delta,
            isNewMessage=is_new,
            turn_id=event.turn,
            request_id=None if event.unasked else self._answered,
        )

    def _sound(self, event: events.ReplySound) -> Iterator[str | bytes]:
        if self._shown.words and (words := self._words.feed(event)):
            yield dump(**words)
        pcm = encode_s16le(event.pcm.samples)
        if self.native:
            yield dump(type="audio_chunk", speech_id=event.speech or event.turn)
            yield pcm
        else:
            yield dump(type="audio", audio_data=base64.b64encode(pcm).decode("ascii"))

    # --- the agent ---

    def _notification(self, event: events.Notification) -> Iterator[str]:
        yield dump(
            type="agent_notification", text=event.text, source=event.source, status=event.status
        )

    def _task(self, task: events.Task) -> dict[str, object]:
        fields = task_json(task)
        if self.native:  # what the shipped clients' task list shows of a task
            fields["type"] = "user_plugin"
            fields["params"] = {"plugin_name": task.tool, "description": task.detail}
            if task.status == "failed":
                fields["error"] = task.detail
        return fields

    def _agent_status(self, event: events.AgentStatus) -> Iterator[str]:
        active = [self._task(task) for task in event.tasks if task.active]
        snapshot: dict[str, object] = {
            "active_tasks": active if self.native else len(active),
            "flags": {"agent_enabled": bool(event.tools)},
            "tools": event.tools,
        }
        if self.native:
            snapshot["server_online"] = True
        yield dump(type="agent_status_update", snapshot=snapshot)

    def _timeline(self, event: events.Timeline) -> Iterator[str]:
        if self._shown.timelines:
            yield dump(type="timeline", turn_id=event.turn, spans=timeline_json(event))


def _one(**fields: object) -> Iterator[str]:
    yield dump(**fields)
