"""Rounds of the model and its tools: what is said, what is run, and that it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import pytest
import trio
from trio.testing import MockClock

from voicecore import events
from voicecore.engines.fake import fake_llm
from voicecore.engines.interface import CalledTool, Delta, Message, Prompt
from voicecore.errors import EngineError
from voicecore.mind.reply import Toolbox, Voice, reply
from voicecore.mind.turn import Turn
from voicecore.tools.tasks import Result
from voicecore.tools.tool import Tool

CLOCK_CALL = '<tool_call>{"name": "clock", "arguments": {"zone": "UTC"}}</tool_call>'


@attrs.define
class Scene:
    """A reply under test, and what came of it."""

    replies: Sequence[str | Sequence[Delta | CalledTool]]
    tool_s: float = 0.1
    held_s: float = 0.0
    results: Mapping[str, Result] = attrs.field(factory=lambda: {"clock": Result("It is noon.")})
    max_rounds: int = 3
    called: list[tuple[float, str, Mapping[str, object]]] = attrs.field(factory=list)
    told: list[events.Event] = attrs.field(factory=list)
    said: list[tuple[float, str]] = attrs.field(factory=list)
    prompts: list[tuple[int, bool]] = attrs.field(factory=list)
    turn: Turn = attrs.field(
        factory=lambda: Turn("t1", "hello", "text", spoken=True, zero_s=0, started_s=0)
    )

    async def run(self) -> Turn:
        words_in, words_out = trio.open_memory_channel[str](64)

        async def listen() -> None:
            async for text in words_out:
                self.said.append((trio.current_time(), text))

        async def released() -> None:
            await trio.sleep_until(self.held_s)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen)
            await reply(
                fake_llm(self.replies),
                self._prompt,
                Voice(self.turn, self.told.append, words_in),
                Toolbox(self._tools(), self._work, self.max_rounds, "One moment.", 1_000),
                released,
            )
        return self.turn

    def _prompt(self, exchanges: Sequence[Message], offer: bool) -> Prompt:
        self.prompts.append((len(exchanges), offer))
        return Prompt((Message("user", "hello"), *exchanges))

    def _tools(self) -> dict[str, Tool]:
        async def never(arguments: Mapping[str, object], context: object) -> str:
            await trio.lowlevel.checkpoint()
            raise AssertionError("the workshop runs it")

        return {name: Tool(name, "", {}, dict, never) for name in self.results}

    async def _work(self, tool: Tool, arguments: Mapping[str, object]) -> Result:
        self.called.append((trio.current_time(), tool.name, arguments))
        await trio.sleep(self.tool_s)
        return self.results[tool.name]

    def results_given(self) -> list[str]:
        return [message.content for message in self.turn.exchanges if message.role == "tool"]


async def test_a_reply_without_calls_is_one_round(autojump_clock: MockClock) -> None:
    scene = Scene(["Hello there."])
    assert (await scene.run()).text == "Hello there."
    assert scene.prompts == [(0, True)]
    assert scene.turn.exchanges == []
    assert scene.told[-1] == events.ReplyTextComplete("t1")


async def test_a_written_call_is_run_and_the_model_answers(autojump_clock: MockClock) -> None:
    scene = Scene([f"Let me look. {CLOCK_CALL}", "It is noon."])
    turn = await scene.run()
    assert turn.text == "Let me look. \nIt is noon."
    assert "".join(text for _, text in scene.said) == turn.text
    assert [(name, arguments) for _, name, arguments in scene.called] == [
        ("clock", {"zone": "UTC"})
    ]
    asked, answered = turn.exchanges
    assert asked.calls[0].name == "clock"
    assert answered == Message("tool", "It is noon.", call_id=asked.calls[0].id)
    assert scene.prompts == [(0, True), (2, True)]


async def test_a_native_call_is_run(autojump_clock: MockClock) -> None:
    scene = Scene([[CalledTool("c7", "clock", '{"zone": "UTC"}')], "It is noon."])
    turn = await scene.run()
    assert turn.text == "It is noon."
    assert scene.called[0][2] == {"zone": "UTC"}
    assert turn.exchanges[1].call_id == "c7"


async def test_calls_of_one_round_run_side_by_side(autojump_clock: MockClock) -> None:
    scene = Scene([CLOCK_CALL * 3, "Done."], tool_s=0.5)
    turn = await scene.run()
    assert len({at for at, *_ in scene.called}) == 1
    assert len({call.id for call in turn.exchanges[0].calls}) == 3
    assert [m.call_id for m in turn.exchanges[1:]] == [c.id for c in turn.exchanges[0].calls]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ('<tool_call>{"name": "fly", "arguments": {}}</tool_call>', "no tool called 'fly'"),
        ("<tool_call>{oh dear}</tool_call>", "could not be understood"),
        ('<tool_call>{"name": "clock", "argu', "could not be understood"),
        ([CalledTool("c1", "clock", "{half")], "not valid JSON"),
        ([CalledTool("c1", "clock", "[1]")], "must be a JSON object"),
    ],
)
async def test_a_call_that_makes_no_sense_is_told_to_the_model(
    call: str | list[Delta | CalledTool], told: str, autojump_clock: MockClock
) -> None:
    scene = Scene([call, "Sorry, I cannot."])
    assert (await scene.run()).text == "Sorry, I cannot."
    assert scene.called == []
    (result,) = scene.results_given()
    assert told in result


async def test_rounds_are_bounded_and_the_last_offers_no_tools(autojump_clock: MockClock) -> None:
    scene = Scene([CLOCK_CALL] * 9, max_rounds=2)
    turn = await scene.run()
    assert len(scene.called) == 2
    assert [offer for _, offer in scene.prompts] == [True, True, False]
    assert turn.text == ""  # answering tells the person that there was no answer


async def test_a_slow_tool_has_the_silence_filled_once(autojump_clock: MockClock) -> None:
    scene = Scene([CLOCK_CALL, CLOCK_CALL, "It is noon."], tool_s=3)
    assert (await scene.run()).text == "One moment.\nIt is noon."
    (at_s, _), *_ = scene.said
    assert at_s == pytest.approx(scene.called[0][0] + 1.0)


async def test_a_quick_tool_and_a_model_that_has_spoken_need_no_filler(
    autojump_clock: MockClock,
) -> None:
    assert (await Scene([CLOCK_CALL, "Noon."], tool_s=0.9).run()).text == "Noon."
    slow = Scene([f"I look. {CLOCK_CALL}", "Noon."], tool_s=5)
    assert (await slow.run()).text == "I look. \nNoon."


async def test_no_tool_runs_while_the_turn_is_a_guess(autojump_clock: MockClock) -> None:
    scene = Scene([CLOCK_CALL, "Noon."], held_s=5)
    await scene.run()
    assert scene.called[0][0] == pytest.approx(5)


async def test_the_emotion_the_model_tags_is_told_once_and_not_said(
    autojump_clock: MockClock,
) -> None:
    scene = Scene(["[happy] How nice! [sad] Oh."])
    turn = await scene.run()
    assert turn.text == "How nice! Oh."
    assert [e.emotion for e in scene.told if isinstance(e, events.Mood)] == ["happy"]
    assert isinstance(scene.told[0], events.Mood)


async def test_a_model_that_dies_ends_the_rounds(autojump_clock: MockClock) -> None:
    scene = Scene([CLOCK_CALL, EngineError("It died.")])  # type: ignore[list-item]
    turn = await scene.run()
    assert turn.problem == "It died."
    assert len(scene.called) == 1
