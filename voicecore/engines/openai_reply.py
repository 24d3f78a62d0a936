"""The bytes of a streamed chat completion to chunks, free of I/O."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from itertools import count
from typing import Any

import attrs

from voicecore.engines.interface import CalledTool, Delta, LlmChunk, Usage
from voicecore.engines.sse import SseReader
from voicecore.errors import EngineError

ERROR_CHARS = 300
"""Of the server's own words in an error."""

MAX_CALLS = 32
"""In one reply. A model that calls more at once is running in a circle."""

MAX_CALL_BYTES = 64 * 1024
"""Of one call's name and arguments: a note of 10,000 words."""


class ReplyReader:
    """The bytes of a streamed reply to chunks; ends with a `Usage`. Any chunking gives the same.

    Calls come whole, once the reply has ended: until then a piece of any of them may follow.
    """

    def __init__(
        self, model: str, tokens_in: int, key: str = "", *, taken_ids: Collection[str] = ()
    ) -> None:
        """Begin a reply.

        ``tokens_in`` is for a server that does not count; ``key`` is kept out of errors;
        ``taken_ids`` are those of the prompt's calls, which no new call may have.
        """
        self.ended = False
        self.pieces = 0
        """Of text and calls, as the server sent them."""
        self._events = SseReader()
        self._usage = Usage(tokens_in, 0, model, "")
        self._counted = False
        self._key = key
        self._calls = CallReader(taken_ids)

    def feed(self, data: bytes) -> list[LlmChunk]:
        """Take bytes, return the chunks they complete.

        Raises:
            EngineError: the server reports an error, or sent what is no chat completion; the model
                exceeds `MAX_CALLS` or `MAX_CALL_BYTES`, or was cut off in a call.
        """
        return self._read(self._events.feed(data))

    def close(self) -> list[LlmChunk]:
        """The response has ended.

        Raises:
            EngineError: the reply had not.
        """
        chunks = self._read(self._events.close())
        return chunks if self.ended else chunks + self._end()

    def _read(self, events: list[str]) -> list[LlmChunk]:
        chunks: list[LlmChunk] = []
        for event in events:
            if self.ended:
                break  # nothing belongs to the reply after its end
            if event.strip() == "[DONE]":
                chunks += self._end(done=True)
                continue
            try:
                chunks += self._take(json.loads(event))
            except (ValueError, TypeError, AttributeError, KeyError) as error:
                raise EngineError(
                    f"The language model's server sent an event that is no chat completion: "
                    f"{hide(event, self._key)[:ERROR_CHARS]}"
                ) from error
        return chunks

    def _end(self, *, done: bool = False) -> list[LlmChunk]:
        finish, model = self._usage.finish or ("stop" if done else ""), self._usage.model
        if not finish:
            raise EngineError(
                f"The language model's server ended the reply of {model} halfway, without a finish "
                "reason. Its own log may tell why."
            )
        if finish == "length" and self._calls.half_a_call():
            raise EngineError(
                f"The reply of {model} was cut off within a tool call. Raise llm.max_tokens."
            )
        self.ended = True
        calls = self._calls.close()
        told = "length" if finish == "length" else "stop"
        return [*calls, attrs.evolve(self._usage, finish="tool_calls" if calls else told)]

    def _take(self, event: Mapping[str, Any]) -> list[LlmChunk]:
        if event.get("error"):
            said = hide(error_text(event["error"]), self._key) or "it does not say why"
            raise EngineError(f"The language model's server failed during the reply: {said}.")
        if counted := event.get("usage"):
            self._usage = attrs.evolve(
                self._usage,
                tokens_in=int(counted["prompt_tokens"]),
                tokens_out=int(counted["completion_tokens"]),
            )
            self._counted = True
        pieces = [self._choice(choice) for choice in event.get("choices") or ()]
        return [Delta(piece) for piece in pieces if piece]

    def _choice(self, choice: Mapping[str, Any]) -> str:
        delta = choice.get("delta") or {}
        text = _text(delta.get("content"))
        fragments = _fragments(delta)
        for fragment in fragments:
            self._calls.feed(fragment)
        self.pieces += bool(text) + len(fragments)
        finish = choice.get("finish_reason") or self._usage.finish
        out = self._usage.tokens_out if self._counted else self.pieces
        self._usage = attrs.evolve(self._usage, finish=finish, tokens_out=out)
        return text


def _fragments(delta: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The pieces of calls in a delta; ``function_call`` is how it was before ``tool_calls``."""
    fragments = list(delta.get("tool_calls") or ())
    if old := delta.get("function_call"):
        fragments.append({"index": "function_call", "function": old})
    return fragments


def _text(value: object) -> str:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"a text is {type(value).__name__}")
    return value or ""


# --- calls ---------------------------------------------------------------------------------------


@attrs.define
class _Call:
    """A call of which pieces have come."""

    id: str = ""
    name: str = ""
    arguments: list[str] = attrs.field(factory=list)
    size: int = 0

    def json(self) -> str:
        joined = "".join(self.arguments).strip()
        # A server may cut between the halves of a character that JSON escapes as a pair.
        return joined.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def complete(self) -> bool:
        """Whether the arguments are JSON from beginning to end."""
        try:
            json.loads(self.json())
        except (ValueError, RecursionError):
            return False
        return True

    def add(self, name: str, arguments: str) -> None:
        if name != self.name:  # some servers repeat it with each piece of the arguments
            self.name += name
        if arguments:
            self.arguments.append(arguments)
        self.size += len(name.encode("utf-8", "replace")) + len(
            arguments.encode("utf-8", "replace")
        )
        if self.size > MAX_CALL_BYTES:
            raise EngineError(
                f"The language model called a tool with more than {MAX_CALL_BYTES} bytes of "
                "arguments; its reply was given up. Ask for less at once."
            )


class CallReader:
    """Pieces of calls to whole ones, as servers send them in fact.

    OpenAI gives every piece its call's ``index``, and the first one ``id`` and ``name``. Others
    send whole calls at once, all with index 0, or without index or without id, or repeat id and
    name with each piece. So a piece begins a new call if it has an id that its call has not; if it
    has a name but neither id nor index; or if it has a name once its call's arguments are complete.
    """

    def __init__(self, taken_ids: Collection[str] = ()) -> None:
        """``taken_ids``: what no call may have as its id."""
        self._taken = set(taken_ids)
        self._calls: list[_Call] = []
        self._at: dict[object, _Call] = {}

    def feed(self, fragment: Mapping[str, Any]) -> None:
        """Take one element of ``tool_calls``.

        Raises:
            EngineError: there are too many calls, or one is too long.
            TypeError, AttributeError: it is no piece of a call.
        """
        function = fragment.get("function") or {}
        name, call_id = _text(function.get("name")), _text(fragment.get("id"))
        index = fragment.get("index")
        call = self._held(index, call_id)
        if call is None or _begins_another(call, index, call_id, name):
            call = self._new(index)
        call.id = call.id or call_id
        call.add(name, _arguments(function.get("arguments")))

    def half_a_call(self) -> bool:
        """Whether the arguments of a call are not complete."""
        return not all(call.complete() for call in self._calls)

    def close(self) -> list[CalledTool]:
        """Return the calls, in the order in which they began. No arguments are ``{}``.

        Raises:
            EngineError: a call has no name.
        """
        if not all(call.name for call in self._calls):
            raise EngineError("The language model called a tool without saying which.")
        return [
            CalledTool(self._unique(call.id), call.name, call.json() or "{}")
            for call in self._calls
        ]

    def _held(self, index: object, call_id: str) -> _Call | None:
        if index is not None:
            return self._at.get(index)
        same = [call for call in self._calls if call_id and call.id == call_id]
        known = same or self._calls
        return known[-1] if known else None

    def _new(self, index: object) -> _Call:
        if len(self._calls) == MAX_CALLS:
            raise EngineError(
                f"The language model called more than {MAX_CALLS} tools at once; its reply was "
                "given up. Ask for less at once."
            )
        call = self._at[index] = _Call()
        self._calls.append(call)
        return call

    def _unique(self, call_id: str) -> str:
        """The id if it is one; else nine letters and digits, as Mistral's templates demand."""
        if not call_id or call_id in self._taken:
            call_id = next(made for n in count(1) if (made := f"call{n:05}") not in self._taken)
        self._taken.add(call_id)
        return call_id


def _begins_another(call: _Call, index: object, call_id: str, name: str) -> bool:
    if call_id and call.id:
        return call_id != call.id
    if index is None and (name or call_id):
        return True
    return bool(name and call.name) and call.complete()


def _arguments(value: object) -> str:
    """A piece of the arguments; a server that sends the whole call may send them as an object."""
    return json.dumps(value) if isinstance(value, dict) else _text(value)


# --- errors --------------------------------------------------------------------------------------


def error_message(body: bytes) -> str:
    """The server's words in an error page: JSON of several shapes, or plain text."""
    try:
        page = json.loads(body)
    except ValueError:
        text = body.decode("utf-8", "replace").strip()
        return "" if text.startswith("<") else text[:ERROR_CHARS]
    if isinstance(page, dict):
        page = page.get("error") or page.get("detail") or page.get("message") or ""
    return error_text(page)


def error_text(error: object) -> str:
    """The words of an error: text, or an object that holds it."""
    found = error.get("message") or error if isinstance(error, dict) else error
    return str(found).strip().rstrip(".")[:ERROR_CHARS]


def hide(text: str, key: str) -> str:
    """The text without the key: nothing secret in an error."""
    return text.replace(key, "…") if key else text
