"""The stand-in Slack against a real slack_bolt and slack_sdk: other tests rest on its rules."""

import asyncio
import io
import json
import logging

import aiohttp
import pytest
from aiohttp import web
from PIL import Image
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.slack_api import PRIVATE, NotOffered, SlackAPI, Upload
from tests.slack_api.people import rules


def picture(kind="PNG"):
    data = io.BytesIO()
    Image.new("RGB", (64, 32), "red").save(data, kind)
    return data.getvalue()


PNG = picture()
SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "*hello*"}}
FORM = {
    "type": "modal",
    "callback_id": "form",
    "title": {"type": "plain_text", "text": "New image"},
    "submit": {"type": "plain_text", "text": "Draw"},
    "blocks": [
        {
            "type": "input",
            "block_id": "prompt",
            "label": {"type": "plain_text", "text": "Prompt"},
            "element": {"type": "plain_text_input", "action_id": "prompt", "max_length": 100},
        },
        {
            "type": "input",
            "block_id": "count",
            "optional": True,
            "label": {"type": "plain_text", "text": "Count"},
            "element": {
                "type": "static_select",
                "action_id": "count",
                "options": [{"text": {"type": "plain_text", "text": n}, "value": n} for n in "1234"],
            },
        },
        {
            "type": "input",
            "block_id": "image",
            "optional": True,
            "label": {"type": "plain_text", "text": "Image"},
            "element": {"type": "file_input", "action_id": "image", "filetypes": ["png"], "max_files": 1},
        },
    ],
}
HOME = {"type": "home", "blocks": [SECTION]}


def buttons(*labels, value="v1:again:k7q2:0"):
    elements = [
        {"type": "button", "action_id": label.lower(), "value": value, "text": {"type": "plain_text", "text": label}}
        for label in labels
    ]
    return {"type": "actions", "elements": elements}


def client(api, token=None):
    return AsyncWebClient(token=token or api.bot_token, base_url=api.url, retry_handlers=[])


def pupil(api):
    """An app with one of everything that Limner does on Slack."""
    app = AsyncApp(client=client(api), signing_secret=api.signing_secret)
    app.heard = []

    @app.command("/imagine")
    async def imagine(ack, body, client, respond):
        app.heard.append(body["text"])
        if body["text"] == "silence":
            return
        await ack()
        if not body["text"]:
            await client.views_open(trigger_id=body["trigger_id"], view=FORM)
        elif body["text"] == "private":
            await respond("only you")
        else:
            await client.chat_postMessage(
                channel=body["channel_id"], text=body["text"], blocks=[SECTION, buttons("Again", "Remix")]
            )

    @app.action("again")
    async def again(ack, body, client):
        app.heard.append(body["actions"][0]["value"])
        await ack()
        if "message" in body:
            ts = body["message"]["ts"]
            await client.chat_update(channel=body["channel"]["id"], ts=ts, text="pressed", blocks=[SECTION])

    @app.action("remix")
    async def remix(ack, body, client):
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=FORM)

    @app.view("form")
    async def form(ack, view):
        values = view["state"]["values"]
        app.heard.append(values)
        if values["prompt"]["prompt"]["value"] == "bad":
            await ack(response_action="errors", errors={"prompt": "not this"})
        elif values["prompt"]["prompt"]["value"] == "more":
            await ack(response_action="update", view=FORM | {"title": {"type": "plain_text", "text": "Sure?"}})
        else:
            await ack()

    @app.event("app_mention")
    async def mentioned(event, client):
        app.heard.append(event["text"])
        await client.chat_postMessage(channel=event["channel"], thread_ts=event.get("thread_ts"), text="yes?")

    @app.event("message")
    async def said(event):
        app.heard.append(event["text"])

    @app.event("app_home_opened")
    async def home(event, client):
        await client.views_publish(user_id=event["user"], view=HOME)

    @app.shortcut("info")
    async def info(ack, body, respond):
        await ack()
        await respond(f"about {body['message']['text']}")

    @app.shortcut("new")
    async def new(ack, body, client):
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=FORM)

    return app


@pytest.fixture(autouse=True)
def _quiet():
    for name in ("slack_bolt", "slack_sdk"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


@pytest.fixture
async def api():
    async with SlackAPI() as api:
        yield api


class Sockets:
    """The pupil on two sockets."""

    def __init__(self, api, app, number=2):
        web_client = client(api, api.app_token)
        logger = logging.getLogger("slack_sdk.pupil")
        self.handlers = [
            AsyncSocketModeHandler(app, api.app_token, logger=logger, web_client=web_client, ping_interval=0.2)
            for _ in range(number)
        ]

    async def __aenter__(self):
        for handler in self.handlers:
            await handler.connect_async()
        return self

    async def __aexit__(self, *error):
        for handler in self.handlers:
            await handler.close_async()


class Web:
    """The pupil behind signed HTTP."""

    def __init__(self, api, app):
        self.api, self.server = api, app.server(port=0)

    async def __aenter__(self):
        self.runner = web.AppRunner(self.server.web_app)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        self.api.deliver_to(f"http://127.0.0.1:{self.runner.addresses[0][1]}/slack/events")
        return self

    async def __aexit__(self, *error):
        await self.runner.cleanup()


@pytest.fixture(params=["socket", "http"])
async def app(api, request):
    app = pupil(api)
    async with Sockets(api, app) if request.param == "socket" else Web(api, app):
        await api.until(lambda: api.request_url or len(api.sockets) == 2)
        yield app


async def refused(coroutine):
    with pytest.raises(SlackApiError) as caught:
        await coroutine
    return caught.value.response["error"]


# what people do, in both modes


async def test_a_command_is_answered_with_a_message_and_its_buttons_change_it(api, app):
    asked = await api.slash(api.ada, api.channel, "/imagine", "a red car")
    assert (asked.status, asked.is_dead) == (200, False)
    message = await api.until(lambda: api.channel.messages and api.channel.last)
    assert (message.text, message.fallback, message.labels) == ("*hello*", "a red car", ["Again", "Remix"])
    pressed = await api.press(api.bob, message, "Again")
    await api.until(lambda: message.fallback == "pressed")
    assert (app.heard[-1], pressed.payload["container"]["message_ts"]) == ("v1:again:k7q2:0", message.ts)
    assert [state.fallback for state in message.history] == ["a red car", "pressed"]
    with pytest.raises(NotOffered):
        await api.press(api.bob, message, "Again")
    api.assert_valid()


async def test_a_command_that_nobody_answers_is_dead(api, app):
    asked = await api.slash(api.ada, api.channel, "/imagine", "silence", wait=None)
    await api.until(lambda: asked.is_dead)
    assert asked.failure in ("operation_timeout", "dispatch_failed")


async def test_a_form_opens_shows_errors_changes_and_closes(api, app):
    opened = await api.slash(api.ada, api.channel, "/imagine")
    form = await api.until(lambda: opened.views and opened.modal)
    assert (form.title, form.fields) == ("New image", ["Prompt", "Count", "Image"])
    for fields in ({}, {"Prompt": "x" * 101}, {"Prompt": "x", "Count": "9"}, {"Prompt": "x", "Size": "1"}):
        with pytest.raises(NotOffered):
            await api.submit(api.ada, form, fields)
    await api.submit(api.ada, form, {"Prompt": "bad"})
    assert (form.errors, form.is_open) == ({"prompt": "not this"}, True)
    await api.submit(api.ada, form, {"Prompt": "more"})
    assert (form.title, form.is_open, form.errors) == ("Sure?", True, {})
    await api.submit(api.ada, form, {"Prompt": "a boat", "Count": "3", "Image": Upload(PNG)})
    values = app.heard[-1]
    assert (values["prompt"]["prompt"]["value"], form.is_open) == ("a boat", False)
    assert values["count"]["count"]["selected_option"]["value"] == "3"
    [file] = values["image"]["image"]["files"]
    assert (file["mimetype"], file["size"]) == ("image/png", len(PNG))
    api.assert_valid()


async def test_mentions_are_heard_where_the_app_is_a_member(api, app):
    act = await api.mention(api.ada, api.channel, "a red car")
    await api.until(lambda: api.channel.last.text == "yes?")
    await api.mention(api.bob, api.channel, "at night", thread=act.message)
    await api.until(
        lambda: [m.text for m in api.channel.thread(act.message)] == [f"{api.bot.mention} at night", "yes?"]
    )
    assert app.heard == [f"{api.bot.mention} a red car", f"{api.bot.mention} at night"]
    elsewhere = await api.mention(api.ada, api.elsewhere, "hello")
    nobody = await api.say(api.ada, api.channel, "not for you")
    assert (elsewhere.deliveries, nobody.deliveries) == (0, 0)


async def test_direct_messages_are_heard_with_the_scope_for_them(api, app):
    unheard = await api.say(api.ada, api.dm(api.ada), "hello")
    assert unheard.deliveries == 0
    api.scopes += ("im:history",)
    await api.say(api.ada, api.dm(api.ada), "hello again")
    await api.until(lambda: app.heard == ["hello again"])


async def test_shortcuts_and_the_home_tab(api, app):
    await api.mention(api.ada, api.channel, "a red car")
    said = await api.say(api.ada, api.elsewhere, "words")
    info = await api.message_shortcut(api.bob, "info", said.message)
    await api.until(lambda: info.messages)
    assert (info.answer.text, info.answer.seen_by) == ("about words", api.bob)
    assert api.ephemerals(api.bob) == [info.answer]
    new = await api.shortcut(api.ada, "new")
    await api.until(lambda: new.views)
    await api.open_home(api.ada)
    home = await api.until(lambda: api.homes.get(api.ada.id))
    assert home.text == "*hello*"


async def test_an_event_that_is_not_acknowledged_comes_again(api):
    app, times = pupil(api), []

    @app.middleware
    async def fails_first(req, next):
        times.append(req.headers.get("x-slack-retry-num"))
        if len(times) < 4:
            raise RuntimeError("not yet")
        await next()

    async with Web(api, app):
        act = await api.mention(api.ada, api.channel, "a red car", wait=None)
        await api.until(lambda: len(times) == 2)
        api.advance(60)
        await api.until(lambda: len(times) == 3)
        api.advance(300)
        await api.until(lambda: act.ack is not None)
    assert times == [None, ["1"], ["2"], ["3"]]


# sockets


async def test_a_refresh_of_the_sockets_loses_no_event(api):
    app = pupil(api)
    async with Sockets(api, app):
        await api.until(lambda: len(api.sockets) == 2)
        acts = []
        for number in range(12):
            if number in (3, 8):
                api.go_on(api.refresh_sockets())
            acts.append(await api.mention(api.ada, api.channel, str(number), wait=None))
            await asyncio.sleep(0.02)
        await api.until(lambda: len(api.sockets) == 2)
        api.advance(60)  # what came on a socket that was about to close comes again
        await api.until(lambda: all(act.ack is not None for act in acts), 15)
        assert {text.split()[1] for text in app.heard} == {str(number) for number in range(12)}


async def test_broken_sockets_come_back(api):
    async with Sockets(api, pupil(api)):
        await api.until(lambda: len(api.sockets) == 2)
        api.drop_sockets()
        await api.until(lambda: api.socket_log.count("leave") == 2)
        await api.until(lambda: len(api.sockets) == 2)


async def test_without_a_socket_a_command_fails_and_an_event_waits(api):
    asked = await api.slash(api.ada, api.channel, "/imagine", "a red car")
    assert asked.failure == "dispatch_failed"
    act = await api.mention(api.ada, api.channel, "a red car", wait=None)
    app = pupil(api)
    async with Sockets(api, app, number=1):
        await api.until(lambda: api.sockets)
        api.advance(60)
        await api.until(lambda: act.ack is not None)
    assert len(app.heard) == 1


async def test_a_ticket_opens_one_socket_and_ten_sockets_are_the_most(api):
    tickets = [
        (await client(api, api.app_token).apps_connections_open(app_token=api.app_token))["url"] for _ in range(11)
    ]
    async with aiohttp.ClientSession() as session:
        sockets = [await session.ws_connect(url) for url in tickets]
        first = [await socket.receive_json() for socket in sockets]
        assert [each["type"] for each in first] == ["hello"] * 10 + ["disconnect"]
        assert first[-1]["reason"] == "too_many_websockets"
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(tickets[0])
        for socket in sockets:
            await socket.close()


# signed HTTP


async def test_bad_signatures_and_old_timestamps_can_be_sent(api):
    app = pupil(api)
    async with Web(api, app):
        asked = await api.slash(api.ada, api.channel, "/imagine", "a red car")
        assert await api.forge(asked, secret="another") == 401
        assert await api.forge(asked, at=api.clock() - 301) == 401
        assert await api.forge(asked, headers={"X-Slack-Signature": ""}) == 401
        assert app.heard == ["a red car"]
        assert await api.redeliver(asked) == 200
        assert await api.replay(asked) == 200  # bolt alone lets a replay pass within five minutes
        assert app.heard == ["a red car"] * 3


# the rules of messages


async def test_posting_is_refused_where_slack_refuses_it(api):
    slack = client(api)
    private = api.add_channel("hidden", kind=PRIVATE, bot=False)
    archived = api.add_channel("old", archived=True)
    assert await refused(slack.chat_postMessage(channel=api.elsewhere.id, text="x")) == "not_in_channel"
    assert await refused(slack.chat_postMessage(channel=private.id, text="x")) == "channel_not_found"
    assert await refused(slack.chat_postMessage(channel="C404", text="x")) == "channel_not_found"
    assert await refused(slack.chat_postMessage(channel=archived.id, text="x")) == "is_archived"
    assert await refused(slack.chat_postMessage(channel=api.channel.id, text="x" * 40_001)) == "msg_too_long"
    posted = await slack.chat_postMessage(channel=api.channel.id, text="x")
    api.archive(api.channel)
    updated = slack.chat_update(channel=api.channel.id, ts=posted["ts"], text="y")
    assert await refused(updated) == "is_inactive"
    api.archive(api.channel, archived=False)
    assert await refused(slack.chat_update(channel=api.channel.id, ts="1.1", text="y")) == "message_not_found"
    long = slack.chat_update(channel=api.channel.id, ts=posted["ts"], text="x" * 4_001)
    assert await refused(long) == "msg_too_long"
    said = await api.say(api.ada, api.channel, "mine")
    theirs = slack.chat_update(channel=api.channel.id, ts=said.message.ts, text="y")
    assert await refused(theirs) == "cant_update_message"
    await slack.chat_delete(channel=api.channel.id, ts=posted["ts"])
    assert await refused(slack.chat_delete(channel=api.channel.id, ts=posted["ts"])) == "message_not_found"


async def test_an_update_with_a_text_alone_takes_the_blocks_away(api):
    slack = client(api)
    posted = await slack.chat_postMessage(
        channel=api.channel.id,
        text="x",
        blocks=[SECTION],
        metadata={"event_type": "job", "event_payload": {"id": "k7q2"}},
    )
    message = api.channel.last
    await slack.chat_update(channel=api.channel.id, ts=posted["ts"], text="y")
    assert (message.blocks, message.text, message.metadata["event_payload"]) == ([], "y", {"id": "k7q2"})


async def test_a_reply_to_a_deleted_message_lands_in_the_channel(api):
    slack = client(api)
    parent = await slack.chat_postMessage(channel=api.channel.id, text="parent")
    await slack.chat_postMessage(channel=api.channel.id, text="reply", thread_ts=parent["ts"])
    api.delete_message(api.channel.by_ts[parent["ts"]])
    assert api.channel.by_ts[parent["ts"]].subtype == "tombstone"
    lonely = await slack.chat_postMessage(channel=api.channel.id, text="lonely")
    api.delete_message(api.channel.by_ts[lonely["ts"]])
    stray = await slack.chat_postMessage(channel=api.channel.id, text="stray", thread_ts=lonely["ts"])
    assert "thread_ts" not in stray["message"]


async def test_ephemeral_messages_and_direct_messages(api):
    slack = client(api)
    sent = await slack.chat_postEphemeral(channel=api.channel.id, user=api.ada.id, text="only you")
    assert (api.channel.messages, [m.text for m in api.ephemerals(api.ada)]) == ([], ["only you"])
    changed = slack.chat_update(channel=api.channel.id, ts=sent["message_ts"], text="x")
    assert await refused(changed) == "message_not_found"
    dm = await slack.conversations_open(users=api.ada.id)
    await slack.chat_postMessage(channel=dm["channel"]["id"], text="hello")
    await slack.chat_postMessage(channel=api.ada.id, text="hello again")
    assert [m.text for m in api.dm(api.ada).messages] == ["hello", "hello again"]
    api.deactivate(api.bob)
    assert await refused(slack.conversations_open(users=api.bob.id)) == "user_disabled"
    assert (
        await refused(slack.chat_postEphemeral(channel=api.channel.id, user=api.bob.id, text="x"))
        == "user_not_in_channel"
    )


@pytest.mark.parametrize(
    "block",
    [
        {"type": "section"},
        {"type": "section", "text": {"type": "mrkdwn", "text": ""}},
        {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}},
        {"type": "section", "text": {"type": "mrkdwn", "text": "x"}, "colour": "red"},
        {"type": "section", "text": {"type": "plain_text", "text": "x", "verbatim": True}},
        {"type": "header", "text": {"type": "mrkdwn", "text": "x"}},
        {"type": "header", "text": {"type": "plain_text", "text": "x" * 151}},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "x"}] * 11},
        {"type": "actions", "elements": []},
        buttons("x" * 76),
        buttons("Again", value="v" * 2001),
        buttons("Again", "Again"),
        buttons(*[f"b{n}" for n in range(26)]),
        {"type": "image", "alt_text": "a car"},
        {"type": "image", "alt_text": "", "image_url": "https://example.com/a.png"},
        {"type": "image", "alt_text": "a car", "slack_file": {"id": "F404"}},
        {"type": "gallery"},
        {"type": "divider", "block_id": "x" * 256},
    ],
)  # fmt: skip
async def test_block_kit_has_limits(api, block):
    assert (
        await refused(client(api).chat_postMessage(channel=api.channel.id, text="x", blocks=[block]))
        == "invalid_blocks"
    )
    assert api.channel.messages == []
    with pytest.raises(AssertionError):
        api.assert_valid()


async def test_what_mentions_and_links_is_told_from_what_is_escaped(api):
    blocks = [
        {"type": "section", "text": {"type": "mrkdwn", "text": f"<!channel> <@{api.ada.id}> <https://x.test|here>"}},
        {"type": "section", "text": {"type": "plain_text", "text": "<!here> https://y.test"}},
        {"type": "section", "text": {"type": "mrkdwn", "text": "&lt;!everyone&gt;"}},
        {
            "type": "rich_text",
            "elements": [
                {
                    "type": "rich_text_section",
                    "elements": [{"type": "text", "text": "<!here>"}, {"type": "user", "user_id": "U1"}],
                }
            ],
        },
    ]
    await client(api).chat_postMessage(channel=api.channel.id, text="fallback &lt;!here&gt;", blocks=blocks)
    message = api.channel.last
    assert set(message.pings) == {"channel", api.ada.id, "U1"}
    assert message.links == ["https://x.test"]
    assert "<!everyone>" in message.text


# files


async def upload(api, data=PNG, name="a.png", **where):
    slack = client(api)
    got = await slack.files_getUploadURLExternal(filename=name, length=len(data), alt_txt="a red car")
    async with aiohttp.ClientSession() as session, session.post(got["upload_url"], data=data) as answer:
        assert await answer.text() == f"OK - {len(data)}"
    done = await slack.files_completeUploadExternal(files=[{"id": got["file_id"], "title": "car"}], **where)
    return api.files[got["file_id"]], done


async def test_a_file_is_shared_some_time_after_its_completion(api):
    slack = client(api)
    parent = await slack.chat_postMessage(channel=api.channel.id, text="parent")
    api.hold_files()
    file, done = await upload(api, channel_id=api.channel.id, thread_ts=parent["ts"])
    assert done["files"] == [{"id": file.id, "title": "car"}]
    info = (await slack.files_info(file=file.id))["file"]
    assert (info["mimetype"], info["shares"]) == ("", {})
    api.release_files()
    await api.until(lambda: api.channel.thread(parent["ts"]))
    info = (await slack.files_info(file=file.id))["file"]
    [share] = info["shares"]["public"][api.channel.id]
    assert (info["mimetype"], share["thread_ts"]) == ("image/png", parent["ts"])
    assert api.channel.by_ts[share["ts"]].files == [file]
    again = slack.files_completeUploadExternal(files=[{"id": file.id, "title": "car"}])
    assert await refused(again) == "file_not_found"
    await slack.files_delete(file=file.id)
    assert await refused(slack.files_info(file=file.id)) == "file_deleted"


async def test_a_file_is_refused_where_the_app_is_not_and_may_still_go_elsewhere(api):
    with pytest.raises(SlackApiError, match="not_in_channel"):
        await upload(api, channel_id=api.elsewhere.id)
    [file] = api.files.values()
    await client(api).files_completeUploadExternal(files=[{"id": file.id}], channel_id=api.private_channel.id)
    await api.until(lambda: file.shares.get("private"))


@pytest.mark.parametrize(("kind", "is_shown"), [("PNG", True), ("JPEG", True), ("WEBP", False)])
async def test_a_picture_is_in_a_message_once_its_file_is_processed(api, kind, is_shown):
    slack = client(api)
    api.hold_files()
    file, _ = await upload(api, picture(kind))
    image = {"type": "image", "alt_text": "a red car", "slack_file": {"id": file.id}}
    post = {"channel": api.channel.id, "text": "x", "blocks": [image]}
    assert await refused(slack.chat_postMessage(**post)) == "invalid_blocks"
    api.release_files()
    await api.until(lambda: file.is_processed)
    if is_shown:
        await slack.chat_postMessage(**post)
        assert api.channel.last.pictures == [file.id]
    else:
        assert await refused(slack.chat_postMessage(**post)) == "invalid_blocks"


async def test_private_files_are_for_the_bearer_only(api):
    file = await api.upload(api.ada, api.channel, Upload(PNG))
    async with aiohttp.ClientSession() as session:
        async with session.get(file.url, headers={"Authorization": f"Bearer {api.bot_token}"}) as answer:
            assert await answer.read() == PNG
        async with session.get(file.url) as answer:
            assert answer.content_type == "text/html"
        async with session.get(file.url, headers={"Authorization": "Bearer no"}, allow_redirects=False) as answer:
            assert answer.status == 302
        async with session.get(f"{api.elsewhere_url}/a.png", headers={"Authorization": "Bearer oh"}):
            assert api.leaks == ["GET /a.png Bearer oh"]


# views


async def test_a_trigger_is_good_once_and_for_three_seconds(api):
    slack = client(api)
    asked = await api.slash(api.ada, api.channel, "/imagine")
    trigger = asked.payload["trigger_id"]
    wrong = FORM | {"title": {"type": "plain_text", "text": "x" * 25}}
    assert await refused(slack.views_open(trigger_id=trigger, view=wrong)) == "invalid_arguments"
    opened = await slack.views_open(trigger_id=trigger, view=FORM)
    assert await refused(slack.views_open(trigger_id=trigger, view=FORM)) == "exchanged_trigger_id"
    late = (await api.slash(api.ada, api.channel, "/imagine")).payload["trigger_id"]
    api.advance(3.1)
    assert await refused(slack.views_open(trigger_id=late, view=FORM)) == "expired_trigger_id"
    view_id, old = opened["view"]["id"], opened["view"]["hash"]
    await slack.views_update(view_id=view_id, hash=old, view=FORM)
    assert await refused(slack.views_update(view_id=view_id, hash=old, view=FORM)) == "hash_conflict"
    await api.close_view(api.ada, api.views[view_id])
    assert await refused(slack.views_update(view_id=view_id, view=FORM)) == "not_found"


async def test_views_are_stacked_three_deep_and_cleared_at_once(api):
    slack, asked = client(api), await api.slash(api.ada, api.channel, "/imagine")
    await slack.views_open(trigger_id=asked.payload["trigger_id"], view=FORM | {"notify_on_close": True})
    below = [asked.modal]
    for _ in range(2):
        pressed = await api.press(api.ada, below[-1], "Again", unchecked=True)
        await slack.views_push(trigger_id=pressed.payload["trigger_id"], view=FORM)
        below.append(pressed.modal)
    pressed = await api.press(api.ada, below[-1], "Again", unchecked=True)
    fourth = slack.views_push(trigger_id=pressed.payload["trigger_id"], view=FORM)
    assert await refused(fourth) == "push_limit_reached"
    assert [view.previous_id for view in below] == [None, below[0].id, below[1].id]
    submitted = await api.submit(api.ada, below[-1], {"Prompt": "a boat"})
    api.take_answer(submitted, {"response_action": "clear"})
    assert [view.is_open for view in below] == [False] * 3
    opened = await api.slash(api.ada, api.channel, "/imagine")
    await slack.views_open(trigger_id=opened.payload["trigger_id"], view=FORM | {"notify_on_close": True})
    closed = await api.close_view(api.ada, opened.modal)
    assert (closed.payload["type"], opened.modal.is_open) == ("view_closed", False)


async def test_an_answer_to_a_form_that_makes_no_sense_is_noticed(api):
    asked = await api.slash(api.ada, api.channel, "/imagine")
    await client(api).views_open(trigger_id=asked.payload["trigger_id"], view=FORM)
    act = await api.submit(api.ada, asked.modal, {"Prompt": "a boat"})
    for answer in ({"response_action": "errors", "errors": {"size": "too large"}}, {"response_action": "explode"}):
        with pytest.raises(rules.Refusal):
            api.take_answer(act, answer)


async def test_a_select_is_chosen_from_in_a_message(api):
    options = [{"text": {"type": "plain_text", "text": name.title()}, "value": name} for name in ("full", "draft")]
    select = {"type": "static_select", "action_id": "again", "options": options}
    select["placeholder"] = {"type": "plain_text", "text": "Quality"}
    blocks = [SECTION, {"type": "actions", "elements": [select]}]
    await client(api).chat_postMessage(channel=api.channel.id, text="x", blocks=blocks)
    with pytest.raises(NotOffered):
        await api.press(api.ada, api.channel.last, "Quality", option="half")
    act = await api.press(api.ada, api.channel.last, "Quality", option="Draft")
    assert act.payload["actions"][0]["selected_option"]["value"] == "draft"


# response URLs


async def test_a_response_url_is_good_five_times_and_for_thirty_minutes(api):
    asked = await api.slash(api.ada, api.elsewhere, "/imagine", "a red car")
    url = asked.payload["response_url"]
    async with aiohttp.ClientSession() as session:

        async def respond(**form):
            async with session.post(url, json=form) as answer:
                return answer.status, await answer.text()

        assert await respond(text="only you") == (200, "ok")
        assert (await respond(blocks=[{"type": "nothing"}], text="x"))[0] == 400
        for _ in range(4):
            await respond(text="everybody", response_type="in_channel")
        status, body = await respond(text="too often")
        assert (status, json.loads(body)["error"]) == (404, "used_url")
        url = (await api.slash(api.ada, api.channel, "/imagine", "x")).payload["response_url"]
        api.advance(1801)
        assert json.loads((await respond(text="late"))[1])["error"] == "expired_url"
    assert [m.text for m in api.elsewhere.messages] == ["everybody"] * 4
    assert api.elsewhere.messages[0].was_command == "/imagine a red car"


async def test_a_response_url_of_a_button_replaces_or_deletes_its_message(api):
    await client(api).chat_postMessage(channel=api.channel.id, text="x", blocks=[buttons("Again")])
    message = api.channel.last
    pressed = await api.press(api.ada, message, "Again")
    async with aiohttp.ClientSession() as session:
        await session.post(pressed.payload["response_url"], json={"text": "y", "replace_original": True})
        assert message.text == "y"
        await session.post(pressed.payload["response_url"], json={"delete_original": True})
    assert message.is_deleted


# scopes, tokens, limits, faults


async def test_each_method_needs_its_scope(api):
    slack = client(api)
    test = await slack.auth_test()
    assert test.headers["x-oauth-scopes"].split(",") == list(api.scopes)
    api.scopes = ("commands",)
    with pytest.raises(SlackApiError) as caught:
        await slack.chat_postMessage(channel=api.channel.id, text="x")
    assert (caught.value.response["needed"], caught.value.response["provided"]) == ("chat:write", "commands")
    assert await refused(slack.conversations_replies(channel=api.channel.id, ts="1.1")) == "missing_scope"


async def test_tokens_are_told_apart(api):
    assert await refused(client(api, "xoxb-other").auth_test()) == "invalid_auth"
    assert await refused(client(api).apps_connections_open(app_token=api.bot_token)) == "not_allowed_token_type"
    assert await refused(client(api, api.app_token).users_info(user=api.ada.id)) == "not_allowed_token_type"
    api.revoke_token()
    assert await refused(client(api).auth_test()) == "token_revoked"
    await api.remove_app()
    assert await refused(client(api).auth_test()) == "account_inactive"


async def test_people_are_who_they_are(api):
    slack = client(api)
    info = {user.name: (await slack.users_info(user=user.id))["user"] for user in api.users.values()}
    assert [name for name, user in info.items() if user["is_admin"]] == ["olga", "adam"]
    assert (info["gus"]["is_restricted"], info["zoe"]["is_stranger"], info["limner"]["is_bot"]) == (True, True, True)
    api.deactivate(api.adam)
    assert "is_admin" not in (await slack.users_info(user=api.adam.id))["user"]
    assert await refused(slack.users_info(user="U404")) == "user_not_found"


async def test_faults_come_before_or_after_the_effect(api):
    slack = client(api)
    api.fail("chat.postMessage", status=502)
    with pytest.raises(SlackApiError):
        await slack.chat_postMessage(channel=api.channel.id, text="1")
    api.fail("chat.postMessage", drop=True)
    with pytest.raises(aiohttp.ClientError):
        await slack.chat_postMessage(channel=api.channel.id, text="2")
    api.fail("chat.postMessage", drop=True, after=True)
    with pytest.raises(aiohttp.ClientError):
        await slack.chat_postMessage(channel=api.channel.id, text="3")
    api.fail("chat.postMessage", retry_after=7)
    with pytest.raises(SlackApiError) as caught:
        await slack.chat_postMessage(channel=api.channel.id, text="4")
    assert (caught.value.response.status_code, caught.value.response.headers["Retry-After"]) == (429, "7")
    api.fail("chat.*", error="fatal_error")
    assert await refused(slack.chat_postMessage(channel=api.channel.id, text="5")) == "fatal_error"
    assert [m.text for m in api.channel.messages] == ["3"]


async def test_what_waits_as_its_sender_goes_never_arrives(api):
    hold = api.hold("chat.postMessage")
    asking = asyncio.create_task(client(api).chat_postMessage(channel=api.channel.id, text="x"))
    await api.until(lambda: hold.hits)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    hold.release()
    await client(api).chat_postMessage(channel=api.channel.id, text="y")
    assert [m.text for m in api.channel.messages] == ["y"]


async def test_files_that_the_scan_refuses_are_never_shared(api):
    api.refuses_files = True
    file, _ = await upload(api, channel_id=api.channel.id)
    await asyncio.sleep(2 * api.processing_seconds)
    assert (api.channel.messages, (await client(api).files_info(file=file.id))["file"]["shares"]) == ([], {})


async def test_messages_that_are_too_old_cannot_be_changed_where_the_workspace_says_so(api):
    posted = await client(api).chat_postMessage(channel=api.channel.id, text="x")
    api.edit_window_seconds = 300
    api.advance(301)
    changed = client(api).chat_update(channel=api.channel.id, ts=posted["ts"], text="y")
    assert await refused(changed) == "edit_window_closed"


async def test_the_tiers_hold_when_they_are_enforced(api):
    slack = client(api)
    api.enforce_tiers()
    posted = await slack.chat_postMessage(channel=api.channel.id, text="x")
    for number in range(50):
        await slack.chat_update(channel=api.channel.id, ts=posted["ts"], text=str(number))
    assert await refused(slack.chat_update(channel=api.channel.id, ts=posted["ts"], text="x")) == "ratelimited"
    api.advance(61)
    await slack.chat_update(channel=api.channel.id, ts=posted["ts"], text="x")


async def test_the_manifest_says_what_there_is(api):
    api.install(
        {
            "features": {
                "slash_commands": [{"command": "/draw"}],
                "shortcuts": [{"callback_id": "info", "type": "message"}],
                "app_home": {"home_tab_enabled": False},
            },
            "oauth_config": {"scopes": {"bot": ["commands", "chat:write"]}},
            "settings": {},
        }
    )
    with pytest.raises(NotOffered):
        await api.slash(api.ada, api.channel, "/imagine", "x")
    with pytest.raises(NotOffered):
        await api.shortcut(api.ada, "info")
    assert (await api.mention(api.ada, api.channel, "x")).deliveries == 0
    assert await refused(client(api).views_publish(user_id=api.ada.id, view=HOME)) == "not_enabled"


async def test_a_view_is_checked_as_a_whole():
    rules.check_view(FORM, lambda named: None)
    without = {key: value for key, value in FORM.items() if key != "submit"}
    for wrong in (without, FORM | {"private_metadata": "x" * 3001}, FORM | {"colour": "red"}, HOME):
        with pytest.raises(rules.Refusal):
            rules.check_view(wrong, lambda named: None)
