"""A person's own defaults: set as flags are, used where nothing else is said, and never dropped in silence."""

import pytest

from bot import answers, asks
from bot.commands import Ask, Imagine
from bot.controls import Press
from bot.errors import BadDefault, BadOption
from bot.jobs import Identity, Place
from bot.prompt import Style
from bot.wording import refusal
from tests.house import House

GUILD = Place("discord", "guild 1", "general")


@pytest.fixture
def house(store, clock, tmp_path):
    """A studio whose engine never starts: what it accepts waits."""
    house = House(store, clock, tmp_path / "data")
    house.studio.styles["noir"] = Style(after="film noir")
    return house


@pytest.fixture
def studio(house):
    return house.studio


@pytest.fixture
def imagine(studio, ada):
    keys = iter(range(1000))

    async def imagine(text, person=ada, **options):
        [job] = await studio.draw(person, GUILD, Imagine(text, options), key=f"{next(keys)}")
        return job

    return imagine


async def test_a_default_is_used_where_neither_option_nor_flag_says_otherwise(studio, ada, imagine):
    await studio.settings(ada, "--ar 3:2 --quality draft --n 2 --style noir --private")
    plain = await imagine("a boat")
    draw = plain.request
    assert (draw.quality, draw.count, draw.prompt, draw.width > draw.height) == ("draft", 2, "a boat film noir", True)
    assert plain.is_private
    said = await imagine("a boat --n 1 --ar 1:1 --style none --private no", quality="full")
    assert (said.request.quality, said.request.count, said.request.prompt) == ("full", 1, "a boat")
    assert (said.request.width, said.request.height, said.is_private) == (2048, 2048, False)


async def test_defaults_are_a_persons_own(studio, ada, imagine):
    bob = await studio.person(Identity("discord", "", "bob"))
    await studio.settings(ada, "--quality draft")
    assert (await imagine("a boat", bob)).request.quality == "full"


async def test_a_remix_keeps_what_it_came_of(studio, ada, imagine):
    job = await imagine("a boat --ar 2:3")
    await studio.settings(ada, "--ar 3:2 --n 4")
    [child] = await studio.draw(ada, GUILD, Press("remix", job.id, 0, "at night"), key="remix")
    assert (child.request.width, child.request.count) == (job.request.width, 1)


async def test_defaults_do_not_make_a_prompt_of_nothing(studio, ada, imagine):
    await studio.settings(ada, "--quality draft")
    with pytest.raises(Exception, match="empty"):
        await imagine("")


async def test_they_are_shown_changed_one_by_one_and_forgotten_together(studio, ada):
    async def said(text="", **options):
        ask = Ask("settings", (text,) if text else (), options)
        return await asks.answer(studio, ada, GUILD, ask, when=str)

    assert "no defaults" in await said()
    assert "`--ar 3:2 --quality draft`" in await said("--quality draft --ar 3:2")
    assert "`--model builtin --ar 16:9 --quality draft`" in await said(aspect="16:9", model="builtin")
    assert "`--n 3`" in await said("reset --n 3")
    assert "no defaults" in await said("Reset")


@pytest.mark.parametrize(
    ("text", "option", "problem"),
    [
        ("--seed 7", "--seed", "has no default"),
        ("--stlye noir", "--stlye", "unknown"),
        ("--style sepia", "--style sepia", "is not known"),
        ("--ar 40:1", "--ar 40:1", "is out of range"),
        ("--n 5", "--n 5", "is out of range"),
        ("--private maybe", "--private maybe", "is not known"),
        ("draft", "draft", "is not a flag"),
        ("--n 2 --quality huge", "--quality huge", "is not known"),
    ],
)
async def test_what_cannot_be_a_default_is_refused_and_changes_nothing(studio, ada, text, option, problem):
    await studio.settings(ada, "--n 3")
    with pytest.raises(BadOption) as error:
        await studio.settings(ada, text)
    assert (error.value.option, error.value.problem) == (option, problem)
    assert await studio.defaults(ada) == {"n": "3"}


async def test_a_default_that_has_become_impossible_is_told(studio, ada, imagine):
    await studio.settings(ada, "--style noir --n 2")
    del studio.styles["noir"]
    with pytest.raises(BadDefault) as error:
        await imagine("a boat")
    it = refusal(error.value)
    assert it.title == "Your default `--style noir` can't be used any more"
    assert it.actions[0].command == "/limner settings"
    assert "`--style noir` can't be used any more" in answers.settings(await studio.settings(ada))
    assert (await imagine("a boat --style none")).request.count == 2


async def test_a_wrong_flag_is_not_blamed_on_a_default(studio, ada, imagine):
    await studio.settings(ada, "--style noir")
    with pytest.raises(BadOption):
        await imagine("a boat --style sepia")


async def test_a_remix_takes_a_preset_too(studio, ada, imagine):
    boat = await imagine("a boat")
    [remix] = await studio.draw(ada, GUILD, Press("remix", boat.id, 0, "--style noir"), key="remix")
    assert remix.draw.prompt == "a boat film noir"


async def test_a_comparison_uses_all_of_them_but_the_model(studio, ada):
    await studio.settings(ada, "--model builtin --quality draft")
    jobs = await studio.draw(ada, GUILD, Imagine("a boat", by_every_model=True), key="compare")
    assert {job.request.quality for job in jobs} == {"draft"}


async def test_they_survive_a_restart(store, ada, studio, clock, tmp_path):
    await studio.settings(ada, "--ar 3:2")
    assert await House(store, clock, tmp_path / "other").studio.defaults(ada) == {"ar": "3:2"}
