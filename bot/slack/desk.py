"""From what people do on Slack to the studio, and its answers back to them."""

import json
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import cast

from slack_sdk.errors import SlackApiError

from bot import answers, asks, wording
from bot.buttons import as_text, stored_file
from bot.commands import Ask, Imagine, read_command
from bot.controls import Control, Press, meant, more, read_press
from bot.errors import BadOption, CannotPost, NoPermission, NotServed, Refused, Unconfirmed, Unknown
from bot.jobs import Identity, Job, Person, Place, Status
from bot.offers import Offers
from bot.settings import Settings
from bot.slack import forms, messages, uploads
from bot.slack.adapter import SlackAdapter, Unposted
from bot.slack.faults import Fault, fault
from bot.slack.given import Given
from bot.slack.interactions import Asked, Turn
from bot.slack.messages import clock, moment
from bot.slack.people import People
from bot.slack.web import UNREACHED, Web
from bot.store import Callback, Store
from bot.studio import Studio
from engine.catalogue import Catalogue

log = logging.getLogger(__name__)

RECOVERED_WITHIN_MS = 24 * 3600 * 1000
LAST_PICTURES = 3  # on the App Home
SUFFIXES = {"how": "strip.jpg", "original": "png"}
_REASONS = {Fault.NOT_INVITED: "not_invited", Fault.ARCHIVED: "archived"}


class Desk:
    """Everything that a person can do; each turn is answered, whatever happens."""

    def __init__(
        self, settings: Settings, studio: Studio, store: Store, adapter: SlackAdapter, web: Web, *,
        models: Catalogue, given: Given, now_ms: Callable[[], int],
    ):  # fmt: skip
        self._now_ms = now_ms
        self._studio, self._store, self._adapter, self._web, self._models = studio, store, adapter, web, models
        self._given, self._people, self._offers = given, People(settings, web), Offers()
        self._new_image = forms.NewImage(models, settings.model, lambda: studio.styles)
        self._commands = settings.slack_commands
        self._posting: set[str] = set()  # jobs that another turn gives their messages

    async def take(self, turn: Turn) -> None:
        asked = turn.asked
        async with self._answering(turn):
            match asked.kind:
                case "command":
                    await self._command(turn)
                case "press":
                    await self._pressed(turn)
                case "form":
                    await self._submitted(turn)
                case "shortcut":
                    await self._open(turn, self._new_image.view())
                case "menu":
                    await self._menu(turn)
                case "mention":
                    await self._mentioned(turn)
                case "home":
                    await self._home(asked.user_id)
                case "gone":
                    await self._web.auth_test()  # if it is refused, that ends the process

    async def _command(self, turn: Turn) -> None:
        asked = turn.asked
        if asked.team_id != self._web.team_id:
            raise NotServed("team")
        if asked.command not in self._commands:
            raise BadOption(asked.command, "unknown", allowed=" ".join(self._commands))
        match self._commands.index(asked.command):
            case 0 if not asked.text:
                await self._open(turn, self._new_image.view())
            case 0:
                await self._imagine(turn, Imagine(asked.text))
            case 1:
                await self._do(turn, read_command(f"/limner {asked.text}"))
            case _:
                await self._moderate(turn)

    async def _do(self, turn: Turn, what: Imagine | Ask | Press, *, is_confirmed: bool = False) -> None:
        match what:
            case Imagine():
                await self._imagine(turn, what, is_confirmed=is_confirmed)
            case Press():
                await self._child(turn, what, is_confirmed=is_confirmed)
            case Ask():
                await self._ask(turn, what)

    async def _imagine(
        self, turn: Turn, what: Imagine, file_id: str | None = None, *, is_confirmed: bool = False
    ) -> None:
        turn.what = what
        person = await self._person(turn.asked, is_checked=False)
        if file_id:
            await self._people.require_may_draw(turn.asked.user_id)
            what = replace(what, options={**what.options, "image": str(await self._given.take(file_id))})
        jobs = await self._studio.imagine(
            person, self._place(turn.asked), what.text, key=turn.asked.key, options=what.options, allows_explicit=False,
            by_every_model=what.by_every_model, is_acknowledged=False, is_confirmed=is_confirmed,
        )  # fmt: skip
        await self._post(turn, jobs)

    async def _ask(self, turn: Turn, ask: Ask) -> None:
        """`/limner …`: an answer only for the asker, or jobs that are drawn where it was asked."""
        turn.ack()
        asked = turn.asked
        person = await self._person(asked)
        if ask.args:
            await self._require_sight(asked, person, ask.args[0])
        answered = await asks.answer(
            self._studio, person, self._place(asked), ask, when=moment, models=self._models, quote=messages.plain
        )
        match answered:
            case Press():
                await self._child(turn, answered)
            case Job():
                await self._show(turn, answered)
            case str():
                await turn.tell(messages.answer(self._named(answered)))

    async def _moderate(self, turn: Turn) -> None:
        """`/limner-admin job …`: who may is asked at each use."""
        turn.ack()
        asked = turn.asked
        if not await self._people.is_admin(asked.user_id):
            raise NoPermission("you", "an admin of Limner")
        person, place = await self._person(asked), self._place(asked)
        match asked.text.lower().split():
            case ["job", "show", job_id]:
                job = await self._studio.job(person, job_id.strip("`#"), place)
            case ["job", "cancel", job_id]:
                job = await self._studio.cancel(person, job_id.strip("`#"), place, is_moderator=True)
            case ["job", "delete", job_id]:
                job = await self._delete(person, place, Press("delete", job_id.strip("`#")), None, is_moderator=True)
            case _:
                raise BadOption(
                    f"{asked.command} {asked.text}".strip(), "unknown", allowed="job show|cancel|delete JOB"
                )
        await self._show(turn, job)

    async def _pressed(self, turn: Turn) -> None:
        """A button of any message, of this release or an older one."""
        asked, press = turn.asked, read_press(turn.asked.text)
        turn.what = press
        match press:
            case None:
                raise Unknown
            case Press("new"):
                await self._open(turn, self._new_image.view())
                return None
            case Press("home"):
                return await self._home(asked.user_id)
            case Press("offer"):
                return await self._take_offer(turn, press)
            case Press("remix"):
                return await self._open_remix(turn, press)
        person = await self._person(asked, is_checked=False)
        await self._require_sight(asked, person, press.job_id)
        job = await self._studio.job(person, press.job_id, self._place(asked))
        if asked.job_id == job.id:
            await self._adapter.reconcile(job, asked.channel_id, asked.message_id)
        await self._of_job(turn, person, job, meant(press, job))

    async def _of_job(self, turn: Turn, person: Person, job: Job, press: Press) -> None:
        asked, place = turn.asked, self._place(turn.asked)
        if press.verb in ("info", "more", "cancel", "delete", "how", "original", "dm"):  # what makes no job
            turn.ack()
            await self._person(asked)
        match press.verb:
            case "info":
                view = await self._studio.info(person, job.id, press.index, place)
                facts = [(label, self._named(value)) for label, value in answers.info(view, moment)]
                await turn.tell(messages.facts(facts))
            case "more":
                await turn.tell(messages.answer(f"`{job.id}` image {press.index + 1}", more(job, press.index)))
            case "cancel":
                await self._studio.cancel(person, job.id, place, is_moderator=await self._moderates(asked, person, job))
            case "delete":
                is_moderator = await self._moderates(asked, person, job)
                await self._delete(person, place, press, press.index, is_moderator=is_moderator)
                await turn.tell(messages.answer(f"Deleted `{job.id}` image {press.index + 1}."))
            case "how" | "original":
                suffix = SUFFIXES[press.verb]
                path = stored_file(job, press.index, suffix)
                turn.ack()
                await self._adapter.send_alone(job, press.index, path, suffix, asked.user_id)
                await turn.tell(messages.answer(wording.IN_MESSAGES))
            case "dm":
                turn.asked = replace(asked, channel_id=await self._adapter.direct(asked.user_id), thread_id=None)
                await self._child(turn, Press("again", job.id, press.index))
                await turn.take_away()
            case _:
                await self._child(turn, press)

    async def _submitted(self, turn: Turn) -> None:
        """A form of ours; it works after a restart too, since it says what it is about."""
        asked, press = turn.asked, read_press(turn.asked.text)
        what, file_id, where = forms.filled_in(asked.values)
        channel_id, thread_id = json.loads(asked.metadata) if asked.metadata else (where, None)
        turn.asked = replace(asked, channel_id=channel_id, thread_id=thread_id)
        match press:
            case Press("imagine"):
                await self._imagine(turn, what, file_id)
            case Press("edit"):
                await self._imagine(turn, self._offers.edited(press, asked.user_id, what.text))
            case Press("remix"):
                await self._child(turn, replace(press, text=f"/imagine {what.text}"))
            case _:
                raise Unknown

    async def _menu(self, turn: Turn) -> None:
        """A message shortcut: on a job's message, or on that of its files."""
        asked = turn.asked
        job = await self._store.job_of_message("slack", asked.message_id)
        job = job or (await self._store.job_of_upload(asked.file_id) if asked.file_id else None)
        if job is None or job.place.channel_id != asked.channel_id or asked.text not in ("reroll", "remix", "info"):
            raise Unknown
        index = next((image.index for image in uploads.done(job)), 0)
        turn.what = press = Press(asked.text, job.id, index)
        if press.verb == "remix":
            return await self._open_remix(turn, press)
        person = await self._person(asked, is_checked=False)
        await self._of_job(turn, person, await self._studio.job(person, job.id, self._place(asked)), press)

    async def _mentioned(self, turn: Turn) -> None:
        """In a thread of ours, a mention says what changes: `--seed 7`, `at night`. Elsewhere it is a prompt."""
        asked = turn.asked
        job = await self._in_thread(asked) if asked.thread_id and not asked.file_id else None
        if job and asked.text:
            await self._child(turn, Press("remix", job.id, 0, asked.text))
        else:
            await self._imagine(turn, Imagine(asked.text), asked.file_id)

    async def _in_thread(self, asked: Asked) -> Job | None:
        thread_id = cast(str, asked.thread_id)
        job = await self._store.newest_in("slack", thread_id) or await self._store.job_of_message("slack", thread_id)
        return job if job and job.place.channel_id == asked.channel_id else None

    async def _home(self, user_id: str) -> None:
        person = await self._person(Asked("home", "", self._web.team_id, user_id))
        last = [job for job in await self._studio.history(person, 10) if uploads.done(job)][:LAST_PICTURES]
        own = [(job, await self._store.uploads(job.id)) for job in last]
        queue = await self._studio.queue(person) if await self._people.is_admin(user_id) else None
        quota, defaults = await self._studio.quota(person), answers.settings(await self._studio.settings(person))
        bare: list[tuple[Job, dict[int, str]]] = [(job, {}) for job in last]
        for shown in (own, bare):  # without the pictures, where one is gone
            try:
                await self._web.views_publish(user_id=user_id, view=forms.home(quota, shown, defaults, queue))
                return
            except SlackApiError as error:
                if fault(error) != Fault.NOT_YET:
                    raise

    async def _open(self, turn: Turn, view: forms.View) -> str:
        opened = await self._web.views_open(trigger_id=turn.asked.trigger_id, view=view)
        turn.ack()
        return str(opened["view"]["id"])

    async def _open_remix(self, turn: Turn, press: Press) -> None:
        """The form is opened before anything is looked up, since its trigger lasts three seconds."""
        asked = turn.asked
        view_id = await self._open(turn, forms.text_form("Remix", press, None))
        try:
            person = await self._person(asked)
            await self._require_sight(asked, person, press.job_id)
            job = await self._studio.job(person, press.job_id, self._place(asked))
            text, where = as_text(job, press.index, self._models), json.dumps([asked.channel_id, asked.thread_id])
            view = forms.text_form("Remix", press, text, where)
        except Refused as error:
            view = forms.told("Remix", wording.refusal(error, clock))
        await self._web.views_update(view_id=view_id, view=view)

    async def _take_offer(self, turn: Turn, press: Press) -> None:
        asked = turn.asked
        offer = self._offers.take(press, asked.user_id)
        if offer.form:
            where = json.dumps([asked.channel_id, asked.thread_id])
            await self._open(turn, forms.text_form("Edit", offer.form.press, offer.form.text, where))
            return
        await self._do(turn, offer.what, is_confirmed=True)
        await turn.take_away()

    async def _child(self, turn: Turn, press: Press, *, is_confirmed: bool = False) -> None:
        """What a button makes goes to the thread of what it came from."""
        turn.what = press
        person = await self._person(turn.asked, is_checked=False)
        await self._require_sight(turn.asked, person, press.job_id)
        jobs = await self._studio.press(
            person, self._place(turn.asked), press.verb, press.job_id, press.index, key=turn.asked.key, text=press.text,
            allows_explicit=False, is_acknowledged=False, is_confirmed=is_confirmed,
            callback=self._callback(turn.asked),
        )  # fmt: skip
        await self._post(turn, jobs)

    async def _post(self, turn: Turn, jobs: list[Job]) -> None:
        """Give each job its message; where Slack does not take it now, the job is drawn all the same."""
        turn.ack()
        jobs = [job for job in jobs if job.status == Status.RECEIVED and job.id not in self._posting]
        self._posting |= {job.id for job in jobs}  # a second delivery, or a second press, leaves them alone
        try:
            await self._require_served(turn.asked, jobs)
            await self._post_each(jobs)
        finally:
            self._posting -= {job.id for job in jobs}
        if jobs and jobs[0].is_private and not turn.asked.channel_id.startswith("D"):
            await turn.tell(messages.answer(wording.IN_MESSAGES))

    async def _require_served(self, asked: Asked, jobs: list[Job]) -> None:
        """Who somebody is takes a question to Slack, which has its acknowledgement by now."""
        try:
            await self._person(asked)
        except NotServed:
            await self._studio.withdrawn(jobs)
            raise

    async def _post_each(self, jobs: list[Job]) -> None:
        for number, job in enumerate(jobs):
            try:
                await self._adapter.post(job)
            except Unposted as error:
                left = jobs[number:]
                await self._studio.withdrawn(left)
                invitation = f"/invite @{self._web.bot_name}"
                reason = _REASONS.get(error.fault, "closed")
                raise CannotPost(reason, invitation, tuple(each.id for each in left)) from None  # type: ignore[arg-type]
            except UNREACHED as error:
                log.warning("job %s: its message comes later: %s", job.id, type(error).__name__)
            await self._studio.acknowledged([job])

    async def recover(self) -> None:
        """After a restart: what was accepted and has no message yet gets one."""
        for job in await self._store.unanswered("slack"):
            url = await self._store.token(job.id, self._now_ms()) or ""
            identity = await self._store.identity(job.person_id, "slack")
            user_id, place = identity.user_id if identity else "", job.place
            asked = Asked("command", "", self._web.team_id, user_id, channel_id=place.channel_id, response_url=url)
            turn = Turn(replace(asked, thread_id=place.thread_id), self._web)
            async with self._answering(turn):
                await self._post(turn, [job])

    async def _show(self, turn: Turn, job: Job) -> None:
        """A job once more, only for the asker."""
        turn.ack()
        if uploads.done(job) and not await self._store.uploads(job.id):
            for image in uploads.done(job):
                path = stored_file(job, image.index, "jpg")
                await self._adapter.send_alone(job, image.index, path, "jpg", turn.asked.user_id)
        await turn.tell(await self._adapter.again(job))

    async def _delete(
        self, person: Person, place: Place, press: Press, index: int | None, *, is_moderator: bool
    ) -> Job:
        job = await self._studio.delete(person, press.job_id, index, place, is_moderator=is_moderator)
        if job.place.message_id:
            await self._adapter.remove(job)
        return job

    async def _person(self, asked: Asked, *, is_checked: bool = True) -> Person:
        """Raises NotServed, if that is known without asking Slack or `is_checked`; else `_post` asks."""
        member = self._people.known(asked.user_id)
        if is_checked or member:
            member = await self._people.require_may_draw(asked.user_id)
        name = member.name if member else ""
        return await self._studio.person(Identity("slack", self._web.team_id, asked.user_id, name))

    def _callback(self, asked: Asked) -> Callback:
        """What `recover` needs, should this process end before the job has its message."""
        return Callback(asked.response_url, self._now_ms() + RECOVERED_WITHIN_MS)

    async def _require_sight(self, asked: Asked, person: Person, job_id: str) -> None:
        """Who is in which channel is not asked of Slack: somebody else's job is known in its own channel alone."""
        job = await self._store.job(job_id)
        if job and job.person_id != person.id and job.place.channel_id != asked.channel_id:
            raise Unknown(job_id)

    async def _moderates(self, asked: Asked, person: Person, job: Job) -> bool:
        return job.person_id != person.id and await self._people.is_admin(asked.user_id)

    def _place(self, asked: Asked) -> Place:
        return replace(asked.place, workspace_id=self._web.team_id)

    def _named(self, text: str) -> str:
        """The commands by the names that they have here."""
        draw, ask, _ = self._commands
        return text.replace("`/imagine", f"`{draw}").replace("`/limner ", f"`{ask} ")

    @asynccontextmanager
    async def _answering(self, turn: Turn) -> AsyncIterator[None]:
        """The outermost handler: a refusal or a fault becomes one private sentence, with what can be done next."""
        try:
            yield
        except Refused as error:
            await self._refuse(turn, error)
        except SlackApiError as error:
            if fault(error) == Fault.NO_TRIGGER:
                log.info("%s came too late for a form", turn.asked.kind)
            else:
                await self._broken(turn, error)
        except Exception as error:
            await self._broken(turn, error)
        finally:
            turn.ack()

    async def _refuse(self, turn: Turn, error: Refused) -> None:
        asked, it = turn.asked, wording.refusal(error, clock)
        if asked.kind == "form" and not isinstance(error, Unconfirmed):
            at_fields = forms.errors(error, it, asked.values)
            if turn.ack({"response_action": "errors", "errors": at_fields}):
                return
        if isinstance(error, CannotPost):
            one = len(error.job_ids) == 1
            names = ["Send by DM" if one else f"Send {number} by DM" for number, _ in enumerate(error.job_ids, 1)]
            steps = [Control(name, Press("dm", job_id)) for name, job_id in zip(names, error.job_ids, strict=True)]
        else:
            steps = self._offers.controls(it, asked.user_id, turn.what)
        if asked.kind != "home":
            await turn.tell(messages.sentence(replace(it, body=self._named(it.body)), steps))

    async def _broken(self, turn: Turn, error: Exception) -> None:
        reference = f"E-{secrets.token_hex(2)}"
        log.error("%s: a %s on Slack failed", reference, turn.asked.kind, exc_info=error)
        await turn.tell(messages.sentence(wording.broken(reference)))
