"""What admins decide: each method is one whole transaction, its entry in the audit included."""

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bot.allowances import EVERYWHERE, Limits, Rule, Scope, cap_of, units_for
from bot.errors import AboveCap
from bot.jobs import Identity, Person
from bot.store import ledger, rules
from bot.store.connection import Database
from bot.store.rules import Act, Entry, Halt
from bot.store.statistics import Done, done_since

Decision = Callable[[sqlite3.Connection], Entry]

_WAS_HERE = """
    SELECT EXISTS (SELECT 1 FROM jobs
                   WHERE person_id = :person AND platform = :platform AND workspace_id = :workspace_id)
        OR EXISTS (SELECT 1 FROM audit
                   WHERE person_id = :person AND platform = :platform AND workspace_id = :workspace_id)
"""
_NAMED = """
    SELECT * FROM identities WHERE (user_id = :text OR lower(name) = lower(:text))
        AND platform IN (:platform, iif(:platform = '', platform, ''))
        AND workspace_id IN ('', :workspace_id, iif(:workspace_id = '', workspace_id, ''))
"""


class Rulebook:
    """Where `act.authority` is an admin's, none of these lets a person have more than the place may give."""

    def __init__(self, database: Database):
        self._database = database

    async def allow(self, act: Act, rule: Rule, limits: Limits, *, label: str = "") -> Entry:
        """Set an allowance; a rule that says nothing takes it back. `label` is what the audit calls its subject."""
        person = int(rule.subject_id) if rule.subject == "person" else None

        def decide(conn: sqlite3.Connection) -> Entry:
            before = rules.the_rule(conn, rule, act.at_ms)
            kept = rule
            if before and not rule.is_empty:
                kept = replace(rule, weight=rule.weight or before.weight, waiting=rule.waiting or before.waiting)
            if before and not rule.is_empty and rule.units is None:
                kept = replace(kept, units=before.units, ends_ms=before.ends_ms)
            was = _said(before or replace(rule, units=None, weight=None, waiting=None))
            if before is None and rule.subject == "person" and not rule.model:
                was = str(_common(conn, act, limits))
            if rule.subject != "place":
                granted = ledger.granted(conn, person, act.scope, act.at_ms) if person else 0
                _require_cap(conn, act, limits, (kept.units or 0) + granted)
            rules.set_rule(conn, replace(kept, is_capped=act.is_capped))
            subject = ", ".join(each for each in (label, rule.model) if each)
            return rules.write(conn, act, was, _said(kept), person=person, subject=subject, ends_ms=kept.ends_ms)

        return await self._decide(act, decide)

    async def grant(self, act: Act, person: Person, units: int, ends_ms: int, limits: Limits) -> Entry:
        def decide(conn: sqlite3.Connection) -> Entry:
            before = ledger.account(conn, person=person, scope=act.scope, limits=limits, now_ms=act.at_ms).allowance
            _require_cap(conn, act, limits, before + units)
            entry = rules.write(conn, act, str(before), str(before + units), person=person.id, ends_ms=ends_ms)
            ledger.grant(conn, person.id, units, ends_ms, act, entry.number)
            return entry

        return await self._decide(act, decide)

    async def reset(self, act: Act, person: Person, limits: Limits) -> Entry:
        """What the person has used no longer counts at the scope, but against its cap where an admin says so."""

        def used(conn: sqlite3.Connection) -> str:
            return str(ledger.account(conn, person=person, scope=act.scope, limits=limits, now_ms=act.at_ms).used)

        def decide(conn: sqlite3.Connection) -> Entry:
            before = used(conn)
            ledger.reset(conn, person.id, act)
            return rules.write(conn, act, before, used(conn), person=person.id)

        return await self._decide(act, decide)

    async def block(self, act: Act, person: int, halt: Halt | None) -> Entry:
        """None: unblock."""
        return await self._halt(act, "blocks", halt, ("not blocked", "blocked"), person)

    async def pause(self, act: Act, halt: Halt | None) -> Entry:
        """None: resume."""
        return await self._halt(act, "pauses", halt, ("drawing", "paused"))

    async def _halt(
        self, act: Act, table: str, halt: Halt | None, names: tuple[str, str], person: int | None = None
    ) -> Entry:
        of = rules.columns(act.scope) | ({} if person is None else {"person_id": person})
        ends_ms = halt.ends_ms if halt else None

        def decide(conn: sqlite3.Connection) -> Entry:
            before = rules.set_halt(conn, table, of, halt, act.at_ms)
            return rules.write(conn, act, names[before], names[halt is not None], person=person, ends_ms=ends_ms)

        return await self._decide(act, decide)

    async def note(self, act: Act, before: str, after: str, *, person: int | None = None, subject: str = "") -> Entry:
        """Write down what was done elsewhere."""
        return await self._decide(
            act, lambda conn: rules.write(conn, act, before, after, person=person, subject=subject)
        )

    async def known(self, key: str) -> Entry | None:
        """What this delivery did already."""
        return await self._database.read(lambda conn: rules.entry_of(conn, key))

    async def entries(self, scope: Scope, most: int) -> list[Entry]:
        """The last of a scope, newest first; EVERYWHERE: of all."""
        return await self._database.read(lambda conn: rules.entries(conn, scope, most))

    async def pauses(self, now_ms: int) -> dict[Scope, Halt]:
        sql = "SELECT * FROM pauses WHERE ends_ms IS NULL OR ends_ms > ?"

        def question(conn: sqlite3.Connection) -> dict[Scope, Halt]:
            rows = conn.execute(sql, (now_ms,))
            return {(row["platform"], row["workspace_id"]): Halt(row["ends_ms"], row["reason"]) for row in rows}

        return await self._database.read(question)

    async def rules_of(self, scope: Scope, now_ms: int) -> list[Rule]:
        """For everyone there, the roles and the place itself; those of EVERYWHERE among them."""
        return await self._database.read(lambda conn: rules.in_force(conn, scope, 0, now_ms))

    async def block_of(self, person: int, scope: Scope, now_ms: int) -> Halt | None:
        return await self._database.read(lambda conn: rules.block_of(conn, person, scope, now_ms))

    async def named(self, platform: str, workspace_id: str, text: str, scope: Scope) -> list[tuple[int, Identity]]:
        """Persons of that id on a platform, or else of that name; those who have anything to do with the scope.

        Empty: of any platform.
        """
        values, here = {"platform": platform, "workspace_id": workspace_id, "text": text}, rules.columns(scope)

        def look(conn: sqlite3.Connection) -> list[tuple[int, Identity]]:
            rows = conn.execute(_NAMED, values).fetchall()
            found = [
                (r["person_id"], Identity(r["platform"], r["workspace_id"], r["user_id"], r["name"])) for r in rows
            ]
            found = [each for each in found if each[1].user_id == text] or found
            if scope == EVERYWHERE:
                return found
            return [each for each in found if conn.execute(_WAS_HERE, here | {"person": each[0]}).fetchone()[0]]

        return await self._database.read(look)

    async def done_since(self, scope: Scope, since_ms: int) -> list[Done]:
        """Every job of a scope since then. Read beside everything else, since that may take a while."""
        file = await self._database.read(lambda conn: Path(conn.execute("PRAGMA database_list").fetchone()["file"]))
        return await asyncio.to_thread(done_since, file, scope, since_ms)

    async def _decide(self, act: Act, decide: Decision) -> Entry:
        return await self._database.run(lambda conn: rules.entry_of(conn, act.key) or decide(conn))


def _require_cap(conn: sqlite3.Connection, act: Act, limits: Limits, units: int) -> None:
    cap = cap_of(rules.in_force(conn, act.scope, 0, act.at_ms), limits)
    if act.is_capped and units > cap:
        raise AboveCap(cap)


def _common(conn: sqlite3.Connection, act: Act, limits: Limits) -> int:
    return units_for(rules.in_force(conn, act.scope, 0, act.at_ms), (), limits.allowance or 0) or 0


def _said(rule: Rule) -> str:
    parts = ["" if rule.units is None else str(rule.units)]
    parts += [f"weight {rule.weight:g}" if rule.weight else "", f"{rule.waiting} waiting" if rule.waiting else ""]
    return ", ".join(part for part in parts if part) or ("none" if rule.subject == "place" or rule.model else "default")
