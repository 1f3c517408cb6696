"""What the core asks of a platform."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol
from weakref import WeakValueDictionary

from bot.errors import LimnerError
from bot.feed import Live
from bot.jobs import Job

Settle = Callable[[], Awaitable[None]]  # writes down that a job's images are before its person


class Undeliverable(LimnerError):
    """There is no place left where this job could be shown; trying again would not help."""


class Waits(LimnerError):
    """It can be shown only when its person asks for it; until then it is kept, and not charged."""


class Adapter(Protocol):
    platform: str
    edits: bool  # whether the messages of unfinished jobs are kept up to date with `show`

    async def show(self, job: Job, live: Live | None) -> None:
        """Make the job's message say where it stands; `live` is None once it is over. Repeatable."""

    async def deliver(self, job: Job, settle: Settle) -> None:
        """Put the job's images before its person, and `settle`. Repeatable: a second call shows nothing twice.

        Nothing else is said of the job in between: news that waited would take the images out again.
        Raises Undeliverable and Waits; after any other error it is tried again.
        """

    def plain(self, text: str) -> str:
        """What a person typed as it stands: no mention, link or formatting comes of it."""

    async def say(self, channel_id: str, text: str) -> None:
        """A message of the bot's own, in a channel that the operator chose."""

    async def take_down(self, channel_id: str, message_id: str) -> None:
        """Remove a message of the bot's; one that is gone, or out of reach for good, is no error."""


class Connection(Protocol):
    async def run(self) -> None:
        """Until cancelled. Raises CannotStart if the platform refuses the bot for good."""


class Locks:
    """One for each job, so that two never make its message at once."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, job: Job) -> asyncio.Lock:
        return self._locks.setdefault(job.id, asyncio.Lock())


class Page:
    """A platform that reads the store itself, so that what is stored is delivered: the local page."""

    platform = "web"
    edits = False

    async def show(self, job: Job, live: Live | None) -> None: ...

    async def deliver(self, job: Job, settle: Settle) -> None:
        await settle()

    def plain(self, text: str) -> str:
        return text

    async def say(self, channel_id: str, text: str) -> None: ...

    async def take_down(self, channel_id: str, message_id: str) -> None: ...
