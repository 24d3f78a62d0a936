"""Who may speak, and what happens when: the rules of one conversation, without any I/O.

`TurnTaking.feed` takes what happened and returns what is to be done. `Phase` says where it is.

A turn begins with words, typed or recognised, and is one cancel scope. There is at most one. What
the person said goes into the history when the turn begins; what was answered goes in when it ends,
as far as it was heard. So a history only ever grows, and two user messages in a row mean that the
first was interrupted before anything was heard: the model reads them as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from voicecore import events
from voicecore.engines.interface import Message
from voicecore.mind.happenings import (
    Action,
    Answer,
    Close,
    Cut,
    Deafen,
    Disconnected,
    Emit,
    Happening,
    Heard,
    HearingFailed,
    Listen,
    Open,
    Opened,
    OpenFailed,
    Phase,
    Recite,
    Release,
    SpeechResumed,
    SpeechStarted,
    StopOpening,
    TurnOver,
)
from voicecore.mind.history import History
from voicecore.mind.pieces import Clips, SpokenWords
from voicecore.mind.turn import Turn, Words

Actions = Iterator[Action]

BUSY = "A turn is already in progress — wait for it to finish"  # wire.md 2.1, word for word
TOO_MANY = "Too many messages before the session started; this one was not kept."
MAX_WAITING_TEXTS = 16
"""Typed messages kept while the conversation opens; a person types none, a script may."""


class TurnTaking:
    """The state of one conversation. Not to be shared: one task feeds it."""

    def __init__(
        self,
        *,
        waits_for_start: bool,
        now_s: Callable[[], float],
        wall_s: Callable[[], float],
        played_ms: Callable[[], float],
        new_turn_id: Callable[[], str],
        max_turn_chars: int,
        max_text_chars: int,
    ) -> None:
        """Begin with no conversation.

        ``now_s`` is the host's clock, ``wall_s`` gives seconds since the epoch for what is stored,
        ``played_ms`` tells how much of the running reply's sound was heard by now.
        """
        self._now_s, self._played_ms = now_s, played_ms
        self._new_turn_id = new_turn_id
        self._max_text_chars = max_text_chars
        self._waits_for_start = waits_for_start
        self.phase = Phase.IDLE
        self.turn: Turn | None = None
        self._history = History(wall_s)
        self._mode: events.InputMode = "audio"
        self._starting = False
        self._listening = False
        self._wrong_guess = 0
        self._speaking = 0  # utterances begun and not yet recognised
        self._spoken_replies = waits_for_start
        self._opening = 0  # number of the newest
        self._opening_id: str | None = None
        self._said = SpokenWords(max_turn_chars)
        self.clips = Clips()
        self._kept: list[Words] = []  # to be answered when the conversation is open
        self._rules: dict[type, Callable[..., Actions]] = {
            events.Start: self._start,
            events.Pause: self._pause,
            events.End: self._end,
            events.Stop: self._stop,
            events.Typed: self._typed,
            events.NewConversation: self._new_conversation,
            events.SetSpoken: self._set_spoken,
            events.Recite: self._recite,
            Opened: self._opened,
            OpenFailed: self._open_failed,
            SpeechStarted: self._speech_started,
            SpeechResumed: self._speech_resumed,
            Heard: self._heard,
            HearingFailed: self._hearing_failed,
            TurnOver: self._turn_over,
            Disconnected: lambda _: self._cut("the client left", None),
        }

    @property
    def wants_sound(self) -> bool:
        """Whether microphone sound is kept or used; after a pause it is ignored."""
        return self.phase is not Phase.PAUSED

    def begin(self) -> list[Action]:
        """Say what is to be done on connecting."""
        return [] if self._waits_for_start else list(self._listen())

    def feed(self, happening: Happening) -> list[Action]:
        """Take what happened; say what is to be done, in order."""
        return list(self._rules[type(happening)](happening))

    # --- the session's life ---

    def _start(self, start: events.Start) -> Actions:
        if self.phase is Phase.OPENING:
            yield Emit(events.Problem("SESSION_STARTING", "A session is already starting."))
            return
        yield from self._cut("a new session starts", events.Activity(self._turn_id()))
        if self._listening:
            yield from self._deafen()
        self._mode, self._starting = start.mode, True
        yield Emit(events.Preparing(start.mode))
        yield from self._open(None, latest=not start.fresh)

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
        yield from self._cut(reason, events.Activity(self._turn_id()))
        yield from self._stop_opening()
        if self._listening:
            yield from self._deafen()
        self.phase, self._starting = Phase.PAUSED, False
        self._kept.clear()

    def _new_conversation(self, _: events.NewConversation) -> Actions:
        if self._busy():
            yield from self._drop_all("a new conversation begins")
        yield from self._stop_opening()
        self.clips.forget()
        if self._history.session_id is not None:
            yield from self._close_conversation()
        yield from self._open(None, latest=False)

    def _open(self, session_id: str | None, *, latest: bool) -> Actions:
        self.phase = Phase.OPENING
        self._opening, self._opening_id = self._opening + 1, session_id
        yield Open(session_id, self._opening, latest)

    def _opened(self, opened: Opened) -> Actions:
        if opened.number != self._opening:
            return
        changed = self._history.session_id != opened.record.id
        self._history.open(opened.record)
        self.phase = Phase.ACTIVE
        if changed:
            yield Emit(events.ConversationOpened(opened.record.id, opened.record.character))
        yield from self._listen()
        if self._starting:
            self._starting = False
            yield Emit(events.Started(self._mode))
        kept, self._kept = self._kept, []
        for words in kept[:-1]:
            yield self._history.said(words.text, words.via)
        for words in kept[-1:]:
            yield from self._answer(words)

    def _listen(self) -> Actions:
        if not self._listening:
            self._listening = True
            yield Listen()

    def _open_failed(self, failed: OpenFailed) -> Actions:
        if failed.number != self._opening:
            return
        self.phase = Phase.IDLE if self._history.session_id is None else Phase.ACTIVE
        self._kept.clear()
        yield Emit(events.Problem(failed.code, failed.message))
        if self._starting:
            self._starting = False
            yield Emit(events.StartFailed(self._mode))

    def _deafen(self) -> Actions:
        self._listening, self._speaking, self._wrong_guess = False, 0, 0
        self._said.clear()
        self.clips.forget()
        yield Deafen()

    # --- words in ---

    def _typed(self, typed: events.Typed) -> Actions:
        if self.phase is Phase.PAUSED:
            return
        if (problem := self._refusal(typed.text, barge_in=typed.barge_in)) is not None:
            yield Emit(problem)
        else:
            words = Words(typed.text, "text", self._now_s())
            yield from self._take(words, "a typed message", typed.session_id)

    def _refusal(self, text: str, *, barge_in: bool) -> events.Problem | None:
        if not text.strip():
            return events.Problem("EMPTY_MESSAGE", "Empty message")
        if len(text) > self._max_text_chars:
            problem = f"The text has {len(text)} characters; {self._max_text_chars} are allowed."
            return events.Problem("TEXT_TOO_LONG", problem)
        if not barge_in and self._busy():
            return events.Problem("TURN_IN_PROGRESS", BUSY)
        return None

    def _busy(self) -> bool:
        return self.turn is not None or bool(self._kept)

    def _take(self, words: Words, why: str, session_id: str | None = None) -> Actions:
        """Answer the words: now, or once the conversation they belong to is open."""
        current = self._history.session_id
        here = current is not None and session_id in {None, current}
        if self.turn is not None and self.turn.foresaw(words):
            yield from self._release(self.turn, words)
        elif self.phase is Phase.ACTIVE and here:
            yield from self._cut(why, events.Activity(self._turn_id()))
            yield from self._answer(words)
        elif len(self._kept) == MAX_WAITING_TEXTS:
            yield Emit(events.Problem("TOO_MANY_MESSAGES", TOO_MANY))
        else:
            self._kept.append(words)
            opening = self.phase is Phase.OPENING and session_id in {None, self._opening_id}
            if not opening and not self._waits_for_start:
                yield from self._stop_opening()
                yield from self._open(session_id, latest=False)

    def _release(self, turn: Turn, words: Words) -> Actions:
        """Let the prepared answer go: it answers just these words."""
        turn.held = False
        turn.spans += [span for span in words.spans if not turn.has(span.name)]
        yield self._history.said(words.text, words.via)
        yield Release(turn)

    def _speech_started(self, _: SpeechStarted) -> Actions:
        if self.phase is not Phase.ACTIVE:
            return
        self._speaking += 1
        interrupted = self._turn_id()
        if interrupted is None:
            yield Emit(events.Activity(None))
        yield from self._cut("the person speaks", events.Activity(interrupted))

    def _speech_resumed(self, resumed: SpeechResumed) -> Actions:
        self._wrong_guess = resumed.guess
        if self.turn is not None and self.turn.held:
            yield from self._cut("the person goes on", None)

    def _guessed(self, heard: Heard) -> Actions:
        """Prepare the answer, unseen: the person has perhaps finished."""
        alone = self.turn is None and self._speaking == 1 and self.phase is Phase.ACTIVE
        if alone and heard.text and heard.guess > self._wrong_guess:
            text = self._said.joined(heard.text)
            self.turn = self._new_turn(Words(text, "voice", heard.zero_s, heard.spans))
            self.turn.held = True
            yield Answer(self.turn, (*self._history.messages, Message("user", text)))

    def _heard(self, heard: Heard) -> Actions:
        if heard.guess:
            yield from self._guessed(heard)
        elif heard.clip:
            yield from self._heard_clip(heard)
        elif self.phase is Phase.ACTIVE:
            if heard.text:
                # Before, so that the last piece always finds something to answer.
                if overflow := self._said.overflow():
                    yield self._history.said(overflow, "voice")
                self._said.add(heard.text)
                yield Emit(events.UserWords(heard.text, heard.confidence))
            if heard.final:
                yield from self._utterance_over(heard.zero_s, heard.spans)

    def _utterance_over(self, zero_s: float, spans: tuple[events.Span, ...] = ()) -> Actions:
        """Answer, unless the person has gone on speaking: then the turn is still theirs."""
        self._speaking = max(0, self._speaking - 1)
        if self._speaking:
            return
        if text := self._said.take():
            yield from self._take(Words(text, "voice", zero_s, spans), "more was said")
        elif self.turn is not None and self.turn.held:
            yield from self._cut("the guess was wrong", None)

    def _heard_clip(self, heard: Heard) -> Actions:
        text = self.clips.feed(heard)
        if text is None:
            return
        if self._busy():
            yield Emit(events.Problem("TURN_IN_PROGRESS", BUSY))
            return
        yield Emit(events.UserWords(text, heard.confidence))
        if text:
            yield from self._take(Words(text, "voice", heard.zero_s, heard.spans), "a recording")
        else:
            yield Emit(events.Problem("NO_SPEECH", "No speech was recognised in the recording."))

    def _hearing_failed(self, failed: HearingFailed) -> Actions:
        yield Emit(events.Problem(failed.code, failed.message))
        if failed.clip:
            self.clips.fail(failed.clip)
        elif failed.final and self.phase is Phase.ACTIVE:
            yield from self._utterance_over(self._now_s())

    def _set_spoken(self, spoken: events.SetSpoken) -> Actions:
        if spoken.enabled is not None:
            self._spoken_replies = spoken.enabled
        yield Emit(events.Spoken(self._spoken_replies))

    def _recite(self, recite: events.Recite) -> Actions:
        if (problem := self._refusal(recite.text, barge_in=False)) is not None:
            yield Emit(problem)
        else:
            self.turn = self._new_turn(Words(recite.text, "text", self._now_s()))
            self.turn.recited, self.turn.voice = True, recite.voice
            yield Recite(self.turn)

    # --- a turn's life ---

    def _answer(self, words: Words) -> Actions:
        yield self._history.said(words.text, words.via)
        self.turn = self._new_turn(words)
        yield Answer(self.turn, self._history.messages)

    def _new_turn(self, words: Words) -> Turn:
        return Turn(
            id=self._new_turn_id(),
            user_text=words.text,
            via=words.via,
            spoken=words.via == "voice" or self._spoken_replies,
            zero_s=words.zero_s,
            started_s=self._now_s(),
            spans=list(words.spans),
        )

    def _turn_over(self, over: TurnOver) -> Actions:
        turn = self.turn
        if turn is None or turn.id != over.turn:
            return  # it was cut meanwhile
        self.turn = None
        yield from self._answered(turn, turn.text.strip(), interrupted=turn.problem is not None)

    def _stop(self, _: events.Stop) -> Actions:
        yield from self._drop_all("stopped by the client")

    def _drop_all(self, reason: str) -> Actions:
        """End the turn, and what would become one; tell the client once."""
        self._kept.clear()
        self.clips.forget()
        if self.turn is None:
            yield Emit(events.Stopped())
        yield from self._cut(reason, events.Stopped())

    def _cut(self, reason: str, notice: events.Event | None) -> Actions:
        if self.turn is None:
            return
        turn, self.turn = self.turn, None
        if turn.held:  # the client knows nothing of it
            yield Cut(turn.id, None, reason)
            if notice is not None and not isinstance(notice, events.Activity):
                yield Emit(notice)
            return
        heard = turn.heard(self._played_ms())
        yield Cut(turn.id, notice, reason)
        yield from self._answered(turn, heard, interrupted=True)

    def _answered(self, turn: Turn, text: str, *, interrupted: bool) -> Actions:
        kept = self._history.answered(turn, text, interrupted=interrupted)
        if kept is not None:
            yield kept

    def _turn_id(self) -> str | None:
        """The turn the client knows of."""
        return self.turn.id if self.turn and not self.turn.held else None
