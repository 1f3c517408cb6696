"""Many people press /imagine: how soon each is answered, and what processor time and memory the bot takes for it.

python -m benchmarks.discord [--people 200] [--rounds 2]

One after another; then within the same three seconds, as people do; then all in the same instant, as no two people do.
The real bot process, a fake engine, and the tests' Discord on loopback, which takes its share of the same processors.
With LIMNER_CONTRACTS set, every request is held against Discord's own description of its API afterwards.
"""

import argparse
import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import machine, median, print_table, processor_seconds, resident_mib
from tests.discord_api import DiscordAPI, Interaction, User
from tests.running import Limner

PATIENCE_SECONDS = 60
SPREAD_SECONDS = 3.0
DEADLINE_SECONDS = 3.0  # Discord's: who is not answered by then reads that the application did not respond
ONE_AFTER_ANOTHER = 50
NO_LIMITS = {"LIMNER_ALLOWANCE": "1000", "LIMNER_OWN_WAITING": "1000", "LIMNER_WAITING": "10000"}
DRAFT = {"prompt": "a red car on a mountain road", "quality": "draft"}


@dataclass
class Round:
    """Times are seconds from the press until the stand-in had the answer."""

    alone: list[float]
    spread: list[float]
    together: list[float]
    processor: float  # seconds that the bot worked for each of those together
    unanswered: int
    undrawn: int
    mib_before: float
    mib_after: float
    violations: int | None


async def press(api: DiscordAPI, person: User, after_seconds: float = 0.0) -> tuple[float, Interaction]:
    await asyncio.sleep(after_seconds)
    started = time.perf_counter()
    asked = await api.slash(person, api.channel, "imagine", DRAFT, wait=PATIENCE_SECONDS)
    return time.perf_counter() - started, asked


def is_drawn(asked: Interaction) -> bool:
    return bool(asked.message and asked.message.attachments and "More…" in asked.message.labels)


async def one_round(data: Path, people_count: int) -> Round:
    async with DiscordAPI() as api:
        people = [api.add_user(f"person{number}") for number in range(people_count)]
        limner = Limner(
            data, "tests.fake_engine", LIMNER_DISCORD_TOKEN=api.token, LIMNER_DISCORD_API_URL=api.url, **NO_LIMITS
        )
        try:
            await limner.start()
            await api.until(lambda: api.is_connected and api.commands, timeout=30)
            before = resident_mib(limner.pid)
            alone = []
            for person in people[:ONE_AFTER_ANOTHER]:
                seconds, asked = await press(api, person)
                alone.append(seconds)
                await api.until(lambda asked=asked: is_drawn(asked))
            pauses = [number * SPREAD_SECONDS / people_count for number in range(people_count)]
            apart = await asyncio.gather(*map(press, [api] * people_count, people, pauses))
            await drawn(api, [asked for _, asked in apart])
            worked = processor_seconds(limner.pid)
            at_once = await asyncio.gather(*(press(api, person) for person in people))
            worked = processor_seconds(limner.pid) - worked
            await drawn(api, [asked for _, asked in at_once])
            pressed = [*apart, *at_once]
            return Round(
                alone,
                [seconds for seconds, _ in apart],
                [seconds for seconds, _ in at_once],
                worked / len(people),
                unanswered=sum(asked.response is None or asked.message.is_ephemeral for _, asked in pressed),
                undrawn=sum(not is_drawn(asked) for _, asked in pressed),
                mib_before=before,
                mib_after=resident_mib(limner.pid),
                violations=len(api.violations) if api.has_contracts else None,
            )
        finally:
            await limner.close()


async def drawn(api: DiscordAPI, asked: list[Interaction]) -> None:
    """Returns once everybody has a picture."""
    waiting = list(asked)
    end = time.monotonic() + PATIENCE_SECONDS
    while waiting and time.monotonic() < end:
        waiting = [each for each in waiting if not is_drawn(each)]
        await asyncio.sleep(0.1)


def quantile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    rounds = []
    for _ in range(asked.rounds):
        with tempfile.TemporaryDirectory() as folder:
            rounds.append(asyncio.run(one_round(Path(folder) / "data", asked.people)))
    print(machine())
    print_table(f"/imagine, {asked.rounds} rounds", ("", ""), rows(rounds, asked.people))


def rows(rounds: list[Round], people: int) -> list[tuple[str, str]]:
    alone = [seconds for one in rounds for seconds in one.alone]
    spread = [seconds for one in rounds for seconds in one.spread]
    together = [seconds for one in rounds for seconds in one.together]
    late = sum(seconds > DEADLINE_SECONDS for seconds in [*alone, *spread, *together])
    violations = [one.violations for one in rounds]
    return [
        ("acknowledged, one after another, p50", f"{median(alone) * 1000:.0f} ms"),
        *(
            (f"acknowledged, {people} {how}, {name}", f"{quantile(times, part) * 1000:.0f} ms")
            for how, times in ((f"within {SPREAD_SECONDS:g} s", spread), ("in one instant", together))
            for name, part in (("p50", 0.5), ("p99", 0.99))
        ),
        ("processor time of the bot for each of these", f"{median([one.processor for one in rounds]) * 1000:.1f} ms"),
        (f"later than {DEADLINE_SECONDS:g} s", str(late)),
        ("refused or not answered · not drawn", " · ".join(
            str(sum(getattr(one, name) for one in rounds)) for name in ("unanswered", "undrawn")
        )),
        ("requests that violate Discord's description", "not checked" if None in violations else str(sum(violations))),
        ("memory of the bot, once connected", f"{median([one.mib_before for one in rounds]):.0f} MiB"),
        ("memory of the bot, afterwards", f"{max(one.mib_after for one in rounds):.0f} MiB"),
    ]  # fmt: skip


if __name__ == "__main__":
    main()
