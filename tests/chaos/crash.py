"""The real bot under load on a bad day, killed at random moments; then the books are compared with what people see."""

import asyncio
import contextlib
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.chaos.audit import Verdict, is_mending, judge, states
from tests.chaos.on_discord import OnDiscord
from tests.chaos.on_slack import OnSlack
from tests.chaos.people import Platform
from tests.chaos.processes import Bot, engines_of

Who = Literal["bot", "engine", "both"]
PLATFORMS: dict[str, type[Platform]] = {"discord": OnDiscord, "slack": OnSlack}

STEP_SECONDS = "0.02"  # of the fake engine: a draft takes a third of a second
CONNECTED_SECONDS, MENDED_SECONDS, SETTLED_SECONDS = 240.0, 10.0, 240.0
LEAST_HITS = 0.9  # of the kills, that must interrupt a job


@dataclass
class Report:
    who: str
    on: str
    seed: int
    kills: int = 0
    hits: int = 0  # kills that found an unfinished job
    kills_by_state: Counter[str] = field(default_factory=Counter)  # of the jobs that they found
    jobs_by_state: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    slowest_start_seconds: float = 0.0
    secrets_found: list[str] = field(default_factory=list)
    api: dict[str, int] = field(default_factory=dict)
    engines_left: int = 0
    left_by_itself: list[int] = field(default_factory=list)  # exit codes of bots that nobody had killed
    verdict: Verdict = field(default_factory=Verdict)

    @property
    def passed(self) -> bool:
        is_calm = self.engines_left == 0 and not self.left_by_itself and not self.secrets_found
        return self.verdict.is_clean and self.hits >= LEAST_HITS * self.kills and is_calm


async def run(
    folder: Path,
    *,
    kills: int,
    who: Who = "bot",
    on: str = "discord",
    seed: int,
    planted: str | None = None,
    limit_seconds: float = 1e9,
    canary: bool = False,
    **day: float,
) -> Report:
    """Kill that often, or until the time is over; then let everything end in peace."""
    dice, started = random.Random(seed), time.monotonic()
    platform, report = PLATFORMS[on](random.Random(dice.random()), **day), Report(who, on, seed)
    await platform.open()
    limits = {
        "LIMNER_TEST_DEBUG": "1" if canary else "",
        "LIMNER_ALLOWANCE": "1000000",
        "LIMNER_OWN_WAITING": "10000",
        "LIMNER_WAITING": "100000",
    }
    folder.mkdir(parents=True, exist_ok=True)
    bot = Bot(folder / "data", planted, LIMNER_FAKE_STEP_SECONDS=STEP_SECONDS, **limits, **platform.settings())
    try:
        asking = asyncio.create_task(platform.ask_for_ever())
        await _start(bot, platform, report)
        await asyncio.sleep(1)
        while report.kills < kills and time.monotonic() < started + limit_seconds:
            await _kill_once(bot, platform, who, dice, report)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        platform.heal()
        await _settle(bot, platform)
        report.verdict = judge(bot.data / "limner.db", platform.name, platform.asked(), platform.shown())
        await bot.end(with_signal=signal.SIGTERM)
        report.engines_left = len(engines_of(bot.data))
    finally:
        await bot.close()
        await platform.close()
    report.secrets_found = find_secrets(bot, platform)
    report.left_by_itself = bot.left_by_itself
    report.api, report.seconds = dict(platform.api.counts), time.monotonic() - started
    return report


async def _start(bot: Bot, platform: Platform, report: Report) -> None:
    began = time.monotonic()
    await bot.start()
    await _until(lambda: platform.is_connected, CONNECTED_SECONDS, "the bot does not connect")
    report.slowest_start_seconds = max(report.slowest_start_seconds, time.monotonic() - began)


async def _kill_once(bot: Bot, platform: Platform, who: Who, dice: random.Random, report: Report) -> None:
    await asyncio.sleep(dice.uniform(0.05, 1.2) if who != "engine" else dice.uniform(0.5, 3))
    found = states(bot.data / "limner.db")
    if who in ("engine", "both") and not bot.kill_engine() and who == "engine":
        return  # it is being started: no kill
    if who != "engine":
        await bot.end()
        found = states(bot.data / "limner.db")
        await _until(lambda: not platform.is_connected, CONNECTED_SECONDS, "the connection did not end")
    report.kills += 1
    report.hits += bool(found)
    report.kills_by_state.update(found.keys())
    report.jobs_by_state.update(found)
    if who == "engine":
        if dice.random() < 0.9:  # a job that dies twice with its engine has failed, by rule
            with contextlib.suppress(TimeoutError):
                await _until(lambda: not is_mending(bot.data / "limner.db"), MENDED_SECONDS, "")
        return
    if dice.random() < 0.1:  # killed again while it starts
        await bot.start()
        await asyncio.sleep(dice.uniform(0, 0.5))
        await bot.end()
    await _start(bot, platform, report)


async def _settle(bot: Bot, platform: Platform) -> None:
    """Until nothing is on its way any more."""

    def is_quiet() -> bool:
        return not bot.is_alive or not states(bot.data / "limner.db")

    with contextlib.suppress(TimeoutError):  # what is left shows in the verdict
        await _until(is_quiet, SETTLED_SECONDS, "")
    await asyncio.sleep(1)


async def _until(reached, seconds: float, otherwise: str) -> None:
    try:
        async with asyncio.timeout(seconds):
            while not reached():  # noqa: ASYNC110 - it looks at another process
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise TimeoutError(otherwise) from None


def find_secrets(bot: Bot, platform: Platform) -> list[str]:
    """Where the bot's tokens, or those of interactions, can be read: log, pictures, messages; its own in any file."""
    tokens, others = ([each.encode() for each in some] for some in (platform.tokens, platform.passing_tokens))
    texts = {"messages": "\n".join(m.text for shown in platform.shown().values() for m in shown).encode()}
    files = [bot.log, *(file for file in bot.data.rglob("*") if file.is_file())]
    found = []
    for name, content in [*texts.items(), *((str(file), file.read_bytes()) for file in files)]:
        is_database = Path(name).name.startswith("limner")  # keeps those of interactions, for fifteen minutes
        may_not_have = tokens if is_database and not name.endswith(".log") else [*tokens, *others]
        found += [f"{name}: {secret[:12]!r}…" for secret in may_not_have if secret in content]
    return found


def told(report: Report) -> str:
    it, states_hit = report.verdict, dict(report.kills_by_state)
    share = 100 * report.hits / max(1, report.kills)
    lines = [
        f"kill -9 of {report.who} on {report.on}: {report.kills} in {report.seconds:.0f} s, seed {report.seed}",
        f"hit an unfinished job: {report.hits} ({share:.0f} %)",
        *(
            f"  {state:9} {count:5}  {'#' * round(40 * count / max(1, report.kills))}"
            for state, count in states_hit.items()
        ),
        f"slowest start to connected: {report.slowest_start_seconds:.1f} s",
        f"platform: {report.api}",
        f"accepted {it.accepted}, delivered {it.delivered}, failed and told {it.failed_and_told}",
        f"lost {len(it.lost)}, delivered twice {len(it.delivered_twice)}, charged twice {len(it.charged_twice)}",
        f"ledger difference {it.ledger_difference}, jobs that do not add up {len(it.ledger_problems)}, "
        f"unfinished {it.unfinished}, integrity {it.integrity}, "
        f"engines left {report.engines_left}, bots that left by themselves {report.left_by_itself}",
    ]
    lines.append(f"secrets found {len(report.secrets_found)}")
    lines += [f"  {each}" for each in report.secrets_found[:5]]
    for name in ("lost", "delivered_twice", "charged_twice", "ledger_problems"):
        lines += [f"  {name}: {each}" for each in getattr(it, name)[:5]]
    return "\n".join([*lines, "passed" if report.passed else "FAILED"])
