"""The ledger against a model of it: whatever happens to jobs, and whenever."""

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from bot.allowances import DAY_MS, EVERYWHERE
from bot.errors import QuotaExceeded
from bot.jobs import Identity, Image, Status
from bot.store import Act, Limits, open_store
from tests.house import PAGE, Clock, a_draw, wanted

ALLOWANCE = 12
LIMITS = Limits(allowance=ALLOWANCE, own_waiting=None, waiting=10_000)


@dataclass
class Entry:
    """One job as the model sees it."""

    units: int
    count: int
    accepted_ms: int
    status: Status = Status.QUEUED
    charged: int = 0

    @property
    def taken(self) -> int:
        return self.charged if self.status.is_over else self.units


class LedgerAgainstItsModel(RuleBasedStateMachine):
    jobs = Bundle("jobs")

    def __init__(self):
        super().__init__()
        self.directory, self.clock, self.runner = tempfile.TemporaryDirectory(), Clock(), asyncio.Runner()
        self.store = self.run(open_store(Path(self.directory.name)))
        self.person = self.run(
            self.store.person(Identity("discord", "", "ada"), is_operator=False, now_ms=self.clock())
        )
        self.model: dict[str, Entry] = {}
        self.granted: list[tuple[int, int]] = []
        self.keys = 0

    def run(self, coroutine):
        return self.runner.run(coroutine)

    def teardown(self):
        self.run(self.store.close())
        self.runner.close()
        self.directory.cleanup()

    @property
    def left(self) -> int:
        since_ms = self.clock() - DAY_MS
        taken = sum(entry.taken for entry in self.model.values() if entry.accepted_ms > since_ms)
        return ALLOWANCE + sum(units for units, ends_ms in self.granted if ends_ms > self.clock()) - taken

    @initialize(target=jobs)
    def nothing_yet(self):
        return None

    @rule(target=jobs, each=st.integers(1, 4), count=st.integers(1, 4))
    def submit(self, each, count):
        self.keys += 1
        call = self.store.submit(
            self.person,
            PAGE,
            [wanted(a_draw(), each * count, count=count)],
            key=str(self.keys),
            limits=LIMITS,
            now_ms=self.clock(),
        )
        if each * count > self.left:
            with pytest.raises(QuotaExceeded) as refusal:
                self.run(call)
            assert refusal.value.left == max(0, self.left)
            return None
        [job] = self.run(call)
        self.model[job.id] = Entry(each * count, count, self.clock())
        return job.id

    @rule(job=jobs)
    def start(self, job):
        if job and self.run(self.store.started(job, self.clock())):
            self.model[job].status = Status.RUNNING

    @rule(job=jobs, done=st.integers(0, 4))
    def render(self, job, done):
        if job is None or self.model[job].status != Status.RUNNING:
            return
        for index in range(self.model[job].count):
            status = "done" if index < done else "withheld"
            self.run(self.store.image_done(job, Image(index, index, status, f"/{index}.png", "ab", 64, 64)))
        self.run(self.store.rendered(job, gpu_seconds=1, engine="1", now_ms=self.clock()))
        self.model[job].status = Status.RENDERED
        self.model[job].charged = self.model[job].units // self.model[job].count * min(done, self.model[job].count)

    @rule(show=st.sampled_from([Status.DELIVERED, Status.UNDELIVERABLE]))
    def show(self, show):
        for parcel in self.run(self.store.due(self.clock(), 100)):
            entry = self.model[parcel.job.id]
            for _ in range(2):  # a second time changes nothing
                if show == Status.DELIVERED:
                    self.run(self.store.delivered(parcel, self.clock()))
                else:
                    self.run(self.store.undeliverable(parcel, "gone", self.clock()))
            if entry.status == Status.RENDERED:
                entry.status, entry.charged = show, entry.charged * (show == Status.DELIVERED)

    @rule(job=jobs, fails=st.booleans())
    def stop(self, job, fails):
        if job is None:
            return
        if fails:
            stopped = self.run(self.store.failed(job, "internal", "", self.clock()))
        else:
            stopped = self.run(self.store.cancelled(job, self.clock()))
        if stopped:
            self.model[job].status = Status.FAILED if fails else Status.CANCELLED

    @rule(job=jobs)
    def die(self, job):
        if job and self.model[job].status == Status.RUNNING:
            lost = self.run(self.store.engine_died([job], "killed", self.clock()))
            self.model[job].status = Status.FAILED if lost else Status.QUEUED

    @rule(units=st.integers(1, 5), hours=st.integers(1, 48))
    def grant(self, units, hours):
        ends_ms = self.clock() + hours * 3_600_000
        self.keys += 1
        act = Act(f"grant {self.keys}", self.clock(), self.person.id, "operator", EVERYWHERE, "quota grant", "thanks")
        self.run(self.store.rules.grant(act, self.person, units, ends_ms, LIMITS))
        self.granted.append((units, ends_ms))

    @rule(hours=st.sampled_from([1, 11, 23]))
    def wait(self, hours):
        self.clock.pass_seconds(hours * 3600)

    @precondition(lambda self: self.model)
    @rule()
    def restart(self):
        self.run(self.store.close())
        self.store = self.run(open_store(Path(self.directory.name)))
        self.run(self.store.resume(self.clock()))
        for entry in self.model.values():
            entry.status = Status.QUEUED if entry.status == Status.RUNNING else entry.status

    @invariant()
    def every_unit_is_accounted_for(self):
        account = self.run(self.store.account(self.person, self.clock()))
        taken = account.charged + account.reserved
        assert ALLOWANCE + account.granted - taken == self.left
        assert account.charged >= 0
        assert account.reserved >= 0
        assert self.run(self.store.ledger_problems()) == []


TestLedgerAgainstItsModel = LedgerAgainstItsModel.TestCase
TestLedgerAgainstItsModel.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
