"""Everything behind the adapters, put together, with a fake engine in a real child process."""

import asyncio
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
from bot.store import Limits, Wanted
from bot.studio import Studio
from engine.catalogue import read_catalogue
from engine.client import LocalEngine
from engine.protocol import Draw

PAGE = Place("web")
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
    return Draw(
        prompt="a red car",
        negative_prompt=None,
        model="builtin",
        seed=7,
        count=1,
        steps=4,
        guidance_scale=4.0,
        scheduler="dpmpp_2m",
        width=64,
        height=64,
        quality="draft",
    )


def wanted(draw: Draw, units: int = 1, **changes: object) -> Wanted:
    return Wanted(msgspec.structs.replace(draw, **changes), units)


class House:
    """Store, dispatch, delivery and a fake engine in a real child process."""

    def __init__(self, store, clock, data, engine=None, limits=None):
        self.store, self.clock, self.spool = store, clock, data / "spool"
        self.feed, self.engine = Feed(), engine or LocalEngine("fake")
        self.delivery = Delivery(store, self.feed, {"web": Page()}, now_ms=clock, pause_ms=lambda attempts: 0)
        self.dispatch = Dispatch(
            store, self.engine, self.feed, spool=self.spool, now_ms=clock, wake_delivery=self.delivery.wake
        )
        limits = limits or Limits(allowance=20, own_waiting=10, waiting=50)
        rules = Rules(read_catalogue(), "builtin", limits, self.spool)
        seeds = count(100)
        self.studio = Studio(rules, store, self.dispatch, self.feed, now_ms=clock, new_seed=lambda: next(seeds))
        self.admin = Admin(store, self.studio, limits, models=read_catalogue(), now_ms=clock)
        self.running = []

    def open(self):
        self.running = [asyncio.create_task(each.run()) for each in (self.dispatch, self.delivery)]

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
