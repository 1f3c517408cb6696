"""A text as it looks, however it is written: `ｎüdе`, `n.u.d.e` and `n u d e` are all read as "nude". Pure."""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from bot.grammar import clean

# Letters that look like others: of Unicode's confusables.txt (UTS #39, © Unicode, Inc.) the single letters of living
# scripts after case folding; п and the small capitals are added.
_LOOKALIKES = {
    "a": "ɑαаᎪꓮᴀ",
    "b": "ƀƃƅɓβбвьѣҍᏏᏴꓐꞵʙ",
    "c": "¢ȼсҫᏟᴄⲥꓚ𐐽",
    "d": "ðđƌɖɗԁᎠᏧꓒꓓᴅ",
    "e": "ɇεеҽҿᎬꓰꬲᴇ",
    "f": "ƒϝքᵮẝꓝꞙꬵ𝈓",
    "g": "ƍǥɠɡԍցᏀᏳᶃꓖɢ",
    "h": "ħɦнћңһӈӊհᎻᏂᏲⱨⲏꓧꚕʜ",
    "i": "ıɨɩɪιіӏᎥᵻᵼꙇ",
    "j": "ɉʝϳјᎫꓙᴊ",
    "k": "ƙκкқҟᏦⱪⲕꓗꝁᴋ",
    "l": "łƚǀɫɭᏞⲓⳑꓡꓲ𐑃𝈪ʟ",
    "m": "μϻмӎᎷⲙꓟᴍ",
    "n": "ƞɲɳηոռᵰⲛꓠɴп",
    "o": "øɵθοσоѳөօᎤᎾᏫᴏᴑⲟꓳꝋꬽꬾ𐐬𝈚",
    "p": "ƥρрᏢᵽⲣꓑᴘ",
    "q": "ʠԛգզ",
    "r": "ɍɼɽʀгғᎡᎱᏒᴦᵲⲅꓣꭇꭈ𝈖",
    "s": "ƽʂѕտᏕᏚᵴꓢꜱ𐑈",
    "t": "ŧƭʈτтҭᎢᵵⱦⲧꓔ",
    "u": "ʉʋυսᏌᴜᵾꓴꞟꭎꭒ",
    "v": "νѵᏙᴠꓦ𝈍",
    "w": "ɯѡѽԝաᎳᏔᴡꓪꝡ",
    "x": "χхҳⲭꓫꭓ",
    "y": "¥ƴɏɣʏγуүұᎩᎽᶌỿⲩꓬꭚ",
    "z": "ƶȥʐζᏃᴢᵶꓜ𐋵",
}
_AS_LATIN = str.maketrans({letter: latin for latin, letters in _LOOKALIKES.items() for letter in letters})
_DIGITS = str.maketrans("013457@$!|", "oieastasii")
_MANY = re.compile(r"(\w)\1{2,}")
_SPELLED = re.compile(r"(?<!\S)\w(?: \w){2,}(?!\S)")
_MARKS = re.compile(r"[\W_]+")


def folded(text: str) -> str:
    """Without case, accents, widths and what cannot be seen; letters of other scripts as the Latin ones they look like.

    Rules are folded too, so that one in Cyrillic or Greek finds what it means.
    """
    return plain(text).translate(_AS_LATIN)


def plain(text: str) -> str:
    """The same, but every script stays what it is."""
    letters = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", clean(text)).casefold())
    return " ".join("".join(letter for letter in letters if not unicodedata.combining(letter)).split())


@lru_cache(maxsize=64)
def readings(text: str) -> tuple[str, ...]:
    """What a reader may see in `text`: as it stands, without marks and digits inside words, and spelled out."""
    as_it_stands = folded(text)
    joined = " ".join(_joined(word) for word in as_it_stands.split())
    spelled = _SPELLED.sub(lambda run: run[0].replace(" ", ""), _MARKS.sub(" ", as_it_stands).strip())
    return tuple(dict.fromkeys((as_it_stands, joined, spelled)))


def _joined(word: str) -> str:
    """`n4k.ed` → naked, `nuuude` → nude; a number stays one."""
    letters = _MARKS.sub("", word.translate(_DIGITS) if any(letter.isalpha() for letter in word) else word)
    return _MANY.sub(r"\1", letters)


def words_pattern(words: Iterable[str]) -> re.Pattern[str]:
    """Finds any of these words and phrases in a reading, whole; a `*` at an end stands for the rest of a word.

    Scripts that put no space between words have no ends to look for.
    """
    known = [word for each in words if (word := folded(each)).strip("* ")]
    starting = "|".join(_phrase(word) for word in known if _has_ends(word))
    anywhere = [_phrase(word) for word in known if not _has_ends(word)]
    return re.compile("|".join([rf"(?<!\w)(?:{starting})", *anywhere] if starting else anywhere))


def _phrase(word: str) -> str:
    inner = r"\s+".join(re.escape(part) for part in word.strip("* ").split())
    before, after = r"\w*" * word.startswith("*"), r"\w*" if word.endswith("*") else r"(?!\w)" * _has_ends(word)
    return f"{before}{inner}{after}"


def _has_ends(word: str) -> bool:
    scripts = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER")
    return not any(unicodedata.name(letter, "").startswith(scripts) for letter in word)
