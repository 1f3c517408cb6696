"""Everything behind the adapters, put together, with a fake engine in a real child process."""

import asyncio
import time
from dataclasses import dataclass
from itertools import count

import msgspec

from bot.adapter import Page
from bot.admin import Admin
from bot.delivery import Delivery
from bot.dispatch import Dispatch
from bot.feed import Feed
from bot.gate import Rules
from bot.jobs import Place
from bot.progress import Progress
from bot.prompt import Style
from bot.store import Limits, Wanted, open_store
from bot.studio import Studio
from engine.catalogue import read_catalogue
from engine.client import LocalEngine
from engine.protocol import Draw

PAGE = Place("web")
STYLES = {"noir": Style(after="film noir")}
NO_LIMITS = Limits(allowance=None, own_waiting=None, waiting=10_000)


@dataclass
class Clock:
    """UTC milliseconds that stand still until they are moved."""

    ms: int = 1_800_000_000_000

    def __call__(self) -> int:
        return self.ms

    def pass_seconds(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


def a_draw() -> Draw:
    """A small one: a draft of a few steps."""
    plain = read_catalogue()["builtin"].plain_draw("draft")
    return msgspec.structs.replace(plain, prompt="a red car", seed=7, steps=4, width=64, height=64)


def wanted(draw: Draw, units: int = 1, **changes: object) -> Wanted:
    return Wanted(msgspec.structs.replace(draw, **changes), units)


class House:
    """Store, dispatch, delivery and a fake engine in a real child process."""

    def __init__(self, store, clock, data, engine=None, limits=None, *, pause_ms=0, styles=None, operators=()):
        self.store, self.clock, self.spool = store, clock, data / "spool"
        self.feed, self.engine, self.adapters = Feed(), engine or LocalEngine("tests.fake_engine"), {"web": Page()}
        self.delivery = Delivery(store, self.feed, self.adapters, now_ms=clock, pause_ms=lambda attempts: pause_ms)
        self.dispatch = Dispatch(
            store, self.engine, self.feed, spool=self.spool, now_ms=clock, wake_delivery=self.delivery.wake
        )
        limits = limits or Limits(allowance=20, own_waiting=10, waiting=50)
        rules = Rules(read_catalogue(), "builtin", limits, self.spool, styles=styles or {})
        seeds = count(100)
        self.studio = Studio(rules, store, self.dispatch, self.feed, now_ms=clock, new_seed=lambda: next(seeds))
        self.admin = Admin(
            store, self.studio, limits, models=read_catalogue(), now_ms=clock, operators=frozenset(operators)
        )
        self.running = []

    def open(self, *more):
        self.running = [asyncio.create_task(each.run()) for each in (self.dispatch, self.delivery, *more)]

    async def close(self):
        for each in self.running:
            each.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)
        await self.engine.close()

    async def accept(self, person, *each, key="key"):
        jobs = await self.store.submit(person, PAGE, each, key=key, limits=NO_LIMITS, now_ms=self.clock())
        self.dispatch.add(jobs)
        return [job.id for job in jobs]

    async def until(self, job_id, reached):
        """The job as soon as `reached(job, live)` holds."""
        with self.feed.watch() as changes:
            while True:
                job = await self.store.job(job_id)
                if reached(job, self.feed.live(job_id)):
                    return job
                await anext(changes)

    async def end_of(self, job_id):
        return await self.until(job_id, lambda job, live: job.status.is_over)


class ChatHouse(House):
    """With a chat platform that is on loopback. Can be closed and opened again on the same data, as a restart does.

    A subclass has `platform`, `connect`, `until_connected` and `check`, which holds whenever it is closed.
    """

    def __init__(self, api, settings, *, allowance=100, engine=None):
        self.api, self.settings, self.data = api, settings, settings.data
        self._allowance, self._engine = allowance, engine
        self.ahead_ms = 0  # of the real time

    def now_ms(self):
        return time.time_ns() // 10**6 + self.ahead_ms

    async def open(self, *, until_connected=True):
        store, limits = await open_store(self.data), Limits(allowance=self._allowance, own_waiting=10, waiting=50)
        operators = self.settings.operators
        super().__init__(
            store, self.now_ms, self.data, self._engine, limits, pause_ms=50, styles=STYLES, operators=operators
        )
        common = {"models": read_catalogue(), "spool": self.spool, "now_ms": self.now_ms}
        self.connection, self.adapter = self.connect(self.settings, self.studio, store, self.admin, **common)
        self.adapters[self.platform] = self.adapter
        super().open(Progress(store, self.feed, self.adapters, clock=time.monotonic), self.connection)
        if until_connected:
            try:
                await self.until_connected()
            except AssertionError:
                await self.close()
                raise
        return self

    async def __aenter__(self):
        return await self.open()

    async def __aexit__(self, *error):
        await self.close()

    async def close(self):
        await super().close()
        await self.store.close()
        self.check()

    async def job(self, job_id):
        return await self.store.job(job_id)

    async def end_of(self, job_id):
        async with asyncio.timeout(20):
            return await super().end_of(job_id)
