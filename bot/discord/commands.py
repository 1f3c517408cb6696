"""The slash commands and menus as Discord registers them, in the languages of `locales.toml`."""

import hashlib
import json
import tomllib
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import discord
from discord import app_commands
from discord.app_commands import Choice, Range, locale_str

from bot import flags, quota
from bot.commands import ASKS, PRIVACY, Ask, Imagine
from bot.defaults import FLAGS, RESET
from bot.discord import admin
from bot.discord.desk import Desk
from bot.discord.options import Call, Option, command
from bot.phrases import clip, units
from bot.prompt import ASPECTS, MAX_COUNT, NO_STYLE, PICTURES, QUALITIES
from engine.catalogue import Catalogue, Model
from engine.protocol import MAX_SEED, SCHEDULERS

MAX_TEXT = 6000  # characters, Discord's most: what is too long is then refused with our own sentence
MAX_CHOICES = 25
MENUS = {"Image info": "info", "Re-roll": "reroll", "Use as input": "input", "Delete": "delete"}
_PROMPT = "What to draw; flags like --ar 16:9 may follow, and {a, b} draws both"
_PLACES = app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=False)
_INSTALLS = app_commands.AppInstallationType(guild=True, user=False)
_PRIVACY = {
    "show": "what is kept of you, and for how long",
    "export": "all of it as a file",
    "erase": "all of it goes, after you agree once more",
}


class Languages(app_commands.Translator):
    """English texts → each language of Discord's that `locales.toml` has."""

    def __init__(self) -> None:
        self._words = tomllib.loads((Path(__file__).parent / "locales.toml").read_text("utf-8"))

    async def translate(
        self, string: locale_str, locale: discord.Locale, context: app_commands.TranslationContextTypes
    ) -> str | None:
        language = "es-ES" if locale.value == "es-419" else locale.value
        found: str | None = self._words.get(language, {}).get(string.extras.get("template", string.message))
        return found.format(**string.extras) if found and string.extras else found


def build(client: discord.Client, desk: Desk, models: Catalogue, default_model: str) -> app_commands.CommandTree:
    tree = app_commands.CommandTree(client, allowed_contexts=_PLACES, allowed_installs=_INSTALLS)
    tree.error(desk.failed)
    options = _options(models[default_model])
    tree.add_command(_imagine(desk, options))
    tree.add_command(_limner(desk, options))
    tree.add_command(admin.build(desk.order))
    for title, verb in MENUS.items():
        tree.add_command(app_commands.ContextMenu(name=title, callback=_menu(desk, verb)))
    return tree


async def definition(tree: app_commands.CommandTree) -> tuple[list[dict[str, Any]], str]:
    """What is registered, and its hash: commands are registered again only when that has changed."""
    assert tree.translator
    payload = [await command.get_translated_payload(tree, tree.translator) for command in tree.get_commands()]
    return payload, hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()


def _options(default: Model) -> Mapping[str, Option]:
    """Those of `/imagine`."""
    return {
        "prompt": Option(Range[str, 1, MAX_TEXT], _PROMPT),
        "negative": Option(Range[str, 1, MAX_TEXT], "What the picture must not show"),
        "aspect": Option(str, "Its shape", ASPECTS),
        "count": Option(Range[int, 1, MAX_COUNT], "How many, each with its own seed"),
        "seed": Option(Range[int, 0, MAX_SEED], "The same seed draws the same picture"),
        "quality": Option(str, "Full size, or a draft at half the price", _qualities(default)),
        "model": Option(str, "What draws it"),
        "style": Option(str, "A preset of the operator's"),
        "image": Option(discord.Attachment, "A picture to draw over: PNG, JPEG or WebP"),
        "mask": Option(discord.Attachment, "Where that picture is drawn over: white, the rest stays"),
        "strength": Option(Range[float, 0, 1], "How much of that picture changes, 0 to 1"),
        "steps": Option(Range[int, 1, 150], "Denoising steps"),
        "guidance": Option(Range[float, 0, 30], "How closely it follows the prompt"),
        "scheduler": Option(str, "The noise schedule", SCHEDULERS),
        "private": Option(bool, "Only for you"),
    }


def _imagine(desk: Desk, options: Mapping[str, Option]) -> app_commands.Command[Any, ..., None]:
    async def imagine(interaction: discord.Interaction, given: dict[str, Any]) -> None:
        prompt = given.pop("prompt")
        pictures: dict[str, discord.Attachment] = {name: given.pop(name) for name in PICTURES if name in given}
        await desk.imagine(interaction, Imagine(prompt, given), pictures)

    return _completed(command("imagine", "draw a picture from words, with AI", imagine, options, fewest=1), desk)


def _limner(desk: Desk, options: Mapping[str, Option]) -> app_commands.Group:
    group = app_commands.Group(name="limner", description="Your quota, queue and pictures")
    privacy = app_commands.Group(name="privacy", description="What is kept of you", parent=group)
    job = {"job": Option(str, "An id like k7q2")}
    own = {name: options[name] for name in map(flags.FLAGS.__getitem__, FLAGS)}

    async def compare(interaction: discord.Interaction, given: dict[str, Any]) -> None:
        await desk.imagine(interaction, Imagine(given["prompt"], by_every_model=True))

    async def settings(interaction: discord.Interaction, given: dict[str, Any]) -> None:
        await desk.ask(interaction, Ask("settings", (RESET,) if given.pop("reset", False) else (), given))

    def add(verb: str, call: Call | None = None, taken: Mapping[str, Option] = {}, fewest: int = 0) -> None:
        made = command(verb, ASKS[verb].meaning, call or _asking(desk, verb), taken, fewest=fewest)
        group.add_command(_completed(made, desk) if call is settings else made)

    for verb in ("quota", "queue", "history", "models", "help"):
        add(verb)
    add("show", taken=job, fewest=1)
    add("cancel", taken=job)
    add("reroll", taken=job | {"seed": options["seed"]}, fewest=1)
    add("compare", compare, {"prompt": options["prompt"]}, fewest=1)
    add("settings", settings, own | {"reset": Option(bool, "Forget those that are set")})
    for what in PRIVACY:
        privacy.add_command(command(what, _PRIVACY[what], _asking(desk, "privacy", what)))
    return group


def _asking(desk: Desk, verb: str, *args: str) -> Call:
    async def ask(interaction: discord.Interaction, given: dict[str, Any]) -> None:
        job = (clip(given["job"].strip(" `#").lower(), 40),) if "job" in given else ()
        seed = (str(given["seed"]),) if "seed" in given else ()
        await desk.ask(interaction, Ask(verb, (*args, *job, *seed)))

    return ask


def _completed(made: app_commands.Command[Any, ..., None], desk: Desk) -> app_commands.Command[Any, ..., None]:
    """It offers what this place may use, for its options `model` and `style`."""

    @made.autocomplete("model")
    async def models_here(interaction: discord.Interaction, typed: str) -> list[Choice[str]]:
        return _matching({model.name: model.title for model in await desk.models_here(interaction)}, typed)

    @made.autocomplete("style")
    async def styles_here(interaction: discord.Interaction, typed: str) -> list[Choice[str]]:
        return _matching({name: name for name in (*desk.styles, NO_STYLE)}, typed)

    return made


def _menu(desk: Desk, verb: str) -> Callable[[discord.Interaction, discord.Message], Coroutine[Any, Any, None]]:
    async def callback(interaction: discord.Interaction, message: discord.Message) -> None:
        await desk.menu(interaction, verb, message)

    return callback


def _qualities(model: Model) -> tuple[Choice[str], ...]:
    """With their prices, which each language writes in its own way."""
    choices: list[Choice[str]] = []
    for quality, name in zip(QUALITIES, ("full · 2048 px", "draft"), strict=True):
        price = quota.price(model.plain_draw(quality), model)
        shown = locale_str(f"{name} · {units(price)}", template=f"{name} · {{units}}", units=price)
        choices.append(Choice(name=shown, value=quality))
    return tuple(choices)


def _matching(names: dict[str, str], typed: str) -> list[Choice[str]]:
    found = [(name, title) for name, title in names.items() if typed.lower() in f"{name} {title}".lower()]
    return [Choice(name=clip(title, 100), value=clip(name, 100)) for name, title in found[:MAX_CHOICES]]
