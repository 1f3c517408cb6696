"""A text as it looks, however it is written: `ｎüdе`, `n.u.d.e` and `n u d e` are all read as "nude". Pure."""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from itertools import groupby

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
_LIKE = {  # "!" is a letter only before another
    "a": "[a4@]", "b": "[b8]", "e": "[e3€]", "g": "[g69]", "i": r"(?:[il1|]|!(?=\w))", "o": "[o0]", "s": "[s5$]",
    "t": "[t7]", "z": "[z2]",
}  # fmt: skip
_LIKE["l"] = _LIKE["i"]
_INNER_MARKS = re.compile(r"(?<=\w)(?:[^\w\s@€$!|]|_)+(?=[\w@€$!|])")
_ALL_INNER_MARKS = re.compile(r"(?<=[^\W_])(?:[^\w\s]|_)+(?=[^\W_])")
_SPELLED = re.compile(r"(?<!\w)\w(?:[^\w]+\w){2,}(?!\w)")
_LONGEST_RUN = 100  # letters
_BEGINS, _ENDS = r"(?<![^\W\d_])", r"(?![^\W\d_])"  # no letter beside it
_HAS_LETTER = r"(?=[\w@€$!|]{0,20}[^\W\d_])"  # 1011 is a number and no word of four letters


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
    """What a reader may see in `text`: as it stands, without marks inside words, and spelled out."""
    as_it_stands = folded(text)
    spelled = _SPELLED.sub(_parts_of, _ALL_INNER_MARKS.sub("", as_it_stands))
    return tuple(dict.fromkeys((as_it_stands, _INNER_MARKS.sub("", as_it_stands), spelled)))


def _parts_of(run: re.Match[str]) -> str:
    """Every word that may stand in `n a k e d m a n`: nobody can tell where one ends."""
    letters = re.sub(r"\W", "", run[0])[:_LONGEST_RUN]
    return " ".join(letters[i:end] for i in range(len(letters)) for end in range(i + 3, min(i + 12, len(letters)) + 1))


def words_pattern(words: Iterable[str]) -> str:
    """Finds any of these words and phrases in a reading, whole; also with digits for letters, and letters repeated.

    A `*` at an end stands for the rest of a word. Scripts that put no space between words have no ends to look for.
    """
    known = sorted({word for each in words if (word := folded(each)).strip("* ")})
    first = {word: "" if word[0] == "*" else _letter(word[0]) for word in known if _has_ends(word)}
    groups = [  # what several begin with is looked at once
        f"(?={letter})(?:{'|'.join(map(_phrase, same))})"
        for letter, same in groupby(sorted(first, key=first.__getitem__), first.__getitem__)
    ]
    anywhere = [re.escape(word.strip("* ")) for word in known if word not in first]
    return "|".join([*([f"{_BEGINS}(?:{'|'.join(groups)})"] if groups else []), *anywhere])


def _phrase(word: str) -> str:
    inner = r"[\s_-]*".join(map(_word, re.split(r"[\s_-]+", word.strip("* "))))
    before, after = r"\w{0,4}" * word.startswith("*"), r"\w*" if word.endswith("*") else _ENDS
    return f"{_HAS_LETTER * any(map(str.isalpha, word))}{before}{inner}{after}"


def _word(word: str) -> str:
    """Each letter as often as it stands there, or more than twice."""
    runs = [(like, len(list(run))) for like, run in groupby(map(_letter, word))]
    return "".join(f"{like}{{2,30}}" if count > 1 else f"{like}(?:{like}{{2,30}})?" for like, count in runs)


def _letter(letter: str) -> str:
    return _LIKE.get(letter, re.escape(letter))


def _has_ends(word: str) -> bool:
    scripts = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER")
    return not any(unicodedata.name(letter, "").startswith(scripts) for letter in word)
