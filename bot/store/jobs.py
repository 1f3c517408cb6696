"""Jobs and their images as rows. Every function runs inside its caller's transaction."""

import secrets
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import msgspec

from bot.jobs import Image, Job, Lineage, Person, Place, Status
from engine.protocol import FailureKind, IfFlagged, Request

DOUBLE_PRESS_MS = 3_000
FIRST_ID_LENGTH = 4
_TRIES_PER_LENGTH = 8
_ID_ALPHABET = "23456789bcdfghjkmnpqrstvwxz"  # no two look alike, and no vowels: no words
_LETTERS = _ID_ALPHABET[8:]

_LEADS_TO = {  # the moves there are: to each status, from which
    Status.QUEUED: (Status.RECEIVED, Status.RUNNING),
    Status.RUNNING: (Status.QUEUED,),
    Status.RENDERED: (Status.RUNNING,),
    Status.DELIVERED: (Status.RENDERED,),
    Status.FAILED: (Status.QUEUED, Status.RUNNING),
    Status.CANCELLED: (Status.RECEIVED, Status.QUEUED, Status.RUNNING),
    Status.UNDELIVERABLE: (Status.RENDERED,),
}

_INSERT = """
    INSERT INTO jobs (id, person_id, intake_id, platform, workspace_id, channel_id, thread_id, message_id,
        request, is_private, units, root_id, parent_id, parent_index, verb, status, created_ms,
        if_flagged, is_unchecked, weight)
    VALUES (:id, :person, :intake, :platform, :workspace_id, :channel_id, :thread_id, :message_id,
        :request, :is_private, :units, coalesce((SELECT root_id FROM jobs WHERE id = :parent), :id),
        :parent, :parent_index, :verb, :status, :now_ms, :if_flagged, :is_unchecked, :weight)
"""
_MOVE = """
    UPDATE jobs SET status = :to, failure = :failure,
        attempts = attempts + (:to = 'running'),
        started_ms = iif(:to = 'running', :now_ms, started_ms),
        finished_ms = CASE WHEN :to IN ('rendered', 'failed', 'cancelled') THEN :now_ms
                           WHEN :to IN ('queued', 'running') THEN NULL ELSE finished_ms END
    WHERE id = :id AND status IN (SELECT value FROM json_each(:from))
"""
_WRITE_EVENT = "INSERT INTO events (job_id, at_ms, status, detail) VALUES (?, ?, ?, ?)"
_SAME_PRESS = """
    SELECT id FROM jobs WHERE person_id = :person AND parent_id = :parent AND parent_index = :index
        AND verb = :verb AND created_ms BETWEEN :since_ms + 1 AND :until_ms AND (verb <> 'remix' OR request = :request)
"""
_WAITING = """
    SELECT (SELECT count(*) FROM jobs WHERE status IN ('received', 'queued') AND person_id = :person) AS own,
        (SELECT count(*) FROM jobs WHERE status IN ('received', 'queued')) AS everyone
"""
_SAVE_IMAGE = """
    INSERT OR REPLACE INTO images (job_id, image_index, seed, status, path, sha256, width, height, is_flagged)
    SELECT id, :index, :seed, :status, :path, :sha256, :width, :height, :is_flagged
    FROM jobs WHERE id = :job AND status = 'running'
"""
_IMAGES = """
    SELECT job_id, image_index, seed, status, path, sha256, width, height, is_flagged
    FROM images WHERE job_id IN (SELECT value FROM json_each(?)) ORDER BY job_id, image_index
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request whose price is known, not yet a job."""

    request: Request
    units: int
    lineage: Lineage | None = None
    is_private: bool = False
    if_flagged: IfFlagged = "withhold"
    is_unchecked: bool = False

    @property
    def model(self) -> str:
        return self.request.draw.model


def insert(
    conn: sqlite3.Connection,
    wanted: Wanted,
    *,
    job_id: str,
    person: Person,
    place: Place,
    intake: int,
    status: Status,
    weight: float,
    now_ms: int,
) -> None:
    lineage = wanted.lineage
    values = asdict(place) | {
        "id": job_id,
        "person": person.id,
        "intake": intake,
        "request": _to_json(wanted.request),
        "is_private": wanted.is_private,
        "units": wanted.units,
        "parent": lineage and lineage.job_id,
        "parent_index": lineage and lineage.index,
        "verb": lineage and lineage.verb,
        "status": status,
        "weight": weight,
        "now_ms": now_ms,
        "if_flagged": wanted.if_flagged,
        "is_unchecked": wanted.is_unchecked,
    }
    conn.execute(_INSERT, values)
    conn.execute(_WRITE_EVENT, (job_id, now_ms, Status.RECEIVED, None))
    if status != Status.RECEIVED:
        conn.execute(_WRITE_EVENT, (job_id, now_ms, status, None))


def move(
    conn: sqlite3.Connection,
    job_id: str,
    to: Status,
    *,
    now_ms: int,
    failure: FailureKind | None = None,
    detail: str | None = None,
) -> bool:
    """Move the job on and write the event; False, and nothing written, if no move leads there from where it is."""
    values = {"id": job_id, "to": to, "from": msgspec.json.encode(_LEADS_TO[to]).decode()}
    if conn.execute(_MOVE, values | {"now_ms": now_ms, "failure": failure}).rowcount == 0:
        return False
    conn.execute(_WRITE_EVENT, (job_id, now_ms, to, detail))
    return True


def read(conn: sqlite3.Connection, job_id: str) -> Job | None:
    return next(iter(select(conn, "id = ?", (job_id,))), None)


def select(conn: sqlite3.Connection, where: str, values: Sequence[object], *, newest: int | None = None) -> list[Job]:
    """The jobs of a condition written in this package, oldest first; with `newest`, the last so many, newest first."""
    order = "number" if newest is None else f"number DESC LIMIT {newest:d}"
    rows = conn.execute(f"SELECT * FROM jobs WHERE {where} ORDER BY {order}", values).fetchall()
    images = _images(conn, [row["id"] for row in rows]) if rows else {}
    return [_job(row, images.get(row["id"], ())) for row in rows]


def same_press(conn: sqlite3.Connection, person: Person, wanted: Wanted, now_ms: int) -> str | None:
    """The job that this very press made within the last three seconds."""
    if wanted.lineage is None:
        return None
    values = {
        "person": person.id,
        "parent": wanted.lineage.job_id,
        "index": wanted.lineage.index,
        "verb": wanted.lineage.verb,
        "since_ms": now_ms - DOUBLE_PRESS_MS,
        "until_ms": now_ms + DOUBLE_PRESS_MS,  # what is later was pressed before the clock was put back
        "request": _to_json(wanted.request),
    }
    row = conn.execute(_SAME_PRESS, values).fetchone()
    return row["id"] if row else None


def waiting(conn: sqlite3.Connection, person_id: int) -> tuple[int, int]:
    """How many jobs wait: this person's, everyone's."""
    row = conn.execute(_WAITING, {"person": person_id}).fetchone()
    return row["own"], row["everyone"]


def new_id(length: int) -> str:
    """A random name such as `k7q2`; it begins with a letter, so it is never taken for a number."""
    return secrets.choice(_LETTERS) + "".join(secrets.choice(_ID_ALPHABET) for _ in range(length - 1))


def free_id(conn: sqlite3.Connection) -> str:
    """A name that no job has, a character longer once the short ones are crowded."""
    length = FIRST_ID_LENGTH
    while True:
        for _ in range(_TRIES_PER_LENGTH):
            job_id = new_id(length)
            if conn.execute("SELECT 1 FROM jobs WHERE id = ?", (job_id,)).fetchone() is None:
                return job_id
        length += 1


def save_image(conn: sqlite3.Connection, job_id: str, image: Image) -> None:
    """Record an image of a job that runs; of one that was ended meanwhile nothing is kept."""
    conn.execute(_SAVE_IMAGE, {"job": job_id} | asdict(image))


def mark_deleted(conn: sqlite3.Connection, job_id: str, index: int | None) -> None:
    """Mark one image, or with None all of them, as no longer stored."""
    conn.execute(
        "UPDATE images SET status = 'deleted' WHERE job_id = ?1 AND (?2 IS NULL OR image_index = ?2)", (job_id, index)
    )


def count_death(conn: sqlite3.Connection, job_id: str) -> int:
    """Note that the engine died while it drew this job; returns how often that has happened."""
    (deaths,) = conn.execute(
        "UPDATE jobs SET deaths = deaths + 1 WHERE id = ? AND status = 'running' RETURNING deaths", (job_id,)
    ).fetchone() or (0,)
    return int(deaths)


def _to_json(request: Request) -> str:
    return msgspec.json.encode(request).decode()


def _images(conn: sqlite3.Connection, job_ids: Iterable[str]) -> dict[str, tuple[Image, ...]]:
    found: dict[str, tuple[Image, ...]] = {}
    for job_id, *values in conn.execute(_IMAGES, (msgspec.json.encode(list(job_ids)).decode(),)):
        values[-1] = bool(values[-1])
        found[job_id] = (*found.get(job_id, ()), Image(*values))
    return found


def _job(row: sqlite3.Row, images: tuple[Image, ...]) -> Job:
    lineage = Lineage(row["parent_id"], row["parent_index"], row["verb"]) if row["parent_id"] else None
    return Job(
        id=row["id"],
        person_id=row["person_id"],
        place=Place(row["platform"], row["workspace_id"], row["channel_id"], row["thread_id"], row["message_id"]),
        request=msgspec.json.decode(row["request"], type=Request),
        status=Status(row["status"]),
        units=row["units"],
        attempts=row["attempts"],
        created_ms=row["created_ms"],
        deaths=row["deaths"],
        root_id=row["root_id"],
        lineage=lineage,
        is_private=bool(row["is_private"]),
        started_ms=row["started_ms"],
        finished_ms=row["finished_ms"],
        gpu_seconds=row["gpu_seconds"],
        engine=row["engine"],
        model_hash=row["model_hash"],
        failure=row["failure"],
        images=images,
        forgotten=row["forgotten"],
        if_flagged=row["if_flagged"],
        is_unchecked=bool(row["is_unchecked"]),
        weight=row["weight"],
    )
