import asyncio
import os
import sqlite3
import stat
import sys

import pytest

from bot.errors import CannotStart, QueueFull, QuotaExceeded, Unavailable
from bot.jobs import Identity, Image, Lineage, Status
from bot.store import Callback, Limits, Wanted, open_store
from bot.store import jobs as rows
from bot.store.connection import migrate, read_migrations
from tests.house import NO_LIMITS, PAGE, wanted


async def submit(store, person, *each, clock, key="key", limits=NO_LIMITS):
    return await store.submit(person, PAGE, each, key=key, limits=limits, now_ms=clock())


async def draw_one(store, job, clock, *others):
    await store.started(job.id, clock())
    for image in (Image(0, 7, "done", f"/spool/{job.id}/0.png", "ab", 64, 64), *others):
        await store.image_done(job.id, image)
    await store.rendered(job.id, gpu_seconds=1.0, engine="1 cpu", now_ms=clock())


async def test_a_job_reads_back_as_it_was_written(store, ada, clock, draw):
    [job] = await submit(store, ada, wanted(draw, units=2), clock=clock)
    assert (job.request, job.status, job.units, job.place, job.created_ms) == (draw, Status.QUEUED, 2, PAGE, clock())
    assert await store.job(job.id) == job


async def test_the_same_key_gives_the_same_jobs(store, ada, clock, draw):
    first = await submit(store, ada, wanted(draw), wanted(draw, seed=8), clock=clock)
    assert await submit(store, ada, wanted(draw, seed=9), clock=clock) == first


async def test_the_same_key_of_another_person_is_another_job(store, ada, clock, draw):
    bob = await store.person(Identity("discord", "", "bob"), is_operator=False, now_ms=clock())
    assert await submit(store, ada, wanted(draw), clock=clock) != await submit(store, bob, wanted(draw), clock=clock)


async def test_a_command_that_asks_for_too_much_leaves_nothing_behind(store, ada, clock, draw):
    limits = Limits(allowance=3, own_waiting=None, waiting=50)
    with pytest.raises(QuotaExceeded) as refusal:
        await submit(store, ada, *[wanted(draw, units=2)] * 2, clock=clock, limits=limits)
    assert (refusal.value.needed, refusal.value.left) == (4, 3)
    assert await store.history(ada, 10) == []
    assert (await store.account(ada, clock())).reserved == 0


@pytest.mark.parametrize(("own", "everyone", "is_own"), [(1, 50, True), (None, 1, False)])
async def test_a_full_queue_takes_no_more(store, ada, clock, draw, own, everyone, is_own):
    limits = Limits(allowance=None, own_waiting=own, waiting=everyone)
    await submit(store, ada, wanted(draw), clock=clock, limits=limits)
    with pytest.raises(QueueFull) as refusal:
        await submit(store, ada, wanted(draw), clock=clock, limits=limits, key="second")
    assert refusal.value.own is is_own


async def test_a_second_press_within_three_seconds_is_the_same_job(store, ada, clock, draw):
    [parent] = await submit(store, ada, wanted(draw), clock=clock)
    reroll = Wanted(draw, 1, Lineage(parent.id, 0, "reroll"))
    first = await submit(store, ada, reroll, clock=clock, key="press 1")
    clock.pass_seconds(2.9)
    assert await submit(store, ada, reroll, clock=clock, key="press 2") == first
    clock.pass_seconds(0.2)
    assert await submit(store, ada, reroll, clock=clock, key="press 3") != first


async def test_a_thread_holds_the_root_and_everything_that_came_of_it(store, ada, clock, draw):
    [root] = await submit(store, ada, wanted(draw), clock=clock)
    [child] = await submit(store, ada, Wanted(draw, 1, Lineage(root.id, 0, "vary")), clock=clock, key="b")
    [grandchild] = await submit(store, ada, Wanted(draw, 1, Lineage(child.id, 0, "reroll")), clock=clock, key="c")
    await submit(store, ada, wanted(draw), clock=clock, key="stranger")
    assert [job.id for job in await store.thread(child.id)] == [root.id, child.id, grandchild.id]


async def test_a_delivered_image_is_charged_and_a_withheld_one_released(store, ada, clock, draw):
    [job] = await submit(store, ada, wanted(draw, units=4, count=2), clock=clock)
    await draw_one(store, job, clock, Image(1, 8, "withheld", "/spool/x/1.png", "cd", 64, 64))
    [parcel] = await store.outbox.due(clock(), 10)
    await store.outbox.delivered(parcel, clock())
    account = await store.account(ada, clock())
    assert (account.charged, account.reserved, [charge.units for charge in account.charges]) == (2, 0, [2])
    assert (await store.outbox.due(clock(), 10), await store.ledger_problems()) == ([], [])


@pytest.mark.parametrize("end", ["failed", "cancelled", "undeliverable"])
async def test_a_job_that_brings_nothing_costs_nothing(store, ada, clock, draw, end):
    [job] = await submit(store, ada, wanted(draw, units=2), clock=clock)
    if end == "failed":
        await store.failed(job.id, "out_of_memory", "", clock())
    elif end == "cancelled":
        await store.cancelled(job.id, clock())
    else:
        await draw_one(store, job, clock)
        [parcel] = await store.outbox.due(clock(), 10)
        await store.outbox.undeliverable(parcel, "no such channel", clock())
    account = await store.account(ada, clock())
    assert (account.charged, account.reserved, (await store.job(job.id)).status) == (0, 0, end)
    assert await store.ledger_problems() == []


async def test_a_job_that_is_drawn_can_no_longer_be_cancelled(store, ada, clock, draw):
    [job] = await submit(store, ada, wanted(draw), clock=clock)
    await draw_one(store, job, clock)
    assert not await store.cancelled(job.id, clock())


async def test_a_job_that_is_cancelled_half_way_keeps_no_image(store, ada, clock, draw):
    [job] = await submit(store, ada, wanted(draw, units=2, count=2), clock=clock)
    await store.started(job.id, clock())
    await store.image_done(job.id, Image(0, 7, "done", "/spool/0.png", "ab", 64, 64))
    await store.cancelled(job.id, clock())
    await store.image_done(job.id, Image(1, 8, "done", "/spool/1.png", "ab", 64, 64))
    assert [image.status for image in (await store.job(job.id)).images] == ["deleted"]


async def test_sixty_four_who_race_take_not_one_unit_too_much(store, ada, clock, draw):
    limits = Limits(allowance=20, own_waiting=None, waiting=10_000)
    race = [submit(store, ada, wanted(draw, 3), clock=clock, key=str(n), limits=limits) for n in range(64)]
    answers = await asyncio.gather(*race, return_exceptions=True)
    assert sum(isinstance(answer, QuotaExceeded) for answer in answers) == 64 - 6
    assert (await store.account(ada, clock())).reserved == 18


async def test_after_a_restart_everything_accepted_waits_in_its_old_order(tmp_path, clock, draw):
    store = await open_store(tmp_path)
    ada = await store.person(Identity("web", "", "ada"), is_operator=True, now_ms=clock())
    jobs = [(await submit(store, ada, wanted(draw), clock=clock, key=str(n)))[0] for n in range(3)]
    jobs += await store.submit(
        ada, PAGE, [wanted(draw)], key="unanswered", limits=NO_LIMITS, now_ms=clock(), status=Status.RECEIVED
    )
    await store.started(jobs[1].id, clock())
    await store.close()
    store = await open_store(tmp_path)
    assert [pending.id for pending in await store.resume(clock())] == [job.id for job in jobs]
    await store.close()


async def accept_unanswered(store, person, draw, clock, seconds):
    callback = Callback("secret", clock() + seconds * 1000)
    [job] = await store.submit(
        person, PAGE, [wanted(draw)], key=f"{seconds}", limits=NO_LIMITS, now_ms=clock(), status=Status.RECEIVED,
        callback=callback,
    )  # fmt: skip
    assert "secret" not in repr(callback)
    return job


async def test_of_a_job_whose_answer_may_not_have_arrived_the_platform_is_asked_while_it_can_be(
    store, ada, clock, draw
):
    late, soon = [await accept_unanswered(store, ada, draw, clock, seconds) for seconds in (900, 60)]
    clock.pass_seconds(86_400)
    assert await store.resume(clock()) == []
    assert [job.id for job in await store.chat.unanswered("web")] == [late.id, soon.id]
    clock.pass_seconds(120)
    assert await store.resume(clock()) == []
    assert [job.id for job in await store.chat.unanswered("web")] == [late.id]
    assert (await store.job(soon.id)).status == Status.CANCELLED
    assert await store.ledger_problems() == []
    [queued] = await store.acknowledged([late.id], message_id="42", now_ms=clock())
    assert (queued.status, queued.place.message_id) == (Status.QUEUED, "42")
    assert (await store.chat.job_of_message("web", "42")).id == late.id


async def test_a_job_that_is_drawn_is_not_queued_by_another_acknowledgement(store, ada, clock, draw):
    """The first could not post its message, so a second delivery tries that again."""
    job = await accept_unanswered(store, ada, draw, clock, 60)
    for _ in range(2):
        [again] = await store.acknowledged([job.id], now_ms=clock())
        await store.started(job.id, clock())
    assert again.status == Status.RUNNING
    await store.image_done(job.id, Image(0, 7, "done", "/spool/0.png", "ab", 64, 64))
    assert await store.rendered(job.id, gpu_seconds=1.0, engine="1 cpu", now_ms=clock())


async def test_a_token_is_forgotten_when_it_has_ended(store, ada, clock, draw):
    job = await accept_unanswered(store, ada, draw, clock, 60)
    await store.acknowledged([job.id], now_ms=clock())
    assert await store.chat.token(job.id, clock()) == "secret"
    clock.pass_seconds(61)
    assert await store.chat.token(job.id, clock()) is None
    assert await store._database.read(lambda conn: conn.execute("SELECT count(*) FROM callbacks").fetchone()[0]) == 0


ACCEPT_AND_WAIT = """
import asyncio, sys
from pathlib import Path
from bot.jobs import Identity
from bot.store import open_store
from tests.house import NO_LIMITS, PAGE, a_draw, wanted

async def main(data):
    store = await open_store(data)
    ada = await store.person(Identity("web", "", "ada"), is_operator=True, now_ms=1)
    two = [wanted(a_draw())] * 2
    jobs = await store.submit(ada, PAGE, two, key="key", limits=NO_LIMITS, now_ms=1)
    await store.started(jobs[0].id, 2)
    print(*(job.id for job in jobs), flush=True)
    await asyncio.Event().wait()

asyncio.run(main(Path(sys.argv[1])))
"""


async def test_a_process_that_is_killed_loses_nothing_it_accepted(tmp_path, clock):
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ACCEPT_AND_WAIT, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    accepted = (await child.stdout.readline()).decode().split()
    child.kill()
    await child.communicate()
    store = await open_store(tmp_path)
    resumed = await store.resume(clock())
    problems = await store.ledger_problems()
    await store.close()
    assert ([pending.id for pending in resumed], problems) == (accepted, [])
    assert [pending.attempts for pending in resumed] == [1, 0]


async def test_a_job_that_kills_the_engine_twice_has_failed(store, ada, clock, draw):
    [job] = await submit(store, ada, wanted(draw), clock=clock)
    await store.started(job.id, clock())
    assert await store.engine_died([job.id], "SIGKILL", clock()) == []
    await store.started(job.id, clock())
    assert await store.engine_died([job.id], "SIGKILL", clock()) == [job.id]
    assert (await store.job(job.id)).failure == "internal"


async def test_job_ids_grow_when_the_short_ones_are_taken(tmp_path, clock, draw, monkeypatch):
    monkeypatch.setattr(rows, "new_id", lambda length: "k" * length)
    store = await open_store(tmp_path)
    ada = await store.person(Identity("web", "", "ada"), is_operator=True, now_ms=clock())
    ids = [(await submit(store, ada, wanted(draw), clock=clock, key=str(n)))[0].id for n in range(3)]
    await store.close()
    assert ids == ["kkkk", "kkkkk", "kkkkkk"]


async def test_a_transaction_ends_even_if_its_caller_is_cancelled(store, ada, clock, draw):
    call = asyncio.create_task(submit(store, ada, wanted(draw), clock=clock))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert len(await store.history(ada, 10)) == 1


async def test_of_those_that_are_committed_together_one_that_fails_takes_back_only_its_own(store, ada, clock, draw):
    syncs = []
    store._database._conn.set_trace_callback(lambda said: syncs.append(said) if said == "COMMIT" else None)
    limits = Limits(allowance=3, own_waiting=None, waiting=10)
    asked = [wanted(draw, units=units) for units in (1, 5, 2)]
    commands = [submit(store, ada, each, clock=clock, key=str(i), limits=limits) for i, each in enumerate(asked)]
    first, refused, second = await asyncio.gather(*commands, return_exceptions=True)
    assert syncs == ["COMMIT"]
    assert isinstance(refused, QuotaExceeded)
    assert [job.id for job in await store.unfinished()] == [first[0].id, second[0].id]
    assert (await store.account(ada, clock())).reserved == 3
    assert await store.ledger_problems() == []


async def test_where_the_common_commit_fails_all_are_refused(store, ada, clock, draw):
    full = lambda conn: conn.execute("PRAGMA max_page_count = 1").fetchone()  # noqa: E731
    await store._database.run(full)
    large = [wanted(draw, prompt=letter * 100_000) for letter in "abc"]
    commands = [submit(store, ada, each, clock=clock, key=each.request.prompt[0]) for each in large]
    ends = await asyncio.gather(*commands, return_exceptions=True)
    assert [type(end) for end in ends] == [Unavailable] * 3
    assert await store.unfinished() == []


async def test_after_the_end_nobody_waits_for_a_commit(tmp_path):
    store = await open_store(tmp_path / "data")
    await store.close()
    async with asyncio.timeout(5):
        with pytest.raises(ValueError, match="closed"):
            await store._database.run(lambda conn: None)


async def test_a_full_disk_refuses_with_the_reason_and_recovers_by_itself(store, ada, clock, draw):
    pages = lambda conn, limit: conn.execute(f"PRAGMA max_page_count = {limit}").fetchone()  # noqa: E731
    await store._database.run(lambda conn: pages(conn, 1))
    with pytest.raises(Unavailable, match="the disk is full"):
        await submit(store, ada, wanted(draw, prompt="x" * 100_000), clock=clock)
    await store._database.run(lambda conn: pages(conn, 1_000_000))
    assert len(await submit(store, ada, wanted(draw), clock=clock)) == 1


async def test_a_lock_held_by_a_shell_refuses_with_the_reason(store, ada, clock, draw, tmp_path):
    shell = sqlite3.connect(tmp_path / "data" / "limner.db", isolation_level=None)
    shell.execute("BEGIN IMMEDIATE")
    await store._database._execute(store._database._conn.execute, "PRAGMA busy_timeout = 1")
    with pytest.raises(Unavailable, match="holds the database"):
        await submit(store, ada, wanted(draw), clock=clock)
    shell.close()
    assert len(await submit(store, ada, wanted(draw), clock=clock)) == 1


async def test_a_second_process_on_the_same_directory_is_refused(store, tmp_path):
    with pytest.raises(CannotStart, match="Another Limner is running"):
        await open_store(tmp_path / "data")


@pytest.mark.parametrize("content", [b"this is no database" * 100, None])
async def test_a_damaged_database_is_left_as_it_is(tmp_path, clock, content):
    file = tmp_path / "limner.db"
    if content is None:
        await (await open_store(tmp_path)).close()
        content = file.read_bytes()[:4096] + os.urandom(8192)
    file.write_bytes(content)
    with pytest.raises(CannotStart, match="is damaged"):
        await open_store(tmp_path)
    assert file.read_bytes() == content


async def test_a_database_from_a_newer_version_is_refused(tmp_path):
    await (await open_store(tmp_path)).close()
    conn = sqlite3.connect(tmp_path / "limner.db")
    conn.execute("PRAGMA user_version = 9999")
    conn.close()
    with pytest.raises(CannotStart, match="newer Limner") as error:
        await open_store(tmp_path)
    assert error.value.exit_code == 78


async def test_a_data_directory_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CannotStart, match="cannot be written"):
        await open_store(tmp_path / "file" / "data")


@pytest.mark.parametrize(("number", "code"), [(28, 75), (30, 78)])
async def test_a_disk_that_is_full_at_the_start_is_worth_another_one(tmp_path, monkeypatch, number, code):
    def refuse(*args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("pathlib.Path.write_bytes", refuse)
    with pytest.raises(CannotStart, match="cannot be written") as error:
        await open_store(tmp_path / "data")
    assert error.value.exit_code == code


async def test_only_the_owner_can_read_the_data(store, tmp_path):
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()}
    assert modes.pop("spool") == 0o700
    assert set(modes.values()) == {0o600}


def test_a_migration_that_breaks_leaves_the_version_before_it(tmp_path):
    file = tmp_path / "limner.db"
    conn = sqlite3.connect(file, isolation_level=None)
    known = read_migrations()
    with pytest.raises(sqlite3.OperationalError):
        migrate(conn, [*known, (known[-1][0] + 1, "CREATE TABLE half (id); CREATE TABLE half (id);")], file)
    conn.close()
    conn = sqlite3.connect(file)
    assert conn.execute("PRAGMA user_version").fetchone() == (known[-1][0],)
    assert conn.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'half'").fetchone() == (0,)
    conn.close()


async def test_an_entry_of_the_ledger_cannot_be_changed(store, ada, clock, draw):
    await submit(store, ada, wanted(draw), clock=clock)
    for sql in ("UPDATE ledger SET units = 0", "DELETE FROM ledger"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            await store._database.run(lambda conn, sql=sql: conn.execute(sql))
