"""Modes × steps: whatever the engine does wrong while it draws, the job comes out, and nothing is charged twice."""

import asyncio
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from bot.jobs import Identity
from bot.store import open_store
from engine.client import LocalEngine
from tests.house import House, a_draw, wanted

MODES = ("exit", "kill", "hang", "garbage", "partial", "slow")
FIRST, MIDDLE, LAST = 1, 3, 6
KINDS = ("out_of_memory", "timed_out", "bad_model", "internal")
HANG_SECONDS = 1.5


@dataclass
class Report:
    ends: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return bool(self.ends) and not self.wrong

    def told(self) -> str:
        lines = [f"fault engine: {len(self.ends)} scripts in {self.seconds:.0f} s, wrong {len(self.wrong)}"]
        return "\n".join([*lines, *(f"  {each}" for each in self.wrong), "passed" if self.passed else "FAILED"])


async def run(folder: Path) -> Report:
    """Each fault once: the job is drawn at its second try. Twice: it has failed, alone, and is released."""
    report, began, script = Report(), time.monotonic(), folder / "faults"
    os.environ |= {"LIMNER_FAKE_FAULTS": str(script), "LIMNER_FAKE_STEP_SECONDS": "0.01"}
    script.write_text("")
    clock = lambda: time.time_ns() // 10**6  # noqa: E731
    store = await open_store(folder / "data")
    house = House(store, clock, folder / "data", LocalEngine("tests.fake_engine", hang_seconds=HANG_SECONDS))
    ada = await store.person(Identity("web", "", "ada"), is_operator=True, now_ms=clock())
    house.open()
    scripts = {f"{mode} {step}": ([f"{mode} {step}"], "delivered") for mode in MODES for step in (FIRST, MIDDLE, LAST)}
    for mode in MODES[:-1]:
        scripts |= {f"{mode} twice": ([f"{mode} {MIDDLE}"] * 2, "failed"), f"after {mode} twice": ([], "delivered")}
    scripts |= {f"fail {kind}": ([f"fail {kind}"], "failed") for kind in KINDS}
    for name, (lines, expected) in scripts.items():
        script.write_text("".join(f"{line}\n" for line in lines))
        [job_id] = await house.accept(ada, wanted(a_draw(), steps=LAST, units=1), key=name)
        async with asyncio.timeout(60):
            job = await house.end_of(job_id)
        report.ends[name] = str(job.status)
        if job.status != expected:
            report.wrong.append(f"{name}: {job.status}, not {expected}")
    account = await store.account(ada, clock())
    delivered = sum(end == "delivered" for end in report.ends.values())
    if (account.charged, account.reserved) != (delivered, 0):
        report.wrong.append(f"charged {account.charged} for {delivered}, reserved {account.reserved}")
    report.wrong += await store.ledger_problems()
    await house.close()
    await store.close()
    report.seconds = time.monotonic() - began
    return report
