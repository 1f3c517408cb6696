"""From what a person asked for to jobs with messages that say so; and what became of those that a crash cut off."""

import logging
from collections.abc import AsyncIterator, Callable

from bot import answers, wording
from bot.commands import Imagine
from bot.controls import Press
from bot.errors import CannotPost, NotServed
from bot.jobs import Identity, Job, Person, Place, Status
from bot.slack.adapter import SlackAdapter, Unposted
from bot.slack.faults import Fault
from bot.slack.interactions import Asked, Turn
from bot.slack.people import People
from bot.slack.web import UNREACHED, Web
from bot.store import Callback, Store
from bot.studio import Studio
from engine.catalogue import Catalogue

log = logging.getLogger(__name__)

RECOVERED_WITHIN_MS = 24 * 3600 * 1000


class Echo:
    def __init__(
        self, studio: Studio, store: Store, adapter: SlackAdapter, web: Web, people: People, *,
        models: Catalogue, now_ms: Callable[[], int],
    ):  # fmt: skip
        self._studio, self._store, self._adapter, self._web, self._people = studio, store, adapter, web, people
        self._models, self._now_ms = models, now_ms
        self._posting: set[str] = set()  # jobs that another turn gives their messages

    async def person(self, asked: Asked, *, is_checked: bool = True) -> Person:
        """Raises NotServed, if that is known without asking Slack or `is_checked`; else `post` asks."""
        member = self._people.known(asked.user_id)
        if is_checked or member:
            member = await self._people.require_may_draw(asked.user_id)
        name = member.name if member else ""
        identity = Identity("slack", self._web.team_id, asked.user_id, name)
        return await self._studio.person(identity, await self._people.roles(asked.user_id))

    def place(self, asked: Asked) -> Place:
        return Place("slack", self._web.team_id, asked.channel_id, asked.thread_id)

    async def draw(self, turn: Turn, what: Imagine | Press, *, is_confirmed: bool) -> None:
        """What a button makes goes to the thread of what it came from. Raises Refused."""
        asked, person = turn.asked, await self.person(turn.asked, is_checked=False)
        jobs = await self._studio.draw(
            person, self.place(asked), what, key=asked.key, is_confirmed=is_confirmed,
            allows_explicit=False, is_acknowledged=False, callback=self._callback(asked),
        )  # fmt: skip
        await self.post(turn, jobs)

    def _callback(self, asked: Asked) -> Callback:
        """What `left` needs, should this process end before the job has its message."""
        return Callback(asked.response_url, self._now_ms() + RECOVERED_WITHIN_MS)

    async def post(self, turn: Turn, jobs: list[Job]) -> None:
        """Acknowledge, and give each job its message; where Slack does not take it now, the job is drawn all the same.

        Raises NotServed and CannotPost; then these jobs have ended.
        """
        turn.ack()
        jobs = [job for job in jobs if job.status == Status.RECEIVED and job.id not in self._posting]
        names = {job.id for job in jobs}  # a second delivery, or a second press, leaves them alone
        self._posting |= names
        try:
            await self.person(turn.asked)  # who somebody is takes a question to Slack, which has its answer by now
            await self._post_each(jobs)
        except NotServed as error:
            if error.reason == "unseen" and not turn.asked.key:  # of a life before, perhaps in the channel by now
                log.warning("job %s: who asked for it cannot be looked up; tried again in a minute", jobs[0].id)
                return
            await self._studio.withdrawn(jobs)
            raise
        finally:
            self._posting -= names
        if jobs and jobs[0].is_private and not turn.asked.channel_id.startswith("D"):
            await turn.say(wording.IN_MESSAGES)

    async def left(self, older_ms: int = 0) -> AsyncIterator[tuple[Turn, Job]]:
        """What was accepted, so long ago, and could not be queued: the bot stopped, or its disk was full."""
        for job in await self._store.chat.unanswered("slack"):
            if job.id in self._posting or job.created_ms > self._now_ms() - older_ms:
                continue
            url = await self._store.chat.token(job.id, self._now_ms()) or ""
            identity = await self._store.identity(job.person_id, "slack")
            asked = Asked(
                "command", "", self._web.team_id, identity.user_id if identity else "", response_url=url,
                channel_id=job.place.channel_id, thread_id=job.place.thread_id,
            )  # fmt: skip
            yield Turn(asked, self._web), job

    async def _post_each(self, jobs: list[Job]) -> None:
        for number, job in enumerate(jobs):
            try:
                await self._adapter.post(job, answers.unknown_line(answers.unknown([job.draw], self._models)))
            except Unposted as error:
                await self._studio.withdrawn(jobs[number:])
                reason = {Fault.NOT_INVITED: "not_invited", Fault.ARCHIVED: "archived"}.get(error.fault, "closed")
                invitation, left = f"/invite @{self._web.bot_name}", tuple(each.id for each in jobs[number:])
                raise CannotPost(reason, invitation, left) from None  # type: ignore[arg-type]
            except UNREACHED as error:
                log.warning("job %s: its message comes later: %s", job.id, type(error).__name__)
            await self._studio.acknowledged([job])
