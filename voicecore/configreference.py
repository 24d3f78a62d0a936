"""Every setting there is, read off the classes of ``config``: key, type, limits, default, words.

The loader asks it what a key may hold; ``docs/configuration.md`` is what `describe` returns.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import re
import textwrap
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import attrs

from voicecore.config import Config
from voicecore.config.profiles import PROFILES, Profile

Key = tuple[str, ...]
"""The parts of a dotted key. In a `Setting`, ``*`` stands for a name the person chooses."""

_PLAIN_TYPES: dict[Any, str] = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Path: "a path in quotes",
    tuple[str, ...]: "a list of strings",
    str | int | float | bool: "a string, a number, or true or false",
}
_BARE = re.compile(r"[A-Za-z0-9_*-]+")
_LIMITS = {">=": "at least", "<=": "at most", ">": "above", "<": "below"}


@attrs.frozen
class Setting:
    """One key of the configuration, or one table of keys."""

    key: Key
    type: Any
    """With None taken out of it: TOML leaves a key away instead."""
    allowed: str
    """What it may hold, fit to follow "must be"."""
    default: object
    meaning: str

    @property
    def is_table(self) -> bool:
        return attrs.has(self.type) or typing.get_origin(self.type) is Mapping


def dotted(key: Key) -> str:
    """Write a key as TOML does: ``characters."Dr. Who".prompt``."""
    return ".".join(
        part if _BARE.fullmatch(part) else json.dumps(part, ensure_ascii=False) for part in key
    )


@cache
def settings() -> tuple[Setting, ...]:
    """Every table and key, each table before its keys, in the order of the classes."""
    return tuple(_of_class(Config, ()))


def find(key: Key) -> Setting | None:
    """The setting that ``key``, with real names in place of ``*``, belongs to."""
    for setting in settings():
        if len(setting.key) == len(key) and all(
            mine in ("*", theirs) for mine, theirs in zip(setting.key, key, strict=True)
        ):
            return setting
    return None


def _of_class(cls: type[attrs.AttrsInstance], above: Key) -> Iterator[Setting]:
    hints = typing.get_type_hints(cls)
    words = _docstrings(cls)
    attributes = attrs.fields_dict(cls)
    for name, hint in hints.items():  # unlike attrs, in the order of the base class first
        yield from _of_attribute((*above, name), hint, attributes[name], words.get(name))


def _of_attribute(
    key: Key, hint: Any, attribute: attrs.Attribute[Any], words: str | None
) -> Iterator[Setting]:
    kind = _without_none(hint)
    limits = " and ".join(_limits(attribute.validator))
    allowed = ", ".join(filter(None, [_in_words(kind), limits]))
    yield Setting(key, kind, allowed, _default(attribute), words or _class_words(kind))
    yield from _inside(key, kind)


def _inside(key: Key, kind: Any) -> Iterator[Setting]:
    if attrs.has(kind):
        yield from _of_class(kind, key)
    elif typing.get_origin(kind) is Mapping:
        value = typing.get_args(kind)[1]
        yield Setting((*key, "*"), value, _in_words(value), attrs.NOTHING, _class_words(value))
        yield from _inside((*key, "*"), value)


def _without_none(hint: Any) -> Any:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        kept = [arg for arg in typing.get_args(hint) if arg is not type(None)]
        return kept[0] if len(kept) == 1 else hint
    return hint


def _in_words(kind: Any) -> str:
    if typing.get_origin(kind) is Literal:
        *others, last = (json.dumps(choice) for choice in typing.get_args(kind))
        return f"{', '.join(others)} or {last}"
    return _PLAIN_TYPES.get(kind, "a table")


def _limits(validator: Callable[..., Any] | None) -> Iterator[str]:
    """Read the limits off attrs' own number validators, also inside ``and_`` and ``optional``."""
    inner = getattr(validator, "validator", ()) or getattr(validator, "_validators", ())
    for each in inner if isinstance(inner, tuple | list) else (inner,):
        yield from _limits(each)
    if hasattr(validator, "bound"):
        yield f"{_LIMITS[validator.compare_op]} {validator.bound}"  # type: ignore[union-attr]


def _default(attribute: attrs.Attribute[Any]) -> object:
    default: Any = attribute.default
    return default.factory() if hasattr(default, "factory") else default


# --- the words -----------------------------------------------------------------------------------


@cache
def _node(cls: Any) -> ast.ClassDef | None:
    """The source of a class of the configuration; None for any other type."""
    if not attrs.has(cls):
        return None
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    return next(node for node in body if isinstance(node, ast.ClassDef))


def _class_words(kind: Any) -> str:
    node = _node(kind)
    return " ".join((ast.get_docstring(node) or "").split()) if node else ""


def _docstrings(cls: type) -> dict[str, str]:
    """The string below each attribute, of the class and of those it is made from."""
    found: dict[str, str] = {}
    for each in reversed(cls.__mro__):
        node = _node(each)
        body = node.body if node else []
        for line, below in itertools.pairwise(body):
            match line, below:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    found[name] = " ".join(text.split())
    return found


# --- the page ------------------------------------------------------------------------------------

_INTRODUCTION = """\
# Configuration

voicecore needs no configuration: every setting has a default. What you want otherwise goes into a
[TOML](https://toml.io) file, given with `voicecore serve --config FILE`:

```toml
[server]
port = 8080

[stt]
hints = "voicecore, Trio, Piper"

[characters.robin]
prompt = "You are Robin, a patient guide to birds. You answer in one or two spoken sentences."

[models.my-voice]
kind = "tts"
path = "voices/my-voice"    # beside this file
```

A single setting can be given on the command line, as often as needed, and wins over the file:

```sh
voicecore serve --set server.port=8080 --set 'characters.robin.prompt="You are a robin."'
```

A *profile* is a set of defaults for a kind of machine, chosen with `--profile kiosk` or with
`profile = "kiosk"` in the file's first line; the file and `--set` are stronger. See
[Profiles](#profiles).

- The value after `--set` is read as TOML; what is no TOML is taken as a string, so
  `--set stt.language=de` needs no quotes. A string that looks like a number does: `'"123"'`.
- A name with more in it than `A-Z a-z 0-9 _ -` is quoted: `[characters."小天"]`. After `--set`
  only dots, `=`, quotes and spaces need it: `--set 'characters."Dr. Who".voice=en_US-joe-medium'`.
- `~` in a path is your home. A relative path is looked for beside the file, or, after `--set`, in
  the folder you are in.
- A number carries its unit in its name: `_ms` milliseconds, `_bytes`, `_chars`, `_tokens`.
- A key that does not exist, a wrong type or a number out of range stops the start, and all such
  mistakes are told at once.

This page is made from `voicecore/config/`; do not edit it.
"""


def describe() -> str:
    """The reference of every setting, as Markdown."""
    tables = [setting for setting in settings() if attrs.has(setting.type)]
    return "\n".join([_INTRODUCTION, *map(_section, tables), _profiles()])


def _profiles() -> str:
    told = (_profile(name, profile) for name, profile in PROFILES.items())
    return "\n".join(["## Profiles", "", *told])


def _profile(name: str, profile: Profile) -> str:
    lines = [f"**`{name}`**: {profile.summary}", ""]
    if profile.choices:
        lines += ["| key | value | reason |", "|---|---|---|"]
    for choice in profile.choices:
        lines.append(f"| `{choice.key}` | `{toml(choice.value)}` | {choice.why} |")
    return "\n".join([*lines, ""] if profile.choices else lines)


def _section(table: Setting) -> str:
    name = dotted(table.key).replace("*", "NAME")
    rows = [
        _row(setting)
        for setting in settings()
        if setting.key[:-1] == table.key and setting.key[-1] != "*"
    ]
    head = ["| key | must be | default | meaning |", "|---|---|---|---|"]
    words = textwrap.fill(table.meaning.replace("``", "`"), 100)
    return "\n".join([f"## `[{name}]`", "", *([words, ""] if words else []), *head, *rows, ""])


def _row(setting: Setting) -> str:
    default = "" if setting.default is None else f"`{toml(setting.default)}`"
    if setting.default is attrs.NOTHING:
        default = "none: it must be given"
    meaning = setting.meaning.replace("``", "`")
    cells = (f"`{setting.key[-1]}`", setting.allowed, default, meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def toml(value: object) -> str:
    """Write a value as TOML does, as far as people need to recognise it."""
    match value:
        case bool():
            return "true" if value else "false"
        case str() | Path():
            return json.dumps(str(value), ensure_ascii=False)
        case list() | tuple():
            return f"[{', '.join(toml(each) for each in value)}]"
        case dict():
            pairs = (f"{dotted((key,))} = {toml(each)}" for key, each in value.items())
            return f"{{{', '.join(pairs)}}}"
    return str(value)
