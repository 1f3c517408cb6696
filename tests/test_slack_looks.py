"""What Slack did and did not say: nothing stands there twice where it can be looked up, and nothing stands alone."""

import asyncio

import pytest

from bot.jobs import Status
from bot.slack import adapter, uploads
from bot.slack.web import HISTORY
from tests.slack_api import SlackAPI
from tests.slack_house import SlackHouse, job_id
from tests.test_slack_flows import DRAFT, a_picture, charged, child_in, drawn, files_in, imagine, of_jobs

LOST = {"drop": True, "after": True}
PRIVATE_FLAG = {True: " --private", False: ""}


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
def may_look(api):
    api.scopes += tuple(HISTORY)


@pytest.mark.parametrize("is_private", [False, True])
@pytest.mark.parametrize("fault", [LOST, {"status": 502, "after": True}])
async def test_a_message_whose_posting_was_not_answered_is_looked_up(api, may_look, house, fault, is_private):
    api.fail("chat.postMessage", **fault)
    await api.slash(api.ada, api.channel, "/imagine", f"a red car {DRAFT}{PRIVATE_FLAG[is_private]}")
    channel = api.dm(api.ada) if is_private else api.channel
    message = await drawn(api, house, (await api.until(lambda: of_jobs(api, channel)))[0])
    assert of_jobs(api, channel) == [message]


async def test_one_in_a_thread_is_looked_up_there(api, may_look, house):
    message = await a_picture(api, house)
    api.fail("chat.postMessage", **LOST)
    await api.press(api.bob, message, "Re-roll")
    child = await child_in(api, house, message)
    assert of_jobs(api) == [message, child]
    assert (await house.job(job_id(child))).place.thread_id == message.ts


async def test_one_that_was_not_posted_is_posted_after_the_look(api, may_look, house):
    api.fail("chat.postMessage", drop=True)
    message = await drawn(api, house, await imagine(api))
    assert (of_jobs(api), len(api.asked("conversations.history"))) == ([message], 1)


async def test_after_a_restart_it_is_looked_up_too(api, may_look, tmp_path):
    async with SlackHouse(api, tmp_path / "data"):
        hold = api.hold("chat.postMessage", after=True)
        await api.slash(api.ada, api.channel, "/imagine", f"a red car {DRAFT}", wait=None)
        [message] = await api.until(lambda: hold.hits and of_jobs(api))
    hold.release()
    async with SlackHouse(api, tmp_path / "data") as house:
        await drawn(api, house, message)
    assert of_jobs(api) == [message]


async def test_what_is_posted_in_peace_is_not_looked_up(api, may_look, house):
    message = await a_picture(api, house)
    await api.press(api.bob, message, "Re-roll")
    await child_in(api, house, message)
    assert not api.asked("conversations.history") + api.asked("conversations.replies")


@pytest.mark.parametrize("scopes", [(), ("groups:history",)])
async def test_where_the_app_may_not_look_it_is_posted_again_and_charged_once(api, house, caplog, scopes):
    api.scopes += scopes
    api.fail("chat.postMessage", **LOST)
    await api.slash(api.ada, api.channel, "/imagine", f"a red car {DRAFT}")
    await api.until(lambda: [message for message in of_jobs(api) if message.pictures])
    lost, message = of_jobs(api)
    await house.end_of(job_id(message))
    assert (job_id(lost), lost.labels) == (job_id(message), ["Cancel"])
    await api.press(api.ada, lost, "Cancel")
    await api.until(lambda: of_jobs(api) == [message])
    assert "maybe for the second time" in caplog.text
    assert await charged(house, api.ada) == 1


# files


async def test_files_whose_message_was_deleted_stand_below_the_new_one(api, house):
    hold = api.hold("files.getUploadURLExternal")
    first = await imagine(api)
    await api.until(lambda: hold.hits)
    api.delete_message(first)
    hold.release()
    message = await drawn(api, house, (await api.until(lambda: [m for m in of_jobs(api) if m.pictures]))[0])
    [file] = files_in(api.channel, message)
    assert message.pictures == [file.id]
    astray = [m for m in api.channel.top if m.files and m.files[0].state != "deleted"]
    assert (of_jobs(api), astray) == ([message], [])


async def test_what_comes_of_a_job_whose_message_was_deleted_stands_in_the_channel_with_its_file_below(api, house):
    hold = api.hold("files.getUploadURLExternal")
    first = await imagine(api, "a red car")
    name = job_id(first)
    await api.until(lambda: hold.hits)
    await api.slash(api.ada, api.channel, "/limner", f"reroll {name} 5")
    child = (await api.until(lambda: of_jobs(api)[1:]))[0]
    assert child.thread_ts == first.ts
    api.delete_message(child)
    api.delete_message(first)
    hold.release()
    await api.until(lambda: len([m for m in of_jobs(api) if m.pictures]) == 2)
    for message in of_jobs(api):
        await drawn(api, house, message)
        root = message if message.thread_ts in (None, message.ts) else api.channel.by_ts[message.thread_ts]
        assert message.pictures[0] in [file.id for file in files_in(api.channel, root)]


async def test_a_reply_that_slack_put_into_the_channel_is_known_to_be_there(api, house, monkeypatch):
    api.fail("files.getUploadURLExternal", status=500, times=None)
    first = await imagine(api, "a red car")
    api.delete_message(first)
    await api.slash(api.bob, api.channel, "/limner", f"reroll {job_id(first)} 5")
    child = (await api.until(lambda: of_jobs(api)))[0]
    assert (await house.job(job_id(child))).place.thread_id is None
    api.heal()
    await drawn(api, house, child)
    assert child.pictures[0] in [file.id for file in files_in(api.channel, child)]


async def test_files_that_slack_forgets_to_share_are_sent_again(api, house, monkeypatch):
    monkeypatch.setattr(uploads, "LOOKED_FOR_SECONDS", 0.0)
    api.refuses_files = True
    message = await imagine(api)
    await api.until(lambda: api.asked("files.delete"), 20)
    api.refuses_files = False
    await drawn(api, house, message)
    [file] = files_in(api.channel, message)
    assert file.state == "processed"
    assert (await house.job(job_id(message))).status == Status.DELIVERED
    assert adapter.SHARED_WITHIN_MS


async def test_nothing_is_posted_unlooked_before_the_app_is_signed_in(api, may_look, tmp_path):
    """What it may read is known only then, and delivery need not wait for it."""
    async with SlackHouse(api, tmp_path / "data") as house:
        api.fail("chat.postMessage", **LOST)
        api.hold("conversations.history")
        await api.slash(api.ada, api.channel, "/imagine", f"a red car {DRAFT}", wait=None)
        [message] = await api.until(lambda: of_jobs(api))
        await api.until(lambda: api.asked("conversations.history"))
        assert await house.store.chat.unanswered("slack") == []
    api.heal()
    api.fail("auth.test", status=503)
    async with SlackHouse(api, tmp_path / "data") as house:
        await house.end_of(job_id(message))
    assert of_jobs(api) == [message]


async def test_a_message_that_was_made_again_is_looked_up_after_a_restart(api, may_look, tmp_path):
    async with SlackHouse(api, tmp_path / "data") as house:
        hold, dying = api.hold("files.getUploadURLExternal"), asyncio.Event()
        first = await imagine(api)
        await api.until(lambda: hold.hits)
        api.delete_message(first)

        async def too_late(*args, **more):
            dying.set()
            await asyncio.Event().wait()

        house.store.chat.posted = too_late
        hold.release()
        await asyncio.wait_for(dying.wait(), 20)
        name = job_id(first)
    async with SlackHouse(api, tmp_path / "data") as house:
        await house.end_of(name)
    assert len(of_jobs(api)) == 1


async def test_files_of_which_some_were_taken_away_are_all_shown(api, house):
    """The message was deleted, so what was shared is taken back; Slack fails after the first of three."""
    hold, uploaded = api.hold("files.getUploadURLExternal"), house.store.chat.uploaded
    first = await imagine(api, "a red car --n 3")
    await api.until(lambda: hold.hits)
    api.delete_message(first)
    taken = []

    async def fails_next(job_id, index, file_id):
        await uploaded(job_id, index, file_id)
        if file_id is None and not taken:
            taken.append(index)
            api.fail("files.delete", status=503)

    house.store.chat.uploaded = fails_next
    hold.release()
    job = await house.end_of(job_id(first))
    [message] = of_jobs(api)
    assert taken == [0]
    assert (job.status, len(message.pictures)) == (Status.DELIVERED, 3)


async def test_what_stands_in_the_channel_is_kept_when_its_person_cannot_be_looked_up(
    api, may_look, tmp_path, monkeypatch
):
    monkeypatch.setattr("bot.slack.connection.RECOVER_SECONDS", 0.5)
    async with SlackHouse(api, tmp_path / "data"):
        hold = api.hold("chat.postMessage", after=True)
        await api.slash(api.ada, api.channel, "/imagine", f"a red car {DRAFT}", wait=None)
        [message] = await api.until(lambda: hold.hits and of_jobs(api))
    hold.release()
    api.fail("users.info", status=503)
    async with SlackHouse(api, tmp_path / "data") as house:
        assert (await house.end_of(job_id(message))).status == Status.DELIVERED
    assert of_jobs(api) == [message]
