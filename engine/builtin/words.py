"""Which words of a prompt the built-in model does not know. Imports nothing heavy."""

import re
from functools import cache
from pathlib import Path

_WORD = re.compile(r"(?<!\d)[^\W\d_]+(?:['’][^\W\d_]+)?")


def unknown_words(prompt: str) -> list[str]:
    """The words, as typed and in order, that mean nothing to the model; each once."""
    seen: dict[str, str] = {}
    for word in _WORD.findall(prompt):
        seen.setdefault(word.lower(), word)
    return [word for lower, word in seen.items() if not _known(lower)]


def _known(word: str) -> bool:
    words = vocabulary()
    return word in words or word.replace("’", "'") in words or (word.endswith("s") and word[:-1] in words)


@cache
def vocabulary() -> frozenset[str]:
    """Every word of the grammar, what means the same, and the harmless function words, lower case."""
    return frozenset(_text().split())


def same_words() -> dict[str, list[str]]:
    """Learnt word → other spellings, everyday words and words of other languages that are read as it."""
    lines = [line.split() for line in _text().splitlines()]
    return {line[0]: line[1:] for line in lines if len(line) > 1}


def _text() -> str:
    return (Path(__file__).parent / "words.txt").read_text("utf-8")
