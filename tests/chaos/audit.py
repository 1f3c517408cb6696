"""What was promised, and what is true: the database on one side, what people see on the other."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from bot.store.ledger import _PROBLEMS

UNFINISHED = ("received", "queued", "running", "rendered")


@dataclass(frozen=True)
class Asked:
    """One thing that a person did. Accepted: the platform has told them so."""

    key: str
    accepted: bool


@dataclass(frozen=True)
class Shown:
    """A message about a job, as it stands in the end."""

    text: str
    pictures: frozenset[str]


@dataclass
class Verdict:
    accepted: int = 0
    delivered: int = 0
    failed_and_told: int = 0
    lost: list[str] = field(default_factory=list)
    delivered_twice: list[str] = field(default_factory=list)
    charged_twice: list[str] = field(default_factory=list)
    ledger_difference: int = 0
    ledger_problems: list[str] = field(default_factory=list)
    unfinished: int = 0
    integrity: str = "ok"

    @property
    def is_clean(self) -> bool:
        faults = (self.lost, self.delivered_twice, self.charged_twice, self.ledger_problems, self.unfinished)
        return not any(faults) and self.ledger_difference == 0 and self.integrity == "ok"


def states(file: Path) -> Counter[str]:
    """How many jobs stand in each unfinished state: what a kill has hit."""
    with closing(read_only(file)) as conn:
        marks = ", ".join("?" * len(UNFINISHED))
        rows = conn.execute(f"SELECT status, count(*) FROM jobs WHERE status IN ({marks}) GROUP BY status", UNFINISHED)
        return Counter(dict(rows.fetchall()))


def is_mending(file: Path) -> bool:
    """Is a job on its way that the engine has died of once?"""
    with closing(read_only(file)) as conn:
        waits = "SELECT 1 FROM jobs WHERE deaths > 0 AND status IN ('queued', 'running')"
        return conn.execute(waits).fetchone() is not None


def judge(file: Path, platform: str, asked: Iterable[Asked], shown: Mapping[str, Sequence[Shown]]) -> Verdict:
    with closing(read_only(file)) as conn:
        jobs = conn.execute(
            "SELECT j.*, i.key FROM jobs j JOIN intakes i ON i.id = j.intake_id WHERE j.platform = ?", (platform,)
        ).fetchall()
        pictures = dict(conn.execute("SELECT job_id, count(*) FROM images WHERE status = 'done' GROUP BY job_id"))
        verdict = Verdict(unfinished=sum(states(file).values()))
        verdict.integrity = conn.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if conn.execute("PRAGMA foreign_key_check").fetchone():
            verdict.integrity = "a foreign key leads nowhere"
        verdict.ledger_problems = [f"{row['id']} ({row['status']})" for row in conn.execute(_PROBLEMS)]
        _count_charges(conn, jobs, pictures, shown, verdict)
    by_key: dict[str, list[sqlite3.Row]] = {}
    for job in jobs:
        by_key.setdefault(job["key"], []).append(job)
    for each in asked:
        if each.accepted:
            verdict.accepted += 1
            _follow(each, by_key.get(each.key, []), pictures, shown, verdict)
    _find_doubles(jobs, shown, verdict)
    return verdict


def _follow(
    asked: Asked,
    jobs: Sequence[sqlite3.Row],
    pictures: Mapping[str, int],
    shown: Mapping[str, Sequence[Shown]],
    verdict: Verdict,
) -> None:
    if len(jobs) != 1:
        verdict.lost.append(f"{asked.key}: {len(jobs)} jobs")
        return
    (job,) = jobs
    seen = {name for message in shown.get(job["id"], ()) for name in _own(message, job["id"])}
    if job["status"] == "delivered" and pictures.get(job["id"]) and len(seen) == pictures[job["id"]]:
        verdict.delivered += 1
    elif job["status"] == "failed" and any("returned" in message.text for message in shown.get(job["id"], ())):
        verdict.failed_and_told += 1
    else:
        texts = [message.text[:160] for message in shown.get(job["id"], ())]
        verdict.lost.append(f"{asked.key}: job {job['id']} is {job['status']}, pictures seen: {sorted(seen)}, {texts}")


def _find_doubles(jobs: Iterable[sqlite3.Row], shown: Mapping[str, Sequence[Shown]], verdict: Verdict) -> None:
    for job in jobs:
        messages = shown.get(job["id"], ())
        names = Counter(name for message in messages for name in _own(message, job["id"]))
        if len(messages) > 1 or any(times > 1 for times in names.values()):
            verdict.delivered_twice.append(f"job {job['id']}: {[(m.text[:80], sorted(m.pictures)) for m in messages]}")


def _count_charges(
    conn: sqlite3.Connection,
    jobs: Iterable[sqlite3.Row],
    pictures: Mapping[str, int],
    shown: Mapping[str, Sequence[Shown]],
    verdict: Verdict,
) -> None:
    charges = dict(conn.execute("SELECT job_id, sum(units) FROM ledger WHERE kind = 'charge' GROUP BY job_id"))
    for job in jobs:
        charged = charges.get(job["id"], 0)
        if charged > job["units"]:
            verdict.charged_twice.append(f"job {job['id']}: {charged} of {job['units']} units")
        seen = {name for message in shown.get(job["id"], ()) for name in _own(message, job["id"])}
        worth = job["units"] if seen and len(seen) == pictures.get(job["id"]) else 0
        if job["status"] not in UNFINISHED:
            verdict.ledger_difference += abs(charged - worth)


def _own(message: Shown, job_id: str) -> list[str]:
    return [name for name in message.pictures if name.startswith(f"limner-{job_id}-")]


def read_only(file: Path) -> sqlite3.Connection:
    conn = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)
    conn.row_factory = sqlite3.Row
    return conn
