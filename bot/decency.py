"""Whether a prompt asks for what only age-restricted places may see. Pure; the words of a place's own come on top."""

import re
import unicodedata

_WORDS = re.compile(
    r"\b(nsfw|nudes?|nudity|naked|undressed|topless|bottomless|porno?|porn\w+|hentai|ecchi|erotic\w*|sex|sexy|sexual\w*|"
    r"orgasm\w*|masturbat\w+|genital\w*|penis\w*|vagina\w*|breasts|nipples?|boobs?|tits|lingerie|bdsm|fetish\w*|onlyfans|"
    r"nackt\w*|desnud[oa]s?|nue?s? intégrale?s?|sexo|sexe|seins|brüste)\b"
)


def is_explicit(text: str) -> bool:
    """Errs towards yes: a word is enough, however it is written."""
    folded = unicodedata.normalize("NFKD", text).casefold()
    plain = "".join(letter for letter in folded if not unicodedata.combining(letter))
    return bool(_WORDS.search(plain) or _WORDS.search(unicodedata.normalize("NFC", folded)))
