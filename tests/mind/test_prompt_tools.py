"""Tools in a prompt: listed, called, answered, and cut."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore.config import LlmConfig
from voicecore.engines.interface import CalledTool, EngineInfo, Image, Message, ToolSpec
from voicecore.mind.prompt import OPENING, build_prompt, cost, fitting_tools, merge
from voicecore.mind.prompt_tools import DESCRIPTION_CHARS, ToolsAs, as_text, how_told, section
from voicecore.mind.strip import ToolCall, ToolCallStripper

TIME = ToolSpec(
    "get_time",
    "Tells the time.",
    {"type": "object", "properties": {"zone": {"type": "string", "description": "IANA name"}}},
)
TIMER = ToolSpec(
    "set_timer",
    "S",
    {
        "type": "object",
        "properties": {
            "minutes": {"type": "number"},
            "sound": {"enum": ["on", "off"]},
            "labels": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]},
            "extra": {"$ref": "#/$defs/Extra"},
        },
        "required": ["minutes"],
    },
)
ASKED = CalledTool("c1", "get_time", '{"zone": "UTC"}')


def user(text: str) -> Message:
    return Message("user", text)


def assistant(text: str, *calls: CalledTool) -> Message:
    return Message("assistant", text, calls=calls)


def result(text: str, call_id: str = "c1") -> Message:
    return Message("tool", text, call_id=call_id)


ROUND = [user("Time?"), assistant("Let me see.", ASKED), result("It is noon.")]


def built(history: list[Message], tools_as: ToolsAs, system: str = "", budget: int = 2000) -> Any:
    return build_prompt(
        system,
        history,
        budget_tokens=budget,
        max_tokens=100,
        tools=(TIME, TIMER),
        tools_as=tools_as,
    )


def test_natively_all_stays_what_it_is() -> None:
    prompt = built(ROUND, "native", "Be brief.")

    assert prompt.messages == (Message("system", "Be brief."), *ROUND)
    assert prompt.tools == (TIME, TIMER)


@pytest.mark.parametrize("tools_as", ["text", "off"])
def test_as_text_calls_and_results_are_ordinary_messages(tools_as: ToolsAs) -> None:
    prompt = built([*ROUND, assistant("Noon."), user("Thanks.")], tools_as, "Be brief.")

    assert prompt.messages[1:] == (
        user("Time?"),
        assistant(
            'Let me see.\n<tool_call>{"name": "get_time", "arguments": {"zone": "UTC"}}</tool_call>'
        ),
        user("<tool_response>It is noon.</tool_response>"),
        assistant("Noon."),
        user("Thanks."),
    )
    assert prompt.tools == ()
    assert ("get_time" in prompt.messages[0].content) == (tools_as == "text")


def test_what_follows_a_result_is_merged_with_it_as_text() -> None:
    two = (ASKED, attrs.evolve(ASKED, id="c2", arguments=""))
    history = [user("Time?"), assistant("", *two), result("Noon."), result("One.", "c2"), user("?")]

    *_, called, answered = built(history, "off").messages

    assert called.content == (
        '<tool_call>{"name": "get_time", "arguments": {"zone": "UTC"}}</tool_call>\n'
        '<tool_call>{"name": "get_time", "arguments": {}}</tool_call>'
    )
    assert answered.role == "user"
    assert answered.content == (
        "<tool_response>Noon.</tool_response>\n<tool_response>One.</tool_response>\n?"
    )
    assert list(built(history, "native").messages) == history


def test_a_result_cannot_end_itself() -> None:
    content = as_text(result("x</tool_response>\n< / Tool_Response></ TOOL_RESPONSE>")).content

    assert content.count("</tool_response>") == 1
    assert content.lower().count("</ tool") == 0
    assert content.startswith("<tool_response>x[/tool_response>")


def test_a_result_keeps_its_picture() -> None:
    picture = Image("image/png", b"1")

    assert as_text(Message("tool", "A map.", (picture,))).images == (picture,)


def test_merging_keeps_calls_and_results() -> None:
    other = CalledTool("c2", "f", "{}")
    history = [assistant("Hm."), assistant("See:", ASKED), assistant("", other), result("1"),
               result("2", "c2")]  # fmt: skip

    assert merge(history) == [assistant("Hm.\nSee:", ASKED, other), result("1"), result("2", "c2")]


@pytest.mark.parametrize(
    "arguments", ['{"zone": "UTC"}', "{}", '{"a": {"b": [1, "</tool_call>"]}}', '{"x": "\\"}"}']
)
def test_a_call_as_text_is_what_the_stripper_takes_out(arguments: str) -> None:
    written = as_text(assistant("See:", CalledTool("c", 'odd "name"', arguments))).content
    stripper = ToolCallStripper()

    calls = [
        piece
        for piece in [*stripper.feed(written), *stripper.close()]
        if isinstance(piece, ToolCall)
    ]

    assert [(call.name, call.arguments) for call in calls] == [
        ('odd "name"', json.loads(arguments))
    ]


# --- the list ------------------------------------------------------------------------------------


def test_the_list_of_tools() -> None:
    assert section([TIME, TIMER]).splitlines()[1:3] == [
        "- get_time(zone?: string): Tells the time. zone: IANA name.",
        '- set_timer(minutes: number, sound?: "on"|"off", labels?: list of string, extra?: any): S',
    ]
    until = {"properties": {"until": {"type": ["string", "null"]}}}
    assert section([ToolSpec("f", "", until)]).splitlines()[1] == "- f(until?: string)"
    assert '<tool_call>{"name": ' in section([TIME])
    assert section([]) == ""


def test_what_a_server_describes_at_length_is_shortened_and_what_is_no_schema_is_borne() -> None:
    long = ToolSpec("f", "word\n" * 500, {"properties": {"x": 3}, "required": "x"})

    line = section([long]).splitlines()[1]

    assert line.startswith("- f(x?: any): word word")
    assert line.endswith(" …")
    assert len(line) < DESCRIPTION_CHARS + 20
    assert section([ToolSpec("f", "", {})]).splitlines()[1] == "- f()"


@pytest.mark.parametrize("system", ["", "Be brief.", "User: Hi.\nAssistant: Hello."])
def test_the_list_ends_the_system_prompt(system: str) -> None:
    prompt = built([user("Time?")], "text", system)

    assert prompt.messages[0].role == "system"
    assert prompt.messages[0].content.endswith(section([TIME, TIMER]))
    assert prompt.messages[-1] == user("Time?")
    assert len(prompt.messages) == (4 if "User:" in system else 2)


def test_a_long_character_prompt_is_cut_and_not_the_list() -> None:
    prompt = built([user("Time?")], "text", "word " * 3000, budget=1000)

    assert prompt.messages[0].content.startswith("word word")
    assert prompt.messages[0].content.endswith(section([TIME, TIMER]))


@pytest.mark.parametrize("tools_as", ["native", "text"])
def test_only_tools_that_fit_are_told(tools_as: ToolsAs) -> None:
    tools = [attrs.evolve(TIME, name=f"tool_{n}") for n in range(100)]

    told = fitting_tools(tools, tools_as, budget_tokens=2000, max_tokens=200)

    assert 5 < len(told) < 60
    assert list(told) == tools[: len(told)]
    prompt = build_prompt(
        "", [user("?")], budget_tokens=2000, max_tokens=200, tools=tools, tools_as=tools_as
    )
    assert cost(prompt.messages, prompt.tools) <= 920
    assert prompt.tools == (told if tools_as == "native" else ())


def test_tools_cost() -> None:
    assert cost([], [TIME, TIMER]) == cost([], [TIME]) + cost([], [TIMER]) > 100
    assert cost(ROUND) > cost([user("Time?"), assistant("Let me see."), user("It is noon.")]) + 20


@pytest.mark.parametrize(
    ("setting", "calls_tools", "told"),
    [
        ("auto", True, "native"),
        ("auto", False, "off"),
        ("native", True, "native"),
        ("text", False, "text"),
        ("off", False, "off"),
    ],
)
def test_how_a_model_is_told(setting: Any, calls_tools: bool, told: ToolsAs) -> None:
    info = EngineInfo("llm", "x", "m", "1", calls_tools=calls_tools)

    assert how_told(LlmConfig(tools=setting), info) == told


# --- the cut -------------------------------------------------------------------------------------


def test_long_results_are_shortened_and_the_question_stays() -> None:
    history = [user("Time?"), assistant("", ASKED), result("word " * 3000)]

    prompt = built(history, "native", budget=1000)

    *asked, answered = prompt.messages
    assert asked == history[:2]
    assert answered.content.startswith("word word")
    assert 880 < cost(prompt.messages, prompt.tools) <= 900


def test_a_long_question_and_a_long_result_share_the_room() -> None:
    history = [user("word " * 3000), assistant("", ASKED), result("thing " * 3000)]

    asked, _, answered = built(history, "native", budget=1000).messages

    assert 0.8 < len(asked.content) / len(answered.content) < 1.25


def test_the_oldest_calls_go_when_there_are_too_many() -> None:
    rounds = [
        message
        for n in range(20)
        for message in (
            assistant("", attrs.evolve(ASKED, id=f"c{n}")),
            result(f"{n}: " + "word " * 100, f"c{n}"),
        )
    ]

    messages = built([user("Time?"), *rounds], "native", budget=1000).messages

    assert messages[0] == user("Time?")
    assert len(messages) % 2 == 1
    assert messages[1].calls == rounds[-len(messages) + 1].calls
    assert messages[-1].content.startswith("19: word word")


def test_the_last_results_stay_however_little_of_them_fits() -> None:
    calls = [CalledTool(f"c{n}", "f", "{}") for n in range(10)]
    results = [result("word " * 500, call.id) for call in calls]

    messages = built([user("Time?"), assistant("", *calls), *results], "native", budget=1200)

    assert len(messages.messages) == 12
    assert cost(messages.messages) <= 1100


TEXTS = st.one_of(st.text(max_size=60), st.integers(0, 400).map(lambda n: "word " * n),
                  st.just("</tool_response>" * 20))  # fmt: skip
NUMBERS = st.integers(1, 3)


@st.composite
def exchanges(draw: st.DrawFn) -> list[Message]:
    """A user message, and perhaps rounds of calls with their results, and an answer."""
    messages = [user(draw(TEXTS))]
    for number in range(draw(st.integers(0, 3))):
        calls = [
            CalledTool(f"{number}.{n}", "f", draw(st.sampled_from(["{}", '{"x": 1}', "{bad"])))
            for n in range(draw(NUMBERS))
        ]
        messages.append(assistant(draw(TEXTS), *calls))
        messages += [result(draw(TEXTS), call.id) for call in calls]
    if draw(st.booleans()):
        messages.append(assistant(draw(TEXTS)))
    return messages


HISTORIES = st.lists(exchanges(), min_size=1, max_size=5)
BUDGETS = st.integers(128, 2048)
WAYS = st.sampled_from(["native", "text", "off"])


@given(
    system=TEXTS,
    past=HISTORIES,
    newest=TEXTS,
    budget=BUDGETS,
    reply=st.integers(1, 512),
    tools_as=WAYS,
)
def test_what_always_holds(
    system: str, past: list[list[Message]], newest: str, budget: int, reply: int, tools_as: ToolsAs
) -> None:
    history = [message for exchange in past for message in exchange]
    if newest:
        history.append(user(newest))

    prompt = build_prompt(
        system,
        history,
        budget_tokens=budget,
        max_tokens=reply,
        tools=(TIME, TIMER),
        tools_as=tools_as,
    )

    messages = list(prompt.messages)
    assert cost(messages, prompt.tools) <= budget - min(reply, budget // 2)
    if messages[0].role == "system":
        messages.pop(0)
    assert messages[0].role == "user"
    if tools_as == "native":
        paired(messages)
    else:
        alternate(messages)


def paired(messages: list[Message]) -> None:
    """Every call has its result at once, every result its call."""
    waiting: list[str] = []
    for message in messages:
        if message.role == "tool":
            assert message.call_id == waiting.pop(0)
        else:
            assert waiting == []
            waiting = [call.id for call in message.calls]
    assert waiting == []


def alternate(messages: list[Message]) -> None:
    assert not [message for message in messages if message.role == "tool" or message.calls]
    assert all(one.role != other.role for one, other in pairwise(messages))


@given(past=HISTORIES, budget=BUDGETS)
def test_the_prompt_begins_like_the_last_one_until_half_the_room_is_freed(
    past: list[list[Message]], budget: int
) -> None:
    history: list[Message] = []
    for exchange in past:
        if history and history[-1].role != "assistant":
            history.append(assistant("Yes."))
        history += exchange
    prompts = [
        build_prompt(
            "", history[:end], budget_tokens=budget, max_tokens=50, tools_as="native"
        ).messages
        for end in range(1, len(history) + 1)
    ]

    for before, after in pairwise(prompts):
        grown = after[: len(before)] == before
        one_exchange = [message.role for message in after].count("user") == 1
        assert grown or cost(after) <= (budget - 50) // 2 or one_exchange


@given(past=HISTORIES, budget=BUDGETS)
def test_the_cut_is_the_same_for_models_that_are_told_in_words(
    past: list[list[Message]], budget: int
) -> None:
    history = [message for exchange in past for message in exchange]

    native = build_prompt("", history, budget_tokens=budget, max_tokens=50, tools_as="native")
    off = build_prompt("", history, budget_tokens=budget, max_tokens=50)

    assert list(off.messages) == merge(map(as_text, native.messages))


def test_a_character_that_calls_first_gets_an_opening() -> None:
    history = [assistant("", ASKED), result("Noon."), assistant("It is noon."), user("Thanks.")]

    assert built(history, "native").messages == (OPENING, *history)
