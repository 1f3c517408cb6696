"""The one connection to the database: opened, checked, migrated; whole transactions on its own thread."""

import asyncio
import errno
import fcntl
import os
import re
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar, cast

import aiosqlite

from bot.errors import CannotStart, InUse, Unavailable

Result = TypeVar("Result")
_Waiting = tuple[Callable[[sqlite3.Connection], Any], "asyncio.Future[Any]"]

_PRAGMAS = """
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;  -- with NORMAL a power loss can take the last commits
    PRAGMA foreign_keys = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA cell_size_check = ON;
    PRAGMA busy_timeout = 5000;  -- matters only while an operator's shell holds a lock
    PRAGMA wal_autocheckpoint = 1000;
    PRAGMA secure_delete = ON;  -- what is deleted is overwritten
    PRAGMA journal_size_limit = 67108864;
"""
TOGETHER = 200  # transactions in one commit: more would only make the first of them wait
CHECKED_AT_ONCE_BYTES = 64 * 2**20  # in less than a second
READERS_KIB = 256  # of pages in memory, while a whole database is read: the system keeps them, too
_REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_BUSY: "another program holds the database",
    sqlite3.SQLITE_LOCKED: "another program holds the database",
    sqlite3.SQLITE_READONLY: "the database cannot be written",
    sqlite3.SQLITE_CANTOPEN: "the database cannot be opened",
    sqlite3.SQLITE_IOERR: "the disk cannot be read or written",
}


class Database(aiosqlite.Connection):
    """SQLite on a thread of its own, where one whole transaction is one function.

    aiosqlite's own `execute` and `commit` are not used: between two awaits another coroutine's
    statements would land in the transaction.
    """

    def __init__(self, connector: Callable[[], sqlite3.Connection], iter_chunk_size: int):
        super().__init__(connector, iter_chunk_size)
        self._writes, self._reads = _Line("IMMEDIATE"), _Line("DEFERRED")
        self._calls: set[asyncio.Task[None]] = set()

    async def run(self, transaction: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run `transaction` between BEGIN IMMEDIATE and COMMIT; if it raises, nothing was written.

        Those that wait while the disk syncs are committed together: where two hundred people come at once, the syncs
        are what takes the time. It ends even if the caller is cancelled. Raises Unavailable when the disk or a lock
        forbids it.
        """
        return cast(Result, await self._done(self._writes, transaction))

    async def read(self, question: Callable[[sqlite3.Connection], Result]) -> Result:
        """The same for what only reads: it needs no lock, and works on a full disk.

        Those that wait are answered together, too: to reach the thread takes longer than an answer.
        """
        return cast(Result, await self._done(self._reads, question))

    async def maintain(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run what can be in no transaction; nothing else runs meanwhile. Raises Unavailable."""
        return await asyncio.shield(self._execute(_outside, self._conn, work))  # type: ignore[no-untyped-call]

    async def _done(self, line: "_Line", transaction: Callable[[sqlite3.Connection], object]) -> object:
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        line.waiting.append((transaction, answer))
        self._call(line)
        return await asyncio.shield(answer)

    def _call(self, line: "_Line") -> None:
        if not line.is_called:
            line.is_called = True
            call = asyncio.create_task(self._do_waiting(line))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    async def _do_waiting(self, line: "_Line") -> None:
        taken: list[_Waiting] = []
        try:
            outcomes = await self._execute(self._take_some, line, taken)  # type: ignore[no-untyped-call]
        except Exception as error:  # of the whole: none of them was done
            if not taken:  # the database is closed: nothing will come for them any more
                line.is_called = False
                taken, line.waiting = list(line.waiting), deque()
            outcomes = [error] * len(taken)
        for (_, answer), outcome in zip(taken, outcomes, strict=True):
            if isinstance(outcome, Exception):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)
        if line.waiting:
            self._call(line)

    def _take_some(self, line: "_Line", taken: list[_Waiting]) -> list[object]:
        line.is_called = False  # before the last look: who comes after it calls again
        while line.waiting and len(taken) < TOGETHER:
            taken.append(line.waiting.popleft())
        return _together(self._conn, line.kind, [transaction for transaction, _ in taken])


class _Line:
    """Transactions of one kind that wait for the thread."""

    def __init__(self, kind: str):
        self.kind, self.is_called = kind, False
        self.waiting: deque[_Waiting] = deque()


@contextmanager
def _telling() -> Iterator[None]:
    """Raises Unavailable where the disk or a lock forbids what is done."""
    try:
        yield
    except sqlite3.Error as error:
        if reason := _reason(error):
            raise Unavailable(reason) from error
        raise


def _outside(conn: sqlite3.Connection, work: Callable[[sqlite3.Connection], Result]) -> Result:
    with _telling():
        return work(conn)


def _together(
    conn: sqlite3.Connection, kind: str, transactions: list[Callable[[sqlite3.Connection], object]]
) -> list[object]:
    """What each returned or raised, in one transaction; what one that raised had written is taken back alone."""
    one = _inside if kind == "IMMEDIATE" else _asked
    with _telling():
        try:
            conn.execute(f"BEGIN {kind}")
            outcomes = [one(conn, transaction) for transaction in transactions]
            conn.execute("COMMIT")
            return outcomes
        finally:
            if conn.in_transaction:  # SQLite has already rolled back by itself when the disk is full
                conn.execute("ROLLBACK")


def _asked(conn: sqlite3.Connection, question: Callable[[sqlite3.Connection], object]) -> object:
    try:
        return _outside(conn, question)
    except Exception as error:
        return error


def _inside(conn: sqlite3.Connection, transaction: Callable[[sqlite3.Connection], object]) -> object:
    conn.execute("SAVEPOINT one")
    try:
        return _outside(conn, transaction)
    except Exception as error:
        if not conn.in_transaction:  # on a full disk SQLite takes back everything
            raise
        conn.execute("ROLLBACK TO one")
        return error
    finally:
        if conn.in_transaction:
            conn.execute("RELEASE one")


def _reason(error: sqlite3.Error) -> str | None:
    code: int = getattr(error, "sqlite_errorcode", 0)
    return _REASONS.get(code & 0xFF)  # the low byte of an extended code is the primary one


class DataLock:
    """This process's hold on a data directory; a second process gets CannotStart."""

    def __init__(self, data_dir: Path):
        self._descriptor = os.open(data_dir / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.release()
            raise InUse(
                f"Another Limner is running on {data_dir}. Stop it, or set LIMNER_DATA to another directory."
            ) from error

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1


def prepare_data_dir(data_dir: Path) -> None:
    """Make the directory and its spool, for their owner only. Raises CannotStart if it cannot be written."""
    try:
        for folder in (data_dir, data_dir / "spool"):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
        problem = write_problem(data_dir)
    except OSError as error:
        problem = error
    if problem:
        raise CannotStart(
            f"The data directory {data_dir} cannot be written ({problem.strerror or problem}). "
            "Free some space, change its permissions, or set LIMNER_DATA to another directory.",
            exit_code=75 if problem.errno in (errno.ENOSPC, errno.EDQUOT) else 78,
        ) from problem


def sync(path: Path) -> None:
    """Until what is in a file, or the names in a folder, are on disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_problem(folder: Path) -> OSError | None:
    """By writing: permission bits say little for root, containers, read-only mounts and full disks."""
    probe = folder / ".limner-probe"
    try:
        probe.write_bytes(b"\0" * 4096)
        probe.unlink(missing_ok=True)
    except OSError as error:
        with suppress(OSError):
            probe.unlink()
        return error
    return None


async def open_database(file: Path) -> Database:
    """Open, check and migrate. Raises CannotStart for a database that is damaged, newer or not writable."""
    conn = await asyncio.to_thread(connect, file)
    database = Database(lambda: conn, iter_chunk_size=64)
    await database
    return database


def connect(file: Path) -> sqlite3.Connection:
    conn: sqlite3.Connection | None = None
    if not file.exists() and any(file.parent.glob("backups/limner-*.db")):
        raise CannotStart(
            f"The database {file} is missing, but there are backups: `limner restore` brings back the last. "
            f"To begin with an empty one, move {file.parent / 'backups'} away."
        )
    try:
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
        file.chmod(0o600)  # SQLite gives its -wal and -shm the same mode
        conn = sqlite3.connect(file, isolation_level=None, check_same_thread=False)  # it moves to aiosqlite's thread
        conn.row_factory = sqlite3.Row
        conn.executescript(_PRAGMAS)
        _check(conn, file)
        migrate(conn, read_migrations(), file)
        return conn
    except (OSError, sqlite3.Error, CannotStart) as error:
        if conn:
            conn.close()
        raise cannot_open(error, file) from error


@contextmanager
def reading(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection that only reads, also while Limner runs. Raises CannotStart."""
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)) as conn:
            conn.row_factory = sqlite3.Row
            conn.execute(f"PRAGMA cache_size = -{READERS_KIB}")
            yield conn
    except sqlite3.Error as error:
        raise cannot_open(error, file) from error


def _check(conn: sqlite3.Connection, file: Path) -> None:
    """A small database at once; of a large one the pages in use, and the rest once the bot runs (`inspection`)."""
    if file.stat().st_size > CHECKED_AT_ONCE_BYTES:
        conn.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        return
    found = [row[0] for row in conn.execute("PRAGMA quick_check(1)")]
    if found != ["ok"]:
        raise damaged(file)


def read_migrations() -> list[tuple[int, str]]:
    """Version and SQL of each file in `migrations/`, in order."""
    files = (file for file in resources.files("migrations").iterdir() if re.match(r"\d{4}_.*\.sql$", file.name))
    return sorted((int(file.name[:4]), file.read_text(encoding="utf-8")) for file in files)


def migrate(conn: sqlite3.Connection, migrations: list[tuple[int, str]], file: Path) -> None:
    """Bring the database forward, each step in a transaction. Raises CannotStart if it is newer than the code."""
    (have,) = conn.execute("PRAGMA user_version").fetchone()
    newest = migrations[-1][0]
    if have > newest:
        raise CannotStart(
            f"{file} was written by a newer Limner (version {have} of the database, this one knows {newest}). "
            "Install that version again, or set LIMNER_DATA to another directory."
        )
    for version, sql in migrations:
        if version > have:
            conn.executescript(f"BEGIN IMMEDIATE; {sql}; PRAGMA user_version = {version}; COMMIT;")


def cannot_open(error: Exception, file: Path) -> CannotStart:
    if isinstance(error, CannotStart):
        return error
    code: int = getattr(error, "sqlite_errorcode", 0)
    if code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return damaged(file)
    reason = _reason(error) if isinstance(error, sqlite3.Error) else getattr(error, "strerror", None)
    passes = code & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    sentence = f"{file} cannot be opened ({reason or error}). Mend that and start Limner again."
    return CannotStart(sentence, exit_code=75 if passes else 78)


def damaged(file: Path) -> CannotStart:
    return CannotStart(
        f"The database {file} is damaged. `limner restore` brings back the last backup; without one, move it away to "
        "begin with an empty database. Limner has changed nothing."
    )
