"""From what people do on Slack to the studio, and its answers back to them."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import cast

from slack_sdk.errors import SlackApiError

from bot import answers, asks, given, wording
from bot.admin import Actor, Admin
from bot.buttons import as_text
from bot.commands import Ask, Imagine, read_command
from bot.controls import Press, meant, more, read_press
from bot.errors import BadImage, BadOption, NotServed, Refused, SwitchedOff, Unknown
from bot.jobs import Identity, Job, Person
from bot.offers import Form, Offers
from bot.orders import Authority
from bot.privacy import Export
from bot.settings import Settings
from bot.slack import forms, messages, private
from bot.slack.adapter import SlackAdapter
from bot.slack.admin import WorkspacePlatform
from bot.slack.answering import answering
from bot.slack.echo import Echo
from bot.slack.home import Home
from bot.slack.interactions import Asked, Turn
from bot.slack.messages import clock, moment
from bot.slack.people import People
from bot.slack.web import UNREACHED, Web
from bot.store import Store
from bot.studio import Studio
from engine.catalogue import Catalogue


class Desk:
    """Everything that a person can do; each turn is answered, whatever happens."""

    def __init__(
        self, settings: Settings, studio: Studio, store: Store, adapter: SlackAdapter, web: Web, admin: Admin, *,
        models: Catalogue, given_folder: Path, now_ms: Callable[[], int],
    ):  # fmt: skip
        self._studio, self._store, self._adapter, self._web, self._models = studio, store, adapter, web, models
        self._given_folder, self._given_turns = given_folder, asyncio.Semaphore(given.AT_ONCE)
        self._file_hosts = frozenset(settings.slack_file_hosts)
        self._people, self._offers = People(settings, web), Offers()
        self._admin, self._home = admin, Home(web, studio, store, now_ms)
        admin.platforms["slack"] = WorkspacePlatform(web, self._people, adapter)
        self._echo = Echo(studio, store, adapter, web, self._people, models=models, now_ms=now_ms)
        self._default_model = settings.model

    async def take(self, turn: Turn) -> None:
        asked = turn.asked
        async with answering(turn, self._web, self._offers):
            match asked.kind:
                case "command":
                    await self._command(turn)
                case "press":
                    await self._pressed(turn)
                case "form":
                    await self._submitted(turn)
                case "shortcut":
                    await self._open_new_image(turn)
                case "menu":
                    await self._menu(turn)
                case "mention":
                    await self._mentioned(turn)
                case "home":
                    await self._show_home(asked)
                case "gone":
                    with suppress(SlackApiError):
                        await self._web.auth_test()  # if it is refused, that ends the process

    async def _command(self, turn: Turn) -> None:
        asked = turn.asked
        if asked.team_id != self._web.team_id:
            raise NotServed("team")
        commands = self._web.commands
        if asked.command not in commands:
            raise BadOption(asked.command, "unknown", allowed=" ".join(commands))
        match commands.index(asked.command):
            case 0 if not asked.text:
                await self._open_new_image(turn)
            case 0:
                await self._imagine(turn, Imagine(asked.text))
            case 1:
                await self._do(turn, read_command(f"/limner {asked.text}"))
            case _:
                await self._order(turn, asked.text or "help")

    async def _do(self, turn: Turn, what: Imagine | Ask | Press, *, is_confirmed: bool = False) -> None:
        match what:
            case Imagine():
                await self._imagine(turn, what, is_confirmed=is_confirmed)
            case Press():
                await self._child(turn, what, is_confirmed=is_confirmed)
            case Ask():
                await self._ask(turn, what)

    async def _imagine(
        self, turn: Turn, what: Imagine, pictures: Mapping[str, str] | None = None, *, is_confirmed: bool = False
    ) -> None:
        """`pictures`: the files of "image" and "mask", to be fetched."""
        turn.what = what
        if pictures:
            turn.picture = next(iter(pictures))  # so that it is acknowledged in time
            await self._people.require_may_draw(turn.asked.user_id)
        for turn.picture, file_id in (pictures or {}).items():
            what = replace(what, options={**what.options, turn.picture: str(await self._take(file_id))})
        turn.what = what
        await self._echo.draw(turn, what, is_confirmed=is_confirmed)

    async def _take(self, file_id: str) -> Path:
        """The path of a plain PNG of what somebody attached, which Slack keeps behind the bot's token."""
        try:
            file = (await self._web.files_info(file=file_id)).get("file") or {}
        except UNREACHED:
            raise BadImage("unreachable") from None
        url = str(file.get("url_private_download") or file.get("url_private") or "")
        source = given.Source(url, file.get("size"), file.get("mimetype") or None, str(self._web.token))
        return await given.take(
            source, allowed_hosts=self._file_hosts, folder=self._given_folder, turns=self._given_turns
        )

    async def _ask(self, turn: Turn, ask: Ask) -> None:
        """`/limner …`: an answer only for the asker, or jobs that are drawn where it was asked."""
        turn.ack()
        asked = turn.asked
        person = await self._echo.person(asked)
        if ask.args:
            await self._require_sight(asked, ask.args[0])
        answered = await asks.answer(
            self._studio, person, self._echo.place(asked), ask,
            when=moment, quote=messages.plain, file_bytes=private.EXPORT_BYTES,
        )  # fmt: skip
        match answered:
            case Press():
                await self._child(turn, answered)
            case Job():
                await private.job_again(turn, self._adapter, self._store, answered)
            case Export():
                await private.export(turn, self._adapter, answered)
            case str():
                await turn.say(answered)

    async def _order(self, turn: Turn, text: str) -> None:
        """`/limner-admin …`: an answer only for its giver. Who may is asked of Slack at each use."""
        turn.ack()
        asked, person = turn.asked, await self._echo.person(turn.asked)
        actor = Actor(person, await self._authority(asked), self._echo.place(asked))
        answer = await self._admin.administer(actor, text, key=asked.key, when=moment, quote=messages.plain)
        for name, data in answer.attached(messages.MAX_TEXT):
            await self._adapter.send_alone(asked.user_id, name, data, alt_text=name)
        await turn.say(answer.text)

    async def _pressed(self, turn: Turn) -> None:
        """A button of any message, of this release or an older one."""
        asked, press = turn.asked, read_press(turn.asked.text)
        turn.what = press
        match press:
            case None:
                raise Unknown
            case Press("new"):
                await self._open_new_image(turn)
            case Press("pause" | "resume"):
                await self._order(turn, press.verb)
                await self._show_home(asked)
            case Press("home"):
                await self._show_home(asked)
            case Press("offer"):
                await self._take_offer(turn, press)
            case Press("remix"):
                await self._open_remix(turn, press)
            case _:
                await self._on_job(turn, press)

    async def _on_job(self, turn: Turn, press: Press) -> None:
        """What is pressed under a job, or in the menu of its message."""
        asked, place = turn.asked, self._echo.place(turn.asked)
        person = await self._echo.person(asked, is_checked=False)
        await self._require_sight(asked, press.job_id)
        job = await self._studio.job(person, press.job_id, place)
        if asked.job_id == job.id:
            await self._adapter.reconcile(job, asked.channel_id, asked.message_id)
        press = meant(press, job)
        if press.verb in ("info", "more", "cancel", "delete", "how", "original", "dm"):  # what makes no job
            turn.ack()
            await self._echo.person(asked)
        match press.verb:
            case "info":
                view = await self._studio.info(person, job.id, press.index, place)
                facts = [(label, self._web.named(value)) for label, value in answers.info(view, moment)]
                await turn.tell(messages.facts(facts))
            case "more":
                await turn.say(f"`{job.id}` image {press.index + 1}", more(job, press.index))
            case "cancel":
                await self._studio.cancel(person, job.id, place, is_moderator=await self._moderates(asked, person, job))
            case "delete":
                is_moderator = await self._moderates(asked, person, job)
                job = await self._studio.delete(person, job.id, press.index, place, is_moderator=is_moderator)
                await self._adapter.remove(job)
                await turn.say(f"Deleted `{job.id}` image {press.index + 1}.")
            case "how" | "original":
                await private.file(turn, self._adapter, job, press)
            case "report":
                is_new = await self._studio.report(person, job.id, press.index, place)
                await turn.say(answers.reported(is_new))
            case "dm":
                turn.asked = replace(asked, channel_id=await self._adapter.direct(asked.user_id), thread_id=None)
                await self._child(turn, Press("again", job.id))
                if not press.index:  # else the message has the buttons of so many others, too
                    await turn.take_away()
            case _:
                await self._child(turn, press)

    async def _submitted(self, turn: Turn) -> None:
        """A form of ours; it works after a restart too, since it says what it is about."""
        asked, press = turn.asked, read_press(turn.asked.text)
        what, pictures, where = forms.filled_in(asked.values)
        turn.asked = replace(asked, channel_id=asked.channel_id or where)
        match press:
            case Press("imagine"):
                await self._imagine(turn, what, pictures)
            case Press("edit"):
                await self._imagine(turn, self._offers.edited(press, asked.user_id, what.text))
            case Press("remix"):
                await self._child(turn, replace(press, text=f"/imagine {what.text}"))
            case _:
                raise Unknown

    async def _menu(self, turn: Turn) -> None:
        """A message shortcut: on a job's message, or on that of its files."""
        asked = turn.asked
        job = await self._store.chat.job_of_message("slack", asked.message_id)
        job = job or (await self._store.chat.job_of_upload(asked.file_id) if asked.file_id else None)
        if job is None or job.place.channel_id != asked.channel_id or asked.text not in ("reroll", "remix", "info"):
            raise Unknown
        index = next((image.index for image in job.stored), 0)
        turn.what = press = Press(asked.text, job.id, index)
        if press.verb == "remix":
            return await self._open_remix(turn, press)
        await self._on_job(turn, press)

    async def _mentioned(self, turn: Turn) -> None:
        """In a thread of ours, a mention says what changes: `--seed 7`, `at night`. Elsewhere it is a prompt."""
        asked = turn.asked
        job = await self._in_thread(asked) if asked.thread_id and not asked.file_id else None
        if job and asked.text:
            await self._child(turn, Press("remix", job.id, 0, asked.text))
        else:
            await self._imagine(turn, Imagine(asked.text), {"image": asked.file_id} if asked.file_id else None)

    async def _in_thread(self, asked: Asked) -> Job | None:
        thread_id = cast(str, asked.thread_id)
        job = await self._store.chat.newest_in("slack", thread_id) or await self._store.chat.job_of_message(
            "slack", thread_id
        )
        return job if job and job.place.channel_id == asked.channel_id else None

    async def recover(self, older_ms: int = 0) -> None:
        """What was accepted so long ago, and has no message yet, gets one."""
        async for turn, job in self._echo.left(older_ms):
            async with answering(turn, self._web, self._offers):
                await self._echo.post(turn, [job])

    async def _show_home(self, asked: Asked) -> None:
        try:
            person, is_admin = await self._echo.person(asked), await self._authority(asked) >= Authority.ADMIN
            await self._home.publish(person, asked.user_id, is_admin=is_admin)
        except Refused as error:
            await self._home.tell(asked.user_id, wording.refusal(error, clock))

    async def _open_new_image(self, turn: Turn) -> None:
        """The form is opened before anything is looked up, since its trigger lasts three seconds."""
        asked, styles = turn.asked, self._studio.styles
        view_id = await turn.open(forms.new_image(self._models, self._default_model, styles))
        if asked.channel_id and len(self._models) > 1:
            person = await self._echo.person(asked, is_checked=False)
            here = await self._studio.gate.at(person, self._echo.place(asked))
            with suppress(SwitchedOff):  # there are other places
                if len(here.models) < len(self._models):
                    view = forms.new_image(here.models, here.default_model, styles)
                    await self._web.views_update(view_id=view_id, view=view)

    async def _open_remix(self, turn: Turn, press: Press) -> None:
        """As a new image's, the form is there before what it is filled with."""
        asked = turn.asked
        view_id = await turn.open(forms.text_form("Remix", press, None))
        try:
            person = await self._echo.person(asked)
            await self._require_sight(asked, press.job_id)
            job = await self._studio.job(person, press.job_id, self._echo.place(asked))
            text = as_text(job, press.index, self._models)
            view = forms.text_form("Remix", press, text, turn.here)
        except Refused as error:
            view = forms.told("Remix", wording.refusal(error, clock))
        await self._web.views_update(view_id=view_id, view=view)

    async def _take_offer(self, turn: Turn, press: Press) -> None:
        asked = turn.asked
        offer = self._offers.take(press, asked.user_id)
        if isinstance(offer, Form):
            await turn.open(forms.text_form("Edit", offer.press, offer.text, turn.here))
        else:
            await self._do(turn, offer, is_confirmed=True)
            await turn.take_away()

    async def _child(self, turn: Turn, press: Press, *, is_confirmed: bool = False) -> None:
        turn.what = press
        await self._require_sight(turn.asked, press.job_id)
        await self._echo.draw(turn, press, is_confirmed=is_confirmed)

    async def _require_sight(self, asked: Asked, job_id: str) -> None:
        """Who is in which channel is not asked of Slack: somebody else's job is known in its own channel alone."""
        job = await self._store.job(job_id)
        if job is None or job.place.channel_id == asked.channel_id:
            return
        owner = await self._store.identity(job.person_id, "slack")
        if owner is None or owner.user_id != asked.user_id:
            raise Unknown(job_id)

    async def _moderates(self, asked: Asked, person: Person, job: Job) -> bool:
        return job.person_id != person.id and await self._authority(asked) >= Authority.MODERATOR

    async def _authority(self, asked: Asked) -> Authority:
        found = await self._people.authority(asked.user_id)
        return self._admin.authority(Identity("slack", self._web.team_id, asked.user_id), found)
