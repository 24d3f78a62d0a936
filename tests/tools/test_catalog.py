from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import attrs
import pytest

from voicecore.config import CharacterConfig, Config, ToolsConfig
from voicecore.errors import ConfigError
from voicecore.tools import catalog
from voicecore.tools.catalog import allowed, for_character, load_tools, off, warn_of_missing
from voicecore.tools.function import tool, tool_of
from voicecore.tools.tool import Tool

BUILTIN = {
    "add_note": "notes:add_note",
    "calculate": "calculator:calculate",
    "convert_units": "units:convert_units",
    "delete_note": "notes:delete_note",
    "get_system_status": "system:get_system_status",
    "get_time": "clock:get_time",
    "list_notes": "notes:list_notes",
    "set_reminder": "timer:set_reminder",
    "set_timer": "timer:set_timer",
}

pytestmark = pytest.mark.usefixtures("logged")


def install(monkeypatch: pytest.MonkeyPatch, **places: str) -> None:
    """Be the installed packages' entry points."""
    entries = [EntryPoint(name, value, catalog.GROUP) for name, value in places.items()]
    monkeypatch.setattr(catalog, "entry_points", lambda *, group: entries)


@pytest.fixture
def _nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)


def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)


# --- finding them --------------------------------------------------------------------------------


def test_ours_load_in_an_order_that_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    places = {name: f"voicecore.tools.builtin.{place}" for name, place in BUILTIN.items()}
    install(monkeypatch, **places)
    tools = load_tools(ToolsConfig())
    assert set(tools) == set(BUILTIN)
    assert {each.origin for each in tools.values()} == {"voicecore"}
    install(monkeypatch, **dict(reversed(places.items())))
    assert list(load_tools(ToolsConfig())) == list(tools)


def test_every_argument_of_ours_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    places = {name: f"voicecore.tools.builtin.{place}" for name, place in BUILTIN.items()}
    install(monkeypatch, **places)
    for each in load_tools(ToolsConfig()).values():
        properties: Any = each.parameters["properties"]
        assert all(schema.get("description") for schema in properties.values()), each.name


def test_an_entry_point_may_be_a_tool_already(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module(
        tmp_path,
        monkeypatch,
        "ready_made",
        "from voicecore.tools.function import tool_of\n"
        "def wave() -> None:\n    'Wave.'\n"
        "made = tool_of(wave, origin='somewhere')\n",
    )
    install(monkeypatch, wave="ready_made:made")
    assert load_tools(ToolsConfig())["wave"].origin == "somewhere"


@pytest.mark.usefixtures("_nothing_installed")
def test_functions_named_in_the_configuration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module(tmp_path, monkeypatch, "my_tools", "def feed_cat() -> str:\n    'Feed it.'\n")
    tools = load_tools(ToolsConfig(functions=("my_tools:feed_cat",)))
    assert tools["feed_cat"].origin == "my_tools"


@pytest.mark.usefixtures("_nothing_installed")
@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("no_such_module:f", "No module named 'no_such_module'. It must be installed"),
        ("json:no_such_name", "no attribute 'no_such_name'"),
        ("json", "not of the form"),
        ("json:loads!", "not of the form"),
        ("json:decoder", "cannot be a tool"),
        ("broken_tools:f", "broken_tools:f' cannot be imported: RuntimeError: boom"),
        ("leaving_tools:f", "it called sys.exit(3)"),
        ("untyped_tools:f", "'x' has no type"),
    ],
)
def test_what_is_wrong_with_one_is_told(
    place: str, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module(tmp_path, monkeypatch, "broken_tools", "raise RuntimeError('boom')")
    module(tmp_path, monkeypatch, "leaving_tools", "import sys; sys.exit(3)")
    module(tmp_path, monkeypatch, "untyped_tools", "def f(x):\n    'Do it.'")
    with pytest.raises(ConfigError) as caught:
        load_tools(ToolsConfig(functions=(place,)))
    assert words in str(caught.value)


def test_two_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    place = "voicecore.tools.builtin.clock:get_time"
    install(monkeypatch, get_time=place)
    with pytest.raises(ConfigError) as caught:
        load_tools(ToolsConfig(functions=(place,)))
    assert "Two tools are called 'get_time', one of voicecore and voicecore.tools.b" in str(
        caught.value
    )


@pytest.mark.parametrize("library", sorted(catalog.EXTRA))
def test_without_the_extras_library_its_tools_are_not_offered(
    library: str, monkeypatch: pytest.MonkeyPatch, logged: list[dict[str, object]]
) -> None:
    install(
        monkeypatch,
        calculate="voicecore.tools.builtin.calculator:calculate",
        convert_units="voicecore.tools.builtin.units:convert_units",
        get_time="voicecore.tools.builtin.clock:get_time",
    )
    needs = {"simpleeval": ("calculate", "calculator"), "pint": ("convert_units", "units")}
    name, of = needs[library]
    monkeypatch.delitem(sys.modules, f"voicecore.tools.builtin.{of}", raising=False)
    monkeypatch.setitem(sys.modules, library, None)
    assert set(load_tools(ToolsConfig())) == {"calculate", "convert_units", "get_time"} - {name}
    assert [(line["log_level"], line["tool"]) for line in logged] == [("debug", name)]


def test_anothers_missing_library_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module(tmp_path, monkeypatch, "needy_tools", "import no_such_library")
    install(monkeypatch, needy="needy_tools:f")
    with pytest.raises(ConfigError, match=r"'needy'.*No module named 'no_such_library'"):
        load_tools(ToolsConfig())


def test_a_persons_own_come_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = "def {0}() -> None:\n    'Do it.'\n"
    module(tmp_path, monkeypatch, "zoo_tools", text.format("feed"))
    module(tmp_path, monkeypatch, "yet_others", text.format("help"))
    install(
        monkeypatch, get_time="voicecore.tools.builtin.clock:get_time", others="yet_others:help"
    )
    assert list(load_tools(ToolsConfig(functions=("zoo_tools:feed",)))) == [
        "feed", "help", "get_time",
    ]  # fmt: skip


# --- permission ----------------------------------------------------------------------------------


def named(name: str, *, dangerous: bool = False) -> Tool:
    @tool(name=name, dangerous=dangerous)
    def nothing() -> None:
        """Do nothing."""

    return tool_of(nothing, origin="tests")


TOOLS = {each.name: each for each in (named("a"), named("b"), named("c", dangerous=True))}


@pytest.mark.parametrize(
    ("allow", "deny", "left"),
    [
        ((), (), "ab"),
        (("c",), (), "abc"),
        (("*",), (), "ab"),  # dangerous ones are allowed by name only
        (("c",), ("c",), "ab"),
        ((), ("a",), "b"),
        (("c",), ("*",), ""),
    ],
)
def test_what_is_allowed(allow: tuple[str, ...], deny: tuple[str, ...], left: str) -> None:
    assert "".join(allowed(TOOLS, ToolsConfig(allow=allow, deny=deny))) == left


def test_what_is_off_says_what_allows_it() -> None:
    assert off(TOOLS["a"], ToolsConfig()) == ""
    assert off(TOOLS["c"], ToolsConfig()) == "dangerous; to allow it, add 'c' to tools.allow"
    assert off(TOOLS["a"], ToolsConfig(deny=("*",))) == "denied; take '*' out of tools.deny"


def test_a_servers_tool_is_allowed_only_with_its_servers_name() -> None:
    theirs = attrs.evolve(TOOLS["a"], dangerous=True, origin="mcp:files")
    assert off(theirs, ToolsConfig(allow=("a", "other/a"))) == (
        "dangerous; to allow it, add 'files/a' to tools.allow"
    )
    assert off(theirs, ToolsConfig(allow=("files/a",))) == ""
    assert off(theirs, ToolsConfig(allow=("files/a",), deny=("a",))).startswith("denied")
    assert off(theirs, ToolsConfig(allow=("files/a",), deny=("files/a",))).startswith("denied")


def test_names_that_are_not_there_are_logged(logged: list[dict[str, object]]) -> None:
    config = Config(
        tools=ToolsConfig(allow=("x",), deny=("y", "*")),
        characters={"robin": CharacterConfig(tools=("b", "z", "*"))},
    )
    warn_of_missing(TOOLS, config)
    assert [(line["log_level"], line["tool"]) for line in logged] == [
        ("warning", "x"),
        ("warning", "y"),
        ("warning", "z"),
    ]
    assert set(for_character(TOOLS, ("b", "z"))) == {"b"}


@pytest.mark.parametrize(
    ("names", "got"), [(("*",), "abc"), ((), ""), (("c", "a"), "ca"), (("b", "*"), "bac")]
)
def test_a_character_gets_those_it_names_in_its_order(
    names: tuple[str, ...], got: str, logged: list[dict[str, object]]
) -> None:
    assert "".join(for_character(TOOLS, names)) == got
    assert logged == []


def test_a_tools_spec_is_what_the_model_is_told() -> None:
    spec = attrs.asdict(TOOLS["a"].spec)
    assert (spec["name"], spec["description"]) == ("a", "Do nothing.")
    assert spec["parameters"] == TOOLS["a"].parameters
