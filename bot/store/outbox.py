"""What has still to be shown. Every function runs inside its caller's transaction."""

import sqlite3
from dataclasses import dataclass

from bot.jobs import Job
from bot.store import jobs

# What was posted later than now was posted before the clock was put back.
_DUE = "SELECT * FROM outbox WHERE next_ms <= ?1 OR since_ms > ?1 ORDER BY next_ms LIMIT ?2"
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


def post(conn: sqlite3.Connection, job_id: str, now_ms: int) -> None:
    """Show the job's present state; takes the place of what was to be shown of it before."""
    conn.execute("INSERT OR REPLACE INTO outbox (job_id, since_ms, next_ms) VALUES (?1, ?2, ?2)", (job_id, now_ms))


def due(conn: sqlite3.Connection, now_ms: int, limit: int) -> list[Parcel]:
    rows = conn.execute(_DUE, (now_ms, limit)).fetchall()
    parcels = ((row, jobs.read(conn, row["job_id"])) for row in rows)
    return [Parcel(row["id"], job, row["attempts"], row["since_ms"]) for row, job in parcels if job]


def of_job(conn: sqlite3.Connection, job_id: str) -> Parcel | None:
    row = conn.execute("SELECT * FROM outbox WHERE job_id = ?", (job_id,)).fetchone()
    job = jobs.read(conn, job_id)
    return Parcel(row["id"], job, row["attempts"], row["since_ms"]) if row and job else None


def next_due_ms(conn: sqlite3.Connection, now_ms: int) -> int | None:
    next_ms: int | None = conn.execute("SELECT min(next_ms) FROM outbox WHERE next_ms > ?", (now_ms,)).fetchone()[0]
    return next_ms


def postpone(conn: sqlite3.Connection, parcel_id: int, now_ms: int, next_ms: int, *, is_tried: bool = True) -> None:
    conn.execute(_POSTPONE, {"id": parcel_id, "now_ms": now_ms, "next_ms": next_ms, "tried": is_tried})


def remove(conn: sqlite3.Connection, parcel_id: int) -> None:
    conn.execute("DELETE FROM outbox WHERE id = ?", (parcel_id,))
