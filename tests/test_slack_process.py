"""The real bot process on Slack: killed, stopped and started again, and it reaches nothing but loopback."""

import asyncio
import io
import signal

import pytest
from PIL import Image

from tests.slack_api import SlackAPI, Upload
from tests.slack_house import SlackLimner, is_done, of_jobs
from tests.test_discord_loopback import WATCHED, engine_of, internet_sockets, is_loopback, reached

DRAFT = "--quality draft"


@pytest.fixture
async def api():
    async with SlackAPI() as api:
        yield api
        api.assert_valid()


@pytest.fixture(params=["socket", "http"])
def mode(request):
    return request.param


@pytest.fixture
async def limner(api, tmp_path, mode):
    limner = SlackLimner(api, tmp_path / "data", mode=mode)
    yield limner
    await limner.close()


@pytest.mark.parametrize("with_signal", [signal.SIGKILL, signal.SIGTERM])
async def test_what_was_accepted_is_drawn_after_a_restart(api, limner, mode, with_signal, monkeypatch):
    monkeypatch.setenv("LIMNER_FAKE_STEP_SECONDS", "0.3")
    await limner.connect()
    for person in (api.ada, api.bob, api.olga):
        await api.slash(person, api.channel, "/imagine", f"a red car {DRAFT}")
    await api.until(
        lambda: len(of_jobs(api)) == 3 and any("queued" not in message.text for message in of_jobs(api)), 30
    )
    await limner.end(with_signal)
    monkeypatch.setenv("LIMNER_FAKE_STEP_SECONDS", "0.01")
    await limner.connect()
    await api.until(lambda: all(map(is_done, of_jobs(api))), 60)
    assert len(of_jobs(api)) == 3
    assert [len([m for m in api.channel.thread(message) if m.files]) for message in of_jobs(api)] == [1, 1, 1]


@pytest.mark.parametrize(
    "method",
    [
        "chat.postMessage",
        "files.getUploadURLExternal",
        "upload",
        "files.completeUploadExternal",
        "files.info",
        "chat.update",
    ],
)
@pytest.mark.parametrize("was_taken", [True, False])
async def test_killed_at_any_request_it_shows_every_picture_once(api, tmp_path, method, was_taken):
    limner = SlackLimner(api, tmp_path / "data")
    try:
        await limner.connect()
        hold = api.hold(method, after=was_taken, times=1)
        await api.slash(api.ada, api.channel, "/imagine", f"a red car {DRAFT}", wait=None)
        await api.until(lambda: hold.hits, 30)
        await limner.end(signal.SIGKILL)
        if was_taken:
            hold.release()
        await limner.connect()
        await api.until(lambda: any(map(is_done, of_jobs(api))), 60)
        shared = [message for message in api.channel.messages if message.files]
        assert (len(shared), len(shared[0].files)) == (1, 1)
        assert len(of_jobs(api)) == 1 + (method == "chat.postMessage" and was_taken)  # which cannot be looked up
    finally:
        await limner.close()


async def test_the_built_in_model_draws_2048_px_from_slash_to_thread(api, tmp_path):
    limner = SlackLimner(api, tmp_path / "data", "torch")
    try:
        await limner.connect()
        await api.slash(api.ada, api.channel, "/imagine", "a red car on a mountain road --ar 16:9")
        message = (await api.until(lambda: of_jobs(api)))[0]
        await api.until(lambda: is_done(message), 90)
        with Image.open(io.BytesIO(api.files[message.pictures[0]].data)) as picture:
            assert (picture.format, picture.size) == ("JPEG", (2048, 1152))
        await api.press(api.bob, message, "Vary")
        await api.until(lambda: [m for m in api.channel.thread(message) if is_done(m)], 90)
        [child] = [m for m in api.channel.thread(message) if is_done(m)]
        assert "variation of" in child.text
    finally:
        await limner.close()


async def test_a_revoked_token_ends_the_process_with_78_and_one_sentence(api, tmp_path, limner, mode):
    await limner.connect()
    api.revoke_token()
    await api.slash(api.ada, api.channel, "/imagine", "a secret prompt of ada's")
    async with asyncio.timeout(30):
        assert await limner.wait() == 78
    log = (tmp_path / "limner.log").read_text()
    assert "Slack does not accept LIMNER_SLACK_BOT_TOKEN" in log
    for secret in (api.bot_token, api.app_token, api.signing_secret, "a secret prompt", "ticket"):
        assert secret not in log


async def test_a_whole_flow_reaches_nothing_but_loopback_and_logs_no_secret(api, tmp_path, mode):
    log = tmp_path / "reached"
    limner = SlackLimner(api, tmp_path / "data", mode=mode, program=("-c", WATCHED, str(log)))
    try:
        await limner.connect()
        await api.slash(api.ada, api.channel, "/imagine", f"a secret prompt {DRAFT}")
        message = (await api.until(lambda: of_jobs(api), 30))[0]
        await api.until(lambda: is_done(message), 30)
        await api.press(api.bob, message, "Re-roll")
        await api.until(lambda: [m for m in api.channel.thread(message) if is_done(m)], 30)
        given = io.BytesIO()
        Image.new("RGB", (64, 48), "teal").save(given, "PNG")
        await api.mention(api.ada, api.channel, f"a boat {DRAFT}", uploads=(Upload(given.getvalue()),))
        await api.until(lambda: len(of_jobs(api)) == 3 and is_done(of_jobs(api)[-1]), 30)
        assert len(api.downloads) == 1
        assert internet_sockets(limner.pid)
        assert internet_sockets(engine_of(limner.pid)) == []
    finally:
        await limner.close()
    assert [each for each in reached(log) if not is_loopback(each[1])] == []
    told = (tmp_path / "limner.log").read_text()
    for secret in (api.bot_token, api.app_token, api.signing_secret, "a secret prompt", "ticket", "/commands/"):
        assert secret not in told
