from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore.tools.builtin.units import convert_units
from voicecore.tools.function import tool_of
from voicecore.tools.tool import ToolError


@pytest.mark.parametrize(
    ("value", "from_unit", "result", "to_unit"),
    [
        (5, "miles", "8.0467", "kilometres"),
        (6, "feet", "72", "inches"),
        (11, "stone", "69.853", "kg"),
        (2, "cups", "473.18", "millilitres"),
        (8, "fl oz", "236.59", "ml"),
        (1, "imperial pint", "2.4019", "US cups"),
        (1, "U.S. gallon", "3.7854", "liters"),
        (20, "C", "68", "F"),
        (100, "degrees Fahrenheit", "37.778", "celsius"),
        (-40, "°C", "-40", "°F"),
        (0, "celsius", "273.15", "kelvins"),
        (60, "miles per hour", "96.561", "kilometres per hour"),
        (100, "km/h", "62.137", "mph"),
        (30, "mpg", "12.754", "km/l"),
        (9.81, "metres per second squared", "32.185", "ft/s^2"),
        (100, "square feet", "9.2903", "m²"),
        (3, "m^3", "3000", "litres"),
        (1, "cubic foot", "28317", "cc"),
        (180, "degrees", "3.1416", "radians"),
        (1, "light-year", "9460730472581", "km"),
        (2, "kilowatt hours", "7.2", "megajoules"),
        (1, "GB", "1000", "MB"),
        (1, "MW", "1000000000", "mW"),
        (1.5, "in.", "3.81", "cm."),
        (1000000, "seconds", "11.574", "days"),
    ],
)
def test_conversions(value: float, from_unit: str, result: str, to_unit: str) -> None:
    told = convert_units(value, from_unit, to_unit)
    assert told == f"{value} {from_unit} is {result} {to_unit}."


def test_what_was_given_is_told_as_it_was() -> None:
    assert convert_units(1234.56789, "m", "km") == "1234.56789 m is 1.2346 km."


@pytest.mark.parametrize(
    ("from_unit", "to_unit", "words"),
    [
        ("hours", "metres", "hours cannot be converted to metres"),
        ("C/hour", "F/hour", "C/hour cannot be converted to F/hour"),
        ("dollars", "euros", "There is no unit 'dollars'.*currencies"),
        ("metres", "wibbles", "There is no unit 'wibbles'"),
        ("metres per", "km", "There is no unit"),
        ("square", "km", "There is no unit"),
        (" ", "km", "There is no unit"),
        ("nan", "km", "There is no unit"),
        ("9**9**9**9", "km", "There is no unit"),
        ("m^99999999", "km", "There is no unit"),
        ("__class__", "km", "There is no unit"),
    ],
)
def test_what_cannot_be_converted(from_unit: str, to_unit: str, words: str) -> None:
    with pytest.raises(ToolError, match=words):
        convert_units(1, from_unit, to_unit)


def test_values_and_names_are_bounded() -> None:
    check = tool_of(convert_units, origin="voicecore").check
    for wrong in ({"value": float("inf")}, {"from_unit": "m" * 61}, {"to_unit": ""}):
        with pytest.raises(ToolError):
            check({"value": 1, "from_unit": "m", "to_unit": "km", **wrong})


WORDS = st.sampled_from(
    ["m", "mile", "per", "square", "cubic", "°", "C", "us", "imperial", "/", "-", ".", "_", "^2",
     "²", "hour", "delta", "deg", "e", "in", "as", "lambda", "is"]
)  # fmt: skip


@given(st.lists(WORDS, min_size=1, max_size=5).map(" ".join) | st.text(min_size=1, max_size=60))
def test_any_text_is_a_unit_or_a_tool_error(text: str) -> None:
    try:
        told = convert_units(1, text, text)
    except ToolError:
        return
    assert told.startswith(f"1 {text} is ")
