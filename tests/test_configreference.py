"""The reference of settings: what the page says is what the loader does."""

import datetime as dt
import re
from pathlib import Path

import attrs
import pytest

from voicecore import configreference
from voicecore.configfile import load
from voicecore.configreference import describe, dotted, find, settings, toml

PAGE = Path(__file__).parent.parent / "docs" / "configuration.md"


def test_the_shipped_page_is_what_the_classes_say() -> None:
    command = (
        "python -c 'from voicecore.configreference import describe; print(describe(), end=\"\")'"
        " > docs/configuration.md"
    )
    assert PAGE.read_text(encoding="utf-8") == describe(), f"make it anew: {command}"


def test_every_key_has_words() -> None:
    silent = [dotted(each.key) for each in settings() if not each.is_table and not each.meaning]
    options = [f"{kind}.options.*" for kind in ("vad", "turn", "wake", "stt", "llm", "tts")]
    assert silent == [*options, "mcp.*.env.*"]


def test_every_default_is_itself_allowed() -> None:
    given = [
        f"{dotted(each.key)}={toml(each.default)}"
        for each in settings()
        if "*" not in each.key and not each.is_table and each.default is not None
    ]
    assert len(given) > 50
    assert load(None, given) == load(None)


def test_the_example_on_the_page_loads(tmp_path: Path) -> None:
    example = re.search(r"```toml\n(.*?)```", describe(), re.DOTALL)
    assert example is not None
    file = tmp_path / "voicecore.toml"
    file.write_text(example[1], encoding="utf-8")
    config = load(file)
    assert config.characters["robin"].prompt.startswith("You are Robin")
    assert config.models["my-voice"].path == file.parent / "voices/my-voice"


def test_the_command_on_the_page_works() -> None:
    config = load(None, ["server.port=8080", 'characters.robin.prompt="You are a robin."'])
    assert config.characters["robin"].prompt == "You are a robin."


def test_words_come_from_the_class_that_says_them_last() -> None:
    model = find(("llm", "model"))
    threads = find(("llm", "threads"))
    assert model is not None
    assert threads is not None
    assert "openai" in model.meaning
    assert threads.meaning.startswith("0: this engine's share")


def test_a_cell_cannot_break_the_table() -> None:
    broken = attrs.evolve(settings()[1], meaning="a | b")
    assert "a \\| b" in configreference._row(broken)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (1.5, "1.5"),
        ('a"b\n', '"a\\"b\\n"'),
        (("a", "b"), '["a", "b"]'),
        ({"a b": 1, "c": []}, '{"a b" = 1, c = []}'),
        (Path("/x"), '"/x"'),
        (dt.date(2026, 1, 2), "2026-01-02"),
    ],
)
def test_values_are_written_as_toml(value: object, text: str) -> None:
    assert toml(value) == text
