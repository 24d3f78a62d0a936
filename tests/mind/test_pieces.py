"""Pieces of what is said, until it is complete."""

from __future__ import annotations

from voicecore.mind.happenings import Heard
from voicecore.mind.pieces import Clips


def piece(text: str, clip: int, *, final: bool = False, confidence: float = 0.9) -> Heard:
    return Heard(text, confidence, final=final, zero_s=0.0, clip=clip)


def text_of(heard: Heard | None) -> str | None:
    return None if heard is None else heard.text


def test_the_pieces_of_a_message_are_joined_and_empty_ones_left_out() -> None:
    clips = Clips()
    assert text_of(clips.feed(piece("one", 1))) is None
    assert text_of(clips.feed(piece("", 1))) is None
    assert text_of(clips.feed(piece("two", 1, final=True))) == "one two"
    assert text_of(clips.feed(piece("three", 2, final=True))) == "three"


def test_a_message_whose_end_was_lost_is_not_joined_to_the_next() -> None:
    clips = Clips()
    clips.feed(piece("lost", 1))
    assert text_of(clips.feed(piece("next", 2, final=True))) == "next"


def test_a_message_is_as_sure_as_its_least_sure_words() -> None:
    clips = Clips()
    clips.feed(piece("one", 1, confidence=0.8))
    clips.feed(piece("two", 1, confidence=0.6))
    whole = clips.feed(piece("", 1, final=True, confidence=0.0))
    assert whole is not None
    assert (whole.text, whole.confidence) == ("one two", 0.6)


def test_stopping_ignores_what_was_sent_and_not_what_is_still_being_sent() -> None:
    clips = Clips()
    clips.sent(1)
    clips.feed(piece("begun", 2))  # recognised while the second is still being sent
    clips.forget()
    assert text_of(clips.feed(piece("late", 1, final=True))) is None
    assert text_of(clips.feed(piece("and ended", 2, final=True))) == "begun and ended"


def test_the_rest_of_a_failed_message_is_ignored() -> None:
    clips = Clips()
    clips.feed(piece("half", 1))
    clips.fail(1)
    assert text_of(clips.feed(piece("rest", 1, final=True))) is None
    assert text_of(clips.feed(piece("next", 2, final=True))) == "next"


def test_a_message_may_belong_to_a_conversation() -> None:
    clips = Clips()
    clips.sent(1, "s1")
    clips.sent(2)
    assert (clips.session(1), clips.session(2)) == ("s1", None)
    clips.sent(3, "s3")
    clips.fail(3)
    assert clips.session(3) is None
