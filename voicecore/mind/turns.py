"""What happens when: the rules of one conversation, without any I/O.

`TurnTaking.feed` takes what happened and returns what is to be done. `Phase` says where it is;
`floor` holds the running turn, `openmic` what is being said.
"""

from __future__ import annotations

from collections.abc import Callable

from voicecore import events
from voicecore.mind.attached import Attached
from voicecore.mind.floor import Actions, Floor, Surroundings
from voicecore.mind.happenings import (
    Action,
    Announced,
    Close,
    Disconnected,
    Emit,
    FilesFailed,
    FilesRead,
    Happening,
    Heard,
    HearingFailed,
    Open,
    Opened,
    OpenFailed,
    Overheard,
    PartlyHeard,
    Phase,
    Seen,
    Share,
    SpeechResumed,
    SpeechStarted,
    StopOpening,
    TurnOver,
    UseCharacter,
)
from voicecore.mind.history import History
from voicecore.mind.openmic import OpenMic
from voicecore.mind.pieces import Clips
from voicecore.mind.turn import Turn, Words
from voicecore.store import SessionRecord

BUSY = "A turn is already in progress — wait for it to finish"  # wire.md 2.1, word for word
TOO_MANY = "Too many messages before the session started; this one was not kept."
MAX_WAITING_TEXTS = 16
"""Typed messages kept while the conversation opens; a person types none, a script may."""


class TurnTaking:
    """The state of one conversation. Not to be shared: one task feeds it."""

    def __init__(self, around: Surroundings) -> None:
        """Begin with no conversation."""
        self._around = around
        self.phase, self.clips = Phase.IDLE, Clips()
        self._history = History(around.wall_s, around.max_messages)
        self._floor = Floor(self._history, around)
        self._mic = OpenMic(self._floor, around.max_turn_chars, partials=around.partials)
        self._mode: events.InputMode = "audio"
        self._starting = False
        self._opening = 0  # number of the newest
        self._opening_id: str | None = None
        self._kept: list[Words] = []  # to be answered when the conversation is open
        self._attached = Attached()
        self._chosen = self._greeted = False  # the client chose a character; it has greeted
        self._rules = self._table()

    def _table(self) -> dict[type, Callable[..., Actions]]:
        return {
            events.Start: self._start,
            events.Pause: self._pause,
            events.End: self._end,
            events.Stop: self._stop,
            events.Typed: self._typed,
            events.NewConversation: self._new_conversation,
            events.SelectAgent: self._select,
            events.SetSpoken: self._floor.set_spoken,
            events.SetSpeaking: _share_speaking,
            events.Recite: self._recite,
            events.Greet: lambda _: self._greet(),
            events.Touch: self._floor.touch,
            Opened: self._opened,
            OpenFailed: self._open_failed,
            SpeechStarted: self._speech_started,
            SpeechResumed: self._mic.speech_resumed,
            PartlyHeard: self._mic.partly_heard,
            Heard: self._heard,
            HearingFailed: self._hearing_failed,
            TurnOver: self._turn_over,
            Seen: self._seen,
            FilesRead: self._files_read,
            FilesFailed: self._attached.failed,
            Announced: self._announced,
            Overheard: self._overheard,
            Disconnected: lambda _: self._floor.cut("the client left", None),
        }

    @property
    def turn(self) -> Turn | None:
        """The running turn."""
        return self._floor.turn

    @property
    def conversation(self) -> str | None:
        """The id of the conversation that is open, or being opened."""
        if self.phase is Phase.OPENING and self._opening_id is not None:
            return self._opening_id
        return self._history.session_id

    @property
    def wants_sound(self) -> bool:
        """Whether microphone sound is kept or used; after a pause it is ignored."""
        return self.phase is not Phase.PAUSED

    def begin(self) -> list[Action]:
        """Say what is to be done on connecting."""
        return [] if self._around.waits_for_start else list(self._mic.listen())

    def feed(self, happening: Happening) -> list[Action]:
        """Take what happened; say what is to be done, in order."""
        return list(self._rules[type(happening)](happening))

    # --- the session's life ---

    def _start(self, start: events.Start) -> Actions:
        if self.phase is Phase.OPENING:
            yield Emit(events.Problem("SESSION_STARTING", "A session is already starting."))
            return
        yield from self._floor.cut("a new session starts", self._floor.activity)
        yield from self._deafen()
        self._mode, self._starting = start.mode, True
        yield Emit(events.Preparing(start.mode))
        wanted = start.session_id
        yield from self._open(wanted, latest=not start.fresh, own=wanted is not None)

    def _stop_opening(self) -> Actions:
        if self.phase is Phase.OPENING:
            self._opening += 1
            yield StopOpening()

    def _pause(self, _: events.Pause) -> Actions:
        yield from (*self._quiet("paused"), Emit(events.Paused()))

    def _end(self, _: events.End) -> Actions:
        yield from (*self._quiet("ended"), *self._close_conversation())

    def _close_conversation(self) -> Actions:
        session_id = self._history.session_id
        if session_id is not None:
            yield Close(session_id)
        self._history.close()
        yield Emit(events.Ended(session_id))

    def _quiet(self, reason: str) -> Actions:
        """Stop all that is in flight; input is ignored until the next start."""
        yield from self._floor.cut(reason, self._floor.activity)
        yield from self._stop_opening()
        yield from self._deafen()
        self.phase, self._starting = Phase.PAUSED, False
        self._floor.picture = None
        self._kept.clear()

    def _deafen(self) -> Actions:
        self.clips.forget()
        yield from self._mic.deafen()

    def _new_conversation(self, _: events.NewConversation) -> Actions:
        if self._busy():
            yield from self._drop_all("a new conversation begins")
        yield from self._stop_opening()
        self.clips.forget()
        if self._history.session_id is not None:
            yield from self._close_conversation()
        yield from self._open(None, latest=False)

    def _open(self, session_id: str | None, *, latest: bool, own: bool = False) -> Actions:
        self.phase = Phase.OPENING
        # One that has yet to prove the client's own is nobody's until then.
        self._opening, self._opening_id = self._opening + 1, None if own else session_id
        yield Open(session_id, self._opening, latest, own)

    def _opened(self, opened: Opened) -> Actions:
        if opened.number != self._opening:
            return
        record, self.phase = opened.record, Phase.ACTIVE
        if self._history.session_id != record.id:
            self._floor.picture, self._greeted = None, False
            yield from self._tell_of(record)
        self._history.open(record)
        yield from self._mic.listen()
        if self._starting:
            self._starting = False
            yield Emit(events.Started(self._mode, record.id))
            yield from self._greet()
        kept, self._kept = self._kept, []
        for words in kept[:-1]:
            yield self._history.said(words.text, words.via)
        for words in kept[-1:]:
            yield from self._take(words, "a typed message")
        yield from self._speak_news()

    def _tell_of(self, record: SessionRecord) -> Actions:
        """Say which conversation is open, and who answers in it.

        Whom it was begun with, unless the client has chosen another.
        """
        name = self._around.character()
        if not self._chosen and self._around.knows(record.character):
            name = record.character
            yield UseCharacter(name)
        yield Emit(events.ConversationOpened(record.id, name))

    def _open_failed(self, failed: OpenFailed) -> Actions:
        if failed.number != self._opening:
            return
        self.phase = Phase.IDLE if self._history.session_id is None else Phase.ACTIVE
        self._kept.clear()
        yield Emit(events.Problem(failed.code, failed.message))
        if self.phase is Phase.ACTIVE:
            yield from self._mic.listen()
        if self._starting:
            self._starting = False
            yield Emit(events.StartFailed(self._mode))

    # --- words in ---

    def _typed(self, typed: events.Typed) -> Actions:
        if self.phase is Phase.PAUSED:
            return
        if (problem := self._refusal(typed)) is not None:
            yield Emit(problem)
            return
        if typed.files:
            yield from self._attached.read(typed)
        else:
            yield from self._take_typed(typed, Words(typed.text, "text", self._around.now_s()))

    def _take_typed(self, typed: events.Typed, words: Words) -> Actions:
        if typed.agent_id is not None:
            self._chosen = True
            yield UseCharacter(typed.agent_id)
        yield from self._take(words, "a typed message", typed.session_id)

    def _refusal(self, typed: events.Typed) -> events.Problem | None:
        if not typed.text.strip() and not typed.files:
            return events.Problem("EMPTY_MESSAGE", "Empty message")
        if len(typed.text) > self._around.max_text_chars:
            most = self._around.max_text_chars
            problem = f"The text has {len(typed.text)} characters; {most} are allowed."
            return events.Problem("TEXT_TOO_LONG", problem)
        if not typed.barge_in and self._busy():
            return events.Problem("TURN_IN_PROGRESS", BUSY)
        if typed.agent_id is not None and not self._around.knows(typed.agent_id):
            return self._unknown(typed.agent_id)
        return None

    def _unknown(self, agent_id: str) -> events.Problem:
        # wire.md 2.1, word for word
        return events.Problem("UNKNOWN_CHARACTER", f'Agent "{agent_id[:64]}" not found')

    def _busy(self) -> bool:
        return self._floor.busy or bool(self._kept) or self._attached.waits

    def _files_read(self, read: FilesRead) -> Actions:
        if (typed := self._attached.done(read)) is not None:
            text = "\n\n".join(filter(None, (read.text, typed.text)))
            words = Words(text, "text", self._around.now_s(), images=read.images)
            yield from self._take_typed(typed, words)

    def _take(self, words: Words, why: str, session_id: str | None = None) -> Actions:
        """Answer the words: now, or once the conversation they belong to is open."""
        current, turn = self._history.session_id, self._floor.turn
        here = current is not None and session_id in {None, current}
        if turn is not None and turn.foresaw(words):
            yield from self._floor.release(turn, words)
        elif self.phase is Phase.ACTIVE and here:
            yield from self._floor.cut(why, self._floor.activity)
            yield from self._floor.answer(words)
        elif len(self._kept) == MAX_WAITING_TEXTS:
            yield Emit(events.Problem("TOO_MANY_MESSAGES", TOO_MANY))
        else:
            self._kept.append(words)
            opening = self.phase is Phase.OPENING and session_id in {None, self._opening_id}
            if not opening and not self._around.waits_for_start:
                yield from self._stop_opening()
                yield from self._open(session_id, latest=False)

    def _speech_started(self, _: SpeechStarted) -> Actions:
        if self.phase is Phase.ACTIVE:
            yield from self._mic.speech_started()

    def _heard(self, heard: Heard) -> Actions:
        if heard.clip:
            yield from self._heard_clip(heard)
        elif self.phase is not Phase.ACTIVE:
            return
        elif heard.guess:
            yield from self._mic.guessed(heard)
        else:
            yield from self._answer_speech((yield from self._mic.heard(heard)))

    def _answer_speech(self, words: Words | None) -> Actions:
        if words is not None:
            yield from self._take(words, "more was said")
        else:
            yield from self._speak_news()

    def _heard_clip(self, piece: Heard) -> Actions:
        heard = self.clips.feed(piece)
        if heard is None:
            return
        session_id = self.clips.session(heard.clip)
        if self._busy():
            yield Emit(events.Problem("TURN_IN_PROGRESS", BUSY))
            return
        yield Emit(events.UserWords(heard.text, heard.confidence))
        if heard.text:
            words = Words(heard.text, "voice", heard.zero_s, heard.spans)
            yield from self._take(words, "a recording", session_id)
        else:
            yield Emit(events.Problem("NO_SPEECH", "No speech was recognised in the recording."))

    def _hearing_failed(self, failed: HearingFailed) -> Actions:
        yield Emit(events.Problem(failed.code, failed.message))
        if failed.clip:
            self.clips.fail(failed.clip)
        elif failed.final and self.phase is Phase.ACTIVE:
            words = yield from self._mic.utterance_over(self._around.now_s())
            yield from self._answer_speech(words)

    def _seen(self, seen: Seen) -> Actions:
        if self.phase is not Phase.PAUSED:
            self._floor.picture = seen.image
        yield from ()

    # --- smaller wishes ---

    def _select(self, select: events.SelectAgent) -> Actions:
        if self._around.knows(select.agent_id):
            self._chosen = True
            yield UseCharacter(select.agent_id)
            yield Emit(events.CharacterSelected(select.agent_id))
        else:
            yield Emit(self._unknown(select.agent_id))

    def _recite(self, recite: events.Recite) -> Actions:
        if (problem := self._refusal(events.Typed(recite.text))) is not None:
            yield Emit(problem)
        else:
            yield from self._floor.cut("the client wants something spoken", None)
            yield from self._floor.recite(recite.text, recite.voice)

    # --- what the host says of its own accord ---

    def _greet(self) -> Actions:
        new = not self._history.messages and not self._greeted
        if self.phase is Phase.ACTIVE and new and not self._busy():
            greeting = self._around.greeting()
            self._greeted = bool(greeting)
            self._floor.add_news(greeting)
            yield from self._speak_news()

    def _announced(self, announced: Announced) -> Actions:
        self._floor.add_news(announced.text)
        yield from self._speak_news()

    def _overheard(self, overheard: Overheard) -> Actions:
        self._history.overheard(overheard.session_id, overheard.messages)
        yield from ()

    def _speak_news(self) -> Actions:
        if self.phase is Phase.ACTIVE and not self._mic.speaking and not self._busy():
            yield from self._floor.speak_news()

    # --- the end of a turn ---

    def _turn_over(self, over: TurnOver) -> Actions:
        yield from self._floor.over(over)
        yield from self._speak_news()

    def _stop(self, _: events.Stop) -> Actions:
        yield from self._drop_all("stopped by the client")

    def _drop_all(self, reason: str) -> Actions:
        """End the turn, and what would become one; tell the client once."""
        self._kept.clear()
        self.clips.forget()
        yield from self._attached.stop()
        if self._floor.turn is None:
            yield Emit(events.Stopped())
        yield from self._floor.cut(reason, events.Stopped())


def _share_speaking(speaking: events.SetSpeaking) -> Actions:
    yield Share(events.OtherSpeaking(speaking.speaking))
