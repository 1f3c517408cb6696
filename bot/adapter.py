"""What the core asks of a platform."""

from typing import Protocol

from bot.errors import LimnerError
from bot.feed import Live
from bot.jobs import Job


class Undeliverable(LimnerError):
    """There is no place left where this job could be shown; trying again would not help."""


class Adapter(Protocol):
    platform: str

    async def show(self, job: Job, live: Live | None) -> None:
        """Make the job's message say where it stands; `live` is None once it is over. Repeatable."""

    async def deliver(self, job: Job) -> None:
        """Put the job's images before its person. Repeatable: a second call shows nothing twice.

        Raises Undeliverable; after any other error it is tried again.
        """


class Page:
    """A platform that reads the store itself, so that what is stored is delivered: the local page."""

    platform = "web"

    async def show(self, job: Job, live: Live | None) -> None: ...

    async def deliver(self, job: Job) -> None: ...
