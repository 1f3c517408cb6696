"""Rules of places, policies of channels, incidents, reports. Every public method is one whole transaction."""

import hashlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from bot.jobs import ChannelPolicy, Job, Person, Place
from bot.store import jobs, rules
from bot.store.connection import Database
from bot.store.rules import Act, Entry
from bot.words import Rule

TAKEDOWNS = 50  # at once
SAME_MS = 3_000  # the same refusal within it is one: platforms deliver twice

_RULES = """
    SELECT name, pattern FROM word_rules WHERE (platform, workspace_id) IN (('', ''), (?, ?))
    ORDER BY platform, name
"""
_SAME = """
    SELECT number FROM incidents WHERE person_id = :person AND (platform, workspace_id) = (:platform, :workspace_id)
        AND rule = :rule AND sha256 = :sha256 AND at_ms > :since_ms
"""
_NOTE = """
    INSERT INTO incidents (person_id, platform, workspace_id, rule, prompt, sha256, is_strike, at_ms)
    VALUES (:person, :platform, :workspace_id, :rule, :prompt, :sha256, :is_strike, :now_ms)
"""
_REPORT = "INSERT OR IGNORE INTO reports (job_id, image_index, person_id, at_ms) VALUES (?, ?, ?, ?)"
_TAKE_DOWN_FILES = """
    INSERT OR IGNORE INTO takedowns (platform, channel_id, message_id, since_ms)
    SELECT j.platform, j.channel_id, 'file:' || u.file_id, :now_ms FROM uploads u JOIN jobs j ON j.id = u.job_id
    WHERE u.job_id = :job
"""
_TAKE_DOWN = "INSERT OR IGNORE INTO takedowns (platform, channel_id, message_id, since_ms) VALUES (?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Incident:
    """`prompt` is None where nothing of it may be kept, or is kept any longer."""

    number: int
    person_id: int
    rule: str
    prompt: str | None
    is_strike: bool
    at_ms: int


@dataclass(frozen=True, slots=True)
class Report:
    number: int
    job: Job
    image_index: int
    reports: int  # of this job, by different people


@dataclass(frozen=True, slots=True)
class Takedown:
    number: int
    platform: str
    channel_id: str
    message_id: str
    since_ms: int


class Moderation:
    def __init__(self, database: Database):
        self._database = database

    async def of_place(self, place: Place) -> tuple[list[Rule], ChannelPolicy]:
        """The rules of everywhere and of this place, and the policy of its channel."""

        def question(conn: sqlite3.Connection) -> tuple[list[Rule], ChannelPolicy]:
            found = [Rule(row["name"], row["pattern"]) for row in conn.execute(_RULES, place.workspace)]
            return found, _policy(conn, place)

        return await self._database.read(question)

    async def rules(self, workspace: tuple[str, str]) -> list[Rule]:
        """This place's own; of ("", ""): everywhere's."""
        sql = "SELECT name, pattern FROM word_rules WHERE platform = ? AND workspace_id = ? ORDER BY name"
        return await self._database.read(lambda conn: [Rule(**row) for row in conn.execute(sql, workspace)])

    async def set_rule(self, workspace: tuple[str, str], name: str, pattern: str | None, *, act: Act) -> Entry:
        """Written down as `act`, once; a pattern of None removes the rule."""

        def transaction(conn: sqlite3.Connection) -> Entry:
            if done := rules.entry_of(conn, act.key):
                return done
            where = "platform = ? AND workspace_id = ? AND name = ?"
            row = conn.execute(f"SELECT pattern FROM word_rules WHERE {where}", (*workspace, name)).fetchone()
            conn.execute(f"DELETE FROM word_rules WHERE {where}", (*workspace, name))
            if pattern is not None:
                conn.execute("INSERT INTO word_rules VALUES (?, ?, ?, ?)", (*workspace, name, pattern))
            was = row["pattern"] if row else "none"
            return rules.write(conn, act, was, pattern or "none", subject=f'rule "{name}"')

        return await self._database.run(transaction)

    async def set_policy(self, place: Place, policy: ChannelPolicy, *, act: Act) -> Entry:
        """Written down as `act`, once."""

        def transaction(conn: sqlite3.Connection) -> Entry:
            if done := rules.entry_of(conn, act.key):
                return done
            before = _policy(conn, place)
            values = (*place.workspace, place.channel_id, msgspec.json.encode(policy).decode())
            conn.execute("INSERT OR REPLACE INTO channel_policies VALUES (?, ?, ?, ?)", values)
            return rules.write(conn, act, str(before), str(policy), subject=f"channel {place.channel_id}")

        return await self._database.run(transaction)

    async def note(
        self, person: Person, place: Place, rule: str, prompt: str, *, is_kept: bool, is_strike: bool, now_ms: int
    ) -> int:
        """The number of the incident; of a prompt that is not kept, only its hash is."""
        values = {
            "person": person.id, "platform": place.platform, "workspace_id": place.workspace_id, "rule": rule,
            "prompt": prompt if is_kept else None, "sha256": hashlib.sha256(prompt.encode()).hexdigest(),
            "is_strike": is_strike, "now_ms": now_ms, "since_ms": now_ms - SAME_MS,
        }  # fmt: skip

        def transaction(conn: sqlite3.Connection) -> int:
            if same := conn.execute(_SAME, values).fetchone():
                return int(same["number"])
            return conn.execute(_NOTE, values).lastrowid or 0

        return await self._database.run(transaction)

    async def incident(self, number: int, workspace: tuple[str, str] | None) -> Incident | None:
        """One of this place; None for a place: of any."""
        sql = "SELECT * FROM incidents WHERE number = ? AND (? IS NULL OR (platform, workspace_id) = (?, ?))"
        values = (number, workspace and workspace[0], *(workspace or ("", "")))

        def question(conn: sqlite3.Connection) -> Incident | None:
            row = conn.execute(sql, values).fetchone()
            kept = ("number", "person_id", "rule", "prompt", "at_ms")
            return Incident(is_strike=bool(row["is_strike"]), **{name: row[name] for name in kept}) if row else None

        return await self._database.read(question)

    async def strikes(self, person_id: int, since_ms: int) -> int:
        sql = "SELECT count(*) FROM incidents WHERE person_id = ? AND is_strike AND at_ms > ?"
        return await self._database.read(lambda conn: int(conn.execute(sql, (person_id, since_ms)).fetchone()[0]))

    async def strike(self, job: Job, now_ms: int) -> int:
        """The number of the incident: a job of theirs was taken down."""
        rule, person = f"{job.id} was taken down", Person(job.person_id)
        return await self.note(person, job.place, rule, "", is_kept=False, is_strike=True, now_ms=now_ms)

    async def report(self, person: Person, job: Job, index: int, now_ms: int) -> bool:
        """False if this person has reported this image before."""
        values = (job.id, index, person.id, now_ms)
        return await self._database.run(lambda conn: conn.execute(_REPORT, values).rowcount > 0)

    async def is_reported(self, job_id: str) -> bool:
        sql = "SELECT 1 FROM reports WHERE job_id = ?"
        return await self._database.read(lambda conn: conn.execute(sql, (job_id,)).fetchone() is not None)

    async def unsent(self) -> list[Report]:
        """Reports that the operator's channel does not have yet, oldest first."""

        def question(conn: sqlite3.Connection) -> list[Report]:
            rows = conn.execute("SELECT * FROM reports WHERE sent_ms IS NULL ORDER BY number LIMIT 20").fetchall()
            count = "SELECT count(DISTINCT person_id) FROM reports WHERE job_id = ?"
            found = [(row, jobs.read(conn, row["job_id"])) for row in rows]
            return [
                Report(row["number"], job, row["image_index"], conn.execute(count, (job.id,)).fetchone()[0])
                for row, job in found
                if job
            ]

        return await self._database.read(question)

    async def sent(self, number: int, now_ms: int) -> None:
        sql = "UPDATE reports SET sent_ms = ? WHERE number = ?"
        await self._database.run(lambda conn: conn.execute(sql, (now_ms, number)).close())

    async def take_down(self, gone: Sequence[Job], now_ms: int) -> None:
        """The messages of these jobs are to go."""
        await self._database.run(lambda conn: take_down(conn, gone, now_ms))

    async def takedowns(self, after: int = 0) -> list[Takedown]:
        """Some of those with a higher number."""
        sql = f"SELECT * FROM takedowns WHERE number > ? ORDER BY number LIMIT {TAKEDOWNS}"
        return await self._database.read(lambda conn: [Takedown(**row) for row in conn.execute(sql, (after,))])

    async def taken_down(self, number: int) -> None:
        sql = "DELETE FROM takedowns WHERE number = ?"
        await self._database.run(lambda conn: conn.execute(sql, (number,)).close())


def take_down(conn: sqlite3.Connection, gone: Sequence[Job], now_ms: int) -> None:
    for place in (job.place for job in gone if job.place.message_id):
        values = (place.platform, place.thread_id or place.channel_id, place.message_id, now_ms)
        conn.execute(_TAKE_DOWN, values)
    for job in gone:
        conn.execute(_TAKE_DOWN_FILES, {"job": job.id, "now_ms": now_ms})


def _policy(conn: sqlite3.Connection, place: Place) -> ChannelPolicy:
    sql = "SELECT policy FROM channel_policies WHERE platform = ? AND workspace_id = ? AND channel_id = ?"
    row = conn.execute(sql, (*place.workspace, place.channel_id)).fetchone()
    return msgspec.json.decode(row["policy"], type=ChannelPolicy) if row else ChannelPolicy()
