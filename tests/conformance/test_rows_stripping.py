"""What a model writes as a tool call, and what the client gets of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from tests.conformance.place import Client, Message, Opener, ThreadPlace, only, quick, text_of
from tests.conformance.test_rows_neko import tool
from tests.harness import Fakes
from voicecore.engines.fake import FakeEngine, Step
from voicecore.engines.interface import Delta, LlmChunk, Prompt

row = pytest.mark.row

JSON = '{"name": "work", "arguments": {}}'
TAGGED = f"<tool_call>{JSON}</tool_call>"
NESTED = '{"name": "work", "arguments": {"a": {"b": {"c": [{}, {"d": {}}]}}}}'
QUOTES = r'{"name": "work", "arguments": {"a": "} \" { \\", "b": "</tool_call>{\"name\": 1}"}}'
BOB = '{"name": "Bob"}'

FORMS = {
    "json": TAGGED,
    "names": (
        "<tool_call><tool_call_name>work</tool_call_name>"
        "<tool_call_args>{}</tool_call_args></tool_call>"
    ),
    "keys": (
        "<tool_call>work\n<tool_call_arg_key>a</tool_call_arg_key>\n"
        "<tool_call_arg_value>1</tool_call_arg_value></tool_call>"
    ),
    "attribute": '<tool_call_name="work"/>',
    "parameter": '<tool_call_name="work"/><parameter name="a">Paris</parameter>',
    "result": '<tool_result name="work">{"ok": "<b>yes</b>"}</tool_result>',
    "bare": JSON,
    "registered": '{"name": "work"}',
    "fence": f"```json\n{JSON}\n```",
}
NO_CALL = {"result"}
"""A result that the model made up is taken out, and nothing runs."""


def shown(place: ThreadPlace, client: Client, replies: Sequence[object]) -> list[Message]:
    """Have the model give these replies, and take the turn."""
    place.fakes.llm._script = quick(*replies).llm._script  # type: ignore[arg-type]
    place.fakes.llm.requests.clear()
    return client.chat("go")


def calls(messages: Sequence[Message]) -> int:
    """How many were run to their end."""
    statuses = [m["task"]["status"] for m in only(messages, "agent_task_update")]
    return statuses.count("completed")


@pytest.fixture
def talk(open_host: Opener) -> Iterator[tuple[ThreadPlace, Client]]:
    place = open_host(tools=[tool(0)])
    with place.connect("/ws") as client:
        yield place, client


Talk = tuple[ThreadPlace, Client]


def expect(talk: Talk, reply: object, text: str, *, runs: int = 1) -> None:
    """Check what is shown of a reply; after a call the model says "Done.", which is shown too."""
    messages = shown(*talk, [reply, "Done."])
    assert text_of(messages).split() == text.split()
    assert messages[-1]["finalContent"] == text_of(messages)
    assert calls(messages) == runs
    assert "```" not in text_of(messages) or "```" in text


def expect_form(talk: Talk, form: str) -> None:
    runs = 0 if form in NO_CALL else 1
    after = " Done." if runs else ""
    expect(talk, f"Let me see. {FORMS[form]}", f"Let me see.{after}", runs=runs)
    expect(
        talk, f"Let me see. {FORMS[form]} One moment.", f"Let me see. One moment.{after}", runs=runs
    )


@row("C2.3-json")
def test_tags_around_json(talk: Talk) -> None:
    expect_form(talk, "json")


@row("C2.3-names")
def test_names_and_arguments_in_tags(talk: Talk) -> None:
    expect_form(talk, "names")


@row("C2.3-keys")
def test_keys_and_values_in_tags(talk: Talk) -> None:
    expect_form(talk, "keys")


@row("C2.3-attribute")
def test_the_name_in_an_attribute(talk: Talk) -> None:
    expect_form(talk, "attribute")


@row("C2.3-parameter")
def test_parameters_in_tags(talk: Talk) -> None:
    expect_form(talk, "parameter")


@row("C2.3-result")
def test_results_in_tags(talk: Talk) -> None:
    expect_form(talk, "result")


@row("C2.3-bare")
@pytest.mark.parametrize("name", ["tool", "name"])
@pytest.mark.parametrize("arguments", ["args", "arguments", "parameters"])
def test_bare_json_that_is_a_call(talk: Talk, name: str, arguments: str) -> None:
    call = f'{{"{name}": "work", "{arguments}": {{"a": 1}}}}'
    expect(talk, f"Let me see. {call}", "Let me see. Done.")
    turned = f'{{"{arguments}": {{"a": 1}}, "{name}": "work"}}'
    expect(talk, f"{turned} One moment.", "One moment. Done.")


@row("C2.3-registered")
def test_bare_json_that_names_a_tool(talk: Talk) -> None:
    expect_form(talk, "registered")


@row("C2.3-fence")
@pytest.mark.parametrize("mark", ["```", "```json", "```tool_call", "~~~"])
def test_a_fence_goes_with_its_call(talk: Talk, mark: str) -> None:
    expect(talk, f"Let me see.\n{mark}\n{JSON}\n{mark[:3]}\nWait.", "Let me see. Wait. Done.")
    expect(talk, f"{mark}\n{TAGGED}\n{mark[:3]}", "Done.")


@row("C2.3-nested")
def test_nested_objects(talk: Talk) -> None:
    expect(talk, f"See {NESTED} now.", "See now. Done.")
    expect(talk, f"See <tool_call>{NESTED}</tool_call> now.", "See now. Done.")


@row("C2.3-quotes")
def test_braces_and_quotes_in_strings(talk: Talk) -> None:
    expect(talk, f"See {QUOTES} now.", "See now. Done.")
    expect(talk, f"See <tool_call>{QUOTES}</tool_call> now.", "See now. Done.")


@row("C2.3-unclosed-tag")
@pytest.mark.parametrize("end", ["<tool_call>", "<tool_call>{", f"<tool_call>{JSON}", "<tool_ca"])
def test_a_tag_never_closed(talk: Talk, end: str) -> None:
    messages = shown(*talk, [f"Let me see. {end}", "Done."])
    assert text_of(messages).split() == ["Let", "me", "see.", "Done."]


@row("C2.3-unclosed-json")
@pytest.mark.parametrize("cut", [-1, -2, -5])
def test_json_never_closed(talk: Talk, cut: int) -> None:
    messages = shown(*talk, [f"Let me see. {JSON[:cut]}", "Done."])
    assert text_of(messages).split() == ["Let", "me", "see.", "Done."]


@row("C2.3-stray")
def test_a_stray_closing_tag(talk: Talk) -> None:
    expect(talk, "Hello </tool_call> there.", "Hello there.", runs=0)
    expect(talk, f"{TAGGED}</tool_call> Wait.", "Wait. Done.")


@row("C2.3-two")
@pytest.mark.parametrize("form", sorted(FORMS.keys() - NO_CALL - {"parameter"}))
def test_two_calls_in_a_row(talk: Talk, form: str) -> None:
    expect(talk, f"{FORMS[form]}\n{FORMS[form]}", "Done.", runs=2)


@row("C2.3-start")
def test_a_call_at_the_start(talk: Talk) -> None:
    expect(talk, f"{TAGGED} One moment.", "One moment. Done.")


@row("C2.3-end")
def test_a_call_at_the_end(talk: Talk) -> None:
    expect(talk, f"One moment. {TAGGED}", "One moment. Done.")


@row("C2.3-alone")
@pytest.mark.parametrize("form", sorted(FORMS.keys() - NO_CALL))
def test_a_call_alone_is_answered(talk: Talk, form: str) -> None:
    expect(talk, FORMS[form], "Done.")


@row("C2.3-fence-kept")
@pytest.mark.parametrize(
    "fence", ["```python\nprint(1)\n```", f"```json\n{BOB}\n```", f"```\nsee\n{JSON}x\n```"]
)
def test_a_fence_without_a_call_is_kept(talk: Talk, fence: str) -> None:
    if "see" in fence:  # a fence with a call and more: the call goes, the rest stays
        text = text_of(shown(*talk, [f"Look:\n{fence}\nThere.", "Done."]))
        assert "arguments" not in text
        assert "see" in text
        assert "There." in text
    else:
        expect(talk, f"Look:\n{fence}\nThere.", f"Look:\n{fence}\nThere.", runs=0)


def stuck(*texts: str) -> Fakes:
    """A model that writes these and then nothing more for an hour."""

    def script(prompt: Prompt) -> Iterator[Step[LlmChunk]]:
        for text in texts:
            yield 0.0, Delta(text)
        yield 3_600.0, Delta("never")

    fakes = quick()
    fakes.llm = FakeEngine("llm", script)
    return fakes


def expect_at_once(open_host: Opener, text: str, *, cut: int = 4) -> None:
    """Check that all of it is shown though nothing follows."""
    place = open_host(fakes=stuck(*[text[at : at + cut] for at in range(0, len(text), cut)]))
    with place.connect("/ws") as client:
        client.send(type="chat", message="go")
        while text_of(client.received) != text:
            assert text.startswith(text_of(client.received))
            client.until("chunk")
        client.send(type="stop")
        client.until("stopped")


@row("C2.3-prose")
@pytest.mark.parametrize(
    "json",
    [BOB, '{"name": "Bob", "age": 7}', '{"a": {"b": [1, 2, {"c": "}"}]}}', "a { color: red; } b"],
)
def test_json_in_prose_is_kept_and_does_not_stall(open_host: Opener, json: str) -> None:
    expect_at_once(open_host, f"He wrote {json} and then went on to other things.")


@row("C2.3-angles")
@pytest.mark.parametrize("text", ["if a < b then c > d, so it is", "a <b>bold</b> word", "x<y z"])
def test_angle_brackets_are_kept(open_host: Opener, text: str) -> None:
    expect_at_once(open_host, f"Well, {text} indeed.")


@row("C2.3-whitespace")
def test_deltas_of_white_space_are_kept(talk: Talk) -> None:
    deltas = ["One", " ", "two", "\n", "\n", "three", "  ", "four", "\t", "five."]
    messages = shown(*talk, [[Delta(each) for each in deltas]])
    assert text_of(messages) == "".join(deltas)


@row("C2.3-crlf")
def test_crlf(talk: Talk) -> None:
    expect(talk, f"One.\r\nTwo.\r\n```json\r\n{JSON}\r\n```\r\nThree.", "One. Two. Three. Done.")
    kept = "One.\r\nTwo.\r\n\r\nThree."
    assert text_of(shown(*talk, [kept])) == kept


@row("C2.3-emoji")
def test_characters_beyond_the_bmp(talk: Talk) -> None:
    reply = f"😀{TAGGED}🎉 𝒳{JSON}𝒴"
    for cut in range(len(reply)):
        parts = [Delta(reply[:cut]), Delta(reply[cut:])]
        messages = shown(*talk, [[part for part in parts if part.text], "Done."])
        assert "".join(text_of(messages).split()) == "😀🎉𝒳𝒴Done."


@row("C2.3-splits")
@pytest.mark.parametrize("form", sorted(FORMS))
def test_every_cut_gives_the_same(talk: Talk, form: str) -> None:
    reply = f"Well. {FORMS[form]} So."
    whole = text_of(shown(*talk, [reply, "Done."]))
    assert whole.split() == ("Well. So." if form in NO_CALL else "Well. So. Done.").split()
    cuts = [[Delta(reply[:at]), Delta(reply[at:])] for at in range(1, len(reply))]
    cuts.append([Delta(letter) for letter in reply])
    for parts in cuts:
        messages = shown(*talk, [parts, "Done."])
        assert text_of(messages) == whole
        assert calls(messages) == (form not in NO_CALL)


@row("C2.3-at-once")
def test_text_that_cannot_begin_a_call_is_not_held_back(open_host: Opener) -> None:
    expect_at_once(open_host, "A sentence without an end, and no mark at all", cut=1)
