"""A reply falls silent when the person seems to speak, and goes on if it was nothing."""

from __future__ import annotations

from tests.mind.talk import Talk, answers, emitted, heard, remembered, say, started
from voicecore import events
from voicecore.mind.happenings import (
    Answer,
    Cut,
    Emit,
    HearingFailed,
    PartlyHeard,
    ReadAhead,
    Release,
    Resume,
    SpeechResumed,
    SpeechStarted,
    Suspend,
    TurnOver,
)

SUSPENDED = Suspend("t1", events.Activity("t1"))


def replying() -> Talk:
    """A conversation in the middle of the reply ``t1``."""
    talk = started()
    talk.backchannels = {"mhm", "right"}
    talk(SpeechStarted(), heard("tell me"))
    say(talk.taking.turn, "one two three four")
    talk.played_ms = 500
    return talk


def test_the_reply_is_silent_at_once_and_goes_on_if_there_were_no_words() -> None:
    talk = replying()
    assert talk(SpeechStarted()) == [SUSPENDED]
    assert talk(heard("")) == [Resume("t1")]
    assert talk.taking.turn is not None


def test_a_sound_that_could_not_be_recognised_does_not_end_the_reply() -> None:
    talk = replying()
    actions = talk(SpeechStarted(), HearingFailed("ENGINE_ERROR", "It failed."))
    assert actions[0] == SUSPENDED
    assert actions[-1] == Resume("t1")


def test_a_listeners_signal_is_neither_shown_nor_answered() -> None:
    talk = replying()
    actions = talk(SpeechStarted(), heard("mhm", guess=1), heard("mhm"))
    assert actions == [SUSPENDED, Resume("t1")]


def test_a_signal_with_more_behind_it_ends_the_reply() -> None:
    talk = replying()
    talk(SpeechStarted(), SpeechStarted(), heard("right"))
    actions = talk(heard("but why?"))
    assert actions[0] == Cut("t1", None, "the person speaks")
    assert [turn.user_text for turn in answers(actions)] == ["but why?"]


def test_words_end_it_and_what_was_heard_is_kept() -> None:
    talk = replying()
    actions = talk(SpeechStarted(), heard("stop that"))
    assert actions[:2] == [SUSPENDED, Cut("t1", None, "the person speaks")]
    assert remembered(actions) == [("assistant", "one two", True), ("user", "stop that", False)]


def test_words_in_a_short_silence_end_it_and_the_answer_is_prepared() -> None:
    talk = replying()
    actions = talk(SpeechStarted(), heard("stop that", guess=1))
    assert actions[1] == Cut("t1", None, "the person speaks")
    assert isinstance(actions[-1], Answer)
    assert actions[-1].turn.held
    assert isinstance(talk(heard("stop that"))[-1], Release)


def test_a_guess_without_words_decides_nothing() -> None:
    talk = replying()
    assert talk(SpeechStarted(), heard("", guess=1), SpeechResumed(1)) == [SUSPENDED]


def test_certain_words_end_it_while_the_person_speaks_on() -> None:
    talk = replying()
    actions = talk(
        SpeechStarted(), PartlyHeard("right", "right"), PartlyHeard("right, stop", "right, stop")
    )
    assert Cut("t1", None, "the person speaks") in actions
    assert [a for a in actions if isinstance(a, Suspend | Resume)] == [SUSPENDED]


def test_it_is_silenced_once_however_often_speech_begins() -> None:
    talk = replying()
    actions = talk(SpeechStarted(), SpeechStarted(), heard(""), heard(""))
    assert actions == [SUSPENDED, Resume("t1")]


def test_it_can_be_silenced_again_after_it_went_on() -> None:
    talk = replying()
    talk(SpeechStarted(), heard(""))
    assert talk(SpeechStarted()) == [SUSPENDED]


def test_a_pause_ends_a_silenced_reply_and_is_told_once() -> None:
    talk = replying()
    talk(SpeechStarted())
    actions = talk(events.Pause())
    assert actions[0] == Cut("t1", None, "paused")
    assert emitted(actions) == [events.Paused()]
    assert talk(heard("")) == []


def test_stop_is_told_though_the_reply_is_silent_already() -> None:
    talk = replying()
    actions = talk(SpeechStarted(), events.Stop())
    assert Cut("t1", events.Stopped(), "stopped by the client") in actions


def test_a_reply_that_ends_meanwhile_needs_no_resuming() -> None:
    talk = replying()
    talk(SpeechStarted(), TurnOver("t1"))
    assert talk(heard("")) == []
    assert talk(SpeechStarted()) == [Emit(events.Activity(None))]


def test_a_greeting_goes_on_too() -> None:
    talk = Talk()
    talk.greeting = "Hello there."
    talk(events.Start("audio"))
    talk.open()
    assert talk(SpeechStarted(), heard("")) == [SUSPENDED, Resume("t1")]


# --- reading ahead ---


def test_certain_words_are_read_while_the_person_speaks_on() -> None:
    talk = started()
    actions = talk(SpeechStarted(), PartlyHeard("what is the", "what is the"))
    (ahead,) = (action for action in actions if isinstance(action, ReadAhead))
    assert [(m.role, m.content) for m in ahead.history] == [("user", "what is the")]


def test_uncertain_words_are_read_but_end_no_reply() -> None:
    talk = replying()
    assert talk(SpeechStarted(), PartlyHeard("stop that", "")) == [SUSPENDED]
    talk = started()
    actions = talk(SpeechStarted(), PartlyHeard("what is the", "what"))
    (ahead,) = (action for action in actions if isinstance(action, ReadAhead))
    assert ahead.history[-1].content == "what is the"


def test_words_of_earlier_pieces_are_read_with_them() -> None:
    talk = started()
    talk(SpeechStarted(), heard("well,", final=False))
    (ahead,) = talk(PartlyHeard("what is", "what is"))
    assert isinstance(ahead, ReadAhead)
    assert ahead.history[-1].content == "well, what is"


def test_nothing_is_read_ahead_when_nobody_speaks_or_an_answer_is_prepared() -> None:
    talk = started()
    assert talk(PartlyHeard("what", "what")) == []
    talk(SpeechStarted(), heard("what is it", guess=1))
    assert talk(PartlyHeard("what is", "what is")) == []
