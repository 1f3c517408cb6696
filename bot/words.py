"""What a prompt may not say: rules of a place, what only age-restricted places may see, and what nobody draws. Pure.

Nothing here can be switched off: `forbidden` asks no setting.
"""

import re
import time
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from math import prod
from pathlib import Path
from typing import Literal

import regex

from bot.errors import BadOption
from bot.folding import folded, plain, readings, words_pattern

MAX_WORDS, MAX_RULE, MAX_COUNT = 200, 2000, 10_000  # words, characters, and what counts like {3,5} multiply to
PATTERN_SECONDS, RULES_SECONDS = 0.05, 0.5  # of computing, for one regular expression and for all, and one prompt
_COUNTS = re.compile(r"(\)?)\s*\{[^{}]*?(\d+)[^{}\d]*\}")
_YOUNG = r"(?:[1-9]|1[0-7])"
_NUMBERS = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
_COUNT, _GAP = rf"(?<!\w)(?:{_YOUNG}|{_NUMBERS.replace(' ', '|')})", r"\W+(?:\w+\W+){0,3}?"
_NOT_ONE_OF = r"(?!(?:one|two|three)(?!\w))"  # "she is one with nature", "they are two sisters"
_YEARS = (  # as `folded` leaves them
    r"(?:years?|yrs?|y)[\s/.-]*(?:olds?|o)(?!\w)|(?:yrs?|yo)(?!\w)|months?[\s-]*old|jahrige?\w*|jahre(?!\w)|anos(?!\w)|ans(?!\w)|anni(?!\w)"
    r"|jaar|let(?!\w)|лet\w*|lat(?!\w)|letni\w*|yas\w*|tahun|tuoi|sal(?!\w)|साल|سنة|سنوات|살|세(?!\w)|[歳才岁歲]"
)
_AGES = (
    rf"{_COUNT}[\s-]*(?:{_YEARS})|[一二三四五六七八九十]{{1,2}}[歳才岁歲]"
    rf"|(?<!\w)age[ds]?\W*(?:of )?{_COUNT}(?!\w)"
    rf"|(?<!\w)(?:she|he|they|who)(?:'?s|'?re| is| are| was)?(?: only| just)? {_NOT_ONE_OF}{_COUNT}(?!\w)"
    rf"|(?<!\w)1[0-7]f(?!\w)|{_COUNT}(?:st|nd|rd|th)? birthday|born in 20[12]\d"
)

_SEXUAL = ("explicit", "suggestive")

Forbidden = Literal["minors", "perhaps_minors", "undressing"]


@dataclass(frozen=True, slots=True)
class Rule:
    """`pattern` is words and phrases between commas, or a regular expression between slashes."""

    name: str
    pattern: str

    def finds(self, text: str, seconds: float = PATTERN_SECONDS) -> bool:
        """Also where a regular expression is not done in time: what cannot be judged is not let through."""
        if not is_expression(self.pattern):
            return any(map(_compiled(self.pattern).search, readings(text)))
        try:
            return seconds <= 0 or _searched(self.pattern, text, seconds) is not None
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
    ends = time.thread_time() + RULES_SECONDS
    return next((rule for rule in rules if rule.finds(text, min(PATTERN_SECONDS, ends - time.thread_time()))), None)


def is_explicit(prompt: str, negative: str = "") -> bool:
    """Errs towards yes: a word is enough, however it is written; so is it to keep clothes out."""
    return _says("explicit", prompt) or _says("clothes", negative)


def forbidden(prompt: str, negative: str, *, is_over_a_given_picture: bool) -> Forbidden | None:
    """What is drawn nowhere, whatever is set: sexual content with minors, and people undressed in given pictures."""
    is_sexual, undresses = is_explicit(prompt, negative) or _says("suggestive", prompt), _says("undresses", prompt)
    is_young, perhaps = _says("minors", prompt), _says("perhaps_minors", prompt) or _says("adults", negative)
    if is_sexual and is_young:
        return "minors"
    if (is_young or perhaps) and (
        is_sexual or undresses or any(_says(kind, prompt, strictly=True) for kind in _SEXUAL)
    ):
        return "perhaps_minors"
    if is_young and _says("ambiguous", prompt):
        return "perhaps_minors"
    if is_over_a_given_picture and (is_sexual or undresses or _says("undressing", prompt)):
        return "undressing"
    return None


FORBIDDEN: Mapping[Forbidden, str] = {
    "minors": "sexual content with minors",
    "perhaps_minors": "sexual content with minors",
    "undressing": "undressing people in given pictures",
}


def _says(kind: str, text: str, *, strictly: bool = False) -> bool:
    return any(map(_patterns()[kind].search, _looked_at(text, strictly))) if text else False


@lru_cache(maxsize=64)
def _looked_at(text: str, strictly: bool) -> tuple[str, ...]:
    """Without the harmless phrases; strictly, with those that are harmless only where no minor is named."""
    looked_at = [_patterns()["harmless"].sub(" … ", reading) for reading in readings(text)]
    return tuple(looked_at if strictly else (_patterns()["harmless_alone"].sub(" … ", each) for each in looked_at))


@cache
def _patterns() -> Mapping[str, re.Pattern[str]]:
    words = tomllib.loads((Path(__file__).parent / "words.toml").read_text(encoding="utf-8"))
    said = {kind: words_pattern(listed) for kind, listed in words.items()}
    removing, garments, removed = (f"(?:{said.pop(kind)})" for kind in ("removing", "garments", "removed"))
    said["undresses"] = f"{removing}{_GAP}{garments}|{garments}{_GAP}{removed}"
    said["minors"] += f"|{unicodedata.normalize('NFKD', _AGES)}"
    return {kind: re.compile(pattern) for kind, pattern in said.items()}


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(words_pattern(pattern.split(",")))


def _searched(pattern: str, text: str, seconds: float = PATTERN_SECONDS) -> object:
    """Raises TimeoutError."""
    expression, ends = regex.compile(pattern[1:-1], regex.IGNORECASE), time.thread_time() + seconds
    for form in dict.fromkeys((plain(text), folded(text))):
        left = max(0.001, ends - time.thread_time())
        if found := expression.search(form, timeout=left, concurrent=True):
            return found
    return None


def _require_quick(pattern: str) -> None:
    try:
        if _size(pattern) > MAX_COUNT:
            raise TimeoutError
        if _searched(pattern, "") is not None:
            raise BadOption(pattern, "finds every prompt", allowed="it must need a letter at least")
        for letter in {*pattern, "a", " "}:  # a repetition in another shows where what follows it never comes
            _searched(pattern, letter * 100 + "\N{SNOWMAN}")
    except (regex.error, RecursionError, OverflowError, ValueError) as error:
        raise BadOption(pattern, f"is no regular expression: {error}") from None
    except TimeoutError:
        raise BadOption(pattern, "takes too long", allowed="without one repetition in another") from None


def _size(pattern: str) -> int:
    """How often a group can at most be written out, which is done before there is a time to be bounded."""
    counts = [(bool(group), int(most) or 1) for group, most in _COUNTS.findall(pattern)]
    return prod(most for group, most in counts if group) * max((most for group, most in counts if not group), default=1)
