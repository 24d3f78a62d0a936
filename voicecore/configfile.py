"""From a TOML file and ``--set`` arguments to a `Config`; whatever is wrong is told at once."""

from __future__ import annotations

import difflib
import math
import re
import tomllib
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn, override

from voicecore.config import Config
from voicecore.config.profiles import PROFILES
from voicecore.configreference import Key, dotted, find, settings, toml
from voicecore.errors import ConfigError

Table: TypeAlias = dict[str, Any]

_QUOTE_NAMES = """A name with more in it than A-Z a-z 0-9 _ - is quoted: [characters."小天"]."""

_KEY_PART = re.compile(
    r"""\s* (?: (?P<quoted> "(?:[^"\\]|\\.)*" | '[^']*' ) | (?P<bare> [^.="'\s]+ ) )
        \s* (?P<end> [.=] )""",
    re.VERBOSE,
)


def load(path: Path | None, overrides: Sequence[str] = ()) -> Config:
    """Make the configuration: defaults, profile, file, overrides, each over the one before.

    Args:
        path: A TOML file, or None for none. Its relative paths are relative to its folder.
        overrides: ``section.key=value``, as given to ``--set``. The value is TOML if it can be
            read as TOML, else a string. Relative paths are relative to the current folder.

    Raises:
        ConfigError: one sentence, on a line of its own, for everything that is wrong.
    """
    data: Table = {}
    if path is not None:
        data = _beside(path.absolute().parent, _read(path))
    given: list[Key] = []
    for text in overrides:
        key, value = _parse_override(text)
        data = _merged(data, _beside(Path.cwd(), _nested(key, value)))
        given.append(key)
    data = _merged(_profile(data.get("profile")), data)
    try:
        config = _converter().structure(data, Config)
    except cattrs.BaseValidationError as exc:
        told = [_tell(problem, data, path, given) for problem in _problems(exc, ())]
        raise ConfigError("\n".join(told)) from exc
    active = config.server.character
    if config.character(active) is None:
        where = _where(("server", "character"), path, given)
        known = ", ".join(map(repr, sorted({"default", *config.characters})))
        raise ConfigError(f"{where} must be a character ({known}), not {_short(active)}.")
    return attrs.evolve(config, paths=config.paths.expanded())


# --- reading -------------------------------------------------------------------------------------


def _read(path: Path) -> Table:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"There is no configuration file {path}.") from None
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}.") from exc
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise ConfigError(f"{path} is not UTF-8 text (at line {line}).") from exc
    except RecursionError:
        raise ConfigError(f"{path} is nested too deeply to be a configuration.") from None
    except tomllib.TOMLDecodeError as exc:
        hint = f" {_QUOTE_NAMES}" if "key part" in str(exc) else ""
        raise ConfigError(f"{path} is not valid TOML: {exc}.{hint}") from exc


def _parse_override(text: str) -> tuple[Key, object]:
    parts: list[str] = []
    position, end = 0, "."
    while end == ".":
        match = _KEY_PART.match(text, position)
        if match is None:
            raise ConfigError(f"--set {text}: write it as section.key=value.")
        quoted = match["quoted"]
        parts.append(_toml_string(text, quoted) if quoted else match["bare"])
        position, end = match.end(), match["end"]
    return tuple(parts), _parse_value(text[position:].strip())


def _toml_string(text: str, quoted: str) -> str:
    try:
        return str(tomllib.loads(f"part = {quoted}")["part"])
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"--set {text}: the name {quoted} is not valid TOML: {exc}.") from exc


def _parse_value(text: str) -> object:
    try:
        found = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return found["value"] if len(found) == 1 else text  # else: several lines of TOML in a string


def _profile(name: object) -> Table:
    """Return a profile's values; nothing for a name that is none, which the checks will tell."""
    data: Table = {}
    for choice in PROFILES[name].choices if isinstance(name, str) and name in PROFILES else ():
        data = _merged(data, _nested(tuple(choice.key.split(".")), choice.value))
    return data


def _nested(key: Key, value: object) -> Table:
    for part in reversed(key):
        value = {part: value}
    return typing.cast("Table", value)


def _merged(below: Table, above: Table) -> Table:
    both = {
        key: _merged(below[key], above[key])
        for key in below.keys() & above.keys()
        if isinstance(below[key], dict) and isinstance(above[key], dict)
    }
    return below | above | both


def _beside(folder: Path, data: Table, above: Key = ()) -> Table:
    """Make relative paths absolute; only settings that hold a path are touched."""
    result: Table = {}
    for name, value in data.items():
        setting = find((*above, name))
        if isinstance(value, dict):
            result[name] = _beside(folder, value, (*above, name))
        elif isinstance(value, str) and setting and setting.type is Path and value[:1] != "~":
            result[name] = str(folder / value)
        else:
            result[name] = value
    return result


# --- checking ------------------------------------------------------------------------------------


class _WrongTypeError(ValueError):
    """The value's key, which the converter notes, tells the rest."""


def _converter() -> cattrs.Converter:
    """One that coerces nothing, and runs each validator on its own so that all are heard."""
    converter = cattrs.Converter(forbid_extra_keys=True)
    for kind in (str, int, bool):
        converter.register_structure_hook(kind, _exactly(kind))
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook(Path, _path)
    converter.register_structure_hook_func(lambda hint: hint == tuple[str, ...], _strings)
    converter.register_structure_hook_func(
        lambda hint: hint == str | int | float | bool, _exactly(str, int, float, bool)
    )
    converter.register_structure_hook_func(_is_choice, _choice)
    converter.register_structure_hook_factory(attrs.has, lambda cls: _class_hook(converter, cls))
    return converter


def _exactly(*kinds: type) -> Callable[[Any, Any], Any]:
    def check(value: Any, _: Any) -> Any:
        if type(value) not in kinds:  # isinstance would take true for a number
            raise _WrongTypeError
        return value

    return check


def _number(value: Any, _: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise _WrongTypeError
    return float(value)


def _path(value: Any, _: Any) -> Path:
    if not isinstance(value, str):
        raise _WrongTypeError
    return Path(value).expanduser()  # RuntimeError: there is no such user


def _strings(value: Any, _: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise _WrongTypeError
    return tuple(value)


def _is_choice(hint: Any) -> bool:
    return typing.get_origin(hint) is Literal


def _choice(value: Any, hint: Any) -> str:
    if not isinstance(value, str) or value not in typing.get_args(hint):
        raise _WrongTypeError
    return value


def _class_hook(converter: cattrs.Converter, cls: Any) -> Callable[[Any, Any], Any]:
    hints = typing.get_type_hints(cls)
    checked: dict[str, Any] = {
        each.name: override(struct_hook=_field_hook(converter, each, hints[each.name]))
        for each in attrs.fields(cls)
    }
    make = make_dict_structure_fn(cls, converter, _cattrs_forbid_extra_keys=True, **checked)

    def structure(value: Any, hint: Any) -> Any:
        if not isinstance(value, dict):
            raise _WrongTypeError
        return make(value, hint)

    return structure


def _field_hook(
    converter: cattrs.Converter, attribute: attrs.Attribute[Any], hint: Any
) -> Callable[[Any, Any], Any]:
    def structure(value: Any, _: Any) -> Any:
        result = converter.structure(value, hint)
        if attribute.validator is not None:
            attribute.validator(None, attribute, result)  # only number limits: no instance needed
        return result

    return structure


# --- telling -------------------------------------------------------------------------------------


@attrs.frozen
class _Problem:
    key: Key
    known: bool = True
    missing: bool = False
    homeless: bool = False
    """A path begins with the home of a user that does not exist."""


def _problems(error: Exception, key: Key) -> Iterator[_Problem]:
    """Walk the converter's tree of errors; its notes carry the names on the way."""
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, cattrs.AttributeValidationNote):
            key = (*key, note.name)
        elif isinstance(note, cattrs.IterableValidationNote):
            key = (*key, str(note.index))
    if isinstance(error, cattrs.BaseValidationError):
        for each in error.exceptions:
            yield from _problems(each, key)
    elif isinstance(error, cattrs.ForbiddenExtraKeysError):
        yield from (_Problem((*key, name), known=False) for name in sorted(error.extra_fields))
    elif isinstance(error, KeyError):
        yield _Problem(key, missing=True)
    elif isinstance(error, RuntimeError):
        yield _Problem(key, homeless=True)
    else:
        yield _Problem(key)


def _tell(problem: _Problem, data: Table, path: Path | None, given: Sequence[Key]) -> str:
    key = problem.key
    where = _where(key, path, given)
    setting = find(key)
    if not problem.known or setting is None:
        return f"{where} is not a setting; {_nearest(key)}"
    if problem.missing:
        return f"{where} is missing; it must be {setting.allowed}."
    value = _value_at(data, key)
    if problem.homeless:
        return f"{where} begins with a home folder that does not exist: {_short(value)}."
    told = f"{where} must be {setting.allowed}, not {_short(value)}"
    if where.endswith(" --set") and setting.type is str:
        told += f"""; write it in quotes: --set '{dotted(key)}="{value}"'"""
    return f"{told}."


def _where(key: Key, path: Path | None, given: Sequence[Key]) -> str:
    """Name a setting and where it was given."""
    on_command_line = any(key[: len(each)] == each[: len(key)] for each in given)
    return f"{dotted(key)} in {'--set' if on_command_line or path is None else path}"


def _nearest(key: Key) -> str:
    """Suggest the same name elsewhere, else a like one in the same table, else list the table."""
    elsewhere = [each.key for each in settings() if each.key[-1] == key[-1]]
    if elsewhere:
        return f"did you mean {dotted(elsewhere[0]).replace('*', 'NAME')}?"
    table = [each.key[-1] for each in settings() if _is_in(each.key, key[:-1])]
    near = difflib.get_close_matches(key[-1], table, n=1)
    if near:
        return f"did you mean {dotted((*key[:-1], near[0]))}?"
    place = f"in {dotted(key[:-1])}" if key[:-1] else "at the top"
    return f"{place} there are {', '.join(table)}."


def _is_in(key: Key, table: Key) -> bool:
    return len(key) == len(table) + 1 and all(
        mine in ("*", theirs) for mine, theirs in zip(key, table, strict=False)
    )


def _value_at(data: Mapping[str, Any], key: Key) -> Any:
    value: Any = data
    for part in key:
        value = value[part]
    return value


def _short(value: Any) -> str:
    text = toml(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
