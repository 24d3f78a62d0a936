"""Any server that speaks OpenAI's chat completions: Ollama, vLLM, llama-server, a paid service.

The reply is streamed over one HTTP client for the whole host. Reading a reply (`ReplyReader`) is
free of I/O; `_Reply` is the thin part that waits.
"""

from __future__ import annotations

import base64
import json
import os
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import attrs
import httpx2
import trio

from voicecore.config import LlmConfig
from voicecore.engines.interface import Delta, EngineInfo, Message, ModelFiles, Prompt, Usage
from voicecore.engines.sse import SseReader
from voicecore.errors import ConfigError, EngineError

CHECK_TIMEOUT_S = 10.0
"""For the list of models when the host starts. A server on the same machine needs milliseconds."""

GRACE_S = 0.05
"""Waited for the end of a reply that is complete, so that its connection can be used again."""

CLOSE_S = 1.0
"""For closing a connection when the turn is cancelled. Closing a socket does not wait; the end of a
TLS session may."""

ERROR_BYTES = 64 * 1024
"""Read of a server's error page, enough for any error message in it."""

CHARS_PER_TOKEN = 4
"""English, OpenAI's rule of thumb; used only for servers that do not count."""

ERROR_CHARS = 300
"""Of the server's own words in an error."""

MODELS_NAMED = 10
"""Models listed in an error."""

Chunk: TypeAlias = Delta | Usage


def load(config: LlmConfig, files: ModelFiles, *, threads: int) -> OpenAiChat:
    """Prepare the client. Nothing is connected yet, and there are no files nor threads to use.

    Raises:
        ConfigError: ``llm.base_url`` is not an http address, or ``llm.model`` is empty.
    """
    del files, threads
    try:
        url = httpx2.URL(config.base_url)
    except httpx2.InvalidURL as error:
        raise ConfigError(f"llm.base_url is {config.base_url!r}: {error}.") from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigError(
            f"llm.base_url is {config.base_url!r}. It must be an http or https address, such as "
            "http://127.0.0.1:11434/v1."
        )
    if not config.model:
        raise ConfigError("llm.model is empty. Set it to the name of a model the server has.")
    return OpenAiChat(config)


class OpenAiChat:
    """A language model behind HTTP: an `Engine` without threads.

    Token counts are the server's. One that sends none is estimated: a token for each piece of the
    reply it sent, and one for four characters of the prompt. Reasoning and native tool calls are
    skipped. The key comes from the environment variable ``llm.api_key_env`` and appears in no log
    and no error.
    """

    def __init__(
        self, config: LlmConfig, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self.info = EngineInfo(
            kind="llm",
            name="openai",
            model=config.model,
            version=f"httpx2 {httpx2.__version__}",
            device="remote",
            threads=0,
        )
        self._config = config
        self._key = os.environ.get(config.api_key_env, "")
        # Deadlines are ours (they name the setting); plain bytes, since a decoder would hold text
        # back.
        headers = {"Accept-Encoding": "identity"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        self._client = httpx2.AsyncClient(headers=headers, timeout=None, transport=transport)

    @asynccontextmanager
    async def stream(self, prompt: Prompt) -> AsyncIterator[AsyncIterator[Chunk]]:
        """Ask for a reply; the request goes out with the first step of the iteration.

        Raises:
            EngineError: from the iteration: the server cannot be reached, refused the request, kept
                silent longer than ``llm.first_token_timeout_ms`` or
                ``llm.between_tokens_timeout_ms``, or ended the reply halfway.

        **Cancellation** closes the connection, which is how these servers are told to stop.
        """
        reply = _Reply(self, prompt)
        try:
            yield reply
        finally:
            await reply.aclose()

    async def warm_up(self) -> None:
        """Ask the server for its models, so that a wrong address or name is told at the start.

        Raises:
            EngineError: the server cannot be reached, refuses the key, or lacks the model.
        """
        url = self._url("models")
        try:
            with trio.fail_after(CHECK_TIMEOUT_S):
                response = await self._client.get(url)
        except trio.TooSlowError:
            raise EngineError(
                f"{url} did not answer within {CHECK_TIMEOUT_S:g} s. Is the server running?"
            ) from None
        except httpx2.HTTPError as error:
            raise self.unreachable(error) from error
        if response.status_code != httpx2.codes.OK:
            raise self.refused(response.status_code, response.content[:ERROR_BYTES])
        known = _model_names(response.content)
        if known is None:
            raise EngineError(f"{url} gave no list of models. Is llm.base_url right?")
        if not any(self._config.model in {name, name.removesuffix(":latest")} for name in known):
            names = ", ".join(known[:MODELS_NAMED]) or "none"
            raise EngineError(
                f"The server at {self._config.base_url} has no model {self._config.model!r}. It "
                f"has: {names}. Set llm.model to one of these, or load the model there."
            )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def send(self, prompt: Prompt) -> httpx2.Response:
        """Send the request and return the response once its head is there."""
        request = self._client.build_request(
            "POST", self._url("chat/completions"), json=request_body(prompt, self._config)
        )
        return await self._client.send(request, stream=True)

    def unreachable(self, error: httpx2.HTTPError) -> EngineError:
        return EngineError(
            f"The language model's server at {self._config.base_url} cannot be reached or broke "
            f"off: {str(error) or type(error).__name__}. Start it, or correct llm.base_url."
        )

    def refused(self, status: int, body: bytes) -> EngineError:
        """The error for an HTTP status other than 200, with the server's own words."""
        config = self._config
        advice = {
            401: f"Set the environment variable {config.api_key_env} to a key it accepts.",
            403: f"Its key ({config.api_key_env}) may not use this model.",
            404: f"Check llm.model ({config.model}) and llm.base_url, which mostly ends in /v1.",
            429: "Wait, or ask its operator for a higher limit.",
        }.get(status, "Its own log may tell more.")
        said = _hide(_error_message(body), self._key)
        return EngineError(
            f"The language model's server at {config.base_url} refused with status {status}"
            f"{f': {said}' if said else ''}. {advice}"
        )

    def too_slow(self, *, first: bool) -> EngineError:
        name = "first_token_timeout_ms" if first else "between_tokens_timeout_ms"
        what = "did not begin its reply" if first else "stopped in the middle of its reply"
        return EngineError(
            f"The language model's server at {self._config.base_url} {what}: nothing for "
            f"{getattr(self._config, name)} ms (llm.{name})."
        )

    def timeout_s(self, *, first: bool) -> float:
        config = self._config
        ms = config.first_token_timeout_ms if first else config.between_tokens_timeout_ms
        return ms / 1000

    def reader(self, prompt: Prompt) -> ReplyReader:
        return ReplyReader(self._config.model, estimate_tokens(prompt), self._key)

    def _url(self, path: str) -> str:
        return f"{self._config.base_url.rstrip('/')}/{path}"


class _Reply:
    """The iterator over one reply: sends, waits, and closes.

    An iterator class, and no generator: httpx2's own generators warn when they are left before
    their end. They are quiet when a cancelled read ends them, so that is how `aclose` leaves.
    """

    def __init__(self, engine: OpenAiChat, prompt: Prompt) -> None:
        self._engine = engine
        self._prompt = prompt
        self._reader = engine.reader(prompt)
        self._response: httpx2.Response | None = None
        self._body: AsyncGenerator[bytes, None] | None = None
        self._ready: deque[Chunk] = deque()
        self._first = True

    def __aiter__(self) -> _Reply:
        return self

    async def __anext__(self) -> Chunk:
        with trio.move_on_after(self._engine.timeout_s(first=self._first)) as waiting:
            while not self._ready and not self._reader.ended:
                self._ready.extend(await self._read())
        if waiting.cancelled_caught:
            raise self._engine.too_slow(first=self._first)
        if not self._ready:
            raise StopAsyncIteration
        self._first = False
        return self._ready.popleft()

    async def _read(self) -> list[Chunk]:
        try:
            if self._body is None:
                self._response = await self._engine.send(self._prompt)
                self._body = self._response.aiter_raw()
                if self._response.status_code != httpx2.codes.OK:
                    body = await self._error_body(self._body)
                    raise self._engine.refused(self._response.status_code, body)
            chunk = await anext(self._body, None)
        except httpx2.HTTPError as error:
            raise self._engine.unreachable(error) from error
        return self._reader.close() if chunk is None else self._reader.feed(chunk)

    async def _error_body(self, body: AsyncGenerator[bytes, None]) -> bytes:
        read = b""
        while len(read) < ERROR_BYTES and (chunk := await anext(body, None)) is not None:
            read += chunk
        return read[:ERROR_BYTES]

    async def aclose(self) -> None:
        """Leave the reply; its connection is kept only if the reply was read to its end."""
        if self._response is None or self._body is None:
            return
        try:
            with trio.move_on_after(GRACE_S if self._reader.ended else 0):
                async for _ in self._body:
                    pass  # only what has arrived: the next read of the socket is cancelled
        except httpx2.HTTPError:
            pass  # the reply was over; that the connection broke as well changes nothing
        finally:
            with trio.move_on_after(CLOSE_S, shield=True):
                await self._response.aclose()


class ReplyReader:
    """The bytes of a streamed reply to chunks; ends with a `Usage`. Any chunking gives the same."""

    def __init__(self, model: str, tokens_in: int, key: str = "") -> None:
        """``tokens_in`` is for a server that does not count; ``key`` is kept out of errors."""
        self.ended = False
        self._events = SseReader()
        self._usage = Usage(tokens_in, 0, model, "")
        self._counted = False
        self._key = key

    def feed(self, data: bytes) -> list[Chunk]:
        """Take bytes, return the chunks they complete.

        Raises:
            EngineError: the server reports an error, or sent what is no chat completion.
        """
        return self._read(self._events.feed(data))

    def close(self) -> list[Chunk]:
        """The response has ended.

        Raises:
            EngineError: the reply had not.
        """
        chunks = self._read(self._events.close())
        return chunks if self.ended else [*chunks, self._end()]

    def _read(self, events: list[str]) -> list[Chunk]:
        chunks: list[Chunk] = []
        for event in events:
            if self.ended:
                break  # nothing belongs to the reply after its end
            if event.strip() == "[DONE]":
                chunks.append(self._end(done=True))
                continue
            try:
                chunks += self._take(json.loads(event))
            except (ValueError, TypeError, AttributeError, KeyError) as error:
                raise EngineError(
                    f"The language model's server sent an event that is no chat completion: "
                    f"{_hide(event, self._key)[:ERROR_CHARS]}"
                ) from error
        return chunks

    def _end(self, *, done: bool = False) -> Usage:
        finish = self._usage.finish or ("stop" if done else "")
        if not finish:
            raise EngineError(
                f"The language model's server ended the reply of {self._usage.model} halfway, "
                "without a finish reason. Its own log may tell why."
            )
        self.ended = True
        return attrs.evolve(self._usage, finish="length" if finish == "length" else "stop")

    def _take(self, event: Mapping[str, Any]) -> list[Chunk]:
        if event.get("error"):
            said = _hide(_error_text(event["error"]), self._key) or "it does not say why"
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
        finish = choice.get("finish_reason") or self._usage.finish
        text = (choice.get("delta") or {}).get("content") or ""
        counted = self._counted or not text
        self._usage = attrs.evolve(
            self._usage, finish=finish, tokens_out=self._usage.tokens_out + (0 if counted else 1)
        )
        if not isinstance(text, str):
            raise TypeError(f"content is {type(text).__name__}")
        return text


def request_body(prompt: Prompt, config: LlmConfig) -> dict[str, Any]:
    """The JSON of a chat completion request."""
    temperature = config.temperature if prompt.temperature is None else prompt.temperature
    return {
        "model": config.model,
        "messages": [_message(message) for message in prompt.messages],
        "max_tokens": prompt.max_tokens or config.max_tokens,
        "temperature": temperature,
        "top_p": config.top_p,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def estimate_tokens(prompt: Prompt) -> int:
    """Count the tokens of a prompt roughly, for a server that does not."""
    return round(sum(len(message.content) for message in prompt.messages) / CHARS_PER_TOKEN)


def _message(message: Message) -> dict[str, Any]:
    if not message.images:
        return {"role": message.role, "content": message.content}
    pictures = [
        f"data:{image.mime_type};base64,{base64.b64encode(image.data).decode('ascii')}"
        for image in message.images
    ]
    parts: list[dict[str, Any]] = [{"type": "text", "text": message.content}]
    parts += [{"type": "image_url", "image_url": {"url": url}} for url in pictures]
    return {"role": message.role, "content": parts}


def _model_names(body: bytes) -> list[str] | None:
    """The names in a list of models, or None if it is no such list."""
    try:
        return [str(model["id"]) for model in json.loads(body)["data"] or ()]
    except (ValueError, TypeError, KeyError):
        return None


def _error_message(body: bytes) -> str:
    """The server's words in an error page: JSON of several shapes, or plain text."""
    try:
        page = json.loads(body)
    except ValueError:
        text = body.decode("utf-8", "replace").strip()
        return "" if text.startswith("<") else text[:ERROR_CHARS]
    if isinstance(page, dict):
        page = page.get("error") or page.get("detail") or page.get("message") or ""
    return _error_text(page)


def _error_text(error: object) -> str:
    found = error.get("message") or error if isinstance(error, dict) else error
    return str(found).strip().rstrip(".")[:ERROR_CHARS]


def _hide(text: str, key: str) -> str:
    return text.replace(key, "…") if key else text
