"""The ledger against a model of it, whatever happens to jobs, people, allowances and the clock, and whenever.

python -m tests.ledger_machine [--steps 1000000]
"""

import argparse
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from bot.allowances import EVERYWHERE, Limits, Rule, Window
from bot.errors import AboveCap, QuotaExceeded
from bot.jobs import Identity, Image, Place, Status
from bot.store import Act, Store
from bot.store.connection import DataLock, connect
from tests.house import Clock, a_draw, wanted

ALLOWANCE, POOL, CAP = 12, 30, 20
WINDOWS = [Window(), Window("day", ZoneInfo("Europe/Berlin")), Window("week", ZoneInfo("America/New_York"))]
PLACES = [Place("discord", "one"), Place("discord", "two")]
BY = st.sampled_from([(None, False), *((place, is_capped) for place in PLACES for is_capped in (False, True))])
STEPS_A_RUN = 200
_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # where no disk makes it slow
_FOLDER = tempfile.TemporaryDirectory(dir=_MEMORY)


@dataclass
class Entry:
    """One job as the model sees it."""

    person: int
    place: Place
    units: int
    count: int
    counts_ms: int
    status: Status = Status.QUEUED
    charged: int = 0

    @property
    def taken(self) -> int:
        return self.charged if self.status.is_over else self.units


@dataclass
class Someone:
    """What the model knows of one person."""

    own: dict[Place | None, tuple[int, bool]] = field(default_factory=dict)  # their allowance; whether an admin set it
    grants: list[tuple[int, int, Place | None, bool]] = field(default_factory=list)
    resets: dict[tuple[Place | None, bool], int] = field(default_factory=dict)  # by whether an admin ordered it
    last_ms: int = 0  # the latest that anything of theirs counts


class LedgerMachine(RuleBasedStateMachine):
    taken_steps = 0

    def __init__(self):
        super().__init__()
        self.directory, self.clock = tempfile.TemporaryDirectory(dir=_MEMORY), Clock()
        shutil.copy(_empty(), Path(self.directory.name) / "limner.db")
        self.open()
        names = ("ada", "bob")
        self.people = [
            self.run(self.store.person(Identity("discord", "", name), is_operator=False, now_ms=self.clock()))
            for name in names
        ]
        self.known = {person.id: Someone() for person in self.people}
        self.jobs: dict[str, Entry] = {}
        self.pools: dict[Place, int] = {}
        self.grant_times: dict[Place | None, list[int]] = {}
        self.keys = 0
        self.limits = Limits(ALLOWANCE, own_waiting=None, waiting=10_000, admin_cap=CAP)

    def open(self):
        self.lock = DataLock(Path(self.directory.name))
        self.conn = connect(Path(self.directory.name) / "limner.db")
        self.conn.execute("PRAGMA synchronous = OFF")  # what survives a loss of power is tested elsewhere
        self.store = Store(Inline(self.conn), self.lock)

    def run(self, coroutine):
        """What a coroutine returns that waits for nothing."""
        try:
            coroutine.send(None)
        except StopIteration as end:
            return end.value
        raise AssertionError("it waits")

    def teardown(self):
        self.run(self.store.close())
        self.directory.cleanup()

    def key(self) -> str:
        self.keys += 1
        return str(self.keys)

    # the model

    def now_of(self, person) -> int:
        known = self.known[person.id]
        return max(self.clock(), known.last_ms, *(ms + 1 for ms in known.resets.values()), 0)

    def taken(self, person, place, at, *, by_operator=False) -> int:
        """Units that count for a person at a place, of what was taken at another; or if admins had reset nothing."""
        resets = [(by, ms) for by, ms in self.known[person.id].resets.items() if by[0] in (None, place)]
        since = max(self.limits.window.since_ms(self.now_of(person)), 0)
        since = max([since, *(ms for (_, is_capped), ms in resets if not (by_operator and is_capped))])
        mine = [job for job in self.jobs.values() if job.person == person.id and job.place == at]
        return sum(job.taken for job in mine if job.counts_ms > since)

    def granted(self, person, *places, by_operator=False) -> int:
        found = [each for each in self.known[person.id].grants if each[1] > self.clock() and each[2] in places]
        return sum(units for units, _, _, is_capped in found if not (by_operator and is_capped))

    def cap(self, place) -> int:
        return self.pools.get(place, CAP)

    def allowance(self, person, place, *, by_operator=False) -> int:
        """With what is granted, as the operator alone or everybody has given it."""
        found = [self.known[person.id].own.get(where) for where in (None, place)]
        own = [each[0] for each in found if each and not (by_operator and each[1])]
        return min(own, default=ALLOWANCE) + self.granted(person, None, place, by_operator=by_operator)

    def most(self, person, place) -> int:
        return max(self.cap(place), self.allowance(person, place, by_operator=True))

    def left(self, person, place) -> int:
        most = self.most(person, place)
        left = min(most, self.allowance(person, place)) - self.taken(person, place, place)
        for other in {*PLACES} - {place}:
            left -= max(0, self.taken(person, place, other) - self.granted(person, other))
        return min(left, most - self.taken(person, place, place, by_operator=True))

    def pool_left(self, place) -> int:
        if place not in self.pools:
            return 10**9
        there = [job for job in self.jobs.values() if job.place == place]
        now_ms = max([self.clock(), *(job.counts_ms for job in there), *self.grant_times.get(place, [])])
        since = self.limits.window.since_ms(now_ms)
        return self.pools[place] - sum(job.taken for job in there if job.counts_ms > since)

    # what happens

    @rule(who=st.integers(0, 1), where=st.integers(0, 1), each=st.integers(1, 4), count=st.integers(1, 4))
    def submit(self, who, where, each, count):
        person, place, units = self.people[who], PLACES[where], each * count
        draw = wanted(a_draw(), units, count=count)
        call = self.store.submit(person, place, [draw], key=self.key(), limits=self.limits, now_ms=self.clock())
        left = min(self.left(person, place), self.pool_left(place))
        if units > left:
            with pytest.raises(QuotaExceeded) as refusal:
                self.run(call)
            assert refusal.value.left == max(0, left)
            return
        [job] = self.run(call)
        counts_ms = self.now_of(person)
        self.known[person.id].last_ms = counts_ms
        self.jobs[job.id] = Entry(person.id, place, units, count, counts_ms)

    def some(self, number, *statuses):
        found = [job_id for job_id, job in self.jobs.items() if job.status in statuses]
        return found[number % len(found)] if found else None

    @rule(number=st.integers(0, 99), done=st.integers(0, 4))
    def draw(self, number, done):
        if job_id := self.some(number, Status.QUEUED):
            job = self.jobs[job_id]
            self.run(self.store.started(job_id, self.clock()))
            for index in range(job.count):
                status = "done" if index < done else "withheld"
                self.run(self.store.image_done(job_id, Image(index, index, status, f"/{index}.png", "ab", 64, 64)))
            self.run(self.store.rendered(job_id, gpu_seconds=1, engine="1", now_ms=self.clock()))
            job.status, job.charged = Status.RENDERED, job.units // job.count * min(done, job.count)

    @rule(show=st.sampled_from([Status.DELIVERED, Status.UNDELIVERABLE]))
    def show(self, show):
        for parcel in self.run(self.store.outbox.due(self.clock() + 10**12, 100)):
            job = self.jobs[parcel.job.id]
            for _ in range(2):  # a second time changes nothing
                if show == Status.DELIVERED:
                    self.run(self.store.outbox.delivered(parcel, self.clock()))
                else:
                    self.run(self.store.outbox.undeliverable(parcel, "gone", self.clock()))
            if job.status == Status.RENDERED:
                job.status, job.charged = show, job.charged * (show == Status.DELIVERED)

    @rule(number=st.integers(0, 99), fails=st.booleans())
    def stop(self, number, fails):
        if job_id := self.some(number, Status.QUEUED):
            if fails:
                self.run(self.store.started(job_id, self.clock()))
                self.run(self.store.failed(job_id, "internal", "", self.clock()))
            else:
                self.run(self.store.cancelled(job_id, self.clock()))
            self.jobs[job_id].status = Status.FAILED if fails else Status.CANCELLED

    def act(self, verb, place=None, is_capped=False):
        scope, authority = place.workspace if place else EVERYWHERE, "admin" if is_capped else "operator"
        return Act(self.key(), self.clock(), self.people[0].id, authority, scope, verb, "why")

    def is_given(self, call, place, is_capped, units) -> bool:
        """Whether the order is carried out; an admin's is refused if it is above the cap."""
        if is_capped and units > self.cap(place):
            with pytest.raises(AboveCap):
                self.run(call)
            return False
        self.run(call)
        return True

    @rule(who=st.integers(0, 1), units=st.integers(1, 5), hours=st.integers(1, 48), by=BY)
    def grant(self, who, units, hours, by):
        person, (place, is_capped), ends_ms = self.people[who], by, self.clock() + hours * 3_600_000
        before = 0
        if is_capped:
            before = min(self.most(person, place), self.allowance(person, place))
        act = self.act("quota grant", place, is_capped)
        call = self.store.rules.grant(act, person, units, ends_ms, self.limits)
        if not self.is_given(call, place, is_capped, before + units):
            return
        known = self.known[person.id]
        known.grants.append((units, ends_ms, place, is_capped))
        known.last_ms = max(known.last_ms, self.clock())
        self.grant_times.setdefault(place, []).append(self.clock())

    @rule(who=st.integers(0, 1), by=BY)
    def reset(self, who, by):
        person, (place, is_capped) = self.people[who], by
        counts_ms = self.now_of(person)
        self.run(self.store.rules.reset(self.act("quota reset", place, is_capped), person, self.limits))
        self.known[person.id].resets[by] = counts_ms

    @rule(who=st.integers(0, 1), units=st.one_of(st.none(), st.integers(0, 30)), by=BY)
    def allow(self, who, units, by):
        person, (place, is_capped) = self.people[who], by
        act = self.act("quota set", place, is_capped)
        rule = Rule(act.scope, "person", str(person.id), units=units)
        call = self.store.rules.allow(act, rule, self.limits)
        if not self.is_given(call, place, is_capped, (units or 0) + self.granted(person, None, place)):
            return
        self.known[person.id].own.pop(place, None)
        if units is not None:
            self.known[person.id].own[place] = units, is_capped

    @rule(where=st.integers(0, 1), units=st.one_of(st.none(), st.just(POOL)))
    def pool(self, where, units):
        place = PLACES[where]
        rule = Rule(place.workspace, "place", units=units)
        self.run(self.store.rules.allow(self.act("quota place", place), rule, self.limits))
        self.pools.pop(place, None)
        if units is not None:
            self.pools[place] = units

    @rule(hours=st.sampled_from([1, 11, 23, 24 * 6]))
    def wait(self, hours):
        self.clock.pass_seconds(hours * 3600)

    @rule(hours=st.sampled_from([-25, -24, -1, 1, 24]))
    def jump(self, hours):
        self.clock.pass_seconds(hours * 3600)

    @rule(number=st.integers(0, 2))
    def count_otherwise(self, number):
        self.limits = Limits(ALLOWANCE, None, 10_000, WINDOWS[number], CAP)

    @rule(often=st.integers(0, 19))
    def restart(self, often):
        if often:
            return
        self.run(self.store.close())
        self.open()
        self.run(self.store.resume(self.clock()))

    @invariant()
    def every_unit_is_accounted_for(self):
        LedgerMachine.taken_steps += 1
        turn = LedgerMachine.taken_steps
        person, place = self.people[turn % 2], PLACES[turn // 2 % 2]
        account = self.run(self.store.account(person, self.clock(), place, self.limits))
        assert account.allowance - account.used == self.left(person, place)
        assert account.charged >= 0
        assert account.reserved >= 0
        if LedgerMachine.taken_steps % 20 == 0:
            assert self.run(self.store.ledger_problems()) == []


@cache
def _empty() -> Path:
    """A database of this version with nothing in it."""
    file = Path(_FOLDER.name) / "limner.db"
    connect(file).close()
    return file


class Inline:
    """The same transactions without a thread of their own, which is most of the time that they take."""

    def __init__(self, conn):
        self._connection = conn

    async def run(self, transaction):
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            found = transaction(self._connection)
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")
        return found

    async def read(self, question):
        return question(self._connection)

    async def close(self):
        self._connection.close()


def run(steps: int) -> int:
    """At least so many steps; returns how many there were."""
    LedgerMachine.taken_steps = 0
    while LedgerMachine.taken_steps < steps:
        many = settings(
            max_examples=max(1, min(200, (steps - LedgerMachine.taken_steps) // STEPS_A_RUN)),
            stateful_step_count=STEPS_A_RUN,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        run_state_machine_as_test(LedgerMachine, settings=many)
    return LedgerMachine.taken_steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20_000)
    started, steps = time.monotonic(), run(parser.parse_args().steps)
    print(f"{steps:,} steps in {time.monotonic() - started:.0f} s: never over, never under, nothing lost")


if __name__ == "__main__":
    main()
