from __future__ import annotations

from pathlib import Path

import pytest

from tests.weights.loopback_index import sha256
from voicecore.config import Config, OwnModelConfig
from voicecore.engines import KINDS, is_off, section
from voicecore.errors import ConfigError, ModelError
from voicecore.weights import manifest
from voicecore.weights.manifest import PackagePart, UrlPart, load_models

HASH = sha256(b"")


def test_every_listed_model_is_complete() -> None:
    for model in load_models({}).values():
        assert model.licence
        assert model.origin.startswith("https://")
        assert model.description
        assert model.path is None
        for file in model.files:
            assert file.size
            assert file.parts
            assert all(isinstance(part, PackagePart) for part in file.parts)


def test_the_default_models_are_those_of_the_default_configuration() -> None:
    config = Config()
    used = {section(config, kind).model for kind in KINDS if not is_off(config, kind)}
    assert {model.name for model in load_models({}).values() if model.default} == used


def test_whisper_base_is_joined_from_two_parts() -> None:
    parts = load_models({})["whisper-base"].files[0].parts
    assert [getattr(part, "path")[-5:] for part in parts] == ["part1", "part2"]  # noqa: B009


def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    path = tmp_path / "manifest.toml"
    path.write_text(text)
    monkeypatch.setattr(manifest, "_manifest", lambda: path)


MODEL = '[[models]]\nname = "m"\nkind = "stt"\nlicence = "MIT"\n'


@pytest.mark.parametrize(
    "text",
    [
        "models = 3",
        "[[models]]",
        MODEL + 'color = "red"',
        MODEL + 'path = "/etc"',
        MODEL.replace("stt", "nose"),
        MODEL + f'files = [{{name = "../x", sha256 = "{HASH}"}}]',
        MODEL + 'files = [{name = "x", sha256 = "12"}]',
        MODEL + f'files = [{{name = "x", sha256 = "{HASH}", parts = [{{path = "x"}}]}}]',
        "not toml",
    ],
)
def test_a_damaged_manifest_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    write(tmp_path, monkeypatch, text)
    with pytest.raises(ModelError, match="cannot be read"):
        load_models({})


def test_both_sorts_of_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = '[{url = "https://x.test/a"}, {package = "p", version = "1", path = "p/b"}]'
    files = f'files = [{{name = "x", size = 1, sha256 = "{HASH}", parts = {parts}}}]'
    write(tmp_path, monkeypatch, MODEL + files)
    assert load_models({})["m"].files[0].parts == (
        UrlPart("https://x.test/a"),
        PackagePart("p", "1", "p/b"),
    )


def test_an_own_model_wins_over_a_listed_one() -> None:
    own = OwnModelConfig(kind="stt", path=Path("~/whisper"))
    models = load_models({"whisper-tiny.en": own})
    assert models["whisper-tiny.en"].path == Path("~/whisper").expanduser()


def test_an_own_urls_file_has_the_urls_name() -> None:
    own = OwnModelConfig(kind="llm", url="https://x.test/a/my%20model.gguf?download=1", sha256=HASH)
    (file,) = load_models({"mine": own})["mine"].files
    assert file.name == "my model.gguf"


@pytest.mark.parametrize(
    ("name", "own", "problem"),
    [
        ("m", OwnModelConfig(kind="llm"), "either `path` or `url`"),
        ("m", OwnModelConfig(kind="llm", path=Path("x"), url="https://x/y"), "either"),
        ("m", OwnModelConfig(kind="llm", url="https://x.test/y"), "needs `sha256`"),
        ("m", OwnModelConfig(kind="llm", url="https://x.test/y", sha256="12"), "64 hexadecimal"),
        ("m", OwnModelConfig(kind="llm", url="https://x.test/", sha256=HASH), "plain file name"),
        ("m", OwnModelConfig(kind="llm", url="https://x.test/%2e%2e", sha256=HASH), "plain file"),
        ("m", OwnModelConfig(kind="llm", url="https://x.test/a%2Fb", sha256=HASH), "plain file"),
        ("../m", OwnModelConfig(kind="llm", path=Path("x")), "plain file name"),
        (".verified", OwnModelConfig(kind="llm", path=Path("x")), "plain file name"),
    ],
)
def test_an_own_model_that_lacks_something(name: str, own: OwnModelConfig, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        load_models({name: own})
    assert str(caught.value).startswith(f"models.{name}: ")
