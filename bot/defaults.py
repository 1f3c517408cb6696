"""A person's own defaults: what `/imagine` takes where neither option nor flag says otherwise. Pure."""

from collections.abc import Mapping

from bot import flags
from bot.errors import BadOption
from bot.grammar import clean, taken_apart

FLAGS = ("model", "ar", "quality", "n", "style", "private")
RESET = "reset"


def read(text: str, options: Mapping[str, object]) -> tuple[bool, dict[str, str]]:
    """Whether what was kept is to be forgotten, and what is to be kept, by flag; its values are not checked.

    Raises BadOption for what is no flag, or one that has no default.
    """
    words, values = taken_apart(clean(text))
    if words.lower() not in ("", RESET):
        raise BadOption(words, "is not a flag", allowed="flags like --ar 3:2 --quality draft, or reset")
    given = {flags.FLAG_OF[name]: clean(flags.as_written(value)) for name, value in options.items()}
    for flag in (values := values | given):
        if flag not in FLAGS:
            raise BadOption(f"--{flag}", "has no default", allowed=" ".join(f"--{each}" for each in FLAGS))
    if values.get("private") == "":
        values["private"] = "yes"
    return words.lower() == RESET, values


def as_flags(values: Mapping[str, str]) -> str:
    """In the order of `/imagine`."""
    return " ".join(f"--{flag} {values[flag]}" for flag in FLAGS if flag in values)
