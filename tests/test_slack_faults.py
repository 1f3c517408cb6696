"""Slack where it goes wrong: an archived channel, requests without a sense, the app removed, an old request again."""

import asyncio

import pytest

from tests.slack_api import SlackAPI
from tests.slack_house import SlackHouse, SlackLimner, job_id
from tests.test_slack_flows import a_picture, imagine


@pytest.fixture
async def api():
    async with SlackAPI() as api:
        yield api


@pytest.fixture(params=["socket", "http"])
async def limner(api, tmp_path, request):
    limner = SlackLimner(api, tmp_path / "data", mode=request.param)
    yield limner
    await limner.close()


async def test_a_cancelled_job_in_an_archived_channel_is_not_shown_for_ever(api, tmp_path, monkeypatch):
    monkeypatch.setenv("LIMNER_FAKE_STEP_SECONDS", "0.35")
    async with SlackHouse(api, tmp_path / "data") as house:
        message = await imagine(api, "a red car --steps 30")
        api.archive(api.channel)
        await api.slash(api.ada, api.elsewhere, "/limner", f"cancel {job_id(message)}")
        await house.end_of(job_id(message))
        await a_picture(api, house, channel=api.private_channel)
        updates = [r for r in api.asked("chat.update") if r.form["ts"] == message.ts and r.error]
        assert len(updates) <= 2


BODIES = [b"", b"{", b"payload=%7B", b"payload=[]", b"[]", b"null", b"7", b"\xff\xfe", b'{"type": 7}']


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded"])
async def test_a_request_that_makes_no_sense_harms_nothing_signed_or_not(api, tmp_path, body, kind):
    async with SlackHouse(api, tmp_path / "data", mode="http"):
        content = {"Content-Type": kind}
        assert (await api.post(body, content | api.sign(body, secret="another")))[0] in (400, 401)
        assert (await api.post(body, content | api.sign(body)))[0] in (200, 400, 401, 404)


async def test_the_removal_of_the_app_ends_the_process_with_78_and_one_sentence(api, limner):
    await limner.connect()
    await api.remove_app()
    async with asyncio.timeout(30):
        assert await limner.wait() == 78
    assert "Traceback" not in limner.log


async def test_a_replay_after_a_restart_is_refused(api, tmp_path):
    async with SlackHouse(api, tmp_path / "data", mode="http") as house:
        await a_picture(api, house)
        asked = api.acts[0]
    await asyncio.sleep(1)  # signatures tell whole seconds
    async with SlackHouse(api, tmp_path / "data", mode="http") as house:
        api.deliver_to(f"http://127.0.0.1:{house.port}/slack/events")
        assert await api.replay(asked) == 401
