"""The prompt of a turn: the character's part, and as much of the conversation as fits.

An engine keeps the work it did for a prompt's beginning and reuses it when the next prompt begins
the same (llama.cpp: 10 ms to the first token instead of seconds). So a prompt should begin like the
one before it. Two choices here serve that: the same past always gives the same cut, and a cut takes
much at once, so that it comes seldom.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import takewhile

import attrs

from voicecore.engines.interface import Message, Prompt, ToolSpec
from voicecore.mind.prompt_tools import ToolsAs, as_json, as_text, section

ASCII_PER_TOKEN = 2.5
"""Letters and spaces to a token. SmolLM2's tokenizer takes 3.7 characters of English prose and 2.7
of German, marks included. Its vocabulary is small; models with a larger one need fewer tokens."""

TOKENS_PER_BYTE = 0.75
"""Of UTF-8 beyond ASCII, the same tokenizer: 0.4 for Russian, 0.5 for Arabic, 0.57 for Japanese,
0.64 for Chinese, 0.74 for emoji."""

MESSAGE_TOKENS = 8
"""Marks around a message. ChatML takes 5, Llama 3 takes 5 and its longest role names one more."""

IMAGE_TOKENS = 1_000
"""What a picture of about a megapixel costs: 765 at OpenAI, some 1300 with Qwen2-VL."""

LEAST_TOKENS = 64
"""Left of each text at least, a paragraph's worth, before calls and results are left out."""

OPENING = Message("user", "Hello.")
"""Put before a conversation that the character began: many chat templates refuse one that does not
begin with the user."""

_MARK = re.compile(rb"[^A-Za-z\s]")

_EXAMPLE = re.compile(r"^(User|Assistant):[ \t]*", re.MULTILINE)


def tokens_of(text: str) -> int:
    """Estimate the tokens of a text; rather too many than too few.

    Every digit and punctuation mark is counted as a token.
    """
    ascii_only = text.encode("ascii", "ignore")
    marks = len(_MARK.findall(ascii_only))
    beyond = len(text.encode("utf-8", "surrogatepass")) - len(ascii_only)
    words = len(ascii_only) - marks
    return round(marks + words / ASCII_PER_TOKEN + beyond * TOKENS_PER_BYTE + 0.5)


def cost(messages: Iterable[Message], tools: Iterable[ToolSpec] = ()) -> int:
    """Estimate the tokens that messages and tools take in a prompt, their marks included.

    Calls, results and tools are counted as the templates of Hermes and Qwen write them.
    """
    spoken = sum(
        tokens_of(as_text(message).content) + MESSAGE_TOKENS + IMAGE_TOKENS * len(message.images)
        for message in messages
    )
    return spoken + sum(tokens_of(as_json(tool)) for tool in tools)


def split_examples(text: str) -> tuple[str, tuple[Message, ...]]:
    """Take example exchanges from the end of a character's prompt.

    They are lines that begin with ``User:`` and ``Assistant:`` in turn, after the instructions.
    Small models follow examples far better than instructions, and only when the examples come as
    messages of their own. Text whose lines do not alternate so is left whole.
    """
    head, *parts = _EXAMPLE.split(text)
    roles, contents = parts[::2], [part.strip() for part in parts[1::2]]
    complete = len(roles) % 2 == 0 and roles == ["User", "Assistant"] * (len(roles) // 2)
    if not roles or not complete or not all(contents):
        return text.strip(), ()
    return head.strip(), tuple(
        Message("user" if role == "User" else "assistant", content)
        for role, content in zip(roles, contents, strict=True)
    )


def merge(messages: Iterable[Message]) -> list[Message]:
    """Join neighbours of the same role, since many chat templates want roles to alternate.

    Calls are kept; results, each of which answers a call of its own, are not joined.
    """
    merged: list[Message] = []
    for message in messages:
        if merged and merged[-1].role == message.role != "tool":
            merged[-1] = _joined(merged[-1], message)
        else:
            merged.append(message)
    return merged


def _joined(one: Message, other: Message) -> Message:
    return attrs.evolve(
        other,
        content=f"{one.content}\n{other.content}".strip(),
        images=one.images + other.images,
        calls=one.calls + other.calls,
    )


def room_for_documents(*, budget_tokens: int, max_tokens: int) -> int:
    """How many characters of files fit beside a message and the character's part.

    Half of the prompt's room. Text in other scripts takes more, and is cut at its beginning.
    """
    return int((budget_tokens - min(max_tokens, budget_tokens // 2)) // 2 * ASCII_PER_TOKEN)


def build_prompt(
    system: str,
    history: Sequence[Message],
    *,
    budget_tokens: int,
    max_tokens: int,
    tools: Sequence[ToolSpec] = (),
    tools_as: ToolsAs = "off",
) -> Prompt:
    """Make the prompt that asks for the next reply.

    It holds the system prompt, its examples (`split_examples`), then the newest part of the
    history, from a user message on. The newest user message is always kept, and what follows it:
    its calls and their results. If that alone is too long, its longest texts are shortened, and its
    oldest calls go, with their results. Only the newest user message keeps its pictures.

    Args:
        system: the character's part; may be empty. It gets at most half of the room: its examples
            go first, then its end.
        history: the conversation so far, oldest first, ending with what to answer. Every call has
            its result before the next user message.
        budget_tokens: the model's context, for prompt and reply together.
        max_tokens: room kept for the reply, at most half of the budget.
        tools: what the model may call; only those that fit (`fitting_tools`) are told.
        tools_as: ``native``: tools, calls and results stay what they are, for an engine with
            ``calls_tools``. Otherwise calls and results become text, and with ``text`` the system
            prompt ends with the list of tools.

    The same history with more messages after it gives a prompt that begins the same, until the
    room is full; then the oldest messages go until half of the room is free.
    """
    room = _room(budget_tokens, max_tokens)
    told = fitting_tools(tools, tools_as, budget_tokens=budget_tokens, max_tokens=max_tokens)
    opening = _opening(system, (room - _tools_cost(told, tools_as)) // 2)
    if tools_as == "text":
        opening = _with_section(opening, section(told))
    native = told if tools_as == "native" else ()
    room -= cost(opening, native)
    turns = _without_old_images(merge(history))
    kept = _fit(turns[_cut(turns, room) :], room)
    if tools_as != "native":
        kept = merge(map(as_text, kept))
    return Prompt((*opening, *kept), max_tokens=max_tokens, tools=native)


def fitting_tools(
    tools: Sequence[ToolSpec], tools_as: ToolsAs, *, budget_tokens: int, max_tokens: int
) -> tuple[ToolSpec, ...]:
    """Return the tools that a prompt has room for, the first ones: they get at most half of it."""
    room = _room(budget_tokens, max_tokens) // 2
    count = len(tools) if tools_as != "off" else 0
    while count and _tools_cost(tools[:count], tools_as) > room:
        count -= 1
    return tuple(tools[:count])


def _room(budget_tokens: int, max_tokens: int) -> int:
    return budget_tokens - min(max_tokens, budget_tokens // 2)


def _tools_cost(tools: Sequence[ToolSpec], tools_as: ToolsAs) -> int:
    if tools_as == "text" and tools:
        return cost([Message("system", section(tools))])
    return cost((), tools)


def _opening(system: str, room: int) -> tuple[Message, ...]:
    text, examples = split_examples(system)
    if not text:
        return examples if cost(examples) <= room else ()
    opening = (Message("system", text), *examples)
    if cost(opening) <= room:
        return opening
    shortened = _keep(text, room - MESSAGE_TOKENS, from_end=False)
    return (Message("system", shortened),) if shortened else ()


def _with_section(opening: tuple[Message, ...], section: str) -> tuple[Message, ...]:
    if not section:
        return opening
    if not opening or opening[0].role != "system":
        return (Message("system", section), *opening)
    system = attrs.evolve(opening[0], content=f"{opening[0].content}\n\n{section}")
    return (system, *opening[1:])


def _without_old_images(turns: list[Message]) -> list[Message]:
    newest = max((i for i, turn in enumerate(turns) if turn.role == "user"), default=0)
    return [
        turn if i >= newest or not turn.images else attrs.evolve(turn, images=())
        for i, turn in enumerate(turns)
    ]


def _cut(turns: Sequence[Message], room: int) -> int:
    """Return the index of the oldest message kept, always a user's (or 0).

    The past is replayed message by message, so that every later call repeats the same cuts.
    """
    costs = [cost([turn]) for turn in turns]
    starts = [i for i, turn in enumerate(turns) if turn.role == "user"]
    start, held = 0, cost([OPENING]) if turns and turns[0].role != "user" else 0
    for end, added in enumerate(costs):
        held += added
        if held > room:
            later = [i for i in starts if start < i <= end]
            enough = (i for i in later if sum(costs[i : end + 1]) <= room // 2)
            start = next(enough, later[-1] if later else start)
            held = sum(costs[start : end + 1])
    return start


def _fit(turns: Sequence[Message], room: int) -> list[Message]:
    """Put the opening before an assistant's first words; shorten what is too long all the same."""
    if not turns:
        return []
    kept = list(turns) if turns[0].role == "user" else [OPENING, *turns]
    if cost(kept) <= room:
        return kept
    first_user = next((i for i, turn in enumerate(turns) if turn.role == "user"), 0)
    if first_user:
        return _fit(turns[first_user:], room)
    while len(kept) > 1 and _least_cost(kept) > room:
        del kept[1 : _round_end(kept)]
    sizes = [tokens_of(turn.content) for turn in kept]
    left = room - _bare_cost(kept)
    tokens = bisect_right(range(room + 1), left, key=lambda cap: sum(min(n, cap) for n in sizes))
    return [
        attrs.evolve(turn, content=_keep(turn.content, tokens - 1, from_end=turn.role == "user"))
        for turn in kept
    ]


def _least_cost(turns: Sequence[Message]) -> int:
    """Estimate what is left of a user message and its rounds of calls when they are shortened.

    The last round is what the model is to answer from, so that its texts may go entirely.
    """
    least = 0 if _round_end(turns) == len(turns) else LEAST_TOKENS
    return _bare_cost(turns) + sum(min(tokens_of(turn.content), least) for turn in turns)


def _bare_cost(turns: Sequence[Message]) -> int:
    """Estimate what messages cost without their texts.

    One more each: the estimate of a whole may be rounded up to one more than those of its parts.
    """
    return cost(attrs.evolve(turn, content="") for turn in turns) + len(turns)


def _round_end(turns: Sequence[Message]) -> int:
    """Return where a reply that follows a user message ends, the results of its calls included."""
    results = takewhile(lambda turn: turn.role == "tool", turns[2:])
    return 2 + sum(1 for _ in results)


def _keep(text: str, tokens: int, *, from_end: bool) -> str:
    """Return the longest beginning or end of a text, in whole words, that fits."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        piece = text[len(text) - middle :] if from_end else text[:middle]
        low, high = (middle, high) if tokens_of(piece) <= tokens else (low, middle - 1)
    if low == len(text):
        return text
    if from_end:
        piece = text[len(text) - low :]
        return piece.partition(" ")[2].strip() or piece
    return text[:low].rpartition(" ")[0].strip() or text[:low]
