"""The commands in the languages of `locales.toml`: all of them, nothing else, and within Discord's limits."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import discord
import pytest
from discord.app_commands import Translator

from bot.discord import commands
from bot.prompt import ASPECTS
from engine.catalogue import read_catalogue
from engine.protocol import SCHEDULERS

LANGUAGES = ("de", "es-ES", "fr", "ja")
WORDS = tomllib.loads((Path(commands.__file__).parent / "locales.toml").read_text("utf-8"))
# What people call the commands when they talk about them; and values that are written like that in flags.
SAME_EVERYWHERE = {"imagine", "limner", "limner-admin", *ASPECTS, *SCHEDULERS}
# Discord's rule for names, of letters, digits, - _ and ': `\w` has Latin, kana and kanji, and no space.
NAME = re.compile(r"[\w'-]{1,32}")


class Texts(Translator):
    """Keeps what it is asked for and translates nothing."""

    def __init__(self):
        self.asked = set()

    async def translate(self, string, locale, context):
        self.asked.add(string.extras.get("template", string.message))


async def failed(interaction, error):
    """Nothing is sent here."""


async def tree_with(translator):
    client = discord.Client(intents=discord.Intents.none())
    desk = SimpleNamespace(styles=(), order=None, failed=failed)
    tree = commands.build(client, desk, read_catalogue(), "builtin")
    await tree.set_translator(translator)
    return tree


@pytest.fixture
async def payloads():
    return (await commands.definition(await tree_with(commands.Languages())))[0]


def in_language(one: dict, field: str, language: str) -> str:
    return (one.get(f"{field}_localizations") or {}).get(language, one[field])


def with_options(one: dict) -> Iterator[dict]:
    """A command with all that it consists of."""
    yield one
    for option in one.get("options", []):
        yield from with_options(option)


def length(command: dict, language: str) -> int:
    """Of its names, descriptions and choices, as Discord counts them."""
    parts = list(with_options(command))
    choices = [choice for part in parts for choice in part.get("choices", [])]
    named = sum(len(in_language(each, "name", language)) for each in parts + choices)
    described = sum(len(in_language(each, "description", language)) for each in parts if "description" in each)
    return named + described + sum(len(str(choice["value"])) for choice in choices)


async def test_each_text_has_its_translations_and_no_translation_is_left_over():
    texts = Texts()
    await commands.definition(await tree_with(texts))
    assert set(WORDS) == set(LANGUAGES)
    for language, words in WORDS.items():
        assert set(words) == texts.asked - SAME_EVERYWHERE, language


@pytest.mark.parametrize("language", [*LANGUAGES, "en"])
async def test_names_and_descriptions_are_as_discord_takes_them(payloads, language):
    for part in (part for command in payloads for part in with_options(command)):
        name = in_language(part, "name", language)
        if "description" not in part:  # a menu
            assert 1 <= len(name) <= 32, name
        else:
            assert NAME.fullmatch(name), name
            assert name == name.lower()
            assert 1 <= len(in_language(part, "description", language)) <= 100, name


@pytest.mark.parametrize("language", [*LANGUAGES, "en"])
async def test_no_two_siblings_share_a_name(payloads, language):
    groups = [part.get("options", []) for command in payloads for part in with_options(command)]
    for siblings in [payloads, *groups]:
        names = [in_language(each, "name", language) for each in siblings]
        assert len(set(names)) == len(names), names


@pytest.mark.parametrize("language", [*LANGUAGES, "en"])
async def test_no_command_is_longer_than_discord_takes(payloads, language):
    for command in payloads:
        assert length(command, language) <= 8000, command["name"]


async def test_the_qualities_and_their_prices_are_in_each_language(payloads):
    [imagine] = [command for command in payloads if command["name"] == "imagine"]
    [quality] = [option for option in imagine["options"] if option["name"] == "quality"]
    named = {choice["value"]: (choice["name"], choice["name_localizations"]["de"]) for choice in quality["choices"]}
    assert named == {
        "full": ("full · 2048 px · 2 units", "voll · 2048 px · Einheiten: 2"),
        "draft": ("draft · 1 unit", "Entwurf · Einheiten: 1"),
    }
