from pathlib import Path

import pytest
from msgspec.structs import replace

from bot.commands import Imagine
from bot.controls import Press
from bot.errors import BadOption, Gone, NotAllowed, QueueFull, QuotaExceeded, Unknown
from bot.feed import Live
from bot.jobs import Identity, Place
from engine.protocol import Upscale
from tests.house import House, wanted

GUILD = Place("discord", "guild 1", "general")
ELSEWHERE = Place("discord", "guild 2", "general")


@pytest.fixture
def studio(house):
    return house.studio


@pytest.fixture
def closed(store, clock, tmp_path):
    """A studio whose engine never starts: what it accepts waits."""
    return House(store, clock, tmp_path / "data").studio


@pytest.fixture
async def bob(studio):
    return await studio.person(Identity("discord", "", "bob"))


@pytest.fixture
async def operator(studio):
    return await studio.person(Identity("web", "", "operator"))


@pytest.fixture
def ask(studio):
    """Imagine as if typed, each time anew."""
    keys = iter(range(1000))
    return lambda person, text, place=GUILD: studio.draw(person, place, Imagine(text), key=f"ask {next(keys)}")


@pytest.fixture
async def drawn(house, ada, draw):
    """A draft by ada, and then delivered on the page."""
    [job_id] = await house.accept(ada, wanted(draw, units=2, count=2))
    return await house.end_of(job_id)


@pytest.fixture
def press(studio, ada):
    keys = iter(range(1000))

    async def press(verb, job, index=0, person=ada, text=""):
        [child] = await studio.draw(person, job.place, Press(verb, job.id, index, text), key=f"press {next(keys)}")
        return child

    return press


async def test_a_sentence_becomes_jobs_with_every_value_resolved(ask, ada):
    first, second = await ask(ada, "a {red, blue} car --ar 16:9 --quality draft")
    assert [job.request.prompt for job in (first, second)] == ["a red car", "a blue car"]
    assert (first.status, first.units, first.request.seed, first.lineage) == ("queued", 1, 100, None)


async def test_the_same_delivery_is_the_same_jobs(studio, ada):
    first = await studio.draw(ada, GUILD, Imagine("a car"), key="42")
    assert [job.id for job in await studio.draw(ada, GUILD, Imagine("a car"), key="42")] == [first[0].id]


async def test_a_job_waits_until_its_platform_took_the_answer(closed, ada):
    [job] = await closed.draw(ada, GUILD, Imagine("a car"), key="42", is_acknowledged=False)
    assert job.status == "received"
    [queued] = await closed.acknowledged([job], message_id="m1")
    assert (queued.status, queued.place.message_id) == ("queued", "m1")


async def test_a_refusal_names_the_smaller_request_that_fits(ask, ada, studio):
    for _ in range(9):
        await ask(ada, "a car")
    with pytest.raises(QuotaExceeded) as refusal:
        await ask(ada, "a car --seed 7 --n 2")
    assert (refusal.value.needed, refusal.value.left) == (4, 2)
    command, units = refusal.value.smaller
    assert units <= 2
    assert await ask(ada, command.removeprefix("/imagine "))


async def test_the_operator_is_counted_and_not_limited(ask, studio, operator):
    for _ in range(11):
        await ask(operator, "a car", Place("web"))
    view = await studio.quota(operator)
    assert (view.used, view.allowance, view.is_limited) == (22, 20, False)


async def test_more_jobs_than_one_person_may_have_waiting_are_refused(closed, ada):
    for n in range(10):
        [job] = await closed.draw(ada, GUILD, Imagine("a car --quality draft"), key=str(n))
        closed._feed.show(job.id, Live("queued", position=n + 1, starts_at_ms=1000 * (n + 1)))
    with pytest.raises(QueueFull) as refusal:
        await closed.draw(ada, GUILD, Imagine("a car --quality draft"), key="one more")
    assert (refusal.value.own, refusal.value.waiting, refusal.value.limit) == (True, 10, 10)
    assert refusal.value.starts_at_ms == 1000


@pytest.mark.parametrize(
    ("verb", "changes"),
    [
        ("reroll", {"seed": 100}),
        ("again", {}),
        ("four_more", {"seed": 100, "count": 4}),
        ("vary", {"seed": 100, "count": 1, "strength": 0.6}),
        ("vary_slightly", {"seed": 100, "count": 1, "strength": 0.3}),
    ],
)
async def test_a_button_changes_this_and_keeps_the_rest(press, drawn, verb, changes):
    child = await press(verb, drawn, 1)
    source = drawn.images[1].path if verb.startswith("vary") else None
    assert child.request == replace(drawn.request, init_image=source, **changes)
    assert (child.lineage.job_id, child.lineage.index, child.lineage.verb) == (drawn.id, 1, verb)


async def test_a_remix_keeps_the_seed_and_changes_what_it_says(press, drawn):
    child = await press("remix", drawn, text="/imagine a blue boat --steps 8")
    assert child.request == replace(drawn.request, prompt="a blue boat", steps=8)


async def test_full_size_enlarges_the_stored_draft(press, drawn):
    child = await press("full_size", drawn, 1)
    of = replace(drawn.request, count=1, seed=8)
    assert child.request == Upscale(source=drawn.images[1].path, of=of, width=2048, height=2048)
    with pytest.raises(BadOption):
        await press("full_size", child)


async def test_what_was_enlarged_is_drawn_again_at_full_size(press, drawn):
    enlarged = await press("full_size", drawn)
    child = await press("reroll", enlarged)
    assert (child.request.quality, child.request.width, child.request.seed) == ("full", 2048, 100)


async def test_pressing_twice_is_one_job(press, drawn, clock):
    first = await press("reroll", drawn)
    assert (await press("reroll", drawn)).id == first.id
    clock.pass_seconds(4)
    assert (await press("reroll", drawn)).id != first.id


async def test_what_comes_of_a_private_picture_is_private(studio, ask, ada):
    [job] = await ask(ada, "a car --private yes")
    [child] = await studio.draw(ada, GUILD, Press("reroll", job.id, 0), key="reroll")
    [public] = await ask(ada, "a car")
    [remix] = await studio.draw(ada, GUILD, Press("remix", public.id, 0, "--private yes"), key="remix")
    assert (child.is_private, remix.is_private) == (True, True)


async def test_two_remixes_that_differ_are_two_jobs(press, drawn):
    assert (await press("remix", drawn, text="at night")).id != (await press("remix", drawn, text="in fog")).id


@pytest.mark.parametrize("verb", ["vary", "full_size"])
@pytest.mark.parametrize("how", ["deleted", "lost"])
async def test_an_image_that_is_gone_can_be_run_again_only(studio, press, ada, drawn, verb, how):
    if how == "deleted":
        await studio.delete(ada, drawn.id, 0)
    else:
        Path(drawn.images[0].path).unlink()
    with pytest.raises(Gone):
        await press(verb, drawn)
    assert (await press("again", drawn)).request == drawn.request


async def test_who_presses_pays(studio, bob, ada, ask):
    [job] = await ask(ada, "a car")
    [child] = await studio.draw(bob, GUILD, Press("reroll", job.id, 0), key="press")
    assert (child.person_id, (await studio.quota(bob)).used, (await studio.quota(ada)).used) == (bob.id, 2, 2)


@pytest.mark.parametrize(
    ("text", "place"), [("a car --private yes", GUILD), ("a car", ELSEWHERE), (None, GUILD), ("a car", None)]
)
async def test_a_job_of_others_or_of_another_place_is_answered_like_one_that_is_not_there(
    studio, ask, ada, bob, text, place
):
    job_id = (await ask(ada, text))[0].id if text else "zzzz"
    with pytest.raises(Unknown):
        await studio.job(bob, job_id, place)
    with pytest.raises(Unknown):
        await studio.draw(bob, place or ELSEWHERE, Press("reroll", job_id, 0), key="press")
    for act in (studio.cancel, studio.delete):
        with pytest.raises((Unknown, NotAllowed)):
            await act(bob, job_id)


@pytest.mark.parametrize(("verb", "index"), [("paint", 0), ("reroll", 2), ("vary", -1)])
async def test_a_button_that_never_was_is_unknown(press, drawn, verb, index):
    with pytest.raises(Unknown):
        await press(verb, drawn, index)


async def test_only_its_owner_cancels_or_deletes_a_job(closed, ada, bob):
    [job] = await closed.draw(ada, GUILD, Imagine("a car"), key="1")
    for act in (closed.cancel, closed.delete):
        with pytest.raises(NotAllowed):
            await act(bob, job.id, place=GUILD)
    assert (await closed.job(ada, job.id)).status == "queued"


async def test_a_cancelled_job_is_given_back(closed, ada):
    [job] = await closed.draw(ada, GUILD, Imagine("a car --n 4"), key="1")
    assert (await closed.cancel(ada, job.id)).status == "cancelled"
    assert (await closed.quota(ada)).used == 0


async def test_deleting_removes_the_files_and_keeps_the_recipe(studio, ada, drawn, house):
    job = await studio.delete(ada, drawn.id, 0)
    assert [image.status for image in job.images] == ["deleted", "done"]
    assert [file.name for file in (house.spool / drawn.id).glob("0.*")] == []
    await studio.delete(ada, drawn.id)
    assert not (house.spool / drawn.id).exists()
    assert (await studio.job(ada, drawn.id)).request == drawn.request


async def test_info_says_how_to_draw_it_again(studio, ada, drawn, press):
    info = await studio.info(ada, drawn.id, 1)
    assert (info.draw.seed, info.image.index, info.is_repeatable) == (8, 1, True)
    assert "--seed 8" in info.command
    varied = await press("vary", drawn)
    assert not (await studio.info(ada, varied.id, 0)).is_repeatable


async def test_the_queue_shows_ones_own_jobs_and_the_number_of_the_others(closed, ada, bob):
    mine = [(await closed.draw(ada, GUILD, Imagine("a car"), key=str(n)))[0].id for n in range(2)]
    await closed.draw(bob, GUILD, Imagine("a car"), key="1")
    view = await closed.queue(ada)
    assert ([job.id for job, _ in view.own], view.others) == (mine, 1)
