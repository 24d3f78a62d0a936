"""llama.cpp inside the process, through ``xllamacpp``: any chat model in a GGUF file.

``xllamacpp`` runs llama.cpp's own server in a native thread: the model's chat template, batching of
several replies, and a cache that keeps what was computed for a prompt's beginning. Requests are
handed to it directly. It also insists on an HTTP listener, which nobody needs here: it is a Unix
socket in a private folder that is deleted once the server is up, so nothing can connect to it, and
a random key guards it until then. Its log lines are switched off.

Everything here blocks; a worker thread runs it.
"""

from __future__ import annotations

import os
import re
import secrets
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, TypeVar

import outcome

from voicecore.config import LlmConfig, cores
from voicecore.engines.interface import (
    Delta,
    EngineInfo,
    Message,
    ModelFiles,
    Prompt,
    Urgency,
    Usage,
)
from voicecore.engines.openmp import threads_that_spin_shortly
from voicecore.errors import ConfigError, EngineError, EngineMissing, ModelError

try:
    with threads_that_spin_shortly():
        import xllamacpp
except ImportError as error:
    raise EngineMissing(
        f"The llama engine is not installed ({error}). `pip install 'voicecore[llama]'` brings it."
    ) from error

SEED = 1
"""Of every request, so that chance plays no part in a reply (rounding may: see `Llama`)."""

DRY_MULTIPLIER = 0.8
"""Strength of "don't repeat yourself" sampling, as llama.cpp recommends (its pull request 9702).
It lowers only what would go on with a sequence of words already there, so that small models do not
run in circles. ``repeat_penalty`` lowers every word already there, the question's own included: at
1.1 SmolLM2 avoids "France" when asked about France."""

DRY_TOKENS = 24
"""How far back it looks: over the reply, and not over the answers before. Over the whole
conversation, France's capital was London when it was asked for a second time."""

CACHE_MIB = 32
"""For the conversations that are not being answered now. A conversation's state moves here when
another needs its place, and back when it goes on. SmolLM2-135M takes 22.5 KiB a token (30 layers,
3 heads of 64, keys and values of 16 bits), so this holds 1,400 tokens."""

LEAN_BATCH = 128
"""Tokens of a prompt computed at once by a lean engine, and not 512: 10 MB less of workspace, for
no measurable time."""

ENDING_SHARE = 0.6
"""From this part of ``max_tokens`` on, the end of a sentence ends the reply, rather than the last
token in the middle of one. With the default that leaves 32 tokens to find one, some 25 words."""

NICENESS = 4
"""Of llama.cpp's threads (nice(2)). The model writes on while the voice speaks the first phrase,
which a person waits for; with equal rights the voice took half as long again. Not more, since it
counts against every other program, too: beside two busy ones the first word came after 0.5 to 2.7 s
with equal rights, after 0.8 to 0.9 s so, and after 7 s at 10 (a warm prompt, two cores; measured
while waiting threads still spun on, see `openmp`)."""

_SENTENCE_ENDED = re.compile(
    r"(?:[^\W\d_]{2}|[)\]'\"’”])[.!?…]+[)\]'\"’”]*\s$|[。！？\n].$", re.DOTALL
)
"""Two letters before the mark: neither ``3.`` in a list nor an initial ends a sentence. The last
character is the first one of what follows, without which a mark may be a decimal point."""

CONTROL = "< |"
"""In place of ``<|``, with which most models' control tokens begin: llama.cpp would take
``<|im_end|>`` in a person's words, or in a file, for the end of their message."""

_UNIX_PATH_BYTES = 107
"""Longest path of a Unix socket: ``sun_path`` has 108 bytes, the last one zero (unix(7))."""

Chunk = Mapping[str, Any]
T = TypeVar("T")


class Server(Protocol):
    """The part of ``xllamacpp.Server`` used here."""

    def handle_chat_completions(
        self, request: Mapping[str, Any], callback: Callable[[Chunk], bool], /
    ) -> object: ...


def load(config: LlmConfig, files: ModelFiles, *, threads: int) -> Llama:
    """Load the model: about 0.5 s for 100 MB.

    Raises:
        ConfigError: ``llm.tools`` is ``native``.
        ModelError: the file is missing, or llama.cpp cannot read it.
        EngineError: the socket of llama.cpp's server cannot be made.
    """
    if config.tools == "native":
        raise ConfigError(
            'The llama engine is told of tools in its prompt only. Set llm.tools = "text" or "off".'
        )
    path = files.file(config.model, ".gguf")
    with tempfile.TemporaryDirectory(prefix="voicecore-", ignore_cleanup_errors=True) as folder:
        socket = Path(folder, "llama.sock")
        if len(os.fsencode(socket)) > _UNIX_PATH_BYTES:
            raise EngineError(
                f"The path {socket} is too long for a Unix socket ({_UNIX_PATH_BYTES} bytes). "
                "Set TMPDIR to a shorter one."
            )
        params = _params(config, path, socket, threads)
        try:
            server = _in_nice_thread(lambda: xllamacpp.Server(params))
        except RuntimeError as error:
            raise ModelError(
                f"llama.cpp cannot load {path}: the file is damaged or cut short, of a kind that "
                f"llama.cpp in xllamacpp {version('xllamacpp')} does not know, or too large for "
                "the memory. `voicecore models verify` checks the files."
            ) from error
    info = EngineInfo(
        kind="llm",
        name="llama",
        model=config.model,
        version=f"xllamacpp {version('xllamacpp')}",
        threads=threads,
        reads_ahead=True,
    )
    return Llama(server, config, info)


def _in_nice_thread(make: Callable[[], T]) -> T:
    """Call ``make`` in a thread that gives way; the threads it starts inherit that (Linux)."""
    result: list[outcome.Outcome[T]] = []

    def run() -> None:
        if sys.platform == "linux":
            own = os.getpriority(os.PRIO_PROCESS, 0)  # less than that, only root may
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), max(NICENESS, own))
        result.append(outcome.capture(make))

    thread = threading.Thread(target=run, name="llama loading")
    thread.start()
    thread.join()
    return result[0].unwrap()


def _params(config: LlmConfig, model: Path, socket: Path, threads: int) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.n_parallel = config.parallel
    params.n_ctx = config.prompt_tokens * config.parallel  # shared out evenly
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = max(threads, cores())  # the prompt, which a person waits for
    params.cache_ram_mib = 0 if config.lean else CACHE_MIB
    if config.lean:
        params.n_ubatch = LEAN_BATCH
    params.slot_prompt_similarity = 0.0  # see _Slots
    params.hostnames = [str(socket)]
    params.api_keys = [secrets.token_urlsafe(32)]
    params.n_threads_http = 1  # httplib wants one; by default it takes all cores less one
    params.endpoint_slots = False
    params.ui = False
    params.verbosity = -1  # not even llama.cpp's errors: they come back as exceptions and chunks
    return params


class Llama:
    """A loaded model: a `Native` engine that answers ``parallel`` prompts at once.

    It is told of tools in its prompt and writes calls as text, so no message has the role ``tool``.

    The prompt is computed in one native call that nothing can stop: a reply nobody waits for ends
    at its first token. Tokens come one at a time, and a listener who left is noticed at the next.

    At ``temperature`` 0 the same prompt computed the same way gives the same reply, alone or beside
    another (32 of 32 with SmolLM2). Computed partly from the cache it is rounded differently, which
    can turn a near tie between two words: 5 of 16 replies then differed from those without cache.
    """

    def __init__(self, server: Server, config: LlmConfig, info: EngineInfo) -> None:
        self.info = info
        self.concurrency = config.parallel
        self._server: Server | None = server
        self._config = config
        self._slots = _Slots(config.parallel)

    def run(self, prompt: Prompt, emit: Callable[[Delta | Usage], None], /) -> None:
        """Generate the reply, a `Delta` a token, then its `Usage`; of a `PARTIAL` one, nothing.

        Raises:
            Unheard: from ``emit``.
            EngineError: the prompt exceeds the context, holds a picture, or llama.cpp failed.
        """
        if any(message.images for message in prompt.messages):
            raise EngineError(
                f"The model {self._config.model} takes no pictures. Use one that does, "
                "through the openai engine."
            )
        with self._slots.taken(prompt.conversation) as where:
            request = {**self._request(prompt), **where}
            if prompt.urgency is Urgency.PARTIAL:
                self._read(request)
            else:
                self._generate(request, emit)

    def warm_up(self) -> None:
        """Generate two tokens: brings the model file into memory and allocates the buffers."""
        hello = Prompt((Message("user", "Hello."),), max_tokens=2)
        self.run(hello, lambda _: None)

    def close(self) -> None:
        """Free the model. The server's thread ends within about 0.1 s."""
        self._server = None

    def _read(self, request: Mapping[str, Any]) -> None:
        """Have a prompt computed and kept; what is wrong with it, its reply will tell."""
        assert self._server is not None, "closed"
        with suppress(RuntimeError):
            self._server.handle_chat_completions({**request, "max_tokens": 0}, lambda _: False)

    def _generate(self, request: Mapping[str, Any], emit: Callable[[Delta | Usage], None]) -> None:
        reply = _Reply(emit, self._config, request["max_tokens"])
        assert self._server is not None, "closed"
        try:
            self._server.handle_chat_completions(request, reply.take)
        except RuntimeError as error:
            raise EngineError(f"llama.cpp refused the prompt: {error}") from error
        reply.finish()

    def _request(self, prompt: Prompt) -> dict[str, Any]:
        config = self._config
        temperature = config.temperature if prompt.temperature is None else prompt.temperature
        return {
            "messages": [
                {"role": m.role, "content": m.content.replace("<|", CONTROL)}
                for m in prompt.messages
            ],
            "max_tokens": prompt.max_tokens or config.reply_tokens,
            "temperature": temperature,
            "top_p": config.top_p,
            "repeat_penalty": config.repeat_penalty,
            "dry_multiplier": DRY_MULTIPLIER,
            "dry_penalty_last_n": DRY_TOKENS,
            "seed": SEED,
            "cache_prompt": True,
            "stream": True,
            "stream_options": {"include_usage": True},
            "timings_per_token": True,
        }


class _Slots:
    """Which conversation each of llama.cpp's slots holds.

    A slot keeps what was computed for its last prompt. Left to itself, llama.cpp takes the slot
    whose prompt begins most alike, and conversations that share only the character's prompt then
    push each other out (measured: three turns without any reuse). Here a conversation that goes on
    gets its own slot, and waits for it: what still runs there is a reply that nobody listens to any
    more, or the beginning of the same prompt being read. Any other conversation gets the slot not
    used for longest; llama.cpp finds that by itself, and then moves the old contents to its memory
    (`CACHE_MIB`) and fetches what it has of the new conversation, which it does not do when told
    the slot.
    """

    def __init__(self, count: int) -> None:
        self._freed = threading.Condition()
        # The one not used for longest first; llama.cpp begins with the last.
        self._free = list(reversed(range(count)))
        self._held: dict[int, str] = {}

    @contextmanager
    def taken(self, conversation: str) -> Iterator[dict[str, int]]:
        """Take a slot for a prompt; yields what the request must say about it."""
        with self._freed:
            own = self._own(conversation)
            if own is not None:
                self._freed.wait_for(lambda: own in self._free or self._own(conversation) != own)
                own = self._own(conversation)
            slot = self._free[0] if own is None else own
            self._free.remove(slot)
            self._held[slot] = conversation
        try:
            yield {} if own is None else {"id_slot": slot}
        finally:
            with self._freed:
                self._free.append(slot)
                self._freed.notify_all()

    def _own(self, conversation: str) -> int | None:
        held = (
            slot for slot, whose in self._held.items() if conversation and whose == conversation
        )
        return next(held, None)


class _Reply:
    """One reply as llama.cpp's chunks arrive."""

    def __init__(
        self, emit: Callable[[Delta | Usage], None], config: LlmConfig, max_tokens: int
    ) -> None:
        self._emit = emit
        self._config = config
        self._ending = ENDING_SHARE * max_tokens
        self._result: outcome.Outcome[bool] = outcome.Value(False)  # noqa: FBT003
        self._tail = ""
        self._finish = ""
        self._tokens_in = self._tokens_out = 0

    def take(self, chunk: Chunk) -> bool:
        """Handle a chunk; True tells llama.cpp to stop.

        Every exception is kept for `finish`, since xllamacpp swallows what its callback raises.
        """
        self._result = outcome.capture(self._take, chunk)
        return isinstance(self._result, outcome.Error) or self._result.value

    def finish(self) -> None:
        """Emit the usage, or raise what stopped the reply."""
        self._result.unwrap()
        if not self._finish:
            raise EngineError(f"llama.cpp ended the reply of {self._config.model} halfway.")
        usage = Usage(self._tokens_in, self._tokens_out, self._config.model, self._finish)
        self._emit(usage)

    def _take(self, chunk: Chunk) -> bool:
        if "error" in chunk:
            raise EngineError(_explain(chunk["error"], self._config))
        self._count(chunk)
        for choice in chunk.get("choices") or ():
            text = choice["delta"].get("content") or ""
            if text and self._complete(text):
                self._finish = "length"
                return True
            if text:
                self._tail = (self._tail + text)[-16:]
                self._emit(Delta(text))
            self._finish = choice.get("finish_reason") or self._finish
        return False

    def _complete(self, text: str) -> bool:
        """Whether a sentence just ended, late enough, and ``text`` would begin the next one."""
        late = self._tokens_out > self._ending
        return late and _SENTENCE_ENDED.search(self._tail + text[0]) is not None

    def _count(self, chunk: Chunk) -> None:
        if timings := chunk.get("timings"):
            self._tokens_in = timings["cache_n"] + timings["prompt_n"]
            self._tokens_out = timings["predicted_n"]
        if usage := chunk.get("usage"):
            self._tokens_in = usage["prompt_tokens"]
            self._tokens_out = usage["completion_tokens"]


def _explain(error: Mapping[str, Any], config: LlmConfig) -> str:
    if error.get("type") == "exceed_context_size_error":
        return (
            f"The prompt has {error.get('n_prompt_tokens')} tokens, the context of {config.model} "
            f"holds {error.get('n_ctx')}. Shorten the character's prompt, or raise "
            "llm.context_tokens."
        )
    return f"llama.cpp failed: {error.get('message', error)}"
