"""Tool calls taken out of a reply's text, however it is cut.

``stripper`` holds the theory and the `ToolCallStripper`; ``json_calls`` and ``tag_calls`` read the
two families of calls a character at a time, ``output`` cares for the fences and white space around
them, and ``calls`` is what comes out.
"""

from voicecore.mind.strip.calls import BadToolCall, Piece, Text, ToolCall
from voicecore.mind.strip.stripper import ToolCallStripper

__all__ = ["BadToolCall", "Piece", "Text", "ToolCall", "ToolCallStripper"]
