"""What moderation still has to do on platforms: reports to the operator's channel, messages to be taken down."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from bot import answers
from bot.adapter import Adapter
from bot.errors import Unavailable
from bot.store import Store
from bot.store.moderation import TAKEDOWNS

log = logging.getLogger(__name__)

LOOK_SECONDS, SAY_AGAIN_MS = 10.0, 3600 * 1000
GIVE_UP_AFTER_MS = 3 * 24 * 3600 * 1000


class Upkeep:
    def __init__(
        self,
        store: Store,
        adapters: Mapping[str, Adapter],
        *,
        report_channel: str,  # "discord:1234"; empty: reports stay in the store and in the log
        now_ms: Callable[[], int],
    ):
        self._store, self._records, self._adapters, self._now_ms = store, store.moderation, adapters, now_ms
        self._platform, _, self._channel_id = report_channel.partition(":")
        self._last_takedown = 0
        self._said_ms: dict[str, int] = {}  # when it was last said of what still waits

    async def run(self) -> None:
        """Until cancelled. What does not work is tried again, and slows nothing else."""
        while True:
            try:
                await self.look()
            except Unavailable as error:
                self._say("reports and removals wait", error)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Send and remove what is due, once each."""
        for report in await self._records.unsent():
            who = await self._store.identity(report.job.person_id, report.job.place.platform)
            named = f"{who.platform}:{who.user_id}" if who else "an erased person"
            line = f"report R-{report.number}: job {report.job.id} image {report.image_index}"
            adapter = self._adapters.get(self._platform)
            if adapter is not None:
                text = answers.report(report, named, adapter.plain)
                if not await self._tried(adapter.say(self._channel_id, text), f"{line} cannot be sent yet"):
                    break
            log.warning("%s", line)
            await self._records.sent(report.number, self._now_ms())
        due = await self._records.takedowns(self._last_takedown)
        self._last_takedown = (
            due[-1].number if len(due) == TAKEDOWNS else 0
        )  # those that cannot be reached hold up no others
        for gone in due:
            adapter, is_late = self._adapters.get(gone.platform), self._now_ms() - gone.since_ms > GIVE_UP_AFTER_MS
            removal = adapter.take_down(gone.channel_id, gone.message_id) if adapter else None
            complaint = f"message {gone.number} to be removed is still there"
            if (removal and await self._tried(removal, complaint)) or is_late:
                await self._records.taken_down(gone.number)

    async def _tried(self, attempt: Awaitable[None], complaint: str) -> bool:
        try:
            await attempt
        except Exception as error:
            self._say(complaint, error)
            return False
        self._said_ms.pop(complaint, None)
        return True

    def _say(self, complaint: str, error: Exception) -> None:
        """At first, and then each hour."""
        now_ms = self._now_ms()
        if now_ms - self._said_ms.get(complaint, -SAY_AGAIN_MS) >= SAY_AGAIN_MS:
            self._said_ms[complaint] = now_ms
            log.warning("%s: %r", complaint, error)
