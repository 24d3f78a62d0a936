"""Between MCP and what a model and a person are told: arguments, results, progress."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from itertools import islice

from jsonschema import Draft202012Validator, SchemaError  # type: ignore[import-untyped]
from jsonschema.validators import validator_for  # type: ignore[import-untyped]
from mcp_types import (
    AudioContent,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)
from mcp_types import Tool as ListedTool
from referencing import Registry
from referencing.exceptions import Unresolvable

from voicecore.tools.mcp.faults import ServerFault
from voicecore.tools.tool import Check, ToolError

MAX_DESCRIPTION_CHARS = 1024
"""Of a tool, OpenAI's bound. Every prompt carries it."""

MAX_COMPLAINTS = 3
"""Named at once when arguments do not fit; a model mends them in one go."""

MAX_COMPLAINT_CHARS = 200


def description(tool: ListedTool) -> str:
    return (tool.description or tool.title or tool.name)[:MAX_DESCRIPTION_CHARS]


def parameters(tool: ListedTool) -> Mapping[str, object]:
    """Give the arguments' schema; some models refuse one without ``properties``."""
    return {"properties": {}, **tool.input_schema}


def checker(schema: Mapping[str, object]) -> Check:
    """Make the check of arguments against a JSON Schema, of the draft it names or 2020-12.

    References to other documents are never fetched: a schema that needs them refuses everything.

    Raises:
        ServerFault: it is no JSON Schema.
    """
    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        raise ServerFault(error.message[:MAX_COMPLAINT_CHARS], over=False) from error
    validator = kind(schema, registry=Registry())

    def check(arguments: Mapping[str, object]) -> Mapping[str, object]:
        plain = dict(arguments)
        try:
            errors = list(islice(validator.iter_errors(plain), MAX_COMPLAINTS))
        except (Unresolvable, RecursionError) as error:
            raise ToolError(
                f"The tool's schema of arguments cannot be used ({type(error).__name__}); "
                "it cannot be called."
            ) from error
        if errors:
            wrong = "; ".join(_complaint(error.json_path, error.message) for error in errors)
            raise ToolError(f"The arguments do not fit: {wrong}.")
        return plain

    return check


def _complaint(path: str, message: str) -> str:
    where = path.removeprefix("$").removeprefix(".")
    return (f"{where}: {message}" if where else message)[:MAX_COMPLAINT_CHARS]


def result_text(result: CallToolResult) -> str:
    """Say a result in text.

    Text as it is; data as JSON if there is no text; what a model cannot read named in brackets.

    Raises:
        ToolError: the server says that the call failed.
    """
    parts = [_words(block) for block in result.content]
    if result.structured_content is not None and not any(map(_is_text, result.content)):
        parts.append(json.dumps(result.structured_content, ensure_ascii=False))
    text = "\n".join(part for part in parts if part)
    if result.is_error:
        raise ToolError(text or "It failed, and did not say why.")
    return text or "It is done; there is nothing to tell."


def _is_text(block: ContentBlock) -> bool:
    return isinstance(block, TextContent) or (
        isinstance(block, EmbeddedResource) and isinstance(block.resource, TextResourceContents)
    )


def _words(block: ContentBlock) -> str:
    match block:
        case TextContent():
            return block.text
        case ImageContent():
            return f"[a picture, {block.mime_type}, {_size(block.data)}]"
        case AudioContent():
            return f"[a sound, {block.mime_type}, {_size(block.data)}]"
        case ResourceLink():
            return f"[a resource, {block.name}: {block.uri}]"
        case EmbeddedResource(resource=TextResourceContents() as text):
            return text.text
        case EmbeddedResource(resource=resource):
            return f"[a file, {resource.uri}, {resource.mime_type or 'of unknown type'}]"


def _size(base64_data: str) -> str:
    return f"{max(1, len(base64_data) * 3 // 4000)} kB"


def percent(progress: float, total: float | None) -> float:
    """Say progress as 0 to 100; 0 while the server does not say how much there is to do."""
    if not total or not math.isfinite(progress) or not math.isfinite(total):
        return 0.0
    return min(100.0, max(0.0, 100 * progress / total))
