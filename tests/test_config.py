"""The configuration's classes: complete, frozen, and consistent with their own limits."""

import attrs
import pytest

from voicecore.config import CharacterConfig, Config, PathsConfig, ServerConfig, cores
from voicecore.configreference import settings


def test_nothing_has_to_be_configured() -> None:
    config = Config()
    assert (config.server.host, config.server.port) == ("127.0.0.1", 3000)


def test_it_cannot_be_changed_afterwards() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Config().server.port = 1  # type: ignore[misc]


@pytest.mark.parametrize("port", [-1, 65_536])
def test_limits_hold_without_a_file_too(port: int) -> None:
    with pytest.raises(ValueError, match="port"):
        ServerConfig(port=port)


def test_the_default_character_needs_no_configuration() -> None:
    assert Config().character("default") == CharacterConfig()
    assert Config().character("nobody") is None


def test_a_configured_character_wins_over_the_built_in_one() -> None:
    mine = CharacterConfig(prompt="Hello.")
    config = Config(characters={"default": mine, "robin": mine})
    assert config.character("default") is mine
    assert config.character("robin") is mine


def test_home_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    paths = PathsConfig().expanded()
    assert str(paths.data) == "/home/somebody/.local/share/voicecore"
    assert paths.expanded() == paths


def test_there_is_at_least_one_core() -> None:
    assert cores() >= 1


def test_every_duration_and_size_is_a_whole_number_with_its_unit_in_its_name() -> None:
    units = ("_ms", "_bytes", "_chars", "_tokens")
    measured = [each for each in settings() if each.key[-1].endswith(units)]
    assert len(measured) > 10
    assert {each.type for each in measured} == {int}
