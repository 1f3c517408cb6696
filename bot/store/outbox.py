"""How jobs end, in the ledger and before their people: what has still to be shown."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from bot.jobs import Job, Status
from bot.store import jobs, ledger
from bot.store.connection import Database
from engine.protocol import FailureKind

_LONGEST_MS = 2 * 3600 * 1000  # no pause is as long: what is put off for more was put off by a clock that was ahead
# What was posted later than now was posted before the clock was put back.
_DUE = f"""
    SELECT * FROM outbox WHERE next_ms <= ?1 OR since_ms > ?1 OR next_ms > ?1 + {_LONGEST_MS} ORDER BY next_ms LIMIT ?2
"""
_POSTPONE = """
    UPDATE outbox SET attempts = attempts + :tried, next_ms = :next_ms, since_ms = min(since_ms, :now_ms)
    WHERE id = :id
"""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A job whose end has still to be shown."""

    id: int
    job: Job
    attempts: int
    since_ms: int


class Outbox:
    """Every public method is one whole transaction."""

    def __init__(self, database: Database):
        self._database = database

    async def due(self, now_ms: int, limit: int) -> list[Parcel]:
        return await self._database.read(lambda conn: _parcels(conn, _DUE, (now_ms, limit)))

    async def next_due_ms(self, now_ms: int) -> int | None:
        """When the first parcel after now is due."""
        sql = "SELECT min(next_ms) AS next_ms FROM outbox WHERE next_ms > ?"
        return await self._database.read(lambda conn: conn.execute(sql, (now_ms,)).fetchone()["next_ms"])

    async def postponed(self, parcel: Parcel, now_ms: int, next_ms: int, *, is_tried: bool = True) -> None:
        values = {"id": parcel.id, "now_ms": now_ms, "next_ms": next_ms, "tried": is_tried}
        await self._database.run(lambda conn: conn.execute(_POSTPONE, values).close())

    async def delivered(self, parcel: Parcel, now_ms: int) -> None:
        """The job's images are where the person sees them: each is charged, the rest released.

        Of a job that failed or was cancelled, its end has been shown: there is nothing to settle.
        """
        await self._settle(parcel, Status.DELIVERED, now_ms)

    async def undeliverable(self, parcel: Parcel, detail: str, now_ms: int) -> None:
        """There is nowhere to show it: everything is released. The files stay."""
        await self._settle(parcel, Status.UNDELIVERABLE, now_ms, detail)

    async def shown(self, job_id: str, now_ms: int) -> None:
        """Its person asked for the job and has it now: what still waited for its delivery is settled."""
        sql = "SELECT * FROM outbox WHERE job_id = ?"
        for parcel in await self._database.read(lambda conn: _parcels(conn, sql, (job_id,))):
            await self.delivered(parcel, now_ms)

    async def _settle(self, parcel: Parcel, to: Status, now_ms: int, detail: str | None = None) -> None:
        def transaction(conn: sqlite3.Connection) -> None:
            conn.execute("DELETE FROM outbox WHERE id = ?", (parcel.id,))
            job = jobs.read(conn, parcel.job.id)
            if job is None or not jobs.move(conn, job.id, to, now_ms=now_ms, detail=detail):
                return
            shown = [image.index for image in job.stored] if to == Status.DELIVERED else []
            settle(conn, job, shown, now_ms)

        await self._database.run(transaction)


def _parcels(conn: sqlite3.Connection, sql: str, values: Sequence[object]) -> list[Parcel]:
    found = ((row, jobs.read(conn, row["job_id"])) for row in conn.execute(sql, values).fetchall())
    return [Parcel(row["id"], job, row["attempts"], row["since_ms"]) for row, job in found if job]


def post(conn: sqlite3.Connection, job_id: str, now_ms: int) -> None:
    """Show the job's present state; takes the place of what was to be shown of it before."""
    conn.execute("INSERT OR REPLACE INTO outbox (job_id, since_ms, next_ms) VALUES (?1, ?2, ?2)", (job_id, now_ms))


def end(
    conn: sqlite3.Connection,
    job_id: str,
    to: Status,
    now_ms: int,
    *,
    failure: FailureKind | None = None,
    detail: str | None = None,
) -> bool:
    """Fail or cancel a job: released, none of its images kept, and its end to be shown."""
    if not jobs.move(conn, job_id, to, now_ms=now_ms, failure=failure, detail=detail):
        return False
    jobs.mark_deleted(conn, job_id, None)
    job = jobs.read(conn, job_id)
    assert job is not None
    settle(conn, job, [], now_ms)
    post(conn, job_id, now_ms)
    return True


def settle(conn: sqlite3.Connection, job: Job, shown: Sequence[int], now_ms: int) -> None:
    """Charge the images that were shown, and release the rest."""
    each = job.units // job.request.count
    ledger.settle(conn, job.id, charged_images=shown, units_per_image=each, at_ms=now_ms)
