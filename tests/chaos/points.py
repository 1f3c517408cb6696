"""One short day on Discord, again and again: once dying at each boundary, once failing at each call."""

import asyncio
import contextlib
import random
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.audit import Verdict, judge, states
from tests.chaos.boundaries import FAILING
from tests.chaos.on_discord import OnDiscord
from tests.chaos.processes import Bot

TEMPORARY = 75  # whoever started it starts it again
DAY_SECONDS, SETTLED_SECONDS = 240.0, 120.0  # only what is lost waits so long
SETTINGS = {"LIMNER_ALLOWANCE": "1000", "LIMNER_FAKE_STEP_SECONDS": "0.005"}


@dataclass
class Passed:
    point: str
    happened: bool
    verdict: Verdict
    left: list[int]

    @property
    def is_clean(self) -> bool:
        return self.verdict.is_clean and not self.left and self.verdict.accepted > 0


@dataclass
class Report:
    points: int = 0
    failed: list[str] = field(default_factory=list)
    never_reached: list[str] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)  # of each kind, that were made to fail
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return self.points > 0 and not self.failed

    def note(self, day: Passed) -> None:
        self.points += 1
        if not day.happened:
            self.never_reached.append(day.point)
        if not day.is_clean:
            self.failed.append(f"{day.point}: {day.verdict} left {day.left}")


async def crash_everywhere(folder: Path, *, share: float = 1.0, seed: int = 0) -> Report:
    report, began, dice = Report(), time.monotonic(), random.Random(seed)
    notes = folder / "points.txt"
    await a_day(folder / "first", "", LIMNER_NOTE_POINTS=str(notes))
    points = sorted(set(notes.read_text().splitlines()))
    for number, point in enumerate(dice.sample(points, max(1, round(share * len(points))))):
        report.note(await a_day(folder / str(number), point, LIMNER_CRASH_AT=point))
    report.seconds = time.monotonic() - began
    return report


async def fail_everywhere(folder: Path, *, kinds: tuple[str, ...] = FAILING, most: int = 1000) -> Report:
    """n = 1, 2, 3 … until there is no n-th call."""
    report, began = Report(), time.monotonic()
    for kind in kinds:
        for n in range(1, most + 1):
            point = f"{kind}:{n}"
            notes = folder / f"{kind}-{n}.txt"
            day = await a_day(folder / f"{kind}-{n}", point, LIMNER_FAIL_AT=point, LIMNER_FAILED_NOTE=str(notes))
            if not notes.exists():
                break
            day.happened = True
            report.note(day)
            report.calls[kind] = n
    report.seconds = time.monotonic() - began
    return report


async def a_day(folder: Path, point: str, **environment: str) -> Passed:
    folder.mkdir(parents=True)
    platform = OnDiscord(random.Random(1), people=3)
    await platform.open()
    platform.heal()
    bot = Bot(folder / "data", None, **SETTINGS, **environment, **platform.settings())
    died: list[int] = []
    watching = asyncio.create_task(_start_again(bot, died))
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DAY_SECONDS):
                await _live(platform)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLED_SECONDS):
                while not (bot.pid and platform.is_connected) or states(bot.data / "limner.db"):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
        verdict = judge(bot.data / "limner.db", platform.name, platform.asked(), platform.shown())
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await bot.close()
        await platform.close()
    return Passed(point, bool(died), verdict, [code for code in died if code not in (-signal.SIGKILL, TEMPORARY)])


async def _start_again(bot: Bot, died: list[int]) -> None:
    while True:
        await bot.start()
        died.append(await bot.wait())
        bot.settings.pop("LIMNER_CRASH_AT", None)


async def _live(platform: OnDiscord) -> None:
    """Two pictures, a private one, a child of the first, and one that is cancelled; each until it was taken."""
    api, user = platform.api, platform.users[0]
    draft = {"prompt": "a red car --n 2", "quality": "draft"}

    async def until_taken(ask, **what: bool):
        while True:
            await api.until(lambda: platform.is_connected, DAY_SECONDS)
            asked = await platform.note(ask(), **what)
            if asked.interaction.response is not None:
                return asked

    first = await until_taken(lambda: api.slash(user, api.channel, "imagine", draft))
    await until_taken(lambda: api.slash(user, api.channel, "imagine", draft | {"private": True}), is_private=True)
    message = first.interaction.message
    await api.until(lambda: "Re-roll" in message.labels or "Run again" in message.labels, DAY_SECONDS)
    if "Re-roll" in message.labels:
        await until_taken(lambda: api.press(user, message, "Re-roll"), is_press=True)
    await api.until(lambda: platform.is_connected, DAY_SECONDS)
    long = await api.slash(platform.users[1], api.channel, "imagine", draft | {"prompt": "a blue car --steps 40"})
    with contextlib.suppress(AssertionError):
        if long.message and not long.message.is_ephemeral:
            await api.press(platform.users[1], long.message, "Cancel")


def told(report: Report, what: str) -> str:
    lines = [f"{what}: {report.points} points in {report.seconds:.0f} s, failed {len(report.failed)}"]
    if report.calls:
        lines.append(f"calls that were made to fail: {report.calls}")
    if report.never_reached:
        lines.append(f"not come by the second time: {', '.join(report.never_reached)}")
    return "\n".join([*lines, *(f"  {each}" for each in report.failed[:10]), "passed" if report.passed else "FAILED"])
