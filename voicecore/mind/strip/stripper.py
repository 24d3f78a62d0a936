"""Tool calls that a model writes into its reply, taken out while the reply is being generated.

Two rules. **Nothing a model wrote as a call is ever shown or spoken.** **Text that cannot begin a
call is never held back.** Everything is read one character at a time by a machine whose state
depends on nothing but the characters before, so the output is the same however the text was cut.
The same output means: the same calls in the same order, with the same text between them.

What is a call
==============

==================================== ===============================================================
bare JSON                            an object that has a ``tool`` or ``name`` key and an ``args``,
                                     ``arguments`` or ``parameters`` key, or whose ``tool`` or
                                     ``name`` is a registered tool. An outer object that holds such
                                     an object, and a list whose first object is or holds one, are
                                     removed as a whole, and every outermost call in them counts.
``<tool_call>…</tool_call>``         around JSON, or the tags below, or both
``<tool_call_name>…``,               the parts of a call, also without ``<tool_call>`` around them:
``<tool_call_name="x"/>``,           parts with only white space between them are one call, until a
``<tool_call_args>…``,               second name begins another
``<tool_call_arg_key>…`` and
``<tool_call_arg_value>…``,
``<parameter name="x">…``
``<tool_result …>…</tool_result>``,  not a call, but removed like one. No piece stands for it. (The
``<tool_response>…``                 second is how `prompt_tools` gives results as text.)
a code fence, a code span            around calls and white space only: removed with them
==================================== ===============================================================

Tags are matched without regard to case, with blanks and attributes inside. Names that begin with
``tool_call``, ``tool_result`` or ``tool_response`` count too. A stray closing tag is removed. A
``<tool_call>`` inside one that is open ends it: the closing tag was forgotten.

What is held, and how long
==========================

============== ============================================== ======================================
held from      while                                          at most
============== ============================================== ======================================
``<``          a tool tag's name may still follow             that name
a tool tag     always: removed up to its closing tag          the reply; ``max_call_chars`` are kept
``{``          it is the beginning of a JSON object           ``MAX_UNDECIDED_CHARS``
``[``          it is the beginning of a list of objects, the  the same
               first of which is not complete
the same, once always: removed up to its closing bracket      the reply; ``max_call_chars`` are kept
it is a call
a code mark    the fence or span may hold only calls          ``MAX_FENCE_CHARS`` and its calls
============== ============================================== ======================================

So CSS is released at the first letter after its brace, a Markdown link at the first after its
bracket, and a JSON object that is no call when it closes. An object past ``MAX_UNDECIDED_CHARS`` is
text, unless it has shown one half of a call (``tool``, the arguments, a wrapper key); then
it is held to ``max_call_chars``, and past that removed. (``name`` alone is no such half: it is
common.) An object that begins inside one too long is held on its own account.

Text held in vain is read again for tags, as a tag may stand in a JSON string. JSON is looked for
only behind it, for objects that were open where JSON broke have failed together; one exception is a
brace at the end of a string, whose closing quote may have opened a key (`JsonScan.restart`). Hence
the cost is linear: a character is read again a few times at most.

At the end of the reply
=======================

Half a call is never shown: an open tag, a tag name of four letters or more, an object that is held
and has begun a key, whatever the key, for the name may have been about to follow. It becomes a
`BadToolCall`, except where only the closing tag of a ``<tool_call>`` around JSON is missing. Lesser
beginnings (``{``, ``<t``, a code mark) are text.

White space
===========

Between the text before a removal and after it stays the longer white space of the two, and none at
the start of a reply. Words that would touch get a space. Elsewhere white space is not changed.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from voicecore.mind.strip.calls import BadToolCall, Piece, Text, ToolCall
from voicecore.mind.strip.json_calls import BareJson
from voicecore.mind.strip.output import Fences, Spacing
from voicecore.mind.strip.reader import Decision, Reader
from voicecore.mind.strip.tag_calls import LooseTag

__all__ = ["BadToolCall", "Piece", "Text", "ToolCall", "ToolCallStripper"]

_BEGINS_CALL = re.compile(r"[<{\[]")


class ToolCallStripper:
    """Takes the tool calls out of one reply, as it is generated.

    Args:
        tools: names of the registered tools; an object whose ``name`` is one of them is a call even
            without arguments.
        max_call_chars: how much of one call is kept. A longer one is taken out to its end all the
            same and becomes a `BadToolCall`.
    """

    def __init__(self, tools: Collection[str] = (), *, max_call_chars: int = 16_384) -> None:
        self._tools = frozenset(tools)
        self._max_call_chars = max_call_chars
        self._input = _Input()
        self._reader: Reader | None = None
        self._tried_until = 0
        self._spacing = Spacing()
        self._fences = Fences(self._spacing)

    @property
    def examined(self) -> int:
        """Characters read so far, those read again included: a small multiple of those fed."""
        return self._input.examined

    def feed(self, text: str) -> list[Piece]:
        """Take the next piece of the reply; return what is now certain, in order."""
        self._input.put(text)
        self._read_all()
        return self._spacing.take()

    def close(self) -> list[Piece]:
        """End the reply: decide about what is still held, and return the last pieces."""
        while self._reader is not None:
            self._settle(self._reader.close())
            self._read_all()
        self._fences.close()
        return self._spacing.take()

    def _read_all(self) -> None:
        while self._input:
            if self._reader is None:
                self._read_text()
            else:
                decision = self._reader.feed(self._input.read())
                if decision is not None:
                    self._settle(decision)

    def _read_text(self) -> None:
        plain = self._input.read_until(_BEGINS_CALL)
        if plain:
            self._fences.text(plain)
            return
        untried = self._input.position >= self._tried_until
        char = self._input.read()
        if char == "<":
            self._reader = LooseTag(self._tools, self._max_call_chars, reads_json=untried)
        elif untried:
            self._reader = BareJson(self._tools, self._max_call_chars)
            self._reader.feed(char)
        else:
            self._fences.text(char)

    def _settle(self, decision: Decision) -> None:
        calls = []
        for piece in decision.pieces:
            if isinstance(piece, Text):
                self._fences.text(piece.text)
            else:
                calls.append(piece)
        if decision.removed:
            self._fences.removed(tuple(calls))
        self._input.put(decision.again, back=True)
        self._tried_until = max(self._tried_until, self._input.position + decision.tried)
        self._reader = decision.follows


class _Input:
    """Text to be read, with pieces of it put back in front. Reading copies nothing.

    ``position`` counts the characters of the reply that are behind the reader.
    """

    def __init__(self) -> None:
        self.position = 0
        self.examined = 0
        self._texts: list[str] = []  # the last one is read first
        self._indexes: list[int] = []

    def __bool__(self) -> bool:
        return bool(self._texts)

    def put(self, text: str, *, back: bool = False) -> None:
        if text:
            self._texts.append(text)
            self._indexes.append(0)
        if back:
            self.position -= len(text)

    def read(self) -> str:
        index = self._indexes[-1]
        char = self._texts[-1][index]
        self._advance(index + 1)
        return char

    def read_until(self, pattern: re.Pattern[str]) -> str:
        """Read up to what matches, or to the end of the text in front."""
        index, text = self._indexes[-1], self._texts[-1]
        found = pattern.search(text, index)
        end = found.start() if found else len(text)
        if end > index:
            self._advance(end)
        return text[index:end]

    def _advance(self, end: int) -> None:
        count = end - self._indexes[-1]
        self.position += count
        self.examined += count
        self._indexes[-1] = end
        if end == len(self._texts[-1]):
            self._texts.pop()
            self._indexes.pop()
