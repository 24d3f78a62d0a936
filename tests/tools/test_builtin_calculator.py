from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecore.tools.builtin.calculator import FUNCTIONS, MAX_CHARS, calculate
from voicecore.tools.builtin.figures import plain
from voicecore.tools.function import tool_of
from voicecore.tools.tool import ToolError


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("2 + 2", "4"),
        (" 12.5 * (3 + 4) ", "87.5"),
        ("0.1 + 0.2", "0.3"),
        ("0.1 + 0.2 - 0.3", "0"),
        ("9007199254740993 - 9007199254740992", "1"),
        ("10 / 4", "2.5"),
        ("10 / 5", "2"),
        ("7 // 2", "3"),
        ("7 % 3", "1"),
        ("20%", "0.2"),
        ("15% of 80", "12"),
        ("200 - 15 % of 80", "188"),
        ("50% + 1", "1.5"),
        ("2^10", "1024"),
        ("2**-2", "0.25"),
        ("-2^2", "-4"),
        ("1^99999999", "1"),
        ("5 × 3 ÷ 2 − 1", "6.5"),
        ("1,234,567 + 1", "1234568"),
        ("max(1,200)", "200"),
        ("sqrt(2)", "1.414213562"),
        ("2 * π", "6.283185307"),
        ("cos(pi / 2)", "0"),
        ("sin(radians(30))", "0.5"),
        ("log(8, 2)", "3"),
        ("ln(e)", "1"),
        ("factorial(5)", "120"),
        ("round(2.567, 1)", "2.6"),
        ("round(5, -999999999)", "0"),
        ("2^100", "1.2676506 times 10 to the power of 30"),
        ("1.6e-19 * 3", "4.8 times 10 to the power of -19"),
        ("1_000 + 1", "1001"),
    ],
)
def test_arithmetic(expression: str, result: str) -> None:
    assert calculate(expression) == f"{expression.strip()} = {result}"


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("1 / 0", "divides by zero"),
        ("sqrt(-1)", "math domain error"),
        ("(-8)^(1/3)", "not a real number"),
        ("1e308 * 10", "too large"),
        ("1e308 * 10 - 1e308 * 10", "not a number"),
        ("1e200 ^ 2", "too large"),
        ("9**9**9", "too large"),
        ("9**9**9**9", "too large"),
        ("10 ** 400", "too large"),
        ("(9^1000)^1000", "too large"),
        ("factorial(171)", "whole numbers from 0 to 170"),
        ("factorial(1.5)", "whole numbers"),
        ("nothing + 1", "there is no name 'nothing'; there are pi, e, tau"),
        ("open(1)", "there is no function 'open'; there are sqrt"),
        ("", "cannot be calculated"),
        ("5 +", "not written like arithmetic"),
        ("2(3)", "not written like arithmetic"),
        ("1 if 1 else 2", "not written like arithmetic"),
        ("1 and 2", "not written like arithmetic"),
        ("pi.real", "not written like arithmetic"),
        ("(1).to_bytes(99999999999)", "not written like arithmetic"),
        ("True", "not arithmetic"),
        ("max", "not arithmetic"),
        ("__import__('os').system('true')", "may have numbers, names"),
        ("[1] * 10", "may have numbers, names"),
        ("'a' * 10", "may have numbers, names"),
        ("1; 2", "may have numbers, names"),
    ],
)
def test_what_cannot_be_calculated(expression: str, words: str) -> None:
    with pytest.raises(ToolError) as caught:
        calculate(expression)
    assert words in str(caught.value)


def test_an_expressions_length_is_bounded() -> None:
    check = tool_of(calculate, origin="voicecore").check
    nested = "(" * 99 + "1" + ")" * 99
    assert calculate(nested).endswith(" = 1")
    assert calculate("-" * (MAX_CHARS - 1) + "1").endswith(" = -1")
    check({"expression": "1" * MAX_CHARS})
    with pytest.raises(ToolError, match="at most 200 characters"):
        check({"expression": "1" * (MAX_CHARS + 1)})


PARTS = st.sampled_from(
    [*"0123456789.,+-*/%^()", "**", " ", " of ", "e", "pi", *(f"{name}(" for name in FUNCTIONS)]
)


@given(st.lists(PARTS, max_size=40).map("".join) | st.text(max_size=MAX_CHARS))
def test_anything_is_a_result_or_a_tool_error(expression: str) -> None:
    try:
        told = calculate(expression)
    except ToolError as error:
        assert len(str(error)) < 2 * MAX_CHARS + 400  # noqa: PT017
        return
    assert told.startswith(f"{expression.strip()} = ")


@given(st.integers(-1_000, 1_000), st.integers(-1_000, 1_000))
def test_whole_numbers_are_exact(first: int, second: int) -> None:
    told = calculate(f"{first} * {second} + {first}")
    assert told.endswith(f" = {first * second + first}")


# --- figures -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (3.0, "3"),
        (1234567.891, "1234568"),
        (0.000123456, "0.00012346"),
        (99.9999999, "100"),
        (-1e-7, "-1 times 10 to the power of -7"),
        (123456789012345, "123456789012345"),
        (10**15, "1 times 10 to the power of 15"),
    ],
)
def test_figures(value: float, text: str) -> None:
    assert plain(value, 5) == text


@given(st.floats(-1e307, 1e307))
def test_figures_are_near_what_they_tell(value: float) -> None:
    mantissa, _, exponent = plain(value, 5).partition(" times 10 to the power of ")
    assert math.isclose(float(f"{mantissa}e{exponent or 0}"), value, rel_tol=1e-4)
