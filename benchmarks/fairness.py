"""One person queues fifty jobs: what another, who asks for one at a time, notices of it.

python -m benchmarks.fairness [--jobs 20] [--step-seconds 0.02]

The bot's own store and dispatch with the fake engine in its process, whose jobs take their steps in turn as the real
one's do. Jain's index is (Σx)² / nΣx² of the units that people with backlogs of different sizes have got: 1 is fair.
"""

import argparse
import asyncio
import os
import tempfile
import time
from pathlib import Path

from benchmarks.measuring import machine, median, print_table
from bot.jobs import Identity
from bot.store import open_store
from tests.house import House, a_draw, wanted

BACKLOG, PEOPLE, STEPS = 50, 8, 20


def now_ms() -> int:
    return time.time_ns() // 10**6


async def measure(folder: Path, jobs: int) -> tuple[list[float], list[float], float]:
    """Seconds of the light one alone, and beside fifty jobs; Jain's index."""
    store = await open_store(folder)
    house = House(store, now_ms, folder)
    house.open()
    try:
        people = [
            await store.person(Identity("web", "", str(number)), is_operator=False, now_ms=now_ms())
            for number in range(PEOPLE)
        ]
        light, heavy = people[0], people[1]
        await one(house, light, "warm")
        alone = [await one(house, light, f"alone {number}") for number in range(jobs)]
        await backlog(house, heavy, BACKLOG, "heavy")
        beside = []
        for number in range(jobs):
            await backlog(house, heavy, 2, f"more {number}")  # it never runs dry
            beside.append(await one(house, light, f"beside {number}"))
        left = await store.unfinished()
        for job in left:
            await house.studio.cancel(heavy, job.id)
        await asyncio.gather(*(house.end_of(job.id) for job in left))
        return alone, beside, await jain(house, people)
    finally:
        await house.close()
        await store.close()


async def one(house: House, person, key: str) -> float:
    started = time.perf_counter()
    [job_id] = await house.accept(person, wanted(a_draw(), steps=STEPS), key=key)
    await house.end_of(job_id)
    return time.perf_counter() - started


async def backlog(house: House, person, count: int, key: str) -> None:
    await house.accept(person, *(wanted(a_draw(), steps=STEPS, seed=number) for number in range(count)), key=key)


async def jain(house: House, people) -> float:
    """Of the first jobs that are done while everybody still waits."""
    ids = {}
    for number, person in enumerate(people):
        count = 5 * (number + 1)
        found = await house.accept(person, *(wanted(a_draw(), steps=STEPS) for _ in range(count)), key="backlog")
        ids |= dict.fromkeys(found, number)
    had = [0] * len(people)
    seen: set[str] = set()
    while len(seen) < 4 * len(people):
        await asyncio.sleep(0.02)
        done = {job_id for job_id in ids if (await house.store.job(job_id)).status.is_over} - seen
        for job_id in done:
            had[ids[job_id]] += 1
        seen |= done
    return sum(had) ** 2 / (len(had) * sum(each * each for each in had))


def p95(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--step-seconds", type=float, default=0.02)
    asked = parser.parse_args()
    os.environ["LIMNER_FAKE_STEP_SECONDS"] = str(asked.step_seconds)
    with tempfile.TemporaryDirectory() as folder:
        alone, beside, index = asyncio.run(measure(Path(folder), asked.jobs))
    print(machine())
    rows = [
        ("one job alone, p50 · p95", f"{median(alone):.2f} · {p95(alone):.2f} s"),
        (f"one job beside {BACKLOG} of another's, p50 · p95", f"{median(beside):.2f} · {p95(beside):.2f} s"),
        ("p95 beside / alone", f"{p95(beside) / p95(alone):.2f}"),
        (f"Jain's index of {PEOPLE} people with backlogs of 5 to {5 * PEOPLE} jobs", f"{index:.3f}"),
    ]
    print_table(f"fairness, {asked.jobs} jobs of {STEPS} steps", ("", ""), rows)


if __name__ == "__main__":
    main()
