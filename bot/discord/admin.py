"""`/limner-admin` on Discord: its subcommands become the text that `bot.orders` reads; who may is asked at each use."""

import io
from collections.abc import Awaitable, Callable
from typing import Any, Literal, cast

import discord
from discord import app_commands

from bot.admin import Actor, Admin, Answer
from bot.discord import messages
from bot.discord.adapter import NO_ONE, DiscordAdapter
from bot.discord.faults import Fault, fault
from bot.discord.interactions import place_of
from bot.discord.messages import moment
from bot.jobs import Identity, Job, Person
from bot.orders import FORMS, Authority, as_text
from bot.phrases import clip

Where = Literal["here", "everywhere"]
OnOff = Literal["on", "off"]
_Give = Callable[[discord.Interaction, str], Awaitable[None]]
_NAMES = {
    "person": "Who", "units": "Units in a window; or default", "until": "A span like 3d, or a date like 2026-12-01",
    "reason": "Why; it is written down", "role": "Whose members", "model": "Only of this model (for the operator)",
    "weight": "Of their jobs in the queue, 0.1 to 10 (for the operator)", "waiting": "Jobs of one person that may wait",
    "where": "For the operator: this server, or all", "job": "An id like k7q2", "days": "How many days back",
    "lines": "How many changes", "csv": "As a file", "rule": "The rule", "prompt": "The prompt to test",
    "channel": "This one, if none is named", "models": "Names with commas, or all", "largest": "The largest quality",
    "nsfw": "What is explicit, in age-restricted channels", "threads": "Whether threads are opened",
    "enabled": "Whether anything is drawn",
}  # fmt: skip


class GuildPlatform:
    """What orders need of Discord, asked when it is needed."""

    def __init__(self, client: discord.Client, adapter: DiscordAdapter):
        self._client, self._adapter = client, adapter

    async def member(self, workspace_id: str, user_id: str) -> Identity | None:
        guild = self._guild(workspace_id)
        if guild is None or not user_id.isdecimal():
            return None
        try:
            found = await guild.fetch_member(int(user_id))
        except discord.HTTPException as error:
            if fault(error) == Fault.PASSING:
                raise
            return None
        return Identity("discord", "", user_id, clip(found.display_name, 80))

    async def role(self, workspace_id: str, text: str) -> tuple[str, str] | None:
        guild = self._guild(workspace_id)
        found = [role for role in guild.roles if text in (str(role.id), role.name)] if guild else []
        return (str(found[0].id), found[0].name) if found else None

    async def remove(self, job: Job) -> None:
        if job.place.message_id and not job.is_private:
            await self._adapter.remove(job)

    def _guild(self, workspace_id: str) -> discord.Guild | None:
        return self._client.get_guild(int(workspace_id)) if workspace_id.isdecimal() else None


async def give(admin: Admin, interaction: discord.Interaction, person: Person, text: str) -> None:
    """Carry the order out and say so to its giver alone. Raises Refused."""
    identity = Identity("discord", "", str(interaction.user.id))
    actor = Actor(person, admin.authority(identity, authority_of(interaction)), place_of(interaction))
    await interaction.response.defer(ephemeral=True, thinking=True)
    key = f"discord:{interaction.id}"
    answer = await admin.administer(actor, text, key=key, when=moment, quote=messages.plain)
    await interaction.edit_original_response(
        content=clip(answer.text, messages.MAX_CONTENT), attachments=_files(answer), allowed_mentions=NO_ONE
    )


def authority_of(interaction: discord.Interaction) -> Authority:
    """What Discord says with this very interaction; in a conversation of two nobody is an admin."""
    if interaction.guild_id is None:
        return Authority.NOBODY
    if interaction.permissions.manage_guild:
        return Authority.ADMIN
    return Authority.MODERATOR if interaction.permissions.manage_messages else Authority.NOBODY


def roles_of(user: discord.abc.User) -> list[str]:
    return [str(role.id) for role in getattr(user, "roles", ())]


def _files(answer: Answer) -> list[discord.File]:
    files = [discord.File(io.BytesIO(data), name) for name, data in answer.files]
    if len(answer.text) > messages.MAX_CONTENT:
        files.append(discord.File(io.BytesIO(answer.text.encode()), "limner.txt"))
    return files


def build(give: _Give) -> app_commands.Group:
    """Hidden from who may not manage messages; what each may is decided at each use. In English only."""
    top = app_commands.Group(
        name="limner-admin",
        description="For who manages this server",
        default_permissions=discord.Permissions(manage_messages=True),
        allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=False, private_channel=False),
        auto_locale_strings=False,
    )
    groups = {
        name: app_commands.Group(name=name, description=meaning, parent=top, auto_locale_strings=False)
        for name, meaning in (
            ("quota", "Allowances"),
            ("job", "Anybody's job of this server"),
            ("words", "Refused words"),
        )
    }

    def add(verb: str, callback: Callable[..., Any]) -> None:
        first, _, second = verb.partition(" ")
        within, meaning = groups[first] if second else top, FORMS[verb].meaning
        command: app_commands.Command[Any, ..., Any] = app_commands.Command(
            name=second or first, description=meaning[:1].upper() + meaning[1:], callback=callback,
            auto_locale_strings=False,
        )  # fmt: skip
        for name in [parameter.name for parameter in command.parameters]:
            app_commands.describe(**{name: _NAMES[name]})(cast(Any, command))
        within.add_command(command)

    _of_quotas(add, give)
    _of_people_and_places(add, give)
    for verb in ("job show", "job cancel", "job retry", "job delete"):
        add(verb, _of_job(give, verb))
    _of_policies(add, give)
    return top


def _of_quotas(add: Callable[[str, Callable[..., Any]], None], give: _Give) -> None:
    async def show(it: discord.Interaction, person: discord.User | None = None, where: Where | None = None) -> None:
        await give(it, as_text("quota show", (_id(person),) if person else (), at=where))

    async def set_(
        it: discord.Interaction, person: discord.User, units: str, until: str | None = None, reason: str | None = None,
        model: str | None = None, where: Where | None = None,
    ) -> None:  # fmt: skip
        args = (_id(person), units)
        await give(it, as_text("quota set", args, until=until, reason=reason, model=model, at=where))

    async def grant(
        it: discord.Interaction, person: discord.User, units: str, until: str | None = None, reason: str | None = None,
        where: Where | None = None,
    ) -> None:  # fmt: skip
        await give(it, as_text("quota grant", (_id(person), units), until=until, reason=reason, at=where))

    async def reset(
        it: discord.Interaction, person: discord.User, reason: str | None = None, where: Where | None = None
    ) -> None:
        await give(it, as_text("quota reset", (_id(person),), reason=reason, at=where))

    async def role(
        it: discord.Interaction, role: discord.Role, units: str | None = None, until: str | None = None,
        reason: str | None = None, model: str | None = None, weight: str | None = None, waiting: int | None = None,
    ) -> None:  # fmt: skip
        terms = {"until": until, "reason": reason, "model": model, "weight": weight, "waiting": waiting}
        await give(it, as_text("quota role", (str(role.id), *([units] if units else [])), **terms))

    async def default(
        it: discord.Interaction, units: str | None = None, until: str | None = None, reason: str | None = None,
        model: str | None = None, waiting: int | None = None, where: Where | None = None,
    ) -> None:  # fmt: skip
        terms = {"until": until, "reason": reason, "model": model, "waiting": waiting, "at": where}
        await give(it, as_text("quota default", (units,) if units else (), **terms))

    async def place(it: discord.Interaction, units: str, until: str | None = None, reason: str | None = None) -> None:
        await give(it, as_text("quota place", (units,), until=until, reason=reason))

    for callback in (show, set_, grant, reset, role, default, place):
        add(f"quota {callback.__name__.strip('_')}", callback)


def _of_people_and_places(add: Callable[[str, Callable[..., Any]], None], give: _Give) -> None:
    async def block(
        it: discord.Interaction, person: discord.User, until: str | None = None, reason: str | None = None,
        where: Where | None = None,
    ) -> None:  # fmt: skip
        await give(it, as_text("block", (_id(person),), until=until, reason=reason, at=where))

    async def unblock(
        it: discord.Interaction, person: discord.User, reason: str | None = None, where: Where | None = None
    ) -> None:
        await give(it, as_text("unblock", (_id(person),), reason=reason, at=where))

    async def pause(
        it: discord.Interaction, until: str | None = None, reason: str | None = None, where: Where | None = None
    ) -> None:
        await give(it, as_text("pause", until=until, reason=reason, at=where))

    async def resume(it: discord.Interaction, reason: str | None = None, where: Where | None = None) -> None:
        await give(it, as_text("resume", reason=reason, at=where))

    async def stats(it: discord.Interaction, days: int | None = None, where: Where | None = None) -> None:
        await give(it, as_text("stats", (str(days),) if days else (), at=where))

    async def audit(
        it: discord.Interaction, lines: int | None = None, csv: bool = False, where: Where | None = None
    ) -> None:
        await give(it, as_text("audit", (str(lines),) if lines else (), at=where) + " --csv" * csv)

    async def doctor(it: discord.Interaction) -> None:
        await give(it, "doctor")

    async def help(it: discord.Interaction) -> None:
        await give(it, "help")

    for callback in (block, unblock, pause, resume, stats, audit, doctor, help):
        add(callback.__name__, callback)


def _of_policies(add: Callable[[str, Callable[..., Any]], None], give: _Give) -> None:
    async def words_add(it: discord.Interaction, rule: str, reason: str | None = None) -> None:
        await give(it, as_text("words add", (rule,), reason=reason))

    async def words_remove(it: discord.Interaction, rule: str, reason: str | None = None) -> None:
        await give(it, as_text("words remove", (rule,), reason=reason))

    async def words_test(it: discord.Interaction, prompt: str) -> None:
        await give(it, as_text("words test", (prompt,)))

    async def channel(
        it: discord.Interaction, channel: discord.TextChannel | None = None, models: str | None = None,
        largest: Literal["full", "draft"] | None = None, nsfw: OnOff | None = None, threads: OnOff | None = None,
        enabled: OnOff | None = None, reason: str | None = None,
    ) -> None:  # fmt: skip
        terms = {"models": models, "largest": largest, "nsfw": nsfw, "threads": threads, "enabled": enabled}
        await give(it, as_text("channel", (f"<#{channel.id}>",) if channel else (), **terms, reason=reason))

    for callback in (words_add, words_remove, words_test, channel):
        add(callback.__name__.replace("_", " "), callback)


def _of_job(give: _Give, verb: str) -> Callable[..., Any]:
    async def callback(it: discord.Interaction, job: str, reason: str | None = None) -> None:
        await give(it, as_text(verb, (job.strip(" `#").lower(),), reason=reason))

    async def show(it: discord.Interaction, job: str) -> None:
        await give(it, as_text(verb, (job.strip(" `#").lower(),)))

    return show if verb == "job show" else callback


def _id(person: discord.User) -> str:
    return str(person.id)
