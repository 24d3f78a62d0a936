"""What is shown of a conversation: the host's messages, as lines and a state."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore.talk.dialogue import Dialogue, Line, ReplyEnd, ReplyText, Shown
from voicecore.talk.reply import Reply, Word, words_of

PARIS = "Paris, of course. It is."
VOICE = {"name": "voice", "owner": "tts", "start_ms": 0.0, "end_ms": 50.0}
WORDS = [Word(100, 0, 5), Word(400, 7, 9), Word(500, 10, 16), Word(900, 18, 20), Word(1000, 21, 23)]


def text_of(shown: list[Shown]) -> str:
    return "".join(item.text for item in shown if isinstance(item, ReplyText))


class Talked:
    """A dialogue, and all that it showed."""

    def __init__(self, *, follows_voice: bool = False) -> None:
        self.dialogue = Dialogue("Mia", follows_voice, timing=lambda reply: str(len(reply.spans)))
        self.shown: list[Shown] = []
        self.now_s = 0.0
        self.dialogue.connect()
        self.tell("session_started")

    def tell(self, kind: str, **fields: Any) -> None:
        self.shown += self.dialogue.feed({"type": kind, **fields}, self.now_s)

    def status(self, code: str, text: str) -> None:
        self.tell("status", message=json.dumps({"code": code, "details": {"message": text}}))

    def hear(self, speech: str, ms: float, *, sounding: bool = True) -> None:
        self.shown += self.dialogue.tick(self.now_s, (speech, ms), sounding=sounding)

    def reply(self, text: str, turn: str = "t1") -> None:
        self.tell("gemini_response", text=text, turn_id=turn, isNewMessage=True)

    def words(self, words: list[Word], speech: str = "t1", turn: str = "t1") -> None:
        described = [{"start_ms": w.start_ms, "from": w.begin, "to": w.end} for w in words]
        self.tell("speech_words", turn_id=turn, speech_id=speech, words=described)

    def over(self, turn: str = "t1") -> None:
        self.tell("timeline", turn_id=turn, spans=[VOICE, {"name": "odd"}])
        self.hear(turn, 9_999, sounding=False)

    @property
    def text(self) -> str:
        return text_of(self.shown)

    def phase(self, *, sounding: bool = False) -> str:
        return self.dialogue.phase(self.now_s, sounding=sounding)


# --- the reply, as it is spoken ---


def test_text_is_shown_up_to_the_word_that_is_heard_with_its_signs() -> None:
    talked = Talked(follows_voice=True)
    talked.reply(PARIS)
    talked.words(WORDS)
    talked.tell("audio_chunk", speech_id="t1")
    seen = []
    for ms in (-50, 99, 100, 399, 400, 500, 950, 1000):
        talked.hear("t1", ms)
        seen.append(talked.text)
    assert seen == [
        "",
        "",
        "Paris,",
        "Paris,",
        "Paris, of",
        "Paris, of course.",
        "Paris, of course. It",
        PARIS,
    ]


def test_text_without_blanks_follows_word_by_word() -> None:
    talked = Talked(follows_voice=True)
    talked.reply("巴黎是首都。")
    talked.words([Word(0, 0, 2), Word(300, 2, 3), Word(500, 3, 5)])
    talked.tell("audio_chunk", speech_id="t1")
    seen = []
    for ms in (1, 301, 501):
        talked.hear("t1", ms)
        seen.append(talked.text)
    assert seen == ["巴黎", "巴黎是", "巴黎是首都。"]


def test_text_of_a_host_that_tells_no_words_is_shown_with_its_sound() -> None:
    talked = Talked(follows_voice=True)
    talked.reply("Paris, ")
    assert talked.text == ""
    talked.tell("audio_chunk", speech_id="t1")
    assert talked.text == "Paris, "
    talked.reply("of course.")
    assert talked.text == "Paris, of course."


def test_typed_conversations_show_text_as_it_comes() -> None:
    talked = Talked()
    talked.reply("Paris, ")
    assert talked.text == "Paris, "


def test_all_of_a_reply_is_shown_at_its_end() -> None:
    talked = Talked(follows_voice=True)
    talked.reply(PARIS)
    talked.words(WORDS[:1])
    talked.tell("audio_chunk", speech_id="t1")
    talked.hear("t1", 200)
    talked.over()
    assert talked.text == PARIS
    assert talked.shown[-2:] == [ReplyEnd(), Line("timing", "1")]


def test_a_reply_without_sound_is_shown_at_its_end() -> None:
    talked = Talked(follows_voice=True)
    talked.reply(PARIS)
    talked.over()
    assert talked.text == PARIS


def test_a_reply_stays_open_while_it_sounds() -> None:
    talked = Talked()
    talked.reply(PARIS)
    talked.tell("timeline", turn_id="t1", spans=[])
    talked.hear("t1", 500)
    assert talked.dialogue.busy
    talked.hear("t1", 900, sounding=False)
    assert not talked.dialogue.busy


def test_a_host_without_timelines_is_done_when_it_says_nothing_more() -> None:
    talked = Talked()
    talked.reply(PARIS)
    talked.tell("system", data="turn end")
    talked.now_s = 1.9
    talked.hear("t1", 0, sounding=False)
    assert talked.dialogue.busy
    talked.now_s = 2.1
    talked.hear("t1", 0, sounding=False)
    assert talked.shown[-1] == ReplyEnd()


def interrupted() -> Talked:
    talked = Talked(follows_voice=True)
    talked.reply(PARIS)
    talked.words(WORDS)
    talked.tell("audio_chunk", speech_id="t1")
    talked.hear("t1", 450)
    talked.tell("user_activity", interrupted_speech_id="t1")
    return talked


def test_an_interrupted_reply_ends_where_it_was_heard() -> None:
    talked = interrupted()
    talked.tell("user_transcript", text="Thanks.")
    assert talked.text == "Paris, of"
    assert talked.shown[-2:] == [ReplyEnd(stopped=True), Line("you", "Thanks.")]


def test_a_reply_goes_on_after_a_cough() -> None:
    talked = interrupted()
    talked.words([Word(0, 7, 9), Word(100, 10, 16)], speech="t1.2")
    talked.tell("audio_chunk", speech_id="t1.2")
    talked.hear("t1.2", 120)
    assert talked.text == "Paris, of course."
    talked.over()
    assert talked.text == PARIS
    assert ReplyEnd() in talked.shown


def test_a_typed_message_ends_the_reply() -> None:
    talked = Talked()
    talked.reply(PARIS)
    talked.shown += talked.dialogue.typed("And Rome?")
    assert talked.shown[-2:] == [ReplyEnd(stopped=True), Line("you", "And Rome?")]
    assert talked.dialogue.busy


def test_the_next_turn_ends_the_one_before() -> None:
    talked = Talked()
    talked.reply("One.")
    talked.reply("Two.", turn="t2")
    assert talked.shown == [ReplyText("Mia", "One."), ReplyEnd(), ReplyText("Mia", "Two.")]


pieces = st.lists(st.text("ab, .", max_size=5), max_size=10)
moments = st.lists(st.integers(-100, 1_500), max_size=20)


@given(pieces, moments, st.booleans())
def test_whatever_is_heard_when_all_text_is_shown_once_and_in_order(
    texts: list[str], heard_ms: list[int], follows: bool
) -> None:
    reply, shown = Reply("t", follows), ""
    reply.time("t", WORDS)
    for index, text in enumerate(texts):
        shown += reply.write(text)
        shown += reply.sound(0.0) if index == 2 else ""
        for ms in heard_ms[index :: len(texts)]:
            shown += reply.hear("t", ms, 0.0)
            assert reply.text.startswith(shown)
    assert shown + reply.rest() == "".join(texts)


def test_words_that_are_none_are_left_out() -> None:
    good = {"text": "a", "start_ms": 1, "end_ms": 2, "from": 0, "to": 1}
    assert words_of({"words": [good, {}, None, {"start_ms": "x", "from": 0, "to": 1}]}) == [
        Word(1.0, 0, 1)
    ]
    assert words_of({}) == []


# --- the state ---


def test_phases_of_a_turn() -> None:
    talked = Talked()
    seen = [talked.phase()]
    talked.tell("user_activity", interrupted_speech_id=None)
    seen.append(talked.phase())
    talked.now_s = 1.5
    talked.tell("user_partial", text="what is")
    assert talked.dialogue.partial == "what is"
    talked.now_s = 3.0
    seen.append(talked.phase())
    talked.tell("user_transcript", text="What is it?")
    assert talked.dialogue.partial == ""
    seen.append(talked.phase())
    talked.reply("It.")
    seen += [talked.phase(), talked.phase(sounding=True)]
    talked.over()
    seen.append(talked.phase())
    assert seen == [
        "listening",
        "hearing",
        "hearing",
        "thinking",
        "thinking",
        "speaking",
        "listening",
    ]


def test_a_cough_is_heard_for_2_s() -> None:
    talked = Talked()
    talked.tell("user_activity", interrupted_speech_id=None)
    talked.now_s = 2.1
    assert talked.phase() == "listening"


def test_a_partial_that_was_nothing_is_taken_back() -> None:
    talked = Talked()
    talked.tell("user_partial", text="hm")
    talked.tell("user_partial", text="")
    assert talked.phase() == "listening"


def test_before_it_starts() -> None:
    assert Dialogue("Mia").phase(0, sounding=False) == "starting"


def test_the_emotion_is_that_of_the_reply() -> None:
    talked = Talked()
    talked.tell("emotion", emotion="happy")
    talked.reply("Hooray!")
    assert talked.dialogue.emotion == "happy"
    talked.over()
    assert talked.dialogue.emotion == "neutral"


# --- everything else ---


def test_problems_are_shown_in_words_and_other_statuses_are_not() -> None:
    talked = Talked()
    talked.status("SESSION_STARTED", "Session started successfully")
    talked.status("STT_FAILED", "Recognition failed.")
    talked.tell("status", message="Old words.")
    talked.tell("status", message='{"code": "ODD"}')
    assert talked.shown == [
        Line("problem", text) for text in ("Recognition failed.", "Old words.", "ODD")
    ]


def test_a_turn_that_failed_is_awaited_no_more() -> None:
    talked = Talked()
    talked.dialogue.typed("Hello")
    talked.tell("timeline", turn_id="t1", spans=[])
    talked.status("ENGINE_ERROR", "The model is down.")
    assert not talked.dialogue.busy


@pytest.mark.parametrize("code", ["SUPERSEDED", "SESSION_ENDED"])
def test_statuses_that_mean_something(code: str) -> None:
    talked = Talked()
    talked.status(code, "Words.")
    assert (talked.dialogue.superseded, talked.dialogue.ended) == (
        code == "SUPERSEDED",
        code == "SESSION_ENDED",
    )


def test_tasks_are_live_while_they_run_and_a_line_when_done() -> None:
    talked = Talked()
    task = {"id": "1", "tool": "set_timer", "status": "running", "progress": 40, "detail": ""}
    talked.tell("agent_task_update", task=task)
    assert [(t.tool, t.progress) for t in talked.dialogue.tasks.values()] == [("set_timer", 40)]
    talked.tell("agent_task_update", task={**task, "status": "failed", "detail": "no time"})
    talked.tell("agent_notification", text="The timer is over.", source="set_timer", status="done")
    assert talked.dialogue.tasks == {}
    assert talked.shown == [
        Line("task", "set_timer: failed (no time)"),
        Line("task", "set_timer: The timer is over."),
    ]


def test_another_character_and_a_new_configuration() -> None:
    talked = Talked()
    talked.tell("catgirl_switched", new_catgirl="Leo", old_catgirl="Mia")
    talked.tell("reload_page", message="The configuration changed.")
    assert talked.dialogue.elsewhere == "Leo"
    assert [item.text for item in talked.shown if isinstance(item, Line)] == [
        "Mia gives the word to Leo.",
        "The configuration changed.",
    ]


def test_a_reply_cannot_control_the_terminal() -> None:
    talked = Talked()
    talked.reply("\x1b[2Jred\r\x9b31m\ntab\t.")
    talked.tell("status", message="a\x1b]0;title\x07b")
    assert talked.text == " [2Jred  31m\ntab ."
    assert talked.shown[-1] == Line("problem", "a ]0;title b")


def test_a_lost_connection_ends_what_was_going_on() -> None:
    talked = Talked()
    talked.reply("Par")
    talked.shown += talked.dialogue.disconnect()
    assert talked.shown[-1] == ReplyEnd()
    assert not talked.dialogue.busy
    assert talked.phase() == "starting"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
KINDS = [
    "status", "user_activity", "user_partial", "user_transcript", "emotion", "gemini_response",
    "speech_words", "audio_chunk", "system", "timeline", "agent_notification",
    "agent_task_update", "agent_status_update", "pong", "whatever",
]  # fmt: skip
FIELDS = [
    "message", "interrupted_speech_id", "text", "turn_id", "speech_id", "words", "spans", "data",
    "task", "emotion",
]  # fmt: skip


@given(
    st.lists(
        st.tuples(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(FIELDS), JSON)),
        max_size=8,
    )
)
def test_no_message_of_another_host_is_a_fault(messages: list[tuple[str, dict[str, Any]]]) -> None:
    talked = Talked(follows_voice=True)
    for kind, fields in messages:
        talked.tell(kind, **fields)
        talked.hear("t1", 100)
    assert all(isinstance(item, Line | ReplyText | ReplyEnd) for item in talked.shown)
