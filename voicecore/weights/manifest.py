"""What models there are: the manifest that comes with voicecore, and the person's own.

The manifest is ``models/manifest.toml`` in the source tree and ``voicecore/manifest.toml`` in an
installed package. Own models come from the configuration and win over a listed one of their name.
"""

from __future__ import annotations

import difflib
import importlib.resources
import tomllib
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote, urlsplit

import attrs
import cattrs
from attrs.validators import ge, optional

from voicecore.config import OwnModelConfig
from voicecore.errors import ConfigError, ModelError

Kind: TypeAlias = Literal["stt", "llm", "tts", "vad", "turn"]


def _plain_name(_: object, attribute: attrs.Attribute[str], value: str) -> None:
    """Names become folders and files, and one may come from a URL."""
    if not value or value.startswith(".") or any(mark in value for mark in "/\\\0"):
        raise ValueError(f"{attribute.name} {value!r} needs to be a plain file name")


def _sha256(_: object, attribute: attrs.Attribute[str], value: str) -> None:
    if len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        raise ValueError(f"{attribute.name} {value!r} needs to be 64 hexadecimal digits")


@attrs.frozen
class PackagePart:
    """A file inside a package's wheel."""

    package: str
    version: str
    path: str
    """Inside the wheel, which is also its place below ``site-packages``."""


@attrs.frozen
class UrlPart:
    """A whole file at a URL."""

    url: str


Part: TypeAlias = PackagePart | UrlPart


@attrs.frozen(kw_only=True)
class ModelFile:
    name: str = attrs.field(validator=_plain_name)
    sha256: str = attrs.field(validator=_sha256)
    size: int | None = attrs.field(default=None, validator=optional(ge(0)))
    """Bytes; None when only the hash is known."""
    parts: tuple[Part, ...] = ()
    """Joined in order they are the file. Empty for a file of one's own, used where it lies."""


@attrs.frozen(kw_only=True)
class Model:
    name: str = attrs.field(validator=_plain_name)
    kind: Kind
    licence: str
    """Of the weights; an SPDX identifier where there is one."""
    description: str = ""
    origin: str = ""
    """Where the weights and their licence were published."""
    rate_hz: int | None = None
    """Of the sound it takes or makes."""
    default: bool = False
    """Used by a host without a configuration."""
    files: tuple[ModelFile, ...] = ()
    path: Path | None = None
    """An own model's file or folder, used in place; None for a model that is fetched."""

    @property
    def size(self) -> int | None:
        """Bytes of all files; None when one is unknown or there is no list of them."""
        sizes = [file.size for file in self.files if file.size is not None]
        return sum(sizes) if sizes and len(sizes) == len(self.files) else None


def load_models(own: Mapping[str, OwnModelConfig]) -> dict[str, Model]:
    """Read the manifest and add the person's own models.

    Raises:
        ConfigError: an own model lacks something, or its name cannot be a folder's name.
        ModelError: the manifest is missing or damaged; voicecore must be installed again.
    """
    models = {model.name: model for model in _shipped(_manifest())}
    return models | {name: _own(name, config) for name, config in own.items()}


def find_model(models: Mapping[str, Model], name: str) -> Model:
    """Return the named model.

    Raises:
        ModelError: there is none; names the nearest one.
    """
    if name in models:
        return models[name]
    near = difflib.get_close_matches(name, models, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else "`voicecore models list` shows what there is."
    raise ModelError(f"There is no model {name!r}. {hint}")


def _manifest() -> Traversable:
    package = importlib.resources.files("voicecore")
    installed = package / "manifest.toml"
    if installed.is_file():
        return installed
    return Path(str(package)).parent / "models" / "manifest.toml"


def _shipped(manifest: Traversable) -> tuple[Model, ...]:
    try:
        table = tomllib.loads(manifest.read_text(encoding="utf-8"))
        return _converter().structure(table, _Manifest).models
    except (OSError, tomllib.TOMLDecodeError, cattrs.BaseValidationError) as error:
        raise ModelError(
            f"The list of models, {manifest}, cannot be read: {error}. Install voicecore again."
        ) from error


@attrs.frozen
class _Manifest:
    models: tuple[Model, ...]


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)

    def part(value: Mapping[str, Any], _: object) -> Part:
        if "url" in value:
            return converter.structure(value, UrlPart)
        return converter.structure(value, PackagePart)

    converter.register_structure_hook(Part, part)
    model = cattrs.gen.make_dict_structure_fn(
        Model,
        converter,
        _cattrs_forbid_extra_keys=True,
        path=cattrs.override(omit=True),
    )
    converter.register_structure_hook(Model, model)
    return converter


def _own(name: str, config: OwnModelConfig) -> Model:
    if (config.path is None) == (config.url is None):
        raise ConfigError(f"models.{name}: give either `path` or `url`.")
    if config.url is not None and config.sha256 is None:
        raise ConfigError(
            f"models.{name}: `url` needs `sha256`, so that nothing unverified is used. "
            "`sha256sum FILE` prints it."
        )
    try:
        files = _own_files(config)
        return Model(
            name=name, kind=config.kind, licence=config.licence, files=files, path=_place(config)
        )
    except ValueError as error:
        raise ConfigError(f"models.{name}: {error}.") from error


def _place(config: OwnModelConfig) -> Path | None:
    return None if config.path is None else config.path.expanduser()


def _own_files(config: OwnModelConfig) -> tuple[ModelFile, ...]:
    """Raise ValueError when the hash or the file's name has the wrong form."""
    if config.sha256 is None:
        return ()
    sha256 = config.sha256.lower()
    if config.path is not None:
        return (ModelFile(name=config.path.name, sha256=sha256),)
    url = config.url or ""
    name = unquote(PurePosixPath(urlsplit(url).path).name)
    return (ModelFile(name=name, sha256=sha256, parts=(UrlPart(url),)),)
