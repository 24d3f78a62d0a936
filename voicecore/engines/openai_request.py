"""A prompt to the JSON of a chat completion request."""

from __future__ import annotations

import base64
import json
from typing import Any

from voicecore.config import LlmConfig
from voicecore.engines.interface import CalledTool, Message, Prompt, ToolSpec

CHARS_PER_TOKEN = 4
"""English, OpenAI's rule of thumb; used only for servers that do not count."""


def request_body(prompt: Prompt, config: LlmConfig) -> dict[str, Any]:
    """The JSON of a chat completion request."""
    temperature = config.temperature if prompt.temperature is None else prompt.temperature
    body: dict[str, Any] = {
        "model": config.model,
        "messages": [_message(message) for message in prompt.messages],
        "max_tokens": prompt.max_tokens or config.reply_tokens,
        "temperature": temperature,
        "top_p": config.top_p,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if prompt.tools:
        body["tools"] = [_tool(tool) for tool in prompt.tools]
        body["tool_choice"] = "auto"
    return body


def estimate_tokens(prompt: Prompt) -> int:
    """Count the tokens of a prompt roughly, for a server that does not."""
    texts = [message.content for message in prompt.messages]
    texts += [call.arguments for message in prompt.messages for call in message.calls]
    texts += [json.dumps(_tool(tool)) for tool in prompt.tools]
    return round(sum(map(len, texts)) / CHARS_PER_TOKEN)


def call_ids(prompt: Prompt) -> frozenset[str]:
    """The ids of the calls that the prompt tells of."""
    return frozenset(call.id for message in prompt.messages for call in message.calls)


def _message(message: Message) -> dict[str, Any]:
    body: dict[str, Any] = {"role": message.role, "content": _content(message)}
    if message.calls:
        body["content"] = body["content"] or None  # some servers refuse an empty text
        body["tool_calls"] = [_call(call) for call in message.calls]
    if message.role == "tool":
        body["tool_call_id"] = message.call_id
    return body


def _content(message: Message) -> str | list[dict[str, Any]]:
    if not message.images:
        return message.content
    pictures = [
        f"data:{image.mime_type};base64,{base64.b64encode(image.data).decode('ascii')}"
        for image in message.images
    ]
    parts: list[dict[str, Any]] = [{"type": "text", "text": message.content}]
    return parts + [{"type": "image_url", "image_url": {"url": url}} for url in pictures]


def _call(call: CalledTool) -> dict[str, Any]:
    function = {"name": call.name, "arguments": _object(call.arguments)}
    return {"id": call.id, "type": "function", "function": function}


def _object(arguments: str) -> str:
    """Arguments fit to be sent back: most servers refuse a prompt with malformed ones.

    What was wrong with them stands in the call's result.
    """
    try:
        return arguments if isinstance(json.loads(arguments), dict) else "{}"
    except (ValueError, RecursionError):
        return "{}"


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
    }
    return {"type": "function", "function": function}
