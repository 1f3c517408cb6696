"""Moderation and privacy as people on Slack meet them."""

import io
import json
import zipfile

import pytest

from bot.upkeep import Upkeep
from tests.slack_api import SlackAPI
from tests.slack_house import SlackHouse, job_id
from tests.test_slack_flows import a_picture


@pytest.fixture
async def api():
    async with SlackAPI() as api:
        yield api
        api.assert_valid()


@pytest.fixture
async def house(api, tmp_path):
    async with SlackHouse(api, tmp_path / "data") as house:
        yield house


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
    assert "All that is kept of you" in (await told(api, exported)).text
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
