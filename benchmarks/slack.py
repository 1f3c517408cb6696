"""Many people type /imagine in Slack at once: how soon each is acknowledged, and what memory the bot takes for it.

python -m benchmarks.slack [--people 200] [--rounds 2] [--mode socket|http]

One after another; then within the same three seconds, as people do; then all in the same instant, as no two people do.
The real bot process, a fake engine, and the tests' Slack on loopback, which takes its share of the same processors.
Nobody waits for everybody's pictures: the bot keeps Slack's limits, a message a second in a channel and fifty changes
a minute.
"""

import argparse
import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.discord import DEADLINE_SECONDS, NO_LIMITS, PATIENCE_SECONDS, SPREAD_SECONDS, quantile
from benchmarks.measuring import machine, median, print_table, resident_mib
from tests.running import Limner
from tests.slack_api import Act, Channel, Message, SlackAPI, User
from tests.slack_house import connected, free_port

ONE_AFTER_ANOTHER = 20
TEXT = "a red car on a mountain road --quality draft"


@dataclass
class Round:
    """Times are seconds from the command until the stand-in had the acknowledgement."""

    alone: list[float]
    spread: list[float]
    together: list[float]
    unanswered: int
    refused: int
    mib_before: float
    mib_after: float


async def command(api: SlackAPI, person: User, pause: float = 0) -> tuple[float, Act]:
    await asyncio.sleep(pause)
    started = time.perf_counter()
    act = await api.slash(person, api.channel, "/imagine", TEXT, wait=PATIENCE_SECONDS)
    return time.perf_counter() - started, act


def of_jobs(api: SlackAPI, channel: Channel) -> list[Message]:
    return [message for message in channel.messages if message.author is api.bot and message.metadata]


def drawn(api: SlackAPI, channel: Channel) -> int:
    return sum(bool(message.pictures) and "More…" in message.labels for message in of_jobs(api, channel))


async def one_round(data: Path, people_count: int, mode: str) -> Round:
    async with SlackAPI() as api:
        people = [api.add_user(f"person{number}") for number in range(people_count)]
        port = free_port()
        there = {
            "socket": {"LIMNER_SLACK_APP_TOKEN": api.app_token},
            "http": {"LIMNER_SLACK_SIGNING_SECRET": api.signing_secret, "LIMNER_SLACK_PORT": str(port)},
        }[mode]
        limner = Limner(
            data,
            "tests.fake_engine",
            LIMNER_SLACK_BOT_TOKEN=api.bot_token,
            LIMNER_SLACK_API_URL=api.url,
            **there,
            **NO_LIMITS,
        )
        try:
            await limner.start()
            await connected(api, mode, port, timeout=30)
            before = resident_mib(limner.pid)
            alone = []
            for number, person in enumerate(people[:ONE_AFTER_ANOTHER]):
                alone.append((await command(api, person))[0])
                await api.until(lambda number=number: drawn(api, api.channel) > number, PATIENCE_SECONDS)
            api.enforce_tiers()
            pauses = [number * SPREAD_SECONDS / people_count for number in range(people_count)]
            apart = await asyncio.gather(*map(command, [api] * people_count, people, pauses))
            sent = await asyncio.gather(*(command(api, person) for person in people))
            first = len(of_jobs(api, api.channel))
            await api.until(lambda: len(of_jobs(api, api.channel)) > first, PATIENCE_SECONDS)
            return Round(
                alone,
                [seconds for seconds, _ in apart],
                [seconds for seconds, _ in sent],
                unanswered=sum(act.is_dead or bool(act.messages) for _, act in [*apart, *sent]),
                refused=sum(request.status == 429 for request in api.requests),
                mib_before=before,
                mib_after=resident_mib(limner.pid),
            )
        finally:
            await limner.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--mode", choices=["socket", "http"], default="socket")
    asked = parser.parse_args()
    rounds = []
    for _ in range(asked.rounds):
        with tempfile.TemporaryDirectory() as folder:
            one = one_round(Path(folder) / "data", asked.people, asked.mode)
            rounds.append(asyncio.run(one))
    print(machine())
    print_table(f"/imagine on Slack by {asked.mode}, {asked.rounds} rounds", ("", ""), rows(rounds, asked.people))


def rows(rounds: list[Round], people: int) -> list[tuple[str, str]]:
    alone = [seconds for one in rounds for seconds in one.alone]
    spread = [seconds for one in rounds for seconds in one.spread]
    together = [seconds for one in rounds for seconds in one.together]
    return [
        ("acknowledged, one after another, p50", f"{median(alone) * 1000:.0f} ms"),
        *(
            (f"acknowledged, {people} {how}, {name}", f"{quantile(times, part) * 1000:.0f} ms")
            for how, times in ((f"within {SPREAD_SECONDS:g} s", spread), ("in one instant", together))
            for name, part in (("p50", 0.5), ("p99", 0.99))
        ),
        (
            f"later than {DEADLINE_SECONDS:g} s",
            str(sum(seconds > DEADLINE_SECONDS for seconds in [*spread, *together])),
        ),
        ("refused or not answered", str(sum(one.unanswered for one in rounds))),
        ("requests that came too often for Slack", str(sum(one.refused for one in rounds))),
        ("memory of the bot, once connected", f"{median([one.mib_before for one in rounds]):.0f} MiB"),
        ("memory of the bot, afterwards", f"{max(one.mib_after for one in rounds):.0f} MiB"),
    ]


if __name__ == "__main__":
    main()
