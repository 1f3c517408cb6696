"""Copies of the database, made while Limner runs, checked before they count, and brought back."""

import os
import re
import shutil
import sqlite3
import time
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.errors import CannotStart
from bot.store import erased, ledger
from bot.store.connection import DataLock, cannot_open, read_migrations, reading, sync

_FORMAT, _STAMP = "%Y%m%dT%H%M%S", re.compile(r"limner-(\d{8}T\d{6})\.db")
# What would outlive its time in a copy: answers to interactions that are known to have arrived.
_FORGET = "DELETE FROM callbacks WHERE job_id NOT IN (SELECT id FROM jobs WHERE status = 'received')"


def backups(folder: Path) -> list[Path]:
    """Newest first."""
    return sorted(folder.glob("limner-*.db"), reverse=True)


def back_up(file: Path, folder: Path, *, keep: int | None = None) -> Path:
    """A checked copy; with `keep`, only so many stay. Nobody waits for it: it reads beside the writer.

    Raises CannotStart, with the reason, and leaves what was there.
    """
    target = folder / f"limner-{_stamp(folder)}.db"
    draft = target.with_suffix(".tmp")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove(*folder.glob("limner-*.tmp*"))  # of one that was cut off
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT, 0o600))
        with reading(file) as conn:
            conn.execute("VACUUM INTO ?", (str(draft),))
        _finish(draft)
        _require_whole(draft)
        draft.replace(target)
        sync(folder)
    except OSError as error:
        with suppress(OSError):  # where nothing can be written, nothing can be removed
            _remove(draft)
        raise CannotStart(f"{target} cannot be written ({error.strerror}).", exit_code=75) from error
    except (CannotStart, sqlite3.Error) as error:
        with suppress(OSError):
            _remove(draft)
        raise cannot_open(error, file) from error
    _remove(*backups(folder)[keep:] if keep is not None else ())
    return target


def back_up_before_migration(file: Path, folder: Path) -> None:
    """Where the code knows a newer version than the database has. Raises CannotStart."""
    if not file.exists() or not file.stat().st_size:
        return
    with reading(file) as conn:
        (version,) = conn.execute("PRAGMA user_version").fetchone()
    if 0 < version < read_migrations()[-1][0]:
        back_up(file, folder)


def restore(backup: Path, file: Path) -> Path | None:
    """Put a checked copy in the database's place; returns where the one before it is now. Raises CannotStart."""
    lock = DataLock(file.parent)
    try:
        _require_whole(backup)
        draft = file.with_suffix(".restoring")
        _remove(*(draft.with_name(draft.name + part) for part in ("", "-wal", "-shm")))  # of one that was cut off
        shutil.copyfile(backup, draft)
        draft.chmod(0o600)
        erased.erase_again(draft, file.with_name(erased.FOLDER), time.time_ns() // 10**6)
        sync(draft)
        aside = file.with_name(f"{file.name}.before-{_now()}")
        moved = [part for part in ("", "-wal", "-shm") if file.with_name(file.name + part).exists()]
        for part in moved:  # somebody may still get something out of it
            put_aside = file.with_name(file.name + part).rename(aside.with_name(aside.name + part))
            put_aside.touch()  # it is kept as long as a backup that was made now
        draft.replace(file)
        sync(file.parent)
        return aside if moved else None
    except OSError as error:
        raise CannotStart(f"{backup} cannot be put in place ({error.strerror or error}).") from error
    finally:
        lock.release()


def _finish(draft: Path) -> None:
    with closing(sqlite3.connect(draft, isolation_level=None)) as conn:
        conn.execute("PRAGMA secure_delete = ON")
        conn.execute("PRAGMA journal_mode = DELETE")
        if conn.execute("SELECT 1 FROM sqlite_schema WHERE name = 'callbacks'").fetchone():
            conn.execute(_FORGET)
    sync(draft)


def _require_whole(file: Path) -> None:
    """A copy that is damaged, newer than the code, or whose ledger does not add up, is none."""
    with reading(file) as conn:
        (version,) = conn.execute("PRAGMA user_version").fetchone()
        newest = read_migrations()[-1][0]
        if not 0 < version <= newest:
            raise CannotStart(f"{file} is version {version} of the database; this Limner knows {newest}.")
        if (found := conn.execute("PRAGMA integrity_check(1)").fetchone()[0]) != "ok":
            raise CannotStart(f"{file} is damaged: {found}.")
        if version == newest and (problems := ledger.problems(conn)):
            raise CannotStart(f"The ledger in {file} does not add up: {problems[0]}.")


def _now() -> str:
    return f"{datetime.now(UTC):{_FORMAT}}"


def _stamp(folder: Path) -> str:
    """Now, or just after the newest copy where the clock was put back: the newest has the last name."""
    known = [match[1] for file in folder.glob("limner-*.db") if (match := _STAMP.fullmatch(file.name))]
    now, last = _now(), max(known, default="")
    return now if now >= last else f"{datetime.strptime(last, _FORMAT) + timedelta(seconds=1):{_FORMAT}}"


def _remove(*files: Path) -> None:
    for file in files:
        file.unlink(missing_ok=True)
