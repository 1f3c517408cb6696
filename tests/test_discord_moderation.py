"""Moderation and privacy as people on Discord meet them."""

import io
import json
import zipfile
from dataclasses import replace

import pytest

from bot.jobs import ChannelPolicy, Place
from bot.store import Act
from bot.upkeep import Upkeep
from tests.discord_api import DiscordAPI
from tests.discord_house import DiscordHouse, job_id
from tests.test_discord import a_picture, child_in, drawn, imagine


@pytest.fixture
async def api():
    async with DiscordAPI() as api:
        yield api


@pytest.fixture
async def house(api, tmp_path):
    async with DiscordHouse(api, tmp_path / "data") as house:
        yield house


@pytest.fixture
def faults(tmp_path, monkeypatch):
    """The script of the next jobs; before the house is opened."""
    file = tmp_path / "faults"
    file.touch()
    monkeypatch.setenv("LIMNER_FAKE_FAULTS", str(file))
    return lambda *lines: file.write_text("\n".join(lines) + "\n")


def act(house, key):
    return Act(key, house.now_ms(), 1, "admin", ("", ""), "words add")


async def test_a_blocked_word_is_refused_in_private_by_its_rule_and_number(api, house):
    await a_picture(api, house)  # somebody is known, to be the author of the rule
    here = ("discord", str(api.guild.id))
    await house.store.moderation.set_rule(here, "violence", "gore", act=act(house, "1"))
    asked = await imagine(api, "some g0re **@everyone**")
    assert asked.message.is_ephemeral
    assert asked.message.text == (
        "**That prompt is not allowed here**\n"
        'Rule "violence". Ask a moderator if that is wrong (B-1). Nothing was charged.'
    )


async def test_flagged_pictures_stand_behind_a_spoiler_and_only_where_minors_are_kept_out(faults, api, house):
    faults("flag 0", "flag 0")
    message = await drawn(api, house, await imagine(api, channel=api.nsfw_channel))
    assert [file.filename.startswith("SPOILER_") for file in message.attachments] == [True]
    shown = await api.slash(api.ada, api.channel, "limner show", {"job": job_id(message)})
    assert "age-restricted channels only" in shown.message.text
    asked = await imagine(api)
    await api.until(lambda: "withheld by the safety check" in asked.message.text)
    assert asked.message.attachments == []
    assert "1 unit returned" in asked.message.text


async def test_a_picture_is_reported_to_the_operators_channel(api, house):
    message = await a_picture(api, house)
    more = await api.press(api.bob, message, "More…")
    reported = await api.press(api.bob, more.message, "Report")
    assert reported.message.is_ephemeral
    assert reported.message.text == "Reported to the operator. Thank you."
    office = api.add_channel("office")
    adapters = {"discord": house.adapter}
    upkeep = Upkeep(house.store, adapters, report_channel=f"discord:{office.id}", now_ms=house.now_ms)
    await upkeep.look()
    [report] = office.messages
    assert job_id(message) in report.text
    assert f"discord:{api.ada.id}" in report.text


async def told(api, what):
    asked = await api.slash(api.ada, api.channel, f"limner privacy {what}")
    await api.until(lambda: asked.message.text)
    return asked


async def test_what_is_kept_is_shown_exported_and_erased_after_a_second_yes(api, house):
    message = await a_picture(api, house, "a zanzibar wombat")
    shown = await told(api, "show")
    assert shown.message.is_ephemeral
    assert "1 job, 1 picture" in shown.message.text
    exported = await told(api, "export")
    [file] = exported.message.attachments
    with zipfile.ZipFile(io.BytesIO(file.data)) as archive:
        assert str(api.ada.id) in json.dumps(json.loads(archive.read("limner.json")))
    asked = await told(api, "erase")
    assert asked.message.labels == ["Erase everything"]
    assert await house.store.job(job_id(message))
    erased = await api.press(api.ada, asked.message, "Erase everything")
    await api.until(lambda: erased.message.text)
    assert "Erased." in erased.message.text
    await Upkeep(house.store, {"discord": house.adapter}, report_channel="", now_ms=house.now_ms).look()
    assert message not in api.channel.messages
    listed = await api.slash(api.ada, api.channel, "limner history")
    assert "No pictures yet" in listed.message.text
    for file in house.data.rglob("*"):
        if file.is_file():
            assert b"zanzibar" not in file.read_bytes(), file


async def test_a_channel_without_threads_has_children_beside_their_parents(api, house):
    message = await a_picture(api, house)
    place = Place("discord", str(api.guild.id), str(api.channel.id))
    await house.store.moderation.set_policy(place, ChannelPolicy(threads=False), act=act(house, "2"))
    await api.press(api.ada, message, "Re-roll")
    await api.until(lambda: len([each for each in api.channel.messages if each.attachments]) == 2)
    assert message.id not in api.channels


async def test_a_channel_offers_only_the_models_that_it_allows(api, house):
    await a_picture(api, house)
    place = Place("discord", str(api.guild.id), str(api.channel.id))
    await house.store.moderation.set_policy(place, ChannelPolicy(models=("sd15",)), act=act(house, "3"))
    for channel, offered in ((api.channel, ["sd15"]), (api.nsfw_channel, ["builtin", "sd15"])):
        found = await api.autocomplete(api.ada, channel, "imagine", "model", "", {"prompt": "a car"})
        assert sorted(choice["value"] for choice in found) == offered
    refused = await imagine(api, "a car --model builtin")
    assert "`--model builtin`" in refused.message.text
    await house.store.moderation.set_policy(place, ChannelPolicy(enabled=False), act=act(house, "4"))
    assert await api.autocomplete(api.ada, api.channel, "imagine", "model", "", {"prompt": "a car"}) == []
    refused = await imagine(api)
    assert "Nothing is drawn in this channel" in refused.message.text


async def jobs(house):
    return await house.store._database.read(lambda conn: conn.execute("SELECT count(*) FROM jobs").fetchone()[0])


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (ChannelPolicy(enabled=False), "Nothing is drawn in this channel"),
        (ChannelPolicy(models=("sd15",)), "`--model builtin`"),
        (ChannelPolicy(nsfw=False), "age-restricted channels only"),
    ],
)
async def test_what_a_channel_does_not_allow_is_refused_on_every_path(api, house, policy, said):
    """In the age-restricted channel, where all of it would be drawn."""
    channel = api.nsfw_channel
    message = await a_picture(api, house, "a nude statue --model builtin", channel=channel)
    await api.press(api.ada, message, "Re-roll")
    child = await child_in(api, house, message)
    filled = [await api.press(api.ada, message, "Remix"), await api.menu(api.ada, "Use as input", message)]
    place = Place("discord", str(api.guild.id), str(channel.id))
    await house.store.moderation.set_policy(place, policy, act=act(house, "5"))
    text = "a nude statue --model builtin --quality draft"
    acts = [
        await imagine(api, text, channel=channel),
        await imagine(api, text, channel=child.channel),
        await api.press(api.bob, message, "Re-roll"),
        await api.press(api.ada, message, "Vary"),
        await api.press(api.ada, child, "Re-roll"),
        await api.press(api.ada, message, "Full size"),
        await api.menu(api.bob, "Re-roll", message),
        await api.slash(api.ada, channel, "limner reroll", {"job": job_id(message), "seed": 9}),
        *[await api.submit(api.ada, form, {"text": text}) for form in filled],
    ]
    for each in acts:
        await api.until(lambda each=each: each.message and said in each.message.text)
    before = len(child.channel.messages)
    await api.say(api.ada, child.channel, f"{api.bot.mention} at night --model builtin")
    await api.until(lambda: any(said in each.text for each in child.channel.messages[before:]))
    assert await jobs(house) == 2


async def test_a_channel_of_drafts_refuses_what_is_large_on_every_path(api, house):
    message = await a_picture(api, house)
    place = Place("discord", str(api.guild.id), str(api.channel.id))
    await house.store.moderation.set_policy(place, ChannelPolicy(largest="draft"), act=act(house, "6"))
    acts = [
        await imagine(api, "a boat", quality="full"),
        await api.press(api.ada, message, "Full size"),
        await api.submit(api.ada, await api.press(api.ada, message, "Remix"), {"text": "a boat --quality full"}),
    ]
    for each in acts:
        await api.until(
            lambda each=each: each.message and "2048 px is not allowed in this channel" in each.message.text
        )
    assert await jobs(house) == 1


@pytest.mark.parametrize("fault", ["fail unsafe", "fail internal", "fail bad_model"])
async def test_what_cannot_be_judged_is_not_shown(faults, api, house, fault):
    """As a classifier that is missing, that raises, or whose files are damaged ends a job."""
    faults(fault)
    asked = await imagine(api, channel=api.nsfw_channel)
    await api.until(lambda: "1 unit returned" in asked.message.text)
    assert asked.message.attachments == []


async def test_a_photographic_model_without_its_classifier_is_not_offered_and_not_drawn(api, house):
    house.studio.gate.rules = replace(house.studio.gate.rules, operators_only=frozenset({"sd15"}))
    found = await api.autocomplete(api.ada, api.channel, "imagine", "model", "", {"prompt": "a car"})
    assert [choice["value"] for choice in found] == ["builtin"]
    refused = await imagine(api, "a car --model sd15")
    assert "`--model sd15`" in refused.message.text
    assert await jobs(house) == 0
