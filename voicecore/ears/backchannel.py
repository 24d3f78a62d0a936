"""Words with which a listener only says "go on": they do not take the floor.

"Mhm", "yeah", "I see", a laugh: while the assistant speaks these are a listener's signals
(backchannels, aizuchi, 反馈语), and the reply should go on. Everything else takes the floor, above
all "no", "stop", "wait", "what?" and whatever has a word in it that is not known here: a reply that
stops for too much is better than one that cannot be stopped.

The words are those tagged as backchannels, acknowledgements and short assessments in Switchboard
(Jurafsky, Shriberg and Biasca 1997, SWBD-DAMSL coders manual, tags b, bk, bh and ba), and the
reactive tokens of English, Japanese and Mandarin in Clancy, Thompson, Suzuki and Tao 1996 (Journal
of Pragmatics 26), without those that also ask to be heard again or to stop.
"""

from __future__ import annotations

import re
import unicodedata

_HUMS = (
    "[hmn]+", "h[aeio]h?(?: ?h[aeio]h?)+", "h+u+h+", "he+h+", "u+h+ ?h+u+h+", "u+[hm]+",
    "e+h*r+m*", "e+h+", "a+h* ?h+a+", "a+h*", "o+ ?h+o+", "o+h*", "w+o+w+",
)  # fmt: skip
"""Sounds, in whatever letters a recogniser writes them; of every language. Whisper spells some
("M-H-M", "NMM")."""

_ENGLISH = (
    "yeah", "yea", "yep", "yup", "yes", "ya", "right", "all right", "alright", "okay", "ok", "kay",
    "o k", "sure", "sure thing", "of course", "true", "thats true", "thats right", "exactly",
    "absolutely", "definitely", "indeed", "totally", "correct", "agreed", "fair enough", "i see",
    "i know", "i understand", "i get it", "got it", "gotcha", "makes sense", "that makes sense",
    "good", "great", "nice", "cool", "fine", "perfect", "excellent", "awesome", "amazing", "lovely",
    "wonderful", "interesting", "funny", "very good", "very nice", "thats good", "thats great",
    "thats nice", "thats cool", "thats interesting", "thats funny", "how nice", "how interesting",
    "really", "oh really", "is that right", "is that so", "no kidding", "wow", "whoa", "gosh",
    "goodness", "my goodness", "oh my", "oh my god", "oh my goodness", "boy", "oh boy", "gee",
)  # fmt: skip
"""Written without apostrophes."""

_CHINESE = (
    "嗯", "唔", "呣", "哦", "噢", "喔", "啊", "呀", "诶", "欸", "哎", "唉", "哇", "哈", "呵", "嘿",
    "嘻", "对", "對", "对啊", "對啊", "对呀", "對呀", "对的", "對的", "是", "是啊", "是呀", "是的",
    "是吗", "是嗎", "好", "好的", "好啊", "好呀", "行", "没错", "沒錯", "当然", "當然", "真的",
    "真的吗", "真的嗎", "真的啊", "这样", "這樣", "这样啊", "這樣啊", "原来如此", "原來如此",
    "原来是这样", "原來是這樣", "明白", "明白了", "知道了", "我知道", "我明白", "懂了", "有道理",
    "厉害", "厲害", "真好", "太好了", "不错", "不錯", "有意思",
)  # fmt: skip

_JAPANESE = (
    "うん", "ん", "ふん", "ふうん", "はい", "ええ", "へ", "へえ", "へぇ", "ほ", "ほう", "ほお",
    "ほんと", "ほんとう", "本当", "本当に", "ほんとに", "そう", "そっか", "そうか", "そうですか",
    "そうなんだ", "そうなんですか", "そうなの", "そうですね", "そうだね", "そうね", "ですね",
    "ですよね", "だよね", "なるほど", "なるほどね", "なるほどですね", "たしかに", "確かに",
    "もちろん", "わかった", "分かった", "わかりました", "分かりました", "まじ", "マジ", "すごい",
    "すごいね", "いいね", "いいですね", "よかった", "あ", "ああ", "あっ", "お", "おお", "わ",
    "わあ", "は", "ふふ", "笑",
)  # fmt: skip
"""Written without "ー". Not "え" alone: with surprise in it, it asks to hear that again; nor
"ううん", which is no."""

_OBJECTS = re.compile(r"(?:hu+h+|h*m+|e+h*|a+h*|嗯|啊|哈|诶|欸|ん|は|はい)\?|u+h+[- ]u+h+\W*")
"""With a question mark these ask to be told again; and "uh-uh" is no."""

_ANNOTATION = re.compile(r"\[[^\]]*\]|\([^)]*\)|（[^）]*）|\*[^*]*\*|♪")
"""What recognisers write of sounds that are no words: "(laughs)", "[MUSIC]", "*coughs*"."""

_UNWRITTEN = str.maketrans("", "", "'’ー")

_MARKS = re.compile(r"[\W_]+")


def _pattern(words: tuple[str, ...], between: str) -> re.Pattern[str]:
    """Match any of these in a row; the longest first, so that parts do not hide the whole."""
    one = "|".join((*sorted(words, key=len, reverse=True), *_HUMS))
    whole = rf"(?:{one})(?![a-z])"
    return re.compile(rf"{whole}(?:{between}{whole})*+")  # possessive: linear in the length


_KNOWN = {
    "en": _pattern(_ENGLISH, " "),
    "zh": _pattern(_CHINESE, " ?"),
    "ja": _pattern(_JAPANESE, " ?"),
}
_SOUNDS = _pattern((), " ")


def backchannel(words: str, language: str) -> bool:
    """Whether this, said while the assistant speaks, leaves the floor to the assistant.

    Args:
        words: what was recognised; empty if nothing was: then nobody has asked to be heard.
        language: ISO 639-1, perhaps with a region. In a language without a list (other than ``en``,
            ``ja`` and ``zh``) only sounds such as "mhm" leave the floor.

    >>> backchannel("Mm-hmm. Yeah.", "en"), backchannel("Yeah, but stop.", "en")
    (True, False)
    """
    text = unicodedata.normalize("NFKC", _ANNOTATION.sub(" ", words)).casefold()
    if _OBJECTS.fullmatch(text.strip()):
        return False
    plain = _MARKS.sub(" ", text.translate(_UNWRITTEN)).strip()
    known = _KNOWN.get(language.casefold().partition("-")[0], _SOUNDS)
    return not plain or known.fullmatch(plain) is not None
