"""A look into a database that changes nothing, also while Limner runs: a connection that only reads."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from bot.allowances import EVERYWHERE, Limits
from bot.jobs import Identity
from bot.store import chat, ledger, people
from bot.store.connection import damaged, read_migrations, reading
from bot.store.ledger import Account

SQLITE_VERSION = sqlite3.sqlite_version_info
SQLITE_MENDED = (3, 51, 3)  # before it, two writing connections could damage a WAL database


@dataclass(frozen=True, slots=True)
class Findings:
    version: int  # of the database
    known_version: int  # the newest that this code knows
    is_whole: bool
    ledger_problems: tuple[str, ...]  # looked for only where the versions agree


def inspect(file: Path) -> Findings:
    """Raises CannotStart if the file cannot be read as a database."""
    with reading(file) as conn:
        (version,) = conn.execute("PRAGMA user_version").fetchone()
        is_whole = [row[0] for row in conn.execute("PRAGMA quick_check(1)")] == ["ok"]
        known = read_migrations()[-1][0]
        found = ledger.problems(conn) if is_whole and version == known else []
        return Findings(version, known, is_whole, tuple(found))


def require_whole(file: Path) -> Findings:
    """Raises CannotStart for a database that is damaged."""
    found = inspect(file)
    if not found.is_whole:
        raise damaged(file)
    return found


def ledger_problems(file: Path) -> list[str]:
    """Where the ledger and the jobs disagree. Raises CannotStart."""
    with reading(file) as conn:
        return ledger.problems(conn)


def page_url(file: Path) -> str | None:
    """Where the page of the Limner is that runs on this database. Raises CannotStart."""
    with reading(file) as conn:
        return chat.note(conn, chat.PAGE_NOTE)


def account_of(file: Path, identity: Identity, limits: Limits, now_ms: int) -> Account:
    """What the operator has, also if they were never seen. Raises CannotStart."""
    unknown = Account(used=0, reserved=0, allowance=0, is_limited=False, span=limits.window.span)
    if not file.exists():
        return unknown
    with reading(file) as conn:
        person = people.find(conn, identity)
        if person is None:
            return unknown
        return ledger.account(conn, person=person, scope=EVERYWHERE, limits=limits, now_ms=now_ms)
