"""What a voice should say for a piece of written text.

Markdown, HTML, emoji and URLs become plain words in every language. In English, numbers and
abbreviations become words too; in others they are left to the voice, which knows its language.
"""

from __future__ import annotations

import html
import re
import unicodedata

from voicecore.mouth.english import say_addresses, say_english

_ZERO_WIDTH = "\u200c\u200d"
"""Joiners that shape Persian and Indic words; elsewhere they glue emoji."""
_PUNCTUATION = frozenset(".,;:!?'\"()-–“”‘’「」『』《》。！？｡、，；：¿¡·।؟،؛۔")
_SIGNS = frozenset("%+=&/@°§×÷±−")
"""Left to the voice; in English they are words by then."""
_KEPT = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd", "Nl", "No", "Sc"})


def base_language(language: str) -> str:
    """``en-US`` and ``EN_gb`` are ``en``."""
    return re.split(r"[-_]", language.strip().lower(), maxsplit=1)[0]


def speakable(text: str, language: str = "en") -> str:
    """Say ``text`` in words.

    Markdown loses its signs, code blocks, images, tables' rules, HTML tags and emoji are left out,
    a link is its text, a URL its host ("example dot com"), a table row its cells.

    Args:
        text: usually one phrase (`phrase.Phraser` keeps links, code and rows whole); any text will
            do. Half a link or half a bold span loses its signs as well.
        language: ISO 639-1, a region may follow.

    Returns:
        Words on one line, free of Markdown, HTML and emoji; empty if nothing can be said.
    """
    english = base_language(language) == "en"
    text = _drop_inline(_drop_blocks(text))
    if english:
        text = say_addresses(text)
    lines = [_say_line(line) for line in text.splitlines()]
    text = " ".join(line for line in lines if line)
    if english:
        text = say_english(text)
    return _tidy(_only_speakable(text))


# --- blocks and spans that vanish, or leave some words -------------------------------------------

_FENCE = re.compile(
    r"^[ \t>]*(?:[-*+] +)?(?P<fence>`{3,}+|~{3,}+)[^`\n]*+"
    r"(?:\n.*?(?:^[ \t>]*(?P=fence)[`~]*[ \t]*$|\Z)|\Z)",
    re.MULTILINE | re.DOTALL,
)
_CODE = re.compile(r"(?<!`)(`++)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_CODE_SIGNS = str.maketrans(dict.fromkeys("<>[](){}_*#|~`\\", " "))
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_AUTOLINK = re.compile(r"<([a-z]+:[^<>\s]*|[^<>\s@]+@[^<>\s@]+)>")
_TAG = re.compile(r"</?[A-Za-z][A-Za-z0-9-]*+(?:\s++[^<>=]*+=[^<>]*+|\s*+/?)>")
_TARGET = r"\((?:[^()]|\([^()]*+\))*+\)"
_IMAGE = re.compile(rf"!\[[^\[\]]*+\](?:{_TARGET})?")
_LINK = re.compile(rf"\[([^\[\]]*+)\](?:{_TARGET}|\[[^\[\]]*+\])")
_LINK_TAIL = re.compile(r"\]\((?:[^\s()]|\([^\s()]*+\))*+\)?")
_CITATION = re.compile(r"\[\^[^\]\s]*+\]:?|(?<=[\w.,;!?)])\s?\[[0-9]{1,3}\]|【[^】]*†[^】]*】")
_DEFINITION = re.compile(r"^ {0,3}\[[^\]\n]+\]:[ \t]+\S+.*$", re.MULTILINE)
_DATA_URL = re.compile(r"\bdata:[\w/+.-]*;?[\w=;-]*,[!-~]*")
_HOST = r"(?:(?![\u2e80-\U0010ffff])[\w-])+"  # Chinese follows a URL without a space
_URL = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:https?|ftp|wss?)://(?:[^\s/@<>]*@)?(?:www\.)?|www\.)"
    rf"({_HOST}(?:\.{_HOST})*)(?::[0-9]+)?"
    r"(?:[/?#][!-~]*?(?=[.,;:!?'*_~]*(?:[\s<>\"`)\]]|[^!-~]|\Z)))?"
)
_MAILTO = re.compile(r"\bmailto:")
_SHORTCODE = re.compile(r"(?<![\w:]):[a-z][a-z0-9_+-]*:(?!\w)")
_EMOTICON = re.compile(r"(?<!\S)(?:[:;=]['-]?[()DPp/|\\]|<3)(?=[\s.,!?]|\Z)")


def _drop_blocks(text: str) -> str:
    text = _COMMENT.sub(" ", _FENCE.sub("\n", text))
    text = _CODE.sub(lambda found: found[2].translate(_CODE_SIGNS), text)
    return _DEFINITION.sub("", text)


def _drop_inline(text: str) -> str:
    text = _TAG.sub(" ", _AUTOLINK.sub(r"\1", text))
    text = html.unescape(text)
    text = _LINK.sub(r"\1", _IMAGE.sub(" ", _CITATION.sub("", text)))
    text = _LINK_TAIL.sub("", text)
    text = _URL.sub(r"\1", _DATA_URL.sub(" ", text))
    return _EMOTICON.sub("", _SHORTCODE.sub("", _MAILTO.sub("", text)))


# --- lines ---------------------------------------------------------------------------------------

_RULE = re.compile(r"[\s>]*(?:[-*_=]\s*){3,}")
_TABLE_RULE = re.compile(r"[\s|:-]*-[\s|:-]*")
_HEADING = re.compile(r"#{1,6}(?:\s+|\Z)")
_BULLET = re.compile(r"(?:[-*+•‣◦]\s+|(?=[0-9]{1,4}[.)]\s))(?:\[[ xX]\]\s+)?")
_LIST_NUMBER = re.compile(r"([0-9]{1,4})[.)]\s+(?=\S)")
_ENDED = re.compile(r"[.!?…。！？:;,，；：]['\"”’)*_~\s]*\Z")


def _say_line(line: str) -> str:
    line = line.strip().lstrip("> \t")
    if _RULE.fullmatch(line) or ("|" in line and _TABLE_RULE.fullmatch(line)):
        return ""
    own_sentence = False
    if line.startswith("|"):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        line, own_sentence = ", ".join(cell for cell in cells if cell), True
    elif heading := _HEADING.match(line):
        line, own_sentence = line[heading.end() :].rstrip(" \t#"), True
    elif bullet := _BULLET.match(line):
        line, own_sentence = line[bullet.end() :], True
        line = _LIST_NUMBER.sub(r"\1. ", line, count=1) if line[:1].isdigit() else line
    line = _drop_marks(line)
    return f"{line}." if own_sentence and line and not _ENDED.search(line) else line


_MULTIPLY = re.compile(r"(?<=[0-9])\s?\*\s?(?=[0-9])")
_WORD_JOINT = re.compile(r"(?<=[^\W_])_+(?=[^\W_])")
_ESCAPE = re.compile(r"\\(?=[!-/:-@\[-`{-~])")
_MARKS = str.maketrans({"*": None, "_": None, "`": None, "|": ", "})


def _drop_marks(line: str) -> str:
    line = _WORD_JOINT.sub(" ", _MULTIPLY.sub(" × ", _ESCAPE.sub("", line)))
    return line.replace("~~", "").translate(_MARKS).strip()


# --- what is left --------------------------------------------------------------------------------


def _only_speakable(text: str) -> str:
    """Keep letters, marks, numbers, money signs and punctuation; all else is no sound."""
    kept: list[str] = []
    before = ""
    for char in text:
        if char.isspace():
            kept.append(" ")
        elif _is_speakable(char) or (char in _ZERO_WIDTH and before in {"L", "M"}):
            kept.append(char)
        elif char in "—…":
            kept.append({"—": " — ", "…": "..."}[char])
        elif unicodedata.category(char) not in {"Mn", "Me", "Cf", "Sk"}:
            kept.append(" ")
        before = unicodedata.category(char)[0]
    return "".join(kept)


def _is_speakable(char: str) -> bool:
    if "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef":
        return False  # variation selectors: how an emoji or a glyph looks
    return char in _PUNCTUATION or char in _SIGNS or unicodedata.category(char) in _KEPT


_TIDY = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\s+", " "),
        (r"(?:\.\s?){2,}(?=[)\"'”’\s]*\Z)", "."),
        (r"\.{2,}", ", "),  # voices pause at a comma, and run over an ellipsis
        (r"(?<![0-9]) ?(?:—|--+) ?|(?<=[0-9]) ?(?:—|--+) ?(?![0-9])|(?<![0-9 ]) [-–] ", ", "),
        (r"—", "-"),
        (r"[!?]*\?[!?]*", "?"),
        (r"!+", "!"),
        (r"([，。、！？；：])\1+", r"\1"),
        (r"\(\s*\)|\"\s*\"|“\s*”", " "),
        (r"\s+(?=[.,;:!?)])", ""),
        (r"[,;:]+(?=[.!?])", ""),
        (r"([!?])(?:\s*[.,;:])+", r"\1"),
        (r"\.(?:\s*[.;:])+", "."),
        (r"([,;:])[,;:\s]*[,;:]", r"\1"),
        (r"\s+", " "),
        (r"\A[\s.,;:!?)–-]+|[\s–-]+\Z", ""),
    )
]


def _tidy(text: str) -> str:
    for pattern, replacement in _TIDY:
        text = pattern.sub(replacement, text)
    text = text.strip()
    return text if any(char.isalnum() for char in text) else ""
