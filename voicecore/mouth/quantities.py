"""English: what contains digits, as a person would read it aloud.

Each pattern turns one kind of thing into words; the order matters, the most telling shape first.
Numbers are ASCII digits with a comma between thousands and a point before decimals.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from voicecore.mouth.numbers import (
    cardinal,
    decade,
    decimal,
    digits,
    fraction,
    ordinal,
    year,
)
from voicecore.mouth.units import CURRENCIES, INVARIANT, PER, PLURALS, SCALES, UNITS

_Match = re.Match[str]

_INT = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]++)"
_NUM = rf"(?:{_INT}(?:\.[0-9]++)?|\.[0-9]++)"
_SHORT = r"(?:[1-9]?[0-9])"
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_MONTH_OF = {name[:3].lower(): name for name in _MONTHS}
_MONTH = r"(Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|" + "|".join(_MONTHS) + r")\b\.?"

_SCALE = r"(?:\s?(k|K|M|B|mn|bn)\b|\s(thousand|million|billion|trillion)\b)?"


def _one_of(words: dict[str, str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


_PER_TAIL = rf"(?:\s?/\s?({_one_of(PER)})(?!\w))?"


# --- dates and times -----------------------------------------------------------------------------


def _date(day: str, month: str, of_year: str) -> str | None:
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return None
    return f"{_MONTHS[int(month) - 1]} {ordinal(int(day))}, {_any_year(of_year)}"


def _any_year(text: str) -> str:
    number = int(text)
    return year(number) if 1000 <= number <= 9999 else cardinal(number)


def _iso_date(found: _Match) -> str:
    return _date(found[3], found[2], found[1]) or found[0].replace("-", " ")


def _slashed_date(found: _Match) -> str:
    """Read 11/21/2026 as Americans do, unless the first number can only be a day."""
    first, second, of_year = found[1], found[2], found[3]
    date = _date(second, first, of_year) or _date(first, second, of_year)
    return date or found[0].replace("/", " ")


def _dotted_date(found: _Match) -> str:
    return _date(found[1], found[2], found[3]) or found[0].replace(".", " ")


def _month_day(found: _Match) -> str:
    until = f" to {ordinal(int(found[3]))}" if found[3] else ""
    return f"{_MONTH_OF[found[1][:3].lower()]} {ordinal(int(found[2]))}{until}"


def _day_month(found: _Match) -> str:
    return f"{ordinal(int(found[1]))} of {_MONTH_OF[found[2][:3].lower()]}"


def _time(found: _Match) -> str:
    hour, minute, second, half = int(found[1]), int(found[2]), found[3], found[4]
    if hour > 24 or minute > 59:
        return f"{cardinal(hour)} {cardinal(minute)}"
    words = cardinal(hour)
    if minute:
        words += f" {'oh ' if minute < 10 else ''}{cardinal(minute)}"
    elif not half and not int(second or 0):
        words += " o'clock" if 1 <= hour <= 12 else " hundred"
    if int(second or 0):
        words += f" and {cardinal(int(second))} seconds"
    return words + _half_day(half)


def _hour_only(found: _Match) -> str:
    return cardinal(int(found[1])) + _half_day(found[2])


def _half_day(half: str | None) -> str:
    return f" {half[0].lower()}.m." if half else ""


# --- digits one by one ---------------------------------------------------------------------------


def _phone(found: _Match) -> str:
    groups = re.findall(r"[0-9]+", found[0])
    plus = "plus " if found[0].lstrip("(").startswith("+") else ""
    return plus + ", ".join(digits(group) for group in groups)


def _dotted(found: _Match) -> str:
    """Read versions and addresses: 1.2.3, 192.168.0.1."""
    point = " point " if found[0].count(".") == 2 else " dot "
    return point.join(decimal(part) for part in found[0].split("."))


# --- quantities ----------------------------------------------------------------------------------


def _number(text: str) -> str:
    """Say a whole number, a decimal, a fraction (3/4) or a mixed one (1 1/2)."""
    *whole, last = text.split()
    if "/" not in last:
        return decimal(text)
    above, below = last.split("/")
    part = fraction(int(above), int(below))
    if not whole:
        return part
    return f"{decimal(whole[0])} and {part.replace('one half', 'a half')}"


def _is_one(text: str) -> bool:
    """Whether the unit stays in the singular: 1 km, 1/2 km."""
    return text == "1" or ("/" in text and " " not in text)


def _money_in_front(found: _Match) -> str:
    return _money(found[2], found[1], found[3] or found[4], found[5])


def _money_behind(found: _Match) -> str:
    amount = re.sub(r",([0-9]{2})$", r".\1", found[1])
    return _money(amount, found[4], found[2] or found[3], None)


def _money(amount: str, symbol: str, scale: str | None, per: str | None) -> str:
    one, many, one_cent, cents = CURRENCIES[symbol]
    tail = f" per {PER[per]}" if per else ""
    if scale:
        return f"{decimal(amount)} {SCALES.get(scale.lower(), scale)} {many}{tail}"
    whole, _, part = amount.partition(".")
    if len(part) != 2:
        return f"{decimal(amount)} {one if amount == '1' else many}{tail}"
    spoken: list[str] = []
    if whole.strip("0,") or part == "00":
        spoken.append(f"{decimal(whole)} {one if whole == '1' else many}")
    if part != "00":
        spoken.append(f"{cardinal(int(part))} {one_cent if part == '01' else cents}")
    return " and ".join(spoken) + tail


def _measure(found: _Match) -> str:
    amount, joint, unit, per = found[1], found[2], found[3], found[4]
    name = INVARIANT.get(unit)
    if name is None:
        name = UNITS[unit]
        if joint != "-" and not _is_one(amount):
            name = PLURALS.get(name, name + "s")
    elif amount == "1":
        name = name.replace("degrees", "degree")
    tail = f" per {PER[per]}" if per else ""
    return f"{_number(amount)}{'-' if joint == '-' else ' '}{name}{tail}"


def _feet_and_inches(found: _Match) -> str:
    feet = "foot" if found[1] == "1" else "feet"
    return f"{decimal(found[1])} {feet} {decimal(found[2])} inch{'' if found[2] == '1' else 'es'}"


def _ordinal(found: _Match) -> str:
    number = found[1].replace(",", "")
    return ordinal(int(number)) if len(number) <= 15 else f"{digits(number)} {found[0][-2:]}"


def _plain(found: _Match) -> str:
    """Say a number that stands alone, or touches letters: a year if it looks like one."""
    text = found[0]
    if re.fullmatch(r"0[0-9]+|[0-9]{10,}(?<!000)", text):
        words = digits(text)
    elif re.fullmatch(r"1[1-9][0-9]{2}|20[0-9]{2}", text):
        words = year(int(text))
    else:
        words = decimal(text)
    before = found.string[: found.start()][-1:]
    after = found.string[found.end() : found.end() + 1]
    return (" " if before.isalnum() else "") + words + (" " if after.isalnum() else "")


_AMOUNT = rf"((?:[0-9]{{1,4}} )?[0-9]{{1,4}}/[0-9]{{1,4}}|{_NUM})"
_RANGE_END = rf"(?:[0-9]{{1,2}}:[0-9]{{2}}|{_NUM})"
_RANGE_UNIT = r"(?:\s?(?:%|°[CF]?|[AaPp]\.?[Mm]\.?))"
_RANGE = (
    rf"(?<![\w.-])([$€£]?{_RANGE_END}{_RANGE_UNIT}?)(?:[-–—]|\s[–—]\s)"
    rf"(?=[$€£]?{_RANGE_END}(?!-[0-9]))"
)
_HALF_DAY = r"([AaPp]\.?\s?[Mm]\b\.?)"

_PATTERNS: list[tuple[str, str | Callable[[_Match], str]]] = [
    (r"(?<![\w-])([0-9]{4})-([0-9]{2})-([0-9]{2})(?=T[0-9])T", lambda m: _iso_date(m) + " "),
    (r"(?<![\w-])([0-9]{4})-([0-9]{2})-([0-9]{2})(?![\w-])", _iso_date),
    (r"(?<![\w/])([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})(?![\w/])", _slashed_date),
    (r"(?<![\w.])([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})(?![\w])", _dotted_date),
    # telephone numbers
    (
        r"(?<![\w.-])(?:\+?1[ .-]?)?(?:\([0-9]{3}\) ?|[0-9]{3}[ .-])[0-9]{3}[ .-][0-9]{4}(?![\w-])",
        _phone,
    ),
    (r"(?<!\w)\+[0-9](?:[ ().-]{0,2}[0-9]){6,14}(?!\w)", _phone),
    (r"(?<![\w.,-])0[0-9]{1,4}(?:[ /-][0-9]{2,8}){1,5}(?![\w-])", _phone),
    (r"(?<![\w.-])[0-9]{3}-[0-9]{4}(?![\w-])", _phone),
    (r"(?i)\b(call|dial|text) ([0-9]{3})(?!\w)", lambda m: f"{m[1]} {digits(m[2])}"),
    (r"\bv(?=[0-9]+\.[0-9])", "version "),
    (r"(?<![\w.])[0-9]{1,15}(?:\.[0-9]{1,15}){2,}(?![\w])", _dotted),
    # "5 ft. tall": no full stop
    (r"(?<=[0-9])(\s?(?:ft|in|lbs?|oz|hrs?|mins?|secs?|mi|yd))\.(?=\s[a-z0-9])", r"\1"),
    # sign and range
    (r"(?<![\w.)\]%])[-−](?=[$€£¥₹]?\.?[0-9])", "minus "),
    (r"(?<![0-9] )(?<!\S)–(?=[$€£¥₹]?\.?[0-9])", "minus "),
    (rf"([$€£])({_NUM})\s?[-–—]\s?\1?({_NUM})(?![-\w])", r"\2 to \1\3"),
    (
        _RANGE,
        r"\1 to ",
    ),
    (r"(?:(?<=[0-9)])|(?<=[0-9][a-z]))\s[-−]\s(?=[0-9])", " minus "),
    (r"(?<=[0-9][cm]m)\s?[x×]\s?(?=[0-9])", " by "),
    # clock and calendar
    (
        rf"(?<![\w:.])([0-9]{{1,2}}):([0-9]{{2}})(?::([0-9]{{2}}))?(?:\s?{_HALF_DAY})?Z?(?!\w)",
        _time,
    ),
    (rf"(?<![\w.:$])([0-9]{{1,2}})\s?{_HALF_DAY}(?!\w)", _hour_only),
    (r"(?<=[0-9]):(?=[0-9])", " to "),
    (rf"\b{_MONTH} ({_SHORT})(?:st|nd|rd|th)?(?: to ({_SHORT}))?(?![\w:%]|[.,][0-9])", _month_day),
    (rf"(?<![\w.,:])({_SHORT})(?:st|nd|rd|th)? {_MONTH}(?!\w)", _day_month),
    (r"\b([1-9][0-9]{2}0)s\b", lambda m: decade(int(m[1]))),
    # money, measures
    (rf"(?:\bUS)?([$€£¥₹])\s?({_NUM}){_SCALE}{_PER_TAIL}", _money_in_front),
    (
        rf"(?<![\w.,])([0-9]++,[0-9]{{2}}(?![0-9])|{_NUM}){_SCALE}\s?([€£¥₹$]|USD\b|EUR\b|GBP\b)",
        _money_behind,
    ),
    (
        r"(?<![\w.])([0-9]{1,3})\s?(?:ft\b\.?|feet\b|['’′])\s?([0-9]{1,2})\s?(?:in\b\.?|inches\b|[\"”″])",
        _feet_and_inches,
    ),
    (
        r"(?i)\b(the |mid-|early |late |his |her |their |my |your |our |['’])['’]?([2-9]0)s\b",
        lambda m: m[1].replace("'", "") + decade(int(m[2])),
    ),
    (
        rf"(?<![\w.,]){_AMOUNT}([ -]?)({_one_of(UNITS | INVARIANT)})(?![\w^]){_PER_TAIL}",
        _measure,
    ),
    # the rest
    (rf"(?<![\w.])({_INT})(?:st|nd|rd|th)\b", _ordinal),
    (r"(?<![\w/])(24/7|9/11|50/50)(?![\w/])", lambda m: m[1].replace("/", " ")),
    (r"(?<![\w./])(?:[0-9]{1,4} )?[0-9]{1,4}/[0-9]{1,4}(?![\w/])", lambda m: _number(m[0])),
    (r"(?:#|\b[Nn]os?\.)\s*(?=[0-9])", "number "),
    (r"(?<=[0-9])\s[x×]\s(?=[0-9])", " times "),
    (r"(?<=[0-9])[x×](?=[0-9])", " by "),
    (r"(?<=[0-9])x(?!\w|\s?(?:[-+*/=^]|minus\b))", " times"),
    (r"(?<=[0-9])\s?\*\s?(?=[0-9])", " times "),
    (r"(?<=[\w)])\^2(?![0-9])", " squared"),
    (r"(?<=[\w)])\^3(?![0-9])", " cubed"),
    (r"(?<=[\w)])\s?\^\s?(?=[\w(-])", " to the power of "),
    (rf"(?<![0-9]){_INT}(?:\.[0-9]++)?|(?<![\w])\.[0-9]++", _plain),
]
_COMPILED = [(re.compile(pattern), words) for pattern, words in _PATTERNS]


def say_quantities(text: str) -> str:
    """Replace everything with ASCII digits by words.

    Dates, times, telephone numbers, ranges, money, measures, ordinals, fractions, decades, years,
    versions, then plain numbers.
    """
    for pattern, words in _COMPILED:
        text = pattern.sub(words, text)
    return text
