"""Moderation and privacy as people on Slack meet them."""

import io
import json
import zipfile
from dataclasses import replace

import pytest

from bot.jobs import ChannelPolicy
from bot.store import Act
from bot.upkeep import Upkeep
from tests.slack_api import SlackAPI
from tests.slack_house import SlackHouse, job_id
from tests.test_slack_flows import a_picture, child_in, imagine


@pytest.fixture
async def api():
    async with SlackAPI() as api:
        yield api
        api.assert_valid()


@pytest.fixture
async def house(api, tmp_path):
    async with SlackHouse(api, tmp_path / "data") as house:
        yield house


@pytest.fixture
def faults(tmp_path, monkeypatch):
    """The script of the next jobs; before the house is opened."""
    file = tmp_path / "faults"
    file.touch()
    monkeypatch.setenv("LIMNER_FAKE_FAULTS", str(file))
    return lambda *lines: file.write_text("\n".join(lines) + "\n")


def upkeep(house, channel=""):
    return Upkeep(house.store, {"slack": house.adapter}, report_channel=channel, now_ms=house.now_ms)


async def told(api, act):
    return await api.until(lambda: act.messages and act.answer)


def said_to(api, act, user):
    return "\n".join(each.text for each in [*act.messages, *api.ephemerals(user)])


async def test_a_picture_is_reported_to_the_operators_channel(api, house):
    message = await a_picture(api, house)
    more = await api.press(api.bob, message, "More…")
    shown = await api.until(lambda: more.messages or api.ephemerals(api.bob))
    reported = await api.press(api.bob, shown[-1], "Report")
    await api.until(lambda: "Reported to the operator" in said_to(api, reported, api.bob))
    office = api.add_channel("office")
    await upkeep(house, f"slack:{office.id}").look()
    [report] = office.messages
    assert job_id(message) in report.text


async def test_what_is_kept_is_exported_by_dm_and_erased_after_a_second_yes(api, house):
    message = await a_picture(api, house, "a zanzibar wombat")
    exported = await api.slash(api.ada, api.channel, "/limner", "privacy export")
    assert "All that is kept, as JSON" in (await told(api, exported)).text
    [file] = [file for file in api.files.values() if file.name == "limner-export.zip"]
    with zipfile.ZipFile(io.BytesIO(file.data)) as archive:
        assert api.ada.id in json.dumps(json.loads(archive.read("limner.json")))
    asked = await told(api, await api.slash(api.ada, api.channel, "/limner", "privacy erase"))
    assert asked.labels == ["Erase everything"]
    erased = await api.press(api.ada, asked, "Erase everything")
    await api.until(lambda: "Erased." in said_to(api, erased, api.ada))
    await upkeep(house).look()
    assert message.is_deleted
    assert not [path for path in house.data.rglob("*") if path.is_file() and b"zanzibar" in path.read_bytes()]


async def test_what_is_explicit_is_drawn_nowhere_on_slack(api, house):
    refused = await api.slash(api.ada, api.channel, "/imagine", "a naked man")
    assert "age-restricted" in (await told(api, refused)).text


def act(house, key):
    return Act(key, house.now_ms(), 1, "admin", ("", ""), "channel")


async def jobs(house):
    return await house.store._database.read(lambda conn: conn.execute("SELECT count(*) FROM jobs").fetchone()[0])


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (ChannelPolicy(enabled=False), "Nothing is drawn in this channel"),
        (ChannelPolicy(models=("sd15",)), "--model builtin is not"),
        (ChannelPolicy(largest="draft"), "2048 px is not allowed in this channel"),
    ],
)
async def test_what_a_channel_does_not_allow_is_refused_on_every_path(api, house, policy, said):
    message = await a_picture(api, house, "a red car --model builtin")
    await api.press(api.ada, message, "Re-roll")
    await child_in(api, house, message)
    pressed = await api.press(api.ada, message, "Remix")
    remix = await api.until(lambda: pressed.views and pressed.modal.inputs and pressed.modal)
    new = await api.shortcut(api.ada, "new")
    form = await api.until(lambda: new.views and new.modal)
    place = (await house.job(job_id(message))).place
    await house.store.moderation.set_policy(place, policy, act=act(house, "1"))
    text = "a red car --model builtin --quality full"
    acts = [
        await api.slash(api.ada, api.channel, "/imagine", text),
        await api.mention(api.ada, api.channel, text),
        await api.mention(api.ada, api.channel, "at night --model builtin --quality full", thread=message),
        await api.press(api.ada, message, "Full size"),
        await api.submit(api.ada, remix, {remix.fields[0]: text}),
        await api.submit(api.ada, form, {"Prompt": text, "Where to post": api.channel}),
    ]
    if policy.largest == "full":
        acts += [
            await api.press(api.ada, message, "Re-roll"),
            await api.press(api.ada, message, "Vary"),
            await api.message_shortcut(api.ada, "reroll", message),
            await api.slash(api.ada, api.channel, "/limner", f"reroll {job_id(message)}"),
        ]
    await api.until(lambda: everything_said(api, acts).count(said) >= len(acts))
    assert await jobs(house) == 2


def everything_said(api, acts):
    """To ada alone, in answers, forms and messages."""
    told = {id(each): each.text for act in acts for each in act.messages}
    told |= {id(each): each.text for each in api.ephemerals(api.ada)}
    forms = [str(view.form) for act in acts for view in act.views] + [str(act.ack) for act in acts]
    return "\n".join([*told.values(), *forms])


async def test_flagged_pictures_are_withheld_on_slack(faults, api, tmp_path):
    async with SlackHouse(api, tmp_path / "data") as house:
        faults("flag 0", "fail unsafe", "fail internal")
        for said in ("withheld by the safety check", "1 unit returned", "1 unit returned"):
            message = await imagine(api, f"a boat with {said.split()[0]} sails")
            await api.until(lambda said=said, message=message: said in message.text)
            assert not message.pictures
        assert not list(house.data.glob("spool/*/0.*"))


async def test_a_photographic_model_without_its_classifier_is_not_drawn(api, house):
    house.studio.gate.rules = replace(house.studio.gate.rules, operators_only=frozenset({"sd15"}))
    refused = await api.slash(api.ada, api.channel, "/imagine", "a car --model sd15")
    assert "--model sd15 is not" in (await told(api, refused)).text
    assert await jobs(house) == 0
