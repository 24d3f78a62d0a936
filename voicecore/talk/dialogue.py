"""What a person sees of a conversation: the host's messages, as lines and a state. No I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

import attrs

from voicecore.talk.reply import Reply, words_of

Json: TypeAlias = Mapping[str, Any]

Phase: TypeAlias = Literal["connecting", "starting", "listening", "hearing", "thinking", "speaking"]

HEARING_S = 2.0
"""After the last sign that the person speaks; a cough is followed by none."""

SETTLE_S = 2.0
"""Without a message after a reply's text is complete, it is over: for hosts that send no timeline
and no sound."""

CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
"""All but the end of a line."""

QUIET = {"SESSION_STARTED", "SESSION_PAUSED", "SESSION_ENDED"}
"""Statuses that tell only what can be seen."""
TOLD = {"ASLEEP", "AWAKE"}
"""Those that are no problem: of a host that waits for a word."""

TASK_FIELDS = ("id", "tool", "status", "detail")
DONE = {"completed": "done", "failed": "failed", "cancelled": "cancelled"}


@attrs.frozen
class Line:
    """A line that is complete."""

    kind: Literal["you", "notice", "problem", "task", "timing"]
    text: str


@attrs.frozen
class ReplyText:
    """More of the reply's line, which is begun by the first."""

    who: str
    text: str


@attrs.frozen
class ReplyEnd:
    """The reply's line is complete."""

    stopped: bool = False
    """It was interrupted."""


Shown: TypeAlias = Line | ReplyText | ReplyEnd


@attrs.frozen
class Task:
    """A tool at work."""

    tool: str
    progress: float
    """0 to 100."""


@attrs.define(eq=False)
class Dialogue:
    """Takes what the host tells and what was played, and says what is to be shown."""

    character: str
    follows_voice: bool = False
    """Replies are shown as they are spoken."""
    timing: Callable[[Reply], str] | None = None
    """Writes in one line where the time of a reply went."""
    partial: str = ""
    """Words heard so far."""
    emotion: str = "neutral"
    tasks: dict[str, Task] = attrs.field(factory=dict)
    started: bool = False
    """The host listens."""
    conversation: str = ""
    """Its id, once the host has told it."""
    ended: bool = False
    """The host has closed the conversation, as asked."""
    failed: bool = False
    """The host could not start a session."""
    superseded: bool = False
    """The same client has connected again, from elsewhere."""
    elsewhere: str | None = None
    """Another character is the active one."""
    _reply: Reply | None = None
    _awaited: bool = False
    _hearing_until_s: float = 0.0
    _news_s: float = 0.0
    _rules: dict[str, Callable[[Json, float], list[Shown]]] = attrs.field(init=False)

    @_rules.default
    def _table(self) -> dict[str, Callable[[Json, float], list[Shown]]]:
        return {
            "session_started": self._started,
            "session_failed": self._start_failed,
            "status": self._status,
            "user_activity": self._activity,
            "user_partial": self._partly_heard,
            "user_transcript": self._heard,
            "emotion": self._mood,
            "gemini_response": self._wrote,
            "speech_words": self._words,
            "audio_chunk": self._sounded,
            "system": self._complete,
            "timeline": self._timed,
            "catgirl_switched": self._switched,
            "reload_page": self._reloaded,
            "agent_notification": self._notified,
            "agent_task_update": self._task_changed,
        }

    # --- what is asked of it ---

    def phase(self, now_s: float, *, sounding: bool) -> Phase:
        """Say what is going on, once connected."""
        if not self.started:
            return "starting"
        if sounding:
            return "speaking"
        if now_s < self._hearing_until_s:
            return "hearing"
        return "thinking" if self.busy else "listening"

    @property
    def busy(self) -> bool:
        """Whether an answer is awaited, or not at its end."""
        return self._awaited or self._reply is not None

    # --- what happens here ---

    def connect(self) -> None:
        """Begin anew with a connection; what was shown stays."""
        self.started = self.ended = self.failed = self.superseded = self._awaited = False
        self.elsewhere = None
        self.partial = ""
        self.tasks.clear()

    def disconnect(self) -> list[Shown]:
        """Take note that the connection is gone."""
        self.started = self._awaited = False
        return self._close()

    def typed(self, text: str) -> list[Shown]:
        """Take note of a message that was typed and sent."""
        if self._reply is not None:
            self._reply.stopped = not self._reply.over  # the host interrupts it
        shown = self._close()
        self._awaited = True
        return [*shown, Line("you", CONTROLS.sub(" ", text))]

    def tick(
        self, now_s: float, position: tuple[str, float] | None, *, sounding: bool
    ) -> list[Shown]:
        """Take note of the time, and of what was heard: a speech, and how many ms of it."""
        reply, shown = self._reply, list[Shown]()
        if reply is None:
            return shown
        if position is not None and reply.owns(position[0]):
            shown += self._said(reply.hear(*position, now_s))
        settled = reply.complete and now_s - self._news_s > SETTLE_S
        if (reply.over or settled) and not sounding:
            shown += self._close()
        return shown

    # --- what the host tells ---

    def feed(self, message: Json, now_s: float) -> list[Shown]:
        """Take a message; one that is not known shows nothing."""
        self._news_s = now_s
        rule = self._rules.get(str(message.get("type")))
        return rule(message, now_s) if rule else []

    def _started(self, message: Json, _: float) -> list[Shown]:
        self.started = True
        self.conversation = _text(message, "session_id")
        return []

    def _start_failed(self, _: Json, __: float) -> list[Shown]:
        self.failed = True
        return []

    def _status(self, message: Json, _: float) -> list[Shown]:
        code, text = _read_status(_text(message, "message"))
        self.ended = self.ended or code == "SESSION_ENDED"
        self.superseded = self.superseded or code == "SUPERSEDED"
        if code in QUIET or not text:
            return []
        if code in TOLD:
            return [Line("notice", text)]
        if self._reply is None:
            self._awaited = False
        return [Line("problem", text)]

    def _activity(self, message: Json, now_s: float) -> list[Shown]:
        self._hearing_until_s = now_s + HEARING_S
        stopped = message.get("interrupted_speech_id")
        if self._reply is not None and isinstance(stopped, str) and self._reply.owns(stopped):
            self._reply.stopped = True
        return []

    def _partly_heard(self, message: Json, now_s: float) -> list[Shown]:
        self.partial = _text(message, "text")  # empty: it was nothing
        self._hearing_until_s = now_s + HEARING_S if self.partial else 0.0
        return []

    def _heard(self, message: Json, _: float) -> list[Shown]:
        self.partial, self._hearing_until_s = "", 0.0
        shown = self._close()
        self._awaited = True
        return [*shown, Line("you", _text(message, "text"))]

    def _mood(self, message: Json, _: float) -> list[Shown]:
        self.emotion = _text(message, "emotion")
        return []

    def _wrote(self, message: Json, _: float) -> list[Shown]:
        shown: list[Shown] = []
        turn = _text(message, "turn_id")
        if self._reply is None or self._reply.turn != turn:
            shown += self._close()
            self._reply = Reply(turn, self.follows_voice)
        self._hearing_until_s = 0.0
        return [*shown, *self._said(self._reply.write(_text(message, "text")))]

    def _words(self, message: Json, _: float) -> list[Shown]:
        if self._reply is not None and self._reply.turn == message.get("turn_id"):
            self._reply.time(_text(message, "speech_id"), words_of(message))
        return []

    def _sounded(self, message: Json, now_s: float) -> list[Shown]:
        reply = self._reply
        if reply is None or not reply.owns(_text(message, "speech_id")):
            return []
        return self._said(reply.sound(now_s))

    def _complete(self, message: Json, _: float) -> list[Shown]:
        if self._reply is not None and message.get("data") == "turn end":
            self._reply.complete = True
        return []

    def _timed(self, message: Json, _: float) -> list[Shown]:
        if self._reply is not None and self._reply.turn == message.get("turn_id"):
            self._reply.over, self._reply.spans = True, _spans(message)
        else:
            self._awaited = False  # a turn without a reply: the problem follows
        return []

    def _switched(self, message: Json, _: float) -> list[Shown]:
        self.elsewhere = _text(message, "new_catgirl")
        return [Line("notice", f"{self.character} gives the word to {self.elsewhere}.")]

    def _reloaded(self, message: Json, _: float) -> list[Shown]:
        return [Line("notice", _text(message, "message"))]

    def _notified(self, message: Json, _: float) -> list[Shown]:
        return [Line("task", f"{_text(message, 'source')}: {_text(message, 'text')}")]

    def _task_changed(self, message: Json, _: float) -> list[Shown]:
        task = message.get("task")
        if not isinstance(task, Mapping):
            return []
        key, tool, status, detail = (_text(task, name) for name in TASK_FIELDS)
        if status not in DONE:
            progress = task.get("progress")
            share = float(progress) if isinstance(progress, int | float) else 0.0
            self.tasks[key] = Task(tool, share)
            return []
        self.tasks.pop(key, None)
        return [Line("task", f"{tool}: {DONE[status]}{f' ({detail})' if detail else ''}")]

    # --- the reply ---

    def _said(self, text: str) -> list[Shown]:
        return [ReplyText(self.character, text)] if text else []

    def _close(self) -> list[Shown]:
        """The reply's line is complete."""
        reply, self._reply = self._reply, None
        if reply is None:
            return []
        self._awaited, self.emotion = False, "neutral"
        shown = [] if reply.stopped else self._said(reply.rest())
        if reply.shown:
            shown.append(ReplyEnd(reply.stopped))
        if reply.spans and self.timing is not None:
            shown.append(Line("timing", self.timing(reply)))
        return shown


def _text(message: Json, name: str) -> str:
    """Read a text that is to be shown; control characters could do harm to a terminal.

    Each becomes a blank, so that places in the text stay what they are.
    """
    value = message.get(name)
    if not isinstance(value, str):
        return ""
    return CONTROLS.sub(" ", value)


def _spans(message: Json) -> list[Json]:
    """Read a timeline's stages; what is none is left out."""
    spans = message.get("spans")
    return [
        span
        for span in (spans if isinstance(spans, list) else ())
        if isinstance(span, Mapping)
        and isinstance(span.get("name"), str)
        and all(isinstance(span.get(key), int | float) for key in ("start_ms", "end_ms"))
    ]


def _read_status(message: str) -> tuple[str, str]:
    """Take apart a status of the native dialect: code and words."""
    try:
        status = json.loads(message)
    except ValueError:
        return "", message
    match status:
        case {"code": str(code), "details": {"message": str()} as details}:
            return code, _text(details, "message")
        case {"code": str(code)}:
            return code, code
    return "", message
