"""Discord as people use it: the adapter against a Discord on loopback, with a fake engine in a real child process."""

import asyncio
import io
import re
from dataclasses import replace
from itertools import pairwise, product

import pytest
from PIL import Image

from bot.commands import Imagine
from bot.errors import CannotStart, Unavailable
from bot.feed import Live
from bot.jobs import Identity, Status
from tests.discord_api import DiscordAPI, NotOffered, Permission, Upload
from tests.discord_api.things import PRIVATE_THREAD
from tests.discord_house import DiscordHouse, job_id

DRAFT = {"quality": "draft"}


@pytest.fixture
async def api():
    async with DiscordAPI() as api:
        yield api


@pytest.fixture
async def house(api, tmp_path):
    house = await DiscordHouse(api, tmp_path / "data").open()
    yield house
    await house.close()
    api.assert_valid()


@pytest.fixture
def slow_steps(monkeypatch):
    """Pictures take some seconds, as on a real engine."""
    monkeypatch.setenv("LIMNER_FAKE_STEP_SECONDS", "0.35")


async def imagine(api, prompt="a red car", user=None, channel=None, **options):
    return await api.slash(user or api.ada, channel or api.channel, "imagine", {"prompt": prompt} | DRAFT | options)


async def drawn(api, house, asked):
    """The interaction's message, with its pictures."""
    await api.until(lambda: asked.message and asked.message.attachments and "More…" in asked.message.labels)
    await house.end_of(job_id(asked.message))
    return asked.message


async def a_picture(api, house, prompt="a red car", **options):
    return await drawn(api, house, await imagine(api, prompt, **options))


def thread_of(api, message):
    return next((channel for channel in api.channels.values() if channel.id == message.id), None)


async def child_in(api, house, message):
    """The newest picture in the thread on `message`."""
    thread = await api.until(lambda: thread_of(api, message))
    await api.until(lambda: thread.messages and thread.last.attachments and "More…" in thread.last.labels)
    await house.end_of(job_id(thread.last))
    return thread.last


# a picture


async def test_a_prompt_becomes_a_picture_in_the_message_that_answered_it(api, house):
    asked = await imagine(api, "a red car on a mountain road")
    assert asked.response["type"] == 4
    assert asked.message.text.startswith(f"**a red car on a mountain road** — {api.ada.mention} · queued")
    assert asked.message.labels == ["Cancel"]
    message = await drawn(api, house, asked)
    job = await house.job(job_id(message))
    assert f"`{job.id}` · seed 100 · builtin · 256×256" in message.text
    assert message.labels == ["Re-roll", "Remix", "Vary", "Full size", "More…"]
    [picture] = message.attachments
    assert (picture.filename, picture.description) == (f"limner-{job.id}-0.jpg", "a red car on a mountain road")
    assert Image.open(io.BytesIO(picture.data)).size == (256, 256)
    assert [m for m in api.channel.messages if m.author == api.bot] == [message]
    assert job.status == Status.DELIVERED


async def test_the_message_moves_through_its_states_with_previews_at_most_every_three_seconds(
    api, tmp_path, slow_steps
):
    async with DiscordHouse(api, tmp_path / "data") as house:
        message = await drawn(api, house, await imagine(api, steps=20))
        states = message.history
        assert "queued" in states[0].text
        assert any("%" in state.text and "▓" in state.text for state in states)
        assert any(a.filename == "preview.jpg" for state in states for a in state.attachments)
        times = [state.at for state in states[1:-1]]
        assert all(b - a > 2.9 for a, b in pairwise(times))


async def test_all_options_reach_the_request(api, house):
    message = await a_picture(
        api, house, "a boat", negative="people", aspect="16:9", count=2, seed=41, steps=6, guidance=3.5,
        scheduler="euler", style="noir", model="builtin",
    )  # fmt: skip
    draw = (await house.job(job_id(message))).request
    assert (draw.prompt, draw.negative_prompt, draw.count, draw.seed) == ("a boat film noir", "people", 2, 41)
    assert (draw.steps, draw.guidance_scale, draw.scheduler, draw.quality) == (6, 3.5, "euler", "draft")
    assert len(message.attachments) == 2


async def test_an_option_beats_a_flag(api, house):
    asked = await imagine(api, "a boat --seed 5 --ar 2:3", seed=9)
    draw = (await house.job(job_id(asked.message))).request
    assert (draw.seed, draw.width < draw.height) == (9, True)


async def test_several_images_have_buttons_to_pick_and_vary_each(api, house):
    message = await a_picture(api, house, count=4)
    assert message.labels == ["1", "2", "3", "4", "V1", "V2", "V3", "V4", "Re-roll", "Remix", "More…"]
    assert [a.filename[-5:] for a in message.attachments] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    await api.press(api.ada, message, "3")
    child = await child_in(api, house, message)
    job = await house.job(job_id(child))
    assert (job.lineage.verb, job.lineage.index, job.request.of.seed) == ("full_size", 2, 102)


async def test_autocomplete_offers_what_this_place_may_use(api, house):
    models = await api.autocomplete(api.ada, api.channel, "imagine", "model", "built", {"prompt": "a car"})
    assert [choice["value"] for choice in models] == ["builtin"]
    styles = await api.autocomplete(api.ada, api.channel, "imagine", "style", "no", {"prompt": "a car"})
    assert [choice["value"] for choice in styles] == ["noir", "none"]


async def test_the_quality_choices_say_their_price(api, house):
    [imagine] = [command for command in api.commands[None] if command["name"] == "imagine"]
    [quality] = [option for option in imagine["options"] if option["name"] == "quality"]
    assert [choice["name"] for choice in quality["choices"]] == ["full · 2048 px · 2 units", "draft · 1 unit"]


async def test_several_jobs_are_priced_and_confirmed_first(api, house):
    asked = await imagine(api, "a {red, blue} car")
    assert asked.message.is_ephemeral
    assert "That is 2 jobs for 2 units" in asked.message.text
    assert await house.store.unfinished() == []
    confirmed = await api.press(api.ada, asked.message, "Draw them")
    await api.until(lambda: len([m for m in api.channel.messages if m.attachments and "More…" in m.labels]) == 2)
    assert confirmed.message.text.startswith("**a red car**")


async def test_a_comparison_is_confirmed_and_then_drawn_by_every_model(api, house):
    asked = await api.slash(api.ada, api.channel, "limner compare", {"prompt": "a red car --quality draft"})
    names = list(house.studio.parsed(Imagine("a car", by_every_model=True)).draws)
    assert asked.message.text.startswith(f"**That is {len(names)} jobs for")
    await api.press(api.ada, asked.message, "Draw them")
    everyone = lambda: [m for m in api.channel.messages if m.attachments and "More…" in m.labels]  # noqa: E731
    drawn_by = await api.until(lambda: len(found := everyone()) == len(names) and found)
    jobs = [await house.job(job_id(message)) for message in drawn_by]
    assert {job.request.model for job in jobs} == {draw.model for draw in names}
    assert len({job.request.seed for job in jobs}) == 1


async def test_own_defaults_are_set_with_options_and_used_by_imagine(api, house):
    options = {"aspect": "3:2", "quality": "draft", "count": 2, "private": False}
    asked = await api.slash(api.ada, api.channel, "limner settings", options)
    assert asked.message.is_ephemeral
    assert asked.message.text.startswith("Your defaults: `--ar 3:2 --quality draft --n 2 --private no`.")
    plain = await api.slash(api.ada, api.channel, "imagine", {"prompt": "a red car"})
    draw = (await house.job(job_id(plain.message))).request
    assert (draw.quality, draw.count, draw.width > draw.height) == ("draft", 2, True)
    asked = await api.slash(api.ada, api.channel, "limner settings", {"reset": True})
    assert "no defaults" in asked.message.text


async def test_a_picture_to_draw_over_is_private_where_a_flag_or_a_default_says_so(api, house):
    picture = Upload(a_png())
    flag = await imagine(api, "at night --private", image=picture)
    await api.slash(api.ada, api.channel, "limner settings", {"private": True})
    default = await imagine(api, "at night", image=picture)
    for asked in (flag, default):
        message = await drawn(api, house, asked)
        assert message.is_ephemeral
    assert [m for m in api.channel.messages if not m.is_ephemeral] == []


async def test_an_interaction_that_is_delivered_twice_is_one_job(api, house):
    asked = await imagine(api)
    api.redeliver(asked)
    await drawn(api, house, asked)
    person = await house.store.person(identity(api.ada), is_operator=False, now_ms=0)
    assert len(await house.store.history(person, 10)) == 1
    assert len([m for m in api.channel.messages if not m.is_ephemeral]) == 1


async def test_whoever_waited_long_is_told_once_in_a_short_reply(api, house):
    hold = api.hold("PATCH", r"/channels/\d+/messages/\d+")
    asked = await imagine(api)
    house.ahead_ms += 31_000
    hold.release()
    await drawn(api, house, asked)
    [reply] = await api.until(lambda: [m for m in api.channel.messages if "is ready" in m.text])
    assert (reply.reply_to.id, reply.pings) == (asked.message.id, [str(api.ada.id)])


# buttons


async def test_a_reroll_goes_to_a_thread_on_the_first_result(api, house):
    message = await a_picture(api, house, "a red car on a mountain road")
    await api.press(api.bob, message, "Re-roll")
    child = await child_in(api, house, message)
    root = job_id(message)
    assert child.channel.name == f"a red car on a mountain road · {root}"
    assert f"re-roll of {root} · seed 100 → 101" in child.text
    await api.press(api.ada, child, "Re-roll")
    await api.until(lambda: len([m for m in child.channel.messages if m.author == api.bot]) == 2)


async def test_the_presser_pays(api, house):
    message = await a_picture(api, house)
    await api.press(api.bob, message, "Re-roll")
    await child_in(api, house, message)
    bob = await house.store.person(identity(api.bob), is_operator=False, now_ms=0)
    assert (await house.store.account(bob, house.now_ms())).charged == 1


async def test_two_presses_are_one_job(api, house):
    message = await a_picture(api, house)
    await asyncio.gather(*(api.press(api.bob, message, "Re-roll") for _ in range(2)))
    child = await child_in(api, house, message)
    assert len([m for m in child.channel.messages if m.author == api.bot]) == 1


async def test_a_remix_is_a_form_that_is_filled_in(api, house):
    message = await a_picture(api, house, "a red car")
    opened = await api.press(api.ada, message, "Remix")
    [field] = [p for row in opened.modal["components"] for p in [row.get("component", row)]]
    assert field["value"].startswith("a red car --seed 100")
    await api.submit(api.ada, opened, {"text": "a blue car --quality draft --seed 5"})
    child = await child_in(api, house, message)
    draw = (await house.job(job_id(child))).request
    assert (draw.prompt, draw.seed) == ("a blue car", 5)


async def test_buttons_and_forms_work_after_a_restart(api, house, tmp_path):
    message = await a_picture(api, house)
    opened = await api.press(api.ada, message, "Remix")
    await house.close()
    again = await DiscordHouse(api, tmp_path / "data").open()
    house.running, house.store, house.engine = again.running, again.store, again.engine
    await api.submit(api.ada, opened, {"text": "a green car --quality draft"})
    child = await child_in(api, again, message)
    assert child.text.startswith("**a green car**")
    await api.press(api.ada, message, "Re-roll")
    await api.until(lambda: len([m for m in child.channel.messages if m.attachments]) == 2)


async def test_nothing_is_kept_in_memory_for_a_message_or_a_form_that_is_never_sent(api, house):
    message = await a_picture(api, house)
    await api.press(api.ada, message, "Remix")
    await api.press(api.ada, message, "More…")
    kept = house.adapter._client._connection._view_store
    assert (kept._modals, kept._views, kept._synced_message_views) == ({}, {}, {})


async def test_more_has_everything_else(api, house):
    message = await a_picture(api, house)
    more = await api.press(api.bob, message, "More…")
    assert more.message.is_ephemeral
    assert more.message.labels == [
        "Info", "Vary slightly", "Four more seeds", "How it was made", "Original file", "Report", "Delete"
    ]  # fmt: skip
    info = await api.press(api.bob, more.message, "Info")
    shown = [
        f"**Job** `{job_id(message)}` image 1\n",
        "**Seed** 100\n",
        "`/imagine prompt:a red car --seed 100 --quality",
    ]
    assert all(fact in info.message.text for fact in shown)
    assert re.search(r"\*\*Asked\*\* <t:\d+:R>\n", info.message.text)
    how = await api.press(api.bob, more.message, "How it was made")
    await api.until(lambda: how.message.attachments)
    original = await api.press(api.bob, more.message, "Original file")
    await api.until(lambda: original.message.attachments)
    assert original.message.attachments[0].data.startswith(b"\x89PNG")


async def test_only_its_owner_or_a_moderator_deletes(api, house):
    message = await a_picture(api, house)
    more = await api.press(api.bob, message, "More…")
    refused = await api.press(api.bob, more.message, "Delete")
    await api.until(lambda: "Only its owner or a moderator" in refused.message.text)
    assert message.attachments
    api.permit(api.guild, api.bob, Permission.MANAGE_MESSAGES)
    await api.press(api.bob, more.message, "Delete")
    await api.until(lambda: not message.attachments)


async def test_only_its_owner_or_a_moderator_cancels(api, tmp_path, slow_steps):
    async with DiscordHouse(api, tmp_path / "data"):
        asked = await imagine(api)
        refused = await api.press(api.bob, asked.message, "Cancel")
        assert "Only its owner or a moderator can cancel this" in refused.message.text
        await api.press(api.ada, asked.message, "Cancel")
        await api.until(lambda: "cancelled, 1 unit returned" in asked.message.text)
        assert asked.message.labels == ["Run again"]


async def test_a_button_of_another_server_is_answered_like_an_unknown_one(api, house):
    message = await a_picture(api, house)
    other = api.add_channel("general", guild=api.add_guild("Elsewhere"))
    there = await a_picture(api, house, channel=other, user=api.bob)
    custom_id = message.buttons[0]["custom_id"]
    foreign = await api.press(api.bob, there, custom_id, unchecked=True)
    unknown = await api.press(api.bob, there, "v1:reroll:zzzz:0", unchecked=True)
    texts = [each.message.text.replace(job_id(message), "zzzz") for each in (foreign, unknown)]
    assert texts[0] == texts[1]
    assert "There is no `zzzz` here" in texts[0]


async def test_a_job_of_a_channel_that_one_cannot_see_is_unknown(api, house):
    message = await a_picture(api, house)
    elsewhere = api.add_channel("elsewhere", guild=api.guild)
    seen = await api.slash(api.bob, elsewhere, "limner show", {"job": job_id(message)})
    await api.until(lambda: seen.message.attachments)
    api.forbid(api.channel, api.bob, Permission.VIEW_CHANNEL)
    unseen = await api.slash(api.bob, elsewhere, "limner show", {"job": job_id(message)})
    assert f"There is no `{job_id(message)}` here" in unseen.message.text


async def test_a_job_of_a_private_thread_is_known_in_that_thread_alone(api, house):
    thread = api.add_thread(api.channel, "secret", owner=api.ada, type=PRIVATE_THREAD)
    message = await a_picture(api, house, channel=thread)
    inside = await api.slash(api.bob, thread, "limner show", {"job": job_id(message)})
    await api.until(lambda: inside.message.attachments)
    outside = await api.slash(api.bob, api.channel, "limner show", {"job": job_id(message)})
    assert f"There is no `{job_id(message)}` here" in outside.message.text


async def test_a_form_about_a_job_of_a_channel_that_one_cannot_see_any_more_is_unknown_too(api, house):
    message = await a_picture(api, house)
    elsewhere = api.add_channel("elsewhere", guild=api.guild)
    opened = await api.press(api.bob, message, "Remix")
    api.forbid(api.channel, api.bob, Permission.VIEW_CHANNEL)
    sent = await api.submit(api.bob, opened.modal, {}, channel=elsewhere)
    assert f"There is no `{job_id(message)}` here" in sent.message.text
    assert await house.store.unfinished() == []


@pytest.mark.parametrize("custom_id", ["v1:reroll:zzzz:0", "v9:new:thing", "v1:explode:k7q2:0", "v1:reroll:zzzz:99"])
async def test_a_made_up_button_gets_one_private_sentence(api, house, custom_id):
    message = await a_picture(api, house)
    pressed = await api.press(api.bob, message, custom_id, unchecked=True)
    assert pressed.message.is_ephemeral


# private, menus, commands


async def test_a_private_picture_is_seen_by_its_asker_alone(api, house):
    asked = await imagine(api, private=True)
    await api.until(lambda: asked.message.attachments and "More…" in asked.message.labels)
    assert asked.message.is_ephemeral
    assert [m for m in api.shown_to(api.bob, api.channel) if m.author == api.bot] == []


async def test_a_private_picture_whose_token_died_waits_for_show_and_is_charged_then(api, house):
    hold = api.hold("PATCH", r"/webhooks/.*")
    asked = await imagine(api, private=True)
    name = job_id(asked.message)
    api.advance(16 * 60)
    house.ahead_ms += 16 * 60_000
    hold.release()
    await house_until(house, name, lambda job: job.status == Status.RENDERED)
    person = await house.store.person(identity(api.ada), is_operator=False, now_ms=0)
    account = await house.store.account(person, house.now_ms())
    assert (account.charged, account.reserved) == (0, 1)
    shown = await api.slash(api.ada, api.channel, "limner show", {"job": name})
    await api.until(lambda: shown.message.attachments)
    await house.end_of(name)
    assert (await house.store.account(person, house.now_ms())).charged == 1


async def test_the_message_menus(api, house):
    message = await a_picture(api, house)
    info = await api.menu(api.bob, "Image info", message)
    assert "Seed" in info.message.text
    await api.menu(api.bob, "Re-roll", message)
    await child_in(api, house, message)
    opened = await api.menu(api.ada, "Use as input", message)
    made = await api.submit(api.ada, opened, {"text": "a blue car --quality draft --strength 0.4"})
    await drawn(api, house, made)
    draw = (await house.job(job_id(made.message))).request
    assert (draw.prompt, draw.strength, bool(draw.init_image)) == ("a blue car", 0.4, True)
    await api.menu(api.ada, "Delete", message)
    await api.until(lambda: not message.attachments)


@pytest.mark.parametrize(
    ("command", "said"),
    [("quota", "100 units"), ("queue", "Nothing waits"), ("history", "No pictures yet"), ("models", "builtin"),
     ("help", "--seed N"), ("cancel", "Nothing waits")],
)  # fmt: skip
async def test_limner_answers_only_the_asker(api, house, command, said):
    asked = await api.slash(api.ada, api.channel, f"limner {command}")
    assert asked.message.is_ephemeral
    assert said in asked.message.text


async def test_limner_reroll_draws_here(api, house):
    message = await a_picture(api, house)
    asked = await api.slash(api.ada, api.channel, "limner reroll", {"job": job_id(message), "seed": 9})
    made = await drawn(api, house, asked)
    assert (await house.job(job_id(made))).request.seed == 9


async def test_admin_commands_are_checked_again_at_each_use(api, house):
    message = await a_picture(api, house)
    options = {"job": job_id(message)}
    with pytest.raises(NotOffered):
        await api.slash(api.bob, api.channel, "limner-admin job delete", options)
    forced = await api.slash(api.bob, api.channel, "limner-admin job delete", options, unchecked=True)
    await api.until(lambda: "That is for moderators of this place" in forced.message.text)
    assert message.attachments
    api.permit(api.guild, api.bob, Permission.MANAGE_MESSAGES)
    await api.slash(api.bob, api.channel, "limner-admin job delete", options)
    await api.until(lambda: not message.attachments)


# threads


async def test_a_mention_in_the_thread_says_what_changes(api, house):
    message = await a_picture(api, house, "a red car")
    await api.press(api.ada, message, "Re-roll")
    child = await child_in(api, house, message)
    await api.say(api.bob, child.channel, f"{api.bot.mention} at night --seed 7")
    night = await api.until(lambda: [m for m in child.channel.messages if m.text.startswith("**a red car, at night")])
    await house.end_of(job_id(night[0]))
    draw = (await house.job(job_id(night[0]))).request
    assert (draw.prompt, draw.seed) == ("a red car, at night", 7)


async def test_a_reply_in_the_thread_changes_the_picture_that_it_answers(api, house):
    message = await a_picture(api, house, "a red car")
    await api.press(api.ada, message, "Re-roll")
    first = await child_in(api, house, message)
    await api.press(api.ada, first, "Re-roll")
    await api.until(lambda: len([m for m in first.channel.messages if m.attachments and "More…" in m.labels]) == 2)
    await api.say(api.ada, first.channel, "in the rain", reply_to=first)
    rain = await api.until(lambda: [m for m in first.channel.messages if "in the rain**" in m.text])
    assert (await house.job(job_id(rain[0]))).lineage.job_id == job_id(first)


async def test_a_mention_cannot_ask_for_a_private_picture(api, house):
    message = await a_picture(api, house, "a red car")
    await api.press(api.ada, message, "Re-roll")
    child = await child_in(api, house, message)
    await api.say(api.bob, child.channel, f"{api.bot.mention} at night --private")
    await api.until(lambda: "A private picture needs `/imagine`" in child.channel.last.text)
    assert await house.store.unfinished() == []


async def test_what_a_mention_asks_for_is_priced_and_agreed_to_with_a_button(api, house):
    message = await a_picture(api, house, "a red car")
    await api.press(api.ada, message, "Re-roll")
    child = await child_in(api, house, message)
    await api.say(api.bob, child.channel, f"{api.bot.mention} {{at night, in the rain}}")
    told = await api.until(lambda: "Draw them" in child.channel.last.labels and child.channel.last)
    assert "That is 2 jobs for 2 units" in told.text
    await api.press(api.bob, told, "Draw them")
    await api.until(lambda: len([m for m in child.channel.messages if m.attachments and "More…" in m.labels]) == 3)


@pytest.mark.parametrize("refusal", [("no permission", 403, 50013), ("too many", 400, 160006)])
async def test_where_no_thread_can_be_opened_the_parent_is_answered(api, house, refusal):
    _, status, code = refusal
    message = await a_picture(api, house)
    api.fail("POST", r"/channels/\d+/messages/\d+/threads", status=status, code=code)
    await api.press(api.ada, message, "Re-roll")
    await api.until(lambda: api.channel.last is not message and api.channel.last.attachments)
    assert api.channel.last.reply_to.id == message.id


async def test_in_a_direct_message_the_parent_is_answered(api, house):
    dm = api.dm(api.ada)
    message = await a_picture(api, house, channel=dm)
    await api.press(api.ada, message, "Re-roll")
    await api.until(lambda: dm.last is not message and dm.last.attachments)
    assert dm.last.reply_to.id == message.id


async def test_a_thread_that_was_deleted_gives_way_to_its_channel(api, tmp_path, slow_steps):
    async with DiscordHouse(api, tmp_path / "data") as house:
        message = await a_picture(api, house, steps=2)
        await api.press(api.ada, message, "Re-roll")
        thread = await api.until(lambda: thread_of(api, message))
        await api.until(lambda: [m for m in thread.messages if m.author == api.bot])
        api.delete_thread(thread)
        await api.until(lambda: api.channel.last is not message and api.channel.last.attachments)
        assert api.channel.last.reply_to.id == message.id


async def test_in_a_thread_of_somebody_elses_the_parent_is_answered(api, house):
    thread = api.add_thread(api.channel, "talk", owner=api.ada)
    message = await a_picture(api, house, channel=thread)
    await api.press(api.ada, message, "Re-roll")
    await api.until(lambda: thread.last is not message and thread.last.attachments)
    assert thread.last.reply_to.id == message.id


async def test_a_message_that_was_deleted_is_made_again(api, tmp_path, slow_steps):
    async with DiscordHouse(api, tmp_path / "data") as house:
        asked = await imagine(api, steps=4)
        name = job_id(asked.message)
        api.delete_message(asked.message)
        await api.until(lambda: [m for m in api.channel.messages if m.attachments and "More…" in m.labels])
        assert (await house.end_of(name)).status == Status.DELIVERED


# files


async def test_a_given_picture_is_drawn_over(api, house):
    asked = await imagine(api, "a boat", image=Upload(a_png()), strength=0.5)
    assert asked.response["type"] == 5
    message = await drawn(api, house, asked)
    draw = (await house.job(job_id(message))).request
    with Image.open(draw.init_image) as given:
        assert (draw.strength, given.size) == (0.5, (64, 48))


@pytest.mark.parametrize(
    "upload",
    [
        Upload(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a.svg", "image/svg+xml"),
        Upload(b"hello", "a.png", "image/png"),
        Upload(b"", "a.png"),
        Upload(b"MZ" + b"\0" * 99, "a.exe", "application/x-msdownload"),
    ],
)
async def test_what_is_no_picture_gets_one_private_sentence(api, house, upload):
    asked = await imagine(api, "a boat", image=upload)
    [told] = await api.until(lambda: asked.followups)
    assert told.is_ephemeral
    assert "PNG, JPEG or WebP up to 20 MB and 16.8 megapixels. Nothing was charged." in told.text
    assert asked.message.is_deleted
    assert await house.store.unfinished() == []


async def test_a_mask_is_taken_as_its_image_is_and_the_shape_is_the_images(api, house):
    asked = await imagine(api, "a boat", image=Upload(a_png((96, 48))), mask=Upload(a_png((96, 48))))
    job = await house.job(job_id(await drawn(api, house, asked)))
    assert job.request.width == 2 * job.request.height
    with Image.open(job.request.mask) as mask:
        assert (mask.format, mask.size) == ("PNG", (96, 48))
    varied = await api.press(api.ada, asked.message, "Vary")
    child = await house.job(job_id(await child_in(api, house, asked.message)))
    assert (varied.response["type"], child.request.mask) == (6, None)


async def test_a_mask_without_an_image_or_that_is_none_gets_one_private_sentence(api, house):
    alone = await imagine(api, "a boat", mask=Upload(a_png()))
    assert alone.message.is_ephemeral
    assert "`mask` needs an image" in alone.message.text
    wrong = await imagine(api, "a boat", image=Upload(a_png()), mask=Upload(b"<svg/>"))
    [told] = await api.until(lambda: wrong.followups)
    assert "That kind of picture can't be used" in told.text
    assert await house.store.unfinished() == []


async def test_a_picture_that_is_too_large_is_sent_at_a_lower_quality_and_said(api, house, monkeypatch):
    monkeypatch.setattr("bot.discord.attachments.DEFAULT_FILE_BYTES", 6_000)
    monkeypatch.setattr(house.adapter, "file_bytes", lambda place: 6_000)
    message = await a_picture(api, house)
    assert message.attachments[0].size <= 6_000
    assert "JPEG quality" in message.text


async def test_what_discord_finds_too_large_is_sent_smaller(api, house):
    fault = api.fail("PATCH", r"/channels/\d+/messages/\d+", status=413, code=40005, times=1)
    fault.times = 0
    hold = api.hold("PATCH", r"/channels/\d+/messages/\d+", times=1)
    asked = await imagine(api)
    hold.release()
    api.fail("PATCH", r"/channels/\d+/messages/\d+", status=413, code=40005, times=1)
    message = await drawn(api, house, asked)
    assert message.attachments


async def test_the_message_is_edited_as_well_after_an_hour(api, house):
    hold = api.hold("PATCH", r"/channels/\d+/messages/\d+")
    asked = await imagine(api)
    api.advance(3700)
    hold.release()
    await drawn(api, house, asked)


async def test_a_button_of_a_deleted_picture_offers_its_recipe(api, house):
    message = await a_picture(api, house)
    more = await api.press(api.ada, message, "More…")
    await api.press(api.ada, more.message, "Delete")
    await api.until(lambda: not message.attachments)
    gone = await api.press(api.ada, message, f"v1:vary:{job_id(more.message)}:0", unchecked=True)
    assert "That image is no longer stored" in gone.message.text
    await api.press(api.ada, gone.message, "Run again from its recipe")
    await api.until(lambda: api.channel.last.attachments and api.channel.last is not message)


# refusals


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"prompt": "x " * 2900}, "too long"),
        ({"prompt": "a car --stlye noir"}, "did you mean"),
        ({"prompt": "a car --ar 40:1"}, "out of range"),
        ({"prompt": "a car", "count": 9}, "out of range"),
        ({"prompt": "a car", "seed": -1}, "out of range"),
        ({"prompt": "a car", "strength": 0.5}, "needs an image"),
        ({"prompt": "a {red car"}, "never closed"),
        ({"prompt": "a car", "model": "dall-e"}, "is not known"),
    ],
)
async def test_bad_input_gets_one_private_sentence_and_costs_nothing(api, house, options, said):
    asked = await api.slash(api.ada, api.channel, "imagine", options, unchecked=True)
    assert asked.message.is_ephemeral
    assert said in asked.message.text.lower()
    assert await house.store.unfinished() == []


async def test_what_is_explicit_is_drawn_in_age_restricted_channels_only(api, house):
    refused = await imagine(api, "a naked man on a beach")
    assert refused.message.is_ephemeral
    assert "age-restricted channels only" in refused.message.text
    message = await drawn(api, house, await imagine(api, "a naked man on a beach", channel=api.nsfw_channel))
    await api.press(api.ada, message, "Re-roll")
    await child_in(api, house, message)
    dm = await imagine(api, "a naked man on a beach", channel=api.dm(api.ada))
    assert "age-restricted channels only" in dm.message.text


async def test_a_prompt_of_many_unknown_words_is_answered_all_the_same(api, house):
    asked = await imagine(api, " ".join("q" + a + b for a, b in product("bcdfghjklmnpqrstvwxz", repeat=2))[:1490])
    assert "The built-in model does not know: qbb" in asked.message.text
    await drawn(api, house, asked)


async def test_no_prompt_of_ones_own_formats_an_answer(api, house):
    message = await a_picture(api, house, "a car ` <@1> https://x.example **b**")
    listed = await api.slash(api.ada, api.channel, "limner history")
    info = await api.menu(api.ada, "Image info", message)
    for text in (listed.message.text, info.message.text):
        assert "<@1>" not in text.replace("`/imagine prompt:a car ' <@1>", "")
        assert text.count("`") % 2 == text.count("\\`") % 2


async def test_a_refused_prompt_can_be_corrected_in_a_form(api, house):
    refused = await imagine(api, "a car --stlye noir")
    opened = await api.press(api.ada, refused.message, "Edit")
    made = await api.submit(api.ada, opened, {"text": "a car --style noir --quality draft"})
    assert (await drawn(api, house, made)).text.startswith("**a car film noir**")


async def test_without_units_the_smaller_request_is_a_button(api, tmp_path):
    async with DiscordHouse(api, tmp_path / "data", allowance=1) as house:
        refused = await api.slash(api.ada, api.channel, "imagine", {"prompt": "a red car"})
        assert "Needs 2, you have 1" in refused.message.text
        made = await api.press(api.ada, refused.message, "Run as draft (1)")
        await drawn(api, house, made)


@pytest.mark.parametrize(
    ("permission", "title"), [(Permission.ATTACH_FILES, "Attach Files"), (Permission.SEND_MESSAGES, "Send Messages")]
)
async def test_a_missing_permission_is_named_before_anything_is_promised(api, house, permission, title):
    api.forbid(api.channel, api.bot, permission)
    asked = await imagine(api)
    assert asked.message.is_ephemeral
    assert title in asked.message.text
    assert await house.store.unfinished() == []


async def test_a_command_of_an_older_release_gets_one_private_sentence(api, house):
    [command] = [each for each in api.commands[None] if each["name"] == "imagine"]
    command["options"][0]["name"] = "words"
    asked = await api.slash(api.ada, api.channel, "imagine", {"words": "a car"})
    assert asked.message.is_ephemeral
    assert "This command has changed: reload Discord. Nothing was charged." in asked.message.text


# trouble


@pytest.mark.parametrize("status", [500, 429])
async def test_a_passing_fault_is_tried_again_and_posts_nothing_twice(api, house, status):
    message = await a_picture(api, house)
    api.fail("POST", r"/channels/\d+/messages", status=status, after=status == 500, times=1, retry_after=0.1)
    api.fail("PATCH", r"/channels/\d+/messages/\d+", status=status, times=2, retry_after=0.1)
    await api.press(api.ada, message, "Re-roll")
    child = await child_in(api, house, message)
    assert len([m for m in child.channel.messages if m.author == api.bot]) == 1


@pytest.mark.parametrize("fault", ["drop_gateway", "ask_reconnect", "invalidate_session"])
async def test_the_gateway_may_break_at_any_time(api, house, fault):
    asked = await imagine(api)
    await getattr(api, fault)()
    await drawn(api, house, asked)
    await api.until(lambda: api.is_connected, timeout=30)
    await a_picture(api, house, user=api.bob)


async def test_a_restart_in_the_middle_loses_nothing(api, tmp_path, slow_steps):
    async with DiscordHouse(api, tmp_path / "data"):
        asked = await imagine(api, steps=20)
        await api.until(lambda: "%" in asked.message.text)
    async with DiscordHouse(api, tmp_path / "data") as again:
        await drawn(api, again, asked)
        assert len(api.channel.messages) == 1
    api.assert_valid()


async def test_commands_are_registered_again_only_when_they_changed(api, house, tmp_path):
    puts = [r for r in api.requests if r.method == "PUT"]
    await house.close()
    again = await DiscordHouse(api, tmp_path / "data").open()
    house.running, house.store, house.engine = again.running, again.store, again.engine
    assert [r for r in api.requests if r.method == "PUT"] == puts
    assert len(puts) == 1


async def test_commands_of_chosen_servers_stand_there_alone(api, tmp_path):
    elsewhere = 1234567890
    async with DiscordHouse(api, tmp_path / "data", discord_guilds=(api.guild.id, elsewhere)):
        await api.until(lambda: api.commands.get(api.guild.id))
        await imagine(api)
        assert api.commands[None] == []


async def test_commands_come_to_a_named_server_once_the_bot_is_invited(api, tmp_path):
    late = api.add_guild("late")
    api.remove_bot(late)
    async with DiscordHouse(api, tmp_path / "data", discord_guilds=(api.guild.id, late.id)) as house:
        assert late.id not in api.commands
        api.invite_bot(late)
        await api.until(lambda: api.commands.get(late.id))
        await house.close()
        puts = [r for r in api.requests if r.method == "PUT"]
        await house.open()
        assert [r for r in api.requests if r.method == "PUT"] == puts


async def test_a_token_that_is_revoked_while_it_draws_ends_the_bot_with_one_sentence(api, house):
    asked = await imagine(api)
    api.fail("PATCH", r"/channels/\d+/messages/\d+", status=401)
    await house_until(house, job_id(asked.message), lambda job: job.status == Status.RENDERED)
    connection = house.running[-1]
    with pytest.raises(CannotStart, match="LIMNER_DISCORD_TOKEN") as error:
        async with asyncio.timeout(20):
            await connection
    assert error.value.exit_code == 78
    assert (await house.job(job_id(asked.message))).status == Status.RENDERED


async def test_news_that_comes_while_a_picture_is_written_down_does_not_take_it_away(api, house, monkeypatch):
    delivered, news = house.store.outbox.delivered, []

    async def slowly(parcel, now_ms):
        news.append(asyncio.create_task(house.adapter.show(parcel.job, Live("sending"))))
        await asyncio.sleep(0.05)
        await delivered(parcel, now_ms)

    monkeypatch.setattr(house.store.outbox, "delivered", slowly)
    message = await a_picture(api, house)
    await asyncio.gather(*news)
    assert message.attachments
    assert "sending" not in message.text


async def nothing():
    """A settling that was done before."""


async def test_a_message_is_made_once_whoever_makes_it(api, house):
    message = await a_picture(api, house)
    job = await house.job(job_id(message))
    await house.store._database.run(lambda conn: conn.execute("UPDATE jobs SET message_id = NULL"))
    places = await asyncio.gather(house.adapter.post(job), house.adapter.deliver(job, nothing), house.adapter.post(job))
    made = [m for m in api.channel.messages if m.author == api.bot and m is not message]
    assert len(made) == 1
    assert {place.message_id for place in places if place} == {str(made[0].id)}


async def test_a_refusal_after_a_promise_to_everyone_is_private_all_the_same(api, tmp_path):
    async with DiscordHouse(api, tmp_path / "data", allowance=0):
        asked = await imagine(api, "a boat", image=Upload(a_png()))
        [told] = await api.until(lambda: asked.followups)
        assert told.is_ephemeral
        assert "Not enough units" in told.text


async def test_a_wrong_flag_is_told_before_the_picture_is_fetched(api, house):
    asked = await imagine(api, "a boat --stlye noir", image=Upload(a_png()))
    assert asked.message.is_ephemeral
    assert "Did you mean `--style`" in asked.message.text


async def test_a_start_in_an_outage_is_tried_again(api, tmp_path):
    fault = api.fail("GET", r"/users/@me", drop=True, times=1)
    async with DiscordHouse(api, tmp_path / "data") as house:
        assert fault.hits == 1
        await a_picture(api, house)


async def test_a_wrong_token_stops_the_bot_with_one_sentence(api, tmp_path):
    house = await DiscordHouse(api, tmp_path / "data", token="not-a-token").open(until_connected=False)
    with pytest.raises(CannotStart, match="LIMNER_DISCORD_TOKEN") as error:
        await house.running[-1]
    assert error.value.exit_code == 78
    await house.close()


@pytest.mark.parametrize(
    ("code", "said"),
    [(4004, "make a new one"), (4010, "number of shards"), (4011, "start again"), (4012, "newer Limner"),
     (4013, "newer Limner"), (4014, "none of the privileged ones"), (4000, None)],
)  # fmt: skip
async def test_what_the_gateway_refuses_for_good_ends_the_bot_with_one_sentence(api, house, code, said):
    await api.drop_gateway(code)
    if said is None:  # this one passes
        await api.until(lambda: api.is_connected, timeout=30)
        return
    with pytest.raises(CannotStart, match=said) as error:
        async with asyncio.timeout(20):
            await house.running[-1]
    assert error.value.exit_code == 78


async def test_as_many_shards_as_discord_asks_for(tmp_path):
    async with DiscordAPI(shards=2) as api:
        async with DiscordHouse(api, tmp_path / "data") as house:
            await a_picture(api, house)
        api.assert_valid()


async def test_no_privileged_intent_is_asked_for(api, house):
    asked = [said["intents"] for kind, said in api.gateway_log if kind == "identify"]
    assert asked == [1 << 0 | 1 << 9 | 1 << 12]


def identity(user):
    return Identity("discord", "", str(user.id))


def a_png(size=(64, 48)):
    file = io.BytesIO()
    Image.new("RGB", size, "teal").save(file, "PNG")
    return file.getvalue()


async def house_until(house, name, reached):
    async with asyncio.timeout(20):
        with house.feed.watch() as changes:
            while not reached(job := await house.job(name)):
                await anext(changes)
        return job


async def test_what_could_not_be_queued_when_it_was_answered_is_queued_a_little_later(api, tmp_path, monkeypatch):
    monkeypatch.setattr("bot.discord.connection.RECOVER_SECONDS", 0.3)
    async with DiscordHouse(api, tmp_path / "data") as house:
        acknowledged, refusals = house.store.acknowledged, [Unavailable("the disk is full")]

        async def full_once(*args, **more):
            if refusals:
                raise refusals.pop()
            return await acknowledged(*args, **more)

        monkeypatch.setattr(house.store, "acknowledged", full_once)
        asked = await api.slash(api.ada, api.channel, "imagine", {"prompt": "a red car", "quality": "draft"})
        await api.until(lambda: asked.message.attachments and "More…" in asked.message.labels)
        assert refusals == []


@pytest.mark.parametrize("away_minutes", [0, 20])
async def test_a_child_that_has_its_message_goes_on_after_a_restart(api, tmp_path, away_minutes):
    """The bot dies after writing down the message, before the job is queued; it may be away for longer than a token."""
    async with DiscordHouse(api, tmp_path / "data") as house:
        message = await a_picture(api, house, steps=2)
        dying = asyncio.Event()

        async def too_late(*args, **more):
            dying.set()
            await asyncio.Event().wait()

        house.store.acknowledged = too_late
        await api.press(api.ada, message, "Re-roll")
        await dying.wait()
    house.ahead_ms += away_minutes * 60_000
    async with house:
        thread = thread_of(api, message)
        await api.until(lambda: thread.last.attachments and "More…" in thread.last.labels)
        assert len([each for each in thread.messages if each.author is api.bot]) == 1


@pytest.mark.parametrize("is_answered", [True, False])
async def test_what_was_answered_is_found_when_its_token_has_ended(api, tmp_path, is_answered):
    """The bot dies before it writes down that Discord took the answer, and is away for longer than a token lasts."""
    async with DiscordHouse(api, tmp_path / "data") as house:
        dying = asyncio.Event()

        async def too_late(*args, **more):
            dying.set()
            await asyncio.Event().wait()

        house.store.acknowledged = too_late
        asked = await api.slash(api.ada, api.channel, "imagine", {"prompt": "a red car", "quality": "draft"})
        await dying.wait()
        [job] = await house.store.chat.unanswered("discord")
    api.advance(1200)
    house.ahead_ms += 1_200_000
    if not is_answered:
        api.delete_message(asked.message)
    async with house:
        if is_answered:
            await api.until(lambda: asked.message.attachments and "More…" in asked.message.labels)
        else:
            assert (await house.end_of(job.id)).status == Status.CANCELLED
        assert len([each for each in api.channel.messages if each.author is api.bot]) == is_answered


async def test_an_answer_that_did_not_reach_discord_is_said_again(api, tmp_path):
    api.fail("POST", r"/interactions/.*", drop=True)
    async with DiscordHouse(api, tmp_path / "data") as house:
        asked = await api.slash(api.ada, api.channel, "imagine", {"prompt": "a red car", "quality": "draft"})
        await api.until(lambda: asked.message.attachments and "More…" in asked.message.labels)
        reroll = api.fail("POST", r"/interactions/.*", drop=True)
        await api.press(api.ada, asked.message, "Re-roll")
        thread = await api.until(lambda: thread_of(api, asked.message))
        await api.until(lambda: thread.messages and thread.last.attachments)
        assert reroll.hits == 1
        assert await house.store.chat.unanswered("discord") == []


async def test_a_message_that_was_posted_before_the_nonce_was_forgotten_is_found(api, tmp_path, slow_steps):
    """The bot dies between posting and writing it down, and comes back when Discord has forgotten the nonce."""
    async with DiscordHouse(api, tmp_path / "data") as house:
        message = await a_picture(api, house, steps=2)
        forgotten = []
        posted = house.store.chat.posted

        async def lost(job_id, **where):
            forgotten.append(job_id)

        house.store.chat.posted = lost
        await api.press(api.ada, message, "Re-roll")
        await api.until(lambda: forgotten)
        house.store.chat.posted = posted
        api.advance(600)
        house.ahead_ms += 600_000
        job = await house.store.job(forgotten[0])
        place = await house.adapter.post(job)
        thread = thread_of(api, message)
        assert [str(each.id) for each in thread.messages if each.author is api.bot] == [place.message_id]


async def test_a_second_press_at_once_is_answered_and_makes_nothing(api, tmp_path, slow_steps):
    async with DiscordHouse(api, tmp_path / "data") as house:
        message = await a_picture(api, house, steps=2)
        presses = [await api.press(api.ada, message, "Re-roll") for _ in range(2)]
        thread = await api.until(lambda: thread_of(api, message))
        await api.until(lambda: thread.messages and thread.last.attachments)
        assert all(each.response for each in presses)
        assert len([each for each in thread.messages if each.author is api.bot]) == 1


async def test_a_message_stays_where_it_is_when_its_thread_opens_only_later(api, tmp_path, slow_steps, monkeypatch):
    """A press comes again after a restart, and is read before the job of the first has its message."""
    async with DiscordHouse(api, tmp_path / "data") as house:
        message = await a_picture(api, house, steps=2)

        async def broken(root):
            raise ConnectionResetError("lost")

        with monkeypatch.context() as breaks:
            breaks.setattr(house.adapter, "thread_for", broken)
            await api.press(api.ada, message, "Re-roll")
            await api.until(lambda: api.channel.last is not message and api.channel.last.author is api.bot)
        made = api.channel.last
        job = await house.job(job_id(made))
        again = replace(job, place=replace(job.place, message_id=None))
        await house.connection._client.desk._echo.post([again])
        await api.until(lambda: made.attachments and "More…" in made.labels)
        assert thread_of(api, message).messages == []


def by_job(api):
    """Of each job, the messages that stand somewhere for everybody."""
    found = {}
    for channel in api.channels.values():
        for each in channel.by_id.values():
            if each.author is api.bot and not each.is_deleted and not each.is_ephemeral and each.buttons:
                found.setdefault(job_id(each), []).append(each)
    return found


async def dies_after(house, act, *, before="posted"):
    """The bot dies when Discord has made a message, and does not write that down; returns the job."""
    dying, part = asyncio.Event(), house.store.chat if before == "posted" else house.store

    async def too_late(*args, **more):
        dying.set()
        await asyncio.Event().wait()

    setattr(part, before, too_late)
    await act()
    async with asyncio.timeout(10):
        await dying.wait()
    [job] = await house.store.chat.unanswered("discord")
    return job


@pytest.mark.parametrize("way", ["more", "menu"])
async def test_what_was_pressed_where_one_sees_it_alone_has_one_message_after_a_restart(api, tmp_path, way):
    """What answers such a press is no message of the job's."""
    async with DiscordHouse(api, tmp_path / "data") as house:
        message = await a_picture(api, house, steps=2)
        more = await api.press(api.bob, message, "More…")
        press = {
            "more": lambda: api.press(api.bob, more.message, "Vary slightly"),
            "menu": lambda: api.menu(api.bob, "Re-roll", message),
        }[way]
        job = await dies_after(house, press)
    async with house:
        assert (await house.end_of(job.id)).status == Status.DELIVERED
        assert len(by_job(api)[job.id]) == 1


async def test_an_outage_that_outlasts_a_token_loses_no_answer(api, tmp_path, monkeypatch):
    """Discord made the message, the connection broke, and for as long as the token lasts nothing gets through."""
    monkeypatch.setattr("bot.discord.echo._LOOK_UPS", 2)
    async with DiscordHouse(api, tmp_path / "data") as house:
        api.fail("POST", r"/interactions/.*", drop=True, after=True)
        looks = api.fail("GET", r"/(webhooks|channels)/.*", drop=True, times=None)
        asked = await api.slash(api.ada, api.channel, "imagine", {"prompt": "a red car", "quality": "draft"}, wait=None)
        await asyncio.sleep(9)
        assert looks.hits
        api.heal()
        await house.connection._client.desk.recover()
        await api.until(lambda: asked.message.attachments)


async def test_where_no_thread_could_be_opened_before_a_restart_there_is_one_message(api, tmp_path):
    async with DiscordHouse(api, tmp_path / "data") as house:
        message = await a_picture(api, house, steps=2)
        api.fail("POST", r".*/threads", status=403, code=50013)
        job = await dies_after(house, lambda: api.press(api.ada, message, "Re-roll"))
    api.heal()
    async with house:
        await house.end_of(job.id)
        assert len(by_job(api)[job.id]) == 1


async def test_a_message_is_found_although_the_clocks_differ(api, tmp_path):
    """Ours is five seconds ahead of Discord's, which dates its messages."""
    house = DiscordHouse(api, tmp_path / "data")
    house.ahead_ms = 5000
    async with house:
        message = await a_picture(api, house, steps=2)
        job = await dies_after(house, lambda: api.press(api.ada, message, "Re-roll"))
    api.advance(600)
    house.ahead_ms += 600_000
    async with house:
        await house.end_of(job.id)
        assert len(by_job(api)[job.id]) == 1
        last = await dies_after(house, lambda: imagine(api), before="acknowledged")
    api.advance(1200)
    house.ahead_ms += 1_200_000
    async with house:
        assert (await house.end_of(last.id)).status == Status.DELIVERED


async def test_where_the_bot_may_not_read_what_was_said_it_posts_all_the_same(api, house):
    message = await a_picture(api, house)
    job = await house.job(job_id(message))
    await house.store._database.run(lambda conn: conn.execute("UPDATE jobs SET message_id = NULL"))
    house.ahead_ms += 600_000
    looks = api.fail("GET", r"/channels/\d+/messages", status=403, code=50013)
    place = await house.adapter.post(job)
    assert looks.hits == 1
    assert place.message_id == str(api.channel.last.id) != str(message.id)
