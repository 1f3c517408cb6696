"""Answers on Slack: private sentences, the buttons under them, and what becomes of what was deleted or closed."""

import pytest
import yaml

from bot.jobs import Identity, Status
from bot.settings import Settings
from bot.slack.manifest import manifest
from tests.slack_api import SlackAPI, Upload
from tests.slack_house import SlackHouse, install, job_id
from tests.test_slack_flows import (
    DRAFT,
    a_picture,
    a_png,
    charged,
    child_in,
    drawn,
    files_in,
    imagine,
    in_thread,
    jobs_of,
    of_jobs,
)


@pytest.fixture
async def api():
    async with SlackAPI() as api:
        install(api)
        yield api


@pytest.fixture
async def house(api, tmp_path):
    house = await SlackHouse(api, tmp_path / "data").open()
    yield house
    await house.close()
    api.assert_valid()


async def told(api, act):
    """What was said to the person alone."""
    found = await api.until(lambda: act.messages or [m for m in api.ephemerals(act.user) if float(m.ts) > act.at])
    assert found[-1].seen_by is act.user
    return found[-1]


async def test_more_has_everything_else(api, house):
    message = await a_picture(api, house)
    more = await told(api, await api.press(api.bob, message, "More…"))
    assert more.labels == [
        "Info",
        "Vary slightly",
        "Four more seeds",
        "How it was made",
        "Original file",
        "Report",
        "Delete",
    ]
    info = await told(api, await api.press(api.bob, more, "Info"))
    assert all(fact in info.text for fact in ("Seed", "100", "/imagine a red car --seed 100"))
    await api.press(api.bob, more, "How it was made")
    await api.press(api.bob, more, "Original file")
    dm = api.dm(api.bob)
    await api.until(lambda: len([m for m in dm.messages if m.files]) == 2)
    assert {m.files[0].mimetype for m in dm.messages if m.files} == {"image/jpeg", "image/png"}


async def test_deleting_asks_first_and_takes_the_picture_off_slack(api, house):
    message = await a_picture(api, house)
    [file] = files_in(api.channel, message)
    more = await told(api, await api.press(api.bob, message, "More…"))
    delete = next(button for button in more.buttons if button["text"]["text"] == "Delete")
    assert delete["confirm"]["confirm"]["text"]
    refused = await told(api, await api.press(api.bob, more, "Delete"))
    assert "Only its owner or a moderator" in refused.text
    mine = await told(api, await api.press(api.ada, message, "More…"))
    await api.press(api.ada, mine, "Delete")
    await api.until(lambda: not message.pictures and file.state == "deleted")


async def test_a_picture_that_is_deleted_offers_its_recipe(api, house):
    message = await a_picture(api, house)
    name = job_id(message)
    more = await told(api, await api.press(api.ada, message, "More…"))
    await api.press(api.ada, more, "Delete")
    await api.until(lambda: not message.pictures)
    gone = await told(api, await api.press(api.ada, message, f"v1:vary:{name}:0", unchecked=True))
    assert "That image is no longer stored" in gone.text
    await api.press(api.ada, gone, "Run again from its recipe")
    await api.until(lambda: [m for m in of_jobs(api) if m is not message and m.pictures])


async def test_words_that_the_built_in_model_does_not_know_are_told_at_once(api, house):
    await api.slash(api.ada, api.channel, "/imagine", f"a red zeppelin {DRAFT}")
    message = (await api.until(lambda: [m for m in api.channel.messages if m.author is api.bot and m.metadata]))[-1]
    assert "The built-in model does not know: zeppelin" in message.history[0].text
    await api.until(lambda: message.pictures)
    assert "does not know" not in message.text


async def test_four_pictures_are_picked_and_varied_one_by_one(api, house):
    message = await a_picture(api, house, "a red car --n 4")
    assert message.labels == ["1", "2", "3", "4", "V1", "V2", "V3", "V4", "Re-roll", "Remix", "More…"]
    assert len(set(message.pictures)) == 4
    await api.press(api.ada, message, "3")
    child = await child_in(api, house, message)
    job = await house.job(job_id(child))
    assert (job.lineage.verb, job.lineage.index, job.request.of.seed) == ("full_size", 2, 102)


async def test_several_jobs_are_priced_and_confirmed_first(api, house):
    asked = await told(api, await api.slash(api.ada, api.channel, "/imagine", f"a {{red, blue}} car {DRAFT}"))
    assert "That is 2 jobs for 2 units" in asked.text
    assert of_jobs(api) == []
    await api.press(api.ada, asked, "Draw them")
    await api.until(lambda: len(of_jobs(api)) == 2)
    for message in of_jobs(api):
        await drawn(api, house, message)
    assert asked.is_deleted


async def test_a_refused_prompt_is_corrected_in_a_form(api, house):
    refused = await told(api, await api.slash(api.ada, api.channel, "/imagine", "a car --stlye noir"))
    pressed = await api.press(api.ada, refused, "Edit")
    form = await api.until(lambda: pressed.views and pressed.modal)
    await api.submit(api.ada, form, {form.fields[0]: f"a car --style noir {DRAFT}"})
    message = await drawn(api, house, (await api.until(lambda: of_jobs(api)))[0])
    assert message.text.startswith("a car film noir")


async def test_without_units_the_smaller_request_is_a_button(api, tmp_path):
    async with SlackHouse(api, tmp_path / "data", allowance=1) as house:
        refused = await told(api, await api.slash(api.ada, api.channel, "/imagine", "a red car"))
        assert "Needs 2, you have 1" in refused.text
        await api.press(api.ada, refused, "Run as draft (1)")
        await drawn(api, house, (await api.until(lambda: of_jobs(api)))[0])
    api.assert_valid()


@pytest.mark.parametrize(
    ("command", "said"),
    [("quota", "100 units"), ("queue", "Nothing waits"), ("history", "No pictures yet"), ("models", "builtin"),
     ("help", "--seed N"), ("cancel", "Nothing waits"), ("", "/limner"), ("nonsense", "/limner")],
)  # fmt: skip
async def test_limner_answers_only_the_asker(api, house, command, said):
    assert said in (await told(api, await api.slash(api.ada, api.channel, "/limner", command))).text
    assert api.channel.messages == []


async def test_limner_works_where_the_app_is_not(api, house):
    assert "100 units" in (await told(api, await api.slash(api.ada, api.elsewhere, "/limner", "quota"))).text


async def test_a_response_url_that_fails_gives_way_to_another_private_message(api, house):
    api.fail("response_url", status=500, times=None)
    asked = await api.slash(api.ada, api.channel, "/imagine", "a car --stlye noir")
    assert "Did you mean" in (await told(api, asked)).text


async def test_in_a_direct_message_everything_works(api, house):
    dm = api.dm(api.ada)
    message = await a_picture(api, house, channel=dm)
    await api.press(api.ada, message, "Re-roll")
    child = await child_in(api, house, message)
    assert len(files_in(dm, message)) == 2
    assert child.channel is dm


async def test_whoever_waited_long_is_told_once_with_the_file(api, house):
    hold = api.hold("chat.postMessage")
    await api.slash(api.ada, api.channel, "/imagine", f"a red car {DRAFT}", wait=None)
    await api.until(lambda: hold.hits)
    house.ahead_ms += 31_000
    hold.release()
    message = await drawn(api, house, (await api.until(lambda: of_jobs(api)))[0])
    ready = [m for m in api.channel.messages if m.pings]
    assert [(m.pings, m.thread_ts, m.text) for m in ready] == [
        ([api.ada.id], message.ts, f"{api.ada.mention} `{job_id(message)}` is ready")
    ]


async def test_a_mask_in_the_form_says_where_the_picture_is_drawn_over(api, house):
    opened = await api.slash(api.ada, api.channel, "/imagine")
    form = await api.until(lambda: opened.views and opened.modal)
    fields = {"Prompt": "a boat", "Quality": "draft", "Where to post": api.channel}
    await api.submit(api.ada, form, fields | {"Mask": Upload(a_png())})
    assert list(form.errors) == ["mask"]
    await api.submit(api.ada, form, fields | {"Image": Upload(a_png()), "Mask": Upload(b"no picture", "mask.png")})
    assert (list(form.errors), "not a picture" in form.errors["mask"]) == (["mask"], True)
    await api.submit(api.ada, form, fields | {"Image": Upload(a_png()), "Mask": Upload(a_png())})
    message = await drawn(api, house, (await api.until(lambda: of_jobs(api)))[0])
    draw = (await house.job(job_id(message))).request
    assert draw.mask
    assert draw.init_image


async def test_the_form_lists_the_models_of_its_channel(api, tmp_path):
    async with SlackHouse(api, tmp_path / "data", slack_admins=(api.bob.id,)) as house:

        async def listed(channel):
            opened = await api.slash(api.ada, channel, "/imagine")
            await api.until(lambda: opened.views and opened.modal)
            await api.until(lambda: not house.connection._turns - house.idle)
            [model] = [each["element"] for each in opened.modal.inputs if each["block_id"] == "model"]
            return [option["value"] for option in model["options"]]

        house.idle = set(house.connection._turns)
        everything = await listed(api.channel)
        assert len(everything) > 1
        await told(api, await api.slash(api.bob, api.channel, "/limner-admin", "channel --models builtin"))
        assert await listed(api.channel) == ["builtin"]
        assert await listed(api.private_channel) == everything


async def test_the_commands_are_called_by_the_names_that_they_have_here(api, tmp_path):
    names = ("/draw", "/art", "/art-admin")
    api.install(yaml.safe_load(manifest(Settings(slack_commands=names))))
    async with SlackHouse(api, tmp_path / "data", slack_commands=names, slack_admins=(api.bob.id,)):
        said = [
            (await told(api, await api.slash(api.bob, api.channel, command, text))).text
            for command, text in [
                ("/art", "history"), ("/art", "nonsense"), ("/art", "settings"), ("/art", "help"),
                ("/art", "privacy"), ("/art-admin", "help"), ("/art-admin", "nonsense"), ("/art-admin", "quota set"),
            ]
        ]  # fmt: skip
        await api.open_home(api.ada)
        said.append((await api.until(lambda: api.homes.get(api.ada.id))).text)
    assert not [text for text in said if "/imagine" in text or "/limner" in text]
    assert all("/draw" in text or "/art" in text for text in said)


async def test_a_form_that_was_refused_can_be_sent_again_unchanged(api, house):
    opened = await api.slash(api.ada, api.channel, "/imagine")
    form = await api.until(lambda: opened.views and opened.modal)
    fields = {"Prompt": "a boat", "Quality": "draft", "Where to post": api.channel, "Image": Upload(a_png())}
    api.fail("files.info", status=503)
    await api.submit(api.ada, form, fields)
    assert (list(form.errors), form.is_open) == (["image"], True)
    await api.submit(api.ada, form)
    await drawn(api, house, (await api.until(lambda: of_jobs(api)))[0])


async def test_a_form_that_comes_too_late_says_so(api, house):
    api.fail("views.open", error="expired_trigger_id")
    said = await told(api, await api.slash(api.ada, api.channel, "/imagine"))
    assert "The form came too late for Slack: try it again. Nothing was charged." in said.text


async def test_a_form_that_is_open_already_is_not_opened_twice(api, tmp_path):
    async with SlackHouse(api, tmp_path / "data"):
        asked = await api.slash(api.ada, api.channel, "/imagine")
        await api.until(lambda: asked.views)
    async with SlackHouse(api, tmp_path / "data"):
        await api.redeliver(asked)
        await api.until(lambda: len(api.asked("views.open")) == 2)
        await told(api, await api.slash(api.ada, api.channel, "/limner", "quota"))
    assert (len(asked.views), asked.messages) == (1, [])


async def test_a_form_that_is_closed_before_it_is_filled_is_no_fault(api, house, caplog):
    message = await a_picture(api, house)
    hold = api.hold("views.update")
    pressed = await api.press(api.ada, message, "Remix")
    await api.until(lambda: hold.hits)
    await api.close_view(api.ada, pressed.modal)
    hold.release()
    await api.until(lambda: [asked for asked in api.asked("views.update") if asked.error == "not_found"])
    await told(api, await api.slash(api.ada, api.channel, "/limner", "quota"))
    assert not [said for said in pressed.messages + api.ephemerals(api.ada) if "Something broke" in said.text]
    assert "failed" not in caplog.text


async def test_a_job_that_is_shown_once_more_works_like_the_first(api, house):
    message = await a_picture(api, house)
    shown = await told(api, await api.slash(api.ada, api.channel, "/limner", f"show {job_id(message)}"))
    assert shown.pictures == message.pictures
    await api.press(api.ada, shown, "Re-roll")
    await child_in(api, house, message)
    assert not shown.is_deleted


# what is taken away


async def test_a_job_whose_pictures_are_deleted_while_they_are_sent_comes_to_its_end(api, house):
    api.fail("files.getUploadURLExternal", status=500, times=None)
    message = await imagine(api)
    await api.until(lambda: api.asked("files.getUploadURLExternal"))
    name = job_id(message)
    person = await house.store.person(Identity("slack", api.team_id, api.ada.id), is_operator=False, now_ms=0)
    await house.studio.delete(person, name)
    api.heal()
    await house.end_of(name)
    assert (message.pictures, files_in(api.channel, message)) == ([], [])


async def test_an_app_that_is_thrown_out_meanwhile_charges_nothing(api, tmp_path, monkeypatch):
    monkeypatch.setenv("LIMNER_FAKE_STEP_SECONDS", "0.35")
    async with SlackHouse(api, tmp_path / "data") as house:
        message = await imagine(api, "a red car --steps 4")
        api.kick_bot(api.channel)
        assert (await house.end_of(job_id(message))).status == Status.UNDELIVERABLE
        assert await charged(house, api.ada) == 0


async def test_a_thread_whose_first_message_was_deleted_goes_on(api, house):
    message = await a_picture(api, house)
    await api.press(api.ada, message, "Re-roll")
    child = await child_in(api, house, message)
    api.delete_message(message)
    await api.press(api.ada, child, "Re-roll")
    await child_in(api, house, message, number=2)
    assert len(in_thread(api, message)) == 2


async def test_a_button_of_another_channel_is_answered_like_an_unknown_one(api, house):
    message = await a_picture(api, house, channel=api.private_channel)
    there = await a_picture(api, house, user=api.bob)
    foreign = await told(api, await api.press(api.bob, there, f"v1:reroll:{job_id(message)}:0", unchecked=True))
    unknown = await told(api, await api.press(api.bob, there, "v1:reroll:zzzz:0", unchecked=True))
    assert foreign.text.replace(job_id(message), "zzzz") == unknown.text
    assert len(await jobs_of(house, api.bob)) == 1


# who may


async def test_admins_are_asked_of_slack_at_each_use_and_nobody_is_one_while_slack_does_not_say(api, tmp_path):
    async with SlackHouse(api, tmp_path / "data", slack_workspace_admins=True) as house:
        message = await a_picture(api, house)
        command = f"job delete {job_id(message)}"
        refused = await told(api, await api.slash(api.bob, api.channel, "/limner-admin", command))
        assert message.pictures
        assert "for moderators of this place" in refused.text
        api.fail("users.info", status=500, times=None)
        unknown = await told(api, await api.slash(api.adam, api.channel, "/limner-admin", command))
        assert message.pictures
        assert unknown.text
        api.heal()
        await api.slash(api.adam, api.channel, "/limner-admin", command)
        await api.until(lambda: not message.pictures)


async def test_whoever_may_not_draw_is_told_so_on_the_home_tab(api, house):
    await api.open_home(api.guest)
    home = await api.until(lambda: api.homes.get(api.guest.id))
    assert "does not let guests" in home.text
    assert home.labels == []


# signed HTTP


async def test_slack_can_verify_the_address(api, tmp_path):
    async with SlackHouse(api, tmp_path / "data", mode="http"):
        body = b'{"token": "x", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY", "type": "url_verification"}'
        headers = {"Content-Type": "application/json"}
        status, _, answer = await api.post(body, headers | api.sign(body))
        assert (status, b"3eZbrw1aBm2rZgRNFdxV2595E9CY" in answer) == (200, True)
        assert (await api.post(body, headers | api.sign(body, secret="another")))[0] == 401
