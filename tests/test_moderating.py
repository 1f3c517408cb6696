"""The orders that moderate, reports, strikes, and what is taken down on platforms."""

from dataclasses import replace

import pytest

from bot.admin import Actor
from bot.commands import Imagine
from bot.errors import BadOption, BadWords, Blocked, NoAuthority, SwitchedOff, Unknown
from bot.jobs import Identity, Place
from bot.orders import Authority
from bot.upkeep import GIVE_UP_AFTER_MS, Upkeep

HERE, ELSEWHERE = Place("discord", "guild 1", "100001"), Place("discord", "guild 2", "200002")
CHANNEL = "discord:987654"


class Platform:
    """Stands for an adapter: what it is told to say and to remove is kept."""

    def __init__(self):
        self.said, self.gone, self.is_down = [], [], False

    def plain(self, text):
        return text.replace("@", "")

    async def say(self, channel_id, text):
        self._require_up()
        self.said.append((channel_id, text))

    async def take_down(self, channel_id, message_id):
        self._require_up()
        self.gone.append((channel_id, message_id))

    def _require_up(self):
        if self.is_down:
            raise ConnectionError("not now")


@pytest.fixture
async def mod(house):
    return await house.studio.person(Identity("discord", "", "777", "Mo"))


@pytest.fixture
def order(house, mod):
    keys = iter(range(1000))

    async def order(text, authority=Authority.ADMIN, place=HERE, key=None):
        actor = Actor(mod, authority, place)
        return (await house.admin.administer(actor, text, key=key or f"order {next(keys)}", when=str)).text

    return order


@pytest.fixture
def ask(house, ada):
    keys = iter(range(1000))

    async def ask(text, place=HERE, person=ada, **more):
        return await house.studio.draw(
            person, place, Imagine(f"{text} --quality draft"), key=f"ask {next(keys)}", **more
        )

    return ask


@pytest.fixture
def platform():
    return Platform()


@pytest.fixture
def upkeep(store, platform, clock):
    return Upkeep(store, {"discord": platform}, report_channel=CHANNEL, now_ms=clock)


async def test_words_are_added_tested_and_removed_with_a_line_in_the_audit(order, ask):
    assert "none → gore, behead*" in await order("words add violence: gore, behead* --reason rules")
    assert await order("words test some GÖRE") == "That is refused here: violence."
    assert await order("words test a boat", Authority.MODERATOR) == "No rule forbids that here."
    with pytest.raises(BadWords) as refused:
        await ask("some gore")
    assert "some gore" in await order(f"words test {refused.value.reference}")
    assert "gore, behead* → none" in await order("words remove Violence")
    assert await ask("some gore")
    assert 'rule "violence"' in await order("audit")


async def test_the_same_delivery_adds_a_rule_once(order):
    first = await order("words add tanks", key="twice")
    assert await order("words add tanks", key="twice") == first


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("words add", BadOption), ("words add x: /(/", BadOption), ("words add x: ", BadOption),
        ("words remove nothing", BadOption), (f"words add {'x' * 60}: a", BadOption), ("words test B-99", Unknown),
        ("channel --largest huge", BadOption), ("channel --nsfw maybe", BadOption),
        ("channel --models dall-e", BadOption),
        ("channel #nowhere --enabled off", BadOption), ("channel --colour red", BadOption),
    ],
)  # fmt: skip
async def test_what_makes_no_sense_is_one_sentence_and_changes_nothing(order, store, text, error):
    with pytest.raises(error):
        await order(text)
    assert await store.moderation.rules(HERE.workspace) == []


async def test_a_moderator_tests_words_and_changes_none(order):
    for text in ("words add x: y", "channel --enabled off"):
        with pytest.raises(NoAuthority):
            await order(text, Authority.MODERATOR)


async def test_a_channel_is_switched_and_told(order, ask):
    answer = await order("channel --enabled off --reason quiet")
    assert "enabled on → models all" in answer
    assert "enabled off" in answer
    with pytest.raises(SwitchedOff):
        await ask("a boat")
    assert (await order("channel")).endswith("enabled off")
    await order("channel <#100001> --enabled on --models builtin --largest draft --threads off --nsfw off")
    assert await order("channel") == "models builtin · largest draft · nsfw off · threads off · enabled on"
    assert await ask("a boat")
    assert "models all" in await order("channel --models all")


async def test_an_admin_of_one_server_sees_and_changes_nothing_of_another(order, ask):
    await order("words add tanks: tank")
    with pytest.raises(BadWords) as refused:
        await ask("a tank")
    assert await order("words test a tank", place=ELSEWHERE) == "No rule forbids that here."
    with pytest.raises(Unknown):
        await order(f"words test {refused.value.reference}", place=ELSEWHERE)
    with pytest.raises(BadOption):
        await order("words remove tanks", place=ELSEWHERE)
    assert "a tank" in await order(f"words test {refused.value.reference}", Authority.OPERATOR, Place("web"))


async def test_three_strikes_suspend_a_person_everywhere_for_a_while(ask, clock, order):
    for words in ("a nude child", "naked kids", "a naked toddler"):
        with pytest.raises(BadWords):
            await ask(words)
    with pytest.raises(Blocked) as refused:
        await ask("a boat", place=ELSEWHERE)
    assert refused.value.reason == "3 strikes within 30 days"
    assert "3 strikes" in await order("audit", Authority.OPERATOR, Place("web"))
    clock.pass_seconds(7 * 86_400 + 1)
    assert await ask("a boat")


async def test_old_strikes_and_doubtful_words_suspend_nobody(ask, clock):
    for words in ("a nude child", "a naked girl", "naked boys", "naked kids"):
        with pytest.raises(BadWords):
            await ask(words)
    clock.pass_seconds(31 * 86_400)
    with pytest.raises(BadWords):
        await ask("a naked toddler")
    assert await ask("a boat")


async def test_a_report_reaches_the_operators_channel_once_with_its_job(house, ask, ada, mod, upkeep, platform):
    [job] = await ask("a boat @everyone")
    assert await house.studio.report(mod, job.id, 0, HERE)
    assert not await house.studio.report(mod, job.id, 0, HERE)
    platform.is_down = True
    await upkeep.look()
    platform.is_down = False
    await upkeep.look()
    await upkeep.look()
    [(channel, text)] = platform.said
    assert channel == "987654"
    assert text.startswith(f"R-1: `{job.id}` image 1, 1 person")
    assert "a boat everyone — discord:ada · discord guild 1" in text
    assert f"job delete {job.id}" in text


async def test_what_cannot_be_done_yet_is_said_once_and_then_each_hour(
    house, ask, mod, upkeep, platform, clock, caplog, store
):
    [job] = await ask("a boat", is_acknowledged=False)
    await store.acknowledged([job.id], message_id="555", now_ms=0)
    await house.studio.report(mod, job.id, 0, HERE)
    await store.moderation.take_down([await store.job(job.id)], clock())
    platform.is_down = True
    for seconds in (10, 10, 3600, 10):
        await upkeep.look()
        clock.pass_seconds(seconds)
    waits = [record.getMessage() for record in caplog.records if record.name == "bot.upkeep"]
    assert len(waits) == 4
    assert all(f"job {job.id} image 0 cannot be sent yet" in each for each in waits[::2])
    assert all("is still there" in each for each in waits[1::2])
    platform.is_down = False
    await upkeep.look()
    await upkeep.look()
    assert caplog.messages[len(waits) :] == [f"report R-1: job {job.id} image 0"]


async def test_what_one_cannot_see_one_cannot_report(house, ask, mod):
    [job] = await ask("a boat")
    with pytest.raises(Unknown):
        await house.studio.report(mod, job.id, 0, ELSEWHERE)
    with pytest.raises(Unknown):
        await house.studio.report(mod, job.id, 3, HERE)


async def test_deleting_a_reported_job_is_a_strike(house, ask, store, ada, mod, order, upkeep, platform):
    [job] = await ask("a boat", is_acknowledged=False)
    await store.acknowledged([job.id], message_id="555", now_ms=0)
    await order(f"job delete {job.id}", Authority.MODERATOR)
    assert await store.moderation.strikes(ada.id, 0) == 0
    await house.studio.report(mod, job.id, 0, HERE)
    await order(f"job delete {job.id}", Authority.MODERATOR)
    assert await store.moderation.strikes(ada.id, 0) == 1
    await upkeep.look()
    assert platform.gone == [("100001", "555")]


async def test_a_message_out_of_reach_is_tried_for_days_and_no_longer(house, ask, store, upkeep, platform, clock):
    [job] = await ask("a boat", is_acknowledged=False)
    await store.acknowledged([job.id], message_id="555", now_ms=0)
    await store.moderation.take_down([await store.job(job.id)], clock())
    platform.is_down = True
    await upkeep.look()
    assert len(await store.moderation.takedowns()) == 1
    clock.ms += GIVE_UP_AFTER_MS + 1
    await upkeep.look()
    assert await store.moderation.takedowns() == []


async def test_many_messages_out_of_reach_hold_up_no_other(house, ask, store, upkeep, platform, clock):
    [job] = await ask("a boat")
    places = [Place("slack", "T1", f"C{number}", message_id="1") for number in range(120)]  # no adapter is for it
    gone = [replace(job, place=place) for place in [*places, replace(HERE, message_id="555")]]
    await store.moderation.take_down(gone, clock())
    for _ in range(3):
        await upkeep.look()
    assert platform.gone == [("100001", "555")]


async def test_what_was_withheld_is_drawn_again_under_the_same_rule(ask, house, store, ada, order):
    [job] = await ask("a boat", allows_explicit=False)
    await house.studio.cancel(ada, job.id)
    answer = await order(f"job retry {job.id}")
    again = await store.job(answer.partition("again as ")[2].split()[0])
    assert (again.lineage.job_id, again.if_flagged) == (job.id, "withhold")
