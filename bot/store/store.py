"""The truth: every public method is one whole transaction."""

import asyncio
import logging
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

from bot.allowances import DAY_MS, Limits, waiting_for, weight_for
from bot.errors import Blocked, QueueFull
from bot.jobs import Identity, Image, Job, Person, Place, Status
from bot.store import chat, jobs, ledger, outbox, people, rules
from bot.store.backup import back_up_before_migration
from bot.store.chat import Callback, Chat
from bot.store.connection import Database, DataLock, open_database, prepare_data_dir
from bot.store.jobs import Wanted
from bot.store.ledger import Account
from bot.store.moderation import Moderation
from bot.store.outbox import Outbox, end
from bot.store.privacy import Privacy
from bot.store.rulebook import Rulebook
from engine.protocol import FailureKind

log = logging.getLogger(__name__)

_ANYWHERE, _NO_LIMITS = Place(""), Limits(allowance=None, own_waiting=None, waiting=0)


class Store:
    def __init__(self, database: Database, lock: DataLock):
        self._database, self._lock = database, lock
        self.chat, self.outbox, self.rules = Chat(database), Outbox(database), Rulebook(database)
        self.moderation, self.privacy = Moderation(database), Privacy(database)

    async def close(self) -> None:
        await self._database.close()
        self._lock.release()

    async def person(self, identity: Identity, *, is_operator: bool, now_ms: int) -> Person:
        return await self._database.run(
            lambda conn: people.find_or_add(conn, identity, is_operator=is_operator, now_ms=now_ms)
        )

    async def user_id(self, person_id: int, platform: str) -> str | None:
        """What the platform calls the person."""
        found = await self.identity(person_id, platform)
        return found.user_id if found else None

    async def identity(self, person_id: int, platform: str) -> Identity | None:
        return await self._database.read(lambda conn: people.identity(conn, person_id, platform))

    async def defaults(self, person: Person) -> dict[str, str]:
        """The person's own, by flag."""
        return await self._database.read(lambda conn: people.defaults(conn, person.id))

    async def set_defaults(self, person: Person, values: Mapping[str, str], *, is_reset: bool) -> dict[str, str]:
        """All of them as they are then."""

        def transaction(conn: sqlite3.Connection) -> dict[str, str]:
            if is_reset:
                conn.execute("DELETE FROM defaults WHERE person_id = ?", (person.id,))
            rows = [(person.id, flag, value) for flag, value in values.items()]
            conn.executemany("INSERT OR REPLACE INTO defaults VALUES (?, ?, ?)", rows)
            return people.defaults(conn, person.id)

        return await self._database.run(transaction)

    async def account(
        self, person: Person, now_ms: int, place: Place = _ANYWHERE, limits: Limits = _NO_LIMITS
    ) -> Account:
        """What the person has at a place."""
        return await self._database.read(
            lambda conn: ledger.account(conn, person=person, scope=place.workspace, limits=limits, now_ms=now_ms)
        )

    async def ledger_problems(self) -> list[str]:
        return await self._database.read(ledger.problems)

    async def submit(
        self,
        person: Person,
        place: Place,
        wanted: Sequence[Wanted],
        *,
        key: str,
        limits: Limits,
        now_ms: int,
        status: Status = Status.QUEUED,
        callback: Callback | None = None,
    ) -> list[Job]:
        """Write the jobs of one command with their reservations: all of them or none.

        With `callback`, the platform can be asked later whether it took the answer.
        The same key, or the same press within three seconds, gives the jobs that are there already.
        Raises QuotaExceeded, QueueFull and Blocked.
        """

        def transaction(conn: sqlite3.Connection) -> list[Job]:
            if known := _known(conn, person, wanted, key, now_ms):
                return known
            in_force = rules.in_force(conn, place.workspace, person.id, now_ms)
            _require_admission(conn, person, place, now_ms)
            _require_room(conn, person, len(wanted), limits, waiting_for(in_force, person.roles, limits.own_waiting))
            chat.forget_callbacks(conn, now_ms)
            intake = conn.execute(
                "INSERT INTO intakes (person_id, key, at_ms) VALUES (?, ?, ?)", (person.id, key, now_ms)
            ).lastrowid
            assert intake is not None
            weight = weight_for(in_force, person.roles)
            named = [(jobs.free_id(conn), each) for each in wanted]
            for job_id, each in named:
                jobs.insert(
                    conn, each, job_id=job_id, person=person, place=place, intake=intake, status=status,
                    weight=weight, now_ms=now_ms,
                )  # fmt: skip
                if callback:
                    kept = (job_id, callback.token, callback.ends_ms)
                    conn.execute("INSERT OR REPLACE INTO callbacks VALUES (?, ?, ?)", kept)
            ledger.reserve(
                conn, person=person, scope=place.workspace, jobs=named, limits=limits, in_force=in_force, now_ms=now_ms
            )
            return jobs.select(conn, "intake_id = ?", (intake,))

        return await self._database.run(transaction)

    async def acknowledged(self, job_ids: Sequence[str], *, now_ms: int, message_id: str | None = None) -> list[Job]:
        """The platform took the answer: these jobs are queued, and their message, if known, is kept.

        Said of a job once more, it changes nothing: what is drawn already goes on.
        """

        def transaction(conn: sqlite3.Connection) -> list[Job]:
            for job_id in job_ids:
                if message_id:
                    conn.execute("UPDATE jobs SET message_id = ? WHERE id = ?", (message_id, job_id))
                if (job := jobs.read(conn, job_id)) and job.status == Status.RECEIVED:
                    jobs.move(conn, job_id, Status.QUEUED, now_ms=now_ms)
            return [job for job_id in job_ids if (job := jobs.read(conn, job_id))]

        return await self._database.run(transaction)

    async def job(self, job_id: str) -> Job | None:
        return await self._database.read(lambda conn: jobs.read(conn, job_id))

    async def history(self, person: Person, limit: int) -> list[Job]:
        """The person's last jobs, newest first."""
        known = "person_id = ? AND forgotten < 2"
        return await self._database.read(lambda conn: jobs.select(conn, known, (person.id,), newest=limit))

    async def thread(self, job_id: str) -> list[Job]:
        """The job's first ancestor and all that came of it, oldest first."""
        same_root = "root_id = (SELECT root_id FROM jobs WHERE id = ?)"
        return await self._database.read(lambda conn: jobs.select(conn, same_root, (job_id,)))

    async def unfinished(self) -> list[Job]:
        """Every job that waits or runs, in the order of acceptance."""
        return await self._database.read(
            lambda conn: jobs.select(conn, "status IN ('received', 'queued', 'running')", ())
        )

    async def drawn_lately(self) -> list[Job]:
        """The last fifty jobs whose device time is known, newest first."""
        return await self._database.read(lambda conn: jobs.select(conn, "gpu_seconds IS NOT NULL", (), newest=50))

    async def resume(self, now_ms: int) -> list[Job]:
        """Queue what the last process had accepted or begun; all that is queued, in the order of acceptance.

        A job whose platform may not have taken the answer waits for `acknowledged`; a day after its callback it ends.
        """

        def transaction(conn: sqlite3.Connection) -> list[Job]:
            for job in jobs.select(conn, chat.NEVER_ANSWERED, (now_ms - DAY_MS,)):
                end(conn, job.id, Status.CANCELLED, now_ms, detail="the platform never took the answer")
            chat.forget_callbacks(conn, now_ms)
            for job in [*jobs.select(conn, "status = 'running'", ()), *jobs.select(conn, chat.NEEDS_NO_ANSWER, ())]:
                jobs.move(conn, job.id, Status.QUEUED, now_ms=now_ms, detail="the bot restarted")
            return jobs.select(conn, "status = 'queued'", ())

        return await self._database.run(transaction)

    async def started(self, job_id: str, now_ms: int) -> bool:
        return await self._move(job_id, Status.RUNNING, now_ms)

    async def put_back(self, job_id: str, now_ms: int) -> bool:
        return await self._move(job_id, Status.QUEUED, now_ms)

    async def image_done(self, job_id: str, image: Image) -> None:
        await self._database.run(lambda conn: jobs.save_image(conn, job_id, image))

    async def rendered(
        self, job_id: str, *, gpu_seconds: float, engine: str, now_ms: int, model_hash: str = ""
    ) -> bool:
        """Every file is recorded: the job waits for its delivery."""

        def transaction(conn: sqlite3.Connection) -> bool:
            if not jobs.move(conn, job_id, Status.RENDERED, now_ms=now_ms):
                return False
            conn.execute(
                "UPDATE jobs SET gpu_seconds = ?, engine = ?, model_hash = ? WHERE id = ?",
                (gpu_seconds, engine, model_hash, job_id),
            )
            outbox.post(conn, job_id, now_ms)
            return True

        return await self._database.run(transaction)

    async def failed(self, job_id: str, kind: FailureKind, detail: str, now_ms: int) -> bool:
        return await self._database.run(
            lambda conn: end(conn, job_id, Status.FAILED, now_ms, failure=kind, detail=detail)
        )

    async def cancelled(self, job_id: str, now_ms: int) -> bool:
        """False if the job is drawn or over: there is nothing left to cancel."""
        return await self._database.run(lambda conn: end(conn, job_id, Status.CANCELLED, now_ms))

    async def engine_died(self, job_ids: Sequence[str], reason: str, now_ms: int) -> list[str]:
        """Queue these jobs again; returns those that it killed a second time, which have failed instead.

        After its first death a job is drawn alone, so a second one is its own.
        """

        def transaction(conn: sqlite3.Connection) -> list[str]:
            lost = [job_id for job_id in job_ids if jobs.count_death(conn, job_id) > 1]
            for job_id in job_ids:
                if job_id in lost:
                    end(conn, job_id, Status.FAILED, now_ms, failure="internal", detail=reason)
                else:
                    jobs.move(conn, job_id, Status.QUEUED, now_ms=now_ms, detail=reason)
            return lost

        return await self._database.run(transaction)

    async def delete_images(self, job_id: str, index: int | None) -> Job | None:
        """Mark one image, or all, as deleted; what is not yet delivered of them will not be charged."""

        def transaction(conn: sqlite3.Connection) -> Job | None:
            jobs.mark_deleted(conn, job_id, index)
            return jobs.read(conn, job_id)

        return await self._database.run(transaction)

    async def _move(self, job_id: str, to: Status, now_ms: int) -> bool:
        return await self._database.run(lambda conn: jobs.move(conn, job_id, to, now_ms=now_ms))


async def open_store(data_dir: Path) -> Store:
    """Take hold of a data directory. Raises CannotStart, in one sentence, when it cannot be used."""
    prepare_data_dir(data_dir)
    lock = DataLock(data_dir)
    try:
        await asyncio.to_thread(back_up_before_migration, data_dir / "limner.db", data_dir / "backups")
        return Store(await open_database(data_dir / "limner.db"), lock)
    except BaseException:
        lock.release()
        raise


def _known(conn: sqlite3.Connection, person: Person, wanted: Sequence[Wanted], key: str, now_ms: int) -> list[Job]:
    of_key = "intake_id = (SELECT id FROM intakes WHERE person_id = ? AND key = ?)"
    if found := jobs.select(conn, of_key, (person.id, key)):
        return found
    pressed = jobs.same_press(conn, person, wanted[0], now_ms)
    same_intake = "intake_id = (SELECT intake_id FROM jobs WHERE id = ?)"
    return jobs.select(conn, same_intake, (pressed,)) if pressed else []


def _require_admission(conn: sqlite3.Connection, person: Person, place: Place, now_ms: int) -> None:
    block = None if person.is_operator else rules.block_of(conn, person.id, place.workspace, now_ms)
    if block:
        raise Blocked(ends_ms=block.ends_ms, reason=block.reason)


def _require_room(
    conn: sqlite3.Connection, person: Person, count: int, limits: Limits, own_waiting: int | None
) -> None:
    own, everyone = jobs.waiting(conn, person.id)
    if own_waiting is not None and own + count > own_waiting:
        raise QueueFull(waiting=own, limit=own_waiting, own=True)
    if everyone + count > limits.waiting:
        raise QueueFull(waiting=everyone, limit=limits.waiting, own=False)
