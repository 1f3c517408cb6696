"""Jobs on Slack: one message each, changed until the pictures are in it; files and what came of them below it."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from slack_sdk.errors import SlackApiError

from bot import wording
from bot.adapter import Locks, Settle, Undeliverable
from bot.feed import Live
from bot.jobs import Job, Place, Status
from bot.slack import messages, uploads
from bot.slack.faults import Fault, fault, name_of
from bot.slack.web import HISTORY, UNREACHED, Web
from bot.store import Store

log = logging.getLogger(__name__)

SHARED_WITHIN_MS = 15 * 60_000  # or Slack's scan lets the files through to nobody
CLOCKS_APART_SECONDS = 60.0
_LOOK_BACK = 999  # messages, Slack's most
_TAKES_PICTURE_TRIES = 6
_NOWHERE = (Fault.NOT_INVITED, Fault.ARCHIVED, Fault.CLOSED)


class Unposted(Undeliverable):
    """`fault` says why nothing can be said there."""

    def __init__(self, error: SlackApiError):
        super().__init__(f"the bot may not post there ({name_of(error)})")
        self.fault = fault(error)


class SlackAdapter:
    platform = "slack"
    edits = True

    def __init__(self, web: Web, store: Store, *, now_ms: Callable[[], int]):
        self._web, self._store, self._now_ms = web, store, now_ms
        self._locks = Locks()
        self._stages: dict[str, str] = {}  # of the jobs on their way: what their messages say
        self._since_ms = now_ms()
        self._unsure: set[str] = set()  # jobs whose message was posted, or not: nobody knows

    async def show(self, job: Job, live: Live | None) -> None:
        """Change the job's message, or make one where it has none; under load for new states only, or its end."""
        stage = f"{live.stage} {live.kept_after}" if live else ""
        is_new_state = self._stages.get(job.id) != stage
        if live and job.place.message_id and not self._web.has_room(is_new_state=is_new_state):
            return
        async with self._locks.of(job):
            fresh = await self._store.job(job.id)
            if fresh is None or (live is not None and fresh.status.is_over):
                return  # its end was shown meanwhile
            await self._put(fresh, await self._message(fresh, live))
            self._stages[job.id] = stage
            if live is None:
                self._stages.pop(job.id, None)

    async def deliver(self, job: Job, settle: Settle) -> None:
        async with self._locks.of(job):
            job = await self._store.job(job.id) or job
            if job.place.message_id is None:
                job = replace(job, place=await self._post(job, await self._message(job, None)))
            files = await self._shared(job)
            place = await self._with_pictures(job, files)
            if _below(place) != _below(job.place):  # its message was deleted, so the files stand alone somewhere
                await uploads.discard(self._web, self._store, job.id, files)
                job = replace(job, place=place)
                await self._with_pictures(job, await self._shared(job))
            await settle()
            self._stages.pop(job.id, None)

    async def post(self, job: Job, remark: str = "") -> Place:
        """Make the job's message. Raises Unposted; after what the Web API raises, it may be there."""
        async with self._locks.of(job):
            job = await self._store.job(job.id) or job
            message = await self._message(job, None, remark=remark)
            return job.place if job.place.message_id else await self._post(job, message)

    async def remove(self, job: Job) -> None:
        """Take the pictures of a deleted job, or of some of its images, out of its message and off Slack."""
        if job.place.message_id is None:
            return
        async with self._locks.of(job):
            files = await self._store.chat.uploads(job.id)
            kept = {image.index: files[image.index] for image in job.stored if image.index in files}
            await self._put(job, await self._message(job, None, files=kept))
            gone = {index: files[index] for index in files.keys() - kept.keys()}
            await uploads.discard(self._web, self._store, job.id, gone)

    def plain(self, text: str) -> str:
        return messages.plain(text)

    async def say(self, channel_id: str, text: str) -> None:
        await self._web.chat_postMessage(channel=channel_id, **messages.answer(text), **messages.UNFURLED)

    async def take_down(self, channel_id: str, message_id: str) -> None:
        """A message, or of "file:ID" a file."""
        try:
            if message_id.startswith("file:"):
                await self._web.files_delete(file=message_id.removeprefix("file:"))
            else:
                await self._web.chat_delete(channel=channel_id, ts=message_id)
        except SlackApiError as error:
            if fault(error) not in (*_NOWHERE, Fault.NO_MESSAGE, Fault.NO_FILE):
                raise

    async def reconcile(self, job: Job, channel_id: str, message_id: str) -> None:
        """A message that says it is the job's: its making was answered too late. It is the one, or one too many."""
        if job.place.message_id is None:
            await self._store.chat.posted(
                job.id, message_id=message_id, thread_id=job.place.thread_id, channel_id=channel_id
            )
        elif job.place.message_id != message_id:
            await self.take_down(channel_id, message_id)

    async def direct(self, user_id: str) -> str:
        """The conversation between a person and the bot."""
        opened = await self._web.conversations_open(users=user_id)
        return str(opened["channel"]["id"])

    async def send_alone(self, user_id: str, name: str, what: Path | bytes, *, alt_text: str) -> None:
        """A file to one person, in their direct messages."""
        file_id = await uploads.send(self._web, what, name, alt_text)
        await uploads.complete(self._web, [file_id], await self.direct(user_id), None)

    async def again(self, job: Job) -> Mapping[str, Any]:
        """The job's message once more, for somebody to see alone."""
        return await self._message(job, None, files=await self._store.chat.uploads(job.id))

    async def _message(
        self, job: Job, live: Live | None, *, remark: str = "", files: Mapping[int, str] | None = None
    ) -> dict[str, Any]:
        parent = await self._store.job(job.lineage.job_id) if job.lineage else None
        lineage = wording.lineage_line(job, parent) if parent else ""
        identity = await self._store.identity(job.person_id, self.platform)
        name = (identity.name or identity.user_id) if identity else "someone"
        status = self._web.named(messages.status(job, live))
        return messages.message(job, status, name, lineage=lineage, remark=remark, files=files)

    async def _put(self, job: Job, message: Mapping[str, Any]) -> Place:
        """Make the job's message say this; where it is then."""
        place = job.place
        if place.message_id is None:
            is_missed = job.status != Status.CANCELLED  # else nobody was told of it
            return await self._post(job, message) if is_missed else place
        try:
            await self._web.chat_update(channel=place.channel_id, ts=place.message_id, **message)
        except SlackApiError as error:
            if fault(error) in _NOWHERE:
                raise Unposted(error) from error
            if fault(error) != Fault.NO_MESSAGE:
                raise
            if job.status in (Status.RENDERED, Status.FAILED, Status.CANCELLED):
                return await self._post(job, message)
        return place

    async def _post(self, job: Job, message: Mapping[str, Any]) -> Place:
        identity = await self._store.identity(job.person_id, self.platform)
        channel_id, thread_id = job.place.channel_id, await self._thread(job)
        if job.is_private and identity:
            channel_id = await self.direct(identity.user_id)
            thread_id = thread_id if channel_id == job.place.channel_id else None
        try:
            before = await self._posted_before(job, channel_id, thread_id)
            self._unsure.add(job.id)
            posted = before or await self._web.chat_postMessage(
                channel=channel_id, thread_ts=thread_id, **message, **messages.UNFURLED
            )
        except SlackApiError as error:
            if fault(error) == Fault.NO_MESSAGE and thread_id:  # its thread is gone
                lost = replace(job, place=replace(job.place, thread_id=None), lineage=None)
                return await self._post(lost, message)
            if fault(error) in _NOWHERE:
                raise Unposted(error) from error
            raise
        self._unsure.discard(job.id)
        message_id = str(posted["ts"])
        shown = before or posted.get("message") or {"thread_ts": thread_id}
        thread_id = shown.get("thread_ts")  # none, where Slack found the first message of the thread deleted
        thread_id = None if thread_id == message_id else thread_id
        await self._store.chat.posted(job.id, message_id=message_id, thread_id=thread_id, channel_id=channel_id)
        place = replace(job.place, channel_id=channel_id, message_id=message_id, thread_id=thread_id)
        return await self._put(replace(job, place=place), message) if before else place

    async def _posted_before(self, job: Job, channel_id: str, thread_id: str | None) -> Mapping[str, Any] | None:
        """Of a post that nobody knows the end of, the message, where the app may read what was said."""
        is_first = job.id not in self._unsure and self._since_ms <= job.created_ms <= self._now_ms()
        if is_first:
            return None
        if not self._web.team_id:  # what the app may read is not known yet
            raise ConnectionError("not signed in to Slack yet")
        method, asked = "conversations.history", {"channel": channel_id, "limit": _LOOK_BACK}
        if thread_id:
            method, asked = "conversations.replies", asked | {"ts": thread_id}
        oldest = f"{job.created_ms / 1000 - CLOCKS_APART_SECONDS:.6f}"
        try:
            if self._web.scopes & HISTORY:  # but it is another for each kind of channel
                asked |= {"oldest": oldest, "include_all_metadata": True}
                found = await self._web.api_call(method, params=asked)
                others = (each for each in found["messages"] if each["ts"] != job.place.message_id)
                return next((each for each in others if messages.job_of(each) == job.id), None)
        except SlackApiError as error:
            if fault(error) != Fault.NO_SCOPE:
                raise
        log.warning("job %s: its message is posted, maybe for the second time: the app may not look", job.id)
        return None

    async def _thread(self, job: Job) -> str | None:
        """What comes of a job goes to the thread of the first of its line, which every message has."""
        if job.place.thread_id or job.lineage is None or job.lineage.verb == "again":
            return job.place.thread_id
        root = await self._store.job(job.root_id)
        _, policy = await self._store.moderation.of_place(job.place)
        if root is None or not policy.threads or root.place.channel_id != job.place.channel_id:
            return None
        return root.place.thread_id or root.place.message_id

    async def _shared(self, job: Job) -> dict[int, str]:
        place = job.place
        try:
            return await uploads.share(
                self._web, self._store, job, channel_id=place.channel_id, thread_id=_below(place),
                comment=await self._ping(job),
            )  # fmt: skip
        except FileNotFoundError as error:
            raise Undeliverable(f"{error.filename} is no longer on disk") from error
        except uploads.NotShared as error:
            if self._now_ms() - (job.finished_ms or 0) < SHARED_WITHIN_MS:
                raise
            raise await self._unshown(job, str(error)) from error
        except SlackApiError as error:
            if fault(error) not in _NOWHERE:
                raise
            raise await self._unshown(job, f"no files can be posted there ({name_of(error)})") from error

    async def _unshown(self, job: Job, reason: str) -> Undeliverable:
        """The message says so; the pictures wait for `show`."""
        try:
            await self._put(job, await self._message(replace(job, status=Status.UNDELIVERABLE), None))
        except (Undeliverable, *UNREACHED) as error:
            log.info("job %s: its message does not say that it cannot be shown: %s", job.id, error)
        return Undeliverable(reason)

    async def _with_pictures(self, job: Job, files: Mapping[int, str]) -> Place:
        """They are in the message as soon as Slack takes them there; in its thread they are already."""
        for attempt in range(_TAKES_PICTURE_TRIES):
            try:
                return await self._put(job, await self._message(job, None, files=files))
            except SlackApiError as error:
                if fault(error) != Fault.NOT_YET:
                    raise
                log.info("job %s: Slack does not take its pictures yet", job.id)
            await asyncio.sleep(0.5 * 2**attempt)
        return await self._put(job, await self._message(job, None, remark=wording.IN_THREAD))

    async def _ping(self, job: Job) -> str:
        """Said with the files, since a change pings nobody; only when the wait was long."""
        user_id = await self._store.user_id(job.person_id, self.platform)
        return "" if job.place.channel_id.startswith("D") else wording.ready(job, user_id)


def _below(place: Place) -> str | None:
    """The thread of the files of a job."""
    return place.thread_id or place.message_id
