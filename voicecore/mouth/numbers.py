"""English number words, in the American manner ("one hundred five").

Written here because it is short: ``num2words`` (LGPL-2.1) covers fifty languages of which voicecore
would use one, and the patterns around the numbers are needed in either case.
"""

from __future__ import annotations

_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)  # fmt: skip
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"))
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_FRACTIONS = {2: ("half", "halves"), 4: ("quarter", "quarters")}

CARDINAL_LIMIT = 10**15
"""From here on a number is read digit by digit."""


def digits(text: str) -> str:
    """Read the ASCII digits of ``text`` one by one."""
    return " ".join(_SMALL[int(char)] for char in text if char in "0123456789")


def cardinal(number: int) -> str:
    """Say a number from 0; one of `CARDINAL_LIMIT` or more is read digit by digit."""
    if number >= CARDINAL_LIMIT:
        return digits(str(number))
    words: list[str] = []
    for scale, name in _SCALES:
        if number >= scale:
            words += [_below_thousand(number // scale), name]
            number %= scale
    if number or not words:
        words.append(_below_thousand(number))
    return " ".join(words)


def _below_thousand(number: int) -> str:
    if number >= 100:
        hundreds, rest = divmod(number, 100)
        return f"{_SMALL[hundreds]} hundred" + (f" {_below_thousand(rest)}" if rest else "")
    if number < 20:
        return _SMALL[number]
    tens, ones = divmod(number, 10)
    return _TENS[tens] + (f"-{_SMALL[ones]}" if ones else "")


def ordinal(number: int) -> str:
    """Say "first", "twenty-first", "one hundredth"."""
    words = cardinal(number)
    start = max(words.rfind(" "), words.rfind("-")) + 1
    last = words[start:]
    if last in _ORDINALS:
        last = _ORDINALS[last]
    elif last.endswith("y"):
        last = last[:-1] + "ieth"
    else:
        last += "th"
    return words[:start] + last


def year(number: int) -> str:
    """Say a year of four digits: "nineteen eighty-four", "two thousand five"."""
    century, rest = divmod(number, 100)
    if rest == 0 and century % 10:
        return f"{cardinal(century)} hundred"
    if century % 10 == 0 and rest < 10:
        return cardinal(number)
    if rest < 10:
        return f"{cardinal(century)} oh {cardinal(rest)}"
    return f"{cardinal(century)} {cardinal(rest)}"


def decade(number: int) -> str:
    """Say a year's decade: "nineteen nineties", "two thousands"; of two digits, "nineties"."""
    words = year(number) if number >= 1000 else cardinal(number)
    return words[:-1] + "ies" if words.endswith("y") else words + "s"


def decimal(text: str) -> str:
    """Say ``12``, ``1,234.50`` or ``.5``: the fraction digit by digit."""
    whole, _, fraction = text.replace(",", "").partition(".")
    # Ten thousand digits would be neither converted (sys.set_int_max_str_digits) nor listened to.
    number = cardinal(int(whole or 0)) if len(whole) <= 15 else digits(whole)
    return f"{number} point {digits(fraction)}" if fraction else number


def fraction(numerator: int, denominator: int) -> str:
    """Say "three quarters", "two thirds"; what is not usual as a fraction, "seven over forty"."""
    usual = denominator in {2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 20, 32, 64, 100, 1000}
    if not usual or not 0 < numerator < denominator:
        return f"{cardinal(numerator)} over {cardinal(denominator)}"
    one, many = _FRACTIONS.get(denominator) or (ordinal(denominator), ordinal(denominator) + "s")
    return f"{cardinal(numerator)} {one if numerator == 1 else many}"
