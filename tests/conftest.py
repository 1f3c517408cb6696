"""What most tests start from: a clock that is turned by hand, a store on real SQLite, one request."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.jobs import Identity, Person
from bot.store import Store, open_store
from engine.protocol import Draw
from tests.house import Clock, House, a_draw

# Several processes draw at once here: threads that wait by spinning would keep the others from the cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


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
    return a_draw()


@pytest.fixture
async def house(store: Store, clock: Clock, tmp_path: Path) -> AsyncIterator[House]:
    house = House(store, clock, tmp_path / "data")
    house.open()
    yield house
    await house.close()
