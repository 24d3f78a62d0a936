from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, BeforeValidator, Field

from voicecore.errors import ConfigError
from voicecore.tools.function import tool, tool_of
from voicecore.tools.signature import MAX_PROBLEM_CHARS, MAX_PROBLEMS
from voicecore.tools.tool import Tool, ToolContext, ToolError

pytestmark = pytest.mark.usefixtures("logged")


def made(function: Callable[..., object]) -> Tool:
    return tool_of(function, origin="tests")


async def called(function: Callable[..., object], context: ToolContext, **arguments: Any) -> str:
    found = made(function)
    return await found.call(found.check(arguments), context)


def add(first: int, second: Annotated[int, Field(ge=0, description="The other.")] = 2) -> int:
    """Add two numbers.

    Args:
        first: The one.
        second: What the annotation says wins over this.
    """
    return first + second


ADD = made(add)


# --- the schema ----------------------------------------------------------------------------------


def test_a_function_says_all_that_a_tool_needs() -> None:
    found = made(add)
    assert (found.name, found.description, found.origin) == ("add", "Add two numbers.", "tests")
    assert found.parameters == {
        "type": "object",
        "properties": {
            "first": {"type": "integer", "description": "The one."},
            "second": {"type": "integer", "description": "The other.", "minimum": 0, "default": 2},
        },
        "required": ["first"],
        "additionalProperties": False,
    }
    assert (found.dangerous, found.detached, found.timeout_ms) == (False, False, None)
    assert found.started is None


def test_the_context_is_not_in_the_schema() -> None:
    def count(context: ToolContext, *, up_to: Literal[3, 5]) -> None:
        """Count."""

    assert made(count).parameters == {
        "type": "object",
        "properties": {"up_to": {"type": "integer", "enum": [3, 5]}},
        "required": ["up_to"],
        "additionalProperties": False,
    }


def test_a_tool_may_take_nothing() -> None:
    def nothing() -> None:
        """Do nothing."""

    found = made(nothing)
    assert found.parameters == {"type": "object", "properties": {}, "additionalProperties": False}
    assert found.check({}) == {}


async def test_names_that_pydantic_uses_itself_are_no_trouble(context: ToolContext) -> None:
    def odd(copy: int, json: str, schema: str, model_config: str, _hidden: int) -> str:
        """Take odd names."""
        return f"{copy} {json} {schema} {model_config} {_hidden}"

    arguments = {"copy": 1, "json": "a", "schema": "b", "model_config": "c", "_hidden": 2}
    assert await called(odd, context, **arguments) == "1 a b c 2"


def test_the_decorator_leaves_the_function_as_it_is() -> None:
    @tool
    def plain(number: int) -> int:
        """Return it."""
        return number

    @tool(name="other-name", dangerous=True, detached=True, timeout_ms=5)
    def marked() -> None:
        """Do it."""

    assert plain(3) == 3
    assert made(plain).name == "plain"
    found = made(marked)
    assert (found.name, found.dangerous, found.detached) == ("other-name", True, True)
    assert found.timeout_ms == 5


def untyped(number) -> None:  # type: ignore[no-untyped-def]
    """Take anything."""


def variadic(*numbers: int) -> None:
    """Take many."""


def undocumented(number: int) -> None:
    pass


def unresolved(number: Nowhere) -> None:  # type: ignore[name-defined]  # noqa: F821
    """Take what is not imported."""


def no_schema(action: Callable[[], None]) -> None:
    """Take a function."""


class Plain:
    pass


def unknown_type(thing: Plain) -> None:
    """Take what pydantic does not know."""


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (untyped, "'number' has no type"),
        (variadic, "*numbers"),
        (undocumented, "no docstring"),
        (unresolved, "'Nowhere' is not defined"),
        (no_schema, "has no JSON schema"),
        (unknown_type, "has no JSON schema"),
        (lambda: None, "cannot be a tool"),
        (tool(name="two words")(lambda: None), "cannot be a tool"),
        (Plain, "cannot be a tool"),
        (sys, "cannot be a tool"),
    ],
)
def test_what_cannot_be_a_tool_says_why(function: Any, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        made(function)
    assert words in str(caught.value)
    assert "tests" in str(caught.value)


# --- arguments -----------------------------------------------------------------------------------


def test_arguments_come_back_in_their_types_and_complete() -> None:
    assert made(add).check({"first": "5"}) == {"first": 5, "second": 2}


def test_null_stands_for_the_default() -> None:
    assert made(add).check({"first": 1, "second": None}) == {"first": 1, "second": 2}
    with pytest.raises(ToolError, match="first: "):
        made(add).check({"first": None})


def test_a_number_is_taken_where_text_is_wanted() -> None:
    def say(text: str) -> None:
        """Say it."""

    assert made(say).check({"text": 42}) == {"text": "42"}


def test_a_default_of_pydantics_own_kind() -> None:
    def wait(seconds: float = Field(default=1.5, le=10)) -> None:
        """Wait."""

    assert made(wait).check({}) == {"seconds": 1.5}
    with pytest.raises(ToolError, match="less than or equal to 10"):
        made(wait).check({"seconds": 11})


def test_a_list_that_is_a_default_is_nobodys_in_common() -> None:
    def pack(things: list[str] = ["soap"]) -> None:  # noqa: B006
        """Pack."""

    found = made(pack).check({})["things"]
    assert isinstance(found, list)
    found.append("more")
    assert made(pack).check({}) == {"things": ["soap"]}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, "- first is missing"),
        ({"first": 1, "third": 2}, "- third is not one of its arguments"),
        ({"first": "five"}, "- first: Input should be a valid integer"),
        ({"first": 1, "second": -1}, "- second: Input should be greater than or equal to 0"),
        ({"first": [1]}, "- first: Input should be a valid integer"),
    ],
)
def test_wrong_arguments_are_told_so_that_a_model_can_mend_them(
    arguments: Mapping[str, object], told: str
) -> None:
    with pytest.raises(ToolError) as caught:
        made(add).check(arguments)
    lines = str(caught.value).splitlines()
    assert lines[0] == "Nothing was done: add takes first, second."
    assert lines[1].startswith(told)


@given(
    st.dictionaries(
        st.text() | st.sampled_from(["first", "second"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=5,
        ),
    )
)
def test_any_json_is_arguments_or_a_tool_error(arguments: Mapping[str, object]) -> None:
    try:
        checked = ADD.check(arguments)
    except ToolError:
        return
    assert {type(value) for value in checked.values()} == {int}


def test_huge_input_is_not_echoed() -> None:
    arguments = {"x" * 100_000: 1, "first": "9" * 100_000, "second": "y" * 100_000, "z": 1, "w": 2}
    with pytest.raises(ToolError) as caught:
        made(add).check(arguments)
    told = str(caught.value)
    assert len(told) < (MAX_PROBLEMS + 2) * (MAX_PROBLEM_CHARS + 10)
    assert told.splitlines()[-1] == "- and 2 more"
    assert caught.value.__suppress_context__  # nor in a log


def broken(_: object) -> object:
    raise ZeroDivisionError("oops")


def refuses(_: object) -> object:
    raise ValueError("not on Sundays")


def take(first: Annotated[int, BeforeValidator(broken)]) -> None:
    """Take it."""


def give(first: Annotated[int, BeforeValidator(refuses)]) -> None:
    """Give it."""


def test_a_types_own_validator_may_fail_as_it_likes() -> None:
    with pytest.raises(ToolError, match="could not be checked: ZeroDivisionError: oops"):
        made(take).check({"first": 1})
    with pytest.raises(ToolError, match="- first: not on Sundays"):
        made(give).check({"first": 1})


# --- results -------------------------------------------------------------------------------------


class Point(BaseModel):
    x: int
    on: date


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        ("", ""),
        (None, "done"),
        (42, "42"),
        (True, "true"),
        ({"städte": ["Köln"]}, '{"städte":["Köln"]}'),
        (Point(x=1, on=date(2026, 3, 7)), '{"x":1,"on":"2026-03-07"}'),
        (Colour.RED, '"red"'),
        (2 + 1j, '"2+1j"'),
    ],
)
async def test_results_become_text(value: object, text: str, context: ToolContext) -> None:
    def sync() -> object:
        """Return it."""
        return value

    async def asynchronous() -> object:
        """Return it."""
        await trio.lowlevel.checkpoint()
        return value

    assert await called(sync, context) == text
    assert await called(asynchronous, context) == text


# --- calls ---------------------------------------------------------------------------------------


async def test_a_synchronous_function_runs_in_a_thread(context: ToolContext) -> None:
    def where() -> str:
        """Tell the thread."""
        return str(threading.get_ident())

    assert await called(where, context) != str(threading.get_ident())


async def test_an_asynchronous_one_runs_in_trio(context: ToolContext) -> None:
    async def where(who: ToolContext) -> str:
        """Tell the thread."""
        await trio.lowlevel.checkpoint()
        return f"{threading.get_ident()} {who.character}"

    assert await called(where, context) == f"{threading.get_ident()} default"


def fails() -> None:
    """Fail."""
    raise KeyError("no such city")


async def fails_later() -> None:
    """Fail."""
    await trio.lowlevel.checkpoint()
    raise KeyError("no such city")


async def fails_in_a_nursery() -> None:
    """Fail."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        nursery.start_soon(fails_later)


def silent() -> None:
    """Fail."""
    raise NotImplementedError


def leaves() -> None:
    """Leave the program."""
    sys.exit("bye")


def stops() -> None:
    """Confuse generators."""
    next(iter([]))


async def slow() -> None:
    """Give up on something of its own."""
    with trio.fail_after(0):
        await trio.sleep(1)


def endless() -> list[object]:
    """Return what has no end."""
    loop: list[object] = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (fails, "fails failed: KeyError: 'no such city'"),
        (fails_later, "fails_later failed: KeyError: 'no such city'"),
        (fails_in_a_nursery, "fails_in_a_nursery failed: KeyError: 'no such city'"),
        (silent, "silent failed: NotImplementedError"),
        (leaves, "leaves failed: it called sys.exit('bye')."),
        (stops, "stops failed: RuntimeError"),
        (slow, "slow failed: TooSlowError"),
        (endless, "endless failed: PydanticSerializationError: Error serializing to JSON: "),
    ],
)
async def test_whatever_it_raises_is_a_tool_error(
    function: Callable[..., object], told: str, context: ToolContext
) -> None:
    with pytest.raises(ToolError) as caught:
        await called(function, context)
    assert str(caught.value).startswith(told)


async def test_what_fails_is_logged_with_its_traceback(
    context: ToolContext, logged: list[dict[str, object]]
) -> None:
    with pytest.raises(ToolError):
        await called(fails, context)
    assert logged == [{"event": "fails failed", "log_level": "warning", "exc_info": True}]


async def test_a_foreign_text_of_any_length_is_told_in_short(context: ToolContext) -> None:
    def verbose() -> None:
        """Fail with many words."""
        raise ValueError("word\n" * 100_000)

    with pytest.raises(ToolError) as caught:
        await called(verbose, context)
    assert len(str(caught.value)) < MAX_PROBLEM_CHARS + 50
    assert "\n" not in str(caught.value)


async def test_its_own_tool_error_passes(context: ToolContext) -> None:
    def full() -> None:
        """Refuse."""
        raise ToolError("There is no room.")

    async def full_in_a_nursery() -> None:
        """Refuse."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(trio.to_thread.run_sync, full)

    for function in (full, full_in_a_nursery):
        with pytest.raises(ToolError) as caught:
            await called(function, context)
        assert str(caught.value) == "There is no room."


async def test_what_it_tells_is_told_in_trios_thread(context: ToolContext, heard: Any) -> None:
    here: list[int] = []
    heard.progress = here

    def work(context: ToolContext) -> None:
        """Tell of itself."""
        context.progress(50, "half")
        context.notify("nearly")

    def record(*_: object) -> None:
        here.append(threading.get_ident())

    telling = ToolContext("", "", heard.folder, lambda: 0.0, record, record)
    assert await called(work, telling) == "done"
    assert here == [threading.get_ident()] * 2


# --- cancellation --------------------------------------------------------------------------------


async def test_a_cancelled_call_does_not_wait_for_its_thread(context: ToolContext) -> None:
    go_on, began, ended = threading.Event(), trio.Event(), threading.Event()
    told: list[str] = []
    telling = ToolContext("", "", context.folder, lambda: 0.0, lambda *_: began.set(), told.append)

    def hang(context: ToolContext) -> None:
        """Wait in a thread."""
        context.progress(0, "begun")
        go_on.wait()
        try:
            context.notify("This is not heard any more.")
        finally:
            ended.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(called, hang, telling)
        await began.wait()
        nursery.cancel_scope.cancel("not needed any more")
    assert not ended.is_set()
    go_on.set()
    await trio.to_thread.run_sync(ended.wait)
    assert told == []


async def test_a_cancellation_passes_whatever_fails_besides(context: ToolContext) -> None:
    async def untidy() -> None:
        """Fail while being cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                raise OSError("the disk is gone")

    with trio.CancelScope() as scope:
        scope.cancel("now")
        await called(untidy, context)
    assert scope.cancelled_caught


async def test_a_tool_that_hangs_fills_its_own_threads_only(context: ToolContext) -> None:
    go_on = threading.Event()

    def hang() -> None:
        """Hang."""
        go_on.wait()

    hanging = made(hang)
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(hanging.call, {}, context)
        await trio.testing.wait_all_tasks_blocked()
        try:
            assert await called(lambda_free, context) == "free"
        finally:
            go_on.set()


def lambda_free() -> str:
    """Answer."""
    return "free"


# --- detached tools ------------------------------------------------------------------------------


def test_what_is_told_at_the_start() -> None:
    def told(minutes: int) -> str:
        if not minutes:
            raise ToolError("At least one minute.")
        return f"Set for {minutes}."

    @tool(detached=True, started=told)
    async def wait(context: ToolContext, minutes: int) -> None:
        """Wait."""

    found = made(wait)
    assert found.started is not None
    assert found.started(found.check({"minutes": "5"})) == "Set for 5."
    with pytest.raises(ToolError, match=r"^At least one minute\.$"):
        found.started({"minutes": 0})
