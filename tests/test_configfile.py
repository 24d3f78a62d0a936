"""TOML and ``--set`` in, a `Config` or one clear sentence for each mistake out."""

import re
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore.config import Config
from voicecore.configfile import load
from voicecore.configreference import dotted, settings, toml
from voicecore.errors import ConfigError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "voicecore.toml"


def problems(path: Path | None, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path, overrides)
    return str(caught.value).splitlines()


def written(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8")
    return file


# --- what works ----------------------------------------------------------------------------------


def test_without_anything_it_is_the_defaults_with_paths_expanded() -> None:
    defaults = Config()
    assert load(None) == attrs.evolve(defaults, paths=defaults.paths.expanded())


def test_defaults_then_file_then_overrides(file: Path) -> None:
    written(file, "[server]\nport = 1\nmax_sessions = 2\n[tts]\nspeed = 2\n")
    config = load(file, ["server.port=3"])
    assert (config.server.port, config.server.max_sessions) == (3, 2)
    assert config.server.host == "127.0.0.1"
    assert config.tts.speed == 2.0
    assert type(config.tts.speed) is float


def test_a_whole_file(file: Path) -> None:
    config = load(
        written(
            file,
            """
            [server]
            allowed_origins = ["https://a.example", "*"]
            [stt]
            device = "cuda"
            options = { turbo = true, level = 2, gain = 0.5, name = "x" }
            [characters."小天"]
            prompt = "你好"
            speed = 1.5
            [characters."Dr. Who"]
            [models.mine]
            kind = "llm"
            url = "https://models.example/m.gguf"
            sha256 = "00"
            """,
        )
    )
    assert config.server.allowed_origins == ("https://a.example", "*")
    assert config.stt.options == {"turbo": True, "level": 2, "gain": 0.5, "name": "x"}
    assert config.characters["小天"].speed == 1.5
    assert config.characters["Dr. Who"].voice is None
    assert config.models["mine"].kind == "llm"


def test_a_byte_order_mark_is_no_error(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf[server]\nport = 4\n")
    assert load(file).server.port == 4


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("server.port=3000", ("server", "port"), 3000),
        (" server . port = 3000 ", ("server", "port"), 3000),
        ("stt.language=de", ("stt", "language"), "de"),
        ("stt.language='de'", ("stt", "language"), "de"),
        ('tts.model="123"', ("tts", "model"), "123"),
        ("stt.hints=a = b, c.d", ("stt", "hints"), "a = b, c.d"),
        ("stt.hints=", ("stt", "hints"), ""),
        ("stt.hints=# 1", ("stt", "hints"), "# 1"),
        ("stt.hints=1\nother = 2", ("stt", "hints"), "1\nother = 2"),
        ("logs.content=true", ("logs", "content"), True),
        ("llm.temperature=0", ("llm", "temperature"), 0.0),
        ('server.allowed_origins=["*"]', ("server", "allowed_origins"), ("*",)),
        ("characters.小天.prompt=你好", ("characters", "小天", "prompt"), "你好"),
        ('characters."Dr. Who".prompt=hi', ("characters", "Dr. Who", "prompt"), "hi"),
        ("characters.'a=b'.prompt=hi", ("characters", "a=b", "prompt"), "hi"),
        (r'characters."a\"b".prompt=hi', ("characters", 'a"b', "prompt"), "hi"),
        ("stt.options.turbo=true", ("stt", "options", "turbo"), True),
    ],
)
def test_overrides(override: str, key: tuple[str, ...], value: object) -> None:
    found: object = load(None, [override])
    for part in key:
        found = found[part] if isinstance(found, dict) else getattr(found, part)
    assert (found, type(found)) == (value, type(value))


def test_a_table_given_by_override_adds_to_what_there_is(file: Path) -> None:
    written(file, "[server]\nport = 1\nhost = 'a'\n")
    config = load(file, ["server={port=2}", "characters.a.prompt=x", "characters.a.voice=y"])
    assert (config.server.port, config.server.host) == (2, "a")
    assert (config.characters["a"].prompt, config.characters["a"].voice) == ("x", "y")


def test_the_later_of_two_overrides_wins() -> None:
    assert load(None, ["server.port=1", "server.port=2"]).server.port == 2


def test_paths_are_relative_to_where_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, here, etc = (tmp_path / name for name in ("home", "here", "etc"))
    for folder in (home, here, etc):
        folder.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    written(
        etc / "v.toml",
        """
        paths = { data = "talks", models = "~/weights" }
        [models.a]
        kind = "tts"
        path = "voices/a"
        [models.b]
        kind = "tts"
        path = "/srv/b"
        [stt]
        model = "not/a/path"
        """,
    )
    overrides = ["models.c.path=voices/c", "models.c.kind=tts"]
    config = load(Path("../etc/v.toml"), overrides)
    assert config.paths.data.resolve() == etc / "talks"
    assert config.paths.data.is_absolute()
    assert config.paths.models == home / "weights"
    found = {
        name: str(model.path and model.path.resolve()) for name, model in config.models.items()
    }
    assert found == {"a": str(etc / "voices/a"), "b": "/srv/b", "c": str(here / "voices/c")}
    assert config.stt.model == "not/a/path"


# --- what does not -------------------------------------------------------------------------------


def test_an_unknown_key_is_refused_with_the_nearest(file: Path) -> None:
    assert problems(written(file, "[stt]\nmodle = 'x'")) == [
        f"stt.modle in {file} is not a setting; did you mean stt.model?"
    ]


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("servr.port=1", "did you mean server?"),
        ("port=1", "did you mean server.port?"),
        ("server.endpoint_ms=1", "did you mean ears.endpoint_ms?"),
        ("characters.a.vioce=x", "did you mean characters.a.voice?"),
        ("prompt=x", "did you mean characters.NAME.prompt?"),
        ("paths.zzz=1", "in paths there are data, models."),
        ("zzz=1", "at the top there are profile, server, "),
    ],
)
def test_hints_for_unknown_keys(override: str, hint: str) -> None:
    key = override.partition("=")[0]
    (told,) = problems(None, override)
    assert told.startswith(f"{key.removesuffix('.port')} in --set is not a setting; {hint}")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            'server.port = "3000"',
            'server.port in FILE must be a whole number, at least 0 and at most 65535, not "3000".',
        ),
        (
            "server.port = true",
            "server.port in FILE must be a whole number, at least 0 and at most 65535, not true.",
        ),
        (
            "server.port = 3000.0",
            "server.port in FILE must be a whole number, at least 0 and at most 65535, not 3000.0.",
        ),
        (
            "server.port = 70000",
            "server.port in FILE must be a whole number, at least 0 and at most 65535, not 70000.",
        ),
        ("server.host = 1", "server.host in FILE must be a string, not 1."),
        ("server = 3", "server in FILE must be a table, not 3."),
        (
            "server.allowed_origins = '*'",
            'server.allowed_origins in FILE must be a list of strings, not "*".',
        ),
        (
            "server.allowed_origins = ['*', 1]",
            'server.allowed_origins in FILE must be a list of strings, not ["*", 1].',
        ),
        ("logs.content = 1", "logs.content in FILE must be true or false, not 1."),
        ("logs.content = 'no'", 'logs.content in FILE must be true or false, not "no".'),
        (
            "vad.threshold = nan",
            "vad.threshold in FILE must be a number, above 0 and at most 1, not nan.",
        ),
        (
            "tts.speed = inf",
            "tts.speed in FILE must be a number, at least 0.25 and at most 4, not inf.",
        ),
        (
            "tts.speed = true",
            "tts.speed in FILE must be a number, at least 0.25 and at most 4, not true.",
        ),
        ("stt.device = 'gpu'", 'stt.device in FILE must be "cpu", "cuda" or "auto", not "gpu".'),
        ("paths.data = 1", "paths.data in FILE must be a path in quotes, not 1."),
        (
            "paths.data = '~nobody-here/x'",
            'paths.data in FILE begins with a home folder that does not exist: "~nobody-here/x".',
        ),
        ("stt.options = 1", "stt.options in FILE must be a table, not 1."),
        (
            "stt.options.a = { b = 1 }",
            "stt.options.a in FILE must be a string, a number, or true or false, not {b = 1}.",
        ),
        ("characters = 1", "characters in FILE must be a table, not 1."),
        ("characters.a = 1", "characters.a in FILE must be a table, not 1."),
        (
            'characters."Dr. Who".voice = 9',
            'characters."Dr. Who".voice in FILE must be a string, not 9.',
        ),
        (
            "models.m.path = 'x'",
            'models.m.kind in FILE is missing; it must be "stt", "llm", "tts", "vad" or "turn".',
        ),
        ("stt.hints = 2026-01-02", "stt.hints in FILE must be a string, not 2026-01-02."),
    ],
)
def test_a_wrong_value_names_the_key_the_value_and_what_is_allowed(
    file: Path, text: str, told: str
) -> None:
    assert problems(written(file, text)) == [told.replace("FILE", str(file))]


def test_a_long_value_is_told_in_short(file: Path) -> None:
    (told,) = problems(written(file, f"logs.content = '{'x' * 1000}'"))
    assert told.endswith("xxx....")
    assert len(told) < len(str(file)) + 120


def test_a_string_that_looks_like_a_number_is_told_how_to_be_written() -> None:
    advice = """write it in quotes: --set 'tts.model="123"'."""
    assert problems(None, "tts.model=123") == [
        f"tts.model in --set must be a string, not 123; {advice}"
    ]


def test_every_problem_is_told_at_once_with_its_place(file: Path) -> None:
    written(file, "[server]\nport = -1\ndrain_ms = -1\nhots = 1\n[logs]\nlevel = 'loud'\n")
    told = problems(file, "ears.onset_ms=0", "mouth=1")
    places = {line.split(" in ")[0]: line.split(" in ")[1].split(" ")[0] for line in told}
    assert places == {
        "server.port": str(file),
        "server.drain_ms": str(file),
        "server.hots": str(file),
        "logs.level": str(file),
        "ears.onset_ms": "--set",
        "mouth": "--set",
    }
    assert len(told) == 6


@pytest.mark.parametrize("override", ["x", "=3", "a..b=1", "a.=2", '"a=3', ".a=1", "a b=3", ""])
def test_an_override_of_the_wrong_form(override: str) -> None:
    assert problems(None, override) == [f"--set {override}: write it as section.key=value."]


def test_an_override_whose_quoted_name_is_not_toml() -> None:
    (told,) = problems(None, r'characters."\z".prompt=x')
    assert 'the name "\\z" is not valid TOML: ' in told


def test_a_missing_file(file: Path) -> None:
    assert problems(file) == [f"There is no configuration file {file}."]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert problems(tmp_path) == [f"{tmp_path} cannot be read: Is a directory."]


def test_a_syntax_error_names_the_line(file: Path) -> None:
    (told,) = problems(written(file, "[server]\nport = 1\nhost = oops\n"))
    assert told.startswith(f"{file} is not valid TOML: ")
    assert "line 3" in told


def test_a_bare_name_that_toml_does_not_take_is_explained(file: Path) -> None:
    (told,) = problems(written(file, "[characters.小天]\nprompt = 'x'\n"))
    assert "line 1" in told
    assert told.endswith('is quoted: [characters."小天"].')


def test_text_that_is_not_utf_8_names_the_line(file: Path) -> None:
    file.write_bytes("[stt]\n# ok\nhints = 'é'\n".encode("latin-1"))
    assert problems(file) == [f"{file} is not UTF-8 text (at line 3)."]


def outcome(override: str) -> str | None:
    """None for a configuration, else what the `ConfigError` tells; any other error goes on."""
    try:
        load(None, [override])
    except ConfigError as exc:
        return str(exc)
    return None


@given(st.text() | st.from_regex(r"[a-z.\"' ]{0,12}=.{0,8}", fullmatch=True))
def test_any_override_gives_a_configuration_or_a_config_error(text: str) -> None:
    told = outcome(text)
    assert told is None or "--set" in told


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
).filter(lambda value: value is not None)


@given(st.sampled_from([each.key for each in settings()]), VALUES)
def test_any_value_under_any_key_is_taken_as_it_is_or_refused(
    key: tuple[str, ...], value: object
) -> None:
    named = tuple("name" if part == "*" else part for part in key)
    told = outcome(f"{dotted(named)}={toml(value)}")
    assert told is None or re.search(r" in --set (must be|is not a setting|is missing)", told)
