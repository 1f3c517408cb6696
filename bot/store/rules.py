"""What admins decide, with the record of each decision. Every function runs inside its caller's transaction."""

import sqlite3
from dataclasses import asdict, dataclass, fields

from bot.allowances import Rule, Scope

_WRITE = """
    INSERT INTO audit (key, at_ms, actor_id, authority, platform, workspace_id, verb, person_id, subject,
        before, after, ends_ms, reason)
    VALUES (:key, :at_ms, :actor_id, :authority, :platform, :workspace_id, :verb, :person_id, :subject,
        :before, :after, :ends_ms, :reason)
"""
_ENTRIES = """
    SELECT audit.*,
        coalesce((SELECT name FROM identities WHERE person_id = actor_id AND platform <> 'web'), '') AS actor,
        iif(person_id IS NULL, NULL,
            coalesce((SELECT iif(name = '', user_id, name) FROM identities i WHERE i.person_id = audit.person_id), ''))
            AS person
    FROM audit WHERE {}
"""
_OF_SCOPE = "(:platform = '' OR platform = :platform AND workspace_id = :workspace_id) ORDER BY number DESC LIMIT :most"
_RULES = """
    WITH scopes (platform, workspace_id) AS (SELECT '', '' UNION SELECT :platform, :workspace_id), found AS (
        SELECT a.* FROM scopes JOIN allowances a USING (platform, workspace_id)
        WHERE subject IN ('default', 'role', 'place')
        UNION ALL
        SELECT a.* FROM scopes JOIN allowances a USING (platform, workspace_id)
        WHERE subject = 'person' AND subject_id = :person
    ) SELECT * FROM found WHERE ends_ms IS NULL OR ends_ms > :now_ms
"""
_SET_RULE = """
    INSERT OR REPLACE INTO allowances VALUES (:platform, :workspace_id, :subject, :subject_id, :model,
        :units, :weight, :waiting, :ends_ms, :is_capped)
"""
_THE_RULE = """
    platform = :platform AND workspace_id = :workspace_id AND subject = :subject AND subject_id = :subject_id
        AND model = :model
"""
_BLOCK = """
    SELECT ends_ms, reason FROM blocks WHERE person_id = :person AND (ends_ms IS NULL OR ends_ms > :now_ms)
        AND (platform, workspace_id) IN (('', ''), (:platform, :workspace_id))
    ORDER BY ends_ms IS NOT NULL, ends_ms DESC
"""


@dataclass(frozen=True, slots=True)
class Act:
    """An order that somebody is allowed to give: who, where it counts, why."""

    key: str  # of the delivery
    at_ms: int
    actor_id: int
    authority: str
    scope: Scope
    verb: str
    reason: str = ""

    @property
    def is_capped(self) -> bool:
        """Whether the cap of the place holds for what is given."""
        return self.authority != "operator"


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the audit."""

    number: int
    at_ms: int
    actor: str
    authority: str
    scope: Scope
    verb: str
    person: str | None  # whom it is about; empty: a person who was erased
    subject: str
    before: str
    after: str
    ends_ms: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Halt:
    """A block of a person, or a pause of a place."""

    ends_ms: int | None = None  # None: until it is taken back
    reason: str = ""


def write(
    conn: sqlite3.Connection,
    act: Act,
    before: str,
    after: str,
    *,
    person: int | None = None,
    subject: str = "",
    ends_ms: int | None = None,
) -> Entry:
    """Write down what was changed."""
    values = asdict(act) | columns(act.scope) | {"ends_ms": ends_ms}
    conn.execute(_WRITE, values | {"person_id": person, "subject": subject, "before": before, "after": after})
    entry = entry_of(conn, act.key)
    assert entry
    return entry


def entries(conn: sqlite3.Connection, scope: Scope, most: int) -> list[Entry]:
    """The last of a scope, newest first; EVERYWHERE: of all."""
    rows = conn.execute(_ENTRIES.format(_OF_SCOPE), columns(scope) | {"most": most}).fetchall()
    return [_entry(row) for row in rows]


def entry_of(conn: sqlite3.Connection, key: str) -> Entry | None:
    """What this delivery did already."""
    row = conn.execute(_ENTRIES.format("key = ?"), (key,)).fetchone()
    return _entry(row) if row else None


def in_force(conn: sqlite3.Connection, scope: Scope, person: int, now_ms: int) -> list[Rule]:
    """The rules that touch a person at a scope; those of EVERYWHERE among them."""
    values = columns(scope) | {"person": str(person), "now_ms": now_ms}
    return [_rule(row) for row in conn.execute(_RULES, values)]


def set_rule(conn: sqlite3.Connection, rule: Rule) -> None:
    """A rule that says nothing is removed."""
    values = asdict(rule) | columns(rule.scope)
    if rule.is_empty:
        conn.execute(f"DELETE FROM allowances WHERE {_THE_RULE}", values)
    else:
        conn.execute(_SET_RULE, values)


def the_rule(conn: sqlite3.Connection, like: Rule, now_ms: int) -> Rule | None:
    """What is in force of the same subject, scope and model."""
    values = asdict(like) | columns(like.scope) | {"now_ms": now_ms}
    sql = f"SELECT * FROM allowances WHERE {_THE_RULE} AND (ends_ms IS NULL OR ends_ms > :now_ms)"
    row = conn.execute(sql, values).fetchone()
    return _rule(row) if row else None


def block_of(conn: sqlite3.Connection, person: int, scope: Scope, now_ms: int) -> Halt | None:
    """What keeps the person from drawing there: the block that lasts longest."""
    row = conn.execute(_BLOCK, columns(scope) | {"person": person, "now_ms": now_ms}).fetchone()
    return Halt(**row) if row else None


def set_halt(conn: sqlite3.Connection, table: str, of: dict[str, object], halt: Halt | None, now_ms: int) -> bool:
    """In `blocks` or `pauses`, in the place of the one that was there; whether that one was still in force."""
    where = " AND ".join(f"{name} = :{name}" for name in of)
    old = conn.execute(f"DELETE FROM {table} WHERE {where} RETURNING ends_ms", of).fetchone()
    if halt:
        values = of | asdict(halt)
        names = ", ".join(values), ", ".join(f":{name}" for name in values)
        conn.execute(f"INSERT INTO {table} ({names[0]}) VALUES ({names[1]})", values)
    return old is not None and (old["ends_ms"] is None or old["ends_ms"] > now_ms)


def columns(scope: Scope) -> dict[str, object]:
    """As the tables name its parts."""
    return {"platform": scope[0], "workspace_id": scope[1]}


def _rule(row: sqlite3.Row) -> Rule:
    kept = ("subject", "subject_id", "model", "units", "weight", "waiting", "ends_ms")
    scope = row["platform"], row["workspace_id"]
    return Rule(scope, **{name: row[name] for name in kept}, is_capped=bool(row["is_capped"]))


def _entry(row: sqlite3.Row) -> Entry:
    kept = [field.name for field in fields(Entry) if field.name != "scope"]
    return Entry(scope=(row["platform"], row["workspace_id"]), **{name: row[name] for name in kept})
