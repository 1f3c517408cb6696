"""From accepted jobs to messages that say so: the echo of a request, and what became of one that a crash cut off."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, cast

import discord

from bot import answers
from bot.adapter import Locks, Undeliverable
from bot.discord import messages
from bot.discord.adapter import NO_ONE, DiscordAdapter
from bot.discord.faults import Fault, fault
from bot.discord.interactions import UNREACHED
from bot.errors import NoPermission
from bot.jobs import Job
from bot.store import Store
from bot.studio import Studio
from engine.catalogue import Catalogue

log = logging.getLogger(__name__)

_ANSWER_WITHIN = timedelta(seconds=2.5)  # Discord waits for three
_REMEMBERED = 1000  # jobs; Discord repeats an interaction within seconds
_LOOK_UPS, _LONGEST_LOOK_UP_SECONDS = 34, 30.0  # together about as long as a token lasts


class Echo:
    def __init__(self, studio: Studio, store: Store, adapter: DiscordAdapter, models: Catalogue):
        self._studio, self._store, self._adapter, self._models = studio, store, adapter, models
        self._locks = Locks()
        self._seen: OrderedDict[str, None] = OrderedDict()

    async def answer(self, interaction: discord.Interaction, jobs: list[Job]) -> None:
        """Echo the first job in the answer itself, the others in messages of their own; then they may be drawn."""
        async with self._locks.of(jobs[0]):
            if await self._is_new(jobs[0]):
                await self._answer(interaction, jobs)

    async def follow(self, interaction: discord.Interaction, jobs: list[Job]) -> None:
        """Promise messages of their own, and make them. Raises NoPermission as `post` does."""

        async def defer() -> str:
            if not interaction.response.is_done():
                await interaction.response.defer()
            return str(interaction.id)

        async with self._locks.of(jobs[0]):
            if not await self._is_new(jobs[0]):
                job = await self._store.job(jobs[0].id)
                if job and job.place.message_id:  # a second press at once: it is the same job
                    await defer()
                return
            if await self._taken(interaction, defer):
                await self.post(jobs)
            else:
                await self._studio.withdrawn(jobs)

    async def _answer(self, interaction: discord.Interaction, jobs: list[Job]) -> None:
        first, *others = jobs
        unknown = answers.unknown_line(answers.unknown([first.draw], self._models))
        content = messages.content(first, None, interaction.user.mention, remark=messages.plain(unknown))
        message_id = await self._taken(interaction, lambda: _say(interaction, first, content))
        if message_id is None:
            await self._studio.withdrawn(jobs)
            return
        await self._studio.acknowledged([first], message_id=message_id)
        await self.post(others)

    async def post(self, jobs: list[Job]) -> None:
        """Give each job its message; where Discord does not take it now, the job is drawn all the same.

        Raises NoPermission where there is no place that it can be posted in.
        """
        for job in jobs:
            if job.place.message_id:
                continue
            try:
                await self._adapter.post(await self._in_thread(job))
            except Undeliverable:
                await self._studio.withdrawn([job])
                raise NoPermission("Send Messages") from None
            except UNREACHED as error:
                log.warning("job %s: its message comes later: %r", job.id, error)
            await self._studio.acknowledged([job])

    async def recover(self, until_ms: int | None = None) -> None:
        """Of what was being answered when the bot stopped, or until then, Discord knows whether the answer arrived.

        While the token lasts it is asked for the answer; later for a message that says it is the job's.
        """
        for job in await self._store.chat.unanswered("discord"):
            if until_ms is not None and job.created_ms > until_ms:
                continue
            if job.place.message_id:  # a button's child: its message was made after the answer
                await self._studio.acknowledged([job])
                continue
            token = await self._store.chat.token(job.id, job.created_ms)
            answer = await self._answered_in(token) if token else None
            message_id = await self._adapter.found(job)  # in whatever place it was made
            if message_id is None and answer and await self._is_its_own(answer, job):
                message_id = str(answer.id)
            if message_id:
                await self._studio.acknowledged([job], message_id=message_id)
            elif answer is None:
                await self._studio.withdrawn([job])
            else:  # a button, on whatever message
                with suppress(NoPermission):
                    await self.post([job])

    async def _taken(self, interaction: discord.Interaction, say: Callable[[], Awaitable[str]]) -> str | None:
        """Say the first answer until Discord has it; returns its message, or None if Discord never took it."""
        while True:
            try:
                return await say()
            except UNREACHED as error:
                if fault(error) == Fault.NO_TOKEN:
                    log.info("interaction %s ended before it was answered", interaction.id)
                    return None
                log.warning("interaction %s: is it answered? %r", interaction.id, error)
            found = await self._answered_in(interaction.token)
            if found or discord.utils.utcnow() - interaction.created_at > _ANSWER_WITHIN:
                return str(found.id) if found else None

    async def _is_new(self, job: Job) -> bool:
        """False where another delivery of the same interaction has answered it, or was told that it is too late."""
        if job.id not in self._seen and job.place.message_id is None and not job.status.is_over:
            self._seen[job.id] = None
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
            return True
        fresh = await self._store.job(job.id)
        return fresh is not None and fresh.place.message_id is None and not fresh.status.is_over

    async def _is_its_own(self, answer: discord.Message, job: Job) -> bool:
        """Whether the answer to an interaction is the job's message: that of a button is the one that it stands on."""
        if messages.is_of(answer, job.id):
            return True
        return job.lineage is None and await self._store.chat.job_of_message("discord", str(answer.id)) is None

    async def _answered_in(self, token: str) -> discord.Message | None:
        """The message that answered an interaction, asked of Discord until it says; None if there is none.

        Raises UNREACHED where it does not say for so long that the token has ended: `recover` looks for the message.
        """
        webhook, original = await self._adapter.by_token(token), cast(int, "@original")
        attempt = 0
        while True:
            try:
                return await webhook.fetch_message(original)
            except UNREACHED as error:
                if fault(error) != Fault.PASSING:
                    return None
                if attempt == _LOOK_UPS:
                    raise
            await asyncio.sleep(min(_LONGEST_LOOK_UP_SECONDS, 0.5 * 2**attempt))
            attempt += 1

    async def _in_thread(self, job: Job) -> Job:
        """The job, and what is stored of it, in the thread of what it came from."""
        root = await self._store.job(job.root_id)
        if job.place.thread_id or root is None or job.lineage is None or job.lineage.verb == "again":
            return job
        _, policy = await self._store.moderation.of_place(job.place)
        if policy.threads and (thread_id := await self._adapter.thread_for(root)):
            await self._store.chat.moved(job.id, thread_id=thread_id)
        return await self._store.job(job.id) or job


async def _say(interaction: discord.Interaction, job: Job, content: str) -> str:
    """The id of the message that answers."""
    shown: dict[str, Any] = {"view": messages.controls(job), "allowed_mentions": NO_ONE}
    if interaction.response.is_done():
        return str((await interaction.edit_original_response(content=content, **shown)).id)
    sent = await interaction.response.send_message(content, ephemeral=job.is_private, suppress_embeds=True, **shown)
    return str(sent.message_id)
