"""Which words of a prompt the built-in model has never learnt. Imports nothing heavy."""

import re
from functools import cache
from pathlib import Path

_WORD = re.compile(r"(?<!\d)[^\W\d_]+(?:['’][^\W\d_]+)?")


def unknown_words(prompt: str) -> list[str]:
    """The words, as typed and in order, that no training caption used with a meaning; each once."""
    seen: dict[str, str] = {}
    for word in _WORD.findall(prompt):
        seen.setdefault(word.lower(), word)
    return [word for lower, word in seen.items() if not _known(lower)]


def _known(word: str) -> bool:
    words = vocabulary()
    return word in words or word.replace("’", "'") in words or (word.endswith("s") and word[:-1] in words)


@cache
def vocabulary() -> frozenset[str]:
    """Every word of the grammar and the harmless function words, lower case."""
    return frozenset((Path(__file__).parent / "words.txt").read_text("utf-8").split())
