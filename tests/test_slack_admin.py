"""Orders of admins on Slack: who may is asked at each use, and each does what it says."""

import pytest

from bot.jobs import Identity, Place
from bot.slack.web import USER_GROUPS
from tests.slack_api import SlackAPI
from tests.slack_house import SlackHouse, job_id

DRAFT = "--quality draft"


@pytest.fixture
async def api():
    async with SlackAPI() as api:
        yield api


@pytest.fixture
async def house(api, tmp_path):
    house = await SlackHouse(api, tmp_path / "data", slack_admins=(api.bob.id,)).open()
    yield house
    await house.close()
    api.assert_valid()


async def order(api, user, text, channel=None):
    """What is answered."""
    asked = await api.slash(user, channel or api.channel, "/limner-admin", text)
    return (await api.until(lambda: asked.messages))[-1]


async def a_picture(api, house, user=None):
    await api.slash(user or api.ada, api.channel, "/imagine", f"a red car {DRAFT}")
    message = (await api.until(lambda: [m for m in api.channel.messages if m.author is api.bot and m.metadata]))[-1]
    await api.until(lambda: message.pictures and "More…" in message.labels)
    await house.end_of(job_id(message))
    return message


async def test_who_is_no_admin_is_refused(api, house):
    message = await a_picture(api, house)
    for user in (api.ada, api.adam, api.olga):  # admins of the workspace are none of Limner's unless told so
        said = await order(api, user, f"job delete {job_id(message)}")
        assert "for moderators of this place" in said.text, said.text
        assert said.is_ephemeral
    assert message.pictures


async def test_admins_of_the_workspace_are_admins_if_the_operator_says_so(api, tmp_path):
    async with SlackHouse(api, tmp_path / "data", slack_workspace_admins=True):
        assert "quota set" in (await order(api, api.adam, "")).text
        refused = (await order(api, api.ada, "help")).text
        assert "quota set" not in refused


async def test_nobody_is_an_admin_while_slack_does_not_say(api, house):
    api.fail("users.info", status=503, times=None)
    said = await order(api, api.bob, "help")
    assert "quota set" not in said.text
    assert "try again in a minute" in said.text


async def test_somebody_elses_job_is_deleted_here_on_slack_and_on_disk(api, house):
    message = await a_picture(api, house)
    [file_id] = message.pictures
    said = await order(api, api.bob, f"job delete {job_id(message)}", api.private_channel)
    assert job_id(message) in said.text
    await api.until(lambda: not message.pictures)
    assert api.files[file_id].state == "deleted"
    assert not any((house.data / "spool" / job_id(message)).glob("*.png"))


async def test_a_mention_names_a_person_in_an_order(api, house):
    await a_picture(api, house)
    said = await order(api, api.bob, f"quota set <@{api.ada.id}|ada> 40")
    assert ("ada" in said.text, "40" in said.text) == (True, True), said.text
    person = await house.store.person(Identity("slack", api.team_id, api.ada.id), is_operator=False, now_ms=0)
    assert (await house.studio.quota(person, Place("slack", api.team_id))).allowance == 40


async def test_the_home_tab_shows_the_allowance_of_this_workspace(api, house):
    await api.open_home(api.ada)
    assert "/ 100 units" in (await api.until(lambda: api.homes.get(api.ada.id))).text
    await order(api, api.bob, f"quota set <@{api.ada.id}|ada> 40")
    await api.press(api.ada, api.homes[api.ada.id], "Refresh")
    await api.until(lambda: "/ 40 units" in api.homes[api.ada.id].text)


async def test_a_blocked_person_is_refused_in_one_sentence(api, house):
    await a_picture(api, house)
    await order(api, api.bob, f"block <@{api.ada.id}|ada> --reason spam")
    asked = await api.slash(api.ada, api.channel, "/imagine", f"a boat {DRAFT}")
    assert "spam" in (await api.until(lambda: asked.messages))[-1].text
    assert len([m for m in api.channel.messages if m.author is api.bot and m.metadata]) == 1


async def test_statistics_come_as_a_file_by_direct_message(api, house):
    await a_picture(api, house)
    await order(api, api.bob, "stats")
    [message] = await api.until(lambda: [m for m in api.dm(api.bob).messages if m.files])
    assert message.files[0].name == "limner-stats.png"


async def test_an_admin_pauses_and_resumes_on_the_home_tab(api, house):
    await api.open_home(api.bob)
    view = await api.until(lambda: api.homes.get(api.bob.id))
    assert "Pause" in view.labels
    await api.press(api.bob, view, "Pause")
    await api.until(lambda: "Resume" in api.homes[api.bob.id].labels)
    await api.slash(api.ada, api.channel, "/imagine", f"a boat {DRAFT}")
    message = (await api.until(lambda: [m for m in api.channel.messages if m.author is api.bot and m.metadata]))[-1]
    await api.until(lambda: "paused by the operator" in message.text)
    await api.press(api.bob, api.homes[api.bob.id], "Resume")
    await api.until(lambda: message.pictures)
    await api.open_home(api.ada)
    assert "Pause" not in (await api.until(lambda: api.homes.get(api.ada.id))).labels


async def test_an_order_that_is_delivered_twice_is_carried_out_once(api, house):
    await a_picture(api, house)
    asked = await api.slash(api.bob, api.channel, "/limner-admin", f"quota set <@{api.ada.id}> 40")
    await api.until(lambda: asked.messages)
    await api.redeliver(asked)
    assert len(await house.store.rules.entries(("slack", api.team_id), 10)) == 1


async def test_the_best_user_group_counts(api, tmp_path):
    api.scopes += (USER_GROUPS,)
    api.user_groups["S9"] = [api.ada.id]
    async with SlackHouse(api, tmp_path / "data", allowance=0, slack_admins=(api.bob.id,)) as house:
        assert "role s9: default → 9 units a day" in (await order(api, api.bob, "quota role <!subteam^S9|@s9> 9")).text
        await a_picture(api, house)
        asked = await api.slash(api.olga, api.channel, "/imagine", f"a red car {DRAFT}")
        assert "Not enough units" in (await api.until(lambda: asked.messages))[-1].text
        assert "There is no role" in (await order(api, api.bob, "quota role S404 9")).text


async def test_without_its_scope_nothing_is_asked_of_user_groups_and_it_is_named(api, house):
    said = await order(api, api.bob, "quota role <!subteam^S9|@s9> 9")
    assert "quota role needs the scope usergroups:read" in said.text
    assert "limner slack-manifest --user-groups" in said.text
    await a_picture(api, house)
    assert not api.asked("usergroups.list")


async def test_moderators_delete_and_cancel_and_may_not_give_units(api, tmp_path):
    async with SlackHouse(api, tmp_path / "data", slack_moderators=(api.olga.id,)) as house:
        message = await a_picture(api, house)
        assert "That is for admins" in (await order(api, api.olga, f"quota set <@{api.ada.id}> 40")).text
        assert "No rule forbids" in (await order(api, api.olga, "words test a boat")).text
        await api.press(api.olga, message, f"v1:delete:{job_id(message)}:0", unchecked=True)
        await api.until(lambda: not message.pictures)


async def test_the_operator_in_chat_may_delete_anybodys_picture(api, tmp_path):
    async with SlackHouse(api, tmp_path / "data", operators=(f"slack:{api.olga.id}",)) as house:
        message = await a_picture(api, house)
        await api.press(api.olga, message, f"v1:delete:{job_id(message)}:0", unchecked=True)
        await api.until(lambda: not message.pictures)


async def test_what_each_kind_of_person_may(api, tmp_path):
    """One order of each level; what every level may is told in tests/test_admin.py, for all platforms."""
    boss, mod = api.add_user("ben"), api.add_user("mo")
    settings = {
        "slack_admins": (api.bob.id,),
        "slack_moderators": (mod.id,),
        "slack_workspace_admins": True,
        "operators": (f"slack:{boss.id}",),
    }
    may = {boss: 3, api.bob: 2, api.adam: 2, api.olga: 2, mod: 1, api.ada: 0, api.guest: 0, api.stranger: 0}
    async with SlackHouse(api, tmp_path / "data", **settings):
        for user, level in may.items():
            said = [(await order(api, user, each)).text for each in ("words test a boat", "audit 5", "doctor")]
            done = ["Nothing was changed." not in each and "can't draw here" not in each for each in said]
            assert done == [level > 0, level > 1, level > 2], (user.name, said)
