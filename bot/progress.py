"""Keeps the messages of unfinished jobs up to date, for platforms whose messages are edited."""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bot.adapter import Adapter, Undeliverable, Waits
from bot.feed import Feed, Live
from bot.store import Store

log = logging.getLogger(__name__)

EDIT_SECONDS = 3.0  # between two edits of one message
FIRST_EDIT_SECONDS = 0.7  # after its first news: the echo is fresh, and a quick job needs one edit less
LEAST_POINTS = 5  # of a hundred, that an edit must show
FIRST_REST_SECONDS, LONGEST_REST_SECONDS = 5.0, 120.0  # after edits that failed


@dataclass(slots=True)
class _Message:
    """A job's message: what was last shown, and whether there is something newer."""

    shown_at: float
    shown: Live | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Progress:
    """One task for each job on its way, which edits its message at most every three seconds.

    The last state wins: what came in between is never shown. An edit that fails is not repeated, and while edits
    fail one after the other the platform is left alone: the end of a job is `delivery`'s to show.
    """

    def __init__(self, store: Store, feed: Feed, adapters: Mapping[str, Adapter], *, clock: Callable[[], float]):
        self._store, self._feed, self._clock = store, feed, clock
        self._adapters = {name: adapter for name, adapter in adapters.items() if adapter.edits}
        self._messages: dict[str, _Message] = {}
        self._failures: dict[str, int] = {}
        self._rests_until: dict[str, float] = {}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            with self._feed.watch() as changes:
                async for job_id in changes:
                    live, message = self._feed.live(job_id), self._messages.get(job_id)
                    if live and message is None:
                        pause = 0.0 if live.kept_after else FIRST_EDIT_SECONDS
                        message = self._messages[job_id] = _Message(self._clock() - EDIT_SECONDS + pause)
                        group.create_task(self._follow(job_id, message))
                    if message:
                        message.news.set()

    async def _follow(self, job_id: str, message: _Message) -> None:
        try:
            job = await self._store.job(job_id)
            adapter = self._adapters.get(job.place.platform) if job else None
            while adapter:
                await message.news.wait()
                message.news.clear()
                if (live := self._feed.live(job_id)) is None:
                    return
                if not _is_worth_showing(message.shown, live):
                    continue
                if (wait := self._seconds_to_wait(adapter.platform, message)) > 0:
                    await asyncio.sleep(wait)
                    message.news.set()
                    continue
                message.shown, message.shown_at = live, self._clock()
                await self._show(adapter, job_id, live)
        finally:
            del self._messages[job_id]

    async def _show(self, adapter: Adapter, job_id: str, live: Live) -> None:
        platform = adapter.platform
        try:
            if (job := await self._store.job(job_id)) and not job.status.is_over:
                await adapter.show(job, live)
        except (Undeliverable, Waits) as error:
            log.info("job %s: %s", job_id, error)  # its end is told the same, and settled
        except Exception as error:
            failures = self._failures[platform] = self._failures.get(platform, 0) + 1
            rest = min(LONGEST_REST_SECONDS, FIRST_REST_SECONDS * 2 ** min(failures, 10))
            self._rests_until[platform] = self._clock() + random.uniform(0.5, 1) * rest
            log.warning("job %s: its message was not edited (%r); none is for %.0f s", job_id, error, rest)
        else:
            self._failures[platform] = 0

    def _seconds_to_wait(self, platform: str, message: _Message) -> float:
        return max(self._rests_until.get(platform, 0.0), message.shown_at + EDIT_SECONDS) - self._clock()


def _is_worth_showing(shown: Live | None, live: Live) -> bool:
    if shown is None or (shown.stage, shown.kept_after) != (live.stage, live.kept_after):
        return True
    if live.stage == "queued":
        return live.position != shown.position
    return live.percent - shown.percent >= LEAST_POINTS
