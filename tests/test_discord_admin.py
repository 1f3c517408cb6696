"""`/limner-admin` on Discord: who may, what it says, and what comes of roles and allowances."""

import csv
import io

import pytest
from PIL import Image

from tests.discord_api import DiscordAPI, NotOffered, Permission
from tests.discord_house import DiscordHouse


@pytest.fixture
async def api():
    async with DiscordAPI() as api:
        yield api


@pytest.fixture
async def house(api, tmp_path):
    house = await DiscordHouse(api, tmp_path / "data", allowance=3).open()
    yield house
    await house.close()
    api.assert_valid()


@pytest.fixture
def order(api, house):
    async def order(words, user=None, unchecked=False, **options):
        asked = await api.slash(user or api.owner, api.channel, f"limner-admin {words}", options, unchecked=unchecked)
        await api.until(lambda: asked.message and asked.message.text)
        return asked.message

    return order


async def draw(api, user):
    options = {"prompt": "a car", "quality": "draft", "steps": 2, "count": 4}
    asked = await api.slash(user, api.channel, "imagine", options)
    if "Draw it" in asked.message.labels:
        asked = await api.press(user, asked.message, "Draw it")
    return asked.message.text


async def test_an_admin_sets_what_a_person_has_and_only_they_read_it(api, order):
    assert "Not enough units" in await draw(api, api.ada)
    said = await order("quota set", person=api.ada, units="40", reason="thanks @everyone")
    assert said.is_ephemeral
    assert said.text.startswith("@Ada: 3 → 40 units a day · `thanks @everyone` · by @Olga")
    assert said.text.endswith("logged #1")
    assert "queued" in await draw(api, api.ada)


async def test_a_role_of_the_server_counts(api, order):
    api.permit(api.guild, api.ada, Permission(0))
    [role] = [each for each in api.guild.roles.values() if each.name == f"own:{api.ada.id}"]
    said = await order("quota role", role=role, units="40")
    assert f"role {role.name}: default → 40 units a day" in said.text
    assert "queued" in await draw(api, api.ada)
    assert "Not enough units" in await draw(api, api.bob)


async def test_who_has_no_authority_is_told_so_also_when_the_request_is_forged(api, house, order):
    with pytest.raises(NotOffered):
        await order("pause", user=api.bob)
    assert "That is for moderators of this place" in (await order("pause", user=api.bob, unchecked=True)).text
    api.permit(api.guild, api.bob, Permission.MANAGE_MESSAGES)
    assert "That is for admins of this place" in (await order("pause", user=api.bob)).text
    assert "not blocked → blocked" in (await order("block", user=api.bob, person=api.ada)).text
    assert "You can't use this bot here" in await draw(api, api.ada)
    assert "That is for the operator" in (await order("doctor")).text


async def test_the_rights_in_one_channel_are_none_in_the_whole_server(api, house, order):
    api.permit(api.channel, api.bob, Permission.MANAGE_MESSAGES, Permission.MANAGE_GUILD)
    for words, options in (("block", {"person": api.ada}), ("quota set", {"person": api.bob, "units": "9"})):
        assert "That is for moderators of this place" in (await order(words, user=api.bob, **options)).text
    api.permit(api.guild, api.bob, Permission.MANAGE_MESSAGES)
    api.forbid(api.channel, api.bob, Permission.MANAGE_MESSAGES)  # he moderates, but not what stands here
    said = await order("block", user=api.bob, unchecked=True, person=api.ada)
    assert "not blocked → blocked" in said.text


async def test_while_the_roles_of_the_server_are_not_known_nobody_is_an_admin(api, order):
    assert "drawing → paused" in (await order("pause")).text
    api.emit("GUILD_DELETE", {"id": str(api.guild.id), "unavailable": True}, guild=api.guild)
    assert "That is for moderators of this place" in (await order("resume")).text


async def test_an_operator_of_the_settings_is_one_in_chat(api, house, order):
    house.admin._operators = frozenset({f"discord:{api.owner.id}"})
    assert "all together: none → 9 units a day" in (await order("quota place", units="9")).text
    assert "Everywhere: drawing → paused" in (await order("pause", until="2h", reason="gaming")).text


async def test_a_job_is_deleted_with_its_message(api, house, order):
    asked = await api.slash(api.ada, api.channel, "imagine", {"prompt": "a car", "quality": "draft", "steps": 2})
    asked = await api.press(api.ada, asked.message, "Draw it")
    job_id = asked.message.buttons[0]["custom_id"].split(":")[2]
    await house.end_of(job_id)
    await api.until(lambda: asked.message.attachments)
    assert f"`{job_id}`: delivered → deleted" in (await order("job delete", job=job_id)).text
    await api.until(lambda: not asked.message.attachments)


async def test_statistics_are_a_picture_and_the_audit_a_table(api, order):
    [plot] = (await order("stats", days=3)).attachments
    assert Image.open(io.BytesIO(plot.data)).width == 960
    await order("quota default", units="5")
    [table] = (await order("audit", csv=True)).attachments
    assert [row["after"] for row in csv.DictReader(io.StringIO(table.data.decode()))] == ["5"]


async def test_what_does_not_fit_is_one_private_sentence(api, order):
    assert "`-5` is out of range" in (await order("quota set", person=api.ada, units="-5")).text
    assert "is in the past" in (await order("pause", until="2020-01-01")).text
    assert "Nothing was changed yet." in (await order("audit")).text


async def test_what_takes_more_than_a_quarter_of_the_day_is_confirmed_first_with_its_price(api, house):
    options = {"prompt": "a car", "quality": "draft", "steps": 2}
    asked = await api.slash(api.ada, api.channel, "imagine", options)
    assert asked.message.text.startswith("**That costs 1 of your 3 units**")
    agreed = await api.press(api.ada, asked.message, "Draw it")
    assert "queued" in agreed.message.text


async def test_words_and_channels_have_their_orders_too(api, order):
    assert "logged #1" in (await order("words add", rule="gore")).text
    assert "gore" in (await order("words test", prompt="a gore scene --no dogs")).text
    assert "largest draft" in (await order("channel", channel=api.channel, largest="draft")).text
    asked = await api.slash(api.ada, api.channel, "imagine", {"prompt": "a car", "quality": "full"})
    assert "2048 px is not allowed in this channel" in asked.message.text


async def test_what_each_kind_of_person_may(api, house, order):
    """One order of each level; what every level may is told in tests/test_admin.py, for all platforms."""
    boss, admin, mod = api.add_user("ben"), api.add_user("al"), api.add_user("mo")
    house.admin._operators = frozenset({f"discord:{boss.id}"})
    api.permit(api.guild, admin, Permission.MANAGE_GUILD)
    api.permit(api.guild, mod, Permission.MANAGE_MESSAGES)
    for user, level in {boss: 3, api.owner: 2, admin: 2, mod: 1, api.ada: 0}.items():
        orders = {"words test": {"prompt": "a boat"}, "audit": {"lines": 5}, "doctor": {}}
        said = [(await order(verb, user=user, unchecked=True, **given)).text for verb, given in orders.items()]
        done = ["Nothing was changed." not in each for each in said]
        assert done == [level > 0, level > 1, level > 2], (user.name, said)
