"""What only the presser sees: facts, files, a job once more, forms."""

import asyncio
import io

import discord

from bot import answers, wording
from bot.buttons import FILES, stored_file
from bot.controls import Press
from bot.discord import attachments, messages
from bot.discord.adapter import NO_ONE, DiscordAdapter
from bot.discord.interactions import is_age_restricted, tell
from bot.errors import Gone
from bot.jobs import Job, Status
from bot.privacy import Export
from bot.studio import Studio


async def job_again(interaction: discord.Interaction, job: Job, *, adapter: DiscordAdapter, studio: Studio) -> None:
    """A job once more, only for the asker; one that waited for being asked is delivered by that."""
    content = messages.content(job, None, await adapter.mention(job))
    if not job.stored:
        return await tell(interaction, content)
    attachments.require_sight(job, is_age_restricted=is_age_restricted(interaction.channel))
    await interaction.response.defer(ephemeral=True, thinking=True)
    limit = min(interaction.filesize_limit, adapter.file_bytes(job.place))
    try:
        found = await attachments.pictures(job, limit)
    except FileNotFoundError:
        raise Gone from None
    await interaction.edit_original_response(
        content=content, attachments=found.files, view=messages.controls(job), allowed_mentions=NO_ONE
    )
    if job.status == Status.RENDERED and job.is_private:
        await studio.shown(job)


async def file(interaction: discord.Interaction, job: Job, press: Press) -> None:
    """The original, or the film strip of how it was made. Raises Gone."""
    suffix = FILES[press.verb]
    path = stored_file(job, press.index, suffix)
    attachments.require_sight(job, is_age_restricted=is_age_restricted(interaction.channel))
    await interaction.response.defer(ephemeral=True, thinking=True)
    try:
        data = await asyncio.to_thread(path.read_bytes)
    except FileNotFoundError:
        raise Gone from None
    if len(data) > interaction.filesize_limit:
        size, most = len(data) / 2**20, interaction.filesize_limit / 2**20
        return await tell(interaction, f"The original has {size:.1f} MiB; at most {most:.0f} MiB can be sent here.")
    await interaction.edit_original_response(
        attachments=[attachments.file(data, wording.file_name(job.id, press.index, suffix), job)]
    )


async def export(interaction: discord.Interaction, it: Export) -> None:
    with it.file as file:
        named = discord.File(io.BytesIO(await asyncio.to_thread(file.read)), wording.EXPORT_NAME)
        await interaction.edit_original_response(content=answers.exported(it), attachments=[named])


async def form(interaction: discord.Interaction, title: str, press: Press, text: str) -> None:
    """Its id says what it is about, so it works after a restart too."""
    it = discord.ui.Modal(title=title, custom_id=press.id, timeout=None)
    field: discord.ui.TextInput[discord.ui.Modal] = discord.ui.TextInput(
        custom_id="text", default=text[:4000], max_length=4000, style=discord.TextStyle.paragraph
    )
    it.add_item(discord.ui.Label(text="Prompt and flags", component=field))
    it.stop()  # `on_interaction` hears what is sent, and discord.py would keep a form that is never sent
    await interaction.response.send_modal(it)
