"""Slack as people use it, from a command to the file in a thread: by sockets and by signed HTTP."""

import asyncio
import io

import pytest
from PIL import Image

from bot.feed import Live
from bot.jobs import Identity, Status
from tests.slack_api import PRIVATE, NotOffered, SlackAPI, Upload
from tests.slack_house import SlackHouse, install, job_id, of_jobs

MODES = ["socket", "http"]
DRAFT = "--quality draft"


@pytest.fixture
async def api():
    async with SlackAPI() as api:
        install(api)
        yield api


@pytest.fixture(params=MODES)
def mode(request):
    return request.param


@pytest.fixture
async def house(api, tmp_path, mode):
    house = await SlackHouse(api, tmp_path / "data", mode=mode).open()
    yield house
    await house.close()
    api.assert_valid()


@pytest.fixture
def slow_steps(monkeypatch):
    """Pictures take some seconds, as on a real engine."""
    monkeypatch.setenv("LIMNER_FAKE_STEP_SECONDS", "0.35")


async def imagine(api, text="a red car", user=None, channel=None):
    """The message that answers the command."""
    channel = channel or api.channel
    before = len(of_jobs(api, channel))
    asked = await api.slash(user or api.ada, channel, "/imagine", f"{text} {DRAFT}")
    await api.until(lambda: len(of_jobs(api, channel)) > before or asked.messages)
    assert not asked.messages, asked.answer.text
    return of_jobs(api, channel)[before]


async def drawn(api, house, message):
    """The message, with its picture in it and the file in its thread."""
    await api.until(lambda: message.pictures and "More…" in message.labels)
    await house.end_of(job_id(message))
    return message


async def a_picture(api, house, text="a red car", **who):
    return await drawn(api, house, await imagine(api, text, **who))


async def child_in(api, house, root, *, number=1):
    """The newest picture in the thread of `root`."""
    replies = await api.until(lambda: in_thread(api, root)[number - 1 :])
    return await drawn(api, house, replies[0])


def in_thread(api, root):
    return [m for m in of_jobs(api, root.channel) if m.thread_ts == root.ts and m is not root]


def files_in(channel, root):
    return [file for message in channel.thread(root) for file in message.files]


def a_png():
    data = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(data, "PNG")
    return data.getvalue()


async def jobs_of(house, user):
    person = await house.store.person(Identity("slack", user.team_id, user.id), is_operator=False, now_ms=0)
    return await house.store.history(person, 20)


async def charged(house, user):
    person = await house.store.person(Identity("slack", user.team_id, user.id), is_operator=False, now_ms=0)
    account = await house.store.account(person, house.now_ms())
    return account.charged + account.reserved


# from a command to the file in the thread


async def test_a_command_becomes_a_picture_in_its_message_and_a_file_in_its_thread(api, house):
    message = await imagine(api, "a red car on a mountain road")
    assert message.history[0].text.startswith("a red car on a mountain road — @ada · queued")
    assert message.history[0].labels == ["Cancel"]
    await drawn(api, house, message)
    job = await house.job(job_id(message))
    assert f"{job.id} · seed 100 · builtin · 256×256" in message.text
    assert message.labels == ["Re-roll", "Remix", "Vary", "Full size", "More…"]
    [file] = files_in(api.channel, message)
    assert (file.name, file.alt_txt) == (f"limner-{job.id}-0.jpg", "a red car on a mountain road")
    assert (message.pictures, file.mimetype) == ([file.id], "image/jpeg")
    with Image.open(io.BytesIO(file.data)) as picture:
        assert picture.size == (256, 256)
    assert (of_jobs(api), job.status) == ([message], Status.DELIVERED)
    assert message.metadata["event_payload"] == {"job": job.id}
    assert all(state.fallback.strip() for state in message.history)


async def test_nothing_is_acknowledged_before_it_is_written_down(api, house, monkeypatch):
    """Also where that takes longer than Slack waits, and where Slack delivers it again meanwhile."""
    monkeypatch.setattr("bot.slack.connection.ACK_SECONDS", 0.01)
    submit, may_go = house.store.submit, asyncio.Event()

    async def late(*args, **more):
        await may_go.wait()
        return await submit(*args, **more)

    monkeypatch.setattr(house.store, "submit", late)
    act = await api.slash(api.ada, api.channel, "/imagine", f"a red car {DRAFT}", wait=None)
    again = asyncio.create_task(api.redeliver(act))
    await api.until(lambda: act.deliveries == 2)
    other = await api.slash(api.bob, api.channel, "/limner", "help")
    await api.until(lambda: other.messages)
    assert act.ack is None
    may_go.set()
    await again
    assert act.ack == {}
    await api.until(lambda: of_jobs(api))
    assert len(of_jobs(api)) == 1


async def test_it_is_acknowledged_at_once_and_the_message_goes_through_its_states(api, tmp_path, mode, slow_steps):
    async with SlackHouse(api, tmp_path / "data", mode=mode) as house:
        message = await drawn(api, house, await imagine(api, "a red car --steps 20"))
        assert all(act.acked_after < 3 for act in api.acts)
        assert any("%" in state.text and "▓" in state.text for state in message.history)
        assert (await house.job(job_id(message))).status == Status.DELIVERED


async def test_the_form_draws_where_it_is_told_to(api, house):
    opened = await api.slash(api.ada, api.channel, "/imagine")
    form = await api.until(lambda: opened.views and opened.modal)
    fields = {"Prompt": "a boat", "Without": "people", "Aspect": "16:9", "Quality": "draft", "Count": "2", "Seed": "41"}
    await api.submit(api.ada, form, fields | {"Style": "noir", "Where to post": api.private_channel})
    assert not form.is_open
    [message] = await api.until(lambda: of_jobs(api, api.private_channel))
    await drawn(api, house, message)
    draw = (await house.job(job_id(message))).request
    assert (draw.prompt, draw.negative_prompt, draw.count, draw.seed) == ("a boat film noir", "people", 2, 41)
    assert len(message.pictures) == 2
    assert len(files_in(api.private_channel, message)) == 2


async def test_the_form_marks_what_is_impossible_at_its_field_and_costs_nothing(api, house):
    opened = await api.slash(api.ada, api.channel, "/imagine")
    form = await api.until(lambda: opened.views and opened.modal)
    await api.submit(api.ada, form, {"Prompt": "a boat", "Seed": "99999999999"}, unchecked=True)
    assert list(form.errors) == ["seed"]
    await api.submit(api.ada, form, {"Prompt": "a boat --stlye noir", "Seed": None})
    assert (list(form.errors), "Did you mean" in form.errors["prompt"]) == (["prompt"], True)
    assert form.is_open
    assert await charged(house, api.ada) == 0
    await api.submit(api.ada, form, {"Prompt": "a boat", "Quality": "draft", "Where to post": api.channel})
    await drawn(api, house, (await api.until(lambda: of_jobs(api)))[0])


async def test_a_picture_from_the_form_is_drawn_over(api, house):
    opened = await api.slash(api.ada, api.channel, "/imagine")
    form = await api.until(lambda: opened.views and opened.modal)
    fields = {"Prompt": "a boat", "Quality": "draft", "Strength": "0.5", "Where to post": api.channel}
    await api.submit(api.ada, form, fields | {"Image": Upload(a_png())})
    message = await drawn(api, house, (await api.until(lambda: of_jobs(api)))[0])
    draw = (await house.job(job_id(message))).request
    with Image.open(draw.init_image) as picture:
        assert (draw.strength, picture.size) == (0.5, (64, 48))
    assert api.leaks == []


# buttons, mentions, shortcuts


async def test_what_a_button_makes_goes_to_the_thread_of_the_first(api, house):
    message = await a_picture(api, house)
    await api.press(api.bob, message, "Re-roll")
    child = await child_in(api, house, message)
    assert f"re-roll of {job_id(message)} · seed 100 → 101" in child.text
    await api.press(api.ada, child, "Vary")
    grandchild = await child_in(api, house, message, number=2)
    assert f"variation of {job_id(child)}" in grandchild.text
    assert len(files_in(api.channel, message)) == 3
    assert [m for m in api.channel.top if m.metadata] == [message]
    assert await charged(house, api.bob) == 1


async def test_two_presses_are_one_job(api, house):
    message = await a_picture(api, house)
    await asyncio.gather(*(api.press(api.bob, message, "Re-roll") for _ in range(2)))
    await child_in(api, house, message)
    assert len(await jobs_of(house, api.bob)) == 1


async def test_a_remix_is_a_form_with_the_prompt_in_it(api, house):
    message = await a_picture(api, house, "a red car")
    pressed = await api.press(api.ada, message, "Remix")
    form = await api.until(lambda: pressed.views and pressed.modal.inputs and pressed.modal)
    assert form.inputs[0]["element"]["initial_value"].startswith("a red car")
    await api.submit(api.ada, form, {form.fields[0]: f"a blue car {DRAFT} --seed 5"})
    child = await child_in(api, house, message)
    draw = (await house.job(job_id(child))).request
    assert (draw.prompt, draw.seed) == ("a blue car", 5)


async def test_a_mention_draws_in_the_channel_and_in_a_thread_says_what_changes(api, house):
    said = await api.mention(api.ada, api.channel, f"a red car --ar 3:2 {DRAFT}")
    message = await drawn(api, house, (await api.until(lambda: of_jobs(api)))[0])
    draw = (await house.job(job_id(message))).request
    assert draw.width > draw.height
    root = message if message.thread_ts in (None, message.ts) else said.message
    before = len(of_jobs(api))
    await api.mention(api.bob, api.channel, "at night --seed 7", thread=root)
    night = (await api.until(lambda: of_jobs(api)[before:]))[0]
    await drawn(api, house, night)
    draw = (await house.job(job_id(night))).request
    assert (draw.prompt, draw.seed, night.thread_ts) == ("a red car, at night", 7, root.ts)


async def test_shortcuts_on_a_message_and_anywhere(api, house):
    message = await a_picture(api, house)
    info = await api.message_shortcut(api.bob, "info", message)
    await api.until(lambda: info.messages or api.ephemerals(api.bob))
    told = (info.messages or api.ephemerals(api.bob))[-1]
    assert ("Seed" in told.text, told.seen_by) == (True, api.bob)
    await api.message_shortcut(api.bob, "reroll", message)
    await child_in(api, house, message)
    remix = await api.message_shortcut(api.ada, "remix", message)
    assert await api.until(lambda: remix.views and remix.modal.inputs)
    new = await api.shortcut(api.ada, "new")
    form = await api.until(lambda: new.views and new.modal)
    await api.submit(api.ada, form, {"Prompt": "a boat", "Quality": "draft", "Where to post": api.private_channel})
    await drawn(api, house, (await api.until(lambda: of_jobs(api, api.private_channel)))[0])


async def test_only_its_owner_or_an_admin_cancels(api, tmp_path, mode, slow_steps):
    async with SlackHouse(api, tmp_path / "data", mode=mode, slack_admins=(api.adam.id,)) as house:
        message = await imagine(api, "a red car --steps 30")
        refused = await api.press(api.bob, message, "Cancel")
        await api.until(lambda: refused.messages or api.ephemerals(api.bob))
        assert "Only its owner or a moderator can cancel this" in (refused.messages or api.ephemerals(api.bob))[-1].text
        await api.press(api.adam, message, "Cancel")
        await api.until(lambda: "cancelled, 2 units returned" in message.text)
        assert await charged(house, api.ada) == 0


async def test_the_home_tab_shows_the_account_and_draws(api, house):
    await api.open_home(api.ada)
    home = await api.until(lambda: api.homes.get(api.ada.id))
    assert "100 units" in home.text
    pressed = await api.press(api.ada, home, "New image")
    assert await api.until(lambda: pressed.views)


async def test_a_private_picture_is_sent_to_its_asker_alone(api, house):
    asked = await api.slash(api.ada, api.channel, "/imagine", f"a red car --private {DRAFT}")
    dm = api.dm(api.ada)
    message = await drawn(api, house, (await api.until(lambda: of_jobs(api, dm)))[0])
    assert files_in(dm, message)
    assert api.channel.messages == []
    assert asked.status == 200


# where it is not invited, and who may not


async def test_where_the_app_is_not_it_says_how_to_invite_it_and_sends_by_dm(api, house):
    hidden = api.add_channel("hidden", kind=PRIVATE, bot=False)
    for channel in (api.elsewhere, hidden):
        asked = await api.slash(api.ada, channel, "/imagine", f"a red car {DRAFT}")
        told = await api.until(lambda asked=asked: asked.messages and asked.answer)
        assert "/invite @limner" in told.text
        assert channel.messages == []
        assert await charged(house, api.ada) == 0
    await api.press(api.ada, told, "Send by DM")
    await drawn(api, house, (await api.until(lambda: of_jobs(api, api.dm(api.ada))))[0])


async def test_of_several_that_it_cannot_post_each_can_be_sent_by_dm(api, house):
    asked = await api.slash(api.ada, api.elsewhere, "/imagine", f"a {{red, blue}} car {DRAFT}")
    asked = await api.press(api.ada, await api.until(lambda: asked.messages and asked.answer), "Draw them")
    told = await api.until(lambda: next((each for each in asked.messages if "/invite" in each.text), None))
    assert told.labels == ["Send 1 by DM", "Send 2 by DM"]
    for number, label in enumerate(told.labels):
        await api.press(api.ada, told, label)
        sent = await api.until(lambda number=number: of_jobs(api, api.dm(api.ada))[number:])
        await drawn(api, house, sent[0])


async def test_guests_strangers_and_the_deactivated_get_one_sentence(api, house):
    api.deactivate(api.bob)
    for user in (api.guest, api.stranger, api.bob):
        asked = await api.slash(user, api.channel, "/imagine", f"a red car {DRAFT}", unchecked=True)
        await api.until(lambda asked=asked: asked.messages)
        assert asked.answer.seen_by is user
    assert of_jobs(api) == []
    assert await house.store.unfinished() == []


async def test_a_channel_that_is_archived_meanwhile_ends_the_job_without_a_charge(api, tmp_path, mode, slow_steps):
    async with SlackHouse(api, tmp_path / "data", mode=mode) as house:
        message = await imagine(api, "a red car --steps 4")
        api.archive(api.channel)
        job = await house.end_of(job_id(message))
        assert job.status == Status.UNDELIVERABLE
        assert await charged(house, api.ada) == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [("a car --stlye noir", "did you mean"), ("a car --ar 40:1", "out of range"), ("a {red car", "never closed")],
)
async def test_bad_input_gets_one_private_sentence_and_costs_nothing(api, house, text, said):
    asked = await api.slash(api.ada, api.channel, "/imagine", text)
    told = await api.until(lambda: asked.messages and asked.answer)
    assert (told.seen_by, said in told.text.lower()) == (api.ada, True)
    assert (await charged(house, api.ada), api.channel.messages) == (0, [])


async def test_no_prompt_mentions_or_links_or_formats(api, house):
    message = await a_picture(api, house, f"<!channel> {api.bob.mention} *b* https://x.test <https://y.test|z> @here")
    assert (message.pings, message.links) == ([], [])
    assert "channel" not in message.notified


# duplicates, lateness


async def test_whatever_is_delivered_twice_is_one_job(api, house):
    message = await a_picture(api, house)
    asked = api.acts[0]
    pressed = await api.press(api.bob, message, "Re-roll")
    said = await api.mention(api.bob, api.channel, f"a boat {DRAFT}")
    for act in (asked, pressed, said):
        assert await api.redeliver(act) == 200
    await api.until(lambda: len(of_jobs(api)) == 3)
    for each in of_jobs(api):
        await drawn(api, house, each)
    assert (len(await jobs_of(house, api.ada)), len(await jobs_of(house, api.bob))) == (1, 2)
    assert len(of_jobs(api)) == 3


async def test_what_is_delivered_again_after_a_restart_is_one_job(api, tmp_path, mode):
    async with SlackHouse(api, tmp_path / "data", mode=mode) as house:
        message = await a_picture(api, house)
        await api.press(api.bob, message, "Re-roll")
        await child_in(api, house, message)
        said = await api.mention(api.bob, api.channel, f"a boat {DRAFT}")
        await drawn(api, house, (await api.until(lambda: of_jobs(api)[2:]))[0])
    async with SlackHouse(api, tmp_path / "data", mode=mode) as house:
        for act in list(api.acts):
            await api.redeliver(act)
        await api.redeliver(said, retry=(3, "http_error"))
        await a_picture(api, house, user=api.olga)
        assert (len(await jobs_of(house, api.ada)), len(await jobs_of(house, api.bob))) == (1, 2)
    assert len(of_jobs(api)) == 4
    api.assert_valid()


async def test_a_form_that_is_submitted_twice_is_one_job(api, house):
    opened = await api.slash(api.ada, api.channel, "/imagine")
    form = await api.until(lambda: opened.views and opened.modal)
    act = await api.submit(api.ada, form, {"Prompt": "a boat", "Quality": "draft", "Where to post": api.channel})
    assert await api.redeliver(act) == 200
    await drawn(api, house, (await api.until(lambda: of_jobs(api)))[0])
    assert len(await jobs_of(house, api.ada)) == 1


async def test_a_bad_signature_an_old_timestamp_and_a_replay_never_reach_the_studio(api, tmp_path):
    async with SlackHouse(api, tmp_path / "data", mode="http") as house:
        message = await a_picture(api, house)
        asked = api.acts[0]
        pressed = await api.press(api.bob, message, "Info", unchecked=True)
        api.acts.clear()
        forged = api.new_act("slash_commands", asked.payload | {"trigger_id": "1.2.new"}, api.ada, api.channel)
        assert await api.forge(forged, secret="another") == 401
        assert await api.forge(forged, at=api.clock() - 301) == 401
        assert await api.forge(forged, at=api.clock() + 301) == 401
        for headers in ({"X-Slack-Signature": ""}, {"X-Slack-Signature": "v0="}, {"X-Slack-Request-Timestamp": "soon"}):
            assert await api.forge(forged, headers=headers) == 401
        assert await api.replay(asked) == 401
        assert await api.replay(pressed) == 401
        assert len(await jobs_of(house, api.ada)) == 1
    api.assert_valid()


# trouble


async def test_news_that_comes_while_a_picture_is_written_down_does_not_take_it_away(api, tmp_path, monkeypatch):
    async with SlackHouse(api, tmp_path / "data") as house:
        delivered, news = house.store.outbox.delivered, []

        async def slowly(parcel, now_ms):
            news.append(asyncio.create_task(house.adapter.show(parcel.job, Live("sending"))))
            await asyncio.sleep(0.05)
            await delivered(parcel, now_ms)

        monkeypatch.setattr(house.store.outbox, "delivered", slowly)
        message = await a_picture(api, house)
        await asyncio.gather(*news)
        assert "sending" not in message.text


async def test_a_restart_in_the_middle_loses_nothing(api, tmp_path, mode, slow_steps, monkeypatch):
    async with SlackHouse(api, tmp_path / "data", mode=mode):
        message = await imagine(api, "a red car --steps 20")
        await api.until(lambda: "%" in message.text)
    monkeypatch.setenv("LIMNER_FAKE_STEP_SECONDS", "0.01")
    async with SlackHouse(api, tmp_path / "data", mode=mode) as again:
        await drawn(api, again, message)
    assert of_jobs(api) == [message]
    assert len(files_in(api.channel, message)) == 1
    api.assert_valid()


async def test_buttons_and_forms_work_after_a_restart(api, tmp_path, mode):
    async with SlackHouse(api, tmp_path / "data", mode=mode) as house:
        message = await a_picture(api, house)
        pressed = await api.press(api.ada, message, "Remix")
        form = await api.until(lambda: pressed.views and pressed.modal.inputs and pressed.modal)
    async with SlackHouse(api, tmp_path / "data", mode=mode) as house:
        await api.submit(api.ada, form, {form.fields[0]: f"a green car {DRAFT}"})
        child = await child_in(api, house, message)
        assert child.text.startswith("a green car")
        await api.press(api.ada, message, "Re-roll")
        await child_in(api, house, message, number=2)
    api.assert_valid()


async def test_refreshes_of_the_sockets_lose_nothing(api, tmp_path):
    async with SlackHouse(api, tmp_path / "data") as house:
        for number in range(6):
            if number == 2:
                api.go_on(api.refresh_sockets())
            await api.mention(api.ada, api.channel, f"a red car --seed {number} {DRAFT}", wait=None)
            await asyncio.sleep(0.05)
        await api.until(lambda: len(api.sockets) == 2, 20)
        api.advance(60)
        await api.until(lambda: len(of_jobs(api)) == 6, 20)
        for each in of_jobs(api):
            await drawn(api, house, each)
        assert len(await jobs_of(house, api.ada)) == 6
    api.assert_valid()


async def test_broken_sockets_come_back(api, tmp_path):
    async with SlackHouse(api, tmp_path / "data") as house:
        api.drop_sockets()
        await api.until(lambda: api.socket_log.count("leave") == 2)
        await api.until(lambda: len(api.sockets) == 2, 30)
        await a_picture(api, house)


@pytest.mark.parametrize(
    ("method", "fault"),
    [
        ("chat.update", {"status": 502}), ("chat.update", {"retry_after": 1}), ("chat.update", {"drop": True}),
        ("files.getUploadURLExternal", {"status": 500}), ("upload", {"drop": True}),
        ("files.completeUploadExternal", {"drop": True, "after": True}),
        ("files.completeUploadExternal", {"status": 500, "after": True}),
        ("files.completeUploadExternal", {"drop": True}), ("files.completeUploadExternal", {"retry_after": 1}),
        ("files.info", {"status": 503}), ("chat.postMessage", {"retry_after": 1}),
    ],
)  # fmt: skip
async def test_a_passing_fault_shows_nothing_twice_and_loses_nothing(api, tmp_path, method, fault):
    async with SlackHouse(api, tmp_path / "data") as house:
        api.fail(method, **fault)
        message = await drawn(api, house, await imagine(api))
        assert len(files_in(api.channel, message)) == 1
        assert len([m for m in api.channel.messages if m.files]) == 1
        assert of_jobs(api) == [message]
    api.assert_valid()


async def test_a_picture_that_slack_takes_late_is_in_its_message_all_the_same(api, tmp_path):
    async with SlackHouse(api, tmp_path / "data") as house:
        api.hold_files()
        message = await imagine(api)
        await api.until(lambda: api.asked("files.info"))
        api.release_files()
        await drawn(api, house, message)
    api.assert_valid()


async def test_a_message_that_was_deleted_is_made_again(api, tmp_path, slow_steps):
    async with SlackHouse(api, tmp_path / "data") as house:
        message = await imagine(api, "a red car --steps 4")
        name = job_id(message)
        api.delete_message(message)
        await api.until(lambda: [m for m in of_jobs(api) if m is not message and m.pictures], 20)
        assert (await house.end_of(name)).status == Status.DELIVERED


async def test_a_given_file_that_vanished_is_said_at_its_field_and_costs_nothing(api, tmp_path):
    async with SlackHouse(api, tmp_path / "data") as house:
        opened = await api.slash(api.ada, api.channel, "/imagine")
        form = await api.until(lambda: opened.views and opened.modal)
        file = api.add_file("a.png", a_png(), api.ada)
        api.delete_file(file)
        fields = {"Prompt": "a boat", "Image": file, "Where to post": api.channel}
        await api.submit(api.ada, form, fields, unchecked=True)
        await api.until(lambda: form.errors)
        assert (list(form.errors), await charged(house, api.ada), of_jobs(api)) == (["image"], 0, [])
    api.assert_valid()


async def test_what_the_client_does_not_offer_is_answered_all_the_same(api, house):
    message = await a_picture(api, house)
    with pytest.raises(NotOffered):
        await api.press(api.bob, message, "v1:explode:k7q2:0")
    for value in ("v1:reroll:zzzz:0", "v9:new:thing", "v1:explode:k7q2:0", f"v1:reroll:{job_id(message)}:99"):
        pressed = await api.press(api.bob, message, value, unchecked=True)
        await api.until(lambda pressed=pressed: pressed.messages)
        assert pressed.answer.seen_by is api.bob
    assert await charged(house, api.bob) == 0
