"""Shows what is done: the outbox, through the adapters, until each job's end has been seen or cannot be."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Mapping

from bot.adapter import Adapter, Undeliverable, Waits
from bot.breaker import Breaker
from bot.errors import Unavailable
from bot.feed import Feed
from bot.jobs import Status
from bot.store import Parcel, Store

log = logging.getLogger(__name__)

AT_ONCE = 8
ONE_TRY_SECONDS = 300.0
READ_AGAIN_SECONDS = 5.0
GIVE_UP_AFTER_MS = 24 * 3600 * 1000
LEAST_TRIES = 100  # however far a clock jumps
ASK_AGAIN_MS = 3600 * 1000
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 60.0


def full_jitter_ms(attempts: int) -> int:
    """The pause before the next try: anything up to a limit that doubles with each."""
    return int(1000 * random.uniform(0, min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**attempts)))


class Delivery:
    def __init__(
        self,
        store: Store,
        feed: Feed,
        adapters: Mapping[str, Adapter],
        *,
        now_ms: Callable[[], int],
        pause_ms: Callable[[int], int] = full_jitter_ms,
    ):
        self._store, self._feed, self._adapters = store, feed, adapters
        self._now_ms, self._pause_ms = now_ms, pause_ms
        self._breaker = Breaker(pause_ms)
        self._sending: set[int] = set()
        self._wake, self._idle = asyncio.Event(), asyncio.Event()

    async def flush(self) -> None:
        """Return once everything that is due was tried."""
        self._idle.clear()
        self._wake.set()
        await self._idle.wait()

    def wake(self) -> None:
        """There may be something new in the outbox."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                try:
                    pause_seconds = await self._begin(group)
                except Unavailable as error:
                    log.warning("the outbox cannot be read: %s", error.reason)
                    pause_seconds = READ_AGAIN_SECONDS
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_seconds):
                        await self._wake.wait()

    async def _begin(self, group: asyncio.TaskGroup) -> float | None:
        """Send what is due; returns the seconds until more is."""
        now_ms = self._now_ms()
        due = await self._store.outbox.due(now_ms, AT_ONCE + len(self._sending))
        for parcel in [parcel for parcel in due if parcel.id not in self._sending][: AT_ONCE - len(self._sending)]:
            self._sending.add(parcel.id)
            group.create_task(self._send(parcel))
        if not self._sending:
            self._idle.set()
        next_ms = await self._store.outbox.next_due_ms(now_ms)
        return None if next_ms is None else (next_ms - now_ms) / 1000

    async def _send(self, parcel: Parcel) -> None:
        try:
            await self._try(parcel)
        except Unavailable as error:  # shown, but not written down: shown again, which adapters allow
            log.warning("job %s: its delivery cannot be recorded yet: %s", parcel.job.id, error.reason)
            await asyncio.sleep(READ_AGAIN_SECONDS)
        finally:
            self._sending.discard(parcel.id)
            self._wake.set()

    async def _try(self, parcel: Parcel) -> None:
        channel, now_ms = (parcel.job.place.platform, parcel.job.place.channel_id), self._now_ms()
        if wait_ms := self._breaker.wait_ms(channel, now_ms):
            await self._store.outbox.postponed(parcel, now_ms, now_ms + wait_ms + self._pause_ms(0), is_tried=False)
            return
        try:
            async with asyncio.timeout(ONE_TRY_SECONDS):
                await self._show(parcel)
        except Unavailable:
            raise
        except Undeliverable as error:
            await self._give_up(parcel, str(error))
        except Waits:
            now_ms = self._now_ms()
            await self._store.outbox.postponed(parcel, now_ms, now_ms + ASK_AGAIN_MS)
            self._feed.over(parcel.job.id)
        except Exception as error:
            self._breaker.failed(channel, self._now_ms())
            await self._try_later(parcel, error)
        else:
            self._breaker.succeeded(channel)
            self._feed.over(parcel.job.id)

    async def _show(self, parcel: Parcel) -> None:
        job = parcel.job

        async def settle() -> None:
            await self._store.outbox.delivered(parcel, self._now_ms())

        adapter = self._adapters.get(job.place.platform)
        if adapter is None:
            raise LookupError(f"{job.place.platform} is not connected")
        if job.status == Status.RENDERED:
            await adapter.deliver(job, settle)
        else:
            await adapter.show(job, None)
            await settle()

    async def _try_later(self, parcel: Parcel, error: Exception) -> None:
        now_ms = self._now_ms()
        if now_ms - parcel.since_ms > GIVE_UP_AFTER_MS and parcel.attempts >= LEAST_TRIES:
            await self._give_up(parcel, f"tried for a day, last: {error!r}")
            return
        log.warning("job %s: not delivered at try %d: %r", parcel.job.id, parcel.attempts + 1, error)
        await self._store.outbox.postponed(parcel, now_ms, now_ms + self._pause_ms(parcel.attempts))

    async def _give_up(self, parcel: Parcel, reason: str) -> None:
        log.warning("job %s cannot be delivered: %s", parcel.job.id, reason)
        await self._store.outbox.undeliverable(parcel, reason, self._now_ms())
        self._feed.over(parcel.job.id)
