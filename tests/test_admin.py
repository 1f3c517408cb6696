"""The orders of admins: who may, where, once; what comes of them; and what does not fit."""

import asyncio
import csv
import io
import re
from dataclasses import dataclass
from itertools import count

import pytest
from PIL import Image

from bot import charts, wording
from bot.admin import Actor
from bot.allowances import EVERYWHERE
from bot.commands import Imagine
from bot.errors import (
    AboveCap,
    BadOption,
    Blocked,
    NoAuthority,
    NotForOwner,
    NothingToRetry,
    QueueFull,
    QuotaExceeded,
    Unknown,
)
from bot.feed import Live
from bot.jobs import Identity, Place
from bot.orders import FORMS, Authority
from bot.phrases import relative
from tests.house import House

GUILD, OTHER, PAGE = Place("discord", "guild 1", "general"), Place("discord", "guild 2", "general"), Place("web")
KEYS = count()


class Guilds:
    """A platform with people and roles; `is_down` as when it does not answer."""

    def __init__(self):
        self.members = {
            ("guild 1", "ada"),
            ("guild 1", "bob"),
            ("guild 1", "carol"),
            ("guild 2", "dan"),
            ("guild 2", "ada"),
        }
        self.roles = {("guild 1", "900"): "patrons", ("guild 2", "901"): "friends"}
        self.held, self.removed, self.is_down = {}, [], False  # by user: the ids of their roles

    def reaches(self, workspace_id):
        return workspace_id in ("guild 1", "guild 2")

    async def member(self, workspace_id, user_id):
        if self.is_down:
            raise ConnectionError("no answer")
        there = (workspace_id, user_id) in self.members
        return (Identity("discord", "", user_id, user_id.title()), self.held.get(user_id, ())) if there else None

    async def role(self, workspace_id, text):
        found = [(id, name) for (guild, id), name in self.roles.items() if guild == workspace_id and text in (id, name)]
        return found[0] if found else None

    async def remove(self, job):
        self.removed.append(job.id)


@dataclass
class Desk:
    """Gives orders, each as a delivery of its own."""

    house: House
    guilds: Guilds

    async def order(self, text, who="bob", authority=Authority.ADMIN, place=GUILD, key=None):
        person = await self.house.studio.person(Identity(place.platform, "", who, who.title()))
        actor = Actor(person, authority, place)
        when = relative(self.house.clock())
        return await self.house.admin.administer(actor, text, key=key or f"order {next(KEYS)}", when=when)

    async def says(self, text, **how):
        return (await self.order(text, **how)).text

    async def operator(self, text, place=GUILD):
        return await self.says(text, who="op", authority=Authority.OPERATOR, place=place)

    async def person(self, name, *roles):
        return await self.house.studio.person(Identity("discord", "", name, name.title()), roles)

    async def left(self, name, place=GUILD, roles=()):
        view = await self.house.studio.quota(await self.person(name, *roles), place)
        return view.allowance - view.used

    async def draws(self, name, text="a car --quality draft", place=GUILD, roles=(), **how):
        person = await self.person(name, *roles)
        return await self.house.studio.draw(person, place, Imagine(text), key=f"ask {next(KEYS)}", **how)


@pytest.fixture
def closed(store, clock, tmp_path):
    """Nothing is drawn: what is accepted waits."""
    return House(store, clock, tmp_path / "data")


@pytest.fixture
def desk(closed):
    closed.admin.platforms["discord"] = guilds = Guilds()
    return Desk(closed, guilds)


@pytest.fixture
def open_desk(house):
    house.admin.platforms["discord"] = guilds = Guilds()
    return Desk(house, guilds)


# what each order does


async def test_an_allowance_is_set_and_told_as_old_and_new_with_who_why_and_its_number(desk):
    said = await desk.says('quota set <@ada> 40 --until 2027-02-01 --reason "thanks a lot"')
    assert said == "@Ada: 20 → 40 units a day, until 1 Feb · `thanks a lot` · by @Bob · logged #1"
    assert (await desk.left("ada"), await desk.left("carol"), await desk.left("ada", OTHER)) == (40, 20, 20)
    desk.house.clock.pass_seconds(40 * 86_400)
    assert await desk.left("ada") == 20


async def test_an_allowance_can_be_taken_back(desk):
    await desk.says("quota set ada 40")
    assert "40 → default" in await desk.says("quota set @ada default")
    assert await desk.left("ada") == 20


async def test_a_grant_comes_on_top_where_it_was_given_and_ends(desk):
    assert "@Ada: 20 → 30 units a day" in await desk.says("quota grant ada 10 --until 3d --reason sorry")
    assert (await desk.left("ada"), await desk.left("ada", OTHER)) == (30, 20)
    assert "+10 units, ends in 3 days `sorry`" in await desk.says("quota show ada")
    desk.house.clock.pass_seconds(3 * 86_400)
    assert await desk.left("ada") == 20


async def test_what_a_servers_grant_covers_is_not_missing_elsewhere(desk):
    await desk.says("quota grant ada 4")
    for _ in range(3):
        await desk.draws("ada", "a car --n 2", is_confirmed=True)
    assert (await desk.left("ada"), await desk.left("ada", OTHER)) == (12, 12)


async def test_grants_of_two_servers_do_not_add_up(desk):
    await desk.says("quota grant ada 10")
    await desk.says("quota grant ada 10", who="dan", place=OTHER)
    assert (await desk.left("ada"), await desk.left("ada", OTHER)) == (30, 30)
    for _ in range(3):
        await desk.draws("ada", "a car --n 4")
    assert (await desk.left("ada"), await desk.left("ada", OTHER)) == (6, 16)


async def test_the_operator_grants_everywhere(desk):
    await desk.operator("quota grant ada 5")
    assert (await desk.left("ada"), await desk.left("ada", OTHER)) == (25, 25)


async def test_more_servers_multiply_nothing(desk):
    await desk.draws("ada", "a car --n 4")
    assert (await desk.left("ada", GUILD), await desk.left("ada", OTHER)) == (12, 12)


async def test_a_reset_gives_back_the_day_where_it_was_ordered(desk):
    await desk.draws("ada", "a car --n 4")
    desk.house.clock.pass_seconds(60)
    assert "@Ada: 8 → 0 units used" in await desk.says("quota reset ada")
    assert (await desk.left("ada"), await desk.left("ada", OTHER)) == (20, 12)
    await desk.draws("ada", "a car")
    assert await desk.left("ada") == 18


async def test_what_is_released_after_a_reset_adds_nothing(desk):
    [job] = await desk.draws("ada", "a car --n 4")
    await desk.operator("quota reset ada")
    await desk.house.studio.cancel(await desk.person("ada"), job.id)
    assert await desk.left("ada") == 20


async def test_the_best_role_counts(desk):
    assert "role patrons: default → 60 units a day" in await desk.says("quota role @900 60")
    await desk.says("quota default 30")
    assert await desk.left("ada") == 30
    assert await desk.left("ada", roles=["900", "7"]) == 60
    assert await desk.left("ada", OTHER, roles=["901"]) == 20


async def test_a_role_that_vanished_can_only_be_taken_back(desk):
    await desk.says("quota role patrons 60")
    desk.guilds.roles.clear()
    with pytest.raises(Unknown):
        await desk.says("quota role 900 70")
    assert "60 → default" in await desk.says("quota role 900 default")


async def test_a_dear_model_is_for_some_roles(desk):
    said = await desk.operator("quota role patrons 4 --model builtin")
    assert "role patrons, builtin: none → 4 units a day" in said
    with pytest.raises(QuotaExceeded) as refusal:
        await desk.draws("ada")
    assert (refusal.value.whose, refusal.value.left) == ("model", 0)
    await desk.draws("carol", "a car", roles=["900"])
    with pytest.raises(QuotaExceeded):
        await desk.draws("carol", "a car --n 2", roles=["900"])


async def test_a_place_has_a_pool_of_its_own(desk):
    assert "all together: none → 5 units a day" in await desk.operator("quota place 5")
    await desk.draws("ada", "a car --n 2")
    with pytest.raises(QuotaExceeded) as refusal:
        await desk.draws("bob", "a car")
    assert (refusal.value.whose, refusal.value.left) == ("place", 1)
    assert refusal.value.smaller == ("/imagine a car --seed 101 --quality draft --model builtin", 1)
    await desk.draws("bob", "a car", place=OTHER)


async def test_sixty_four_who_race_for_a_pool_take_not_one_unit_too_much(desk):
    await desk.operator("quota place 20")
    race = [desk.draws(f"person {number}", "a car --quality draft --n 3") for number in range(64)]
    answers = await asyncio.gather(*race, return_exceptions=True)
    assert sum(isinstance(answer, QuotaExceeded) for answer in answers) == 64 - 6
    assert sum(job.units for answer in answers if isinstance(answer, list) for job in answer) == 18


async def test_a_role_weighs_more_in_the_queue_and_may_wait_with_more(desk):
    await desk.operator("quota role patrons --weight 2")
    [job] = await desk.draws("ada", roles=["900"])
    [plain] = await desk.draws("carol")
    assert (job.weight, plain.weight) == (2.0, 1.0)
    await desk.operator("quota role patrons --waiting 20 --at here")
    with pytest.raises(BadOption, match="is out of range"):
        await desk.says("quota role patrons --waiting 20")
    for text in ("a {1,2,3,4,5,6,7,8} --quality draft", "a {1,2} --quality draft"):
        await desk.draws("ada", text, roles=["900"])
    await desk.says("quota default --waiting 1")
    with pytest.raises(QueueFull) as full:
        await desk.draws("carol")
    assert (full.value.waiting, full.value.limit) == (1, 1)


async def test_a_block_keeps_a_person_out_with_its_end_and_reason(desk):
    assert "@Ada: not blocked → blocked, until" in await desk.says("block ada --until 3d --reason spam")
    with pytest.raises(Blocked) as refusal:
        await desk.draws("ada")
    assert (refusal.value.reason, refusal.value.ends_ms) == ("spam", desk.house.clock() + 3 * 86_400_000)
    await desk.draws("ada", place=OTHER)
    assert "blocked → not blocked" in await desk.says("unblock ada")
    await desk.draws("ada")


async def test_the_operator_blocks_everywhere_and_no_admin_lifts_it(desk):
    await desk.operator("block ada")
    await desk.says("unblock ada")
    for place in (GUILD, OTHER):
        with pytest.raises(Blocked):
            await desk.draws("ada", place=place)


async def test_jobs_are_shown_cancelled_deleted_and_tried_again(desk):
    [job] = await desk.draws("ada")
    desk.house.feed.show(job.id, Live("queued", position=3))
    shown = await desk.says(f"job show {job.id}")
    assert "queued #3" in shown
    assert "**" not in shown
    with pytest.raises(NothingToRetry):
        await desk.says(f"job retry {job.id}")
    assert f"`{job.id}`: queued → cancelled" in await desk.says(f"job cancel {job.id} --reason rude")
    said = await desk.says(f"job retry `{job.id}`")
    again = await desk.house.store.job(re.search(r"again as (\w+)", said)[1])
    assert (again.person_id, again.lineage.job_id, again.status) == (job.person_id, job.id, "queued")
    await desk.says(f"job delete {again.id}")
    assert desk.guilds.removed == [again.id]


async def test_a_job_is_tried_again_by_what_its_owners_roles_allow(desk):
    desk.guilds.held["ada"] = ["900"]
    await desk.says("quota role patrons 60")
    for _ in range(5):
        [job] = await desk.draws("ada", "a car --n 4", roles=["900"])
    await desk.says(f"job cancel {job.id}")
    assert "cancelled → again as" in await desk.says(f"job retry {job.id}")


@pytest.mark.parametrize(
    ("orders", "says"),
    [
        (["quota set ada 3"], "Needs 2, they have 1."),
        (["block ada"], "They are blocked here."),
        (["quota default --waiting 1"], "They have 1 job waiting."),
    ],
)
async def test_a_job_that_its_owner_may_not_have_again_is_told_of_them(desk, orders, says):
    [job] = await desk.draws("ada", "a car")
    await desk.says(f"job cancel {job.id}")
    await desk.draws("ada", "a boat", place=OTHER)
    for text in orders:
        await desk.says(text)
    with pytest.raises(NotForOwner) as refusal:
        await desk.says(f"job retry {job.id}")
    sentence = wording.refusal(refusal.value)
    assert says in sentence.body
    assert not sentence.actions
    assert not re.search(r"\byou", f"{sentence.title} {sentence.body}", re.IGNORECASE)


async def test_a_pause_accepts_and_says_when_and_a_resume_goes_on(open_desk):
    desk, house = open_desk, open_desk.house
    assert "Everywhere: drawing → paused, until" in await desk.operator("pause 2h gaming with friends")
    [job] = await desk.draws("ada", place=PAGE)
    paused = await house.until(job.id, lambda job, live: live and live.paused)
    assert paused.status == "queued"
    live = house.feed.live(job.id)
    assert (live.paused, live.position) == (("gaming with friends", house.clock() + 7_200_000), 1)
    assert "paused → drawing" in await desk.operator("resume")
    assert (await house.end_of(job.id)).status == "delivered"


async def test_a_pause_of_one_place_holds_only_its_jobs(open_desk):
    await open_desk.says("pause")
    [held] = await open_desk.draws("ada")
    [drawn] = await open_desk.draws("dan", place=PAGE)
    assert (await open_desk.house.end_of(drawn.id)).status == "delivered"
    assert (await open_desk.house.store.job(held.id)).status == "queued"


async def test_what_was_drawn_is_told_by_day_and_plotted(open_desk):
    desk = open_desk
    jobs = [(await desk.draws("op", place=PAGE))[0] for _ in range(2)]
    for job in jobs:
        await desk.house.end_of(job.id)
    answer = await desk.order("stats 3", who="op", authority=Authority.OPERATOR, place=PAGE)
    total, today = answer.text.splitlines()
    assert total.startswith("3 days: 2 images · 1 person · 2 units · GPU ")
    assert "2 images · 1 person · 2 units" in today
    assert "0 failed · waited" in today
    [(name, plot)] = answer.files
    assert (name, Image.open(io.BytesIO(plot)).width) == ("limner-stats.png", 960)
    assert "Nothing was drawn in 14 days." in await desk.says("stats", place=OTHER, who="dan")
    [job] = await desk.draws("dan", place=OTHER)
    await desk.says(f"job cancel {job.id}", place=OTHER, who="dan")
    assert "0 images · 1 person · 0 units · GPU " in await desk.says("stats 1", place=OTHER, who="dan")


@pytest.mark.parametrize(
    ("value", "says"), [(0, "0"), (2.345, "2.35"), (32.94, "32.9"), (100, "100"), (1976, "1,976"), (51819, "51,819")]
)
def test_a_plots_amounts_are_for_people(value, says):
    assert charts.amount(value) == says


async def test_the_audit_is_text_and_csv(desk):
    await desk.says("quota set ada 40 --reason =SUM(A1)")
    await desk.says("block carol")
    first, second = (await desk.says("audit")).splitlines()
    assert re.fullmatch(r"#2 \d{4}-\d\d-\d\d \d\d:\d\d @Bob · block @Carol: not blocked → blocked", first)
    assert second.endswith("@Bob · quota set @Ada: 20 → 40 · `=SUM(A1)`")
    assert len((await desk.says("audit 1")).splitlines()) == 1
    [(name, table)] = (await desk.order("audit --csv")).files
    rows = list(csv.DictReader(io.StringIO(table.decode())))
    assert (name, [row["number"] for row in rows]) == ("limner-audit.csv", ["2", "1"])
    assert (rows[1]["before"], rows[1]["after"], rows[1]["reason"]) == ("20", "40", "'=SUM(A1)")


# once


async def test_an_order_that_is_delivered_twice_is_done_once(desk):
    said = [await desk.says("quota grant ada 10", key="twice") for _ in range(2)]
    assert said[0] == said[1]
    assert await desk.left("ada") == 30


async def test_of_two_admins_at_once_the_last_one_decides_and_both_are_written_down(desk):
    orders = [desk.says(f"quota set ada {units}", who=who) for who, units in (("bob", 30), ("carol", 50))]
    said = await asyncio.gather(*orders)
    assert sorted(re.search(r": (.*) units", each)[1] for each in said) in (
        ["20 → 30", "30 → 50"],
        ["20 → 50", "50 → 30"],
    )
    last = max(said, key=lambda each: int(each.rpartition("#")[2]))
    assert f"→ {await desk.left('ada')} units" in last


# who may

LEAST = {
    "quota show": "moderator", "quota set": "admin", "quota grant": "admin", "quota reset": "admin",
    "quota role": "admin", "quota default": "admin", "quota place": "operator", "block": "moderator",
    "unblock": "moderator", "pause": "admin", "resume": "admin", "channel": "admin", "words add": "admin",
    "words remove": "admin", "words test": "moderator", "job show": "moderator", "job cancel": "moderator",
    "job retry": "admin", "job delete": "moderator", "stats": "admin", "audit": "admin", "doctor": "operator",
    "help": "moderator", "privacy show": "operator", "privacy export": "operator", "privacy erase": "operator",
}  # fmt: skip
EXAMPLES = {
    "quota show": "quota show ada", "quota set": "quota set ada 30", "quota grant": "quota grant ada 3",
    "quota reset": "quota reset ada", "quota role": "quota role patrons 30", "quota default": "quota default 30",
    "quota place": "quota place 300", "block": "block ada", "unblock": "unblock ada", "words add": "words add gore",
    "words remove": "words remove gore", "words test": "words test gore", "job show": "job show {job}",
    "job cancel": "job cancel {job}", "job retry": "job retry {job}", "job delete": "job delete {job}",
    "privacy show": "privacy show ada", "privacy export": "privacy export ada",
    "privacy erase": "privacy erase ada yes",
}  # fmt: skip


@pytest.mark.parametrize("verb", FORMS)
@pytest.mark.parametrize("authority", Authority)
async def test_every_role_may_do_what_is_its_own_and_nothing_else(desk, verb, authority):
    [job] = await desk.draws("ada")
    if verb == "job retry":
        await desk.house.studio.cancel(await desk.person("ada"), job.id)
    if verb == "words remove":
        await desk.order("words add gore", authority=max(authority, Authority.ADMIN))
    text = EXAMPLES.get(verb, verb).format(job=job.id)
    audited = len(await desk.house.store.rules.entries(EVERYWHERE, 100))
    try:
        await desk.order(text, authority=authority, place=PAGE if FORMS[verb].on_machine else GUILD)
        is_done = True
    except NoAuthority:
        is_done = False
    assert is_done == (authority >= Authority[LEAST[verb].upper()])
    if not is_done:
        assert len(await desk.house.store.rules.entries(EVERYWHERE, 100)) == audited


async def test_an_order_about_somebody_who_was_erased_does_not_read_as_one_about_everybody(desk):
    await desk.operator("block ada")
    await desk.operator("pause")
    await desk.operator("privacy erase ada yes", place=PAGE)
    lines = (await desk.operator("audit --at everywhere")).splitlines()
    assert [line.partition(" · ")[2] for line in lines] == [
        "privacy erase Somebody: known → erased", "pause Everywhere: drawing → paused",
        "block Somebody who was erased: not blocked → blocked",
    ]  # fmt: skip


@pytest.mark.parametrize("verb", [verb for verb in FORMS if FORMS[verb].on_machine])
async def test_what_is_for_the_machine_is_not_done_in_a_chat(desk, verb):
    [job] = await desk.draws("ada")
    with pytest.raises(BadOption, match="is not for a chat"):
        await desk.operator(EXAMPLES[verb])
    assert (await desk.house.studio.job(await desk.person("ada"), job.id)).id == job.id
    assert verb not in await desk.operator("help")
    assert verb in await desk.operator("help", place=PAGE)


@pytest.mark.parametrize(
    "text",
    ["quota set ada 30 --at discord:guild2", "block ada --at everywhere", "quota role patrons --weight 2",
     "quota set ada 3 --model builtin", "pause --at discord:guild2", "audit --at everywhere"],
)  # fmt: skip
async def test_an_admin_of_one_server_touches_nothing_of_another_nor_of_all(desk, text):
    with pytest.raises(NoAuthority):
        await desk.order(text)


async def test_an_admin_sees_nothing_of_another_server(desk):
    [job] = await desk.draws("dan", place=OTHER)
    await desk.says("quota set dan 30", who="dan", place=OTHER)
    for text in (f"job show {job.id}", f"job cancel {job.id}", f"job delete {job.id}", f"job retry {job.id}"):
        with pytest.raises(Unknown):
            await desk.says(text)
    for text in (
        "quota show dan",
        "block dan",
        "quota set dan 3",
        'quota show "discord:guild 2:dan"',
        "block discord:dan",
    ):
        with pytest.raises(Unknown):
            await desk.says(text)
    assert await desk.says("audit") == "Nothing was changed yet."


@pytest.mark.parametrize(
    "text", ["quota set bob 101", "quota grant bob 81", "quota default 101", "quota role patrons 101"]
)
async def test_nobody_raises_their_own_cap_above_the_places(desk, text):
    with pytest.raises(AboveCap) as refusal:
        await desk.says(text, who="bob")
    assert refusal.value.cap == 100
    assert await desk.left("bob", roles=["900"]) == 20
    await desk.operator(text.replace("patrons", "patrons --at here") if "role" in text else f"{text} --at here")
    assert await desk.left("bob", roles=["900"]) == 101


async def test_a_cap_is_not_passed_in_many_small_steps(desk):
    for _ in range(8):
        await desk.says("quota grant bob 10")
    with pytest.raises(AboveCap):
        await desk.says("quota grant bob 1")
    with pytest.raises(AboveCap):
        await desk.says("quota set bob 21")


async def test_a_cap_is_not_passed_by_resets(desk):
    await desk.says("quota set bob 60")
    for _ in range(6):
        await desk.draws("bob", "a car --n 4")
    desk.house.clock.pass_seconds(1)
    assert "48 → 8 units used" in await desk.says("quota reset bob")
    assert await desk.left("bob") == 52
    assert "8 → 0 units used" in await desk.operator("quota reset bob --at here")
    assert await desk.left("bob") == 60


async def test_an_admins_reset_takes_nothing_of_the_operators_away(desk):
    await desk.says("quota set bob 60")
    for _ in range(5):
        await desk.draws("bob", "a car --n 4")
    desk.house.clock.pass_seconds(1)
    await desk.operator("quota reset bob --at here")
    for _ in range(5):
        await desk.draws("bob", "a car --n 4")
    desk.house.clock.pass_seconds(1)
    assert "40 → 0 units used" in await desk.says("quota reset bob")
    assert await desk.left("bob") == 60


async def test_a_cap_is_not_passed_by_a_role_that_comes_later(desk):
    await desk.says("quota grant bob 80")
    await desk.says("quota role patrons 90")
    assert (await desk.left("bob", roles=["900"]), await desk.left("carol", roles=["900"])) == (100, 90)
    await desk.operator("quota role patrons 150 --at here")
    assert await desk.left("bob", roles=["900"]) == 150


async def test_a_pool_is_the_cap_of_its_place(desk):
    await desk.operator("quota place 30")
    with pytest.raises(AboveCap) as refusal:
        await desk.says("quota set ada 31")
    assert refusal.value.cap == 30


async def test_the_settings_name_operators_in_chat(desk):
    admin = desk.house.admin
    admin._operators = frozenset({"discord:ada", "slack:T1:U1"})
    assert admin.authority(Identity("discord", "", "ada"), Authority.NOBODY) == Authority.OPERATOR
    assert admin.authority(Identity("slack", "T1", "U1"), Authority.NOBODY) == Authority.OPERATOR
    assert admin.authority(Identity("slack", "T2", "U1"), Authority.ADMIN) == Authority.ADMIN
    assert admin.authority(Identity("web", "", "ada"), Authority.NOBODY) == Authority.NOBODY


async def test_a_platform_that_does_not_answer_changes_nothing(desk):
    desk.guilds.is_down = True
    with pytest.raises(ConnectionError):
        await desk.order("quota set ada 40")
    assert await desk.says("audit") == "Nothing was changed yet."


# what does not fit


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("quota set ada -5", "is out of range"),
        ("quota set ada 0", "is out of range"),
        ("quota set ada 99999999999", "is out of range"),
        ("quota set ada 1000001", "is out of range"),
        ("quota set ada 2.5", "is not a whole number"),
        ("quota set ada many", "is not a whole number"),
        ("quota set ada 1e3", "is not a whole number"),
        ("quota set ada ٣", "is not a whole number"),
        ("quota grant ada default", "is not a whole number"),
        ("quota grant ada 0", "is out of range"),
        ("quota set ada", "needs more"),
        ("quota set ada 3 4", "has too many words"),
        ("quota role patrons", "needs more"),
        ("quota role patrons --weight 0", "is out of range"),
        ("quota role patrons --weight nan", "is not a number"),
        ("quota default --waiting 0", "is out of range"),
        ("quota set ada 40 --until 2020-01-01", "is in the past"),
        ("quota set ada 40 --until 0d", "is in the past"),
        ("quota set ada 40 --until soon", "is no time"),
        ("quota set ada 40 --until 2026-02-30", "is no time"),
        ("quota set ada 40 --until 999999w", "is too far away"),
        ("quota set ada 40 --until 9999-12-31", "is too far away"),
        ("quota set ada 40 --until", "needs a value"),
        ("quota set ada 40 --until 1d --until 2d", "is given twice"),
        (f"quota set ada 40 --reason {'x' * 201}", "is too long"),
        ("quota set ada 40 --untill 1d", "unknown"),
        ("block ada --model builtin", "unknown"),
        ("quota sett ada 40", "unknown"),
        ("frobnicate", "unknown"),
        ("quota", "unknown"),
        ("pause 2h --until 3h", "is given twice"),
        ("stats 0", "is out of range"),
        ("stats week", "is not a whole number"),
        ("audit 99999", "is out of range"),
        ("resume now", "has too many words"),
    ],
)
async def test_what_does_not_fit_is_named_and_nothing_is_done(desk, text, problem):
    with pytest.raises(BadOption) as refusal:
        await desk.order(text)
    assert refusal.value.problem == problem
    assert await desk.says("audit") == "Nothing was changed yet."


@pytest.mark.parametrize(
    "text",
    ["quota set nobody 40", "block <@404>", "quota role nothing 40", "job show zzzz", "quota show @everyone",
     "quota set ada 40 --model dalle"],
)  # fmt: skip
async def test_who_and_what_is_unknown_is_named(desk, text):
    with pytest.raises(Unknown) as refusal:
        await desk.operator(text)
    assert refusal.value.name in wording.refusal(refusal.value).title
    assert await desk.says("audit") == "Nothing was changed yet."


async def test_a_person_who_left_can_still_be_blocked_where_they_were(desk):
    await desk.draws("ada")
    desk.guilds.members.clear()
    assert "not blocked → blocked" in await desk.says("block ada")
    with pytest.raises(Unknown):
        await desk.says("block carol")


async def test_two_people_of_one_name_are_told_apart_by_their_ids(desk):
    for user_id in ("1", "2"):
        person = await desk.house.studio.person(Identity("discord", "", user_id, "Sam"))
        await desk.house.studio.draw(person, GUILD, Imagine("a car"), key=user_id)
    with pytest.raises(BadOption, match="is the name of several people") as refusal:
        await desk.says("block sam")
    assert refusal.value.allowed == "one of discord:1, discord:2"
    assert "@Sam: not blocked" in await desk.says("block 2")


async def test_the_page_reaches_another_place_by_its_name(desk):
    await desk.draws("ada")
    said = await desk.operator('quota set discord:ada 50 --at "discord:guild 1"', PAGE)
    assert "@Ada: 20 → 50" in said
    assert (await desk.left("ada"), await desk.left("ada", OTHER)) == (49, 19)
    with pytest.raises(BadOption, match="is needed here"):
        await desk.operator("quota place 5", PAGE)
    with pytest.raises(BadOption, match="is no place"):
        await desk.operator("pause --at nowhere", PAGE)


async def test_what_a_persons_roles_give_is_counted_where_they_are_known(desk):
    desk.guilds.held["ada"] = ["900"]
    await desk.says("quota role patrons 60")
    assert (await desk.says("quota show ada")).startswith("@Ada · Today 0 / 60 units")
    assert (await desk.operator("quota show ada")).startswith("@Ada · Today 0 / 60 units")
    assert "@Ada: 60 → 70 units a day" in await desk.says("quota grant ada 10")
    assert "role patrons: 60 units a day" in await desk.says("quota show")
    assert "everyone everywhere: 30" in (await desk.operator("quota default 30"), await desk.says("quota show"))[1]


SNOWFLAKE = "123456789012345678"


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (f"block discord:{SNOWFLAKE}", f"@{SNOWFLAKE}: not blocked → blocked"),
        (f"block {SNOWFLAKE} --at discord:guild9", f"@{SNOWFLAKE}: not blocked → blocked"),
        ("block slack:T0123456:U0123456", "@U0123456: not blocked → blocked"),
        ("block U0123456 --at slack:T0123456", "@U0123456: not blocked → blocked"),
        ("block ada", "@Ada: not blocked → blocked"),
        ("block discord:ada", "@Ada: not blocked → blocked"),
        (f"quota role {SNOWFLAKE} 60 --at discord:guild9", f"role {SNOWFLAKE}: default → 60 units a day"),
    ],
)
async def test_the_operator_names_people_and_roles_while_no_platform_is_connected(desk, order, said):
    await desk.draws("ada")
    desk.house.admin.platforms.clear()
    assert said in await desk.operator(order, PAGE)
    assert (await desk.says("audit", who="op", authority=Authority.OPERATOR, place=PAGE)).startswith("#1 ")


@pytest.mark.parametrize(
    ("order", "kind"),
    [
        ("block bob", "person"),
        ("block slack:U0123456", "person"),
        ("block discord:U0123456", "person"),
        ("quota role patrons 60 --at discord:guild9", "role"),
    ],
)
async def test_whom_nobody_can_look_up_is_told_how_to_name_them(desk, order, kind):
    desk.house.admin.platforms.clear()
    with pytest.raises(Unknown) as refusal:
        await desk.operator(order, PAGE)
    assert (refusal.value.kind, "id" in wording.refusal(refusal.value).body) == (kind, True)


async def test_an_admin_names_nobody_who_was_never_there(desk):
    with pytest.raises(Unknown):
        await desk.says(f"block discord:{SNOWFLAKE}")


async def test_phones_write_dashes_and_quotes_their_own_way(desk):
    assert "`for you`" in await desk.says("quota set ada 40 —reason “for you”")
