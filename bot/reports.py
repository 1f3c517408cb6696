"""What admins read: changes, the audit, rules, what was drawn by day. Plain text, a fact a line."""

import csv
import io
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from statistics import median

from bot.allowances import EVERYWHERE, Limits, Rule, Scope, Window
from bot.feed import Live
from bot.jobs import Job
from bot.orders import FORMS, Authority
from bot.phrases import Quote, When, clip, counted, date, duration, said, units
from bot.store import Entry
from bot.store.statistics import Done
from bot.wording import status_line, title

_COLUMNS = (
    "number", "at", "actor", "authority", "platform", "workspace", "order", "person", "subject", "before", "after",
    "until", "reason",
)  # fmt: skip
NO_DOCTOR = "Run `limner doctor` on the machine itself."
_NAMES = {"person": "a person", "role": "role", "place": "all together", "default": "everyone"}


def changed(entry: Entry, window: Window, quote: Quote) -> str:
    """`@ada: 20 → 40 units a day, until 1 Dec · "thanks" · by @bob · logged #118`."""
    parts = [_change(entry, quote, window.zone, _measure(entry, window.span))]
    parts += [said(entry.reason)] if entry.reason else []
    return " · ".join([*parts, f"by {_actor(entry, quote)}", f"logged #{entry.number}"])


def _change(entry: Entry, quote: Quote, zone: tzinfo, measure: str = "") -> str:
    until = f", until {date(entry.ends_ms, zone, entry.at_ms)}" if entry.ends_ms else ""
    return f"{_about(entry, quote)}: {entry.before} → {entry.after}{measure}{until}"


def _about(entry: Entry, quote: Quote) -> str:
    if entry.verb.startswith("job "):
        return f"`{entry.subject}`"
    if entry.person is not None:
        who = f"@{quote(clip(entry.person, 80))}" if entry.person else "Somebody who was erased"
        return f"{who}, {quote(entry.subject)}" if entry.subject else who
    return quote(clip(entry.subject, 80)) or ("Everywhere" if entry.scope == EVERYWHERE else "Here")


def _actor(entry: Entry, quote: Quote) -> str:
    return f"@{quote(clip(entry.actor, 80))}" if entry.actor else f"the {entry.authority}"


def _measure(entry: Entry, span: str) -> str:
    if entry.verb == "quota reset":
        return " units used"
    return f" units a {span}" if entry.verb.startswith("quota ") and entry.after.isdecimal() else ""


def audit(entries: Sequence[Entry], zone: tzinfo, quote: Quote) -> str:
    """The last changes, newest first."""
    lines = []
    for entry in entries:
        why = f" · {said(entry.reason, 60)}" if entry.reason else ""
        when = datetime.fromtimestamp(entry.at_ms / 1000, zone)
        head = f"#{entry.number} {when:%Y-%m-%d %H:%M} {_actor(entry, quote)} · {entry.verb}"
        lines.append(f"{head} {_change(entry, quote, zone)}{why}")
    return "\n".join(lines) or "Nothing was changed yet."


def audit_title(entries: Sequence[Entry]) -> str:
    return f"{counted(len(entries), 'change')}, newest first."


def audit_csv(entries: Sequence[Entry]) -> bytes:
    """UTF-8; times are UTC."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(_COLUMNS)
    for e in entries:
        until = _iso(e.ends_ms) if e.ends_ms else ""
        row = (e.number, _iso(e.at_ms), e.actor, e.authority, *e.scope, e.verb, e.person, e.subject, e.before, e.after)
        table.writerow([_inert(value) for value in (*row, until, e.reason)])
    return text.getvalue().encode()


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")


def _inert(value: object) -> object:
    """A table program takes a cell that begins so for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def rules(
    found: Sequence[Rule],
    roles: Mapping[str, str],
    limits: Limits,
    scope: Scope,
    zone: tzinfo,
    quote: Quote,
) -> str:
    """What is set at a scope and everywhere, and the operator's settings; `roles` are names by id."""
    span = limits.window.span
    lines = [f"Everyone: {units(limits.allowance or 0)} a {span} by the settings"]
    for rule in found:
        who = f"role {quote(roles[rule.subject_id])}" if rule.subject == "role" else _NAMES[rule.subject]
        parts = [f"{units(rule.units)} a {span}" if rule.units is not None else ""]
        parts += [f"weight {rule.weight:g}" if rule.weight else "", f"{rule.waiting} waiting" if rule.waiting else ""]
        parts += [f"until {date(rule.ends_ms, zone, rule.ends_ms)}" if rule.ends_ms else ""]
        who += " everywhere" * (rule.scope != scope) + (f", {rule.model}" if rule.model else "")
        lines.append(f"{who}: " + ", ".join(part for part in parts if part))
    if scope != EVERYWHERE and not any(rule.subject == "place" for rule in found):
        lines.append(f"An admin can let one person have at most {units(limits.admin_cap)} a {span} here.")
    return "\n".join(lines)


def job(it: Job, live: Live | None, when: When, quote: Quote) -> str:
    return (
        f"`{it.id}` {quote(title(it))} — {status_line(it, live, when)} · {units(it.units)}, asked {when(it.created_ms)}"
    )


def orders(authority: Authority, *, is_on_machine: bool) -> str:
    found = [form for form in FORMS.values() if authority >= form.least and (is_on_machine or not form.on_machine)]
    lines = [f"`/limner-admin {form.usage}` {form.meaning}" for form in found]
    return "\n".join([*lines, 'Most take `--until 2026-12-01` or `--until 3d`, and `--reason "why"`.'])


@dataclass(frozen=True, slots=True)
class Stats:
    """What was drawn in a while, called `name`."""

    name: str  # "1 Dec"
    jobs: int
    images: int
    people: int
    units: int
    gpu_seconds: float
    failures: int
    wait_seconds: float | None  # the median, of those that were begun
    longest_wait_seconds: float

    @classmethod
    def of(cls, name: str, done: Sequence[Done]) -> "Stats":
        waits = [each.waited_seconds for each in done if each.waited_seconds is not None]
        return cls(
            name=name,
            jobs=len(done),
            images=sum(each.images for each in done if each.status == "delivered"),
            people=len({each.person_id for each in done}),
            units=sum(each.units for each in done),
            gpu_seconds=sum(each.gpu_seconds or 0.0 for each in done),
            failures=sum(each.status in ("failed", "undeliverable") for each in done),
            wait_seconds=median(waits) if waits else None,
            longest_wait_seconds=max(waits, default=0.0),
        )

    def __str__(self) -> str:
        waited = "none begun"
        if self.wait_seconds is not None:
            waited = f"waited {duration(self.wait_seconds)}, at most {duration(self.longest_wait_seconds)}"
        return (
            f"{self.name}: {counted(self.images, 'image')} · {counted(self.people, 'person', 'people')} · "
            f"{units(self.units)} · GPU {duration(self.gpu_seconds)} · {self.failures} failed · {waited}"
        )


def days(now_ms: int, count: int, zone: tzinfo) -> list[datetime]:
    """When the last days of the operator's calendar began, today's among them, oldest first."""
    today = datetime.fromtimestamp(now_ms / 1000, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return [today - timedelta(days=back) for back in range(count - 1, -1, -1)]  # by the calendar, not by 24 hours


def by_day(days: Sequence[datetime], done: Sequence[Done]) -> list[Stats]:
    begins = [day.timestamp() * 1000 for day in days]
    found: list[list[Done]] = [[] for _ in days]
    for each in done:
        found[bisect_right(begins, each.created_ms) - 1].append(each)
    return [Stats.of(f"{day.day} {day:%b}", its) for day, its in zip(days, found, strict=True)]


def stats(table: Sequence[Stats], done: Sequence[Done]) -> str:
    """All together, then a line for each day with anything in it, newest first."""
    if not done:
        return f"Nothing was drawn in {counted(len(table), 'day')}."
    every = Stats.of(counted(len(table), "day"), done)
    return "\n".join(str(each) for each in (every, *reversed(table)) if each.jobs)
