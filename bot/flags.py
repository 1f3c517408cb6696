"""The flags of `/imagine`, and what each value may be. Nothing is clamped: an error says the range."""

import re
from difflib import get_close_matches

from bot.errors import BadOption
from engine.protocol import SCHEDULERS
from engine.sizes import is_allowed

FLAGS = {  # flag → the option that means the same
    "ar": "aspect",
    "seed": "seed",
    "no": "negative",
    "n": "count",
    "steps": "steps",
    "guidance": "guidance",
    "scheduler": "scheduler",
    "model": "model",
    "style": "style",
    "quality": "quality",
    "strength": "strength",
    "private": "private",
}
FLAG_OF = {option: flag for flag, option in FLAGS.items()}
SHORT = {"s": "seed"}  # -n is --n
MAX_TEXT = 8000  # characters: both prompts, escaped, and every flag
MANY_WORDS = frozenset({"no", "style", "scheduler"})

_MEANT = {**FLAG_OF, "cfg": "guidance", "scale": "guidance", "sampler": "scheduler", "size": "ar", "images": "n"}
_RATIO = re.compile(r"(\d{1,8}(?:\.\d{1,6})?) ?[:x×/] ?(\d{1,8}(?:\.\d{1,6})?)", re.ASCII)


def ratio(value: str) -> float:
    """`16:9`, `16x9` or `2.39:1` as width over height, from 1:3 to 3:1."""
    match = _RATIO.fullmatch(value.lower())
    if match is None:
        raise BadOption(written("ar", value), "is not a ratio", allowed="two numbers like 16:9, from 1:3 to 3:1")
    width, height = float(match[1]), float(match[2])
    if not (height and is_allowed(width / height)):
        raise BadOption(written("ar", value), "is out of range", allowed="1:3 to 3:1")
    return width / height


def whole(flag: str, value: str, low: int, high: int, whose: str = "") -> int:
    allowed = f"{low} to {high}{whose}"
    if not re.fullmatch(r"-?\d+", value, re.ASCII):
        raise BadOption(written(flag, value), "is not a whole number" if value else "needs a number", allowed=allowed)
    if len(value) > 20 or not low <= int(value) <= high:
        raise BadOption(written(flag, value), "is out of range", allowed=allowed)
    return int(value)


def decimal(flag: str, value: str, low: float, high: float, whose: str = "") -> float:
    allowed = f"{low:g} to {high:g}{whose}"
    if not re.fullmatch(r"-?(\d+|\d*\.\d+)", value, re.ASCII):
        raise BadOption(written(flag, value), "is not a number" if value else "needs a number", allowed=allowed)
    if not low <= float(value) <= high:
        raise BadOption(written(flag, value), "is out of range", allowed=allowed)
    return float(value)


def scheduler(value: str) -> str:
    """A name of the protocol, also from `Euler a` or `DPM++ 2M`."""
    name = re.sub("[ -]", "_", value.replace("++", "pp")).lower()
    return name if name in SCHEDULERS else choice("scheduler", value, SCHEDULERS)


def choice(flag: str, value: str, choices: tuple[str, ...]) -> str:
    """The one of `choices` that `value` is, however it is capitalised."""
    for each in choices:
        if each.lower() == value.lower():
            return each
    allowed = "one of " + ", ".join(choices) if choices else "none is set up here"
    problem = "is not known" if value else "needs a value"
    raise BadOption(written(flag, value), problem, nearest=nearest(value, choices), allowed=allowed)


def unknown(flag: str) -> BadOption:
    near = _MEANT.get(flag) or nearest(flag, tuple(FLAGS))
    every = " ".join(f"--{each}" for each in FLAGS)
    return BadOption(f"--{flag}", "unknown", nearest=f"--{near}" if near else None, allowed=every)


def as_written(value: object) -> str:
    """An option's value as a flag's would be."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)[:MAX_TEXT]


def written(flag: str, value: str) -> str:
    return f"--{flag} {value}".strip()


def nearest(name: str, names: tuple[str, ...]) -> str | None:
    """The one of `names` that `name` was probably meant to be."""
    return next(iter(get_close_matches(name[:40].lower(), names, n=1)), None)
