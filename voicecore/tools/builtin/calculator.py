"""Arithmetic, with simpleeval: no `eval`, no names but ours, and no result that takes long."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable
from typing import Annotated

import simpleeval
from pydantic import Field

from voicecore.tools.builtin.figures import plain
from voicecore.tools.function import tool
from voicecore.tools.tool import ToolError

MAX_CHARS = 200
"""Of an expression; a spoken one has some thirty."""

MAX_BITS = 4096
"""Of a whole power: beyond any float (1024 bits), and still computed in microseconds."""

DIGITS = 10
"""Significant digits told: more are noise to a listener, and hide that 0.1 + 0.2 is 0.3."""

_FACTORIAL_BELOW = 171  # the largest whose factorial is a float

_ALLOWED = re.compile(r"[0-9A-Za-z_.,+\-*/%^()\s]*")
_SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "^": "**", "π": "pi"})
_THOUSANDS = re.compile(r"(?<![\d.])\d{1,3}(?:,\d{3})+(?![\d,])")
_CALL = re.compile(r"[A-Za-z_]\w*\s*\(")
_PERCENT_OF = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*%\s*of\b")
_PERCENT = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*%(?!\s*[\w.(])")  # 7 % 3 is a remainder


def _power(base: float, exponent: float) -> float:
    whole = isinstance(base, int) and isinstance(exponent, int)
    if whole and abs(base) > 1 and int(base).bit_length() * exponent > MAX_BITS:
        raise ToolError("The result is too large.")
    result: float | complex = base**exponent
    if isinstance(result, complex):
        raise ToolError("The result is not a real number.")
    return result


def _round(number: float, digits: int = 0) -> float:
    # Python computes 10 to the power of the digits first, however many they are.
    return round(number, max(-15, min(15, digits))) if digits else round(number)


def _factorial(number: float) -> int:
    if not 0 <= number < _FACTORIAL_BELOW or number != int(number):
        raise ToolError(f"A factorial takes whole numbers from 0 to {_FACTORIAL_BELOW - 1}.")
    return math.factorial(int(number))


def _sum(first: float, second: float) -> float:
    total = first + second
    if not isinstance(total, int) and abs(total) < 1e-15 * abs(first):
        return 0.0  # what remains of floats that should be equal is noise: 0.1 + 0.2 - 0.3
    return total


def _trigonometric(function: Callable[[float], float]) -> Callable[[float], float]:
    return lambda angle: round(function(angle), 15)  # pi is rounded, so cos(pi / 2) is 6e-17


OPERATORS: dict[type[ast.AST], Callable[..., float]] = {
    ast.Add: _sum,
    ast.Sub: lambda first, second: _sum(first, -second),
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}

FUNCTIONS: dict[str, Callable[..., float]] = {
    **{
        name: getattr(math, name)
        for name in (
            "sqrt", "cbrt", "exp", "log", "log10", "log2", "asin", "acos", "atan", "radians",
            "degrees", "floor", "ceil", "hypot",
        )
    },
    **{name: _trigonometric(getattr(math, name)) for name in ("sin", "cos", "tan")},
    "ln": math.log,
    "abs": abs,
    "round": _round,
    "min": min,
    "max": max,
    "factorial": _factorial,
}  # fmt: skip

NODES = (ast.Expr, ast.Constant, ast.UnaryOp, ast.BinOp, ast.Call, ast.Name)
"""All there is in arithmetic. A number's attributes are not: (1).to_bytes(10^10) takes 10 GB."""

NAMES = {"pi": math.pi, "e": math.e, "tau": math.tau}


@tool
def calculate(expression: Annotated[str, Field(max_length=MAX_CHARS)]) -> str:
    """Calculate exactly. Use it for any arithmetic.

    Args:
        expression: Such as 12.5 * (3 + 4), 2^10, 15% of 80, sqrt(2), factorial(5), log10(1000) or
            sin(radians(30)). Angles are in radians.
    """
    text = _written(expression)
    evaluator = simpleeval.SimpleEval(operators=OPERATORS, functions=FUNCTIONS, names=NAMES)
    evaluator.nodes = {node: evaluator.nodes[node] for node in NODES}
    try:
        result = evaluator.eval(text)
    except ZeroDivisionError:
        raise ToolError("It divides by zero.") from None
    except OverflowError:
        raise ToolError("The result is too large.") from None
    except (simpleeval.InvalidExpression, SyntaxError, TypeError, ValueError) as error:
        raise ToolError(f"{expression!r} cannot be calculated: {_reason(error)}") from error
    if isinstance(result, bool) or not isinstance(result, int | float):
        raise ToolError(f"{expression!r} is not arithmetic.")
    return f"{expression.strip()} = {plain(result, DIGITS)}"


def _written(expression: str) -> str:
    """Bring what people write into what Python reads."""
    text = expression.translate(_SIGNS)
    if not _ALLOWED.fullmatch(text):
        raise ToolError(
            f"{expression!r} cannot be calculated: it may have numbers, names, and "
            "the signs + - * / % ^ ( ) , only."
        )
    text = " ".join(text.split())
    if not _CALL.search(text):  # whose commas part its arguments
        text = _THOUSANDS.sub(lambda found: found[0].replace(",", ""), text)
    return _PERCENT.sub(r"(\1/100)", _PERCENT_OF.sub(r"\1/100*", text))


def _reason(error: Exception) -> str:
    match error:
        case simpleeval.NameNotDefined():
            return f"there is no name {error.name!r}; there are {', '.join(NAMES)}."
        case simpleeval.FunctionNotDefined():
            return f"there is no function {error.func_name!r}; there are {', '.join(FUNCTIONS)}."
        case SyntaxError() | simpleeval.FeatureNotAvailable():
            return "it is not written like arithmetic."
        case _:
            return f"{error}."
