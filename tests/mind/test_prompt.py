from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voicecore.config import CharacterConfig
from voicecore.engines.interface import Image, Message
from voicecore.mind.prompt import (
    OPENING,
    build_prompt,
    cost,
    merge,
    split_examples,
    tokens_of,
)

PICTURE = Image("image/png", b"1234")


def user(text: str, *images: Image) -> Message:
    return Message("user", text, images)


def assistant(text: str) -> Message:
    return Message("assistant", text)


def test_system_first_then_the_conversation() -> None:
    history = [user("Hello."), assistant("Hi!"), user("How are you?")]

    prompt = build_prompt("Be brief.", history, budget_tokens=1000, max_tokens=100)

    assert prompt.messages == (Message("system", "Be brief."), *history)
    assert prompt.max_tokens == 100
    assert prompt.temperature is None


def test_no_system_prompt() -> None:
    assert build_prompt(" ", [user("Hi.")], budget_tokens=500, max_tokens=50).messages == (
        user("Hi."),
    )


def test_neighbours_of_one_role_are_merged_with_their_pictures() -> None:
    merged = merge([user("One", PICTURE), user("two."), assistant("Yes."), user("", PICTURE)])

    assert merged == [user("One\ntwo.", PICTURE), assistant("Yes."), user("", PICTURE)]


def test_a_conversation_begun_by_the_character_gets_an_opening() -> None:
    history = [assistant("Good morning!"), user("Hello.")]

    prompt = build_prompt("", history, budget_tokens=500, max_tokens=50)

    assert prompt.messages == (OPENING, *history)


def test_only_the_newest_user_message_keeps_its_pictures() -> None:
    history = [user("See?", PICTURE), assistant("A cat."), user("And now?", PICTURE)]

    prompt = build_prompt("", history, budget_tokens=5000, max_tokens=50)

    assert [message.images for message in prompt.messages] == [(), (), (PICTURE,)]


# --- examples ------------------------------------------------------------------------------------


def test_examples_become_messages() -> None:
    text = "Be kind.\nUser: Hello.\nAssistant: Hi!\nHow are you?\nUser: Bye.\nAssistant: Bye."

    assert split_examples(text) == (
        "Be kind.",
        (user("Hello."), assistant("Hi!\nHow are you?"), user("Bye."), assistant("Bye.")),
    )


@pytest.mark.parametrize(
    "text",
    [
        "Be kind.",
        "Be kind.\nUser: Hello.",
        "Assistant: a robot.\nUser: a child.",
        "User: one\nUser: two\nAssistant: three\nAssistant: four",
        "Be kind.\nUser:\nAssistant: What?",
        "The User: field and the Assistant: field",
    ],
)
def test_other_texts_are_left_whole(text: str) -> None:
    assert split_examples(text) == (text, ())


def test_the_default_character_has_examples() -> None:
    system, examples = split_examples(CharacterConfig().prompt)

    assert "User:" not in system
    assert len(examples) == 8


def test_a_long_system_prompt_loses_its_examples_then_its_end() -> None:
    history = [user("Hello.")]
    examples = "\nUser: Hi.\nAssistant: Hi!"

    shorter = build_prompt("word " * 65 + examples, history, budget_tokens=400, max_tokens=100)
    shortest = build_prompt("word " * 900 + examples, history, budget_tokens=400, max_tokens=100)

    assert shorter.messages == (Message("system", ("word " * 65).strip()), *history)
    assert shortest.messages[0].content.startswith("word word")
    assert shortest.messages[0].content.endswith(" word")
    assert cost(shortest.messages[:1]) <= 150
    assert shortest.messages[1:] == tuple(history)


# --- the cut -------------------------------------------------------------------------------------


def test_a_newest_message_that_is_too_long_loses_its_beginning() -> None:
    text = " ".join(f"w{number}" for number in range(2000))

    prompt = build_prompt("", [user(text)], budget_tokens=300, max_tokens=100)

    (kept,) = prompt.messages
    assert text.endswith(f" {kept.content}")
    assert 150 < cost(prompt.messages) <= 200


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("I don't know whether I should talk to my boss about it or just let it go. ", 20),
        ("ob ich mit meiner Chefin darüber sprechen soll. ", 17),
        ("我今天工作很不顺利,不知道该不该跟老板谈谈。", 41),
        ("今日は仕事で本当にひどい一日でした。上司に話すべきか分かりません。", 56),
        ("🎉😀👩‍👩‍👧🇩🇪", 25),
        ("3.14159265358979", 16),
    ],
)
def test_the_estimate_is_not_below_what_smollm2_counts(text: str, counted: int) -> None:
    assert counted <= tokens_of(text) <= 2 * counted


TEXTS = st.one_of(st.text(max_size=60), st.integers(0, 400).map(lambda n: "word " * n))
CONVERSATIONS = st.lists(st.tuples(TEXTS, TEXTS), max_size=12)
BUDGETS = st.integers(128, 2048)


@example(
    system="0",
    past=[Message("assistant", "0" * 13 + "\x80" * 9 + "𐀀" * 6)],
    newest="",
    budget=128,
    reply=54,
)
@given(
    system=TEXTS,
    past=st.lists(st.builds(Message, st.sampled_from(["user", "assistant"]), TEXTS), max_size=24),
    newest=TEXTS,
    budget=BUDGETS,
    reply=st.integers(1, 512),
)
def test_what_always_holds(
    system: str, past: list[Message], newest: str, budget: int, reply: int
) -> None:
    history = [*past, user(newest)]

    prompt = build_prompt(system, history, budget_tokens=budget, max_tokens=reply)

    messages = list(prompt.messages)
    assert cost(messages) <= budget - min(reply, budget // 2)
    if messages[0].role == "system":
        messages.pop(0)
    assert [message.role for message in messages[::2]] == ["user"] * len(messages[::2])
    assert [message.role for message in messages[1::2]] == ["assistant"] * len(messages[1::2])
    last, merged = messages[-1].content, merge(history)[-1].content
    assert last == merged or (len(messages) == 1 and merged.strip().endswith(last))


@given(conversation=CONVERSATIONS, budget=BUDGETS)
def test_the_prompt_begins_like_the_last_one_until_half_the_room_is_freed(
    conversation: list[tuple[str, str]], budget: int
) -> None:
    room = budget - 50
    history: list[Message] = []
    prompts: list[tuple[Message, ...]] = []
    for asked, answered in conversation:
        history.append(user(asked))
        prompts.append(build_prompt("", history, budget_tokens=budget, max_tokens=50).messages)
        history.append(assistant(answered))

    for before, after in pairwise(prompts):
        grown = after[: len(before)] == before
        one_long_exchange = len(after) <= 3
        assert grown or cost(after[:-1]) <= room // 2 or one_long_exchange
