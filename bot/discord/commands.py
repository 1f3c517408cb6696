"""The slash commands and menus as Discord registers them, in the languages of `locales.toml`."""

import hashlib
import json
import tomllib
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import discord
from discord import app_commands
from discord.app_commands import Choice, locale_str

from bot import quota
from bot.commands import ASKS, Ask, Imagine
from bot.defaults import RESET
from bot.discord import admin
from bot.discord.desk import Desk
from bot.phrases import begun, clip, units
from bot.prompt import MAX_COUNT, NO_STYLE, QUALITIES, plain_draw
from engine.catalogue import Catalogue, Model
from engine.protocol import MAX_SEED, SCHEDULERS

ASPECTS = ("1:1", "3:2", "2:3", "4:3", "3:4", "16:9", "9:16", "21:9")
MAX_TEXT = 6000  # characters, Discord's most: what is too long is then refused with our own sentence
MAX_CHOICES = 25
MENUS = {"Image info": "info", "Re-roll": "reroll", "Use as input": "input", "Delete": "delete"}
_JOB = "An id like k7q2"
_PROMPT = "What to draw; flags like --ar 16:9 may follow, and {a, b} draws both"
_PLACES = app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=False)
_INSTALLS = app_commands.AppInstallationType(guild=True, user=False)


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
    tree.add_command(_imagine(desk, models, default_model))
    tree.add_command(_limner(desk, models, default_model))
    tree.add_command(admin.build(desk.order))
    for title, verb in MENUS.items():
        tree.add_command(app_commands.ContextMenu(name=locale_str(title), callback=_menu(desk, verb)))
    return tree


async def definition(tree: app_commands.CommandTree) -> tuple[list[dict[str, Any]], str]:
    """What is registered, and its hash: commands are registered again only when that has changed."""
    assert tree.translator
    payload = [await command.get_translated_payload(tree, tree.translator) for command in tree.get_commands()]
    return payload, hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()


def _imagine(desk: Desk, models: Catalogue, default_model: str) -> app_commands.Command[Any, ..., None]:
    @app_commands.command(name=locale_str("imagine"), description=locale_str("Draw a picture from words, with AI"))
    @app_commands.rename(
        prompt=locale_str("prompt"), negative=locale_str("negative"), aspect=locale_str("aspect"),
        count=locale_str("count"), seed=locale_str("seed"), quality=locale_str("quality"), model=locale_str("model"),
        steps=locale_str("steps"), guidance=locale_str("guidance"), scheduler=locale_str("scheduler"),
        style=locale_str("style"), image=locale_str("image"), mask=locale_str("mask"), strength=locale_str("strength"),
        private=locale_str("private"),
    )  # fmt: skip
    @app_commands.describe(
        prompt=locale_str(_PROMPT),
        negative=locale_str("What the picture must not show"),
        aspect=locale_str("Its shape"),
        count=locale_str("How many, each with its own seed"),
        seed=locale_str("The same seed draws the same picture"),
        quality=locale_str("Full size, or a draft at half the price"),
        model=locale_str("What draws it"),
        style=locale_str("A preset of the operator's"),
        image=locale_str("A picture to draw over: PNG, JPEG or WebP"),
        mask=locale_str("Where that picture is drawn over: white, the rest stays"),
        strength=locale_str("How much of that picture changes, 0 to 1"),
        steps=locale_str("Denoising steps"),
        guidance=locale_str("How closely it follows the prompt"),
        scheduler=locale_str("The noise schedule"),
        private=locale_str("Only for you"),
    )
    @app_commands.choices(
        aspect=[Choice(name=each, value=each) for each in ASPECTS],
        scheduler=[Choice(name=each, value=each) for each in SCHEDULERS],
        quality=_qualities(models[default_model]),
    )
    async def imagine(
        interaction: discord.Interaction,
        prompt: app_commands.Range[str, 1, MAX_TEXT],
        negative: app_commands.Range[str, 1, MAX_TEXT] | None = None,
        aspect: str | None = None,
        count: app_commands.Range[int, 1, MAX_COUNT] | None = None,
        seed: app_commands.Range[int, 0, MAX_SEED] | None = None,
        quality: str | None = None,
        model: str | None = None,
        style: str | None = None,
        image: discord.Attachment | None = None,
        mask: discord.Attachment | None = None,
        strength: app_commands.Range[float, 0, 1] | None = None,
        steps: app_commands.Range[int, 1, 150] | None = None,
        guidance: app_commands.Range[float, 0, 30] | None = None,
        scheduler: str | None = None,
        private: bool | None = None,
    ) -> None:
        given: dict[str, object] = {
            "negative": negative, "aspect": aspect, "count": count, "seed": seed, "quality": quality, "model": model,
            "style": style, "strength": strength, "steps": steps, "guidance": guidance, "scheduler": scheduler,
            "private": private,
        }  # fmt: skip
        options = {name: value for name, value in given.items() if value is not None}
        pictures = {name: given for name, given in (("image", image), ("mask", mask)) if given is not None}
        await desk.imagine(interaction, Imagine(prompt, options), pictures)

    _complete(imagine, desk)
    return imagine


def _complete(command: app_commands.Command[Any, ..., None], desk: Desk) -> None:
    """What this place may use, for its options `model` and `style`."""

    @command.autocomplete("model")
    async def models_here(interaction: discord.Interaction, typed: str) -> list[Choice[str]]:
        return _matching({model.name: model.title for model in await desk.models_here(interaction)}, typed)

    @command.autocomplete("style")
    async def styles_here(interaction: discord.Interaction, typed: str) -> list[Choice[str]]:
        return _matching({name: name for name in (*desk.styles, NO_STYLE)}, typed)


def _limner(desk: Desk, models: Catalogue, default_model: str) -> app_commands.Group:
    group = app_commands.Group(name="limner", description=locale_str("Your quota, queue and pictures"))

    def add(verb: str, callback: Callable[..., Awaitable[None]]) -> app_commands.Command[Any, ..., None]:
        meaning = locale_str(begun(ASKS[verb].meaning))
        return group.command(name=locale_str(verb), description=meaning)(callback)  # type: ignore[arg-type]

    def plain(verb: str) -> Callable[[discord.Interaction], Awaitable[None]]:
        async def callback(interaction: discord.Interaction) -> None:
            await desk.ask(interaction, Ask(verb))

        return callback

    for verb in ("quota", "queue", "history", "models", "help"):
        add(verb, plain(verb))

    @app_commands.describe(job=locale_str(_JOB))
    async def show(interaction: discord.Interaction, job: str) -> None:
        await desk.ask(interaction, Ask("show", (_id(job),)))

    @app_commands.describe(job=locale_str(_JOB))
    async def cancel(interaction: discord.Interaction, job: str | None = None) -> None:
        await desk.ask(interaction, Ask("cancel", (_id(job),) if job else ()))

    @app_commands.describe(job=locale_str(_JOB), seed=locale_str("The same seed draws the same picture"))
    async def reroll(
        interaction: discord.Interaction, job: str, seed: app_commands.Range[int, 0, MAX_SEED] | None = None
    ) -> None:
        await desk.ask(interaction, Ask("reroll", (_id(job),) if seed is None else (_id(job), str(seed))))

    @app_commands.describe(prompt=locale_str(_PROMPT))
    async def compare(interaction: discord.Interaction, prompt: app_commands.Range[str, 1, MAX_TEXT]) -> None:
        await desk.imagine(interaction, Imagine(prompt, by_every_model=True))

    @app_commands.describe(
        model=locale_str("What draws it"),
        aspect=locale_str("Its shape"),
        quality=locale_str("Full size, or a draft at half the price"),
        count=locale_str("How many, each with its own seed"),
        style=locale_str("A preset of the operator's"),
        private=locale_str("Only for you"),
        reset=locale_str("Forget those that are set"),
    )
    @app_commands.choices(
        aspect=[Choice(name=each, value=each) for each in ASPECTS], quality=_qualities(models[default_model])
    )
    async def settings(
        interaction: discord.Interaction,
        model: str | None = None,
        aspect: str | None = None,
        quality: str | None = None,
        count: app_commands.Range[int, 1, MAX_COUNT] | None = None,
        style: str | None = None,
        private: bool | None = None,
        reset: bool = False,
    ) -> None:
        given: dict[str, object] = {
            "model": model, "aspect": aspect, "quality": quality, "count": count, "style": style, "private": private,
        }  # fmt: skip
        options = {name: value for name, value in given.items() if value is not None}
        await desk.ask(interaction, Ask("settings", (RESET,) if reset else (), options))

    for callback in (show, cancel, reroll, compare):
        add(callback.__name__, callback)
    _complete(add("settings", settings), desk)
    group.add_command(_privacy(desk))
    return group


def _privacy(desk: Desk) -> app_commands.Group:
    group = app_commands.Group(name=locale_str("privacy"), description=locale_str("What is kept of you"))

    def add(what: str, meaning: str) -> None:
        @group.command(name=locale_str(what), description=locale_str(meaning))
        async def callback(interaction: discord.Interaction) -> None:
            await desk.ask(interaction, Ask("privacy", (what,)))

    add("show", "What is kept of you, and for how long")
    add("export", "All of it as a file")
    add("erase", "All of it goes, after you agree once more")
    return group


def _menu(desk: Desk, verb: str) -> Callable[[discord.Interaction, discord.Message], Coroutine[Any, Any, None]]:
    async def callback(interaction: discord.Interaction, message: discord.Message) -> None:
        await desk.menu(interaction, verb, message)

    return callback


def _qualities(model: Model) -> list[Choice[str]]:
    """With their prices, which each language writes in its own way."""
    choices: list[Choice[str]] = []
    for quality, name in zip(QUALITIES, ("full · 2048 px", "draft"), strict=True):
        price = quota.price(plain_draw(model, quality), model)
        shown = locale_str(f"{name} · {units(price)}", template=f"{name} · {{units}}", units=price)
        choices.append(Choice(name=shown, value=quality))
    return choices


def _matching(names: dict[str, str], typed: str) -> list[Choice[str]]:
    found = [(name, title) for name, title in names.items() if typed.lower() in f"{name} {title}".lower()]
    return [Choice(name=clip(title, 100), value=clip(name, 100)) for name, title in found[:MAX_CHOICES]]


def _id(text: str) -> str:
    return clip(text.strip(" `#").lower(), 40)
