"""`/limner-admin` on Discord: its subcommands become the text that `bot.orders` reads; who may is asked at each use."""

import inspect
import io
from collections.abc import Awaitable, Callable, Mapping
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
from bot.orders import FORMS, Authority, OrderForm, as_text
from bot.phrases import clip

_Give = Callable[[discord.Interaction, str], Awaitable[None]]
_OnOff = Literal["on", "off"]
_GROUPS = {"quota": "Allowances", "job": "Anybody's job of this server", "words": "Refused words"}
_WORDS = {  # of an order's usage → its option
    "@person": "person", "@role": "role", "#channel": "channel", "UNITS": "units", "JOB": "job", "RULE": "rule",
    "PROMPT": "prompt", "days": "days", "lines": "lines",
}  # fmt: skip
_OPTIONS: Mapping[str, tuple[Any, str]] = {
    "person": (discord.User, "Who"),
    "role": (discord.Role, "Whose members"),
    "channel": (discord.TextChannel, "This one, if none is named"),
    "units": (str, "Units in a window; or default"),
    "job": (str, "An id like k7q2"),
    "rule": (str, "The rule"),
    "prompt": (str, "The prompt to test"),
    "days": (int, "How many days back"),
    "lines": (int, "How many changes"),
    "until": (str, "A span like 3d, or a date like 2026-12-01"),
    "reason": (str, "Why; it is written down"),
    "model": (str, "Only of this model (for the operator)"),
    "weight": (str, "Of their jobs in the queue, 0.1 to 10 (for the operator)"),
    "waiting": (int, "Jobs of one person that may wait"),
    "where": (Literal["here", "everywhere"], "For the operator: this server, or all"),
    "csv": (bool, "As a file"),
    "models": (str, "Names with commas, or all"),
    "largest": (Literal["full", "draft"], "The largest quality"),
    "nsfw": (_OnOff, "What is explicit, in age-restricted channels"),
    "threads": (_OnOff, "Whether threads are opened"),
    "enabled": (_OnOff, "Whether anything is drawn"),
}


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
        for name, meaning in _GROUPS.items()
    }
    for verb, form in FORMS.items():
        first, _, second = verb.partition(" ")
        command: app_commands.Command[Any, ..., Any] = app_commands.Command(
            name=second or first, description=form.meaning[:1].upper() + form.meaning[1:],
            callback=_callback(give, verb, form), auto_locale_strings=False,
        )  # fmt: skip
        for parameter in command.parameters:
            app_commands.describe(**{parameter.name: _OPTIONS[parameter.name][1]})(cast(Any, command))
        (groups[first] if second else top).add_command(command)
    return top


def _callback(give: _Give, verb: str, form: OrderForm) -> Callable[..., Any]:
    """What Discord asks for is what the order's form has: its words by their places, then its options."""
    words = [] if verb == "pause" else form.usage.split()[len(verb.split()) :]
    args = [_WORDS[word.strip("[]").partition("|")[0]] for word in words]
    options = {"where" if name == "at" else name: name for name in form.options if not (name == "at" and form.is_local)}

    async def callback(interaction: discord.Interaction, **given: Any) -> None:
        said = tuple(_text(given[name]) for name in args if given.get(name) is not None)
        is_file = bool(given.pop("csv", False))
        terms = {options[name]: value for name, value in given.items() if name in options}
        await give(interaction, as_text(verb, said, **terms) + " --csv" * is_file)

    names = [*args, *options]
    parameters = [
        _parameter(name, _OPTIONS[name][0], is_required=place < form.fewest) for place, name in enumerate(names)
    ]
    first = inspect.Parameter("interaction", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=discord.Interaction)
    callback.__signature__ = inspect.Signature([first, *parameters])  # type: ignore[attr-defined]
    return callback


def _parameter(name: str, kind: Any, *, is_required: bool) -> inspect.Parameter:
    default = inspect.Parameter.empty if is_required else None
    annotation = kind if is_required else kind | None
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _text(value: Any) -> str:
    """A person, a role or a channel by its id; an id of a job without what is pasted around it."""
    return str(getattr(value, "id", value)).strip(" `#")
