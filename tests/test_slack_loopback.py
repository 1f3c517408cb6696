"""The real bot process on Slack reaches nothing but loopback, whatever it is asked for."""

import io

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


@pytest.mark.parametrize("mode", ["socket", "http"])
async def test_a_whole_flow_reaches_nothing_but_loopback(api, tmp_path, mode):
    log = tmp_path / "reached"
    limner = SlackLimner(api, tmp_path / "data", mode=mode, program=("-c", WATCHED, str(log)))
    try:
        await limner.connect()
        await whole_flow(api)
        assert internet_sockets(limner.pid)
        assert internet_sockets(engine_of(limner.pid)) == []
    finally:
        await limner.close()
    found = reached(log)
    assert ("socket.connect", "127.0.0.1", api.port) in found
    assert [each for each in found if not is_loopback(each[1])] == []


async def whole_flow(api):
    """A picture, its re-roll in the thread, an original by direct message, and a picture over one that was attached."""
    await api.slash(api.ada, api.channel, "/imagine", f"a red car {DRAFT}")
    message = (await api.until(lambda: of_jobs(api), 30))[0]
    await api.until(lambda: is_done(message), 30)
    await api.press(api.bob, message, "Re-roll")
    await api.until(lambda: [each for each in api.channel.thread(message) if is_done(each)], 30)
    more = await api.press(api.bob, message, "More…")
    shown = (await api.until(lambda: more.messages))[-1]
    await api.press(api.bob, shown, "Original file")
    await api.until(lambda: [each for each in api.dm(api.bob).messages if each.files], 30)
    given = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(given, "PNG")
    await api.mention(api.ada, api.channel, f"a boat {DRAFT}", uploads=(Upload(given.getvalue()),))
    await api.until(lambda: len(of_jobs(api)) == 3 and is_done(of_jobs(api)[-1]), 30)
    assert len(api.downloads) == 1
