"""Files, pictures, other characters, and what the host says of its own accord."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

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
from voicecore.engines.interface import CalledTool, Image, Message
from voicecore.mind.happenings import (
    Announced,
    Answer,
    Cut,
    Emit,
    FilesFailed,
    FilesRead,
    Overheard,
    ReadFiles,
    Recite,
    Remember,
    Seen,
    Share,
    SpeechStarted,
    StopReading,
    TurnOver,
    UseCharacter,
)
from voicecore.store import StoredMessage

CAT = Image("image/jpeg", b"cat")
DOG = Image("image/jpeg", b"dog")
NOTE = events.Attachment("note.txt", "text/plain", b"milk")


def recited(actions: Sequence[object]) -> list[str]:
    return [action.turn.user_text for action in actions if isinstance(action, Recite)]


def asked(actions: Sequence[object]) -> Message:
    (answer,) = [action for action in actions if isinstance(action, Answer)]
    return answer.history[-1]


# --- pictures ---


def test_the_newest_picture_goes_with_the_next_turn_only() -> None:
    talk = started()
    talk(Seen(CAT), Seen(DOG))
    first = talk(events.Typed("what is this", barge_in=True))
    assert asked(first) == Message("user", "what is this", (DOG,))
    second = talk(events.Typed("and now", barge_in=True))
    assert asked(second) == Message("user", "and now")


def test_a_guess_that_was_wrong_leaves_the_picture_for_the_next() -> None:
    talk = started()
    talk(Seen(CAT), SpeechStarted())
    assert asked(talk(heard("what is", guess=1))).images == (CAT,)
    actions = talk(heard("what is this thing"))
    assert asked(actions).images == (CAT,)
    assert asked(talk(events.Typed("more", barge_in=True))).images == ()


def test_older_pictures_are_forgotten_when_newer_ones_are_shown() -> None:
    talk = started()
    talk(Seen(CAT), events.Typed("one", barge_in=True), Seen(DOG))
    actions = talk(events.Typed("two", barge_in=True))
    (answer,) = [action for action in actions if isinstance(action, Answer)]
    assert [message.images for message in answer.history] == [(), (DOG,)]


# --- files ---


def test_files_are_read_before_the_turn_begins() -> None:
    talk = chat()
    assert talk(events.Typed("what does it say", files=(NOTE,))) == [ReadFiles((NOTE,), 1)]
    assert problems(talk(events.Typed("hurry"))) == ["TURN_IN_PROGRESS"]
    actions = talk(FilesRead(1, "[note.txt] milk", (CAT,)))
    assert asked(actions) == Message("user", "[note.txt] milk\n\nwhat does it say", (CAT,))


def test_a_message_may_be_nothing_but_files() -> None:
    talk = chat()
    talk(events.Typed("", files=(NOTE,)))
    assert asked(talk(FilesRead(1, "milk", ()))).content == "milk"


def test_a_file_that_cannot_be_used_runs_no_turn() -> None:
    talk = chat()
    talk(events.Typed("look", files=(NOTE,)))
    actions = talk(FilesFailed(1, "BAD_FILE", "It is broken."))
    assert emitted(actions) == [events.Problem("BAD_FILE", "It is broken.")]
    assert not answers(actions)
    assert not remembered(actions)
    assert answers(talk(events.Typed("never mind")))


def test_stop_ends_the_reading_and_its_late_result_is_ignored() -> None:
    talk = chat()
    talk(events.Typed("look", files=(NOTE,)))
    assert talk(events.Stop()) == [StopReading(), Emit(events.Stopped())]
    assert talk(FilesRead(1, "milk", ())) == []
    assert talk(FilesFailed(1, "BAD_FILE", "late")) == []


# --- characters ---


def test_another_character_is_selected_or_not_found() -> None:
    talk = chat()
    assert talk(events.SelectAgent("robin")) == [
        UseCharacter("robin"),
        Emit(events.CharacterSelected("robin")),
    ]
    (problem,) = emitted(talk(events.SelectAgent("nobody")))
    assert problem == events.Problem("UNKNOWN_CHARACTER", 'Agent "nobody" not found')


def test_a_message_may_say_who_is_to_answer() -> None:
    talk = chat()
    assert UseCharacter("robin") in talk(events.Typed("hi", agent_id="robin"))
    actions = chat()(events.Typed("hi", agent_id="nobody"))
    assert problems(actions) == ["UNKNOWN_CHARACTER"]
    assert not answers(actions)


# --- several sockets of one conversation ---


def test_what_another_socket_adds_is_known_here() -> None:
    talk = chat()
    talk(Overheard("s1", (StoredMessage(role="user", content="I am Ann.", at=1.0),)))
    (answer,) = [a for a in talk(events.Typed("who am I")) if isinstance(a, Answer)]
    assert [message.content for message in answer.history] == ["hello", "I am Ann.", "who am I"]


def test_speaking_is_told_to_the_others() -> None:
    assert chat()(events.SetSpeaking(True)) == [Share(events.OtherSpeaking(True))]


# --- of the host's own accord ---


def test_a_new_conversation_begins_with_the_greeting_and_an_old_one_does_not() -> None:
    talk = Talk()
    talk.greeting = "Hello, I am Robin."
    talk(events.Start("audio"))
    assert recited(talk.open()) == ["Hello, I am Robin."]
    again = Talk()
    again.greeting = "Hello, I am Robin."
    again(events.Start("audio"))
    assert recited(again.open(StoredMessage(role="user", content="hi", at=1.0))) == []


def test_what_was_heard_of_the_greeting_is_part_of_the_history() -> None:
    talk = Talk()
    talk.greeting = "Hello there."
    talk(events.Start("audio"))
    talk.open()
    say(talk.taking.turn, "Hello there.", ms=1_000)
    talk.played_ms = 500
    actions = talk(SpeechStarted(), heard("wait", final=False))
    assert remembered(actions) == [("assistant", "Hello", True)]


def test_greet_greets_once_a_session_is_open_and_nothing_was_said() -> None:
    talk = Talk()
    assert talk(events.Greet()) == []
    talk(events.Start("audio"))
    talk.open()
    talk.greeting = "Hi!"
    assert recited(talk(events.Greet())) == ["Hi!"]
    assert talk(events.Greet()) == []


@pytest.mark.parametrize("busy_with", ["speech", "a turn"])
def test_news_wait_until_nobody_speaks(busy_with: str) -> None:
    talk = started()
    if busy_with == "speech":
        talk(SpeechStarted())
        assert talk(Announced("Your tea is ready.")) == []
        actions = talk(heard(""))
    else:
        talk(events.Typed("tell me", barge_in=True))
        assert talk(Announced("Your tea is ready.")) == []
        say(talk.taking.turn, "Well.")
        actions = talk(TurnOver("t1"))
    assert recited(actions) == ["Your tea is ready."]


def test_news_are_said_one_after_the_other_and_none_while_paused() -> None:
    talk = started()
    assert recited(talk(Announced("One."), Announced("Two."))) == ["One."]
    assert recited(talk(TurnOver("t1"))) == ["Two."]
    talk(events.Pause())
    assert talk(Announced("Three.")) == []
    talk(events.Start("audio"))
    assert recited(talk.open()) == ["Three."]


def test_a_message_ends_what_the_host_says_of_its_own_accord() -> None:
    talk = chat()
    talk(Announced("Your tea is ready."))
    actions = talk(events.Typed("thanks"))
    assert [action.turn for action in actions if isinstance(action, Cut)] == ["t2"]
    assert answers(actions)
    assert not problems(actions)


# --- tools ---


def test_calls_and_their_results_are_kept_and_recalled() -> None:
    talk = started()
    (turn,) = answers(talk(events.Typed("what time is it", barge_in=True)))
    call = CalledTool("c1", "get_time", "{}")
    turn.exchanges += [
        Message("assistant", "", calls=(call,)),
        Message("tool", "noon", call_id="c1"),
    ]
    say(turn, "It is noon.")
    actions = talk(TurnOver(turn.id))
    assert [role for role, *_ in remembered(actions)] == ["assistant", "tool", "assistant"]
    (stored,) = [action.messages for action in actions if isinstance(action, Remember)]
    again = Talk()
    again(events.Start("audio"))
    again.open(*stored)
    (answer,) = [a for a in again(events.Typed("sure?", barge_in=True)) if isinstance(a, Answer)]
    assert answer.history[:-1] == (*turn.exchanges, Message("assistant", "It is noon."))
