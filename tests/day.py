"""A day of many people on two platforms: every unit accounted for, every refusal right, nobody forgotten.

python -m tests.day [--people 10000]

The bot's own store, studio and dispatch; the clock is turned by hand, and an engine in this process speaks the fake
engine's messages and takes as long, by that clock, as a GPU that draws one image in two seconds.
"""

import argparse
import asyncio
import logging
import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from bot.admin import Actor, Admin
from bot.allowances import Limits
from bot.commands import Imagine
from bot.dispatch import Dispatch
from bot.errors import Blocked, QueueFull, QuotaExceeded, Refused
from bot.feed import Feed, Live
from bot.gate import Rules
from bot.jobs import Identity, Job, Place, Status
from bot.orders import Authority
from bot.phrases import relative
from bot.store import open_store
from bot.studio import Studio
from engine.catalogue import read_catalogue
from engine.protocol import Cancelled, Done, Failed, Generate, ImageDone, Ready
from tests.house import Clock

ALLOWANCE, OWN_WAITING, WAITING = 8, 3, 400
SECONDS_AN_IMAGE = 2.0
DAY_SECONDS = 86_400
GUILDS = [Place("discord", str(100 + number), "1") for number in range(5)]
TEAMS = [Place("slack", f"T{number}", "C1") for number in range(3)]
TEXTS = ("a car", "a boat --quality draft", "a cat --n 2", "a dog --quality draft --n 4", "a house --n 4")


class DayEngine:
    """Draws one job after another, when it is told that time has passed; fails one in fifty."""

    def __init__(self, seconds_an_image: float):
        self.seconds_an_image = seconds_an_image
        self.events_waiting: asyncio.Queue = asyncio.Queue()
        self.jobs: list[Generate] = []
        self.drawn = 0
        self.is_heard = False  # whoever listens has taken in what there was
        self.ready = Ready(version="1", device="cpu", device_name="day", dtype="float32", models=["builtin"])

    async def start(self):
        self.events_waiting.put_nowait(self.ready)

    async def generate(self, job: Generate):
        self.jobs.append(job)

    async def cancel(self, job_id: str):
        if any(job.job_id == job_id for job in self.jobs):
            self.jobs = [job for job in self.jobs if job.job_id != job_id]
            self.events_waiting.put_nowait(Cancelled(job_id=job_id))

    async def load(self, model: str): ...

    async def close(self): ...

    async def events(self):
        while True:
            self.is_heard = self.events_waiting.empty()
            event = await self.events_waiting.get()
            self.is_heard = False
            yield event

    def draw_next(self) -> float:
        """The seconds that the next job takes; 0 where there is none."""
        if not self.jobs:
            return 0.0
        job = self.jobs.pop(0)
        count, seconds = job.request.count, job.request.count * self.seconds_an_image
        self.drawn += 1
        if self.drawn % 50 == 0:
            self.events_waiting.put_nowait(Failed(job_id=job.job_id, kind="internal", detail="one in fifty"))
            return seconds
        draw = job.request.draw
        for index in range(count):
            self.events_waiting.put_nowait(
                ImageDone(
                    job_id=job.job_id,
                    index=index,
                    seed=draw.seed + index,
                    path=f"{job.spool_dir}/{index}.png",
                    sha256="ab",
                    width=64,
                    height=64,
                )
            )
        self.events_waiting.put_nowait(Done(job_id=job.job_id, gpu_seconds=seconds, model_hash="day"))
        return seconds


@dataclass
class Someone:
    """One person as the script sees them: what they have is counted here a second time."""

    identity: Identity
    place: Place
    allowance: int = ALLOWANCE
    is_blocked: bool = False
    jobs: list[Job] = field(default_factory=list)


@dataclass
class Report:
    said: Counter = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)  # seconds that a job began after the moment it was promised for
    early: list[float] = field(default_factory=list)  # before it, where "or later" was said


class Day:
    def __init__(self, folder: Path, people: int, seed: int = 1, seconds_an_image: float = SECONDS_AN_IMAGE):
        self.folder, self.random, self.clock = folder, random.Random(seed), Clock()
        self.begins_ms = self.clock()
        self.engine, self.report = DayEngine(seconds_an_image), Report()
        self.promised: dict[str, Live] = {}  # what was said first of a job
        self.people = [self.someone(number) for number in range(people)]

    def someone(self, number: int) -> Someone:
        is_slack = number % 3 == 0
        place = self.random.choice(TEAMS if is_slack else GUILDS)
        workspace = place.workspace_id if is_slack else ""
        return Someone(Identity(place.platform, workspace, f"U{number}", f"person {number}"), place)

    async def run(self) -> Report:
        self.store = await open_store(self.folder)
        self.feed, limits = Feed(), Limits(ALLOWANCE, OWN_WAITING, WAITING)
        spool = self.folder / "spool"
        self.dispatch = Dispatch(
            self.store, self.engine, self.feed, spool=spool, now_ms=self.clock, wake_delivery=lambda: None
        )
        rules = Rules(read_catalogue(), "builtin", limits, spool)
        self.studio = Studio(
            rules, self.store, self.dispatch, self.feed, now_ms=self.clock, new_seed=lambda: self.random.getrandbits(31)
        )
        self.admin = Admin(self.store, self.studio, limits, models=read_catalogue(), now_ms=self.clock)
        running = asyncio.create_task(self.dispatch.run())
        try:
            with mock.patch("bot.dispatch.SHOW_AGAIN_SECONDS", 0.0):  # nobody here reads a place that is out of date
                await self.live()
            await self.check()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await self.store.close()
        return self.report

    async def live(self) -> None:
        """Everybody asks a few times in the day, at their own moments; admins steer meanwhile."""
        asks = [
            (self.random.random() * DAY_SECONDS, someone)
            for someone in self.people
            for _ in range(self.random.choice((1, 1, 2, 3, 6)))
        ]
        busy_until = 0.0
        for number, (at, someone) in enumerate(sorted(asks, key=lambda each: each[0])):
            while busy_until <= at and (seconds := await self.draw(busy_until)):
                busy_until += seconds
            busy_until = max(busy_until, at)
            self.clock.ms = self.begins_ms + int(at * 1000)
            await self.ask(someone, number)
            if number % 17 == 0:
                await self.steer(someone, number)
        while seconds := await self.draw(busy_until):
            busy_until += seconds

    async def draw(self, at: float) -> float:
        self.clock.ms = self.begins_ms + int(at * 1000)
        await self.settle()
        seconds = self.engine.draw_next()
        self.clock.ms += int(seconds * 1000)
        await self.settle()
        for parcel in await self.store.outbox.due(self.clock(), 100):
            await self.store.outbox.delivered(parcel, self.clock())
        return seconds

    async def settle(self) -> None:
        """Until dispatch has taken in what there is, so that a day is the same on every machine."""
        async with asyncio.timeout(60):  # it may have ended
            while not self.is_quiet():
                await self.store.chat.note("nothing")

    def is_quiet(self) -> bool:
        """No event is on its way, the engine has what it may have, and everybody was told their place."""
        dispatch, engine = self.dispatch, self.engine
        is_taken_in = engine.is_heard and engine.events_waiting.empty()
        is_handed_over = dispatch._drawing.keys() == {job.job_id for job in engine.jobs}
        return is_taken_in and is_handed_over and not (dispatch._wake.is_set() or dispatch._moved.is_set())

    async def ask(self, someone: Someone, number: int) -> None:
        person = await self.studio.person(someone.identity)
        text = self.random.choice(TEXTS)
        left, waiting = await self.left(someone), [j for j in someone.jobs if await self.waits(j)]
        try:
            [job] = await self.studio.draw(person, someone.place, Imagine(text), key=f"ask {number}")
        except Refused as error:
            self.is_right(error, someone, left, len(waiting))
            return
        assert job.units <= left
        assert not someone.is_blocked
        assert len(waiting) < OWN_WAITING
        someone.jobs.append(job)
        self.report.said["accepted"] += 1
        await self.settle()
        live = self.feed.live(job.id)
        if live and live.starts_at_ms:
            self.promised[job.id] = live
        if number % 23 == 0:
            await self.studio.cancel(person, job.id)

    def is_right(self, refusal: Refused, someone: Someone, left: int, waiting: int) -> None:
        """A refusal for the reason that there is, with the numbers that are true."""
        self.report.said[refusal.code] += 1
        match refusal:
            case Blocked():
                assert someone.is_blocked
            case QuotaExceeded():
                assert refusal.needed > left == refusal.left
                assert refusal.smaller is None or refusal.smaller[1] <= left
            case QueueFull():
                assert waiting >= OWN_WAITING if refusal.own else refusal.waiting >= WAITING
            case _:
                raise refusal

    async def waits(self, job: Job) -> bool:
        return (await self.store.job(job.id)).status in (Status.RECEIVED, Status.QUEUED)

    async def left(self, someone: Someone) -> int:
        """Counted from the jobs, not from the ledger."""
        taken = 0
        for job in someone.jobs:
            now = await self.store.job(job.id)
            is_void = now.status in (Status.FAILED, Status.CANCELLED, Status.UNDELIVERABLE)
            taken += 0 if is_void or now.created_ms <= self.clock() - DAY_SECONDS * 1000 else now.units
        return someone.allowance - taken

    async def steer(self, someone: Someone, number: int) -> None:
        """An admin of the place blocks, raises or grants."""
        boss = await self.studio.person(Identity(someone.place.platform, "", f"boss of {someone.place.workspace_id}"))
        actor = Actor(boss, Authority.ADMIN, someone.place)
        order = ("quota set {} 20", "block {}", "quota set {} 0")[number // 17 % 3].format(someone.identity.user_id)
        try:
            await self.admin.administer(actor, order, key=f"order {number}", when=relative(self.clock()))
        except Refused:
            self.report.said["orders refused"] += 1  # somebody who was never there, or an amount of nothing
            return
        self.report.said["orders"] += 1
        if order.startswith("block"):
            someone.is_blocked = True
        else:
            someone.allowance = 20

    async def check(self) -> None:
        """The ledger to the unit: per person, in all, and against every job."""
        assert await self.store.ledger_problems() == []
        assert await self.store.unfinished() == []
        charged = 0
        for someone in self.people:
            person = await self.studio.person(someone.identity)
            account = await self.store.account(person, self.clock(), someone.place, Limits(ALLOWANCE, None, 0))
            jobs = [await self.store.job(job.id) for job in someone.jobs]
            since_ms = self.clock() - DAY_SECONDS * 1000
            delivered = [job.units for job in jobs if job.status == Status.DELIVERED and job.created_ms > since_ms]
            assert (account.charged, account.reserved) == (sum(delivered), 0)
            assert all(job.status.is_over for job in jobs)
            charged += sum(delivered)
            for job in jobs:
                if job.started_ms:
                    self.compare(job)
        self.report.said["units charged"] = charged

    def compare(self, job: Job) -> None:
        """When it began with when it was said to."""
        report, promise, began_ms = self.report, self.promised.get(job.id), job.started_ms or 0
        report.waits.append((began_ms - job.created_ms) / 1000)
        if promise:
            late = (began_ms - (promise.starts_at_ms or 0)) / 1000
            (report.early if promise.can_be_passed else report.late).append(-late if promise.can_be_passed else late)


def spread(values: list[float]) -> tuple[float, float, float]:
    """The median, the 95th percentile and the largest."""
    ordered = sorted(values) or [0.0]
    return ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.95)], ordered[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=10_000)
    logging.getLogger("bot").setLevel(logging.ERROR)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(Day(Path(folder), parser.parse_args().people).run())
    print(", ".join(f"{name} {number:,}" for name, number in sorted(report.said.items())))
    found = {
        "waited": report.waits,
        "began after the moment promised": report.late,
        'began before it, of "or later"': report.early,
    }
    for name, values in found.items():
        print(
            f"{name}: {len(values):,} jobs, p50 · p95 · most {' · '.join(f'{each:.0f}' for each in spread(values))} s"
        )
    print(f"the ledger is exact to the unit; {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
