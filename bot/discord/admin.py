"""`/limner-admin` on Discord: its subcommands become the text that `bot.orders` reads; who may is asked at each use."""

import io
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import discord
from discord import app_commands

from bot.admin import Actor, Admin
from bot.discord import messages
from bot.discord.adapter import NO_ONE, DiscordAdapter
from bot.discord.faults import Fault, fault
from bot.discord.interactions import place_of
from bot.discord.messages import moment
from bot.discord.options import Option, command
from bot.jobs import Identity, Job, Person
from bot.orders import FORMS, Authority, OrderForm, as_text
from bot.phrases import clip

_Give = Callable[[discord.Interaction, str], Awaitable[None]]
_ON_OFF = ("on", "off")
_GROUPS = {"quota": "Allowances", "job": "Anybody's job of this server", "words": "Refused words"}
_WORDS = {  # of an order's usage → its option
    "@person": "person", "@role": "role", "#channel": "channel", "UNITS": "units", "JOB": "job", "RULE": "rule",
    "PROMPT": "prompt", "days": "days", "lines": "lines",
}  # fmt: skip
_OPTIONS: Mapping[str, Option] = {
    "person": Option(discord.User, "Who"),
    "role": Option(discord.Role, "Whose members"),
    "channel": Option(discord.TextChannel, "This one, if none is named"),
    "units": Option(str, "Units in a window; or default"),
    "job": Option(str, "An id like k7q2"),
    "rule": Option(str, "The rule"),
    "prompt": Option(str, "The prompt to test"),
    "days": Option(int, "How many days back"),
    "lines": Option(int, "How many changes"),
    "until": Option(str, "A span like 3d, or a date like 2026-12-01"),
    "reason": Option(str, "Why; it is written down"),
    "model": Option(str, "Only of this model (for the operator)"),
    "weight": Option(str, "Of their jobs in the queue, 0.1 to 10 (for the operator)"),
    "waiting": Option(int, "Jobs of one person that may wait"),
    "where": Option(str, "For the operator: this server, or all", ("here", "everywhere")),
    "csv": Option(bool, "As a file"),
    "models": Option(str, "Names with commas, or all"),
    "largest": Option(str, "The largest quality", ("full", "draft")),
    "nsfw": Option(str, "What is explicit, in age-restricted channels", _ON_OFF),
    "threads": Option(str, "Whether threads are opened", _ON_OFF),
    "enabled": Option(str, "Whether anything is drawn", _ON_OFF),
}


class GuildPlatform:
    """What orders need of Discord, asked when it is needed."""

    def __init__(self, client: discord.Client, adapter: DiscordAdapter):
        self._client, self._adapter = client, adapter

    def reaches(self, workspace_id: str) -> bool:
        return self._guild(workspace_id) is not None

    async def member(self, workspace_id: str, user_id: str) -> tuple[Identity, list[str]] | None:
        guild = self._guild(workspace_id)
        if guild is None or not user_id.isdecimal():
            return None
        try:
            found = await guild.fetch_member(int(user_id))
        except discord.HTTPException as error:
            if fault(error) == Fault.PASSING:
                raise
            return None
        return Identity("discord", "", user_id, clip(found.display_name, 80)), roles_of(found)

    async def role(self, workspace_id: str, text: str) -> tuple[str, str] | None:
        guild = self._guild(workspace_id)
        found = [role for role in guild.roles if text in (str(role.id), role.name)] if guild else []
        return (str(found[0].id), found[0].name) if found else None

    async def remove(self, job: Job) -> None:
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
    files = [discord.File(io.BytesIO(data), name) for name, data in answer.attached(messages.MAX_CONTENT)]
    await interaction.edit_original_response(
        content=clip(answer.text, messages.MAX_CONTENT), attachments=files, allowed_mentions=NO_ONE
    )


def authority_of(interaction: discord.Interaction) -> Authority:
    """By the roles that came with this very interaction, in the whole server: a channel's rights are for that channel.

    In a conversation of two nobody is an admin, nor where the server's roles are not known just now.
    """
    who = interaction.user
    if not isinstance(who, discord.Member) or who.guild.unavailable:
        return Authority.NOBODY
    if who.guild_permissions.manage_guild:
        return Authority.ADMIN
    return Authority.MODERATOR if who.guild_permissions.manage_messages else Authority.NOBODY


def roles_of(user: discord.abc.User) -> list[str]:
    return [str(role.id) for role in getattr(user, "roles", ())]


def build(give: _Give) -> app_commands.Group:
    """Hidden from who may not manage messages; what each may is decided at each use."""
    top = app_commands.Group(
        name="limner-admin",
        description="For who manages this server",
        default_permissions=discord.Permissions(manage_messages=True),
        allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=False, private_channel=False),
    )
    groups = {name: app_commands.Group(name=name, description=meaning, parent=top) for name, meaning in _GROUPS.items()}
    for verb, form in FORMS.items():
        first, _, second = verb.partition(" ")
        if not form.on_machine:
            (groups[first] if second else top).add_command(_order(give, verb, form))
    return top


def _order(give: _Give, verb: str, form: OrderForm) -> app_commands.Command[Any, ..., None]:
    """What Discord asks for is what the order's form has: its words by their places, then its options."""
    words = [] if verb == "pause" else form.words
    args = [_WORDS[word.strip("[]").partition("|")[0]] for word in words]
    terms = {"where" if name == "at" else name: name for name in form.options if not (name == "at" and form.is_local)}

    async def call(interaction: discord.Interaction, given: dict[str, Any]) -> None:
        said = tuple(_text(given[name]) for name in args if name in given)
        is_file = bool(given.pop("csv", False))
        options = {terms[name]: value for name, value in given.items() if name in terms}
        await give(interaction, as_text(verb, said, **options) + " --csv" * is_file)

    options = {name: _OPTIONS[name] for name in (*args, *terms)}
    return command(verb.split()[-1], form.meaning, call, options, fewest=form.fewest)


def _text(value: Any) -> str:
    """A person, a role or a channel by its id; an id of a job without what is pasted around it."""
    return str(getattr(value, "id", value)).strip(" `#")
