"""A function's docstring (Google style) as descriptions for a model: of tool and parameters.

The text before the first section is the tool's. `Args:` describes the parameters; other sections
(what it returns, what it raises) are for programmers, and are left out.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping

import attrs

_SECTION = re.compile(r"(?m)^(?P<title>[A-Z][A-Za-z ]*):[ \t]*$")
_PARAMETER = re.compile(r"(?P<name>\w+)(?: *\([^)]*\))?: *(?P<text>.*)")


@attrs.frozen
class Descriptions:
    """What a docstring says."""

    tool: str
    parameters: Mapping[str, str]


def read(docstring: str) -> Descriptions:
    """Take a docstring apart, its own line breaks removed."""
    text, *rest = _SECTION.split(inspect.cleandoc(docstring))
    sections = dict(zip(rest[::2], rest[1::2], strict=True))
    paragraphs = (" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
    return Descriptions("\n".join(filter(None, paragraphs)), _parameters(sections.get("Args", "")))


def _parameters(section: str) -> dict[str, str]:
    """Read ``name: text`` or ``name (type): text``; lines further in belong to the one above."""
    found: dict[str, str] = {}
    name = ""
    for line in inspect.cleandoc(section).splitlines():
        if not line.startswith(" ") and (entry := _PARAMETER.fullmatch(line)):
            name = entry["name"]
            found[name] = entry["text"]
        elif name:
            found[name] = f"{found[name]} {line}"
    return {name: " ".join(text.split()) for name, text in found.items()}
