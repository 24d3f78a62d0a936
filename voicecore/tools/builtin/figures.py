"""Numbers as a person would want them told: rounded, and without the noise of binary fractions."""

from __future__ import annotations

import math

from voicecore.tools.tool import ToolError

POWERS_FROM = 1e15
"""Longer numbers, and those below the inverse of a million, are told as powers of ten."""


def plain(value: float, digits: int) -> str:
    """Write a number with ``digits`` significant digits; a longer whole part stays whole.

    Raises:
        ToolError: it is no number (the logarithm of a negative one, say), or beyond any float.
    """
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isnan(number):
        raise ToolError("The result is not a number.")
    if math.isinf(number):
        raise ToolError("The result is too large.")
    if number == 0:
        return "0"
    if not 1e-6 <= abs(number) < POWERS_FROM:
        mantissa, exponent = f"{number:.{digits - 1}e}".split("e")
        return f"{_without_zeros(mantissa)} times 10 to the power of {int(exponent)}"
    if isinstance(value, int):
        return str(value)
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(number))))
    return _without_zeros(f"{number:.{decimals}f}")


def _without_zeros(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
