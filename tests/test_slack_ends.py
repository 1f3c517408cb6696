"""How the real bot process ends on Slack, and what it leaves in its log, by sockets and by signed HTTP."""

import asyncio
import signal

import pytest

from tests.slack_api import SlackAPI
from tests.slack_house import SlackLimner, job_id, of_jobs

DRAFT = "--quality draft"


@pytest.fixture
async def api():
    async with SlackAPI() as api:
        yield api
        api.assert_valid()


@pytest.fixture(params=["socket", "http"])
async def limner(api, tmp_path, request):
    limner = SlackLimner(api, tmp_path / "data", mode=request.param)
    yield limner
    await limner.close()


def files_in(api):
    return [file for message in api.channel.messages if message.author is api.bot for file in message.files]


async def shown(api, message, timeout=30):
    return await api.until(lambda: message.pictures and "More…" in message.labels and message, timeout)


async def test_a_button_of_a_message_that_nobody_knew_of_works_and_brings_the_picture_there(api, limner):
    """The post went out and its answer was lost: the message says in its metadata what job it is of."""
    await limner.connect()
    api.fail("chat.postMessage", drop=True, after=True)
    await api.slash(api.ada, api.channel, "/imagine", f"a red car {DRAFT}")
    stray = (await api.until(lambda: of_jobs(api)))[0]
    await api.until(lambda: any(message.pictures for message in of_jobs(api)), 30)
    assert len({job_id(message) for message in of_jobs(api)}) == 1
    assert len(files_in(api)) == 1
    pressed = await api.press(api.ada, stray, stray.labels[0])
    assert pressed.status == 200


@pytest.mark.parametrize("error", ["token_revoked", "account_inactive", "invalid_auth"])
async def test_a_revoked_token_ends_the_process_with_78_and_one_sentence(api, limner, error):
    await limner.connect()
    api.revoke_token(error)
    await api.slash(api.ada, api.channel, "/imagine", f"a red car {DRAFT}", wait=None)
    async with asyncio.timeout(30):
        assert await limner.wait() == 78
    assert "LIMNER_SLACK_BOT_TOKEN" in limner.log
    assert "Traceback" not in limner.log


async def test_a_missing_scope_ends_the_process_with_78_and_its_name(api, limner):
    api.scopes = tuple(scope for scope in api.scopes if scope != "files:write")
    assert await limner.fails() == 78
    assert "files:write" in limner.log


async def test_a_wrong_app_token_ends_the_process_with_78(api, tmp_path):
    limner = SlackLimner(api, tmp_path / "data")
    api.revoke_app_token()
    try:
        assert await limner.fails() == 78
        assert "LIMNER_SLACK_APP_TOKEN" in limner.log
    finally:
        await limner.close()


async def test_an_app_token_that_is_revoked_later_ends_the_process_with_78(api, tmp_path):
    limner = SlackLimner(api, tmp_path / "data")
    try:
        await limner.connect()
        api.revoke_app_token()
        async with asyncio.timeout(60):
            assert await limner.wait() == 78
        assert "LIMNER_SLACK_APP_TOKEN" in limner.log
    finally:
        await limner.close()


async def test_nothing_secret_and_no_prompt_is_in_the_log(api, limner):
    await limner.connect()
    prompt = "a zeppelin over a lighthouse"
    await api.slash(api.ada, api.channel, "/imagine", f"{prompt} {DRAFT}")
    message = await shown(api, (await api.until(lambda: of_jobs(api)))[0])
    api.fail("chat.postMessage", error="fatal_error", times=3)
    api.fail("response_url", status=500)
    await api.press(api.bob, message, "Re-roll")
    await api.slash(api.bob, api.channel, "/imagine", f"{prompt} --stlye noir")
    await api.mention(api.ada, api.channel, f"{prompt} --stlye noir")
    opened = await api.slash(api.ada, api.channel, "/imagine")
    form = await api.until(lambda: opened.views and opened.modal)
    await api.submit(api.ada, form, {"Prompt": f"{prompt} --stlye noir"})
    if limner.mode == "socket":
        await api.refresh_sockets()
        await api.until(lambda: len(api.sockets) == 2, 30)
    else:
        await api.forge(opened, secret="another")
        await api.replay(opened)
    await api.until(lambda: len([m for m in of_jobs(api) if m.pictures]) == 2, 30)
    await limner.end(signal.SIGTERM)
    log = limner.log
    hidden = [api.bot_token, api.app_token, api.signing_secret, "zeppelin", "ticket=", "verification-token"]
    hidden += list(api.response_urls) + list(api.triggers)
    hidden += [act.sent[1]["X-Slack-Signature"] for act in api.acts if act.sent[1]]
    assert [secret for secret in hidden if secret in log] == []


async def test_signed_http_is_listened_to_on_loopback_alone(api, tmp_path):
    limner = SlackLimner(api, tmp_path / "data", mode="http")
    try:
        await limner.connect()
        with open("/proc/net/tcp") as table:
            rows = [line.split() for line in table][1:]
        listening = [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{limner.slack_port:04X}")]
        assert listening == [f"0100007F:{limner.slack_port:04X}"]
    finally:
        await limner.close()
