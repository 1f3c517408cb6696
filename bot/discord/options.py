"""Commands made from tables of their options, as Discord registers them: each text is there for every language."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import discord
from discord import app_commands
from discord.app_commands import Choice

from bot.phrases import begun

Call = Callable[[discord.Interaction, dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Option:
    kind: Any  # what discord.py makes of its value
    meaning: str
    choices: tuple[str | Choice[str], ...] = ()


def command(
    name: str, meaning: str, call: Call, options: Mapping[str, Option] = {}, *, fewest: int = 0
) -> app_commands.Command[Any, ..., None]:
    """`call` gets the options that were filled in, by name; the first `fewest` have to be."""

    async def callback(interaction: discord.Interaction, **given: Any) -> None:
        await call(interaction, {name: value for name, value in given.items() if value is not None})

    parameters = [inspect.Parameter("interaction", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=option.kind)
        if place < fewest
        else inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=option.kind | None, default=None)
        for place, (name, option) in enumerate(options.items())
    ]
    callback.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    app_commands.describe(**{name: option.meaning for name, option in options.items()})(callback)
    chosen = {name: option.choices for name, option in options.items() if option.choices}
    app_commands.choices(**{name: [*map(_choice, each)] for name, each in chosen.items()})(callback)
    return app_commands.Command(name=name, description=begun(meaning), callback=callback)


def _choice(each: str | Choice[str]) -> Choice[str]:
    return Choice(name=each, value=each) if isinstance(each, str) else each
