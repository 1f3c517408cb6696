"""How jobs end in the ledger. Every function runs inside its caller's transaction."""

import sqlite3
from collections.abc import Sequence

from bot.jobs import Job, Status
from bot.store import jobs, ledger, outbox
from engine.protocol import FailureKind


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
    outbox.post(conn, job_id, now_ms)
    return True


def settle(conn: sqlite3.Connection, job: Job, shown: Sequence[int], now_ms: int) -> None:
    """Charge the images that were shown, and release the rest."""
    each = job.units // job.request.count
    ledger.settle(conn, job.id, charged_images=shown, units_per_image=each, at_ms=now_ms)
