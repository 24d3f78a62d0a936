"""Any server that speaks OpenAI's chat completions: Ollama, vLLM, llama-server, a paid service.

The reply is streamed over one HTTP client for the whole host. `_Reply` is the thin part that waits;
what is sent (`openai_request`) and reading what comes (`openai_reply`) are free of I/O.
"""

from __future__ import annotations

import json
import os
import re
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import trio

from voicecore.config import LlmConfig
from voicecore.engines.interface import EngineInfo, LlmChunk, ModelFiles, Prompt
from voicecore.engines.openai_reply import ReplyReader, error_message, hide
from voicecore.engines.openai_request import call_ids, estimate_tokens, request_body
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

MODELS_NAMED = 10
"""Models listed in an error."""

TOOLS_REFUSED = frozenset({400, 404, 422, 500, 501})
"""Statuses with which servers say that a model or they themselves know no tools: 400 Ollama and
vLLM, 404 OpenRouter, 422 servers that check each field, 500 llama-server."""

NO_TOOLS = (
    'If this model or server takes no tools, set llm.tools = "text", which tells the model of them '
    'in its prompt, or "off".'
)

_TOOLS = re.compile(r"\btools?\b|\btool_|function.call", re.IGNORECASE)


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

    It is told of tools by the server's own interface, unless ``llm.tools`` says otherwise. Token
    counts are the server's. One that sends none is estimated: a token for each piece of the reply
    it sent, and one for four characters of the prompt. Reasoning is skipped. The key comes from the
    environment variable ``llm.api_key_env`` and appears in no log and no error.
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
            sees=config.sees,
            calls_tools=config.tools in {"auto", "native"},
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
    async def stream(self, prompt: Prompt) -> AsyncIterator[AsyncIterator[LlmChunk]]:
        """Ask for a reply; the request goes out with the first step of the iteration.

        Raises:
            EngineError: from the iteration: the server cannot be reached, refused the request, kept
                silent longer than ``llm.first_token_timeout_ms`` or
                ``llm.between_tokens_timeout_ms``, or ended the reply halfway; or the prompt has a
                picture though ``llm.sees`` is false.

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
        if not self._config.sees and any(message.images for message in prompt.messages):
            raise EngineError(
                f"The model {self._config.model} is not known to take pictures. Set llm.sees = "
                "true if it does; else use one that does."
            )
        request = self._client.build_request(
            "POST", self._url("chat/completions"), json=request_body(prompt, self._config)
        )
        return await self._client.send(request, stream=True)

    def unreachable(self, error: httpx2.HTTPError) -> EngineError:
        return EngineError(
            f"The language model's server at {self._config.base_url} cannot be reached or broke "
            f"off: {str(error) or type(error).__name__}. Start it, or correct llm.base_url."
        )

    def refused(self, status: int, body: bytes, *, tools: bool = False) -> EngineError:
        """The error for an HTTP status other than 200, with the server's own words.

        ``tools`` says whether the request had any, since not every server and model takes them.
        """
        said = hide(error_message(body), self._key)
        no_tools = tools and status in TOOLS_REFUSED and _TOOLS.search(said)
        return EngineError(
            f"The language model's server at {self._config.base_url} refused with status {status}"
            f"{f': {said}' if said else ''}. {NO_TOOLS if no_tools else self._advice(status)}"
        )

    def _advice(self, status: int) -> str:
        config = self._config
        return {
            401: f"Set the environment variable {config.api_key_env} to a key it accepts.",
            403: f"Its key ({config.api_key_env}) may not use this model.",
            404: f"Check llm.model ({config.model}) and llm.base_url, which mostly ends in /v1.",
            429: "Wait, or ask its operator for a higher limit.",
        }.get(status, "Its own log may tell more.")

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
        return ReplyReader(
            self._config.model, estimate_tokens(prompt), self._key, taken_ids=call_ids(prompt)
        )

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
        self._ready: deque[LlmChunk] = deque()
        self._first = True

    def __aiter__(self) -> _Reply:
        return self

    async def __anext__(self) -> LlmChunk:
        with trio.move_on_after(self._engine.timeout_s(first=self._first)) as waiting:
            while not self._ready and not self._reader.ended:
                pieces = self._reader.pieces
                self._ready.extend(await self._read())
                if self._reader.pieces > pieces:  # a call that grows is a reply that goes on
                    self._first = False
                    waiting.deadline = trio.current_time() + self._engine.timeout_s(first=False)
        if waiting.cancelled_caught:
            raise self._engine.too_slow(first=self._first)
        if not self._ready:
            raise StopAsyncIteration
        return self._ready.popleft()

    async def _read(self) -> list[LlmChunk]:
        try:
            if self._body is None:
                self._response = await self._engine.send(self._prompt)
                self._body = self._response.aiter_raw()
                if self._response.status_code != httpx2.codes.OK:
                    body = await self._error_body(self._body)
                    raise self._engine.refused(
                        self._response.status_code, body, tools=bool(self._prompt.tools)
                    )
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


def _model_names(body: bytes) -> list[str] | None:
    """The names in a list of models, or None if it is no such list."""
    try:
        return [str(model["id"]) for model in json.loads(body)["data"] or ()]
    except (ValueError, TypeError, KeyError):
        return None
