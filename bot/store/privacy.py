"""What is kept of people, and how it is forgotten. Every public method is one whole transaction."""

import re
import secrets
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from bot.jobs import Job, Person, Status
from bot.store import jobs, moderation, people
from bot.store.connection import Database
from bot.store.outbox import end, settle
from engine.protocol import Draw, Request

AT_ONCE = 200  # jobs that are forgotten in one transaction
_TO_SCRUB = "scrub the database"
_DEGREES = {"prompts": 1, "jobs": 2}  # of jobs.forgotten
_KEPT = {  # each in the words of an index
    "files": "id IN (SELECT job_id FROM images WHERE status = 'done')",
    "prompts": "forgotten = 0",
    "jobs": "forgotten < 2",
}

_OVER = "status IN ('delivered', 'failed', 'cancelled', 'undeliverable')"
_OVER_GIVEN = f"""
    SELECT request FROM jobs WHERE forgotten = 0 AND (created_ms >= ? OR NOT {_OVER}) AND instr(request, '/given/')
"""
_GIVEN_NAME = re.compile(r'/given/([^/"]+)"')
_CHILDREN = """
    WITH RECURSIVE line (id) AS (
        SELECT value FROM json_each(?) UNION SELECT j.id FROM jobs j JOIN line ON j.parent_id = line.id
    ) SELECT id FROM line
"""
_OF_PERSON = (
    "identities",
    "defaults",
    "jobs",
    "ledger",
    "blocks",
    "incidents",
    "reports",
    "resets",
    "audit",
)  # exported
_IDLE = f"""
    SELECT p.id FROM persons p WHERE p.created_ms < :before AND NOT p.is_erased AND NOT p.is_operator
        AND NOT EXISTS (SELECT 1 FROM jobs WHERE person_id = p.id AND forgotten < 2)
        AND NOT EXISTS (SELECT 1 FROM blocks WHERE person_id = p.id)
        AND NOT EXISTS (SELECT 1 FROM allowances WHERE subject = 'person' AND subject_id = CAST(p.id AS TEXT))
        AND NOT EXISTS (SELECT 1 FROM audit WHERE actor_id = p.id AND at_ms >= :before) LIMIT {AT_ONCE}
"""


Kind = Literal["files", "prompts", "jobs"]


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What is left to do on disk: folders of these jobs, and pictures that were given."""

    job_ids: tuple[str, ...]
    given: tuple[Path, ...] = ()


class Privacy:
    def __init__(self, database: Database):
        self._database = database

    async def everything(self, person: Person) -> dict[str, list[dict[str, Any]]]:
        """All rows that are of the person, by table."""

        def question(conn: sqlite3.Connection) -> dict[str, list[dict[str, Any]]]:
            wheres = dict.fromkeys(_OF_PERSON, "person_id = ?")
            wheres["allowances"] = "subject = 'person' AND CAST(subject_id AS INTEGER) = ?"
            return {
                table: [dict(row) for row in conn.execute(f"SELECT * FROM {table} WHERE {where}", (person.id,))]
                for table, where in wheres.items()
            }

        return await self._database.read(question)

    async def erase(self, person_id: int, now_ms: int) -> Forgotten:
        """Everything of the person but a random number, and what others made of their words and pictures."""
        return await self._database.run(lambda conn: erase_person(conn, person_id, now_ms))

    async def forget(self, what: Kind, before_ms: int) -> Forgotten:
        """Of jobs that ended before, some at once: images, what people typed, or all but their numbers."""
        return await self._database.run(lambda conn: _forget_older(conn, what, before_ms))

    async def idle(self, before_ms: int) -> list[int]:
        """People of whom nothing but an identity is kept any more."""
        return await self._database.read(lambda conn: [row["id"] for row in conn.execute(_IDLE, {"before": before_ms})])

    async def without_images(self, job_ids: Sequence[str]) -> list[str]:
        """Those of which no file should be on disk: over, and with no stored image; or not known at all."""
        sql = f"""
            SELECT value FROM json_each(?) WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE id = value AND NOT ({_OVER}))
                AND NOT EXISTS (SELECT 1 FROM images WHERE job_id = value AND status = 'done')
        """
        return await self._database.read(lambda conn: [row["value"] for row in conn.execute(sql, (_json(job_ids),))])

    async def given_in_use(self, since_ms: int) -> set[str]:
        """Names of the given pictures that a job was drawn over which is not over, or was asked for since then."""
        return await self._database.read(lambda conn: _given_in_use(conn, since_ms))

    async def scrub(self, at_most_bytes: int | None = None) -> bool:
        """Leave nothing in the write-ahead log, and after an erasure no old page in a database of at most this size.

        Everybody waits for it. False where somebody reads just now.
        """
        return await self._database.maintain(lambda conn: scrub(conn, at_most_bytes))


def erase_person(conn: sqlite3.Connection, person_id: int, now_ms: int) -> Forgotten:
    own = jobs.select(conn, "person_id = ?", (person_id,))
    for job in own:
        _require_over(conn, job, now_ms)
    made = _made_of(conn, own)
    moderation.take_down(conn, [*own, *made], now_ms)
    _shut_out(conn, person_id, now_ms)
    ghost = -secrets.randbelow(2**62) - 1
    conn.execute("INSERT INTO persons (id, created_ms, is_erased) VALUES (?, 0, 1)", (ghost,))
    forgotten, also = _forget(conn, own, "jobs"), _forget(conn, made, "prompts")
    for prompt, platform, workspace_id in {(job.request.draw.prompt, *job.place.workspace) for job in own}:
        conn.execute(_MADE_OF_IT, {"prompt": prompt, "platform": platform, "workspace_id": workspace_id})
    for sql in _TO_GHOST:
        conn.execute(sql, {"ghost": ghost, "person": person_id, "now_ms": now_ms})
    conn.execute("INSERT OR REPLACE INTO notes VALUES (?, '')", (_TO_SCRUB,))
    return Forgotten(forgotten.job_ids + also.job_ids, forgotten.given + also.given)


# What others were refused to make of an erased person's words. "a" begins many prompts, and is no trace of anybody.
_MADE_OF_IT = """
    UPDATE incidents SET prompt = NULL WHERE platform = :platform AND workspace_id = :workspace_id AND
        (prompt = :prompt OR (length(:prompt) >= 12 AND substr(prompt, 1, length(:prompt)) = :prompt))
"""
_TO_GHOST = (
    """UPDATE ledger SET person_id = :ghost, reason = NULL,
       workspace_id = iif(workspace_id LIKE 'dm:%', '', workspace_id) WHERE person_id = :person""",
    "UPDATE jobs SET person_id = :ghost WHERE person_id = :person",
    "UPDATE intakes SET person_id = :ghost, key = hex(randomblob(16)) WHERE person_id = :person",
    """UPDATE audit SET person_id = :ghost, key = 'erased ' || number, subject = '', reason = ''
       WHERE person_id = :person""",
    "UPDATE audit SET actor_id = :ghost, key = 'erased ' || number WHERE actor_id = :person",
    "DELETE FROM incidents WHERE person_id = :person",
    "DELETE FROM reports WHERE person_id = :person",
    "DELETE FROM blocks WHERE person_id = :person",
    "DELETE FROM resets WHERE person_id = :person",
    "DELETE FROM defaults WHERE person_id = :person",
    "DELETE FROM allowances WHERE subject = 'person' AND subject_id = CAST(:person AS TEXT)",
    "DELETE FROM identities WHERE person_id = :person",
    "UPDATE persons SET is_operator = 0, created_ms = 0, is_erased = 1 WHERE id = :person",  # a number is given once
    "DELETE FROM shut_out WHERE ends_ms < :now_ms",
)


def _require_over(conn: sqlite3.Connection, job: Job, now_ms: int) -> None:
    """What still waits is cancelled, and what is drawn will not be delivered: all of it is released."""
    if end(conn, job.id, Status.CANCELLED, now_ms) or not jobs.move(conn, job.id, Status.UNDELIVERABLE, now_ms=now_ms):
        return
    settle(conn, job, [], now_ms)


def _made_of(conn: sqlite3.Connection, own: Sequence[Job]) -> list[Job]:
    """What others made of these jobs and still carries their words or pictures."""
    ids = {job.id for job in own}
    line = [row["id"] for row in conn.execute(_CHILDREN, (_json(ids),)) if row["id"] not in ids]
    said = {job.request.draw.prompt for job in own} - {""}
    children = [job for job_id in line if (job := jobs.read(conn, job_id))]
    return [job for job in children if _carries(job.request, said, ids)]


def _carries(request: Request, said: Iterable[str], ids: set[str]) -> bool:
    source = request.source if not isinstance(request, Draw) else request.init_image or ""
    return Path(source).parent.name in ids or any(each in request.draw.prompt for each in said)


def _forget_older(conn: sqlite3.Connection, what: Kind, before_ms: int) -> Forgotten:
    if what == "prompts":
        conn.execute("UPDATE incidents SET prompt = NULL WHERE at_ms < ? AND prompt IS NOT NULL", (before_ms,))
    if what == "jobs":
        conn.execute("DELETE FROM incidents WHERE at_ms < ?", (before_ms,))
    # `+`: an index of the states would be read from end to end, since nearly every job is over
    some = f"SELECT number FROM jobs WHERE created_ms < ? AND +{_OVER} AND {_KEPT[what]} LIMIT {AT_ONCE}"
    return _forget(conn, jobs.select(conn, f"number IN ({some})", (before_ms,)), what)


def _forget(conn: sqlite3.Connection, gone: Sequence[Job], what: Kind) -> Forgotten:
    """So much of these jobs. Their files are the caller's to remove."""
    given: set[Path] = set()
    for job in gone:
        jobs.mark_deleted(conn, job.id, None)
        if what != "files":
            given |= {Path(path) for path in (job.request.draw.init_image, job.request.draw.mask) if path}
            values = (msgspec.json.encode(_wordless(job.request)).decode(), _DEGREES[what], job.id)
            conn.execute("UPDATE jobs SET request = ?, forgotten = max(forgotten, ?) WHERE id = ?", values)
        for sql in _STRIP if what == "jobs" else ():
            conn.execute(sql, {"job": job.id})
    used = _given_in_use(conn) if given else set()
    left = (path for path in given if path.parent.name == "given" and path.name not in used)
    return Forgotten(tuple(job.id for job in gone), tuple(left))


_STRIP = (
    """UPDATE jobs SET channel_id = '', thread_id = NULL, message_id = NULL, engine = NULL, model_hash = NULL,
       workspace_id = iif(workspace_id LIKE 'dm:%', '', workspace_id) WHERE id = :job""",
    "UPDATE intakes SET key = hex(randomblob(16)) WHERE id = (SELECT intake_id FROM jobs WHERE id = :job)",
    "DELETE FROM images WHERE job_id = :job",
    "DELETE FROM events WHERE job_id = :job",
    "DELETE FROM outbox WHERE job_id = :job",
    "DELETE FROM callbacks WHERE job_id = :job",
    "DELETE FROM uploads WHERE job_id = :job",
    "DELETE FROM reports WHERE job_id = :job",
)


def _wordless(request: Request) -> Request:
    draw = msgspec.structs.replace(
        request.draw, prompt="", negative_prompt=None, init_image=None, mask=None, strength=None, seed=0
    )
    return draw if isinstance(request, Draw) else msgspec.structs.replace(request, source="", of=draw)


def _given_in_use(conn: sqlite3.Connection, since_ms: int = 0) -> set[str]:
    found = conn.execute(_OVER_GIVEN, (since_ms,))
    return {name for row in found for name in _GIVEN_NAME.findall(row["request"])}


def _shut_out(conn: sqlite3.Connection, person_id: int, now_ms: int) -> None:
    blocks = "SELECT * FROM blocks WHERE person_id = ? AND (ends_ms IS NULL OR ends_ms > ?)"
    for identity in conn.execute("SELECT * FROM identities WHERE person_id = ?", (person_id,)).fetchall():
        for row in conn.execute(blocks, (person_id, now_ms)).fetchall():
            salt = secrets.token_bytes(16)
            hashed = people.salted(salt, identity["platform"], identity["workspace_id"], identity["user_id"])
            values = (salt, hashed, row["platform"], row["workspace_id"], row["ends_ms"])
            conn.execute("INSERT INTO shut_out VALUES (?, ?, ?, ?, ?)", values)


def scrub(conn: sqlite3.Connection, at_most_bytes: int | None = None) -> bool:
    is_due = conn.execute("SELECT 1 FROM notes WHERE name = ?", (_TO_SCRUB,)).fetchone() is not None
    size_sql = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
    if is_due and at_most_bytes is not None:  # what was deleted is overwritten at once; its old pages go with the purge
        is_due = conn.execute(size_sql).fetchone()[0] < at_most_bytes
    if is_due:
        conn.execute("VACUUM")
    busy, _, _ = conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if is_due and not busy:
        conn.execute("DELETE FROM notes WHERE name = ?", (_TO_SCRUB,))
    return not busy


def _json(values: Iterable[str]) -> str:
    return msgspec.json.encode(list(values)).decode()
