"""What chat platforms need remembered. Every function runs inside its caller's transaction."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from bot.jobs import Job
from bot.store import jobs

PAGE_NOTE = "page"  # the name of the note that says where the page of the running Limner is
_OF_MESSAGE = "platform = ? AND message_id = ?"
_NEWEST_IN = "platform = ? AND thread_id = ?"
_UNANSWERED = "status = 'received' AND platform = ? AND id IN (SELECT job_id FROM callbacks)"
_EXPIRED = """
    status = 'received' AND message_id IS NULL AND id IN (SELECT job_id FROM callbacks WHERE ends_ms <= ?)
"""
_WITHOUT_CALLBACK = "status = 'received' AND id NOT IN (SELECT job_id FROM callbacks)"
_FORGET = """
    DELETE FROM callbacks WHERE ends_ms <= ? AND job_id NOT IN (SELECT id FROM jobs WHERE status = 'received')
"""


@dataclass(frozen=True, slots=True)
class Callback:
    """How to answer a platform's interaction while it lasts. `token` is a secret."""

    token: str
    ends_ms: int

    def __repr__(self) -> str:
        return f"Callback(ends_ms={self.ends_ms})"


def keep_callback(conn: sqlite3.Connection, job_id: str, callback: Callback) -> None:
    conn.execute("INSERT OR REPLACE INTO callbacks VALUES (?, ?, ?)", (job_id, callback.token, callback.ends_ms))


def token(conn: sqlite3.Connection, job_id: str, now_ms: int) -> str | None:
    row = conn.execute("SELECT token FROM callbacks WHERE job_id = ? AND ends_ms > ?", (job_id, now_ms)).fetchone()
    return row["token"] if row else None


def forget_callbacks(conn: sqlite3.Connection, now_ms: int) -> None:
    """Of those that have ended nothing is kept, once it is known what became of their jobs."""
    conn.execute(_FORGET, (now_ms,))


def unanswered(conn: sqlite3.Connection, platform: str) -> list[Job]:
    """Jobs of which nobody knows whether the platform took the answer; it can still be asked."""
    return jobs.select(conn, _UNANSWERED, (platform,))


def never_answered(conn: sqlite3.Connection, now_ms: int) -> list[Job]:
    """Jobs without a message of which that can no longer be found out."""
    return jobs.select(conn, _EXPIRED, (now_ms,))


def needs_no_answer(conn: sqlite3.Connection) -> list[Job]:
    return jobs.select(conn, _WITHOUT_CALLBACK, ())


def set_message(conn: sqlite3.Connection, job_ids: Sequence[str], message_id: str) -> None:
    for job_id in job_ids:
        conn.execute("UPDATE jobs SET message_id = ? WHERE id = ?", (message_id, job_id))


def set_thread(conn: sqlite3.Connection, job_id: str, thread_id: str | None) -> None:
    conn.execute("UPDATE jobs SET thread_id = ? WHERE id = ?", (thread_id, job_id))


def set_channel(conn: sqlite3.Connection, job_id: str, channel_id: str) -> None:
    conn.execute("UPDATE jobs SET channel_id = ? WHERE id = ?", (channel_id, job_id))


def job_of_message(conn: sqlite3.Connection, platform: str, message_id: str) -> Job | None:
    return next(iter(jobs.select(conn, _OF_MESSAGE, (platform, message_id), newest=1)), None)


def newest_in(conn: sqlite3.Connection, platform: str, thread_id: str) -> Job | None:
    return next(iter(jobs.select(conn, _NEWEST_IN, (platform, thread_id), newest=1)), None)


def note(conn: sqlite3.Connection, name: str) -> str | None:
    row = conn.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
    return row["value"] if row else None


def set_note(conn: sqlite3.Connection, name: str, value: str) -> None:
    conn.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, value))


def uploads(conn: sqlite3.Connection, job_id: str) -> dict[int, str]:
    """The files that the platform keeps of a job's images, by index."""
    rows = conn.execute("SELECT * FROM uploads WHERE job_id = ? ORDER BY image_index", (job_id,))
    return {row["image_index"]: row["file_id"] for row in rows}


def keep_upload(conn: sqlite3.Connection, job_id: str, index: int, file_id: str | None) -> None:
    """None: there is none any more."""
    conn.execute("DELETE FROM uploads WHERE job_id = ? AND image_index = ?", (job_id, index))
    if file_id:
        conn.execute("INSERT INTO uploads VALUES (?, ?, ?)", (job_id, index, file_id))


def job_of_upload(conn: sqlite3.Connection, file_id: str) -> Job | None:
    has_it = "id IN (SELECT job_id FROM uploads WHERE file_id = ?)"
    return next(iter(jobs.select(conn, has_it, (file_id,), newest=1)), None)
