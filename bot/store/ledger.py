"""Units: reserved when a job is accepted, charged for each image delivered, the rest released.

Every function runs inside its caller's transaction. A job's entries count at the time it was
accepted, so what a failure gives back is given back to the day it was taken from.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from bot.errors import QuotaExceeded

DAY_MS = 86_400_000

_TAKEN = """
    SELECT coalesce(sum(CASE kind WHEN 'reserve' THEN units WHEN 'release' THEN -units END), 0)
    FROM ledger WHERE person_id = :person AND counts_ms > :since_ms AND kind IN ('reserve', 'release')
"""
_CHARGED = """
    SELECT coalesce(sum(units), 0) FROM ledger
    WHERE person_id = :person AND counts_ms > :since_ms AND kind = 'charge'
"""
_GRANTED = """
    SELECT coalesce(sum(units), 0) FROM ledger
    WHERE person_id = :person AND kind = 'grant' AND counts_ms <= :now_ms AND ends_ms > :now_ms
"""
_TAKEN_BY_TIME = """
    SELECT counts_ms, sum(CASE kind WHEN 'reserve' THEN units ELSE -units END) AS units
    FROM ledger WHERE person_id = :person AND counts_ms > :since_ms AND kind IN ('reserve', 'release')
    GROUP BY counts_ms HAVING units > 0 ORDER BY counts_ms
"""
_ENTER = """
    INSERT INTO ledger (person_id, job_id, image_index, kind, units, at_ms, counts_ms, ends_ms, reason)
    VALUES (:person, :job, :image, :kind, :units, :at_ms, :counts_ms, :ends_ms, :reason)
"""
_LAST_CHARGES = """
    SELECT job_id, sum(units) AS units, max(at_ms) AS at_ms FROM ledger
    WHERE person_id = :person AND kind = 'charge' GROUP BY job_id ORDER BY max(id) DESC LIMIT 5
"""
_GRANTS = """
    SELECT units, ends_ms FROM ledger
    WHERE person_id = :person AND kind = 'grant' AND counts_ms <= :now_ms AND ends_ms > :now_ms ORDER BY ends_ms
"""
_PROBLEMS = """
    SELECT j.id, j.status, j.units,
        coalesce(sum(l.units) FILTER (WHERE l.kind = 'reserve'), 0) AS reserved,
        coalesce(sum(l.units) FILTER (WHERE l.kind = 'charge'), 0) AS charged,
        coalesce(sum(l.units) FILTER (WHERE l.kind = 'release'), 0) AS released
    FROM jobs j LEFT JOIN ledger l ON l.job_id = j.id GROUP BY j.id
    HAVING reserved <> j.units
        OR j.status IN ('received', 'queued', 'running', 'rendered') AND charged + released <> 0
        OR j.status IN ('failed', 'cancelled', 'undeliverable') AND (charged <> 0 OR released <> reserved)
        OR j.status = 'delivered' AND charged + released <> reserved
"""


@dataclass(frozen=True, slots=True)
class Charge:
    """What one delivered job cost."""

    job_id: str
    units: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Grant:
    units: int
    ends_ms: int


@dataclass(frozen=True, slots=True)
class Account:
    """One person's rolling day, in units."""

    charged: int
    reserved: int  # of jobs not yet delivered
    granted: int  # on top of the allowance, now
    next_free_ms: int | None  # when the oldest units of the day come back
    charges: tuple[Charge, ...]  # the last five, newest first
    grants: tuple[Grant, ...]


def reserve(
    conn: sqlite3.Connection, *, person: int, jobs: Sequence[tuple[str, int]], allowance: int | None, now_ms: int
) -> None:
    """Set units aside for each (job, units), all or none; `allowance` None counts without limiting.

    Raises QuotaExceeded, and writes nothing, if the rolling day and the grants leave less.
    """
    needed = sum(units for _, units in jobs)
    if allowance is not None:
        _require(conn, person, needed, allowance, now_ms)
    for job, units in jobs:
        _enter(conn, person, "reserve", units, job=job, at_ms=now_ms, counts_ms=now_ms)


def settle(
    conn: sqlite3.Connection, job: str, *, charged_images: Sequence[int], units_per_image: int, at_ms: int
) -> int:
    """Charge these images and release what else was reserved. Returns the units released."""
    reserved = conn.execute("SELECT * FROM ledger WHERE job_id = ? AND kind = 'reserve'", (job,)).fetchone()
    if reserved is None:  # a request that cost nothing
        return 0
    person, counts_ms = reserved["person_id"], reserved["counts_ms"]
    for index in charged_images:
        _enter(conn, person, "charge", units_per_image, job=job, image=index, at_ms=at_ms, counts_ms=counts_ms)
    rest: int = reserved["units"] - units_per_image * len(charged_images)
    _enter(conn, person, "release", rest, job=job, at_ms=at_ms, counts_ms=counts_ms)
    return rest


def grant(conn: sqlite3.Connection, *, person: int, units: int, ends_ms: int, reason: str, now_ms: int) -> None:
    """Raise a person's allowance by `units` until `ends_ms`."""
    _enter(conn, person, "grant", units, at_ms=now_ms, counts_ms=now_ms, ends_ms=ends_ms, reason=reason)


def account(conn: sqlite3.Connection, *, person: int, now_ms: int) -> Account:
    at = {"person": person, "since_ms": now_ms - DAY_MS, "now_ms": now_ms}
    charged, taken = _one(conn, _CHARGED, at), _one(conn, _TAKEN, at)
    oldest = conn.execute(_TAKEN_BY_TIME, at).fetchone()
    return Account(
        charged=charged,
        reserved=taken - charged,
        granted=_one(conn, _GRANTED, at),
        next_free_ms=oldest["counts_ms"] + DAY_MS if oldest else None,
        charges=tuple(Charge(**row) for row in conn.execute(_LAST_CHARGES, at)),
        grants=tuple(Grant(**row) for row in conn.execute(_GRANTS, at)),
    )


def problems(conn: sqlite3.Connection) -> list[str]:
    """Each job whose entries do not add up, in words for the log; empty when all is well."""
    return [
        f"job {row['id']} ({row['status']}, {row['units']} units): "
        f"reserved {row['reserved']}, charged {row['charged']}, released {row['released']}"
        for row in conn.execute(_PROBLEMS)
    ]


def _require(conn: sqlite3.Connection, person: int, needed: int, allowance: int, now_ms: int) -> None:
    at = {"person": person, "since_ms": now_ms - DAY_MS, "now_ms": now_ms}
    left = allowance + _one(conn, _GRANTED, at) - _one(conn, _TAKEN, at)
    if needed <= left:
        return
    missing, free_at_ms = needed - left, None
    for row in conn.execute(_TAKEN_BY_TIME, at):
        missing -= row["units"]
        if missing <= 0:
            free_at_ms = row["counts_ms"] + DAY_MS
            break
    raise QuotaExceeded(needed=needed, left=max(0, left), free_at_ms=free_at_ms)


def _one(conn: sqlite3.Connection, sql: str, values: dict[str, int]) -> int:
    (number,) = conn.execute(sql, values).fetchone()
    return int(number)


def _enter(
    conn: sqlite3.Connection,
    person: int,
    kind: str,
    units: int,
    *,
    at_ms: int,
    counts_ms: int,
    job: str | None = None,
    image: int = -1,
    ends_ms: int | None = None,
    reason: str | None = None,
) -> None:
    if units:
        values = {"person": person, "job": job, "image": image, "kind": kind, "units": units}
        values |= {"at_ms": at_ms, "counts_ms": counts_ms, "ends_ms": ends_ms, "reason": reason}
        conn.execute(_ENTER, values)
