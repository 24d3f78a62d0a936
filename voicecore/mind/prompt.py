"""The prompt of a turn: the character's part, and as much of the conversation as fits.

An engine keeps the work it did for a prompt's beginning and reuses it when the next prompt begins
the same (llama.cpp: 10 ms to the first token instead of seconds). So a prompt should begin like the
one before it. Two choices here serve that: the same past always gives the same cut, and a cut takes
much at once, so that it comes seldom.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import attrs

from voicecore.engines.interface import Message, Prompt

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


def cost(messages: Iterable[Message]) -> int:
    """Estimate the tokens that messages take in a prompt, their marks included."""
    return sum(
        tokens_of(message.content) + MESSAGE_TOKENS + IMAGE_TOKENS * len(message.images)
        for message in messages
    )


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
    """Join neighbours of the same role, since many chat templates want roles to alternate."""
    merged: list[Message] = []
    for message in messages:
        if merged and merged[-1].role == message.role:
            joined = f"{merged[-1].content}\n{message.content}".strip()
            images = merged[-1].images + message.images
            merged[-1] = attrs.evolve(message, content=joined, images=images)
        else:
            merged.append(message)
    return merged


def build_prompt(
    system: str, history: Sequence[Message], *, budget_tokens: int, max_tokens: int
) -> Prompt:
    """Make the prompt that asks for the next reply.

    It holds the system prompt, its examples (`split_examples`), then the newest part of the
    history, from a user message on. The newest user message and what follows it are always kept;
    if that alone is too long, its beginning is cut away. Only it keeps its pictures.

    Args:
        system: the character's part; may be empty. It gets at most half of the room: its examples
            go first, then its end.
        history: the conversation so far, oldest first, ending with what to answer.
        budget_tokens: the model's context, for prompt and reply together.
        max_tokens: room kept for the reply, at most half of the budget.

    The same history with more messages after it gives a prompt that begins the same, until the
    room is full; then the oldest messages go until half of the room is free.
    """
    room = budget_tokens - min(max_tokens, budget_tokens // 2)
    opening = _opening(system, room // 2)
    room -= cost(opening)
    turns = _without_old_images(merge(history))
    start = _cut(turns, room)
    kept = _fit(turns[start:], room)
    return Prompt((*opening, *kept), max_tokens=max_tokens)


def _opening(system: str, room: int) -> tuple[Message, ...]:
    text, examples = split_examples(system)
    if not text:
        return examples if cost(examples) <= room else ()
    opening = (Message("system", text), *examples)
    if cost(opening) <= room:
        return opening
    shortened = _keep(text, room - MESSAGE_TOKENS, from_end=False)
    return (Message("system", shortened),) if shortened else ()


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
    """Put the opening before an assistant's first words; shorten the first message if need be."""
    if not turns:
        return []
    kept = list(turns) if turns[0].role == "user" else [OPENING, *turns]
    over = cost(kept) - room
    if over > 0:
        first = kept[0]
        left = tokens_of(first.content) - over
        kept[0] = attrs.evolve(first, content=_keep(first.content, left, from_end=True))
    return kept


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
