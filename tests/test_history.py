"""However long the history: nothing that is run at a start, at a submit or at a delivery reads all of it."""

import sqlite3

from bot.jobs import Image, Lineage, Status
from bot.store import Callback
from bot.store.jobs import Wanted
from tests.house import NO_LIMITS, PAGE, wanted

SHORT = {"persons", "identities", "callbacks", "notes", "outbox", "allowances"}  # as long as what is there now
SHORT_INDEXES = {"images_stored"}  # of the pictures that are still on disk
NEWEST = "ORDER BY number DESC LIMIT"  # read from the end, and only so far


async def statements_of_a_life(store, ada, clock, draw):
    """Every statement between a start and a delivery."""
    seen = []
    await store._database.run(lambda conn: conn.set_trace_callback(seen.append))
    await store.resume(clock())
    [job] = await store.submit(
        ada, PAGE, [wanted(draw)], key="key", limits=NO_LIMITS, now_ms=clock(), status=Status.RECEIVED,
        callback=Callback("token", clock() + 1000),
    )  # fmt: skip
    await store.chat.unanswered("discord")
    await store.acknowledged([job.id], message_id="42", now_ms=clock())
    await store.chat.posted(job.id, message_id="43", thread_id="44")
    await store.started(job.id, clock())
    await store.image_done(job.id, Image(0, 7, "done", "/spool/0.png", "ab", 64, 64))
    await store.rendered(job.id, gpu_seconds=1.0, engine="1 cpu", now_ms=clock())
    [parcel] = await store.outbox.due(clock(), 10)
    await store.outbox.next_due_ms(clock())
    await store.outbox.delivered(parcel, clock())
    for look in (store.unfinished(), store.drawn_lately(), store.history(ada, 10), store.thread(job.id)):
        await look
    for what in ("files", "prompts", "jobs"):  # after each start, and each hour
        await store.privacy.forget(what, clock() - 86_400_000)
    await store.chat.job_of_message("discord", "43")
    await store.chat.newest_in("discord", "44")
    await store.chat.token(job.id, clock())
    await store._database.run(lambda conn: conn.set_trace_callback(None))
    return [sql for sql in seen if sql.split()[0] in ("SELECT", "UPDATE", "DELETE", "INSERT")]


async def test_no_statement_reads_the_whole_history(store, ada, clock, draw, tmp_path):
    statements = await statements_of_a_life(store, ada, clock, draw)
    assert len(statements) > 30
    conn = sqlite3.connect(tmp_path / "data" / "limner.db")
    for sql in statements:
        for *_, step in conn.execute(f"EXPLAIN QUERY PLAN {sql}"):
            is_scan = step.startswith("SCAN") and "CONSTANT ROW" not in step
            scanned = step.split()[1] if is_scan else None
            is_short = scanned in SHORT or step.split()[-1] in SHORT_INDEXES
            assert scanned is None or is_short or scanned == "json_each" or NEWEST in sql, (step, sql)
    conn.close()


async def test_a_clock_that_jumps_costs_nobody_a_unit_twice_and_keeps_the_order(store, ada, clock, draw):
    """An hour back, a day on, and back again: what is left never exceeds the allowance, and no job waits for ever."""
    before = clock.ms
    for number, jump_seconds in enumerate((-3600, 86_400, -86_400, 3600)):
        clock.pass_seconds(jump_seconds)
        [job] = await store.submit(ada, PAGE, [wanted(draw)], key=str(number), limits=NO_LIMITS, now_ms=clock())
        await store.started(job.id, clock())
        await store.image_done(job.id, Image(0, 7, "done", "/spool/0.png", "ab", 64, 64))
        clock.pass_seconds(-jump_seconds / 2)
        await store.rendered(job.id, gpu_seconds=1.0, engine="1 cpu", now_ms=clock())
        clock.pass_seconds(jump_seconds / 2)
        [parcel] = await store.outbox.due(clock() + 86_400_000, 10)
        await store.outbox.delivered(parcel, clock())
    clock.ms = before + 86_400_000
    account = await store.account(ada, clock())
    assert (account.reserved, await store.ledger_problems()) == (0, [])
    assert account.charged <= 4


async def test_a_press_is_taken_after_the_clock_was_put_back(store, ada, clock, draw):
    [parent] = await store.submit(ada, PAGE, [wanted(draw)], key="p", limits=NO_LIMITS, now_ms=clock())
    again = Wanted(draw, 1, Lineage(parent.id, 0, "reroll"))
    [first] = await store.submit(ada, PAGE, [again], key="a", limits=NO_LIMITS, now_ms=clock() + 3_600_000)
    [second] = await store.submit(ada, PAGE, [again], key="b", limits=NO_LIMITS, now_ms=clock() + 60_000)
    assert first.id != second.id
