"""What is kept of people: shown, given out, erased without a trace, forgotten in time."""

import json
import os
import zipfile
from pathlib import Path

import msgspec
import pytest
from PIL import Image

from bot.allowances import EVERYWHERE, Rule
from bot.commands import Imagine
from bot.controls import Press
from bot.errors import Blocked, Unavailable, Unknown
from bot.errors import Forgotten as WordsForgotten
from bot.jobs import Identity, Place
from bot.privacy import DAY_MS, Privacy, Retention
from bot.store import Act, Halt, backup, open_store
from tests.house import NO_LIMITS, PAGE, wanted

ID, NAME, WORDS = "81723645190283746", "Canaria Quillfeather", "zanzibar wombat"
GUILD = Place("discord", "guild 1", "general", message_id="555000111")
DIRECT = Place("discord", "dm:99887766554433", "99887766554433")


@pytest.fixture
def privacy(house, store, clock):
    return Privacy(store, house.studio._end_all, data=house.spool.parent, retention=Retention(), now_ms=clock)


@pytest.fixture
async def canary(house):
    return await house.studio.person(Identity("discord", "", ID, NAME))


@pytest.fixture
def draw_for(house):
    keys = iter(range(1000))

    async def draw_for(person, text, place=PAGE, options=(), **more):
        """A small picture, delivered on the page."""
        key = f"discord:{ID if person.id != 1 else 0}:{next(keys)}"  # ada is the first
        asked = Imagine(f"{text} --quality draft", dict(options))
        [job] = await house.studio.draw(person, place, asked, key=key, **more)
        return await house.end_of(job.id)

    return draw_for


def traces(folder: Path, *words: str) -> list[str]:
    """Files of the data directory in which any of the words stands, as text or as SQLite and PNG keep it."""
    found = []
    for file in folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            found += [f"{file.name}: {word}" for word in words if word.encode() in content or word in file.name]
    return found


async def test_erasing_leaves_no_trace_of_a_person(house, store, clock, ada, canary, privacy, draw_for):
    data = house.spool.parent
    given = house.spool / "given" / "77.png"
    given.parent.mkdir(exist_ok=True)
    given.write_bytes(b"a picture of Canaria Quillfeather")
    first = await draw_for(canary, f"a {WORDS}")
    await draw_for(canary, f"{WORDS} --no {NAME}", options={"image": str(given), "strength": 0.5})
    mask = house.spool / "given" / "78.png"
    mask.write_bytes(b"where Canaria Quillfeather stands")
    await draw_for(canary, WORDS, options={"image": str(given), "mask": str(mask)})
    [child] = await house.studio.draw(ada, first.place, Press("remix", first.id, 0, "at night"), key="child")
    await house.end_of(child.id)
    own = await draw_for(ada, "a boat of her own")
    await house.studio.draw(
        canary, DIRECT, Imagine(f"{WORDS} again --quality draft"), key=f"discord:{ID}:dm", is_acknowledged=False
    )
    order = Act("rule", clock(), ada.id, "operator", ("", ""), "words add")
    await store.moderation.set_rule(("", ""), "wombats", "/zan.*forbidden/", act=order)
    with pytest.raises(Exception, match="wombats"):
        await draw_for(canary, f"{WORDS} forbidden")
    with pytest.raises(Exception, match="wombats"):
        await house.studio.draw(ada, first.place, Press("remix", first.id, 0, "+ forbidden"), key="refused")
    await store.moderation.report(canary, own, 0, clock())
    act = Act(f"discord:{ID}:grant", clock(), ada.id, "operator", ("", ""), "quota grant", f"for {NAME}")
    await store.rules.grant(act, canary, 5, clock() + DAY_MS, NO_LIMITS)
    await store.set_defaults(canary, {"no": NAME}, is_reset=False)
    total = sum(entry["units"] for entry in (await store.privacy.everything(canary))["ledger"])
    assert traces(data, ID, NAME, WORDS)

    await privacy.erase(canary)

    assert traces(data, ID, NAME, WORDS, "99887766554433") == []
    assert not given.exists()
    assert not mask.exists()
    assert not (house.spool / first.id).exists()
    assert not (house.spool / child.id).exists()  # what another made of their words
    assert (house.spool / own.id / "0.png").exists()
    assert await store.ledger_problems() == []
    assert total > 0
    with pytest.raises(Unknown):
        await house.studio.job(ada, first.id, PAGE)
    with pytest.raises(WordsForgotten):
        await house.studio.draw(ada, PAGE, Press("reroll", child.id, 0), key="again")
    again = await house.studio.person(Identity("discord", "", ID, NAME))
    assert again.id != canary.id
    assert await house.studio.history(again) == []


async def test_a_copy_that_is_restored_brings_nobody_back_who_was_erased_since(
    house, store, clock, ada, canary, privacy, draw_for, tmp_path
):
    data, (before, after) = house.spool.parent, (tmp_path / "before", tmp_path / "after")
    await draw_for(canary, f"a {WORDS}")
    kept = await draw_for(ada, "a boat")
    backup.back_up(data / "limner.db", before)
    assert traces(before, ID, NAME, WORDS)
    clock.pass_seconds(60)
    await privacy.erase(canary)
    clock.pass_seconds(60)
    await draw_for(await house.studio.person(Identity("discord", "", ID)), "a car")  # somebody new now
    backup.back_up(data / "limner.db", after)
    await house.close()
    await store.close()
    for copies, people in ((before, []), (after, [ID])):
        backup.restore(*backup.backups(copies), data / "limner.db")
        again = await open_store(data)
        named = await again.rules.named("discord", "", ID, EVERYWHERE)
        problems, others = await again.ledger_problems(), await again.job(kept.id)
        await again.close()
        assert [who.user_id for _, who in named] == people
        assert (problems, others.request.draw.prompt) == ([], "a boat")
        found = [each for each in traces(data, ID, NAME, WORDS) if ".before-" not in each]
        assert found == [f"limner.db: {each}" for each in people]


async def test_nothing_is_erased_where_it_cannot_be_kept_for_later_restores(house, store, canary, privacy, draw_for):
    await draw_for(canary, f"a {WORDS}")
    (house.spool.parent / "erased").write_text("in its way")
    with pytest.raises(Unavailable, match="erased"):
        await privacy.erase(canary)
    assert (await store.history(canary, 1))[0].request.draw.prompt == f"a {WORDS}"


async def test_no_freed_page_keeps_a_trace_where_the_database_is_too_large_to_be_scrubbed_at_once(
    store, house, canary, ada, privacy, draw_for, draw, monkeypatch
):
    monkeypatch.setattr("bot.privacy.SCRUBBED_AT_ONCE_BYTES", 0)
    for number in range(300):  # rows of all sizes, so that pages are split and freed
        person = canary if number % 3 else ada
        text = f"{WORDS if number % 3 else 'a boat'} {'and on ' * (number * 7 % 190)}"
        job = wanted(msgspec.structs.replace(draw, prompt=text))
        [kept] = await store.submit(person, PAGE, [job], key=f"{ID}:{number}", limits=NO_LIMITS, now_ms=number)
        await store.cancelled(kept.id, number)
    assert traces(house.spool.parent, WORDS)
    await privacy.erase(canary)
    assert traces(house.spool.parent, WORDS) == []
    to_scrub = "SELECT count(*) FROM notes WHERE name = 'scrub the database'"
    assert await store._database.read(lambda conn: conn.execute(to_scrub).fetchone()[0]) == 1
    await privacy.purge()
    assert await store._database.read(lambda conn: conn.execute(to_scrub).fetchone()[0]) == 0


async def test_a_given_picture_goes_with_the_files_of_what_was_drawn_over_it(house, clock, ada, privacy, draw_for):
    given, mask, again = (house.spool / "given" / f"{name}.png" for name in ("77", "78", "79"))
    given.parent.mkdir(exist_ok=True)
    for path in (given, mask, again):
        Image.new("RGB", (64, 64)).save(path)
        os.utime(path, (clock() / 1000,) * 2)
    await draw_for(ada, "a boat", options={"image": str(given), "mask": str(mask)})
    await draw_for(ada, "a boat", options={"image": str(again)})
    clock.pass_seconds(4 * 86_400)
    await draw_for(ada, "a boat", options={"image": str(again)})
    assert (await privacy.purge())["left files"] == 0
    clock.pass_seconds(4 * 86_400)
    assert (await privacy.purge())["left files"] == 2
    assert [path.exists() for path in (given, mask, again)] == [False, False, True]


async def test_the_ledger_keeps_every_unit_under_a_random_number(store, canary, privacy, draw_for):
    await draw_for(canary, "a boat")
    before = await entries(store)
    await privacy.erase(canary)
    after = await entries(store)
    assert [entry[1:] for entry in before] == [entry[1:] for entry in after]
    assert {entry[0] for entry in after}.isdisjoint({canary.id})
    assert all(number < 0 for number, *_ in after)


async def entries(store):
    sql = "SELECT person_id, job_id, kind, units, at_ms, counts_ms FROM ledger ORDER BY id"
    return await store._database.read(lambda conn: [tuple(row) for row in conn.execute(sql)])


async def test_nobody_changes_the_ledger_or_the_audit_but_an_erasure(store, ada, canary, draw_for):
    await draw_for(canary, "a boat")
    for sql in ("UPDATE ledger SET units = 1", f"UPDATE ledger SET person_id = {ada.id}", "DELETE FROM ledger"):
        with pytest.raises(Exception, match="append-only"):
            await store._database.run(lambda conn, sql=sql: conn.execute(sql))


async def test_being_erased_ends_no_block(house, store, clock, ada, canary, privacy, draw_for):
    act = Act("block", clock(), ada.id, "operator", ("", ""), "block", "spam")
    await store.rules.block(act, canary.id, Halt(clock() + 3 * DAY_MS, "spam"))
    await privacy.erase(canary)
    again = await house.studio.person(Identity("discord", "", ID, NAME))
    with pytest.raises(Blocked):
        await draw_for(again, "a boat")
    assert traces(house.spool.parent, ID) != []  # they are here again, by their own doing
    await privacy.erase(again)
    clock.pass_seconds(4 * 86_400)
    assert await draw_for(await house.studio.person(Identity("discord", "", ID, NAME)), "a boat")


async def test_an_export_holds_what_is_kept_and_the_pictures(house, store, ada, canary, privacy, draw_for):
    job = await draw_for(canary, f"a {WORDS}")
    for person in (ada, canary):
        order = Act(f"for {person.id}", 0, ada.id, "operator", EVERYWHERE, "quota set")
        await store.rules.allow(order, Rule(EVERYWHERE, "person", str(person.id), units=40 + person.id), NO_LIMITS)
    export = await privacy.export(canary)
    with export.file, zipfile.ZipFile(export.file) as archive:
        rows = json.loads(archive.read("limner.json"))
        assert set(archive.namelist()) == {f"{job.id}-0.png", "limner.json"}
        assert archive.read(f"{job.id}-0.png") == Path(job.images[0].path).read_bytes()
    assert rows["identities"][0]["user_id"] == ID
    assert WORDS in rows["jobs"][0]["request"]
    assert {entry["kind"] for entry in rows["ledger"]} >= {"reserve", "charge"}
    assert [rule["units"] for rule in rows["allowances"]] == [40 + canary.id]
    assert export.left_out == 0


async def test_an_export_for_chat_stays_under_its_limit(canary, privacy, draw_for):
    for _ in range(3):
        await draw_for(canary, "a boat")
    whole = await privacy.export(canary, limit_bytes=10**8)
    size = whole.file.seek(0, os.SEEK_END)
    part = await privacy.export(canary, limit_bytes=1)
    with part.file, zipfile.ZipFile(part.file) as archive:
        assert archive.namelist() == ["limner.json"]
    assert (whole.left_out, part.left_out) == (0, 3)
    assert size > 0
    whole.file.close()


async def test_what_is_old_is_forgotten_in_its_time(house, store, clock, canary, privacy, draw_for, caplog):
    caplog.set_level("INFO")
    job = await draw_for(canary, f"a {WORDS}")
    assert not any((await privacy.purge()).values())
    clock.pass_seconds(8 * 86_400)
    assert (await privacy.purge())["files"] == 1
    assert not (house.spool / job.id).exists()
    assert (await store.job(job.id)).request.prompt == f"a {WORDS}"
    assert "forgotten: 1 files" in caplog.text
    clock.pass_seconds(23 * 86_400)
    assert (await privacy.purge())["prompts"] == 1
    assert traces(house.spool.parent, WORDS) == []
    kept = await house.studio.job(canary, job.id)
    assert (kept.forgotten, kept.request.prompt, kept.status) == (1, "", "delivered")
    with pytest.raises(WordsForgotten):
        await house.studio.draw(canary, PAGE, Press("reroll", job.id, 0), key="again")
    clock.pass_seconds(60 * 86_400)
    done = await privacy.purge()
    assert (done["jobs"], done["people"]) == (1, 1)
    assert traces(house.spool.parent, ID, NAME) == []
    assert await store.ledger_problems() == []
    with pytest.raises(Unknown):
        await house.studio.job(canary, job.id)


async def test_a_limit_of_none_keeps_for_ever(house, store, clock, canary, draw_for):
    privacy = Privacy(store, house.studio._end_all, data=house.spool.parent, retention=Retention(0, 0, 0), now_ms=clock)
    job = await draw_for(canary, "a boat")
    clock.pass_seconds(4000 * 86_400)
    await privacy.purge()
    assert (house.spool / job.id / "0.png").exists()
    assert (await store.job(job.id)).request.prompt == "a boat"


async def test_what_a_crash_left_and_old_backups_go(house, clock, canary, privacy, draw_for):
    job = await draw_for(canary, "a boat")
    left = house.spool / "zz99"
    left.mkdir()
    (left / "0.png").write_bytes(b"x")
    copy = house.spool.parent / "backups" / "limner-old.db"
    copy.parent.mkdir(exist_ok=True)
    copy.write_bytes(b"x")
    os.utime(copy, (clock() / 1000 - 20 * 86_400,) * 2)
    aside = house.spool.parent / "limner.db.before-20200101T000000"  # of a backup that was restored
    aside.write_bytes(b"x")
    os.utime(aside, (clock() / 1000 - 20 * 86_400,) * 2)
    fresh = copy.with_name("limner-new.db")
    fresh.write_bytes(b"x")
    os.utime(fresh, (clock() / 1000,) * 2)
    noted = [house.spool.parent / "erased" / f"{age}-00-00" for age in (20, 10)]
    noted[0].parent.mkdir()
    for path, days in zip(noted, (20, 10), strict=True):
        path.touch()
        os.utime(path, (clock() / 1000 - days * 86_400,) * 2)
    done = await privacy.purge()
    assert (done["left files"], done["backups"]) == (1, 2)
    assert [path.exists() for path in noted] == [False, True]  # as long as there may be a copy
    assert not aside.exists()
    assert not left.exists()
    assert fresh.exists()
    assert (house.spool / job.id / "0.png").exists()


async def test_however_many_folders_a_crash_left_all_of_them_go(house, canary, privacy, draw_for, monkeypatch):
    monkeypatch.setattr("bot.privacy.SWEPT_AT_ONCE", 2)
    job = await draw_for(canary, "a boat")
    for number in range(5):
        (house.spool / f"zz9{number}").mkdir()
    assert (await privacy.purge())["left files"] == 5
    assert [path.name for path in house.spool.iterdir() if path.name != "given"] == [job.id]


async def test_what_is_kept_is_told_in_numbers(canary, privacy, draw_for):
    await draw_for(canary, "a boat")
    kept = await privacy.show(canary)
    assert (kept.jobs, kept.images, kept.rows["identities"]) == (1, 1, 1)
