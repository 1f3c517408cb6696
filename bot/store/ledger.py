"""Units: reserved when a job is accepted, charged for each image delivered, the rest released.

Every function runs inside its caller's transaction. A job's entries count at the time it was
accepted, so what a failure gives back is given back to the day it was taken from. A person's
entries never count earlier than the one before: a clock that is set back gives nothing back twice.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

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
    VALUES (:person_id, :job_id, :image_index, :kind, :units, :at_ms, :counts_ms, :ends_ms, :reason,
        :platform, :workspace_id, :model, :audit_number)
"""
_BLANK = {"job_id": None, "image_index": -1, "model": "", "ends_ms": None, "reason": None, "audit_number": None}
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

    used: int  # charged and reserved together
    reserved: int  # of jobs not yet delivered
    allowance: int  # of a window, with what is granted here and now
    is_limited: bool = True  # the operator is counted only
    next_free_ms: int | None = None  # when the oldest units of the window come back
    charges: tuple[Charge, ...] = ()  # the last five, newest first
    grants: tuple[Grant, ...] = ()
    span: str = "day"  # over which the allowance goes: "day", "week", "month"
    charged: int = 0


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
    common = {"person_id": person.id, "kind": "reserve", "at_ms": now_ms, "counts_ms": counts_ms}
    for job, wanted in jobs:
        its = {"job_id": job, "units": wanted.units, "model": wanted.model}
        _enter(conn, common | rules.columns(scope) | its)


def settle(
    conn: sqlite3.Connection, job: str, *, charged_images: Sequence[int], units_per_image: int, at_ms: int
) -> int:
    """Charge these images and release what else was reserved. Returns the units released."""
    reserved = conn.execute("SELECT * FROM ledger WHERE job_id = ? AND kind = 'reserve'", (job,)).fetchone()
    if reserved is None:  # a request that cost nothing
        return 0
    common = dict(reserved) | {"at_ms": at_ms}
    for index in charged_images:
        _enter(conn, common | {"kind": "charge", "units": units_per_image, "image_index": index})
    rest: int = reserved["units"] - units_per_image * len(charged_images)
    _enter(conn, common | {"kind": "release", "units": rest})
    return rest


def grant(conn: sqlite3.Connection, person: int, units: int, ends_ms: int, act: Act, number: int) -> None:
    """Raise a person's allowance where the order counts, until `ends_ms`; `number` is the order's in the audit."""
    terms = {"units": units, "ends_ms": ends_ms, "reason": act.reason, "audit_number": number}
    who = {"person_id": person, "kind": "grant", "at_ms": act.at_ms, "counts_ms": act.at_ms}
    _enter(conn, who | terms | rules.columns(act.scope))


def reset(conn: sqlite3.Connection, person: int, act: Act) -> None:
    """Where the order counts, nothing does that was taken until now."""
    counts_ms = _clock_ms(conn, person, act.at_ms)
    values = (person, *act.scope, act.is_capped, counts_ms)
    conn.execute("INSERT OR REPLACE INTO resets VALUES (?, ?, ?, ?, ?)", values)


def account(conn: sqlite3.Connection, *, person: Person, scope: Scope, limits: Limits, now_ms: int) -> Account:
    in_force = rules.in_force(conn, scope, person.id, now_ms)
    own = _own(conn, person, scope, limits, in_force, now_ms)
    at = {"person": person.id, "since_ms": own.since_ms}
    (charged,) = conn.execute(_CHARGED, at).fetchone()
    uses = own.purses[0].uses
    return Account(
        used=own.allowance - min(purse.left for purse in own.purses),
        reserved=sum(use.units for use in uses) - charged,
        allowance=own.allowance,
        is_limited=not person.is_operator,
        next_free_ms=limits.window.frees_ms(uses[0].counts_ms) if uses else None,
        charges=tuple(Charge(**row) for row in conn.execute(_LAST_CHARGES, at)),
        grants=tuple(own.grants),
        span=limits.window.span,
        charged=charged,
    )


def granted(conn: sqlite3.Connection, person: int, scope: Scope, now_ms: int) -> int:
    return sum(each.units for each in _grants(conn, person, now_ms) if each.scope in (EVERYWHERE, scope))


def taken_at(conn: sqlite3.Connection, scope: Scope, window: Window, now_ms: int) -> list[Use]:
    """What everyone together has taken at a place within the window."""
    values = rules.columns(scope)
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
    values = {"person": person.id, **rules.columns(scope)}
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


def _enter(conn: sqlite3.Connection, entry: Mapping[str, object]) -> None:
    if entry["units"]:
        conn.execute(_ENTER, {**_BLANK, **entry})
