"""The rules of a conversation: every way it can go, without any I/O."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.mind.talk import (
    Talk,
    answers,
    chat,
    emitted,
    heard,
    problems,
    remembered,
    say,
    started,
)
from voicecore import events
from voicecore.mind.happenings import (
    Answer,
    Close,
    Cut,
    Deafen,
    Disconnected,
    Emit,
    Happening,
    HearingFailed,
    Listen,
    Open,
    Opened,
    OpenFailed,
    ReadAhead,
    Recite,
    Release,
    Remember,
    SpeechResumed,
    SpeechStarted,
    StopOpening,
    Suspend,
    TurnOver,
)
from voicecore.mind.turns import BUSY
from voicecore.store import SessionRecord, StoredMessage

# --- starting ---


def test_start_prepares_opens_listens_and_says_so() -> None:
    talk = Talk()
    assert talk(events.Start("audio")) == [
        Emit(events.Preparing("audio")),
        Open(None, 1, latest=True),
    ]
    opened = talk.open()
    assert opened == [
        Emit(events.ConversationOpened("s1", "default")),
        Listen(),
        Emit(events.Started("audio", "s1")),
    ]


def test_a_fresh_start_does_not_continue_the_last_conversation() -> None:
    assert Open(None, 1) in Talk()(events.Start("audio", fresh=True))


def test_a_second_start_while_one_is_starting_changes_nothing() -> None:
    talk = Talk()
    talk(events.Start("audio"))
    assert problems(second := talk(events.Start("text"))) == ["SESSION_STARTING"]
    assert len(second) == 1
    assert Emit(events.Started("audio", "s1")) in talk.open()


def test_a_start_while_active_cuts_the_turn_first_and_starts_anew() -> None:
    talk = started()
    talk(events.Typed("hello", barge_in=True))
    actions = talk(events.Start("text"))
    kinds = [type(action) for action in actions]
    assert kinds == [Cut, Deafen, Emit, Open]
    assert Listen() in talk.open()


def test_a_failed_start_says_why_and_can_be_tried_again() -> None:
    talk = Talk()
    talk(events.Start("audio"))
    failed = talk(OpenFailed("STORE_ERROR", "The disk is full.", 1))
    assert emitted(failed) == [
        events.Problem("STORE_ERROR", "The disk is full."),
        events.StartFailed("audio"),
    ]
    assert Open(None, 2, latest=True) in talk(events.Start("audio"))


def test_words_typed_before_the_start_are_answered_once_it_is_started() -> None:
    talk = Talk()
    assert talk(events.Typed("one", barge_in=True)) == []
    talk(events.Start("text"), events.Typed("two", barge_in=True))
    opened = talk.open()
    assert remembered(opened) == [("user", "one", False), ("user", "two", False)]
    assert [turn.user_text for turn in answers(opened)] == ["two"]


def test_too_many_words_before_the_start_are_refused() -> None:
    talk = Talk()
    for index in range(16):
        assert talk(events.Typed(str(index), barge_in=True)) == []
    assert problems(talk(events.Typed("17", barge_in=True))) == ["TOO_MANY_MESSAGES"]


# --- speaking and being interrupted ---


def test_spoken_words_begin_a_spoken_turn_with_the_history() -> None:
    talk = Talk()
    talk(events.Start("audio"))
    talk.open(
        StoredMessage(role="user", content="hi", at=0),
        StoredMessage(role="assistant", content="hello", at=0),
    )
    actions = talk(SpeechStarted(), heard("how are you"))
    assert emitted(actions) == [events.Activity(None), events.UserWords("how are you", 0.9)]
    (answer,) = [action for action in actions if isinstance(action, Answer)]
    assert answer.turn.spoken
    assert answer.turn.zero_s == 4.0
    assert [message.content for message in answer.history] == ["hi", "hello", "how are you"]
    assert remembered(actions) == [("user", "how are you", False)]


def test_speech_cuts_the_reply_and_keeps_what_was_heard_of_it() -> None:
    talk = started()
    talk(SpeechStarted(), heard("tell me"))
    say(talk.taking.turn, "First sentence. ")
    say(talk.taking.turn, "one two three four")
    talk.played_ms = 1_500
    assert talk(SpeechStarted()) == [Suspend("t1", events.Activity("t1"))]
    actions = talk(heard("stop", final=False))
    assert actions[0] == Cut("t1", None, "the person speaks")
    assert remembered(actions) == [("assistant", "First sentence. one two", True)]
    assert talk.taking.turn is None


def test_a_reply_of_which_nothing_was_heard_leaves_no_trace() -> None:
    talk = started()
    talk(SpeechStarted(), heard("what is the capital of France,"))
    say(talk.taking.turn, "It is Paris.")
    assert remembered(talk(SpeechStarted())) == []
    actions = talk(heard("please?"))
    assert remembered(actions) == [("user", "please?", False)]
    (answer,) = [action for action in actions if isinstance(action, Answer)]
    assert [message.role for message in answer.history] == ["user", "user"]


def test_no_answer_while_the_person_has_gone_on_speaking() -> None:
    talk = started()
    talk(SpeechStarted(), SpeechStarted())
    assert answers(talk(heard("what is the capital,"))) == []
    assert [turn.user_text for turn in answers(talk(heard("of France?")))] == [
        "what is the capital, of France?"
    ]


def test_a_noise_after_the_words_does_not_swallow_them() -> None:
    talk = started()
    talk(SpeechStarted(), SpeechStarted(), heard("hello there"))
    assert [turn.user_text for turn in answers(talk(heard("")))] == ["hello there"]


def test_a_failed_recognition_is_told_and_does_not_swallow_earlier_words() -> None:
    talk = started()
    talk(SpeechStarted(), SpeechStarted(), heard("hello there"))
    actions = talk(HearingFailed("ENGINE_ERROR", "It failed."))
    assert problems(actions) == ["ENGINE_ERROR"]
    assert [turn.user_text for turn in answers(actions)] == ["hello there"]


def test_noise_alone_begins_no_turn() -> None:
    talk = started()
    actions = talk(SpeechStarted(), heard(""))
    assert emitted(actions) == [events.Activity(None)]
    assert talk.taking.turn is None


def test_a_monologue_goes_into_the_history_in_pieces_and_is_answered_once() -> None:
    talk = started(max_turn_chars=20)
    talk(SpeechStarted())
    actions = talk(*(heard(letter * 15, final=False) for letter in "abc"))
    assert remembered(actions) == [("user", f"{'a' * 15} {'b' * 15}", False)]
    assert answers(actions) == []
    last = talk(heard("the end"))
    assert [turn.user_text for turn in answers(last)] == [f"{'c' * 15} the end"]


def test_a_finished_turn_is_kept_whole() -> None:
    talk = started()
    talk(SpeechStarted(), heard("hello"))
    say(talk.taking.turn, "Hello, how are you?")
    assert remembered(talk(TurnOver("t1"))) == [("assistant", "Hello, how are you?", False)]
    assert talk(TurnOver("t1")) == []


def test_a_failed_turn_is_kept_as_an_interrupted_one() -> None:
    talk = started()
    talk(SpeechStarted(), heard("hello"))
    say(talk.taking.turn, "Hello, how")
    assert talk.taking.turn
    talk.taking.turn.fail("ENGINE_ERROR", "It died.")
    assert remembered(talk(TurnOver("t1"))) == [("assistant", "Hello, how", True)]


def test_a_turn_that_was_cut_cannot_end_the_next_one() -> None:
    talk = started()
    talk(events.Typed("one", barge_in=True), events.Typed("two", barge_in=True))
    assert talk(TurnOver("t1")) == []
    assert talk.taking.turn
    assert talk.taking.turn.id == "t2"


def test_typing_interrupts_like_speech() -> None:
    talk = started()
    talk(SpeechStarted(), heard("hello"))
    actions = talk(events.Typed("stop that", barge_in=True))
    assert actions[0] == Cut("t1", events.Activity("t1"), "a typed message")
    assert [turn.user_text for turn in answers(actions)] == ["stop that"]


# --- guessing that the person has finished ---


def test_a_right_guess_is_answered_unseen_and_then_released() -> None:
    talk = started()
    talk(SpeechStarted())
    (answer,) = talk(heard("how are you", guess=1))
    assert isinstance(answer, Answer)
    assert answer.turn.held
    assert [message.content for message in answer.history] == ["how are you"]
    actions = talk(heard("How are you?"))
    assert actions == [
        Emit(events.UserWords("How are you?", 0.9)),
        *[action for action in actions if isinstance(action, Remember)],
        Release(answer.turn),
    ]
    assert remembered(actions) == [("user", "How are you?", False)]
    assert [turn.held for turn in [answer.turn]] == [False]
    say(talk.taking.turn, "I am well.")
    assert remembered(talk(TurnOver("t1"))) == [("assistant", "I am well.", False)]


def test_a_wrong_guess_leaves_no_trace() -> None:
    talk = started()
    talk(SpeechStarted(), heard("what is the capital,", guess=1))
    assert talk(SpeechResumed(1)) == [Cut("t1", None, "the person goes on")]
    actions = talk(
        heard("what is the capital, please?", guess=2), heard("what is the capital, please?")
    )
    assert remembered(actions) == [("user", "what is the capital, please?", False)]
    (answer,) = [action for action in actions if isinstance(action, Answer)]
    assert [message.content for message in answer.history] == ["what is the capital, please?"]
    assert Release(answer.turn) in actions


def test_a_guess_that_is_recognised_after_the_person_went_on_is_only_read_ahead() -> None:
    """But for its last word, which may be cut."""
    talk = started()
    actions = talk(SpeechStarted(), SpeechResumed(1), heard("what is", guess=1))
    (ahead,) = actions[1:]
    assert isinstance(ahead, ReadAhead)
    assert ahead.history[-1].content == "what"


def test_other_words_in_the_end_are_answered_anew() -> None:
    talk = started()
    talk(SpeechStarted(), heard("I scream", guess=1))
    actions = talk(heard("ice cream"))
    assert Cut("t1", None, "more was said") in actions
    assert [turn.user_text for turn in answers(actions)] == ["ice cream"]


def test_nothing_is_guessed_from_noise_or_while_someone_else_has_the_turn() -> None:
    talk = started()
    assert talk(SpeechStarted(), heard("", guess=1))[1:] == []
    talk(events.Typed("hello", barge_in=True))
    assert talk(heard("hello", guess=1)) == []


def test_typing_during_a_guess_is_answered_instead_and_says_nothing_of_it() -> None:
    talk = started()
    talk(SpeechStarted(), heard("hello", guess=1))
    actions = talk(events.Typed("no, this", barge_in=True))
    assert emitted(actions) == []
    assert [turn.user_text for turn in answers(actions)] == ["no, this"]


def test_a_guess_counts_for_nothing_when_the_client_leaves_or_pauses() -> None:
    for end in (Disconnected(), events.Pause()):
        talk = started()
        talk(SpeechStarted(), heard("hello", guess=1))
        say(talk.taking.turn, "Hi!")
        talk.played_ms = 2_000
        assert remembered(talk(end)) == []


# --- pausing and ending ---


@pytest.mark.parametrize("command", [events.Pause(), events.End()])
def test_pause_and_end_stop_everything_and_ignore_input_until_the_next_start(
    command: events.Command,
) -> None:
    talk = started()
    talk(SpeechStarted(), heard("hello"))
    actions = talk(command)
    assert [type(action) for action in actions[:2]] == [Cut, Deafen]
    deaf = not talk.taking.wants_sound
    assert deaf
    assert talk(SpeechStarted(), heard("late"), events.Typed("late", barge_in=True)) == []
    talk(events.Start("audio"))
    hears = talk.taking.wants_sound
    assert hears
    assert Listen() in talk.open()


def test_end_closes_the_conversation_and_pause_does_not() -> None:
    assert Close("s1") in (ended := started()(events.End()))
    assert emitted(ended) == [events.Ended("s1")]
    assert emitted(started()(events.Pause())) == [events.Paused()]


def test_a_pause_during_the_start_stops_it() -> None:
    talk = Talk()
    talk(events.Start("audio"))
    assert StopOpening() in talk(events.Pause())
    assert Open(None, 3, latest=True) in talk(events.Start("audio"))


def test_leaving_keeps_what_was_heard() -> None:
    talk = started()
    talk(SpeechStarted(), heard("hello"))
    say(talk.taking.turn, "Hello there.")
    talk.played_ms = 2_000
    assert remembered(talk(Disconnected())) == [("assistant", "Hello there.", True)]


# --- chatting ---


def test_a_chat_client_is_listened_to_from_the_beginning() -> None:
    assert Talk(waits_for_start=False).taking.begin() == [Listen()]
    assert Talk(waits_for_start=True).taking.begin() == []


def test_the_first_chat_message_opens_a_conversation_and_is_answered_in_it() -> None:
    talk = Talk(waits_for_start=False)
    talk.taking.begin()
    assert talk(events.Typed("hello", session_id="mine")) == [Open("mine", 1)]
    opened = talk.open(session="mine")
    assert emitted(opened) == [events.ConversationOpened("mine", "default")]
    assert [turn.spoken for turn in answers(opened)] == [False]


def test_two_chat_messages_back_to_back_are_one_answer_and_one_error() -> None:
    talk = Talk(waits_for_start=False)
    talk.taking.begin()
    talk(events.Typed("one"))
    second = talk(events.Typed("two"))
    assert emitted(second) == [events.Problem("TURN_IN_PROGRESS", BUSY)]
    assert [turn.user_text for turn in answers(talk.open())] == ["one"]
    assert emitted(talk(events.Typed("three"))) == [events.Problem("TURN_IN_PROGRESS", BUSY)]


def test_the_same_conversation_is_not_opened_or_announced_again() -> None:
    talk = chat()
    for session_id in (None, "s1"):
        actions = talk(events.Typed("again", session_id=session_id))
        assert [type(action) for action in actions] == [Remember, Answer]
        assert talk.taking.turn
        talk(TurnOver(talk.taking.turn.id))


def test_another_id_opens_another_conversation() -> None:
    talk = chat()
    assert talk(events.Typed("hi", session_id="s2")) == [Open("s2", 2)]
    opened = talk.open(StoredMessage(role="user", content="before", at=0), session="s2")
    assert emitted(opened) == [events.ConversationOpened("s2", "default")]
    (answer,) = [action for action in opened if isinstance(action, Answer)]
    assert [message.content for message in answer.history] == ["before", "hi"]


def test_an_empty_chat_message_is_an_error() -> None:
    assert emitted(chat()(events.Typed("  "))) == [events.Problem("EMPTY_MESSAGE", "Empty message")]


def test_a_new_conversation_ends_the_current_one_first() -> None:
    actions = chat()(events.NewConversation())
    assert actions == [Close("s1"), Emit(events.Ended("s1")), Open(None, 2)]
    assert Talk(waits_for_start=False)(events.NewConversation()) == [Open(None, 1)]


def test_stop_answers_once_with_or_without_a_turn() -> None:
    talk = chat()
    assert emitted(talk(events.Stop())) == [events.Stopped()]
    talk(events.Typed("go"))
    say(talk.taking.turn, "Half an answer")
    actions = talk(events.Stop())
    assert actions[0] == Cut("t2", events.Stopped(), "stopped by the client")
    assert emitted(actions) == []
    assert remembered(actions) == [("assistant", "Half an answer", True)]


def test_a_recording_is_answered_aloud_in_a_conversation_of_its_own() -> None:
    talk = Talk(waits_for_start=False)
    talk.taking.begin()
    actions = talk(heard("part one", final=False, clip=1), heard("part two", clip=1))
    assert actions == [
        Emit(events.UserWords("part one part two", 0.9)),
        Open(None, 1),
    ]
    assert [turn.spoken for turn in answers(talk.open())] == [True]


def test_a_recording_without_words_is_told_and_begins_no_turn() -> None:
    talk = chat()
    actions = talk(heard("", clip=1))
    assert emitted(actions)[0] == events.UserWords("", 0.9)
    assert problems(actions) == ["NO_SPEECH"]
    assert talk.taking.turn is None


def test_a_recording_during_a_turn_is_an_error() -> None:
    talk = chat()
    talk(events.Typed("go"))
    assert emitted(talk(heard("hello", clip=1))) == [events.Problem("TURN_IN_PROGRESS", BUSY)]


def test_spoken_replies_are_switched_for_typed_messages() -> None:
    talk = chat()
    assert emitted(talk(events.SetSpoken(enabled=True))) == [events.Spoken(enabled=True)]
    assert [turn.spoken for turn in answers(talk(events.Typed("hi")))] == [True]


def test_a_recited_text_is_no_part_of_the_history() -> None:
    talk = chat()
    (action,) = talk(events.Recite("Good morning."))
    assert isinstance(action, Recite)
    say(action.turn, "Good morning.")
    assert problems(talk(events.Typed("hi"))) == ["TURN_IN_PROGRESS"]
    assert talk(TurnOver(action.turn.id)) == []


def test_an_opening_that_was_stopped_opens_nothing_when_it_comes_after_all() -> None:
    talk = Talk()
    talk(events.Start("audio"))
    stale = talk.opening
    talk(events.Pause())
    record = SessionRecord("s1", "default", "me", 0.0, ())
    assert talk(Opened(record, stale), OpenFailed("STORE_ERROR", "no", stale)) == []
    deaf = not talk.taking.wants_sound
    assert deaf


def test_a_message_for_a_session_is_never_answered_in_another_that_is_being_opened() -> None:
    talk = chat()
    talk(events.NewConversation())
    actions = talk(events.Typed("question", session_id="old"))
    assert actions == [StopOpening(), Open("old", 4)]
    assert talk(Opened(SessionRecord("new", "default", "me", 0.0, ()), 2)) == []
    assert [turn.user_text for turn in answers(talk.open(session="old"))] == ["question"]


def test_stop_also_stops_what_has_not_become_a_turn_yet() -> None:
    talk = Talk(waits_for_start=False)
    talk(events.Typed("hello"))
    assert emitted(talk(events.Stop())) == [events.Stopped()]
    assert answers(talk.open()) == []
    talk.taking.clips.sent(1)
    talk(events.Stop())
    assert talk(heard("too late", clip=1)) == []
    assert [turn.user_text for turn in answers(talk(heard("in time", clip=2)))] == ["in time"]


def test_a_new_conversation_says_that_it_dropped_a_message() -> None:
    talk = Talk(waits_for_start=False)
    talk(events.Typed("hello"))
    assert emitted(talk(events.NewConversation())) == [events.Stopped()]
    assert answers(talk.open()) == []


def test_the_last_piece_of_a_monologue_is_answered_even_if_it_is_the_one_too_many() -> None:
    talk = started(max_turn_chars=20)
    talk(SpeechStarted(), heard("a" * 15, final=False))
    assert [turn.user_text for turn in answers(talk(heard("b" * 15)))] == [f"{'a' * 15} {'b' * 15}"]


def test_a_guess_is_dropped_when_in_the_end_there_were_no_words() -> None:
    talk = started()
    talk(SpeechStarted(), heard("hello", guess=1))
    assert talk(heard("")) == [Cut("t1", None, "the guess was wrong")]


def test_guesses_count_anew_after_a_restart() -> None:
    talk = started()
    talk(SpeechStarted(), SpeechResumed(5), events.Start("audio"))
    talk.open()
    assert answers(talk(SpeechStarted(), heard("hello", guess=1)))


def test_the_rest_of_a_recording_that_failed_is_ignored() -> None:
    talk = chat()
    talk(heard("one", clip=1, final=False))
    assert problems(talk(HearingFailed("ENGINE_ERROR", "no", final=False, clip=1))) == [
        "ENGINE_ERROR"
    ]
    assert talk(heard("three", clip=1)) == []


def test_text_that_is_too_long_is_refused() -> None:
    talk = chat()
    assert problems(talk(events.Typed("x" * 1_001))) == ["TEXT_TOO_LONG"]
    assert problems(talk(events.Recite("x" * 1_001))) == ["TEXT_TOO_LONG"]


def test_voice_state_can_be_asked_for() -> None:
    talk = chat()
    assert emitted(talk(events.SetSpoken(None))) == [events.Spoken(enabled=False)]


# --- any order of anything ---

HAPPENINGS: list[Callable[[Talk], Happening]] = [
    lambda _: events.Start("audio"),
    lambda _: events.Start("text", fresh=True),
    lambda _: events.Pause(),
    lambda _: events.End(),
    lambda _: events.Stop(),
    lambda _: events.NewConversation(),
    lambda _: events.Typed("typed", barge_in=True),
    lambda _: events.Typed("chat"),
    lambda _: events.Typed("chat", session_id="other"),
    lambda _: events.Recite("recite"),
    lambda _: events.SetSpoken(enabled=True),
    lambda talk: Opened(SessionRecord("s", "default", "me", 0, ()), talk.opening),
    lambda _: Opened(SessionRecord("stale", "default", "me", 0, ()), 0),
    lambda talk: OpenFailed("STORE_ERROR", "no", talk.opening),
    lambda _: SpeechStarted(),
    lambda _: SpeechResumed(1),
    lambda _: heard("spoken", guess=1),
    lambda _: heard("spoken", guess=2),
    lambda _: heard("spoken"),
    lambda _: heard("spoken", final=False),
    lambda _: heard(""),
    lambda _: heard("clip", clip=1),
    lambda _: HearingFailed("ENGINE_ERROR", "no"),
    lambda talk: TurnOver(talk.taking.turn.id if talk.taking.turn else "t0"),
    lambda _: Disconnected(),
]


@given(
    order=st.lists(st.integers(0, len(HAPPENINGS) - 1), max_size=30),
    waits_for_start=st.booleans(),
)
def test_in_any_order_there_is_at_most_one_turn_and_no_opening_twice(  # noqa: PLR0912
    order: list[int],
    waits_for_start: bool,
) -> None:
    talk = Talk(waits_for_start=waits_for_start)
    actions = talk.taking.begin()
    opening = False
    live: str | None = None
    listening = Listen() in actions
    for index in order:
        happening = HAPPENINGS[index](talk)
        if isinstance(happening, Opened | OpenFailed):
            if not opening:
                continue  # it only ever follows an Open
            opening = happening.number != talk.opening
        if isinstance(happening, TurnOver) and happening.turn == live:
            live = None
        for action in talk(happening):
            match action:
                case Open():
                    assert not opening
                    opening = True
                case StopOpening():
                    assert opening
                    opening = False
                case Answer(turn, history):
                    assert live is None
                    assert history[-1].role == "user"
                    live = turn.id
                case Recite(turn):
                    assert live is None
                    live = turn.id
                case Release(turn):
                    assert live == turn.id
                    assert not turn.held
                case Cut(turn_id, _, _):
                    assert live == turn_id
                    live = None
                case Listen():
                    assert not listening
                    listening = True
                case Deafen():
                    assert listening
                    listening = False
                case _:
                    pass
        assert live == (talk.taking.turn.id if talk.taking.turn else None)
