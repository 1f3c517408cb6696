"""One way to Slack's API: its limits are kept, what it refuses for its rate comes again, and nothing else does."""

import asyncio

import pytest
from slack_sdk.errors import SlackApiError

from bot.slack import web as module
from bot.slack.faults import Fault, fault
from bot.slack.web import Web
from tests.slack_api import SlackAPI

WINDOW_SECONDS = 60.0
ASKED_FOR = {  # a minute, at least
    "chat.update": 50, "conversations.history": 50, "conversations.open": 50,
    "files.info": 100, "users.info": 100, "views.publish": 100,
}  # fmt: skip


@pytest.fixture
async def api():
    async with SlackAPI() as api:
        yield api


@pytest.fixture
def now(monkeypatch):
    """The seconds that the limiter sees."""
    clock = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    return clock


@pytest.fixture
async def web(api):
    import aiohttp

    web = Web(api.bot_token, api.url)
    async with aiohttp.ClientSession() as session:
        web.session = session
        yield web


async def post(web, api, text="hello"):
    return await web.chat_postMessage(channel=api.channel.id, text=text)


def most_in_a_window(times):
    return max(sum(0 <= other - first < WINDOW_SECONDS for other in times) for first in times)


@pytest.mark.parametrize("method", ASKED_FOR)
async def test_no_more_is_asked_than_slack_takes(web, now, method):
    times = [now[0] + web._turn(method, "") for _ in range(300)]
    assert times == sorted(times)
    assert most_in_a_window(times) <= 1.1 * ASKED_FOR[method]


async def test_each_channel_has_its_own_second(web, now):
    one = [web._turn("chat.postMessage", "C1") for _ in range(100)]
    assert one[-1] > 90
    assert web._turn("chat.postMessage", "C2") == 0


async def test_under_load_messages_change_for_less_and_less(web, now):
    assert web.has_room(is_new_state=False)
    while web.has_room(is_new_state=False):
        web._turn("chat.update", "")
    assert web.has_room(is_new_state=True)
    while web.has_room(is_new_state=True):
        web._turn("chat.update", "")
    now[0] += WINDOW_SECONDS
    assert web.has_room(is_new_state=False)


async def test_what_came_too_often_comes_again_when_slack_says(api, web):
    api.fail("chat.postMessage", retry_after=1, times=2)
    await post(web, api)
    assert [request.status for request in api.asked("chat.postMessage")] == [429, 429, 200]
    assert len(api.channel.messages) == 1


@pytest.mark.parametrize("how", [{"drop": True}, {"status": 502}, {"status": 200, "error": "internal_error"}])
@pytest.mark.parametrize("was_taken", [True, False])
async def test_nothing_else_is_sent_twice(api, web, how, was_taken):
    api.fail("chat.postMessage", after=was_taken, **how)
    with pytest.raises(module.UNREACHED) as error:
        await post(web, api)
    assert fault(error.value) == Fault.PASSING
    assert len(api.asked("chat.postMessage")) == 1
    assert len(api.channel.messages) == was_taken


@pytest.mark.parametrize("error", ["token_revoked", "account_inactive", "invalid_auth", "token_expired"])
async def test_a_token_that_is_refused_is_told_of(api, web, error):
    api.revoke_token(error)
    with pytest.raises(SlackApiError):
        await post(web, api)
    async with asyncio.timeout(1):
        assert error in str(await web.refused)


@pytest.mark.parametrize("error", ["not_in_channel", "is_archived", "no_permission", "restricted_action", "odd"])
async def test_no_other_refusal_ends_the_process(api, web, error):
    api.fail("chat.postMessage", error=error)
    with pytest.raises(SlackApiError):
        await post(web, api)
    assert not web.refused.done()


async def test_the_form_of_one_who_waits_is_not_queued(api, web, now):
    for _ in range(100):
        web._turn("views.open", "")
    asked = await api.shortcut(api.ada, "new", wait=None)
    view = {"type": "modal", "title": {"type": "plain_text", "text": "A"}, "blocks": []}
    await web.views_open(trigger_id=asked.payload["trigger_id"], view=view)
    assert asked.views
