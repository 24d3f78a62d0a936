"""English: abbreviations and symbols as a person would read them aloud, around the numbers.

Works on text that is already free of Markdown and HTML.
"""

from __future__ import annotations

import re
import unicodedata

from voicecore.mouth.quantities import say_quantities

_TITLES = {
    "Mr": "Mister",
    "Mrs": "Missus",
    "Ms": "Miz",  # what it sounds like; a voice would spell "Ms"
    "Dr": "Doctor",
    "Prof": "Professor",
    "Gov": "Governor",
    "Sen": "Senator",
    "Rep": "Representative",
    "Gen": "General",
    "Capt": "Captain",
    "Lt": "Lieutenant",
    "Sgt": "Sergeant",
    "Col": "Colonel",
    "Rev": "Reverend",
    "Mt": "Mount",
}
"""Only before a name."""
_ABBREVIATIONS = {
    "e.g": "for example",
    "i.e": "that is",
    "etc": "et cetera",
    "vs": "versus",
    "approx": "approximately",
    "dept": "department",
    "est": "established",
    "incl": "including",
    "cf": "compare",
    "viz": "namely",
    "a.k.a": "also known as",
    "Jr": "Junior",
    "Sr": "Senior",
    "Inc": "Incorporated",
    "Ltd": "Limited",
    "Corp": "Corporation",
    "Ave": "Avenue",
    "Blvd": "Boulevard",
    "Rd": "Road",
    "St": "Street",
}
_INSIDE = frozenset({"e.g", "i.e", "vs", "approx", "dept", "est", "incl", "cf", "viz", "a.k.a"})
"""These never end a sentence."""
_SENTENCE_END = re.compile(r"[\"'”’)\s]*(?:\Z|\s[A-Z])")
_BEFORE_NUMBER = {
    "fig": "figure",
    "figs": "figures",
    "vol": "volume",
    "pp": "pages",
    "p": "page",
    "ch": "chapter",
    "sec": "section",
    "art": "article",
    "eq": "equation",
}
_WITHOUT_DOT = {"w/o": "without", "w/": "with ", "eg": "for example", "ie": "that is"}


def _one_of(words: dict[str, str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


def _with_end(found: re.Match[str]) -> str:
    """Keep the full stop of an abbreviation that also ends the text or the sentence."""
    word = found[1]
    spoken = _ABBREVIATIONS.get(word) or _ABBREVIATIONS[word.lower()]
    ends = _SENTENCE_END.match(found.string, found.end()) and word not in _INSIDE
    return f"{spoken}." if ends else spoken


_FIND_TITLE = re.compile(rf"\b({'|'.join(_TITLES)})\.(?=\s+[A-Z])")
_FIND_SAINT = re.compile(r"\bSt\.(?=\s+[A-Z])")
_FIND_ABBREVIATION = re.compile(
    rf"(?<![\w.])({_one_of(_ABBREVIATIONS)}|E\.g|I\.e|Etc|Approx|Vs)\.(?!\w)"
)
_FIND_BEFORE_NUMBER = re.compile(rf"(?i)\b({_one_of(_BEFORE_NUMBER)})\.\s?(?=[0-9])")
_FIND_WITHOUT_DOT = re.compile(rf"(?<![\w/.])({_one_of(_WITHOUT_DOT)})(?=[\s,]|(?<=/)\w)")


def _say_abbreviations(text: str) -> str:
    text = _FIND_TITLE.sub(lambda found: _TITLES[found[1]], text)
    text = _FIND_SAINT.sub("Saint", text)
    text = _FIND_ABBREVIATION.sub(_with_end, text)
    text = _FIND_BEFORE_NUMBER.sub(lambda found: _BEFORE_NUMBER[found[1].lower()] + " ", text)
    return _FIND_WITHOUT_DOT.sub(lambda found: _WITHOUT_DOT[found[1]], text)


# --- signs ---------------------------------------------------------------------------------------

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_SUPERSCRIPT = re.compile(r"(?P<base>[0-9)]|\b[A-Za-z]{1,2})?[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+")
_GROUPED = re.compile(r"(?<=[0-9])[\u00a0\u202f\u2009](?=[0-9]{3}(?![0-9]))")
"""10 000 with a space that does not break."""
_VULGAR = re.compile(r"([0-9]?)([¼-¾⅐-⅞])")
_DROPPED = str.maketrans({"™": None, "®": None, "©": None, "’": "'", "№": "No. "})


def _unify(text: str) -> str:
    """Write full-width, superscript and combined characters (½, ㎏, ①) with plain ones (NFKC)."""

    def power(found: re.Match[str]) -> str:
        base = found["base"]
        raised = found[0][len(base or "") :].translate(_SUPERSCRIPTS)
        return f"{base}^{raised}" if base else ""  # else a footnote's mark

    def vulgar(found: re.Match[str]) -> str:
        return found[1] + (" " if found[1] else "") + unicodedata.normalize("NFKC", found[2])

    text = _SUPERSCRIPT.sub(power, text.translate(_DROPPED))
    text = unicodedata.normalize("NFKC", _VULGAR.sub(vulgar, _GROUPED.sub(",", text)))
    return text.replace("\u2044", "/")


def _address(found: re.Match[str]) -> str:
    name = found[1].replace("_", " underscore ").replace("-", " dash ").replace("+", " plus ")
    return f"{name} at {found[2]}"


_ADDRESS = re.compile(r"(?<![\w.+-])([\w.+-]++)@([\w-]++(?:\.[\w-]++)+)")


def say_addresses(text: str) -> str:
    """Read e-mail addresses; before Markdown takes the underscores for emphasis."""
    return _ADDRESS.sub(_address, text)


_BEFORE_NUMBERS: list[tuple[re.Pattern[str], str]] = [
    (re.compile(r"(?<!\w)~(?=[0-9])"), "about "),
    (re.compile(r"\b([A-G])#(?!\w)"), r"\1 sharp"),
]
_AFTER_NUMBERS = [
    (re.compile(pattern), words)
    for pattern, words in (
        (r"(?<=\w\w)\.(?=[A-Z][a-z])", ". "),  # "end.Next": the space was forgotten
        (r"(?<=[A-Za-z]{2})\.(?=[A-Za-z])|(?<=[A-Za-z])\.(?=[A-Za-z]{2})", " dot "),
        (r"\s*(?:[-=]+>|[→⇒➔➜⟶])\s*", " to "),
        (r"\s*(?:!=|≠)=?\s*", " is not equal to "),
        (r"\s*(?:<=|≤)\s*", " is at most "),
        (r"\s*(?:>=|≥)\s*", " is at least "),
        (r"\s*=+\s*", " equals "),
        (r"\s*<\s*", " less than "),
        (r"\s*>\s*", " greater than "),
        (r"\s*≈\s*", " is about "),
        (r"\s*±\s*", " plus or minus "),
        (r"\+", " plus "),
        (r"\s*&\s*", " and "),
        (r"@", " at "),
        (r"%", " percent "),
        (r"°", " degrees "),
        (r"×", " times "),
        (r"÷", " divided by "),
        (r"−", " minus "),
        (r"√", " square root of "),
        (r"∞", " infinity "),
        (r"§", " section "),
        (r"€", " euros "),
        (r"£", " pounds "),
        (r"[/\\$¥₹]", " "),
    )
]


def say_english(text: str) -> str:
    """Replace abbreviations, digits and signs by English words."""
    text = _say_abbreviations(_unify(text))
    for pattern, words in _BEFORE_NUMBERS:
        text = pattern.sub(words, text)
    text = say_quantities(text)
    for pattern, words in _AFTER_NUMBERS:
        text = pattern.sub(words, text)
    return text
