"""From what people do on Discord to the studio, and its answers back to them."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import discord

from bot import answers, asks, given, wording
from bot.admin import Admin
from bot.buttons import as_text, stored_image
from bot.commands import Ask, Imagine
from bot.controls import Press, meant, more, read_press
from bot.discord import admin as orders
from bot.discord import messages, private
from bot.discord.adapter import DiscordAdapter
from bot.discord.echo import Echo
from bot.discord.faults import Fault, fault
from bot.discord.interactions import (
    SEEN_BY_ALL,
    callback_of,
    is_age_restricted,
    place_of,
    reply,
    require_permissions,
    tell,
    typed,
    without_mentions,
)
from bot.discord.messages import moment
from bot.errors import Refused, SwitchedOff, Unknown
from bot.jobs import Identity, Job, Person, Place
from bot.logs import broken
from bot.offers import Form, Offers
from bot.phrases import clip
from bot.privacy import Export
from bot.store import Store
from bot.studio import Studio
from engine.catalogue import Catalogue, Model

log = logging.getLogger(__name__)


class Desk:
    """Everything that a person can do; each method answers its interaction, whatever happens."""

    def __init__(
        self,
        studio: Studio,
        store: Store,
        adapter: DiscordAdapter,
        admin: Admin,
        *,
        models: Catalogue,
        take: Callable[[given.Source], Awaitable[Path]],
    ):
        self._studio, self._store, self._adapter, self._models = studio, store, adapter, models
        self._admin, self._take = admin, take
        self._echo, self._offers = Echo(studio, store, adapter, models), Offers()
        self.recover = self._echo.recover

    @property
    def styles(self) -> Iterable[str]:
        return self._studio.styles

    async def models_here(self, interaction: discord.Interaction) -> list[Model]:
        """Those that may draw for this person in this channel."""
        here = await self._studio.gate.at(await self.person(interaction.user), place_of(interaction))
        with suppress(SwitchedOff):
            return list(here.models.values())
        return []

    async def imagine(
        self,
        interaction: discord.Interaction,
        asked: Imagine,
        pictures: Mapping[str, discord.Attachment] = {},
        *,
        is_confirmed: bool = False,
    ) -> None:
        """`pictures`: "image" and "mask", to be fetched; those of `asked.options` are here already."""
        async with self._answering(interaction, asked):
            require_permissions(interaction)
            person = await self.person(interaction.user)
            if pictures:  # fetching them may take longer than Discord waits
                own, whole = await self._studio.defaults(person), replace(asked, options={**asked.options, **pictures})
                is_private = self._studio.parsed(whole, defaults=own).is_private
                await interaction.response.defer(ephemeral=is_private, thinking=True)
                interaction.extras[SEEN_BY_ALL] = not is_private
                sources = {name: given.Source(it.url, it.size, it.content_type) for name, it in pictures.items()}
                taken = {name: str(await self._take(source)) for name, source in sources.items()}
                asked = replace(asked, options={**asked.options, **taken})
                return await self.imagine(interaction, asked, is_confirmed=is_confirmed)  # offers keep the pictures too
            jobs = await self._draw(interaction, person, place_of(interaction), asked, is_confirmed)
            await self._echo.answer(interaction, jobs)

    async def ask(self, interaction: discord.Interaction, ask: Ask) -> None:
        """`/limner …`: an answer only for the asker, or jobs that are drawn where it was asked."""
        async with self._answering(interaction):
            person, place = await self.person(interaction.user), place_of(interaction)
            if ask.args:
                await self._require_sight(interaction, person, ask.args[0])
            if ask.verb == "privacy":  # it may take longer than Discord waits
                await interaction.response.defer(ephemeral=True, thinking=True)
            answered = await asks.answer(
                self._studio,
                person,
                place,
                ask,
                when=moment,
                quote=messages.plain,
                file_bytes=interaction.filesize_limit,
            )
            match answered:
                case Press():
                    await self._child(interaction, person, place, answered, is_here=True)
                case Job():
                    await private.job_again(interaction, answered, adapter=self._adapter, studio=self._studio)
                case Export():
                    await private.export(interaction, answered)
                case str():
                    await tell(interaction, clip(answered, messages.MAX_CONTENT))

    async def order(self, interaction: discord.Interaction, text: str) -> None:
        """`/limner-admin …`: who may is asked of Discord at each use."""
        async with self._answering(interaction):
            await orders.give(self._admin, interaction, await self.person(interaction.user), text)

    async def failed(self, interaction: discord.Interaction, error: discord.app_commands.AppCommandError) -> None:
        """What was sent is no command that is registered now: somebody's Discord shows one of an older release."""
        async with self._answering(interaction):
            if isinstance(error, discord.app_commands.CommandInvokeError):
                raise error.original
            raise Refused("this command has changed: reload Discord") from error

    async def pressed(self, interaction: discord.Interaction) -> None:
        """A button of any message, of this release or an older one."""
        data: Any = interaction.data or {}
        press = read_press(str(data.get("custom_id", "")))
        async with self._answering(interaction, press):
            if press is None:
                raise Unknown
            if press.verb == "offer":
                return await self._take_offer(interaction, press)
            person, place = await self.person(interaction.user), place_of(interaction)
            await self._require_sight(interaction, person, press.job_id)
            await self._pressed(interaction, person, place, press)

    async def _pressed(self, interaction: discord.Interaction, person: Person, place: Place, press: Press) -> None:
        job = await self._studio.job(person, press.job_id, place)
        press = meant(press, job)
        match press.verb:
            case "remix" if not press.text:
                await private.form(interaction, "Remix", press, as_text(job, press.index, self._models))
            case "info":
                view = await self._studio.info(person, job.id, press.index, place)
                await tell(interaction, messages.facts(answers.info(view, moment)))
            case "more":
                buttons = messages.view(more(job, press.index))
                await tell(interaction, f"`{job.id}` image {press.index + 1}", buttons)
            case "cancel":
                is_moderator = await self._moderates(interaction, job.id)
                await self._studio.cancel(person, job.id, place, is_moderator=is_moderator)
                await interaction.response.defer()
            case "delete":
                await self._delete(interaction, person, place, job.id, press.index)
            case "report":
                is_new = await self._studio.report(person, job.id, press.index, place)
                await tell(interaction, answers.reported(is_new))
            case "how" | "original":
                await private.file(interaction, job, press)
            case _:
                await self._child(interaction, person, place, press)

    async def submitted(self, interaction: discord.Interaction) -> None:
        """A form of ours; it works after a restart too, since its id says what it is about."""
        data: Any = interaction.data or {}
        press, text = read_press(str(data.get("custom_id", ""))), typed(data.get("components", []))
        press = press and replace(press, text=f"/imagine {text}")
        async with self._answering(interaction, press):
            if press is None:
                raise Unknown
            if press.verb == "edit":
                return await self.imagine(interaction, self._offers.edited(press, str(interaction.user.id), text))
            person, place = await self.person(interaction.user), place_of(interaction)
            await self._require_sight(interaction, person, press.job_id)
            if press.verb == "input":
                source = stored_image(await self._studio.job(person, press.job_id, place), press.index)
                return await self.imagine(interaction, Imagine(text, {"image": source.path}))
            await self._child(interaction, person, place, press)

    async def menu(self, interaction: discord.Interaction, verb: str, message: discord.Message) -> None:
        """A message menu: Image info, Re-roll, Use as input, Delete."""
        async with self._answering(interaction):
            job = await self._store.chat.job_of_message("discord", str(message.id))
            if job is None:
                raise Unknown
            person, place = await self.person(interaction.user), place_of(interaction)
            press = Press(verb, job.id, next((image.index for image in job.stored), 0))
            match verb:
                case "delete":  # all of its pictures
                    await self._delete(interaction, person, place, job.id, None)
                case "input":
                    await private.form(interaction, "Draw over this picture", press, wording.title(job))
                case _:
                    await self._pressed(interaction, person, place, press)

    async def mentioned(self, message: discord.Message) -> None:
        """In a thread of ours, a mention or a reply says what changes: `--seed 7`, `at night`."""
        text = without_mentions(message)
        replied = message.reference and message.reference.message_id
        job = await self._store.chat.job_of_message("discord", str(replied)) if replied else None
        thread_id = str(message.channel.id)
        job = job or await self._store.chat.newest_in("discord", thread_id)
        job = job or await self._store.chat.job_of_message("discord", thread_id)
        if job is None or not text or message.guild is None:
            return None
        parent_id = getattr(message.channel, "parent_id", None)
        place = Place("discord", str(message.guild.id), str(parent_id), thread_id)
        press = Press("remix", job.id, 0, text)
        try:
            person, key = await self.person(message.author), f"discord:{message.id}"
            jobs = await self._studio.draw(
                person, place, press, key=key, is_acknowledged=False, is_confirmed=False,
                allows_explicit=is_age_restricted(message.channel),
            )  # fmt: skip
            if not jobs[0].is_private:
                return await self._echo.post(jobs)
            await self._studio.withdrawn(jobs)  # only the answer to an interaction can be shown to one person alone
            it = wording.Sentence("A private picture needs `/imagine` or a button", "Nothing was charged.")
        except Refused as error:
            it = wording.refusal(error, moment)
        except Exception as error:
            it = wording.broken(broken(f"message {message.id}", error))
        steps = self._offers.controls(it, str(message.author.id), press)
        await reply(message, messages.sentence(it), messages.view(steps) if steps else None)

    async def person(self, user: discord.abc.User) -> Person:
        """One person on all servers: adding the bot to more of them multiplies nothing."""
        identity = Identity("discord", "", str(user.id), clip(user.display_name, 80))
        return await self._studio.person(identity, orders.roles_of(user))

    async def _child(
        self, interaction: discord.Interaction, person: Person, place: Place, press: Press,
        *, is_confirmed: bool = False, is_here: bool = False,
    ) -> None:  # fmt: skip
        """What a button makes goes to the thread of what it came from, or `is_here` into the answer."""
        require_permissions(interaction)
        jobs = await self._draw(interaction, person, place, press, is_confirmed)
        show = self._echo.answer if is_here or jobs[0].is_private else self._echo.follow
        await show(interaction, jobs)

    async def _draw(
        self, interaction: discord.Interaction, person: Person, place: Place, asked: Imagine | Press, is_confirmed: bool
    ) -> list[Job]:
        return await self._studio.draw(
            person, place, asked, key=f"discord:{interaction.id}", is_acknowledged=False, is_confirmed=is_confirmed,
            allows_explicit=is_age_restricted(interaction.channel), callback=callback_of(interaction),
        )  # fmt: skip

    async def _require_sight(self, interaction: discord.Interaction, person: Person, job_id: str) -> None:
        """A job of a channel that the person cannot see is unknown to them: ids are short, and can be guessed."""
        job = await self._store.job(job_id)
        if job is None or job.person_id == person.id or interaction.guild is None:
            return
        guild, thread_id = interaction.guild, job.place.thread_id
        channel = guild.get_channel(int(job.place.channel_id))
        sees = channel and channel.permissions_for(cast(discord.Member, interaction.user)).view_channel
        if thread_id and thread_id != str(interaction.channel_id):
            thread, root = guild.get_thread(int(thread_id)), await self._store.job(job.root_id)
            is_ours = root is not None and root.place.message_id == thread_id  # so it is as public as that message
            sees = sees and (is_ours or (thread is not None and not thread.is_private()))
        if not sees:
            raise Unknown(job_id)

    async def _take_offer(self, interaction: discord.Interaction, press: Press) -> None:
        match self._offers.take(press, str(interaction.user.id)):
            case Form(form, text):
                await private.form(interaction, "Edit", form, text)
            case Ask() as ask:
                await self.ask(interaction, ask)
            case Press() as agreed:
                person, place = await self.person(interaction.user), place_of(interaction)
                await self._child(interaction, person, place, agreed, is_confirmed=True)
            case Imagine() as agreed:
                await self.imagine(interaction, agreed, is_confirmed=True)

    async def _delete(
        self, interaction: discord.Interaction, person: Person, place: Place, job_id: str, index: int | None
    ) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        is_moderator = await self._moderates(interaction, job_id)
        job = await self._studio.delete(person, job_id, index, place, is_moderator=is_moderator)
        await self._adapter.remove(job)
        await tell(interaction, f"Deleted `{job_id}`{'' if index is None else f' image {index + 1}'}.")

    async def _moderates(self, interaction: discord.Interaction, job_id: str) -> bool:
        """In the job's own channel, wherever it is pressed."""
        job, guild = await self._store.job(job_id), interaction.guild
        channel = guild.get_channel(int(job.place.channel_id)) if job and guild else None
        return bool(channel and channel.permissions_for(cast(discord.Member, interaction.user)).manage_messages)

    @asynccontextmanager
    async def _answering(
        self, interaction: discord.Interaction, asked: Imagine | Press | None = None
    ) -> AsyncIterator[None]:
        """The outermost handler: a refusal or a fault becomes one private sentence, with what can be done next."""
        try:
            yield
        except Refused as error:
            it = wording.refusal(error, moment)
            steps = self._offers.controls(it, str(interaction.user.id), asked)
            await tell(interaction, messages.sentence(it), messages.view(steps) if steps else None)
        except Exception as error:
            if fault(error) in (Fault.NO_TOKEN, Fault.IS_ANSWERED):
                log.info("interaction %s was answered already, or ended: %r", interaction.id, error)
            else:
                it = wording.broken(broken(f"interaction {interaction.id}", error))
                await tell(interaction, messages.sentence(it))
