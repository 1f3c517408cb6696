"""What chat platforms need remembered: messages, callbacks, files, notes. Every public method is one transaction."""

import sqlite3
from dataclasses import dataclass

from bot.jobs import Job
from bot.store import jobs
from bot.store.connection import Database

PAGE_NOTE = "page"  # the name of the note that says where the page of the running Limner is
_UNANSWERED = "status = 'received' AND platform = ? AND id IN (SELECT job_id FROM callbacks)"
NEVER_ANSWERED = """
    status = 'received' AND message_id IS NULL AND id IN (SELECT job_id FROM callbacks WHERE ends_ms <= ?)
"""  # and the platform can no longer be asked
NEEDS_NO_ANSWER = "status = 'received' AND id NOT IN (SELECT job_id FROM callbacks)"
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


class Chat:
    def __init__(self, database: Database):
        self._database = database

    async def unanswered(self, platform: str) -> list[Job]:
        """Jobs of which only the platform knows whether it took the answer."""
        return await self._database.read(lambda conn: jobs.select(conn, _UNANSWERED, (platform,)))

    async def token(self, job_id: str, now_ms: int) -> str | None:
        """What answers the interaction that made the job; None once that has ended."""
        sql = "SELECT token FROM callbacks WHERE job_id = ? AND ends_ms > ?"

        def transaction(conn: sqlite3.Connection) -> str | None:
            forget_callbacks(conn, now_ms)
            row = conn.execute(sql, (job_id, now_ms)).fetchone()
            return row["token"] if row else None

        return await self._database.run(transaction)

    async def posted(
        self, job_id: str, *, message_id: str, thread_id: str | None, channel_id: str | None = None
    ) -> None:
        """The job's message was made only now, or made again, in this thread or in none, perhaps in another channel."""
        sql = "UPDATE jobs SET message_id = ?, thread_id = ?, channel_id = coalesce(?, channel_id) WHERE id = ?"
        values = (message_id, thread_id, channel_id, job_id)
        await self._database.run(lambda conn: conn.execute(sql, values).close())

    async def moved(self, job_id: str, *, thread_id: str) -> None:
        """The job's message is to be made in this thread, unless it was made already or may be at any moment."""
        sql = "UPDATE jobs SET thread_id = ? WHERE id = ? AND status = 'received' AND message_id IS NULL"
        await self._database.run(lambda conn: conn.execute(sql, (thread_id, job_id)).close())

    async def job_of_message(self, platform: str, message_id: str) -> Job | None:
        return await self._newest("platform = ? AND message_id = ?", platform, message_id)

    async def newest_in(self, platform: str, thread_id: str) -> Job | None:
        return await self._newest("platform = ? AND thread_id = ?", platform, thread_id)

    async def job_of_upload(self, file_id: str) -> Job | None:
        return await self._newest("id IN (SELECT job_id FROM uploads WHERE file_id = ?)", file_id)

    async def _newest(self, where: str, *values: str) -> Job | None:
        return await self._database.read(lambda conn: next(iter(jobs.select(conn, where, values, newest=1)), None))

    async def uploads(self, job_id: str) -> dict[int, str]:
        """The files that the platform keeps of a job's images, by index."""
        sql = "SELECT image_index, file_id FROM uploads WHERE job_id = ? ORDER BY image_index"
        return await self._database.read(lambda conn: dict(conn.execute(sql, (job_id,))))

    async def uploaded(self, job_id: str, index: int, file_id: str | None) -> None:
        """The platform keeps this file of an image; None: none any more."""

        def transaction(conn: sqlite3.Connection) -> None:
            conn.execute("DELETE FROM uploads WHERE job_id = ? AND image_index = ?", (job_id, index))
            if file_id:
                conn.execute("INSERT INTO uploads VALUES (?, ?, ?)", (job_id, index, file_id))

        await self._database.run(transaction)

    async def note(self, name: str) -> str | None:
        """What `set_note` remembered under this name."""
        return await self._database.read(lambda conn: note(conn, name))

    async def set_note(self, name: str, value: str) -> None:
        sql = "INSERT OR REPLACE INTO notes VALUES (?, ?)"
        await self._database.run(lambda conn: conn.execute(sql, (name, value)).close())


def forget_callbacks(conn: sqlite3.Connection, now_ms: int) -> None:
    """Of those that have ended nothing is kept, once it is known what became of their jobs."""
    conn.execute(_FORGET, (now_ms,))


def note(conn: sqlite3.Connection, name: str) -> str | None:
    row = conn.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
    return row["value"] if row else None
