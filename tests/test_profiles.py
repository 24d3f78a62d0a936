"""Profiles: defaults for a kind of machine, each with its reason, weaker than what is given."""

import argparse
from pathlib import Path

import pytest

from voicecore.commands import serve
from voicecore.commands.options import add_config_options, profiles_in_words
from voicecore.config import Config, LlmConfig
from voicecore.config.profiles import KIOSK, PROFILES
from voicecore.configfile import load
from voicecore.configreference import describe, find
from voicecore.errors import ConfigError
from voicecore.weights.manifest import load_models


def value(config: Config, key: str) -> object:
    found: object = config
    for part in key.split("."):
        found = getattr(found, part)
    return found


def test_without_one_the_defaults_stay() -> None:
    assert load(None).profile == "default"
    assert load(None, ["profile=default"]) == load(None)


def test_every_choice_of_a_profile_is_what_the_host_gets() -> None:
    config = load(None, ["profile=kiosk"])
    for choice in KIOSK.choices:
        assert value(config, choice.key) == choice.value, choice.key
    assert config.profile == "kiosk"


def test_defaults_then_profile_then_file_then_overrides(tmp_path: Path) -> None:
    file = tmp_path / "voicecore.toml"
    file.write_text('profile = "kiosk"\n[llm]\nparallel = 3\n[server]\nmax_sessions = 9\n')
    config = load(file, ["server.max_sessions=11"])
    assert config.llm.parallel == 3
    assert config.server.max_sessions == 11
    assert config.tts.lean
    assert config.server.port == 3000


def test_the_command_line_names_another_than_the_file(tmp_path: Path) -> None:
    file = tmp_path / "voicecore.toml"
    file.write_text('profile = "kiosk"\n')
    assert not load(file, ["profile=default"]).stt.lean


@pytest.mark.parametrize("given", ["profile=toaster", "profile=3", "profile.name=kiosk"])
def test_an_unknown_one_is_refused(given: str) -> None:
    with pytest.raises(ConfigError, match="profile"):
        load(None, [given])


def test_the_option_is_an_override_in_its_place() -> None:
    parser = argparse.ArgumentParser()
    add_config_options(parser)
    args = parser.parse_args(["--profile", "kiosk", "--set", "llm.parallel=2"])
    assert load(args.config, args.overrides).llm.parallel == 2
    assert parser.parse_args([]).overrides == []
    with pytest.raises(SystemExit):
        parser.parse_args(["--profile", "toaster"])


def test_help_and_reference_tell_every_choice(capsys: pytest.CaptureFixture[str]) -> None:
    root = argparse.ArgumentParser()
    serve.add_parser(root.add_subparsers())
    with pytest.raises(SystemExit):
        root.parse_args(["serve", "--help"])
    shown = capsys.readouterr().out
    assert profiles_in_words() in shown
    page = describe()
    for choice in KIOSK.choices:
        assert f"{choice.key} = " in shown
        assert f"| `{choice.key}` |" in page
        assert find(tuple(choice.key.split("."))) is not None


def test_the_names_are_those_the_configuration_takes() -> None:
    setting = find(("profile",))
    assert setting is not None
    assert setting.allowed == " or ".join(f'"{name}"' for name in PROFILES)


def test_the_kiosk_has_the_smallest_models_there_are() -> None:
    config = load(None, ["profile=kiosk"])
    models = load_models({})
    for kind in ("stt", "llm", "tts"):
        sizes = {m.name: m.size for m in models.values() if m.kind == kind and m.size}
        assert value(config, f"{kind}.model") == min(sizes, key=lambda name: sizes[name])


def test_a_picture_fits_into_a_message_of_the_kiosk() -> None:
    config = load(None, ["profile=kiosk"])
    assert config.eyes.max_picture_bytes * 4 / 3 < config.server.max_message_bytes


def test_a_lean_model_has_a_shorter_context_unless_told_otherwise() -> None:
    assert LlmConfig(lean=True).prompt_tokens < LlmConfig().prompt_tokens
    assert LlmConfig(lean=True, context_tokens=5_000).prompt_tokens == 5_000
    assert LlmConfig(lean=True, engine="openai").prompt_tokens == 8192
