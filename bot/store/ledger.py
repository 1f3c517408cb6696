"""Units: reserved when a job is accepted, charged for each image delivered, the rest released.

Every function runs inside its caller's transaction. A job's entries count at the time it was
accepted, so what a failure gives back is given back to the day it was taken from. A person's
entries never count earlier than the one before: a clock that is set back gives nothing back twice.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

from bot.allowances import EVERYWHERE, Limits, Rule, Scope, Window, cap_of, pool_of, units_for
from bot.errors import QuotaExceeded
from bot.jobs import Person
from bot.store import rules
from bot.store.jobs import Wanted
from bot.store.rules import Act

_LAST = """
    SELECT max(coalesce((SELECT max(counts_ms) FROM ledger WHERE person_id = :person), 0),
               coalesce((SELECT max(counts_ms) + 1 FROM resets WHERE person_id = :person), 0))
"""
_LAST_AT = "SELECT coalesce(max(counts_ms), 0) FROM ledger WHERE platform = :platform AND workspace_id = :workspace_id"
_RESETS = """
    SELECT coalesce(max(counts_ms), 0), coalesce(max(counts_ms) FILTER (WHERE NOT is_capped), 0) FROM resets
    WHERE person_id = :person AND (platform, workspace_id) IN (('', ''), (:platform, :workspace_id))
"""
_TAKEN = """
    SELECT counts_ms, platform, workspace_id, model, sum(iif(kind = 'reserve', units, -units)) AS taken
    FROM ledger WHERE person_id = :person AND counts_ms > :since_ms AND kind IN ('reserve', 'release')
    GROUP BY counts_ms, platform, workspace_id, model HAVING taken > 0 ORDER BY counts_ms
"""
_CHARGED = """
    SELECT coalesce(sum(units), 0) FROM ledger
    WHERE person_id = :person AND counts_ms > :since_ms AND kind = 'charge'
"""
_TAKEN_AT = """
    SELECT counts_ms, platform, workspace_id, '' AS model, sum(iif(kind = 'reserve', units, -units)) AS taken
    FROM ledger WHERE platform = :platform AND workspace_id = :workspace_id AND counts_ms > :since_ms
        AND kind IN ('reserve', 'release')
    GROUP BY counts_ms HAVING taken > 0 ORDER BY counts_ms
"""
_ENTER = """
    INSERT INTO ledger (person_id, job_id, image_index, kind, units, at_ms, counts_ms, ends_ms, reason,
        platform, workspace_id, model, audit_number)
    VALUES (:person, :job, :image, :kind, :units, :at_ms, :counts_ms, :ends_ms, :reason,
        :platform, :workspace_id, :model, :audit_number)
"""
_LAST_CHARGES = """
    SELECT job_id, sum(units) AS units, max(at_ms) AS at_ms FROM ledger
    WHERE person_id = :person AND kind = 'charge' GROUP BY job_id ORDER BY max(id) DESC LIMIT 5
"""
_GRANTS = """
    SELECT units, ends_ms, reason, platform, workspace_id,
        (SELECT authority <> 'operator' FROM audit WHERE number = audit_number) AS is_capped
    FROM ledger WHERE person_id = :person AND kind = 'grant' AND ends_ms > :now_ms ORDER BY ends_ms
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


class _Of(TypedDict):
    """Where and when an entry counts."""

    scope: Scope
    at_ms: int
    counts_ms: int


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
    reason: str = ""
    scope: Scope = EVERYWHERE  # where it counts
    is_capped: bool = False  # by an admin of the place


@dataclass(frozen=True, slots=True)
class Use:
    """Units that were taken at once, for one model at one place."""

    counts_ms: int
    scope: Scope
    model: str
    units: int


@dataclass(frozen=True, slots=True)
class Purse:
    """What one limit allows and what has been taken of it, oldest first."""

    whose: Literal["person", "model", "place"]
    limit: int
    uses: Sequence[Use]

    @property
    def left(self) -> int:
        return self.limit - sum(use.units for use in self.uses)

    def free_at_ms(self, needed: int, window: Window) -> int | None:
        """When `needed` units are there; None if they never are."""
        missing = needed - self.left
        for use in self.uses:
            missing -= use.units
            if missing <= 0:
                return window.frees_ms(use.counts_ms)
        return None


@dataclass(frozen=True, slots=True)
class Account:
    """What a person has at one place now, in units."""

    allowance: int  # of a window, with what is granted here and now
    used: int
    charged: int
    reserved: int  # of jobs not yet delivered
    next_free_ms: int | None  # when the oldest units of the window come back
    charges: tuple[Charge, ...]  # the last five, newest first
    grants: tuple[Grant, ...]


def reserve(
    conn: sqlite3.Connection,
    *,
    person: Person,
    scope: Scope,
    jobs: Sequence[tuple[str, Wanted]],
    limits: Limits,
    in_force: Sequence[Rule],
    now_ms: int,
) -> None:
    """Set each job's units aside, all or none; `limits.allowance` None counts without limiting.

    Raises QuotaExceeded, and writes nothing, if one of the limits leaves less.
    """
    if limits.allowance is not None:
        _require(conn, person, scope, [wanted for _, wanted in jobs], limits, in_force, now_ms)
    counts_ms = _clock_ms(conn, person.id, now_ms)
    for job, wanted in jobs:
        of: _Of = {"scope": scope, "at_ms": now_ms, "counts_ms": counts_ms}
        _enter(conn, person.id, "reserve", wanted.units, job=job, model=wanted.model, **of)


def settle(
    conn: sqlite3.Connection, job: str, *, charged_images: Sequence[int], units_per_image: int, at_ms: int
) -> int:
    """Charge these images and release what else was reserved. Returns the units released."""
    reserved = conn.execute("SELECT * FROM ledger WHERE job_id = ? AND kind = 'reserve'", (job,)).fetchone()
    if reserved is None:  # a request that cost nothing
        return 0
    scope, person, model = (reserved["platform"], reserved["workspace_id"]), reserved["person_id"], reserved["model"]
    of: _Of = {"scope": scope, "at_ms": at_ms, "counts_ms": reserved["counts_ms"]}
    for index in charged_images:
        _enter(conn, person, "charge", units_per_image, job=job, model=model, image=index, **of)
    rest: int = reserved["units"] - units_per_image * len(charged_images)
    _enter(conn, person, "release", rest, job=job, model=model, **of)
    return rest


def grant(conn: sqlite3.Connection, person: int, units: int, ends_ms: int, act: Act, number: int) -> None:
    """Raise a person's allowance where the order counts, until `ends_ms`; `number` is the order's in the audit."""
    of: _Of = {"scope": act.scope, "at_ms": act.at_ms, "counts_ms": act.at_ms}
    _enter(conn, person, "grant", units, ends_ms=ends_ms, reason=act.reason, audit_number=number, **of)


def reset(conn: sqlite3.Connection, person: int, act: Act) -> None:
    """Where the order counts, nothing does that was taken until now."""
    counts_ms = _clock_ms(conn, person, act.at_ms)
    rules.set_reset(conn, person, act.scope, counts_ms, is_capped=act.is_capped)


def account(conn: sqlite3.Connection, *, person: Person, scope: Scope, limits: Limits, now_ms: int) -> Account:
    in_force = rules.in_force(conn, scope, person.id, now_ms)
    own = _own(conn, person, scope, limits, in_force, now_ms)
    at = {"person": person.id, "since_ms": own.since_ms}
    (charged,) = conn.execute(_CHARGED, at).fetchone()
    uses = own.purses[0].uses
    return Account(
        allowance=own.allowance,
        used=own.allowance - min(purse.left for purse in own.purses),
        charged=charged,
        reserved=sum(use.units for use in uses) - charged,
        next_free_ms=limits.window.frees_ms(uses[0].counts_ms) if uses else None,
        charges=tuple(Charge(**row) for row in conn.execute(_LAST_CHARGES, at)),
        grants=tuple(own.grants),
    )


def granted(conn: sqlite3.Connection, person: int, scope: Scope, now_ms: int) -> int:
    return sum(each.units for each in _grants(conn, person, now_ms) if each.scope in (EVERYWHERE, scope))


def taken_at(conn: sqlite3.Connection, scope: Scope, window: Window, now_ms: int) -> list[Use]:
    """What everyone together has taken at a place within the window."""
    values = {"platform": scope[0], "workspace_id": scope[1]}
    (last_ms,) = conn.execute(_LAST_AT, values).fetchone()
    return _uses(conn, _TAKEN_AT, values | {"since_ms": window.since_ms(max(now_ms, last_ms))})


def problems(conn: sqlite3.Connection) -> list[str]:
    """Each job whose entries do not add up, in words for the log; empty when all is well."""
    return [
        f"job {row['id']} ({row['status']}, {row['units']} units): "
        f"reserved {row['reserved']}, charged {row['charged']}, released {row['released']}"
        for row in conn.execute(_PROBLEMS)
    ]


def _require(
    conn: sqlite3.Connection,
    person: Person,
    scope: Scope,
    wanted: Sequence[Wanted],
    limits: Limits,
    in_force: Sequence[Rule],
    now_ms: int,
) -> None:
    purses = _own(conn, person, scope, limits, in_force, now_ms).purses
    asked = [(purse, sum(each.units for each in wanted)) for purse in purses]
    for model in {each.model for each in wanted}:
        limit = units_for(in_force, person.roles, 0, model)
        if limit is not None:
            uses = [use for use in purses[0].uses if use.model == model]
            asked.append((Purse("model", limit, uses), sum(each.units for each in wanted if each.model == model)))
    if (pool := pool_of(in_force)) is not None:
        asked.append((Purse("place", pool, taken_at(conn, scope, limits.window, now_ms)), asked[0][1]))
    short = [(purse, needed) for purse, needed in asked if purse.left < needed]
    if not short:
        return
    times = [purse.free_at_ms(needed, limits.window) for purse, needed in short]
    purse, needed = min(short, key=lambda each: each[0].left)
    known = [ms for ms in times if ms is not None]
    free_at_ms = max(known) if len(known) == len(times) else None
    raise QuotaExceeded(needed=needed, left=max(0, purse.left), free_at_ms=free_at_ms, whose=purse.whose)


@dataclass(frozen=True, slots=True)
class _Own:
    """What one person may take at a place."""

    allowance: int  # with the grants
    grants: Sequence[Grant]  # that count there
    purses: tuple[Purse, Purse]  # of the person; of what the place's admins may let them take there, whatever they do
    since_ms: int


def _own(
    conn: sqlite3.Connection, person: Person, scope: Scope, limits: Limits, in_force: Sequence[Rule], now_ms: int
) -> _Own:
    """What is taken elsewhere counts here, but for what a grant of that place has covered."""
    values = {"person": person.id, "platform": scope[0], "workspace_id": scope[1]}
    reset_ms, operators_ms = conn.execute(_RESETS, values).fetchone()
    begins_ms = max(limits.window.since_ms(_clock_ms(conn, person.id, now_ms)), operators_ms)
    uses = _uses(conn, _TAKEN, {"person": person.id, "since_ms": begins_ms})
    counted = [use for use in uses if use.counts_ms > reset_ms]
    grants = _grants(conn, person.id, now_ms)
    here = [each for each in grants if each.scope in (EVERYWHERE, scope)]
    most = max(cap_of(in_force, limits), _given(person, limits, in_force, here, is_capped=False))
    allowance = min(most, _given(person, limits, in_force, here))
    covered = 0
    for place in {each.scope for each in grants} - {EVERYWHERE, scope}:
        taken = sum(use.units for use in counted if use.scope == place)
        covered += min(taken, sum(each.units for each in grants if each.scope == place))
    purses = (
        Purse("person", allowance + covered, counted),
        Purse("person", most, [use for use in uses if use.scope == scope]),
    )
    return _Own(allowance, here, purses, max(begins_ms, reset_ms))


def _given(
    person: Person, limits: Limits, in_force: Sequence[Rule], grants: Sequence[Grant], *, is_capped: bool = True
) -> int:
    """An allowance and the grants on top of it; without what is capped, the operator's alone."""
    found = [rule for rule in in_force if is_capped or not rule.is_capped]
    granted = sum(each.units for each in grants if is_capped or not each.is_capped)
    return (units_for(found, person.roles, limits.allowance or 0) or 0) + granted


def _clock_ms(conn: sqlite3.Connection, person: int, now_ms: int) -> int:
    """The person's time, which never goes back."""
    (last_ms,) = conn.execute(_LAST, {"person": person}).fetchone()
    return max(now_ms, int(last_ms))


def _uses(conn: sqlite3.Connection, sql: str, values: dict[str, object]) -> list[Use]:
    rows = conn.execute(sql, values).fetchall()
    return [Use(row["counts_ms"], (row["platform"], row["workspace_id"]), row["model"], row["taken"]) for row in rows]


def _grants(conn: sqlite3.Connection, person: int, now_ms: int) -> list[Grant]:
    rows = conn.execute(_GRANTS, {"person": person, "now_ms": now_ms}).fetchall()
    return [
        Grant(r["units"], r["ends_ms"], r["reason"] or "", (r["platform"], r["workspace_id"]), bool(r["is_capped"]))
        for r in rows
    ]


def _enter(
    conn: sqlite3.Connection,
    person: int,
    kind: str,
    units: int,
    *,
    at_ms: int,
    counts_ms: int,
    scope: Scope,
    job: str | None = None,
    image: int = -1,
    model: str = "",
    ends_ms: int | None = None,
    reason: str | None = None,
    audit_number: int | None = None,
) -> None:
    if units:
        values = {"person": person, "job": job, "image": image, "kind": kind, "units": units, "model": model}
        values |= {"at_ms": at_ms, "counts_ms": counts_ms, "ends_ms": ends_ms, "reason": reason}
        values |= {"platform": scope[0], "workspace_id": scope[1], "audit_number": audit_number}
        conn.execute(_ENTER, values)
