"""Persons and the identities that platforms give them. Runs inside the caller's transaction."""

import hashlib
import sqlite3

from bot.jobs import Identity, Person

_FIND = """
    SELECT p.id, p.is_operator, i.name FROM identities i JOIN persons p ON p.id = i.person_id
    WHERE i.platform = ? AND i.workspace_id = ? AND i.user_id = ?
"""
_RENAME = "UPDATE identities SET name = ? WHERE platform = ? AND workspace_id = ? AND user_id = ?"


def find_or_add(conn: sqlite3.Connection, identity: Identity, *, is_operator: bool, now_ms: int) -> Person:
    """The person behind an identity, made when it is first seen. `is_operator` counts only then; a new name is kept."""
    if row := conn.execute(_FIND, _key(identity)).fetchone():
        if identity.name not in ("", row["name"]):
            conn.execute(_RENAME, (identity.name, *_key(identity)))
        return Person(row["id"], bool(row["is_operator"]))
    added = conn.execute("INSERT INTO persons (is_operator, created_ms) VALUES (?, ?)", (is_operator, now_ms))
    assert added.lastrowid is not None
    conn.execute("INSERT INTO identities VALUES (?, ?, ?, ?, ?)", (*_key(identity), identity.name, added.lastrowid))
    _block_again(conn, identity, added.lastrowid)
    return Person(added.lastrowid, is_operator)


def salted(salt: bytes, platform: str, workspace_id: str, user_id: str) -> bytes:
    """What is kept of an identity that was erased while it was blocked."""
    return hashlib.sha256(salt + "\0".join((platform, workspace_id, user_id)).encode()).digest()


def _block_again(conn: sqlite3.Connection, identity: Identity, person_id: int) -> None:
    """Being erased ends no block."""
    for row in conn.execute("SELECT * FROM shut_out").fetchall():
        if salted(row["salt"], *_key(identity)) == row["hash"]:
            values = (person_id, row["platform"], row["workspace_id"], row["ends_ms"], "blocked before")
            conn.execute("INSERT OR REPLACE INTO blocks VALUES (?, ?, ?, ?, ?)", values)
            conn.execute("DELETE FROM shut_out WHERE salt = ?", (row["salt"],))


def find(conn: sqlite3.Connection, identity: Identity) -> Person | None:
    row = conn.execute(_FIND, _key(identity)).fetchone()
    return Person(row["id"], bool(row["is_operator"])) if row else None


def identity(conn: sqlite3.Connection, person_id: int, platform: str) -> Identity | None:
    """Who the platform says that the person is."""
    row = conn.execute(
        "SELECT * FROM identities WHERE person_id = ? AND platform = ?", (person_id, platform)
    ).fetchone()
    return Identity(platform, row["workspace_id"], row["user_id"], row["name"]) if row else None


def defaults(conn: sqlite3.Connection, person_id: int) -> dict[str, str]:
    return dict(conn.execute("SELECT flag, value FROM defaults WHERE person_id = ?", (person_id,)))


def _key(identity: Identity) -> tuple[str, str, str]:
    return identity.platform, identity.workspace_id, identity.user_id
