"""Pictures into Slack in its three steps: a place for each, its bytes, and once for all of them the sharing.

The sharing comes later than its answer, and can be asked for only once for a file: so the file is written down
before, and on doubt Slack is asked where it is.
"""

import asyncio
import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slack_sdk.errors import SlackApiError

from bot import wording
from bot.jobs import Job
from bot.slack.faults import Fault, fault
from bot.slack.web import Web
from bot.store import Store

MAX_ALT_TEXT = 1000
LOOKED_FOR_SECONDS = 60.0
_FIRST_LOOK_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 5.0


class NotShared(Exception):
    """Slack has the files, but does not show them yet."""


async def share(
    web: Web, store: Store, job: Job, *, channel_id: str, thread_id: str | None, comment: str = ""
) -> dict[int, str]:
    """The job's pictures in that thread, as one message; the ids of their files, by index. Repeatable.

    Raises FileNotFoundError, NotShared, and what the Web API does.
    """
    known = await store.chat.uploads(job.id)
    is_new = not known
    for image in job.stored:
        if image.index not in known:
            path = Path(image.path).with_suffix(".jpg")
            name, alt_text = wording.file_name(job.id, image.index, "jpg"), wording.alt_text(job)
            known[image.index] = await send(web, path, name, alt_text)
            await store.chat.uploaded(job.id, image.index, known[image.index])
    files = {image.index: known[image.index] for image in job.stored}
    if not files:  # they were deleted meanwhile
        return files
    try:
        unasked = [it for it in files.values() if is_new or await _shown_in(web, it) is None]
        if unasked:
            await complete(web, unasked, channel_id, thread_id, comment)
        await _until_shared(web, files, channel_id)
    except SlackApiError as error:
        if fault(error) == Fault.NO_FILE:  # Slack has lost them, or never had them
            await discard(web, store, job.id, files)
        raise
    except NotShared:
        if not is_new:  # now and then Slack forgets to, and these can never be shared again
            await discard(web, store, job.id, files)
        raise
    return files


async def discard(web: Web, store: Store, job_id: str, files: Mapping[int, str]) -> None:
    """Take these files of the job off Slack."""
    for index, file_id in files.items():
        try:
            await web.files_delete(file=file_id)
        except SlackApiError as error:
            if fault(error) != Fault.NO_FILE:
                raise
        await store.chat.uploaded(job_id, index, None)


async def send(web: Web, what: Path | bytes, name: str, alt_text: str) -> str:
    """The first two steps: the id of the file, which nobody sees yet. Raises FileNotFoundError."""
    with io.BytesIO(what) if isinstance(what, bytes) else what.open("rb") as data:
        length = data.seek(0, io.SEEK_END)
        data.seek(0)
        place = await web.files_getUploadURLExternal(filename=name, length=length, alt_txt=alt_text[:MAX_ALT_TEXT])
        await web.send_file(str(place["upload_url"]), data)
    return str(place["file_id"])


async def complete(web: Web, files: list[str], channel_id: str, thread_id: str | None, comment: str = "") -> None:
    await web.files_completeUploadExternal(
        files=[{"id": file_id} for file_id in files], channel_id=channel_id, thread_ts=thread_id,
        initial_comment=comment or None,
    )  # fmt: skip


async def _until_shared(web: Web, files: Mapping[int, str], channel_id: str) -> None:
    """Not looked for at once: that seldom helps, and counts."""
    pause, end = _FIRST_LOOK_SECONDS, time.monotonic() + LOOKED_FOR_SECONDS
    while True:
        await asyncio.sleep(pause)
        shown = [channel_id in (await _shown_in(web, it) or ()) for it in files.values()]
        if all(shown):
            return
        if time.monotonic() > end:
            raise NotShared(f"Slack has the files {', '.join(files.values())} and does not show them")
        pause = min(_LONGEST_PAUSE_SECONDS, 1.5 * pause)


async def _shown_in(web: Web, file_id: str) -> set[str] | None:
    """Its channels; None before that was asked for: Slack knows none."""
    try:
        answer = await web.files_info(file=file_id)
    except SlackApiError as error:
        if fault(error) == Fault.NO_FILE:
            return None
        raise
    shares: Mapping[str, Mapping[str, Any]] = (answer.get("file") or {}).get("shares") or {}
    return {channel for group in shares.values() for channel in group}
