"""Whose allowance is how large, where and for how long. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Literal

DAY_MS = 86_400_000
EVERYWHERE = ("", "")
MAX_UNITS = 1_000_000

Scope = tuple[str, str]  # a platform and a workspace of it, or EVERYWHERE
Subject = Literal["default", "role", "person", "place"]
WindowKind = Literal["rolling", "day", "week", "month"]


@dataclass(frozen=True, slots=True)
class Window:
    """The time over which an allowance goes: the last 24 hours, or a day, week or month of the operator's calendar."""

    kind: WindowKind = "rolling"
    zone: tzinfo = UTC

    def since_ms(self, now_ms: int) -> int:
        """Units that were taken after this count now. It never goes back while `now_ms` does not."""
        return now_ms - DAY_MS if self.kind == "rolling" else self._midnight_ms(self._first_day(now_ms)) - 1

    def frees_ms(self, counts_ms: int) -> int:
        """When units that were taken at `counts_ms` come back."""
        if self.kind == "rolling":
            return counts_ms + DAY_MS
        first = self._first_day(counts_ms)
        days = {"day": 1, "week": 7, "month": 31}[self.kind]
        after = first + timedelta(days=days)
        return self._midnight_ms(after.replace(day=1) if self.kind == "month" else after)

    @property
    def span(self) -> str:
        return "day" if self.kind == "rolling" else self.kind

    def _first_day(self, ms: int) -> date:
        day = datetime.fromtimestamp(ms / 1000, self.zone).date()
        if self.kind == "week":
            return day - timedelta(days=day.weekday())
        return day.replace(day=1) if self.kind == "month" else day

    def _midnight_ms(self, day: date) -> int:
        return int(datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp() * 1000)


ROLLING = Window()


@dataclass(frozen=True, slots=True)
class Limits:
    """What the operator's settings say, where no rule says otherwise. None: counted, not limited."""

    allowance: int | None  # units of one person in a window
    own_waiting: int | None  # jobs of one person
    waiting: int  # jobs of everyone
    window: Window = ROLLING
    admin_cap: int = 100  # units that an admin may let one person have at a place without a pool


@dataclass(frozen=True, slots=True)
class Rule:
    """What somebody may have at a scope. None: nothing is said of that."""

    scope: Scope
    subject: Subject
    subject_id: str = ""  # a platform's role, or a person's number
    model: str = ""  # empty: all models together
    units: int | None = None
    weight: float | None = None
    waiting: int | None = None
    ends_ms: int | None = None
    is_capped: bool = False  # an admin of the place has set it: more than the place's cap does not count

    @property
    def is_empty(self) -> bool:
        return self.units is self.weight is self.waiting is None


def units_for(rules: Iterable[Rule], roles: Collection[str], default: int, model: str = "") -> int | None:
    """The allowance of one person, of the rules that are in force where they ask; None: this model has none.

    What was set for the person decides (the lower, where both the operator and an admin have set it); else the best
    of their roles and of what everyone has counts. A model that any role's rule names is for those roles.
    """
    found = [rule for rule in rules if rule.model == model and rule.units is not None]
    personal = [rule.units or 0 for rule in found if rule.subject == "person"]
    if personal:
        return min(personal)
    common = {rule.scope: rule.units for rule in found if rule.subject == "default"}
    everyone = next((common[scope] for scope in sorted(common, reverse=True)), None)  # a place's own before EVERYWHERE
    if everyone is None and not model:
        everyone = default
    of_roles = [rule for rule in found if rule.subject == "role"]
    if everyone is None and not of_roles:
        return None
    return max([everyone or 0, *(rule.units or 0 for rule in of_roles if rule.subject_id in roles)])


def pool_of(rules: Iterable[Rule]) -> int | None:
    """What everyone at the place may take together."""
    return next((rule.units for rule in rules if rule.subject == "place" and rule.scope != EVERYWHERE), None)


def cap_of(rules: Iterable[Rule], limits: Limits) -> int:
    """What an admin of the place may let one person have there."""
    pool = pool_of(rules)
    return limits.admin_cap if pool is None else pool


def weight_for(rules: Iterable[Rule], roles: Collection[str]) -> float:
    """Of a person's jobs in the queue: the best of their roles'."""
    return max((rule.weight for rule in rules if rule.weight and rule.subject_id in roles), default=1.0)


def waiting_for(rules: Iterable[Rule], roles: Collection[str], default: int | None) -> int | None:
    """How many jobs of one person may wait, found as `units_for` finds units; None: any number."""
    if default is None:
        return None
    return units_for([replace(rule, units=rule.waiting) for rule in rules], roles, default)
