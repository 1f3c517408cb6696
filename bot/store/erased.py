"""Beside the database: whom no copy of it may bring back. For each erased identity a file that is named by a time and
a salted hash; it goes when the copies that were made before are gone.
"""

import secrets
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from bot.store import people, privacy
from bot.store.connection import connect, sync

FOLDER = "erased"
_IDENTITIES = "SELECT i.*, p.created_ms FROM identities i JOIN persons p ON p.id = i.person_id"


def note(folder: Path, identities: Iterable[Mapping[str, Any]], now_ms: int) -> None:
    """Before they are erased. Raises OSError."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for identity in identities:
        salt = secrets.token_bytes(16)
        (folder / f"{now_ms}-{salt.hex()}-{_hash(salt, identity)}").touch()
    sync(folder)


def erase_again(copy: Path, folder: Path, now_ms: int) -> None:
    """Erase from a copy who was erased since; who had come back before it was made stays. Raises CannotStart."""
    noted = [file.name.split("-") for file in folder.glob("*-*-*")]
    if not noted:
        return
    with closing(connect(copy)) as conn:
        for row in conn.execute(_IDENTITIES).fetchall():
            if any(row["created_ms"] <= int(ms) and _hash(bytes.fromhex(salt), row) == it for ms, salt, it in noted):
                conn.execute("BEGIN IMMEDIATE")
                privacy.erase_person(conn, row["person_id"], now_ms)
                conn.execute("COMMIT")
        privacy.scrub(conn)


def _hash(salt: bytes, identity: Mapping[str, Any] | sqlite3.Row) -> str:
    return people.salted(salt, identity["platform"], identity["workspace_id"], identity["user_id"]).hex()
