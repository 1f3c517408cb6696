"""What an interaction or a message of Discord's says, and how one is answered."""

import logging
from typing import Any

import aiohttp
import discord

from bot.discord.adapter import NO_ONE, answering, nonce
from bot.errors import NoPermission
from bot.jobs import Place
from bot.store import Callback

log = logging.getLogger(__name__)

TOKEN_MS = 14 * 60_000  # Discord's 15 minutes, less the way there
UNREACHED = (discord.HTTPException, aiohttp.ClientError, TimeoutError, OSError)
_NEEDED = {"view_channel": "View Channel", "send_messages": "Send Messages", "attach_files": "Attach Files"}
SEEN_BY_ALL = "the answer was promised to everyone"


def place_of(interaction: discord.Interaction) -> Place:
    channel = interaction.channel
    workspace_id = str(interaction.guild_id) if interaction.guild_id else f"dm:{interaction.channel_id}"
    if isinstance(channel, discord.Thread):
        return Place("discord", workspace_id, str(channel.parent_id), str(channel.id))
    return Place("discord", workspace_id, str(interaction.channel_id))


def is_age_restricted(channel: object) -> bool:
    """A thread is what its channel is."""
    if isinstance(channel, discord.Thread):
        return channel.is_nsfw()
    return bool(getattr(channel, "nsfw", False))


def require_permissions(interaction: discord.Interaction) -> None:
    """What Discord says the bot may do here, before anything is promised."""
    if interaction.guild_id is None:
        return
    needed = dict(_NEEDED)
    if isinstance(interaction.channel, discord.Thread):
        needed["send_messages_in_threads"] = "Send Messages in Threads"
        del needed["send_messages"]
    for name, title in needed.items():
        if not getattr(interaction.app_permissions, name):
            raise NoPermission(title)


def callback_of(interaction: discord.Interaction) -> Callback:
    return Callback(interaction.token, int(interaction.created_at.timestamp() * 1000) + TOKEN_MS)


def typed(components: list[dict[str, Any]]) -> str:
    """The text of a submitted form, whatever its field is wrapped in."""
    for each in components:
        inner = [each["component"]] if "component" in each else each.get("components", [])
        if found := each.get("value") or typed(inner):
            return str(found)
    return ""


def without_mentions(message: discord.Message) -> str:
    words = message.content
    for user in message.mentions:
        words = words.replace(f"<@{user.id}>", " ").replace(f"<@!{user.id}>", " ")
    return " ".join(words.split())


async def reply(message: discord.Message, text: str, view: discord.ui.View | None = None) -> None:
    """To a message nothing can be answered in private, so it does not stay."""
    shown: dict[str, Any] = {"reference": answering(message.channel.id, message.id)} | ({"view": view} if view else {})
    try:
        await message.channel.send(
            text, nonce=nonce(f"reply:{message.id}"), allowed_mentions=NO_ONE, delete_after=30, **shown
        )
    except UNREACHED as error:
        log.info("message %s could not be answered: %r", message.id, error)


async def tell(interaction: discord.Interaction, text: str, view: discord.ui.View | None = None) -> None:
    """Say it to the presser alone; to one whose interaction has ended nothing can be said."""
    shown: dict[str, Any] = {"allowed_mentions": NO_ONE} | ({"view": view} if view else {})
    try:
        if not interaction.response.is_done():
            await interaction.response.send_message(text, ephemeral=True, suppress_embeds=True, **shown)
        elif interaction.extras.get(SEEN_BY_ALL):
            await interaction.delete_original_response()
            await interaction.followup.send(text, ephemeral=True, **shown)
        elif interaction.response.type == discord.InteractionResponseType.deferred_channel_message:
            await interaction.edit_original_response(content=text, **shown)
        else:
            await interaction.followup.send(text, ephemeral=True, **shown)
    except UNREACHED as error:
        log.info("interaction %s could not be answered: %r", interaction.id, error)
