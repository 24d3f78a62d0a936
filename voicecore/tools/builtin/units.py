"""Units of measure, with pint."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, cast

from pydantic import Field

from voicecore.tools.builtin.figures import plain
from voicecore.tools.function import tool
from voicecore.tools.tool import ToolError

if TYPE_CHECKING:
    from pint import Unit, UnitRegistry

if find_spec("pint") is None:
    raise ModuleNotFoundError("Units need pint: pip install 'voicecore[tools]'", name="pint")

DIGITS = 5
"""Significant digits told of a result."""

AS_GIVEN = 15
"""Of what was given: all that a float has."""

# No digits but a power's: pint calculates what a unit's text contains, and 9^9^9 takes for ever.
_ALLOWED = re.compile(r"(?:[A-Za-zµμΩ°_ /.\-]|\^[23]|[²³])+")
_PER = re.compile(r"\s*/\s*|\s+per\s+", re.IGNORECASE)
_DEGREES = re.compile(r"(?:degrees?|deg\.?|°)\s*(?=[a-z])")
_US = re.compile(r"(?:us|u\.s\.|american|customary)\s+")  # pint's own cups and gallons
_IMPERIAL = re.compile(r"(?:imperial|british|uk)\s+")
_POWERS = (
    (re.compile(r"^(?:square|sq\.?)\s+(.+)$|^(.+?)(?:\s+squared|\^2|²)$"), 2),
    (re.compile(r"^(?:cubic|cu\.?)\s+(.+)$|^(.+?)(?:\s+cubed|\^3|³)$"), 3),
)

ALIASES = {
    "c": "degree_Celsius", "celsius": "degree_Celsius", "centigrade": "degree_Celsius",
    "f": "degree_Fahrenheit", "fahrenheit": "degree_Fahrenheit", "k": "kelvin", "°": "degree",
    "kelvins": "kelvin", "kb": "kilobyte", "mb": "megabyte", "gb": "gigabyte", "tb": "terabyte",
    "fl oz": "fluid_ounce", "mpg": "mile/gallon",
}  # fmt: skip
"""What people say or write, and pint does not know or takes for something else (C: coulomb)."""


@cache
def _registry() -> UnitRegistry[float]:
    # 0.4 s to import and 0.25 s to make: done when it is first needed, in a worker thread.
    from pint import UnitRegistry  # noqa: PLC0415

    return UnitRegistry()


@tool
def convert_units(
    value: Annotated[float, Field(allow_inf_nan=False)],
    from_unit: Annotated[str, Field(min_length=1, max_length=60)],
    to_unit: Annotated[str, Field(min_length=1, max_length=60)],
) -> str:
    """Convert between units of length, weight, volume, temperature, speed, time, data and so on.

    Args:
        value: How many of from_unit.
        from_unit: Such as miles, kilometres per hour, cups, Fahrenheit, square feet.
        to_unit: The unit to convert to.
    """
    quantity = _registry().Quantity(value, _unit(from_unit))
    try:
        result = quantity.to(_unit(to_unit))
    except TypeError:  # pint's DimensionalityError and OffsetUnitCalculusError
        raise ToolError(f"{from_unit} cannot be converted to {to_unit}.") from None
    return f"{plain(value, AS_GIVEN)} {from_unit} is {plain(result.magnitude, DIGITS)} {to_unit}."


def _unit(text: str) -> Unit:
    """Read a unit as people say it: kilometres per hour. Raises ToolError."""
    if not _ALLOWED.fullmatch(text):
        raise _unknown(text)
    first, *others = (_power(part, text) for part in _PER.split(text.strip()))
    for other in others:
        first /= other
    return first


def _power(text: str, whole: str) -> Unit:
    for pattern, exponent in _POWERS:
        if found := pattern.fullmatch(text):
            return cast("Unit", _simple(found[1] or found[2], whole) ** exponent)
    return _simple(text, whole)


def _simple(text: str, whole: str) -> Unit:
    """Read one unit, of perhaps several words. ``whole`` is for the error."""
    lower = " ".join(text.lower().replace("-", " ").split())
    lower = _IMPERIAL.sub("imperial_", _US.sub("", _DEGREES.sub("", lower))).replace(".", "")
    words = lower.split()
    # As it is written first: MW and mW differ. Then as one name, and as a product.
    for candidate in (ALIASES.get(lower), text, "_".join(words), "*".join(words)):
        if candidate and all(word.isidentifier() for word in re.split("[*/]", candidate)):
            try:
                return _registry().Unit(candidate)
            except (AttributeError, ValueError):  # pint's UndefinedUnitError; no unit but a number
                continue
    raise _unknown(whole)


def _unknown(text: str) -> ToolError:
    return ToolError(
        f"There is no unit {text!r}. Name it in English, such as miles, kilograms or cups; "
        "currencies cannot be converted."
    )
