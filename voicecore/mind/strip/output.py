"""What is shown of a reply once its calls are out.

`Fences` drops a code fence that held only calls, `Spacing` closes the gap a call leaves. Both take
text that is certainly no call, and word of each removal, in order. The theory is in `strip.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from voicecore.mind.strip.calls import Call, Piece, Text

MAX_FENCE_CHARS = 128
"""How much of an opening fence is held: its marks, its language, white space before the content."""
MAX_FENCED_CALLS = 16
"""How many calls are held until their fence closes. More are shown to be in a fence with others."""

_MARK = re.compile(r"[`~]")
_LANGUAGE = re.compile(r"[ \t]*([^\W\d_][\w+#.-]*)?\s*")
_WIDE = "\u2e80"  # the first of the scripts that put no space between words: Chinese, Japanese, …
_OPENING = "([{<\"'“‘«¿¡"


class Spacing:
    """Joins the text before a removal and the text after it.

    The white space between them becomes the longer of the two, never their sum: as many line breaks
    as the side that has more, as many blanks in the last line. What came before has been shown, so
    only what the later side has beyond it is added. At the start of a reply nothing is. Words that
    would be glued get a space.
    """

    def __init__(self) -> None:
        self._pieces: list[Piece] = []
        self._shown: list[str] = []
        self._last = ""  # the last character shown that is not white space
        self._breaks = 0  # line breaks shown since then
        self._blanks = 0  # other white space shown since the last line break
        self._joining = False
        self._earlier = (0, 0)  # breaks and blanks before the removal
        self._later_breaks = 0
        self._later_blanks = 0

    def take(self) -> list[Piece]:
        """Return what is new since the last `take`."""
        self._end_text()
        pieces, self._pieces = self._pieces, []
        return pieces

    def removed(self, calls: tuple[Call, ...] = ()) -> None:
        if calls:
            self._end_text()
            self._pieces.extend(calls)
        self._joining = True
        self._earlier = (self._breaks, self._blanks)
        self._later_breaks = self._later_blanks = 0

    def text(self, text: str) -> None:
        if self._joining:
            text = self._join(text)
        if not text:
            return
        self._shown.append(text)
        bare = text.rstrip()
        if bare:
            self._last = bare[-1]
            self._breaks = self._blanks = 0
        for char in text[len(bare) :]:
            self._breaks += char == "\n"
            self._blanks = 0 if char == "\n" else self._blanks + 1

    def _end_text(self) -> None:
        if self._shown:
            self._pieces.append(Text("".join(self._shown)))
            self._shown.clear()

    def _join(self, text: str) -> str:
        """Drop the white space at the start of ``text`` that is there already."""
        kept: list[str] = []
        for index, char in enumerate(text):
            if not char.isspace():
                self._joining = False
                apart = bool(kept) or self._breaks or self._blanks
                return ("" if apart else self._separator(char)) + "".join(kept) + text[index:]
            if self._is_beyond(char):
                kept.append(char)
        return "".join(kept)

    def _is_beyond(self, char: str) -> bool:
        if not self._last:
            return False
        breaks, blanks = self._earlier
        if char == "\r":  # goes with the line break that follows
            return self._later_breaks >= breaks
        if char == "\n":
            self._later_breaks += 1
            self._later_blanks = 0
        else:
            self._later_blanks += 1
        if self._later_breaks == breaks:
            return char != "\n" and self._later_blanks > blanks
        return self._later_breaks > breaks

    def _separator(self, after: str) -> str:
        before = self._last
        if not before or before in _OPENING or not after.isalnum():
            return ""
        return "" if before >= _WIDE or after >= _WIDE else " "


class Fences:
    """Watches the shown text for a code fence or span around nothing but calls, and drops it.

    ======== ============================================ =================================
    state    what is held                                 goes on with
    ======== ============================================ =================================
    outside  nothing                                      a mark: *run*
    run      one kind of mark                             other text: *info*; a call: *calls*
    info     three marks or more, and one line            its end: *blank*; a call: *calls*
    blank    the same, and white space                    a call: *calls*
    calls    the same, and calls with only white space    as many marks: all but the calls
             between them                                 is dropped
    ======== ============================================ =================================

    Anything else lets all that is held go. A fence that is let go is open until its marks come
    again with no language after them, so that its end is not taken for the beginning of another.
    Fewer than three marks are a span: there is no info, and the call must touch both marks.
    """

    def __init__(self, spacing: Spacing) -> None:
        self._spacing = spacing
        self._state: Callable[[str], None] = self._outside
        self._held: list[str | tuple[Call, ...]] = []
        self._length = 0
        self._mark = ""
        self._marks = 0
        self._closing_marks = 0
        self._calls = 0
        self._open_marks = 0

    def text(self, text: str) -> None:
        if self._state == self._outside and not _MARK.search(text):
            self._spacing.text(text)
            return
        for char in text:
            self._state(char)

    def removed(self, calls: tuple[Call, ...] = ()) -> None:
        if self._state == self._outside:
            self._spacing.removed(calls)
            return
        self._calls += 1
        if self._may_hold_calls():
            self._held.append(calls)
            self._state = self._fenced
        else:
            self._let_go()
            self._spacing.removed(calls)

    def close(self) -> None:
        """At the end of the reply, a fence around nothing but calls need not be closed."""
        if self._state == self._fenced:
            self._drop_fence()
        else:
            self._let_go()

    def _may_hold_calls(self) -> bool:
        opening = "".join(item for item in self._held if isinstance(item, str))
        if self._state == self._fenced:
            return self._calls <= MAX_FENCED_CALLS and not self._closing_marks
        if self._marks < 3:
            return self._mark == "`" and self._state == self._run
        return _LANGUAGE.fullmatch(opening[self._marks :]) is not None

    def _outside(self, char: str) -> None:
        if not _MARK.match(char):
            self._spacing.text(char)
            return
        self._mark = char
        self._marks = 1
        self._hold(char)
        self._state = self._run

    def _run(self, char: str) -> None:
        if char == self._mark and self._marks < MAX_FENCE_CHARS:
            self._marks += 1
            self._hold(char)
        elif self._open_marks and self._marks >= self._open_marks and not char.isalpha():
            self._open_marks = 0
            self._let_go(char)
        elif self._marks < 3:
            self._let_go(char)
        else:
            self._state = self._info
            self._info(char)

    def _info(self, char: str) -> None:
        if _MARK.match(char) or self._length >= MAX_FENCE_CHARS:
            self._let_go(char)
            return
        self._hold(char)
        if char == "\n":
            self._state = self._blank

    def _blank(self, char: str) -> None:
        if char.isspace() and self._length < MAX_FENCE_CHARS:
            self._hold(char)
        else:
            self._open_marks = self._marks
            self._let_go(char)

    def _fenced(self, char: str) -> None:
        if char == self._mark:
            self._hold(char)
            self._closing_marks += 1
            if self._closing_marks == self._marks:
                self._drop_fence()
        elif self._may_be_between_calls(char):
            self._hold(char)
        else:
            self._open_marks = self._marks if self._marks >= 3 else 0
            self._let_go(char)

    def _may_be_between_calls(self, char: str) -> bool:
        fits = char.isspace() and self._length < 2 * MAX_FENCE_CHARS
        return fits and self._marks >= 3 and not self._closing_marks

    def _hold(self, char: str) -> None:
        self._held.append(char)
        self._length += 1

    def _drop_fence(self) -> None:
        self._held = [item for item in self._held if not isinstance(item, str)]
        self._let_go()

    def _let_go(self, char: str = "") -> None:
        held, self._held = self._held, []
        self._length = self._closing_marks = self._calls = 0
        self._state = self._outside
        for item in held:
            if isinstance(item, str):
                self._spacing.text(item)
            else:
                self._spacing.removed(item)
        if char:
            self._outside(char)
