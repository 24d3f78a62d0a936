"""Tools, calls and results as plain text, for models that are told of tools in their prompt.

The form is that of Hermes and Qwen, whose templates write a call as JSON in ``<tool_call>`` and a
result in ``<tool_response>``; most small models that can use tools at all were trained on it, or on
something close. A call so written is what `ToolCallStripper` takes out of a reply.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias, cast

import attrs

from voicecore.config import LlmConfig
from voicecore.engines.interface import CalledTool, EngineInfo, Message, ToolSpec

ToolsAs: TypeAlias = Literal["native", "text", "off"]
"""How a model is told of tools: by `Prompt.tools`, in its system prompt, or not at all."""

DESCRIPTION_CHARS = 200
"""Of a tool or a parameter in the list. Some MCP servers describe a tool with a page of text, which
a small model would lose the conversation over."""

INSTRUCTIONS = """\
To use a tool, write nothing but a call of this form:
<tool_call>{"name": "NAME", "arguments": {"PARAMETER": VALUE}}</tool_call>
Then you get its result in <tool_response>, and tell it to the person in your own words. \
When no tool is needed, just answer."""

_RESULT_END = re.compile(r"</(?=\s*tool_response)", re.IGNORECASE)


def how_told(config: LlmConfig, info: EngineInfo) -> ToolsAs:
    """Return how the model of an engine is told of tools, as ``llm.tools`` has it."""
    if info.calls_tools:
        return "native"
    return "text" if config.tools == "text" else "off"


def section(tools: Sequence[ToolSpec]) -> str:
    """Return the part of a system prompt that tells of tools; empty without any.

    One line a tool, ``name(parameter: type, optional?: type): what it does``: about a third of the
    tokens of its JSON Schema.
    """
    if not tools:
        return ""
    lines = "\n".join(f"- {_line(tool)}" for tool in tools)
    return f"You can use these tools (a parameter with ? is optional):\n{lines}\n{INSTRUCTIONS}"


def as_json(tool: ToolSpec) -> str:
    """Return a tool as the templates of models that know tools put it into their prompt."""
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }
    return json.dumps({"type": "function", "function": function}, ensure_ascii=False)


def as_text(message: Message) -> Message:
    """Write a message's calls, or the result it is, into the text of an ordinary message.

    A result becomes a ``user`` message, since many templates know no role ``tool``.
    """
    if message.role == "tool":
        # What a tool brings from elsewhere must not end the result and go on in another's name.
        content = _RESULT_END.sub("[/", message.content)
        return Message("user", f"<tool_response>{content}</tool_response>", message.images)
    if not message.calls:
        return message
    parts = [message.content, *map(_call, message.calls)]
    return attrs.evolve(message, content="\n".join(filter(None, parts)), calls=())


def _call(call: CalledTool) -> str:
    """Arguments stand as the model wrote them, wrong ones too: the result says what is wrong."""
    name = json.dumps(call.name, ensure_ascii=False)
    return f'<tool_call>{{"name": {name}, "arguments": {call.arguments or "{}"}}}</tool_call>'


def _line(tool: ToolSpec) -> str:
    properties = _mapping(tool.parameters.get("properties"))
    required = tool.parameters.get("required")
    needed = required if isinstance(required, list | tuple) else []
    parameters = ", ".join(
        f"{name}{'' if name in needed else '?'}: {_type(_mapping(schema))}"
        for name, schema in properties.items()
    )
    about = [
        f"{name}: {_short(described)}"
        for name, schema in properties.items()
        if (described := _mapping(schema).get("description"))
    ]
    sentences = " ".join([_short(tool.description), *(f"{each.rstrip('.')}." for each in about)])
    return f"{tool.name}({parameters}): {sentences}".rstrip(": ")


def _type(schema: Mapping[str, object]) -> str:
    """Name the type of a value: JSON Schema's own word, its choices, or ``any``."""
    choices = schema.get("enum")
    if isinstance(choices, list):
        return "|".join(json.dumps(choice, ensure_ascii=False) for choice in choices)
    for key in ("anyOf", "oneOf"):
        if isinstance(options := schema.get(key), list):
            names = [_type(_mapping(option)) for option in options]
            return "|".join(dict.fromkeys(name for name in names if name != "null"))
    kind = schema.get("type")
    if kind == "array":
        return f"list of {_type(_mapping(schema.get('items')))}"
    if isinstance(kind, list):
        return "|".join(str(each) for each in kind if each != "null")
    return str(kind or "any")


def _mapping(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}


def _short(text: object) -> str:
    return textwrap.shorten(str(text), DESCRIPTION_CHARS, placeholder=" …")
