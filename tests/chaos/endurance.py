"""Many at once, and many one after the other: what is lost, how long it takes, what it costs in memory and files."""

import asyncio
import contextlib
import os
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.commands import Imagine
from bot.store import PAGE_NOTE
from bot.store.ledger import _PROBLEMS
from tests.chaos.audit import read_only, states
from tests.chaos.processes import Bot

BURST_P99_SECONDS, BURST_BYTES = 1.0, 200 * 2**20
SLOPE_BYTES = 2**20  # for 10,000 jobs
IN_FLIGHT, ROUND = 24, 12  # jobs on their way; jobs that are asked for at once


@dataclass
class Burst:
    asked: int
    people: int
    accepted: int = 0
    lost: int = 0
    seconds: float = 0.0
    p50_seconds: float = 0.0
    p99_seconds: float = 0.0
    slowest_seconds: float = 0.0
    bytes_more: int = 0
    ledger_problems: int = 0

    @property
    def passed(self) -> bool:
        is_right = self.accepted == self.asked and not (self.lost or self.ledger_problems)
        return is_right and self.p99_seconds <= BURST_P99_SECONDS and self.bytes_more <= BURST_BYTES


async def burst(folder: Path, count: int, people: int = 500) -> Burst:
    """People who all ask in the same instant, and each again once they are answered; on a real database, no engine."""
    from bot.allowances import Limits
    from bot.jobs import Identity
    from bot.store import open_store
    from tests.house import PAGE, House

    store = await open_store(folder / "data")
    limits = Limits(allowance=1_000_000, own_waiting=10_000, waiting=1_000_000)
    house = House(store, lambda: time.time_ns() // 10**6, folder / "data", _NoEngine(), limits)
    house.open()
    persons = [
        await store.person(Identity("discord", "", str(number)), is_operator=False, now_ms=1)
        for number in range(people)
    ]
    before, began, took, accepted = _resident_bytes(os.getpid()), time.perf_counter(), [], set()

    async def ask(number: int) -> None:
        for key in range(number, count, people):
            start = time.perf_counter()
            [job] = await house.studio.draw(persons[number], PAGE, Imagine("a red car"), key=str(key))
            took.append(time.perf_counter() - start)
            accepted.add(job.id)

    await asyncio.gather(*map(ask, range(people)))
    report = Burst(count, people, len(accepted), seconds=time.perf_counter() - began)
    report.bytes_more = _resident_bytes(os.getpid()) - before
    kept = {job.id for job in await store.unfinished()}
    report.lost, report.ledger_problems = len(accepted - kept), len(await store.ledger_problems())
    took.sort()
    report.p50_seconds, report.p99_seconds = took[len(took) // 2], took[int(len(took) * 0.99)]
    report.slowest_seconds = took[-1]
    await house.close()
    await store.close()
    return report


class _NoEngine:
    ready = None

    async def start(self) -> None: ...

    async def events(self):
        await asyncio.Event().wait()
        yield

    async def close(self) -> None: ...


@dataclass
class Soak:
    jobs: int
    seconds: float = 0.0
    delivered: int = 0
    failed: int = 0
    samples: list[tuple[int, int, int, int]] = field(default_factory=list)  # jobs, bytes of bot and engine, files
    bytes_per_10k: float = 0.0
    files_more: int = 0
    ledger_problems: int = 0
    strange: int = 0  # lines of the log that tell of a task that nobody waited for

    @property
    def passed(self) -> bool:
        is_right = self.delivered >= self.jobs and not (self.failed or self.ledger_problems or self.strange)
        return is_right and self.files_more <= 4 and (self.jobs < 20_000 or self.bytes_per_10k < SLOPE_BYTES)


async def soak(folder: Path, jobs: int, limit_seconds: float = 1e9) -> Soak:
    """A few at a time through the real process and its page, until the time is over; a fake engine draws them."""
    import aiohttp

    report, began = Soak(jobs), time.monotonic()
    bot = Bot(folder / "data", LIMNER_FAKE_STEP_SECONDS="0", LIMNER_WAITING="1000")
    await bot.start()
    try:
        async with aiohttp.ClientSession(await _page_of(bot)) as page:
            for number in range(0, jobs, ROUND):
                if time.monotonic() > began + limit_seconds:
                    report.jobs = number
                    break
                if number // ROUND % max(1, jobs // ROUND // 40) == 0:
                    report.samples.append(_sample(bot, number))
                await asyncio.gather(*(_ask(page, each) for each in range(number, min(number + ROUND, jobs))))
                await _fewer_than(IN_FLIGHT, bot)
        await _fewer_than(1, bot)
        report.samples.append(_sample(bot, report.jobs))
        await bot.end(with_signal=15)
    finally:
        await bot.close()
    _weigh(report)
    with closing(read_only(bot.data / "limner.db")) as conn:
        counts = dict(conn.execute("SELECT status, count(*) FROM jobs GROUP BY status"))
        report.ledger_problems = len(conn.execute(_PROBLEMS).fetchall())
    report.delivered, report.seconds = counts.pop("delivered", 0), time.monotonic() - began
    report.failed = sum(counts.values())
    log = bot.log.read_text()
    report.strange = sum(log.count(words) for words in ("never retrieved", "was destroyed", "Traceback"))
    return report


async def _page_of(bot: Bot) -> str:
    """Where its page is, once it says so."""
    async with asyncio.timeout(240):
        while True:
            with contextlib.suppress(sqlite3.OperationalError), closing(read_only(bot.data / "limner.db")) as conn:
                if row := conn.execute("SELECT value FROM notes WHERE name = ?", (PAGE_NOTE,)).fetchone():
                    return str(row[0])
            await asyncio.sleep(0.05)


async def _ask(page: Any, number: int) -> None:
    text = f"/imagine a red car --quality draft --steps 1 --seed {number}"
    async with page.post("/api/commands", json={"text": text}) as answer:
        job_id = (await answer.json())["job"]["id"]
    async with page.get(f"/api/jobs/{job_id}") as answer:
        assert (await answer.json())["job"]["id"] == job_id


async def _fewer_than(most: int, bot: Bot) -> None:
    """Until so few jobs are on their way: asked of the database, which costs the bot nothing."""
    while sum(states(bot.data / "limner.db").values()) >= most:  # noqa: ASYNC110 - it looks at another process
        await asyncio.sleep(0.02)


def _sample(bot: Bot, number: int) -> tuple[int, int, int, int]:
    assert bot.pid
    engine = bot.engine_pid()
    return (
        number,
        _resident_bytes(bot.pid),
        _resident_bytes(engine) if engine else 0,
        len(os.listdir(f"/proc/{bot.pid}/fd")),
    )


def _weigh(report: Soak) -> None:
    """The slope by least squares, and the files, after the first quarter has warmed everything up."""
    warm = [each for each in report.samples if each[0] >= report.jobs / 4]
    xs, ys = [each[0] for each in warm], [each[1] for each in warm]
    middle_x, middle_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - middle_x) ** 2 for x in xs)
    slope = sum((x - middle_x) * (y - middle_y) for x, y in zip(xs, ys, strict=True)) / spread if spread else 0.0
    report.bytes_per_10k = slope * 10_000
    report.files_more = warm[-1][3] - max(each[3] for each in warm[: max(1, len(warm) // 2)])


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def told(report: Burst | Soak) -> str:
    if isinstance(report, Burst):
        lines = [
            f"burst: {report.asked} from {report.people} people at once, accepted {report.accepted}, "
            f"lost {report.lost} in {report.seconds:.1f} s",
            f"studio: p50 {report.p50_seconds:.2f} s, p99 {report.p99_seconds:.2f} s, "
            f"slowest {report.slowest_seconds:.2f} s",
            f"memory: {report.bytes_more / 2**20:+.0f} MiB; jobs that do not add up: {report.ledger_problems}",
        ]
    else:
        lines = [
            f"soak: {report.jobs} jobs in {report.seconds:.0f} s, delivered {report.delivered}, others {report.failed}",
            f"memory: {report.bytes_per_10k / 2**20:+.2f} MiB for 10,000 jobs; "
            f"files more at the end: {report.files_more}; strange lines in the log: {report.strange}",
            *(
                f"  after {n:7} jobs: bot {b / 2**20:6.1f} MiB, engine {e / 2**20:6.1f} MiB, {f} files"
                for n, b, e, f in report.samples[:: max(1, len(report.samples) // 10)]
            ),
        ]
    return "\n".join([*lines, "passed" if report.passed else "FAILED"])
