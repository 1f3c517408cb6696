"""The stand-in Discord against a real discord.py: other tests rest on its rules."""

import asyncio
import io
import json
import logging
import os
import warnings

import aiohttp
import pytest
import yarl

from tests.discord_api import DiscordAPI, NotOffered, Permission, Upload
from tests.discord_api.contract import answer_violations

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # it imports audioop
    import discord
    from discord import app_commands

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x40\0\0\0\x20" + b"\0" * 40


class Pupil(discord.AutoShardedClient):
    """A bot with one of everything that Limner does on Discord."""

    def __init__(self, **options):
        intents = discord.Intents(guilds=True, guild_messages=True, dm_messages=True)
        super().__init__(
            intents=intents,
            allowed_mentions=discord.AllowedMentions.none(),
            guild_ready_timeout=0.05,
            max_messages=None,
            **options,
        )
        self.heard, self.resumes, self.guild_names = [], 0, []
        self.tree = app_commands.CommandTree(self)
        self.tree.command(name="imagine", description="Draws")(imagine)
        admin = app_commands.Group(
            name="limner-admin", description="Runs it", default_permissions=discord.Permissions(manage_guild=True)
        )
        job = app_commands.Group(name="job", description="Jobs", parent=admin)
        job.command(name="cancel", description="Ends one")(cancel)
        self.tree.add_command(admin)
        self.tree.add_command(app_commands.ContextMenu(name="Re-roll", callback=reroll))

    async def setup_hook(self):
        await self.tree.sync()

    async def before_identify_hook(self, shard_id, *, initial=False):
        """Without the five seconds between shards."""

    async def on_message(self, message):
        if message.author != self.user:
            self.heard.append(message)

    async def on_resumed(self):
        self.resumes += 1

    async def on_interaction(self, interaction):
        kind = interaction.type
        if kind is discord.InteractionType.component:
            await pressed(interaction)
        elif kind is discord.InteractionType.modal_submit:
            await interaction.response.send_message(str(interaction.data["components"]), ephemeral=True)


async def choices(interaction: discord.Interaction, current: str):
    return [app_commands.Choice(name=f"{current} one", value="one")]


@app_commands.autocomplete(model=choices)
async def imagine(
    interaction: discord.Interaction,
    prompt: app_commands.Range[str, 1, 100],
    model: str = "",
    image: discord.Attachment | None = None,
):
    if prompt == "silence":
        return
    if prompt == "private":
        await interaction.response.defer(ephemeral=True)
        await interaction.edit_original_response(content="only you")
        return
    answer = await interaction.response.send_message(f"{prompt} {interaction.locale}", view=buttons())
    if image is not None:
        await interaction.followup.send(f"{len(await image.read())} bytes, {image.width} wide")
    if prompt == "a red car":
        message = interaction.channel.get_partial_message(answer.message_id)
        await message.edit(content="done", attachments=[discord.File(io.BytesIO(PNG), "a.png", description="a car")])


async def cancel(interaction: discord.Interaction, number: int):
    await interaction.response.send_message(f"cancelled {number}", ephemeral=True)


async def reroll(interaction: discord.Interaction, message: discord.Message):
    await interaction.response.send_message(f"again: {message.content}")


async def pressed(interaction: discord.Interaction):
    verb = interaction.data["custom_id"]
    if verb == "remix":
        form = discord.ui.Modal(title="Remix", custom_id="form")
        form.add_item(discord.ui.TextInput(label="Prompt", custom_id="prompt", default="a car"))
        await interaction.response.send_modal(form)
    elif verb == "thread":
        await interaction.response.defer()
        thread = await interaction.message.create_thread(name="Variations", auto_archive_duration=60)
        await thread.send("in the thread", nonce="one")
        await thread.send("in the thread", nonce="one")
    else:
        await interaction.response.edit_message(content="pressed", view=None)


def buttons():
    view = discord.ui.View(timeout=None)
    for verb in ("again", "remix", "thread"):
        view.add_item(discord.ui.Button(label=verb.title(), custom_id=verb))
    view.stop()
    return view


@pytest.fixture
async def api():
    async with DiscordAPI() as api:
        yield api


@pytest.fixture(autouse=True)
def _pointed_at_loopback(monkeypatch):
    logging.getLogger("discord").setLevel(logging.CRITICAL)
    monkeypatch.setattr(discord.http.Route, "BASE", discord.http.Route.BASE)
    monkeypatch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL("ws://127.0.0.1:1"))


def point(api):
    discord.http.Route.BASE = api.url
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(api.gateway_url)


class Running:
    def __init__(self, api, **options):
        self.api, self.options = api, options

    async def __aenter__(self):
        point(self.api)
        self.pupil = Pupil(**self.options)
        self.task = self.pupil.running = asyncio.create_task(self.pupil.start(self.api.token))
        await self.api.until(lambda: self.task.done() or (self.api.is_connected and len(self.pupil.guilds)))
        return self.pupil

    async def __aexit__(self, *error):
        await self.pupil.close()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.fixture
async def pupil(api):
    async with Running(api) as pupil:
        yield pupil


@pytest.fixture
async def ask(api):
    """A bare client with the bot's token: (status, code, document)."""
    async with aiohttp.ClientSession(headers={"Authorization": f"Bot {api.token}"}) as session:

        async def ask(method, path, form=None, *, files=(), **query):
            data = None
            if files:
                data = aiohttp.FormData(quote_fields=False)
                data.add_field("payload_json", json.dumps(form or {}))
                for index, (name, content) in enumerate(files):
                    part = io.BytesIO(content)
                    data.add_field(f"files[{index}]", part, filename=name, content_type="application/octet-stream")
            kwargs = {"data": data} if files else {"json": form} if form is not None else {}
            async with session.request(method, api.url + path, params=query, **kwargs) as response:
                document = await response.json() if response.status != 204 else None
                return response.status, document.get("code") if isinstance(document, dict) else None, document

        yield ask


async def test_a_command_is_answered_edited_with_a_file_and_every_state_is_kept(api, pupil):
    asked = await api.slash(api.ada, api.channel, "imagine", {"prompt": "a red car"}, locale="de")
    assert asked.response["type"] == 4
    await api.until(lambda: asked.message.attachments)
    assert [state.content for state in asked.message.history] == ["a red car de", "done"]
    assert asked.message.labels == ["Again", "Remix", "Thread"]
    picture = asked.message.attachments[0]
    assert (picture.data, picture.description, picture.width) == (PNG, "a car", 64)
    async with aiohttp.ClientSession() as session, session.get(picture.url) as response:
        assert await response.read() == PNG
    api.assert_valid()


async def test_what_people_do_reaches_the_bot(api, pupil):
    asked = await api.slash(api.ada, api.channel, "imagine", {"prompt": "a", "image": Upload(PNG)})
    await api.until(lambda: asked.followups)
    assert asked.followups[0].content == f"{len(PNG)} bytes, 64 wide"
    assert await api.autocomplete(api.ada, api.channel, "imagine", "model", "fl", {"prompt": "a"}) == [
        {"name": "fl one", "value": "one"}
    ]
    form = await api.press(api.bob, asked.message, "Remix")
    sent = await api.submit(api.bob, form, {"Prompt": "a boat"})
    assert "'value': 'a boat'" in sent.message.content
    assert sent.message.is_ephemeral
    again = await api.menu(api.bob, "Re-roll", asked.message)
    assert again.message.content == "again: a en-US"
    cancelled = await api.slash(api.owner, api.channel, "limner-admin job cancel", {"number": 7})
    assert cancelled.message.content == "cancelled 7"
    await api.press(api.bob, asked.message, "again")
    assert (asked.message.content, asked.message.buttons) == ("pressed", [])
    api.assert_valid()


async def test_a_client_offers_only_what_a_person_may_use(api, pupil):
    with pytest.raises(NotOffered):
        await api.slash(api.ada, api.channel, "limner-admin job cancel", {"number": 7})
    with pytest.raises(NotOffered):
        await api.slash(api.ada, api.channel, "imagine", {"prompt": "x" * 101})
    asked = await api.slash(api.ada, api.channel, "imagine", {"prompt": "a"})
    with pytest.raises(NotOffered):
        await api.press(api.ada, asked.message, "Delete")


async def test_threads_take_their_message_s_id_and_the_nonce_keeps_a_message_single(api, pupil, ask):
    asked = await api.slash(api.ada, api.channel, "imagine", {"prompt": "a"})
    await api.press(api.ada, asked.message, "Thread")
    thread = await api.until(lambda: asked.message.thread)
    assert thread.id == asked.message.id
    await api.until(lambda: len([r for r in api.requests if r.status and f"/channels/{thread.id}/" in r.path]) == 2)
    assert [message.content for message in thread.messages] == ["in the thread"]
    path = f"/channels/{api.channel.id}/messages/{asked.message.id}/threads"
    assert (await ask("POST", path, {"name": "x"}))[:2] == (400, 160004)
    inner = f"/channels/{thread.id}/messages/{thread.last.id}"
    assert (await ask("POST", inner + "/threads", {"name": "x"}))[:2] == (400, 50024)
    api.archive(thread)
    assert (await ask("PATCH", inner, {"content": "x"}))[:2] == (400, 50083)
    api.advance(api.nonce_window_seconds + 1)
    form = {"content": "in the thread", "nonce": "one", "enforce_nonce": True}
    assert (await ask("POST", f"/channels/{thread.id}/messages", form))[0] == 200
    assert (len(thread.messages), thread.archived) == (2, False)
    api.delete_thread(thread)
    assert (await ask("PATCH", inner, {"content": "x"}))[:2] == (404, 10003)


async def test_words_are_read_where_they_are_meant_for_the_bot(api, pupil):
    said = [
        await api.say(api.ada, api.channel, "among us"),
        await api.say(api.ada, api.channel, f"{api.bot.mention} a boat"),
        await api.say(api.ada, api.dm(api.ada), "in private"),
    ]
    await api.until(lambda: len(pupil.heard) == 3)
    assert [m.content for m in pupil.heard] == ["", said[1].content, "in private"]


async def test_private_answers_are_seen_by_one_and_reached_by_their_token_only(api, pupil, ask):
    asked = await api.slash(api.ada, api.channel, "imagine", {"prompt": "private"})
    await api.until(lambda: asked.message.content == "only you")
    assert asked.message.history[0].is_loading
    assert asked.message in api.shown_to(api.ada, api.channel)
    assert asked.message not in api.shown_to(api.bob, api.channel)
    path = f"/channels/{api.channel.id}/messages/{asked.message.id}"
    assert (await ask("GET", path))[:2] == (404, 10008)
    assert (await ask("PATCH", path, {"content": "x"}))[:2] == (404, 10008)
    hook = f"/webhooks/{api.application_id}/{asked.token}/messages/@original"
    assert (await ask("GET", hook))[0] == 200
    api.advance(901)
    assert (await ask("PATCH", hook, {"content": "x"}))[:2] == (401, 50027)


async def test_the_first_answer_has_three_seconds_and_comes_once(api, pupil, ask):
    dead = await api.slash(api.ada, api.channel, "imagine", {"prompt": "silence"}, wait=None)
    late = f"/interactions/{dead.id}/{dead.token}/callback"
    hook = f"/webhooks/{api.application_id}/{dead.token}/messages/@original"
    assert (await ask("GET", hook))[:2] == (404, 10015)
    api.advance(3.1)
    assert dead.is_dead
    assert (await ask("POST", late, {"type": 5}))[:2] == (404, 10062)
    asked = await api.slash(api.ada, api.channel, "imagine", {"prompt": "a"})
    twice = f"/interactions/{asked.id}/{asked.token}/callback"
    assert (await ask("POST", twice, {"type": 5}))[:2] == (400, 40060)
    assert (await ask("POST", f"/interactions/1/{asked.token}/callback", {"type": 5}))[:2] == (404, 10062)
    lost = await api.slash(api.ada, api.channel, "imagine", {"prompt": "b"})
    api.kill_token(lost)
    path = f"/webhooks/{api.application_id}/{lost.token}"
    assert (await ask("POST", path, {"content": "x"}))[:2] == (401, 50027)


BUTTON = {"type": 2, "style": 1, "label": "x", "custom_id": "x"}


def row(*parts):
    return {"type": 1, "components": list(parts)}


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"content": "x" * 2000}, None),
        ({"content": "x" * 2001}, 50035),
        ({"content": " "}, 50006),
        ({"content": "x", "nonce": "n" * 26}, 50035),
        ({"content": "x", "components": [row(BUTTON)]}, None),
        ({"content": "x", "components": [row(BUTTON, BUTTON)]}, 50035),
        ({"content": "x", "components": [row(BUTTON | {"label": "x" * 81})]}, 50035),
        ({"content": "x", "components": [row(BUTTON | {"custom_id": "x" * 101})]}, 50035),
        ({"content": "x", "components": [row(*(BUTTON | {"custom_id": str(n)} for n in range(6)))]}, 50035),
        ({"content": "x", "components": [row(BUTTON | {"custom_id": str(n)}) for n in range(6)]}, 50035),
        ({"embeds": [{"description": "x" * 4097}]}, 50035),
        ({"embeds": [{"description": "x" * 3001}] * 2}, 50035),
        ({"embeds": [{"image": {"url": "attachment://no.png"}}]}, 50035),
        ({"content": "x", "flags": 1 << 15}, 50035),
        ({"flags": 1 << 15, "components": [{"type": 10, "content": "x"}]}, None),
        ({"content": "x", "message_reference": {"message_id": "1"}}, 50035),
    ],
)
async def test_a_message_that_discord_refuses(api, ask, form, code):
    status, found, _ = await ask("POST", f"/channels/{api.channel.id}/messages", form)
    assert (status, found) == (200 if code is None else 400, code)
    assert len(api.channel.messages) == (code is None)


async def test_files_have_a_limit_each_and_together_and_edits_keep_what_they_name(api, ask):
    path = f"/channels/{api.channel.id}/messages"
    big = b"\0" * (10 * 1024 * 1024 + 1)
    assert (await ask("POST", path, files=[("a.png", big)]))[:2] == (413, 40005)
    assert (await ask("POST", path, files=[(f"{n}.png", big[:-1]) for n in range(3)]))[:2] == (413, 40005)
    assert (await ask("POST", path, files=[("a.png", b"a")] * 11))[:2] == (400, 30015)
    assert api.channel.messages == []
    _, _, made = await ask("POST", path, files=[("a.png", b"a"), ("b.png", b"b")])
    message = api.channel.last
    entries = [{"id": made["attachments"][1]["id"]}, {"id": 0, "filename": "c.png"}]
    await ask("PATCH", f"{path}/{made['id']}", {"attachments": entries}, files=[("c.png", b"c")])
    assert [a.data for a in message.attachments] == [b"b", b"c"]
    await ask("PATCH", f"{path}/{made['id']}", {}, files=[("d.png", b"d")])
    assert [a.data for a in message.attachments] == [b"b", b"c", b"d"]
    await ask("PATCH", f"{path}/{made['id']}", {"attachments": [], "content": "gone"})
    assert message.attachments == []


@pytest.mark.parametrize(
    ("permission", "path", "form", "code"),
    [
        (Permission.VIEW_CHANNEL, "/messages", {"content": "x"}, 50001),
        (Permission.SEND_MESSAGES, "/messages", {"content": "x"}, 50013),
        (Permission.CREATE_PUBLIC_THREADS, "/messages/{message}/threads", {"name": "x"}, 50013),
    ],
)
async def test_what_the_bot_may_not_do(api, ask, permission, path, form, code):
    said = await api.say(api.ada, api.channel, "hello")
    path = f"/channels/{api.channel.id}" + path.format(message=said.id)
    api.forbid(api.channel, api.bot, permission)
    assert (await ask("POST", path, form))[:2] == (403, code)
    api.permit(api.channel, api.bot, permission)
    assert (await ask("POST", path, form))[0] in (200, 201)
    api.forbid(api.guild, api.bot, permission)
    assert (await ask("POST", path, form))[:2] == (403, code)


async def test_pings_are_what_allowed_mentions_lets_through(api, ask):
    path = f"/channels/{api.channel.id}/messages"
    text = f"@everyone {api.ada.mention} {api.bob.mention}"
    await ask("POST", path, {"content": text, "allowed_mentions": {"parse": []}})
    await ask("POST", path, {"content": text, "allowed_mentions": {"parse": [], "users": [str(api.bob.id)]}})
    await ask("POST", path, {"content": text})
    everybody = sorted(["@everyone", str(api.ada.id), str(api.bob.id)])
    assert [m.pings for m in api.channel.messages] == [[], [str(api.bob.id)], everybody]
    first = api.channel.messages[0]
    await ask("PATCH", f"{path}/{first.id}", {"content": text + "!"})
    assert first.pings == everybody


async def test_threads_have_permissions_and_locks_of_their_own(api, ask):
    thread = api.add_thread(api.channel, "Variations")
    path = f"/channels/{thread.id}/messages"
    api.forbid(api.channel, api.bot, Permission.SEND_MESSAGES)
    assert (await ask("POST", path, {"content": "x"}))[0] == 200
    api.archive(thread, locked=True)
    assert (await ask("POST", path, {"content": "x"}))[:2] == (403, 160005)
    api.archive(thread, archived=False, locked=False)
    api.forbid(api.channel, api.bot, Permission.ATTACH_FILES)
    assert (await ask("POST", path, files=[("a.png", b"a")]))[:2] == (403, 50013)
    api.forbid(api.channel, api.bot, Permission.SEND_MESSAGES_IN_THREADS)
    assert (await ask("POST", path, {"content": "x"}))[:2] == (403, 50013)
    api.max_active_threads = 1
    said = await api.say(api.ada, api.channel, "hello")
    start = f"/channels/{api.channel.id}/messages/{said.id}/threads"
    assert (await ask("POST", start, {"name": "x"}))[:2] == (400, 160006)
    dm = api.dm(api.ada)
    said = await api.say(api.ada, dm, "hello")
    assert (await ask("POST", f"/channels/{dm.id}/messages/{said.id}/threads", {"name": "x"}))[:2] == (400, 50024)
    api.ada.accepts_dms = False
    assert (await ask("POST", f"/channels/{dm.id}/messages", {"content": "x"}))[:2] == (403, 50007)


async def test_others_messages_and_places_that_are_not_there(api, ask):
    said = await api.say(api.ada, api.channel, "hello")
    path = f"/channels/{api.channel.id}/messages/{said.id}"
    assert (await ask("PATCH", path, {"content": "x"}))[:2] == (403, 50005)
    assert (await ask("DELETE", path))[:2] == (403, 50013)
    api.permit(api.guild, api.bot, Permission.MANAGE_MESSAGES)
    assert (await ask("DELETE", path))[0] == 204
    assert (await ask("GET", path))[:2] == (404, 10008)
    assert (await ask("GET", "/channels/1"))[:2] == (404, 10003)
    api.remove_bot(api.guild)
    assert (await ask("GET", f"/channels/{api.channel.id}"))[:2] == (403, 50001)


async def test_messages_are_listed_newest_first_between_two_of_them(api, ask):
    path = f"/channels/{api.channel.id}/messages"
    made = [(await ask("POST", path, {"content": str(n)}))[2] for n in range(4)]
    listed = [
        [m["content"] for m in (await ask("GET", path, **query))[2]]
        for query in ({"after": made[0]["id"], "limit": 2}, {"before": made[3]["id"], "limit": 2}, {})
    ]
    assert listed == [["2", "1"], ["2", "1"], ["3", "2", "1", "0"]]
    assert (await ask("GET", path, limit=101))[:2] == (400, 50035)


def chat(name="imagine", description="Draws", **more):
    return {"name": name, "description": description, "type": 1, **more}


@pytest.mark.parametrize(
    ("commands", "is_accepted"),
    [
        ([chat(), chat("limner")], True),
        ([chat(), chat()], False),
        ([chat("Imagine")], False),
        ([chat(description="x" * 101)], False),
        ([chat(options=[{"type": 3, "name": f"o{n}", "description": "x"} for n in range(26)])], False),
        ([chat(options=[{"type": 3, "name": "a", "description": ""}])], False),
        ([chat(name_localizations={"de": "x" * 33})], False),
        ([chat(options=[{"type": 3, "name": f"o{n}", "description": "x" * 100} for n in range(25)])] * 1, True),
        ([{"name": f"Menu {n}", "type": 3} for n in range(15)], True),
        ([{"name": f"Menu {n}", "type": 3} for n in range(16)], False),
    ],
)
async def test_commands_have_limits_and_keep_their_ids(api, ask, commands, is_accepted):
    path = f"/applications/{api.application_id}/commands"
    status, _, first = await ask("PUT", path, commands)
    assert (status == 200) is is_accepted
    if is_accepted:
        assert [c["id"] for c in (await ask("PUT", path, commands))[2]] == [c["id"] for c in first]
        assert (await ask("GET", path))[0] == 200


async def test_the_address_of_a_file_expires(api, ask):
    made = await ask("POST", f"/channels/{api.channel.id}/messages", files=[("a.png", PNG)])
    url = made[2]["attachments"][0]["url"]
    async with aiohttp.ClientSession() as session:
        for seconds, status in ((0, 200), (24 * 3600 + 1, 404)):
            api.advance(seconds)
            async with session.get(url) as response:
                assert response.status == status
    assert len(api.downloads) == 2


async def test_faults_come_before_or_after_the_deed(api, ask):
    path = f"/channels/{api.channel.id}/messages"
    api.fail("POST", r"/channels/\d+/messages", status=500, times=2)
    api.fail("POST", r"/channels/\d+/messages", status=502, after=True)
    assert [(await ask("POST", path, {"content": "x"}))[0] for _ in range(4)] == [500, 500, 502, 200]
    assert len(api.channel.messages) == 2
    api.fail("POST", "/channels/{channel_id}/messages", drop=True, after=True)
    with pytest.raises(aiohttp.ClientError):
        await ask("POST", path, {"content": "x"})
    assert len(api.channel.messages) == 3
    api.fail("POST", r"/channels/\d+/messages", status=429, retry_after=2.5, scope="shared")
    status, _, document = await ask("POST", path, {"content": "x"})
    assert (status, document["retry_after"], document["global"]) == (429, 2.5, False)
    api.limit("POST", r"/channels/\d+/messages", limit=1, per=5)
    assert [(await ask("POST", path, {"content": "x"}))[0] for _ in range(2)] == [200, 429]
    api.advance(5)
    assert (await ask("POST", path, {"content": "x"}))[0] == 200
    held = api.hold("GET", r"/users/@me")
    waiting = asyncio.create_task(ask("GET", "/users/@me"))
    await api.until(lambda: held.hits)
    held.release()
    assert (await waiting)[0] == 200


async def test_a_dropped_gateway_is_resumed_and_nothing_is_missed(api, pupil):
    for _ in range(2):
        resumed = pupil.resumes
        await api.drop_gateway()
        asked = await api.slash(api.ada, api.channel, "imagine", {"prompt": "meanwhile"})
        assert asked.message.content == "meanwhile en-US"
        await api.until(lambda before=resumed: pupil.resumes > before)
    await api.ask_reconnect()
    await api.until(lambda: pupil.resumes == 3)
    await api.invalidate_session()
    await api.until(lambda: [name for name, _ in api.gateway_log].count("identify") == 2 and api.is_connected)
    assert (await api.slash(api.ada, api.channel, "imagine", {"prompt": "after"})).message.content == "after en-US"


@pytest.mark.parametrize(("spoil", "code"), [("token", 4004), ("intents", 4014), ("revoked", 4004)])
async def test_the_gateway_refuses_for_good(api, spoil, code):
    if spoil == "intents":
        api.allowed_intents = 1
    async with Running(api) as pupil:
        if spoil == "revoked":
            api.revoke_token()
        if spoil == "token":
            pupil.http.token = "wrong"
            await api.invalidate_session()
        with pytest.raises((discord.ConnectionClosed, discord.PrivilegedIntentsRequired)) as caught:
            await asyncio.wait_for(asyncio.shield(pupil.running), 10)
        assert isinstance(caught.value, discord.PrivilegedIntentsRequired) or caught.value.code == code


@pytest.mark.parametrize(
    ("first", "changes", "code"),
    [
        (2, {"token": "wrong"}, 4004),
        (2, {"shard": [2, 2]}, 4010),
        (2, {"shard": [0, 1]}, 4011),
        (2, {"intents": 1 << 40}, 4013),
        (2, {"intents": 1 << 15}, 4014),
        (8, {}, 4003),
        (6, {"session_id": "of old", "seq": 3}, None),
    ],
)
async def test_who_may_begin_a_session(first, changes, code):
    async with DiscordAPI(shards=2) as api, aiohttp.ClientSession() as session:
        async with session.ws_connect(api.gateway_url) as socket:
            assert (await socket.receive_json())["op"] == 10
            data = {"token": api.token, "intents": 1, "shard": [0, 2]} | changes
            await socket.send_json({"op": first, "d": data})
            answer = await socket.receive()
            if code is None:
                assert answer.json()["op"] == 9
                assert answer.json()["d"] is False
            else:
                assert answer.data == code
        assert not api.sessions


async def test_an_interaction_can_come_twice_and_an_answer_late(api, pupil):
    asked = await api.slash(api.ada, api.channel, "imagine", {"prompt": "a"})
    api.redeliver(asked)
    callbacks = ("POST", "/interactions/{interaction_id}/{interaction_token}/callback")
    await api.until(lambda: len(api.asked(*callbacks)) == 2)
    assert await api.until(lambda: [r.status for r in api.asked(*callbacks)] == [200, 400])
    slow = api.slow(0.02, callbacks[1], after=True)
    lost = await api.slash(api.ada, api.channel, "imagine", {"prompt": "a"})
    assert (slow.hits, lost.is_dead, lost.message.content) == (1, False, "a en-US")
    slow.end()
    api.slow(0.05, callbacks[1])
    dead = await api.slash(api.ada, api.channel, "imagine", {"prompt": "a"}, wait=None)
    api.advance(3)
    refused = await api.until(lambda: [r for r in api.asked(*callbacks) if r.status == 404])
    assert (dead.is_dead, refused[0].answer["code"]) == (True, 10062)


async def test_a_revoked_token_is_refused_everywhere(api, ask):
    assert (await ask("GET", "/users/@me"))[0] == 200
    api.revoke_token()
    assert (await ask("GET", "/users/@me"))[0] == 401
    assert (await ask("GET", f"/channels/{api.channel.id}"))[0] == 401


async def test_each_shard_has_its_guilds():
    async with DiscordAPI(shards=2) as api:
        other = api.add_guild("The Annexe")
        elsewhere = api.add_channel("drafts", guild=other)
        async with Running(api) as pupil:
            await api.until(lambda: len(pupil.guilds) == 2)
            assert sorted(guild.shard_id for guild in pupil.guilds) == [0, 1]
            for channel in (api.channel, elsewhere, api.dm(api.ada)):
                asked = await api.slash(api.ada, channel, "imagine", {"prompt": "here"})
                assert asked.message.content == "here en-US"
            api.assert_valid()


needs_contracts = pytest.mark.skipif(
    not os.environ.get("LIMNER_CONTRACTS"), reason="LIMNER_CONTRACTS does not say where Discord's description is"
)


@needs_contracts
async def test_the_stand_in_answers_as_discord_describes(api, pupil, ask):
    asked = await api.slash(api.ada, api.channel, "imagine", {"prompt": "a red car", "image": Upload(PNG)})
    await api.until(lambda: asked.message.attachments and asked.followups)
    private = await api.slash(api.ada, api.dm(api.ada), "imagine", {"prompt": "private"})
    await api.until(lambda: len(private.message.history) == 2)
    form = await api.press(api.ada, asked.message, "Remix")
    await api.submit(api.ada, form, {})
    await api.press(api.ada, asked.message, "Thread")
    thread = await api.until(lambda: asked.message.thread)
    await api.until(lambda: thread.messages)
    await api.autocomplete(api.ada, api.channel, "imagine", "model")
    await api.say(api.ada, api.channel, "fine", reply_to=asked.message)
    guild, channel = f"/guilds/{api.guild.id}", f"/channels/{api.channel.id}"
    of_guild = [guild, f"{guild}/channels", f"{guild}/threads/active", f"{guild}/members/{api.ada.id}"]
    of_channel = [channel, f"{channel}/messages", f"{channel}/messages/{asked.message.id}", f"/channels/{thread.id}"]
    mine = ["/users/@me/guilds", "/gateway/bot", "/applications/@me", f"/applications/{api.bot.id}/commands"]
    for path in (*of_guild, *of_channel, *mine, f"/channels/{api.dm(api.ada).id}", f"/users/{api.ada.id}"):
        assert (await ask("GET", path))[0] == 200
    assert (await ask("PATCH", f"/channels/{thread.id}", {"archived": True}))[0] == 200
    answered = [(r.method, r.path, r.status, r.answer) for r in api.requests if r.status]
    assert [what for one in answered for what in answer_violations(*one)] == []
    api.assert_valid()


@needs_contracts
async def test_what_the_description_does_not_know_is_found(api, ask):
    path = f"/channels/{api.channel.id}/messages"
    await ask("POST", path, {"content": "x"})
    await ask("POST", path, {"content": "x", "attachments": [{"id": 0, "filename": "a.png"}]}, files=[("a.png", b"a")])
    await ask("PATCH", f"{path}/{api.channel.last.id}", {"content": "y", "tts": False})
    assert api.violations == []
    await ask("POST", path, {"content": "x", "embed": {"title": "of old"}})
    await ask("POST", path, {"content": "x"}, files=[("a.png", b"a")], limit="3")
    assert len(api.violations) == 2
    with pytest.raises(AssertionError):
        api.assert_valid()
