"""What a prompt may not say: rules of a place, what only age-restricted places may see, and what nobody draws. Pure.

Nothing here can be switched off: `forbidden` asks no setting.
"""

import re
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import regex

from bot.errors import BadOption
from bot.folding import folded, plain, readings, words_pattern

MAX_WORDS, MAX_RULE = 200, 2000  # words, and characters, of one rule
PATTERN_SECONDS = 0.05  # for one regular expression and one prompt
_YOUNG = r"(?:[1-9]|1[0-7])"
_NUMBERS = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
_AGES = re.compile(
    rf"(?<!\w)(?:{_YOUNG}|{_NUMBERS.replace(' ', '|')})[\s-]*"
    r"(?:(?:years?|yrs?|y)[\s/-]*(?:old|o)(?!\w)|yo(?!\w)|jahrige?\w*|jahre(?!\w)|anos(?!\w)|ans(?!\w)|лet(?!\w)|[歳才岁])"
    rf"|(?<!\w)age[ds]?\s*:?\s*{_YOUNG}(?!\w)"
)

Forbidden = Literal["minors", "perhaps_minors", "undressing"]


@dataclass(frozen=True, slots=True)
class Rule:
    """`pattern` is words and phrases between commas, or a regular expression between slashes."""

    name: str
    pattern: str

    def finds(self, text: str) -> bool:
        """Also where a regular expression is not done in time: what cannot be judged is not let through."""
        if not is_expression(self.pattern):
            return any(map(_compiled(self.pattern).search, readings(text)))
        try:
            return _searched(self.pattern, text) is not None
        except TimeoutError:
            return True


def checked(pattern: str) -> str:
    """A rule as it is kept. Raises BadOption for one that is empty, too long, broken, slow, or finds everything."""
    text = " ".join(pattern.split())
    if len(text) > MAX_RULE or text.count(",") >= MAX_WORDS:
        raise BadOption("That rule", "is too long", allowed=f"at most {MAX_WORDS} words and {MAX_RULE:,} characters")
    if is_expression(text):
        _require_quick(text)
        return text
    words = [word for each in text.split(",") if folded(word := each.strip()).strip("* ")]
    if not words:
        raise BadOption("That rule", "is empty", allowed="words between commas, or /a regular expression/")
    return ", ".join(words)


def is_expression(pattern: str) -> bool:
    return len(pattern) > 2 and pattern.startswith("/") and pattern.endswith("/")


def broken(rules: Sequence[Rule], text: str) -> Rule | None:
    """The first rule that the text breaks."""
    return next((rule for rule in rules if rule.finds(text)), None)


def is_explicit(text: str) -> bool:
    """Errs towards yes: a word is enough, however it is written."""
    return _says("explicit", text)


def forbidden(prompt: str, negative: str, *, is_over_a_given_picture: bool) -> Forbidden | None:
    """What is drawn nowhere, whatever is set: sexual content with minors, and people undressed in given pictures."""
    hides_clothes = _says("clothes", negative)
    if is_explicit(prompt) or hides_clothes or _says("suggestive", prompt):
        if _says("minors", prompt) or any(map(_AGES.search, readings(prompt))):
            return "minors"
        if _says("perhaps_minors", prompt):
            return "perhaps_minors"
    if is_over_a_given_picture and (is_explicit(prompt) or hides_clothes or _says("undressing", prompt)):
        return "undressing"
    return None


FORBIDDEN: Mapping[Forbidden, str] = {
    "minors": "sexual content with minors",
    "perhaps_minors": "sexual content with minors",
    "undressing": "undressing people in given pictures",
}


def _says(kind: str, text: str) -> bool:
    return bool(text) and any(map(_lists()[kind].search, readings(text)))


@cache
def _lists() -> dict[str, re.Pattern[str]]:
    words = tomllib.loads((Path(__file__).parent / "words.toml").read_text(encoding="utf-8"))
    return {kind: words_pattern(listed) for kind, listed in words.items()}


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return words_pattern(pattern.split(","))


def _searched(pattern: str, text: str) -> object:
    """Raises TimeoutError."""
    expression, ends = regex.compile(pattern[1:-1], regex.IGNORECASE), time.monotonic() + PATTERN_SECONDS
    for form in dict.fromkeys((plain(text), folded(text))):
        left = max(0.001, ends - time.monotonic())
        if found := expression.search(form, timeout=left, concurrent=True):
            return found
    return None


def _require_quick(pattern: str) -> None:
    try:
        if _searched(pattern, "") is not None:
            raise BadOption(f"The rule {pattern}", "finds every prompt", allowed="it must need a letter at least")
        for letter in {*pattern, "a", " "}:  # a repetition in another shows where what follows it never comes
            _searched(pattern, letter * 100 + "\N{SNOWMAN}")
    except regex.error as error:
        raise BadOption(f"The rule {pattern}", f"is no regular expression: {error}") from None
    except TimeoutError:
        raise BadOption(f"The rule {pattern}", "takes too long", allowed="without one repetition in another") from None
