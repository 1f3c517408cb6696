"""A text as it looks, however it is written: `ｎüdе`, `n.u.d.e` and `n u d e` are all read as "nude". Pure."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache

from bot.grammar import clean

# Letters that look like others: of Unicode's confusables.txt (UTS #39, © Unicode, Inc.) the single letters of living
# scripts after case folding; п, ŋ, turned letters and the small capitals are added.
_LOOKALIKES = {
    "a": "ɑαаᎪꓮᴀɐ",
    "b": "ƀƃƅɓβбвьѣҍᏏᏴꓐꞵʙ",
    "c": "¢ȼсҫᏟᴄⲥꓚ𐐽",
    "d": "ðđƌɖɗԁᎠᏧꓒꓓᴅ",
    "e": "ɇεеҽҿᎬꓰꬲᴇəǝɘ",
    "f": "ƒϝքᵮẝꓝꞙꬵ𝈓",
    "g": "ƍǥɠɡԍցᏀᏳᶃꓖɢ",
    "h": "ħɦнћңһӈӊհᎻᏂᏲⱨⲏꓧꚕʜ",
    "i": "ıɨɩɪιіӏᎥᵻᵼꙇ",
    "j": "ɉʝϳјᎫꓙᴊ",
    "k": "ƙκкқҟᏦⱪⲕꓗꝁᴋ",
    "l": "łƚǀɫɭᏞⲓⳑꓡꓲ𐑃𝈪ʟ",
    "m": "μϻмӎᎷⲙꓟᴍ",
    "n": "ƞɲɳηոռᵰⲛꓠɴпŋ",
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
_AS_LATIN |= {
    first + i: "abcdefghijklmnopqrstuvwxyz"[i] for first in (0x1F150, 0x1F170, 0x1F1E6) for i in range(26)
}  # in discs, squares, flags
_AS_I, _AS_L = (str.maketrans("013456789@€$|", f"o{one}easgtbgaes{one}") for one in "il")
_INNER_MARKS = re.compile(r"(?<=[^\W_])(?:[^\w\s]|_)+(?=[^\W_])")
_SPELLED = re.compile(r"(?<!\w)\w(?:[^\w]+\w){2,}(?!\w)")
_LONGEST_RUN = 100  # letters
_MANY = re.compile(r"(\w)\1{2,}")
_BEGINS, _ENDS = r"(?<![^\W\d_])", r"(?![^\W\d_])"  # no letter beside it


def folded(text: str) -> str:
    """Without case, accents, widths and what cannot be seen; letters of other scripts as the Latin ones they look like.

    Rules are folded too, so that one in Cyrillic or Greek finds what it means.
    """
    return plain(text).translate(_AS_LATIN)


def plain(text: str) -> str:
    """The same, but every script stays what it is."""
    letters = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", clean(text)).casefold())
    kept = (letter for letter in letters if not unicodedata.combining(letter))
    return " ".join("".join(str(unicodedata.decimal(letter, letter)) for letter in kept).split())


@lru_cache(maxsize=64)
def readings(text: str) -> tuple[str, ...]:
    """What a reader may see in `text`: as it stands, without marks inside words, spelled out, digits as letters."""
    found = [folded(text)]
    for version, letters in ((found[0], _AS_I), (folded(text.replace("I", "l")), _AS_L)):
        for form in (version, _SPELLED.sub(_parts_of, _INNER_MARKS.sub("", version))):
            lettered = " ".join(_lettered(word, letters) for word in form.split())
            found += [lettered, _MANY.sub(r"\1", lettered), _MANY.sub(r"\1\1", lettered)]
    return tuple(dict.fromkeys(found))


def _parts_of(run: re.Match[str]) -> str:
    """Every word that may stand in `n a k e d m a n`: nobody can tell where one ends."""
    letters = re.sub(r"\W", "", run[0])[:_LONGEST_RUN]
    return " ".join(letters[i:end] for i in range(len(letters)) for end in range(i + 3, min(i + 12, len(letters)) + 1))


def _lettered(word: str, letters: Mapping[int, int]) -> str:
    """`n4k3d` → naked; a number stays one."""
    return re.sub(r"!(?=\w)", "1", word).translate(letters) if any(map(str.isalpha, word)) else word


def words_pattern(words: Iterable[str]) -> str:
    """Finds any of these words and phrases in a reading, whole.

    A `*` at an end stands for the rest of a word. Scripts that put no space between words have no ends to look for.
    """
    known = sorted({word for each in words if (word := folded(each)).strip("* ")})
    whole = [_phrase(word) for word in known if _has_ends(word) and "*" not in word]
    partly = [_phrase(word) for word in known if _has_ends(word) and "*" in word]
    partly += [f"(?:{'|'.join(whole)}){_ENDS}"] * bool(whole)
    anywhere = [_phrase(word) for word in known if not _has_ends(word)]
    return "|".join([f"{_BEGINS}(?:{'|'.join(partly)})"] * bool(partly) + anywhere)


def _phrase(word: str) -> str:
    inner = r"[\s_-]*".join(map(re.escape, re.split(r"[\s_-]+", word.strip("* "))))
    if not _has_ends(word) or "*" not in word:
        return inner
    return r"\w{0,30}" * word.startswith("*") + inner + (r"\w*" if word.endswith("*") else _ENDS)


def _has_ends(word: str) -> bool:
    scripts = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER")
    return not any(unicodedata.name(letter, "").startswith(scripts) for letter in word)
