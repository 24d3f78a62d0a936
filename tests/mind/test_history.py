"""What is kept of a conversation, in memory and for the store."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voicecore.engines.interface import CalledTool, Image, Message
from voicecore.mind.history import History, recalled, stored_exchange, whole
from voicecore.store import SessionRecord, StoredMessage

CALL = Message("assistant", "Let me see.", calls=(CalledTool("c1", "clock", "{}"),))
RESULT = Message("tool", "noon", call_id="c1")


def opened(*messages: StoredMessage, max_messages: int = 200) -> History:
    history = History(lambda: 5.0, max_messages)
    history.open(SessionRecord("s1", "default", "me", 0.0, messages))
    return history


def user(text: str) -> StoredMessage:
    return StoredMessage(role="user", content=text, at=1.0)


def test_memory_is_bounded_and_begins_with_the_person() -> None:
    history = opened(max_messages=10)
    for number in range(100):
        history.said(f"question {number}", "text")
        history.overheard("s1", [StoredMessage(role="assistant", content="yes", at=1.0)])
        assert len(history.messages) <= 21
        assert history.messages[0].role == "user"
    assert history.messages[-2].content == "question 99"


def test_what_another_socket_said_while_it_was_opened_is_known_once() -> None:
    history = History(lambda: 5.0, 200)
    history.overheard("s1", [user("stored in time"), user("stored too late")])
    history.overheard("other", [user("of another conversation")])
    history.open(SessionRecord("s1", "default", "me", 0.0, (user("stored in time"),)))
    assert [m.content for m in history.messages] == ["stored in time", "stored too late"]


def test_a_picture_is_forgotten_when_a_newer_one_is_shown() -> None:
    history = opened()
    history.said("look", "text", (Image("image/jpeg", b"1"),))
    history.said("and here", "text")
    assert [len(m.images) for m in history.messages] == [1, 0]
    history.said("look again", "text", (Image("image/jpeg", b"2"),))
    assert [len(m.images) for m in history.messages] == [0, 0, 1]


def test_calls_and_results_survive_the_store() -> None:
    for message in (CALL, RESULT):
        assert recalled(stored_exchange(message, 1.0, "voice")) == message


PIECES = st.sampled_from(
    [
        Message("user", "hi"),
        Message("assistant", "hello"),
        CALL,
        RESULT,
        Message("assistant", "", calls=(CalledTool("c2", "a", "{}"), CalledTool("c3", "b", "{}"))),
        Message("tool", "x", call_id="c2"),
        Message("tool", "y", call_id="c3"),
    ]
)


@given(st.lists(PIECES, max_size=12))
def test_however_a_history_was_cut_calls_and_results_belong_together(
    messages: list[Message],
) -> None:
    kept = whole(messages)
    for at, message in enumerate(kept):
        if message.calls:
            results = []
            for later in kept[at + 1 :]:
                if later.role != "tool":
                    break
                results.append(later.call_id)
            assert {call.id for call in message.calls} <= set(results)
        if message.role == "tool":
            assert any(message.call_id == call.id for one in kept[:at] for call in one.calls)
    assert [m for m in kept if m.role == "user"] == [m for m in messages if m.role == "user"]


def test_a_whole_history_is_left_as_it_is() -> None:
    messages = [Message("user", "time?"), CALL, RESULT, Message("assistant", "It is noon.")]
    assert whole(messages) == messages
    assert whole(messages[2:]) == [messages[3]]
    assert whole(messages[:2]) == messages[:1]
