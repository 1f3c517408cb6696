"""People who keep asking for pictures, on a platform that has a bad day."""

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from tests.chaos.audit import Asked, Shown

FAULTY, DUPLICATED, REORDERED = 0.15, 0.10, 0.05
PEOPLE, OPEN_EACH = 8, 2
LATEST_COPY_SECONDS = 3.0  # it may reach the next life of the bot
PROMPT = "a red car on a mountain road"


class Platform(ABC):
    """One platform of the harness: its people, and what they have seen in the end."""

    name: str
    api: Any  # has `is_bad` and `counts`

    def __init__(self, dice: random.Random, *, people: int = PEOPLE, faulty: float = FAULTY, pressing: float = 0.3):
        """`pressing`: of what people do, if there is something to press."""
        self.dice, self.people, self.faulty, self.pressing = dice, people, faulty, pressing
        self.users: list[Any] = []
        self.pressed: set[tuple[str, str]] = set()

    @abstractmethod
    def settings(self) -> dict[str, str]:
        """What the bot needs to find it."""

    @abstractmethod
    async def open(self) -> None: ...

    async def close(self) -> None:
        await self.api.close()

    def heal(self) -> None:
        self.api.is_bad = False

    @property
    @abstractmethod
    def is_connected(self) -> bool: ...

    @property
    @abstractmethod
    def tokens(self) -> list[str]:
        """They may stand in no file."""

    @property
    @abstractmethod
    def passing_tokens(self) -> list[str]:
        """They may stand in the database, for a while."""

    async def ask_for_ever(self) -> None:
        async with asyncio.TaskGroup() as group:
            for user in self.users:
                group.create_task(self._keep_asking(user))

    async def _keep_asking(self, user: Any) -> None:
        own: list[Any] = []
        while True:
            own = [each for each in own if self._is_open(each)]
            if self.is_connected and len(own) < OPEN_EACH:
                own.append(await self._ask(user))
            await asyncio.sleep(self.dice.uniform(0.02, 0.2))

    @abstractmethod
    async def _ask(self, user: Any) -> Any: ...

    @abstractmethod
    def _is_open(self, asked: Any) -> bool:
        """Whether its person waits for it before they ask for more."""

    @abstractmethod
    def asked(self) -> Sequence[Asked]: ...

    @abstractmethod
    def shown(self) -> Mapping[str, Sequence[Shown]]:
        """By job: the messages that are about it, with the names of the pictures in each."""
