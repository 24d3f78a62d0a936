"""What the client is shown of what is being said, and which earlier conversation it may open."""

from __future__ import annotations

import pytest

from tests.mind.talk import Talk, emitted, heard, problems
from voicecore import events
from voicecore.mind.happenings import (
    HearingFailed,
    Open,
    OpenFailed,
    PartlyHeard,
    Phase,
    SpeechStarted,
    TurnOver,
)


def listening(*, partials: bool = True) -> Talk:
    talk = Talk(partials=partials)
    talk(events.Start("audio"))
    talk.open()
    return talk


def shown(*actions: object) -> list[str]:
    found = emitted([*actions])  # type: ignore[list-item]
    return [event.text for event in found if isinstance(event, events.PartialWords)]


def test_each_partial_is_shown_once() -> None:
    talk = listening()
    talk(SpeechStarted())
    said = ["what is", "what is", "what is the"]
    assert [shown(*talk(PartlyHeard(text, ""))) for text in said] == [
        ["what is"], [], ["what is the"],
    ]  # fmt: skip
    assert shown(*talk(heard("What is the time?", guess=1))) == ["What is the time?"]
    final = emitted(talk(heard("What is the time?")))
    assert final == [events.UserWords("What is the time?", 0.9)]


def test_the_next_turn_is_shown_anew() -> None:
    talk = listening()
    for turn in ("t1", "t2"):
        talk(SpeechStarted())
        assert shown(*talk(PartlyHeard("what is", ""))) == ["what is"]
        talk(heard("What is it?"), TurnOver(turn))


@pytest.mark.parametrize(
    "nothing",
    [heard(""), HearingFailed("STT_TIMEOUT", "It took too long."), events.Pause(), events.End()],
)
def test_words_that_came_to_nothing_are_taken_back(nothing: object) -> None:
    talk = listening()
    talk(SpeechStarted(), PartlyHeard("what is", ""))
    assert shown(*talk(nothing)) == [""]  # type: ignore[arg-type]
    talk(events.Start("audio"))
    talk.open()
    assert shown(*talk(SpeechStarted(), heard(""))) == []


def test_a_listeners_signal_is_taken_back() -> None:
    talk = listening()
    talk.backchannels = {"Mhm."}
    talk(events.Typed("Tell me", barge_in=True), SpeechStarted())
    assert shown(*talk(heard("Mhm.", guess=1))) == ["Mhm."]
    assert shown(*talk(heard("Mhm."))) == [""]


def test_partials_before_any_speech_are_of_nobody() -> None:
    assert shown(*listening()(PartlyHeard("what is", ""))) == []


def test_who_did_not_ask_is_shown_none() -> None:
    talk = listening(partials=False)
    assert shown(*talk(SpeechStarted(), PartlyHeard("what is", ""), heard(""))) == []


# --- earlier conversations ---


def test_a_start_may_name_a_conversation_which_must_be_the_clients_own() -> None:
    talk = Talk()
    opening = talk(events.Start("audio", session_id="s0"))
    assert opening[-1] == Open("s0", 1, latest=True, own=True)
    # Nothing is noted in it, and nobody is told of it, before that is known.
    assert talk.taking.conversation is None
    assert emitted(talk.open(session="s0")) == [
        events.ConversationOpened("s0", "default"), events.Started("audio", "s0"),
    ]  # fmt: skip
    assert talk.taking.conversation == "s0"


def test_one_that_is_not_leaves_the_running_one_open() -> None:
    talk = listening()
    talk(events.Start("audio", session_id="other"))
    failed = talk(OpenFailed("UNKNOWN_CONVERSATION", "There is none.", talk.opening))
    assert problems(failed) == ["UNKNOWN_CONVERSATION"]
    assert emitted(failed)[-1] == events.StartFailed("audio")
    assert talk.taking.phase is Phase.ACTIVE
    assert talk.taking.conversation == "s1"
