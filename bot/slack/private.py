"""What only the presser sees: facts, files, a job once more."""

import asyncio

from bot import answers, wording
from bot.buttons import FILES, stored_file
from bot.controls import Press
from bot.jobs import Job
from bot.privacy import Export
from bot.slack.adapter import SlackAdapter
from bot.slack.interactions import Turn
from bot.store import Store

EXPORT_BYTES = 64 * 2**20


async def file(turn: Turn, adapter: SlackAdapter, job: Job, press: Press) -> None:
    """The original, or the film strip of how it was made, by direct message. Raises Gone."""
    await _send(turn, adapter, job, press.index, FILES[press.verb])
    await turn.say(wording.IN_MESSAGES)


async def job_again(turn: Turn, adapter: SlackAdapter, store: Store, job: Job) -> None:
    """A job once more, only for the asker; pictures that Slack does not have by direct message. Raises Gone."""
    if not await store.chat.uploads(job.id):
        for image in job.stored:
            await _send(turn, adapter, job, image.index, "jpg")
    await turn.tell(await adapter.again(job))


async def export(turn: Turn, adapter: SlackAdapter, it: Export) -> None:
    """All that is kept of a person, by direct message."""
    with it.file as file:
        content = await asyncio.to_thread(file.read)
    await adapter.send_alone(turn.asked.user_id, wording.EXPORT_NAME, content, alt_text="")
    await turn.say(f"{answers.exported(it)} {wording.IN_MESSAGES}")


async def _send(turn: Turn, adapter: SlackAdapter, job: Job, index: int, suffix: str) -> None:
    path, name = stored_file(job, index, suffix), wording.file_name(job.id, index, suffix)
    await adapter.send_alone(turn.asked.user_id, name, path, alt_text=wording.alt_text(job))
