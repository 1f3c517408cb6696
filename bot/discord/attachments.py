"""The pictures of a job as files that a message can carry."""

import asyncio
import io
from dataclasses import dataclass
from pathlib import Path

import discord

from bot import wording
from bot.discord.messages import MAX_ALT_TEXT
from bot.errors import AgeRestricted
from bot.jobs import Job

MAX_REQUEST_BYTES = 25 * 2**20 - 64 * 2**10  # of all files of one request; the rest is for its text
DEFAULT_FILE_BYTES = 10 * 2**20


@dataclass(frozen=True, slots=True)
class Pictures:
    files: list[discord.File]
    remark: str = ""  # what had to be done to make them fit


async def pictures(job: Job, file_bytes: int) -> Pictures:
    """The JPEG of every image that is there, each within `file_bytes` and together within a request.

    Raises FileNotFoundError if one is no longer on disk.
    """
    limit = min(file_bytes, MAX_REQUEST_BYTES // max(1, len(job.stored)))
    fitted = [await asyncio.to_thread(_fitted, Path(image.path), limit) for image in job.stored]
    files = [
        file(data, wording.file_name(job.id, image.index, "jpg"), job, is_spoiler=image.is_flagged)
        for image, (data, _) in zip(job.stored, fitted, strict=True)
    ]
    lowest = min((quality for _, quality in fitted if quality), default=None)
    remark = f"JPEG quality {lowest} to fit Discord's limit here; the PNG is under More…" if lowest else ""
    return Pictures(files, remark)


def file(data: bytes, name: str, job: Job, *, is_spoiler: bool = False) -> discord.File:
    return discord.File(io.BytesIO(data), name, spoiler=is_spoiler, description=wording.alt_text(job)[:MAX_ALT_TEXT])


def require_sight(job: Job, *, is_age_restricted: bool) -> None:
    """Raises AgeRestricted where flagged pictures are asked for in another channel than theirs."""
    if not is_age_restricted and any(image.is_flagged for image in job.stored):
        raise AgeRestricted


def _fitted(original: Path, limit: int) -> tuple[bytes, int | None]:
    """The JPEG, and its quality if it had to be lowered."""
    jpeg = original.with_suffix(".jpg")
    if jpeg.stat().st_size <= limit:
        return jpeg.read_bytes(), None
    from engine.encode import fitted_jpeg

    return fitted_jpeg(original, jpeg, limit)
