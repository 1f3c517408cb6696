"""From what people do on Discord to the studio, and its answers back to them."""

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import discord

from bot import answers, asks, given, prompt, wording
from bot.adapter import Undeliverable
from bot.buttons import image_draw, stored_image
from bot.commands import Ask
from bot.discord import attachments, messages
from bot.discord.adapter import NO_ONE, DiscordAdapter
from bot.discord.faults import Fault, fault
from bot.discord.interactions import (
    SEEN_BY_ALL,
    UNREACHED,
    callback_of,
    is_age_restricted,
    place_of,
    reply,
    require_permissions,
    tell,
    typed,
    without_mentions,
)
from bot.discord.messages import CustomId, moment, read_custom_id
from bot.errors import Gone, NoPermission, Refused, Unconfirmed, Unknown
from bot.jobs import Identity, Job, Person, Place, Status
from bot.phrases import clip
from bot.store import Store
from bot.studio import Studio
from engine.catalogue import Catalogue

log = logging.getLogger(__name__)

MAX_OFFERS = 1000
_LOOK_UPS, _LONGEST_LOOK_UP_SECONDS = 34, 30.0  # together about as long as a token lasts
_EDIT = 1  # the index of an offer's button that opens the text for correction


@dataclass(frozen=True, slots=True)
class Offer:
    """What a button under a private answer would do: it holds what no custom_id can. Gone after a restart."""

    user_id: int
    text: str
    options: Mapping[str, object]
    remix_of: CustomId | None = None  # None: a command of its own


class Desk:
    """Everything that a person can do; each method answers its interaction, whatever happens."""

    def __init__(
        self,
        studio: Studio,
        store: Store,
        adapter: DiscordAdapter,
        *,
        models: Catalogue,
        given_folder: Path,
        given_turns: asyncio.Semaphore,
        allowed_hosts: frozenset[str],
    ):
        self._studio, self._store, self._adapter, self._models = studio, store, adapter, models
        self._given_folder, self._given_turns, self._allowed_hosts = given_folder, given_turns, allowed_hosts
        self._offers: OrderedDict[str, Offer] = OrderedDict()

    @property
    def styles(self) -> Iterable[str]:
        return self._studio.styles

    async def imagine(
        self, interaction: discord.Interaction, text: str, options: dict[str, object],
        image: discord.Attachment | None = None, *, is_confirmed: bool = False,
    ) -> None:  # fmt: skip
        async with self._answering(interaction, Offer(interaction.user.id, text, options)):
            require_permissions(interaction)
            is_private = bool(options.get("private"))
            if image is not None:  # fetching it may take longer than Discord waits
                await interaction.response.defer(ephemeral=is_private, thinking=True)
                interaction.extras[SEEN_BY_ALL] = not is_private
                options = options | {"image": str(await self._take(image))}
            jobs = await self._studio.imagine(
                await self.person(interaction.user),
                place_of(interaction),
                text,
                key=f"discord:{interaction.id}",
                options=options,
                is_acknowledged=False,
                is_confirmed=is_confirmed,
                allows_explicit=is_age_restricted(interaction.channel),
                callback=callback_of(interaction),
            )
            await self._answer(interaction, jobs)

    async def ask(self, interaction: discord.Interaction, ask: Ask) -> None:
        """`/limner …`: an answer only for the asker, or jobs that are drawn where it was asked."""
        async with self._answering(interaction):
            person, place = await self.person(interaction.user), place_of(interaction)
            if ask.args:
                await self._require_sight(interaction, person, ask.args[0])
            if ask.verb == "reroll":
                require_permissions(interaction)
                job_id, seed = ask.args[0], ask.args[1:]
                jobs = await self._press(interaction, person, place, *_as_press(job_id, seed))
                return await self._answer(interaction, jobs)
            answered = await asks.answer(
                self._studio, person, place, ask,
                key=f"discord:{interaction.id}", when=moment, models=self._models, quote=messages.plain,
            )  # fmt: skip
            if isinstance(answered, str):
                return await tell(interaction, clip(answered, messages.MAX_CONTENT))
            await self._show(interaction, answered[0])

    async def moderate(self, interaction: discord.Interaction, verb: str, job_id: str) -> None:
        """`/limner-admin job …`: who may is asked of Discord at each use."""
        async with self._answering(interaction):
            if not interaction.permissions.manage_guild:
                raise NoPermission("you", "Manage Server")
            person, place = await self.person(interaction.user), place_of(interaction)
            match verb:
                case "cancel":
                    job = await self._studio.cancel(person, job_id, place, is_moderator=True)
                case "delete":
                    job = await self._delete(interaction, person, place, job_id, None, is_moderator=True)
                case _:
                    job = await self._studio.job(person, job_id, place)
            await tell(interaction, messages.content(job, None, f"<@{await self._user_id(job)}>"))

    async def pressed(self, interaction: discord.Interaction) -> None:
        """A button of any message, of this release or an older one."""
        data: Any = interaction.data or {}
        asked = read_custom_id(str(data.get("custom_id", "")))
        async with self._answering(interaction, Offer(interaction.user.id, "", {}, asked)):
            if asked is None:
                raise Unknown
            if asked.verb == "offer":
                return await self._take_offer(interaction, asked)
            person, place = await self.person(interaction.user), place_of(interaction)
            job_id, index = asked.job_id, asked.index
            await self._require_sight(interaction, person, job_id)
            match asked.verb:
                case "remix":
                    job = await self._studio.job(person, job_id, place)
                    await interaction.response.send_modal(self._form("Remix", asked, self._as_text(job, index)))
                case "pick" if wording.drawn(await self._studio.job(person, job_id, place)).quality == "full":
                    await self._info(interaction, person, place, job_id, index)
                case "info":
                    await self._info(interaction, person, place, job_id, index)
                case "more":
                    job = await self._studio.job(person, job_id, place)
                    await tell(interaction, f"`{job.id}` image {index + 1}", messages.more(job, index))
                case "cancel":
                    is_moderator = interaction.permissions.manage_messages
                    await self._studio.cancel(person, job_id, place, is_moderator=is_moderator)
                    await interaction.response.defer()
                case "delete":
                    is_moderator = interaction.permissions.manage_messages
                    job = await self._delete(interaction, person, place, job_id, index, is_moderator=is_moderator)
                    await tell(interaction, f"Deleted `{job.id}` image {index + 1}.")
                case "how" | "original":
                    await self._file(interaction, person, place, asked)
                case "draft":
                    remix = CustomId("remix", job_id, index)
                    await self._child(interaction, person, place, remix, "--quality draft")
                case verb:
                    verb = "full_size" if verb == "pick" else verb
                    await self._child(interaction, person, place, CustomId(verb, job_id, index))

    async def submitted(self, interaction: discord.Interaction) -> None:
        """A form of ours; it works after a restart too, since its id says what it is about."""
        data: Any = interaction.data or {}
        asked = read_custom_id(str(data.get("custom_id", "")))
        text = typed(data.get("components", []))
        async with self._answering(interaction, Offer(interaction.user.id, text, {}, asked)):
            if asked is None:
                raise Unknown
            if asked.verb == "edit":
                return await self.imagine(interaction, text, {})
            person, place = await self.person(interaction.user), place_of(interaction)
            if asked.verb == "input":
                source = stored_image(await self._studio.job(person, asked.job_id, place), asked.index)
                return await self.imagine(interaction, text, {"image": source.path})
            await self._child(interaction, person, place, asked, text=f"/imagine {text}")

    async def menu(self, interaction: discord.Interaction, verb: str, message: discord.Message) -> None:
        """A message menu: Image info, Re-roll, Use as input, Delete."""
        async with self._answering(interaction):
            job = await self._store.job_of_message("discord", str(message.id))
            if job is None:
                raise Unknown
            person, place = await self.person(interaction.user), place_of(interaction)
            index = next((image.index for image in attachments.done(job)), 0)
            match verb:
                case "info":
                    await self._info(interaction, person, place, job.id, index)
                case "delete":
                    is_moderator = interaction.permissions.manage_messages
                    await self._delete(interaction, person, place, job.id, None, is_moderator=is_moderator)
                    await tell(interaction, f"Deleted `{job.id}`.")
                case "input":
                    form = self._form("Draw over this picture", CustomId("input", job.id, index), wording.title(job))
                    await interaction.response.send_modal(form)
                case _:
                    await self._child(interaction, person, place, CustomId("reroll", job.id, index))

    async def mentioned(self, message: discord.Message) -> None:
        """In a thread of ours, a mention or a reply says what changes: `--seed 7`, `at night`."""
        text = without_mentions(message)
        replied = message.reference and message.reference.message_id
        job = await self._store.job_of_message("discord", str(replied)) if replied else None
        thread_id = str(message.channel.id)
        job = job or await self._store.newest_in("discord", thread_id)
        job = job or await self._store.job_of_message("discord", thread_id)
        if job is None or not text or message.guild is None:
            return
        parent_id = getattr(message.channel, "parent_id", None)
        place = Place("discord", str(message.guild.id), str(parent_id), thread_id)
        try:
            person, key = await self.person(message.author), f"discord:{message.id}"
            jobs = await self._studio.press(
                person, place, "remix", job.id, 0, key=key, text=text, is_acknowledged=False, is_confirmed=False,
                allows_explicit=is_age_restricted(message.channel),
            )  # fmt: skip
        except Refused as error:
            await reply(message, messages.sentence(wording.refusal(error, moment)))
            return
        if jobs[0].is_private:  # nothing can be shown to one person alone but the answer to an interaction
            await self._studio.withdrawn(jobs)
            await reply(message, "A private picture needs `/imagine` or a button. Nothing was charged.")
            return
        await self._post(jobs)

    async def recover(self) -> None:
        """After a restart: of what was being answered, Discord knows whether the answer arrived."""
        for job in await self._store.unanswered("discord"):
            token = await self._store.token(job.id, job.created_ms)
            message_id = await self._answered_in(token) if token else None
            if message_id is None:
                await self._studio.withdrawn([job])
            elif await self._store.job_of_message("discord", message_id):  # a button, on the message of another job
                with suppress(NoPermission):
                    await self._post([job])
            else:
                await self._studio.acknowledged([job], message_id=message_id)

    async def person(self, user: discord.abc.User) -> Person:
        """One person on all servers: adding the bot to more of them multiplies nothing."""
        return await self._studio.person(Identity("discord", "", str(user.id), clip(user.display_name, 80)))

    async def _answer(self, interaction: discord.Interaction, jobs: list[Job]) -> None:
        """Echo the first job in the answer itself, the others in messages of their own; then they may be drawn."""
        first, *others = jobs
        if first.place.message_id:  # Discord delivered this interaction twice
            return
        unknown = messages.plain(answers.unknown_line(first, self._models))
        content = messages.content(first, None, interaction.user.mention, remark=unknown)
        message_id = await self._echo(interaction, first, content)
        if message_id is None:
            await self._studio.withdrawn(jobs)
            return
        await self._studio.acknowledged([first], message_id=message_id)
        await self._post(others)

    async def _echo(self, interaction: discord.Interaction, job: Job, content: str) -> str | None:
        """The id of the message that answers; None if Discord did not take it."""
        shown: dict[str, Any] = {"view": messages.controls(job), "allowed_mentions": NO_ONE}
        try:
            if interaction.response.is_done():
                return str((await interaction.edit_original_response(content=content, **shown)).id)
            sent = await interaction.response.send_message(
                content, ephemeral=job.is_private, suppress_embeds=True, **shown
            )
            return str(sent.message_id)
        except UNREACHED as error:
            if fault(error) == Fault.NO_TOKEN:
                log.info("interaction %s ended before it was answered", interaction.id)
                return None
            log.warning("interaction %s: is it answered? %r", interaction.id, error)
            return await self._answered_in(interaction.token)

    async def _answered_in(self, token: str) -> str | None:
        """The message that answered an interaction, asked of Discord until it says; None if there is none."""
        webhook, original = await self._adapter.by_token(token), cast(int, "@original")
        for attempt in range(_LOOK_UPS):
            try:
                return str((await webhook.fetch_message(original)).id)
            except UNREACHED as error:
                if fault(error) != Fault.PASSING:
                    return None
                await asyncio.sleep(min(_LONGEST_LOOK_UP_SECONDS, 0.5 * 2**attempt))
        return None

    async def _child(
        self, interaction: discord.Interaction, person: Person, place: Place, asked: CustomId, text: str = "",
        *, is_confirmed: bool = False,
    ) -> None:  # fmt: skip
        """What a button makes goes to the thread of what it came from."""
        require_permissions(interaction)
        jobs = await self._press(
            interaction, person, place, asked.verb, asked.job_id, asked.index, text, is_confirmed=is_confirmed
        )
        if jobs[0].is_private:
            return await self._answer(interaction, jobs)
        if not interaction.response.is_done():
            await interaction.response.defer()
        await self._post(jobs)

    async def _press(
        self, interaction: discord.Interaction, person: Person, place: Place, verb: str, job_id: str, index: int,
        text: str, *, is_confirmed: bool = False,
    ) -> list[Job]:  # fmt: skip
        key, callback = f"discord:{interaction.id}", callback_of(interaction)
        return await self._studio.press(
            person, place, verb, job_id, index,
            key=key, text=text, is_acknowledged=False, is_confirmed=is_confirmed,
            allows_explicit=is_age_restricted(interaction.channel), callback=callback,
        )  # fmt: skip

    async def _post(self, jobs: list[Job]) -> None:
        """Give each job its message; where Discord does not take it now, the job is drawn all the same."""
        for job in jobs:
            if job.place.message_id:
                continue
            try:
                await self._adapter.post(await self._in_thread(job))
            except Undeliverable:
                await self._studio.withdrawn([job])
                raise NoPermission("the bot", "Send Messages") from None
            except UNREACHED as error:
                log.warning("job %s: its message comes later: %r", job.id, error)
            await self._studio.acknowledged([job])

    async def _in_thread(self, job: Job) -> Job:
        """The job, and what is stored of it, in the thread of what it came from."""
        root = await self._store.job(job.root_id)
        if job.place.thread_id or root is None or job.lineage is None or job.lineage.verb == "again":
            return job
        if thread_id := await self._adapter.thread_for(root):
            await self._store.moved(job.id, thread_id=thread_id)
        return await self._store.job(job.id) or job

    async def _require_sight(self, interaction: discord.Interaction, person: Person, job_id: str) -> None:
        """A job of a channel that the person cannot see is unknown to them: ids are short, and can be guessed."""
        job = await self._store.job(job_id)
        if job is None or job.person_id == person.id or interaction.guild is None:
            return
        channel = interaction.guild.get_channel(int(job.place.channel_id))
        sees = channel and channel.permissions_for(cast(discord.Member, interaction.user)).view_channel
        if not sees:
            raise Unknown(job_id)

    async def _take_offer(self, interaction: discord.Interaction, asked: CustomId) -> None:
        offer = self._offers.get(asked.job_id)
        if offer is None or offer.user_id != interaction.user.id:
            raise Unknown
        if asked.index == _EDIT:
            text = offer.text.removeprefix("/imagine ")
            remixed = offer.remix_of if offer.remix_of and offer.remix_of.verb == "remix" else CustomId("edit")
            await interaction.response.send_modal(self._form("Edit", remixed, text))
            return None
        self._offers.pop(asked.job_id, None)
        if offer.text.startswith("/limner"):
            return await self.ask(interaction, Ask(offer.text.split()[1]))
        if offer.remix_of:
            person, place = await self.person(interaction.user), place_of(interaction)
            return await self._child(
                interaction, person, place, offer.remix_of, f"/imagine {offer.text}", is_confirmed=True
            )
        await self.imagine(interaction, offer.text, dict(offer.options), is_confirmed=True)

    async def _info(
        self, interaction: discord.Interaction, person: Person, place: Place, job_id: str, index: int
    ) -> None:
        facts = answers.info(await self._studio.info(person, job_id, index, place), moment)
        await tell(interaction, messages.facts(facts))

    async def _show(self, interaction: discord.Interaction, job: Job) -> None:
        """A job once more, only for the asker; one that waited for being asked is delivered by that."""
        content = messages.content(job, None, f"<@{await self._user_id(job)}>")
        if not attachments.done(job):
            return await tell(interaction, content)
        await interaction.response.defer(ephemeral=True, thinking=True)
        limit = min(interaction.filesize_limit, self._adapter.file_bytes(job.place))
        try:
            found = await attachments.pictures(job, limit)
        except FileNotFoundError:
            raise Gone from None
        await interaction.edit_original_response(
            content=content, attachments=found.files, view=messages.controls(job), allowed_mentions=NO_ONE
        )
        if job.status == Status.RENDERED and job.is_private:
            await self._studio.shown(job)

    async def _delete(
        self, interaction: discord.Interaction, person: Person, place: Place, job_id: str, index: int | None,
        *, is_moderator: bool,
    ) -> Job:  # fmt: skip
        await interaction.response.defer(ephemeral=True, thinking=True)
        job = await self._studio.delete(person, job_id, index, place, is_moderator=is_moderator)
        if job.place.message_id and not job.is_private:
            await self._adapter.remove(job)
        return job

    async def _file(self, interaction: discord.Interaction, person: Person, place: Place, asked: CustomId) -> None:
        job = await self._studio.job(person, asked.job_id, place)
        image = next((each for each in attachments.done(job) if each.index == asked.index), None)
        if image is None:
            raise Gone
        suffix = "strip.jpg" if asked.verb == "how" else "png"
        path = Path(image.path).with_suffix(f".{suffix}")
        await interaction.response.defer(ephemeral=True, thinking=True)
        try:
            data = await asyncio.to_thread(path.read_bytes)
        except FileNotFoundError:
            raise Gone from None
        if len(data) > interaction.filesize_limit:
            size, most = len(data) / 2**20, interaction.filesize_limit / 2**20
            await tell(interaction, f"The original has {size:.1f} MiB; at most {most:.0f} MiB can be sent here.")
            return
        await interaction.edit_original_response(
            attachments=[attachments.file(data, wording.file_name(job.id, image.index, suffix), job)]
        )

    async def _take(self, image: discord.Attachment) -> Path:
        source = given.Source(image.url, image.size, image.content_type)
        return await given.take(
            source, allowed_hosts=self._allowed_hosts, folder=self._given_folder, turns=self._given_turns
        )

    async def _user_id(self, job: Job) -> str:
        return await self._store.user_id(job.person_id, "discord") or "0"

    def _as_text(self, job: Job, index: int) -> str:
        return prompt.to_text(image_draw(job, index), self._models).removeprefix("/imagine ")

    def _form(self, title: str, asked: CustomId, text: str) -> discord.ui.Modal:
        form = discord.ui.Modal(title=title, custom_id=str(asked), timeout=None)
        field: discord.ui.TextInput[discord.ui.Modal] = discord.ui.TextInput(
            custom_id="text", default=text[:4000], max_length=4000, style=discord.TextStyle.paragraph
        )
        form.add_item(discord.ui.Label(text="Prompt and flags", component=field))
        return form

    def _offer(self, offer: Offer) -> str:
        name = secrets.token_hex(5)
        self._offers[name] = offer
        while len(self._offers) > MAX_OFFERS:
            self._offers.popitem(last=False)
        return name

    @asynccontextmanager
    async def _answering(self, interaction: discord.Interaction, asked: Offer | None = None) -> AsyncIterator[None]:
        """The outermost handler: a refusal or a fault becomes one private sentence, with what can be done next."""
        try:
            yield
        except Refused as error:
            it = wording.refusal(error, moment)
            await tell(interaction, messages.sentence(it), self._next_steps(interaction, it, asked, error))
        except discord.HTTPException as error:
            if fault(error) in (Fault.NO_TOKEN, Fault.IS_ANSWERED):
                log.info("interaction %s was answered already, or ended: %s", interaction.id, error.code)
            else:
                await self._broken(interaction, error)
        except Exception as error:
            await self._broken(interaction, error)

    async def _broken(self, interaction: discord.Interaction, error: Exception) -> None:
        reference = f"E-{secrets.token_hex(2)}"
        log.error("%s: interaction %s failed", reference, interaction.id, exc_info=error)
        it = wording.broken(reference)
        await tell(interaction, messages.sentence(it))

    def _next_steps(
        self, interaction: discord.Interaction, it: wording.Sentence, asked: Offer | None, error: Refused
    ) -> discord.ui.View | None:
        buttons = []
        for action in it.actions:
            if action.command:
                offer = Offer(interaction.user.id, action.command.removeprefix("/imagine "), {})
                buttons.append(messages.button("offer", action.label, self._offer(offer)))
            elif asked and action.verb in ("edit", "confirm") and (asked.text or isinstance(error, Unconfirmed)):
                index = _EDIT if action.verb == "edit" else 0
                buttons.append(messages.button("offer", action.label, self._offer(asked), index))
            elif action.verb == "again" and asked and asked.remix_of:
                buttons.append(messages.button("again", action.label, asked.remix_of.job_id, asked.remix_of.index))
        return messages.view(*buttons) if buttons else None


def _as_press(job_id: str, seed: tuple[str, ...]) -> tuple[str, str, int, str]:
    return ("remix", job_id, 0, f"--seed {seed[0]}") if seed else ("reroll", job_id, 0, "")
