"""What may be asked where: rules, policies, models, and what no setting allows."""

import pytest
from msgspec.structs import replace
from PIL import Image

from bot import wording
from bot.commands import Imagine
from bot.controls import Press
from bot.errors import AgeRestricted, BadOption, BadWords, Gone, SwitchedOff, TooLarge
from bot.gate import Rules
from bot.jobs import ChannelPolicy, Identity, Place
from bot.prompt import Style
from bot.store import Act
from bot.studio import Studio
from engine.catalogue import read_catalogue
from tests.house import NO_LIMITS, House, wanted

HERE = Place("discord", "guild 1", "general")
ELSEWHERE = Place("discord", "guild 2", "general")


@pytest.fixture
def closed(store, clock, tmp_path):
    """A house whose engine never starts: what it accepts waits."""
    return House(store, clock, tmp_path / "data")


@pytest.fixture
def ask(closed, ada):
    keys = iter(range(1000))

    async def ask(text, place=HERE, person=ada, options=(), **more):
        return await closed.studio.draw(person, place, Imagine(text, dict(options)), key=f"ask {next(keys)}", **more)

    return ask


def there(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 64)).save(path)
    return path


@pytest.fixture
def records(store):
    return store.moderation


@pytest.fixture
def act(ada, clock):
    """Orders by ada, each another."""
    keys = iter(range(1000))
    return lambda: Act(f"order {next(keys)}", clock(), ada.id, "admin", HERE.workspace, "words add")


@pytest.fixture
def set_rule(records, act):
    return lambda *rule: records.set_rule(*rule, act=act())


@pytest.fixture
def set_policy(records, act):
    return lambda *policy: records.set_policy(*policy, act=act())


async def test_a_rule_refuses_by_its_name_and_a_number_and_charges_nothing(ask, records, store, ada, clock, set_rule):
    await set_rule(HERE.workspace, "violence", "gore, behead*")
    with pytest.raises(BadWords) as refused:
        await ask("a BEHEÀDING in the market")
    sentence = wording.refusal(refused.value)
    assert sentence.title == "That prompt is not allowed here"
    assert sentence.body.startswith('Rule "violence". Ask a moderator if that is wrong (B-1).')
    assert await store.unfinished() == []
    assert (await records.incident(1, HERE.workspace)).prompt == "a BEHEÀDING in the market"
    assert await records.strikes(ada.id, 0) == 0


async def test_a_rule_holds_in_its_place_alone_and_one_of_everywhere_in_all(ask, records, set_rule):
    await set_rule(HERE.workspace, "tanks", "tank")
    await set_rule(("", ""), "guns", "/\\bguns?\\b/")
    assert await ask("a tank", place=ELSEWHERE)
    for place in (HERE, ELSEWHERE):
        with pytest.raises(BadWords):
            await ask("two GUNS", place=place)
    with pytest.raises(BadWords):
        await ask("a tank")
    assert await records.incident(2, ELSEWHERE.workspace)
    assert await records.incident(3, ELSEWHERE.workspace) is None  # another place's is not there
    await set_rule(HERE.workspace, "tanks", None)
    assert await ask("a tank")


async def test_what_a_style_or_a_choice_adds_is_looked_at_too(ask, set_rule):
    await set_rule(HERE.workspace, "film", "film noir")
    with pytest.raises(BadWords):
        await ask("a car, {film noir, opera}")


async def test_nobody_may_draw_no_policy_and_no_operator_allows(closed, ask, records, ada, store, clock, set_policy):
    operator = await closed.studio.person(Identity("web", "", "operator"))
    await set_policy(HERE, ChannelPolicy(nsfw=True))
    for person, place in ((ada, HERE), (operator, Place("web"))):
        with pytest.raises(BadWords) as refused:
            await ask("a nude 12 year old", person=person, place=place, allows_explicit=True)
        assert refused.value.is_final
    kept = await records.incident(1, None)
    assert (kept.prompt, kept.is_strike) == (None, True)
    assert await records.strikes(ada.id, 0) == 1
    clock.pass_seconds(1)
    with pytest.raises(BadWords):
        await ask("a nude 12 year old")  # a platform delivers twice: one strike
    assert await records.strikes(ada.id, 0) == 1


async def test_nobody_is_undressed_in_a_given_picture_nor_in_what_came_of_it(closed, ask, ada, store, draw):
    given = there(closed.spool / "given" / "0a.png")
    with pytest.raises(BadWords):
        await ask("the same, nude", options={"image": str(given), "strength": 0.5})
    [first] = await ask("at night", options={"image": str(given), "strength": 0.5})
    child = wanted(replace(draw, prompt="at dawn", init_image=str(closed.spool / first.id / "0.png"), strength=0.3))
    [second] = await store.submit(ada, HERE, [child], key="child", limits=NO_LIMITS, now_ms=0)
    stored = there(closed.spool / second.id / "0.png")
    with pytest.raises(BadWords):
        await ask("take off her dress", options={"image": str(stored), "strength": 0.5})


async def test_a_picture_of_the_bots_own_may_be_drawn_over(closed, ask, store):
    [first] = await ask("a naked statue")
    stored = there(closed.spool / first.id / "0.png")
    assert await ask("a naked statue of marble", options={"image": str(stored), "strength": 0.5})


async def test_a_picture_of_a_child_is_not_drawn_over_with_something_sexual_nor_the_other_way_round(closed, ask, ada):
    [child] = await ask("a child in the park")
    [statue] = await ask("a naked statue")
    for first, text in ((child, "nude"), (child, "in panties"), (statue, "a schoolgirl")):
        stored = there(closed.spool / first.id / "0.png")
        [second] = await ask("at night, in the rain", options={"image": str(stored), "strength": 0.9})
        for job in (first, second):
            source = there(closed.spool / job.id / "0.png")
            with pytest.raises(BadWords):
                await ask(text, options={"image": str(source), "strength": 0.9})
    assert await closed.store.moderation.strikes(ada.id, 0) == 0  # they need not have known


async def test_a_picture_whose_origin_is_forgotten_counts_as_given(closed, ask, store, ada, clock):
    given = there(closed.spool / "given" / "0a.png")
    [first] = await ask("at night", options={"image": str(given), "strength": 0.5})
    stored = there(closed.spool / first.id / "0.png")
    await store.cancelled(first.id, clock())
    await store.privacy.forget("prompts", clock() + 1)
    with pytest.raises(BadWords):
        await ask("take off her dress", options={"image": str(stored), "strength": 0.5})


async def test_what_an_explicit_picture_becomes_stays_where_minors_are_kept_out(closed, ask):
    [statue] = await ask("a naked statue")
    stored = str(there(closed.spool / statue.id / "0.png"))
    with pytest.raises(AgeRestricted):
        await ask("at dawn", options={"image": stored, "strength": 0.3}, allows_explicit=False)
    assert await ask("at dawn", options={"image": stored, "strength": 0.3})


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("a {naked, dressed} child", {}), ("a child --no clothes", {}), ("a child", {"negative": "clothes"}),
        ("a nude --style kids", {}), ("a nude", {"style": "kids"}), ("(a:1.2) (child:1.3), (naked)++", {}),
        ("a ch\\{ild, nude", {}),
        ("nude --no adults", {}), ("child — nude", {}), ("a child --style nude", {}),
        ("a child", {"own": "nude"}),
    ],
)  # fmt: skip
async def test_however_it_is_asked_for(closed, store, clock, ada, text, options):
    options, styles = dict(options), {"kids": Style(after="with kids"), "nude": Style(before="erotic art of")}
    rules = Rules(read_catalogue(), "builtin", NO_LIMITS, closed.spool, styles=styles)
    studio = Studio(rules, store, closed.dispatch, closed.feed, now_ms=clock, new_seed=lambda: 1)
    await store.set_defaults(ada, {"style": own} if (own := options.pop("own", "")) else {}, is_reset=False)
    with pytest.raises(BadWords):
        await studio.draw(ada, HERE, Imagine(text, options), key="1")
    assert await store.unfinished() == []


async def test_remixes_and_old_jobs_are_looked_at_too(closed, ask, ada, store, draw):
    before = wanted(replace(draw, prompt="a naked child"))  # from before there were rules
    [old] = await store.submit(ada, HERE, [before], key="old", limits=NO_LIMITS, now_ms=0)
    [child] = await ask("a child")
    for text in ("nude", "+ naked", "--no clothes", "/imagine a naked child"):
        with pytest.raises(BadWords):
            await closed.studio.draw(ada, HERE, Press("remix", child.id, 0, text), key=text)
    for verb in ("reroll", "again", "four_more"):
        with pytest.raises(BadWords):
            await closed.studio.draw(ada, HERE, Press(verb, old.id, 0), key=verb)


async def test_what_is_explicit_is_drawn_where_minors_are_kept_out_unless_the_channel_forbids_it(ask, set_policy):
    [job] = await ask("a naked man", allows_explicit=True)
    assert job.if_flagged == "keep"
    [job] = await ask("a man", allows_explicit=False)
    assert job.if_flagged == "withhold"
    await set_policy(HERE, ChannelPolicy(nsfw=False))
    [job] = await ask("a man", allows_explicit=True)
    assert job.if_flagged == "withhold"
    with pytest.raises(AgeRestricted):
        await ask("a naked man", allows_explicit=True)


async def test_a_channel_that_is_switched_off_draws_nothing(ask, set_policy):
    await set_policy(HERE, ChannelPolicy(enabled=False))
    with pytest.raises(SwitchedOff):
        await ask("a car")
    assert await ask("a car", place=ELSEWHERE)


async def test_a_channel_of_drafts_offers_one(ask, set_policy):
    await set_policy(HERE, ChannelPolicy(largest="draft"))
    with pytest.raises(TooLarge) as refused:
        await ask("a car")
    [action] = wording.refusal(refused.value).actions
    assert action.label == "Run as draft"
    assert await ask(action.command.removeprefix("/imagine "))


async def test_full_size_is_refused_in_a_channel_of_drafts(closed, ask, ada, set_policy):
    [draft] = await ask("a car --quality draft")
    await set_policy(HERE, ChannelPolicy(largest="draft"))
    with pytest.raises((TooLarge, Gone)):
        await closed.studio.draw(ada, HERE, Press("full_size", draft.id, 0), key="full")


async def test_a_channel_has_the_models_that_it_allows(closed, ask, ada, set_policy):
    [elsewhere] = await ask("a car --model builtin", place=Place("discord", "guild 1", "another"))
    await set_policy(HERE, ChannelPolicy(models=("sd15",)))
    [job] = await ask("a car")
    assert job.request.model == "sd15"
    with pytest.raises(BadOption):
        await ask("a car --model builtin")
    with pytest.raises(BadOption):
        await closed.studio.draw(ada, HERE, Press("reroll", elsewhere.id, 0), key="reroll")
    await set_policy(HERE, ChannelPolicy(models=("gone",)))
    with pytest.raises(SwitchedOff):
        await ask("a car")


async def test_a_photographic_model_without_its_classifier_draws_for_the_operator_only(closed, store, ada, clock):
    rules = Rules(read_catalogue(), "sd15", NO_LIMITS, closed.spool, operators_only=frozenset({"sd15"}))
    studio = Studio(rules, store, closed.dispatch, closed.feed, now_ms=clock, new_seed=lambda: 1)
    operator = await studio.person(Identity("web", "", "operator"))
    [job] = await studio.draw(operator, Place("web"), Imagine("a car"), key="1")
    assert (job.request.model, job.is_unchecked) == ("sd15", True)
    [job] = await studio.draw(ada, HERE, Imagine("a car"), key="2")
    assert job.request.model == "builtin"
    with pytest.raises(BadOption):
        await studio.draw(ada, HERE, Imagine("a car --model sd15"), key="3")


async def test_a_prompt_can_be_tested_against_the_rules_of_a_place(closed, set_rule):
    await set_rule(HERE.workspace, "violence", "gore")
    gate = closed.studio.gate
    assert await gate.test(HERE, "some g0re") == "violence"
    assert await gate.test(ELSEWHERE, "some g0re") is None
    assert await gate.test(HERE, "a nude child") == "sexual content with minors"
