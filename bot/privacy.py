"""What is kept of people: shown, given out, erased on demand, and forgotten in time."""

import asyncio
import itertools
import json
import logging
import os
import shutil
import tempfile
import zipfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from bot.allowances import DAY_MS
from bot.errors import EraseUnconfirmed, Unavailable
from bot.jobs import Job, Person
from bot.store import Forgotten, Store, erased
from bot.store.privacy import Kind

log = logging.getLogger(__name__)

GIVEN_DAYS = 1  # of a given picture that no kept job was drawn over
EVERY_SECONDS = 3600.0
SCRUBBED_AT_ONCE_BYTES = 64 * 2**20
MAX_EXPORTED = 10_000  # jobs
SWEPT_AT_ONCE = 500  # folders


@dataclass(frozen=True, slots=True)
class Retention:
    """Days; 0: for ever."""

    prompts: int = 30
    files: int = 7
    jobs: int = 90
    backups: int = 14


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a person, as numbers."""

    jobs: int
    images: int
    rows: Mapping[str, int]  # of each table
    retention: Retention


@dataclass(frozen=True, slots=True)
class Export:
    """A zip, open for reading and gone with its closing. `left_out`: images that did not fit."""

    file: IO[bytes]
    left_out: int


class Privacy:
    def __init__(
        self,
        store: Store,
        end_jobs: Callable[[Person], Awaitable[None]],
        *,
        data: Path,
        retention: Retention,
        now_ms: Callable[[], int],
    ):
        self._store, self._end_jobs, self._records = store, end_jobs, store.privacy
        self._data, self._spool, self._retention, self._now_ms = data, data / "spool", retention, now_ms

    async def show(self, person: Person) -> Kept:
        rows = await self._records.everything(person)
        images = sum(len(job.stored) for job in await self._store.history(person, MAX_EXPORTED))
        return Kept(len(rows["jobs"]), images, {table: len(each) for table, each in rows.items()}, self._retention)

    async def export(self, person: Person, *, limit_bytes: int | None = None) -> Export:
        """Everything as JSON, and the images, newest first; for a platform's limit as JPEG, as many as fit."""
        rows = await self._records.everything(person)
        history = await self._store.history(person, MAX_EXPORTED)
        return await asyncio.to_thread(_zipped, rows, history, self._data, limit_bytes)

    async def ask_to_erase(self, person: Person, named: str = "") -> None:
        """Raises EraseUnconfirmed, with what would go; `named`: of whom the operator asks."""
        kept = await self.show(person)
        raise EraseUnconfirmed(jobs=kept.jobs, images=kept.images, named=named)

    async def erase(self, person: Person) -> None:
        """Everything but a random number in the ledger. Messages on platforms are removed as soon as those allow it.

        Raises Unavailable, before anything is gone, where it cannot be kept that no backup may bring them back.
        """
        identities = (await self._records.everything(person))["identities"]
        try:
            await asyncio.to_thread(erased.note, self._data / erased.FOLDER, identities, self._now_ms())
        except OSError as error:
            raise Unavailable(f"nothing can be written to the folder {erased.FOLDER} ({error.strerror})") from error
        await self._end_jobs(person)
        await self._remove(await self._records.erase(person.id, self._now_ms()))
        await self._scrub(SCRUBBED_AT_ONCE_BYTES)
        log.info("a person was erased")

    async def run(self) -> None:
        """Forget what is old, each hour, until cancelled."""
        while True:
            try:
                await self.purge()
            except (Unavailable, OSError) as error:
                log.warning("nothing could be forgotten this time: %s", error)
            await asyncio.sleep(EVERY_SECONDS)

    async def purge(self) -> dict[str, int]:
        """What is older than its time: how much of what was forgotten, which the log has too."""
        keep = self._retention
        done = {
            "files": await self._forget("files", keep.files),
            "prompts": await self._forget("prompts", keep.prompts),
            "jobs": await self._forget("jobs", keep.jobs),
            "people": await self._forget_idle(),
            "left files": await self._sweep(),
            "backups": await self._remove_copies("backups/*", "limner.db.before-*"),
        }
        await self._remove_copies(f"{erased.FOLDER}/*")  # they were needed as long as there were older copies
        await self._scrub()
        if any(done.values()):
            log.info("forgotten: %s", ", ".join(f"{number} {what}" for what, number in done.items() if number))
        return done

    async def _forget(self, what: Kind, days: int) -> int:
        count = 0
        while days and (gone := await self._records.forget(what, self._before(days))).job_ids:
            await self._remove(gone)
            count += len(gone.job_ids)
        return count

    async def _forget_idle(self) -> int:
        people = await self._records.idle(self._before(self._retention.jobs)) if self._retention.jobs else []
        for person_id in people:
            await self._remove(await self._records.erase(person_id, self._now_ms()))
        return len(people)

    async def _remove(self, gone: Forgotten) -> None:
        for job_id in gone.job_ids:
            await asyncio.to_thread(shutil.rmtree, self._spool / job_id, ignore_errors=True)
        for path in gone.given:
            await asyncio.to_thread((self._spool / "given" / path.name).unlink, missing_ok=True)

    async def _sweep(self) -> int:
        """What a crash left: folders of jobs that have no image, given pictures that no job was drawn over."""
        left: list[str] = []
        with os.scandir(self._spool) as entries:  # some at a time: of a hundred thousand everybody would notice
            while some := await asyncio.to_thread(lambda: list(itertools.islice(entries, SWEPT_AT_ONCE))):
                folders = [entry.name for entry in some if entry.is_dir() and entry.name != "given"]
                left += await self._records.without_images(folders)
        await self._remove(Forgotten(tuple(left)))
        used = await self._records.given_in_use(self._before(self._retention.files) if self._retention.files else 0)
        given = [path for path in (self._spool / "given").glob("*.png") if path.name not in used]
        unused = [path for path in given if path.stat().st_mtime < self._before(GIVEN_DAYS) / 1000]
        await self._remove(Forgotten((), tuple(unused)))
        return len(left) + len(unused)

    async def _remove_copies(self, *patterns: str) -> int:
        """Backups, and databases that a restored one took the place of."""
        copies = [path for pattern in patterns for path in self._data.glob(pattern)]
        return await asyncio.to_thread(_remove_older, copies, self._before(self._retention.backups))

    async def _scrub(self, at_most_bytes: int | None = None) -> None:
        try:
            reason = "" if await self._records.scrub(at_most_bytes) else "it is read just now"
        except Unavailable as error:
            reason = error.reason
        if reason:
            log.warning("the database is scrubbed with the next purge: %s", reason)

    def _before(self, days: int) -> int:
        return self._now_ms() - days * DAY_MS


def _zipped(
    rows: Mapping[str, Sequence[Mapping[str, Any]]], history: Sequence[Job], folder: Path, limit_bytes: int | None
) -> Export:
    file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - whoever sends it closes it; it has no name on disk
    suffix, left_out = (".jpg" if limit_bytes else ".png"), 0
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        data = json.dumps(rows, ensure_ascii=False, indent=1, default=str)
        archive.writestr("limner.json", data, zipfile.ZIP_DEFLATED)
        for path in (Path(image.path).with_suffix(suffix) for job in history for image in job.stored):
            size = path.stat().st_size if path.is_file() else None
            if size is None or (limit_bytes and file.tell() + size + 65_536 > limit_bytes):
                left_out += size is not None
            else:
                archive.write(path, f"{path.parent.name}-{path.name}")
    file.seek(0)
    return Export(file, left_out)


def _remove_older(copies: Sequence[Path], before_ms: int) -> int:
    old = [path for path in copies if path.is_file() and path.stat().st_mtime < before_ms / 1000]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)
