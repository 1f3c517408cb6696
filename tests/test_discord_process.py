"""The real bot process on Discord: killed, stopped and started again."""

import asyncio
import io
import signal

import pytest
from PIL import Image

from tests.discord_api import DiscordAPI
from tests.running import Limner

DRAFT = {"prompt": "a red car", "quality": "draft"}


@pytest.fixture
async def api():
    async with DiscordAPI() as api:
        yield api
        api.assert_valid()


@pytest.fixture
async def limner(api, tmp_path):
    limner = Limner(
        tmp_path / "data",
        "tests.fake_engine",
        LIMNER_DISCORD_TOKEN=api.token,
        LIMNER_DISCORD_API_URL=api.url,
        LIMNER_DISCORD_ATTACHMENT_HOSTS=api.url_root,
    )
    yield limner
    await limner.close()


async def connected(api, limner):
    await limner.start()
    await api.until(lambda: api.is_connected and api.commands, timeout=30)


@pytest.mark.parametrize("was_taken", [True, False])
async def test_killed_while_it_answers_it_asks_discord_whether_the_answer_arrived(api, limner, was_taken):
    await connected(api, limner)
    hold = api.hold("POST", r"/interactions/.*", after=was_taken)
    asked = await api.slash(api.ada, api.channel, "imagine", DRAFT, wait=None)
    await api.until(lambda: hold.hits)
    await limner.end(signal.SIGKILL)
    if was_taken:
        hold.release()
    await connected(api, limner)
    if was_taken:
        await api.until(lambda: asked.message.attachments and "More…" in asked.message.labels, timeout=30)
    else:
        await api.until(lambda: api.asked("GET", "/webhooks/{webhook_id}/{webhook_token}/messages/@original"))
    assert len(api.channel.messages) == was_taken


@pytest.mark.parametrize("with_signal", [signal.SIGKILL, signal.SIGTERM])
async def test_what_was_accepted_is_drawn_after_a_restart(api, limner, with_signal, monkeypatch):
    monkeypatch.setenv("LIMNER_FAKE_STEP_SECONDS", "0.6")
    await connected(api, limner)
    people = [api.ada, api.bob, api.owner]
    asked = [await api.slash(person, api.channel, "imagine", DRAFT) for person in people]
    await api.until(lambda: "%" in asked[0].message.text)
    await limner.end(with_signal)
    monkeypatch.setenv("LIMNER_FAKE_STEP_SECONDS", "0.01")
    await connected(api, limner)
    await api.until(lambda: all(each.message.attachments and "More…" in each.message.labels for each in asked), 30)
    assert len(api.channel.messages) == 3
    is_told = any("the bot restarted; your job is kept" in state.text for state in asked[2].message.history)
    assert is_told or with_signal == signal.SIGTERM  # which lets what the engine has end first


async def test_the_built_in_model_draws_2048_px_from_slash_to_thread(api, tmp_path):
    limner = Limner(tmp_path / "data", "torch", LIMNER_DISCORD_TOKEN=api.token, LIMNER_DISCORD_API_URL=api.url)
    try:
        await connected(api, limner)
        asked = await api.slash(api.ada, api.channel, "imagine", {"prompt": "a red car on a mountain road --ar 16:9"})
        await api.until(lambda: asked.message.attachments and "More…" in asked.message.labels, timeout=90)
        with Image.open(io.BytesIO(asked.message.attachments[0].data)) as picture:
            assert (picture.format, picture.size) == ("JPEG", (2048, 1152))
        await api.press(api.bob, asked.message, "Vary")
        thread = await api.until(lambda: api.channels.get(asked.message.id))
        await api.until(lambda: thread.messages and thread.last.attachments and "More…" in thread.last.labels, 90)
        assert "variation of" in thread.last.text
    finally:
        await limner.close()


async def test_a_revoked_token_ends_the_process_with_78_and_one_sentence(api, limner):
    await connected(api, limner)
    api.revoke_token()
    async with asyncio.timeout(30):
        assert await limner.wait() == 78
    log = (limner.data.parent / "limner.log").read_text()
    assert "make a new one" in log
    assert api.token not in log
