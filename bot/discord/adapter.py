"""Jobs on Discord: one message each, edited until the pictures are in it, and threads for what came of them."""

import base64
import hashlib
import io
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import discord

from bot import wording
from bot.adapter import Locks, Settle, Undeliverable, Waits
from bot.discord import attachments, messages
from bot.discord.faults import Fault, fault
from bot.feed import Live
from bot.jobs import Job, Place, Status
from bot.phrases import clip
from bot.store import Store

log = logging.getLogger(__name__)

NONCE_MS = 120_000  # Discord remembers one for "a few minutes"
CLOCKS_APART_MS = 60_000  # ours and Discord's, which dates its messages
_LOOK_BACK = 500  # messages
_SMALLER_TRIES = 3
NO_ONE = discord.AllowedMentions.none()


class DiscordAdapter:
    platform = "discord"
    edits = True

    def __init__(self, client: discord.Client, store: Store, *, now_ms: Callable[[], int]):
        self._client, self._store, self._now_ms = client, store, now_ms
        self._locks = Locks()

    async def show(self, job: Job, live: Live | None) -> None:
        """Edit the job's message; where it has none yet, or lost it, make one."""
        async with self._locks.of(job):
            fresh = await self._store.job(job.id)
            if fresh is None or (live is not None and fresh.status.is_over):
                return  # its end was shown meanwhile
            files = [discord.File(io.BytesIO(live.preview), "preview.jpg")] if live and live.preview else []
            await self._put(fresh, await self._content(fresh, live), files)

    async def deliver(self, job: Job, settle: Settle) -> None:
        async with self._locks.of(job):
            job = await self._store.job(job.id) or job
            limit = self.file_bytes(job.place)
            for _ in range(_SMALLER_TRIES):
                found = await self._pictures(job, limit)
                try:
                    await self._put(job, await self._content(job, None, found.remark), found.files)
                    break
                except discord.HTTPException as error:
                    if fault(error) != Fault.TOO_LARGE:
                        raise
                    limit //= 2
            else:
                raise Undeliverable("Discord takes no file of this size here")
            await self._ping(job)
            await settle()

    async def post(self, job: Job, live: Live | None = None) -> Place:
        """Make the job's message in its thread, or where that is gone in its channel; one that is there stays.

        Raises Undeliverable if it can be nowhere.
        """
        async with self._locks.of(job):  # `show` and `deliver` make one too where there is none yet
            job = await self._store.job(job.id) or job
            return job.place if job.place.message_id else await self._post(job, await self._content(job, live))

    async def remove(self, job: Job) -> None:
        """Take the pictures of a deleted job, or of some of its images, out of the message that everybody sees."""
        if job.place.message_id is None or job.is_private:
            return
        async with self._locks.of(job):
            found = await self._pictures(job, self.file_bytes(job.place))
            await self._put(job, await self._content(job, None, found.remark), found.files)

    async def thread_for(self, root: Job) -> str | None:
        """The thread of what comes of `root`, opened on its message when first asked for; None: answer beside it."""
        place = root.place
        if place.thread_id or not place.message_id or root.is_private or place.workspace_id.startswith("dm:"):
            return place.thread_id
        is_open = self._client.get_channel(int(place.message_id)) is not None  # a thread has the id of its message
        return place.message_id if is_open or await self._open_thread(root) else None

    def plain(self, text: str) -> str:
        return messages.plain(text)

    async def say(self, channel_id: str, text: str) -> None:
        text, channel = clip(text, messages.MAX_CONTENT), self._client.get_partial_messageable(int(channel_id))
        await channel.send(text, nonce=nonce(f"say:{text}"), allowed_mentions=NO_ONE, suppress_embeds=True)

    async def take_down(self, channel_id: str, message_id: str) -> None:
        try:
            await self._client.get_partial_messageable(int(channel_id)).get_partial_message(int(message_id)).delete()
        except discord.HTTPException as error:
            if fault(error) not in (Fault.NO_MESSAGE, Fault.NO_CHANNEL, Fault.NO_PERMISSION):
                raise

    async def by_token(self, token: str) -> discord.Webhook:
        """What edits the answer to an interaction while its token lasts. Raises ConnectionError before the sign-in."""
        if self._client.application_id is None:  # Discord would say that there is no such answer
            raise ConnectionError("not signed in to Discord yet")
        return discord.Webhook.partial(self._client.application_id, token, client=self._client)

    def file_bytes(self, place: Place) -> int:
        guild = self._client.get_guild(int(place.workspace_id)) if place.workspace_id.isdigit() else None
        return guild.filesize_limit if guild else attachments.DEFAULT_FILE_BYTES

    async def _content(self, job: Job, live: Live | None, remark: str = "") -> str:
        parent = await self._store.job(job.lineage.job_id) if job.lineage else None
        lineage = messages.plain(wording.lineage_line(job, parent)) if parent else ""
        mention = await self.mention(job)
        return messages.content(job, live, mention, lineage=lineage, remark=remark)

    async def mention(self, job: Job) -> str:
        user_id = await self._store.user_id(job.person_id, self.platform)
        return f"<@{user_id}>" if user_id else "someone"

    async def _pictures(self, job: Job, limit: int) -> attachments.Pictures:
        try:
            return await attachments.pictures(job, limit)
        except FileNotFoundError as error:
            raise Undeliverable(f"{error.filename} is no longer on disk") from error

    async def _put(self, job: Job, content: str, files: list[discord.File]) -> None:
        """Make the job's message say this and carry these files, and no others."""
        if job.is_private:
            await self._put_privately(job, content, files)
        elif job.place.message_id is None:
            if job.status != Status.CANCELLED:  # nobody was told of it, so nobody misses it
                await self._edit(await self._post(job, content), job, content, files)
        else:
            try:
                await self._edit(job.place, job, content, files)
            except discord.HTTPException as error:
                if fault(error) == Fault.NO_PERMISSION:
                    raise Undeliverable(f"the bot may not post there ({error.code})") from error
                if fault(error) not in (Fault.NO_MESSAGE, Fault.NO_CHANNEL):
                    raise
                if job.status in (Status.RENDERED, Status.FAILED, Status.CANCELLED):
                    await self._edit(await self._post(job, content), job, content, _again(files))

    async def _edit(self, place: Place, job: Job, content: str, files: list[discord.File]) -> None:
        message = self._client.get_partial_messageable(int(_channel(place))).get_partial_message(
            int(place.message_id or 0)
        )
        await message.edit(content=content, attachments=files, view=messages.controls(job), allowed_mentions=NO_ONE)

    async def _put_privately(self, job: Job, content: str, files: list[discord.File]) -> None:
        """Through the interaction: nobody else may see it, and only its token can edit it."""
        token = await self._store.chat.token(job.id, self._now_ms())
        try:
            if token is None:
                raise Waits
            webhook = await self.by_token(token)
            original: Any = "@original"  # Discord's name for the first answer, in the place of an id
            await webhook.edit_message(
                original,
                content=content,
                attachments=files,
                view=messages.controls(job),
                allowed_mentions=NO_ONE,
            )
        except discord.HTTPException as error:
            # 401 is of the interaction's token: the bot's own is not sent with it
            if fault(error) in (Fault.NO_TOKEN, Fault.NO_MESSAGE, Fault.REVOKED):
                raise Waits from error
            raise

    async def _post(self, job: Job, content: str) -> Place:
        """Without files: whatever is tried, repeated or half done, there is one message, and an edit completes it."""
        place = job.place
        for target in dict.fromkeys((place.thread_id, place.channel_id)):
            if not target:
                continue
            channel = self._client.get_partial_messageable(int(target))
            reply_to = await self._replies_to(job, target)
            try:
                message = await self._posted_before(channel, job) or await channel.send(
                    content,
                    view=messages.controls(job),
                    nonce=nonce(f"{job.id}:{target}:{place.message_id}"),
                    reference=reply_to,  # type: ignore[arg-type]  # None is what it means without
                    allowed_mentions=NO_ONE,
                    suppress_embeds=True,
                )
            except discord.HTTPException as error:
                if fault(error) in (Fault.NO_CHANNEL, Fault.NO_MESSAGE, Fault.NO_PERMISSION):
                    log.info("job %s: nothing can be posted in %s (%s)", job.id, target, error.code)
                    continue
                raise
            thread_id = target if target == place.thread_id else None
            await self._store.chat.posted(job.id, message_id=str(message.id), thread_id=thread_id)
            return replace(place, message_id=str(message.id), thread_id=thread_id)
        raise Undeliverable("there is no channel left where the bot may post it")

    async def found(self, job: Job) -> str | None:
        """The id of the message that everybody sees of a job, if there is one; it is written down."""
        if job.is_private:
            return None
        for target in dict.fromkeys((job.place.thread_id, job.place.channel_id)):
            if not target:
                continue
            try:
                message = await self._made_before(self._client.get_partial_messageable(int(target)), job)
            except discord.HTTPException as error:
                if fault(error) == Fault.PASSING:
                    raise
                continue
            if message:
                thread_id = target if target == job.place.thread_id else None
                await self._store.chat.posted(job.id, message_id=str(message.id), thread_id=thread_id)
                return str(message.id)
        return None

    async def _posted_before(self, channel: discord.PartialMessageable, job: Job) -> discord.Message | None:
        """A message that a try of long ago has left: Discord has forgotten its nonce by now."""
        if 0 <= self._now_ms() - job.created_ms < NONCE_MS:
            return None
        try:
            return await self._made_before(channel, job)
        except discord.HTTPException as error:
            if fault(error) != Fault.NO_PERMISSION:
                raise
            log.info("job %s: its message may be posted a second time: the bot may not read what was said", job.id)
            return None

    async def _made_before(self, channel: discord.PartialMessageable, job: Job) -> discord.Message | None:
        since_ms = min(job.created_ms, self._now_ms()) - CLOCKS_APART_MS
        since = discord.Object(discord.utils.time_snowflake(datetime.fromtimestamp(since_ms / 1000, UTC)))
        async for message in channel.history(limit=_LOOK_BACK, after=since):
            if message.author == self._client.user and messages.is_of(message, job.id):
                return message
        return None

    async def _replies_to(self, job: Job, target: str) -> discord.MessageReference | None:
        """What has no thread of its line's own answers to what it came of, or else to the first of its line."""
        if job.lineage is None:
            return None
        parent, root = await self._store.job(job.lineage.job_id), await self._store.job(job.root_id)
        if root and root.place.message_id == target:  # Discord gives a thread the id of the message that it is on
            return None
        for each in (parent, root):
            if each and each.place.message_id and _channel(each.place) == target:
                return answering(target, each.place.message_id)
        return None

    async def _open_thread(self, root: Job) -> bool:
        message_id = root.place.message_id
        assert message_id
        name = f"{clip(' '.join(wording.title(root).split()), 80)} · {root.id}"
        try:
            await self._client.http.start_thread_with_message(
                int(root.place.channel_id), int(message_id), name=name, auto_archive_duration=1440
            )
        except discord.HTTPException as error:
            if error.code == 160004:  # there is one already: its id is the message's
                return True
            if fault(error) == Fault.PASSING and error.status >= 500:
                raise
            log.info("job %s: no thread can be opened on it (%s)", root.id, error.code)
            return False
        return True

    async def _ping(self, job: Job) -> None:
        """A short reply, since an edit pings nobody; only when the wait was long."""
        user_id = await self._store.user_id(job.person_id, self.platform)
        text = wording.ready(job, user_id)
        if job.is_private or not text:
            return
        place = (await self._store.job(job.id) or job).place
        try:
            await self._client.get_partial_messageable(int(_channel(place))).send(
                text,
                nonce=nonce(f"{job.id}:ping"),
                reference=answering(_channel(place), place.message_id),
                allowed_mentions=discord.AllowedMentions(
                    everyone=False, roles=False, users=[SimpleNamespace(id=user_id)], replied_user=False
                ),
            )
        except discord.HTTPException as error:
            log.info("job %s: its person was not told that it is ready (%s)", job.id, error.code)


def nonce(name: str) -> str:
    """Discord makes one message of all that carry the same: a repeated request posts nothing twice."""
    return base64.b32encode(hashlib.sha256(f"limner:{name}".encode()).digest()).decode()[:25].lower()


def answering(channel_id: Any, message_id: Any) -> discord.MessageReference:
    """discord.py passes ids on as they are, and Discord's own description wants strings."""
    return discord.MessageReference(
        message_id=cast(int, str(message_id)), channel_id=cast(int, str(channel_id)), fail_if_not_exists=False
    )


def _channel(place: Place) -> str:
    return place.thread_id or place.channel_id


def _again(files: list[discord.File]) -> list[discord.File]:
    """The same files for another request: the one before has read and closed them."""
    for each in files:
        each.reset()
    return files
