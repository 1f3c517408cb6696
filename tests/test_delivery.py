import asyncio
from contextlib import asynccontextmanager

import pytest

from bot.adapter import Undeliverable
from bot.delivery import AT_ONCE, Delivery
from bot.feed import Feed
from bot.jobs import Image, Place
from tests.house import NO_LIMITS, wanted

PLACE = Place("stand-in")


class StandIn:
    """A platform that fails as often as it is told to."""

    platform = "stand-in"

    def __init__(self, *errors: Exception):
        self.errors, self.delivered, self.shown = list(errors), [], []

    async def deliver(self, job, settle):
        if self.errors:
            raise self.errors.pop(0)
        self.delivered.append(job.id)
        await settle()

    async def show(self, job, live):
        self.shown.append((job.id, job.status))


@asynccontextmanager
async def delivering(store, feed, adapter, clock):
    delivery = Delivery(store, feed, {adapter.platform: adapter}, now_ms=clock, pause_ms=lambda attempts: 0)
    running = asyncio.create_task(delivery.run())
    yield delivery
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
def feed():
    return Feed()


@pytest.fixture
async def job(store, ada, clock, draw):
    """Drawn, and not yet shown."""
    [job] = await store.submit(ada, PLACE, [wanted(draw, units=2)], key="key", limits=NO_LIMITS, now_ms=clock())
    await draw_one(store, job, clock)
    return job


async def draw_one(store, job, clock):
    await store.started(job.id, clock())
    await store.image_done(job.id, Image(0, 7, "done", "/spool/0.png", "ab", 64, 64))
    await store.rendered(job.id, gpu_seconds=1.0, engine="1 cpu", now_ms=clock())


async def ended(store, feed, job_id):
    with feed.watch() as changes:
        if not (job := await store.job(job_id)).status.is_over:
            async for _ in changes:
                if (job := await store.job(job_id)).status.is_over:
                    break
    return job.status


async def test_what_was_drawn_before_the_start_is_shown_and_charged(store, feed, ada, job, clock):
    adapter = StandIn()
    async with delivering(store, feed, adapter, clock):
        assert await ended(store, feed, job.id) == "delivered"
    assert (adapter.delivered, (await store.account(ada, clock())).charged) == ([job.id], 2)


async def test_a_platform_that_fails_is_tried_again_and_charged_once(store, feed, ada, job, clock):
    adapter = StandIn(ConnectionError("reset"), TimeoutError())
    async with delivering(store, feed, adapter, clock):
        assert await ended(store, feed, job.id) == "delivered"
    assert (adapter.delivered, (await store.account(ada, clock())).charged) == ([job.id], 2)


@pytest.mark.parametrize("errors", [[Undeliverable("no such channel")], [ConnectionError("down")] * 200])
async def test_what_cannot_be_shown_is_released(store, feed, ada, job, clock, errors):
    if len(errors) > 1:
        clock.pass_seconds(25 * 3600)
    async with delivering(store, feed, StandIn(*errors), clock):
        assert await ended(store, feed, job.id) == "undeliverable"
    assert (await store.account(ada, clock())).charged == 0
    assert await store.ledger_problems() == []


async def test_a_failure_is_shown_as_one(store, feed, ada, clock, draw):
    [job] = await store.submit(ada, PLACE, [wanted(draw)], key="key", limits=NO_LIMITS, now_ms=clock())
    await store.failed(job.id, "out_of_memory", "", clock())
    adapter = StandIn()
    with feed.watch() as changes:
        async with delivering(store, feed, adapter, clock):
            await anext(changes)
    assert adapter.shown == [(job.id, "failed")]
    assert await store.outbox.due(clock(), 10) == []


async def test_one_slow_message_does_not_hold_up_another(store, feed, ada, job, clock, draw):
    reached, free = asyncio.Event(), asyncio.Event()

    class Slow(StandIn):
        async def deliver(self, job, settle):
            if not reached.is_set():
                reached.set()
                await free.wait()
            await super().deliver(job, settle)

    adapter = Slow()
    async with delivering(store, feed, adapter, clock) as delivery:
        await reached.wait()
        [other] = await store.submit(ada, PLACE, [wanted(draw)], key="other", limits=NO_LIMITS, now_ms=clock())
        await store.started(other.id, clock())
        await store.rendered(other.id, gpu_seconds=1.0, engine="1 cpu", now_ms=clock())
        delivery.wake()
        assert await ended(store, feed, other.id) == "delivered"
        assert adapter.delivered == [other.id]
        free.set()
        assert await ended(store, feed, job.id) == "delivered"


async def test_what_is_due_is_shown_before_a_flush_returns(store, feed, clock, job):
    adapter = StandIn(ConnectionError("once"))
    async with delivering(store, feed, adapter, clock) as delivery:
        await delivery.flush()
        await delivery.flush()  # the second try was due at once
        assert adapter.delivered == [job.id]
        assert (await store.job(job.id)).status == "delivered"


async def test_in_an_outage_a_channel_gets_one_try_at_a_time_however_much_waits(store, feed, ada, clock, draw):
    many = [wanted(draw, seed=number) for number in range(60)]
    for job in await store.submit(ada, PLACE, many, key="key", limits=NO_LIMITS, now_ms=clock()):
        await draw_one(store, job, clock)
    tries = []

    class Outage(StandIn):
        async def deliver(self, job, settle):
            tries.append(job.id)
            raise ConnectionError

    delivery = Delivery(store, feed, {"stand-in": Outage()}, now_ms=clock, pause_ms=lambda attempts: 1000)
    running = asyncio.create_task(delivery.run())
    for _ in range(10):  # seconds of an outage
        await delivery.flush()
        clock.pass_seconds(1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert len(tries) <= AT_ONCE + 2 * 10


async def test_what_was_posted_before_the_clock_was_put_back_is_shown_now(store, feed, job, clock):
    clock.pass_seconds(-86_400)
    adapter = StandIn(ConnectionError())
    async with delivering(store, feed, adapter, clock):
        assert await ended(store, feed, job.id) == "delivered"
    assert adapter.delivered == [job.id]


async def test_a_clock_that_jumps_a_day_on_gives_nothing_up(store, feed, job, clock):
    clock.pass_seconds(2 * 86_400)
    adapter = StandIn(ConnectionError())
    async with delivering(store, feed, adapter, clock):
        assert await ended(store, feed, job.id) == "delivered"


async def test_what_was_put_off_while_the_clock_was_ahead_is_shown_when_it_is_right_again(store, feed, clock, ada, job):
    clock.pass_seconds(3600)  # it has waited for an hour
    right_ms = clock()
    [parcel] = await store.outbox.due(right_ms, 10)
    clock.ms = right_ms + 365 * 86_400_000
    await store.outbox.postponed(parcel, clock(), clock() + 60_000)
    clock.ms = right_ms + 120_000
    adapter = StandIn()
    async with delivering(store, feed, adapter, clock) as delivery, asyncio.timeout(5):
        await delivery.flush()
    assert adapter.delivered == [job.id]
