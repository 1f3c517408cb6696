"""What most tests start from: a clock that is turned by hand, a store on real SQLite, one request."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from bot.jobs import Identity, Person, Place
from bot.store import Limits, Store, Wanted, open_store
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


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(tmp_path / "data")
    yield store
    await store.close()


@pytest.fixture
async def ada(store: Store, clock: Clock) -> Person:
    return await store.person(Identity("discord", "", "ada"), is_operator=False, now_ms=clock())


@pytest.fixture
def draw() -> Draw:
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
